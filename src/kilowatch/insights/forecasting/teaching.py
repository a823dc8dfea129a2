"""Teaches the net: Adam on the absolute error, in batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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


class Pace(NamedTuple):
    """How a net goes on from another one.

    Attributes:
        rate: Of a step at most.
        rounds: How often each day is looked at.
        steps_min: Steps at least.
    """

    rate: float
    rounds: int
    steps_min: int


FIRST = Pace(1e-3, 6, 30)
"""From the shipped net, with all that an installation has shown."""

AGAIN = Pace(5e-4, 2, 1)
"""From its own net, with a week: it is near already, and is to stay steady."""

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
    inputs, wanted, weight = _laid(blank, lessons)
    steps = max(ROUNDS * (len(inputs) // min(BATCH, len(inputs))), STEPS_MIN)
    found = []
    for number in range(nets):
        chance = np.random.default_rng((seed, number))
        layers = _fresh(inputs.shape[1], chance)
        _learn(layers, inputs, wanted, weight, chance, (_RATE, steps, _WARM_STEPS))
        first, offset, last, end = (
            one.astype(np.float16).astype(np.float64)
            for one in layers  # as they are kept
        )
        found.append(Net(blank.centre, blank.size, (first, offset, last, end)))
    return Net.read(Net.join(found).content())


def go_on(net: Net, lessons: Lessons, pace: Pace, *, seed: int) -> Net:
    """Return a net that has learnt on from where another one stands.

    Args:
        net: Where it begins.
        lessons: What to learn from.
        pace: How.
        seed: Of the order.
    """
    if not len(lessons.target):
        return net
    inputs, wanted, weight = _laid(net, lessons)
    layers = [one.astype(np.float32) for one in net.layers]
    steps = max(pace.rounds * (len(inputs) // min(BATCH, len(inputs))), pace.steps_min)
    chance = np.random.default_rng(seed)
    _learn(layers, inputs, wanted, weight, chance, (pace.rate, steps, min(30, steps // 4 + 1)))
    first, offset, last, end = (one.astype(np.float64) for one in layers)
    return Net.read(Net(net.centre, net.size, (first, offset, last, end)).content())


def _laid(net: Net, lessons: Lessons) -> tuple[Singles, Singles, Singles]:
    """Return what layers see, what they are to say, and how much each hour counts."""
    known = ~np.isnan(lessons.target)
    wanted = np.where(known, lessons.target - lessons.days.straight, 0.0).astype(np.float32)
    return net.scaled(lessons.days), wanted, (lessons.weight[:, None] * known).astype(np.float32)


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


def _fresh(width: int, chance: np.random.Generator) -> list[Singles]:
    return [
        (chance.standard_normal((width, UNITS)) * np.sqrt(2 / width)).astype(np.float32),
        np.zeros(UNITS, np.float32),
        (chance.standard_normal((UNITS, 24)) * 0.1 * np.sqrt(2 / UNITS)).astype(np.float32),
        np.zeros(24, np.float32),
    ]


def _learn(
    layers: list[Singles],
    inputs: Singles,
    wanted: Singles,
    weight: Singles,
    chance: np.random.Generator,
    pace: tuple[float, int, int],
) -> None:
    """Move the layers; ``pace``: the largest rate, how many steps, and which has it first."""
    most, steps, warm_steps = pace
    n = len(inputs)
    speed = [np.zeros_like(one) for one in layers]
    square = [np.zeros_like(one) for one in layers]
    batch = min(BATCH, n)
    order = np.empty(0, np.int64)
    for step in range(1, steps + 1):
        if len(order) < batch:
            order = chance.permutation(n)
        rows, order = order[:batch], order[batch:]
        slopes = _slopes(layers, inputs[rows], wanted[rows], weight[rows])
        rate = min(1.0, step / warm_steps) * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        rate = np.float32(most * (rate + _LEAST_RATE))
        steady = np.float32(1 / (1 - 0.9**step)), np.float32(1 / (1 - 0.99**step))
        for at, slope in enumerate(slopes):
            speed[at] += (1 - _MOMENTUM) * (slope - speed[at])
            square[at] += (1 - _SQUARES) * (slope * slope - square[at])
            if slope.ndim == 2:
                layers[at] *= 1 - rate * np.float32(_DECAY)
            root = np.sqrt(square[at] * steady[1]) + np.float32(1e-8)
            layers[at] -= rate * (speed[at] * steady[0]) / root


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
