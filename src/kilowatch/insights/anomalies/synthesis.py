"""Faults put into histories, so that detectors can be taught and tested without anybody's labels.

The kinds are wider than any one list of test cases: what matters is that they differ in length,
size, onset and shape. Nothing here knows which folder will be evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind

_DAY = 24
_WEEK = 168
_LONGEST_H = 52 * _DAY
"""No fault is put in that close to the end [h]."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that was put in.

    Attributes:
        kind: What a detector should call it.
        variant: Which of its forms.
        first: First hour that it changes.
        last: Hour after the last one.
    """

    kind: EventKind
    variant: str
    first: int
    last: int


Change = Callable[[Floats, int, np.random.Generator], tuple[int, int, Floats] | None]
"""From values (local hours, the first is a Monday's 00:00), a place and chance to a new piece."""


def inject(
    values: Floats,
    rng: np.random.Generator,
    *,
    first: int,
    every_days: float = 26.0,
    chances: Mapping[str, float] | None = None,
) -> tuple[Floats, list[Fault]]:
    """Put faults of random kinds into a history, one after the other.

    Args:
        values: Shape (hours,), starting on a Monday at 00:00 local time; NaN where missing.
        rng: Chance.
        first: Hour before which nothing is changed.
        every_days: Mean time from one beginning to the next [days].
        chances: How often each form is drawn, over each other; None: all alike.

    Returns:
        The changed values and what was changed.
    """
    found: list[Fault] = []
    changed = values.copy()
    at = first + int(rng.integers(0, 15 * _DAY))
    names = list(CHANGES)
    upto = None if chances is None else np.cumsum([chances[name] for name in names])
    while at < len(values) - _LONGEST_H:
        if upto is None:
            name = names[int(rng.integers(len(names)))]
        else:
            name = names[int(np.searchsorted(upto, rng.random() * upto[-1], side="right"))]
        kind, change = CHANGES[name]
        piece = change(changed, at, rng)
        if piece is not None and piece[1] <= len(values):
            begin, end, new = piece
            old = changed[begin:end]
            known = ~np.isnan(old) & ~np.isnan(new)
            # Mean absolute change over the mean of the hours: less than a hundredth is none.
            effect = float(np.abs(new - old)[known].sum() / (np.abs(old[known]).sum() + 1e-9))
            if known.any() and (effect > 0.01 or name == "stuck"):
                changed[begin:end] = new
                found.append(Fault(kind, name, begin, end))
                at = end
        at += int((9 + rng.exponential(max(every_days - 18, 1))) * _DAY)
    return changed, found


def mixed(values: Floats, others: Floats, share: float) -> Floats:
    """Return a building that two share, of the size of the first.

    Args:
        values: Shape (hours,); NaN where missing.
        others: The same hours of another building, in any unit.
        share: Part of the first, 0 to 1.
    """
    own, other = (max(float(np.nanmean(np.abs(one))), 1e-9) for one in (values, others))
    found: Floats = share * values + (1 - share) * own / other * others
    return found


def with_other_base(values: Floats, part: float) -> Floats:
    """Return a building with more or less of what is always on: nights differ by another ratio.

    Args:
        values: Shape (hours,); NaN where missing. What is not above 0 stays as it is.
        part: Share of the 5 % quantile that is added; below 0: taken away, but of no hour more
            than four fifths.
    """
    added = part * max(float(np.nanquantile(values, 0.05)), 0.0)
    found: Floats = np.where(values > 0, np.maximum(values + added, 0.2 * values), values)
    return found


def _size(values: Floats, at: int) -> float:
    """Return the typical size of the four weeks before."""
    recent = np.abs(values[max(at - 4 * _WEEK, 0) : at])
    recent = recent[~np.isnan(recent)]
    return float(recent.mean()) if len(recent) else float("nan")


def _sign(rng: np.random.Generator, up: float = 0.5) -> float:
    return 1.0 if rng.random() < up else -1.0


def _midnight(at: int, rng: np.random.Generator, share: float = 0.6) -> int:
    """Return the next midnight or just the hour: faults begin at either."""
    return -(-at // _DAY) * _DAY if rng.random() < share else at


def _spike(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    end = at + int(rng.integers(1, 5))
    piece = values[at:end]
    add = _size(values, at) * rng.uniform(0.8, 5.0)
    return at, end, piece + add if rng.random() < 0.5 else piece * rng.uniform(2.0, 6.0)


def _burst(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    end = at + int(rng.integers(8, 96))
    piece = values[at:end]
    return at, end, piece * np.exp(rng.normal(0, float(rng.uniform(0.3, 0.8)), len(piece)))


def _dropout(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    end = at + int(rng.integers(2, 30) if rng.random() < 0.8 else rng.integers(30, 120))
    return at, end, np.where(np.isnan(values[at:end]), np.nan, 0.0)


def _partial(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    end = at + int(rng.integers(4, 48))
    return at, end, values[at:end] * rng.uniform(0.0, 0.2)


def _flicker(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    end = at + int(rng.integers(12, 72))
    piece = values[at:end]
    return at, end, np.where(rng.random(len(piece)) < rng.uniform(0.3, 0.7), 0.0, piece)


def _stuck(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    end = at + int(rng.integers(8, 96))
    held = values[at - 1]
    return None if np.isnan(held) else (at, end, np.full(end - at, held))


def _saturated(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    begin, days = _midnight(at, rng), int(rng.integers(2, 14))
    recent = values[begin - _WEEK : begin]
    if np.isnan(recent).all():
        return None
    top = float(np.nanquantile(recent, rng.uniform(0.5, 0.85)))
    end = begin + days * _DAY
    return begin, end, np.minimum(values[begin:end], top)


def _reset(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    size = _size(values, at)
    return at, at + 1, np.array([-size * 10 ** rng.uniform(-0.3, 4)])


def _flipped(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    end = at + int(rng.integers(1, 72))
    return at, end, -values[at:end]


def _level(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    begin, days = _midnight(at, rng), int(rng.integers(5, 30))
    end = begin + days * _DAY
    by = rng.uniform(0.12, 0.6) * _sign(rng, 0.65)
    onset = np.minimum(np.arange(end - begin) / float(max(int(rng.integers(-24, 36)), 1)), 1.0)
    piece = values[begin:end]
    if rng.random() < 0.5:
        return begin, end, piece * (1 + by * onset)
    return begin, end, np.maximum(piece + by * onset * _size(values, at), 0)


def _unit(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    begin, days = _midnight(at, rng), int(rng.integers(3, 21))
    end = begin + days * _DAY
    return begin, end, values[begin:end] * rng.choice([2.0, 0.5, 10.0, 0.1, 1000.0, 0.001, 3.6])


def _phase(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    begin, days = _midnight(at, rng), int(rng.integers(3, 21))
    end = begin + days * _DAY
    share = rng.choice([2 / 3, 2 / 3, 2 / 3, 1 / 3]) + rng.normal(0, 0.015)
    return begin, end, values[begin:end] * share


def _night(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    begin, days = _midnight(at, rng, 1.0), int(rng.integers(4, 22))
    end = begin + days * _DAY
    hour = np.arange(begin, end) % _DAY
    first, last = rng.choice([22, 23, 24]), rng.choice([5, 6, 7])
    at_night = (hour >= first) | (hour < last)
    piece = values[begin:end]
    low = piece[at_night & ~np.isnan(piece)]
    if not len(low):
        return None
    return begin, end, piece + at_night * float(np.median(low)) * rng.uniform(0.2, 0.9)


def _weekend(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    saturday = (at // _WEEK) * _WEEK + 5 * _DAY
    begin = saturday if saturday >= at else saturday + _WEEK
    first, last = begin, begin + 2 * _DAY
    one = rng.random()
    if one < 0.3:
        first, last = (first, first + _DAY) if one < 0.15 else (first + _DAY, last)
    back = _DAY * int(rng.choice([2, 3, 7 - 2]))
    working = values[first - back - _DAY : last - back - _DAY]
    if last > len(values) or len(working) < last - first:
        return None
    share = rng.uniform(0.6, 1.0)
    piece = values[first:last]
    return first, last, np.maximum(piece, share * working + (1 - share) * piece)


def _drift(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    begin, days = _midnight(at, rng), int(rng.integers(12, 45))
    end = begin + days * _DAY
    to = rng.uniform(0.2, 0.6) * _sign(rng, 0.7)
    return begin, end, values[begin:end] * np.linspace(1, 1 + to, end - begin)


def _clock(values: Floats, at: int, rng: np.random.Generator) -> tuple[int, int, Floats] | None:
    begin, days = _midnight(at, rng), int(rng.integers(3, 21))
    end = begin + days * _DAY
    by = int(rng.integers(1, 7)) * int(_sign(rng))
    if end + 6 > len(values):
        return None
    return begin, end, values[begin - by : end - by].copy()


CHANGES: dict[str, tuple[EventKind, Change]] = {
    "spike": (EventKind.SPIKE, _spike),
    "burst": (EventKind.SPIKE, _burst),
    "dropout": (EventKind.DROPOUT, _dropout),
    "partial": (EventKind.DROPOUT, _partial),
    "flicker": (EventKind.DROPOUT, _flicker),
    "stuck": (EventKind.STUCK, _stuck),
    "saturated": (EventKind.STUCK, _saturated),
    "reset": (EventKind.NEGATIVE, _reset),
    "flipped": (EventKind.NEGATIVE, _flipped),
    "level": (EventKind.LEVEL_SHIFT, _level),
    "unit": (EventKind.LEVEL_SHIFT, _unit),
    "phase": (EventKind.PHASE_LOSS, _phase),
    "night": (EventKind.NIGHT_LOAD, _night),
    "weekend": (EventKind.MISSED_SHUTDOWN, _weekend),
    "drift": (EventKind.DRIFT, _drift),
    "clock": (EventKind.CLOCK_SHIFT, _clock),
}
"""Forms of faults by name, with the kind that each should be called."""
