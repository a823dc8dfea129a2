"""What does not fit is told with numbers and with what would mend it; what fits is left alone."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from kilowatch.catalog.spans import check_interval
from kilowatch.pipeline.evidence import Evidence
from kilowatch.pipeline.mismatches import observed_interval_s, regular_interval_s
from kilowatch.pipeline.state import StreamState
from kilowatch.pipeline.state_file import pack
from tests.pipeline.evidence_world import Shown
from tests.pipeline.pipeline_world import DAY_MS, HOUR_MS, MINUTE_MS, START_MS, point, single

DAY = 96  # packets of 15 minutes


def amounts(**changes: object) -> Shown:
    """Return a gas meter's amounts in kWh, one in 15 minutes."""
    plain = {"behaviour": "amount", "unit": "kWh", "interval_s": 900, "tolerance_s": 450.0}
    return Shown(single(1, **(plain | changes)))


def of_a_day(count: int, size: float = 10.0) -> list[float]:
    """Return amounts as a building has them: by day more than by night, and never twice alike."""
    wave = (1.5 + math.sin(2 * math.pi * number / DAY) for number in range(count))
    return [
        size * one * (1 + 0.05 * ((number * 7) % 11 - 5) / 5) for number, one in enumerate(wave)
    ]


def meter(**changes: object) -> Shown:
    """Return an electricity meter, one packet in 15 minutes."""
    return Shown(point(1, **({"interval_s": 900, "tolerance_s": 450.0} | changes)))


def three_phases(number: int, power: float = 2_000.0) -> dict[str, float]:
    """Return a packet of three phases."""
    load = power * (1.2 + math.sin(number / 9))
    packet: dict[str, float] = {}
    for phase in (1, 2, 3):
        share = load * (1 + phase / 10)
        packet |= {
            f"aP_{phase}": share,
            f"v_{phase}": 231.0 + phase,
            f"c_{phase}": share / 0.9 / (231.0 + phase),
            f"pC_{phase}": 5e6 + number * power * 1.2 * 0.25,
        }
    return packet


# The interval.


def test_after_three_packets_every_15_minutes_the_interval_is_offered() -> None:
    """Registered for 5, pushed every 15: one finding, and one click to mend it."""
    shown = amounts(interval_s=300, tolerance_s=150.0)
    for number in range(3):
        assert shown.codes == []
        shown.packet({"value": 1.0}, START_MS + number * 15 * MINUTE_MS)
    (finding,) = shown.findings()
    assert finding.code == "interval.longer"
    assert finding.data["remedy"] == {"setting": "interval_s", "value": 900}
    assert "every 5 min" in finding.text
    assert "every 15 min" in finding.text
    assert observed_interval_s(shown.point, shown.state.distances_ms) == 900


def test_a_registration_that_was_corrected_is_told_no_more() -> None:
    """The click takes effect with it, not with the next packet."""
    shown = amounts(interval_s=300)
    for number in range(3):
        shown.packet({"value": 1.0}, START_MS + number * 15 * MINUTE_MS)
    shown.point = single(1, behaviour="amount", unit="kWh", interval_s=900)
    assert shown.codes == []


@pytest.mark.parametrize("pushed_s", [10, 60, 900])
def test_packets_that_are_meant_to_be_aggregated_are_no_mismatch(pushed_s: int) -> None:
    """Ten-second packets in a quarter-hour are a meter's choice, and a quarter-hour is one too."""
    shown = amounts()
    for number in range(60):
        shown.packet({"value": 1.0 + number % 3}, START_MS + number * pushed_s * 1000)
    assert not [code for code in shown.told if code.startswith("interval")] or pushed_s == 60


def test_a_meter_that_could_show_more_is_told_so_when_that_is_steady() -> None:
    """Pushed every 5 minutes, registered for 15: offered after nine packets."""
    shown = amounts()
    for number in range(8):
        shown.packet({"value": 1.0}, START_MS + number * 5 * MINUTE_MS)
    assert shown.codes == []
    shown.packet({"value": 1.0}, START_MS + 40 * MINUTE_MS)
    assert [one.data["remedy"]["value"] for one in shown.findings()] == [300]


