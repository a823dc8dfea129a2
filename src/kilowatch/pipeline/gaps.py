"""Gaps in the data: found as packets are taken in, found again whenever a stream is recomputed.

A gap is as much a figure of a stream's grid as an interval is: it rests on the readings, the
registered interval and the clock, and belongs to one generation. So imported history has its gaps
like live data, and a backfill that fills one removes it. All of them are held in memory, 32 bytes
each, and stored with the stream's state: a calendar of 10,000 data points reads no table.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kilowatch.model.blocks import Floats, Ints, ReadingBlock
from kilowatch.model.gaps import Gap, GapDay, PointGaps
from kilowatch.model.lengths import DAY_S, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import FIRST_DAY, Zone
from kilowatch.pipeline.grids import Bools, PointGrid

GAPS_MAX = 20_000
"""Of one stream. Beyond it neighbours are joined two by two: times blur, sums stay right."""

_NONE: Ints = np.empty((0, 4), np.int64)


class Found(NamedTuple):
    """Gaps that new readings show.

    Attributes:
        by_series: Rows of from, to, holes and missing time [ms], rising, shape (k, 4).
        inside: By series, instants of new readings that lie before one known earlier [ms]:
            a gap around one of them is not what it was.
    """

    by_series: dict[int, Ints]
    inside: dict[int, list[int]]


NO_GAPS = Found({}, {})


def find_gaps(
    readings: ReadingBlock, effective_ms: Ints, fresh: Bools, grids: Mapping[int, PointGrid]
) -> Found:
    """Return the gaps that end with new readings.

    Args:
        readings: Context and new readings, sorted by series and instant.
        effective_ms: Their effective instants, shape (n,) [ms].
        fresh: Which of them are new, shape (n,).
        grids: Settings by series.
    """
    if len(readings) < 2:
        return NO_GAPS
    series = readings.series
    starts = np.flatnonzero(np.append(True, series[1:] != series[:-1]))
    points = [grids[key].point for key in series[starts].tolist()]
    of_row = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(series)))
    # One pass over the streams: with 5,000 of them in a batch two calls for each would tell.
    limit_ms, covers_ms = _limits_ms(
        np.array([(one.interval_s, one.tolerance_s, one.behaviour == "register") for one in points])
    )
    limit_ms, covers_ms = limit_ms[of_row], covers_ms[of_row]
    for number, point in enumerate(points):
        if point.history.periods:
            rows = slice(int(starts[number]), int(np.append(starts, len(series))[number + 1]))
            limit_ms[rows], covers_ms[rows] = _dated_limits_ms(point, effective_ms[rows])
    same = series[1:] == series[:-1]
    distance_ms = effective_ms[1:] - effective_ms[:-1]
    ends = np.flatnonzero(same & fresh[1:] & (distance_ms > limit_ms[1:])) + 1
    before = np.flatnonzero(same & fresh[:-1] & ~fresh[1:])
    found: dict[int, list[tuple[int, int, int, int]]] = {}
    for row in ends.tolist():
        from_ms, to_ms = int(effective_ms[row - 1]), int(effective_ms[row])
        missing_ms = to_ms - from_ms - int(covers_ms[row])
        found.setdefault(int(series[row]), []).append((from_ms, to_ms, 1, max(missing_ms, 0)))
    inside: dict[int, list[int]] = {}
    for row in before.tolist():
        inside.setdefault(int(series[row]), []).append(int(effective_ms[row]))
    return Found({key: np.array(rows, np.int64) for key, rows in found.items()}, inside)


def _dated_limits_ms(point: DataPoint, at_ms: Ints) -> tuple[Ints, Ints]:
    """Return the limits of each reading and the one before it, of the periods they lie in [ms].

    Over the beginning of a period the longer of both intervals is allowed: whichever rhythm the
    meter was in, nothing is missing before that.

    Args:
        point: A data point whose settings are dated.
        at_ms: Effective instants of its readings in a row, shape (n,) [ms].
    """
    periods = point.history.periods
    limit_ms, covers_ms = _limits_ms(
        np.array([(p.interval_s, p.tolerance_s, p.behaviour == "register") for p in periods])
    )
    stamp_end = np.array([period.stamp == "end" for period in periods])
    own = _periods_about(point, at_ms)
    before = np.concatenate([own[:1], own[:-1]])
    covered = np.where(stamp_end[before], 0, covers_ms[before])
    covered += np.where(stamp_end[own], covers_ms[own], 0)
    return np.maximum(limit_ms[before], limit_ms[own]), covered


def _periods_about(point: DataPoint, at_ms: Ints) -> Ints:
    """Return the number of the period that a sample stamped ``at_ms`` is about, shape (n,)."""
    periods = point.history.periods
    from_ms = np.array([period.from_ms for period in periods], np.int64)
    stamp_end = np.array([period.stamp == "end" for period in periods])
    own = np.maximum(np.searchsorted(from_ms, at_ms, side="right") - 1, 0)
    before = np.maximum(own - 1, 0)
    return np.where(stamp_end[own] & (at_ms == from_ms[own]), before, own)


def _stamped_end(point: DataPoint, at_ms: Ints) -> Bools:
    """Tell of a dated data point's packets which are stamped at the end of their interval."""
    stamp_end = np.array([period.stamp == "end" for period in point.history.periods])
    return np.asarray(stamp_end[_periods_about(point, at_ms)])


