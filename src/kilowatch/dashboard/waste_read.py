"""What an address asks of waste, and the wasted hours that it means; for the page and its file."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from kilowatch.dashboard.admin_frame import asked_of
from kilowatch.dashboard.expected_waste import without_expected
from kilowatch.dashboard.hourly import has_hours
from kilowatch.dashboard.insight_period import Stretch
from kilowatch.dashboard.places import places_of, readable, sites_of
from kilowatch.dashboard.rooms import Rooms
from kilowatch.model.insight import WasteHours
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_eras import amount_of

ASKED = ("place", "days", "until")
ALL = "all"
AT_ONCE = 600
"""Data points of which everything is shown without being asked for."""


def asked_places(
    request: Request,
) -> tuple[dict[str, str], list[DataPoint], list[tuple[str, str]]]:
    """Return what an address asks for, every data point it can be about, and the places on offer.

    A formula's waste is that of what it is made of.
    """
    asked = asked_of(request, ASKED)
    everything = [p for p in readable(request, "waste") if has_hours(p) and amount_of(p)]
    places = places_of(request, everything)
    if asked["place"] not in (*dict(places), ALL):
        # Of an estate all waste at once is asked for by name: it is a look at every hour of it.
        large = len(everything) > AT_ONCE
        asked["place"] = sites_of(request, everything, "")[0] if large else ALL
    return asked, everything, places


def hours_of(
    rooms: Rooms, points: Sequence[DataPoint], days: Stretch
) -> tuple[WasteHours, dict[int, int]]:
    """Return the wasted hours of some local days, and how many more are expected, by site."""
    insights = rooms.insights
    assert insights is not None
    parts = [
        insights.waste([p for p in points if p.zone == zone], *days.ms(zone))
        for zone in dict.fromkeys(p.zone for p in points)
    ]
    hours = WasteHours.concatenate(parts)
    return without_expected(insights, rooms.registry, points, hours)
