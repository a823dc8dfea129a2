"""``kilowatch account reset`` helps somebody in whom no mail and no colleague can help."""

from __future__ import annotations

import re
from typing import Any

import pyotp

from kilowatch import catalog
from kilowatch.catalog import rights, second_factor, secrets, sessions
from kilowatch.catalog.tables import User
from tests.cli.conftest import Shell


def log_in(shell: Shell, password: str) -> sessions.Begun:
    """Log in as the page does."""
    opened = catalog.open(shell.folder / "catalog.sqlite")
    key = secrets.server_key(shell.folder)
    try:
        return sessions.authenticate(
            opened, key, email="ann@example.com", password=password, address="192.0.2.1"
        )
    finally:
        opened.close()


def test_a_new_password_is_shown_once_and_ends_every_session(
    shell: Shell, acme: dict[str, Any]
) -> None:
    """The operator reads it out; the old one opens nothing any more."""
    before = log_in(shell, acme["dashboard_password"])
    said = shell("account", "reset", " Ann@Example.com").text
    found = re.search(r"only now: (\S+)", said)
    assert found
    assert log_in(shell, found[1]).token
    opened = catalog.open(shell.folder / "catalog.sqlite")
    assert sessions.look_up(opened, secrets.server_key(shell.folder), before.token) is None
    opened.close()


def test_a_second_factor_stays_unless_it_is_asked_away(shell: Shell, acme: dict[str, Any]) -> None:
    """A forgotten password alone is no reason to take the factor."""
    opened = catalog.open(shell.folder / "catalog.sqlite")
    key = secrets.server_key(shell.folder)
    with opened.change(catalog.Actor("test")) as change:
        user = change.session.get(User, 1)
        assert user is not None
        code = pyotp.TOTP(second_factor.offer(change, key, user).key)
        second_factor.confirm(change, key, 1, code.at(change.now_ms // 1000))
    opened.close()
    first = re.search(r"only now: (\S+)", shell("account", "reset", "ann@example.com").text)
    assert first
    assert log_in(shell, first[1]).owes_second_factor
    said = shell("account", "reset", "ann@example.com", "--remove-second-factor").text
    second = re.search(r"only now: (\S+)", said)
    assert second
    assert not log_in(shell, second[1]).owes_second_factor


def test_an_unknown_address_changes_nothing(shell: Shell, acme: dict[str, Any]) -> None:
    """A typing error is told."""
    refused = shell("account", "reset", "anna@example.com").refusal
    assert refused is not None
    assert refused.code == "unknown_user"
    assert log_in(shell, acme["dashboard_password"])


def test_the_operator_makes_the_first_partner_administrator(
    shell: Shell, acme: dict[str, Any]
) -> None:
    """In the dashboard nobody gives more than they have, so somebody has to begin."""
    assert acme
    said = shell("account", "role", "ann@example.com", "acme", "partner administrator").text
    assert "ann@example.com is partner administrator of Acme now." in said
    opened = catalog.open(shell.folder / "catalog.sqlite")
    with opened.reading() as session:
        ann = session.get(User, 1)
        assert ann is not None
        roles = {standing.role for standing in rights.person(session, ann).standings.values()}
    opened.close()
    assert roles == {"partner administrator"}
    refused = str(shell("account", "role", "ann@example.com", "acme", "king").refusal)
    assert "'king' is not a role" in refused
    assert "There is no account" in str(
        shell("account", "role", "bob@example.com", "acme", "viewer").refusal
    )


def test_the_first_account_is_made_once_and_may_do_everything(shell: Shell) -> None:
    """An empty server gets an organisation and its partner administrator; a full one refuses."""
    said = shell("account", "first", "ann@example.com", "--organization", "Acme").text
    found = re.search(r"Password\s+(\S+)", said)
    assert found
    assert log_in(shell, found[1]).token
    opened = catalog.open(shell.folder / "catalog.sqlite")
    with opened.reading() as session:
        user = session.get(User, 1)
        assert user is not None
        assert rights.is_partner(rights.person(session, user))
    opened.close()
    refused = shell("account", "first", "bob@example.com", "--organization", "Other")
    assert refused.refusal is not None
    assert refused.refusal.code == "accounts_exist"