def _limits_ms(settings: Floats) -> tuple[Ints, Ints]:
    """Return the longest time that is no gap, and what a packet at its end speaks for [ms].

    A day, and so a month, can be an hour longer than registered.

    Args:
        settings: Interval [s], tolerance [s] and whether it is a register, shape (streams, 3).
    """
    interval_s, tolerance_s, register = settings.T
    longest_ms = np.round((interval_s + tolerance_s) * 1000)
    longest_ms += np.where(interval_s >= DAY_S, HOUR_MS, 0)
    speaks_ms = np.where(register != 0, 0, interval_s * 1000)
    return longest_ms.astype(np.int64), speaks_ms.astype(np.int64)


def covered_ms(point: DataPoint) -> int:
    """Return how much of a gap a packet at its end still speaks for [ms]."""
    return 0 if point.behaviour == "register" else point.interval_s * 1000


class Gaps:
    """Every stream's gaps; one thread changes them, any thread reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[int, Ints] = {}
        self._changed: set[int] = set()

    def load(self, packed: Iterable[tuple[int, bytes]]) -> None:
        """Take over what is stored."""
        for series, rows in packed:
            self._rows[series] = np.frombuffer(rows, np.int64).reshape(-1, 4)

    def of(self, series: int) -> Ints:
        """Return a stream's gaps: from, to, holes, missing time [ms], rising, shape (n, 4)."""
        return self._rows.get(series, _NONE)

    def add(self, series: int, new: Ints) -> None:
        """Add gaps behind those that are known; what is known already changes nothing."""
        self._put(series, joined(self.of(series), new))

    def replace(self, series: int, rows: Ints) -> None:
        """Put a recomputed stream's gaps in place of the old ones."""
        if len(rows) or len(self.of(series)):
            self._put(series, rows)

    def _put(self, series: int, rows: Ints) -> None:
        with self._lock:
            self._rows[series] = rows
            self._changed.add(series)

    def around(self, series: int, at_ms: Iterable[int]) -> bool:
        """Tell whether one of some instants lies inside a gap."""
        rows = self.of(series)
        return any(bool(((rows[:, 0] < one) & (one < rows[:, 1])).any()) for one in at_ms)

    def take_changed(self) -> dict[int, bytes]:
        """Return what is to be stored, and take it for stored."""
        with self._lock:
            changed, self._changed = self._changed, set()
            return {series: self._rows[series].tobytes() for series in changed}

    def give_back(self, series: Iterable[int]) -> None:
        """Note that streams could not be stored."""
        with self._lock:
            self._changed.update(series)


def joined(known: Ints, new: Ints) -> Ints:
    """Return gaps with later ones behind them; those that touch become one.

    Example:
        >>> joined(np.array([[0, 10, 1, 9]]), np.array([[0, 10, 1, 9], [10, 25, 1, 14]])).tolist()
        [[0, 25, 2, 23]]
    """
    rows = known.tolist()
    for from_ms, to_ms, holes, missing_ms in new.tolist():
        if rows and to_ms <= rows[-1][1]:
            continue
        if rows and from_ms == rows[-1][1]:
            first = rows[-1]
            rows[-1] = [first[0], to_ms, first[2] + holes, first[3] + missing_ms]
        else:
            rows.append([from_ms, to_ms, holes, missing_ms])
    if len(rows) > GAPS_MAX:
        pairs = zip(rows[0:-1:2], rows[1::2], strict=True)
        last = rows[-1:] if len(rows) % 2 else []
        rows = [[a[0], b[1], a[2] + b[2], a[3] + b[3]] for a, b in pairs] + last
    return np.array(rows, np.int64).reshape(-1, 4)


def gaps_of(point: DataPoint, rows: Ints, from_ms: int, to_ms: int) -> list[Gap]:
    """Return a data point's gaps that touch [from_ms, to_ms)."""
    mine = (rows[:, 0] < to_ms) & (rows[:, 1] > from_ms)
    return [Gap(point.series, *row) for row in rows[mine].tolist()]


