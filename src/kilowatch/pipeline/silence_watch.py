"""Finds streams that fall silent when their next packet is due, not when the next one comes.

A thread of its own, which reads from the log that packets came and nothing else: a slow store, a
recomputation or a pipeline that lags hold nothing up, and a packet that is in the log and not yet
in a chart is not missing. Why silences are found so:
docs/decisions/0014-silences-are-read-off-the-log.md.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import structlog

from kilowatch.log import Arrival
from kilowatch.model.clock import Decision, effective_ms
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Contact, Silence
from kilowatch.model.zones import Zone
from kilowatch.pipeline.hearing import Heard, allowed_ms
from kilowatch.pipeline.silences import Silences
from kilowatch.pipeline.streams import Points, PointsNow

logger = structlog.get_logger("silences")


class ArrivalLog(Protocol):
    """What the watch needs of the log (``kilowatch.log.LogReader`` is one)."""

    def arrivals(self, after_seq: int, limit: int = 20_000) -> list[Arrival]:
        """Return that packets came after a sequence number, oldest first."""

    def last_arrivals(self) -> tuple[int, list[Arrival]]:
        """Return the latest packet of each stream, up to a sequence number."""

    def first_seq(self) -> int:
        """Return the smallest sequence number that is still there, or 0."""

    def last_seq(self) -> int:
        """Return the largest sequence number, or 0."""


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How closely the watch looks.

    Attributes:
        tick_s: Between two looks [s].
        settle_ms: How long after it is due a packet may still be on its way to the log [ms]:
            a commit takes 20 ms, and the collector says when its disk is slower than a second.
        save_ms: Between two notes of what was heard; a start reads so much again [ms].
        batch: Packets to read from the log at a time.
    """

    tick_s: float = 0.5
    settle_ms: int = 500
    save_ms: int = 30_000
    batch: int = 20_000


