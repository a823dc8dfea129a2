"""Settings are changed from a date on, or for all time, in one line of a shell."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Shell


@pytest.fixture
def gas(shell: Shell, acme: dict[str, Any]) -> str:
    """Register a gas meter, and return its stream id."""
    assert acme
    flags = ["--name", "Gas main", "--utility", "gas", "--stream-id", "gas-1", "--interval", "1h"]
    return str(shell("data-point", "add", *flags, "--json").json["stream_id"])


def test_a_multiplier_from_a_date_on_and_for_all_time(shell: Shell, gas: str) -> None:
    """Two different actions, and one of them must be named."""
    asked = shell("data-point", "set", gas, "--multiplier", "40").refusal
    assert "--from DATE" in str(asked)
    assert "--always" in str(asked)
    shell("data-point", "set", gas, "--multiplier", "40", "--from", "2025-03-01")
    found = shell("data-point", "history", gas, "--json").json
    dublin_ms = 1_740_787_200_000  # 2025-03-01 00:00 there
    assert [(one["from_ms"], one["multiplier"]) for one in found["periods"]] == [
        (None, 1.0), (dublin_ms, 40.0),
    ]  # fmt: skip
    undo = found["settings"][0]["undo"]
    shell("data-point", "set", gas, "--multiplier", "10", "--always", "--comment", "typed wrongly")
    found = shell("data-point", "history", gas, "--json").json
    assert [(one["from_ms"], one["multiplier"]) for one in found["periods"]] == [(None, 10.0)]
    gone = shell("data-point", "undo", gas, undo)
    assert "no dated change" in str(gone.refusal)


def test_a_dry_run_shows_and_changes_nothing(shell: Shell, gas: str) -> None:
    """What a gas bill says in MJ is kilowatt-hours here, and can be looked at first."""
    flags = ["--calorific", "39.6", "--calorific-unit", "MJ/m3", "--always"]
    shown = shell("data-point", "set", gas, *flags, "--dry-run").text
    assert "calorific value 11 kWh/m3" in shown
    assert "would be" in shown
    assert "Nothing is dated" in shell("data-point", "history", gas).text
    shell("data-point", "set", gas, *flags)
    assert "calorific value 11 kWh/m3" in shell("data-point", "history", gas).text


def test_settings_are_called_by_their_names_and_options(shell: Shell, gas: str) -> None:
    """Who types --ct-ratio has never heard of ct_ratio; a feeder has a name, not a number."""
    for flags, words in (
        ([], "--multiplier, --ct-ratio"),
        (["--multiplier", "-3"], "The multiplier is -3; it must be a number above zero"),
        (["--ct-ratio", "40"], "Leave the CT ratio out"),
        (["--calorific", "0"], "The calorific value is 0; it must be"),
        (["--calorific", "9", "--calorific-unit", "x"], "known unit of the calorific value"),
    ):
        refused = str(shell("data-point", "set", gas, "--always", *flags).refusal)
        assert words in refused
        assert "_" not in refused
    shell("data-point", "add", "--name", "Supply", "--utility", "gas", "--interval", "1h")
    flags = ["--feeder", "Supply", "--interval", "15m", "--tolerance", "90s", "--dry-run"]
    told = shell("data-point", "set", gas, "--from", "2026-03-01", *flags).text
    assert "interval 15 min, tolerance 90 s, feeder Supply" in told


def test_limits_of_electrical_events_are_set_and_given_back(shell: Shell, gas: str) -> None:
    """Great Britain keeps +10 % and -6 %; 0 is the usual limit again."""
    shell("data-point", "add", "--name", "Supply", "--utility", "electricity")
    refused = shell("data-point", "set", gas, "--always", "--unbalance", "40").refusal
    assert "Only an electrical data point" in str(refused)
    flags = ["--low-voltage", "6", "--lowest-voltage", "6", "--least-power-factor", "0.95"]
    told = shell("data-point", "set", "Supply", "--from", "2026-03-01", *flags).text
    assert "limit of low voltage 6 %" in told
    assert "least power factor 0.95" in told
    assert "computed again" not in told
    usual = ["--low-voltage", "0", "--lowest-voltage", "0"]
    back = shell("data-point", "set", "Supply", "--from", "2026-04-01", *usual).text
    assert "limit of low voltage not set" in back


def test_an_exchange_is_recorded_listed_and_taken_back(shell: Shell, gas: str) -> None:
    """The fitter's slip goes into one command: last and first figure, and the new pulse weight."""
    flags = [
        "--at",
        "2025-04-02T10:15",
        "--last",
        "48211.5",
        "--first",
        "3",
        "--pulse-weight",
        "0.1",
    ]
    shell("data-point", "exchange", gas, *flags)
    listed = shell("data-point", "history", gas).text
    assert "exchange at 2025-04-02 10:15:00+01:00 channel value last 48211.5 first 3.0" in listed
    assert "from 2025-04-02 10:15:00+01:00: pulse weight 0.1" in listed
    found = shell("data-point", "history", gas, "--json").json
    shell("data-point", "undo", gas, found["events"][0]["undo"])
    shell("data-point", "undo", gas, found["settings"][0]["undo"])
    assert "Nothing is dated" in shell("data-point", "history", gas).text
    assert "setting-3" in str(shell("data-point", "undo", gas, "everything").refusal)


