"""What the items of Compare come to: day by day, per something, in money, against other days."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
from starlette.requests import Request

from kilowatch.dashboard.behind import shares_of
from kilowatch.dashboard.chart_period import Span
from kilowatch.dashboard.compare_levels import Levels, difference, levels, means_of
from kilowatch.dashboard.compare_read import WITH_PAST, Asked, Item
from kilowatch.dashboard.compare_sums import (
    Change,
    Days,
    Grain,
    Per,
    Priced,
    bucketed,
    change,
    days_of,
    degrees_by_day,
    laid,
    priced,
    quotient,
)
from kilowatch.dashboard.hourly import by_point, hourly
from kilowatch.dashboard.rooms import Rooms, rooms_of
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import Floats
from kilowatch.model.calendar import bucket_edges_ms
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone
from kilowatch.pipeline.tree_eras import DatedFeeding, counted_of

CLOCKS_AT_ONCE = 2
"""Looks into the store side by side for one page: there are three for everybody."""


@dataclass(frozen=True, slots=True)
class Quotient:
    """An amount per something.

    Attributes:
        value: How much; None where that is not known.
        unit: Of what it is divided by; "" for nothing.
        without: Why it is not known; "" where it is.
        divisors: What each day is divided by, on both sides; None where it is always the same.
        divided: What was divided [unit]: the amount of the days of which both are known.
        by: What it was divided by [``unit``].
        source: Where that is from, in words.
    """

    value: float | None
    unit: str = ""
    without: str = ""
    divisors: tuple[Floats, Floats] | None = None
    divided: float | None = None
    by: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What an item comes to.

    Attributes:
        item: Which.
        days: Day by day.
        other: The days beside; None where nothing is compared.
        per: Its amount per what was asked for.
        money: What it costs.
        carbon: What it emits.
        change: Against the days beside; None where nothing is compared.
    """

    item: Item
    days: Days
    other: Days | None
    per: Quotient
    money: Priced
    carbon: Priced
    change: Change | None


def rows_of(request: Request, asked: Asked) -> list[Row]:
    """Read every item."""
    rooms = rooms_of(request)
    assert asked.span is not None
    if asked.level:
        return [_level_row(rooms, asked, item) for item in asked.items]
    own, *rest = days_by_key(
        rooms, asked.items, [asked.span, *([asked.other] if asked.other else [])]
    )
    other = rest[0] if rest else None
    facts = rooms.registry.facts()
    found = []
    for item in asked.items:
        site = facts.get(item.site_id)
        days, beside = own[item.key], other[item.key] if other else None
        per = _per(rooms, asked, item, site, days)
        changed = None if beside is None else change(days, beside, per.divisors)
        if changed is not None and per.without in ("thermometer", "divisor"):
            changed = replace(changed, share=None)
        found.append(
            Row(
                item, days, beside, per,
                priced(days, site, asked.utility, asked.unit, "money"),
                priced(days, site, asked.utility, asked.unit, "co2"),
                changed,
            )
        )  # fmt: skip
    return found


def _level_row(rooms: Rooms, asked: Asked, item: Item) -> Row:
    """Read an item whose mean is compared: nothing is paid for it."""
    assert asked.span is not None
    (point,), now_ms = item.points, rooms.clock()
    days = levels(rooms.view, point, asked.word, asked.span, now_ms)
    other = levels(rooms.view, point, asked.word, asked.other, now_ms) if asked.other else None
    changed = None if other is None else difference(days, other)
    nothing = Priced(None, "", 0.0)
    return Row(item, days, other, Quotient(days.total), nothing, nothing, changed)


def days_by_key(
    rooms: Rooms, items: Sequence[Item], spans: Sequence[Span]
) -> list[dict[str, Days]]:
    """Read the days of items in some spans, all data points of one clock together.

    Clocks side by side: the store is waited for, and has as many connections for pages.
    """
    zones = list(dict.fromkeys(one.zone for one in items))
    by_zone = [[one for one in items if one.zone == zone] for zone in zones]
    if len(zones) > 1:
        with ThreadPoolExecutor(CLOCKS_AT_ONCE, "compare") as pool:
            parts = list(pool.map(partial(_days_of_clock, rooms, spans), zones, by_zone))
    else:
        parts = [_days_of_clock(rooms, spans, *one) for one in zip(zones, by_zone, strict=True)]
    return [dict(ChainMap(*of_span)) for of_span in zip(*parts, strict=True)]


