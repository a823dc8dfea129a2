"""A pipeline behind the real log: packets go through the order gate, as in the running program."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from kilowatch.log import LogReader, LogWriter, Origin, Outcome, Submission
from kilowatch.log.records import form_of
from kilowatch.model.packet import Form
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.conflicts import Conflict, Take
from kilowatch.wire import decode, values_of
from tests.pipeline.pipeline_world import World

GRAINS: tuple[str | int, ...] = ("interval", "hour", "day", "month")
VERSION = 4  # of the columns of a block: by when a row was computed, which no figure depends on


@dataclass(frozen=True, slots=True)
class Push:
    """One packet on its way: values by channel, and how long after its instant it came."""

    series: int
    at_ms: int
    values: dict[int, float]
    offset_min: int = 0
    form: Form = Form.LOCAL
    zulu: bool = False
    late_ms: int = 700

    @property
    def body(self) -> bytes:
        """The packet as a client writes it."""
        zone = timezone(timedelta(minutes=self.offset_min))
        local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.at_ms)
        text = local.astimezone(zone).isoformat(timespec="milliseconds")
        if self.zulu:
            text = text.removesuffix("+00:00") + "Z"
        names = {channel_name(channel): value for channel, value in self.values.items()}
        return json.dumps({"id": f"stream-{self.series}", "tsISO8601": text, **names}).encode()


class GatedWorld(World):
    """A world whose log is the real one; ``close`` it at the end."""

    def __init__(self, folder: Path, points: Sequence[DataPoint]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, points)
        self.writer = LogWriter(folder / "log.sqlite", upkeep_s=0.01)
        self.log: Any = LogReader(folder / "log.sqlite")

    def start(self, **settings: object) -> GatedWorld:
        """Start the pipeline from what is on disk."""
        super().start(**settings)
        return self

    def catch_up(self) -> GatedWorld:
        """Take in the whole log and finish every recomputation."""
        super().catch_up()
        return self

    def close(self) -> None:
        """Let go of every file."""
        self.kill()
        self.log.close()
        self.writer.close()

    def restart(self) -> None:
        """End the pipeline as kill -9 does and start it again."""
        self.kill()
        self.start()

    def deliver(
        self, pushes: Iterable[Push], origin: Origin | None = None, received_ms: int | None = None
    ) -> list[Outcome]:
        """Push packets, all under way at once, and wait for every outcome."""
        return self._submit(
            [
                Submission(
                    push.series, decode(push.body, push.form), push.form, push.body,
                    push.at_ms + push.late_ms if received_ms is None else received_ms, 1, _ignore,
                    origin,
                )
                for push in pushes
            ]
        )  # fmt: skip

    def backfill_discarded(self, series: int, ids: list[int] | None = None) -> list[Outcome]:
        """Put what was discarded into history, as a person does who is asked."""
        return self._submit(
            [
                Submission(
                    series, values_of(one.body, one.flags), form_of(one.flags), one.body,
                    one.received_ms, one.credential_id, _ignore, Origin("kept", "ann"), one.id,
                )
                for one in self.writer.kept_of(series, ids, 100_000)
            ]
        )  # fmt: skip

    def decide(self, conflict: Conflict, take: Take) -> Outcome:
        """Write a person's decision into the log, as the collector does."""
        body, form = conflict.decided(take)
        origin = Origin("decision", "ann", "checked on site")
        (outcome,) = self._submit(
            [
                Submission(
                    conflict.series, decode(body, form), form, body, conflict.received_ms, 0,
                    _ignore, origin,
                )
            ]
        )  # fmt: skip
        return outcome

    def _submit(self, submissions: Sequence[Submission]) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(submissions)
        left = threading.Semaphore(0)
        for number, one in enumerate(submissions):

            def done(outcome: Outcome, number: int = number) -> None:
                outcomes[number] = outcome
                left.release()

            if one.origin is None:
                self.writer.submit(*one._replace(done=done)[:7])
            else:
                self.writer.backfill(one._replace(done=done))
        for _ in submissions:
            assert left.acquire(timeout=20), "no outcome after 20 s"
        return [outcome for outcome in outcomes if outcome is not None]

    def shown(self, series: int = 1) -> dict[str | int, list[tuple[object, ...]]]:
        """Return a stream's figures at every granularity, without when they were computed."""
        return {
            grain: [row[:VERSION] + row[VERSION + 1 :] for row in self.everything(series, grain)]
            for grain in GRAINS
        }


def _ignore(_outcome: Outcome) -> None:
    """Do nothing."""
