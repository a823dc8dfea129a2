"""Registering data points: what a stream may be, checked before its first packet comes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import secrets
from kilowatch.catalog.changes import Change
from kilowatch.catalog.formula_use import refuse_broken, refuse_computed
from kilowatch.catalog.histories import COLUMNS
from kilowatch.catalog.point_settings import change_always, change_from, settings_at
from kilowatch.catalog.registry import add_meter, check_name
from kilowatch.catalog.same_names import (
    Place,
    refuse_same_name,
    refuse_same_rename,
    remember_name,
)
from kilowatch.catalog.settings_check import Settings, checked
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Organisation, SeriesHistory, Site
from kilowatch.model.errors import KilowatchError

STREAM_ID_MAX = 200
FORMULA_DECIDES = "Change its formula: unit, interval and behaviour follow from it."
_UNFIT = re.compile(r"[\x00-\x1f\x7f]|^\s|\s$")


def new_stream_id(utility: str) -> str:
    """Return a URL-safe stream id that nobody guesses: the utility and 78 random bits."""
    return f"{utility}-{secrets.readable(16)}"


def check_stream_id(stream_id: str) -> str:
    """Return a stream id that can stand in a packet and in a URL.

    Raises:
        KilowatchError: ``invalid_stream_id``.
    """
    fits = 0 < len(stream_id) <= STREAM_ID_MAX and stream_id.isprintable()
    if not fits or _UNFIT.search(stream_id):
        raise KilowatchError(
            "invalid_stream_id",
            f"{stream_id!r} cannot be a stream id.",
            remedy=f"Use 1 to {STREAM_ID_MAX} printable characters without space at either end.",
            data={"field": "stream_id"},
        )
    return stream_id


def register(  # noqa: PLR0913 - each is a fact about it
    change: Change,
    site: Site,
    name: str,
    settings: Settings,
    *,
    stream_id: str | None = None,
    meter: Meter | None = None,
    appliance: Appliance | None = None,
    parent: DataPoint | None = None,
    computed: bool = False,
) -> DataPoint:
    """Register a data point; collector and pipeline know it within a second.

    Args:
        change: An open change.
        site: Where it is.
        name: What people call it.
        settings: How its packets are to be read.
        stream_id: What packets carry in ``id``, unique within the organisation; made when None.
        meter: The meter whose reading it is; a meter of the same name is added when None.
        appliance: The appliance of that meter, or None for the meter as a whole.
        parent: The data point that feeds this one.
        computed: Whether a formula gives it its unit, which then was checked (``formulas.py``).

    Raises:
        KilowatchError: ``stream_id_taken``, ``invalid_stream_id``, ``invalid_name``,
            ``name_taken``, or what ``settings_check.checked`` finds.
    """
    settings = settings if computed else checked(settings)
    name = check_name(name, "data point")
    stream_id = check_stream_id(stream_id or new_stream_id(settings.utility))
    _refuse_taken(change.session, site.organisation_id, stream_id)
    place = Place(meter.id if meter else None, appliance.id if appliance else None)
    refuse_same_name(change, site, name, place)
    meter = meter or add_meter(change, site, name)
    assert meter.site_id == site.id, (meter.site_id, site.id)
    assert appliance is None or appliance.meter_id == meter.id
    point = DataPoint(
        organisation_id=site.organisation_id,
        site_id=site.id,
        meter_id=meter.id,
        appliance_id=appliance.id if appliance else None,
        parent_id=parent.id if parent else None,
        stream_id=stream_id,
        series=change.next_series(),
        name=name,
        created_at_ms=change.now_ms,
        **settings.columns(),
    )
    change.session.add(point)
    change.session.flush()
    remember_series(change, point, "registered")
    remember_name(change, point)
    return point


def remember_series(change: Change, point: DataPoint, reason: str) -> None:
    """Keep that the data point has its present series from now on."""
    change.session.add(
        SeriesHistory(
            series=point.series, data_point_id=point.id, from_ms=change.now_ms, reason=reason
        )
    )
    change.session.flush()


def change_settings(
    change: Change,
    data_point_id: int,
    name: str,
    settings: Settings,
    *,
    factors: Mapping[str, Any] | None = None,
    from_ms: int | None = None,
    comment: str = "",
) -> DataPoint:
    """Give a data point another name or other settings, for all time or from an instant on.

    Name and utility have no date. Only what differs from the present is changed.

    Args:
        change: An open change.
        data_point_id: The catalogue's number.
        name: What it shall be called.
        settings: What they shall be.
        factors: Those of ``factors_check.FACTORS``; None leaves them.
        from_ms: First instant of what is new [ms since 1970, UTC]; None for all time.
        comment: Why, for the history.

    Raises:
        KilowatchError: ``unknown_data_point``, ``invalid_name``, ``name_taken``, ``kind_is_fixed``
            when the kind would change, or what ``settings_check.checked`` finds.
    """
    point = change.session.get(DataPoint, data_point_id)
    if point is None:
        raise _unknown(str(data_point_id))
    refuse_computed(change.session, point.id, FORMULA_DECIDES)
    settings = checked(settings)
    if settings.kind != point.kind:
        raise KilowatchError(
            "kind_is_fixed",
            f"{point.name} is {point.kind} and stays so: its packets have that shape.",
            status=409,
            remedy="Register a new data point for the other kind of packet.",
            data={"field": "kind"},
        )
    name = check_name(name, "data point")
    refuse_same_rename(change, point, name)
    present = settings_at(change.session, point)
    columns = settings.columns()
    changed = {
        field: value
        for field, value in columns.items()
        if field in COLUMNS and value != getattr(point, field)
    }
    changed |= {field: value for field, value in (factors or {}).items() if value != present[field]}
    with change.session.no_autoflush:  # one change, and one entry of the history
        point.name, point.utility = name, columns["utility"]
        if changed and from_ms is None:
            change_always(change, point, changed, comment=comment)
        elif changed and from_ms is not None:
            change_from(change, point, changed, from_ms, comment=comment)
    change.session.flush()
    refuse_broken(change.session, point)
    return point


def find_data_point(session: Session, organisation: Organisation, stream_id: str) -> DataPoint:
    """Return the organisation's data point with this stream id, or else with this name.

    Raises:
        KilowatchError: ``unknown_data_point``; ``ambiguous_name`` when several have the name.
    """
    mine = select(DataPoint).where(DataPoint.organisation_id == organisation.id)
    point = session.scalar(mine.where(DataPoint.stream_id == stream_id))
    if point is not None:
        return point
    named = list(session.scalars(mine.where(DataPoint.name == stream_id).limit(2)))
    if not named:
        raise _unknown(stream_id, organisation.name)
    if len(named) > 1:
        raise KilowatchError(
            "ambiguous_name",
            f"{organisation.name} has several data points named {stream_id!r}.",
            remedy="Use the stream id: 'kilowatch data-point list' shows it.",
            data={"field": "data_point"},
        )
    return named[0]


@dataclass(frozen=True, slots=True)
class Listed:
    """A data point with the names of where it is."""

    organisation: str
    site: str
    zone: str
    point: DataPoint


def listing(session: Session, organisation_id: int | None = None) -> list[Listed]:
    """Return the data points of one organisation, or all, by organisation, site and name."""
    statement = (
        select(Organisation.name, Site.name, Site.zone, DataPoint)
        .join(Organisation, DataPoint.organisation_id == Organisation.id)
        .join(Site, DataPoint.site_id == Site.id)
        .order_by(Organisation.name_key, Site.name, DataPoint.name, DataPoint.id)
    )
    if organisation_id is not None:
        statement = statement.where(DataPoint.organisation_id == organisation_id)
    return [Listed(*row) for row in session.execute(statement)]


def _refuse_taken(session: Session, organisation_id: int, stream_id: str) -> None:
    taken = session.scalar(
        select(DataPoint).where(
            DataPoint.organisation_id == organisation_id, DataPoint.stream_id == stream_id
        )
    )
    if taken is not None:
        raise KilowatchError(
            "stream_id_taken",
            f"The stream id {stream_id!r} belongs to another data point already.",
            status=409,
            remedy="Choose another stream id, or leave it out and one is made.",
            data={"field": "stream_id"},
        )


def _unknown(stream_id: str, organisation: str = "The catalogue") -> KilowatchError:
    return KilowatchError(
        "unknown_data_point",
        f"{organisation} has no data point {stream_id!r}.",
        status=404,
        remedy="'kilowatch data-point list' shows every data point with its stream id.",
        data={"field": "data_point"},
    )
