"""Data points are registered from a shell with few words, and listed in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shell


@pytest.mark.parametrize(
    ("flags", "kind", "unit", "behaviour", "interval_s"),
    [
        ("", "electrical", "Wh", "register", 300),
        ("--utility gas", "single", "m3", "register", 300),
        ("--utility gas --reading avg --interval 1h", "single", "m3", "amount", 3600),
        ("--utility temperature", "single", "°C", "gauge", 300),
        ("--utility electricity --unit kWh", "single", "kWh", "register", 300),
        ("--utility water --unit m3/h --reading avg", "single", "m3/h", "rate", 300),
    ],
)
def test_what_is_left_out_is_what_is_usual(
    shell: Shell,
    acme: dict[str, Any],
    flags: str,
    kind: str,
    unit: str,
    behaviour: str,
    interval_s: int,
) -> None:
    """A name and a utility are enough for most meters."""
    point = shell("data-point", "add", "--name", "New", *flags.split(), "--json").json
    assert (point["kind"], point["unit"], point["behaviour"], point["interval_s"]) == (
        kind, unit, behaviour, interval_s,
    )  # fmt: skip
    assert (point["organization"], point["site"]) == ("Acme", "Main site")


def test_every_setting_can_be_given(shell: Shell, acme: dict[str, Any]) -> None:
    """What the data sheet of a meter says goes into one command."""
    flags = [
        "--organization", "acme", "--name", "Hot water", "--site", "Cork", "--timezone",
        "Europe/Paris", "--country", "FR", "--kind", "single", "--utility", "heat", "--unit", "MWh",
        "--interval", "15m", "--behaviour", "register", "--stream-id", "MBUS 7/1", "--stamp", "end",
        "--clock", "wall", "--tolerance", "2m", "--register-max", "1000000",
    ]  # fmt: skip
    point = shell("data-point", "add", *flags, "--json").json
    del point["id"], point["series"]
    assert point == {
        "stream_id": "MBUS 7/1", "name": "Hot water", "organization": "Acme", "site": "Cork",
        "timezone": "Europe/Paris", "kind": "single", "utility": "heat", "unit": "MWh",
        "interval_s": 900, "tolerance_s": 120, "behaviour": "register", "stamp": "end",
        "clock": "wall", "register_max": 1e6,
    }  # fmt: skip
    listed = shell("data-point", "list", "--organization", "Acme", "--json").json
    assert [row["stream_id"] for row in listed if row["site"] == "Cork"] == ["MBUS 7/1"]


def test_the_answer_for_people_says_what_packets_must_carry(
    shell: Shell, acme: dict[str, Any]
) -> None:
    """The stream id is what the integrator types into the gateway next."""
    said = shell("data-point", "add", "--name", "Boiler [2]", "--utility", "gas").text
    assert "Registered Boiler [2] at Main site, Acme: single value, register in m3" in said
    assert "Its packets carry the id: gas-" in said


@pytest.mark.parametrize(
    ("flags", "says", "remedy"),
    [
        (["--utility", "steam"], "'steam' is not a known utility", "Choose one of: electricity"),
        (["--organization", "Acne"], "no organisation named 'Acne'", "'Acme'"),
        (["--site", "Cork"], "no site named 'Cork'", "give --site and --timezone"),
        (["--timezone", "Europe/Paris"], "is in Europe/Dublin", "name a new site"),
        (["--utility", "gas", "--kind", "electrical"], "measures electricity", "single value"),
        (["--interval", "3d"], "neither a week nor a month", "7d"),
    ],
)
def test_a_wrong_word_is_answered_with_what_to_do(
    shell: Shell, acme: dict[str, Any], flags: list[str], says: str, remedy: str
) -> None:
    """Each refusal is one sentence and the next step."""
    said = shell("data-point", "add", "--name", "New", *flags)
    assert said.refusal is not None
    assert says in said.refusal.detail
    assert remedy in said.refusal.remedy


def test_a_second_data_point_of_one_name_is_refused(shell: Shell, acme: dict[str, Any]) -> None:
    """A command that was sent twice does not leave two boilers behind."""
    assert shell("data-point", "add", "--name", "Boiler").refusal is None
    said = shell("data-point", "add", "--name", "boiler")
    assert said.refusal is not None
    assert "a data point named 'boiler' already" in said.refusal.detail
    assert "tells the two apart" in said.refusal.remedy


def test_with_several_organisations_one_has_to_be_named(shell: Shell, acme: dict[str, Any]) -> None:
    """A data point never lands in the wrong organisation because a flag was forgotten."""
    shell("startup-package", "--organization", "Bcme", "--email", "b@example.com")
    said = shell("data-point", "add", "--name", "New")
    assert said.refusal is not None
    assert "'Acme', 'Bcme'" in said.refusal.remedy


def test_an_empty_registry_says_how_to_begin(shell: Shell) -> None:
    """Nobody has to guess the first step."""
    assert "kilowatch startup-package" in shell("data-point", "list").text
    refused = shell("data-point", "add", "--name", "New").refusal
    assert refused is not None
    assert "kilowatch startup-package" in refused.remedy


def test_the_list_never_cuts_a_stream_id(shell: Shell, acme: dict[str, Any]) -> None:
    """What is copied out of a list or piped into a file is whole."""
    long = "building-7/floor-12/distribution-board-3/circuit-42/main-meter-of-the-tenant"
    shell("data-point", "add", "--name", "A long name for a meter", "--stream-id", long)
    text = shell("data-point", "list").text
    assert long in text
    assert all(stream_id in text for stream_id in acme["streams"].values())


def test_a_formula_is_registered_changed_and_shown(shell: Shell, acme: dict[str, Any]) -> None:
    """One command: with a text it registers or changes, without one it shows."""
    shell("data-point", "add", "--name", "Heat", "--utility", "heat", "--interval", "15m")
    made = shell("data-point", "formula", "Twice", "--text", "2 * [heat]", "--json").json
    assert (made["unit"], made["behaviour"], made["interval_s"]) == ("kWh", "amount", 900)
    shell("data-point", "formula", "Twice", "--text", "[Heat] / 100 m2", "--interval", "1h")
    shown = shell("data-point", "formula", "Twice", "--json").json
    assert (shown["formula"], shown["unit"], shown["interval_s"]) == (
        "[Heat] / 100 m2", "kWh/m2", 3600,
    )  # fmt: skip
    later = ("data-point", "formula", "Twice", "--text", "[Heat] / 90 m2")
    dated = shell(*later, "--from", "2026-01-01", "--comment", "rooms let", "--json").json
    assert dated["first_formula"] == "[Heat] / 100 m2"
    (period,) = dated["dated"]
    assert (period["from"][:10], period["comment"]) == ("2026-01-01", "rooms let")
    told = shell("data-point", "formula", "Twice").text
    assert "from 2026-01-01" in told
    assert "until then: [Heat] / 100 m2" in told
    assert "to come" in str(shell(*later, "--from", "2100-01-01").refusal)
    back = shell("data-point", "formula", "Twice", "--undo", period["undo"], "--json").json
    assert (back["formula"], back["dated"]) == ("[Heat] / 100 m2", [])
    nobody = shell("data-point", "formula", "Nobody", "--text", "[Heat]", "--from", "2026-01-01")
    assert "no formula named" in str(nobody.refusal)
    refused = shell("data-point", "formula", "Wrong", "--text", "[Heta] * 2").refusal
    assert "Did you mean [Heat]?" in str(refused)


@pytest.mark.parametrize("deep", ["", "a" * 100])
def test_beside_a_demo_a_command_says_how_it_is_asked(tmp_path: Path, deep: str) -> None:
    """Who tries a command while the demo runs would read that nothing is there, and believe it.

    The sockets of a deep folder lie elsewhere.
    """
    here = tmp_path / deep
    own = Shell(here / "kilowatch-data")
    assert "kilowatch-demo" not in own("data-point", "list").text
    Shell(here / "kilowatch-demo")("data-point", "list")
    for command in (("data-point", "list"), ("credential", "list")):
        assert "For the demo that is --data kilowatch-demo." in own(*command).text
    stopped = own("status").refusal
    assert stopped is not None
    assert stopped.remedy.endswith("For the demo that is --data kilowatch-demo.")
    elsewhere = Shell(here / "another")("status").refusal
    assert elsewhere is not None
    assert "demo" not in elsewhere.remedy
