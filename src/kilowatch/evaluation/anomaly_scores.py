"""Scores alarms against labels, event by event, as docs/reference/evaluation.md defines it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.evaluation import labels as files
from kilowatch.evaluation.folder import Folder
from kilowatch.model.blocks import Ints
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS

NONE = float("nan")
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


def score(
    told: Iterable[Told], labels: Sequence[Event], spans: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    """Score alarms event by event.

    An event is found if an alarm falls in [start, end + 24 h]; alarms closer than 24 h are one;
    false is what lies outside of each event + 8 days, for each meter-month of that time.

    Args:
        told: Alarms, of streams in ``spans``.
        labels: What was put in, into streams in ``spans``.
        spans: First and last instant of each stream [ms].

    Returns:
        Figures; NaN where there is nothing to divide by.
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
                if event.kind in _CALLED:
                    called[event] = bool({one.kind for one in hits} & _CALLED[event.kind])
        windows = np.array([(one.start_ms, one.end_ms + _AFTER_MS) for one in events], np.int64)
        at = np.array([one.at_ms for one in own], np.int64)
        false += int((~_inside(_firsts(at), windows)).sum())
        quiet_ms += int((~_inside(np.arange(first, last, HOUR_MS), windows)).sum()) * HOUR_MS
    recall = len(delays) / len(labels) if labels else NONE
    precision = len(delays) / (len(delays) + false) if delays or false else NONE
    waits = list(delays.values()) or [NONE]
    return {
        "events": len(labels),
        "recall": recall,
        "false_alarms_per_meter_month": false / (quiet_ms / _MONTH_MS) if quiet_ms else NONE,
        "precision": precision,
        "f1": 2 * precision * recall / max(precision + recall, 1e-9),
        "delay_h_median": float(np.median(waits)),
        "delay_h_p90": float(np.percentile(waits, 90)),
        "kind_right": sum(called.values()) / len(called) if called else NONE,
        "recall_by_kind": {
            kind: sum(one in delays for one in labels if one.kind == kind)
            / sum(one.kind == kind for one in labels)
            for kind in sorted({one.kind for one in labels})
        },
    }


def _firsts(at: Ints) -> Ints:
    """Return the first of each group of instants that are closer than 24 h."""
    return at[np.concatenate([[True], np.diff(at) >= _DAY_MS])] if len(at) else at


def _inside(at: Ints, windows: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    inside = np.zeros(len(at), np.bool_)
    for first, last in windows:
        inside |= (at >= first) & (at <= last)
    return inside


def read_labels(folder: Folder) -> tuple[list[Event], int]:
    """Read what was put in: after the alarms were written, and not before.

    Returns:
        The events, and how many rows can't be read.

    Raises:
        KilowatchError: There is no such file, or it lacks columns.
    """
    path = folder.root / "anomaly" / "fault_events.csv"
    events, unread = [], 0
    for row in files.read(path, ("stream_id", "kind", "start", "end")):
        stream = row["stream_id"]
        try:
            start, end = (files.instant_ms(row[name], folder, stream) for name in ("start", "end"))
        except ValueError:
            unread += 1
        else:
            events.append(Event(stream, row["kind"], start, end + HOUR_MS))
    return events, unread
