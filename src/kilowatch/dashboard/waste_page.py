"""Waste: where and when energy is wasted, what is always on, and when buildings are open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import has_tool, may
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.behind import NAMED, Behind, Part, sources_told
from kilowatch.dashboard.hourly import unit_of_amount, unit_of_rate
from kilowatch.dashboard.insight_period import LENGTHS, Stretch, behind, stretch
from kilowatch.dashboard.insight_rows import shown_events
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.places import in_place, site_names
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.waste_days import Summed
from kilowatch.dashboard.waste_quality import LOOKED_AT, LOOKED_AT_OF_MANY_SITES, quality_of
from kilowatch.dashboard.waste_read import ALL, asked_places, hours_of
from kilowatch.dashboard.waste_sums import (
    Wasted,
    by_series,
    counted_once,
    kind_title,
    priced_share,
    wasted,
)
from kilowatch.dashboard.words import t
from kilowatch.dashboard.worth import Sums, Worth, basis_of, worth
from kilowatch.insights.waste.standing import peers
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import Standing
from kilowatch.model.opening import text_of_week
from kilowatch.model.points import DataPoint

LISTED = 20
EVENTS = 8
COMPARED = 400  # standings that are read for one page: peers of a portfolio
PEERS_MIN = 5
"""Among fewer a place says nothing."""
YEAR_H = 8760
LEVELS = (0.0, 0.15, 0.4, 0.7)
"""Shares of the worst hour of the week above which an hour is one darker."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of a ranking: its name, its sums, and its length in percent of the longest."""

    name: str
    href: str
    sums: Sums
    percent: float


