"""What a finding that was acted on has saved so far, with the weather taken out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from kilowatch.insights import towt
from kilowatch.insights.bounds import ABSURD, bounded
from kilowatch.insights.hours import WEEK_H, Bools, Hours
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import HOUR_MS

MIN_BEFORE_D = 28
MIN_AFTER_D = 7
"""Days with values that a comparison needs before, and after."""
BEFORE_D = 365
"""Longest time before the change that is compared with: a year sees every season once."""
LEVEL_90 = 1.645
"""Standard deviations on either side that hold 90 % of a normal distribution."""
FITTED = 1.26
"""How much more a model is off on other days than on those that it was fitted to, as in the source
(of monthly and daily models, before its improved polynomial)."""
TRIAL_D = 91
"""Days on either side of a trial at most: a year has room for four of them."""
LEAST_SHARE = 0.005
"""No saving is known better than to this share of what would have been used: seasons that the model
was not fitted to are off by as much in buildings without any noise."""
MARGIN_C = 3.0
"""How far beyond the temperatures at which something went on its answer to them is believed [K]."""
KNOWN = 20 / 24
"""Share of a day's hours that must be known for its sum."""


@dataclass(frozen=True, slots=True)
class Saving:
    """Energy with and without what was found, adjusted to the weather after it.

    Attributes:
        from_ms: First hour that counts after the change [ms since 1970, UTC].
        to_ms: End of the last [ms since 1970, UTC].
        would_have: What would have been used without the change [Wh or m³]; NaN when not known.
        used: What was used in the same hours [Wh or m³].
        saved: Their difference; negative when more was used [Wh or m³].
        uncertainty: Half of the 90 % interval around ``saved`` [Wh or m³].
        cv_rmse: Error of the model before the change, of daily sums, over their mean.
        r2: Share of the variance before the change that the model explains, of hours.
        with_temperature: Whether the weather could be taken out.
        days_ms: Local days after the change, by their first hour, shape (days,) [ms].
        daily: What was saved on each of them, shape (days,) [Wh or m³].
        hours: How many hours after the change are compared.
        week_h: How many hours of the week are compared: 168, or those in which it went on.
    """

    from_ms: int
    to_ms: int
    would_have: float
    used: float
    saved: float
    uncertainty: float
    cv_rmse: float
    r2: float
    with_temperature: bool
    days_ms: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    daily: Floats = field(default_factory=lambda: np.empty(0))
    hours: int = 0
    week_h: int = WEEK_H

    @property
    def sure(self) -> bool:
        """Whether it is more than its own uncertainty."""
        return abs(self.saved) > self.uncertainty


@dataclass(frozen=True, slots=True)
class _One:
    """One stream: its load, hour of the week (holidays as Sundays) and weather, shape (hours,)."""

    hours: Hours
    load: Floats
    week: Ints
    outdoor: Floats

    def known(self, part: slice) -> float:
        """Return of how many days of a part anything is known."""
        return float(np.sum(~np.isnan(self.load[part])) / 24)

    def fit(self, part: slice) -> towt.Towt:
        """Fit time of week and temperature to a part."""
        return towt.fit(self.week[part], self.outdoor[part], self.load[part], WEEK_H)


def savings(hours: Hours, change: int, since: int | None = None) -> list[Saving | None]:
    """Compare what each stream used after a change with what it would have used.

    What was found had a beginning too: what would have been used without the change is what is
    usual at that time of the week in that weather, by the time before it began, and what it took
    beyond that in like hours while it lasted. So the usual drifts of a building, which are larger
    than many a finding, stand on both sides; and a week's waste is not lost in the year before it.
    Where too little is known from before it began, its own time alone is compared with.

    Holidays are lived like Sundays; hours that are out of all bounds (a spike, a register that was
    set back) count on neither side.

    Args:
        hours: Before and after; without what other findings wasted.
        change: Index of the hour in which the finding was acted on.
        since: Index of the hour in which it began; None where all time before the change is alike.

    Returns:
        One for each stream; None where there are fewer than 28 days before or 7 after, and where
        nothing plausible is known of its own hours, so that no hour after is like them.

    Source:
        ASHRAE Guideline 14-2014, annex B, equation B-15 (fractional savings uncertainty with
        improved autocorrelation term), polynomial for daily models.
    """
    sunday = 6 * 24 + hours.hour_of_day
    begin = change if since is None else min(max(since, 0), change)
    usual_time = slice(max(begin - BEFORE_D * 24, 0), begin)
    own_time = slice(max(begin, change - BEFORE_D * 24), change)
    values = bounded(hours.values, ABSURD)
    found: list[Saving | None] = []
    for stream in range(hours.streams):
        week = np.where(hours.holidays[stream], sunday, hours.hour_of_week)
        one = _One(hours, values[stream], week, _outdoor(hours, stream))
        if one.known(slice(change, None)) < MIN_AFTER_D:
            found.append(None)
        elif one.known(usual_time) >= MIN_BEFORE_D:
            model = one.fit(usual_time)
            usual = model.predict(one.week, one.outdoor)
            if begin == change:
                found.append(_compare(one, usual, model, usual_time, change))
            else:
                beyond = _beyond(one, one.load - usual, own_time)
                found.append(_compare(one, usual, model, usual_time, change, own_time, beyond))
        elif one.known(own_time) >= MIN_BEFORE_D:
            model = one.fit(own_time)
            usual = model.predict(one.week, one.outdoor)
            found.append(_compare(one, usual, model, own_time, change))
        else:
            found.append(None)
    return found


