"""What Compare is asked for: which sites and data points, which days, per what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from starlette.requests import Request

from kilowatch.catalog.rights import Person
from kilowatch.dashboard.admin_frame import asked_of
from kilowatch.dashboard.chart_period import ROLLING, Span, span
from kilowatch.dashboard.compare_levels import further_kinds, level_kind, level_of, unit_of
from kilowatch.dashboard.compare_sums import (
    GRAINS,
    PERS,
    Grain,
    Per,
)
from kilowatch.dashboard.flow import in_usual_order, kind_of
from kilowatch.dashboard.insight_period import newest_ms
from kilowatch.dashboard.needs import View
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.places import readable, site_names
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint

ASKED = ("items", "place", "utility", "period", "date", "until", "grain", "per", "against", "q")
PERIODS = ("week", "month", "year", ROLLING, "custom")
AGAINST = ("before", "year", "none")
ITEMS_MAX = 10
ITEMS_FIRST = 5
POINTS_FIRST = 200
"""Data points behind the sites that a page opens with: of large ones two are enough to begin."""
WEEK_D, YEAR_D = 7, 364
WITH_PAST = 1_000


@dataclass(frozen=True, slots=True)
class Item:
    """A site or a data point that is compared.

    Attributes:
        key: ``s2`` or ``p7``.
        name: What people call it; of a data point its site's name stands before.
        site_id: Its site.
        zone: Its clock.
        points: The data points that make up its sum; of a site all that count the utility.
    """

    key: str
    name: str
    site_id: int
    zone: str
    points: tuple[DataPoint, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for, with every choice filled in.

    Attributes:
        items: What is compared.
        kind: Utility and unit, as ``electricity:Wh``.
        kinds: Those to choose from.
        span: The days; None where there is nothing to see.
        grain: Days, weeks or months in the chart.
        per: What amounts are divided by.
        against: ``before``, ``year`` or ``none``.
        other: The days that these lie beside, weekday by weekday.
        divisors: A data point to divide by, by site.
        candidates: Data points that could be, by site.
        found: What a search found.
        q: What was searched for.
        level: Whether means are compared, of what has no sum.
    """

    items: Sequence[Item]
    kind: str
    kinds: Sequence[str]
    span: Span | None
    grain: Grain
    per: Per
    against: str
    other: Span | None
    divisors: Mapping[int, DataPoint]
    candidates: Mapping[int, Sequence[DataPoint]]
    found: Sequence[Item]
    q: str
    level: bool = False

    @property
    def unit(self) -> str:
        """Unit of the amounts, or of the level."""
        return unit_of(self.kind)

    @property
    def word(self) -> str:
        """Which level, as of ``compare_levels.level_of``."""
        return self.kind.partition(":")[2]

    @property
    def utility(self) -> str:
        """The utility."""
        return self.kind.partition(":")[0]

    def query(self, **other: str) -> dict[str, Any]:
        """Return the address, with some of it changed."""
        days = self.span.query() if self.span else {}
        own = {
            "items": ",".join(one.key for one in self.items), "utility": self.kind, **days,
            "grain": self.grain, "per": self.per, "against": self.against,
        }  # fmt: skip
        chosen = [str(point.id) for point in self.divisors.values()]
        return own | ({"divisor": chosen} if self.per == "production" and chosen else {}) | other

    def with_item(self, key: str) -> dict[str, Any]:
        """Return the address with an item more, or without it."""
        keys = [one.key for one in self.items]
        kept = [one for one in keys if one != key] if key in keys else [*keys, key]
        return self.query(items=",".join(kept) or "none")


