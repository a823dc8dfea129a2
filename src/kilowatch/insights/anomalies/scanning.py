"""One hour after the other: what is expected, what is measured, what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kilowatch.insights.anomalies import comparing, episodes, judging, repeating
from kilowatch.insights.anomalies.alarms import Alarm
from kilowatch.insights.anomalies.episodes import Hour
from kilowatch.insights.anomalies.measures import Moment, measure
from kilowatch.insights.anomalies.profile import roll
from kilowatch.insights.anomalies.state import State
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats

Watcher = Callable[[int, Moment], None]


def start(streams: int) -> State:
    """Return the state of streams of which no hour was seen."""
    return State.empty(streams)


def scan(
    state: State,
    hours: Hours,
    expected: Floats | None = None,
    *,
    budget: float = 1.0,
    trees: judging.Judge | None = None,
) -> tuple[State, list[Alarm]]:
    """Look at the next hours of the streams and say what is wrong with them.

    Cutting the hours into other batches gives the same alarms: the state holds all that is
    carried from one hour to the next. Hours may be left out between two calls.

    Args:
        state: Of these streams; it is used up (changed in place): go on with the one returned.
        hours: The hours after those that the state has seen, of the same streams in the same
            order. What was filled in is unknown here.
        expected: What a model expects of each hour from what was known before it, shape
            (streams, hours); NaN where it does not say. Amounts and evidence are told against
            it, up to the end of the local day that an event begins on: what is said after that
            has seen a part of the event. From there on the detector's profile counts, with the
            level of when the event began. Whether something is wrong is decided on that profile
            too, which the trees were taught with. None: all is told against that.
        budget: False alarms that are put up with, for each stream and month.
        trees: What judges; None: the trees that come with the platform.

    Returns:
        The state after the hours, and the alarms in order of time.

    Raises:
        ValueError: Streams or shapes that do not fit each other.
    """
    if hours.streams != state.streams:
        raise ValueError(f"{hours.streams} streams, but the state is of {state.streams}")
    if expected is not None and expected.shape != hours.values.shape:
        raise ValueError(f"expected has shape {expected.shape}, values {hours.values.shape}")
    alarms: list[Alarm] = []
    by = judging.judge() if trees is None else trees

    def told(at: int, moment: Moment) -> None:
        usual = None if expected is None else expected[:, at]
        hour = Hour(int(hours.start_ms[at]), int(hours.hour_of_day[at]), usual)
        scores = judging.scores(moment, by)
        alarms.extend(episodes.follow(state, moment, scores, hour, by, budget))

    watch(state, hours, told, lambda: episodes.rest(state))
    return state, alarms


def scan_within(
    hours: Hours, budgets: Sequence[float], trees: judging.Judge | None = None
) -> list[list[Alarm]]:
    """Look once at the whole history of some streams, for several budgets of false alarms.

    Args:
        hours: From the first hour on.
        budgets: False alarms that are put up with, for each stream and month.
        trees: What judges; None: the trees that come with the platform.

    Returns:
        For each budget the alarms that ``scan`` would have raised.
    """
    by = judging.judge() if trees is None else trees
    state = start(hours.streams)
    opened = [start(hours.streams) for _ in budgets]
    found: list[list[Alarm]] = [[] for _ in budgets]

    def told(at: int, moment: Moment) -> None:
        scores = judging.scores(moment, by)
        hour = Hour(int(hours.start_ms[at]), int(hours.hour_of_day[at]))
        for own, alarms, budget in zip(opened, found, budgets, strict=True):
            for name in ("day", "base", "level", "expect", "past", "again_for"):
                setattr(own, name, getattr(state, name))
            alarms.extend(episodes.follow(own, moment, scores, hour, by, budget))

    def rest() -> None:
        for own in opened:
            episodes.rest(own)

    watch(state, hours, told, rest)
    return found


def watch(
    state: State, hours: Hours, told: Watcher, rest: Callable[[], None] | None = None
) -> None:
    """Measure each hour and hand it on: the loop of ``scan`` and of what teaches its trees.

    Args:
        state: Changed in place.
        hours: The next ones.
        told: Called with each hour.
        rest: Called in its place with an hour in which nothing is known of any stream: of such
            hours only the weather is followed, and that there was no value, which is all that
            measuring them would change. A month of them costs a tenth. None: every hour is
            measured.
    """
    silent = np.asarray(np.isnan(hours.measured).all(axis=0))
    for at in range(hours.count):
        day = int(hours.day[at])
        fresh = np.flatnonzero(state.day != day)
        if len(fresh):
            roll(state, fresh, day, hours.holidays[fresh, at])
        if rest is not None and silent[at]:
            if hours.temperature_c is not None:
                comparing.feel(state, hours.temperature_c[:, at])
            repeating.rest(state)
            rest()
            continue
        moment = measure(
            state,
            hours.measured[:, at],
            int(hours.hour_of_day[at]),
            int(hours.weekday[at]),
            None if hours.temperature_c is None else hours.temperature_c[:, at],
        )
        told(at, moment)
