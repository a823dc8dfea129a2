"""Hours laid out as local days, to compare an hour with the same hour of other days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.insights.hours import Bools, Hours
from kilowatch.model.blocks import Floats, Ints

WORKDAY, SATURDAY, SUNDAY = 0, 1, 2
"""Classes of days; a public holiday or a site's closed day is lived like a Sunday."""


@dataclass(frozen=True)
class Days:
    """The local days that some hours touch.

    Attributes:
        first: Number of the first day, counted from 1970-01-01.
        weekday: Day of the week, Monday is 0, shape (days,).
        closed: Public holiday or another closed day, shape (streams, days).
        row: Which day each hour lies on, shape (hours,).
        hour: Hour of its local day, shape (hours,).
    """

    first: int
    weekday: Ints
    closed: Bools
    row: Ints
    hour: Ints

    @staticmethod
    def of(hours: Hours) -> Days:
        """Return the days of some hours; at least one hour."""
        row = hours.day - hours.day[0]
        count = int(row[-1]) + 1
        closed = np.zeros((hours.streams, count), np.bool_)
        closed[:, row] = hours.holidays  # a day is closed as its last hour is
        weekday = (hours.day[0] + np.arange(count) + 3) % 7
        return Days(int(hours.day[0]), weekday, closed, row, hours.hour_of_day)

    @property
    def count(self) -> int:
        """Number of days."""
        return len(self.weekday)

    def lay(self, values: Floats) -> Floats:
        """Lay hourly values out, shape (streams, days, 24).

        NaN stands where the clock jumped; of an hour that came twice, the first counts: what
        is said of an hour must not change when it comes again.
        """
        laid = np.full((len(values), self.count, 24), np.nan)
        backward = slice(None, None, -1)
        laid[:, self.row[backward], self.hour[backward]] = values[:, backward]
        return laid

    def pick(self, laid: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Bring values by day and hour, shape (streams, days, 24), back to hours."""
        return laid[:, self.row, self.hour]

    def classes(self) -> Ints:
        """Return each stream's class of each day, shape (streams, days)."""
        by_week = np.select([self.weekday < 5, self.weekday == 5], [WORKDAY, SATURDAY], SUNDAY)
        return np.where(self.closed, SUNDAY, by_week[None])

    def groups(self) -> Iterator[tuple[Ints, Ints]]:
        """Yield (streams, classes of the days) of streams that keep the same calendar."""
        classes = self.classes()
        kinds, which = np.unique(classes, axis=0, return_inverse=True)
        for number, kind in enumerate(kinds):
            yield np.flatnonzero(which.ravel() == number), kind


def low_quantile(stack: Floats, q: float) -> Floats:
    """Return a quantile over the first axis, ignoring NaN; NaN where there is nothing else.

    An element of the sample is taken, never a mean of two: the same sample gives the same
    number to the last bit, in whatever batch it comes.
    """
    ordered = np.sort(stack, axis=0)  # NaN sorts to the end
    known = np.sum(~np.isnan(stack), axis=0)
    index = np.clip(np.round(q * (known - 1)).astype(np.int64), 0, None)
    return np.asarray(np.take_along_axis(ordered, index[None], 0)[0])


def trailing(laid: Floats, count: int, lag: int = 0) -> Floats:
    """Stack each day with the ``count - 1`` days before it, shape (count, streams, days, 24).

    Args:
        laid: Shape (streams, days, 24), days of one class.
        count: How many days.
        lag: Days to skip: 0 begins with the day itself.
    """
    days = laid.shape[1]
    stack = np.full((count, *laid.shape), np.nan)
    for place, back in enumerate(range(lag, lag + count)):
        if back < days:
            stack[place, :, back:] = laid[:, : days - back]
    return stack