def test_a_stream_that_sends_on_change_has_no_rhythm() -> None:
    """Registered with a day as its longest silence, it may come as it likes."""
    shown = amounts(interval_s=86_400, tolerance_s=3_600.0, behaviour="gauge", unit="%")
    at_ms = START_MS
    for number in range(200):
        at_ms += (number * 7_919 % 613 + 1) * 90_000
        shown.packet({"value": float(number % 7)}, at_ms)
    assert not shown.told


@given(st.lists(st.integers(1, 10**10), max_size=15))
def test_an_interval_that_is_offered_can_be_registered(distances_ms: list[int]) -> None:
    """A click never ends in a refusal."""
    interval_s, run = regular_interval_s(distances_ms)
    assert (interval_s == 0) == (not distances_ms)
    assert 0 <= run <= len(distances_ms)
    if interval_s:
        check_interval(interval_s)


def test_two_missed_packets_do_not_change_the_interval() -> None:
    """A radio that drops every second packet for half an hour is not registered anew."""
    shown = amounts()
    at_ms = START_MS
    for number in range(60):
        at_ms += (30 if number % 20 in (0, 1) else 15) * MINUTE_MS
        shown.packet({"value": 1.0}, at_ms)
    assert not shown.told


# The behaviour.


def test_a_dial_registered_as_amounts_is_recognised() -> None:
    """A register of 5 GWh that rises by a few hundred Wh: an hour is enough to be sure."""
    shown = amounts()
    shown.values(5e6 + 0.3 * number for number in range(14))
    (finding,) = shown.findings()
    assert finding.code == "behaviour.rises_for_ever"
    assert finding.data["remedy"] == {"setting": "behaviour", "value": "register"}
    shown.point = single(1, behaviour="register", unit="kWh", interval_s=900)
    assert shown.codes == []


def test_a_new_dial_registered_as_a_gauge_is_recognised_after_a_day() -> None:
    """A small dial rises as temperatures do in the morning; by the next morning it is clear."""
    shown = amounts(behaviour="gauge", unit="m3")
    shown.values(0.5 * number for number in range(100))
    assert shown.codes == []
    shown.values(50 + 0.5 * number for number in range(30))
    assert shown.codes == ["behaviour.rises_for_ever"]


@pytest.mark.parametrize("behaviour", ["amount", "gauge", "rate"])
def test_a_clear_morning_is_no_register(behaviour: str) -> None:
    """What follows the sun rises for hours without a fall, every day, and is what it is."""
    unit = {"amount": "kWh", "gauge": "°C", "rate": "kW"}[behaviour]
    shown = amounts(behaviour=behaviour, unit=unit, utility="production", interval_s=300)
    shown.values(
        max(0.0, 90 * math.sin(2 * math.pi * (number / 288 - 0.25))) for number in range(288 * 4)
    )
    assert not shown.told


def test_amounts_registered_as_a_dial_are_recognised() -> None:
    """Values that fall every other time are no register, whatever was typed."""
    shown = amounts(behaviour="register")
    shown.values(of_a_day(DAY))
    (finding,) = shown.findings()
    assert finding.code == "behaviour.falls"
    assert finding.data["remedy"] == {"setting": "behaviour", "value": "amount"}


def test_a_power_registered_as_a_dial_is_offered_as_a_rate() -> None:
    """The unit says which of the others it is."""
    shown = amounts(behaviour="register", unit="kW")
    shown.values(of_a_day(DAY))
    assert [one.data["remedy"]["value"] for one in shown.findings()] == ["rate"]


def test_a_dial_that_is_exchanged_reset_and_rolls_over_is_still_a_dial() -> None:
    """Three falls in a week are three events, and each is a question of its own."""
    shown = amounts(behaviour="register")
    for start in (999_000.0, 0.0, 40.0, 12.0):
        shown.values(start + 3.5 * number for number in range(12))
    assert not shown.told