def read(request: Request, *, to_export: bool = False) -> Asked:
    """Read an address; what a person may not see is not there to be compared.

    Args:
        request: Behind a door.
        to_export: Only what the person may take along as a file.

    Raises:
        KilowatchError: 400 ``bad_period``, ``bad_date``, ``bad_grain``, ``bad_per`` or
            ``bad_against``.
    """
    rooms, query, who = rooms_of(request), asked_of(request, ASKED), visit_of(request).person
    query["items"] = request.query_params.get("items", "").strip()[:300]
    mine = readable(request, "compare")
    if to_export:
        mine = [p for p in mine if may_export(who, p)]
    everything = [(p, kind) for p in mine if (kind := kind_of(p))]
    with_level = [(p, kind) for p in mine if (kind := level_kind(p))]
    kinds = in_usual_order((kind for _, kind in everything), with_production=True)
    kinds += sorted({kind for _, kind in with_level}.difference(kinds))
    further = further_kinds(rooms.view, mine[:WITH_PAST])
    kinds += [kind for kind in further if kind not in kinds]
    per, against = query["per"] or "total", query["against"] or "before"
    grain = query["grain"]
    _check("per", per, PERS)
    _check("against", against, AGAINST)
    if grain:
        _check("grain", grain, GRAINS)
    if not kinds:
        return Asked((), "", (), None, "day", "total", against, None, {}, {}, (), "")
    keys = query["items"].split(",")
    named = {key: one for key in keys if (one := whole_number(key[1:])) and key == f"p{one}"}
    numbers = frozenset(named.values())
    both = chain(with_level, everything) if numbers else ()  # what counts is compared by its sum
    of_named = {p.id: kind for p, kind in both if p.id in numbers}
    called = [of_named[one] for one in named.values() if one in of_named]
    place = whole_number(query["place"][1:]) if query["place"].startswith("s") else 0
    there = in_usual_order(kind for p, kind in everything if p.site_id == place) if place else []
    kind = query["utility"] if query["utility"] in kinds else (called or there or kinds)[0]
    level = kind not in {one for _, one in everything}
    mine = [p for p, one in (with_level if level else everything) if one == kind]
    if kind in further:
        mine = _that_send(rooms.view, [p for p, _ in with_level], kind)
    every = _items(request, mine, None if query["q"] or level else numbers, level=level)
    items = _named(every, query["items"])
    if items is None and level:
        heard = rooms.view.last_seen([p.series for p in mine])
        items = sorted(
            every.values(),
            key=lambda one: (one.site_id != place, one.points[0].series not in heard),
        )[:ITEMS_FIRST]
    elif items is None:
        items = first_items(every, query["place"], set(rooms.registry.fed_by(mine).values()))
    mine = [p for one in items or every.values() for p in one.points]
    zone = mine[0].zone
    today = local_day(rooms.clock(), zone)
    seen = newest_ms(rooms.view, mine[:WITH_PAST])
    anchor = today if seen is None else min(today, local_day(seen, zone))
    chosen = span(query, PERIODS, anchor, today, "month")
    candidates: dict[int, list[DataPoint]] = {one.site_id: [] for one in items}
    for point, other in everything:
        if point.site_id in candidates and other != kind:
            candidates[point.site_id].append(point)
    return Asked(
        items, kind, kinds, chosen, grain or _grain(chosen),  # type: ignore[arg-type]
        "total" if level else per, against,  # type: ignore[arg-type]
        other_span(chosen, against),
        _divisors(request, candidates), candidates,
        _search(every, items, query["q"]), query["q"], level,
    )  # fmt: skip


def _that_send(view: View, points: Iterable[DataPoint], kind: str) -> list[DataPoint]:
    """Return the data points that have ever sent a further level."""
    utility, _, word = kind.partition(":")
    return [
        p for p in points
        if p.utility == utility and (codes := level_of(p, word))
        and not set(codes).isdisjoint(view.channels(p))
    ]  # fmt: skip


def _check(name: str, word: str, words: Sequence[str]) -> None:
    if word not in words:
        raise KilowatchError(
            f"bad_{name}", f"{word!r} is not one of the choices.", remedy=f"Use {', '.join(words)}."
        )


def _grain(days: Span) -> Grain:
    return "day" if days.days <= 62 else "week" if days.days <= 190 else "month"


