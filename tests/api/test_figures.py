"""Figures of the API beside those that Breakdown draws of the same days, from one pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from kilowatch.api.consumptions import shown
from kilowatch.api.declaring import Ask
from kilowatch.api.local_time import DAYS_MAX, SPAN
from kilowatch.api.meters import wh_per_pulse
from kilowatch.api.raw_data import ROWS_MAX, raw_data
from kilowatch.model.dated import History, Period
from kilowatch.model.errors import KilowatchError
from tests.api.figures_world import Figures, build

MONTHS = ("month=10&year=2024", "month=3&year=2024")
SHOWN = {"10": "2024-10-15", "3": "2024-03-15"}
COUNTED = {"supply": "pC", "both": "pC", "gas": "value", "counter": "value", "power": "value"}


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Figures]:
    """Push two months once."""
    made = build(tmp_path_factory.mktemp("figures"))
    yield made
    made.catalog.close()


def amount(text: str) -> float:
    """Return the number of a figure with its unit."""
    return float(text.partition(" ")[0])


def drawn(figures: Figures, name: str, month: str, worth: str = "energy") -> dict[str, float]:
    """Return the days of a month as Breakdown has them."""
    day = SHOWN[month.split("=")[1].split("&", maxsplit=1)[0]]
    page = figures.page(
        name, f"period=month&date={day}&grain=day&show={COUNTED[name]}&worth={worth}"
    )
    (channel,) = page["channels"]
    columns = zip(channel["start"], channel["amount"], channel["unallocated"], strict=True)
    days = {
        start[:10]: (known or 0.0) + (apart or 0.0)
        for start, known, apart in columns
        if known is not None or apart is not None
    }
    total = page["statistics"][0]["total"]
    assert sum(days.values()) == pytest.approx(total or 0.0)
    return days


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("name", COUNTED)
def test_a_month_is_the_month_that_breakdown_shows(figures: Figures, name: str, month: str) -> None:
    """Day by day, through both clock changes, what was counted across gaps included."""
    told = figures.api(name, "consumptions", month)
    days = {one["date"]: amount(one["total_consumption"]) for one in told}
    assert days == pytest.approx(drawn(figures, name, month))
    assert len(days) >= 3
    unit = "m3" if name == "gas" else "Wh"
    assert all(one["total_consumption"].endswith(f" {unit}") for one in told)
    for one in told:
        assert one["weekday"] == datetime.fromisoformat(one["date"]).strftime("%A")
        assert 0 <= one["complete"] <= 1
        assert "consumption_by_time" not in one


@pytest.mark.parametrize("month", MONTHS)
@pytest.mark.parametrize("name", COUNTED)
def test_the_intervals_of_a_day_and_what_a_gap_hid_add_up_to_its_total(
    figures: Figures, name: str, month: str
) -> None:
    """No energy is lost: not in the doubled hour, not across a gap."""
    gaps = 0
    for one in figures.api(name, "consumptions", f"{month}&detailed=true"):
        each = [amount(value) for value in one["consumption_by_time"].values()]
        apart = amount(one.get("unallocated", "0 Wh"))
        gaps += apart > 0
        assert sum(each) + apart == pytest.approx(amount(one["total_consumption"]))
    registers = name in ("supply", "both", "gas") and "month=10" in month
    assert gaps >= (1 if registers else 0)


def test_the_doubled_hour_of_autumn_has_the_energy_of_both(figures: Figures) -> None:
    """01:00 and 01:30 come twice on that day: each name has the sum, as no energy may be lost."""
    days = figures.api("supply", "consumptions", "month=10&year=2024&detailed=true")
    (changed,) = [one for one in days if one["date"] == "2024-10-27"]
    by_time = changed["consumption_by_time"]
    assert changed["complete"] == 1.0
    assert len(by_time) == 48
    twice, once = amount(by_time["01h30m"]), amount(by_time["02h30m"])
    assert twice == pytest.approx(2 * once, rel=0.02)
    rows = figures.api(
        "supply", "raw_data", "from=27/10/2024&to=27/10/2024&data_type=active_energy"
    )
    assert len(rows) == 50, "the day has 25 hours"
    own = [one["total"] for one in rows if one["timestamp"][11:16] == "01:30"]
    assert len(own) == 2
    assert sum(own) == pytest.approx(twice)
    assert {one["timestamp"][19:] for one in rows} == {"+01:00", "+00:00"}
    assert len({one["timestamp"] for one in rows}) == 50


def test_the_hour_that_spring_skips_has_no_name(figures: Figures) -> None:
    """A day of 23 hours has 46 half hours, and is complete."""
    days = figures.api("supply", "consumptions", "month=3&year=2024&detailed=true")
    (changed,) = [one for one in days if one["date"] == "2024-03-31"]
    assert "01h00m" not in changed["consumption_by_time"]
    assert len(changed["consumption_by_time"]) == 46
    assert changed["complete"] == 1.0


@pytest.mark.parametrize("name", ["supply", "power", "gas"])
def test_costs_are_those_that_breakdown_shows_each_day_at_its_own_price(
    figures: Figures, name: str
) -> None:
    """A price that changes within the month changes the days from its day on, and is named."""
    told = figures.api(name, "costs", "month=10&year=2024")
    priced = {one["date"]: amount(one["total_cost"]) for one in told if one["total_cost"]}
    assert priced == pytest.approx(drawn(figures, name, MONTHS[0], "money"))
    for one in told:
        if one["total_cost"] is None:
            assert one["price"] is None
            assert "No price of gas" in one["reason"]
        else:
            assert one["total_cost"].endswith(" EUR")
            later = one["date"] >= "2024-10-28"
            known = "new contract" if later else "contract"
            assert f"({'gas bill' if name == 'gas' else known})" in one["price"]
            assert "reason" not in one
    without = {one["date"] for one in told if one["total_cost"] is None}
    before = {"2024-10-23", "2024-10-24", "2024-10-25"}
    assert without == (before if name == "gas" else set())


def test_the_costs_of_a_day_s_intervals_add_up_to_the_day_s(figures: Figures) -> None:
    """Detailed costs are money at the same price."""
    for one in figures.api("supply", "costs", "month=10&year=2024&detailed=true"):
        each = [amount(value) for value in one["cost_by_time"].values()]
        apart = amount(one.get("unallocated", "0 EUR"))
        assert sum(each) + apart == pytest.approx(amount(one["total_cost"]))


def test_what_has_no_price_has_no_cost_and_says_why(figures: Figures) -> None:
    """Never a zero for what nobody knows."""
    told = figures.api("counter", "costs", "month=10&year=2024&detailed=true")
    assert told
    for one in told:
        assert (one["total_cost"], one["price"]) == (None, None)
        assert one["reason"] == "No price of heat is set for this site on this day."
        assert "cost_by_time" not in one


def test_a_month_in_progress_ends_today_and_a_later_one_is_empty(figures: Figures) -> None:
    """What has not happened has no row."""
    days = figures.api("supply", "consumptions", "month=10&year=2024")
    assert days[-1]["date"] == "2024-10-30", "it is half past two on that day"
    assert figures.api("supply", "consumptions", "month=11&year=2024") == []
    assert figures.api("supply", "consumptions", "month=12&year=2030") == []
    assert figures.api("quiet", "consumptions", "month=10&year=2024") == []


@pytest.mark.parametrize("what", ["consumptions", "costs"])
def test_what_counts_nothing_says_so(figures: Figures, what: str) -> None:
    """A temperature has no consumption: 422, not an empty month."""
    told = figures.api("outdoor", what, "month=10&year=2024", 422)
    assert told["code"] == "nothing_to_count"
    assert "raw_data" in told["remedy"]


def test_what_has_no_money_s_worth_has_consumptions_and_no_costs(figures: Figures) -> None:
    """Pieces are counted, and no price is for pieces."""
    assert figures.api("parts", "consumptions", "month=10&year=2024") == []
    told = figures.api("parts", "costs", "month=10&year=2024", 422)
    assert told["code"] == "nothing_to_count"
    assert "counted in pcs" in told["detail"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("month=13&year=2024", "month"),
        ("month=0&year=2024", "month"),
        ("month=10&year=1969", "year"),
        ("month=10&year=24", "year"),
        ("month=10", "year"),
        ("year=2024", "month"),
        ("month=October&year=2024", "month"),
        ("month=10&year=2024&detailed=yes", "detailed"),
    ],
)
def test_a_month_that_is_none_is_refused(figures: Figures, query: str, parameter: str) -> None:
    """By the name of what is wrong."""
    for what in ("consumptions", "costs"):
        assert figures.api("supply", what, query, 400)["parameter"] == parameter


def test_raw_data_are_the_intervals_that_breakdown_draws(figures: Figures) -> None:
    """Active power by default, with its phases where they are asked for; a gap has no rows."""
    query = "from=2024-10-25&to=2024-10-26&show_phases=true"
    rows = figures.api("supply", "raw_data", query)
    page = figures.page(
        "supply",
        "period=custom&date=2024-10-25&until=2024-10-26&grain=interval&channels=aP,aP_1,aP_2",
    )
    total, first, second = page["channels"]
    assert [one["timestamp"] for one in rows] == total["start"]
    assert [one["total"] for one in rows] == pytest.approx(total["mean"])
    assert [one["phase_1"] for one in rows] == pytest.approx(first["mean"])
    assert [one["phase_2"] for one in rows] == pytest.approx(second["mean"])
    assert all("phase_3" not in one for one in rows)
    assert 40 < len(rows) < 96 - 45, "two days without the night and the day of the gap"
    plain = figures.api("supply", "raw_data", "from=2024-10-25&to=2024-10-26")
    assert [one["total"] for one in plain] == [one["total"] for one in rows]
    assert all("phase_1" not in one for one in plain)


def test_both_ends_of_a_period_are_as_documented(figures: Figures) -> None:
    """A last day is part of it, a last instant is not; three ways to write the same."""
    days = "from=2024-10-24&to=2024-10-24"
    for same in (
        "from=24/10/2024&to=24/10/2024",
        "from=2024-10-24 00:00:00&to=2024-10-25 00:00:00",
        "from=2024-10-24T00:00:00&to=2024-10-25+00:00:00",
    ):
        rows = figures.api("supply", "raw_data", same)
        assert rows == figures.api("supply", "raw_data", days)
        assert len(rows) == 48
    some = figures.api("supply", "raw_data", "from=2024-10-24 10:30:00&to=2024-10-24 12:00:00")
    assert [one["timestamp"][11:16] for one in some] == ["10:30", "11:00", "11:30"]


def test_power_is_told_where_only_energy_is_known(figures: Figures) -> None:
    """A register's half hour of 750 Wh is 1,500 W; what was exported is taken off."""
    day = "from=2024-10-24&to=2024-10-24"
    energy = figures.api("supply", "raw_data", f"{day}&data_type=active_energy")
    both = figures.api("both", "raw_data", day)
    assert [one["total"] for one in both[:-1]] == pytest.approx(
        [(one["total"] / 1.5 - 40.0) * 2 for one in energy[:-1]]
    )
    counted = figures.api("counter", "raw_data", day)
    assert [one["total"] for one in counted][:3] == pytest.approx([1_000.0, 1_020.0, 1_040.0])
    amounts = figures.api("counter", "raw_data", f"{day}&data_type=value")
    assert [one["total"] for one in amounts][:3] == pytest.approx([500.0, 510.0, 520.0])


