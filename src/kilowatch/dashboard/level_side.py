"""What lies beside a site's or a meter's stack: peak demand, and the other side of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from starlette.requests import Request

from kilowatch.catalog.rights import may
from kilowatch.dashboard.alignment import Asked, Shift
from kilowatch.dashboard.answer import Priced, Sources
from kilowatch.dashboard.comparing import Compared, compared, compared_columns, drawn_at
from kilowatch.dashboard.demand import Period, levels_of
from kilowatch.dashboard.demand_beside import demand_beside
from kilowatch.dashboard.drawn import Chosen, read
from kilowatch.dashboard.level import Place, place_at
from kilowatch.dashboard.level_bands import Asker, Now, bands_of
from kilowatch.dashboard.level_total import Totals, Whole
from kilowatch.dashboard.offered import parameters_of
from kilowatch.dashboard.periods import Window, local_day, midnight_ms
from kilowatch.dashboard.pricing import Rates, Worth
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Grain as Bucket
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.tree_bands import Band, stack_of

DEMAND_ROWS_MAX = 250_000
"""Intervals that are read for peak demand: two years of one main of 5 minutes, a week of a hundred.
More would keep a page waiting, and the page says to choose a shorter period."""
TOTAL = "total"
"""Name of the channel of a total."""


@dataclass(frozen=True, slots=True)
class Side:
    """Asks for what belongs to a total.

    Attributes:
        sources: What it is read from: totals and data points.
        totals: The totals among them.
        whole: The total.
        fine: The same in the intervals of its mains: of them peak demand is made.
        frame: The period shown.
        until_ms: Until when there can be data by now [ms].
        worth: What is counted in.
    """

    sources: Sources
    totals: Totals
    whole: Whole
    fine: Whole
    frame: Window
    until_ms: int
    worth: Worth

    @property
    def chosen(self) -> Chosen:
        """The total as a data point's chosen parameter."""
        code = self.whole.code
        every = parameters_of(self.whole.proxy, [code])
        amount = next(one for one in every if one.measure == "amount")
        drawn = [(replace(amount, unit=self.whole.kind[1]), code)]
        amount = drawn[0][0]
        return Chosen([amount], drawn, drawn, apart=False)

    @property
    def too_much(self) -> bool:
        """Whether the mains have more intervals in the period than peak demand is read from."""
        return _too_much(self.whole, (self.frame.from_ms, self.until_ms))

    def demand(self, rows: IntervalBlock) -> dict[str, Any] | None:
        """Return the figures of demand, as ``demand.demand_of`` does; None where it is too much.

        Args:
            rows: The total at the granularity that is shown.
        """
        if self.too_much:
            return None
        proxy, frame = self.fine.proxy, self.frame
        length_s = self.sources.demand_s(proxy)
        period = Period(self.sources.view, proxy, frame, self.until_ms, length_s)
        drawn = self.chosen.drawn
        levels = [code for code in levels_of(proxy, drawn) if code != self.whole.code]
        span = frame.from_ms, frame.to_ms
        known = {self.whole.code: rows, **read(self.sources.view, proxy, levels, span, frame.asked)}
        return self.sources.demands.of(period, drawn, known)

    def beside(self, other: DataPoint, asked: Asked) -> dict[str, Any]:
        """Return the other side of a comparison, as ``answer.py`` documents it."""
        proxy, own = self.whole.proxy, self.chosen
        found = compared(
            self.sources.view, proxy, other, asked, self.frame, own, self.until_ms
        )  # fmt: skip
        columns = compared_columns(Priced.of(self.sources, proxy, self.worth).beside(found))
        for part in (*columns["channels"], *columns["statistics"]):
            if part["beside"] is not None:
                part["beside"] = TOTAL
        columns["demand"] = self._demand(found)
        return columns

    def _demand(self, found: Compared) -> dict[str, Any] | None:
        """Return the figures of demand of the other side; None where it is too much."""
        theirs = self.totals.whole_of(found.point)
        if theirs is not None:
            if _too_much(theirs, (found.span[0], found.until_ms)):
                return None
            fine = self.totals.add(theirs.place, theirs.kind, fine=True)
            found = replace(found, point=fine.proxy)
        length_s = self.sources.demand_s(found.point)
        return demand_beside(
            self.sources.view, self.sources.demands, found, found.drawn, self.frame, length_s
        )


def _too_much(whole: Whole, span: tuple[int, int]) -> bool:
    """Say whether the mains of a total have more intervals in a stretch than are read."""
    mains = whole.mains(*span) if span[1] > span[0] else []
    passed_s = max(0, span[1] - span[0]) / 1000
    return sum(passed_s / one.interval_s for one in mains or [whole.proxy]) > DEMAND_ROWS_MAX


