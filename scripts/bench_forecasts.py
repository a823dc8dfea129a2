"""Compare families of day-ahead forecasts on a folder of meter data.

    PYTHONPATH=src python scripts/bench_forecasts.py --data DIR

Every family forecasts the same midnights of the same streams: a sample of the last year, each from
what was known at that midnight. ``statsforecast`` (MSTL with an ETS trend) is one of them where it
is installed; nothing else of the project needs it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np

from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.forecast_groups import Group, groups_of
from kilowatch.insights.forecasting import TooLittleError, naive_scale, predict, train
from kilowatch.insights.forecasting.features import Features, features
from kilowatch.insights.forecasting.windows import days_of, windows
from kilowatch.model.blocks import Floats, Ints

LEARN_DAYS = 365
"""Past days that a model of one stream learns from."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Some streams and midnights of a group, and the error scale of each stream."""

    group: Group
    streams: Ints
    rows: Ints
    scale: Floats

    @property
    def origins(self) -> Ints:
        """Index of each midnight."""
        return self.group.midnights[self.rows]


Family = Callable[[Sample, int], Floats]
"""Forecasts one stream: shape (origins, 24)."""


def samples(groups: list[Group], streams: int, midnights: int) -> list[Sample]:
    """Take every n-th stream and midnight, so that each part of each data set is there."""
    total = sum(len(one.listed) for one in groups)
    step = max(1, total // streams)
    found, before = [], 0
    for group in groups:
        chosen = np.array([i for i in range(len(group.listed)) if (before + i) % step == 0])
        before += len(group.listed)
        if not len(chosen):
            continue
        days = len(group.midnights) - 1 - group.first
        rows = group.first + np.arange(midnights) * days // midnights
        scale = naive_scale(group.hours.values[:, : int(group.midnights[group.first])])
        found.append(Sample(group, chosen, rows, scale))
    return found


def weekly_naive(sample: Sample, stream: int) -> Floats:
    """Say that each hour is as it was a week before."""
    return _at(sample, stream, -168)


def _at(sample: Sample, stream: int, shift: int) -> Floats:
    index = sample.origins[:, None] + np.arange(24) + shift
    found: Floats = sample.group.hours.values[stream][index]
    return found


def described(sample: Sample, stream: int, rows: Ints) -> tuple[Features, Floats]:
    """Return what is known of some days of a stream at their midnight, and what came."""
    days = days_of(sample.group.hours)
    streams = np.full(len(rows), stream)
    cut = windows(days, streams, rows, np.zeros(len(rows), np.int64))
    return features(cut, (0,)), days.values[streams, rows]


def similar_days(sample: Sample, stream: int) -> Floats:
    """Say that each hour is as it was on similar days."""
    known, _ = described(sample, stream, sample.rows)
    return known.base[:, 0]


def ridge(sample: Sample, stream: int) -> Floats:
    """Fit a ridge to each stream: the features of the global model, their course over the day."""
    return _own(sample, stream, _solve)


def lightgbm_of_one(sample: Sample, stream: int) -> Floats:
    """Grow trees for each stream on its own past."""
    return _own(sample, stream, _grow)


def _own(sample: Sample, stream: int, fit: Callable[[Floats, Floats, Floats], Floats]) -> Floats:
    first = sample.group.first
    past = np.arange(max(first - LEARN_DAYS, 29), first)
    known, came = described(sample, stream, past)
    ahead, _ = described(sample, stream, sample.rows)
    target = (came - known.base[:, 0]) / known.spread[:, None]
    use = ~np.isnan(target)
    if not use.any():
        return ahead.base[:, 0]
    columns = known.columns[:, :, 0].transpose(0, 2, 1)[use].astype(np.float64)
    asked = ahead.columns[:, :, 0].transpose(0, 2, 1).reshape(-1, columns.shape[1])
    said = fit(columns, np.clip(target[use], -8, 8), asked.astype(np.float64))
    return ahead.base[:, 0] + ahead.spread[:, None] * np.clip(said, -8, 8).reshape(-1, 24)


def _solve(columns: Floats, target: Floats, asked: Floats) -> Floats:
    wide, asked_wide = _swinging(columns), _swinging(asked)
    size = wide.std(axis=0) + 1e-3
    wide, asked_wide = wide / size, asked_wide / size
    square = wide.T @ wide + 100.0 * np.eye(wide.shape[1])
    found: Floats = asked_wide @ np.linalg.solve(square, wide.T @ np.clip(target, -3, 3))
    return found


def _swinging(columns: Floats) -> Floats:
    """Let the strongest columns act differently over the day."""
    known = np.nan_to_num(columns)
    spread = np.nanstd(known, axis=0)
    hour = known[:, [int(np.argmax((known.max(axis=0) == 23.0) & (spread > 6)))]] * 2 * np.pi / 24
    waves = np.concatenate([np.sin(hour), np.cos(hour), np.sin(2 * hour), np.cos(2 * hour)], axis=1)
    crossed = [known[:, [index]] * waves for index in range(12)]
    return np.concatenate([np.ones((len(known), 1)), known, waves, *crossed], axis=1)


def _grow(columns: Floats, target: Floats, asked: Floats) -> Floats:
    settings = {"objective": "l1", "num_leaves": 15, "verbosity": -1, "num_threads": 1}
    examples = lightgbm.Dataset(columns, target, params={"verbosity": -1})
    return np.asarray(lightgbm.train(settings, examples, num_boost_round=100).predict(asked))


def mstl(sample: Sample, stream: int) -> Floats:
    """Ask statsforecast: MSTL of day and week over the last eight weeks, ETS for the trend."""
    models = importlib.import_module("statsforecast.models")
    values = sample.group.hours.values[stream]
    found = np.full((len(sample.origins), 24), np.nan)
    for row, origin in enumerate(sample.origins.tolist()):
        past = values[max(0, origin - 56 * 24) : origin]
        week_before = values[max(0, origin - 57 * 24 - 144) : origin - 168]
        lacking = np.isnan(past)
        past = np.where(lacking[-len(week_before) :], week_before[-len(past) :], past)
        past = np.where(np.isnan(past), np.nanmean(past), past)
        made = models.MSTL(season_length=[24, 168]).forecast(y=past, h=24)
        found[row] = made["mean"]
    return found


def score(samples_: list[Sample], family: Family) -> tuple[Floats, float]:
    """Return each stream's error on the weekly naive scale, and processor time a stream [ms]."""
    errors, began = [], time.process_time()
    for sample in samples_:
        for stream in sample.streams.tolist():
            off = np.abs(family(sample, stream) - _at(sample, stream, 0))
            known = off[~np.isnan(off)]
            errors.append(known.mean() / sample.scale[stream] if len(known) else np.nan)
    spent = (time.process_time() - began) * 1000
    return np.array(errors), spent / len(errors)


def global_family(groups: list[Group]) -> tuple[Family, float]:
    """Train a model like the platform's on what was before the year; returns it and its cost [s].

    From nothing, since the one that ships and that installations go on from may know these
    buildings.
    """
    began = time.process_time()
    past = [one.hours.hours(0, int(one.midnights[one.first])) for one in groups]
    model = train(past)
    took = time.process_time() - began

    def family(sample: Sample, stream: int) -> Floats:
        alone = sample.group.hours.only(np.array([stream]))
        return np.stack(
            [predict(model, alone, int(origin), 24).rate[2, 0] for origin in sample.origins]
        )

    return family, took


def main() -> None:
    """Print a table of all families."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--midnights", type=int, default=24)
    asked = parser.parse_args()
    groups = groups_of(Folder(asked.data))
    chosen = samples(groups, asked.streams, asked.midnights)
    families: dict[str, Family] = {
        "weekly naive": weekly_naive,
        "similar days": similar_days,
        "ridge for each stream": ridge,
        "LightGBM for each stream": lightgbm_of_one,
    }
    try:
        families["global model (the platform's)"], took = global_family(groups)
        print(f"training the global model took {took:.1f} s of processor time")
    except TooLittleError as error:
        print(f"no global model: {error}")
    if importlib.util.find_spec("statsforecast"):
        families["statsforecast MSTL"] = mstl
    print(f"{'family':<32} {'median MASE':>11} {'mean':>7} {'ms/stream':>10}")
    for name, family in families.items():
        errors, spent = score(chosen, family)
        print(
            f"{name:<32} {np.nanmedian(errors):>11.3f} {np.nanmean(errors):>7.3f} {spent:>10.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
