"""What the platform finds out about use: expected values, events and what a person says of them.

Amounts are in the data point's canonical unit: Wh for energy, m³ for volumes; rates are W or m³/h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import DAY_MS


class EventKind(StrEnum):
    """What happened; stored, never renamed."""

    SPIKE = "spike"
    DROPOUT = "dropout"
    STUCK = "stuck"
    LEVEL_SHIFT = "level_shift"
    NIGHT_LOAD = "night_load"
    MISSED_SHUTDOWN = "missed_shutdown"
    DRIFT = "drift"
    CLOCK_SHIFT = "clock_shift"
    PHASE_LOSS = "phase_loss"
    NEGATIVE = "negative"
    VOLTAGE = "voltage"
    UNBALANCE = "unbalance"
    POWER_FACTOR = "power_factor"
    PHASE_SUM = "phase_sum"
    AFTER_HOURS = "after_hours"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    EARLY_START = "early_start"
    BASELOAD_CREEP = "baseload_creep"
    OVER_CONDITIONING = "over_conditioning"


WASTE_KINDS = frozenset(
    {
        EventKind.AFTER_HOURS,
        EventKind.WEEKEND,
        EventKind.HOLIDAY,
        EventKind.EARLY_START,
        EventKind.BASELOAD_CREEP,
        EventKind.OVER_CONDITIONING,
    }
)
"""Kinds of waste; the others are anomalies and electrical faults."""


UNCOUNTED = frozenset({EventKind.NEGATIVE})
"""Kinds whose amount a meter made up: a register that was set back saved nobody anything."""


class Verdict(StrEnum):
    """What a person said of an event; stored, never renamed."""

    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    EXPECTED = "expected"
    FAULT = "fault"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class InsightEvent:
    """One thing that happened to one data point, from when to when, and what it rests on.

    Attributes:
        id: Stable name: the same history gives the same one when it is computed again.
        series: Key of the data stream it was seen at.
        kind: What happened.
        start_ms: First hour that it covers [ms since 1970, UTC].
        end_ms: End of the last hour that it covers so far [ms since 1970, UTC].
        open: Whether it was still going on when it was last looked at.
        found_ms: When it was known, in the time of the data [ms since 1970, UTC].
        amount: More (+) or less (−) than was expected, summed up [Wh or m³]; NaN where
            the kind has none, as with voltage.
        confidence: How sure we are, 0 to 1.
        evidence: The numbers that its sentence and its picture are made of.
        model: Version of the model that expected otherwise; "" where none was asked.
        others: Data streams on which the same cause was seen: phases, submeters, the supply.
    """

    id: str
    series: int
    kind: EventKind
    start_ms: int
    end_ms: int
    open: bool
    found_ms: int
    amount: float
    confidence: float
    evidence: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    others: tuple[int, ...] = ()

    @property
    def size(self) -> float:
        """What it comes to as people are told [Wh or m³]; NaN where it is no use of energy."""
        return float("nan") if self.kind in UNCOUNTED else self.amount

    @property
    def is_waste(self) -> bool:
        """Whether it is energy that need not have been used."""
        return self.kind in WASTE_KINDS

    def rested(self, seen_ms: int | None) -> InsightEvent:
        """Return waste that has paused for a day as over so far: nobody calls that going on.

        More of it can follow within days, and is then of the same event.

        Args:
            seen_ms: When its data point said something last [ms since 1970, UTC]; None if unknown.
        """
        paused = seen_ms is not None and seen_ms - self.end_ms >= DAY_MS
        return replace(self, open=False) if self.open and self.is_waste and paused else self


class EventBrief(NamedTuple):
    """What an event is ranked by, as people see it.

    Attributes:
        id: ``InsightEvent.id``.
        series: Key of the data stream it was seen at.
        start_ms: First hour that it covers [ms since 1970, UTC].
        amount: ``InsightEvent.size`` [Wh or m³].
    """

    id: str
    series: int
    start_ms: int
    amount: float


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The band that is expected: what is under each line with that probability."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What was expected of a stream, hour by hour, before each hour began.

    Attributes:
        start_ms: Start of each hour, shape (hours,) [ms since 1970, UTC].
        made_ms: When it was known, in the time of the data, shape (hours,) [ms since 1970, UTC].
        rate: The band, shape (5, hours): ``QUANTILES`` by hours [W or m³/h].
        source: ``global``, ``own``, ``shipped`` or ``prior``, shape (hours,): which model said so.
    """

    start_ms: Ints
    made_ms: Ints
    rate: Floats
    source: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """A sum over a time that is not over: what was measured of it plus what is expected.

    Attributes:
        period: ``day``, ``week`` or ``month``.
        end_ms: When it is over [ms since 1970, UTC].
        so_far: What was counted, across gaps too [Wh or m³].
        amount: Whole sum at 5, 50 and 95 %, shape (3,) [Wh or m³].
        peak: Highest mean over the site's demand period at 5, 50 and 95 %, shape (3,)
            [W or m³/h].
        days_ms: Starts of its local days, shape (days,) [ms since 1970, UTC]; none where nobody
            has to know which day takes what.
        daily: What of the middle sum each of them takes, shape (days,) [Wh or m³].
        missing_h: Hours that have passed of which nothing is known, nor counted later [h].
    """

    period: str
    end_ms: int
    so_far: float
    amount: Floats
    peak: Floats
    days_ms: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    daily: Floats = field(default_factory=lambda: np.empty(0))
    missing_h: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is coming: the next 48 hours and the sums at the end of day, week and month.

    Attributes:
        made_ms: When it was made, in the time of the data [ms since 1970, UTC].
        model: Version of the model.
        hours: The next 48 hours.
        ends: Sums by the end of day, week and month.
        error: Mean absolute error of the day-ahead forecasts of the last 28 days, over that of
            the same hour a week before; NaN before there are 7 days to compare.
        coverage: Share of those hours inside the 90 % band; NaN likewise.
    """

    made_ms: int
    model: str
    hours: Expected
    ends: tuple[Ahead, ...]
    error: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Needed:
    """What a stream needed, hour by hour; hours of which nobody knows are left out.

    Attributes:
        start_ms: Start of the hour, rising, shape (n,) [ms since 1970, UTC].
        rate: What was learnt to be needed at that time and temperature, shape (n,) [W or m³/h].
    """

    start_ms: Ints
    rate: Floats


@dataclass(frozen=True, slots=True)
class WasteHours:
    """Waste of some streams, hour by hour; hours without any are left out.

    Attributes:
        series: Key of the data stream, shape (n,).
        start_ms: Start of the hour, shape (n,) [ms since 1970, UTC].
        amount: Waste in it, shape (n,) [Wh or m³].
        kind: Index into ``list(EventKind)``, shape (n,).
    """

    series: Ints
    start_ms: Ints
    amount: Floats
    kind: Ints

    @staticmethod
    def concatenate(parts: Sequence[WasteHours]) -> WasteHours:
        """Join hours in the order of the parts; at least one."""
        return WasteHours(
            np.concatenate([one.series for one in parts]),
            np.concatenate([one.start_ms for one in parts]),
            np.concatenate([one.amount for one in parts]),
            np.concatenate([one.kind for one in parts]),
        )

    def take(self, rows: npt.NDArray[np.bool_] | Ints) -> WasteHours:
        """Return the hours that a mask or an index selects."""
        return WasteHours(
            self.series[rows], self.start_ms[rows], self.amount[rows], self.kind[rows]
        )


@dataclass(frozen=True, slots=True)
class WasteChanges:
    """Which wasted hours are no longer what they were.

    Attributes:
        revision: Of what is told here; what changes later has a larger one.
        series: Key of the data stream, shape (n,).
        start_ms: First of the hours that changed, those of a day at most, shape (n,)
            [ms since 1970, UTC].
        whole: Streams of which everything has changed, shape (m,).
        everything: Whether anything may have changed: the other fields are empty then.
    """

    revision: int
    series: Ints
    start_ms: Ints
    whole: Ints
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What is always on in a stream, beside what it could be.

    Attributes:
        near_base: 2.5th percentile of unoccupied hours in the last 28 days [W or m³/h].
        best_month: The lowest such of any month of the stream's own [W or m³/h].
        best_month_ms: When that was [ms since 1970, UTC].
        near_peak: 97.5th percentile of the last 28 days [W or m³/h].
        load_factor: Mean over peak of the last 28 days.
    """

    near_base: float
    best_month: float
    best_month_ms: int
    near_peak: float
    load_factor: float
