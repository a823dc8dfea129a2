"""Edited intervals: what was computed, judged by rules, gaps estimated, corrections made.

The store keeps intervals as they were computed. What is made of them here is a function of those
rows, the rules and the corrections, so that whoever needs intervals applies it: a reader to what it
shows, the pipeline to what it rolls up. Nothing is ever written over, and a correction that is
undone leaves no trace in any figure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from kilowatch.model.blocks import IntervalBlock, Quality
from kilowatch.model.editing import Correction, Method
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import AP, GAS_ENERGY, PC, PE, VALUE
from kilowatch.model.units import UNITS
from kilowatch.pipeline.estimation import (
    REFERENCE_MS,
    WEEKS,
    Estimate,
    fill,
    linear,
    profile,
    sister,
    spread,
)
from kilowatch.pipeline.frames import Figure, Frame, Spans
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.slots import Slots
from kilowatch.pipeline.totals import changed, integrated, phases_of, summed, touching
from kilowatch.pipeline.validation import Event, events_of, judged

JUDGED = (VALUE, PC, PE)
"""Channels that validation rules look at: what is billed. Phases follow their total."""


@dataclass(frozen=True, slots=True)
class Computed:
    """Where rows come from as they were computed.

    Attributes:
        own: Rows of the streams asked for, in spans, sorted by series, channel and start.
        other: Rows of one more stream, a sister, in [from_ms, to_ms) [ms], all channels.
    """

    own: Callable[[Spans], IntervalBlock]
    other: Callable[[int, int, int], IntervalBlock]


@dataclass(frozen=True, slots=True)
class Edited:
    """What was asked for.

    Attributes:
        rows: In the spans, sorted by series, channel and start.
        events: By series, runs of violated rules in its span.
        failures: By series, why it could not be edited; its rows are the computed ones.
    """

    rows: IntervalBlock
    events: Mapping[int, list[Event]]
    failures: Mapping[int, str]


def edited(
    computed: Computed,
    frames: Mapping[int, Frame],
    spans: Spans,
    channels: Mapping[int, Collection[int]],
) -> Edited:
    """Return the intervals of some streams, edited.

    Args:
        computed: Where rows come from; limited to the channels that are wanted.
        frames: By series.
        spans: By series, what is wanted.
        channels: By series, the channels that can be there, also where no row is.
    """
    windows = {series: frames[series].window(*span) for series, span in spans.items()}
    rows = computed.own(windows)
    bounds = np.searchsorted(rows.series, [*sorted(spans), np.iinfo(np.int64).max])
    parts: list[IntervalBlock] = []
    events: dict[int, list[Event]] = {}
    failures: dict[int, str] = {}
    for number, series in enumerate(sorted(spans)):
        own = rows.take(slice(int(bounds[number]), int(bounds[number + 1])))
        stream = _Stream(series, frames[series], computed, spans[series], windows[series])
        there = sorted({*channels.get(series, ()), *np.unique(own.channel).tolist()})
        try:
            found = [stream.channel(one, own) for one in there]
        except KilowatchError:
            raise  # the store can't be read: later it can
        except Exception as error:  # noqa: BLE001 - one stream's rules must not stop the others
            failures[series] = f"{type(error).__name__}: {error}"
            parts.append(own.take(_starts_within(own, *spans[series])))
            continue
        parts += [part for part, _ in found]
        if any(some for _, some in found):
            events[series] = [event for _, some in found for event in some]
    return Edited(IntervalBlock.concatenate(parts), events, failures)


@dataclass(frozen=True, slots=True)
class _Stream:
    """One stream in its window."""

    series: int
    frame: Frame
    computed: Computed
    span: tuple[int, int]
    window: tuple[int, int]
    _read: dict[tuple[int, int, int], IntervalBlock] = field(default_factory=dict)

    def channel(self, channel: int, own: IntervalBlock) -> tuple[IntervalBlock, list[Event]]:
        """Return one channel's rows in the span, edited, and the events in it.

        Args:
            channel: Which.
            own: Rows of all channels in the window.
        """
        rows, events = self._corrected(channel, own, by_rule=True)
        return rows.take(_starts_within(rows, *self.span)), events

    def _corrected(
        self, channel: int, own: IntervalBlock, *, by_rule: bool
    ) -> tuple[IntervalBlock, list[Event]]:
        """Return one channel's rows in the window, with or without what a rule estimates."""
        frame, editing = self.frame, self.frame.editing
        # What is corrected of a volume of gas is corrected of its energy.
        named = {channel, VALUE} if channel == GAS_ENERGY else {channel}
        mine = [c for c in editing.corrections if any(map(c.concerns, named))]
        mine = [c for c in mine if c.overlaps(*self.window)]
        rows = self._of_parts(channel, own)
        events: list[Event] = []
        if channel == GAS_ENERGY:
            rows = self._judged_as(own.take(own.channel == VALUE), rows, mine)
        else:
            rows, events = self._judged(channel, rows, mine)
        if frame.figure(channel) != "ratio":
            for correction in mine:
                if correction.kind in {"fill", "spread"}:
                    rows = self._estimated(channel, rows, correction)
            if by_rule and editing.rules.estimate_up_to_s is not None:
                rows = self._estimated_by_rule(channel, rows, mine)
            for correction in mine:
                if correction.kind == "edit":
                    rows = self._with_value(channel, rows, correction)
        return rows, events

    def _of_parts(self, channel: int, own: IntervalBlock) -> IntervalBlock:
        """Return a channel's rows as computed; a total's as they follow from corrected parts."""
        rows = own.take(own.channel == channel)
        corrections = [c for c in self.frame.editing.corrections if c.overlaps(*self.window)]
        if named := touching(corrections, phases_of(channel)):
            phases, starts = [], np.empty(0, np.int64)
            for phase in phases_of(channel):
                after, _ = self._corrected(phase, own, by_rule=False)
                starts = np.union1d(starts, changed(own.take(own.channel == phase), after, named))
                phases.append(after)
            rows = summed(rows, phases, starts)
        if channel in {PC, PE} and (named := touching(corrections, (AP, *phases_of(AP)))):
            power, _ = self._corrected(AP, own, by_rule=False)
            starts = changed(own.take(own.channel == AP), power, named)
            rows = integrated(rows, power, starts, exported=channel == PE)
        return rows

    def _judged(
        self, channel: int, rows: IntervalBlock, corrections: list[Correction]
    ) -> tuple[IntervalBlock, list[Event]]:
        rules = self.frame.editing.rules
        confirmed = np.zeros(len(rows), np.bool_)
        for correction in corrections:
            if correction.kind == "confirm":
                confirmed |= _starts_within(rows, correction.from_ms, correction.to_ms)
        judging = channel in JUDGED and rules.judge
        if not len(rows) or not (judging or confirmed.any()):
            return rows, []
        quality, events = rows.quality.copy(), []
        quality[confirmed & (quality == Quality.QUESTIONABLE)] = Quality.VALID
        if judging:
            bits = judged(rows, rules, self.frame.intervals_ms(rows.start_ms))
            bits[confirmed] = 0
            quality[bits != 0] = np.maximum(quality[bits != 0], Quality.QUESTIONABLE)
            inside = _starts_within(rows, *self.span)
            events = events_of(rows.take(inside), bits[inside], rules)
        return replace(rows, quality=quality), events

    def _judged_as(
        self, volume: IntervalBlock, rows: IntervalBlock, corrections: list[Correction]
    ) -> IntervalBlock:
        """Return rows of an energy with the quality that rules and people give their volume."""
        judged_volume, _ = self._judged(VALUE, volume, corrections)
        if judged_volume is volume or not len(rows):
            return rows
        place = np.searchsorted(volume.start_ms, rows.start_ms)
        place = np.minimum(place, len(volume) - 1)
        same = volume.start_ms[place] == rows.start_ms
        return replace(rows, quality=np.where(same, judged_volume.quality[place], rows.quality))

    def _estimated(
        self, channel: int, rows: IntervalBlock, correction: Correction
    ) -> IntervalBlock:
        def write(slots: Slots) -> None:
            estimate = None
            if not slots.uncovered_ms.any() and not np.nan_to_num(slots.rows.unallocated).any():
                return  # nothing is missing: no other rows need to be read
            if correction.method is not None:
                estimate = self._estimate(channel, slots, rows, correction)
            told = self._told(channel, rows, slots)
            spread(slots, estimate)
            if correction.kind == "fill" and estimate is not None:
                fill(slots, estimate, told)

        return self._rewritten(channel, rows, correction.from_ms, correction.to_ms, write)

    def _told(self, channel: int, rows: IntervalBlock, slots: Slots) -> Bools:
        """Return the slots that may be filled: of a register none that its next figure will tell.

        What it counted across a gap will be known when it speaks again; an estimate beside that
        would count twice.
        """
        everything = np.ones(len(slots), np.bool_)
        counting = self.frame.counts(channel, slots.rows.start_ms)
        if not counting.any():
            return everything
        before = np.flatnonzero(rows.start_ms < slots.rows.start_ms[0])
        if len(before) and rows.quality[before[-1]] == Quality.DERIVED:
            return everything
        block, number = slots.rows, np.arange(len(slots))
        # A reading ends what was before its interval, and begins what comes after in it.
        ends = (np.nan_to_num(block.unallocated) != 0) | (block.quality == Quality.QUESTIONABLE)
        last = max(
            np.flatnonzero(ends).max(initial=-1), np.flatnonzero(block.count).max(initial=0) - 1
        )
        return np.asarray((number <= last) | ~counting)

    def _estimated_by_rule(
        self, channel: int, rows: IntervalBlock, corrections: list[Correction]
    ) -> IntervalBlock:
        """Estimate gaps that are short enough, unless a person has accepted them."""
        frame, rules = self.frame, self.frame.editing.rules
        assert rules.estimate_up_to_s is not None
        if frame.kind == "electrical" and frame.figure(channel) == "gauge":
            return rows  # nobody needs a voltage that nobody measured
        up_to_ms = rules.estimate_up_to_s * 1000
        accepted = [c for c in corrections if c.kind == "accept"]
        method: Method = rules.estimate_method
        told = rows.take(np.nan_to_num(rows.unallocated) != 0)
        after = (told.start_ms + told.duration_ms).tolist()
        for end_ms, after_ms in zip(told.start_ms.tolist(), after, strict=True):
            if any(c.overlaps(end_ms, after_ms) for c in accepted):
                continue

            begin_ms = end_ms - up_to_ms - frame.interval_ms
            write = partial(self._spread_by_rule, method, channel, up_to_ms)
            rows = self._rewritten(channel, rows, begin_ms, end_ms + 1, write)
        for from_ms, to_ms in self._holes(channel, rows, up_to_ms):
            if any(c.overlaps(from_ms, to_ms) for c in accepted):
                continue
            complete = partial(self._fill_by_rule, method, channel, rows)
            rows = self._rewritten(channel, rows, from_ms, to_ms, complete)
        return rows

    def _spread_by_rule(self, method: Method, channel: int, up_to_ms: int, slots: Slots) -> None:
        even = method == "linear"
        shape = None if even else self._by(method, channel, slots, slots.rows, None)
        spread(slots, shape, up_to_ms)

    def _fill_by_rule(
        self, method: Method, channel: int, rows: IntervalBlock, slots: Slots
    ) -> None:
        fill(slots, self._by(method, channel, slots, rows, None))

    def _holes(self, channel: int, rows: IntervalBlock, longest_ms: int) -> list[tuple[int, int]]:
        """Return from where to where there is no row, up to a length [ms].

        Of a register only where its energy comes from power: else its next figure tells.
        """
        if len(rows) <= 1:
            return []
        end_ms = rows.start_ms + rows.duration_ms
        length_ms = rows.start_ms[1:] - end_ms[:-1]
        hole = (length_ms > 0) & (length_ms <= longest_ms)
        counting = self.frame.counts(channel, rows.start_ms)
        derived = rows.quality == Quality.DERIVED
        hole &= ~(counting[1:] & counting[:-1]) | (derived[1:] & derived[:-1])
        places = np.flatnonzero(hole)
        return list(zip(end_ms[places].tolist(), rows.start_ms[places + 1].tolist(), strict=True))

    def _with_value(
        self, channel: int, rows: IntervalBlock, correction: Correction
    ) -> IntervalBlock:
        for era in self.frame.eras_within(correction.from_ms, correction.to_ms):
            value = correction.value
            assert value is not None
            if channel == GAS_ENERGY:
                if era.energy_wh_per_m3 is None:
                    continue
                value *= era.energy_wh_per_m3
            write = partial(_write_value, value, self.frame.figure(channel, era), era.unit)
            rows = self._rewritten(channel, rows, era.from_ms, era.until_ms, write)
        return rows

    def _rewritten(
        self,
        channel: int,
        rows: IntervalBlock,
        from_ms: int,
        to_ms: int,
        write: Callable[[Slots], None],
    ) -> IntervalBlock:
        """Return rows with those of a stretch written anew."""
        slots = Slots.of(rows, from_ms, to_ms, self.frame.edges_ms(from_ms, to_ms))
        if not len(slots):
            return rows
        write(slots)
        return IntervalBlock.concatenate(
            [
                rows.take(rows.start_ms < from_ms),
                slots.block(self.series, channel),
                rows.take(rows.start_ms >= to_ms),
            ]
        )

    def _estimate(
        self, channel: int, slots: Slots, rows: IntervalBlock, correction: Correction
    ) -> Estimate:
        assert correction.method is not None
        return self._by(correction.method, channel, slots, rows, correction.sister)

    def _by(
        self,
        method: Method,
        channel: int,
        slots: Slots,
        rows: IntervalBlock,
        sister_series: int | None,
    ) -> Estimate:
        if method == "linear":
            return linear(slots, rows)
        from_ms = int(slots.rows.start_ms[0])
        to_ms = int(slots.rows.start_ms[-1] + slots.rows.duration_ms[-1])
        if method == "profile":
            behind = WEEKS * REFERENCE_MS + HOUR_MS  # weeks on the clock: one can be longer
            return profile(slots, self._before(channel, from_ms - behind, to_ms), self.frame.zone)
        if sister_series is None:
            return Estimate.unknown(len(slots))
        own = self._before(channel, from_ms - REFERENCE_MS, from_ms)
        there = self._once(sister_series, from_ms - REFERENCE_MS, to_ms)
        there = there.take(there.channel == _counterpart(channel, there))
        shifted = self.frame.figure(channel) == "gauge"
        return sister(slots, own, there, shifted=shifted)

    def _before(self, channel: int, from_ms: int, to_ms: int) -> IntervalBlock:
        """Return the channel's rows as they were computed."""
        rows = self._once(self.series, from_ms, to_ms)
        return rows.take(rows.channel == channel)

    def _once(self, series: int, from_ms: int, to_ms: int) -> IntervalBlock:
        """Return computed rows of this stream or of a sister; all channels with one question."""
        key = (series, from_ms, to_ms)
        if key not in self._read:
            own = series == self.series
            self._read[key] = (
                self.computed.own({series: (from_ms, to_ms)})
                if own
                else self.computed.other(series, from_ms, to_ms)
            )
        return self._read[key]


def _write_value(value: float, figure: Figure, unit: str, slots: Slots) -> None:
    """Give every slot the value that a person knows."""
    block = slots.rows
    if figure in {"register", "amount"}:
        block.amount[:] = value
    else:
        for column in (block.mean, block.low, block.high):
            column[:] = value
    if figure == "rate":
        hours = block.duration_ms / HOUR_MS
        block.amount[:] = value * hours * UNITS[unit].amount_factor
    if figure not in {"gauge", "power"}:
        block.unallocated[np.isnan(block.unallocated)] = 0.0
    slots.cover(np.ones(len(slots), np.bool_), Quality.EDITED)
    block.quality[:] = Quality.EDITED  # a person knows better than any rule


def _counterpart(channel: int, there: IntervalBlock) -> int:
    """Return the channel of another meter that measures the same."""
    if channel in {VALUE, PC} and not (there.channel == channel).any():
        return VALUE if channel == PC else PC
    return channel


def _starts_within(rows: IntervalBlock, from_ms: int, to_ms: int) -> Bools:
    return np.asarray((rows.start_ms >= from_ms) & (rows.start_ms < to_ms))
