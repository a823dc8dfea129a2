"""Slowing down those who guess passwords, for an account and for an address.

An account waits after five failures, an address after twenty (an office shares one). The wait
doubles with each further failure up to five minutes and is forgotten an hour after the last one:
guessing gets nowhere (fewer than 300 tries a day), and nobody can lock a colleague out for good.
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from kilowatch.catalog.tables import LoginAttempt

FREE_FAILURES = {"account": 5, "address": 20}
FIRST_WAIT_MS = 2_000
LONGEST_WAIT_MS = 300_000
FORGOTTEN_AFTER_MS = 3_600_000


def keys(email: str, address: str) -> tuple[str, str]:
    """Return the two names under which failures are counted."""
    return f"account:{email}"[:300], f"address:{address}"[:300]


def wait_ms(session: Session, names: tuple[str, ...], now_ms: int) -> int:
    """Return how long the next attempt has to wait [ms]; 0 for not at all."""
    statement = select(LoginAttempt.blocked_until_ms).where(LoginAttempt.key.in_(names))
    return max((until - now_ms for until in session.scalars(statement)), default=0)


def failed(session: Session, names: tuple[str, ...], now_ms: int) -> None:
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


def succeeded(session: Session, account: str) -> None:
    """Forget the failures of an account; an address keeps its own."""
    session.execute(delete(LoginAttempt).where(LoginAttempt.key == account))
