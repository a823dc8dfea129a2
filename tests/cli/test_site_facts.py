"""Prices, CO2, weather, calendars and opening hours from a shell."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Shell


@pytest.fixture
def office(shell: Shell, acme: dict[str, Any]) -> str:
    """Return the only site of Acme, an Irish one, by its name."""
    assert acme
    (found,) = shell("site", "list", "--json").json
    shell(
        "site", "set", found["name"], "--rename", "Office", "--time-zone", "Europe/Dublin",
        "--country", "IE",
    )  # fmt: skip
    return "Office"


def test_a_price_is_set_listed_corrected_and_removed(shell: Shell, office: str) -> None:
    """A second price of the same day is refused until the person says that the first was wrong."""
    first = ["price", "set", "electricity", "0.292", "--label", "Contract", "--from", "2026-01-01"]
    assert "0.292 EUR/kWh from 2026-01-01" in shell(*first).text
    assert shell("price", "set", "gas", "0.9", "--per", "m3", "--label", "x").refusal is None
    again = ["price", "set", "electricity", "0.264", "--label", "Letter", "--from", "2026-01-01"]
    assert "begins on 2026-01-01 already" in str(shell(*again).refusal)
    assert shell(*again, "--correct").refusal is None
    shell("price", "set", "electricity", "0.3", "--label", "Own", "--site", office)
    found = shell("price", "list", "--json").json
    assert [(one["place"], one["utility"], one["per_unit"]) for one in found] == [
        ("every site", "electricity", 0.264), ("every site", "gas", 0.9),
        ("Office", "electricity", 0.3),
    ]  # fmt: skip
    shell("price", "remove", str(found[2]["number"]))
    text = shell("price", "list").text
    assert "Letter" in text
    assert "Own" not in text
    assert "28 cents are 0.28" in str(
        shell("price", "set", "electricity", "28.5", "--label", "x").refusal
    )
    assert "has 2 prices in EUR" in str(shell("price", "currency", "GBP").refusal)
    wrong = ["price", "set", "water", "3", "--label", "x", "--correct"]
    assert "No such water per m3" in str(shell(*wrong).refusal)


def test_a_carbon_factor_needs_its_source_and_basis(shell: Shell, office: str) -> None:
    """It is listed with both, so that nobody takes it for something else."""
    assert office
    good = ["carbon", "set", "electricity", "0.254", "--source", "SEAI 2023", "--basis"]
    assert shell(*good, "location-based").refusal is None
    assert "already" in str(shell(*good, "location-based").refusal)
    wrong = ["carbon", "set", "gas", "0.2", "--source", "SEAI", "--basis", "guessed"]
    assert "no basis" in str(shell(*wrong).refusal)
    text = shell("carbon", "list").text
    assert "location-based" in text
    assert "SEAI 2023" in text
    (found,) = shell("carbon", "list", "--json").json
    shell("carbon", "remove", str(found["number"]))
    assert shell("carbon", "list", "--json").json == []


def test_weather_is_linked_by_the_stream_id(shell: Shell, office: str) -> None:
    """Only to a temperature; what is not named stays."""
    made = ["--name", "Outdoor", "--utility", "temperature", "--interval", "1h"]
    stream = ["--stream-id", "outdoor"]
    assert shell("data-point", "add", *made, *stream).refusal is None
    shell("site", "weather", office, "--temperature", "outdoor")
    found = shell("site", "weather", office, "--heating-base", "16", "--json").json
    assert found == {
        "site": "Office", "temperature": "outdoor", "heating_base_c": 16.0,
        "cooling_base_c": 18.0,
    }  # fmt: skip
    points = shell("data-point", "list", "--json").json
    meter = next(one["stream_id"] for one in points if one["utility"] == "electricity")
    refused = shell("site", "weather", office, "--temperature", meter).refusal
    assert "does not measure a temperature" in str(refused)
    assert "not linked" in shell("site", "weather", office, "--temperature", "none").text


def test_a_calendar_shows_holidays_and_own_days(shell: Shell, office: str) -> None:
    """A holiday on which the site is open says so; days are removed by their number."""
    closure = ["--close", "2026-12-24:2027-01-03", "--called", "Closure"]
    shell("site", "calendar", office, *closure)
    shell("site", "calendar", office, "--open", "2026-03-17", "--called", "Parade")
    text = shell("site", "calendar", office, "--year", "2026").text
    assert "2026-03-17 Saint Patrick's Day (open)" in text
    assert "closed 2026-12-24 to 2027-01-03, Closure" in text
    days = shell("site", "calendar", office, "--json").json["days"]
    assert "already" in str(shell("site", "calendar", office, *closure).refusal)
    shell("site", "calendar", office, "--remove", str(days[0]["number"]))
    assert len(shell("site", "calendar", office, "--json").json["days"]) == 1


def test_opening_hours_and_attention_are_set(shell: Shell, office: str) -> None:
    """From a date on, and learnt again from another; nonsense is named."""
    assert "learnt" in shell("site", "opening", office).text
    shell("site", "opening", office, "--hours", "Mon-Fri 8-18", "--from", "2026-01-01")
    shell("site", "opening", office, "--learnt", "--from", "2026-06-01")
    found = shell("site", "opening", office, "--json").json
    assert [(one["from"], one["hours"]) for one in found] == [
        ("2026-01-01", "Mon-Fri 08-18"), ("2026-06-01", None),
    ]  # fmt: skip
    assert "not days and hours" in str(shell("site", "opening", office, "--hours", "late").refusal)
    assert "5 findings a week" in shell("site", "attention", office, "5").text
    assert "not between 0 and 50" in str(shell("site", "attention", office, "99").refusal)
