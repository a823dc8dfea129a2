"""Hourly values of many streams on one grid: what all analytics work on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone

WEEK_H = 168
COVERED_MIN = 0.5
"""Share of an hour that must be covered for its mean to stand for the hour."""
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Hours:
    """Consecutive hours of several streams that live by one clock.

    An hour is the shortest time over which a building's use says something about its use: shorter
    intervals are summed up before they come here, and an hour that is not covered is unknown.

    Attributes:
        first_ms: Start of the first hour [ms since 1970, UTC]: a full hour of the local clock.
        values: Mean over each hour, shape (streams, hours) [W, m³/h or the data point's own
            unit]; NaN where there is none.
        zone: The clock that the streams live by.
        holidays: Whether each hour lies on a public holiday or another closed day of its site,
            shape (streams, hours).
        temperature_c: Outdoor temperature, shape (streams, hours) [°C]; NaN where it is not
            known. None where no stream has any.
        estimated: Which hours were filled in and not measured, shape (streams, hours). None
            where none was.

    Raises:
        ValueError: Shapes that do not fit each other.
    """

    first_ms: int
    values: Floats
    zone: Zone
    holidays: Bools
    temperature_c: Floats | None = None
    estimated: Bools | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"values have {self.values.ndim} dimensions, not 2")
        for name in ("holidays", "temperature_c", "estimated"):
            part = getattr(self, name)
            if part is not None and part.shape != self.values.shape:
                raise ValueError(f"{name} have shape {part.shape}, values {self.values.shape}")

    @property
    def streams(self) -> int:
        """Number of streams."""
        return int(self.values.shape[0])

    @property
    def count(self) -> int:
        """Number of hours."""
        return int(self.values.shape[1])

    @cached_property
    def measured(self) -> Floats:
        """Values without those that were filled in, shape (streams, hours)."""
        return (
            self.values if self.estimated is None else np.where(self.estimated, np.nan, self.values)
        )

    @cached_property
    def start_ms(self) -> Ints:
        """Start of each hour, shape (hours,) [ms since 1970, UTC]."""
        return self.first_ms + np.arange(self.count, dtype=np.int64) * HOUR_MS

    @cached_property
    def local_ms(self) -> Ints:
        """Wall clock at each start as if it were UTC, shape (hours,) [ms]."""
        return self.zone.local_ms(self.start_ms)

    @cached_property
    def hour_of_day(self) -> Ints:
        """Hour of the local day, 0 to 23, shape (hours,)."""
        return self.local_ms % DAY_MS // HOUR_MS

    @cached_property
    def day(self) -> Ints:
        """Local day counted from 1970-01-01, shape (hours,)."""
        return self.local_ms // DAY_MS

    @cached_property
    def weekday(self) -> Ints:
        """Day of the local week, Monday is 0, shape (hours,)."""
        return (self.day + 3) % 7  # 1970-01-01 was a Thursday

    @cached_property
    def hour_of_week(self) -> Ints:
        """Hour of the local week, Monday 00:00 is 0, shape (hours,)."""
        return self.weekday * 24 + self.hour_of_day

    def hours(self, first: int, last: int) -> Hours:
        """Return the hours from index ``first`` to before ``last``."""
        part = slice(max(first, 0), last)
        return replace(
            self,
            first_ms=self.first_ms + max(first, 0) * HOUR_MS,
            values=self.values[:, part],
            holidays=self.holidays[:, part],
            temperature_c=None if self.temperature_c is None else self.temperature_c[:, part],
            estimated=None if self.estimated is None else self.estimated[:, part],
        )

    def only(self, streams: Ints | Bools | slice) -> Hours:
        """Return some of the streams."""
        return replace(
            self,
            values=self.values[streams],
            holidays=self.holidays[streams],
            temperature_c=None if self.temperature_c is None else self.temperature_c[streams],
            estimated=None if self.estimated is None else self.estimated[streams],
        )
