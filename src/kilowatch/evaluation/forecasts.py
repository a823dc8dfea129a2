"""Forecasts on a folder: each midnight of the last year, a day ahead, then scored.

Docs/reference/evaluation.md has the protocol and why it is so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.forecast_groups import Group, groups_of, joined
from kilowatch.evaluation.forecast_scores import scores, unscored
from kilowatch.insights.forecasting import (
    Model,
    TooLittleError,
    Track,
    adapt,
    expect,
    follow,
    shipped,
)
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats

WARM_DAYS = 56
"""Days before the year in which each stream's own errors are followed already."""

WINDOWS = 120
"""Stream-days that are described at once: more no longer fit the processor's cache."""


_BAND = (0, 2, 4)
_COLUMNS = pa.schema(
    [
        ("stream_id", pa.dictionary(pa.int64(), pa.string())),
        ("origin", pa.timestamp("ms", "UTC")),
        ("ts", pa.timestamp("ms", "UTC")),
        *((name, pa.float64()) for name in ("p05", "p50", "p95", "value")),
    ]
)


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
    left_out = folder.left_out.get("streams", {})
    if not groups:
        for name in ("forecast.parquet", "forecast_unseen.parquet"):
            write([], [], out / name)
        return {"streams": 0, "not_scored": "no stream that can be forecast", "left_out": left_out}
    cost = Cost()
    base = base or shipped()
    known = with_history(groups, base, cost)
    write(groups, known, out / "forecast.parquet")
    unseen = never_seen(groups, base, cost)
    write(groups, unseen, out / "forecast_unseen.parquet")
    left_out = left_out | unscored(groups, known)
    return {
        "streams": sum(len(one.listed) for one in groups),
        **({"left_out": left_out} if left_out else {}),
        "with_history": scores(groups, known),
        "never_seen": scores(groups, unseen),
        "timing": {
            "train_s": _mean(cost.train_s, cost.trainings),
            "train_ms_per_stream": _mean(1000 * cost.train_s, cost.trained_streams),
            "retrain_ms_per_stream": _mean(1000 * cost.again_s, cost.again_streams),
            "predict_ms_per_stream_day": _mean(1000 * cost.predict_s, cost.stream_days),
            "measured": "processor time of one core",
        },
    }


def _mean(total: float, count: int) -> float | None:
    """Return a mean; None of nothing: an installation that is too small trains no model."""
    return total / count if count else None


def predict(folder: Folder, out: Path) -> Callable[[], dict[str, Any]]:
    """Write the forecasts of a folder's streams; their scores need no labels.

    Returns:
        What gives the scores.
    """
    found = run(folder, out)
    return lambda: found


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
    tables = [] if groups else [_COLUMNS.empty_table()]
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
