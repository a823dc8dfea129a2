"""The worked examples of docs/reference/intervals.md about changed settings and meters."""

from __future__ import annotations

from typing import Any

import pytest

from kilowatch.model.dated import MeterEvent, Period
from kilowatch.model.parameters import CHANNEL_BY_NAME
from kilowatch.model.points import DataPoint
from tests.pipeline.dated_cases import period_of, with_periods
from tests.pipeline.interval_cases import Packets, data_point
from tests.pipeline.test_dated_properties import grown
from tests.pipeline.test_intervals import clock


def rows(
    point: DataPoint, packets: dict[str, dict[str, float] | float], channel: str = "value"
) -> dict[str, dict[str, Any]]:
    """Return the interval rows of a channel by the time of day that they start at."""
    named = [{"value": v} if isinstance(v, int | float) else v for v in packets.values()]
    values = [{CHANNEL_BY_NAME[name]: v for name, v in one.items()} for one in named]
    found, _, _ = grown([Packets(point, [clock(at) for at in packets], values)])
    day = clock("00:00")
    return {
        f"{(start - day) // 3_600_000:02}:{(start - day) // 60_000 % 60:02}": row
        for (_, code, start), row in sorted(found.items())
        if code == CHANNEL_BY_NAME[channel]
    }


def counted(found: dict[str, dict[str, Any]]) -> float:
    """Return the total in kWh (or m³/1000): amounts and what is unallocated."""
    parts = [row[name] for row in found.values() for name in ("amount", "unallocated")]
    return float(sum(part for part in parts if part == part)) / 1000  # noqa: PLR0124 - no NaN


def changing(at: str, before: dict[str, Any], after: dict[str, Any], **settings: Any) -> DataPoint:
    """Return a data point whose settings are other ones from a time of day on."""
    point = data_point(**settings)
    first: Period = period_of(point, **before)
    return with_periods(point, first, period_of(point, clock(at), **(before | after)))  # type: ignore[no-any-return]


