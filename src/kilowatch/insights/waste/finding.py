"""Finds the hours in which a stream takes more than it needs, and says of which kind that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.insights.hours import Bools, Hours
from kilowatch.insights.waste.days import Days, low_quantile, trailing
from kilowatch.insights.waste.reference import Reference
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind

LOOKBACK_DAYS = 21
"""Days before an hour that can have a say in whether it counts."""
CREEP_DAYS = 7
"""Days over which a rise of the base shows by day and by night."""
LOOKBACK_H = (LOOKBACK_DAYS + CREEP_DAYS + 3) * 24
"""Hours that have to lead the way: with them, an hour's answer is the same in any batch."""
KINDS = tuple(EventKind)
MILD_C = (8.0, 19.0)
"""Mean outdoor temperature of a day on which a building should need neither much heating nor
cooling [°C]: between the usual base temperatures of 15.5 °C less gains, and 18.3 °C plus some."""
EARLY_H = 3
"""Hours before opening in which a higher load is an early start and not the night's."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a difference counts: in how many days of one kind, and how much of the mean load.

    Attributes:
        days: Working days that are looked at together; most of them must show it.
        closed: Likewise for days on which the building is closed.
        band: Dead band as a share of the stream's mean load in the reference period.
        run_h: Hours in a row that must show it.
    """

    days: int
    closed: int
    band: float
    run_h: int = 1


RULES = (Rule(1, 1, 0.30, 3), Rule(3, 2, 0.12), Rule(7, 4, 0.06))
"""The longer it lasts, the less it takes: a single high hour is not waste."""


def waste(
    reference: Reference, hours: Hours, rules: tuple[Rule, ...] = RULES
) -> tuple[Floats, Ints]:
    """Say for each hour how much more a stream took than it needed, and of which kind that is.

    An hour counts when it is above the dead band in most of the last days of its kind (working or
    closed) at that hour, today among them. What it says rests on the hour and what came before.

    Args:
        reference: What the streams need.
        hours: Hours to judge, the first ``LOOKBACK_H`` of which lead the way.
        rules: Dead bands.

    Returns:
        Waste, shape (streams, hours) [W or m³/h], 0 where there is none, and the kind: index into
        ``list(EventKind)`` or −1.

    Raises:
        ValueError: ``reference`` has other streams than ``hours``.
    """
    if reference.streams != hours.streams:
        raise ValueError(f"{reference.streams} streams in the reference, {hours.streams} in hours")
    days = Days.of(hours)
    over = hours.values - reference.expected(hours)
    share = days.lay(over / np.maximum(reference.scale, 1e-12)[:, None])
    flagged = _flagged(days, share, rules)
    kinds = _kinds(reference, hours, days)
    creep = _everywhere(flagged, days)
    _whole_nights(kinds, flagged)
    laid = np.where(creep, KINDS.index(EventKind.BASELOAD_CREEP), kinds)
    kind = np.where(flagged, laid, -1)
    kind = np.asarray(days.pick(kind), np.int64)
    rate = np.where((kind >= 0) & (over > 0), over, 0.0)
    return rate, np.where(rate > 0, kind, -1)


def _flagged(days: Days, share: Floats, rules: tuple[Rule, ...]) -> Bools:
    """Return which hours of which days count, shape (streams, days, 24)."""
    flagged = np.zeros(share.shape, np.bool_)
    for streams, classes in days.groups():
        for shut in (False, True):
            rows = np.flatnonzero((classes > 0) == shut)
            if not len(rows):
                continue
            part = share[np.ix_(streams, rows)]
            found = np.zeros(part.shape, np.bool_)
            for rule in rules:
                found |= _above(part, rows, rule, rule.closed if shut else rule.days)
            flagged[np.ix_(streams, rows)] = found
    return flagged


def _above(part: Floats, rows: Ints, rule: Rule, count: int) -> Bools:
    stack = trailing(part, count)
    for back in range(1, count):
        far = np.full(len(rows), fill_value=True)
        far[back:] = rows[back:] - rows[:-back] > LOOKBACK_DAYS
        stack[back][:, far] = np.nan
    usual = low_quantile(stack, 0.5 if count != 2 else 0.0)
    usual[np.isnan(part)] = np.nan
    above = usual > rule.band
    result = above.copy()
    for back in range(1, rule.run_h):
        result[:, :, back:] &= above[:, :, :-back]
        result[:, :, :back] = False
    return result


def _kinds(reference: Reference, hours: Hours, days: Days) -> Ints:
    """Return the kind that an hour would be of, shape (streams, days, 24)."""
    week = reference.opening.reshape(-1, 7, 24)[:, days.weekday]
    is_open = week & ~days.closed[:, :, None]
    soon = np.zeros_like(is_open)
    for ahead in range(1, EARLY_H + 1):
        soon[:, :, :-ahead] |= is_open[:, :, ahead:]
    lived = week.any(axis=2) & ~days.closed
    mild = np.ones(is_open.shape, np.bool_)
    if hours.temperature_c is not None:
        warmth = days.lay(hours.temperature_c)
        mild = np.isnan(warmth) | ((warmth >= MILD_C[0]) & (warmth <= MILD_C[1]))
    number = {kind: KINDS.index(kind) for kind in KINDS}
    kinds = np.select(
        [
            is_open & mild,
            is_open,
            days.closed[:, :, None] & np.ones(24, np.bool_),
            ~lived[:, :, None] & np.ones(24, np.bool_),
            soon,
        ],
        [
            number[EventKind.OVER_CONDITIONING],
            -1,
            number[EventKind.HOLIDAY],
            number[EventKind.WEEKEND],
            number[EventKind.EARLY_START],
        ],
        number[EventKind.AFTER_HOURS],
    )
    return np.asarray(kinds, np.int64)


def _whole_nights(kinds: Ints, flagged: Bools) -> None:
    """Call hours before opening after hours, in place, where the load was up before them."""
    night, early = KINDS.index(EventKind.AFTER_HOURS), KINDS.index(EventKind.EARLY_START)
    for hour in range(1, 24):
        before = flagged[:, :, hour - 1] & (kinds[:, :, hour - 1] == night)
        kinds[:, :, hour][before & (kinds[:, :, hour] == early)] = night


def _everywhere(flagged: Bools, days: Days) -> npt.NDArray[np.bool_]:
    """Return on which days so much of day and night was above that it is the base that rose."""
    share = np.zeros(flagged.shape[:2])  # of the days before: today is not over
    for back in range(1, CREEP_DAYS + 1):
        share[:, back:] += flagged[:, : days.count - back].mean(axis=2)
    return np.broadcast_to((share / CREEP_DAYS > 0.6)[:, :, None], flagged.shape)
