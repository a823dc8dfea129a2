"""What is done with the hours of some streams once nothing in order can change them any more.

Day by day: at each local midnight the band of the new day, then the day's hours through the
detectors. At the beginning of some months what each stream needs is learnt. Every number rests on
what came before the hour that it is about, in whatever pieces the hours come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise

import numpy as np
import structlog

from kilowatch.insights import anomalies
from kilowatch.insights.forecasting import Forecast, Model, follow
from kilowatch.insights.hours import WEEK_H, Hours
from kilowatch.insights.waste import LOOKBACK_H, Reference, learn, waste
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.insight import InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.site_facts import Opening
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight import states
from kilowatch.pipeline.insight.electrics import LimitsSet, look
from kilowatch.pipeline.insight.falling import FallsOf, fell
from kilowatch.pipeline.insight.models import forecast, is_new
from kilowatch.pipeline.insight.records import Band, Commit, Kept, WasteRow, event_key
from kilowatch.pipeline.insight.states import Remembered
from kilowatch.pipeline.insight.subjects import Subject
from kilowatch.pipeline.insight.surroundings import Surroundings
from kilowatch.pipeline.insight.wasting import ended, go_on, of_water

logger = structlog.get_logger("insights")

LOOK_BACK_H = max(8 * WEEK_H + 48, LOOKBACK_H)
"""What a midnight's forecast looks at, with the day that it lies in; more than waste needs."""

STAGES_D = (56, 91, 182, 273, 365)
"""Ages at which what a stream needs is learnt, at the next beginning of a month [days]. From the
last one on it stays: a reference that follows the present learns the waste."""

Models = Callable[[int], Model | None]
"""Returns the model that makes the forecasts of a midnight [ms since 1970, UTC]."""


class StepGivenUpError(Exception):
    """The step was asked to end: nothing of it is kept, and it is done again as a whole."""


@dataclass(frozen=True, slots=True)
class Step:
    """Hours of some streams that are looked at together.

    Attributes:
        subjects: Streams that live by one clock, are equally far, and are looked at alike.
        kept: How far each is.
        from_ms: First hour [ms since 1970, UTC].
        until_ms: End of the last, in the same month [ms since 1970, UTC].
    """

    subjects: Sequence[Subject]
    kept: Sequence[Kept]
    from_ms: int
    until_ms: int

    @property
    def zone(self) -> Zone:
        """The clock."""
        return Zone.of(self.kept[0].zone)

    @property
    def series(self) -> list[int]:
        """Keys of the streams."""
        return [one.series for one in self.subjects]


@dataclass(slots=True)
class Found:
    """What a step found, before it is settled which findings belong together.

    Attributes:
        commit: What is written whatever else is decided.
        events: New, grown or ended, under their own names.
    """

    commit: Commit = field(default_factory=Commit)
    events: list[InsightEvent] = field(default_factory=list)


