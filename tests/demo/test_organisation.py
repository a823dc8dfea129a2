from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kilowatch import catalog
from kilowatch.catalog import Actor, credentials, directory, people, secrets
from kilowatch.demo import TRY_STREAM, organisation
from kilowatch.demo.organisation import DASHBOARD_USER, FILE
from kilowatch.demo.plan import STREAMS


@pytest.fixture
def registry(tmp_path: Path) -> catalog.Catalog:
    """Return an empty catalogue."""
    return catalog.open(tmp_path / "catalog.sqlite")


@pytest.fixture
def key(tmp_path: Path) -> bytes:
    """Return the server's key."""
    made: bytes = secrets.load_or_create_key(tmp_path)
    return made


def test_the_demo_is_registered_once_and_found_again(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """A second start prints the same account and registers nothing twice."""
    first = organisation(registry, tmp_path, key)
    second = organisation(registry, tmp_path, key)
    assert first == second
    assert first.dashboard_password
    points = directory.load(registry, "development").points.values()
    assert sorted(point.stream_id for point in points) == sorted(
        [TRY_STREAM, *(stream.stream_id for stream in STREAMS)]
    )
    assert TRY_STREAM not in first.streams
    assert {point.zone for point in points} == {"Europe/Dublin"}


def test_its_credential_reaches_every_stream_of_the_demo(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """The simulator has one credential for the organisation, as a gateway would."""
    account = organisation(registry, tmp_path, key)
    known = directory.load(registry, "development")
    credential = known.credential(account.username)
    assert credential is not None
    assert secrets.digest(key, account.password) == credential.secret_digest
    for stream in STREAMS:
        point = known.find(credential, stream.stream_id)
        assert point is not None
        assert credential.allowed(point)
        assert (point.kind, point.behaviour) == (stream.kind, stream.behaviour)


def test_its_secrets_are_kept_where_only_the_owner_reads(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """No default password exists: each demo has its own, in a private file."""
    account = organisation(registry, tmp_path, key)
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert account.password in path.read_text()
    assert account.password not in repr(account)
    assert account.dashboard_password not in repr(account)


def test_lost_or_revoked_secrets_are_replaced_and_a_chosen_password_is_respected(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """The demo mends itself, but never takes an account away from a person."""
    first = organisation(registry, tmp_path, key)
    (tmp_path / FILE).unlink()
    second = organisation(registry, tmp_path, key)
    assert second.password != first.password
    assert second.dashboard_password != first.dashboard_password
    with registry.change(Actor("test")) as change:
        credentials.revoke(change, second.username)
        user = people.find_by_email(change.session, DASHBOARD_USER)
        assert user is not None
        people.set_password(change, user.id, "four words of mine")
    third = organisation(registry, tmp_path, key)
    assert third.username != second.username
    assert third.dashboard_password == ""
    assert organisation(registry, tmp_path, key) == third
