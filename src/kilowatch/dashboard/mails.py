"""The mails that pages send to people, as plain text; links begin with our public address."""

from __future__ import annotations

from kilowatch.dashboard.words import t
from kilowatch.notify.mail import Message


def forgotten(public_url: str, to: str, token: str) -> Message:
    """Return the mail with the link for another password."""
    return _mail("forgotten", to, link=f"{public_url}/new-password#{token}")


def password_changed(public_url: str, to: str) -> Message:
    """Return the mail that tells the owner of an account about another password."""
    return _mail("password_changed", to, url=public_url)


def second_factor_changed(public_url: str, to: str, *, removed: bool) -> Message:
    """Return the mail that tells the owner of an account about their second factor."""
    return _mail("factor_removed" if removed else "factor_added", to, url=public_url)


def confirm_address(public_url: str, to: str, token: str) -> Message:
    """Return the mail that proves another address."""
    return _mail("confirm_address", to, link=f"{public_url}/confirm-address#{token}")


def address_changed(public_url: str, to: str, email: str) -> Message:
    """Return the mail to the address that an account had."""
    return _mail("address_changed", to, url=public_url, email=email)


def invitation(public_url: str, to: str, token: str, *, organisation: str, by: str) -> Message:
    """Return the mail that invites somebody."""
    link = invitation_link(public_url, token)
    return _mail("invitation", to, link=link, organisation=organisation, by=by)


def invitation_link(public_url: str, token: str) -> str:
    """Return the link that an invitation is taken with."""
    return f"{public_url}/invitation#{token}"


def _mail(key: str, to: str, **values: str) -> Message:
    subject = t(f"mail.{key}.subject").format(**values)
    return Message(to, subject, t(f"mail.{key}.text").format(**values))