def _beyond(one: _One, over: Floats, own: slice) -> tuple[Floats, Floats]:
    """Return what was used beyond the usual in hours like those in which something went on.

    By hour of the week, or that hour of workdays and of weekends where it went on for less than a
    week; NaN in hours that are like none of them. Where it lasted four weeks and more, what it
    took may go by the weather too, not much further than the weather was in that time.

    Args:
        one: The stream.
        over: Its load less what is usual, shape (hours,) [W or m³/h].
        own: When it went on.

    Returns:
        What was used beyond the usual, and how much of it is told of weather that was not seen
        then, each of shape (hours,) [W or m³/h].
    """
    week, outdoor, over = one.week, one.outdoor, over[own]
    known = ~np.isnan(over)
    if known.sum() >= MIN_BEFORE_D * 24:
        model = towt.fit(week[own], outdoor[own], over, WEEK_H)
        if not len(model.knots):
            return model.predict(week, outdoor), np.zeros(len(week))
        seen = outdoor[own][known & ~np.isnan(outdoor[own])]
        low, high = seen.min(), seen.max()
        sure = model.predict(week, np.clip(outdoor, low, high))
        told = model.predict(week, np.clip(outdoor, low - MARGIN_C, high + MARGIN_C))
        return told, np.abs(told - sure)
    alike = np.full(WEEK_H, np.nan)
    hour = np.arange(WEEK_H)
    weekend = (hour >= 120).astype(np.int64)
    for group in ((weekend * 24 + hour % 24), hour):  # the finer one, where it is known, counts
        mine = group[week[own][known]]
        count = np.bincount(mine, minlength=WEEK_H)
        total = np.bincount(mine, weights=over[known], minlength=WEEK_H)
        told = np.where(count > 0, total / np.maximum(count, 1), np.nan)[group]
        alike = np.where(np.isnan(told), alike, told)
    return np.asarray(alike[week]), np.zeros(len(week))


def _compare(
    one: _One,
    usual: Floats,
    model: towt.Towt,
    past: slice,
    change: int,
    own: slice | None = None,
    more: tuple[Floats, Floats] | None = None,
) -> Saving | None:
    """Compare the hours after a change with the usual, and what went on beyond it until then.

    Returns:
        None where no hour after it can be compared.
    """
    hours, load = one.hours, one.load
    beyond, unseen = (None, np.zeros(len(load))) if more is None else more
    like = np.ones(len(load), np.bool_) if beyond is None else ~np.isnan(beyond)
    without = usual if beyond is None else usual + beyond
    index = np.arange(len(load))
    both = ~np.isnan(load) & ~np.isnan(usual) & like
    after = both & (index >= change)
    if not after.any():
        return None
    before = both & (index >= past.start) & (index < past.stop)
    would, used = float(without[after].sum()), float(load[after].sum())
    day = hours.day - hours.day[0]
    whole = np.asarray(np.bincount(day, weights=like), np.float64)
    error = _daily(day, np.where(before, load - usual, 0.0), before, whole)
    sums = _daily(day, np.where(before, load, 0.0), before, whole)
    cv = float(np.sqrt(np.mean(error**2)) / abs(sums.mean())) if len(sums) else np.nan
    days_after = len(_daily(day, np.where(after, load, 0.0), after, whole))
    if own is None:
        share = fraction_uncertain(cv, _lag(error), len(error), days_after)
        uncertainty = share * abs(would)
    else:
        went_on = both & (index >= own.start) & (index < own.stop)
        days_own = max(float(went_on.sum()) / max(float(whole[whole > 0].mean()), 1.0), 1.0)
        freedom = np.sqrt(model.count / max(model.count - model.parameters, 1))
        uncertainty = float(
            np.hypot(_uncertain(error * freedom, days_after, days_own), LEAST_SHARE * would)
            + unseen[after].sum()
        )
    last = int(np.flatnonzero(after)[-1])
    _, first_of, place = np.unique(hours.day[change:], return_index=True, return_inverse=True)
    daily = np.bincount(place, weights=np.where(after, without - load, 0.0)[change:])
    slots = len(np.unique(one.week[like]))
    return Saving(
        int(hours.start_ms[change]), int(hours.start_ms[last]) + HOUR_MS, would, used,
        would - used, uncertainty, cv, model.r2, bool(len(model.knots)),
        hours.start_ms[change:][first_of], np.asarray(daily, np.float64), int(after.sum()), slots,
    )  # fmt: skip


