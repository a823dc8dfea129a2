"""From hours to alarms: one fault is told once when it is seen and once when it is over.

A stream that raises more alarms than its share has its limit raised by each of them, and lowered
with time: what cannot be told from its habits is not told every day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.insights.anomalies import judging
from kilowatch.insights.anomalies.alarms import Alarm, Group
from kilowatch.insights.anomalies.measures import Moment
from kilowatch.insights.anomalies.profile import level_now
from kilowatch.insights.anomalies.state import DAYS, PARTS, PATTERNS, State
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS

NOTICED = 0.3
"""How far below the limit the beginning of a fault is looked for, and its end."""
QUIET_H = {Group.SUDDEN: 6, Group.LASTING: 36}
"""Hours of rest after which a fault is over."""
WARIER = 0.2
"""By how much an alarm raises its stream's limit: to 1.6 times rarer."""
FORGIVEN = WARIER / (30.4375 * 24)
"""By how much an hour lowers it: an alarm of a group each month leaves it as it is."""
WARIEST = 1.2


@dataclass(frozen=True, slots=True)
class Hour:
    """When it was.

    Attributes:
        start_ms: Start of the hour [ms since 1970, UTC].
        of_day: Hour of the local day.
        usual: What a model expects; None: the detector's own profile counts.
    """

    start_ms: int
    of_day: int
    usual: Floats | None = None


def follow(
    state: State,
    moment: Moment,
    scores: Floats,
    hour: Hour,
    trees: judging.Judge,
    budget: float,
) -> list[Alarm]:
    """Take an hour's scores into the state and return what is to be told.

    Args:
        state: Changed in place.
        moment: The hour.
        scores: How unusual it is, shape (streams, GROUPS).
        hour: When it was, and what another model expects of it.
        trees: What judged it.
        budget: False alarms that are put up with, for each stream and month.
    """
    alarms: list[Alarm] = []
    start_ms = hour.start_ms
    found = _found(state, moment, scores, trees, budget)
    for group in Group:
        scored, above, pattern = found[group]
        seen = above >= -NOTICED
        _begin(state, moment, group, seen & (state.begun[:, group] < 0), hour, pattern)
        under_way = (state.begun[:, group] >= 0) & moment.known
        told = under_way & (above >= 0) & (state.opened[:, group] < 0)
        warier = WARIER * (told & (pattern < 0)) - FORGIVEN
        state.wary[:, group] = np.clip(state.wary[:, group] + warier, 0.0, WARIEST)
        if not under_way.any():
            continue
        _add(state, moment, under_way, seen, group, hour)
        higher = under_way & (scored > state.peak[:, group])
        state.peak[:, group] = np.where(higher, scored, state.peak[:, group])
        for row in np.flatnonzero(higher & (state.opened[:, group] >= 0)):
            state.figure[row, group] = _figure(moment, int(row), int(state.kind[row, group]))
        if told.any():
            fits = judging.kinds(moment, told, group, trees)
            for row, fit in zip(np.flatnonzero(told), fits, strict=True):
                kind, sure = fit if pattern[row] < 0 else (EventKind.STUCK, 1.0)
                state.pattern[row, group] = pattern[row]
                state.opened[row, group] = start_ms + HOUR_MS
                state.kind[row, group] = judging.KINDS.index(kind)
                state.sure[row, group] = sure
                state.figure[row, group] = _figure(moment, int(row), int(state.kind[row, group]))
                alarms.append(_alarm(state, moment, int(row), group, start_ms))
        quiet = np.where(seen, 0, state.quiet[:, group] + 1)
        state.quiet[:, group] = np.where(under_way, quiet, state.quiet[:, group])
        over = under_way & (state.quiet[:, group] >= QUIET_H[group])
        alarms.extend(
            _alarm(state, moment, int(row), group, start_ms, quiet_h=int(quiet[row]))
            for row in np.flatnonzero(over & (state.opened[:, group] >= 0))
        )
        state.begun[over, group] = -1
        state.opened[over, group] = -1
        state.quiet[over, group] = 0
    return alarms


