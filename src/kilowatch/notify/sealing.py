"""Keeping a channel's address: it may hold a token, so it is encrypted under the server's key.

AES-256-GCM with a key of its own, derived from the server's. The organisation goes in as
associated data: a sealed address that is copied to another organisation's row does not open.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kilowatch.model.errors import KilowatchError

NONCE_BYTES = 12  # what GCM takes without further hashing (NIST SP 800-38D, 8.2.2)


class Sealer:
    """Encrypts and decrypts what channels keep secret.

    Args:
        server_key: The data folder's key.
    """

    def __init__(self, server_key: bytes) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=b"kilowatch alert channels").derive(server_key)
        self._cipher = AESGCM(derived)

    def seal(self, organisation_id: int, config: dict[str, Any]) -> bytes:
        """Return a channel's configuration, encrypted."""
        nonce = os.urandom(NONCE_BYTES)
        plain = msgspec.json.encode(config)
        return nonce + self._cipher.encrypt(nonce, plain, _bound_to(organisation_id))

    def open(self, organisation_id: int, sealed: bytes) -> dict[str, Any]:
        """Return a channel's configuration.

        Raises:
            KilowatchError: ``channel_sealed``, it was sealed under another key.
        """
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            plain = self._cipher.decrypt(nonce, rest, _bound_to(organisation_id))
        except InvalidTag:
            raise KilowatchError(
                "channel_sealed",
                "This channel's address was stored under another server key.",
                status=409,
                remedy="Enter the address again, or bring back the file secret.key.",
            ) from None
        config: dict[str, Any] = msgspec.json.decode(plain)
        return config


def _bound_to(organisation_id: int) -> bytes:
    return f"organisation {organisation_id}".encode()
