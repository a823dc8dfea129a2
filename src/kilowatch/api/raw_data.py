"""Raw data: the intervals of a meter or an appliance as they are kept, one row for each."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from kilowatch.api.data_types import DATA_TYPES, POWER, Quantity, asked, quantities
from kilowatch.api.declaring import Ask, Resource, truth, word
from kilowatch.api.local_time import SPAN, clock_of, span_of, timestamps
from kilowatch.api.problems import impossible
from kilowatch.api.twice import of_meters_and_appliances
from kilowatch.model.blocks import Floats, IntervalBlock, Ints, Quality
from kilowatch.model.lengths import DAY_S, HOUR_MS
from kilowatch.model.parameters import phase_of
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone

ROWS_MAX = 130_000  # 90 days of minutes; they are 8 MB
TOOL = "breakdown"
ABOUT = (
    "The intervals that start in the period, in the order of time; an interval of which nothing is "
    "known has no row. `active_power` is the mean power of the interval; where a meter sends only "
    "energy it is what was counted over the time that it was counted in, exported energy taken "
    "off. Energy that a register counted across a gap is in no row: nobody knows when it was used; "
    "consumptions have it."
)


class Row(msgspec.Struct):
    """One interval.

    Attributes:
        timestamp: Its start, ISO 8601 in local time with the offset from UTC.
        total: Over all phases; null where a sum means nothing, as of voltages.
        phase_1: Of the first phase; only where it is known and asked for, or there is no total.
        phase_2: Of the second, likewise.
        phase_3: Of the third, likewise.
        quality: Where it is not plainly measured: `derived` (energy computed from power), `edited`
            by a person, `estimated` by a rule, or `questionable`.
    """

    timestamp: str
    total: float | None
    phase_1: float | UnsetType = UNSET
    phase_2: float | UnsetType = UNSET
    phase_3: float | UnsetType = UNSET
    quality: Literal["derived", "edited", "estimated", "questionable"] | UnsetType = UNSET


class DataType(msgspec.Struct):
    """What raw data of a meter can be asked for.

    Attributes:
        data_type: The word to ask with.
        unit: Of its numbers, whatever the packets' unit is.
        total: Whether rows have a total.
        phases: How many phases it has; 0 where it is not measured by phase.
    """

    data_type: str
    unit: str
    total: bool
    phases: int


def raw_data(ask: Ask, point: DataPoint) -> list[Row]:
    """Answer the intervals of a data point."""
    zone = clock_of(point)
    from_ms, to_ms = span_of(ask.values["from"], ask.values["to"], zone)
    interval_s = min([point.interval_s, *(one.interval_s for one in point.history.periods)])
    days = ROWS_MAX * interval_s // DAY_S
    if (to_ms - from_ms) / 1000 / interval_s > ROWS_MAX:
        raise impossible(
            "to",
            "too_many_rows",
            f"Intervals of {interval_s} s make more than {ROWS_MAX:,} rows of this period.",
            f"Ask for a period of {days} days, or a shorter one."
            if days > 1
            else "Ask for one day.",
        )
    view = ask.rooms.view
    wanted = asked(point, view.channels(point), ask.values["data_type"])
    if not wanted.channels:
        return []
    if not (ask.values["show_phases"] or wanted.total is None):
        wanted = replace(wanted, phases=())
    rows = view.series(point, wanted.channels, from_ms, to_ms, "interval")
    return _rows(wanted, rows, zone)


def data_types(ask: Ask, point: DataPoint) -> list[DataType]:
    """Answer what raw data of a data point can be asked for."""
    return [
        DataType(one.word, one.unit, one.total is not None, len(one.phases))
        for one in quantities(point, ask.rooms.view.channels(point))
    ]


def _rows(wanted: Quantity, rows: IntervalBlock, zone: Zone) -> list[Row]:
    starts = np.unique(rows.start_ms)
    total = np.full(len(starts), np.nan)
    if wanted.total is not None:
        total = _values(wanted, rows, wanted.total, starts)
    by_phase = {code: _values(wanted, rows, code, starts) for code in wanted.phases}
    known = np.isfinite([total, *by_phase.values()]).any(axis=0)
    worst = np.zeros(len(starts), np.int64)
    np.maximum.at(worst, np.searchsorted(starts, rows.start_ms), rows.quality)
    phases: list[list[Any]] = [[UNSET] * int(known.sum()) for _ in range(3)]
    for code, column in by_phase.items():
        phases[phase_of(code) - 1] = _or(column[known], UNSET)
    told = [_QUALITY.get(one, UNSET) for one in worst[known].tolist()]
    columns = (timestamps(starts[known], zone), _or(total[known], None), *phases, told)
    return list(map(Row, *columns))


def _values(wanted: Quantity, rows: IntervalBlock, code: int, starts: Ints) -> Floats:
    """Return a channel's numbers at the starts, shape (starts,); NaN where nothing is known."""
    own = rows.take(rows.channel == code)
    laid = np.full(len(starts), np.nan)
    laid[np.searchsorted(starts, own.start_ms)] = _numbers(wanted, rows, own)
    return laid


def _numbers(wanted: Quantity, rows: IntervalBlock, own: IntervalBlock) -> Floats:
    if wanted.source == "mean":
        return own.mean
    if wanted.source == "amount":
        return own.amount
    counted = own.amount
    if wanted.less is not None:
        away = rows.take(rows.channel == wanted.less)
        _, mine, theirs = np.intersect1d(own.start_ms, away.start_ms, return_indices=True)
        counted = np.full(len(own), np.nan)
        counted[mine] = own.amount[mine] - away.amount[theirs]
    with np.errstate(divide="ignore", invalid="ignore"):
        return counted * HOUR_MS / own.covered_ms


def _or(values: Floats, otherwise: Any) -> list[Any]:
    return [one if math.isfinite(one) else otherwise for one in values.tolist()]


_QUALITY = {
    Quality.DERIVED.value: "derived", Quality.EDITED.value: "edited",
    Quality.ESTIMATED.value: "estimated", Quality.QUESTIONABLE.value: "questionable",
}  # fmt: skip

PARAMETERS = (
    *SPAN,
    word("data_type", f"What is wanted; {POWER} where the meter has it, else value.", DATA_TYPES),
    truth("show_phases", "Whether the phases stand beside the total."),
)
RESOURCES: tuple[Resource, ...] = (
    *of_meters_and_appliances(
        "raw_data", raw_data, list[Row], "Intervals as they are kept", ABOUT, PARAMETERS, tool=TOOL
    ),
    *of_meters_and_appliances(
        "data_types", data_types, list[DataType], "What raw data can be asked for",
        "The words of `data_type` that raw data of it has, with the unit of their numbers.",
        tool=TOOL,
    ),
)  # fmt: skip
