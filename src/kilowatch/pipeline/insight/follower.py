"""Follows the pipeline: which hours of which streams are due, and in which order.

A thread of its own. An hour is due when no packet in order can change it any more: that is told
by how far the stream's own data have come, never by the clock on the wall.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import structlog

from kilowatch.insights.forecasting import Model
from kilowatch.insights.waste import standing
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.errors import KilowatchError
from kilowatch.model.insight import InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight import states
from kilowatch.pipeline.insight.apart import OF_A_STREAM, Apart
from kilowatch.pipeline.insight.calendars import Calendar
from kilowatch.pipeline.insight.falling import falls_in
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.knowledge import Backlog, FollowSettings, Knowledge
from kilowatch.pipeline.insight.models import standing_in, usable
from kilowatch.pipeline.insight.pauses import Pauses
from kilowatch.pipeline.insight.records import Commit, Kept
from kilowatch.pipeline.insight.settling import STALE_MS, Settler
from kilowatch.pipeline.insight.stepping import Step, StepGivenUpError, Stepper
from kilowatch.pipeline.insight.subjects import Reach, Reaches, Subject, made_of, subject_of
from kilowatch.pipeline.insight.surroundings import LATE_MS, SILENT_MS, Surroundings
from kilowatch.pipeline.insight.training import Training
from kilowatch.pipeline.streams import PointsNow, Streams
from kilowatch.pipeline.view import View

logger = structlog.get_logger("insights")

LIVE_H = 48
"""Streams that are no further behind go before those whose history is looked at."""
STANDING_D = 396
"""Thirteen months: every season can be the best month [days]."""


@dataclass(frozen=True, slots=True)
class _Due:
    subject: Subject
    kept: Kept
    until_ms: int
    outdoor: bool

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
        knowledge: What else is known.
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
        knowledge: Knowledge | None = None,
        settings: FollowSettings | None = None,
    ) -> None:
        knowledge = knowledge or Knowledge()
        self._streams = streams
        self._points_now = points
        self._settings = settings = settings or FollowSettings()
        self._file = InsightFile(path)
        self._kept = self._file.kept()
        self._reaches = Reaches(streams)
        self._points: Mapping[int, DataPoint] = {}
        self._subjects: dict[int, Subject] = {}
        self._by_number: dict[int, Subject] = {}
        self._made_of: dict[int, frozenset[int]] = {}
        self._facts: Mapping[int, SiteFacts] = {}
        self._until: dict[int, int] = {}
        self._idle: dict[int, tuple[Reach, Reach | None]] = {}
        self._surroundings = Surroundings(
            view, knowledge.facts, self._by_number.get, knowledge.faults
        )
        self._models: dict[str, Model | None] = {}
        self._in_use = self._file.models()
        self._stop = threading.Event()
        self._stepper = Stepper(
            self._surroundings,
            self._model_at,
            knowledge.limits,
            falls_in(streams),
            self._stop.is_set,
        )
        self._settler = Settler(
            self._file,
            self._subjects,
            knowledge.above,
            self._made_of,
            knowledge.expects,
            settings.wall_ms,
        )
        self._training = Training(
            self._file, self._surroundings, settings.clock, settings.train_again_s
        )
        self._pauses = Pauses(view, self._file)
        self._apart = Apart(settings.clock)
        self.backlog = Backlog(starting=True)
        if self._file.meta("layout") != states.LAYOUT:
            self._file.forget(self._kept)  # another version's detector can't go on with it
            self._kept = {}
            self._file.note("layout", states.LAYOUT)

    def stop(self) -> None:
        """Ask ``run`` to return, whatever step is under way; from any thread."""
        self._stop.set()

    def close(self) -> None:
        """Let go of the file."""
        self._training.stop()
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
        done, passed = 0, False
        for step in self._steps(due):
            if self._stop.is_set() or (done and self._settings.clock() >= ends_s):
                break
            try:
                packed = self._file.states(
                    series
                    for series, kept in zip(step.series, step.kept, strict=True)
                    if kept.cursor_ms > kept.birth_ms
                )
                if self._pass_over(step, packed):
                    passed = True  # whoever begins anew is put together with others next time
                    continue
                self._look(step, packed)
            except StepGivenUpError:
                break
            except OF_A_STREAM as error:
                self._apart.failed(step.subjects, error)
                continue
            self._apart.went_well(step.subjects)
            done += len(step.subjects) * ((step.until_ms - step.from_ms) // HOUR_MS)
        left = [(one.until_ms - self._kept[one.subject.series].cursor_ms) // HOUR_MS for one in due]
        behind = sum(hours > 0 for hours in left)
        if not self._stop.is_set() and self._training.tick(self._kept, self._subjects):
            self._in_use = self._file.models()
        self.backlog = Backlog(
            behind,
            sum(left),
            self.backlog.looked_at + done,
            self._training.running,
            self._training.fault,
            self._apart.fault,
        )
        return (done > 0 or passed) and behind > 0

    def _pass_over(self, step: Step, packed: dict[int, bytes]) -> bool:
        """Let streams begin anew behind a pause of more than a year; tell whether any did."""
        commit, over = self._pauses.passed(step, self._until, packed)
        if commit.kept:
            self._commit(step, commit, over)
        return bool(commit.kept)

    def _look(self, step: Step, packed: dict[int, bytes]) -> None:
        references = self._file.references(packed)
        found = self._stepper.look(step, packed, references)  # adds what it learns to them
        self._stand(step, references, found.commit.standings)
        self._commit(step, found.commit, found.events)

    def _commit(self, step: Step, commit: Commit, events: list[InsightEvent]) -> None:
        if events:
            news_ms = self._news_since_ms({one.point.site_id for one in step.subjects})
            settled = self._settler.settle(events, self._facts, news_ms)
            commit.events, commit.notices = settled.events, settled.notices
        self._file.commit(commit)
        self._kept.update({series: kept for series, (kept, _) in commit.kept.items()})

    def _news_since_ms(self, sites: set[int]) -> dict[int, int]:
        """Return what is no news of every stream of some sites: findings of several are joined."""
        return {
            series: max(kept.quiet_ms, self._until.get(series, kept.cursor_ms) - STALE_MS)
            for series, subject in self._subjects.items()
            if subject.point.site_id in sites and (kept := self._kept.get(series)) is not None
        }

    def _forget(self, series: list[int]) -> None:
        """Begin streams anew, and decide again about what had one cause with their events."""
        left = self._file.forget(series) if series else []
        if left:
            settled = self._settler.settle_again(left, self._facts)
            self._file.commit(Commit(events=settled.events))

    def _stand(self, step: Step, packed: dict[int, bytes], standings: dict[int, bytes]) -> None:
        """Say once a week what is always on, of streams that are up to date."""
        zone = step.zone
        monday_ms = int(grain_start_ms([step.until_ms], "week", zone)[0])
        rows = [
            row
            for row, one in enumerate(step.subjects)
            if step.from_ms <= monday_ms
            and one.is_use
            and self._until[one.series] - step.until_ms < 7 * DAY_MS
            and monday_ms - step.kept[row].birth_ms >= 28 * DAY_MS
        ]
        rows = [row for row in rows if step.subjects[row].series in packed]
        subjects = [step.subjects[row] for row in rows]
        if not subjects:
            return
        birth_ms = min(step.kept[row].birth_ms for row in rows)
        first_ms = max(birth_ms, monday_ms - STANDING_D * DAY_MS)
        hours = self._surroundings.hours(subjects, zone, first_ms, monday_ms, monday_ms)
        hours = self._surroundings.sound(subjects, hours)
        reference = states.references([packed[one.series] for one in subjects])
        stood = standing(hours, reference.opening, self._surroundings.set_hours(subjects))
        told = zip(subjects, stood, reference.feeds_in, strict=True)
        for subject, one, feeds_in in told:
            if not feeds_in:
                standings[subject.series] = msgspec.msgpack.encode(one)

    def _due(self) -> list[_Due]:
        """Return the streams with complete hours that were not looked at."""
        self._follow_catalogue()
        reaches = self._reaches.now(self._by_number[one].series for one in self._by_number)
        recomputing = self._streams.recomputing
        due, anew = [], []
        for series, subject in self._subjects.items():
            reach = reaches.get(series)
            if reach is None or series in recomputing:
                continue  # without data, or its history is about to be another one
            thermometer = self._surroundings.thermometer(subject.point.site_id)
            outdoor = reaches.get(thermometer.series) if thermometer is not None else None
            idle = self._idle.get(series)
            if idle is not None and idle[0] is reach and idle[1] is outdoor:
                continue  # neither has moved since there was nothing to do
            basis, until_ms = str(reach.generation), reach.until_ms
            if thermometer is not None and outdoor is not None:
                if thermometer.series in recomputing:
                    continue
                basis = f"{basis}:{thermometer.series}:{outdoor.generation}"
                if until_ms - outdoor.until_ms <= SILENT_MS:  # else it is dead: nobody waits for it
                    until_ms = min(until_ms, max(outdoor.until_ms, until_ms - LATE_MS))
            kept = self._kept.get(series)
            if kept is not None and (kept.basis, kept.zone) != (basis, reach.zone):
                anew.append(series)
            if kept is None or (kept.basis, kept.zone) != (basis, reach.zone):
                kept = self._begin(series, reach, basis)
            self._until[series] = reach.until_ms
            if until_ms > kept.cursor_ms:
                due.append(_Due(subject, kept, until_ms, outdoor is not None))
                self._idle.pop(series, None)
            else:
                self._idle[series] = (reach, outdoor)
        self._forget(anew)
        return due

    def _follow_catalogue(self) -> None:
        points = self._points_now().points
        if points is not self._points:
            self._points = points
            self._idle.clear()
            self._subjects.clear()
            self._by_number.clear()
            for point in points.values():
                subject = subject_of(point)
                if subject is not None:
                    self._subjects[point.series] = self._by_number[point.id] = subject
            self._made_of.clear()
            self._made_of.update(made_of(points.values()))
        facts = self._surroundings.refresh()
        if facts is self._facts:
            return
        self._facts = facts
        self._idle.clear()
        for site_id, one in facts.items():
            name, calendar = f"calendar:{site_id}", Calendar.of(one)
            before = self._file.meta(name)
            if before == calendar.packed():
                continue
            if before:
                since_ms = calendar.differs_from_ms(Calendar.read(before), Zone.of(one.zone))
                self._forget_since(site_id, since_ms)
            self._file.note(name, calendar.packed())

    def _forget_since(self, site_id: int, since_ms: int | None) -> None:
        """Look again at the streams of a site whose calendar of the past is another one now."""
        changed = [
            series
            for series, subject in self._subjects.items()
            if since_ms is not None
            and subject.point.site_id == site_id
            and series in self._kept
            and self._kept[series].cursor_ms > since_ms
        ]
        for series in changed:
            kept = self._kept[series]
            self._kept[series] = replace(kept, basis="")  # from its first reading on
        self._forget(changed)

    def _begin(self, series: int, reach: Reach, basis: str) -> Kept:
        before = self._kept.get(series)
        quiet_ms = self._file.quiet_ms(series)
        if before is not None:
            quiet_ms = max(quiet_ms, before.quiet_ms, before.cursor_ms)
        birth_ms = int(grain_start_ms([reach.first_ms], "day", Zone.of(reach.zone))[0])
        kept = self._kept[series] = Kept(basis, reach.zone, birth_ms, birth_ms, quiet_ms)
        return kept

    def _steps(self, due: list[_Due]) -> list[Step]:
        """Put together what can be looked at together: live hours first, then the oldest."""
        groups: dict[tuple[bool, int, str, bool, bool, int], list[_Due]] = {}
        for one in due:
            series = one.subject.series
            if self._apart.waits(series):
                continue
            alone = series if self._apart.is_alone(series) else 0
            alike = (one.kept.zone, one.subject.is_amount, one.outdoor, alone)
            groups.setdefault((not one.is_live, one.kept.cursor_ms, *alike), []).append(one)
        steps = []
        for (_, cursor_ms, zone, *_), some in sorted(groups.items(), key=lambda item: item[0]):
            # Histories of different beginnings meet at the beginning of a month.
            month_ms = int(grain_end_ms([cursor_ms], "month", Zone.of(zone))[0])
            some.sort(key=lambda one: (one.until_ms, one.subject.series))
            for first in range(0, len(some), self._settings.streams):
                part = some[first : first + self._settings.streams]
                until_ms = min(part[0].until_ms, month_ms)
                subjects, kept = [one.subject for one in part], [one.kept for one in part]
                steps.append(Step(subjects, kept, cursor_ms, until_ms))
        return steps

    def _model_at(self, midnight_ms: int) -> Model | None:
        """Return the model that makes the forecasts of a midnight."""
        place = bisect_right(self._in_use, midnight_ms, key=lambda one: one[0]) - 1
        if place < 0:
            return standing_in()
        version = self._in_use[place][1]
        if version not in self._models:
            self._models[version] = usable(version, self._file.model(version))
        return self._models[version]

    def _note(self, error: Exception) -> None:
        self.backlog = replace(self.backlog, fault=str(error) or type(error).__name__)
        if isinstance(error, KilowatchError):
            logger.warning("insights.waiting", code=error.code, detail=error.detail)
        else:
            logger.error("insights.failed", exc_info=error)