def rest(state: State) -> None:
    """Let an hour pass in which nothing is known of any stream: ``follow`` would do no more."""
    state.wary = np.clip(state.wary - FORGIVEN, 0.0, WARIEST)


def _found(
    state: State, moment: Moment, scores: Floats, trees: judging.Judge, budget: float
) -> list[tuple[Floats, Floats, Ints]]:
    """Return for each group the score, how far it is above the limit, and the pattern.

    That values come again has its own habits to be compared with: it makes a stream no warier, and
    wariness does not hide it. The pattern is -1 where the trees have more to say.
    """
    limits = trees.limits(budget)
    above = scores - limits - state.wary
    again = judging.repeats(moment, trees)
    most = again.max(axis=1)
    over = most - limits[Group.SUDDEN]
    known, none = moment.known, np.full(state.streams, -1)
    found = [(scores[:, group], np.where(known, above[:, group], -9), none) for group in Group]
    score, own, _ = found[Group.SUDDEN]
    pattern = np.where(known & (over > own), again.argmax(axis=1), -1)
    found[Group.SUDDEN] = (
        np.maximum(score, most),
        np.where(pattern >= 0, over, own),
        pattern,
    )
    return found


def _begin(
    state: State, moment: Moment, group: Group, fresh: Bools, hour: Hour, pattern: Ints
) -> None:
    rows = np.flatnonzero(fresh)
    if not len(rows):
        return
    earlier = _earlier(moment, rows, group)
    made_up = pattern[rows] >= 0
    if made_up.any():
        since = state.again_for[rows, pattern[rows]] - 1  # the others' are not used
        earlier = np.where(made_up, np.minimum(since, 24 + hour.of_day), earlier)
    state.begun[rows, group] = hour.start_ms - earlier * HOUR_MS
    state.held[rows, group] = level_now(state, rows, int(state.day[rows[0]]))
    state.sums[rows, group] = 0
    if earlier.any():
        before = _run(state, moment, rows, earlier, hour)
        if made_up.any():
            before[made_up] = _before(state, rows[made_up], earlier[made_up], hour)
        state.sums[rows, group] += before[:, None]
    state.peak[rows, group] = -np.inf
    state.figure[rows, group] = np.nan


def _run(state: State, moment: Moment, rows: Ints, earlier: Ints, hour: Hour) -> Floats:
    """Return actual, expected and hours of runs that began some hours ago, shape (rows, 3).

    All of a run has the value that it has now. What was expected is known of today and yesterday;
    of the days before it is taken to be like yesterday.
    """
    expect = state.expect[rows, :2].reshape(len(rows), -1)
    before = expect[:, : 24 + hour.of_day][:, ::-1]
    near = np.minimum(earlier, before.shape[1])
    usual = np.where(np.arange(before.shape[1]) < near[:, None], before, 0.0).sum(axis=1)
    usual += np.where(earlier > near, (earlier - near) * expect[:, :24].mean(axis=1), 0.0)
    known = ~np.isnan(usual)
    found = np.stack([moment.value[rows] * earlier, usual, earlier.astype(np.float64)], axis=1)
    return np.where(known[:, None], found, 0.0)


def _before(state: State, rows: Ints, earlier: Ints, hour: Hour) -> Floats:
    """Return actual, expected and number of some hours before, up to yesterday's: (rows, 3)."""
    slots = (state.day[rows, None] - np.array([1, 0])) % DAYS
    values = state.past[rows[:, None], slots].reshape(len(rows), -1).astype(np.float64)
    usual = state.expect[rows, :2].reshape(len(rows), -1)
    back = 24 + hour.of_day - np.arange(48)
    known = (back > 0) & (back <= earlier[:, None]) & ~np.isnan(values) & ~np.isnan(usual)
    parts = (values, usual, np.ones_like(values))
    return np.stack([np.where(known, one, 0.0).sum(axis=1) for one in parts], axis=1)


def _earlier(moment: Moment, rows: Ints, group: Group) -> Ints:
    """Return how many hours before this one a run of equal or zero values began."""
    if group is not Group.SUDDEN:
        return np.zeros(len(rows), np.int64)
    runs = np.maximum(moment.get("run_same"), moment.get("run_zero") - 1)[rows]
    found: Ints = np.maximum(np.nan_to_num(runs), 0).astype(np.int64)
    return found


