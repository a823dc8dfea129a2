"""Scores forecasts against what came, as docs/reference/evaluation.md defines it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kilowatch.evaluation.folder import Listed
from kilowatch.evaluation.forecast_groups import Group, joined
from kilowatch.insights.forecasting import Score, naive_scale, score
from kilowatch.model.blocks import Floats

NO_VALUE = "no value in the time that is forecast"
NO_PAST = "no value before those that would have been forecast"
NO_SCALE = "forecast, but no score: no two weeks in the time before, or no change between them"


def unscored(groups: Sequence[Group], bands: Sequence[Sequence[Floats]]) -> dict[str, str]:
    """Return why streams that were forecast have no score."""
    found = {}
    for group, days in zip(groups, bands, strict=True):
        rate, index, _ = joined(group, days)
        came = ~np.isnan(group.hours.values[:, index])
        both = came & ~np.isnan(rate[2])
        scale = naive_scale(group.hours.values[:, : int(group.midnights[group.first])])
        for row, one in enumerate(group.listed):
            if not came[row].any():
                found[one.stream_id] = NO_VALUE
            elif not both[row].any():
                found[one.stream_id] = NO_PAST
            elif not scale[row] > 0:
                found[one.stream_id] = NO_SCALE
    return found


def scores(groups: Sequence[Group], bands: Sequence[Sequence[Floats]]) -> dict[str, Any]:
    """Score forecasts overall, by data set, by utility and by stream.

    A stream that was the same every week has no scale, and so no score.
    """
    streams: dict[str, dict[str, Any]] = {}
    for group, days in zip(groups, bands, strict=True):
        rate, index, _ = joined(group, days)
        values = group.hours.values
        scale = naive_scale(values[:, : int(group.midnights[group.first])])
        scale = np.where(scale > 0, scale, np.nan)
        found = score(values[:, index], values[:, np.maximum(index - 168, 0)], rate, scale)
        for at, one in enumerate(group.listed):
            if not np.isnan(found.mase[at]):
                streams[one.stream_id] = _of_stream(one, found, scale, at)
    every = list(streams.values())
    return {
        **summary(every),
        "by_dataset": _parted(every, "dataset"),
        "by_utility": _parted(every, "utility"),
        "by_stream": streams,
    }


def _of_stream(one: Listed, found: Score, scale: Floats, at: int) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "utility": one.utility,
        "mase": float(found.mase[at]),
        "naive": float(found.naive[at]),
        "coverage": float(found.coverage[at]),
        "scale": float(scale[at]),
    }


def _parted(streams: list[dict[str, Any]], by: str) -> dict[str, Any]:
    return {
        name: summary([one for one in streams if one[by] == name])
        for name in sorted({one[by] for one in streams})
    }


def summary(streams: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the scores of some streams together.

    Args:
        streams: Of each ``mase``, ``naive`` and ``coverage``.
    """
    if not streams:
        return {"streams": 0}
    mase, naive, coverage = (
        np.array([one[name] for one in streams]) for name in ("mase", "naive", "coverage")
    )
    return {
        "streams": len(streams),
        "mase_median": float(np.median(mase)),
        "mase_mean": float(mase.mean()),
        "naive_median": float(np.nanmedian(naive)),
        "worse_than_naive": float((mase > naive).mean()),
        "coverage": float(coverage.mean()),
        "coverage_p10": float(np.quantile(coverage, 0.1)),
        "coverage_p90": float(np.quantile(coverage, 0.9)),
    }
