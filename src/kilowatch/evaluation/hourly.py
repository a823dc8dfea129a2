"""Brings a stream to hours: shorter intervals are added up or averaged, longer ones left out."""

from __future__ import annotations

import numpy as np

from kilowatch.evaluation import remarks
from kilowatch.evaluation.rows import Series
from kilowatch.insights.hours import COVERED_MIN, Bools
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import DAY_MS, HOUR_MS, MINUTE_MS
from kilowatch.model.zones import Zone

AROUND = 4
"""The length of an interval is the median distance of this many stamps before and after it: a
change of resolution shows at once, a gap does not."""
STRETCH_MS = 3 * DAY_MS
"""What seems longer than an hour for less than this is hours with gaps between them."""
ALIGNED_MIN = 0.9
"""Share of stamps that lie on the grid of an interval's length, where that is its length."""
FINEST_MS = MINUTE_MS
NEARLY = 0.03
"""By this share the distance of stamps may differ from an hour: clocks of loggers drift."""


def by_hours(series: Series, zone: Zone, *, amount: bool) -> tuple[Series, list[str]]:
    """Return a stream by hours: sums of amounts, means of everything else.

    Shorter intervals are laid on the hours of the local clock. An hour of which a part is missing
    is taken for as much of it as is there, and is unknown where less than half is.

    Args:
        series: As it was measured.
        zone: The clock of the place: hours of half-hour zones begin at :30 UTC.
        amount: Whether values add up.

    Returns:
        The hours, and what was noticed; nothing is left of a stream whose intervals are longer.
    """
    at_ms = series.start_ms
    if len(at_ms) < 2 or _hours_already(at_ms):
        return series, []
    if (at_ms % MINUTE_MS).any() and np.median(np.diff(at_ms)) >= 2 * MINUTE_MS:
        at_ms = (at_ms + MINUTE_MS // 2) // MINUTE_MS * MINUTE_MS  # 00:59:58 is one o'clock
    local_ms = zone.local_ms(at_ms)
    length = lengths(at_ms, local_ms)
    length[np.abs(length - HOUR_MS) <= NEARLY * HOUR_MS] = HOUR_MS
    longer, whole = length > HOUR_MS, length == HOUR_MS
    if longer.all():
        return Series(at_ms[:0], series.values[:0]), [remarks.TOO_COARSE]
    noticed = [remarks.COARSER] if longer.any() else []
    if (length < HOUR_MS).any():
        noticed.append(remarks.FINER)
    begins = local_ms % HOUR_MS  # how long the local hour has lasted
    if whole.any():
        minutes, count = np.unique(at_ms[whole] % HOUR_MS, return_counts=True)
        begins = (at_ms - minutes[np.argmax(count)]) % HOUR_MS
        late = whole & (begins > HOUR_MS // 2)
        begins[late] -= HOUR_MS  # a clock that is a little fast
        if len(minutes) > 1:
            noticed.append(remarks.MOVED)
    known = np.isfinite(series.values) & ~longer
    hour_ms = (at_ms - begins)[known]
    return _together(hour_ms, series.values[known], length[known], amount=amount), noticed


def _hours_already(at_ms: Ints) -> bool:
    """Return whether intervals are hours on one grid, with some gaps."""
    apart = np.diff(at_ms)
    if (apart % HOUR_MS).any() or int(np.median(apart)) != HOUR_MS:
        return False
    odd = np.cumsum(np.pad(apart != HOUR_MS, (AROUND + 1, AROUND)))
    return bool((odd[2 * AROUND + 1 :] - odd[: -2 * AROUND - 1] <= AROUND).all())


def _together(hour_ms: Ints, values: Floats, length: Ints, *, amount: bool) -> Series:
    """Put intervals together that lie in the same hour."""
    hours, place = np.unique(hour_ms, return_inverse=True)
    covered = np.bincount(place, length, minlength=len(hours))
    if amount:
        total = np.bincount(place, values, minlength=len(hours)) * HOUR_MS
    else:
        total = np.bincount(place, values * length, minlength=len(hours))
    enough = covered >= COVERED_MIN * HOUR_MS
    return Series(hours[enough], total[enough] / covered[enough])


def lengths(at_ms: Ints, local_ms: Ints) -> Ints:
    """Return how long each interval is, from the stamps alone, shape (n,) [ms].

    Args:
        at_ms: Starts, rising, at least two, shape (n,) [ms].
        local_ms: The same by the local clock: days of summer and winter begin at one hour of it.
    """
    apart = np.diff(at_ms)
    around = np.pad(np.append(apart, apart[-1]), AROUND, mode="edge")
    seen = np.lib.stride_tricks.sliding_window_view(around, 2 * AROUND + 1)
    length = np.sort(seen, axis=1)[:, AROUND].copy()
    for first, last in _runs(length[1:] != length[:-1]):
        part = slice(first, last)
        length[part] = _of_run((at_ms[part], local_ms[part]), int(length[first]))
    longer = length > HOUR_MS
    for first, last in _runs(longer[1:] != longer[:-1]):
        brief = at_ms[last - 1] - at_ms[first] < STRETCH_MS and last - first < len(at_ms)
        if longer[first] and brief:
            length[first:last] = HOUR_MS
    return length


def _runs(changes: Bools) -> list[tuple[int, int]]:
    edges = np.flatnonzero(changes) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(changes) + 1], strict=True))


def _of_run(clocks: tuple[Ints, Ints], length: int) -> int:
    """Return the length of a run of intervals: a shorter one, where only that has a grid."""
    finer = 0
    for at_ms in clocks:
        count = np.unique(at_ms % length, return_counts=True)[1]
        if count.max() >= ALIGNED_MIN * len(at_ms):
            return length
        finer = max(finer, int(np.gcd.reduce(np.diff(at_ms))))
    return finer if finer >= FINEST_MS else length
