"""Days of the week and times of day on a site's clock: when a rule holds, and when it is quiet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kilowatch.model.lengths import DAY_MS, MINUTE_MS
from kilowatch.model.zones import Zone

DAY_MIN = 1_440
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
_MONDAY = 3  # 1970-01-01 was a Thursday: day number + 3 is 0 on Mondays, modulo 7
_WEEKS_AHEAD_DAYS = 15  # a window that is left may come back a week later, and once more


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows that come back every week, such as Monday to Friday from 22:00 to 06:00.

    A window belongs to the day on which it starts. It is read on the wall clock: on the day of a
    clock change it is an hour shorter or longer, and a time that does not exist is the instant of
    the change.

    Attributes:
        days: Days on which windows start; 0 is Monday.
        from_min: Start, in minutes of the wall clock after midnight [min].
        to_min: End; not after ``from_min`` means on the next day, equal to it a whole day [min].
    """

    days: tuple[int, ...] = EVERY_DAY
    from_min: int = 0
    to_min: int = 0

    @property
    def always(self) -> bool:
        """Whether there is no time outside."""
        return set(self.days) == set(EVERY_DAY) and self.from_min == self.to_min

    def holds(self, at_ms: int, zone: Zone) -> bool:
        """Tell whether an instant is inside a window."""
        return any(start <= at_ms < end for start, end in self._windows(at_ms, zone, ahead=1))

    def next_inside_ms(self, at_ms: int, zone: Zone) -> int | None:
        """Return the first instant from ``at_ms`` on that is inside [ms], or None."""
        starts = [
            max(start, at_ms)
            for start, end in self._windows(at_ms, zone, ahead=_WEEKS_AHEAD_DAYS)
            if end > at_ms
        ]
        return min(starts, default=None)

    def next_outside_ms(self, at_ms: int, zone: Zone) -> int | None:
        """Return the first instant from ``at_ms`` on that is outside [ms], or None."""
        if self.always:
            return None
        for start, end in sorted(self._windows(at_ms, zone, ahead=_WEEKS_AHEAD_DAYS)):
            if start <= at_ms < end:
                at_ms = end
        return at_ms

    def _windows(self, at_ms: int, zone: Zone, *, ahead: int) -> Iterator[tuple[int, int]]:
        today = int(zone.day_index([at_ms])[0])
        for day in range(today - 1, today + ahead + 1):
            if (day + _MONDAY) % 7 not in self.days:
                continue
            over = self.to_min <= self.from_min
            walls = [
                day * DAY_MS + self.from_min * MINUTE_MS,
                (day + over) * DAY_MS + self.to_min * MINUTE_MS,
            ]
            start, end = zone.wall_to_instant_ms(np.array(walls)).at_ms.tolist()
            if start < end:
                yield start, end


def clock_text(minutes: int) -> str:
    """Return minutes after midnight as ``HH:MM``.

    Example:
        >>> clock_text(390)
        '06:30'
    """
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
