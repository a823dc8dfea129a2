"""Settings of a data point in printed lines, one for each period in which they hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from kilowatch.catalog.setting_names import name_of, value_text
from kilowatch.catalog.tables import DataPoint


def feeders_of(session: Session, periods: list[Any]) -> dict[int, str]:
    """Return the names of the data points that feed one in some periods."""
    numbers = {settings.get("parent_id") for _, settings in periods} - {None}
    found = [session.get(DataPoint, number) for number in numbers]
    return {point.id: point.name for point in found if point is not None}


def lines_of(
    periods: list[Any], zone: str, names: set[str], feeders: Mapping[int, str]
) -> list[str]:
    """Return one line for each period, with the settings that are asked for."""
    found = []
    for from_ms, settings in periods:
        since = "always" if from_ms is None else f"from {local_text(from_ms, zone)}"
        told = [
            f"{name_of(name)} {feeders.get(value, 'none')}"
            if name == "parent_id"
            else f"{name_of(name)} {value_text(name, value)}"
            for name, value in settings.items()
            if name in names
        ]
        found.append(f"{since}: {', '.join(told)}")
    return found


def local_text(at_ms: int, zone: str) -> str:
    """Return an instant in local time, with its offset."""
    moment = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    return moment.isoformat(sep=" ", timespec="seconds")
