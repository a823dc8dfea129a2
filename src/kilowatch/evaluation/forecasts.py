"""Forecasts on a folder: each midnight of the last year, a day ahead, then scored.

Docs/reference/evaluation.md has the protocol and why it is so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kilowatch.evaluation.folder import Folder, Listed, hours_of, zones
from kilowatch.insights.forecasting import (
    Model,
    Score,
    TooLittleError,
    Track,
    adapt,
    expect,
    follow,
    naive_scale,
    score,
    shipped,
)
from kilowatch.insights.hours import Bools, Hours
from kilowatch.model.blocks import Floats, Ints

TEST_DAYS = 365
"""The last year is forecast: every season and every holiday once."""

AGAIN_DAYS = 7
"""The model of the year's beginning learns on each week with what is known by then, as the
platform's does."""

WARM_DAYS = 56
"""Days before the year in which each stream's own errors are followed already."""

WINDOWS = 120
"""Stream-days that are described at once: more no longer fit the processor's cache."""

_BAND = (0, 2, 4)


@dataclass(frozen=True, slots=True)
class Group:
    """Streams of one data set that share zone and weather.

    Attributes:
        listed: Rows of ``streams.csv``.
        hours: Their hours.
        midnights: Index of the first hour of each local day, shape (days,).
        first: Row of ``midnights`` at which the year that is forecast begins.
    """

    listed: tuple[Listed, ...]
    hours: Hours
    midnights: Ints
    first: int

    @property
    def utilities(self) -> list[str]:
        """Utility of each stream."""
        return [one.utility for one in self.listed]

    def starts(self) -> list[int]:
        """Rows of ``midnights`` at which each week begins, and the end."""
        end = len(self.midnights)
        return [*range(self.first, end, AGAIN_DAYS), end]


@dataclass(slots=True)
class Cost:
    """What the evaluation took, as processor time [s].

    Attributes:
        train_s: All trainings.
        trainings: How many.
        trained_streams: Streams of all of them.
        again_s: Those in which a model learnt on from itself, as it does each week.
        again_streams: Their streams.
        predict_s: All forecasts, with what follows their errors.
        stream_days: How many.
    """

    train_s: float = 0.0
    trainings: int = 0
    trained_streams: int = 0
    again_s: float = 0.0
    again_streams: int = 0
    predict_s: float = 0.0
    stream_days: int = 0


def run(folder: Folder, out: Path, base: Model | None = None) -> dict[str, Any]:
    """Write the forecasts of a folder's streams, then score them.

    Args:
        folder: Streams, and weather where there is any.
        out: Folder for ``forecast.parquet`` (streams with history) and
            ``forecast_unseen.parquet`` (whole buildings held out of the training): ``stream_id``,
            ``origin``, ``ts``, ``p05``, ``p50``, ``p95``, ``value``.
        base: The model that installations go out from, in place of the one that ships: it has
            seen earlier years of the buildings that it was taught with.

    Returns:
        Scores with history and never seen, overall, by data set, by utility and by stream, and
        ``timing``; without streams ``{"streams": 0}``.
    """
    groups = groups_of(folder)
    if not groups:
        return {"streams": 0}
    cost = Cost()
    base = base or shipped()
    known = with_history(groups, base, cost)
    write(groups, known, out / "forecast.parquet")
    unseen = never_seen(groups, base, cost)
    write(groups, unseen, out / "forecast_unseen.parquet")
    return {
        "streams": sum(len(one.listed) for one in groups),
        "with_history": scores(groups, known),
        "never_seen": scores(groups, unseen),
        "timing": {
            "train_s": cost.train_s / max(cost.trainings, 1),
            "train_ms_per_stream": 1000 * cost.train_s / max(cost.trained_streams, 1),
            "retrain_ms_per_stream": 1000 * cost.again_s / max(cost.again_streams, 1),
            "predict_ms_per_stream_day": 1000 * cost.predict_s / max(cost.stream_days, 1),
            "measured": "processor time of one core",
        },
    }


def groups_of(folder: Folder) -> list[Group]:
    """Lay a folder's streams on grids; each data set ends, and is forecast, at its own time."""
    series = folder.streams()
    found: list[Group] = []
    for dataset in sorted({folder.listed[key].dataset for key in series}):
        members = [one for key, one in folder.listed.items() if key in series]
        members = [one for one in members if one.dataset == dataset]
        end_ms = max(int(series[one.stream_id].start_ms[-1]) for one in members)
        begin_ms = min(int(series[one.stream_id].start_ms[0]) for one in members)
        for (zone, weather), names in zones(members).items():
            hours = hours_of(
                {name: series[name] for name in names}, zone, folder.temperature(weather)
            )
            found.append(_group([folder.listed[name] for name in names], hours, begin_ms, end_ms))
    return found


def _group(listed: list[Listed], hours: Hours, begin_ms: int, end_ms: int) -> Group:
    midnights = np.flatnonzero(np.diff(hours.day, prepend=hours.day[0] - 1))
    span_days = (end_ms - begin_ms) / 86_400_000
    days = TEST_DAYS if span_days >= 2 * TEST_DAYS - 7 else int(span_days / 2)
    last_day = int(hours.zone.local_ms(np.array([end_ms]))[0]) // 86_400_000
    first = int(np.searchsorted(hours.day[midnights], last_day + 1 - days))
    return Group(tuple(listed), hours, midnights, first)


