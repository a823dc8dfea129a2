"""Breakdown of a site or of a meter: a total, stacked by what is right below, and the rest.

The data endpoint answers what ``answer.py`` documents, so that the same page draws it, with a
channel for each band, and the ``total`` apart: ``channel``, ``title``, ``band`` (``child``,
``others``, ``remainder``) and ``href``, where a click leads. Figures name the data points behind
them (``points``), and what they add up to (``parts``). ``utilities`` are those to choose from
(``utility`` in the address); ``notes`` name what is in no band: ``too_coarse``, ``without_amount``,
``negative`` buckets, and say ``demand_too_long``. ``compare`` may be another site (``s3``) too; it
lies beside the total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
from starlette.requests import Request

from kilowatch.dashboard.alignment import Asked, asked_of, window_beside
from kilowatch.dashboard.answer import Sources, window_columns
from kilowatch.dashboard.behind import sources_told
from kilowatch.dashboard.comparing import beside_span, changes
from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.drawn import iso_starts, nullable, rate_unit, refuse_more_than
from kilowatch.dashboard.figures import elapsed_ms, figures
from kilowatch.dashboard.level import Place, asked_kind
from kilowatch.dashboard.level_side import Side, before, other_side
from kilowatch.dashboard.level_total import Totals, rows_of_band
from kilowatch.dashboard.needs import View
from kilowatch.dashboard.periods import Window, local_day
from kilowatch.dashboard.pricing import CANONICAL, CARBON_UNIT, Rates, Worth, asked_worth, rates
from kilowatch.dashboard.recomputed import share_done
from kilowatch.dashboard.rooms import Rooms, rooms_of
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.calendar import Grain
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_bands import Band, Stack, stack_of
from kilowatch.pipeline.tree_rollups import TreeRollUp

BANDS_MAX = 8
"""More colours than these nobody tells apart; the smaller ones are one band together."""


def site_answer(request: Request, place: Place) -> dict[str, Any]:
    """Break a place down for the days that an address asks for. Blocks on the store.

    Raises:
        KilowatchError: 400 for a query that cannot be read, 404 for what it is compared with and
            is not there, 503 ``store_busy``.
    """
    rooms, query = rooms_of(request), request.query_params
    now_ms = rooms.clock()
    kind = asked_kind(place, query.get("utility", ""))
    totals = Totals(rooms.view, now_ms)
    whole_place = totals.add(place, kind)
    proxy, points = whole_place.proxy, whole_place.points
    versus, worth = (
        asked_of(query.get("compare", ""), sites=True),
        asked_worth(query.get("worth", "")),
    )
    other = other_side(request, totals, whole_place, versus)
    extent = totals.extent(proxy)
    today = local_day(now_ms, place.site.zone)
    last_ms = extent.last_ms if extent else None
    anchor = min(today, local_day(last_ms, proxy.zone)) if last_ms else today
    frame = window_beside(query, proxy, other, anchor)
    grain = _grain(frame, proxy, rooms.settings.rows_max)
    _expect(totals, versus, frame, proxy, grain)
    asker = _Asker(rooms, totals, place, points, kind, frame, grain)
    stack, edges, tree = asker.stack()
    unit = kind[1]
    told: dict[str, Any] = {"share": None, "basis": []}
    parts = _parts(stack, tree, kind[1])
    elapsed = elapsed_ms(frame.from_ms, frame.to_ms, now_ms, last_ms, proxy.gap_ms)
    until_ms = frame.from_ms + elapsed
    sources = Sources(
        cast("View", totals), rooms.settings, now_ms,
        facts=lambda site: rooms.registry.facts().get(site), demands=rooms.demands,
    )  # fmt: skip
    fine = totals.add(place, kind, fine=True)
    side = Side(sources, whole_place, fine, frame, until_ms, worth)
    demand = side.demand(_total(proxy, stack, edges, now_ms, whole_place.code)) if extent else None
    beside = side.beside(other, versus) if versus and extent else None
    if worth != "energy":
        stack, unit, told = asker.priced(stack, edges, worth)
    blocks = [(one, rows_of_band(one, edges, now_ms)) for one in _few(stack.bands)]
    total = Band(proxy, stack.total, stack.unallocated, stack.completeness, stack.shares)
    channels = [
        _channel(number, one, rows, place, unit) for number, (one, rows) in enumerate(blocks)
    ]
    parameter = {
        "name": "total", "title": t(f"utility.{kind[0]}"), "group": "", "unit": unit,
        "measure": "amount", "summable": False, "phases": 0,
    }  # fmt: skip

    def told_of(band: Band, rows: IntervalBlock, channel: Mapping[str, Any]) -> dict[str, Any]:
        named, whole = channel, channel["channel"] == "total"
        some = [one.id for one in stack.mains] if whole else _behind(band)
        return {
            "points": sources_told(request, [place.points[one] for one in some]),
            "parts": parts.get((0 if whole else band.point.id, band.remainder), []),
            "channel": named["channel"], "parameter_title": named["title"], "phase_title": "",
            "href": named["href"], "measure": "amount", "unit": unit,
            "rate_unit": rate_unit(unit), **asdict(figures(rows, "amount", elapsed, until_ms)),
        }  # fmt: skip

    total_rows = _total(proxy, stack, edges, now_ms)
    named = {"channel": "total", "title": t("site.total"), "href": ""}
    whole = told_of(total, total_rows, named)
    found: dict[str, Any] = {
        "point": {
            "id": place.site.id, "name": place.name, "zone": place.site.zone, "utility": kind[0],
            "interval_s": proxy.interval_s,
        },
        "state": _state(query, frame, kind, worth, versus),
        "window": window_columns(frame, proxy, now_ms, extent.first_ms if extent else None),
        "extent": {
            "first_ms": extent.first_ms, "last_ms": extent.last_ms, "packets": 2,
            "first_day": local_day(extent.first_ms, proxy.zone).isoformat(),
            "last_day": local_day(extent.last_ms, proxy.zone).isoformat(),
        } if extent else None,
        "sources": whole["points"],
        "utilities": [
            {"word": "-".join(one), "text": t(f"utility.{one[0]}"), "unit": one[1]}
            for one in place.kinds()
        ],
        "parameters": [],
        "parameters_shown": [parameter],
        "channels": channels,
        "total": _channel(-1, total, total_rows, place, unit) | named,
        "statistics": [told_of(band, rows, channel) for (band, rows), channel in
                       zip(blocks, channels, strict=True)] + [whole],
        "summary": [whole],
        "demand": demand,
        "compare": beside,
        "worth": {"shown": worth, "available": kind[1] in CANONICAL, **told},
        "status": _status(rooms, points, now_ms),
        "notes": _notes(place, stack, tree, edges) | {"demand_too_long": side.too_much},
    }  # fmt: skip
    if beside is not None:
        changes(found["statistics"], beside["statistics"])
        changes(found["summary"], beside["summary"])
    if beside is not None and versus is not None and versus.kind != "point":
        facts = rooms.registry.facts().get(place.site.id)
        over_time = rates(facts, *kind, worth) if worth != "energy" else None
        then = before(whole_place, totals, beside["window"], over_time)
        for (band, _), entry in zip(blocks, found["statistics"], strict=False):
            entry["change"] = then.change(band, entry["total"])
    return found


def _grain(frame: Window, proxy: DataPoint, rows_max: int) -> Grain:
    """Return the buckets of the stack: none finer than what is measured, nor too many.

    Raises:
        KilowatchError: 400 ``too_many_rows``.
    """
    asked = frame.asked
    if asked != "interval" and not isinstance(asked, int):
        return asked
    length_s = proxy.interval_s if asked == "interval" else max(asked, proxy.interval_s)
    refuse_more_than(rows_max, (frame.to_ms - frame.from_ms) // (length_s * 1000))
    return length_s


def _expect(
    totals: Totals, versus: Asked | None, frame: Window, proxy: DataPoint, grain: Grain
) -> None:
    """Say which other days will be read too."""
    if versus is not None and versus.kind != "point":
        totals.expect([(frame.from_ms, frame.to_ms), beside_span(versus, frame, proxy)[2]], grain)


def _total(
    proxy: DataPoint, stack: Stack, edges: Ints, now_ms: int, channel: int = 0
) -> IntervalBlock:
    """Return the total of a stack as rows."""
    total = Band(proxy, stack.total, stack.unallocated, stack.completeness, stack.shares)
    return rows_of_band(total, edges, now_ms, channel)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Asks the tree for a period."""

    rooms: Rooms
    totals: Totals
    place: Place
    points: Sequence[DataPoint]
    kind: tuple[str, str]
    frame: Window
    grain: Grain

    def stack(self, grain: Grain | None = None) -> tuple[Stack, Ints, TreeRollUp]:
        tree = self.totals.tree(
            self.points, self.place.fed_by, self.frame.from_ms, self.frame.to_ms,
            grain or self.grain,
        )  # fmt: skip
        found = stack_of(tree, self.points, self.kind, self.place.tops)
        return found, tree.edges_ms, tree

    def priced(self, stack: Stack, edges: Ints, worth: Worth) -> tuple[Stack, str, dict[str, Any]]:
        """Return bands in money or CO2; buckets in which a price begins are added up from days."""
        facts = self.rooms.registry.facts().get(self.place.site.id)
        over_time = rates(facts, *self.kind, worth)
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
        currency = facts.currency if facts is not None else ""
        return made, over_time.unit or (CARBON_UNIT if worth == "co2" else currency), told


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


