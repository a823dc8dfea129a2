"""Makes up waste of many shapes, for the gate to learn from: ``scripts/train_waste_gate.py``.

The shapes are our own: hours, sizes, lengths and growth are drawn widely, so that nothing is
learnt of the events of one folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kilowatch.insights.hours import Bools, Hours
from kilowatch.insights.waste.reference import Reference, warmth
from kilowatch.model.blocks import Floats, Ints

GAP_DAYS = 35.0
"""Mean time from one made-up event to the next."""


@dataclass
class Place:
    """A stretch of one stream's hours that gets an event, with what is known of the stream."""

    hour: Ints
    day: Ints
    weekday: Ints
    closed: Bools
    warmth: Floats
    swing: float
    scale: float
    rng: np.random.Generator

    def some(self, low: float, high: float) -> float:
        """Return a number between two, small ones as likely as large ones."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def amount(self) -> float:
        """Return how much is left on: a share of the daily swing, or of the mean load."""
        if self.rng.random() < 0.3:
            return self.some(0.05, 0.6) * self.scale
        return self.some(0.12, 0.9) * self.swing

    def between(self, begin: tuple[int, int], end: tuple[int, int]) -> Bools:
        """Return hours of the day from one bound to another, both drawn."""
        first, last = self.rng.integers(*begin), self.rng.integers(*end)
        return (self.hour >= first) & (self.hour < last)

    @property
    def working(self) -> Bools:
        """Hours of working days."""
        return (self.weekday < 5) & ~self.closed


def _after_hours(at: Place) -> Floats:
    begin, end = at.rng.integers(17, 23), at.rng.integers(3, 8)
    night = at.hour >= begin
    if at.rng.random() < 0.75:
        night |= at.hour < end
    if at.rng.random() < 0.7:
        night &= at.working
    return np.asarray(at.amount() * night)


def _weekend(at: Place) -> Floats:
    hours = at.between((5, 10), (14, 22)) | (at.rng.random() < 0.15)
    hours &= at.weekday >= 5
    if at.rng.random() < 0.25:
        hours &= at.weekday == 5
    return np.asarray(at.amount() * hours)


def _holiday(at: Place) -> Floats:
    return np.asarray(at.amount() * (at.between((0, 10), (14, 25)) & at.closed))


def _early(at: Place) -> Floats:
    opens, ahead = at.rng.integers(5, 10), at.rng.integers(1, 5)
    return np.asarray(at.amount() * ((at.hour < opens) & (at.hour >= opens - ahead) & at.working))


def _mild(at: Place) -> Floats:
    hours = at.between((6, 10), (15, 21)) & (at.working | (at.rng.random() < 0.15))
    low, high = at.rng.uniform(5, 12), at.rng.uniform(15, 22)
    hours &= np.isnan(at.warmth) | ((at.warmth > low) & (at.warmth < high))
    size = at.swing if at.rng.random() < 0.5 else at.scale
    return np.asarray(at.some(0.05, 0.45) * size * hours)


def _creep(at: Place) -> Floats:
    top = at.some(0.05, 0.45) * at.scale
    grown: Floats = np.arange(len(at.hour)) / max(len(at.hour), 1)
    shape = at.rng.random()
    if shape < 0.55:
        return np.asarray(top * grown)
    if shape < 0.75:
        return np.asarray(top * np.minimum(1, grown * at.rng.uniform(1.5, 5)))
    if shape < 0.9:
        return np.full(len(grown), top)
    steps = (np.floor(grown * at.rng.integers(2, 5)) + 1) / 4
    return np.asarray(top * np.clip(steps, 0, 1))


SHAPES: tuple[tuple[Callable[[Place], Floats], float, tuple[int, int]], ...] = (
    (_after_hours, 0.20, (3, 45)),
    (_weekend, 0.17, (2, 45)),
    (_holiday, 0.08, (1, 3)),
    (_early, 0.17, (4, 45)),
    (_creep, 0.20, (14, 100)),
    (_mild, 0.18, (4, 45)),
)
"""What is made up: its shape, how often, and for how many days."""


def make_up(hours: Hours, reference: Reference, first: int, rng: np.random.Generator) -> Floats:
    """Return made-up waste, shape (streams, hours) [W or m³/h], from hour ``first`` on."""
    put = np.zeros(hours.values.shape)
    warm = warmth(hours)
    for stream in range(hours.streams):
        week = np.sort(reference.need[stream, :, :, -1].ravel())
        if not np.isfinite(week).all():
            continue
        scale = float(reference.scale[stream])
        swing = max(float(week[-4] - week[3]), 0.1 * scale)
        now = first + int(rng.integers(0, 40 * 24))
        while now < hours.count - 5 * 24:
            number = int(rng.choice(len(SHAPES), p=[chance for _, chance, _ in SHAPES]))
            shape, _, (least, most) = SHAPES[number]
            length = int(rng.integers(least, most + 1)) * 24
            if shape is _holiday:
                ahead = np.flatnonzero(hours.holidays[stream, now : now + 120 * 24])
                if not len(ahead):
                    now += 30 * 24
                    continue
                now += int(ahead[0])
            part = slice(now, min(now + length, hours.count))
            at = Place(
                hours.hour_of_day[part],
                hours.day[part],
                hours.weekday[part],
                hours.holidays[stream, part],
                warm[stream, part],
                swing,
                scale,
                rng,
            )
            put[stream, part] += _uneven(at, shape(at), steady=shape is _creep)
            now = part.stop + int(rng.exponential(GAP_DAYS) * 24)
    return put


def _uneven(at: Place, added: Floats, *, steady: bool) -> Floats:
    """Let some events differ from day to day, and some leave days out."""
    day = at.day - at.day[0]
    count = int(day[-1]) + 1
    if at.rng.random() < 0.3:
        added = added * np.exp(at.rng.normal(0, 0.2, count))[day]
    if not steady and at.rng.random() < 0.15:
        added = np.where((at.rng.random(count) < 0.25)[day], 0.0, added)
    return np.asarray(added, np.float64)
