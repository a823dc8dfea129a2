"""Settings that change on the way, drawn at the edges: clock changes, packets, gaps, falls."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from kilowatch.model.dated import ALWAYS_MS, History, MeterEvent, Period
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.grids import PointGrid
from tests.pipeline.interval_cases import INTERVALS_S, Packets, streams

DAY_MS = 86_400_000
RATIOS = (1.0, 1.0, 40.0, 0.5, 60.0)


def period_of(point: DataPoint, from_ms: int = ALWAYS_MS, **changes: Any) -> Period:
    """Return a data point's own settings as a period, with changes."""
    names = (
        "unit", "interval_s", "tolerance_s", "behaviour", "stamp", "clock", "register_max",
    )  # fmt: skip
    return Period(**({"from_ms": from_ms} | {n: getattr(point, n) for n in names} | changes))


def with_periods(point: DataPoint, *periods: Period, events: tuple[MeterEvent, ...] = ()) -> Any:
    """Return a data point with a history; its own settings are those of the last period."""
    last = periods[-1] if periods else period_of(point)
    names = (
        "unit", "interval_s", "tolerance_s", "behaviour", "stamp", "clock", "register_max",
    )  # fmt: skip
    own = {name: getattr(last, name) for name in names}
    return replace(point, **own, history=History(tuple(periods), events))


@st.composite
def moments(draw: st.DrawFn, packets: Packets, seen: Counter[str]) -> int:
    """Draw a moment: at a packet, beside one, between two, at a clock change, at midnight."""
    kind = draw(st.sampled_from(_MOMENTS))
    at = draw(st.sampled_from(packets.at_ms))
    zone = PointGrid.of(packets.point).zone
    first, last = packets.at_ms[0], packets.at_ms[-1]
    changes = [
        change
        for change in zone.segment_start_ms[1:-1].tolist()
        if first - DAY_MS < change < last + DAY_MS
    ]
    if kind == "between":
        at = draw(st.integers(first, max(first + 1, last)))
    elif kind == "beside":
        at += draw(st.sampled_from([-1, 1]))
    elif kind == "midnight":
        at = int(zone.day_starts_within(at - 2 * DAY_MS, at + 1)[-1])
    elif kind == "clock change" and changes:
        at = draw(st.sampled_from(changes))
    elif kind == "outside":
        at = draw(st.sampled_from([first - DAY_MS, last + DAY_MS, last + 60_000]))
    seen[f"moment {kind}"] += 1
    return at


_MOMENTS = (
    "packet", "packet", "between", "between", "beside", "midnight", "clock change", "outside",
)  # fmt: skip


@st.composite
def dated_streams(draw: st.DrawFn, /, seen: Counter[str], series: int = 1) -> Packets:
    """Draw a stream whose settings change, and whose meter is exchanged, reset or marked."""
    packets = draw(streams(seen, series))
    point = packets.point
    starts = sorted({draw(moments(packets, seen)) for _ in range(draw(st.integers(0, 3)))})
    periods = [period_of(point, **draw(changes_of(point, seen, first=True)))]
    for start in starts:
        changes = draw(changes_of(point, seen, first=False))
        periods.append(replace(periods[-1], from_ms=start, **changes))
    if len(periods) == 1 and draw(st.booleans()):
        periods = []
    events = draw(st.lists(events_of(packets, seen), max_size=3))
    unique = {(event.at_ms, event.kind, event.channel): event for event in events}
    point = with_periods(point, *periods, events=tuple(unique.values()))
    seen["periods"] += len(starts)
    return replace(packets, point=point)


@st.composite
def changes_of(
    draw: st.DrawFn, point: DataPoint, seen: Counter[str], *, first: bool
) -> dict[str, Any]:
    """Draw what is set at the beginning of a period."""
    kinds = ["ratio", "ratio", "interval", "stamp", "width", "behaviour", "unit", "gas"]
    found: dict[str, Any] = {}
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=not first, max_size=3)):
        seen[f"change of {kind}"] += not first
        if kind == "ratio":
            name = draw(st.sampled_from(["multiplier", "ct_ratio", "vt_ratio", "pulse_weight"]))
            found[name] = draw(st.sampled_from(RATIOS))
        elif kind == "interval":
            found["interval_s"] = draw(st.sampled_from(INTERVALS_S))
            found["tolerance_s"] = found["interval_s"] * draw(st.sampled_from([0.0, 0.5, 3.0]))
        elif kind == "stamp":
            found["stamp"] = draw(st.sampled_from(["start", "end"]))
        elif kind == "width":
            found["register_max"] = draw(st.sampled_from([None, 1e6, 1e7]))
        elif (kind == "behaviour" and point.kind == "electrical") or (
            kind == "behaviour" and point.behaviour in {"register", "amount"}
        ):
            found["behaviour"] = draw(st.sampled_from(["register", "amount"]))
        elif kind == "unit" and point.unit == "kWh":
            found["unit"] = draw(st.sampled_from(["kWh", "MWh", "Wh", "MJ"]))
        elif kind == "gas" and point.unit in {"L", "L/s"}:
            found["calorific_kwh_per_m3"] = draw(st.sampled_from([None, 11.2, 10.4]))
            found["volume_correction"] = draw(st.sampled_from([1.0, 0.9626]))
            seen["gas"] += 1
    return found


@st.composite
def events_of(draw: st.DrawFn, packets: Packets, seen: Counter[str]) -> MeterEvent:
    """Draw what a person records: an exchange, a reset, a roll-over, bad readings."""
    kind: Any = draw(st.sampled_from(["exchange", "exchange", "reset", "roll_over", "bad"]))
    at_ms = draw(moments(packets, seen))
    channels = sorted({channel for values in packets.values for channel in values})
    channel = draw(st.sampled_from([None, *channels]))
    seen[kind] += 1
    gaps = [
        after - before > packets.point.gap_ms
        for before, after in zip(packets.at_ms[:-1], packets.at_ms[1:], strict=True)
        if before < at_ms < after
    ]
    seen[f"{kind} in a gap"] += any(gaps)
    if kind == "bad":
        until = draw(st.sampled_from([None, at_ms, at_ms + 3_600_000, packets.at_ms[-1]]))
        return MeterEvent(kind, at_ms, channel, until_ms=until)
    if kind == "roll_over":
        return MeterEvent(kind, at_ms, channel, width=draw(st.sampled_from([1e6, 1e7, 1e5])))
    figures = [v[channel or 0] for v in packets.values if (channel or 0) in v] or [0.0]
    first = draw(st.sampled_from([0.0, 12.25, *figures[:2]]))
    if kind == "reset":
        return MeterEvent(kind, at_ms, channel, first=first)
    last = draw(st.sampled_from([None, *[figure + 3.5 for figure in figures]]))
    return MeterEvent(kind, at_ms, channel, last, first)