def _uncertain(error: Floats, after: int, own: float) -> float:
    """Return half of the 90 % interval of a saving that is the difference of two times.

    The sum of the days after is off by the errors of as many days, and what went on before by
    those of its own days, as often as there are more days after. Errors of days in a row are
    alike: a sum of m of them with autocorrelation r has the variance
    σ² (m (1 + r)/(1 − r) − 2 r (1 − r^m)/(1 − r)²). Where trials were off by more, that counts.

    Args:
        error: Errors of daily sums of the usual time, shape (days,) [Wh or m³].
        after: Days that are compared.
        own: Days on which it went on.
    """
    if len(error) < 3 or after < 1:
        return float("nan")
    rho = min(max(_lag(error), 0.0), 0.95)

    def variance(days: float) -> float:
        return float(days * (1 + rho) / (1 - rho) - 2 * rho * (1 - rho**days) / (1 - rho) ** 2)

    told = float(np.mean(error**2)) * (variance(after) + (after / own) ** 2 * variance(own))
    tried = (after * _trials(error, after, own)) ** 2
    return LEVEL_90 * FITTED * math.sqrt(max(told, tried))


def _trials(error: Floats, after: int, own: float) -> float:
    """Return by how much a day's saving was off where nothing was saved: a root mean square.

    The same comparison, of as many days with as many before them, is tried at every day of the
    usual time: seasons that no model explains last longer than days that are alike.

    Args:
        error: Errors of daily sums of the usual time, shape (days,) [Wh or m³].
        after: Days that are compared.
        own: Days on which it went on.
    """
    first = min(round(own) or 1, TRIAL_D, len(error) // 2)
    second = min(after, TRIAL_D, len(error) // 2)
    total = np.concatenate([[0.0], np.cumsum(error)])
    origin = np.arange(first, len(error) - second + 1)
    before = (total[origin] - total[origin - first]) / first
    later = (total[origin + second] - total[origin]) / second
    return float(np.sqrt(np.mean((later - before) ** 2)))


def fraction_uncertain(cv_rmse: float, lag_1: float, before: int, after: int) -> float:
    """Return half of the 90 % interval of a saving as a share of what would have been used.

    Args:
        cv_rmse: Error of the model over the mean, of single values.
        lag_1: Autocorrelation of the errors.
        before: Values that the model was fitted to.
        after: Values that are compared.

    Source:
        ASHRAE Guideline 14-2014, annex B: ΔE/E = t · k · CV · √((n/e)(1 + 2/e)/m), with e values
        that are independent of each other, here over the adjusted baseline, and the improved
        polynomial k = −0.00024 M² + 0.03535 M + 1.00286 of daily models for M months.
    """
    if before < 2 or after < 1 or np.isnan(cv_rmse):
        return float("nan")
    lag = min(max(lag_1, 0.0), 0.95)
    effective = max(before * (1 - lag) / (1 + lag), 1.0)
    months = after / 30.4
    factor = -0.00024 * months**2 + 0.03535 * months + 1.00286
    return float(
        LEVEL_90 * factor * cv_rmse * np.sqrt(before / effective * (1 + 2 / effective) / after)
    )


def _daily(day: Ints, part: Floats, known: Bools, whole: Floats) -> Floats:
    """Return sums of the days of which 20 hours of 24, or as large a part, are known.

    Args:
        day: Number of each hour's day, shape (hours,).
        part: What is summed up, shape (hours,).
        known: Which hours are, shape (hours,).
        whole: How many hours each day could have, shape (days,).
    """
    count = np.bincount(day, weights=known)
    enough = (whole > 0) & (count >= KNOWN * np.minimum(whole, 24.0) - 1e-9)
    return np.asarray(np.bincount(day, weights=part)[enough], np.float64)


def _lag(error: Floats) -> float:
    if len(error) < 3 or error.std() == 0:
        return 0.0
    return float(np.corrcoef(error[:-1], error[1:])[0, 1])


def _outdoor(hours: Hours, stream: int) -> Floats:
    if hours.temperature_c is None:
        return np.full(hours.count, np.nan)
    return np.asarray(hours.temperature_c[stream])