def _add(state: State, moment: Moment, rows: Bools, seen: Bools, group: int, hour: Hour) -> None:
    """Add an hour to what is under way; what is quiet may be over, and then it does not count."""
    part = hour.of_day // (24 // PARTS)
    usual = state.base[:, hour.of_day] * np.exp(state.held[:, group, part])
    usual = np.where(np.isnan(usual), moment.expected, usual)
    if hour.usual is not None:
        # Said at midnight: of what began before, it has seen a part, and takes it for normal.
        midnight_ms = hour.start_ms - hour.of_day * HOUR_MS
        heard = ~np.isnan(hour.usual) & (state.begun[:, group] >= midnight_ms)
        usual = np.where(heard, hour.usual, usual)
    now = np.stack([moment.value, usual, np.ones(len(usual))], axis=1)
    state.sums[:, group, 0] += np.where(rows[:, None], now, 0.0)
    so_far = state.sums[:, group, 0]
    state.sums[:, group, 1] = np.where(seen[:, None], so_far, state.sums[:, group, 1])


def _alarm(
    state: State, moment: Moment, row: int, group: Group, start_ms: int, *, quiet_h: int = 0
) -> Alarm:
    kind = judging.KINDS[int(state.kind[row, group])]
    actual, usual, hours = (float(one) for one in state.sums[row, group, 1])
    score = float(state.peak[row, group])
    pattern = int(state.pattern[row, group])
    again = {"again": PATTERNS[pattern]} if pattern >= 0 else {}
    figure = float("nan") if again else float(state.figure[row, group])  # it is no run
    return Alarm(
        stream=row,
        kind=kind,
        start_ms=int(state.begun[row, group]),
        end_ms=start_ms + HOUR_MS - quiet_h * HOUR_MS,
        at_ms=start_ms + HOUR_MS,
        open=quiet_h == 0,
        score=score,
        amount=actual - usual,
        confidence=float((1 - 0.5 * 10 ** -max(score, 0.0)) * (0.5 + 0.5 * state.sure[row, group])),
        evidence=again | _evidence(moment, row, kind, figure, (actual, usual, hours)),
    )


_FIGURES = {
    EventKind.CLOCK_SHIFT: ("shift_h", "clock_lag"),
    EventKind.STUCK: ("same_h", "run_same"),
    EventKind.DROPOUT: ("zero_h", "run_zero"),
    EventKind.NIGHT_LOAD: ("night_ratio", "night_1"),
    EventKind.MISSED_SHUTDOWN: ("like_working_day", "free_day"),
    EventKind.DRIFT: ("week_ratio", "base_168h"),
}
"""What a kind is told by: its name in the evidence, and the measure that it is read from."""


def _figure(moment: Moment, row: int, kind: int) -> float:
    """Return the measure that a kind is told by; NaN where it has none of its own."""
    _, measure = _FIGURES.get(judging.KINDS[kind], ("", ""))
    return float(moment.get(measure)[row]) if measure else float("nan")


def _evidence(
    moment: Moment, row: int, kind: EventKind, figure: float, sums: tuple[float, float, float]
) -> dict[str, Any]:
    """Return the numbers that a sentence and a picture are made of.

    The figure is of when the event was clearest: when it is over, nothing is left to be measured.
    """
    actual, usual, hours = sums
    found: dict[str, Any] = {
        "expected": usual / max(hours, 1),
        "actual": actual / max(hours, 1),
        "ratio": actual / usual if usual else None,
        "z": float(moment.get("own_off_24h")[row]),
        "hours": int(hours),
    }
    name, _ = _FIGURES.get(kind, ("", ""))
    if name and np.isfinite(figure):
        if kind in {EventKind.NIGHT_LOAD, EventKind.DRIFT}:
            figure = float(np.exp(figure))
        elif kind is not EventKind.MISSED_SHUTDOWN:
            figure = int(figure) + (kind is EventKind.STUCK)
        found[name] = figure
    return found
