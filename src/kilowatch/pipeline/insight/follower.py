"""Follows the pipeline: which hours of which streams are due, and in which order.

A thread of its own. An hour is due when no packet in order can change it any more: that is told
by how far the stream's own data have come, never by the clock on the wall.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from kilowatch.insights.hours import HOUR_MS
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.file import InsightFile, Kept
from kilowatch.pipeline.insight.stepping import Step, look
from kilowatch.pipeline.insight.subjects import Reach, Reaches, Subject, subject_of
from kilowatch.pipeline.streams import PointsNow, Streams
from kilowatch.pipeline.view import View

logger = structlog.get_logger("insights")

LIVE_H = 48
"""Streams that are no further behind go before those whose history is looked at."""


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """How insights follow.

    Attributes:
        tick_s: Between two looks at who is due [s].
        slice_s: Longest work before looking again, so that live hours do not wait for
            history [s].
        streams: Most streams that are looked at together.
        retry_s_max: Longest wait after a failure [s].
        clock: Seconds that never go back.
    """

    tick_s: float = 5.0
    slice_s: float = 2.0
    streams: int = 256
    retry_s_max: float = 60.0
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far insights are behind.

    Attributes:
        streams: Streams with hours that are due.
        hours: Those hours, summed over streams.
        looked_at: Hours looked at since the start, summed over streams.
        fault: Why insights do not go on, or an empty string.
    """

    streams: int = 0
    hours: int = 0
    looked_at: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Due:
    subject: Subject
    kept: Kept
    until_ms: int

    @property
    def is_live(self) -> bool:
        return self.until_ms - self.kept.cursor_ms <= LIVE_H * HOUR_MS


class Follower:
    """Looks at hours as they become complete; one thread calls ``run``, or ``tick`` at will.

    Args:
        view: The measurements.
        streams: How far each stream's hours stand.
        points: Returns the present data points, at once.
        path: The insights' own file.
        settings: Times and sizes.

    Attributes:
        backlog: How far insights are behind.
    """

    def __init__(
        self,
        *,
        view: View,
        streams: Streams,
        points: PointsNow,
        path: Path,
        settings: FollowSettings | None = None,
    ) -> None:
        self._view = view
        self._streams = streams
        self._points_now = points
        self._settings = settings or FollowSettings()
        self._file = InsightFile(path)
        self._kept = self._file.kept()
        self._reaches = Reaches(streams)
        self._points: Mapping[int, DataPoint] = {}
        self._subjects: dict[int, Subject] = {}
        self._stop = threading.Event()
        self.backlog = Backlog()

    def stop(self) -> None:
        """Ask ``run`` to return; from any thread."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def run(self) -> None:
        """Follow until stopped; a failure is noted and tried again."""
        wait_s, failed_s = 0.0, 0.0
        while not self._stop.wait(wait_s):
            try:
                wait_s = 0.0 if self.tick() else self._settings.tick_s
                failed_s = 0.0
            except Exception as error:  # noqa: BLE001 - insights must come back by themselves
                failed_s = min(2 * failed_s or 1.0, self._settings.retry_s_max)
                wait_s = failed_s
                self._note(error)
        self.close()

    def tick(self) -> bool:
        """Look at what is due, for as long as a slice lasts.

        Returns:
            Whether there is more to do at once.

        Raises:
            KilowatchError: 503 from the store; tick again later.
        """
        if self._streams.busy:
            return False
        ends_s = self._settings.clock() + self._settings.slice_s
        due = self._due()
        looked = self.backlog.looked_at
        done = 0
        for step in self._steps(due):
            if self._stop.is_set() or (done and self._settings.clock() >= ends_s):
                break
            self._look(step)
            hours = len(step.subjects) * ((step.until_ms - step.from_ms) // HOUR_MS)
            done += hours
        hours = sum((d.until_ms - d.kept.cursor_ms) // HOUR_MS for d in due) - done
        left = len({d.subject.series for d in self._due()}) if hours else 0
        self.backlog = Backlog(left, max(hours, 0), looked + done)
        return done > 0 and left > 0

    def _look(self, step: Step) -> None:
        states = self._file.states(
            s.series
            for s, k in zip(step.subjects, step.kept, strict=True)
            if k.cursor_ms > k.birth_ms
        )
        commit = look(self._view, step, states)
        self._file.commit(commit)
        self._kept.update({series: kept for series, (kept, _) in commit.kept.items()})

    def _due(self) -> list[_Due]:
        """Return the streams with complete hours that were not looked at."""
        points = self._points_now().points
        if points is not self._points:
            self._points = points
            subjects = (subject_of(point) for point in points.values())
            self._subjects = {one.series: one for one in subjects if one is not None}
        due = []
        for series, reach in self._reaches.now(self._subjects).items():
            if series in self._streams.recomputing:
                continue  # its history is about to be another one
            kept = self._kept.get(series)
            if kept is None or (kept.generation, kept.zone) != (reach.generation, reach.zone):
                kept = self._begin(series, reach, again=kept is not None)
            if reach.until_ms > kept.cursor_ms:
                due.append(_Due(self._subjects[series], kept, reach.until_ms))
        return due

    def _begin(self, series: int, reach: Reach, *, again: bool) -> Kept:
        if again:
            self._file.forget(series)
        birth_ms = int(grain_start_ms([reach.first_ms], "day", Zone.of(reach.zone))[0])
        kept = self._kept[series] = Kept(reach.generation, reach.zone, birth_ms, birth_ms)
        return kept

    def _steps(self, due: list[_Due]) -> list[Step]:
        """Put together what can be looked at together: live hours first, then the oldest."""
        groups: dict[tuple[bool, int, str], list[_Due]] = {}
        for one in due:
            groups.setdefault((not one.is_live, one.kept.cursor_ms, one.kept.zone), []).append(one)
        steps = []
        for (_, cursor_ms, zone), some in sorted(groups.items(), key=lambda item: item[0]):
            # Histories of different beginnings meet at the beginning of a month.
            month_ms = int(grain_end_ms([cursor_ms], "month", Zone.of(zone))[0])
            some.sort(key=lambda one: (one.until_ms, one.subject.series))
            for first in range(0, len(some), self._settings.streams):
                part = some[first : first + self._settings.streams]
                until_ms = min(part[0].until_ms, month_ms)
                steps.append(
                    Step([one.subject for one in part], [one.kept for one in part],
                         cursor_ms, until_ms)
                )  # fmt: skip
        return steps

    def _note(self, error: Exception) -> None:
        self.backlog = Backlog(
            self.backlog.streams, self.backlog.hours, self.backlog.looked_at, str(error)
        )
        if isinstance(error, KilowatchError):
            logger.warning("insights.waiting", code=error.code, detail=error.detail)
        else:
            logger.error("insights.failed", exc_info=error)
