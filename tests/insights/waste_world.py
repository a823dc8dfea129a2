"""An office whose need is known to the watt-hour, for tests of waste."""

from __future__ import annotations

import numpy as np

from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone

MONDAY_MS = 1_704_067_200_000  # 2024-01-01 00:00 UTC, a Monday and a holiday
YEAR_H = 52 * 168


def office(weeks: int, *, streams: int = 2, warm: bool = True, zone: str = "UTC") -> Hours:
    """Return an office: 10 kW always, 30 kW more on working days from 7 to 19 h, some noise."""
    count = weeks * 168
    empty = np.zeros((streams, count))
    hours = Hours(MONDAY_MS, empty, Zone.of(zone), empty > 0)
    rng = np.random.default_rng(7)
    used = (hours.weekday < 5) & (hours.hour_of_day >= 7) & (hours.hour_of_day < 19)
    day = np.arange(count) / 24
    outdoor = 10 - 8 * np.cos(2 * np.pi * day / 365) + rng.normal(0, 1, count)
    load = 10_000 + 30_000 * used + 200 * np.maximum(15 - outdoor, 0) * used
    size = np.linspace(1, 3, streams)[:, None]
    values = size * (load[None] + rng.normal(0, 300, (streams, count)))
    temperature = np.tile(outdoor, (streams, 1)) if warm else None
    return Hours(MONDAY_MS, values, hours.zone, hours.holidays, temperature)


def with_values(hours: Hours, values: Floats) -> Hours:
    """Return the same hours with other values."""
    return Hours(hours.first_ms, values, hours.zone, hours.holidays, hours.temperature_c)


def index(hours: Hours, week: int, weekday: int, hour: int) -> int:
    """Return the index of an hour of a week, counted from the first Monday, UTC."""
    at_ms = MONDAY_MS + ((week * 7 + weekday) * 24 + hour) * HOUR_MS
    return (at_ms - hours.first_ms) // HOUR_MS