@dataclass(frozen=True, slots=True)
class Always:
    """What is always on at a data point, beside what it could be.

    Attributes:
        point: Which data point.
        site: What its site is called.
        standing: Its figures.
        best_month: When it was lowest, in words.
        excess: Now above the best month, by how much [W or m³/h]; 0 where it is not above.
        year: What that comes to in a year [Wh or m³].
        worth: Of a year.
        peers: Share of the others of its utility that have a lower base for their peak; None
            where there are none to compare.
    """

    point: DataPoint
    site: str
    standing: Standing
    best_month: str
    excess: float
    year: float
    worth: Worth
    peers: float | None

    @property
    def rate_unit(self) -> str:
        """Unit of the loads."""
        return unit_of_rate(self.point)

    @property
    def unit(self) -> str:
        """Unit of the year."""
        return unit_of_amount(self.point)


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour of the week.

    Attributes:
        level: 0 for nothing, 1 to 4 by its share of the worst hour.
        amount: Energy a week [Wh].
        open: Whether the building is open then; None where nothing is known.
    """

    level: int
    amount: float
    open: bool | None


async def waste(request: Request) -> Response:
    """Show what was wasted at a site, in an organisation or everywhere."""
    return await run_in_threadpool(_waste, request)


def _waste(request: Request) -> Response:
    rooms = rooms_of(request)
    asked, everything, places = asked_places(request)
    crumbs = [{"name": t("nav.waste")}]
    points = in_place(everything, asked["place"])
    if rooms.insights is None or not points:
        why = "off" if rooms.insights is None else "none"
        return page(request, "insight_nothing.html", crumbs, {"page": "waste", "why": why})
    days = stretch(asked, rooms.view, points, rooms.clock())
    facts = rooms.registry.facts()
    names = site_names(request)
    site = asked["place"].startswith("s")
    if site:
        hours, expected = hours_of(rooms, points, days)
        once = counted_once(hours, points, rooms.registry.fed_by(points))
        summed = Summed(wasted(once, points, facts), expected, by_series(once))
        worst = _points(points, wasted(hours, points, facts))[:LISTED]
    else:
        summed = rooms.waste_days.of(rooms.insights, rooms.registry, points, days)
        worst = []
    found = summed.found
    spans = [days.ms(zone) for zone in {p.zone for p in points}]
    events = shown_events(
        request,
        points,
        min(s[0] for s in spans),
        max(s[1] for s in spans),
        names,
        costliest_waste=EVENTS,
    )
    expected_of = urlencode({"state": "expected", "days": days.days, "until": days.last})
    week, opening, opening_from = _opening(rooms, points) if site else (None, "", "")
    standing = _standing(rooms, everything, points, names)
    context: dict[str, Any] = {
        "page": "waste",
        "asked": asked,
        "places": places,
        "place_name": dict(places).get(asked["place"], ""),
        "behind": behind(rooms.insights),
        "days": days,
        "lengths": LENGTHS,
        "exports": any(may_export(visit_of(request).person, p) for p in points),
        "query": urlencode({**asked, "days": days.days, "until": days.last.isoformat()}),
        "total": found.total,
        "hours": found.hours,
        "expected": sum(summed.expected.values()),
        "expected_sites": [
            (
                names.get(number, ("", ""))[0],
                hours_there,
                f"/sentinel?place=s{number}&{expected_of}",
            )
            for number, hours_there in sorted(
                summed.expected.items(), key=lambda one: (-one[1], one[0])
            )[:LISTED]
        ],
        "behind_of": _behind(request, points, summed, days, names if not site else None),
        "ends": (day_text(days.first), day_text(days.last)),
        "kinds": _kinds(asked, found),
        "sites": _sites(names, found, days)[:LISTED],
        "points": worst,
        "one_site": site,
        "week": cells_of(found.week / max(1.0, days.days / 7), week),
        "weekdays": [t(f"day.{number}")[:3] for number in range(7)],
        "opening": opening,
        "opening_from": opening_from,
        "events": events,
        "sentinel": _sentinel(asked, "waste"),
        "standing": standing,
        "basis": basis_of(one.worth for one in standing),
        "days_bars": _days(found, days),
        "manages": site and _manages(request, points[0]),
    }
    return page(request, "waste.html", crumbs, context, current=_current(asked["place"]))


def _behind(
    request: Request,
    points: Sequence[DataPoint],
    summed: Summed,
    days: Stretch,
    sites: dict[int, tuple[str, str]] | None,
) -> dict[str, dict[str, Any]]:
    """Return where the three sums come from: by site, or of one site by data point.

    Args:
        request: Behind a door.
        points: The data points that were looked at.
        summed: Their waste, none counted twice.
        days: The days.
        sites: Names by the site's number; None where it is one site.
    """
    of_series = {point.series: point for point in points}
    of_id = {point.id: point for point in points}
    found, wasting = summed.found, summed.by_series
    sources = sources_told(request, [of_series[one] for one in wasting][:NAMED])
    counted = len(wasting)
    sums = found.by_site if sites else found.by_point()
    named = [
        (sites.get(number, ("", ""))[0] if sites else of_id[number].name, one)
        for number, one in sums.items()
    ][:NAMED]
    total = found.total
    zones = ", ".join(sorted({of_series[one].zone for one in wasting}))
    rooms = rooms_of(request)
    largest = [of_series[one] for one in wasting][: LOOKED_AT_OF_MANY_SITES if sites else LOOKED_AT]
    complete, shares = quality_of(rooms.view, largest, days, rooms.clock())
    note = ""
    if len(largest) < counted and shares is not None:
        energy = [(p.series, wasting[p.series]) for one in wasting
                  if unit_of_amount(p := of_series[one]) == "Wh"]  # fmt: skip
        looked, all_of_it = {p.series for p in largest}, sum(amount for _, amount in energy)
        part = sum(amount for series, amount in energy if series in looked)
        note = t("why.looked_at_of", n=f"{len(largest):,}", all=f"{counted:,}")
        if all_of_it:
            share = f"{part / all_of_it:.0%}".replace("%", "\N{NO-BREAK SPACE}%")
            note = f"{note} {t('why.looked_at_share', share=share)}"
    amounts = [
        Part(f"{name}, {utility}" if utility else name, value, unit)
        for name, one in named
        for value, unit, utility in one.told()
    ]
    money = [Part(name, v, unit) for name, one in named for unit, v in one.money.items()]
    carbon = [Part(name, one.carbon_kg, "kg") for name, one in named if one.carbon_kg is not None]
    whole = Behind(
        t("why_of.waste"),
        sources,
        f"{days.name}, {zones}",
        t("why.wasted_hours", n=f"{found.hours:,}", points=counted),
        complete,
        shares,
        parts=amounts,
        notes=[(t("why.looked_at"), note)],
    )
    told = {
        "total": whole,
        "money": replace(
            whole,
            parts=money,
            price=[str(one) for one in total.prices],
            priced=priced_share(found.portions, carbon=False),
        ),
        "carbon": replace(
            whole,
            parts=carbon,
            price=[str(one) for one in total.factors],
            priced=priced_share(found.portions, carbon=True),
        ),
    }
    return {name: one.columns() | {"more": max(0, counted - NAMED)} for name, one in told.items()}


def _bars(rows: Sequence[tuple[str, str, Sums]]) -> list[Bar]:
    """Return a ranking whose bars are money where all have some, else energy."""

    def size(sums: Sums) -> float:
        with_money = all(one.money for _, _, one in rows)
        return sum((sums.money if with_money else sums.amounts).values())

    longest = max((size(sums) for _, _, sums in rows), default=0.0) or 1.0
    return [
        Bar(name, href, sums, round(100 * size(sums) / longest, 2)) for name, href, sums in rows
    ]


def _kinds(asked: dict[str, str], found: Wasted) -> list[Bar]:
    return _bars(
        [
            (kind_title(kind), _sentinel(asked, kind or "waste"), sums)
            for kind, sums in found.by_kind.items()
        ]
    )


def _sites(names: dict[int, tuple[str, str]], found: Wasted, days: Stretch) -> list[Bar]:
    return _bars(
        [
            (names.get(number, ("", ""))[0], f"/waste?place=s{number}&days={days.days}", sums)
            for number, sums in found.by_site.items()
        ]
    )


def _points(points: Sequence[DataPoint], found: Wasted) -> list[Bar]:
    by_id = {p.id: p for p in points}
    return _bars(
        [
            (by_id[number].name, f"/breakdown/{number}?period=month", sums)
            for number, sums in found.by_point().items()
        ]
    )


def _sentinel(asked: dict[str, str], kind: str) -> str:
    """Return where the events of a kind are listed."""
    place = asked["place"] if asked["place"].startswith("s") else ""
    return f"/sentinel?place={place}&kind={kind}" if place else f"/sentinel?kind={kind}"


def _current(place: str) -> str:
    kinds = {"s": "site", "o": "organization"}
    return f"{kinds[place[0]]}-{place[1:]}" if place != ALL else ""


def cells_of(week: Floats, opening: Sequence[bool] | None) -> list[list[Cell]]:
    """Return the hours of a week as seven rows of 24.

    Args:
        week: Energy by hour of the week, shape (168,) [Wh].
        opening: Whether the building is open, by hour of the week, or None.
    """
    worst = float(week.max())
    cells = [
        Cell(
            sum(amount > share * worst for share in LEVELS) if worst else 0,
            amount,
            None if opening is None else bool(opening[hour]),
        )
        for hour, amount in enumerate(week.tolist())
    ]
    return [cells[day * 24 : day * 24 + 24] for day in range(7)]


def _opening(rooms: Rooms, points: Sequence[DataPoint]) -> tuple[Sequence[bool] | None, str, str]:
    """Return a site's opening hours, as text too, and where they are from.

    Set by a person, or learnt: an hour is open when most of the site's data points are in use.
    Water is left out: the flow into a district or a dwelling does not tell when anybody opens.
    """
    facts = rooms.registry.facts().get(points[0].site_id)
    now = None if facts is None else facts.opening_at(rooms.clock())
    if now is not None:
        return now, text_of_week(now), "set"
    assert rooms.insights is not None
    some = [p for p in points if p.utility != "water"][:LISTED]
    learnt = [week for p in some if (week := rooms.insights.opening(p)) is not None]
    telling = [week for week in learnt if any(week) and not all(week)]
    if not telling:
        always = bool(learnt) and all(all(week) for week in learnt)
        return None, "", "always" if always else "" if some else "water"
    week = tuple((np.mean(np.array(telling, float), axis=0) >= 0.5).tolist())
    return week, text_of_week(week), "learnt"


def _standing(
    rooms: Rooms,
    everything: Sequence[DataPoint],
    points: Sequence[DataPoint],
    names: dict[int, tuple[str, str]],
) -> list[Always]:
    """Return what is always on, the costliest first; peers are those of the same utility."""
    assert rooms.insights is not None
    mine = {p.id for p in points}
    ordered = [*points, *(p for p in everything if p.id not in mine)][:COMPARED]
    standings = rooms.insights.standing(ordered)
    known = [(p, standings[p.series]) for p in ordered if p.series in standings]
    facts, now_ms = rooms.registry.facts(), rooms.clock()
    found = []
    for utility in dict.fromkeys(p.utility for p, _ in known):
        some = [(p, one) for p, one in known if p.utility == utility]
        ranks = peers([one for _, one in some])
        for (point, one), rank in zip(some, ranks.tolist(), strict=True):
            alone = len(some) < PEERS_MIN
            if point.id not in mine or not is_always_on(one):
                continue
            excess = one.near_base - one.best_month
            excess = max(0.0, excess) if math.isfinite(excess) else 0.0
            best = local_day(one.best_month_ms, point.zone)
            found.append(
                Always(
                    point,
                    names.get(point.site_id, ("", ""))[0],
                    one,
                    f"{t(f'month.{best.month}')} {best.year}" if one.best_month_ms else "",
                    excess,
                    excess * YEAR_H,
                    worth(facts.get(point.site_id), point, excess * YEAR_H, now_ms),
                    None if alone or not math.isfinite(rank) else rank,
                )
            )
    found.sort(key=lambda one: (-(one.worth.money or 0.0), -one.year, one.point.name))
    return found[:LISTED]


def is_always_on(one: Standing) -> bool:
    """Tell whether something is known to be always on; what also feeds in has no such load."""
    return one.near_base >= 0 and not one.best_month < 0


def _days(found: Wasted, days: Stretch) -> dict[str, Any]:
    """Return the days of a stretch as bars of a picture, with their energy."""
    each = [days.first.toordinal() + number for number in range(days.days)]
    amounts = [found.days.get(type(days.first).fromordinal(number), 0.0) for number in each]
    most = max(amounts, default=0.0) or 1.0
    return {
        "bars": [
            {
                "left": round(100 * index / len(each), 3),
                "width": round(80 / len(each), 3),
                "height": round(100 * amount / most, 2),
                "amount": amount,
                "day": type(days.first).fromordinal(number).isoformat(),
            }
            for index, (number, amount) in enumerate(zip(each, amounts, strict=True))
        ],
        "most": most if any(amounts) else None,
    }


def _manages(request: Request, point: DataPoint) -> bool:
    who = visit_of(request).person
    return may(
        who, "manage", organisation_id=point.organisation_id, site_id=point.site_id
    ) and has_tool(who, "admin", point.organisation_id)


DOORS: tuple[Door, ...] = (Door("/waste", waste, Access.SIGNED_IN, tool="waste"),)
