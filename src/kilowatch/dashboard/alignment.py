"""Which days lie beside which: the period before, a year before, on the local clock.

Weekdays meet weekdays: a stretch of a week or more moves by whole weeks, and a year by 364 days,
so that as many Mondays are on both sides. Months as buckets can't do that; they meet months.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np

from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import GRAINS, Window, first_grain, window
from kilowatch.model.blocks import Ints
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone

Kind = Literal["previous", "year", "point"]
Aligned = Literal["weekdays", "days", "months", "same"]

WEEK_D = 7
YEAR_D = 364
"""A year of whole weeks: the same weekday, and the date but one or two days [d]."""
LONG_YEAR_D = 365


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address wants to compare with.

    Attributes:
        kind: ``previous``, ``year`` or ``point``.
        point_id: Number of the other data point, for ``point``.
        site_id: Number of another site, in place of a data point.
    """

    kind: Kind
    point_id: int | None = None
    site_id: int | None = None

    @property
    def word(self) -> str:
        """What stands in the address."""
        if self.site_id is not None:
            return f"s{self.site_id}"
        return f"p{self.point_id}" if self.kind == "point" else self.kind


def asked_of(text: str, *, sites: bool = False) -> Asked | None:
    """Read ``compare`` of an address: ``previous``, ``year`` or ``p17``; None for nothing.

    Args:
        text: The word.
        sites: Whether another site, ``s3``, can be compared with.

    Raises:
        KilowatchError: 400 ``bad_compare``.
    """
    if text in ("", "none"):
        return None
    if text in {"previous", "year"}:
        return Asked(text)  # type: ignore[arg-type]
    number = whole_number(text[1:]) if text[:1] in ("p", "s" if sites else "p") else None
    if number is not None and text[0] == "s":
        return Asked("point", site_id=number)
    if number is None:
        raise KilowatchError(
            "bad_compare",
            f"{text!r} is nothing to compare with.",
            remedy="Use previous, year, or p and the number of a data point.",
        )
    return Asked("point", number)


@dataclass(frozen=True, slots=True)
class Shift:
    """How far back the other stretch lies; the local clock stays the same.

    Attributes:
        days: In days [d]; 0 where months count.
        months: In calendar months.
    """

    days: int = 0
    months: int = 0

    @property
    def aligned(self) -> Aligned:
        """What meets what."""
        if self.months:
            return "months"
        if not self.days:
            return "same"
        return "days" if self.days % WEEK_D else "weekdays"

    def moved(self, local_ms: Ints, sign: int) -> Ints:
        """Return local clocks (as if UTC) moved back (-1) or forth (+1), shape (n,) [ms]."""
        if not self.months:
            return local_ms + sign * self.days * DAY_MS
        day = (local_ms // DAY_MS).astype("datetime64[D]")
        month = day.astype("datetime64[M]")
        then = month + sign * self.months
        last = (then + 1).astype("datetime64[D]") - 1
        moved = np.minimum(
            then.astype("datetime64[D]") + (day - month.astype("datetime64[D]")), last
        )
        found: Ints = moved.astype(np.int64) * DAY_MS + local_ms % DAY_MS
        return found

    def instants(self, at_ms: Ints, own: Zone, other: Zone, sign: int) -> Ints:
        """Return the instants at which the other clock shows the same, moved; shape (n,) [ms].

        -1 where the other clock never shows it: the hour that is missing in spring, and the
        second of an hour that comes twice where it comes only once there.
        """
        local = own.local_ms(at_ms)
        twice = own.wall_to_instant_ms(local).at_ms != at_ms
        found = other.wall_to_instant_ms(self.moved(local, sign))
        later = self.moved(local, sign) - other.offsets_ms(found.at_ms + 2 * HOUR_MS)
        there = np.where(twice, np.where(found.ambiguous, later, -1), found.at_ms)
        return np.where(found.nonexistent, -1, there)


def shift_of(kind: Kind, frame: Window) -> Shift:
    """Return how far back a comparison lies, for the days and the buckets that are shown."""
    if kind == "point":
        return Shift()
    days = (frame.last - frame.first).days + 1
    if frame.grain in ("month", "year"):
        months = (
            (frame.last.year - frame.first.year) * 12 + frame.last.month - frame.first.month + 1
        )
        return Shift(months=12 if kind == "year" else months)
    if kind == "year" or frame.period == "year":
        return Shift(days=YEAR_D * max(1, round(days / LONG_YEAR_D)) if days > YEAR_D else YEAR_D)
    return Shift(days=1 if days == 1 else -(-days // WEEK_D) * WEEK_D)


def moved_day(day: date, shift: Shift) -> date:
    """Return the day that lies beside a day."""
    local = np.array([(day.toordinal() - date(1970, 1, 1).toordinal()) * DAY_MS], np.int64)
    moved = int(shift.moved(local, -1)[0]) // DAY_MS
    return date(1970, 1, 1) + timedelta(moved)


def window_beside(
    query: Mapping[str, str], point: DataPoint, other: DataPoint, anchor: date
) -> Window:
    """Read the period as ``periods.window`` does, with granularities that both sides have.

    Raises:
        KilowatchError: What ``periods.window`` finds.
    """
    frame = window(query, point, anchor)
    if other.interval_s <= point.interval_s:
        return frame
    grains = tuple(
        word
        for word, _, length_s in GRAINS
        if word in frame.grains and length_s >= other.interval_s
    )
    if not grains:
        return frame
    asked = query.get("grain")
    first = first_grain(frame.period, grains, point.interval_s, frame.first, frame.last)
    return replace(frame, grains=grains, grain=asked or first)
