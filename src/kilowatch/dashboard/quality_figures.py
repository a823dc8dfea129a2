"""Totals of a period with what they rest on: completeness, and the share of each quality.

Completeness is counted from a data point's first packet on: what was before it is not missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.dashboard.figures import elapsed_ms
from kilowatch.dashboard.needs import View
from kilowatch.dashboard.offered import parameters_of
from kilowatch.dashboard.quality_periods import Chosen
from kilowatch.model.blocks import SHARED, IntervalBlock, Quality
from kilowatch.model.parameters import AP, PC, VALUE, Role, channel_name, family_of
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.formula_view import as_seen, channels_behind
from kilowatch.pipeline.rollups import mean_of

NAMES = {
    Quality.DERIVED: "derived",
    Quality.EDITED: "edited",
    Quality.ESTIMATED: "estimated",
    Quality.QUESTIONABLE: "questionable",
}
SHARE_NAMES = tuple(NAMES[Quality(one)] for one in SHARED.tolist())
"""Words of ``blocks.SHARED``, in its order."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What one channel of a data point comes to over a stretch of time.

    Attributes:
        total: Sum of the amounts, unallocated energy included, or the mean of what has none;
            None where nothing is known.
        unallocated: The part of it whose time is not known.
        completeness: Share of the time that can have data which figures rest on, 0 to 1; None
            where there was no time for data.
        shares: Of the covered time, by quality, 0 to 1.
    """

    total: float | None
    unallocated: float
    completeness: float | None
    shares: dict[str, float]

    @property
    def valid(self) -> float:
        """Share of the covered time that is valid."""
        return max(0.0, 1.0 - sum(self.shares.values()))


def headline(channels: Sequence[int]) -> int:
    """Return the channel that stands for a data point: its energy, its power, or its first."""
    return next((one for one in (VALUE, PC, AP) if one in channels), next(iter(channels), VALUE))


def unit_of(point: DataPoint, channel: int) -> str:
    """Return the canonical unit of a channel's figures."""
    family = family_of(channel)
    if family is not None and channel != VALUE:
        return family.unit
    unit = point.unit_of_value
    return unit.amount or unit.canonical if point.behaviour != "gauge" else unit.canonical


def channels_to_choose(view: View, point: DataPoint) -> list[tuple[str, str]]:
    """Return a data point's channels with data, as names and what people call them."""
    codes = view.channels(point)
    titles: dict[int, str] = {}
    for parameter in parameters_of(point, codes):
        for code in parameter.phases:
            titles.setdefault(code, parameter.title)
        if parameter.total is not None:
            titles.setdefault(parameter.total, parameter.title)
    found = []
    for code in codes:
        name = channel_name(code)
        title = titles.get(code, name)
        found.append((name, title if point.kind == "single" else f"{title} ({name})"))
    return found


def is_ratio(channel: int) -> bool:
    """Tell whether a channel follows from others and can't be set."""
    family = family_of(channel)
    return channel != VALUE and family is not None and family.role is Role.RATIO


def summaries(
    view: View, points: Sequence[DataPoint], period: Chosen, now_ms: int
) -> dict[int, Summary]:
    """Return what the headline channel of each data point comes to, by series.

    Args:
        view: Measurements; days that are stored are read, not intervals.
        points: Those of one page.
        period: A year or a month, on each site's own clock.
        now_ms: What time it is [ms since 1970, UTC].
    """
    found: dict[int, Summary] = {}
    by_zone: dict[str, list[DataPoint]] = {}
    for point in points:
        by_zone.setdefault(point.zone, []).append(point)
    for zone, some in by_zone.items():
        from_ms, to_ms = period.bounds_ms(zone)
        codes = {point.series: headline(view.channels(point)) for point in some}
        asked = sorted(set(codes.values()))
        rows = view.to_average(some, asked, from_ms, to_ms, "month")
        for point in some:
            own = channels_behind(codes[point.series])
            mine = rows.take((rows.series == point.series) & np.isin(rows.channel, own))
            elapsed = elapsed_of(view, point, (from_ms, to_ms), now_ms)
            found[point.series] = summary(as_seen(mine, [point]), elapsed, mean_of(mine))
    return found


def elapsed_of(view: View, point: DataPoint, span: tuple[int, int], now_ms: int) -> int:
    """Return how much of a stretch can have data: from the first packet on, and until now [ms]."""
    extent = view.extent(point)
    if extent is None:
        return 0
    first_ms = max(span[0], extent.first_ms)
    return elapsed_ms(first_ms, span[1], now_ms, extent.last_ms, point.gap_ms)


def summary(rows: IntervalBlock, elapsed: int, mean: float | None = None) -> Summary:
    """Sum up the buckets of one channel.

    Args:
        rows: Buckets of one channel.
        elapsed: How much of the time can have data [ms].
        mean: Where the buckets do not tell it (a quotient divides sums).
    """
    covered = int(rows.covered_ms.sum())
    shares = rows.shares().sum(axis=0) / covered if covered else np.zeros(len(SHARED))
    total: float | None = None
    if np.isfinite(rows.amount).any() or np.nan_to_num(rows.unallocated).any():
        total = float(np.nansum(rows.amount) + np.nansum(rows.unallocated))
    elif len(rows):
        mean = mean_of(rows) if mean is None else mean
        total = float(mean) if np.isfinite(mean) else None
    return Summary(
        total,
        float(np.nansum(rows.unallocated)),
        min(covered / elapsed, 1.0) if elapsed else None,
        dict(zip(SHARE_NAMES, shares.tolist(), strict=True)),
    )


def percent(share: float | None) -> str:
    """Return a share for a table; never 100 % or 0 % of what is not quite so.

    Example:
        >>> percent(0.99996), percent(1.0), percent(0.0004), percent(0.853), percent(None)
        ('99.9 %', '100 %', '< 0.1 %', '85.3 %', '–')
    """
    if share is None:
        return "\N{EN DASH}"
    if share >= 1:
        return "100 %"
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{min(share * 100, 99.9):.1f} %" if share else "0 %"
