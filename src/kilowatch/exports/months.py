"""Months of a period: the first and the last of them are cut to it.

``series_many`` gives whole months that begin in a stretch. The last thirty days in months would so
lack the days before the first of this one, and a period that ends on the tenth have all of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from kilowatch.model.calendar import Zone, grain_end_ms, grain_start_ms

Between = tuple[int, int]


def stretches(period: Between | None, span: Between, zone: Zone) -> Iterator[tuple[Between, bool]]:
    """Return what to read for the months of a slice, each with whether it is part of a month.

    Args:
        period: What was asked for, whole local days [ms since 1970, UTC]; None for everything.
        span: The slice: months that begin in it are its own, and so is what is left of the one in
            which the period begins, if the slice does.
        zone: Of the site.

    Example:
        >>> day_ms, zone = 86_400_000, Zone.of("UTC")
        >>> list(stretches((10 * day_ms, 45 * day_ms), (10 * day_ms, 45 * day_ms), zone))
        [((864000000, 2678400000), True), ((2678400000, 3888000000), True)]
    """
    if period is None:
        yield span, False
        return
    begin, end = period
    first, last = begin, end
    if int(grain_start_ms([begin], "month", zone)[0]) < begin:
        first = int(grain_end_ms([begin], "month", zone)[0])
        if span[0] <= begin:
            yield (begin, min(first, end)), True
    if int(grain_end_ms([end - 1], "month", zone)[0]) > end:
        last = int(grain_start_ms([end - 1], "month", zone)[0])
    if max(first, span[0]) < min(last, span[1]):
        yield (max(first, span[0]), min(last, span[1])), False
    if first <= last < end and span[0] <= last < span[1]:
        yield (last, end), True