def other_bands(
    request: Request,
    sources: Sources,
    theirs: Whole,
    beside: Mapping[str, Any],
    zone: str,
    grain: Bucket,
    worth: Worth,
) -> dict[str, Any]:
    """Return the stack of another site, for the days and until when its total is compared.

    Args:
        request: Says what the person may open.
        sources: Prices and factors, and what time it is.
        theirs: The other site's total.
        beside: The other side, as ``answer.py`` documents it.
        zone: The clock of the axis.
        grain: How finely the stack that is shown is cut.
        worth: What is counted in.

    Returns:
        ``channels`` (those of the total that lies beside, then a channel for each band),
        ``statistics`` with the bands' behind them, ``total``, ``bands``, ``unit`` and ``worth``.
    """
    window = beside["window"]
    span = window["from_ms"], window["to_ms"]
    totals = cast("Totals", sources.view)
    if isinstance(grain, int):
        grain = max(grain, theirs.proxy.interval_s)
    asker = Asker(totals, theirs, sources.facts(theirs.place.site.id), span, grain)
    until_ms = min(window["until_ms"] or span[1], sources.now_ms)
    now = Now(sources.now_ms, max(0, until_ms - span[0]), until_ms)
    found = bands_of(request, asker, asker.stack(), worth, now)
    clocks = Zone.of(theirs.place.site.zone), Zone.of(zone)
    channels = [_moved(one, *clocks) for one in (*found.channels, found.total)]
    return {
        "channels": [*beside["channels"], *channels[:-1]],
        "statistics": [*beside["statistics"], *(one | {"beside": None}
                                                for one in found.statistics[:-1])],
        "total": channels[-1],
        "bands": found.statistics,
        "unit": found.unit,
        "worth": {"shown": worth, "available": True, **found.told},
    }  # fmt: skip


def _moved(channel: dict[str, Any], theirs: Zone, mine: Zone) -> dict[str, Any]:
    """Return a channel of another site, drawn where the clock of the axis shows the same time."""
    at, long = (np.array(channel[key], np.int64) for key in ("start_ms", "duration_ms"))
    drawn = at if theirs == mine else drawn_at(at, long, Shift(), theirs, mine)
    return channel | {
        "own_start_ms": channel["start_ms"], "start_ms": drawn.tolist(), "beside": None,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Before:
    """What the bands of a stack were on the other side of a comparison with another time.

    Attributes:
        amounts: By data point and whether it is a remainder [unit of the stack]; None where
            nothing is known.
        complete: How much of the time is known, 0 to 1, by the same.
    """

    amounts: Mapping[tuple[int, bool], float | None]
    complete: Mapping[tuple[int, bool], float]

    def change(self, band: Band, total: float | None) -> dict[str, Any] | None:
        """Return what a band's figure is compared with, as ``comparing.changes`` writes it."""
        keys = [(band.point.id, band.remainder)]
        if not band.point.id:  # several small ones together
            keys = [(number, False) for number in band.below]
        known = [value for key in keys if (value := self.amounts.get(key)) is not None]
        if not known or total is None:
            return None
        then = sum(known)
        return {
            "of": "total",
            "value": then,
            "difference": total - then,
            "share": (total - then) / abs(then) if then else None,
            "complete": sum(self.complete.get(key, 0.0) for key in keys) / len(keys),
        }


def before(
    whole: Whole, totals: Totals, window: Mapping[str, Any], over_time: Rates | None
) -> Before:
    """Read the bands of the other days, whole days and the intervals of one that is cut.

    Args:
        whole: The total that is broken down.
        totals: Measurements.
        window: The other side's, as ``answer.py`` documents it.
        over_time: Prices or factors; None for the amounts themselves.
    """
    from_ms, to_ms = window["from_ms"], window["until_ms"] or window["to_ms"]
    cut_ms = max(from_ms, midnight_ms(local_day(to_ms, whole.proxy.zone), whole.proxy.zone))
    length_ms = whole.proxy.interval_s * 1000
    to_ms = cut_ms + (to_ms - cut_ms) // length_ms * length_ms
    stretches: list[tuple[int, int, Bucket]] = [
        (from_ms, cut_ms, "day"), (cut_ms, to_ms, whole.proxy.interval_s),
    ]  # fmt: skip
    amounts: dict[tuple[int, bool], float | None] = {}
    known: dict[tuple[int, bool], float] = {}
    for begin, end, bucket in stretches:
        if end <= begin:
            continue
        tree = totals.tree(whole.points, whole.place.fed_by, begin, end, bucket)
        spans = np.diff(tree.edges_ms)
        factor = np.ones(len(spans))
        if over_time is not None:
            factor = over_time.per_unit()[over_time.at(tree.edges_ms[:-1])]
        for band in stack_of(tree, whole.points, whole.kind, whole.place.tops).bands:
            key = (band.point.id, band.remainder)
            worth = band.amount * factor
            there = np.isfinite(worth)
            had = amounts.get(key)
            amounts[key] = (had or 0.0) + float(worth[there].sum()) if there.any() else had
            known[key] = known.get(key, 0.0) + float((band.completeness * spans).sum())
    return Before(
        amounts, {key: min(1.0, part / max(1, to_ms - from_ms)) for key, part in known.items()}
    )


def other_side(request: Request, totals: Totals, whole: Whole, asked: Asked | None) -> DataPoint:
    """Return what a total is compared with: itself, a data point, or the total of another site.

    Raises:
        KilowatchError: 404 for what is not there, is not the person's to see, or counts nothing of
            the same utility.
    """
    if asked is None or asked.kind != "point":
        return whole.proxy
    rooms, who = rooms_of(request), visit_of(request).person
    if asked.point_id is not None:
        point = rooms.registry.point(who, asked.point_id)
        if point is not None:
            return point
    for organisation in rooms.registry.tree(who):
        for site in organisation.sites:
            mine = may(who, "read", organisation_id=organisation.id, site_id=site.id)
            if site.id != asked.site_id or not mine:
                continue
            place: Place = place_at(rooms, organisation, site)
            if whole.kind in place.kinds():
                return totals.add(place, whole.kind).proxy
    raise KilowatchError(
        "not_found",
        "What is to be compared with is not there, or it is not yours to see.",
        status=404,
        remedy="Choose another one.",
    )
