"""What a load profile says: typical days with their spread, the duration curve, the peak days.

Arrays in, plain values out. Demand is the mean over the site's demand period; a period of which
less than nine tenths was measured is not known, and no figure rests on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np

from kilowatch.dashboard.heat_cells import DAY_MIN, Cells
from kilowatch.insights.hours import Hours
from kilowatch.insights.load_shape import load_shape
from kilowatch.model.blocks import Floats
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone

Kind = Literal["weekday", "saturday", "sunday", "holiday"]
KINDS: tuple[Kind, ...] = ("weekday", "saturday", "sunday", "holiday")
RANKS = (10, 25, 50, 75, 90)
"""Percentiles of a typical day: the middle, the half around it, and four fifths of the days."""
PEAK_DAYS = 10
CURVE_POINTS = 400
CURVE_WHOLE = 40
"""Of the highest periods each is a point of the curve: a peak is not thinned away."""
DAY_KNOWN = 0.9
"""Share of a day that must be known for its sum to count."""
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class TypicalDay:
    """A kind of day.

    Attributes:
        kind: Which.
        days: How many days it rests on.
        spread: ``RANKS`` of each time of day over those days, shape (5, bins) [unit]; NaN where
            no day is known.
        amount: Mean of what a whole day uses [unit times h]; None without a whole day.
    """

    kind: Kind
    days: int
    spread: Floats
    amount: float | None


@dataclass(frozen=True, slots=True)
class PeakDay:
    """A day and its highest demand.

    Attributes:
        day: Local day.
        kind: Which kind of day.
        demand: Mean over the demand period [unit].
        start_ms: When it began, the first time where it came more than once [ms].
    """

    day: date
    kind: Kind
    demand: float
    start_ms: int


@dataclass(frozen=True, slots=True)
class Figures:
    """How a load runs in a period; None where not known.

    Attributes:
        mean: Mean demand [unit].
        peak: Highest demand [unit].
        peak_ms: When it began [ms].
        load_factor: Mean over peak.
        near_base: 2.5th percentile of the hours [unit].
        near_peak: 97.5th percentile of the hours [unit].
        high_h: Hours a day above the middle between the two [h].
        complete: Share of the elapsed period that is known, 0 to 1.
    """

    mean: float | None
    peak: float | None
    peak_ms: int | None
    load_factor: float | None
    near_base: float | None
    near_peak: float | None
    high_h: float | None
    complete: float


def kind_of(day: date, facts: SiteFacts | None) -> Kind:
    """Return what kind of day it is by the site's calendar; holidays and closed days first."""
    if facts is not None and facts.closed(day):
        return "holiday"
    return "saturday" if day.weekday() == 5 else "sunday" if day.weekday() == 6 else "weekday"


def typical_days(cells: Cells, bin_min: int, facts: SiteFacts | None) -> list[TypicalDay]:
    """Return the typical day of each kind that occurs, by the wall clock.

    Args:
        cells: Demand of consecutive periods of ``bin_min``. On the day on which an hour comes
            twice, its mean is that day's value; where it does not come the day has none.
        bin_min: Length of a period [min].
        facts: The site's calendar.
    """
    first = int(cells.day[0])
    days = int(cells.day[-1]) - first + 1
    size = DAY_MIN // bin_min
    column = np.clip(cells.wall // bin_min, 0, size - 1)
    place = (cells.day - first) * size + column
    known = np.isfinite(cells.value)
    sums = np.bincount(place[known], cells.value[known], days * size)
    counts = np.bincount(place[known], minlength=days * size)
    with np.errstate(invalid="ignore", divide="ignore"):
        laid = (sums / counts).reshape(days, size)
    hours = (cells.end_ms - cells.start_ms) / HOUR_MS
    amounts = np.bincount(cells.day[known] - first, cells.value[known] * hours[known], days)
    length = np.bincount(cells.day - first, hours, days)
    covered = np.bincount(cells.day[known] - first, hours[known], days)
    whole = covered >= DAY_KNOWN * np.maximum(length, 1)
    kinds = [kind_of(EPOCH + timedelta(first + number), facts) for number in range(days)]
    found = []
    for kind in KINDS:
        mine = np.array([one == kind for one in kinds])
        seen = mine & (covered > 0)
        if not seen.any():
            continue
        sure = mine & whole
        total = float((amounts[sure] * length[sure] / covered[sure]).mean()) if sure.any() else None
        found.append(TypicalDay(kind, int(seen.sum()), _spread(laid[seen]), total))
    return found


def _spread(laid: Floats) -> Floats:
    """Return ``RANKS`` over the days, shape (5, bins), without a warning where there are none."""
    ordered = np.sort(laid, axis=0)
    known = np.isfinite(laid).sum(axis=0)
    found = np.full((len(RANKS), laid.shape[1]), np.nan)
    columns = np.flatnonzero(known)
    for row, rank in enumerate(RANKS):
        place = rank / 100 * (known[columns] - 1)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, known[columns] - 1)
        share = place - low
        found[row, columns] = (1 - share) * ordered[low, columns] + share * ordered[high, columns]
    return found