class Stepper:
    """Looks at hours.

    Args:
        surroundings: Reads hours and what belongs to them.
        models: Which model makes the forecasts of a midnight.
        limits: Nominal voltages and limits that people have set.
        falls: Where registers fell and nobody has said why.
        ending: Whether to give up the step that is under way: a month of 256 streams takes 14 s
            of one core, which a server that stops cannot wait for.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        models: Models,
        limits: LimitsSet,
        falls: FallsOf,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ending = ending
        self._limits = limits
        self._falls = falls
        self._surroundings = surroundings
        self._models = models

    def look(self, step: Step, packed: dict[int, bytes], references: dict[int, bytes]) -> Found:
        """Look at the hours of a step.

        Args:
            step: Which hours of which streams.
            packed: Their states, of those that have been looked at before.
            references: What they need, of those of which it is known; what is learnt is added.

        Returns:
            What was found, and the states from here on.

        Raises:
            KilowatchError: 503 from the store.
            StepGivenUpError: It was asked to end.
        """
        remembered = [
            (states.decode(packed[one]) if one in packed else None) or Remembered(states.LAYOUT)
            for one in step.series
        ]
        found = Found()
        self._learn(step, remembered, references, found)
        self._go_on()
        midnights = step.zone.day_starts_within(step.from_ms, step.until_ms)
        first_ms = step.from_ms - (LOOK_BACK_H if len(midnights) else LOOKBACK_H) * HOUR_MS
        hours = self._surroundings.hours(
            step.subjects, step.zone, first_ms, step.until_ms, step.until_ms + 49 * HOUR_MS
        )
        sound = self._surroundings.sound(step.subjects, hours)
        _Days(step, hours, sound, remembered, self._models, found, self._go_on).run()
        self._check(step, midnights, remembered, found)
        for series, one in zip(step.series, remembered, strict=True):
            falls = self._falls(series)
            one.faults, events = fell(series, one.faults, falls, step.from_ms, step.until_ms)
            found.events += events
        self._go_on()
        set_hours = self._surroundings.set_hours(step.subjects)
        _waste(step, hours, remembered, references, set_hours, found)
        for subject, kept, one in zip(step.subjects, step.kept, remembered, strict=True):
            moved = replace(kept, cursor_ms=step.until_ms)
            found.commit.kept[subject.series] = (moved, states.encode(one))
        return found

    def _go_on(self) -> None:
        """Give up where somebody asks to end; between two pieces of work of a second or less."""
        if self._ending():
            raise StepGivenUpError

    def _check(
        self, step: Step, midnights: Ints, remembered: list[Remembered], found: Found
    ) -> None:
        """Look at the hours of electrical streams, and at their days before each midnight."""
        some = [
            (subject, one)
            for subject, one in zip(step.subjects, remembered, strict=True)
            if subject.is_electrical
        ]
        cuts = sorted({step.from_ms, *midnights.tolist(), step.until_ms})
        view, limits = self._surroundings.view, self._limits
        found.events += look(view, some, cuts, step.zone, limits, self._go_on)

    def _learn(
        self,
        step: Step,
        remembered: list[Remembered],
        references: dict[int, bytes],
        found: Found,
    ) -> None:
        """Learn what streams need, of those that have come of age, at the beginning of a month."""
        if int(grain_start_ms([step.from_ms], "month", step.zone)[0]) != step.from_ms:
            return
        ages = [(step.from_ms - kept.birth_ms) // DAY_MS for kept in step.kept]
        stages = [sum(age >= stage for stage in STAGES_D) for age in ages]
        due = [
            row
            for row, (one, stage) in enumerate(zip(remembered, stages, strict=True))
            if stage > one.stages and step.subjects[row].is_use
        ]
        if not due:
            return
        back_d = max(min(ages[row], STAGES_D[-1]) for row in due)
        subjects = [step.subjects[row] for row in due]
        first_ms = step.from_ms - back_d * DAY_MS
        past = self._surroundings.hours(subjects, step.zone, first_ms, step.from_ms, step.from_ms)
        past = self._surroundings.sound(subjects, past)
        reference = learn(past)  # opening hours as learnt: set ones are laid over, from their day
        feeds_in = reference.feeds_in
        for place, row in enumerate(due):
            remembered[row].stages = stages[row]
            series = subjects[place].series
            references[series] = states.packed_reference(reference, place)
            found.commit.references[series] = references[series]
            if feeds_in[place]:  # what was learnt of it before it did holds no more
                found.commit.anew.append(series)
            else:
                found.commit.openings[series] = reference.opening[place].tobytes()


@dataclass(slots=True)
class _Days:
    """One step, day by day: all hours are scanned, the sound ones are what is expected from."""

    step: Step
    hours: Hours
    sound: Hours
    remembered: list[Remembered]
    models: Models
    found: Found
    go_on: Callable[[], None]

    def run(self) -> None:
        """Make the bands of the days that begin, and scan the hours."""
        step = self.step
        zone = step.zone
        midnights = zone.day_starts_within(step.from_ms, step.until_ms).tolist()
        cuts = [step.from_ms, *(one for one in midnights if one > step.from_ms), step.until_ms]
        scan = states.scans(self.remembered) if step.subjects[0].is_amount else None
        for from_ms, until_ms in pairwise(cuts):
            self.go_on()
            day_ms = int(grain_start_ms([from_ms], "day", zone)[0])
            if from_ms == day_ms:
                self._begin(day_ms)
            if scan is not None:
                self.go_on()
                scan = self._scan(scan, day_ms, from_ms, until_ms)
        if scan is not None:
            for one, packed in zip(self.remembered, states.packed_scans(scan), strict=True):
                one.scan = packed

    def _index(self, at_ms: int) -> int:
        return (at_ms - self.hours.first_ms) // HOUR_MS

    def _begin(self, day_ms: int) -> None:
        """Compare yesterday's band with what came, and make that of the day."""
        zone = self.step.zone
        before_ms = int(grain_start_ms([day_ms - 1], "day", zone)[0])
        end_ms = int(zone.day_starts_within(day_ms + 1, day_ms + 50 * HOUR_MS)[0])
        yesterday = (day_ms - before_ms) // HOUR_MS
        band = states.bands(self.remembered, before_ms, yesterday)
        track = states.tracks(self.remembered)
        origin = self._index(day_ms)
        came = self.sound.values[:, origin - yesterday : origin]
        said = Forecast(
            origin - yesterday, np.empty(0, np.int64), band, (), np.empty(len(self.remembered))
        )
        track = follow(track, said, came)
        model = self.models(day_ms)
        utilities = [one.point.utility for one in self.step.subjects]
        new = np.array([is_new(one.birth_ms, day_ms) for one in self.step.kept])
        made, versions = forecast(
            model, self.sound, origin, (end_ms - day_ms) // HOUR_MS,
            track=track, utilities=utilities, new=new,
        )  # fmt: skip
        for row, (one, subject) in enumerate(zip(self.remembered, self.step.subjects, strict=True)):
            rate = made.rate[:, row]
            one.days, one.width = int(track.days[row]), track.width[row].tobytes()
            one.day_ms, one.band = day_ms, rate.tobytes()
            one.source, one.model = made.source[row], versions[row]
            if np.isfinite(rate[2]).any():
                self.found.commit.bands.append(
                    Band(subject.series, day_ms, day_ms, made.source[row], versions[row], rate)
                )

    def _scan(
        self, scan: anomalies.State, day_ms: int, from_ms: int, until_ms: int
    ) -> anomalies.State:
        first, last = self._index(from_ms), self._index(until_ms)
        day = self._index(day_ms)
        length = len(self.remembered[0].band) // 40  # five numbers of eight bytes an hour
        middle = np.full((self.hours.streams, last - first), np.nan)
        if length:
            band = states.bands(self.remembered, day_ms, length)
            said = band[2][:, first - day : last - day]
            middle[:, : said.shape[1]] = said  # a day of 24.5 hours has one that no band knows
        try:
            scan, alarms = anomalies.scan(scan, self.hours.hours(first, last), middle)
        except (ImportError, OSError) as error:  # without LightGBM bands go on
            _say_once(f"Anomalies are not looked for: {error}")
            return scan
        for alarm in alarms:
            subject = self.step.subjects[alarm.stream]
            kind = subject.kind_of(alarm.kind)
            self.found.events.append(
                InsightEvent(
                    id=event_key(subject.series, kind, alarm.start_ms),
                    series=subject.series,
                    kind=kind,
                    start_ms=alarm.start_ms,
                    end_ms=alarm.end_ms,
                    open=alarm.open,
                    found_ms=alarm.at_ms,
                    amount=alarm.amount,
                    confidence=alarm.confidence,
                    evidence=dict(alarm.evidence) | {"score": alarm.score},
                    model=self.remembered[alarm.stream].model,
                )
            )
        return scan