def with_history(groups: Sequence[Group], base: Model, cost: Cost) -> list[list[Floats]]:
    """Forecast streams that teach the model, which learns on each week.

    Returns:
        For each group and each midnight of its year the band, shape (5, streams, hours).
    """
    model = _trained(base, [_past(one, one.first) for one in groups], cost)
    tracks = [_warm(model, one, cost) for one in groups]
    found: list[list[Floats]] = [[] for _ in groups]
    starts = [one.starts() for one in groups]
    for week in range(max(len(one) for one in starts) - 1):
        if week:
            until = [rows[min(week, len(rows) - 1)] for rows in starts]
            past = [_past(one, row) for one, row in zip(groups, until, strict=True)]
            model = _trained(model, past, cost)
        for index, (one, rows) in enumerate(zip(groups, starts, strict=True)):
            some = range(*rows[week : week + 2]) if week + 1 < len(rows) else range(0)
            bands, tracks[index] = _days(model, one, some, tracks[index], cost)
            found[index] += bands
    return found


def never_seen(groups: Sequence[Group], base: Model, cost: Cost) -> list[list[Floats]]:
    """Forecast streams as ones that taught nothing: by the shipped model, as the platform does.

    Returns:
        As ``with_history``.
    """
    found = []
    for one in groups:
        rows = range(one.first, len(one.midnights))
        found.append(_days(base, one, rows, _warm(base, one, cost), cost)[0])
    return found


def part_of(groups: Sequence[Group], part: int, parts: int) -> list[Bools]:
    """Return which streams of each group belong to one part of the buildings."""
    buildings = sorted({one.building for group in groups for one in group.listed})
    place = {name: index % parts for index, name in enumerate(buildings)}
    return [np.array([place[one.building] == part for one in group.listed]) for group in groups]


def _past(group: Group, row: int) -> Hours:
    end = int(group.midnights[row]) if row < len(group.midnights) else group.hours.count
    return group.hours.hours(0, end)


def _trained(base: Model, past: list[Hours], cost: Cost) -> Model:
    began = time.process_time()
    try:
        model = adapt(base, past)
    except TooLittleError:
        return base  # as in an installation that is so small
    took, streams = time.process_time() - began, sum(one.streams for one in past)
    cost.train_s += took
    cost.trainings += 1
    cost.trained_streams += streams
    if not base.ships:
        cost.again_s += took
        cost.again_streams += streams
    return model


def _warm(model: Model, group: Group, cost: Cost) -> Track:
    rows = range(max(group.first - WARM_DAYS, 1), group.first)
    _, track = _days(model, group, rows, Track.start(len(group.listed)), cost)
    return track


def _days(
    model: Model, group: Group, rows: range, track: Track, cost: Cost
) -> tuple[list[Floats], Track]:
    """Forecast some days, each from what was known at its midnight."""
    bands = []
    began = time.process_time()
    ends = [*group.midnights.tolist(), group.hours.count]
    at_once = max(WINDOWS // len(group.listed), 1)
    for first in range(rows.start, rows.stop, at_once):
        some = range(first, min(first + at_once, rows.stop))
        made = expect(
            model, group.hours, [ends[row] for row in some],
            [min(24, ends[row + 1] - ends[row]) for row in some], utility=group.utilities,
        )  # fmt: skip
        for one in made:
            said = one.band(track)
            bands.append(said.rate)
            came = group.hours.values[:, one.origin : one.origin + said.rate.shape[2]]
            track = follow(track, said, came)
    cost.predict_s += time.process_time() - began
    cost.stream_days += len(rows) * len(group.listed)
    return bands, track


def write(groups: Sequence[Group], bands: Sequence[Sequence[Floats]], path: Path) -> None:
    """Write each forecast hour that has a value, with what the forecast was made from."""
    tables = []
    for group, days in zip(groups, bands, strict=True):
        rate, index, origin = joined(group, days)
        values = group.hours.values[:, index]
        streams, at = np.nonzero(~np.isnan(values) & ~np.isnan(rate[2]))
        names = np.array([one.stream_id for one in group.listed], object)
        instant = pa.timestamp("ms", "UTC")
        tables.append(
            pa.table(
                {
                    "stream_id": pa.array(names[streams]).dictionary_encode(),
                    "origin": pa.array(group.hours.start_ms[origin][at]).cast(instant),
                    "ts": pa.array(group.hours.start_ms[index][at]).cast(instant),
                    **{
                        name: rate[row][streams, at]
                        for name, row in zip(("p05", "p50", "p95"), _BAND, strict=True)
                    },
                    "value": values[streams, at],
                }
            )
        )
    pq.write_table(pa.concat_tables(tables).unify_dictionaries(), path)


def joined(group: Group, days: Sequence[Floats]) -> tuple[Floats, Ints, Ints]:
    """Return all bands side by side, and the index of each hour and of its origin.

    Args:
        group: Whose.
        days: The band of each midnight of its year, shape (5, streams, up to 24).
    """
    origins = group.midnights[group.first :]
    lengths = [band.shape[2] for band in days]
    index = np.concatenate(
        [
            origin + np.arange(length)
            for origin, length in zip(origins.tolist(), lengths, strict=True)
        ]
    )
    return np.concatenate(list(days), axis=2), index, np.repeat(origins, lengths)


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
