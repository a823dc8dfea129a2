"""From a shown figure back to the readings and settings that it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kilowatch.model.blocks import (
    COLUMNS,
    FLOAT_COLUMNS,
    IntervalBlock,
    Ints,
    Quality,
    ReadingBlock,
)
from kilowatch.model.calendar import bucket_end_ms, bucket_start_ms
from kilowatch.model.dated import ALWAYS_MS, Period
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import GAS_ENERGY, Role, channel_name, family_of
from kilowatch.model.points import DataPoint
from kilowatch.model.units import UNITS
from kilowatch.pipeline.grids import NEVER_MS, PointGrid, effective_of
from kilowatch.pipeline.state import StreamState, grid_of

READINGS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Sources:
    """Where one stream's rows come from, by span [ms].

    Attributes:
        intervals: Rows that start in the span, all channels, effective instants.
        readings: Readings in the span, pushed instants.
    """

    intervals: Callable[[int, int], IntervalBlock]
    readings: Callable[[int, int], ReadingBlock]


def nothing_to_explain(point: DataPoint, at_ms: int) -> dict[str, Any]:
    """Return the story of a stream that never had a packet."""
    return _title(point, at_ms) | {
        "text": "No packet of this stream has been processed yet.",
        "settings": None,
        "intervals": [],
        "readings": [],
    }


def explain(sources: Sources, point: DataPoint, state: StreamState, at_ms: int) -> dict[str, Any]:
    """Return the interval at an instant, its readings and the settings that applied.

    Args:
        sources: Rows of the stream.
        point: The data point.
        state: Of its stream.
        at_ms: Effective instant [ms since 1970, UTC].
    """
    grid = grid_of(point, state.progress)
    from_ms, until_ms, period = _in_force(grid.point, at_ms)
    interval_s = (period or grid.point).interval_s
    start = max(int(bucket_start_ms([at_ms], interval_s, grid.zone)[0]), from_ms)
    end = min(int(bucket_end_ms([at_ms], interval_s, grid.zone)[0]), until_ms)
    readings = _around(sources, state, grid, start, end)
    effective_ms = effective_of(readings, {point.series: grid})
    return _title(point, at_ms) | {
        "start_ms": start,
        "end_ms": end,
        "generation": state.progress.generation,
        "settings": _settings(state, at_ms, period),
        "factors": _factors(grid.point, period),
        "settings_from_ms": from_ms if from_ms > ALWAYS_MS else None,
        "settings_until_ms": until_ms if until_ms < NEVER_MS else None,
        "events": _events(grid.point, start, end),
        "intervals": _figures(sources.intervals(start, end), (period or grid.point)),
        "readings": _readings(readings, effective_ms, start, end),
    }


def _in_force(point: DataPoint, at_ms: int) -> tuple[int, int, Period | None]:
    """Return from when to when the settings of an instant hold [ms], and those settings."""
    periods = point.history.periods
    bounds = [*(period.from_ms for period in periods), NEVER_MS]
    for period, until_ms in zip(periods, bounds[1:], strict=True):
        if period.from_ms <= at_ms < until_ms:
            return period.from_ms, until_ms, period
    return ALWAYS_MS, NEVER_MS, None


def _settings(state: StreamState, at_ms: int, period: Period | None) -> dict[str, Any]:
    """Return the settings in force at an instant, with the time zone of then."""
    settings = dict(state.progress.settings or {})
    settings.pop("history", None)
    if "|" in settings["zone"]:
        names = settings["zone"].split("|")
        later = zip(names[1::2], names[2::2], strict=True)
        settings["zone"] = [names[0], *(n for from_ms, n in later if int(from_ms) <= at_ms)][-1]
    if period is not None:
        own = asdict(period)
        del own["from_ms"]
        settings |= own
    return settings


def _factors(point: DataPoint, period: Period | None) -> dict[str, float]:
    """Return what readings of the time are multiplied with, by what is multiplied."""
    scale = 1.0 if period is None else period.scale(point.kind)
    if point.kind == "electrical":
        ct, vt = (1.0, 1.0) if period is None else (period.ct_ratio, period.vt_ratio)
        return {"power and energy": scale, "current": ct, "voltage": vt}
    factors = {"value": (period or point).unit_of_value.factor * scale}
    if period is not None and period.energy_wh_per_m3 is not None:
        factors["energy of a cubic metre"] = period.energy_wh_per_m3
    return factors


def _events(point: DataPoint, start: int, end: int) -> list[dict[str, Any]]:
    """Return what a person has recorded about the meter in an interval."""
    found = []
    for event in point.history.events:
        until_ms = event.at_ms if event.until_ms is None else event.until_ms
        if event.at_ms <= end and until_ms >= start:
            channel = None if event.channel is None else channel_name(event.channel)
            found.append(asdict(event) | {"channel": channel})
    return found


def _title(point: DataPoint, at_ms: int) -> dict[str, Any]:
    return {"stream_id": point.stream_id, "series": point.series, "at_ms": at_ms}


def _around(
    sources: Sources, state: StreamState, grid: PointGrid, start: int, end: int
) -> ReadingBlock:
    """Return the readings of an interval, with the one before and the one after."""
    # Pushed and effective instants differ by hours at most; how many, the last reading shows.
    last_ms = state.progress.last_ms
    shift_ms = 0 if last_ms is None else state.at_ms - last_ms
    gaps_ms = (grid.point.gap_ms, *(one.gap_ms for one in grid.point.history.periods))
    around_ms = max(gaps_ms) + 2 * HOUR_MS
    found = sources.readings(start + shift_ms - around_ms, end + shift_ms + around_ms)
    effective_ms = effective_of(found, {grid.point.series: grid}) if len(found) else found.at_ms
    inside = np.flatnonzero((effective_ms >= start) & (effective_ms <= end))
    if not len(inside):
        return found.take(inside)
    return found.take(slice(max(int(inside[0]) - 1, 0), int(inside[-1]) + 2))


def _figures(rows: IntervalBlock, settings: Period | DataPoint) -> list[dict[str, Any]]:
    names = [name for name in COLUMNS if name not in ("series", "channel")]
    columns = {name: getattr(rows, name).tolist() for name in names}
    columns["quality"] = [Quality(quality).name.lower() for quality in columns["quality"]]
    for name in FLOAT_COLUMNS:
        columns[name] = [None if np.isnan(value) else value for value in columns[name]]
    return [
        {
            "channel": channel_name(channel),
            **{name: columns[name][row] for name in names},
            **_units(channel, settings.unit),
        }
        for row, channel in enumerate(rows.channel.tolist())
    ]


def _units(channel: int, unit: str) -> dict[str, str]:
    """Return the units of a row's amounts and of its means; empty for plain numbers."""
    family = family_of(channel)
    if family is not None and channel != GAS_ENERGY:
        of_amount = family.unit if family.role is Role.REGISTER else ""
        return {"amount_unit": of_amount, "mean_unit": "" if of_amount else family.unit}
    if channel == GAS_ENERGY:
        return {"amount_unit": "Wh", "mean_unit": "W"}
    known = UNITS.get(unit)
    if known is None:
        return {"amount_unit": unit, "mean_unit": unit}
    return {"amount_unit": known.amount or known.canonical, "mean_unit": known.canonical}


def _readings(
    block: ReadingBlock, effective_ms: Ints, start: int, end: int
) -> list[dict[str, Any]]:
    return [
        {
            "at_ms": int(block.at_ms[row]),
            "offset_min": int(block.offset_min[row]),
            "effective_ms": int(effective_ms[row]),
            "inside": bool(start <= effective_ms[row] < end),
            "seq": int(block.seq[row]),
            "flags": int(block.flags[row]),
            "received_ms": int(block.available_ms[row]),
            "values": {
                channel_name(channel): float(column[row])
                for channel, column in sorted(block.values.items())
                if not np.isnan(column[row])
            },
        }
        for row in range(len(block))
    ]
