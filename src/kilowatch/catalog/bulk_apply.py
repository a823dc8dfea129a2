"""Applying a table of data points: all of it in one transaction, or nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from kilowatch.catalog import bulk_factors, bulk_formulas
from kilowatch.catalog.bulk import MeterKey, Plan, Planned
from kilowatch.catalog.bulk_plan import plan
from kilowatch.catalog.changes import Change
from kilowatch.catalog.data_points import new_stream_id
from kilowatch.catalog.feeders import dated_feeders, set_feeder, settle_after_move
from kilowatch.catalog.histories import COLUMNS as SETTINGS
from kilowatch.catalog.point_settings import change_always
from kilowatch.catalog.registry import name_key
from kilowatch.catalog.sheets import Sheet
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, SeriesHistory
from kilowatch.catalog.tables_settings import PointSetting
from kilowatch.model.errors import KilowatchError


def apply(change: Change, organisation_id: int, sheet: Sheet, digest: str) -> Plan:
    """Do what ``plan`` said, all of it or nothing.

    Args:
        change: An open change.
        organisation_id: Whose data points.
        sheet: The table.
        digest: Of the plan that was shown.

    Raises:
        KilowatchError: ``lines_refused``; ``plan_changed`` when somebody has changed the registry
            since, so that the table would do something else now.
    """
    planned = plan(change.session, organisation_id, sheet, change.now_ms)
    if planned.refused:
        raise KilowatchError(
            "lines_refused",
            f"Lines that are wrong: {planned.counts['refuse']}. So nothing was changed.",
            status=409,
            remedy="Correct them in the file, and choose it again.",
        )
    if planned.digest != digest:
        raise KilowatchError(
            "plan_changed",
            "Somebody has changed the registry since you looked, so nothing was changed yet.",
            status=409,
            remedy="Look again at what the file would do now, and apply it then.",
        )
    todo = [one for one in planned.lines if one.action in ("create", "change")]
    storied = set(
        change.session.scalars(
            select(PointSetting.data_point_id)
            .where(PointSetting.organisation_id == organisation_id)
            .distinct()
        )
    )
    meters = _add_meters(change, organisation_id, todo)
    appliances = _add_appliances(change, organisation_id, todo, meters)
    _write_points(change, organisation_id, todo, meters, appliances, storied)
    _set_parents(change, organisation_id, todo)
    bulk_factors.write(change, [one for one in todo if not one.formulas], storied)
    bulk_formulas.write(change, organisation_id, todo)
    return planned


def _add_meters(change: Change, organisation_id: int, todo: list[Planned]) -> dict[MeterKey, int]:
    added: dict[MeterKey, Meter] = {}
    for one in todo:
        if not isinstance(one.meter, int) and one.meter not in added:
            added[one.meter] = Meter(
                organisation_id=organisation_id,
                site_id=one.site_id,
                name=one.meter_name,
                created_at_ms=change.now_ms,
            )
    change.session.add_all(added.values())
    change.session.flush()
    known: dict[MeterKey, int] = {
        one.meter: one.meter for one in todo if isinstance(one.meter, int)
    }
    return known | {key: meter.id for key, meter in added.items()}


def _add_appliances(
    change: Change, organisation_id: int, todo: list[Planned], meters: dict[MeterKey, int]
) -> dict[tuple[int, str], int]:
    wanted = {(meters[one.meter], name_key(one.appliance)): one for one in todo if one.appliance}
    there = change.session.scalars(
        select(Appliance).where(Appliance.organisation_id == organisation_id)
    )
    known = {(one.meter_id, name_key(one.name)): one.id for one in there}
    added = {
        key: Appliance(
            organisation_id=organisation_id,
            meter_id=key[0],
            name=one.appliance,
            created_at_ms=change.now_ms,
        )
        for key, one in wanted.items()
        if key not in known
    }
    change.session.add_all(added.values())
    change.session.flush()
    return known | {key: one.id for key, one in added.items()}


def _write_points(
    change: Change,
    organisation_id: int,
    todo: list[Planned],
    meters: dict[MeterKey, int],
    appliances: dict[tuple[int, str], int],
    storied: set[int],
) -> None:
    new = [one for one in todo if one.point is None]
    series = change.next_series(len(new)) if new else 0
    later: list[tuple[DataPoint, dict[str, Any]]] = []
    for one in todo:
        meter_id = meters[one.meter]
        place = {
            "site_id": one.site_id,
            "meter_id": meter_id,
            "appliance_id": appliances[meter_id, name_key(one.appliance)]
            if one.appliance
            else None,
        }
        if one.point is None:
            one.point = DataPoint(
                organisation_id=organisation_id,
                stream_id=one.stream_id or new_stream_id(one.columns["utility"]),
                series=series,
                name=one.name,
                created_at_ms=change.now_ms,
                **place,
                **one.columns,
            )
            one.stream_id = one.point.stream_id
            series += 1
            change.session.add(one.point)
        else:
            one.point.name = one.name
            settings = one.columns
            if one.point.id in storied:  # its present value is also that of its last period
                for_all_time = {k: v for k, v in settings.items() if k in SETTINGS}
                settings = {k: v for k, v in settings.items() if k not in SETTINGS}
                later.append((one.point, for_all_time))
            for column, setting in (place | settings).items():
                if getattr(one.point, column) != setting:
                    setattr(one.point, column, setting)
    change.session.flush()
    for point, wanted in later:
        changed = {k: v for k, v in wanted.items() if getattr(point, k) != v}
        if changed:
            change_always(change, point, changed)
    change.session.add_all(
        SeriesHistory(
            series=one.point.series,
            data_point_id=one.point.id,
            from_ms=change.now_ms,
            reason="registered",
        )
        for one in new
        if one.point is not None
    )
    change.session.flush()


def _set_parents(change: Change, organisation_id: int, todo: list[Planned]) -> None:
    statement = select(DataPoint.stream_id, DataPoint.id).where(
        DataPoint.organisation_id == organisation_id
    )
    numbers = {row.stream_id: row.id for row in change.session.execute(statement)}
    dated = dated_feeders(change.session, organisation_id)
    moved: dict[int, int] = {}
    changed: list[tuple[DataPoint, int | None]] = []
    for one in todo:
        assert one.point is not None
        if "site" in one.differences:
            moved[one.point.id] = one.site_id
        parent_id = numbers[one.parent] if one.parent else None
        if one.point.parent_id == parent_id:  # a row that is set to what it is costs a look
            continue
        if one.point.id in dated:
            changed.append((one.point, parent_id))  # after all others hang where they shall
        else:
            one.point.parent_id = parent_id
    change.session.flush()
    for point, parent_id in changed:
        set_feeder(change, point, parent_id)
    if moved:
        settle_after_move(change, moved, organisation_id)
