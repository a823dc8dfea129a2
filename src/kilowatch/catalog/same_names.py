"""Two data points that nobody could tell apart: refused, with what would tell them apart.

A name is compared without regard to case and spaces. It may stand once at one place: below one
appliance, or beside the meter's other readings. A data point that brings its own meter is drawn
directly below its site, so there its name may stand only once on the site.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.registry import name_key
from kilowatch.catalog.tables import DataPoint, Site
from kilowatch.model.errors import KilowatchError


class Place(NamedTuple):
    """Where a data point hangs; without a meter it brings its own."""

    meter_id: int | None
    appliance_id: int | None = None


def refuse_same_name(change: Change, site: Site, name: str, place: Place) -> None:
    """Refuse a new data point with the name of one that is there.

    A change that registers thousands reads the site's names once.

    Raises:
        KilowatchError: 409 ``name_taken``.
    """
    known = change.names_on_site.get(site.id)
    if known is None:
        known = change.names_on_site[site.id] = _names(change.session, site.id)
    _refuse(site, name, place, known.get(name_key(name), []))


def remember_name(change: Change, point: DataPoint) -> None:
    """Note a data point that this change has registered."""
    known = change.names_on_site.get(point.site_id)
    if known is not None:
        known.setdefault(name_key(point.name), []).append(Place(point.meter_id, point.appliance_id))


def refuse_same_rename(change: Change, point: DataPoint, name: str) -> None:
    """Refuse a data point's new name if another one has it; it may keep the one that it has.

    Raises:
        KilowatchError: 409 ``name_taken``.
    """
    if name_key(name) == name_key(point.name):
        return
    session = change.session
    on_meter = select(func.count()).where(DataPoint.meter_id == point.meter_id)
    alone = point.appliance_id is None and session.scalar(on_meter) == 1
    place = Place(None) if alone else Place(point.meter_id, point.appliance_id)
    site = session.get(Site, point.site_id)
    assert site is not None
    _refuse(site, name, place, _names(session, site.id).get(name_key(name), []))
    change.names_on_site.pop(site.id, None)


def _names(session: Session, site_id: int) -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    rows = select(DataPoint.name, DataPoint.meter_id, DataPoint.appliance_id)
    for name, *place in session.execute(rows.where(DataPoint.site_id == site_id)):
        found.setdefault(name_key(name), []).append(Place(*place))
    return found


def _refuse(site: Site, name: str, place: Place, there: list[Place]) -> None:
    if place.meter_id is None:
        taken = any(other.appliance_id is None for other in there)
    else:
        taken = place in there
    if taken:
        raise KilowatchError(
            "name_taken",
            f"{site.name} has a data point named {name!r} already.",
            status=409,
            remedy="Give it a name that tells the two apart, such as where it is or what it "
            "feeds; 'kilowatch data-point list' shows what is there.",
            data={"field": "name"},
        )
