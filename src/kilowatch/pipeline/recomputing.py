"""Which streams must be computed again, one after the other, a slice at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kilowatch.pipeline.contexts import Contexts
from kilowatch.pipeline.recompute import Recomputation
from kilowatch.pipeline.registered import Registered
from kilowatch.pipeline.sisters import Sisters
from kilowatch.pipeline.state import StreamState
from kilowatch.pipeline.state_file import StateFile
from kilowatch.pipeline.streams import Points, PointsNow, Streams

RETRY_S, RETRY_S_MAX = 60.0, 3_600.0
REST_SHARE = 9.0
"""How much longer than its last recomputation a stream rests before late readings cause another:
a sender that is always late takes a tenth of the pipeline's time, and its neighbours the rest."""


@dataclass(slots=True)
class _Failed:
    """A recomputation that failed: when to try again, and under which settings it was."""

    due: float
    wait_s: float
    settings: dict[str, Any] | None


class Recomputer:
    """Finds streams whose rows no longer fit their settings, and computes them again.

    Args:
        streams: What readers see.
        contexts: Context rows, renewed with a stream.
        file: Where generations are reserved.
        slice_rows: Readings to work on at a time.
        clock: Seconds that never go back.
        registered: Settings of data points.
        quiet_s: How long no reading must have come late before history is computed again,
            so that a file that is put in costs that once [s].
        wait_s_max: When it is, all the same, while they keep coming [s].
    """

    def __init__(
        self,
        streams: Streams,
        contexts: Contexts,
        file: StateFile,
        slice_rows: int,
        clock: Callable[[], float],
        *,
        registered: Registered | None = None,
        quiet_s: float = 0.0,
        wait_s_max: float = 0.0,
    ) -> None:
        self._streams = streams
        self._contexts = contexts
        self._file = file
        self._slice_rows = slice_rows
        self._registered = registered or Registered()
        self._clock = clock
        self._queue: OrderedDict[int, None] = OrderedDict()
        self._running: Recomputation | None = None
        self._failed: dict[int, _Failed] = {}
        self._quiet_s = quiet_s
        self._wait_s_max = wait_s_max
        self._late: dict[int, tuple[float, float]] = {}
        self._sisters = Sisters(streams.states)
        self._began = 0.0
        self._rests: dict[int, float] = {}

    @property
    def waiting(self) -> bool:
        """Whether a slice could be done at once."""
        return self._running is not None or bool(self._queue)

    def note_late(self, series: Iterable[int]) -> None:
        """Note that readings have come late, now."""
        now = self._clock()
        for one in series:
            first, _ = self._late.get(one, (now, now))
            self._late[one] = (first, now)

    def note_arrivals(self, first_ms: Callable[[int], int | None]) -> None:
        """Note that live readings came: one behind the slice that is next was not counted.

        That is so where history was put in that reaches beyond the stream's last live packet.

        Args:
            first_ms: Returns the pushed instant of a stream's first one, if it has any [ms].
        """
        running = self._running
        if running is None:
            return
        at_ms = first_ms(running.series)
        if at_ms is not None and at_ms < running.from_ms:
            why = "readings came while their time was computed again"
            self._streams.states[running.series].mark_stale(why)

    def look_at(self, series: Iterable[int], points: Points) -> None:
        """Queue those of the streams whose rows do not fit their settings any more."""
        for one in series:
            point = points.by_series(one)
            state = self._streams.states[one]
            if point is None or not state.packets or point.formula:
                continue
            wanted, progress = self._registered.settings_of(point, state.witness), state.progress
            if wanted is progress.settings or wanted == progress.settings:
                progress.settings = wanted  # the same object for all that are alike
                if _whole(state):
                    continue
            failed = self._failed.get(one)
            if self._only_clock_and_no_matter(state, wanted):
                state.progress.settings = wanted
            elif one in self._late and wanted == state.progress.settings:
                continue  # until no more come
            elif failed is None or failed.settings != wanted:
                self._enqueue(one)

    def follow_sisters(self, series: Iterable[int], points: Points) -> set[int]:
        """Queue streams with estimates that rest on others which have new readings.

        Returns:
            Those that are stale now.
        """
        self._sisters.follow(points)
        stale = self._sisters.grown(series)
        self.look_at(stale, points)
        return stale

    def slice(self, points_now: PointsNow) -> set[int]:
        """Do one slice of work, if there is any.

        Returns:
            The stream that has changed over or whose state has changed; empty if none has.

        Raises:
            KilowatchError: The store could not be read or written.
        """
        self._queue_retries()
        self._queue_settled()
        if self._running is None and not self._begin(points_now()):
            return set()
        running = self._running
        assert running is not None
        series = running.series
        outcome = running.advance(self._streams, self._contexts)
        self._streams.recomputing[series] = running.share
        if outcome is None:
            return set()
        self._running = None
        now = self._clock()
        self._rests[series] = now + REST_SHARE * (now - self._began)
        del self._streams.recomputing[series]
        changed = {series}
        if outcome:
            self._streams.meters.recomputations_failed += 1
            self._fail(running, outcome)
        else:
            self._streams.meters.recomputed += 1
            self._failed.pop(series, None)
            self._streams.recomputed.add(series)
            if running.renews:
                changed |= set(self._sisters.renewed(series))
            self.look_at(changed, points_now())  # settings may have changed meanwhile
        self._queue_settled()  # as may more readings have come
        if not self._queue:
            self._streams.recomputed.clear()
        return changed

    def _enqueue(self, series: int) -> None:
        self._queue[series] = None
        self._streams.recomputed.discard(series)
        self._streams.recomputing.setdefault(series, 0.0)

    def _begin(self, points: Points) -> bool:
        while self._queue:
            series, _ = self._queue.popitem(last=False)
            point = points.by_series(series)
            if point is None:
                self._streams.recomputing.pop(series, None)
                continue
            state = self._streams.states[series]
            fits = self._registered.settings_of(point, state.witness) == state.progress.settings
            if fits and _whole(state):  # asked for again while it was computed
                self._streams.recomputing.pop(series, None)
                continue
            generation = self._file.reserve_generation(series)
            self._began = self._clock()
            self._running = Recomputation(series, point, state, generation, self._slice_rows)
            self._streams.recomputing[series] = 0.0
            return True
        return False

    def _fail(self, running: Recomputation, why: str) -> None:
        series = running.series
        self._streams.states[series].failure = why
        before = self._failed.get(series)
        wait_s = min(before.wait_s * 2, RETRY_S_MAX) if before else RETRY_S
        settings = running.progress.settings
        self._failed[series] = _Failed(self._clock() + wait_s, wait_s, settings)

    def _queue_retries(self) -> None:
        now = self._clock()
        for series, failed in self._failed.items():
            if failed.due <= now:
                self._enqueue(series)
                failed.due = float("inf")

    def _queue_settled(self) -> None:
        """Queue streams for which no more readings come late."""
        now = self._clock()
        running = self._running.series if self._running else None
        for series, (first, last) in list(self._late.items()):
            settled = now - last >= self._quiet_s or now - first >= self._wait_s_max
            rested = now >= self._rests.get(series, now)
            if settled and rested and series != running:
                del self._late[series]
                if self._streams.states[series].stale:
                    self._queue[series] = None

    @staticmethod
    def _only_clock_and_no_matter(state: StreamState, wanted: dict[str, object]) -> bool:
        """Say whether only the clock is seen in another way, and every instant stays the same."""
        settings = state.progress.settings
        return (
            settings is not None
            and not state.offset_matters
            and _whole(state)
            and settings | {"clock": wanted["clock"]} == wanted
        )


def _whole(state: StreamState) -> bool:
    """Say whether everything is there that a stream's grid should have."""
    return not state.stale and not state.failure and state.progress.looked_for_gaps
