"""From the catalogue's rows to the history that a data point carries to the pipeline.

Nearly all data points have none: what is read here grows with the changes that persons made,
not with the number of data points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from kilowatch.catalog.factors_check import FACTORS, LIMITS
from kilowatch.catalog.tables import DataPoint
from kilowatch.catalog.tables_settings import PointSetting, RecordedEvent, SiteZone
from kilowatch.model.dated import ALWAYS_MS, NO_HISTORY, History, MeterEvent, Period
from kilowatch.model.parameters import CHANNEL_BY_NAME
from kilowatch.model.points import LATENESS_SHARE
from kilowatch.model.points import DataPoint as Point

COLUMNS = (
    "interval_s", "tolerance_s", "behaviour", "stamp", "clock", "unit", "register_max",
    "parent_id",
)  # fmt: skip
"""Settings that have a column in ``data_point``, where their present value is."""

_IN_PERIOD = (
    "unit", "interval_s", "behaviour", "stamp", "clock", "register_max", "multiplier",
    "ct_ratio", "vt_ratio", "pulse_weight", "calorific_kwh_per_m3", "volume_correction",
)  # fmt: skip
_JUDGED = ("nominal_voltage_v", *LIMITS)
_FLOATS = frozenset(FACTORS) | {"register_max", "tolerance_s"}

Dated = tuple[int | None, Mapping[str, Any]]
"""From when on, None for always, and the settings that changed then."""


def whole_settings(columns: Mapping[str, Any], rows: Iterable[Dated]) -> list[Dated]:
    """Return all settings by period, rising; the first from always on.

    Args:
        columns: Present values of ``COLUMNS``.
        rows: What is dated, in any order.
    """
    ordered = sorted(rows, key=lambda row: -1 if row[0] is None else row[0])
    now: dict[str, Any] = dict(columns) | dict(FACTORS)
    found: list[Dated] = []
    if not ordered or ordered[0][0] is not None:
        found.append((None, dict(now)))
    for from_ms, fields in ordered:
        now |= fields
        found.append((from_ms, dict(now)))
    return found


def periods_of(columns: Mapping[str, Any], rows: Iterable[Dated]) -> tuple[Period, ...]:
    """Return the periods that figures depend on; empty where nothing but the columns counts."""
    periods: list[Period] = []
    plain = _period(None, dict(columns) | dict(FACTORS))
    for from_ms, settings in whole_settings(columns, rows):
        period = _period(from_ms, settings)
        if not periods or _period(periods[-1].from_ms, settings) != periods[-1]:
            periods.append(period)
    return () if periods == [plain] else tuple(periods)


def _period(from_ms: int | None, settings: Mapping[str, Any]) -> Period:
    tolerance_s = settings["tolerance_s"]
    if tolerance_s is None:
        tolerance_s = settings["interval_s"] * LATENESS_SHARE
    known: dict[str, Any] = {name: settings[name] for name in _IN_PERIOD}
    known["tolerance_s"] = tolerance_s
    for name in _FLOATS & known.keys():
        known[name] = None if known[name] is None else float(known[name])
    return Period(ALWAYS_MS if from_ms is None else from_ms, **known)


def electrical_limits(session: Session) -> dict[int, list[tuple[int, dict[str, float | None]]]]:
    """Return from when on which nominal voltage and limits of it a data point has, by its number.

    Each entry has what was set then, and None for what holds no more; rising by time.
    """
    found: dict[int, list[tuple[int, dict[str, float | None]]]] = {}
    statement = select(PointSetting.data_point_id, PointSetting.from_ms, PointSetting.fields)
    for number, from_ms, settings in session.execute(statement):
        own = {name: settings[name] for name in _JUDGED if name in settings}
        if own:
            found.setdefault(number, []).append((from_ms or ALWAYS_MS, own))
    return {number: sorted(some, key=lambda one: one[0]) for number, some in found.items()}


def load_histories(connection: Connection) -> Histories:
    """Read what is dated, of all data points and sites."""
    rows: dict[int, list[Dated]] = {}
    tolerances: dict[int, float | None] = {}
    for row in connection.execute(
        select(
            PointSetting.data_point_id,
            PointSetting.from_ms,
            PointSetting.fields,
            DataPoint.tolerance_s,
        ).join(DataPoint, DataPoint.id == PointSetting.data_point_id)
    ):
        rows.setdefault(row.data_point_id, []).append((row.from_ms, row.fields))
        tolerances[row.data_point_id] = row.tolerance_s
    events: dict[int, list[MeterEvent]] = {}
    statement = select(RecordedEvent.__table__).order_by(RecordedEvent.at_ms, RecordedEvent.id)
    for row in connection.execute(statement):
        events.setdefault(row.data_point_id, []).append(event_of(row))
    by_site: dict[int, list[tuple[int, str]]] = {}
    for row in connection.execute(
        select(SiteZone.site_id, SiteZone.from_ms, SiteZone.zone).order_by(SiteZone.from_ms)
    ):
        by_site.setdefault(row.site_id, []).append((row.from_ms or ALWAYS_MS, row.zone))
    return Histories(
        rows, tolerances, events, {site: tuple(sorted(some)) for site, some in by_site.items()}
    )


def event_of(row: Any) -> MeterEvent:
    """Return a recorded event as the pipeline knows it."""
    channel = CHANNEL_BY_NAME[row.channel] if row.channel else None
    return MeterEvent(row.kind, row.at_ms, channel, row.last, row.first, row.width, row.until_ms)


class Histories:
    """What is dated, by data point and by site."""

    def __init__(
        self,
        rows: dict[int, list[Dated]],
        tolerances: dict[int, float | None],
        events: dict[int, list[MeterEvent]],
        zones: dict[int, tuple[tuple[int, str], ...]],
    ) -> None:
        self._rows = rows
        self._tolerances = tolerances
        self._events = events
        self._zones = zones
        self._by_site = {site: History(zones=some) for site, some in zones.items()}

    def __bool__(self) -> bool:
        return bool(self._rows or self._events or self._zones)

    def of(self, point: Point) -> History:
        """Return a data point's history; one for all points of a site that have no own."""
        rows, events = self._rows.get(point.id), self._events.get(point.id)
        if rows is None and events is None:
            return self._by_site.get(point.site_id, NO_HISTORY)
        periods: tuple[Period, ...] = ()
        if rows:
            # Half of the interval, where nobody chose: of each period's own.
            columns = {name: getattr(point, name) for name in COLUMNS if name != "parent_id"}
            columns["tolerance_s"] = self._tolerances[point.id]
            periods = periods_of(columns, rows)
        return History(periods, tuple(events or ()), self._zones.get(point.site_id, ()))
