"""Hours as the pages of insights draw them: what was used, what was expected, in columns.

Analysis stands on hours, and so do its pictures: finer intervals are summed up, and of a data
point whose intervals are longer there is nothing to draw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kilowatch.dashboard.figures import elapsed_ms
from kilowatch.dashboard.needs import View
from kilowatch.insights.hours import COVERED_MIN
from kilowatch.model.blocks import SHARED, Floats, Ints, Quality
from kilowatch.model.calendar import grain_end_ms
from kilowatch.model.insight import Expected
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.units import rate_unit
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.subjects import has_hours as point_has_hours
from kilowatch.pipeline.insight.subjects import subject_of
from kilowatch.pipeline.tree_eras import counted_of

EXACT = 22
"""Powers of ten up to this one are exact in double precision."""
DIGITS = 9
"""Enough to tell any two numbers of single precision apart."""


@dataclass(frozen=True, slots=True)
class Hourly:
    """Hours of one data point that are known, sorted.

    Attributes:
        start_ms: Starts, shape (n,) [ms since 1970, UTC].
        rate: Means, shape (n,) [W, m³/h, …].
        covered_ms: How much of each is known, shape (n,) [ms].
        shares: Of that, what each of ``blocks.SHARED`` has, shape (n, 4), 0 to 1.
        counted_ms: Starts of all hours in which something was counted, shape (m,) [ms].
        counted: What was counted in them, and across the gaps that end there, shape (m,) [Wh, m³].
    """

    start_ms: Ints
    rate: Floats
    covered_ms: Floats = field(default_factory=lambda: np.empty(0))
    shares: Floats = field(default_factory=lambda: np.empty((0, len(SHARED))))
    counted_ms: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    counted: Floats = field(default_factory=lambda: np.empty(0))

    def total(self, from_ms: int, to_ms: int) -> float | None:
        """Return what was counted in the hours that begin in a stretch; None for nothing.

        Not the sum of the means: an hour of which three quarters are known would count whole.
        """
        some = (self.counted_ms >= from_ms) & (self.counted_ms < to_ms)
        return float(self.counted[some].sum()) if some.any() else None

    def within(self, from_ms: int, to_ms: int) -> Hourly:
        """Return the hours that begin in a stretch [ms]."""
        some = (self.start_ms >= from_ms) & (self.start_ms < to_ms)
        counted = (self.counted_ms >= from_ms) & (self.counted_ms < to_ms)
        return Hourly(
            self.start_ms[some], self.rate[some], self.covered_ms[some], self.shares[some],
            self.counted_ms[counted], self.counted[counted],
        )  # fmt: skip

    def on_grid(self, from_ms: int, count: int) -> Floats:
        """Return the means on a grid of hours, shape (count,); NaN where nothing is known."""
        laid = np.full(count, np.nan)
        index = (self.start_ms - from_ms) // HOUR_MS
        inside = (index >= 0) & (index < count)
        laid[index[inside]] = self.rate[inside]
        return laid


NO_HOURS = Hourly(np.empty(0, np.int64), np.empty(0))


def unit_of_rate(point: DataPoint) -> str:
    """Return the unit of a data point's hourly means; its own for a gauge."""
    counted = counted_of(point)
    return rate_unit(counted[1]) if counted else point.unit_of_value.canonical


def unit_of_amount(point: DataPoint) -> str:
    """Return the unit of what a data point counts; empty for a gauge."""
    counted = counted_of(point)
    return counted[1] if counted else ""


def like_of_gas(point: DataPoint, unit: str) -> float | None:
    """Return what has cubic metres of gas told as such, never in litres; None for all else."""
    return 1.0 if point.utility == "gas" and unit in ("m3", "m3/h") else None


def has_hours(point: DataPoint) -> bool:
    """Tell whether a data point has packets often enough for hours: only then it is looked at."""
    return point_has_hours(point)


def hourly(view: View, points: Sequence[DataPoint], from_ms: int, to_ms: int) -> dict[int, Hourly]:
    """Return the known hours of data points, by series.

    Raises:
        KilowatchError: 503 from the store.
    """
    subjects = {p.series: one for p in points if (one := subject_of(p)) is not None}
    if not subjects or to_ms <= from_ms:
        return {}
    channels = sorted({one.channel for one in subjects.values()})
    some = [one.point for one in subjects.values()]
    rows = view.series_many(some, channels, from_ms, to_ms, "hour")
    found = {}
    for series, one in subjects.items():
        own = rows.take((rows.series == series) & (rows.channel == one.channel))
        whole = np.nan_to_num(own.amount) + np.nan_to_num(own.unallocated)
        there = np.isfinite(own.amount) | (whole != 0)
        counted = own.start_ms[there], whole[there]
        own = own.take((own.covered_ms > 0) & (own.covered_ms >= COVERED_MIN * own.duration_ms))
        rate = own.amount * HOUR_MS / own.covered_ms if one.is_amount else own.mean
        known = np.isfinite(rate)
        covered = own.covered_ms[known].astype(np.float64)
        shares = own.shares()[known] / covered[:, None]
        found[series] = Hourly(own.start_ms[known], rate[known], covered, shares, *counted)
    return found


