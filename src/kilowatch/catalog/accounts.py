"""What people change about their own account: password, address, how they read numbers."""

from __future__ import annotations

import re

from kilowatch.catalog import mailed_links, people, secrets
from kilowatch.catalog.changes import Change
from kilowatch.catalog.registry import check_name
from kilowatch.catalog.rights import Reading
from kilowatch.catalog.tables import User
from kilowatch.model.errors import KilowatchError

TEMPERATURE_UNITS = ("", "C", "F")
ENERGY_UNITS = ("", "kWh")
_LOCALE = re.compile(
    r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?"
)  # BCP 47, the usual part


def change_password(change: Change, user_id: int, password: str, session_id: int) -> None:
    """Give a person the password that they chose; every session but the present one ends.

    Raises:
        KilowatchError: ``weak_password``, also for the one that they have.
    """
    user = change.session.get(User, user_id)
    assert user is not None
    if secrets.verify_password(user.password_hash, password):
        raise KilowatchError(
            "weak_password",
            "This is the password that you have.",
            data={"field": "password"},
        )
    people.set_password(change, user_id, password, but=session_id)


def ask_for_address(change: Change, key: bytes, user_id: int, email: str) -> tuple[str, str]:
    """Begin to change a person's address; it changes when the new one is confirmed.

    Returns:
        The new address and the token of the link to it. For an address that another account has
        the token is empty and no link is sent: who asks learns nothing about other accounts.

    Raises:
        KilowatchError: ``invalid_email``.
    """
    clean = people.check_email(email)
    taken = people.find_by_email(change.session, clean)
    change.record("asked for another address", "user", user_id, email=clean)
    if taken is not None:
        return clean, ""
    return clean, mailed_links.make(change, key, user_id, "address", clean)


def set_profile(change: Change, user_id: int, name: str, reading: Reading) -> None:
    """Set what a person is called and how they read numbers.

    Raises:
        KilowatchError: ``invalid_name`` or ``invalid_setting``.
    """
    user = change.session.get(User, user_id)
    assert user is not None
    user.name = check_name(name, "person")
    if reading.locale and not _LOCALE.fullmatch(reading.locale):
        raise _unfit("locale", "Choose a language and country, such as de-AT.")
    if reading.temperature_unit not in TEMPERATURE_UNITS:
        raise _unfit("temperature_unit", "Choose °C or °F.")
    if reading.energy_unit not in ENERGY_UNITS:
        raise _unfit("energy_unit", "Choose the unit that fits, or kWh.")
    user.locale = reading.locale
    user.temperature_unit = reading.temperature_unit
    user.energy_unit = reading.energy_unit
    change.session.flush()


def _unfit(field: str, remedy: str) -> KilowatchError:
    return KilowatchError(
        "invalid_setting", "This can't be chosen.", remedy=remedy, data={"field": field}
    )
