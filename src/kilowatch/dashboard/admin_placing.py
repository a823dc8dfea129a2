"""Admin, where a data point hangs: on which meter and appliance, and what feeds it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import registry
from kilowatch.catalog.changes import Change
from kilowatch.catalog.rights import Person, may
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Site
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError


def numbered(
    session: Session, site: Site, meter_id: str, appliance_id: str
) -> tuple[Meter | None, Appliance | None]:
    """Return the meter and the appliance of these numbers, as far as they are on the site."""
    meter = session.get(Meter, whole_number(meter_id) or 0)
    if meter is None or meter.site_id != site.id:
        return None, None
    appliance = session.get(Appliance, whole_number(appliance_id) or 0)
    fits = appliance is not None and appliance.meter_id == meter.id
    return meter, appliance if fits else None


def named(
    change: Change, site: Site, meter_name: str, appliance_name: str
) -> tuple[Meter | None, Appliance | None]:
    """Return the site's meter and appliance of these names; what is not there yet is added.

    Raises:
        KilowatchError: ``unknown_meter`` when several meters have the name, or an appliance is
            named without its meter; ``invalid_name``.
    """
    if not meter_name:
        if appliance_name:
            raise _refuse("unknown_meter", "meter_name", t("points.appliance_needs_meter"))
        return None, None
    key = registry.name_key(meter_name)
    meters = change.session.scalars(select(Meter).where(Meter.site_id == site.id))
    found = [meter for meter in meters if registry.name_key(meter.name) == key]
    if len(found) > 1:
        raise _refuse("unknown_meter", "meter_name", t("points.several_meters"))
    meter = found[0] if found else registry.add_meter(change, site, meter_name)
    if not appliance_name:
        return meter, None
    ours = change.session.scalars(select(Appliance).where(Appliance.meter_id == meter.id))
    key = registry.name_key(appliance_name)
    there = [one for one in ours if registry.name_key(one.name) == key]
    return meter, there[0] if there else registry.add_appliance(change, meter, appliance_name)


def feeder(session: Session, organisation_id: int, stream_id: str, who: Person) -> DataPoint | None:
    """Return the organisation's data point of this stream id; None for an empty one.

    What the person may not read is not there for them.

    Raises:
        KilowatchError: ``unknown_data_point``.
    """
    if not stream_id:
        return None
    ours = DataPoint.organisation_id == organisation_id
    found = session.scalar(select(DataPoint).where(ours, DataPoint.stream_id == stream_id))
    if found is None or not may(
        who,
        "read",
        organisation_id=found.organisation_id,
        site_id=found.site_id,
        data_point_id=found.id,
    ):
        raise KilowatchError(
            "unknown_data_point",
            f"No data point has the stream id {stream_id!r}.",
            remedy="Choose one of the list, or leave it empty.",
            data={"field": "parent"},
        )
    return found


def feeder_on(session: Session, site: Site, stream_id: str, who: Person) -> DataPoint | None:
    """Return what feeds a new data point of a site.

    Raises:
        KilowatchError: ``unknown_data_point``, or ``other_site``.
    """
    found = feeder(session, site.organisation_id, stream_id, who)
    if found is not None and found.site_id != site.id:
        raise _refuse("other_site", "parent", t("points.feeder_elsewhere"))
    return found


def words(session: Session, meter: Meter | None, row: DataPoint | None) -> dict[str, str]:
    """Return in words where a data point hangs; empty where that is not known yet."""
    if meter is None:
        return {}
    appliance = session.get(Appliance, row.appliance_id or 0) if row else None
    above = session.get(DataPoint, row.parent_id or 0) if row else None
    return {
        "meter": meter.name,
        "href": f"/admin/sites/{meter.site_id}/meters/{meter.id}",
        "appliance": appliance.name if appliance else "",
        "feeder": above.name if above else "",
    }


def _refuse(code: str, field: str, detail: str) -> KilowatchError:
    return KilowatchError(code, detail, data={"field": field})
