"""Says what some streams will use in the hours to come, from what was known at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kilowatch.insights.forecasting.features import features
from kilowatch.insights.forecasting.forecast import Forecast
from kilowatch.insights.forecasting.model import Model
from kilowatch.insights.forecasting.prior import prior
from kilowatch.insights.forecasting.track import EDGES, Track
from kilowatch.insights.forecasting.windows import (
    HISTORY_DAYS,
    Days,
    Windows,
    days_of,
    seen_any,
    windows,
)
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import HOUR_MS

OWN_DAYS = 14
"""Days after which a stream's forecast is called its own: it has shown each kind of day twice,
and its band is as wide as its own errors ask for."""

_LOOK_BACK_H = (HISTORY_DAYS + 2) * 24
_LOOK_AHEAD_H = 48
"""Tomorrow's holidays are looked at for today, whatever the horizon is."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a forecast rests on, before the stream's track says how wide its band is.

    Attributes:
        origin: Index of the first hour that was not known yet.
        start_ms: Start of each hour to come, shape (horizon,) [ms since 1970, UTC].
        middle: Median of each hour, shape (streams, horizon) [the stream's unit].
        error: Size of its error, likewise.
        least: No hour is below it, shape (streams,).
        edges: Where 5, 25, 75 and 95 % lie [errors above the middle], shape (4,).
        source: As ``Forecast.source``.
    """

    origin: int
    start_ms: Ints
    middle: Floats
    error: Floats
    least: Floats
    edges: Floats
    source: tuple[str, ...]

    def band(self, track: Track | None = None) -> Forecast:
        """Return the forecast of streams that have come this far.

        Args:
            track: What comparing their forecasts with what came has taught of these streams.
        """
        rate = _band(self.middle, self.error, self.edges, track)
        rate = np.maximum(rate, self.least[None, :, None])
        return Forecast(self.origin, self.start_ms, rate, self.source, self.error.mean(axis=1))


def predict(
    model: Model | None,
    hours: Hours,
    origin: int,
    horizon: int = 48,
    *,
    track: Track | None = None,
    utility: str | Sequence[str] = "electricity",
) -> Forecast:
    """Forecast some streams from what was known before ``origin``.

    Args:
        model: The installation's, or the one that ships; None where none can be read.
        hours: The past, and the holidays of the hours to come as far as they are known. Values and
            temperatures at or after ``origin`` are not looked at. Where the grid ends before the
            horizon does, no holiday is known there.
        origin: Index of the first hour that is not known yet.
        horizon: Hours to forecast, up to 48.
        track: What comparing their forecasts with what came has taught of these streams.
        utility: Of all streams, or of each.

    Returns:
        The band of each hour; NaN for a stream that has no value in eight weeks.

    Raises:
        ValueError: A horizon or an origin that can't be.
    """
    (made,) = expect(model, hours, [origin], [horizon], utility=utility)
    return made.band(track)


def expect(
    model: Model | None,
    hours: Hours,
    origins: Sequence[int],
    horizons: Sequence[int],
    *,
    utility: str | Sequence[str] = "electricity",
) -> list[Expectation]:
    """Say what ``predict`` says at several origins, at less than the cost of one after the other.

    Args:
        model: See ``predict``; as ``hours`` and ``utility``.
        hours: Values and temperatures at or after an origin do not move what is said at it.
        origins: Index of the first hour that is not known yet, rising; midnights, if several.
        horizons: Hours to forecast from each of them, up to 48.
        utility: Of all streams, or of each.

    Raises:
        ValueError: A horizon or an origin that can't be.
    """
    for origin, horizon in zip(origins, horizons, strict=True):
        if not 1 <= horizon <= 48:
            raise ValueError(f"a horizon of {horizon} hours; 1 to 48 are possible")
        if not 0 < origin <= hours.count:
            raise ValueError(f"an origin of {origin} in {hours.count} hours")
    first = max(origins[0] - _LOOK_BACK_H, 0)
    last = max(one + horizon for one, horizon in zip(origins, horizons, strict=True))
    days = days_of(_near(hours, first, last, origins[-1] + _LOOK_AHEAD_H))
    utilities = [utility] * hours.streams if isinstance(utility, str) else list(utility)
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, (origin, horizon) in enumerate(zip(origins, horizons, strict=True)):
        cells = days.cell[origin - first : origin - first + horizon]
        alike.setdefault(tuple((cells - cells[0] // 24 * 24).tolist()), []).append(place)
    found: dict[int, Expectation] = {}
    for cell, places in alike.items():
        rows = [int(days.cell[origins[place] - first]) // 24 for place in places]
        made = _alike(model, days, rows, np.array(cell), utilities)
        for number, place in enumerate(places):
            own = slice(number * hours.streams, (number + 1) * hours.streams)
            start_ms = hours.first_ms + (origins[place] + np.arange(horizons[place])) * HOUR_MS
            found[place] = Expectation(
                origins[place], start_ms, made.middle[own], made.error[own], made.least[own],
                made.edges, made.source[own],
            )  # fmt: skip
    return [found[place] for place in range(len(origins))]


def _near(hours: Hours, first: int, last: int, ahead: int) -> Hours:
    """Cut out what is looked at, with room for the horizon."""
    near = hours.hours(first, max(last, ahead))
    missing = last - first - near.count
    if missing <= 0:
        return near
    width = ((0, 0), (0, missing))
    outdoor = near.temperature_c
    return replace(
        near,
        values=np.pad(near.values, width, constant_values=np.nan),
        holidays=np.pad(near.holidays, width),
        temperature_c=None if outdoor is None else np.pad(outdoor, width, constant_values=np.nan),
    )


def _alike(
    model: Model | None, days: Days, rows: list[int], cell: Ints, utilities: list[str]
) -> Expectation:
    """Say it of origins at the same hour of their days: all streams at the first, then the next.

    Args:
        model: See ``predict``.
        days: Whole streams.
        rows: Row of each origin's day.
        cell: Cell of each hour to come, counted from the origin's day, shape (horizon,).
        utilities: Of each stream.
    """
    streams = len(days.values)
    which = np.tile(np.arange(streams), len(rows))
    hour = np.full(len(which), cell[0] % 24)
    cut = windows(days, which, np.repeat(np.array(rows), streams), hour)
    aheads = tuple(range(int(cell.max()) // 24 + 1))
    if model is None:
        middle, error, edges = _by_prior(cut, utilities * len(rows), aheads)
        flat = (len(which), -1)
        middle, error = middle.reshape(flat)[:, cell], error.reshape(flat)[:, cell]
        source = ["prior"] * len(which)
    else:
        if seen_any(cut).any():
            middle, error = _by_model(model, cut, aheads, cell)
        else:  # nothing to say of anybody, and no need to ask
            middle = error = np.full((len(which), len(cell)), np.nan)
        edges = np.array(model.edges)
        seen = np.asarray((~np.isnan(cut.values)).any(axis=2)).sum(axis=1)
        learnt = ("shipped", "shipped") if model.ships else ("global", "own")
        source = [learnt[int(known >= OWN_DAYS)] for known in seen]
    least = np.where((cut.values < 0).any(axis=(1, 2)), -np.inf, 0.0)
    return Expectation(0, cell, middle, error, least, edges, tuple(source))


def _by_model(
    model: Model, cut: Windows, aheads: tuple[int, ...], cell: Ints
) -> tuple[Floats, Floats]:
    known = features(cut, aheads)
    shift, error = model.expect(known.columns, cell)
    base = known.base.reshape(len(known.base), -1)[:, cell]
    spread = known.spread[:, None]
    middle = base + spread * shift
    return np.where(seen_any(cut)[:, None], middle, np.nan), spread * error


def _by_prior(
    cut: Windows, utilities: list[str], aheads: tuple[int, ...]
) -> tuple[Floats, Floats, Floats]:
    shape = (len(cut.values), len(aheads), 24)
    middle, error, edges = np.empty(shape), np.empty(shape), np.zeros(4)
    for one in sorted(set(utilities)):
        rows = np.flatnonzero([other == one for other in utilities])
        said = prior(_rows(cut, rows), one, aheads)
        middle[rows], error[rows], edges = said.middle, said.error, said.edges
    return middle, error, edges


def _rows(cut: Windows, rows: Ints) -> Windows:
    return Windows(
        cut.values[rows], cut.temperature[rows], cut.kind[rows], cut.holiday[rows],
        cut.hour[rows], cut.day[rows],
    )  # fmt: skip


def _band(middle: Floats, error: Floats, edges: Floats, track: Track | None) -> Floats:
    """Lay the edges around the median, shape (5, streams, horizon)."""
    width = np.ones((len(middle), 4)) if track is None else np.exp(track.width)
    rate = np.empty((5, *middle.shape))
    rate[2] = middle
    for index, row in enumerate(EDGES):
        rate[row] = middle + edges[index] * width[:, index, None] * error
    rate[1] = np.minimum(rate[1], middle)
    rate[3] = np.maximum(rate[3], middle)
    rate[0] = np.minimum(rate[0], rate[1])
    rate[4] = np.maximum(rate[4], rate[3])
    return rate
