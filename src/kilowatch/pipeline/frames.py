"""What a stream's intervals are edited with, and how far in time that reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from kilowatch.model.blocks import Ints
from kilowatch.model.calendar import bucket_edges_ms
from kilowatch.model.dated import ALWAYS_MS, History, Period
from kilowatch.model.editing import Correction, Editing, decoded
from kilowatch.model.parameters import GAS_ENERGY, VALUE, Role, family_of
from kilowatch.model.zones import Zone
from kilowatch.pipeline.estimation import REACH_MS
from kilowatch.pipeline.grids import NEVER_MS, Bools
from kilowatch.pipeline.totals import SUMMED, parts_of, phases_of, touching
from kilowatch.pipeline.validation import ahead_ms, behind_ms

Figure = Literal["register", "amount", "rate", "power", "gauge", "ratio"]
"""What the rows of a channel hold; ``power`` is a mean that adds up, without an amount."""

Spans = Mapping[int, tuple[int, int]]
"""By series, from where to where [ms]: first start, and first start that is not wanted."""


@dataclass(frozen=True, slots=True)
class Era:
    """A time in which the settings that edits depend on are the same.

    Attributes:
        from_ms: Where it begins [ms].
        until_ms: Where it ends [ms].
        interval_s: Of the grid [s].
        behaviour: Of the data point.
        unit: Of the data point.
        energy_wh_per_m3: Energy of a metered cubic metre of gas; None where it is not known.
    """

    from_ms: int
    until_ms: int
    interval_s: int
    behaviour: str
    unit: str
    energy_wh_per_m3: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """What a stream's intervals are edited with.

    Attributes:
        zone: Of its site.
        kind: Of the data point.
        editing: Rules and corrections.
        eras: Grid, behaviour and unit over time, without a hole; mostly one for all time.
    """

    zone: Zone
    kind: str
    editing: Editing
    eras: tuple[Era, ...]

    @staticmethod
    def of(settings: Mapping[str, Any] | None) -> Frame | None:
        """Return the frame of a stream's settings; None when there is nothing to edit."""
        text = settings.get("editing") if settings else None
        if not settings or not text:
            return None
        return Frame(Zone.of(settings["zone"]), settings["kind"], decoded(text), _eras(settings))

    @property
    def interval_ms(self) -> int:
        """Length of the longest interval that there ever was, of a month the longest [ms]."""
        return max(era.interval_s for era in self.eras) * 1000

    def intervals_ms(self, start_ms: Ints) -> int | Ints:
        """Return how long intervals are that start at some instants [ms]."""
        if len(self.eras) == 1:
            return self.interval_ms
        lengths = np.array([era.interval_s * 1000 for era in self.eras], np.int64)
        return np.asarray(lengths[self._eras_of(start_ms)])

    def edges_ms(self, from_ms: int, to_ms: int) -> tuple[Ints, Ints]:
        """Return starts and ends of the intervals that touch a stretch, cut where eras begin."""
        starts, ends = [], []
        for era in self.eras_within(from_ms, to_ms):
            edges = bucket_edges_ms(era.from_ms, era.until_ms, era.interval_s, self.zone)
            own = self.eras[int(self._eras_of(np.array([era.from_ms]))[0])]
            starts.append(np.maximum(edges[:-1], own.from_ms))
            ends.append(np.minimum(edges[1:], own.until_ms))
        return np.concatenate(starts), np.concatenate(ends)

    def eras_within(self, from_ms: int, to_ms: int) -> list[Era]:
        """Return the parts of a stretch, each with what holds in it."""
        return [
            replace(era, from_ms=max(era.from_ms, from_ms), until_ms=min(era.until_ms, to_ms))
            for era in self.eras
            if era.from_ms < to_ms and era.until_ms > from_ms
        ]

    def counts(self, channel: int, start_ms: Ints) -> Bools:
        """Tell of intervals whether a channel's rows come from a register in them, shape (n,)."""
        known = np.array([self.figure(channel, era) == "register" for era in self.eras])
        return np.asarray(known[self._eras_of(start_ms)])

    def _eras_of(self, at_ms: Ints) -> Ints:
        begins = np.array([era.from_ms for era in self.eras], np.int64)
        return np.maximum(np.searchsorted(begins, at_ms, side="right") - 1, 0)

    @property
    def given(self) -> frozenset[int]:
        """Channels that have rows because people gave them values, whatever was ever sent.

        A total has them with its phases, the energy of gas with its volume. They count as channels
        of the stream from the first: else an hour would hold what people know of a channel only
        when that channel had spoken before the hour was closed.
        """
        given = {c.channel for c in self.editing.corrections if c.kind == "edit"}
        some = {one for one in given if one is not None}
        if VALUE in some and any(era.energy_wh_per_m3 is not None for era in self.eras):
            some.add(GAS_ENERGY)
        return frozenset(some | {total for total in SUMMED if some & {*phases_of(total)}})

    @property
    def _estimated_ms(self) -> int:
        """How far from an interval the ends of a gap that is estimated by itself may lie [ms]."""
        up_to_s = self.editing.rules.estimate_up_to_s
        return 0 if up_to_s is None else up_to_s * 1000 + self.interval_ms

    def settled_ms(self, since_ms: int) -> int:
        """Return before which start edited intervals are final, when computed ones are [ms].

        Args:
            since_ms: First start of a computed interval that can still change [ms].
        """
        rules = self.editing.rules
        settled_ms = since_ms - max(ahead_ms(rules, self.interval_ms), self._estimated_ms)
        for correction in self.editing.corrections:
            if correction.kind in {"fill", "spread"} and self._reach(correction)[1] > since_ms:
                settled_ms = min(settled_ms, correction.from_ms - self._estimated_ms)
        return settled_ms

    def beside(self, channels: Iterable[int]) -> set[int]:
        """Return the channels that are needed too for the edited rows of some.

        Whether the energy of gas can be trusted is seen by its volume; a total follows what
        people have corrected of its phases.
        """
        needed: set[int] = set()
        for channel in channels:
            parts = parts_of(channel)
            if channel == GAS_ENERGY:
                needed.add(VALUE)
            elif touching(self.editing.corrections, parts):
                needed |= parts
        return needed

    def window(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Return which computed intervals those of [from_ms, to_ms) rest on, profiles aside."""
        rules, interval_ms = self.editing.rules, self.interval_ms
        low = from_ms - max(behind_ms(rules, interval_ms), self._estimated_ms)
        high = to_ms + max(ahead_ms(rules, interval_ms), self._estimated_ms)
        ranges = [
            (c, *self._reach(c)) for c in self.editing.corrections if c.kind in {"fill", "spread"}
        ]
        while True:  # a range that is touched is wanted whole, and may touch another
            touched = [(a, b) for c, a, b in ranges if c.overlaps(low, high)]
            wider = (
                min((a for a, _ in touched), default=low),
                max((b for _, b in touched), default=high),
            )
            wider = min(low, wider[0]), max(high, wider[1])
            if wider == (low, high):
                return low, high
            low, high = wider

    def _reach(self, correction: Correction) -> tuple[int, int]:
        beside_ms = max(self.interval_ms, REACH_MS if correction.method == "linear" else 0)
        return correction.from_ms - beside_ms, correction.to_ms + beside_ms

    def figure(self, channel: int, era: Era | None = None) -> Figure:
        """Return what a channel's rows hold, in an era or now."""
        behaviour = (era or self.eras[-1]).behaviour
        family = family_of(channel)
        if channel in {VALUE, GAS_ENERGY} or family is None:
            return behaviour  # type: ignore[return-value] # one of the four
        if family.role is Role.REGISTER:
            return "register" if behaviour == "register" else "amount"
        named: dict[Role, Figure] = {Role.POWER: "power", Role.GAUGE: "gauge"}
        return named.get(family.role, "ratio")


def _eras(settings: Mapping[str, Any]) -> tuple[Era, ...]:
    periods = History.of_plain(settings.get("history")).periods
    if not periods:
        names = ("interval_s", "behaviour", "unit")
        return (Era(ALWAYS_MS, NEVER_MS, *(settings[name] for name in names)),)
    ends = [*(period.from_ms for period in periods[1:]), NEVER_MS]
    return tuple(_era(period, end) for period, end in zip(periods, ends, strict=True))


def _era(period: Period, until_ms: int) -> Era:
    of_volume = period.unit_of_value.amount == "m3"
    energy = period.energy_wh_per_m3 if of_volume else None
    return Era(period.from_ms, until_ms, period.interval_s, period.behaviour, period.unit, energy)