def test_each_meter_says_what_it_can_be_asked_for(figures: Figures) -> None:
    """Words and units, and a question for another one names them."""

    def known(name: str) -> dict[str, tuple[str, bool, int]]:
        told = figures.api(name, "data_types", "")
        return {one["data_type"]: (one["unit"], one["total"], one["phases"]) for one in told}

    assert known("supply") == {
        "active_power": ("W", True, 2),
        "voltage": ("V", False, 2),
        "active_energy": ("Wh", True, 2),
    }
    assert known("both")["active_power"] == ("W", True, 0)
    assert known("gas") == {"value": ("m3", True, 0)}
    assert known("counter") == {"value": ("Wh", True, 0), "active_power": ("W", True, 0)}
    assert set(known("power")) == {"value", "rate", "active_power"}
    assert known("outdoor") == {"value": ("°C", True, 0)}
    assert known("quiet") == {}
    for name in ("supply", "both", "gas", "counter", "power", "outdoor"):
        for word in known(name):
            day = f"from=2024-10-24&to=2024-10-24&data_type={word}"
            assert figures.api(name, "raw_data", day), (name, word)
    wrong = figures.api("gas", "raw_data", "from=2024-10-24&to=2024-10-24&data_type=voltage", 422)
    assert (wrong["code"], wrong["parameter"]) == ("data_type_absent", "data_type")
    assert wrong["remedy"] == "It has value."
    assert figures.api("quiet", "raw_data", "from=2024-10-24&to=2024-10-24") == []


