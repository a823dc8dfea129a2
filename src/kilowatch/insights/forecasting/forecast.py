"""What a forecast is, and how far off forecasts were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.insights.hours import WEEK_H
from kilowatch.model.blocks import Floats, Ints


@dataclass(frozen=True, slots=True)
class Forecast:
    """What some streams will use, known at one moment.

    Attributes:
        origin: Index of the first hour that was not known yet.
        start_ms: Start of each hour to come, shape (horizon,) [ms since 1970, UTC].
        rate: ``QUANTILES`` of each hour, shape (5, streams, horizon) [the stream's unit]; NaN
            for a stream of which nothing was known.
        source: ``global``, ``own``, ``shipped`` or ``prior`` for each stream: which model said so.
        spread: What errors of this stream are measured by, shape (streams,) [its unit].
    """

    origin: int
    start_ms: Ints
    rate: Floats
    source: tuple[str, ...]
    spread: Floats


@dataclass(frozen=True, slots=True)
class Score:
    """How good forecasts of some streams were.

    Attributes:
        mase: Mean absolute error over that of the same hour a week before, in the time that was
            learnt from, shape (streams,); NaN without anything to compare.
        naive: The same of the weekly naive forecast, shape (streams,).
        coverage: Share of hours within the 90 % band, shape (streams,).
    """

    mase: Floats
    naive: Floats
    coverage: Floats


def naive_scale(values: Floats) -> Floats:
    """Return the mean change of each stream from one week to the next, shape (streams,).

    Args:
        values: What was learnt from, shape (streams, hours).

    Source:
        R. J. Hyndman and A. B. Koehler, "Another look at measures of forecast accuracy",
        International Journal of Forecasting 22, 2006: MASE with a seasonal naive of one week.
    """
    change = np.abs(values[:, WEEK_H:] - values[:, :-WEEK_H])
    known = ~np.isnan(change)
    count = known.sum(axis=1)
    total = np.where(known, change, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def score(values: Floats, weekly: Floats, rate: Floats, scale: Floats) -> Score:
    """Score forecasts against what came.

    Args:
        values: What came, shape (streams, hours); NaN is not counted.
        weekly: What was a week before, shape (streams, hours).
        rate: What was forecast, shape (5, streams, hours).
        scale: ``naive_scale`` of the time before, shape (streams,).
    """
    return Score(
        _mean(np.abs(values - rate[2])) / scale,
        _mean(np.abs(values - weekly)) / scale,
        _mean(np.where(np.isnan(values), np.nan, (values >= rate[0]) & (values <= rate[4]))),
    )


def _mean(of: Floats) -> Floats:
    known = ~np.isnan(of)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, of, 0.0).sum(1) / np.maximum(count, 1), np.nan)
