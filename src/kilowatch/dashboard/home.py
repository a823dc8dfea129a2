"""Home: what needs attention now, and each site beside what was to be expected of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog.rights import has_tool
from kilowatch.catalog.tree import OrganisationNode
from kilowatch.dashboard.access import Access, Door, not_found
from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.event_ranking import Ranked
from kilowatch.dashboard.home_figures import behind_line, lines_of, newest_day
from kilowatch.dashboard.hourly import (
    has_hours,
)
from kilowatch.dashboard.insight_period import behind, newest_ms
from kilowatch.dashboard.insight_rows import Waiting, waiting_events
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.places import readable, site_names
from kilowatch.dashboard.quality_periods import day_text, lost_text
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.start_way import first_hour
from kilowatch.dashboard.treeview import leaves_of
from kilowatch.dashboard.words import t
from kilowatch.dashboard.worth import Basis, basis_of
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import EARNED

ATTENTION_DAYS = 7
"""Events that ended longer ago are history: Sentinel has them."""
ATTENTION = 6
LATE = 8
SITES = 30


@dataclass(slots=True)
class SiteCard:
    """A site of the ranking.

    Attributes:
        id: Its number.
        name: What it is called.
        organisation: Whose it is.
        events: Open events.
        money: What they cost together, by currency; what one saved is taken off.
        late: Data points that are late.
        points: Data points that the person may read.
    """

    id: int
    name: str
    organisation: str
    events: int = 0
    money: dict[str, float] = field(default_factory=dict)
    late: int = 0
    points: int = 0

    @property
    def rank(self) -> tuple[float, int, int, str]:
        """What stands first: the most money in open events, then most events, then most late."""
        cost = max(0.0, sum(self.money.values()))
        return (-cost, -self.events, -self.late, self.name.casefold())


@dataclass(frozen=True, slots=True)
class Late:
    """A data point without data for too long."""

    point: DataPoint
    site: str
    age: str


async def home(request: Request) -> Response:
    """Show what needs attention, and the sites."""
    return await run_in_threadpool(_home, request)


async def site_figures(request: Request) -> Response:
    """Answer today and the month of one site; the page fetches each after its frame."""
    return await run_in_threadpool(_site, request)


def _home(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    if first_hour(request):
        return RedirectResponse("/start", status_code=303)
    organisations = rooms.registry.tree(visit.person)
    if not organisations:
        return page(request, "nothing.html", [{"name": t("product")}], {"page": "nothing"})
    points = rooms.registry.readable(visit.person)
    now_ms = rooms.clock()
    late = late_points(rooms, points, now_ms)
    names = site_names(request)
    waiting = _waiting(request, names)
    cards = _cards(organisations, points, waiting.everything, late)
    shown = waiting.events
    context = {
        "page": "home",
        "behind": behind(rooms.insights) if rooms.insights is not None else "",
        "events": shown,
        "more_events": len(waiting.everything) - len(shown),
        "looked": rooms.insights is not None and has_tool(visit.person, "sentinel"),
        "basis": _basis(waiting),
        "late": [
            Late(p, names.get(p.site_id, ("", ""))[0], _silent(rooms, p, now_ms, at_ms))
            for p, at_ms in late[:LATE]
        ],
        "late_total": len(late),
        "sites": cards[:SITES],
        "sites_total": len(cards),
        "several": len(organisations) > 1,
        "first": organisations[0].id,
    }
    return page(request, "home.html", [{"name": t("nav.home")}], context)


def late_points(
    rooms: Rooms, points: Sequence[DataPoint], now_ms: int
) -> list[tuple[DataPoint, int]]:
    """Return data points whose packets have stopped, those that stopped last first.

    What has been silent for months is known to everybody; what stopped this morning is not.
    """
    late = Judge(rooms.view, rooms.settings, now_ms).late_ones(list(points))
    seen = rooms.view.last_seen([point.series for point in late])
    ranked = [(point, seen.get(point.series, 0)) for point in late]
    return sorted(ranked, key=lambda one: (-one[1], one[0].name.casefold()))


def _silent(rooms: Rooms, point: DataPoint, now_ms: int, at_ms: int) -> str:
    """Return for how long nothing has come: since the last packet came, not what it was for."""
    fresh = Judge(rooms.view, rooms.settings, now_ms).of([point])[point.series]
    return lost_text(max(0, now_ms - (fresh.came_ms or at_ms)))


def _waiting(request: Request, names: dict[int, tuple[str, str]]) -> Waiting:
    """Return what waits of the last days, counted back from the newest data of each site."""
    rooms = rooms_of(request)
    points = [p for p in readable(request, "sentinel") if has_hours(p)]
    if rooms.insights is None or not points:
        return Waiting()
    now_ms = rooms.clock()
    newest = min(now_ms, newest_ms(rooms.view, points) or now_ms)
    from_ms, to_ms = newest - ATTENTION_DAYS * DAY_MS, now_ms + DAY_MS
    return waiting_events(request, points, from_ms, to_ms, names, ATTENTION)


def _basis(waiting: Waiting) -> Basis:
    """Return the prices of everything that waits: the sums of the cards rest on all of them."""
    prices = dict.fromkeys(one.price for one in waiting.everything if one.price is not None)
    return Basis(list(prices), [], basis_of(one.worth for one in waiting.events).unpriced)


def _cards(
    organisations: Sequence[OrganisationNode],
    points: Sequence[DataPoint],
    waiting: Sequence[Ranked],
    late: Sequence[tuple[DataPoint, int]],
) -> list[SiteCard]:
    cards = {
        site.id: SiteCard(site.id, site.name, owner.name)
        for owner in organisations
        for site in owner.sites
        if any(True for _ in leaves_of(site))
    }
    for point in points:
        if point.site_id in cards:
            cards[point.site_id].points += 1
    for point, _ in late:
        if point.site_id in cards:
            cards[point.site_id].late += 1
    for one in waiting:
        card = cards.get(one.point.site_id)
        if card is not None:
            card.events += 1
            if one.money is not None:
                card.money[one.currency] = card.money.get(one.currency, 0.0) + one.money
    return sorted(cards.values(), key=lambda card: card.rank)


def _site(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    number = request.path_params["site_id"]
    points = [p for p in rooms.registry.readable(visit.person) if p.site_id == number]
    if not points:
        raise not_found()
    lines = lines_of(rooms, points)
    titles = _titles(rooms, points)
    stands = [stand for line in lines for stand in (line.today, line.month)]
    context = {
        "lines": lines,
        "earned": EARNED,
        "exports": has_tool(visit.person, "export", points[0].organisation_id)
        and all(may_export(visit.person, p) for p in points),
        "basis": basis_of(one.worth for one in stands),
        **titles,
        "behind": [behind_line(request, line, titles["day"], titles["month"]) for line in lines],
        "coming": any(one.ahead is not None for one in stands),
        "site_id": number,
        "site": site_names(request).get(points[0].site_id, ("", ""))[0],
    }
    return rooms.templates.TemplateResponse(request, "home_site.html", context)


def _titles(rooms: Rooms, points: Sequence[DataPoint]) -> dict[str, str]:
    """Return what the figures are of: today and this month, or the last ones that have data."""
    now_ms = rooms.clock()
    day = newest_day(rooms, points)
    today = local_day(now_ms, points[0].zone)
    month = (day.year, day.month) == (today.year, today.month)
    return {
        "day": t("home.today") if day == today else day_text(day),
        "month": t("home.month") if month else f"{t(f'month.{day.month}')} {day.year}",
    }


DOORS: tuple[Door, ...] = (
    Door("/", home, Access.SIGNED_IN),
    Door("/home/site/{site_id:number}", site_figures, Access.SIGNED_IN),
)
