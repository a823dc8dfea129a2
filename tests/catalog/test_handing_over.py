"""A startup package reaches a partner's customer without any secret on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilowatch import catalog
from kilowatch.catalog import handing_over, people, secrets, sessions
from kilowatch.catalog.handing_over import LINK_DAYS, Handed
from kilowatch.catalog.startup import StartupPackage, Wishes
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS


class Handing:
    """A catalogue with a clock that a test can move, and one package handed over."""

    def __init__(self, folder: Path, key: bytes, actor: catalog.Actor) -> None:
        self.now_ms = 1_795_435_200_000
        self.path = folder / "catalog.sqlite"
        self.opened = catalog.open(self.path, clock=lambda: self.now_ms)
        self.key, self.actor = key, actor
        with self.opened.change(actor) as change:
            self.handed: Handed = handing_over.hand_over(
                change, key, "Bakery", "owner@bakery.ie", Wishes()
            )

    def open(self, token: str) -> tuple[StartupPackage, bool]:
        """Open a link, as the customer does."""
        with self.opened.change(self.actor) as change:
            return handing_over.open_package(change, self.key, token)


@pytest.fixture
def handing(tmp_path: Path, key: bytes, actor: catalog.Actor) -> Handing:
    """Return a package that waits for its customer."""
    return Handing(tmp_path, key, actor)


def test_the_link_gives_credentials_that_work_and_only_once(handing: Handing) -> None:
    """The customer gets everything; whoever finds the mail later gets nothing."""
    package, new = handing.open(handing.handed.token)
    assert new
    assert tuple(package.streams) == ("electricity", "gas", "environmental")
    directory = catalog.directory.load(handing.opened, "development")
    record = directory.credential(package.issued.credential.username)
    assert record is not None
    assert record.secret_digest == secrets.digest(handing.key, package.issued.secret)
    assert sessions.authenticate(
        handing.opened, handing.key, email="owner@bakery.ie", password=package.password, address=""
    )
    with pytest.raises(KilowatchError, match="opens nothing"):
        handing.open(handing.handed.token)


def test_until_it_is_opened_there_is_nothing_to_steal(handing: Handing) -> None:
    """Neither the file nor a mail holds a password: none exists yet, and nobody can log in."""
    assert handing.handed.token.encode() not in handing.path.read_bytes()
    directory = catalog.directory.load(handing.opened, "development")
    assert directory.credential("owner@bakery.ie") is None
    with pytest.raises(KilowatchError, match="do not belong together"):
        sessions.authenticate(
            handing.opened, handing.key, email="owner@bakery.ie", password="", address=""
        )


@pytest.mark.parametrize("token", ["", "x" * 32, "é²"])
def test_a_link_that_never_was_is_answered_like_one_that_is_used_up(
    handing: Handing, token: str
) -> None:
    """Nobody finds out by trying whether a package waits."""
    with pytest.raises(KilowatchError) as refused:
        handing.open(token)
    assert refused.value.code == "link_used_up"


def test_a_link_expires_and_a_new_one_replaces_it(handing: Handing, key: bytes) -> None:
    """After a week the partner sends another; the old mail stays worthless."""
    handing.now_ms += LINK_DAYS * DAY_MS
    with pytest.raises(KilowatchError, match="expired"):
        handing.open(handing.handed.token)
    with handing.opened.change(handing.actor) as change:
        again = handing_over.renew(change, key, handing.handed.link)
    with pytest.raises(KilowatchError, match="opens nothing"):
        handing.open(handing.handed.token)
    package, _ = handing.open(again.token)
    assert package.organisation.name == "Bakery"
    with handing.opened.change(handing.actor) as change, pytest.raises(KilowatchError) as refused:
        handing_over.renew(change, key, handing.handed.link)
    assert refused.value.code == "package_opened"


def test_a_password_that_its_owner_has_chosen_meanwhile_stays(handing: Handing) -> None:
    """Somebody who reset their password by mail first is not locked out by opening the link."""
    with handing.opened.change(handing.actor) as change:
        people.set_password(change, handing.handed.package.user.id, "chosen by the owner herself")
    package, new = handing.open(handing.handed.token)
    assert (new, package.password) == (False, "")
    assert sessions.authenticate(
        handing.opened, handing.key, email="owner@bakery.ie",
        password="chosen by the owner herself", address="",
    )  # fmt: skip