def test_a_change_within_an_hour_cuts_it_and_each_part_has_its_factor() -> None:
    """Multiplier 10 from 11:20 on: a third of the dial's step at 1, two thirds at 10."""
    point = changing("11:20", {}, {"multiplier": 10.0})
    found = rows(point, {"11:00": 100.0, "12:00": 106.0})
    assert [round(found[at]["amount"]) for at in ("11:00", "11:20")] == [2_000, 40_000]
    assert [found[at]["duration_ms"] // 60_000 for at in ("11:00", "11:20")] == [20, 40]
    assert [found[at]["covered_ms"] // 60_000 for at in ("11:00", "11:20")] == [20, 40]


def test_across_a_gap_the_factor_is_the_mean_by_time() -> None:
    """Four hours of silence, one at multiplier 1 and three at 10: 4 kWh of dial are 31 kWh."""
    point = changing("11:00", {}, {"multiplier": 10.0})
    found = rows(point, {"10:00": 100.0, "14:00": 104.0})
    assert found["13:00"]["unallocated"] == pytest.approx(31_000)
    assert counted(found) == pytest.approx(31.0)


def test_a_unit_that_changes_leaves_the_dial_where_it_is() -> None:
    """1,000 kWh before and 1.5 MWh after are 500 kWh apart, not a fall to one and a half."""
    point = changing("12:00", {}, {"unit": "MWh"})
    found = rows(point, {"11:00": 1000.0, "12:00": 1.5, "13:00": 1.75})
    assert [round(found[at]["amount"]) for at in ("11:00", "12:00")] == [500_000, 250_000]


def test_from_a_register_to_amounts_nothing_is_counted_across() -> None:
    """The last figure of the dial and the first amount have nothing to do with each other."""
    point = changing("12:00", {}, {"behaviour": "amount"})
    found = rows(point, {"10:00": 100.0, "11:00": 103.0, "12:00": 2.0, "13:00": 4.0})
    assert [found[at]["amount"] for at in ("10:00", "12:00", "13:00")] == [3e3, 2e3, 4e3]
    assert found["11:00"]["count"] == 1
    assert counted(found) == pytest.approx(9.0)


def test_an_amount_stamped_with_its_end_belongs_to_the_time_before_a_change() -> None:
    """700 L stamped 12:00 flowed from 11 to 12, and keep the factor of that hour."""
    usual = {"behaviour": "amount", "stamp": "end", "unit": "L"}
    point = changing("12:00", {}, {"multiplier": 2.0}, utility="water", **usual)
    found = rows(point, {"11:00": 600.0, "12:00": 700.0, "13:00": 800.0})
    amounts = {at: round(row["amount"], 9) for at, row in found.items()}
    assert amounts == {"10:00": 0.6, "11:00": 0.7, "12:00": 1.6}


def test_transformers_apply_to_what_passes_through_them() -> None:
    """CT to currents, VT to voltages, both and the multiplier to powers and energies."""
    point = data_point(kind="electrical", unit="Wh")
    point = with_periods(point, period_of(point, multiplier=3.0, ct_ratio=40.0, vt_ratio=2.0))
    sent = {"aP_1": 5.0, "rP_1": 1.0, "apP_1": 6.0, "v_1": 115.0, "v_12": 200.0, "c_1": 2.0}
    sent |= {"pF_1": 0.9, "thdV_1": 3.0, "thdC_1": 4.0, "f": 50.0}
    packets: dict[str, Any] = {
        at: sent | dict.fromkeys(("pC_1", "pE_1", "qC_1", "qE_1"), figure)
        for at, figure in (("10:00", 100.0), ("11:00", 107.0))
    }
    factors = {"aP_1": 240, "rP_1": 240, "apP_1": 240, "v_1": 2, "v_12": 2, "c_1": 40}
    factors |= {"pF_1": 1, "thdV_1": 1, "thdC_1": 1, "f": 1, "aP": 240}
    for name, factor in factors.items():
        value = sent.get(name, sent["aP_1"])
        mean = rows(point, packets, name)["10:00"]["mean"]
        assert mean == pytest.approx(value * factor), name
    for name in ("pC_1", "pE", "qC_1", "qE"):
        assert rows(point, packets, name)["10:00"]["amount"] == pytest.approx(7 * 240), name
    assert rows(point, packets, "pF")["10:00"]["mean"] == pytest.approx(5 / 6)


def test_pulses_are_what_their_weight_says() -> None:
    """Pulses of 0.1 m³: 50 of them are 5 m³; the register's width is in pulses."""
    point = data_point(utility="water", unit="m3", register_max=1000.0)
    point = with_periods(point, period_of(point, pulse_weight=0.1))
    found = rows(point, {"10:00": 970.0, "11:00": 20.0})
    assert found["10:00"]["amount"] == pytest.approx(5.0)


def test_gas_has_its_energy_beside_its_volume() -> None:
    """100 m³ at 1.02264 and 11 kWh/m³ are 1,124.904 kWh; next month's gas has another value."""
    gas = {"calorific_kwh_per_m3": 11.0, "volume_correction": 1.02264}
    point = changing("12:00", gas, {"calorific_kwh_per_m3": 10.0}, utility="gas", unit="m3")
    packets: dict[str, Any] = {"11:00": 500.0, "12:00": 600.0, "13:00": 650.0}
    assert [rows(point, packets)[at]["amount"] for at in ("11:00", "12:00")] == [100.0, 50.0]
    energy = rows(point, packets, "energy")
    assert energy["11:00"]["amount"] == pytest.approx(1_124_904)
    assert energy["12:00"]["amount"] == pytest.approx(511_320)
    flow = with_periods(
        data_point(utility="gas", unit="m3/h", behaviour="rate"),
        period_of(data_point(unit="m3/h", behaviour="rate"), calorific_kwh_per_m3=11.0),
    )
    found = rows(flow, {"10:00": 2.0, "10:30": 4.0}, "energy")
    assert found["10:00"]["mean"] == pytest.approx(33_000)
    assert found["10:00"]["amount"] == pytest.approx(33_000)


def test_gas_without_a_calorific_value_for_a_time_has_no_energy_then() -> None:
    """From noon on the value is known: the morning has its volume, and no energy of zero."""
    point = changing("12:00", {}, {"calorific_kwh_per_m3": 10.0}, utility="gas", unit="m3")
    packets: dict[str, Any] = {"10:00": 500.0, "11:00": 510.0, "12:30": 525.0}
    energy = rows(point, packets, "energy")
    assert list(energy) == ["12:00"]
    assert energy["12:00"]["amount"] == pytest.approx(5 * 10_000)
    assert counted(rows(point, packets)) == pytest.approx(0.025)


FELL: dict[str, Any] = {"10:00": 90.0, "11:00": 95.0, "12:00": 7.0, "13:00": 17.0}


@pytest.mark.parametrize(
    ("event", "kwh"),
    [
        (None, 5 + 0 + 10),
        (("roll_over", "12:00", {"width": 100.0}), 5 + 12 + 10),
        (("reset", "12:00", {"first": 0.0}), 5 + 7 + 10),
        (("exchange", "11:30", {"last": 98.0, "first": 4.0}), 5 + 3 + 3 + 10),
        (("bad", "12:00", {}), 5 + 0),
        (("bad", "10:00", {"until_ms": clock("11:59")}), 10),
    ],
)
def test_what_a_fall_was_decides_what_it_counts(event: Any, kwh: float) -> None:
    """One table of the rule book, each line with its figure."""
    events: tuple[MeterEvent, ...] = ()
    if event is not None:
        kind, at, figures = event
        events = (MeterEvent(kind, clock(at), **figures),)
    point = with_periods(data_point(), events=events)
    assert counted(rows(point, FELL)) == pytest.approx(kwh)


def test_each_part_of_an_exchange_has_the_factor_of_its_meter() -> None:
    """(old last - before) at 40, (after - new first) at 60: the change comes with the exchange."""
    at = clock("11:30")
    point = data_point()
    periods = (period_of(point, multiplier=40.0), period_of(point, at, multiplier=60.0))
    point = with_periods(point, *periods, events=(MeterEvent("exchange", at, None, 98.0, 4.0),))
    found = rows(point, FELL)
    assert counted(found) == pytest.approx(5 * 40 + 3 * 40 + 3 * 60 + 10 * 60)
    assert found["11:00"]["amount"] == pytest.approx(3 * 40e3)
    assert found["11:30"]["amount"] == pytest.approx(3 * 60e3)


def test_an_exchange_divides_the_gap_that_it_lies_in() -> None:
    """Silent from 10:00 to 20:00, exchanged at 19:30: what was before it is unallocated there."""
    event = MeterEvent("exchange", clock("19:30"), None, 98.0, 4.0)
    point = with_periods(data_point(), events=(event,))
    found = rows(point, {"09:00": 89.0, "10:00": 90.0, "20:00": 5.0})
    assert found["19:00"]["unallocated"] == pytest.approx(8_000)
    assert found["19:00"]["amount"] == pytest.approx(1_000)
    assert found["19:00"]["covered_ms"] == 30 * 60_000


def test_a_roll_over_across_a_change_of_the_factor_counts_each_part() -> None:
    """999,990 at 11:00 and 20 at 12:00 are 30; half of it before the change at 11:30."""
    point = changing("11:30", {}, {"multiplier": 2.0}, register_max=1e6)
    found = rows(point, {"11:00": 999_990.0, "12:00": 20.0})
    assert [round(found[at]["amount"]) for at in ("11:00", "11:30")] == [15_000, 30_000]


def test_what_is_marked_for_one_channel_leaves_the_others() -> None:
    """A voltage that cannot be is left out; the energy of the same packet stays."""
    event = MeterEvent("bad", clock("10:30"), CHANNEL_BY_NAME["v_1"])
    point = with_periods(data_point(kind="electrical", unit="Wh"), events=(event,))
    packets: dict[str, Any] = {
        "10:00": {"v_1": 230.0, "pC_1": 0.0},
        "10:30": {"v_1": 9999.0, "pC_1": 5.0},
        "11:00": {"v_1": 231.0, "pC_1": 9.0},
    }
    assert rows(point, packets, "v_1")["10:00"]["high"] == 230.0
    assert rows(point, packets, "pC_1")["10:00"]["amount"] == pytest.approx(9.0)


def test_a_register_that_begins_at_an_exchange_counts_in_its_own_first_interval() -> None:
    """Amounts until noon; then a dial that shows 1 where it was said to begin at 0."""
    noon = clock("12:00")
    point = data_point()
    periods = (period_of(point, behaviour="amount"), period_of(point, noon))
    event = MeterEvent("exchange", noon, None, None, 0.0)
    point = with_periods(point, *periods, events=(event,))
    found = rows(point, {"11:00": 3.0, "12:00": 1.0, "13:00": 5.0})
    assert found["11:00"]["amount"] == 3_000
    assert (found["12:00"]["unallocated"], found["12:00"]["amount"]) == (1_000, 4_000)
