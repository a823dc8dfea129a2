"""When a building is in use, read off its load."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kilowatch.insights.hours import WEEK_H, Bools, Hours
from kilowatch.insights.waste.days import Days, low_quantile
from kilowatch.model.blocks import Floats
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.site_facts import Opening

OPEN_SHARE = 0.4
"""An hour is open when its usual load is this far up from near-base to near-peak load. Between a
third and a half the learnt hours of office buildings hardly move, since loads rise steeply."""
FLAT_SHARE = 0.12
"""Where the usual week rises less than this above its base, use says nothing about opening."""
MIN_WEEKS = 3


def usual_week(hours: Hours) -> Floats:
    """Return the median of each hour of the week, shape (streams, 168) [unit of the values].

    Holidays are left out; NaN where an hour was never seen.
    """
    values = np.where(hours.holidays, np.nan, hours.values)
    week = np.full((hours.streams, WEEK_H), np.nan)
    for hour in range(WEEK_H):
        here = hours.hour_of_week == hour
        if here.any():
            week[:, hour] = low_quantile(values[:, here].T, 0.5)
    return week


def opening_hours(hours: Hours) -> Bools:
    """Learn in which hours of the week a building is in use.

    The usual week's load is cut between its near-base and its near-peak load, after the
    definitions of the source. A load that hardly changes over the week, or one known for less
    than three weeks, says nothing: it is taken as open throughout, so that nothing is called
    after hours without a reason.

    Args:
        hours: A quiet past of the streams, best a year.

    Returns:
        Shape (streams, 168), Monday 00:00 local time first.

    Source:
        P. N. Price, "Methods for Analyzing Electric Load Shape and its Variability",
        LBNL-3713E, 2010: near-base load, near-peak load and high-load duration.
    """
    week = usual_week(hours)
    known = np.sum(~np.isnan(hours.values), axis=1) >= MIN_WEEKS * WEEK_H
    filled = np.where(np.isnan(week), np.inf, week)
    base = low_quantile(np.where(np.isinf(filled), np.nan, filled).T, 0.025)
    peak = low_quantile(np.where(np.isinf(filled), np.nan, filled).T, 0.975)
    line = base + OPEN_SHARE * (peak - base)
    shaped = known & (peak - base > FLAT_SHARE * np.abs(peak))
    return np.asarray(~shaped[:, None] | (filled > line[:, None]))


def in_force(
    learnt: Bools, hours: Hours, days: Days, set_hours: Sequence[Sequence[Opening]] | None = None
) -> tuple[Bools, Bools]:
    """Return the opening hours that hold on each day: as set by a person, or else as learnt.

    What somebody set holds from its own day on and never before, whenever it was set: a replay
    gives what it would have given live.

    Args:
        learnt: Learnt opening hours, shape (streams, 168).
        hours: Hours of the streams.
        days: Days of the hours.
        set_hours: Of each stream, what people have set, by its beginning; None where nobody has.

    Returns:
        By the clock of each day, shape (streams, days, 24); closed days are not looked at. And
        whether the week that holds has no closed hour, shape (streams, days).
    """
    week = learnt.reshape(-1, 7, 24)[:, days.weekday]
    always = np.repeat(np.all(learnt, axis=1, keepdims=True), days.count, axis=1)
    number = days.first + np.arange(days.count)
    for row, eras in enumerate(set_hours or ()):
        for one in eras:
            since = int(hours.zone.local_ms(np.array([one.from_ms]))[0]) // DAY_MS
            own = learnt[row] if one.hours is None else np.array(one.hours, np.bool_)
            later = number >= since
            week[row, later] = own.reshape(7, 24)[days.weekday[later]]
            always[row, later] = own.all()
    return np.asarray(week), np.asarray(always)
