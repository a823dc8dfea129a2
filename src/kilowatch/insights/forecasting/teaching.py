"""Teaches the net: Adam on the absolute error, in batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.insights.forecasting.features import Singles
from kilowatch.insights.forecasting.net import LEAK, Day, Net
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints

UNITS = 256
ROUNDS = 10
"""How often each day is looked at; 15 are no better."""

BATCH = 256
MEASURED_DAYS = 4_000
"""Days that tell the middle and the spread of each input."""

STEPS_MIN = 400
"""Steps that a small installation's net takes at least."""

_RATE, _WARM_STEPS, _LEAST_RATE = 2e-3, 200, 0.01
_DECAY = 1e-3
"""Of the weights, at each step of the whole rate."""

_MOMENTUM, _SQUARES = np.float32(0.9), np.float32(0.99)
_ROUND = np.float32(0.1)
"""An error below this [spreads] is squared: an absolute one has no slope at zero."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Days to learn from.

    Attributes:
        days: What the net sees of them.
        target: How each hour differed from similar days [spreads], shape (n, 24); NaN unknown.
        weight: How much each day counts, shape (n,).
    """

    days: Day
    target: Floats
    weight: Floats

    def take(self, rows: Ints | Bools | slice) -> Lessons:
        """Return some of the days."""
        return Lessons(self.days.take(rows), self.target[rows], self.weight[rows])


def teach(lessons: Lessons, *, seed: int, nets: int) -> Net:
    """Return the mean of some nets that differ in what they began with.

    Args:
        lessons: What to learn from.
        seed: Of the first net.
        nets: How many.

    Source:
        D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015; I.
        Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
    """
    blank = _measured(lessons.days)
    inputs = blank.scaled(lessons.days)
    known = ~np.isnan(lessons.target)
    wanted = np.where(known, lessons.target - lessons.days.straight, 0.0).astype(np.float32)
    weight = (lessons.weight[:, None] * known).astype(np.float32)
    found = []
    for number in range(nets):
        layers = _learn(inputs, wanted, weight, np.random.default_rng((seed, number)))
        first, offset, last, end = (
            one.astype(np.float16).astype(np.float64)
            for one in layers  # as they are kept
        )
        found.append(Net(blank.centre, blank.size, (first, offset, last, end)))
    return Net.read(Net.join(found).content())


def _measured(days: Day) -> Net:
    """Return a net without layers that knows the middle and the spread of each input."""
    numbers = days.numbers[:: len(days.numbers) // MEASURED_DAYS + 1].astype(np.float32)
    centre, low, high = _quantiles(numbers)
    off = np.clip(numbers - centre, low - centre, high - centre)
    known = ~np.isnan(off)
    square = np.where(known, off, 0.0) ** 2
    size = np.sqrt(square.sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    size = np.where(size > 1e-4, size, 1.0).astype(np.float32)
    none = np.zeros((0, 0))
    return Net(centre.astype(np.float32), size, (none, none, none, none))


def _quantiles(numbers: Singles) -> tuple[Singles, Singles, Singles]:
    """Return median, 0.1 and 99.9 % of each input; 0 where nothing is known of it."""
    ordered = np.sort(numbers, axis=0)  # NaN last
    last = np.maximum((~np.isnan(numbers)).sum(axis=0) - 1, 0)
    found = [
        np.nan_to_num(np.take_along_axis(ordered, np.rint(last * share).astype(int)[None], 0)[0])
        for share in (0.5, 0.001, 0.999)
    ]
    return found[0], found[1], found[2]


def _learn(
    inputs: Singles, wanted: Singles, weight: Singles, chance: np.random.Generator
) -> list[Singles]:
    n, width = inputs.shape
    layers = [
        (chance.standard_normal((width, UNITS)) * np.sqrt(2 / width)).astype(np.float32),
        np.zeros(UNITS, np.float32),
        (chance.standard_normal((UNITS, 24)) * 0.1 * np.sqrt(2 / UNITS)).astype(np.float32),
        np.zeros(24, np.float32),
    ]
    speed = [np.zeros_like(one) for one in layers]
    square = [np.zeros_like(one) for one in layers]
    batch = min(BATCH, n)
    steps = max(ROUNDS * (n // batch), STEPS_MIN)
    order = np.empty(0, np.int64)
    for step in range(1, steps + 1):
        if len(order) < batch:
            order = chance.permutation(n)
        rows, order = order[:batch], order[batch:]
        slopes = _slopes(layers, inputs[rows], wanted[rows], weight[rows])
        rate = min(1.0, step / _WARM_STEPS) * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        rate = np.float32(_RATE * (rate + _LEAST_RATE))
        steady = np.float32(1 / (1 - 0.9**step)), np.float32(1 / (1 - 0.99**step))
        for at, slope in enumerate(slopes):
            speed[at] += (1 - _MOMENTUM) * (slope - speed[at])
            square[at] += (1 - _SQUARES) * (slope * slope - square[at])
            if slope.ndim == 2:
                layers[at] *= 1 - rate * np.float32(_DECAY)
            root = np.sqrt(square[at] * steady[1]) + np.float32(1e-8)
            layers[at] -= rate * (speed[at] * steady[0]) / root
    return layers


def _slopes(
    layers: list[Singles], inputs: Singles, wanted: Singles, weight: Singles
) -> tuple[Singles, Singles, Singles, Singles]:
    first, offset, last, end = layers
    raw = inputs @ first + offset
    hidden = np.maximum(raw, LEAK * raw)
    off = hidden @ last + end - wanted
    back = np.clip(off / _ROUND, -1, 1) * weight / np.float32(len(inputs))
    inner = (back @ last.T) * np.where(raw > 0, np.float32(1), LEAK)
    return inputs.T @ inner, inner.sum(axis=0), hidden.T @ back, back.sum(axis=0)