@dataclass(frozen=True, slots=True)
class Missing:
    """Time without data, one row a gap: ``share`` of the time from ``from_ms`` to ``to_ms``.

    Every array has shape (n,); ``series`` is the number of the data point in a list.
    """

    point: Ints
    from_ms: Ints
    to_ms: Ints
    share: Floats


def missing_of(points: Sequence[DataPoint], rows: Sequence[Ints]) -> Missing:
    """Return when data of some points is missing.

    Args:
        points: The data points, with the settings that the gaps were found with.
        rows: The gaps of each, as ``Gaps.of`` returns them.
    """
    lengths = [len(one) for one in rows]
    table = np.concatenate([_NONE, *rows])
    point = np.repeat(np.arange(len(points)), lengths)
    from_ms, to_ms, holes, missing_ms = table.T
    stamped_end = np.array([one.stamp == "end" for one in points], np.bool_)[point]
    for number, one in enumerate(points):
        if one.history.periods and lengths[number]:
            own = point == number
            stamped_end[own] = _stamped_end(one, from_ms[own])
    alone = holes == 1
    begin = np.where(alone & ~stamped_end, to_ms - missing_ms, from_ms)
    end = np.where(alone & stamped_end, from_ms + missing_ms, to_ms)
    length = np.maximum(end - begin, 1)
    return Missing(point, begin, end, np.minimum(missing_ms / length, 1.0))


def days_of(
    points: Sequence[DataPoint], missing: Missing, from_ms: int, to_ms: int
) -> list[GapDay]:
    """Return what is missing on each local day with a gap in [from_ms, to_ms), sorted.

    Args:
        points: The data points.
        missing: When their data is missing.
        from_ms: Where the time begins [ms since 1970, UTC].
        to_ms: Where it ends [ms since 1970, UTC].
    """
    begin, end = np.maximum(missing.from_ms, from_ms), np.minimum(missing.to_ms, to_ms)
    rows = np.flatnonzero(end > begin)
    zones = [point.history.zone_name(point.zone) for point in points]
    names = {name: number for number, name in enumerate(zones)}
    zone_of = np.array([names[name] for name in zones], np.int64)[missing.point[rows]]
    parts: list[tuple[Ints, Ints, Floats]] = []
    for name, number in names.items():
        own = rows[zone_of == number]
        zone = Zone.of(name)
        first, last = zone.day_index(begin[own]), zone.day_index(end[own] - 1)
        starts = zone.day_starts_ms
        # Each gap is laid out as a row a day.
        count = last - first + 1
        row = np.repeat(own, count)
        day = np.repeat(first + count - np.cumsum(count), count) + np.arange(len(row))
        opens = np.maximum(begin[row], starts[day - FIRST_DAY])
        closes = np.minimum(end[row], starts[day + 1 - FIRST_DAY])
        parts.append((day, missing.point[row], (closes - opens) * missing.share[row]))
    if not parts:
        return []
    day, point, lost_ms = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(day):
        return []
    first_day = int(day.min())
    place = day - first_day
    gaps = np.bincount(place)
    lost = np.bincount(place, weights=lost_ms)
    has_gap = np.zeros((len(gaps), len(points)), np.bool_)
    has_gap[place, point] = True
    with_gap = np.count_nonzero(has_gap, axis=1)
    dates = (np.arange(len(gaps)) + first_day).astype("datetime64[D]").astype(object)
    return [
        GapDay(dates[one], int(with_gap[one]), int(gaps[one]), round(float(lost[one])))
        for one in np.flatnonzero(gaps).tolist()
    ]


def totals_of(
    points: Sequence[DataPoint], missing: Missing, from_ms: int, to_ms: int
) -> dict[int, PointGaps]:
    """Return what each data point misses in [from_ms, to_ms), by series; only those with a gap.

    Args:
        points: The data points.
        missing: When their data is missing.
        from_ms: Where the time begins [ms since 1970, UTC].
        to_ms: Where it ends [ms since 1970, UTC].
    """
    begin, end = np.maximum(missing.from_ms, from_ms), np.minimum(missing.to_ms, to_ms)
    inside = end > begin
    point, lost_ms = missing.point[inside], ((end - begin) * missing.share)[inside]
    gaps = np.bincount(point, minlength=len(points))
    lost = np.bincount(point, weights=lost_ms, minlength=len(points))
    return {
        points[one].series: PointGaps(int(gaps[one]), round(float(lost[one])))
        for one in np.flatnonzero(gaps).tolist()
    }
