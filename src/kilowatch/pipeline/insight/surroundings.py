"""What streams live in: closed days and outdoor temperature of their sites, laid beside hours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from kilowatch.insights.hours import COVERED_MIN, Bools, Hours
from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.site_facts import Opening, SiteFacts
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.subjects import Subject, hourly
from kilowatch.pipeline.statistics import DEMAND_PERIOD_S
from kilowatch.pipeline.view import View

FactsNow = Callable[[], Mapping[int, SiteFacts]]
"""Returns the facts of sites by number, as they are now; the same object while nothing changed."""

Faults = Callable[[Sequence[Subject], Hours], Bools]
"""Tells which hours of some streams a person has called faulty, shape (streams, hours)."""

LATE_MS = 6 * HOUR_MS
"""How long a stream's hours wait for the temperature of the same hours, in the time of the data."""
SILENT_MS = 2 * DAY_MS
"""A thermometer that said nothing for longer is dead, and not waited for until it speaks again; one
that delivers once a day is not."""

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a stream counted, hour by hour, as Breakdown has it.

    Attributes:
        amount: Of each hour, and across the gaps that end there, shape (hours,) [Wh or m³].
        missing: Hours of which nothing is known, nor was it counted later, shape (hours,).
    """

    amount: Floats
    missing: Bools


class Surroundings:
    """Looks up what belongs to the hours of some streams.

    Args:
        view: The measurements.
        facts: Facts of sites.
        subject: Returns a stream's subject by the data point's number, or None.
        faults: Which hours somebody has called faulty; None where nobody can.

    Attributes:
        view: The measurements.
    """

    def __init__(
        self,
        view: View,
        facts: FactsNow,
        subject: Callable[[int], Subject | None],
        faults: Faults | None = None,
    ) -> None:
        self.view = view
        self._facts_now = facts
        self._subject = subject
        self._faults = faults
        self._facts: Mapping[int, SiteFacts] = {}
        self._closed: dict[tuple[int, int], bool] = {}

    def refresh(self) -> Mapping[int, SiteFacts]:
        """Take in the facts of now, and return them."""
        facts = self._facts_now()
        if facts is not self._facts:
            self._facts, self._closed = facts, {}
        return facts

    def thermometer(self, site_id: int) -> Subject | None:
        """Return the outdoor temperature of a site; None where none is linked."""
        facts = self._facts.get(site_id)
        if facts is None or facts.temperature_point is None:
            return None
        found = self._subject(facts.temperature_point)
        return None if found is None or found.is_amount else found

    def set_hours(self, subjects: Sequence[Subject]) -> list[tuple[Opening, ...]]:
        """Return the opening hours that people have set at each stream's site, over time."""
        facts = [self._facts.get(one.point.site_id) for one in subjects]
        return [() if one is None else one.openings for one in facts]

    def demand_period_s(self, subject: Subject) -> int:
        """Return over how long peak demand is a mean at a stream's site [s]."""
        facts = self._facts.get(subject.point.site_id)
        return (facts.demand_period_s if facts else None) or DEMAND_PERIOD_S

    def intervals(self, subject: Subject, from_ms: int, to_ms: int) -> IntervalBlock:
        """Return the intervals themselves of a stream, in the order of their starts.

        Raises:
            KilowatchError: 503 from the store.
        """
        rows = self.view.series_many([subject.point], [subject.channel], from_ms, to_ms, "interval")
        rows = rows.take(rows.channel == subject.channel)
        return rows.take(np.argsort(rows.start_ms, kind="stable"))

    def hours(
        self, subjects: Sequence[Subject], zone: Zone, from_ms: int, known_ms: int, until_ms: int
    ) -> Hours:
        """Return hours of streams with what surrounds them.

        Args:
            subjects: The streams.
            zone: The clock that they live by.
            from_ms: Start of the first hour [ms since 1970, UTC].
            known_ms: Values and temperatures from here on are left out [ms since 1970, UTC].
            until_ms: End of the last hour [ms since 1970, UTC].

        Raises:
            KilowatchError: 503 from the store.
        """
        count = (until_ms - from_ms) // HOUR_MS
        known = (known_ms - from_ms) // HOUR_MS
        values = np.full((len(subjects), count), np.nan)
        estimated = np.zeros(values.shape, np.bool_)
        values[:, :known] = hourly(self.view, subjects, from_ms, known_ms, estimated[:, :known])
        closed = self.closed([one.point.site_id for one in subjects], zone, from_ms, count)
        outdoor = self._outdoor(subjects, from_ms, known_ms)
        if outdoor is not None:
            ahead = np.full((len(subjects), count - known), np.nan)
            outdoor = np.concatenate([outdoor, ahead], axis=1)
        made = estimated if estimated.any() else None
        return Hours(from_ms, values, zone, closed, outdoor, made)

    def counted(self, subject: Subject, from_ms: int, to_ms: int) -> Counted:
        """Return what a stream counted in a stretch of hours; of a gauge, its means.

        Raises:
            KilowatchError: 503 from the store.
        """
        count = (to_ms - from_ms) // HOUR_MS
        rows = self.view.series_many([subject.point], [subject.channel], from_ms, to_ms, "hour")
        column = (rows.start_ms - from_ms) // HOUR_MS
        inside = (rows.channel == subject.channel) & (column >= 0) & (column < count)
        rows, column = rows.take(inside), column[inside]
        amount, later, covered = np.zeros(count), np.zeros(count, np.bool_), np.zeros(count)
        later[column] = np.nan_to_num(rows.unallocated) != 0
        own = rows.amount if subject.is_amount else rows.mean
        amount[column] = np.nan_to_num(own) + np.nan_to_num(rows.unallocated)
        covered[column] = rows.covered_ms
        missing = covered < COVERED_MIN * HOUR_MS
        edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
        for first, end in edges.reshape(-1, 2).tolist():  # a register has counted across this gap
            if later[max(end - 1, 0) : end + 1].any():
                missing[first:end] = False
        return Counted(amount, missing)

    def sound(self, subjects: Sequence[Subject], hours: Hours) -> Hours:
        """Return hours to learn from: those that a person has called faulty are unknown."""
        if self._faults is None:
            return hours
        faulty = self._faults(subjects, hours)
        if not faulty.any():
            return hours
        return replace(hours, values=np.where(faulty, np.nan, hours.values))

    def closed(self, sites: Sequence[int], zone: Zone, from_ms: int, count: int) -> Bools:
        """Tell which hours lie on a holiday or closed day of each site, shape (sites, hours)."""
        starts = from_ms + np.arange(count, dtype=np.int64) * HOUR_MS
        days, place = np.unique(zone.local_ms(starts) // DAY_MS, return_inverse=True)
        own = {
            site: np.array([self._is_closed(site, int(day)) for day in days], np.bool_)[place]
            for site in set(sites)
        }
        if not sites:
            return np.empty((0, count), np.bool_)
        return np.stack([own[site] for site in sites])

    def _is_closed(self, site: int, day: int) -> bool:
        found = self._closed.get((site, day))
        if found is None:
            facts = self._facts.get(site)
            found = facts is not None and facts.closed(_EPOCH + timedelta(days=day))
            self._closed[site, day] = found
        return found

    def _outdoor(self, subjects: Sequence[Subject], from_ms: int, until_ms: int) -> Floats | None:
        own = [self.thermometer(one.point.site_id) for one in subjects]
        used = list({one.series: one for one in own if one is not None}.values())
        if not used:
            return None
        read = hourly(self.view, used, from_ms, until_ms)
        row = {one.series: index for index, one in enumerate(used)}
        unknown = np.full(read.shape[1], np.nan)
        return np.stack([unknown if one is None else read[row[one.series]] for one in own])
