"""How packets become intervals: the worked examples of docs/reference/intervals.md, and more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any

import numpy as np
import pytest

from kilowatch.model.blocks import IntervalBlock, Quality, ReadingBlock
from kilowatch.model.calendar import Zone
from kilowatch.model.parameters import CHANNEL_BY_NAME
from kilowatch.pipeline.grids import PointGrid, effective_of
from kilowatch.pipeline.intervals import intervals
from kilowatch.pipeline.rollups import roll_up
from tests.pipeline.interval_cases import HOUR_MS, Packets, Row, data_point, rows_by_key

MINUTE_MS = 60_000


def clock(text: str) -> int:
    """Return a time of 15 January 2025, when Dublin's clock shows UTC, in milliseconds."""
    hours, _, rest = text.partition(":")
    minutes, _, seconds = rest.partition(":")
    day = datetime(2025, 1, 15, tzinfo=UTC)
    part = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds or 0))
    return round((day + part).timestamp() * 1000)


def table(
    packets: dict[str, dict[str, float] | float], channel: str = "value", **settings: Any
) -> dict[str, Row]:
    """Return the interval rows of a channel, by the start that a wall clock in Dublin shows."""
    rows = rows_by_key(intervals_of(packets, **settings))
    wanted = CHANNEL_BY_NAME[channel]
    return {
        datetime.fromtimestamp(start / 1000, UTC).strftime("%H:%M"): row
        for (_, code, start), row in sorted(rows.items())
        if code == wanted
    }


def intervals_of(packets: dict[str, dict[str, float] | float], **settings: Any) -> IntervalBlock:
    """Return the interval rows of packets, given by the time of day that they carry."""
    named = [{"value": v} if isinstance(v, int | float) else v for v in packets.values()]
    values = [{CHANNEL_BY_NAME[name]: v for name, v in one.items()} for one in named]
    kind = "single" if "value" in named[0] else "electrical"
    unit = {} if kind == "single" else {"unit": "Wh"}
    point = data_point(**({"kind": kind} | unit | settings))
    stream = Packets(point, [clock(at) for at in packets], values)
    points = {1: PointGrid.of(point)}
    return intervals(stream.block(), effective_of(stream.block(), points), points)


def amounts(rows: dict[str, Row]) -> dict[str, float | None]:
    """Return the amounts by start; None where nothing is known."""
    return {
        start: None if isnan(row["amount"]) else round(row["amount"], 6)
        for start, row in rows.items()
    }


def test_a_dial_read_on_the_quarter_gives_the_quarter_before() -> None:
    """12:00 minus 11:45 belongs to the interval 11:45, whatever stamp is registered."""
    packets: dict[str, Any] = {"11:45": 1000.0, "12:00": 1002.5, "12:15": 1004.0}
    for stamp in ("start", "end"):
        rows = table(packets, interval_s=900, tolerance_s=450.0, stamp=stamp)
        assert amounts(rows) == {"11:45": 2500.0, "12:00": 1500.0, "12:15": None}
        assert [row["covered_ms"] for row in rows.values()] == [900_000, 900_000, 0]
        assert [row["count"] for row in rows.values()] == [1, 1, 1]


def test_a_dial_read_beside_the_quarter_is_interpolated_at_the_boundary() -> None:
    """Read at 11:50 and 12:05 with 3 kWh between: 2 kWh before noon, 1 kWh after."""
    rows = table({"11:50": 1000.0, "12:05": 1003.0}, interval_s=900, tolerance_s=450.0)
    assert amounts(rows) == {"11:45": 2000.0, "12:00": 1000.0}
    assert [row["covered_ms"] for row in rows.values()] == [10 * MINUTE_MS, 5 * MINUTE_MS]


def test_across_a_gap_the_energy_is_kept_but_nobody_says_when() -> None:
    """Silent from 10:00 to 14:00: 8 kWh are unallocated in the interval that ends at 14:00."""
    packets: dict[str, Any] = {"09:00": 100.0, "10:00": 101.0, "14:00": 109.0, "15:00": 111.0}
    rows = table(packets)
    assert amounts(rows) == {
        "09:00": 1000.0,
        "10:00": None,
        "13:00": None,
        "14:00": 2000.0,
        "15:00": None,
    }
    assert [row["unallocated"] for row in rows.values()] == [0, 0, 8000.0, 0, 0]
    assert rows["13:00"]["count"] == 0
    assert "11:00" not in rows
    assert "12:00" not in rows