def test_what_a_fall_was_is_said_in_one_line(shell: Shell, gas: str) -> None:
    """Roll-over, reset and bad readings have a command each."""
    shell("data-point", "roll-over", gas, "--at", "2025-04-02T10:00", "--width", "100000")
    shell("data-point", "reset", gas, "--at", "2025-04-03T10:00", "--to", "5")
    shell("data-point", "bad", gas, "--at", "2025-04-04T10:00", "--until", "2025-04-04T12:00")
    found = shell("data-point", "history", gas, "--json").json["events"]
    assert [one["kind"] for one in found] == ["roll_over", "reset", "bad"]
    wrong = shell("data-point", "reset", gas, "--at", "2999-01-01")
    assert "has happened" in str(wrong.refusal)
    shell("data-point", "add", "--name", "Main", "--stream-id", "main")
    flags = ["--at", "2025-04-02", "--register", "pC_1=500:0", "--register", "pC_2=x"]
    assert "pC_1=48211.5:0" in str(shell("data-point", "exchange", "main", *flags).refusal)
    shell("data-point", "exchange", "main", *flags[:-2], "--register", "pC_2=:7")
    events = shell("data-point", "history", "main", "--json").json["events"]
    assert [(one["channel"], one["last"], one["first"]) for one in events] == [
        ("pC_1", 500.0, 0.0), ("pC_2", None, 7.0), ("", None, None),
    ]  # fmt: skip


def test_what_feeds_a_data_point_changes_from_a_date_on(shell: Shell, gas: str) -> None:
    """Rewired on the first of March: before that, sums count as before; wrong ones are refused."""
    add = ["--utility", "gas", "--interval", "1h", "--json"]
    main = shell("data-point", "add", "--name", "Main", "--stream-id", "gas-0", *add).json
    shell("data-point", "set", gas, "--feeder", "gas-0", "--from", "2025-03-01")
    found = shell("data-point", "history", gas, "--json").json["periods"]
    assert [one["parent_id"] for one in found] == [None, main["id"]]
    for wrong in (gas, "nobody"):
        assert shell("data-point", "set", gas, "--feeder", wrong, "--always").refusal
    shell("data-point", "set", gas, "--feeder", "none", "--always")
    assert "Nothing is dated" in shell("data-point", "history", gas).text


def test_a_local_time_that_never_came_or_came_twice_is_not_guessed(shell: Shell, gas: str) -> None:
    """In the nights when the clocks change, an exchange an hour off would count an hour twice."""
    exchange = ("data-point", "exchange", gas, "--last", "9", "--first", "0", "--at")
    skipped = shell(*exchange, "2025-03-30T01:30").refusal
    assert "never came" in str(skipped)
    twice = shell(*exchange, "2025-10-26T01:30").refusal
    assert "2025-10-26T01:30+01:00 for the first, 2025-10-26T01:30+00:00 for" in str(twice)
    shell(*exchange, "2025-10-26T01:30+00:00")
    assert "exchange at 2025-10-26 01:30:00+00:00" in shell("data-point", "history", gas).text
    assert shell("data-point", "set", gas, "--multiplier", "4", "--from", "2025-03-30").text


def test_a_stream_id_that_only_one_organisation_has_says_whose_it_is(
    shell: Shell, gas: str
) -> None:
    """The newcomer pastes the id from the list, and is not asked what the list just said."""
    names = ("--organization", "Other", "--email", "b@example.com")
    shell("startup-package", *names)
    assert "Nothing is dated" in shell("data-point", "history", gas).text
    asked = shell("data-point", "history", "Gas main").refusal  # a name may be anybody's
    assert "Which organisation?" in str(asked)
    shell("data-point", "add", "--name", "B", "--stream-id", gas, "--organization", "Other")
    assert "Which organisation?" in str(shell("data-point", "history", gas).refusal)
