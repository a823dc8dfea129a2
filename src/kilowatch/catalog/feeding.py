"""Which data point feeds which: what a total must count once.

Somebody says so at the data point (its parent), or it follows from the meters: an appliance's
figures are part of its meter's, and a meter's part of those of the meter above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.histories import Dated, whole_settings
from kilowatch.catalog.tables import DataPoint, Meter
from kilowatch.catalog.tables_settings import PointSetting
from kilowatch.model.dated import ALWAYS_MS
from kilowatch.model.units import UNITS


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a data point is, and what it counts."""

    id: int
    meter_id: int
    appliance_id: int | None
    parent_id: int | None
    counts: tuple[str, str] | None


def fed_by(
    session: Session, organisation_id: int, site_id: int | None = None
) -> dict[int, int | None]:
    """Return the data point that feeds each one now, None where nobody does; 10,000 take 0.1 s.

    Args:
        session: Where to look.
        organisation_id: Whose.
        site_id: Only data points of this site.
    """
    return _feeders(*_places(session, organisation_id, site_id))


def fed_by_over_time(
    session: Session, organisation_id: int, site_id: int | None = None
) -> list[tuple[int, dict[int, int | None]]]:
    """Return from when on which data point feeds each one, rising; the first for all time.

    Arguments as of ``fed_by``. What a tree of the past is added up with.
    """
    places, above = _places(session, organisation_id, site_id)
    dated: dict[int, list[Dated]] = {}
    statement = select(PointSetting.data_point_id, PointSetting.from_ms, PointSetting.fields)
    mine = statement.where(PointSetting.organisation_id == organisation_id)
    for number, from_ms, settings in session.execute(mine):
        if "parent_id" in settings:
            dated.setdefault(number, []).append((from_ms, settings))
    here = {place.id: {"parent_id": place.parent_id} for place in places}
    stories = {
        number: whole_settings(here[number], rows)
        for number, rows in dated.items()
        if number in here
    }
    instants = {from_ms or ALWAYS_MS for story in stories.values() for from_ms, _ in story}
    found = []
    for at_ms in sorted({ALWAYS_MS} | instants):
        parents = {
            number: [now["parent_id"] for since, now in story if (since or ALWAYS_MS) <= at_ms][-1]
            for number, story in stories.items()
        }
        then = [replace(one, parent_id=parents.get(one.id, one.parent_id)) for one in places]
        found.append((at_ms, _feeders(then, above)))
    return found


def _places(
    session: Session, organisation_id: int, site_id: int | None
) -> tuple[list[_Place], dict[int, int | None]]:
    """Return the data points, and which meter is above which."""
    points = select(
        DataPoint.id, DataPoint.meter_id, DataPoint.appliance_id, DataPoint.parent_id,
        DataPoint.kind, DataPoint.utility, DataPoint.unit, DataPoint.behaviour,
    ).where(DataPoint.organisation_id == organisation_id).order_by(DataPoint.id)  # fmt: skip
    meters = select(Meter.id, Meter.parent_id).where(Meter.organisation_id == organisation_id)
    if site_id is not None:
        points = points.where(DataPoint.site_id == site_id)
    places = [
        _Place(number, meter_id, appliance_id, parent_id, _counts(kind, utility, unit, behaviour))
        for number, meter_id, appliance_id, parent_id, kind, utility, unit, behaviour in (
            session.execute(points)
        )
    ]
    return places, {row.id: row.parent_id for row in session.execute(meters)}


def _feeders(places: list[_Place], above: Mapping[int, int | None]) -> dict[int, int | None]:
    whole: dict[tuple[int, tuple[str, str]], int] = {}
    for place in places:
        if place.appliance_id is None and place.counts is not None:
            whole.setdefault((place.meter_id, place.counts), place.id)
    found: dict[int, int | None] = {}
    for place in places:
        found[place.id] = place.parent_id
        if place.parent_id is not None or place.counts is None:
            continue
        meter = place.meter_id if place.appliance_id is not None else above.get(place.meter_id)
        seen: set[int] = set()
        while meter is not None and meter not in seen:
            seen.add(meter)
            feeder = whole.get((meter, place.counts))
            if feeder is not None and feeder != place.id:
                found[place.id] = feeder
                break
            meter = above.get(meter)
    return found


def _counts(kind: str, utility: str, unit: str, behaviour: str) -> tuple[str, str] | None:
    """Return utility and unit of what is counted; None for a gauge."""
    if kind == "electrical":
        return utility, "Wh"
    if behaviour == "gauge" or not UNITS[unit].amount:
        return None
    return utility, UNITS[unit].amount