def test_the_longest_silence_that_is_no_gap_is_interval_plus_tolerance() -> None:
    """Hourly with half an hour of tolerance: 90 minutes are spread, a millisecond more is not."""
    within = table({"09:00": 100.0, "10:30": 103.0})
    beyond = table({"09:00": 100.0, "10:30:00.001": 103.0})
    assert amounts(within) == {"09:00": 2000.0, "10:00": 1000.0}
    assert amounts(beyond) == {"09:00": None, "10:00": None}
    assert beyond["10:00"]["unallocated"] == 3000.0


def test_a_dial_of_known_width_rolls_over() -> None:
    """Six digits: 999,990 kWh, an hour later 15 kWh. 25 kWh were used."""
    packets: dict[str, Any] = {"09:00": 999_990.0, "10:00": 15.0}
    rows = table(packets, register_max=1e6)
    assert amounts(rows)["09:00"] == 25_000.0
    assert rows["09:00"]["quality"] == Quality.VALID


@pytest.mark.parametrize(
    ("before", "after", "width"),
    [
        (999_990.0, 15.0, None),  # the width is not known: nobody can say that it rolled over
        (5_000.0, 4_000.0, 1e6),  # it would have run 99.9 % of its width in an hour
        (1_200_000.0, 3.0, 1e6),  # a dial of six digits never showed that
    ],
)
def test_any_other_fall_is_questionable_and_counts_nothing(
    before: float, after: float, width: float | None
) -> None:
    """A person decides whether it was an exchange, a reset or a bad reading."""
    packets: dict[str, Any] = {"08:00": before - 1, "09:00": before, "10:00": after}
    rows = table(packets | {"11:00": after + 2}, register_max=width)
    assert amounts(rows) == {"08:00": 1000.0, "09:00": None, "10:00": 2000.0, "11:00": None}
    assert [row["quality"] for row in rows.values()] == [0, Quality.QUESTIONABLE, 0, 0]


@pytest.mark.parametrize(("stamp", "start"), [("start", "10:00"), ("end", "09:00")])
def test_an_amount_belongs_to_the_side_that_its_stamp_names(stamp: str, start: str) -> None:
    """700 L stamped 10:00 flowed after ten, or before ten where the stamp is the end."""
    rows = table({"10:00": 700.0}, behaviour="amount", unit="L", stamp=stamp)
    assert amounts(rows) == {start: 0.7}
    assert isnan(rows[start]["mean"])
    assert rows[start]["covered_ms"] == HOUR_MS


def test_amounts_that_share_an_interval_are_summed() -> None:
    """Four quarters of an hour registered as hourly make the hour."""
    packets: dict[str, Any] = {"10:00": 1.0, "10:15": 2.0, "10:30": 3.0, "10:45": 4.0}
    rows = table(packets, behaviour="amount")
    assert amounts(rows) == {"10:00": 10_000.0}
    assert (rows["10:00"]["count"], rows["10:00"]["low"], rows["10:00"]["high"]) == (4, 1e3, 4e3)


def test_the_amount_of_a_rate_is_its_mean_over_the_interval() -> None:
    """0.5 L/s and 1.5 L/s in one hour: 3.6 m³/h on average, 3.6 m³."""
    row = table({"10:00": 0.5, "10:30": 1.5}, behaviour="rate", unit="L/s")["10:00"]
    assert (row["mean"], row["amount"], row["low"], row["high"]) == (3.6, 3.6, 1.8, 5.4)


def test_a_gauge_has_a_mean_and_no_amount() -> None:
    """50 °F and 68 °F are 15 °C on average, from 10 to 20."""
    row = table({"10:00": 50.0, "10:30": 68.0}, behaviour="gauge", unit="°F")["10:00"]
    assert [round(row[name], 9) for name in ("mean", "low", "high")] == [15.0, 10.0, 20.0]
    assert isnan(row["amount"])
    assert isnan(row["unallocated"])


