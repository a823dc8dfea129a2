"""What forms of dated settings share: from when on, which figure, and the history panel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from kilowatch.catalog import meter_events, point_settings, sheets, site_zones
from kilowatch.catalog.factors_check import FACTORS
from kilowatch.catalog.histories import COLUMNS
from kilowatch.catalog.spans import interval_text
from kilowatch.catalog.tables import DataPoint, Site
from kilowatch.dashboard.offered import register_title
from kilowatch.dashboard.periods import clock_text
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

_SPANS = frozenset({"interval_s", "tolerance_s"})
_WORDS = frozenset({"behaviour", "clock", "stamp"})
_NONE = {"tolerance_s": "setting.usual", "parent_id": "setting.no_feeder"}
SHOWN = (*COLUMNS, *FACTORS)
COMMENT_MAX = 300


def from_when(fields: Mapping[str, str], zone: str) -> int | None:
    """Return from when on a change holds [ms since 1970, UTC]; None for all time.

    Raises:
        KilowatchError: ``from_when`` when the date is missing, or it is none.
    """
    if fields["when"] != "from":
        return None
    if not fields["from"]:
        raise KilowatchError(
            "from_when",
            "From when on does this hold?",
            remedy="Give the date, or say that it was always wrong.",
            data={"field": "from"},
        )
    return instant_of(fields["from"], zone, "from")


def instant_of(text: str, zone: str, field: str) -> int:
    """Read a local time as a browser sends it; without a time of day, midnight.

    Raises:
        KilowatchError: ``wrong_time`` with ``data["field"]``.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise KilowatchError(
            "wrong_time",
            f"{text!r} is not a time.",
            remedy="Write it like 2026-11-23 09:15, in the site's local time.",
            data={"field": field},
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp() * 1000)


def figure_of(text: str, field: str) -> float | None:
    """Read a figure as people write it; None for an empty field.

    Raises:
        KilowatchError: ``invalid_setting`` with ``data["field"]``.
    """
    if not text:
        return None
    try:
        found = sheets.number(text)
    except ValueError:
        found = math.nan
    if math.isfinite(found):
        return found
    raise KilowatchError(
        "invalid_setting",
        f"{text!r} is not a number.",
        remedy="Write it like 40 or 0.01.",
        data={"field": field},
    )


def figure_text(value: float | None) -> str:
    """Return a figure as a form shows it."""
    return "" if value is None else f"{value:.15g}"


def history_of(session: Session, point: DataPoint) -> dict[str, Any]:
    """Return the history panel: periods, what was recorded of the meter, zones of the site.

    Each entry has the word that takes it back (``setting-3``), or none.
    """
    site = session.get(Site, point.site_id)
    assert site is not None
    rows = point_settings.history(session, point)
    by_start = {row.from_ms: row for row in rows}
    told = {name for row in rows for name in row.fields}
    periods = []
    for from_ms, settings in point_settings.settings_by_period(session, point):
        row = by_start.get(from_ms)
        periods.append(
            {
                "since": clock_text(from_ms, site.zone) if from_ms is not None else "",
                "settings": [
                    (t(f"setting.{name}"), _text(session, name, settings[name]))
                    for name in SHOWN
                    if name in told
                ],
                "comment": row.comment if row is not None else "",
                "undo": f"setting-{row.id}" if row is not None and from_ms is not None else "",
            }
        )
    return {
        "periods": periods if told else [],
        "events": _events(session, point, site.zone),
        "zones": zones_of(session, site),
    }


def zones_of(session: Session, site: Site) -> list[dict[str, str]]:
    """Return a site's zones over time, the first without a date; empty while it had only one."""
    return [
        {
            "zone": row.zone,
            "since": clock_text(row.from_ms, row.zone) if row.from_ms is not None else "",
            "undo": f"zone-{row.id}" if row.from_ms is not None else "",
        }
        for row in site_zones.zones(session, site)
    ]


def _events(session: Session, point: DataPoint, zone: str) -> list[dict[str, Any]]:
    """Return what was recorded; an exchange of several registers names each of them only."""
    found = meter_events.events(session, point)
    named = {(one.kind, one.at_ms) for one in found if one.channel}
    return [
        _event(one, point, zone)
        for one in found
        if one.channel or (one.kind, one.at_ms) not in named
    ]


def _event(row: Any, point: DataPoint, zone: str) -> dict[str, Any]:
    figures = [
        (t(f"event_figure.{name}"), figure_text(value))
        for name in ("last", "first", "width")
        if (value := getattr(row, name)) is not None
    ]
    return {
        "kind": t(f"event.{row.kind}"),
        "at": clock_text(row.at_ms, zone),
        "until": clock_text(row.until_ms, zone) if row.until_ms is not None else "",
        "channel": register_title(point.utility, row.channel) if row.channel else "",
        "figures": figures,
        "comment": row.comment,
        "undo": f"event-{row.id}",
    }


def _text(session: Session, name: str, value: Any) -> str:
    if name == "parent_id" and value is not None:
        feeder = session.get(DataPoint, value)
        return feeder.name if feeder is not None else str(value)
    return setting_text(name, value)


def setting_text(name: str, value: Any) -> str:
    """Return a setting's value as people say it."""
    if value is None:
        return t(_NONE.get(name, "setting.not_set"))
    if name in _SPANS:
        return interval_text(round(float(value)))
    if name in _WORDS:
        return t(f"{name}.{value}").split(":")[0]
    return f"{value:.10g}" if isinstance(value, float | int) else str(value)