def test_readings_put_in_from_the_past_are_no_falls() -> None:
    """A backfill brings smaller figures of a dial after larger ones: that is what it is for."""
    shown = amounts(behaviour="register")
    shown.values(1_000 + 3.5 * number for number in range(30))
    last_ms = shown.at_ms
    for number in range(1, 30):
        past_ms = last_ms - DAY_MS + number * 900_000
        shown.packet({"value": 900.0 - number % 7}, past_ms, late_ms=DAY_MS - 450_000)
        shown.packet({"value": 1_105.0 + number}, last_ms + number * 900_000)
    assert not shown.told


def test_an_electrical_register_that_is_none_is_recognised() -> None:
    """A meter whose pC is the energy of each interval, registered as cumulative."""
    shown = meter(behaviour="register")
    for value in of_a_day(60, 1_000.0):
        shown.packet({"pC_1": value})
    assert [one.data["remedy"] for one in shown.findings()] == [
        {"setting": "behaviour", "value": "amount"}
    ]


# Units.


def test_values_a_thousand_times_larger_than_all_before_offer_the_smaller_unit() -> None:
    """The meter was set from kWh to Wh: what it says since is told apart."""
    shown = amounts()
    shown.values(of_a_day(2 * DAY))
    shown.values(of_a_day(11, 10_000.0))
    assert shown.codes == []
    shown.values(of_a_day(11, 10_000.0))
    (finding,) = shown.findings()
    assert finding.code == "unit.changed"
    assert finding.data["remedy"] == {"setting": "unit", "value": "Wh"}


def test_values_a_thousand_times_smaller_offer_the_larger_unit() -> None:
    """From kWh to MWh, with the dial's own differences as the measure."""
    shown = amounts(behaviour="register")
    dial = 0.0
    for value in [*of_a_day(2 * DAY), *of_a_day(20, 0.01)]:
        dial += value
        shown.packet({"value": dial})
    assert [one.data["remedy"]["value"] for one in shown.findings()] == ["MWh"]


def test_a_machine_that_starts_for_the_first_time_is_no_other_unit() -> None:
    """Standby of 20 W for days, then 5 kW: far apart, but not by a thousand."""
    shown = amounts(behaviour="rate", unit="W")
    shown.values(20 + number % 3 for number in range(4 * DAY))
    shown.values(of_a_day(2 * DAY, 4_000.0))
    assert not shown.told


def test_a_building_that_is_switched_off_is_no_other_unit() -> None:
    """What its transformer draws is a thousandth of before, and hour by hour the same."""
    shown = amounts()
    shown.values(of_a_day(3 * DAY, 900.0))
    shown.values(0.9 + 0.01 * (number % 9 == 0) for number in range(3 * DAY))
    shown.values(of_a_day(DAY, 900.0))
    assert not shown.told


def test_what_no_building_uses_is_questioned() -> None:
    """25,000 "kWh" in a quarter-hour are 100 MW: the meter sends Wh."""
    shown = amounts()
    shown.values(of_a_day(20, 25_000.0))
    (finding,) = shown.findings()
    assert finding.code == "unit.implausible"
    assert finding.data["remedy"] == {"setting": "unit", "value": "Wh"}


@pytest.mark.parametrize(("name", "code"), [("aP", "unit.power"), ("pC", "unit.energy")])
def test_an_electrical_quantity_in_kilo_is_recognised_by_the_others(name: str, code: str) -> None:
    """Voltage times current knows the power, and power over time knows the energy."""
    shown = meter()
    for number in range(40):
        packet = three_phases(number)
        if name == "pC":
            packet = {key: 1_000.0 if key[0] == "a" else value for key, value in packet.items()}
            packet = {key: value for key, value in packet.items() if key[0] in "ap"}
        small = {
            key: value / 1000 if key.startswith(name) else value for key, value in packet.items()
        }
        if name == "pC":
            small = {
                key: 5e3 + number * 0.25 if key.startswith("pC") else value
                for key, value in small.items()
            }
        shown.packet(small)
    assert shown.codes == [code]


def test_kilovolts_are_recognised() -> None:
    """0.231 is no voltage of a phase."""
    shown = meter()
    for number in range(20):
        packet = three_phases(number)
        shown.packet(
            {key: value / 1000 if key[0] == "v" else value for key, value in packet.items()}
        )
    assert shown.codes == ["unit.voltage"]


