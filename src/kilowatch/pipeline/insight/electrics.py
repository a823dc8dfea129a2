"""Electrical checks: voltage and a lost phase hour by hour, everything else at local midnights.

They look at the intervals themselves. At midnight those of the last eight days, so that a state
that has lasted for days is seen as one; the share of a week's voltages by whole local weeks. What
no mean may be is told with its hour, and so is a phase that has carried nothing for an hour, by
what it usually carries as of the last midnight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

import numpy as np

from kilowatch.insights.electrical import faults, lost_phases, usual_currents
from kilowatch.insights.energies import Energies, sum_faults
from kilowatch.insights.limits import Electrical, Fault, Limits, limits_of
from kilowatch.insights.voltage import beyond
from kilowatch.model.blocks import Floats, IntervalBlock, Quality
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.insight import InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.parameters import AP, PC, PE, RP
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.fault_runs import FaultRun, Supply, end, go_on
from kilowatch.pipeline.insight.subjects import NOT_USED, Subject
from kilowatch.pipeline.view import View

VOLTAGE, CURRENT = 16, 20  # totals' channel codes of the families of phases
WATCHED = tuple(code + phase for code in (VOLTAGE, CURRENT) for phase in (1, 2, 3))
CHANNELS = (AP, RP, *WATCHED)
ENERGIES = tuple(code + phase for code in (AP, PC, PE) for phase in (1, 2, 3))
WINDOW_MS = 8 * DAY_MS
USUAL_V = 230.0
ROWS_TOGETHER = 300_000
"""Most rows that one question to the store is about."""

LimitsSet = Callable[[Subject, int], Mapping[str, float | None]]
"""Returns what people have set of a data point's nominal voltage and limits at an instant, by the
names of the settings; None, or nothing, where the usual ones hold."""


class Followed(Protocol):
    """What is remembered of an electrical stream.

    Attributes:
        faults: What may go on.
        supply: What is known of its supply.
    """

    faults: list[FaultRun]
    supply: Supply


def look(
    view: View,
    some: Sequence[tuple[Subject, Followed]],
    cuts: Sequence[int],
    zone: Zone,
    limits_set: LimitsSet,
    still: Callable[[], None] = lambda: None,
) -> list[InsightEvent]:
    """Look at the hours of electrical data points, and at their days at each midnight.

    Args:
        view: The measurements.
        some: Data points of one clock, with what is remembered of them, which is changed.
        cuts: Begin and end of the hours, and the local midnights between [ms since 1970, UTC].
        zone: The sites' clock.
        limits_set: Nominal voltages and limits that people have set.
        still: Raises where the work is to be given up.

    Returns:
        Events that are new, have grown or are over, in the order in which they were found.

    Raises:
        KilowatchError: 503 from the store.
    """
    events: list[InsightEvent] = []
    for from_ms, until_ms in pairwise(cuts):
        day_ms = int(grain_start_ms([from_ms], "day", zone)[0])
        if from_ms == day_ms:
            for subject, one in some:
                still()
                events += check(view, subject, one, day_ms, zone, limits_set)
        still()
        events += watch(view, some, (from_ms, until_ms), day_ms, limits_set)
    return events


def check(
    view: View,
    subject: Subject,
    one: Followed,
    midnight_ms: int,
    zone: Zone,
    limits_set: LimitsSet,
) -> list[InsightEvent]:
    """Look at a data point's days before a midnight.

    Args:
        view: The measurements.
        subject: An electrical data point.
        one: What is remembered of it, which is changed.
        midnight_ms: Everything before it is complete [ms since 1970, UTC].
        zone: The site's clock.
        limits_set: Nominal voltages and limits that people have set.

    Returns:
        The events that are new, have grown or are over.

    Raises:
        KilowatchError: 503 from the store.
    """
    from_ms = midnight_ms - WINDOW_MS
    block = view.series_many([subject.point], CHANNELS, from_ms, midnight_ms, "interval")
    found: list[Fault] = []
    if len(block):
        day_ms = int(grain_start_ms([midnight_ms - 1], "day", zone)[0])
        data = _laid(block, subject.point.interval_s)
        told = limits_set(subject, day_ms)
        limits = limits_of(told)
        _learn(one.supply, data, limits)
        if data.voltage_v is not None and (_nominal_is_set(told) or one.supply.usual):
            data = _connected(data, one.supply)
            after_ms = max(one.supply.judged_ms, day_ms)  # before: a new point's first day
            found += beyond(data, limits, after_ms, [midnight_ms])
            one.supply.judged_ms = midnight_ms
            if (int(zone.day_index([midnight_ms])[0]) + 3) % 7 == 0:
                week_ms = int(zone.day_starts_within(from_ms, midnight_ms)[-7])
                found += faults(_since(data, week_ms, voltage=True), zone, limits)
        others = faults(_since(data, from_ms, voltage=False), zone, limits)
        found += [fault for fault in others if fault.end_ms > day_ms]
        if subject.point.utility not in NOT_USED:
            found += _sums(view, subject, day_ms, midnight_ms, limits)
    one.faults, grown = go_on(subject.series, one.faults, found, midnight_ms)
    one.faults, ended = end(subject.series, one.faults, midnight_ms)
    return grown + ended


def watch(
    view: View,
    some: Sequence[tuple[Subject, Followed]],
    span: tuple[int, int],
    day_ms: int,
    limits_set: LimitsSet,
) -> list[InsightEvent]:
    """Look at hours of one local day for what nobody has to wait for midnight for.

    Hours are counted from the day's beginning, so that the same ones are looked at in whatever
    pieces they come.

    Args:
        view: The measurements.
        some: Electrical data points with what is remembered of them, which is changed.
        span: Begin and end of what has become complete [ms since 1970, UTC].
        day_ms: Begin of the day [ms since 1970, UTC].
        limits_set: Nominal voltages and limits that people have set.

    Returns:
        Events that are new or have grown.

    Raises:
        KilowatchError: 503 from the store.
    """
    from_ms, until_ms = span
    first = (from_ms - day_ms) // HOUR_MS + 1
    hours_ms = [day_ms + n * HOUR_MS for n in range(first, (until_ms - day_ms) // HOUR_MS + 1)]
    if not hours_ms:
        return []
    back_ms = Limits().least_s * 1000 + 2 * HOUR_MS
    events: list[InsightEvent] = []
    for part in _portions(some, until_ms - from_ms + back_ms):
        points = [subject.point for subject, _ in part]
        block = view.series_many(points, WATCHED, from_ms - back_ms, until_ms, "interval")
        for subject, one in part:
            rows = slice(*np.searchsorted(block.series, [subject.series, subject.series + 1]))
            ended = block.start_ms[rows] + block.duration_ms[rows] <= until_ms
            own = block.take(np.arange(rows.start, rows.stop)[ended])
            if not len(own):
                continue
            data = _laid(own, subject.point.interval_s)
            told = limits_set(subject, day_ms)
            limits = limits_of(told)
            found = list(_losses(data, one.supply, limits, hours_ms))
            if data.voltage_v is not None and (_nominal_is_set(told) or one.supply.usual):
                after_ms = max(one.supply.judged_ms, day_ms)
                data = _connected(data, one.supply)
                found += beyond(data, limits, after_ms, hours_ms)
                one.supply.judged_ms = hours_ms[-1]
            for fault in sorted(found, key=lambda each: (each.known_ms, each.start_ms)):
                one.faults, grown = go_on(subject.series, one.faults, [fault], fault.known_ms)
                events += grown
    return events


def _losses(
    data: Electrical, supply: Supply, limits: Limits, hours_ms: Sequence[int]
) -> Iterator[Fault]:
    """Give the phases that carried nothing for long enough, at the end of each hour."""
    if data.current_a is None or len(data.current_a) != len(supply.amps):
        return
    usual_a = np.array(supply.amps)
    if not any(True for _ in lost_phases(data, limits, usual_a)):
        return
    length_ms = data.interval_s * 1000
    for hour_ms in hours_ms:
        first_ms = hour_ms - limits.least_s * 1000 - HOUR_MS - length_ms
        seen = _since(data, first_ms, voltage=False, until_ms=hour_ms - length_ms + 1)
        for fault in lost_phases(seen, limits, usual_a):
            if fault.end_ms > hour_ms - HOUR_MS:
                yield replace(fault, known_ms=hour_ms)


def _portions(
    some: Sequence[tuple[Subject, Followed]], span_ms: int
) -> Iterator[Sequence[tuple[Subject, Followed]]]:
    """Cut data points into portions whose rows the store gives at once."""
    if not some:
        return
    shortest_s = min(subject.point.interval_s for subject, _ in some)
    rows = len(WATCHED) * max(span_ms // (shortest_s * 1000), 1)
    together = max(ROWS_TOGETHER // rows, 1)
    for first in range(0, len(some), together):
        yield some[first : first + together]


def _sums(
    view: View, subject: Subject, day_ms: int, midnight_ms: int, limits: Limits
) -> list[Fault]:
    """Compare what a day's registers counted with its powers, where both are pushed."""
    rows = view.series_many([subject.point], ENERGIES, day_ms, midnight_ms, "interval")
    rows = rows.take((rows.quality == Quality.VALID) & (rows.covered_ms >= rows.duration_ms))
    starts = np.unique(rows.start_ms)
    place = np.searchsorted(starts, rows.start_ms)
    laid = {code: np.full((3, len(starts)), np.nan) for code in (AP, PC, PE)}
    for code, to in laid.items():
        for phase in range(3):
            own = rows.channel == code + phase + 1
            to[phase, place[own]] = (rows.mean if code == AP else rows.amount)[own]
    data = Energies(starts, subject.point.interval_s, laid[AP], laid[PC], laid[PE])
    return sum_faults(data, limits)


