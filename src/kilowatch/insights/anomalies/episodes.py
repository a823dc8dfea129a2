"""From hours to alarms: one fault is told once when it is seen and once when it is over."""

from __future__ import annotations

from typing import Any

import numpy as np

from kilowatch.insights.anomalies import judging
from kilowatch.insights.anomalies.alarms import Alarm, Group
from kilowatch.insights.anomalies.measures import Moment
from kilowatch.insights.anomalies.profile import level_now
from kilowatch.insights.anomalies.state import PARTS, State
from kilowatch.insights.hours import HOUR_MS, Bools
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind

_NOTICED = 0.6
"""Share of the score that tells an alarm from which its beginning is counted."""
_QUIET_H = {Group.SUDDEN: 6, Group.SHAPE: 36, Group.LEVEL: 36}
"""Hours of rest after which a fault is over."""


def follow(
    state: State, moment: Moment, scores: Floats, start_ms: int, hour: int, budget: float
) -> list[Alarm]:
    """Take an hour's scores into the state and return what is to be told.

    Args:
        state: Changed in place.
        moment: The hour.
        scores: Shape (streams, GROUPS).
        start_ms: Start of the hour [ms since 1970, UTC].
        hour: Hour of the local day.
        budget: False alarms that are put up with, for each stream and month.
    """
    alarms: list[Alarm] = []
    limit = 1.0 - 0.35 * np.log10(budget)
    for group in Group:
        score = scores[:, group]
        seen = moment.known & (score >= _NOTICED * limit)
        fresh = seen & (state.begun[:, group] < 0)
        if fresh.any():
            rows = np.flatnonzero(fresh)
            state.begun[rows, group] = start_ms - _earlier(moment, rows, group) * HOUR_MS
            state.held[rows, group] = level_now(state, rows, int(state.day[rows[0]]))
            state.sums[rows, group] = 0
            state.peak[rows, group] = 0
        under_way = (state.begun[:, group] >= 0) & moment.known
        if not under_way.any():
            continue
        _add(state, moment, under_way, group, hour)
        state.peak[:, group] = np.where(
            under_way, np.maximum(state.peak[:, group], score), state.peak[:, group]
        )
        told = under_way & (score >= limit) & (state.opened[:, group] < 0)
        if told.any():
            found = judging.kinds(moment, told, group)
            for row, kind in zip(np.flatnonzero(told), found, strict=True):
                state.opened[row, group] = start_ms + HOUR_MS
                state.kind[row, group] = judging.KINDS.index(kind)
                alarms.append(_alarm(state, moment, int(row), group, start_ms))
        quiet = np.where(seen, 0, state.quiet[:, group] + 1)
        state.quiet[:, group] = np.where(under_way, quiet, state.quiet[:, group])
        over = under_way & (state.quiet[:, group] >= _QUIET_H[group])
        alarms.extend(
            _alarm(state, moment, int(row), group, start_ms, quiet_h=int(quiet[row]))
            for row in np.flatnonzero(over & (state.opened[:, group] >= 0))
        )
        state.begun[over, group] = -1
        state.opened[over, group] = -1
        state.quiet[over, group] = 0
    return alarms


def _earlier(moment: Moment, rows: Ints, group: Group) -> Ints:
    """Return how many hours before this one a run of equal or zero values began."""
    if group is not Group.SUDDEN:
        return np.zeros(len(rows), np.int64)
    runs = np.maximum(moment.get("run_same"), moment.get("run_zero") - 1)[rows]
    found: Ints = np.maximum(np.nan_to_num(runs), 0).astype(np.int64)
    return found


def _add(state: State, moment: Moment, rows: Bools, group: int, hour: int) -> None:
    usual = state.base[:, hour] * np.exp(state.held[:, group, hour // (24 // PARTS)])
    usual = np.where(np.isnan(usual), moment.expected, usual)
    now = np.stack([moment.value, usual, np.ones(len(usual))], axis=1)
    state.sums[:, group] += np.where(rows[:, None], now, 0.0)


def _alarm(
    state: State, moment: Moment, row: int, group: Group, start_ms: int, *, quiet_h: int = 0
) -> Alarm:
    kind = judging.KINDS[int(state.kind[row, group])]
    actual, usual, hours = (float(one) for one in state.sums[row, group])
    score = float(state.peak[row, group])
    evidence: dict[str, Any] = {
        "expected": usual / max(hours, 1),
        "actual": actual / max(hours, 1),
        "ratio": actual / usual if usual else float("nan"),
        "z": float(moment.get("own_off_24h")[row]),
        "hours": int(hours),
    }
    if kind is EventKind.CLOCK_SHIFT:
        evidence["shift_h"] = int(moment.get("clock_lag")[row])
    return Alarm(
        stream=row,
        kind=kind,
        start_ms=int(state.begun[row, group]),
        end_ms=start_ms + HOUR_MS - quiet_h * HOUR_MS,
        at_ms=start_ms + HOUR_MS,
        open=quiet_h == 0,
        score=score,
        amount=actual - usual,
        confidence=float(1 - 0.5 ** max(score, 0.0)),
        evidence=evidence,
    )
