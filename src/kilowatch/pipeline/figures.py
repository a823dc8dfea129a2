"""Figures of some streams at a granularity: roll-ups, the rest of them, and the hot tail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_S, HOUR_S
from kilowatch.model.points import MONTH_S
from kilowatch.model.zones import Zone
from kilowatch.pipeline.answers import Grain
from kilowatch.pipeline.closing import rolled_grains
from kilowatch.pipeline.computed import Other, computed_rows, no_other
from kilowatch.pipeline.editing import Computed, edited
from kilowatch.pipeline.frames import Frame
from kilowatch.pipeline.hot import HotView
from kilowatch.pipeline.rollups import roll_up
from kilowatch.store.newest import newest_intervals
from kilowatch.store.store import Reads, RollUp

_NAMED = {
    "hour": HOUR_S, "day": DAY_S, "week": 7 * DAY_S, "month": MONTH_S, "year": 366 * DAY_S,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """One stream as readers see it at one moment.

    Attributes:
        generation: Of its grid.
        interval_s: Of its grid, the shortest that it ever had [s].
        zone: Of its site.
        hour_ms: Stored hours reach to here.
        day_ms: Stored local days reach to here.
        frame: What its intervals are edited with; None if with nothing.
        channels: Channels that have ever had rows.
    """

    generation: int
    interval_s: int
    zone: Zone
    hour_ms: int
    day_ms: int
    frame: Frame | None = None
    channels: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked for.

    Attributes:
        channels: Channel codes; None is all.
        from_ms: First start [ms].
        to_ms: First start that is not wanted [ms].
        grain: Length of the buckets.
    """

    channels: Sequence[int] | None
    from_ms: int
    to_ms: int
    grain: Grain


def figures(
    reads: Reads,
    hot: HotView,
    streams: Mapping[int, Shown],
    span: Span,
    other: Other = no_other,
) -> IntervalBlock:
    """Return the buckets with data that start in the span, sorted by series, channel and start.

    A bucket that starts in the span is whole, also where its end lies outside.

    Args:
        reads: The store.
        hot: The tail as it was when ``streams`` was looked at.
        streams: By series.
        span: Which buckets.
        other: Reads the rows of a sister meter.

    Raises:
        KilowatchError: 400 ``bad_grain``; 503 from the store.
    """
    groups: dict[tuple[bool, RollUp | None, Zone], dict[int, Shown]] = {}
    for series, shown in streams.items():
        key = (_is_rolled(span.grain, shown), _base(span.grain, shown), shown.zone)
        groups.setdefault(key, {})[series] = shown
    parts = []
    for (rolled, base, zone), some in groups.items():
        ask = _Ask(reads, hot, some, _whole_buckets(span, zone) if rolled else span, other)
        rows = ask.intervals(ask.bounds(span.from_ms)) if base is None else ask.rolled(base)
        if rolled and span.grain not in {base, "interval"}:
            rows = roll_up(rows, span.grain, zone)
        parts.append(rows)
    return newest_intervals(IntervalBlock.concatenate(parts))