def _waste(
    step: Step,
    hours: Hours,
    remembered: list[Remembered],
    packed: dict[int, bytes],
    set_hours: Sequence[Sequence[Opening]],
    found: Found,
) -> None:
    """Find wasted hours, of the streams of which it is known what they need."""
    rows = [row for row, series in enumerate(step.series) if series in packed]
    if not rows:
        return
    reference = states.references([packed[step.subjects[row].series] for row in rows])
    if (feeds_in := reference.feeds_in).any():  # no need, so no waste
        for place in np.flatnonzero(feeds_in).tolist():
            one, series = remembered[rows[place]], step.subjects[rows[place]].series
            over = ended(series, one.waste, float(reference.scale[place]))
            found.events += [replace(one, model=_version(reference)) for one in over]
            one.waste = []
        rows = [row for row, one in zip(rows, feeds_in, strict=True) if not one]
        reference = reference.take(~feeds_in)
    if not rows:
        return
    first = (step.from_ms - hours.first_ms) // HOUR_MS
    last = (step.until_ms - hours.first_ms) // HOUR_MS
    near = hours.hours(first - LOOKBACK_H, last).only(np.array(rows))
    try:
        mine = [set_hours[row] for row in rows]
        rate, kind = waste(reference, near, first=LOOKBACK_H, set_hours=mine)
    except (ImportError, OSError) as error:  # without LightGBM everything but waste goes on
        _say_once(f"Waste is not looked for: {error}")
        return
    need, ranges = reference.expected(near), reference.weather_range
    new = slice(LOOKBACK_H, None)
    when = (near.start_ms[new], near.day[new], near.hour_of_day[new])
    for place, row in enumerate(rows):
        series = step.subjects[row].series
        own = (rate[place, new], need[place, new], kind[place, new])
        if not step.subjects[row].conditions:
            own = of_water(own)
        runs, events = go_on(
            series, remembered[row].waste, when, own, float(reference.scale[place]),
            weather_range=float(ranges[place]),
        )  # fmt: skip
        remembered[row].waste = runs
        found.events += [replace(one, model=_version(reference)) for one in events]
        found.commit.waste += _rows(series, when, own)


@cache
def _say_once(reason: str) -> None:
    logger.warning("insights.incomplete", reason=reason)


def _version(reference: Reference) -> str:
    return reference.version.partition(":")[0]


def _rows(
    series: int, when: tuple[Ints, Ints, Ints], waste: tuple[Floats, Floats, Ints]
) -> list[WasteRow]:
    """Return the wasted hours by local day, each with what was needed in it.

    The need of hours without waste is left out: live, they are not looked at with those that waste.
    """
    start_ms, day, _ = when
    rate, need, kind = waste
    if not (kind >= 0).any():
        return []
    need = np.where(kind >= 0, need, np.nan)
    cuts = [0, *(np.flatnonzero(np.diff(day)) + 1).tolist(), len(day)]
    return [
        WasteRow(series, int(start_ms[a]), rate[a:b], kind[a:b], need[a:b])
        for a, b in pairwise(cuts)
        if (kind[a:b] >= 0).any()
    ]
