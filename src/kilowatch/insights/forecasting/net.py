"""A small net that looks at a whole day at once, beside trees that look at one hour.

Both describe days by the same features; they err differently, so that their mean errs less than
either. It is plain numpy: one hidden layer is all there is to it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kilowatch.insights.forecasting.features import NAMES, Singles
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints

Numbers = npt.NDArray[np.float32] | npt.NDArray[np.float16]
_HOURLY = (
    "last", "before", "last_surprise", "week_1", "week_2", "week_median", "base", "group_slow",
    "group_fast", "kind_slow", "yesterday_surprise", "weekly_error_at", "outdoor",
    "outdoor_against_week", "outdoor_effect_hour", "outdoor_effect_yesterday", "hour_slope",
    "own_base", "own_middle", "own_same", "own_last",
)  # fmt: skip
"""Columns of which all 24 hours are looked at."""

_NAMED = ("weekday", "kind", "yesterday_kind")
"""Days by name, 0 to 6."""

_OTHERWISE = {
    "hour", "day_of_year", "lead", "third", "week_3", "week_spread", "yesterday_surprise_near",
    "own_shift", "outdoor_hour_against_yesterday",
}  # fmt: skip
"""Columns that say nothing new here, or in other words."""

_DAILY = tuple(name for name in NAMES if name not in {*_HOURLY, *_NAMED, *_OTHERWISE})
"""Columns of which one number is looked at."""

_WHOLE = [NAMES.index(name) for name in _HOURLY]
_ONE = [NAMES.index(name) for name in _DAILY]
_FAR = 4.0
"""An input further from its middle than this [root mean squares] is no further."""

LEAK = np.float32(0.01)
"""Slope of a hidden unit that is off."""

_YEAR_WAVES = 3
_BLOCK = 24
"""Days that are multiplied at once: a multiple of what processors take together, so that each row
is summed up in the same order; a third of the time of one by one."""


@dataclass(frozen=True, slots=True)
class Day:
    """What a net sees of some days.

    Attributes:
        numbers: To be scaled, shape (n, …); NaN where unknown. In 16 bits where many are kept.
        marks: 0 or 1, or nearly so, shape (n, …).
        straight: What the stream's own ridge says, from which a net departs, shape (n, 24)
            [spreads above similar days].
    """

    numbers: Numbers
    marks: Singles
    straight: Floats

    @classmethod
    def of(cls, columns: Singles) -> Self:
        """Describe some days.

        Args:
            columns: Shape (n, len(NAMES), 24).
        """
        n = len(columns)
        numbers = np.concatenate([columns[:, _WHOLE].reshape(n, -1), columns[:, _ONE, 0]], axis=1)
        days = np.arange(7)
        named = [columns[:, [NAMES.index(name)], 0] == days for name in _NAMED]
        lead = columns[:, [NAMES.index("lead")], 0]
        ahead = np.ceil(lead / 24)
        hour = 24 * ahead - lead
        year = columns[:, [NAMES.index("day_of_year")], 0] * (2 * np.pi / 365.2425)
        turns = range(1, _YEAR_WAVES + 1)
        waves = [wave(year * turn) for turn in turns for wave in (np.sin, np.cos)]
        indoors = np.isnan(columns[:, [NAMES.index("outdoor")], 0])
        marks = [*named, *waves, hour / 24, hour > 0, ahead > 0, indoors]
        own, base = columns[:, NAMES.index("own_middle")], columns[:, NAMES.index("base")]
        return cls(
            numbers,
            np.concatenate([np.asarray(one, np.float32) for one in marks], axis=1),
            np.nan_to_num((own - base).astype(np.float64)),
        )

    def packed(self) -> Day:
        """Return the same in half of the memory."""
        return Day(self.numbers.astype(np.float16), self.marks, self.straight)

    def take(self, rows: Ints | Bools | slice) -> Day:
        """Return some of the days."""
        return Day(self.numbers[rows], self.marks[rows], self.straight[rows])


@dataclass(frozen=True, slots=True)
class Net:
    """A net that says how the hours of a day differ from similar days.

    Attributes:
        centre: Middle of each input, shape (inputs,).
        size: Spread of each input, shape (inputs,).
        layers: Weights and offsets of the hidden layer and of what is said, in turn.
    """

    centre: Floats
    size: Floats
    layers: tuple[Floats, Floats, Floats, Floats]

    def expect(self, columns: Singles) -> Floats:
        """Return the median of the hours of some days [spreads], shape (n, 24).

        Args:
            columns: Shape (n, len(NAMES), 24).
        """
        return self.say(Day.of(columns))

    def say(self, days: Day) -> Floats:
        """Return the same of days that are described already.

        Days are multiplied in blocks of one size, so that what is said of a day does not depend
        on the days beside it.
        """
        count = len(days.numbers)
        inputs = np.zeros((-(-count // _BLOCK), _BLOCK, len(self.layers[0])))
        inputs.reshape(-1, inputs.shape[2])[:count] = self.scaled(days)
        first, offset, last, end = self.layers
        hidden = np.matmul(inputs, first) + offset
        hidden = np.maximum(hidden, float(LEAK) * hidden)
        said = np.matmul(hidden, last) + end
        found: Floats = said.reshape(-1, 24)[:count] + days.straight
        return found

    def scaled(self, days: Day) -> Singles:
        """Return the inputs as the layers see them, shape (n, inputs)."""
        near = np.clip((days.numbers - self.centre) / self.size, -_FAR, _FAR)
        return np.concatenate([np.nan_to_num(near), days.marks], axis=1).astype(np.float32)

    def half_way(self, other: Net) -> Net:
        """Return what lies between this net and the one that it went out from.

        Source:
            M. Wortsman and others, "Robust fine-tuning of zero-shot models", CVPR 2022.
        """
        first, offset, last, end = (
            (own + one) / 2 for own, one in zip(self.layers, other.layers, strict=True)
        )
        return Net.read(replace(self, layers=(first, offset, last, end)).content())

    def content(self) -> dict[str, Any]:
        """Return what ``read`` reads, fit for JSON."""
        parts = (self.centre, self.size, *self.layers)
        kinds = (np.float32, np.float32, *[np.float16] * 4)
        return {
            "shapes": [list(one.shape) for one in parts],
            "parts": [
                base64.b64encode(one.astype(kind).tobytes()).decode()
                for one, kind in zip(parts, kinds, strict=True)
            ],
        }

    @classmethod
    def read(cls, content: dict[str, Any]) -> Self:
        """Read what ``content`` returned."""
        kinds = (np.float32, np.float32, *[np.float16] * 4)
        parts = [
            np.frombuffer(base64.b64decode(part), kind).reshape(shape).astype(np.float64)
            for part, shape, kind in zip(content["parts"], content["shapes"], kinds, strict=True)
        ]
        return cls(parts[0], parts[1], (parts[2], parts[3], parts[4], parts[5]))

    @staticmethod
    def join(nets: Sequence[Net]) -> Net:
        """Return the mean of nets that scale their inputs alike: one with all their units."""
        first, offset, last, end = zip(*(one.layers for one in nets), strict=True)
        layers = (
            np.concatenate(first, axis=1), np.concatenate(offset),
            np.concatenate(last) / len(nets), np.mean(end, axis=0),
        )  # fmt: skip
        return Net(nets[0].centre, nets[0].size, layers)
