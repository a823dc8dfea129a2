"""A silence watch in a box: a log of arrivals, a clock and a collector that a test sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kilowatch.log import Arrival
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Silence
from kilowatch.pipeline.silence_watch import SilenceWatch, WatchSettings
from kilowatch.pipeline.silences import Silences
from tests.pipeline.pipeline_world import START_MS, Points

S = 1_000
MIN = 60 * S
H = 60 * MIN


@dataclass
class ArrivalLog:
    """The log, as the watch reads it; ``dropped`` packets at its beginning are gone."""

    packets: list[Arrival] = field(default_factory=list)
    dropped: int = 0

    def arrivals(self, after_seq: int, limit: int = 20_000) -> list[Arrival]:
        """Return packets after a number."""
        return self.packets[max(after_seq, self.dropped) :][:limit]

    def last_arrivals(self) -> tuple[int, list[Arrival]]:
        """Return each stream's latest."""
        latest = {one.series: one for one in self.packets}
        return len(self.packets), list(latest.values())

    def first_seq(self) -> int:
        """Return the first that is there."""
        return self.dropped + 1 if self.packets else 0

    def last_seq(self) -> int:
        """Return the last."""
        return len(self.packets)


class Nights:
    """A watch whose clock, collector and end a test decides on."""

    def __init__(self, folder: Path, *points: DataPoint) -> None:
        self.path = folder / "silences.sqlite"
        self.log = ArrivalLog()
        self.points = Points({one.series: one for one in points})
        self.now_ms = START_MS
        self.accepting: int | None = START_MS
        self.changes: list[set[int]] = []
        self.silences: Silences
        self.watch: SilenceWatch
        self.start()

    def start(self, **settings: int) -> None:
        """Start, as after a crash: nothing but the files is left."""
        self.silences = Silences(self.path, self.now_ms)
        self.watch = SilenceWatch(
            log=self.log,
            silences=self.silences,
            points=lambda: self.points,
            accepting_since=lambda: self.accepting,
            decision_of=lambda _series: "undecided",
            now_ms=lambda: self.now_ms,
            settings=WatchSettings(**settings),
            on_change=lambda series: self.changes.append(set(series)),
        )

    def kill(self) -> None:
        """End without a word, as kill -9 does."""
        self.silences.close()

    def push(self, series: int, late_ms: int = 0, *, credential: int = 1) -> None:
        """Receive a packet now, with an instant so long ago."""
        number = len(self.log.packets) + 1
        at_ms = self.now_ms - late_ms
        self.log.packets.append(Arrival(number, series, at_ms, 0, 0, self.now_ms, credential))

    def wait(self, ms: int, step_ms: int = 500) -> None:
        """Let time pass, with a look every half second."""
        end_ms = self.now_ms + ms
        while self.now_ms < end_ms:
            self.now_ms = min(self.now_ms + step_ms, end_ms)
            self.watch.tick()

    @property
    def open(self) -> list[int]:
        """Which streams are silent."""
        return [silence.series for silence in self.silences.open()]

    @property
    def told(self) -> list[tuple[int, bool]]:
        """What the feed said: which stream, and whether it was back."""
        return [(one.series, one.ended_ms is not None) for _, one in self.feed()]

    def feed(self) -> list[tuple[int, Silence]]:
        """Return the whole feed."""
        return self.silences.changes(0, 1_000_000)
