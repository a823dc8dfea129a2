"""What each stream's own forecasts have taught: how wide its band must be.

The state of a stream is a few numbers, moved once a day by what came. It rests on forecasts that
were made before, so a replay of history moves it in the same way.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from kilowatch.insights.forecasting.forecast import Forecast
from kilowatch.model.blocks import Floats, Ints

EDGES = (0, 1, 3, 4)
"""Rows of a band beside its middle: 5, 25, 75 and 95 %."""

_WANTED = np.array([0.05, 0.25, 0.25, 0.05])
"""Share of hours beyond each edge."""

_GAIN = 0.3
"""How far a day moves an edge: one that a fifth of the hours cross lies twice as far out after
three weeks."""

_WIDTH_MAX = 1.6
"""An edge moves by no more than a factor of 5 either way: beyond it, the stream has changed."""


@dataclass(frozen=True, slots=True)
class Track:
    """What was learnt of each stream by comparing its forecasts with what came.

    Attributes:
        days: Days compared, shape (streams,).
        width: Logarithm of how much wider each edge lies than the model says,
            shape (streams, 4).
    """

    days: Ints
    width: Floats

    @classmethod
    def start(cls, streams: int) -> Self:
        """Return the state of streams of which nothing was compared yet."""
        return cls(np.zeros(streams, np.int64), np.zeros((streams, 4)))

    def take(self, streams: Ints | slice) -> Track:
        """Return the state of some streams."""
        return Track(*(getattr(self, one.name)[streams] for one in fields(self)))

    @staticmethod
    def join(parts: list[Track]) -> Track:
        """Put the states of several batches one after another."""
        names = [one.name for one in fields(Track)]
        return Track(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def to_bytes(self) -> bytes:
        """Return the state as a file's content."""
        out = io.BytesIO()
        np.savez(out, **{one.name: getattr(self, one.name) for one in fields(self)})
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what ``to_bytes`` wrote.

        Raises:
            ValueError: It is something else.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(*(arrays[one.name] for one in fields(cls)))


def follow(track: Track, forecast: Forecast, values: Floats) -> Track:
    """Learn from a day: compare its forecast with what came.

    An edge that too many hours crossed moves outwards, one that too few crossed moves inwards.

    Args:
        track: State of the same streams.
        forecast: Made before the day began.
        values: What came in its first hours, shape (streams, up to horizon); NaN teaches nothing.

    Source:
        I. Gibbs and E. Candès, "Adaptive conformal inference under distribution shift", NeurIPS
        2021; on the width's logarithm, so that it works in any unit.
    """
    rate = forecast.rate[:, :, : values.shape[1]]
    known = ~np.isnan(values) & ~np.isnan(rate[2])
    count = known.sum(axis=1)
    beyond = np.stack(
        [
            (known & (values < rate[0])).sum(axis=1),
            (known & (values < rate[1])).sum(axis=1),
            (known & (values > rate[3])).sum(axis=1),
            (known & (values > rate[4])).sum(axis=1),
        ],
        axis=1,
    )
    share = beyond / np.maximum(count, 1)[:, None]
    step = np.where(count[:, None] >= 6, _GAIN * (share - _WANTED), 0.0)
    width = np.clip(track.width + step, -_WIDTH_MAX, _WIDTH_MAX)
    return Track(track.days + (count >= 6), width)