def _state(
    query: Mapping[str, str],
    frame: Window,
    kind: tuple[str, str],
    worth: str,
    versus: Asked | None,
) -> dict[str, str]:
    return {
        "period": frame.period, "date": frame.first.isoformat(),
        "until": frame.last.isoformat() if frame.period == "custom" else "",
        "grain": frame.grain, "utility": "-".join(kind) if query.get("utility") else "",
        "compare": versus.word if versus else "", "worth": "" if worth == "energy" else worth,
    }  # fmt: skip


def _status(rooms: Rooms, points: Sequence[DataPoint], now_ms: int) -> dict[str, Any]:
    late = Judge(rooms.view, rooms.settings, now_ms).late(list(points))
    return {"late": False, "came_ms": None, "lags": False, "join_ms": 0,
            "recomputing": share_done(rooms.view, points), "late_points": late}  # fmt: skip


def _notes(place: Place, stack: Stack, tree: TreeRollUp, edges: Ints) -> dict[str, Any]:
    below = sum(int(np.count_nonzero(one.amount < -1e-6)) for one in stack.bands if one.remainder)
    return {
        "negative": below,
        "too_coarse": sorted(place.points[one].name for one in tree.too_coarse
                             if one in place.points)[:10],
        "buckets": len(edges) - 1,
    }  # fmt: skip