def duration_curve(cells: Cells) -> tuple[list[float], list[float]]:
    """Return the load duration curve: for how many hours demand was at least so much.

    Returns:
        Hours, rising, and the demand of each step [h, unit]; of more than 400 steps the highest
        40 each by itself, then every so many-th: each is a demand that was really there.
    """
    known = np.flatnonzero(np.isfinite(cells.value))
    order = known[np.argsort(-cells.value[known], kind="stable")]
    hours = np.cumsum((cells.end_ms - cells.start_ms)[order]) / HOUR_MS
    count = len(order)
    if count > CURVE_POINTS:
        rest = np.linspace(CURVE_WHOLE, count - 1, CURVE_POINTS - CURVE_WHOLE)
        chosen = np.unique(
            np.concatenate([np.arange(CURVE_WHOLE), np.round(rest)]).astype(np.int64)
        )
    else:
        chosen = np.arange(count)
    return hours[chosen].tolist(), cells.value[order][chosen].tolist()


def peak_days(cells: Cells, facts: SiteFacts | None) -> list[PeakDay]:
    """Return the days with the highest demand, the highest first."""
    known = np.flatnonzero(np.isfinite(cells.value))
    order = known[np.lexsort((cells.start_ms[known], -cells.value[known]))]
    _, first = np.unique(cells.day[order], return_index=True)
    found = []
    for row in order[np.sort(first)][:PEAK_DAYS].tolist():
        day = EPOCH + timedelta(int(cells.day[row]))
        found.append(
            PeakDay(day, kind_of(day, facts), float(cells.value[row]), int(cells.start_ms[row]))
        )
    return found


def figures_of(cells: Cells, hourly: Sequence[float] | Floats, zone: Zone, elapsed: int) -> Figures:
    """Return the figures of a period.

    Args:
        cells: Demand of consecutive periods.
        hourly: Mean of each hour, NaN where not known.
        zone: The site's clock.
        elapsed: How much of the period can have data [ms].
    """
    known = np.flatnonzero(np.isfinite(cells.value))
    lengths = cells.end_ms - cells.start_ms
    covered = float((cells.covered * lengths).sum())
    complete = min(1.0, covered / elapsed) if elapsed else 0.0
    if not len(known):
        return Figures(None, None, None, None, None, None, None, complete)
    mean = float(np.average(cells.value[known], weights=lengths[known]))
    top = int(known[np.argmax(cells.value[known])])
    peak = float(cells.value[top])
    values = np.asarray(hourly, np.float64)[None, :]
    shape = load_shape(
        Hours(int(cells.start_ms[0]), values, zone, np.zeros(values.shape, np.bool_))
    )
    return Figures(
        mean,
        peak,
        int(cells.start_ms[top]),
        mean / peak if peak > 0 else None,
        _known(shape.near_base),
        _known(shape.near_peak),
        _known(shape.high_h),
        complete,
    )


def _known(values: Floats) -> float | None:
    return float(values[0]) if np.isfinite(values[0]) else None
