"""Handing a startup package to somebody else, without a secret on the way.

A partner makes the package; its customer gets a link that works once. The credential and the
first password come into being when the link is opened, in front of the person they are for: no
mail, no partner and no table ever has them (docs/decisions/0016).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import people, registry, secrets, startup
from kilowatch.catalog.changes import Change
from kilowatch.catalog.startup import Prepared, StartupPackage, Wishes
from kilowatch.catalog.tables import DataPoint, Organisation, User
from kilowatch.catalog.tables_estate import PackageLink
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS

LINK_DAYS = 7  # a customer on holiday asks for a new link; a forgotten mail opens nothing
PURPOSE = "package-link"


@dataclass(frozen=True, slots=True)
class Handed:
    """A package that waits for its customer.

    Attributes:
        package: What was registered.
        link: Its row.
        token: What opens it; exists nowhere else from here on.
    """

    package: Prepared
    link: PackageLink
    token: str


def hand_over(change: Change, key: bytes, name: str, email: str, wishes: Wishes) -> Handed:
    """Make a package whose secrets come into being when its link is opened.

    Raises:
        KilowatchError: As ``startup.make``.
    """
    prepared, _unused = startup.prepare(change, name, email, wishes)
    prepared.user.password_hash = None  # until the link is opened nobody can log in
    link, token = _new_link(change, key, prepared.organisation, prepared.user, wishes)
    return Handed(prepared, link, token)


def renew(change: Change, key: bytes, link: PackageLink) -> Handed:
    """Replace a link that was not opened, with a new time to do so; the old one opens nothing.

    Raises:
        KilowatchError: ``package_opened``.
    """
    stored = change.session.get(PackageLink, link.id, populate_existing=True)
    assert stored is not None
    if stored.opened_at_ms is not None:
        raise KilowatchError(
            "package_opened",
            "This package has been opened already.",
            status=409,
            remedy="If its password was lost, issue another credential and reset the account's "
            "password.",
        )
    token = secrets.new_secret()
    stored.token_digest = secrets.digest(key, token, PURPOSE)
    stored.expires_at_ms = change.now_ms + LINK_DAYS * DAY_MS
    stored.sent_at_ms = None
    change.session.flush()
    return Handed(contents(change.session, stored), stored, token)


def mark_sent(change: Change, link_id: int) -> None:
    """Keep that a mail server has taken the mail with the link."""
    link = change.session.get(PackageLink, link_id)
    assert link is not None
    link.sent_at_ms = change.now_ms
    change.session.flush()


def waits(session: Session, key: bytes, token: str, now_ms: int) -> bool:
    """Tell whether a link would open something; guesses cost the catalogue a read, no more."""
    return _waiting(session, key, token, now_ms) is not None


def open_package(change: Change, key: bytes, token: str) -> tuple[StartupPackage, bool]:
    """Open a package, once: issue its credential and the account's first password.

    Returns:
        The package, and whether its password is new. It is not for somebody who has set one by
        another way meanwhile: theirs stays, and the package's is empty.

    Raises:
        KilowatchError: ``link_used_up`` (404), the same for a link that never was, was opened, or
            has expired.
    """
    link = _waiting(change.session, key, token, change.now_ms)
    if link is None:
        raise used_up()
    prepared = contents(change.session, link)
    user, password = prepared.user, ""
    if user.password_hash is None and user.disabled_at_ms is None:
        password = secrets.new_password()
        people.set_password(change, user.id, password)
    issued = startup.issue(change, key, prepared.organisation, link.environment)
    link.opened_at_ms = change.now_ms
    link.credential_id = issued.credential.id
    change.session.flush()
    package = StartupPackage(
        prepared.organisation, prepared.site, prepared.streams, user, issued, password
    )
    return package, bool(password)


def links(session: Session, organisation_ids: list[int]) -> list[tuple[PackageLink, str, str]]:
    """Return the packages of some organisations, newest first: link, organisation, e-mail."""
    statement = (
        select(PackageLink, Organisation.name, User.email)
        .join(Organisation, PackageLink.organisation_id == Organisation.id)
        .join(User, PackageLink.user_id == User.id)
        .where(PackageLink.organisation_id.in_(organisation_ids))
        .order_by(PackageLink.id.desc())
    )
    return [(link, name, email) for link, name, email in session.execute(statement)]


def contents(session: Session, link: PackageLink) -> Prepared:
    """Return what a package registered, as it is now: names may have changed, streams moved."""
    organisation = session.get(Organisation, link.organisation_id)
    user = session.get(User, link.user_id)
    assert organisation is not None
    assert user is not None
    site = next(iter(registry.sites(session, organisation.id)), None)
    if site is None:
        raise used_up()
    points = session.scalars(
        select(DataPoint)
        .where(DataPoint.organisation_id == organisation.id)
        .order_by(DataPoint.id)
        .limit(len(startup.STREAMS))
    )
    return Prepared(organisation, site, dict(zip(startup.STREAMS, points, strict=False)), user)


def used_up() -> KilowatchError:
    """Return the answer to a link that opens nothing, whatever the reason."""
    return KilowatchError(
        "link_used_up",
        "This link opens nothing: it was opened already, or it has expired.",
        status=404,
        remedy="Ask whoever sent it for a new one.",
    )


def _waiting(session: Session, key: bytes, token: str, now_ms: int) -> PackageLink | None:
    digest = secrets.digest(key, token.strip(), PURPOSE)
    return session.scalar(
        select(PackageLink).where(
            PackageLink.token_digest == digest,
            PackageLink.opened_at_ms.is_(None),
            PackageLink.expires_at_ms > now_ms,
        )
    )


def _new_link(
    change: Change, key: bytes, organisation: Organisation, user: User, wishes: Wishes
) -> tuple[PackageLink, str]:
    token = secrets.new_secret()
    link = PackageLink(
        organisation_id=organisation.id,
        user_id=user.id,
        token_digest=secrets.digest(key, token, PURPOSE),
        environment=wishes.environment,
        created_at_ms=change.now_ms,
        expires_at_ms=change.now_ms + LINK_DAYS * DAY_MS,
    )
    change.session.add(link)
    change.session.flush()
    return link, token