def _days_of_clock(
    rooms: Rooms, spans: Sequence[Span], zone: str, items: Sequence[Item]
) -> list[dict[str, Days]]:
    """Read the days of items that have one clock."""
    found = [
        {one.key: _alone(rooms, one.points[0], span) for one in items if one.points[0].formula}
        for span in spans
    ]
    here = [one for one in items if not one.points[0].formula]
    if not here:
        return found
    every = {p.id: p for one in here for p in one.points}
    points = list(every.values())
    fed: DatedFeeding = [(0, rooms.registry.fed_by(points))]
    if len(points) <= WITH_PAST:
        fed = rooms.registry.fed_over_time(points)
    # What another one of an item always feeds is in that one's figure: it is not read.
    needed = {
        point.id
        for one in here
        for mine in ({p.id for p in one.points},)
        for point in one.points
        if any(by.get(point.id) not in mine for _, by in fed)
    }
    chosen = [every[n] for n in sorted(needed)]
    trees = rooms.view.trees(chosen, fed, [one.ms(zone) for one in spans], "day")
    for days, tree in zip(found, trees, strict=True):
        for one in here:
            own = [p.id for p in one.points if p.id in needed and p.id not in tree.too_coarse]
            days[one.key] = days_of(tree, own, rooms.clock())
    return found


def _alone(rooms: Rooms, formula: DataPoint, days: Span) -> Days:
    """Read the days of a formula, which stands in no tree; none where its intervals are longer."""
    edges = bucket_edges_ms(*days.ms(formula.zone), "day", Zone.of(formula.zone))
    rows = rooms.view.series(formula, [VALUE], int(edges[0]), int(edges[-1]), "day")
    found = laid(rows.take(np.isfinite(rows.amount)), edges, rooms.clock())
    rows = found.rows
    parts = {formula.id: float(rows.amount.sum())} if len(rows) else {formula.id: 0.0}
    return Days(
        found.start_ms, found.column(rows.amount), found.complete, found.passed, parts,
        shares_of(rows), found.hours,
    )  # fmt: skip


def _per(rooms: Rooms, asked: Asked, item: Item, facts: SiteFacts | None, days: Days) -> Quotient:
    if asked.per == "total":
        return Quotient(days.total)
    if asked.per == "area":
        area, total = facts.area_m2 if facts else None, days.total
        if not area:
            return Quotient(None, "m2", "area")
        return Quotient(
            None if total is None else total / area, "m2", divided=total, by=area,
            source=t("why.by_area"),
        )  # fmt: skip
    assert asked.span is not None
    spans = (asked.span, asked.other or asked.span)
    if asked.per == "production":
        return _per_piece(rooms, asked.divisors.get(item.site_id), item, days, spans)
    thermometer = _thermometer(rooms, facts)
    if facts is None or thermometer is None:
        return Quotient(None, "K·d", "thermometer")
    own, other = (_degrees(rooms, thermometer, facts, asked.per, one) for one in spans)
    base = facts.heating_base_c if asked.per == "heating" else facts.cooling_base_c
    source = t("why.by_degrees", name=thermometer.name, base=f"{base:g}")
    return _quotient(days, "K·d", "degrees", (own, other), source)


def _per_piece(
    rooms: Rooms, point: DataPoint | None, item: Item, days: Days, spans: tuple[Span, Span]
) -> Quotient:
    if point is None:
        return Quotient(None, without="divisor")
    counted = counted_of(point)
    assert counted is not None
    lone = Item("", "", item.site_id, item.zone, (point,))
    own, other = (days[""].amount for days in days_by_key(rooms, [lone], spans))
    return _quotient(days, counted[1], "divided", (own, other), point.name)


def _quotient(
    days: Days, unit: str, without: str, divisors: tuple[Floats, Floats], source: str
) -> Quotient:
    found = quotient(days, divisors[0])
    if found is None:
        return Quotient(None, unit, without, divisors)
    value, divided, by = found
    return Quotient(value, unit, "", divisors, divided, by, source)


def _thermometer(rooms: Rooms, facts: SiteFacts | None) -> DataPoint | None:
    if facts is None or facts.temperature_point is None:
        return None
    return rooms.registry.directory().by_id(facts.temperature_point)


def _degrees(
    rooms: Rooms, thermometer: DataPoint, facts: SiteFacts, per: Per, days: Span
) -> Floats:
    from_ms, to_ms = days.ms(thermometer.zone)
    hours = by_point(hourly(rooms.view, [thermometer], from_ms, to_ms), thermometer)
    laid = hours.on_grid(from_ms, (to_ms - from_ms) // HOUR_MS)
    found = degrees_by_day(laid, from_ms, Zone.of(thermometer.zone), facts, per, days.days)
    return np.asarray(found)


def series_of(row: Row, first: date, grain: Grain, area: float | None) -> dict[str, Any]:
    """Return an item's days, weeks or months, per square metre where it has an area."""
    if isinstance(row.days, Levels):
        _, means, complete = means_of(row.days, first, grain)
        return {"value": means, "complete": complete}
    _, sums, complete = bucketed(row.days, first, grain)
    values = [None if one is None else one / (area or 1.0) for one in sums]
    return {"value": values, "complete": complete}


def bucket_names(first: date, days: int, grain: Grain) -> tuple[list[str], list[str]]:
    """Return the first and the last day of each bucket of a period."""
    whole = np.zeros(days)
    names, _, _ = bucketed(Days(whole.astype(np.int64), whole, whole, whole), first, grain)
    lasts = [one - timedelta(1) for one in names[1:]] + [first + timedelta(days - 1)]
    return [one.isoformat() for one in names], [one.isoformat() for one in lasts]
