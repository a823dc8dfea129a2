"""Credentials are issued with one command, shown once, and revoked with another."""

from __future__ import annotations

from typing import Any

import pytest

from kilowatch import catalog
from kilowatch.catalog import secrets
from kilowatch.catalog.directory import load
from tests.cli.conftest import Shell


@pytest.mark.parametrize(
    ("flags", "scope", "target", "reaches"),
    [
        ([], "partner", "Acme", {"electricity", "gas", "environmental"}),
        (["--scope", "partner"], "partner", "Acme", {"electricity", "gas", "environmental"}),
        (["--site", "main SITE"], "site", "Main site", {"electricity", "gas", "environmental"}),
        (["--data-point", "Gas"], "meter", "Gas", {"gas"}),
        (["--scope", "meter", "--data-point", "Gas"], "meter", "Gas", {"gas"}),
        (
            ["--user", "Ann@example.com"],
            "user",
            "ann@example.com",
            {"electricity", "gas", "environmental"},
        ),
    ],
)
def test_a_credential_reaches_what_was_asked_for(
    shell: Shell, acme: dict[str, Any], flags: list[str], scope: str, target: str, reaches: set[str]
) -> None:
    """One gateway for one meter, one for a site, one for everything: each gets its own."""
    issued = shell("credential", "add", *flags, "--name", "Gateway 7", "--json").json
    assert (issued["scope"], issued["target"], issued["name"]) == (scope, target, "Gateway 7")
    opened = catalog.open(shell.folder / "catalog.sqlite")
    directory = load(opened, "development")
    record = directory.credential(issued["username"])
    assert record is not None
    key = secrets.load_or_create_key(shell.folder)
    assert record.secret_digest == secrets.digest(key, issued["password"])
    found = {name: directory.find(record, stream) for name, stream in acme["streams"].items()}
    assert {name for name, point in found.items() if point and record.allowed(point)} == reaches


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--scope", "site"], "needs --site"),
        (["--scope", "meter", "--site", "Main site"], "needs --data-point"),
        (["--scope", "partner", "--site", "Main site"], "takes no target"),
        (["--site", "Main site", "--data-point", "Gas"], "takes no target"),
        (["--scope", "planet"], "not a known scope"),
        (["--site", "Cork"], "no site named 'Cork'"),
        (["--data-point", "Oil"], "no data point 'Oil'"),
        (["--user", "bob@example.com"], "Nobody has an account"),
        (["--environment", "production"], "not live yet"),
    ],
)
def test_a_credential_that_makes_no_sense_is_refused(
    shell: Shell, acme: dict[str, Any], flags: list[str], says: str
) -> None:
    """A credential that reached more than was meant would be found too late."""
    said = shell("credential", "add", *flags)
    assert said.refusal is not None
    assert says in said.refusal.detail
    assert said.refusal.remedy
    assert len(shell("credential", "list", "--json").json) == 1


def test_the_secret_is_shown_once(shell: Shell, acme: dict[str, Any]) -> None:
    """The list has everything but the password, which the server itself no longer knows."""
    said = shell("credential", "add", "--data-point", "Gas").text
    assert "it reaches one data point, in development" in said
    secret = said.split("password")[1].split()[0]
    listed = shell("credential", "list").text
    assert secret not in listed
    assert acme["password"] not in listed
    assert acme["username"] in listed
    assert secret.encode() not in (shell.folder / "catalog.sqlite").read_bytes()


def test_revoking_is_final_and_can_be_said_twice(shell: Shell, acme: dict[str, Any]) -> None:
    """Who is not sure whether it was done does it again, and is told when it was."""
    assert "answered 401 from now on" in shell("credential", "revoke", acme["username"]).text
    opened = catalog.open(shell.folder / "catalog.sqlite")
    assert load(opened, "development").credential(acme["username"]) is None
    assert "revoked already" in shell("credential", "revoke", acme["username"]).text
    assert shell("credential", "list", "--json").json[0]["revoked_at"] is not None
    assert "revoked" in shell("credential", "list").text


def test_only_a_credential_can_be_revoked(shell: Shell, acme: dict[str, Any]) -> None:
    """A person's account is closed elsewhere; a misspelt name changes nothing."""
    refused = shell("credential", "revoke", "ann@example.com").refusal
    assert refused is not None
    assert "is a person's account" in refused.detail
    refused = shell("credential", "revoke", "kw-nobody").refusal
    assert refused is not None
    assert "credential list" in refused.remedy
