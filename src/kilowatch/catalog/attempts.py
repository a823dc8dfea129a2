"""Slowing down those who guess passwords: for one account from one address, and for each of both.

The wait begins after five failures of an account from one address, after twenty from an address
(an office shares one) and after fifty of an account from anywhere. It doubles with each further
failure up to five minutes and is forgotten an hour after the last one. So guessing gets nowhere,
and one person who mistypes a colleague's password does not keep the colleague out.

A browser that the person has logged in with before is told by its device cookie (``devices.py``)
and has a budget of its own, which no stranger uses up: a thousand machines that guess at an
account slow it down for each other, and not for its owner.

An attempt counts as a failure before the password is looked at, and is taken back when it was
right: attempts side by side can't slip past the bound together.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from kilowatch.catalog.tables import LoginAttempt
from kilowatch.model.lengths import HOUR_MS

FREE_FAILURES = {
    "pair": 5,
    "address": 20,
    "account": 50,
    "device": 5,
    "second": 5,  # codes of a second factor, for who has the password already
    "again": 5,  # the password once more, within a session
    "mail": 3,  # mails with a link to one address
    "mails": 10,  # mails with a link, asked for from one network address
}
FIRST_WAIT_MS = 2_000
LONGEST_WAIT_MS = 300_000
FORGOTTEN_AFTER_MS = HOUR_MS


def keys(email: str, address: str, device: str = "") -> tuple[str, ...]:
    """Return the names under which failures are counted: pair, address and account.

    A device that the account knows is counted by itself alone.
    """
    if device:
        return (f"device:{device}",)
    account = hashlib.blake2b(email.encode(), digest_size=16).hexdigest()
    return f"pair:{account}:{address}"[:300], f"address:{address}"[:300], f"account:{account}"


def mail_keys(email: str, address: str) -> tuple[str, ...]:
    """Return the names under which mails with a link are counted."""
    account = hashlib.blake2b(email.encode(), digest_size=16).hexdigest()
    return f"mail:{account}", f"mails:{address}"[:300]


def wait_ms(session: Session, names: tuple[str, ...], now_ms: int) -> int:
    """Return how long the next attempt has to wait [ms]; 0 for not at all."""
    statement = select(LoginAttempt.blocked_until_ms).where(LoginAttempt.key.in_(names))
    return max((until - now_ms for until in session.scalars(statement)), default=0)


def begin(session: Session, names: tuple[str, ...], now_ms: int) -> int:
    """Count an attempt as failed, unless it has to wait; return how long it has to [ms]."""
    wait = wait_ms(session, names, now_ms)
    if wait <= 0:
        _failed(session, names, now_ms)
    return max(wait, 0)


def succeeded(session: Session, names: tuple[str, ...]) -> None:
    """Take an attempt back: the first name begins anew, the others keep earlier failures.

    The first is the pair or the device, the others are address and account.
    """
    pair, *others = names
    session.execute(delete(LoginAttempt).where(LoginAttempt.key == pair))
    for row in session.scalars(select(LoginAttempt).where(LoginAttempt.key.in_(others))):
        row.failures = max(row.failures - 1, 0)
        if row.failures < FREE_FAILURES[row.key.split(":", 1)[0]]:
            row.blocked_until_ms = 0


def _failed(session: Session, names: tuple[str, ...], now_ms: int) -> None:
    """Count a failure under each name."""
    long_ago = now_ms - FORGOTTEN_AFTER_MS
    session.execute(delete(LoginAttempt).where(LoginAttempt.last_failure_ms < long_ago))
    for name in names:
        row = session.get(LoginAttempt, name)
        if row is None:
            row = LoginAttempt(key=name, failures=0)
            session.add(row)
        row.failures += 1
        row.last_failure_ms = now_ms
        over = row.failures - FREE_FAILURES[name.split(":", 1)[0]]
        wait = min(FIRST_WAIT_MS * 2 ** min(over, 20), LONGEST_WAIT_MS) if over >= 0 else 0
        row.blocked_until_ms = now_ms + wait
    session.flush()