def test_voltages_have_no_total_and_their_phases_always(figures: Figures) -> None:
    """A sum of voltages means nothing: null, and the phases stand there unasked."""
    rows = figures.api("supply", "raw_data", "from=2024-10-24&to=2024-10-24&data_type=voltage")
    assert rows[0]["total"] is None
    assert (rows[0]["phase_1"], rows[0]["phase_2"]) == (230.0, 231.0)


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ("from=2024-10-24", 400, "to"),
        ("to=2024-10-24", 400, "from"),
        ("from=2024-02-30&to=2024-03-01", 400, "from"),
        ("from=31/11/2024&to=2024-12-01", 400, "from"),
        ("from=10/24/2024&to=2024-12-01", 400, "from"),
        ("from=2024-10-24 25:00:00&to=2024-10-25", 400, "from"),
        ("from=2024-10-24 10:00&to=2024-10-25", 400, "from"),
        ("from=yesterday&to=2024-10-25", 400, "from"),
        ("from=1969-10-24&to=2024-10-25", 400, "from"),
        ("from=2024-10-24&to=2024-10-23", 422, "to"),
        ("from=2024-10-24 10:00:00&to=2024-10-24 10:00:00", 422, "to"),
        ("from=2024-10-24&to=2024-10-25&data_type=colour", 400, "data_type"),
        ("from=2024-10-24&to=2024-10-25&show_phases=maybe", 400, "show_phases"),
    ],
)
def test_a_period_that_is_none_is_refused(
    figures: Figures, query: str, status: int, parameter: str
) -> None:
    """By the name of what is wrong, and with how it is written."""
    told = figures.api("supply", "raw_data", query, status)
    assert told["parameter"] == parameter


