"""Says what some streams will use in the hours to come, from what was known at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kilowatch.insights.forecasting.features import features
from kilowatch.insights.forecasting.forecast import Forecast
from kilowatch.insights.forecasting.model import Model
from kilowatch.insights.forecasting.prior import prior
from kilowatch.insights.forecasting.track import EDGES, Track
from kilowatch.insights.forecasting.windows import HISTORY_DAYS, Windows, days_of, seen_any, windows
from kilowatch.insights.hours import HOUR_MS, Hours
from kilowatch.model.blocks import Floats, Ints

OWN_DAYS = 14
"""Days after which a stream's forecast is called its own: it has shown each kind of day twice,
and its band is as wide as its own errors ask for."""

_LOOK_BACK_H = (HISTORY_DAYS + 2) * 24


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
        model: The installation's; None where it has too little to learn from.
        hours: The past, and the holidays and the temperature forecast of the hours to come as far
            as they are known. Values at or after ``origin`` are not looked at. Where the grid
            ends before the horizon does, no holiday and no temperature is known there.
        origin: Index of the first hour that is not known yet.
        horizon: Hours to forecast, up to 48.
        track: What comparing their forecasts with what came has taught of these streams.
        utility: Of all streams, or of each.

    Returns:
        The band of each hour; NaN for a stream that has no value in eight weeks.

    Raises:
        ValueError: A horizon or an origin that can't be.
    """
    if not 1 <= horizon <= 48:
        raise ValueError(f"a horizon of {horizon} hours; 1 to 48 are possible")
    if not 0 < origin <= hours.count:
        raise ValueError(f"an origin of {origin} in {hours.count} hours")
    near = _near(hours, origin, horizon)
    origin_near = min(origin, _LOOK_BACK_H)
    cut, cell = _cut(near, origin_near, horizon)
    aheads = tuple(range(int(cell.max()) // 24 + 1))
    utilities = [utility] * hours.streams if isinstance(utility, str) else list(utility)
    if model is None:
        middle, error, edges = _by_prior(cut, utilities, aheads)
        source = ["prior"] * hours.streams
    else:
        middle, error = _by_model(model, cut, aheads, cell)
        edges = np.array(model.edges)
        seen = np.asarray((~np.isnan(cut.values)).any(axis=2)).sum(axis=1)
        source = ["own" if days >= OWN_DAYS else "global" for days in seen]
    flat = (len(cut.values), -1)
    middle, error = middle.reshape(flat), error.reshape(flat)
    if model is None:
        middle, error = middle[:, cell], error[:, cell]
    rate = _band(middle, error, edges, track)
    least = np.where((cut.values < 0).any(axis=(1, 2)), -np.inf, 0.0)
    rate = np.maximum(rate, least[None, :, None])
    start_ms = hours.first_ms + (origin + np.arange(horizon)) * HOUR_MS
    return Forecast(origin, start_ms, rate, tuple(source), error.mean(axis=1))


def _near(hours: Hours, origin: int, horizon: int) -> Hours:
    """Cut out what is looked at, with room for the horizon."""
    near = hours.hours(origin - _LOOK_BACK_H, origin + horizon)
    missing = min(origin, _LOOK_BACK_H) + horizon - near.count
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


def _cut(near: Hours, origin: int, horizon: int) -> tuple[Windows, Ints]:
    """Return what is known, and the cell of each hour to come counted from the origin's day."""
    days = days_of(near)
    cells = days.cell[origin : origin + horizon]
    row, hour = divmod(int(cells[0]), 24)
    streams = np.arange(near.streams)
    cut = windows(days, streams, np.full(near.streams, row), np.full(near.streams, hour))
    return cut, cells - row * 24


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
