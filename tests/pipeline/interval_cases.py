"""Streams for the tests of intervals: drawn at the edges, and small ones written by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kilowatch.model.blocks import COLUMNS, IntervalBlock, ReadingBlock
from kilowatch.model.calendar import bucket_end_ms
from kilowatch.model.points import MONTH_S, DataPoint
from kilowatch.pipeline.grids import PointGrid

HOUR_MS = 3_600_000
ZONES = (
    "Europe/Dublin",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Asia/Beirut",
)
INTERVALS_S = (60, 300, 420, 900, 1800, 3600, 7200, 86_400, 604_800, MONTH_S)
LEAP_DAY_MS = 1_709_164_800_000  # 2024-02-29


def data_point(series: int = 1, **settings: Any) -> DataPoint:
    """Return a data point: an hourly dial in kWh in Dublin unless told otherwise."""
    usual: dict[str, Any] = {
        "id": series,
        "series": series,
        "stream_id": f"stream-{series}",
        "name": "Main meter",
        "organisation_id": 1,
        "site_id": 1,
        "zone": "Europe/Dublin",
        "kind": "single",
        "utility": "electricity",
        "unit": "kWh",
        "interval_s": 3600,
        "tolerance_s": 1800.0,
        "behaviour": "register",
        "clock": "offset",
    }
    return DataPoint(**(usual | settings))


@dataclass(slots=True)
class Packets:
    """The packets of one stream in order: instants and, for each, values by channel."""

    point: DataPoint
    at_ms: list[int]
    values: list[dict[int, float]]
    seq: list[int] = field(default_factory=list)

    def numbered(self, seq: list[int]) -> Packets:
        """Return the packets with these log sequence numbers."""
        return replace(self, seq=seq)

    def block(self) -> ReadingBlock:
        """Return the packets as the pipeline hands them over."""
        size = len(self.at_ms)
        zeros = np.zeros(size, np.int64)
        channels = sorted({channel for values in self.values for channel in values})
        return ReadingBlock(
            series=zeros + self.point.series,
            at_ms=np.array(self.at_ms, np.int64),
            offset_min=zeros,
            flags=zeros,
            seq=np.array(self.seq or range(1, size + 1), np.int64),
            available_ms=np.array(self.at_ms, np.int64),
            values={
                channel: np.array([values.get(channel, np.nan) for values in self.values])
                for channel in channels
            },
        )


Row = dict[str, Any]


def rows_by_key(block: IntervalBlock) -> dict[tuple[int, int, int], Row]:
    """Return interval rows by series, channel and start; a key that occurs twice is a fault."""
    names = COLUMNS
    columns = [getattr(block, name).tolist() for name in names]
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    found = {(row["series"], row["channel"], row["start_ms"]): row for row in rows}
    assert len(found) == len(rows), "an interval row came twice"
    return found


def same(one: Row, other: Row) -> bool:
    """Tell whether two rows are equal bit for bit; NaN equals NaN."""
    return all(
        value == other[name] or (np.isnan(value) and np.isnan(other[name]))
        for name, value in one.items()
    )


@st.composite
def settings_of_points(draw: st.DrawFn, /, series: int = 1, **fixed: Any) -> DataPoint:
    """Draw the settings of a data point."""
    kind = fixed.get("kind", draw(st.sampled_from(["single", "electrical"])))
    behaviours = ["register", "register", "amount", "register", "rate", "gauge"]
    behaviour = draw(st.sampled_from(behaviours[:3] if kind == "electrical" else behaviours))
    behaviour = fixed.get("behaviour", behaviour)
    units = {"register": "kWh", "amount": "L", "rate": "L/s", "gauge": "°F"}
    interval_s = draw(st.sampled_from(INTERVALS_S))
    drawn: dict[str, Any] = {
        "kind": kind,
        "behaviour": behaviour,
        "unit": units[behaviour] if kind == "single" else "Wh",
        "zone": draw(st.sampled_from(ZONES)),
        "interval_s": interval_s,
        "tolerance_s": interval_s * draw(st.sampled_from([0.0, 0.5, 3.0])),
        "stamp": draw(st.sampled_from(["start", "end"])),
        "register_max": draw(st.sampled_from([None, 1e6])),
    }
    return data_point(series, **(drawn | fixed))


@st.composite
def instants(draw: st.DrawFn, point: DataPoint, seen: Counter[str]) -> list[int]:
    """Draw the instants of packets around a clock change, a leap day or New Year.

    Steps are the expected interval, several packets in one, jitter, just on a boundary,
    just within and just beyond the longest silence, and long gaps.
    """
    zone = PointGrid.of(point).zone
    changes = zone.segment_start_ms[1:-1]
    changes = changes[(changes > 1_000_000_000_000) & (changes < 1_900_000_000_000)]
    anchors = [*changes[-6:].tolist(), LEAP_DAY_MS, 1_735_689_600_000]
    anchor = draw(st.sampled_from(anchors))
    interval_ms = point.interval_s * 1000
    now = anchor - draw(st.integers(0, 4)) * interval_ms
    now += draw(st.sampled_from([0, 0, 0, -1, 1]) | st.integers(-interval_ms, interval_ms))
    found = [now]
    steps = draw(st.lists(st.sampled_from(_STEPS), min_size=1, max_size=14))
    for step in steps:
        seen[step] += 1
        if step == "interval":
            now += interval_ms
        elif step == "jitter":
            now += interval_ms + draw(st.integers(-interval_ms // 3, interval_ms // 3))
        elif step == "several":
            now += max(1, interval_ms // draw(st.integers(2, 6)))
        elif step == "boundary":
            now = int(bucket_end_ms([now], point.interval_s, zone)[0])
        elif step == "before boundary":
            now = max(now + 1, int(bucket_end_ms([now + 1], point.interval_s, zone)[0]) - 1)
        elif step == "longest silence":
            now += point.gap_ms
        elif step == "gap":
            now += point.gap_ms + draw(st.sampled_from([1, HOUR_MS + 1, 10 * interval_ms]))
        found.append(now)
    seen["clock change"] += bool(((changes > found[0]) & (changes < found[-1])).any())
    seen["leap day"] += found[0] < LEAP_DAY_MS + 24 * HOUR_MS and found[-1] > LEAP_DAY_MS
    return found


_STEPS = (
    "interval",
    "interval",
    "jitter",
    "several",
    "boundary",
    "before boundary",
    "longest silence",
    "gap",
)


_MOVES = ("still", "slow", "slow", "fast", "roll over", "fall", "reset")


@st.composite
def dials(
    draw: st.DrawFn,
    size: int,
    width: float | None,
    seen: Counter[str],
    *,
    falls: bool = True,
) -> list[float]:
    """Draw the figures of a dial: still, slow, fast; rolling over, falling back, reset."""
    now = draw(st.sampled_from([0.0, 12.5, 999_990.0, 4_000_000_123.25]))
    found = [now]
    for _ in range(size - 1):
        kind = draw(
            st.sampled_from(["still", "slow", "slow", "fast", "roll over", "fall", "reset"])
        )
        if kind == "slow":
            now += draw(st.floats(1e-3, 10.0))
        elif kind == "fast":
            now += draw(st.floats(10.0, 1e4))
        elif kind == "roll over" and width and now < width:
            seen[kind] += 1
            now = (now + draw(st.floats(0.0, 0.49)) * width) % width
        elif kind == "fall" and falls and now > 1:
            seen[kind] += 1
            now -= now * draw(st.floats(1e-3, 0.4))
        elif kind == "reset" and falls:
            seen[kind] += 1
            now = 0.0
        found.append(now)
    return found


@st.composite
def single_streams(
    draw: st.DrawFn, /, seen: Counter[str], series: int = 1, *, falls: bool = True, **fixed: Any
) -> Packets:
    """Draw a single-value stream."""
    point = draw(settings_of_points(series, kind="single", **fixed))
    at_ms = draw(instants(point, seen))
    if point.behaviour == "register":
        figures = draw(dials(len(at_ms), point.register_max, seen, falls=falls))
    else:
        figures = draw(st.lists(st.floats(-50, 5000), min_size=len(at_ms), max_size=len(at_ms)))
    seen[point.behaviour] += 1
    return Packets(point, at_ms, [{0: value} for value in figures])


@st.composite
def electrical_streams(
    draw: st.DrawFn, /, seen: Counter[str], series: int = 1, *, falls: bool = True, **fixed: Any
) -> Packets:
    """Draw an electrical stream: any subset of parameters, which may change on the way."""
    point = draw(settings_of_points(series, kind="electrical", **fixed))
    at_ms = draw(instants(point, seen))
    size = len(at_ms)
    phases = draw(st.sampled_from([(1,), (1, 2, 3)]))
    registers = [total + phase for total in draw(st.sampled_from(_ENERGY_SETS)) for phase in phases]
    others = [total + phase for total in draw(st.sampled_from(_POWER_SETS)) for phase in phases]
    columns: dict[int, list[float]] = {}
    for channel in registers:
        if point.behaviour == "register":
            columns[channel] = draw(dials(size, point.register_max, seen, falls=falls))
        else:
            columns[channel] = draw(st.lists(st.floats(0, 900), min_size=size, max_size=size))
    for channel in others:
        scale = 1000 if channel // 4 == 8 else 1
        low = 0 if channel // 4 == 3 else -1000
        figures = draw(st.lists(st.integers(low, 1000), min_size=size, max_size=size))
        columns[channel] = [figure / scale for figure in figures]
    first_register = draw(st.sampled_from([0, 0, size // 2]))
    values = []
    for row in range(size):
        packet = {}
        for channel, column in columns.items():
            late = channel in registers and row < first_register
            if not late and draw(st.integers(0, 9)):
                packet[channel] = column[row]
            else:
                seen["a parameter is missing"] += 1
        values.append(packet or {17: 230.0})
    seen["energy from power"] += not registers and any(channel // 4 == 1 for channel in others)
    seen["register comes later"] += bool(registers) and first_register > 0
    return Packets(point, at_ms, values)


_ENERGY_SETS = ((), (24,), (24,), (24, 44), (44,), (24, 44, 48, 52))
_POWER_SETS = ((4,), (4, 8, 12), (4, 12, 32), (4, 32), (32,), (4, 16, 20), (12,))


def streams(seen: Counter[str], series: int = 1, **fixed: Any) -> st.SearchStrategy[Packets]:
    """Draw a stream of either kind."""
    return st.one_of(
        single_streams(seen, series, **fixed), electrical_streams(seen, series, **fixed)
    )