def actual_columns(
    view: View, point: DataPoint, hours: Hourly, span: tuple[int, int], now_ms: int
) -> dict[str, Any]:
    """Return known hours as the browser wants them, and what of them is not simply measured.

    Args:
        view: Knows from when to when there is data.
        point: Whose hours.
        hours: The known ones.
        span: From when to when they are drawn [ms since 1970, UTC].
        now_ms: What time it is [ms since 1970, UTC].

    Returns:
        ``start`` and ``value``; ``missing``: stretches of hours that could be known and are not,
        ``[from, to]`` each, as Breakdown hatches them; ``doubt`` and ``why``: starts of the hours
        of which a part was estimated, set by a person or is questionable, and which of them.
    """
    return {
        "start": hours.start_ms.tolist(),
        "value": nullable(hours.rate),
        "missing": missing_of(view, point, hours.start_ms, span, now_ms)
        if has_hours(point)
        else [],
        **_doubted(hours),
    }


def missing_of(
    view: View,
    point: DataPoint,
    known_ms: Ints,
    span: tuple[int, int],
    now_ms: int,
    step_ms: int = HOUR_MS,
) -> list[list[int]]:
    """Return stretches without data since the first and up to now; of a late one up to now.

    Args:
        view: Knows from when to when there is data.
        point: Whose.
        known_ms: Starts of the hours or intervals that are known [ms since 1970, UTC].
        span: From when to when is drawn [ms since 1970, UTC].
        now_ms: What time it is [ms since 1970, UTC].
        step_ms: How long an hour or interval is [ms].

    Returns:
        From and to of each, rising [ms since 1970, UTC].
    """
    extent = view.extent(point)
    if extent is None:
        return []
    if step_ms == HOUR_MS:  # of the local clock, which can be at half past in UTC
        first_ms = int(grain_end_ms([extent.first_ms - 1], "hour", Zone.of(point.zone))[0])
    else:
        first_ms = -(-extent.first_ms // step_ms) * step_ms
    from_ms = max(span[0], first_ms)
    until_ms = from_ms + elapsed_ms(from_ms, span[1], now_ms, extent.last_ms, point.gap_ms)
    lost = np.ones(max(0, (until_ms - from_ms) // step_ms), np.bool_)
    index = (known_ms - from_ms) // step_ms
    lost[index[(index >= 0) & (index < len(lost))]] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8)))
    return (from_ms + edges.reshape(-1, 2) * step_ms).tolist()


DOUBTS: Mapping[str, Quality] = {
    "questionable": Quality.QUESTIONABLE, "estimated": Quality.ESTIMATED, "edited": Quality.EDITED,
}  # fmt: skip
"""What is drawn dotted, as in Breakdown: the first that an hour has a part of is its word."""


def _doubted(hours: Hourly) -> dict[str, Any]:
    """Return the hours of which a part is not simply measured, and the worst of it."""
    columns = {word: SHARED.tolist().index(one) for word, one in DOUBTS.items()}
    if not len(hours.shares):
        return {"doubt": [], "why": []}
    there = np.stack([hours.shares[:, one] > 0 for one in columns.values()])
    rows = np.flatnonzero(there.any(axis=0))
    words = list(columns)
    return {
        "doubt": hours.start_ms[rows].tolist(),
        "why": [words[one] for one in there[:, rows].argmax(axis=0).tolist()],
    }


def band_columns(expected: Expected, digits: int = DIGITS) -> dict[str, Any] | None:
    """Return expected hours as the browser wants them; None where there are none."""
    if not len(expected.start_ms):
        return None
    low, quarter, middle, upper, high = (nullable(in_short(row, digits)) for row in expected.rate)
    return {
        "start": expected.start_ms.tolist(),
        "low": low,
        "q25": quarter,
        "mid": middle,
        "q75": upper,
        "high": high,
    }


def in_short(values: Floats, digits: int = DIGITS) -> Floats:
    """Return numbers with so many significant digits; as many as bands are kept with if not said.

    As they came, a quarter of what Sentinel loads first was digits of no number.

    Example:
        >>> in_short(np.array([np.float32(1234.567), 0.0, np.nan])).tolist()
        [1234.56702, 0.0, nan]
    """
    known = np.isfinite(values) & (values != 0)
    size = np.floor(np.log10(np.abs(np.where(known, values, 1.0)))).astype(np.int64)
    places = digits - 1 - size
    known &= np.abs(places) <= EXACT
    places = np.clip(places, -EXACT, EXACT)
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
    return np.where(known, np.rint(values * up / down) / up * down, values)


def nullable(values: Floats) -> list[float | None]:
    """Return numbers for JSON: null where nothing is known."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def both_known(
    actual: Hourly, expected: Expected, from_ms: int, to_ms: int
) -> tuple[float, float, float]:
    """Return what was used and what was expected over the hours of which both are known.

    Returns:
        Used [Wh or m³], expected (sum of medians), and the hours that both rest on.
    """
    count = max(0, (to_ms - from_ms) // HOUR_MS)
    used = actual.on_grid(from_ms, count)
    wanted = Hourly(expected.start_ms, expected.rate[2]).on_grid(from_ms, count)
    known = np.isfinite(used) & np.isfinite(wanted)
    return float(used[known].sum()), float(wanted[known].sum()), float(known.sum())


def by_point(found: Mapping[int, Hourly], point: DataPoint) -> Hourly:
    """Return a data point's hours; none where nothing is known."""
    return found.get(point.series, NO_HOURS)
