"""What an event is called where its kind would say more, or less, than its own figures do.

Kinds are learnt from the shape of what happened and are stored; a title and a sentence stand in
front of people, who check them against the numbers beside them.
"""

from __future__ import annotations

import math

import numpy as np

from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.site_facts import EARNED
from kilowatch.model.zones import Zone

_K = EventKind
NIGHT_H = 6
"""Local hours before this one are night, as they are to what finds a higher load at night."""
NIGHTS_MORE = 1.05
"""Nights that took less than this times what is usual are not what an event is about."""
LEFT_ON, LEFT_ON_H = 1.25, 3
"""What was not switched off on a day off took at least so many times what such a day takes, for
some hours: a supermarket that is open on Saturdays took 4 to 14 % more on days that were called
so."""
SLOW_MS = 2 * DAY_MS
"""Nothing drifts slowly within less than this."""
SAME_SUM = (2 / 3, 3 / 2)
"""A rhythm that has shifted moves use to other hours; what took less or more than this times what
is usual has done something else."""
WEATHER_MATTERS = 1.5
"""Times by which the need of open hours differs between the temperatures that were seen, from which
on more in mild weather is likely heating or cooling. In the demo HVAC has 1.8, gas 7 and more;
lights, which burn longer in the dark months, 1.2, refrigeration 1.5, kitchen and bakery 1.0."""
NIGHTS_OF_BASE = 0.1
"""Part of the hours of a base that crept up that lie between midnight and five: of what is always
on it would be five in twenty-four; of less than half of that the nights were not above."""
_NOT_OF_PRODUCTION = frozenset(
    {_K.MISSED_SHUTDOWN, _K.NIGHT_LOAD, _K.DRIFT, _K.LEVEL_SHIFT, _K.CLOCK_SHIFT}
)
"""Kinds that say what somebody did; the sun does what it likes."""


def is_dip(event: InsightEvent) -> bool:
    """Tell whether a spike goes down: a few hours far below what was expected."""
    return event.kind is EventKind.SPIKE and event.amount < 0


def feeds_in(event: InsightEvent) -> bool:
    """Tell whether what is called negative was to be expected so: a meter that feeds in."""
    expected = event.evidence.get("expected")
    return event.kind is EventKind.NEGATIVE and expected is not None and expected < 0


def variant(
    event: InsightEvent, *, weather: bool = True, utility: str = "", zone: Zone | None = None
) -> str:
    """Return what an event is called where its kind would say too much or too little; "" elsewhere.

    Args:
        event: What happened.
        weather: Whether the outdoor temperature of its site is known.
        utility: What is measured.
        zone: The site's clock; None where nobody asks at which hours it was.
    """
    if event.kind is EventKind.OVER_CONDITIONING:
        return _in_open_hours(event, weather=weather)
    named = {
        "dip": is_dip(event),
        "feeds_in": feeds_in(event),
        "load_gone": event.kind is EventKind.PHASE_LOSS and "phase" not in event.evidence,
        "fell": event.kind is EventKind.NEGATIVE and "fell" in event.evidence,
        "turned": "turned" in event.evidence,
        "phase_energy": event.kind is EventKind.PHASE_SUM and "phase" in event.evidence,
        "by_day": _only_by_day(event),
        "quiet_hours": event.kind is EventKind.AFTER_HOURS and utility == "water",
        f"again_{event.evidence.get('again')}": "again" in event.evidence,
    }
    special = next((name for name, is_so in named.items() if is_so), "")
    if special or not math.isfinite(event.amount):
        return special
    way = "more" if event.amount >= 0 else "less"
    if utility in EARNED and event.kind in _NOT_OF_PRODUCTION:
        return f"made_{way}"
    return way if _says_too_much(event, zone) else ""


def _only_by_day(event: InsightEvent) -> bool:
    """Tell whether a base that crept up was above by day alone: what is always on is not more."""
    nights, hours = event.evidence.get("night_hours"), event.evidence.get("hours", 0)
    creep = event.kind is EventKind.BASELOAD_CREEP
    return creep and nights is not None and nights < NIGHTS_OF_BASE * hours


def _in_open_hours(event: InsightEvent, *, weather: bool) -> str:
    if not weather:
        return "open_hours"
    range_of_need = event.evidence.get("weather_range")
    steady = range_of_need is not None and range_of_need < WEATHER_MATTERS
    return "steady_hours" if steady else ""


def _says_too_much(event: InsightEvent, zone: Zone | None) -> bool:
    """Tell whether the figures of an event do not bear out what its kind says."""
    told, lasted_ms = event.evidence, event.end_ms - event.start_ms
    ratio = told.get("ratio")
    if event.kind is EventKind.NIGHT_LOAD:
        nights = told.get("night_ratio")
        raised = nights is None or nights >= NIGHTS_MORE
        return not raised or not (zone is None or _has_night(event, zone))
    if event.kind is EventKind.MISSED_SHUTDOWN:
        left_on = ratio is None or ratio >= LEFT_ON
        return not left_on or lasted_ms < LEFT_ON_H * HOUR_MS
    if event.kind is EventKind.DRIFT:
        return lasted_ms < SLOW_MS
    return event.kind is EventKind.CLOCK_SHIFT and not same_sum(event)


def same_sum(event: InsightEvent) -> bool:
    """Tell whether about as much was used as is usual, as far as an event says."""
    ratio = event.evidence.get("ratio")
    return ratio is None or SAME_SUM[0] <= ratio <= SAME_SUM[1]


def _has_night(event: InsightEvent, zone: Zone) -> bool:
    """Tell whether any local hour of the night lies in an event."""
    if event.end_ms - event.start_ms >= DAY_MS:
        return True
    hours = zone.local_ms(np.arange(event.start_ms, event.end_ms, HOUR_MS))
    return bool(np.any(hours % DAY_MS < NIGHT_H * HOUR_MS))
