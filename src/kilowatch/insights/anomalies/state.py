"""What is kept of each stream between two hours: about 13 kB, whatever its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints

DAYS = 56
"""Days that are kept: eight of each weekday, so that a fault of three weeks is the minority."""
LEVELS = 28
"""Days whose level is kept."""
PARTS = 4
"""Parts of a day whose level is followed separately: 0–6, 6–12, 12–18 and 18–24 h."""
HALF_LIVES_H = np.array([2.0, 6.0, 24.0, 72.0, 168.0])
"""Half-lives over which residuals are looked at [h]."""
LAGS = np.arange(-6, 7)
"""Shifts of the clock that are tried [h]; positive: the stream is late."""
GROUPS = 2
"""Groups of kinds that are alarmed about independently: see ``alarms.Group``."""

MEASURES = 34
"""Measures that are compared with what the stream does by itself."""
WEEKS = 8
"""Weeks whose highest measures are kept."""
PATTERNS = ("twice", "day", "week", "line")
"""Ways in which values come again: two by two, as a day or a week before, on a straight line."""

Small = npt.NDArray[np.float32]

_SHAPES: dict[str, tuple[tuple[int, ...], Any, float]] = {
    "day": ((), np.int64, -1),
    "age": ((), np.int64, 0),
    "past": ((DAYS, 24), np.float32, np.nan),
    "closed": ((DAYS,), np.bool_, 0),
    "base": ((24,), np.float64, np.nan),
    "working": ((24,), np.float64, np.nan),
    "expect": ((3, 24), np.float64, np.nan),
    "level": ((LEVELS, PARTS), np.float64, np.nan),
    "spread": ((2, 24), np.float64, np.nan),
    "seen": ((2, 24), np.int64, 0),
    "bounds": ((7,), np.float64, np.nan),
    "decayed": ((len(HALF_LIVES_H), 5), np.float64, 0),
    "parts": ((2, 2, 3), np.float64, 0),
    "today": ((7,), np.float64, 0),
    "clock": ((2, 3 * len(LAGS) + 3), np.float64, 0),
    "runs": ((5,), np.float64, 0),
    "shares": ((5,), np.float64, 0),
    "last": ((4,), np.float64, np.nan),
    "eve": ((3,), np.float64, 0),
    "habit": ((4, 24), np.float64, np.nan),
    "pair": ((2,), np.float64, 0),
    "drops": ((2,), np.float64, 0),
    "even": ((3, 2), np.float64, 0),
    "own": ((MEASURES,), np.float64, 0),
    "weekly": ((WEEKS, MEASURES), np.float32, 0),
    "most": ((MEASURES,), np.float64, 0),
    "ranks": ((2,), np.float64, 0),
    "before": ((2,), np.float64, np.nan),
    "step": ((), np.float64, np.inf),
    "again": ((len(PATTERNS),), np.float64, 0),
    "again_for": ((len(PATTERNS),), np.int64, 0),
    "again_quiet": ((len(PATTERNS),), np.int64, 0),
    "again_habit": ((len(PATTERNS), 25), np.float32, 0),
    "again_off": ((len(PATTERNS), 25), np.float32, np.nan),
    "again_weekly": ((WEEKS, len(PATTERNS)), np.float32, 0),
    "again_most": ((len(PATTERNS),), np.float64, 0),
    "outdoor": ((6,), np.float64, np.nan),
    "begun": ((GROUPS,), np.int64, -1),
    "opened": ((GROUPS,), np.int64, -1),
    "quiet": ((GROUPS,), np.int64, 0),
    "kind": ((GROUPS,), np.int64, -1),
    "sure": ((GROUPS,), np.float64, 0),
    "wary": ((GROUPS,), np.float64, 0),
    "peak": ((GROUPS,), np.float64, 0),
    "held": ((GROUPS, PARTS), np.float64, 0),
    "figure": ((GROUPS,), np.float64, np.nan),
    "pattern": ((GROUPS,), np.int64, -1),
    "sums": ((GROUPS, 2, 3), np.float64, 0),
}
"""Shape for each stream, type and first value of each array."""


@dataclass(slots=True)
class State:
    """What is kept of each stream; every array has the streams first.

    Attributes:
        day: Local day that is being filled, days since 1970-01-01; −1 before the first.
        age: Hours with a value so far.
        past: Values of the last eight weeks by local day and hour, at ``day % DAYS``.
        closed: Which of those days were holidays.
        base: Median of the last eight such days, today [the stream's unit].
        working: The same of working days.
        expect: Expected yesterday, today and tomorrow.
        level: Log ratio of actual over base of the parts of the last days.
        spread: Mean absolute residual by working or free day and by hour.
        seen: Residuals that it rests on.
        bounds: Third highest and lowest daily extremes, mean and mean size of the past; change of
            level over two weeks, its slope and how sure that is.
        decayed: Decayed sums of the standardised residual, its size, actual, expected, base.
        parts: The same of nights and of days.
        today: Actual, expected, working-day expectation, hours, distance to both and between them
            since midnight.
        clock: Decayed moments for the comparison with a shifted clock.
        runs: Hours of one value, of zero, below zero, saturated; surprise of the last.
        shares: How often in the past: repeated, zero, negative, and typical step and noise.
        last: Last value, its standardised residual and the last two log ratios.
        eve: How like a working day the free day before was; days since a holiday and since
            the last change of the year.
        habit: The last working day's values, and of the ratios of seven such days to theirs the
            median, the spread and the highest, by the hour up to which they are summed up.
        pair: Sums of this day and of its reference day so far.
        drops: How far this day and the last are off that habit, in its spreads.
        even: Decayed log ratio and its square: whether what is off is off evenly.
        own: Typical size of each statistic on this stream.
        weekly: Its highest in each of the last weeks, at ``week % WEEKS``.
        most: The second highest of the weeks before this one.
        ranks: Decayed place of the values among those of eight such days, −1 to 1.
        before: Values of the last two hours; NaN where one is missing.
        step: Smallest difference from one hour to the next that is believed to be the meter's step.
        again: By ``PATTERNS``, how sure it is that values come again: see ``repeating.py``.
        again_for: Hours since that sum was zero.
        again_quiet: Hours since the last value that came again.
        again_habit: How often that happens by habit, by hour of the day, and over all of it.
        again_off: What values that do not come again are off by, by hour of the day and of late.
        again_weekly: Highest sums of the last weeks, at ``week % WEEKS``.
        again_most: The second highest of the weeks before this one.
        outdoor: Decayed temperature, and what it does to the level.
        begun: Start of what each group of kinds saw [ms]; −1 if there is nothing.
        opened: When it was told [ms]; −1 if it is not.
        quiet: Hours since it was last seen.
        kind: Index into ``list(EventKind)``.
        sure: How sure the kind is, 0 to 1.
        wary: How much the stream's limit is raised by its own alarms of late.
        peak: Its highest score.
        held: Level of the parts when it began.
        figure: What its kind is told by, when its score was highest.
        pattern: Which of ``PATTERNS`` it is told by; −1 if by none.
        sums: Actual, expected and hours since it began: up to now, and up to when it was last seen.
    """

    day: Ints
    age: Ints
    past: Small
    closed: Bools
    base: Floats
    working: Floats
    expect: Floats
    level: Floats
    spread: Floats
    seen: Ints
    bounds: Floats
    decayed: Floats
    parts: Floats
    today: Floats
    clock: Floats
    runs: Floats
    shares: Floats
    last: Floats
    eve: Floats
    habit: Floats
    pair: Floats
    drops: Floats
    even: Floats
    own: Floats
    weekly: Small
    most: Floats
    ranks: Floats
    before: Floats
    step: Floats
    again: Floats
    again_for: Ints
    again_quiet: Ints
    again_habit: Small
    again_off: Small
    again_weekly: Small
    again_most: Floats
    outdoor: Floats
    begun: Ints
    opened: Ints
    quiet: Ints
    kind: Ints
    sure: Floats
    wary: Floats
    peak: Floats
    held: Floats
    figure: Floats
    pattern: Ints
    sums: Floats

    @classmethod
    def empty(cls, streams: int) -> Self:
        """Return the state of streams that nothing is known of."""
        return cls(
            **{
                name: np.full((streams, *shape), first, dtype)
                for name, (shape, dtype, first) in _SHAPES.items()
            }
        )

    @property
    def streams(self) -> int:
        """Number of streams."""
        return len(self.day)

    def take(self, streams: Ints | Bools | slice | int) -> Self:
        """Return a copy of the state of some of the streams."""
        rows = slice(streams, streams + 1) if isinstance(streams, int) else streams
        return type(self)(**{f.name: getattr(self, f.name)[rows].copy() for f in fields(self)})

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        """Put states of different streams together, in this order."""
        return cls(
            **{
                f.name: np.concatenate([getattr(one, f.name) for one in states])
                for f in fields(cls)
            }
        )

    def to_bytes(self) -> bytes:
        """Return all of it as bytes, the same on every machine."""
        buffer = BytesIO()
        np.savez(buffer, **{f.name: getattr(self, f.name) for f in fields(self)})
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what ``to_bytes`` wrote.

        Raises:
            ValueError: It is of another version.
        """
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            if set(arrays.files) != set(_SHAPES):
                raise ValueError("the state is of another version: scan the history again")
            state = cls(**{name: arrays[name] for name in arrays.files})
        for name, (shape, dtype, _) in _SHAPES.items():
            found = getattr(state, name)
            if found.shape[1:] != shape or found.dtype != dtype:
                raise ValueError("the state is of another version: scan the history again")
        return state