def test_ninety_days_are_answered_and_no_more(figures: Figures) -> None:
    """Whole local days, also those with a clock change within; the answer names the limit."""
    assert DAYS_MAX == 90
    assert figures.api("supply", "raw_data", "from=2024-08-03&to=2024-10-31")
    told = figures.api("supply", "raw_data", "from=2024-08-02&to=2024-10-31", 422)
    assert (told["code"], told["parameter"]) == ("period_too_long", "to")
    assert "90 days" in told["detail"]
    fine = figures.api("fine", "raw_data", "from=2024-10-01&to=2024-10-03", 422)
    assert fine["code"] == "too_many_rows"
    assert f"{ROWS_MAX:,}" in fine["detail"]
    assert fine["remedy"] == "Ask for one day."
    assert figures.api("fine", "raw_data", "from=2024-10-01&to=2024-10-01") == []


def test_a_time_of_finer_intervals_counts_as_such(figures: Figures) -> None:
    """A meter that came every second until last month makes as many rows of that month."""
    fine = figures.points["fine"]
    then = Period(0, fine.unit, 1, fine.tolerance_s, fine.behaviour)
    now = replace(fine, interval_s=1800, history=History((then, replace(then, interval_s=1800))))
    read = {one.name: one.read for one in SPAN}
    values = {"from": read["from"]("2024-10-01"), "to": read["to"]("2024-10-03")}
    with pytest.raises(KilowatchError, match="Intervals of 1 s"):
        raw_data(Ask(None, None, fine.id, values), now)  # type: ignore[arg-type]


def test_a_figure_is_written_as_clients_read_it() -> None:
    """A point, at least one decimal, no thousands, no exponent, no minus zero."""
    told = {
        300_500.0: "300500.0 Wh",
        1024.03: "1024.03 Wh",
        0.1 + 0.2: "0.3 Wh",
        1e-9: "0.000000001 Wh",
        -1e-12: "0.0 Wh",
        1e15: "1000000000000000.0 Wh",
        12_345_678.9: "12345678.9 Wh",
    }
    assert {value: shown(value, "Wh") for value in told} == told


def test_a_pulse_of_energy_is_told_in_watt_hours(figures: Figures) -> None:
    """Null where there are no pulses, or where they count something else."""
    point = figures.points["counter"]
    period = Period(
        0, point.unit, point.interval_s, point.tolerance_s, point.behaviour, point.stamp,
        point.clock, None, pulse_weight=0.01,
    )  # fmt: skip
    pulses = replace(point, history=History(periods=(period,)))
    assert wh_per_pulse(pulses) == pytest.approx(10.0)
    gas = replace(figures.points["gas"], history=History(periods=(replace(period, unit="m3"),)))
    assert wh_per_pulse(gas) is None
    assert wh_per_pulse(point) is None
