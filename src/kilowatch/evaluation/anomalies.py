"""Anomalies on a folder: alarms first, written down; labels and scores after that."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kilowatch.evaluation.folder import Folder, Series, hours_of, zones
from kilowatch.insights.anomalies import Alarm, scan_within
from kilowatch.insights.anomalies.judging import Judge
from kilowatch.insights.hours import HOUR_MS
from kilowatch.model.blocks import Ints
from kilowatch.model.insight import EventKind

BUDGETS = (1.0, 0.5)
"""False alarms that are put up with, for each meter and month: one operating point each."""
HISTORY_H = 250 * 24
"""What came before is looked at for so long: the detector remembers nothing older."""
_DAY_MS = 24 * HOUR_MS
_AFTER_MS = 8 * _DAY_MS
_MONTH_MS = 30.4375 * _DAY_MS
_CALLED = {
    "spike": {EventKind.SPIKE},
    "dropout_zero": {EventKind.DROPOUT},
    "stuck": {EventKind.STUCK},
    "level_shift_up": {EventKind.LEVEL_SHIFT},
    "night_baseload_rise": {EventKind.NIGHT_LOAD},
    "missed_weekend_shutdown": {EventKind.MISSED_SHUTDOWN},
    "gradual_drift": {EventKind.DRIFT, EventKind.LEVEL_SHIFT},
    "clock_shift": {EventKind.CLOCK_SHIFT},
    "phase_loss_down": {EventKind.PHASE_LOSS},
    "counter_reset": {EventKind.NEGATIVE},
}
"""Which of our words fit a label's; a drift may be called a level shift once it is one."""


@dataclass(frozen=True, slots=True)
class Told:
    """An alarm of a stream.

    Attributes:
        stream_id: Whose.
        at_ms: When it was told [ms since 1970, UTC].
        kind: What it said.
        score: How unusual it was.
    """

    stream_id: str
    at_ms: int
    kind: EventKind
    score: float


@dataclass(frozen=True, slots=True)
class Event:
    """A labelled fault: ``start_ms`` to ``end_ms``, the end of its last hour."""

    stream_id: str
    kind: str
    start_ms: int
    end_ms: int


def run(folder: Folder, out: Path) -> dict[str, Any]:
    """Write the alarms of a folder's faulted streams, then score them.

    Args:
        folder: Without ``anomaly/`` the answer is empty.
        out: Folder for ``alarms.parquet``: ``stream_id``, ``at`` (when it was told, UTC),
            ``kind``, ``score`` and ``budget``; a row for each budget that it is told within.

    Returns:
        By budget: the score as docs/reference/evaluation.md defines it, overall, by kind and by
        dataset.
    """
    faulted = folder.faulted()
    if not faulted:
        return {}
    told = alarms(folder, faulted)
    _write(told, out / "alarms.parquet")
    labels = read_labels(folder)
    spans = {
        key: (int(one.start_ms[0]), int(one.start_ms[-1]) + HOUR_MS) for key, one in faulted.items()
    }
    dataset = {key: folder.listed[key].dataset for key in faulted}
    return {
        str(budget): {
            **score(found, labels, spans),
            "by_dataset": {
                name: score(
                    [one for one in found if dataset[one.stream_id] == name],
                    [one for one in labels if dataset[one.stream_id] == name],
                    {key: span for key, span in spans.items() if dataset[key] == name},
                )
                for name in sorted(set(dataset.values()))
            },
        }
        for budget, found in told.items()
    }


