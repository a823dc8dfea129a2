"""The second factor: six digits of an authenticator (TOTP), or once a recovery code.

The authenticator's key has to be read again for each code, so it is encrypted, with a key derived
from the server's. A code counts once: the number of its half minute is kept, and neither it nor an
earlier one is taken again. Recovery codes have fewer random bits than a generated secret, so they
are kept as Argon2id.

Source:
    RFC 6238 (TOTP); OWASP ASVS 5.0, V6.5.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from kilowatch.catalog import secrets
from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables import User
from kilowatch.catalog.tables_people import RecoveryCode, SecondFactor
from kilowatch.model.errors import KilowatchError

STEP_S = 30
DRIFT_STEPS = 1  # RFC 6238, 5.2: one step for slow clocks and slow fingers
RECOVERY_CODES = 10
NONCE_BYTES = 12
ISSUER = "Kilowatch"


@dataclass(frozen=True, slots=True)
class Offer:
    """A new authenticator that is not in force before a code of it came.

    Attributes:
        key: What is typed where no camera is; base 32.
        address: What the QR code holds.
    """

    key: str = field(repr=False)
    address: str = field(repr=False)


def confirmed(session: Session, user_id: int) -> SecondFactor | None:
    """Return a person's authenticator if it is in force."""
    row = _row(session, user_id)
    return row if row is not None and row.confirmed_at_ms is not None else None


def offer(change: Change, server_key: bytes, user: User) -> Offer:
    """Make a key for a new authenticator, in place of one that was never confirmed.

    Raises:
        KilowatchError: ``second_factor_exists``.
    """
    row = _row(change.session, user.id)
    if row is not None and row.confirmed_at_ms is not None:
        raise KilowatchError(
            "second_factor_exists",
            "Your account has a second factor already.",
            status=409,
            remedy="Remove it first.",
        )
    key = pyotp.random_base32()  # 160 bits, as RFC 4226 recommends
    if row is None:
        row = SecondFactor(user_id=user.id, created_at_ms=change.now_ms, last_step=0)
        change.session.add(row)
    row.encrypted_key = _encrypted(server_key, user.id, key)
    change.session.flush()
    return Offer(key, _address(user, key))


def offered(session: Session, server_key: bytes, user: User) -> Offer | None:
    """Return the authenticator that waits for its first code, to show it once more."""
    row = _row(session, user.id)
    if row is None or row.confirmed_at_ms is not None:
        return None
    key = _decrypted(server_key, row)
    return Offer(key, _address(user, key))


def confirm(change: Change, server_key: bytes, user_id: int, code: str) -> list[str]:
    """Put an authenticator in force with its first code.

    Returns:
        The recovery codes, which are shown only now.

    Raises:
        KilowatchError: ``wrong_code``.
    """
    row = _row(change.session, user_id)
    step = None if row is None else _step_of(server_key, row, code, change.now_ms)
    if row is None or row.confirmed_at_ms is not None or step is None:
        raise wrong_code()
    row.confirmed_at_ms = change.now_ms
    change.record("set up a second factor", "user", user_id)
    change.session.flush()
    _use(change.session, row.id, step)
    return renew_codes(change, user_id)


def renew_codes(change: Change, user_id: int) -> list[str]:
    """Give a person new recovery codes; the old ones are worth nothing from now on.

    Raises:
        KilowatchError: ``no_second_factor``.
    """
    if confirmed(change.session, user_id) is None:
        raise KilowatchError("no_second_factor", "Your account has no second factor.", status=409)
    change.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [f"{secrets.readable(5)}-{secrets.readable(5)}" for _ in range(RECOVERY_CODES)]
    for code in codes:
        change.session.add(
            RecoveryCode(
                user_id=user_id,
                code_hash=secrets.hash_password(_plain(code)),
                created_at_ms=change.now_ms,
            )
        )
    change.record("made recovery codes", "user", user_id)
    change.session.flush()
    return codes