def test_a_capacitor_bank_is_no_kilowatt() -> None:
    """Hardly any active power at a high current is what it is there for."""
    shown = meter()
    for number in range(40):
        packet: dict[str, float] = {}
        for phase in (1, 2, 3):
            packet |= {f"v_{phase}": 230.0, f"c_{phase}": 40.0, f"rP_{phase}": -9_190.0}
            packet[f"aP_{phase}"] = 7.0 + number % 2
        shown.packet(packet)
    assert not shown.told


# The clock.


def test_local_time_marked_as_utc_is_recognised() -> None:
    """Kolkata's wall clock with a Z behind it lies 5.5 h in the future."""
    shown = amounts(zone="Asia/Kolkata")
    shown.values(of_a_day(20), late_ms=-19_800_000, offset_min=0, flags=4)
    (finding,) = shown.findings()
    assert finding.code == "clock.does_not_fit"
    assert "5.5 h before" in finding.text
    assert "remedy" not in finding.data, "no setting makes a Z mean anything else"


def test_a_clock_that_was_set_wrongly_is_mended_with_a_click() -> None:
    """Local time with +00:00, and the data point told to believe the offset."""
    shown = amounts(zone="Europe/Berlin", clock="offset")
    shown.state.at_ms = shown.at_ms
    shown.at_ms = 1_720_000_000_000  # summer: two hours apart
    shown.values(of_a_day(20), late_ms=-7_200_000 + 700, offset_min=0)
    (finding,) = shown.findings()
    assert finding.data["remedy"] == {"setting": "clock", "value": "wall"}


@pytest.mark.parametrize("late_ms", [700, HOUR_MS, 2 * HOUR_MS + 90_000, 26 * HOUR_MS, -90_000])
@pytest.mark.parametrize("zone", ["Europe/Dublin", "Asia/Kolkata", "America/New_York"])
def test_whoever_is_late_all_the_time_does_nothing_wrong(late_ms: int, zone: str) -> None:
    """An hour, two or a day late each time: arrival alone proves no wrong clock."""
    shown = amounts(zone=zone)
    shown.values(of_a_day(40), late_ms=late_ms)
    assert not shown.told


def test_history_says_nothing_of_the_clock() -> None:
    """A year pushed in a minute arrives at any distance from its instants."""
    shown = amounts(zone="Asia/Kolkata")
    for number, value in enumerate(of_a_day(2_000)):
        at_ms = START_MS + number * 900_000
        shown.packet({"value": value}, at_ms, late_ms=START_MS + 365 * DAY_MS + number * 30 - at_ms)
    assert not shown.told


# Names, phases, impossible values.


def test_unknown_names_are_told_with_the_likely_one_until_they_are_corrected() -> None:
    """A typo loses one parameter, not the packet; after the correction nothing is left to say."""
    shown = meter()
    for number in range(3):
        shown.packet(three_phases(number), ignored=("AP1", "colour"))
    (finding,) = shown.findings()
    assert finding.code == "parameters.unknown"
    assert finding.data["names"] == {"AP1": "aP_1", "colour": ""}
    for number in range(20):
        shown.packet(three_phases(number))
    assert shown.codes == []
    assert shown.state.ignored == {"AP1": 3, "colour": 3}, "the count stays"


def test_a_meter_that_loses_two_phases_is_told() -> None:
    """It sent three and sends one: half of the load is not counted any more."""
    shown = meter()
    for number in range(10):
        shown.packet(three_phases(number))
    for number in range(12):
        packet = three_phases(number)
        shown.packet({key: value for key, value in packet.items() if key.endswith("_1")})
    (finding,) = shown.findings()
    assert finding.code == "phases.missing"
    assert finding.data["phases"] == "2, 3"
    shown.packet(three_phases(1))
    assert shown.codes == []


def test_a_phase_that_never_came_is_told() -> None:
    """Two of three phases are no meter's whole story."""
    shown = meter()
    for number in range(24):
        packet = three_phases(number)
        shown.packet({key: value for key, value in packet.items() if not key.endswith("_2")})
    assert [one.data["phases"] for one in shown.findings()] == ["2"]