def _learn(supply: Supply, data: Electrical, limits: Limits) -> None:
    """Take in what the days before a midnight tell of a supply."""
    supply.amps = [] if data.current_a is None else _plain(usual_currents(data.current_a))
    if data.voltage_v is None:
        return
    known = data.voltage_v[np.isfinite(data.voltage_v)]
    near = len(known) > 0 and 0.8 * USUAL_V < float(np.median(known)) < 1.2 * USUAL_V
    supply.usual = supply.usual or near
    for phase, volts in enumerate(data.voltage_v):
        if (volts >= limits.alive * limits.nominal_v).any():
            supply.phases |= 1 << phase


def _plain(values: Floats) -> list[float]:
    return [float(one) for one in values]


def _connected(data: Electrical, supply: Supply) -> Electrical:
    """Leave out the phases that have never had a voltage: nothing is connected there."""
    if data.voltage_v is None:
        return data
    alive = np.array([bool(supply.phases >> phase & 1) for phase in range(len(data.voltage_v))])
    return replace(data, voltage_v=np.where(alive[:, None], data.voltage_v, np.nan))


def _laid(block: IntervalBlock, interval_s: int) -> Electrical:
    """Lay means of channels beside each other; NaN where one is missing.

    Voltages are those of all three phases where there is any, so that a row is its phase.
    """
    starts = np.unique(block.start_ms)
    place = np.searchsorted(starts, block.start_ms)

    def column(channel: int) -> Floats | None:
        rows = block.channel == channel
        if not rows.any():
            return None
        laid = np.full(len(starts), np.nan)
        laid[place[rows]] = block.mean[rows]
        return laid

    def phases(total: int) -> Floats | None:
        found = [one for phase in (1, 2, 3) if (one := column(total + phase)) is not None]
        return np.stack(found) if found else None

    voltage = [column(VOLTAGE + phase) for phase in (1, 2, 3)]
    unknown = np.full(len(starts), np.nan)
    volts = None
    if any(one is not None for one in voltage):
        volts = np.stack([unknown if one is None else one for one in voltage])
    return Electrical(starts, interval_s, volts, phases(CURRENT), column(AP), column(RP))


def _nominal_is_set(told: Mapping[str, float | None]) -> bool:
    return told.get("nominal_voltage_v") is not None


def _since(
    data: Electrical, from_ms: int, *, voltage: bool, until_ms: int | None = None
) -> Electrical:
    last = None if until_ms is None else int(np.searchsorted(data.start_ms, until_ms))
    part = slice(int(np.searchsorted(data.start_ms, from_ms)), last)

    def cut(of: Floats | None) -> Floats | None:
        return None if of is None else of[..., part]

    if voltage:
        return Electrical(data.start_ms[part], data.interval_s, cut(data.voltage_v))
    return Electrical(
        data.start_ms[part], data.interval_s, None, cut(data.current_a), cut(data.active_w),
        cut(data.reactive_var),
    )  # fmt: skip
