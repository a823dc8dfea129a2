"""What a finding that was acted on has saved so far, with the weather taken out."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Saving:
    """Energy before and after a change, adjusted to the weather after it.

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
        hours: How many hours after the change are known.
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

    @property
    def sure(self) -> bool:
        """Whether it is more than its own uncertainty."""
        return abs(self.saved) > self.uncertainty


def savings(hours: Hours, change: int) -> list[Saving | None]:
    """Compare what each stream used after a change with what it would have used.

    A time-of-week-and-temperature model of the time before, at most a year, says what the hours
    after would have taken in their own weather. Holidays are lived like Sundays; hours that are out
    of all bounds (a spike, a register that was set back) count on neither side. The uncertainty is
    that of the source for autocorrelated errors, on daily sums.

    Args:
        hours: Before and after.
        change: Index of the hour in which the finding was acted on.

    Returns:
        One for each stream; None where there are fewer than 28 days before or 7 after.

    Source:
        ASHRAE Guideline 14-2014, annex B, equation B-15 (fractional savings uncertainty with
        improved autocorrelation term), polynomial for daily models.
    """
    slot = hours.hour_of_week
    sunday = 6 * 24 + hours.hour_of_day
    first = max(change - BEFORE_D * 24, 0)
    values = bounded(hours.values, ABSURD)
    found: list[Saving | None] = []
    for stream in range(hours.streams):
        week = np.where(hours.holidays[stream], sunday, slot)
        load = values[stream]
        outdoor = _outdoor(hours, stream)
        known = ~np.isnan(load)
        before, after = known[first:change].sum(), known[change:].sum()
        if before < MIN_BEFORE_D * 24 or after < MIN_AFTER_D * 24:
            found.append(None)
            continue
        past = slice(first, change)
        model = towt.fit(week[past], outdoor[past], load[past], WEEK_H)
        usual = model.predict(week, outdoor)
        found.append(_compare(hours, load, usual, model, first, change))
    return found


def _compare(
    hours: Hours, load: Floats, usual: Floats, model: towt.Towt, first: int, change: int
) -> Saving:
    both = ~np.isnan(load) & ~np.isnan(usual)
    after = both.copy()
    after[:change] = False
    would, used = float(usual[after].sum()), float(load[after].sum())
    before = both.copy()
    before[change:] = False
    before[:first] = False
    day = hours.day - hours.day[0]
    error = _daily(day, np.where(before, load - usual, 0.0), before)
    sums = _daily(day, np.where(before, load, 0.0), before)
    cv = float(np.sqrt(np.mean(error**2)) / abs(sums.mean())) if len(sums) else np.nan
    days_after = len(_daily(day, np.where(after, load, 0.0), after))
    share = fraction_uncertain(cv, _lag(error), len(error), days_after)
    last = int(np.flatnonzero(after)[-1]) if after.any() else change
    _, first_of, place = np.unique(hours.day[change:], return_index=True, return_inverse=True)
    daily = np.bincount(place, weights=np.where(after, usual - load, 0.0)[change:])
    return Saving(
        int(hours.start_ms[change]), int(hours.start_ms[last]) + HOUR_MS, would, used,
        would - used, share * abs(would), cv, model.r2, bool(len(model.knots)),
        hours.start_ms[change:][first_of], np.asarray(daily, np.float64), int(after.sum()),
    )  # fmt: skip


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


def _daily(day: Ints, part: Floats, known: Bools) -> Floats:
    """Return sums of the days of which 20 hours are known."""
    count = np.bincount(day, weights=known)
    return np.asarray(np.bincount(day, weights=part)[count >= 20], np.float64)


def _lag(error: Floats) -> float:
    if len(error) < 3 or error.std() == 0:
        return 0.0
    return float(np.corrcoef(error[:-1], error[1:])[0, 1])


def _outdoor(hours: Hours, stream: int) -> Floats:
    if hours.temperature_c is None:
        return np.full(hours.count, np.nan)
    return np.asarray(hours.temperature_c[stream])
