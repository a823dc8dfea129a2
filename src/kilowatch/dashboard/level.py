"""A site or a meter as Breakdown knows it: which data points count there, and who feeds whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from starlette.requests import Request

from kilowatch.catalog.tree import MeterNode, OrganisationNode, SiteNode
from kilowatch.dashboard.access import not_found
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import midnight_ms
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_bands import Band
from kilowatch.pipeline.tree_eras import DatedFeeding, amount_of

MAINS_MAX = 50
"""Of so many mains the newest data and the days with data are looked up."""


@dataclass(frozen=True, slots=True)
class Place:
    """What is broken down.

    Attributes:
        owner: Whose the site is.
        site: The site.
        meter: The meter on it, or None for the whole site.
        points: The site's data points that count something, by number.
        fed_by: Who feeds whom, from when on.
        home: Number of the meter of each data point.
    """

    owner: OrganisationNode
    site: SiteNode
    meter: MeterNode | None
    points: Mapping[int, DataPoint]
    fed_by: DatedFeeding
    home: Mapping[int, int]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.meter.name if self.meter is not None else self.site.name

    @property
    def tops(self) -> frozenset[int] | None:
        """The data points on the meter; None for a site."""
        if self.meter is None:
            return None
        leaves = [*self.meter.points, *(p for one in self.meter.appliances for p in one.points)]
        return frozenset(leaf.id for leaf in leaves)

    def kinds(self) -> list[tuple[str, str]]:
        """Return utilities with their units: of the mains, electricity first."""
        mine = self.points.values() if self.tops is None else [
            self.points[one] for one in self.tops if one in self.points
        ]  # fmt: skip
        found = {(one.utility, unit_of(one)) for one in mine}
        return sorted(found, key=lambda kind: (kind[0] != "electricity", kind))

    def of_kind(self, kind: tuple[str, str]) -> list[DataPoint]:
        """Return the data points of a utility and unit."""
        return [one for one in self.points.values() if (one.utility, unit_of(one)) == kind]

    def mains(self, points: Sequence[DataPoint]) -> list[DataPoint]:
        """Return those that nobody feeds now, or that are on the meter, at most ``MAINS_MAX``."""
        feeds, tops = self.fed_by[-1][1], self.tops
        found = [p for p in points if (feeds.get(p.id) is None if tops is None else p.id in tops)]
        return (found or list(points))[:MAINS_MAX]

    def href(self, band: Band) -> str:
        """Return where a band leads: to what is below it, or to its own graph."""
        point = band.point
        if band.opens and point.id in self.home:
            return f"/breakdown/site/{self.site.id}/meter/{self.home[point.id]}"
        return f"/breakdown/{point.id}"


def unit_of(point: DataPoint) -> str:
    """Return the unit of what a data point counts."""
    counted = amount_of(point)
    return counted[1] if counted else ""


def place_of(request: Request) -> Place:
    """Return the site, or the meter on it, that an address names; behind a door for sites.

    Raises:
        KilowatchError: 404.
    """
    rooms, visit = rooms_of(request), visit_of(request)
    asked = request.path_params.get("meter_id", request.query_params.get("meter"))
    number = whole_number(str(asked)) if asked is not None else None
    tree = rooms.registry.tree(visit.person)
    owner, site = next(
        ((o, s) for o in tree for s in o.sites if s.id == visit.site_id), (None, None)
    )
    if owner is None or site is None or (asked is not None and number is None):
        raise not_found()
    meter = next((one for one in site.meters if one.id == number), None)
    if number is not None and meter is None:
        raise not_found()
    return place_at(rooms, owner, site, meter)


def place_at(
    rooms: Rooms, owner: OrganisationNode, site: SiteNode, meter: MeterNode | None = None
) -> Place:
    """Return a site, or a meter on it, that the person may read whole."""
    directory = rooms.registry.directory()
    points = {leaf.id: point for leaf in site.leaves()
              if (point := directory.by_id(leaf.id)) is not None and amount_of(point)}  # fmt: skip
    fed_by = rooms.registry.fed_at_site(owner.id, site.id)
    home = {leaf.id: one.id for one in site.meters
            for leaf in (*one.points, *(p for a in one.appliances for p in a.points))}  # fmt: skip
    return Place(owner, site, meter, points, fed_by, home)


def asked_kind(place: Place, text: str) -> tuple[str, str]:
    """Read ``utility`` of an address (``electricity`` or ``gas-m3``).

    Raises:
        KilowatchError: 404 where nothing of the place counts anything; 400 ``bad_utility``.
    """
    kinds = place.kinds()
    if not kinds:
        raise KilowatchError(
            "nothing_counts", t("site.nothing_counts"), status=404, remedy=t("site.nothing_next")
        )
    found = next((one for one in kinds if text in ("-".join(one), one[0])), None)
    if text and found is None:
        words = ", ".join("-".join(one) for one in kinds)
        raise KilowatchError(
            "bad_utility", f"{text!r} is not measured here.", remedy=f"Use {words}."
        )
    return found or kinds[0]


def days_of(request: Request, place: Place, first: date, last: date) -> list[str]:
    """Return the local days on which a main of the place has data."""
    rooms = rooms_of(request)
    points = place.of_kind(asked_kind(place, request.query_params.get("utility", "")))
    begin = midnight_ms(first, place.site.zone)
    end = midnight_ms(last + timedelta(1), place.site.zone)
    found = {
        day for one in place.mains(points) for day in rooms.view.days_with_data(one, begin, end)
    }
    return [day.isoformat() for day in sorted(found) if first <= day <= last]
