"""What a person may see of alerts."""

from __future__ import annotations

from kilowatch.catalog.rights import Person
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import Rooms
from kilowatch.notify.desk import Reader


def reader_of(rooms: Rooms, who: Person) -> Reader:
    """Return whose eyes a page has: alerts of data points that the person may read."""
    directory = rooms.registry.directory()

    def sees(data_point_id: int) -> bool:
        point = directory.by_id(data_point_id)
        return point is not None and may_point(who, "read", point)

    whole = frozenset(number for number, standing in who.standings.items() if standing.whole)
    return Reader(whole, frozenset(who.standings) - whole, sees)
