"""Hours laid out as local days, to compare an hour with the same hour of other days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

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


@dataclass(frozen=True)
class Past:
    """Days that some days are compared with: the same kind of day, and not too long ago.

    Attributes:
        rows: The days that may be looked at, in order, shape (n,).
        days: The days that ask, in order, shape (asking,).
        at: Position in ``rows`` of the latest day that each may look at; −1 if there is none,
            shape (asking,).
        reach: How many days back any of them looks at most.
    """

    rows: Ints
    days: Ints
    at: Ints
    reach: int

    @staticmethod
    def of(rows: Ints, days: Ints, reach: int, *, today: bool) -> Past:
        """Let days look back at some rows, today's own among them or not."""
        side: Literal["left", "right"] = "right" if today else "left"
        return Past(rows, days, np.searchsorted(rows, days, side=side) - 1, reach)

    def mean(self, values: Floats, first: int, last: int) -> Floats:
        """Return the mean over the ``first``-th latest to before the ``last``-th latest row.

        Args:
            values: Shape (streams, all days) or (streams, all days, 24).
            first: 0 is the latest.
            last: End.

        Returns:
            Shape (streams, asking) or (streams, asking, 24); NaN where there is no value.
            The sum is taken in the order of ``first`` to ``last``: the same to the last bit in
            whatever batch.
        """
        shape = (len(values), len(self.days), *values.shape[2:])
        total, count = np.zeros(shape), np.zeros(shape)
        if not len(self.rows):
            return np.full(shape, np.nan)
        for back in range(first, last):
            place = self.at - back
            row = self.rows[np.maximum(place, 0)]
            fits = (place >= 0) & (self.days - row <= self.reach)
            if not fits.any():
                break
            part = values[:, row[fits]]
            known = ~np.isnan(part)
            total[:, fits] += np.where(known, part, 0.0)
            count[:, fits] += known
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def lows(self, values: Floats, block: int, blocks: int, ranks: tuple[float, ...],
             first: int) -> list[Floats]:  # fmt: skip
        """Return low quantiles of the means of consecutive blocks of rows, before ``first``."""
        means = [
            self.mean(values, first + block * number, first + block * (number + 1))
            for number in range(blocks)
        ]
        stack = np.stack(means)
        return [low_quantile(stack, rank) for rank in ranks]