def test_a_month_is_a_calendar_month() -> None:
    """A gas bill's dial, read on the first: January has 31 days and February 28."""
    at = [datetime(2025, month, 1, tzinfo=UTC).timestamp() * 1000 for month in (1, 2, 3)]
    month = data_point(interval_s=31 * 86_400, tolerance_s=0.0, unit="m3")
    stream = Packets(month, [round(t) for t in at], [{0: v} for v in (10.0, 41.0, 69.0)])
    points = {1: PointGrid.of(month)}
    block = intervals(stream.block(), effective_of(stream.block(), points), points)
    assert block.amount[:2].tolist() == [31.0, 28.0]
    assert (block.duration_ms[:2] // (24 * HOUR_MS)).tolist() == [31, 28]


def test_totals_sum_power_and_energy_but_never_voltage_or_current() -> None:
    """Three phases: P, Q and S add up; 230 V three times is still 230 V."""
    phases: dict[str, float] = {}
    for phase, power in ((1, 1000.0), (2, 2000.0), (3, -500.0)):
        phases |= {f"aP_{phase}": power, f"rP_{phase}": 100.0, f"apP_{phase}": abs(power) * 1.25}
        phases |= {f"v_{phase}": 230.0, f"c_{phase}": 5.0}
    packets: dict[str, Any] = {"10:00": phases}
    totals = {name: table(packets, name) for name in ("aP", "rP", "apP", "pF", "v", "c")}
    means = {name: row["10:00"]["mean"] for name, row in totals.items() if row}
    assert means == {"aP": 2500.0, "rP": 300.0, "apP": 4375.0, "pF": 2500 / 4375}


def test_a_total_sent_in_the_first_phase_is_the_total() -> None:
    """A meter without phases sends _1 only."""
    rows = table({"10:00": {"aP_1": 1500.0, "pF_1": 0.9}}, "aP")
    assert rows["10:00"]["mean"] == 1500.0
    assert table({"10:00": {"pF_1": 0.9}}, "pF")["10:00"]["mean"] == 0.9


def test_the_power_factor_of_an_interval_weighs_the_load() -> None:
    """1 kW at 0.5 and 9 kW at 0.9: 10 kW over 12 kVA, not the mean of two ratios."""
    packets: dict[str, Any] = {
        "10:00": {"aP_1": 1000.0, "apP_1": 2000.0},
        "10:30": {"aP_1": 9000.0, "apP_1": 10_000.0},
    }
    row = table(packets, "pF")["10:00"]
    assert (row["mean"], row["low"], row["high"]) == (10 / 12, 0.5, 0.9)


def test_without_apparent_power_the_phases_own_factors_give_it() -> None:
    """1 kW at 0.5 and 1 kW at 1.0 draw 3 kVA: the total's factor is two thirds."""
    packets: dict[str, Any] = {"10:00": {"aP_1": 1e3, "aP_2": 1e3, "pF_1": 0.5, "pF_2": 1.0}}
    assert table(packets, "pF")["10:00"]["mean"] == pytest.approx(2 / 3)


def test_no_load_has_no_power_factor() -> None:
    """Zero over zero is not known, and is not shown as zero."""
    assert table({"10:00": {"aP_1": 0.0, "apP_1": 0.0}}, "pF") == {}


def test_a_meter_with_powers_only_gets_its_energy_from_them() -> None:
    """2 kW in, then 1 kW out (solar): each flow is integrated by itself and marked derived."""
    packets: dict[str, Any] = {"10:00": {"aP_1": 2000.0}, "10:30": {"aP_1": -1000.0}}
    imported, exported = table(packets, "pC"), table(packets, "pE")
    assert (amounts(imported), amounts(exported)) == ({"10:00": 1000.0}, {"10:00": 500.0})
    assert imported["10:00"]["quality"] == exported["10:00"]["quality"] == Quality.DERIVED


def test_a_meter_that_only_imports_has_no_export_of_zeros() -> None:
    """Export is written from the first moment that power flows out."""
    packets: dict[str, Any] = {
        "09:00": {"aP_1": 2000.0},
        "10:00": {"aP_1": -1000.0},
        "11:00": {"aP_1": 2000.0},
    }
    assert amounts(table(packets, "pE")) == {"10:00": 1000.0, "11:00": 0.0}


def test_energy_is_never_derived_once_the_meter_has_sent_a_register() -> None:
    """The dial starts at 10:20: from that interval on it counts, and power is not added to it."""
    packets: dict[str, Any] = {
        "09:00": {"aP_1": 1000.0},
        "10:00": {"aP_1": 1000.0},
        "10:20": {"aP_1": 1000.0, "pC_1": 500.0},
        "11:20": {"aP_1": 1000.0, "pC_1": 1500.0},
        "11:50": {"aP_1": 1000.0},
    }
    rows = table(packets, "pC")
    assert {start: row["quality"] for start, row in rows.items()} == {
        "09:00": Quality.DERIVED,
        "10:00": Quality.VALID,
        "11:00": Quality.VALID,
    }
    assert [round(row["amount"], 3) for row in rows.values()] == [1000.0, 666.667, 333.333]


def test_a_totals_register_counts_the_phases_that_both_readings_have() -> None:
    """Phase 2 comes later: its first figure is a start, not an amount of 1,000 kWh."""
    packets: dict[str, Any] = {
        "09:00": {"pC_1": 100.0},
        "10:00": {"pC_1": 150.0, "pC_2": 1e6},
        "11:00": {"pC_1": 190.0, "pC_2": 1e6 + 30},
    }
    assert amounts(table(packets, "pC")) == {"09:00": 50.0, "10:00": 70.0, "11:00": None}


def test_a_phase_that_falls_leaves_the_total_questionable() -> None:
    """The other phases' energy is kept, and the interval says that it is not the whole."""
    packets: dict[str, Any] = {
        "09:00": {"pC_1": 100.0, "pC_2": 100.0},
        "10:00": {"pC_1": 150.0, "pC_2": 10.0},
    }
    row = table(packets, "pC")["09:00"]
    assert (row["amount"], row["quality"], row["covered_ms"]) == (50.0, Quality.QUESTIONABLE, 0)


def test_a_total_rests_on_the_packets_of_the_phases_that_it_holds() -> None:
    """Phase 2 fell over three intervals: the middle one has nothing of it, not even a version."""
    packets: dict[str, Any] = {
        "10:59": {"pC_2": 22.0},
        "11:30": {"pC_3": 0.0},
        "12:10": {"pC_2": 16.75},
    }
    rows = table(packets, "pC")
    assert {start: row["version"] for start, row in rows.items()} == {
        "10:00": 3,
        "11:00": 2,
        "12:00": 3,
    }


def test_registers_that_come_in_every_third_packet_are_paired_with_each_other() -> None:
    """Powers each 5 minutes, the dial each 15: between two dial readings lies no gap."""
    packets: dict[str, Any] = {
        f"10:{minute:02}": {"aP_1": 600.0} | ({"pC_1": float(minute)} if minute % 15 == 0 else {})
        for minute in range(0, 31, 5)
    }
    rows = table(packets, "pC", interval_s=300, tolerance_s=600.0)
    assert set(list(amounts(rows).values())[:6]) == {5.0}


def test_the_energies_of_an_avg_meter_are_the_amounts_of_their_interval() -> None:
    """Older interfaces call it `avg`: each packet says what was used, so they are summed."""
    packets: dict[str, Any] = {"10:00": {"pC_1": 10.0, "pC_2": 5.0}, "10:30": {"pC_1": 20.0}}
    assert amounts(table(packets, "pC", behaviour="amount")) == {"10:00": 35.0}
    assert amounts(table(packets, "pC_1", behaviour="amount")) == {"10:00": 30.0}


def test_of_two_packets_of_one_instant_the_later_one_counts() -> None:
    """A partial push adds parameters to a packet that was stored before: it is counted once."""
    point = data_point(behaviour="gauge", unit="°C")
    at = [clock("10:00"), clock("10:00"), clock("10:30")]
    stream = Packets(point, at, [{0: 99.0}, {0: 20.0}, {0: 30.0}])
    points = {1: PointGrid.of(point)}
    block = intervals(stream.block(), effective_of(stream.block(), points), points)
    assert (block.mean.tolist(), block.count.tolist()) == ([25.0], [2])


def test_instants_that_a_wall_clock_set_back_are_put_in_order() -> None:
    """A dial read on a wall clock that was an hour wrong: nothing falls, nothing is lost."""
    point = data_point(clock="wall", zone="Europe/Berlin", tolerance_s=4 * 3600.0)
    at = [clock("10:00"), clock("11:00"), clock("12:00")]
    block = Packets(point, at, [{0: 1.0}, {0: 3.0}, {0: 2.0}]).block()
    block.offset_min = np.array([0, 60, -60])  # 10:00, 12:00 and 11:00 on the wall
    points = {1: PointGrid.of(point)}
    found = rows_by_key(intervals(block, effective_of(block, points), points))
    known = [row["amount"] for _, row in sorted(found.items()) if not isnan(row["amount"])]
    assert known == [1000.0, 1000.0]


def test_streams_of_every_kind_share_a_batch_and_do_not_touch_each_other() -> None:
    """A live second brings gas, water, temperature and power from many sites at once."""
    made = [
        data_point(1, unit="m3", utility="gas", zone="Asia/Kathmandu"),
        data_point(2, behaviour="gauge", unit="°C", interval_s=60, tolerance_s=30.0),
        data_point(3, kind="electrical", unit="Wh", zone="America/St_Johns"),
        data_point(4, behaviour="rate", unit="L/s", interval_s=86_400),
        data_point(5, kind="electrical", unit="Wh", behaviour="amount", stamp="end"),
    ]
    values: list[list[dict[int, float]]] = [
        [{0: 1.0}, {0: 2.0}],
        [{0: 20.0}, {0: 21.0}],
        [{5: 10.0, 25: 1.0}, {5: 20.0, 25: 3.0}],
        [{0: 1.0}, {0: 3.0}],
        [{25: 5.0}, {25: 6.0}],
    ]
    at = [clock("10:00"), clock("11:00")]
    blocks = [Packets(point, at, v).block() for point, v in zip(made, values, strict=True)]
    points = {point.series: PointGrid.of(point) for point in made}
    together = ReadingBlock.concatenate(blocks)
    rows = rows_by_key(intervals(together, effective_of(together, points), points))
    alone: dict[tuple[int, int, int], Row] = {}
    for block in blocks:
        alone |= rows_by_key(intervals(block, effective_of(block, points), points))
    assert rows.keys() == alone.keys()
    for key, row in rows.items():
        assert row == pytest.approx(alone[key], nan_ok=True)


def test_a_tolerance_of_years_does_not_make_a_million_rows() -> None:
    """A typing error in a setting must not fill a disk: at most 1,000 intervals are filled."""
    rows = table({"09:00": 1.0, "19:00": 2.0}, interval_s=1, tolerance_s=1e9)
    assert len(rows) < 10
    assert max(row["unallocated"] for row in rows.values()) == 1000.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["aP", "apP", "pC", "v"])
def test_figures_that_no_number_can_hold_are_not_known(name: str) -> None:
    """A broken meter sends 1e308 on each phase: no page and no sum of others breaks."""
    phases = {f"{name}_{phase}": 1.7e308 for phase in (1, 2, 3)}
    fallen = dict.fromkeys(phases, -1.7e308)
    packets: dict[str, Any] = {"10:00": fallen, "10:30": phases, "11:00": fallen}
    for channel in (name, f"{name}_1", "pC", "pF"):
        for row in table(packets, channel, register_max=1e308).values():
            assert not np.isinf(list(row.values())).any()
    block = intervals_of(packets)
    for grain in ("hour", "day"):
        rolled = roll_up(block, grain, Zone.of("Europe/Dublin"))
        for column in ("mean", "low", "high", "amount", "unallocated"):
            assert not np.isinf(getattr(rolled, column)).any()


def test_nothing_known_is_never_shown_as_zero() -> None:
    """The first reading of a dial is a figure, and no amount."""
    row = table({"10:00": 5.0})["10:00"]
    assert isnan(row["amount"])
    assert (row["count"], row["covered_ms"], row["unallocated"]) == (1, 0, 0.0)
    assert all(isnan(row[name]) for name in ("mean", "low", "high"))
