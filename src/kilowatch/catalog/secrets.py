"""Secrets: making them, and keeping only what cannot be turned back.

A secret that we generate has so many random bits that guessing is hopeless even against a fast
digest, so it is kept as keyed BLAKE2b: verifying one costs a microsecond. A password that a person
chose has not, so it is kept as Argon2id, which makes each guess expensive.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from kilowatch.model.errors import KilowatchError

KEY_BYTES = 32
KEY_FILE = "secret.key"
SECRET_BYTES = 24  # 192 random bits; the contract asks for 160

# OWASP Password Storage Cheat Sheet (2024): Argon2id with m = 19 MiB, t = 2, p = 1.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODY = _HASHER.hash(secrets.token_urlsafe(16))

# Without what looks alike when it is read aloud or from paper: 0 o, 1 i l, u v.
_READABLE = "23456789abcdefghjkmnpqrstwxyz"


def load_or_create_key(folder: Path) -> bytes:
    """Return the server's key, made at the first call and readable by its owner only.

    Two programs may call this at once: the file appears complete or not at all.

    Args:
        folder: The data folder; made when it is missing.

    Returns:
        32 random bytes.

    Raises:
        KilowatchError: ``key_damaged`` when the file is not 32 bytes long. We never replace it:
            with another key no stored credential would work.
    """
    path = folder / KEY_FILE
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f"{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails if another program was first, and then its key counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise KilowatchError(
            "key_damaged",
            f"The server's key {path} is {len(key)} bytes long; it must be {KEY_BYTES}.",
            status=500,
            remedy="Restore it from a backup: no stored credential works without it.",
        )
    return key


def digest(server_key: bytes, secret: str, purpose: str = "credential") -> bytes:
    """Return what is stored in place of a generated secret, 32 bytes.

    Args:
        server_key: The key of ``load_or_create_key``.
        secret: What the client sends.
        purpose: At most 16 bytes that keep one sort of secret from passing as another.
    """
    return hashlib.blake2b(
        secret.encode(), key=server_key, digest_size=32, person=purpose.encode()
    ).digest()


def new_secret(size: int = SECRET_BYTES) -> str:
    """Return a URL-safe secret of ``size`` random bytes (192 bits unless told otherwise)."""
    return secrets.token_urlsafe(size)


def readable(length: int) -> str:
    """Return ``length`` random characters that nobody misreads (4.86 bits each)."""
    return "".join(secrets.choice(_READABLE) for _ in range(length))


def new_password() -> str:
    """Return a generated password for a person: four groups of five, 97 bits."""
    return "-".join(readable(5) for _ in range(4))


def hash_password(password: str) -> str:
    """Return the Argon2id hash of a person's password, with its parameters and salt in it."""
    return _HASHER.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Tell whether ``password`` is the one that was hashed; takes about 20 ms either way.

    ``stored`` is None for an account that does not exist or has no password: the answer is False
    after the same time, so that nobody learns from it which accounts there are.
    """
    try:
        return _HASHER.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Tell whether a hash was made with other parameters than today's and should be renewed."""
    return _HASHER.check_needs_rehash(stored)


def server_key(folder: Path, setting: str = "") -> bytes:
    """Return the server's key: from the setting ``secret_key``, or else from the data folder.

    Args:
        folder: The data folder.
        setting: 64 hexadecimal digits, or empty for the file ``secret.key``.

    Raises:
        KilowatchError: ``wrong_setting`` when the setting is not 64 hexadecimal digits (it is not
            repeated in the message), or what ``load_or_create_key`` says.
    """
    if not setting:
        return load_or_create_key(folder)
    try:
        key = bytes.fromhex(setting)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KilowatchError(
            "wrong_setting",
            f"The setting secret_key is not {2 * KEY_BYTES} hexadecimal digits.",
            status=500,
            remedy="Make one with 'openssl rand -hex 32', or leave it out for the file secret.key.",
        )
    return key
