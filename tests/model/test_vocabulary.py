"""The vocabulary holds together: names, channel codes, units, behaviours, blocks of columns."""

from __future__ import annotations

import numpy as np
import pytest

from kilowatch.model import parameters
from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.points import behaviour_from_reading
from kilowatch.model.units import UNITS


def test_every_channel_has_one_name_and_one_code() -> None:
    """A figure on a page, in a link and in the store is the same quantity of the meter."""
    names = parameters.CHANNEL_BY_NAME
    assert len(set(names.values())) == len(names)
    assert all(parameters.channel_name(code) == name for name, code in names.items())
    assert max(names.values()) < 256, "channel codes are stored in one byte"


def test_stored_channel_codes_never_change() -> None:
    """A reading stored last year is read back as what it was."""
    codes = parameters.CHANNEL_BY_NAME
    golden = {"value": 0, "aP_1": 5, "rP": 8, "v_3": 19, "c_2": 22, "pC": 24, "v_31": 31, "pF": 32}
    assert {name: codes[name] for name in golden} == golden
    assert codes["pE_1"] == 45
    assert codes["f"] == 56


def test_both_names_of_the_third_line_to_line_voltage_are_one_channel() -> None:
    """Meters in the field call it v_31 or v_13; the dashboard shows one voltage."""
    assert parameters.WIRE_CHANNELS["v_13"] == parameters.WIRE_CHANNELS["v_31"]


@pytest.mark.parametrize(
    ("unit", "pushed", "canonical"),
    [("kWh", 2.5, 2500.0), ("°F", 212.0, 100.0), ("L/s", 1.0, 3.6), ("MJ", 3.6, 1000.0)],
)
def test_units_convert_to_what_the_interval_layer_holds(
    unit: str, pushed: float, canonical: float
) -> None:
    """A meter that speaks kWh, °F or L/s is compared with one that speaks Wh, °C or m³/h."""
    row = UNITS[unit]
    assert row.factor * pushed + row.offset == pytest.approx(canonical)


@pytest.mark.parametrize(
    ("reading", "kind", "unit", "behaviour"),
    [
        ("cum", "single", "m3", "register"),
        ("cum", "electrical", "Wh", "register"),
        ("avg", "single", "kWh", "amount"),
        ("avg", "single", "L/s", "rate"),
        ("avg", "single", "°C", "gauge"),
        ("avg", "electrical", "Wh", "amount"),
    ],
)
def test_cum_and_avg_of_the_older_interface_keep_their_meaning(
    reading: str, kind: str, unit: str, behaviour: str
) -> None:
    """An integrator's existing registrations mean here what they meant before."""
    assert behaviour_from_reading(reading, kind, unit) == behaviour  # type: ignore[arg-type]


def test_an_unknown_reading_is_refused() -> None:
    """A typo in a registration is told, not guessed at."""
    with pytest.raises(ValueError, match="must be 'cum' or 'avg'"):
        behaviour_from_reading("sum", "single", "kWh")


def _readings(channel: int, values: list[float]) -> ReadingBlock:
    n = np.arange(len(values), dtype=np.int64)
    return ReadingBlock(n, n, n, n, n, n, {channel: np.array(values)})


def test_joined_readings_keep_what_each_packet_said_and_nothing_more() -> None:
    """A packet that said nothing of a quantity still says nothing of it, not zero."""
    joined = ReadingBlock.concatenate([_readings(5, [1.0]), _readings(6, [2.0, 3.0])])
    assert len(joined) == 3
    np.testing.assert_array_equal(joined.values[5], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(joined.values[6], [np.nan, 2.0, 3.0])
    assert len(ReadingBlock.concatenate([])) == 0
    np.testing.assert_array_equal(joined.take(joined.values[6] > 2).values[6], [3.0])


def test_an_empty_block_of_intervals_has_every_column() -> None:
    """A period without data is an empty table, not a fault."""
    empty = IntervalBlock.concatenate([])
    assert len(empty) == 0
    assert empty.mean.dtype == np.float64
    assert empty.start_ms.dtype == np.int64
    assert len(IntervalBlock.concatenate([empty, empty]).take(slice(0, 5))) == 0