def other_span(days: Span, against: str) -> Span | None:
    """Return as many days before, or a year before, beginning on the same weekday."""
    if against == "none":
        return None
    if against == "year" or days.days > YEAR_D:
        return days.shifted(YEAR_D)
    return days.shifted(-(-days.days // WEEK_D) * WEEK_D)


def _items(
    request: Request,
    points: Sequence[DataPoint],
    named: frozenset[int] | None,
    *,
    level: bool = False,
) -> dict[str, Item]:
    """Return what can be compared: each site, followed by its data points.

    A formula is one of them, but adds nothing to its site: what it is made of does.

    Args:
        request: Behind a door.
        points: All that count the utility.
        named: Numbers of those that are wanted by themselves; None for all. Of ten thousand most
            are not.
        level: Whether it is a level that they have: a site has none.
    """
    names = site_names(request)
    by_site: dict[int, list[DataPoint]] = defaultdict(list)
    for point in points:
        by_site[point.site_id].append(point)
    found: dict[str, Item] = {}
    for number in sorted(by_site, key=lambda one: names.get(one, ("", ""))[0].casefold()):
        name, own = names.get(number, ("", ""))[0], by_site[number]
        counting = () if level else tuple(point for point in own if not point.formula)
        if counting:
            found[f"s{number}"] = Item(f"s{number}", name, number, own[0].zone, counting)
        if named is not None and len(by_site) > 1:
            own = [point for point in own if point.id in named] if named else []
        for point in own:
            title = f"{name} \N{EM DASH} {point.name}"
            found[f"p{point.id}"] = Item(f"p{point.id}", title, number, point.zone, (point,))
    return found


def _named(every: Mapping[str, Item], text: str) -> list[Item] | None:
    """Return what an address names; None where it names nothing that is there."""
    if text == "none":
        return []
    named = [every[key] for key in dict.fromkeys(text.split(",")) if key in every]
    return named[:ITEMS_MAX] or None


def first_items(
    every: Mapping[str, Item], place: str, feeders: Container[int | None]
) -> list[Item]:
    """Return what a page opens with: what can be told apart.

    Sites; the one that a person comes from stands first, before those of its organisation. Of a
    single site its data points, measured ones before computed ones, without a supply that holds
    the others: beside its own parts it says little.

    Args:
        every: What can be compared, in its order.
        place: The site that a person comes from, as ``s2``; anything else for none.
        feeders: Numbers of the data points that feed others.
    """
    sites = [one for key, one in every.items() if key.startswith("s")]
    if len(sites) <= 1:
        rest = [one for one in every.values() if one not in sites]
        parts = [one for one in rest if one.points[0].id not in feeders]
        rest = parts if len(parts) > 1 else rest
        return sorted(rest, key=lambda one: bool(one.points[0].formula))[:ITEMS_FIRST]
    if place in every and place.startswith("s"):
        own = every[place].points[0].organisation_id
        sites.sort(key=lambda one: (one.key != place, one.points[0].organisation_id != own))
    first = sites[:ITEMS_FIRST]
    while len(first) > 2 and sum(len(one.points) for one in first) > POINTS_FIRST:
        first.pop()
    return first


def _search(every: Mapping[str, Item], items: Sequence[Item], text: str) -> list[Item]:
    words = text.casefold().split()
    there = {one.key for one in items}
    if not words:
        return []
    hits = (
        one for key, one in every.items()
        if key not in there and all(word in one.name.casefold() for word in words)
    )  # fmt: skip
    return [one for one, _ in zip(hits, range(12), strict=False)]


def _divisors(
    request: Request, candidates: Mapping[int, Sequence[DataPoint]]
) -> dict[int, DataPoint]:
    asked = [whole_number(text) for text in request.query_params.getlist("divisor")[:ITEMS_MAX]]
    return {
        number: point for number, some in candidates.items() for point in some if point.id in asked
    }


def exportable_points(who: Person, items: Sequence[Item]) -> bool:
    """Tell whether a person may take anything of some items along as a file."""
    return any(may_export(who, p) for one in items for p in one.points)