class SilenceWatch:
    """Listens to the log; one thread calls ``run``, or ``tick`` as often as it likes.

    Args:
        log: Where packets come from.
        silences: Where silences are kept; the watch alone changes it.
        points: Returns the present data points, at once.
        accepting_since: Returns since when the collector has taken packets without a break
            [ms since 1970, UTC], or None while it does not.
        decision_of: Returns what is known of a stream's clock, by series.
        now_ms: The wall clock [ms since 1970, UTC].
        settings: Times and sizes.
        on_change: Told the streams that are live now, silent, or silent no more.

    Attributes:
        fault: Why silences are not found at present, or an empty string.
    """

    def __init__(
        self,
        *,
        log: ArrivalLog,
        silences: Silences,
        points: PointsNow,
        accepting_since: Callable[[], int | None],
        decision_of: Callable[[int], Decision],
        now_ms: Callable[[], int],
        settings: WatchSettings | None = None,
        on_change: Callable[[Collection[int]], None] = lambda _series: None,
    ) -> None:
        self._log = log
        self._silences = silences
        self._points_now = points
        self._accepting_since = accepting_since
        self._decision_of = decision_of
        self._now_ms = now_ms
        self._settings = settings or WatchSettings()
        self._on_change = on_change
        self._stop = threading.Event()
        self._heard: dict[int, Heard] = {}
        self._changed: set[int] = set()
        self._seq = 0
        self._saved_ms = now_ms()
        self._due: list[tuple[int, int]] = []
        self._queued: set[int] = set()
        self._points: Mapping[int, DataPoint] = {}
        self._ticked_ms = now_ms()
        self._begun = False
        self._accepting_ms: int | None = None
        self.fault = ""

    def stop(self) -> None:
        """Ask ``run`` to return; from any thread."""
        self._stop.set()

    def run(self) -> None:
        """Look until stopped; a failure is noted, and the next look tries again."""
        while not self._stop.wait(self._settings.tick_s):
            try:
                self.tick()
                self.fault = ""
            except Exception as error:
                if str(error) != self.fault:
                    logger.exception("silences can't be found")
                self.fault = str(error) or type(error).__name__
        self.save()

    def tick(self) -> None:
        """Look once: hear what came, then find what should have come and did not.

        Raises:
            KilowatchError: The log could not be read; look again later.
        """
        since_ms = self._accepting_ms = self._accepting_since()
        now_ms = self._now_ms()  # whatever was received before has been committed, or will be heard
        if not self._begun:
            self._begin()
        self._follow_clock(now_ms)
        points = self._points_now()
        self._listen(points)
        self._follow_catalogue(points, now_ms)
        if since_ms is not None:
            self._find(now_ms, min(since_ms, now_ms))
        if now_ms - self._saved_ms >= self._settings.save_ms:
            self.save()

    def rhythm_ms(self, point: DataPoint) -> int:
        """Return a stream's regular pause where it is longer than registered, else 0 [ms]."""
        heard = self._heard.get(point.series)
        return heard.rhythm_ms(point) if heard is not None else 0

    def contact(self, point: DataPoint) -> Contact | None:
        """Return when a data point spoke last and when it is due; from any thread.

        Returns:
            None before the log was heard for the first time.
        """
        if not self._begun:
            return None
        heard = self._heard.get(point.series)
        if heard is None or not heard.live:
            return Contact(live=False, heard_ms=0, due_ms=0, allowed_ms=0, silent=False)
        # While no packets are taken, nobody is silent for that.
        since_ms = self._now_ms() if self._accepting_ms is None else self._accepting_ms
        silent = self._silences.of(point.series) is not None
        return Contact(
            live=True,
            heard_ms=heard.received_ms,
            due_ms=heard.due_ms(point, 0 if silent else since_ms),
            allowed_ms=allowed_ms(point, heard.rhythm_ms(point)),
            silent=silent,
        )

    def silent(self) -> frozenset[int] | None:
        """Return the streams whose silence lasts; None before the log was heard."""
        return self._silences.series() if self._begun else None

    def save(self) -> None:
        """Note what was heard, so that a restart need not read it again."""
        if self._begun:
            changed = {series: self._heard[series] for series in self._changed}
            self._silences.save(self._seq, changed)
            self._changed = set()
            self._saved_ms = self._now_ms()

    def _begin(self) -> None:
        """Go on where the last run noted how far it was, or with each stream's latest packet."""
        seq, heard = self._silences.load()
        self._heard, last_seq = heard, self._log.last_seq()
        points = self._points_now()
        self._points = points.points
        if seq is None or seq > last_seq or seq < self._log.first_seq() - 1:
            if seq is not None and seq > last_seq:
                self._heard = {}  # another log: its numbers mean other packets
            seq, arrivals = self._log.last_arrivals()
            self._hear(arrivals, points)
        self._seq = seq
        self._queue_all()
        self._begun = True
        self.save()  # from here on the log tells the same again, whenever we are killed

    def _follow_clock(self, now_ms: int) -> None:
        """Where the clock was set back, nothing that was heard lies in the future."""
        back, self._ticked_ms = now_ms < self._ticked_ms, now_ms
        if not back:
            return
        for series, heard in self._heard.items():
            if heard.received_ms > now_ms:
                heard.received_ms = now_ms
                heard.burst_received_ms = min(heard.burst_received_ms, now_ms)
                self._changed.add(series)
        self._queue_all()

    def _listen(self, points: Points) -> None:
        """Hear everything that is in the log by now."""
        target = self._log.last_seq()
        while self._seq < target:
            arrivals = self._log.arrivals(self._seq, self._settings.batch)
            if not arrivals:
                break
            self._hear(arrivals, points)
            self._seq = arrivals[-1].seq

    def _hear(self, arrivals: list[Arrival], points: Points) -> None:
        offsets = Offsets()
        ended: dict[int, int] = {}
        live: list[int] = []
        for arrival in arrivals:
            series = arrival.series
            point = points.points.get(series)
            heard = self._heard.get(series)
            if heard is None:
                heard = self._heard[series] = Heard()
            offset_ms = 0 if point is None or heard.live else offsets.of(point.zone, arrival)
            was_live = heard.live
            if heard.hear(arrival, point, offset_ms):
                self._changed.add(series)
            live += [series] * (heard.live and not was_live)
            silence = self._silences.of(series)
            if silence is None:
                if series not in self._queued:
                    self._queue(series, point)
            elif heard.seq >= arrival.seq > silence[1]:  # also where it could not be written before
                ended.setdefault(series, arrival.received_ms)
        if ended:
            self._end(ended, points)
        if ended or live:
            self._on_change({*ended, *live})

    def _end(self, ended: Mapping[int, int], points: Points) -> None:
        self._silences.ended(ended)
        logger.info("silence.ended", streams=len(ended))
        for series in ended:
            self._queue(series, points.points.get(series))

    def _queue(self, series: int, point: DataPoint | None) -> None:
        heard = self._heard[series]
        if point is not None and heard.live:
            self._queued.add(series)
            heapq.heappush(self._due, (heard.due_ms(point, 0), series))

    def _queue_all(self) -> None:
        self._due, self._queued = [], set()
        for series in self._heard:
            if self._silences.of(series) is None:
                self._queue(series, self._points.get(series))

    def _follow_catalogue(self, points: Points, now_ms: int) -> None:
        """Apply changed intervals at once: also to what was called silent under the old ones."""
        if points.points is self._points:
            return
        self._points = points.points
        over = {}
        for silence in self._silences.open():
            point, heard = self._points.get(silence.series), self._heard.get(silence.series)
            if point is None or heard is None or heard.due_ms(point, 0) > now_ms:
                over[silence.series] = now_ms
        if over:
            self._silences.ended(over)
        self._queue_all()

    def _find(self, now_ms: int, since_ms: int) -> None:
        found: list[tuple[int, int]] = []
        while self._due and self._due[0][0] + self._settings.settle_ms <= now_ms:
            _, series = heapq.heappop(self._due)
            self._queued.discard(series)
            point = self._points.get(series)
            if point is None:
                continue
            due_ms = self._heard[series].due_ms(point, since_ms)
            if due_ms + self._settings.settle_ms > now_ms:  # it spoke since, or has a grace
                self._queued.add(series)
                heapq.heappush(self._due, (due_ms, series))
            else:
                found.append((series, due_ms))
        if not found:
            return
        last_ms = self._effective([series for series, _ in found])
        try:
            self._silences.found(
                (self._silence(series, last_ms[series], due_ms, now_ms), self._heard[series].seq)
                for series, due_ms in found
            )
        except Exception:  # a full disk: they stay due
            self._queue_all()
            raise
        logger.info("silence.found", streams=len(found))
        self._on_change({series for series, _ in found})

    def _silence(self, series: int, last_ms: int, due_ms: int, now_ms: int) -> Silence:
        point = self._points[series]
        return Silence(
            series=series,
            data_point_id=point.id,
            organisation_id=point.organisation_id,
            site_id=point.site_id,
            credential_id=self._heard[series].credential_id,
            last_ms=last_ms,
            due_ms=due_ms,
            found_ms=now_ms,
        )

    def _effective(self, series: list[int]) -> dict[int, int]:
        """Return the effective instant of each stream's last packet, many in one look-up."""
        alike: dict[tuple[str, Decision], list[int]] = {}
        for one in series:
            point = self._points[one]
            decision = self._decision_of(one) if point.clock == "auto" else point.clock
            alike.setdefault((point.zone, decision), []).append(one)
        found: dict[int, int] = {}
        for (zone, decision), some in alike.items():
            heard = [self._heard[one] for one in some]
            instants = effective_ms(
                np.array([one.at_ms for one in heard], np.int64),
                np.array([one.offset_min for one in heard], np.int64),
                np.array([one.flags for one in heard], np.int64),
                decision,
                Zone.of(zone),
            )
            found.update(zip(some, instants.tolist(), strict=True))
        return found


class Offsets:
    """Local time minus UTC of each zone at the arrivals of one batch; one look-up for each."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, zone: str, arrival: Arrival) -> int:
        """Return a zone's offset at about an arrival [ms]."""
        if zone not in self._known:
            self._known[zone] = int(Zone.of(zone).offsets_ms([arrival.received_ms])[0])
        return self._known[zone]