def test_one_phase_alone_is_a_meter_without_phases() -> None:
    """The total in _1 is in the contract; partial packets bring a phase at a time."""
    shown = meter()
    for number in range(40):
        shown.packet({"aP_1": 500.0 + number % 5})
    assert not shown.told
    pieces = meter()
    for number in range(60):
        phase = number % 3 + 1
        pieces.packet({f"aP_{phase}": 500.0 + number % 5}, flags=2)
    assert not pieces.told


def test_a_transformer_that_is_not_connected_is_told_after_two_days() -> None:
    """Exactly zero on one phase, load on the others: hours of it are a quiet circuit."""
    shown = meter()
    for number in range(2 * DAY + 2):
        shown.packet(three_phases(number) | {"aP_3": 0.0, "c_3": 0.0})
        if number == DAY:
            assert shown.codes == []
    assert shown.codes == ["phases.idle"]


@pytest.mark.parametrize(
    ("values", "channel"),
    [({"pF_1": 1.7}, 33), ({"f": -50.0}, 56), ({"v_2": -230.0}, 18), ({"v_31": -400.0}, 31)],
)
def test_impossible_values_are_told_when_they_come_again(
    values: dict[str, float], channel: int
) -> None:
    """One glitch is nothing; three in a day are a wrong register address."""
    shown = meter()
    for number in range(9):
        shown.packet(three_phases(number) | (values if number % 3 == 0 else {}))
        assert ("value.impossible" in shown.codes) == (number >= 6)
    (finding,) = shown.findings()
    assert finding.channel == channel
    for number in range(24):
        shown.packet(three_phases(number))
    assert shown.codes == []


@pytest.mark.parametrize(
    ("changes", "value", "bad"),
    [
        ({"utility": "humidity", "unit": "%", "behaviour": "gauge"}, 130.0, True),
        ({"utility": "humidity", "unit": "%", "behaviour": "gauge"}, 100.5, False),
        ({"utility": "temperature", "unit": "°C", "behaviour": "gauge"}, -300.0, True),
        ({"utility": "temperature", "unit": "°F", "behaviour": "gauge"}, -40.0, False),
        ({"utility": "temperature", "unit": "K", "behaviour": "gauge"}, -1.0, True),
        ({"utility": "production", "unit": "kW", "behaviour": "rate"}, -5.0, False),
    ],
)
def test_a_single_value_has_bounds_by_what_it_measures(
    changes: dict[str, object], value: float, bad: bool
) -> None:
    """A temperature below absolute zero is none; a negative power is an export."""
    shown = amounts(**changes)
    shown.values([value] * 4)
    assert shown.codes == (["value.impossible"] if bad else [])


# What is kept.


def test_a_state_of_an_older_version_still_loads() -> None:
    """An upgrade forgets nothing and begins to look."""
    old = {"progress": {"generation": 3}, "seq": 7, "packets": 7, "ignored": {"AP1": 2}}
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=StreamState)
    assert state.seq == 7
    assert state.evidence == Evidence()
    assert not state.progress.looked_for_gaps


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["value"]),
            st.floats(-1e308, 1e308),
            st.integers(-90_000_000, 90_000_000),
        ),
        max_size=80,
    ),
    st.sampled_from(["amount", "rate", "gauge", "register"]),
)
@settings(deadline=None, max_examples=60)
def test_whatever_comes_the_evidence_stays_small_and_is_the_same_after_a_restart(
    packets: list[tuple[str, float, int]], behaviour: str
) -> None:
    """Packed and unpacked after every packet, as by a crash after each, it comes to the same."""
    whole, crashing = (amounts(behaviour=behaviour) for _ in range(2))
    for name, value, late_ms in packets:
        for shown in (whole, crashing):
            shown.packet({name: value}, late_ms=late_ms)
        crashing.state = msgspec.msgpack.decode(pack(crashing.state), type=StreamState)
    assert whole.state == crashing.state
    assert len(pack(whole.state)) < 2_500