def remove(change: Change, user_id: int) -> None:
    """Take a person's authenticator and recovery codes away."""
    row = _row(change.session, user_id)
    if row is not None:
        change.session.delete(row)
        change.record("removed the second factor", "user", user_id)
    change.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    change.session.flush()


def codes_left(session: Session, user_id: int) -> int:
    """Return how many recovery codes a person has not used."""
    statement = select(RecoveryCode.id).where(
        RecoveryCode.user_id == user_id, RecoveryCode.used_at_ms.is_(None)
    )
    return len(session.scalars(statement).all())


def check(change: Change, server_key: bytes, user_id: int, code: str) -> str:
    """Take a code of the authenticator, or a recovery code, and use it up.

    Returns:
        ``totp`` or ``recovery``.

    Raises:
        KilowatchError: ``wrong_code``, also for one that was used.
    """
    row = confirmed(change.session, user_id)
    if row is None:
        raise wrong_code()
    step = _step_of(server_key, row, code, change.now_ms)
    if step is not None:
        if not _use(change.session, row.id, step):
            raise wrong_code()
        return "totp"
    statement = select(RecoveryCode).where(
        RecoveryCode.user_id == user_id, RecoveryCode.used_at_ms.is_(None)
    )
    plain = _plain(code)
    for recovery in change.session.scalars(statement) if len(plain) == 10 else ():
        if secrets.verify_password(recovery.code_hash, plain):
            recovery.used_at_ms = change.now_ms
            change.record("used a recovery code", "user", user_id)
            change.session.flush()
            return "recovery"
    raise wrong_code()


def wrong_code() -> KilowatchError:
    """Return the answer to a code that is wrong, used or too old; they are told alike."""
    return KilowatchError(
        "wrong_code",
        "This code is not right, or it was used already.",
        status=401,
        remedy="Wait for the next one, and see that the clock of your device is right.",
        data={"field": "code"},
    )


def _use(session: Session, row_id: int, step: int) -> bool:
    """Use a code up; False when it, or a later one, was used before."""
    statement = update(SecondFactor).where(SecondFactor.id == row_id, SecondFactor.last_step < step)
    done = session.execute(statement.values(last_step=step).returning(SecondFactor.id))
    return done.scalar() is not None


def _step_of(server_key: bytes, row: SecondFactor, code: str, now_ms: int) -> int | None:
    """Return the number of the half minute that a code belongs to, if it is near."""
    digits = "".join(code.split())
    if len(digits) != 6 or not digits.isascii() or not digits.isdecimal():
        return None
    totp = pyotp.TOTP(_decrypted(server_key, row), interval=STEP_S)
    now = now_ms // 1000 // STEP_S
    found = None
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if pyotp.utils.strings_equal(totp.generate_otp(step), digits):
            found = step
    return found


def _row(session: Session, user_id: int) -> SecondFactor | None:
    return session.scalar(
        select(SecondFactor)
        .where(SecondFactor.user_id == user_id)
        .execution_options(populate_existing=True)
    )


def _address(user: User, key: str) -> str:
    return pyotp.TOTP(key, interval=STEP_S).provisioning_uri(name=user.email, issuer_name=ISSUER)


def _cipher(server_key: bytes) -> AESGCM:
    return AESGCM(secrets.digest(server_key, "second factor", "encryption"))


def _encrypted(server_key: bytes, user_id: int, key: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _cipher(server_key).encrypt(nonce, key.encode(), str(user_id).encode())


def _decrypted(server_key: bytes, row: SecondFactor) -> str:
    nonce, sealed = row.encrypted_key[:NONCE_BYTES], row.encrypted_key[NONCE_BYTES:]
    try:
        return _cipher(server_key).decrypt(nonce, sealed, str(row.user_id).encode()).decode()
    except InvalidTag:
        raise KilowatchError(
            "key_damaged",
            "The second factor can't be read: it was stored with another key of the server.",
            status=500,
            remedy="Restore secret.key, or ask an administrator to remove the second factor.",
        ) from None


def _plain(code: str) -> str:
    return "".join(c for c in code.casefold() if c.isalnum())
