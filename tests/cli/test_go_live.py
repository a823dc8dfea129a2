"""Going live is one command: new passwords for the same streams, once."""

from __future__ import annotations

from typing import Any

import pytest

from kilowatch import catalog
from kilowatch.catalog.directory import load
from tests.cli.conftest import Shell


@pytest.mark.parametrize("leave", [False, True])
def test_each_test_credential_gets_a_production_one(
    shell: Shell, acme: dict[str, Any], leave: bool
) -> None:
    """The list says which gateway gets which new password."""
    meter = shell("credential", "add", "--data-point", "Gas", "--name", "Gateway", "--json").json
    flags = ["--leave-test-data"] if leave else []
    live = shell("go-live", "acme", *flags, "--json").json
    assert (live["organization"], live["left_test_data"], live["data_points"]) == ("Acme", leave, 3)
    assert [(c["replaces"], c["scope"], c["name"]) for c in live["credentials"]] == [
        (acme["username"], "partner", "Startup package"),
        (meter["username"], "meter", "Gateway"),
    ]
    opened = catalog.open(shell.folder / "catalog.sqlite")
    production = load(opened, "production")
    assert {p.stream_id for p in production.points.values()} == set(acme["streams"].values())
    assert all(production.credential(c["username"]) for c in live["credentials"])
    assert production.credential(acme["username"]) is None
    assert load(opened, "development").credential(acme["username"]) is not None
    assert (set(production.points) == {1, 2, 3}) is not leave


def test_the_page_for_people_says_what_comes_next(shell: Shell, acme: dict[str, Any]) -> None:
    """The new passwords, what became of the test data, and how to start production."""
    said = shell("go-live", "Acme", "--leave-test-data").text
    for words in (
        "Acme is live.",
        "Its 3 data points keep their stream ids; they begin empty",
        f"In place of {acme['username']} (scope partner), in production:",
        "(shown only now)",
        "Production takes HTTPS only: https://localhost:8443/measurements/v2/unifiedjson/",
        "kilowatch serve --environment production",
    ):
        assert words in said, words


def test_a_second_time_is_refused_with_what_to_do(shell: Shell, acme: dict[str, Any]) -> None:
    """Nobody gets a second set of passwords by running the command again."""
    shell("go-live", "Acme")
    refused = shell("go-live", "Acme").refusal
    assert refused is not None
    assert "live already" in refused.detail
    assert "credential add --environment production --organization Acme" in refused.remedy
    more = shell("credential", "add", "--environment", "production", "--json").json
    assert more["environment"] == "production"


def test_without_any_credential_left_it_says_how_to_get_one(
    shell: Shell, acme: dict[str, Any]
) -> None:
    """An organisation whose test credentials were all revoked goes live with none."""
    shell("credential", "revoke", acme["username"])
    said = shell("go-live", "Acme").text
    assert "had no development credential" in said
    assert "kilowatch credential add --organization Acme --environment production" in said


def test_an_unknown_organisation_is_answered_with_those_that_there_are(
    shell: Shell, acme: dict[str, Any]
) -> None:
    """A slip in the name takes nobody live by mistake."""
    refused = shell("go-live", "Acne").refusal
    assert refused is not None
    assert "'Acme'" in refused.remedy