@dataclass(frozen=True, slots=True)
class _Ask:
    """One question about streams of one zone that rest on the same stored rows."""

    reads: Reads
    hot: HotView
    streams: Mapping[int, Shown]
    span: Span
    other: Other

    def bounds(self, at_ms: int) -> dict[int, int]:
        """Return one instant for every stream."""
        return dict.fromkeys(self.streams, at_ms)

    def intervals(self, from_ms: Mapping[int, int]) -> IntervalBlock:
        """Return interval rows from each stream's own instant on, stored or hot, edited."""
        frames = {
            series: frame
            for series in from_ms
            if (frame := self.streams[series].frame) is not None
            and from_ms[series] < self.span.to_ms
        }
        if not frames:
            return self._computed(from_ms)
        plain = {series: at_ms for series, at_ms in from_ms.items() if series not in frames}
        spans = {series: (from_ms[series], self.span.to_ms) for series in frames}
        generations = {series: self.streams[series].generation for series in frames}
        channels = {series: self._channels(series, frame) for series, frame in frames.items()}
        reads, hot, asked = self.reads, self.hot, self.span.channels
        beside: set[int] = set()
        if asked is not None:
            beside = set().union(*(frame.beside(asked) for frame in frames.values()))
        chosen = None if asked is None else [*{*asked, *beside}]
        computed = Computed(
            lambda some: computed_rows(reads, hot, generations, chosen, some), self.other
        )
        rows = edited(computed, frames, spans, channels).rows
        if asked is not None and not beside <= set(asked):
            rows = rows.take(np.isin(rows.channel, list(asked)))
        return IntervalBlock.concatenate([self._computed(plain), rows])

    def _channels(self, series: int, frame: Frame) -> frozenset[int]:
        """Return the channels that were asked for and that the stream has, or was given."""
        known = self.streams[series].channels | frame.given
        asked = self.span.channels
        return known if asked is None else known.intersection(asked)

    def _computed(self, from_ms: Mapping[int, int]) -> IntervalBlock:
        """Return interval rows of streams that have nothing to edit."""
        to_ms, channels = self.span.to_ms, self.span.channels
        some = {series: at_ms for series, at_ms in from_ms.items() if at_ms < to_ms}
        if not some:
            return IntervalBlock.empty()
        generations = {series: self.streams[series].generation for series in some}
        first_ms = min(some.values())
        hot = self.hot.intervals(generations, channels, first_ms, to_ms)
        same = len(set(some.values())) == 1
        if not same and len(hot):
            keys = np.array(sorted(some), np.int64)
            own = np.array([some[key] for key in keys.tolist()], np.int64)
            hot = hot.take(hot.start_ms >= own[np.searchsorted(keys, hot.series)])
        stored = self.reads.intervals(generations, channels, first_ms if same else some, to_ms)
        return newest_intervals(IntervalBlock.concatenate([stored, hot]))

    def rolled(self, base: RollUp) -> IntervalBlock:
        """Return hours or days: the stored ones, and those that are open, computed now."""
        span = self.span
        zone = next(iter(self.streams.values())).zone
        reached = {
            series: shown.hour_ms if base == "hour" else shown.day_ms
            for series, shown in self.streams.items()
        }
        opened = {series: max(span.from_ms, at_ms) for series, at_ms in reached.items()}
        if base == "hour":
            stored = self._stored(base, self.bounds(span.from_ms), reached)
            rest = self.intervals(opened)
        else:
            hours = {
                series: max(at_ms, self.streams[series].hour_ms) for series, at_ms in opened.items()
            }
            stored, of_hours = self._days_then_hours(opened, hours)
            # By way of hours, as the stored days: the same sums in the same order, to the bit.
            rest = IntervalBlock.concatenate(
                [of_hours, roll_up(self.intervals(hours), "hour", zone)]
            )
        return IntervalBlock.concatenate([stored, roll_up(rest, base, zone)])

    def _days_then_hours(
        self, opened: Mapping[int, int], hours: Mapping[int, int]
    ) -> tuple[IntervalBlock, IntervalBlock]:
        """Return the stored days of each stream up to its own instant, and stored hours from it."""
        from_ms, to_ms = self.span.from_ms, self.span.to_ms
        until = {series: min(at_ms, to_ms) for series, at_ms in hours.items()}
        middle = {series: min(at_ms, to_ms) for series, at_ms in opened.items()}
        some = [series for series in opened if from_ms < until[series]]
        if not some:
            return IntervalBlock.empty(), IntervalBlock.empty()
        generations = {series: self.streams[series].generation for series in some}
        middle, until = ({s: bound[s] for s in some} for bound in (middle, until))
        channels = self.span.channels
        if all(middle[series] == until[series] for series in some):
            days = self.reads.rollups("day", generations, channels, from_ms, middle)
            return days, IntervalBlock.empty()
        return self.reads.days_then_hours(generations, channels, from_ms, middle, until)

    def _stored(
        self, grain: RollUp, from_ms: Mapping[int, int], until_ms: Mapping[int, int]
    ) -> IntervalBlock:
        to_ms = self.span.to_ms
        some = {s: at_ms for s, at_ms in from_ms.items() if at_ms < min(until_ms[s], to_ms)}
        if not some:
            return IntervalBlock.empty()
        return self.reads.rollups(
            grain,
            {series: self.streams[series].generation for series in some},
            self.span.channels,
            some,
            {series: min(until_ms[series], to_ms) for series in some},
        )


def _whole_buckets(span: Span, zone: Zone) -> Span:
    """Return the span from the first bucket that starts in it to the end of the last one."""
    grain = span.grain
    assert grain != "interval"
    first = int(grain_start_ms([span.from_ms], grain, zone)[0])
    if first < span.from_ms:
        first = int(grain_end_ms([span.from_ms], grain, zone)[0])
    return replace(span, from_ms=first, to_ms=int(grain_end_ms([span.to_ms - 1], grain, zone)[0]))


def _is_rolled(grain: Grain, shown: Shown) -> bool:
    """Say whether the buckets are longer than the stream's intervals."""
    length_s = _length_s(grain)
    return length_s is not None and length_s > shown.interval_s


def _base(grain: Grain, shown: Shown) -> RollUp | None:
    """Return the stored roll-up that a granularity is made of; None for the intervals."""
    length_s = _length_s(grain)
    rolled = rolled_grains(shown.interval_s)
    if length_s is None or length_s <= shown.interval_s:
        return None
    if length_s % DAY_S == 0 and "day" in rolled:
        return "day"
    if length_s % HOUR_S == 0 and length_s < DAY_S and "hour" in rolled:
        return "hour"
    return None


def _length_s(grain: Grain) -> int | None:
    """Return about how long a bucket is [s]; None for the stream's own interval.

    Raises:
        KilowatchError: 400 ``bad_grain``.
    """
    if grain == "interval":
        return None
    if isinstance(grain, int) and grain > 0:
        return grain
    if grain in _NAMED:
        return _NAMED[str(grain)]
    raise KilowatchError(
        "bad_grain",
        f"{grain!r} is not a granularity.",
        remedy="Use interval, hour, day, week, month, year or a number of seconds.",
        data={"grain": grain},
    )
