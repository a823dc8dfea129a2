"""What went wrong in the three buildings: the things to find in the demo.

Each event is placed by the day of the demo's first start, so that a newcomer finds the
same ones at the same distance from today. docs/start/demo.md lists them for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kilowatch.demo.timeline import ZONE_NAME, is_school_day
from kilowatch.model.calendar import day_start_ms
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is to be found.

    Attributes:
        key: Stable word for it.
        stream_ids: Where it shows.
        from_ms: When it begins [ms since 1970, UTC].
        to_ms: When it is over [ms since 1970, UTC].
        title: What happened.
    """

    key: str
    stream_ids: tuple[str, ...]
    from_ms: int
    to_ms: int
    title: str


def _at(day: date, hour: float = 0.0) -> int:
    return day_start_ms(day, Zone.of(ZONE_NAME)) + round(hour * HOUR_MS)


def _weekday_before(day: date, weekday: int) -> date:
    """Return the last such weekday that is not after the day (0 is Monday)."""
    return day - timedelta(days=(day.weekday() - weekday) % 7)


def _cold_holiday(before: date) -> date:
    """Return the last 27 December that is not after the day: no lessons, and cold."""
    this_year = date(before.year, 12, 27)
    return this_year if this_year <= before else date(before.year - 1, 12, 27)


def _lesson_day(before: date) -> date:
    """Return the last day of lessons that is not after the day and has one after it."""
    day = before
    while not (is_school_day(day) and is_school_day(day + timedelta(days=1))):
        day -= timedelta(days=1)
    return day


def events(started_ms: int) -> tuple[Event, ...]:
    """Return the events of a demo that was first started at an instant, newest first.

    Args:
        started_ms: First start [ms since 1970, UTC].
    """
    zone = Zone.of(ZONE_NAME)
    today = date(1970, 1, 1) + timedelta(
        days=int(zone.local_ms(_one(started_ms))[0]) // (24 * HOUR_MS)
    )

    def ago(days: int) -> date:
        return today - timedelta(days=days)

    saturday = _weekday_before(ago(4), 5)
    both = _weekday_before(ago(96), 0)
    phase = _weekday_before(ago(30), 1)
    holiday = _cold_holiday(ago(1))
    night = _lesson_day(ago(6))
    return (
        Event(
            "ventilation_at_weekend",
            ("office-hvac", "office-electricity"),
            _at(saturday),
            _at(saturday + timedelta(days=2), 6),
            "Ventilation left on over a weekend",
        ),
        Event(
            "lights_left_on",
            ("school-electricity",),
            _at(night, 17),
            _at(night + timedelta(days=1), 7),
            "Lights left on overnight",
        ),
        Event(
            "meter_outage",
            ("market-bakery",),
            _at(ago(12), 22),
            _at(ago(11), 7),
            "Meter without network for nine hours",
        ),
        Event(
            "water_leak",
            ("office-water",),
            _at(ago(24), 3),
            _at(ago(15), 11),
            "A cistern that leaks",
        ),
        Event(
            "stuck_sensor",
            ("school-temperature",),
            _at(ago(20), 9),
            _at(ago(17), 15),
            "Sensor stuck at one value",
        ),
        Event(
            "phase_loss",
            ("market-electricity", "market-refrigeration", "market-bakery"),
            _at(phase, 14.25),
            _at(phase, 15.75),
            "Phase 2 lost for an hour and a half",
        ),
        Event(
            "freezer_fault",
            ("market-refrigeration", "market-electricity"),
            _at(ago(46), 8),
            _at(ago(39), 16),
            "An iced evaporator",
        ),
        Event(
            "baseload_creep",
            ("office-electricity",),
            _at(ago(75)),
            _at(ago(33), 12),
            "Night baseload creeping up",
        ),
        Event(
            "heating_and_cooling",
            ("office-gas", "office-hvac", "office-electricity"),
            _at(both),
            _at(both + timedelta(days=12)),
            "Heating and cooling at the same time",
        ),
        Event(
            "gas_outage",
            ("school-gas",),
            _at(ago(130), 10),
            _at(ago(127), 9),
            "Logger without power for three days",
        ),
        Event(
            "heating_in_holidays",
            ("school-gas",),
            max(_at(holiday), _at(ago(365))),
            min(_at(holiday + timedelta(days=5)), _at(today)),
            "School heated in the Christmas holidays",
        ),
    )


def _one(value: int) -> Sequence[int]:
    return [value]


def by_key(all_events: tuple[Event, ...]) -> dict[str, Event]:
    """Return the events by their key."""
    return {event.key: event for event in all_events}