def alarms(
    folder: Folder, faulted: Mapping[str, Series], trees: Judge | None = None
) -> dict[float, list[Told]]:
    """Let the streams' own history pass by, and then what is to be judged.

    Args:
        folder: Where the history is.
        faulted: What is to be judged, by stream.
        trees: What judges; None: the trees that come with the platform.

    Returns:
        What was told within each budget.
    """
    clean = folder.streams()
    found: dict[float, list[Told]] = {budget: [] for budget in BUDGETS}
    for (zone, weather), names in zones(folder.listed[key] for key in faulted).items():
        series = {key: joined(clean.get(key), faulted[key]) for key in names}
        hours = hours_of(series, zone, folder.temperature(weather))
        begin = min(int(faulted[key].start_ms[0]) for key in names)
        before = (begin - hours.first_ms) // HOUR_MS - HISTORY_H
        hours = hours.hours(max(before, 0) // 24 * 24, hours.count)
        for budget, raised in zip(BUDGETS, scan_within(hours, BUDGETS, trees), strict=True):
            found[budget] += _from(raised, names, faulted)
    return {
        budget: sorted(told, key=lambda one: (one.stream_id, one.at_ms))
        for budget, told in found.items()
    }


def score(
    told: Iterable[Told], labels: Sequence[Event], spans: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    """Score alarms event by event.

    An event is found if an alarm falls in [start, end + 24 h]; alarms closer than 24 h are one;
    false is what lies outside of each event + 8 days, for each meter-month of that time.

    Args:
        told: Alarms.
        labels: What was put in.
        spans: First and last instant of each stream [ms].
    """
    delays: dict[Event, float] = {}
    called: dict[Event, bool] = {}
    false, quiet_ms = 0, 0
    by_stream: dict[str, list[Told]] = {key: [] for key in spans}
    for one in told:
        by_stream[one.stream_id].append(one)
    for key, (first, last) in spans.items():
        own = sorted(by_stream[key], key=lambda one: one.at_ms)
        events = [one for one in labels if one.stream_id == key]
        for event in events:
            hits = [one for one in own if event.start_ms <= one.at_ms <= event.end_ms + _DAY_MS]
            if hits:
                delays[event] = (hits[0].at_ms - event.start_ms) / HOUR_MS
                called[event] = bool({one.kind for one in hits} & _CALLED.get(event.kind, set()))
        windows = np.array([(one.start_ms, one.end_ms + _AFTER_MS) for one in events], np.int64)
        at = np.array([one.at_ms for one in own], np.int64)
        false += int((~_inside(_firsts(at), windows)).sum())
        quiet_ms += int((~_inside(np.arange(first, last, HOUR_MS), windows)).sum()) * HOUR_MS
    recall = len(delays) / max(len(labels), 1)
    precision = len(delays) / max(len(delays) + false, 1)
    waits = list(delays.values()) or [float("nan")]
    return {
        "events": len(labels),
        "recall": recall,
        "false_alarms_per_meter_month": false / max(quiet_ms / _MONTH_MS, 1e-9),
        "precision": precision,
        "f1": 2 * precision * recall / max(precision + recall, 1e-9),
        "delay_h_median": float(np.median(waits)),
        "delay_h_p90": float(np.percentile(waits, 90)),
        "kind_right": sum(called.values()) / max(len(called), 1),
        "recall_by_kind": {
            kind: sum(one in delays for one in labels if one.kind == kind)
            / sum(one.kind == kind for one in labels)
            for kind in sorted({one.kind for one in labels})
        },
    }


def joined(before: Series | None, faulted: Series) -> Series:
    """Put a stream's own history before what is to be judged."""
    if before is None:
        return faulted
    old = before.start_ms < faulted.start_ms[0]
    return Series(
        np.concatenate([before.start_ms[old], faulted.start_ms]),
        np.concatenate([before.values[old], faulted.values]),
    )


def _from(raised: list[Alarm], names: list[str], faulted: Mapping[str, Series]) -> list[Told]:
    told = [Told(names[one.stream], one.at_ms, one.kind, one.score) for one in raised if one.open]
    return [one for one in told if one.at_ms > faulted[one.stream_id].start_ms[0]]


def _firsts(at: Ints) -> Ints:
    """Return the first of each group of instants that are closer than 24 h."""
    return at[np.concatenate([[True], np.diff(at) >= _DAY_MS])] if len(at) else at


def _inside(at: Ints, windows: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    inside = np.zeros(len(at), np.bool_)
    for first, last in windows:
        inside |= (at >= first) & (at <= last)
    return inside


def _write(told: Mapping[float, list[Told]], path: Path) -> None:
    rows = [(one, budget) for budget, found in told.items() for one in found]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table(
            {
                "stream_id": pa.array([one.stream_id for one, _ in rows], pa.string()),
                "at": pa.array([one.at_ms for one, _ in rows], pa.timestamp("ms", "UTC")),
                "kind": pa.array([str(one.kind) for one, _ in rows], pa.string()),
                "score": pa.array([one.score for one, _ in rows], pa.float64()),
                "budget": pa.array([budget for _, budget in rows], pa.float64()),
            }
        ),
        path,
    )


def read_labels(folder: Folder) -> list[Event]:
    """Read what was put in: after the alarms were written, and not before."""
    with (folder.root / "anomaly" / "fault_events.csv").open(encoding="utf-8", newline="") as lines:
        return [
            Event(
                row["stream_id"], row["kind"], _ms(row["start"]), _ms(row["end"]) + HOUR_MS
            )
            for row in csv.DictReader(lines)
        ]  # fmt: skip


def _ms(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp()) * 1000
