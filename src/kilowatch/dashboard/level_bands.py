"""A stack as an answer has it: a channel and figures for each band, and for the total.

``level_answer.py`` documents the shape. So the site that is shown and the one beside it are told
in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from starlette.requests import Request

from kilowatch.dashboard.behind import sources_told
from kilowatch.dashboard.drawn import iso_starts, nullable
from kilowatch.dashboard.figures import figures
from kilowatch.dashboard.level import Place
from kilowatch.dashboard.level_total import Totals, Whole, rows_of_band
from kilowatch.dashboard.pricing import CARBON_UNIT, Rates, Worth, rates
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.calendar import Grain
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.units import rate_unit
from kilowatch.pipeline.tree_bands import Band, Stack, stack_of
from kilowatch.pipeline.tree_rollups import TreeRollUp

BANDS_MAX = 8
"""More colours than these nobody tells apart; the smaller ones are one band together."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the tree for a period of a place.

    Attributes:
        totals: Measurements.
        whole: What is broken down.
        facts: Prices and factors of its site; None where it has none.
        span: The period as instants [ms].
        grain: How finely it is cut.
    """

    totals: Totals
    whole: Whole
    facts: SiteFacts | None
    span: tuple[int, int]
    grain: Grain

    def stack(self, grain: Grain | None = None) -> tuple[Stack, Ints, TreeRollUp]:
        """Return the bands, their edges [ms], and the sums that they are made of."""
        whole, place = self.whole, self.whole.place
        tree = self.totals.tree(whole.points, place.fed_by, *self.span, grain or self.grain)
        return stack_of(tree, whole.points, whole.kind, place.tops), tree.edges_ms, tree

    def priced(self, stack: Stack, edges: Ints, worth: Worth) -> tuple[Stack, str, dict[str, Any]]:
        """Return bands in money or CO2; buckets in which a price begins are added up from days."""
        over_time = rates(self.facts, *self.whole.kind, worth)
        number = over_time.at(edges[:-1])
        if (number != over_time.at(edges[1:] - 1)).any():
            daily, days, _ = self.stack("day")
            into = np.searchsorted(edges, days[:-1], side="right") - 1
            of_day = over_time.per_unit()[over_time.at(days[:-1])]
            made = _each(stack, daily, lambda some: _summed(some * of_day, into, len(edges) - 1))
            told = _told(daily.total, over_time, over_time.at(days[:-1]))
        else:
            factor = over_time.per_unit()[number]
            made = _each(stack, stack, lambda some: some * factor)
            told = _told(stack.total, over_time, number)
        currency = self.facts.currency if self.facts is not None else ""
        return made, over_time.unit or (CARBON_UNIT if worth == "co2" else currency), told


@dataclass(frozen=True, slots=True)
class Bands:
    """A stack, told.

    Attributes:
        bands: Those that are drawn, with their rows.
        channels: A channel for each of them.
        total: That of the total.
        statistics: Figures of each band, and of the total, which is the last.
        unit: What they are counted in.
        told: Share with a price, and the prices, as ``worth`` of an answer.
    """

    bands: Sequence[Band]
    channels: list[dict[str, Any]]
    total: dict[str, Any]
    statistics: list[dict[str, Any]]
    unit: str
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Now:
    """Until when there can be data.

    Attributes:
        now_ms: What time it is [ms].
        elapsed: How much of the period can have data [ms].
        until_ms: The end of that [ms].
    """

    now_ms: int
    elapsed: int
    until_ms: int


def bands_of(
    request: Request,
    asker: Asker,
    read: tuple[Stack, Ints, TreeRollUp],
    worth: Worth,
    now: Now,
) -> Bands:
    """Return what an answer says of a stack, counted in what was asked for.

    Args:
        request: Says what the person may open.
        asker: Asks for the same days once more, where prices begin within a bucket.
        read: What ``asker.stack()`` returned.
        worth: Energy, money or CO2.
        now: Until when there can be data.
    """
    stack, edges, tree = read
    place, proxy, unit = asker.whole.place, asker.whole.proxy, asker.whole.kind[1]
    priced: dict[str, Any] = {"share": None, "basis": []}
    parts = _parts(stack, tree, unit)
    if worth != "energy":
        stack, unit, priced = asker.priced(stack, edges, worth)
    blocks = [(one, rows_of_band(one, edges, now.now_ms)) for one in _few(stack.bands)]
    total = Band(proxy, stack.total, stack.unallocated, stack.completeness, stack.shares)
    channels = [
        _channel(number, one, rows, place, unit) for number, (one, rows) in enumerate(blocks)
    ]

    def told_of(band: Band, rows: IntervalBlock, named: Mapping[str, Any]) -> dict[str, Any]:
        whole = named["channel"] == "total"
        some = [one.id for one in stack.mains] if whole else _behind(band)
        return {
            "points": sources_told(request, [place.points[one] for one in some]),
            "parts": parts.get((0 if whole else band.point.id, band.remainder), []),
            "channel": named["channel"], "parameter_title": named["title"], "phase_title": "",
            "href": named["href"], "measure": "amount", "unit": unit,
            "rate_unit": rate_unit(unit),
            **asdict(figures(rows, "amount", now.elapsed, now.until_ms)),
        }  # fmt: skip

    rows = rows_of_band(total, edges, now.now_ms)
    named = {"channel": "total", "title": t("site.total"), "href": ""}
    told = [told_of(band, some, channel)
            for (band, some), channel in zip(blocks, channels, strict=True)]  # fmt: skip
    return Bands(
        [band for band, _ in blocks], channels, _channel(-1, total, rows, place, unit) | named,
        [*told, told_of(total, rows, named)], unit, priced,
    )  # fmt: skip


def total_rows_of(
    proxy: DataPoint, stack: Stack, edges: Ints, now_ms: int, channel: int = 0
) -> IntervalBlock:
    """Return the total of a stack as rows.

    Args:
        proxy: What stands for the place.
        stack: Its bands.
        edges: Of the buckets, shape (k + 1,) [ms].
        now_ms: What is later has not passed [ms].
        channel: What the rows are called.
    """
    total = Band(proxy, stack.total, stack.unallocated, stack.completeness, stack.shares)
    return rows_of_band(total, edges, now_ms, channel)


def _each(stack: Stack, source: Stack, change: Callable[[Floats], Floats]) -> Stack:
    by_key = {(one.point.id, one.remainder): one for one in source.bands}
    bands = []
    for band in stack.bands:
        one = by_key[band.point.id, band.remainder]
        bands.append(replace(band, amount=change(one.amount), unallocated=change(one.unallocated)))
    return replace(
        stack, bands=bands, total=change(source.total), unallocated=change(source.unallocated)
    )


def _summed(values: Floats, into: Ints, size: int) -> Floats:
    known = np.isfinite(values) & (into >= 0)
    sums = np.bincount(into[known], weights=values[known], minlength=size)
    counts = np.bincount(into[known], minlength=size)
    return np.where(counts > 0, sums, np.nan)


def _told(total: Floats, over_time: Rates, number: Ints) -> dict[str, Any]:
    amount = np.nan_to_num(total)
    known = np.isfinite(over_time.per_unit()[number])
    whole = float(amount.sum())
    used = [over_time.basis[one] for one in np.unique(number[known & (amount != 0)]).tolist()]
    return {
        "share": float(amount[known].sum()) / whole if whole else None,
        "basis": [
            {"text": str(one), "from_ms": one.from_ms,
             "from_day": one.from_day.isoformat() if one.from_day else None,
             "whole_organisation": one.whole_organisation}
            for one in used if one is not None
        ],
    }  # fmt: skip


def _behind(band: Band) -> list[int]:
    """Return the data points that a band is made of: of a remainder, the main and what is below."""
    return [*([band.point.id] if band.point.id else []), *band.below]


def _parts(stack: Stack, tree: TreeRollUp, unit: str) -> dict[tuple[int, bool], list[Any]]:
    """Return what figures add up to, as energy: mains to the total, a main less what is below it.

    By the band's data point and whether it is a remainder; the total is 0.
    """
    found: dict[tuple[int, bool], list[Any]] = {}
    for band in stack.bands:
        if band.remainder:
            rest, main = float(np.nansum(band.amount)), tree.mains[band.point.id]
            own = float(np.nansum(main.own.amount[np.isfinite(band.amount)]))
            found[band.point.id, True] = [
                {"name": band.point.name, "value": own, "unit": unit},
                {"name": t("why.less_below", n=len(band.below)), "value": rest - own, "unit": unit},
            ]
    if len(stack.mains) > 1:
        found[0, False] = [
            {"name": one.name, "unit": unit, "value": _main_sum(one, tree)} for one in stack.mains
        ]
    return found


def _main_sum(point: DataPoint, tree: TreeRollUp) -> float:
    """Return what a data point counted while nobody fed it."""
    root = np.zeros(len(tree.edges_ms) - 1, np.bool_)
    for era in tree.eras:
        if era.parents.get(point.id) is None:
            root |= era.buckets
    return float(np.nansum(tree.points[point.id].amount[root]))


def _few(bands: Sequence[Band]) -> list[Band]:
    """Return the largest submeters, the others as one, then what no submeter saw."""
    children = sorted(
        (one for one in bands if not one.remainder),
        key=lambda one: -float(np.nansum(one.amount)),
    )
    shown, others = children[:BANDS_MAX], children[BANDS_MAX:]
    if len(others) == 1:
        shown, others = children, []
    if others:
        amounts = np.array([one.amount for one in others])
        known = ~np.isnan(amounts)
        together = np.where(known.any(axis=0), np.nansum(amounts, axis=0), np.nan)
        nobody = replace(others[0].point, id=0, name=t("site.others", n=len(others)))
        unallocated = np.sum([one.unallocated for one in others], axis=0)
        complete = np.mean([one.completeness for one in others], axis=0)
        shares = np.mean([one.shares for one in others], axis=0)
        below = tuple(one.point.id for one in others)
        shown.append(Band(nobody, together, unallocated, complete, shares, below=below))
    return shown + [one for one in bands if one.remainder]


def _channel(
    number: int, band: Band, rows: IntervalBlock, place: Place, unit: str
) -> dict[str, Any]:
    others = band.point.id == 0
    title = t("site.remainder", name=band.point.name) if band.remainder else band.point.name
    return {
        "channel": f"b{number}", "parameter": "total", "title": title,
        "band": "remainder" if band.remainder else "others" if others else "child",
        "href": "" if others or band.remainder else place.href(band), "opens": band.opens,
        "phase": 0, "phase_title": "", "measure": "amount", "unit": unit,
        "start": iso_starts(rows.start_ms, place.site.zone),
        "start_ms": rows.start_ms.tolist(), "duration_ms": rows.duration_ms.tolist(),
        "count": rows.count.tolist(), "amount": nullable(rows.amount),
        "mean": nullable(rows.mean), "low": nullable(rows.low), "high": nullable(rows.high),
        "unallocated": nullable(rows.unallocated), "covered_ms": rows.covered_ms.tolist(),
        "quality": rows.quality.tolist(),
    }  # fmt: skip
