"""Whose request it is: HTTP Basic against the directory, and remembered as a keyed digest."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum

from kilowatch.catalog import secrets
from kilowatch.catalog.directory import CredentialRecord, Directory
from kilowatch.collector.settings import CollectorSettings
from kilowatch.model.points import DataPoint

KNOWN_MAX = 50_000
"""Remembered authorisations; 10,000 credentials and room for wrong ones in between."""
RIGHT_BEFORE_S = 3600.0
"""How long we remember that a password was right once: it is verified again all the same, but
does not queue behind guesses."""
DECOY = b"\0" * 32
NEVER = float("inf")


@dataclass(slots=True)
class Tenant:
    """What one organisation has under way.

    Attributes:
        organisation_id: Whose.
        in_flight: Packets between arrival and commit.
    """

    organisation_id: int
    in_flight: int = 0


@dataclass(slots=True)
class Access:
    """A credential that showed the right secret, valid for one revision of the directory.

    Attributes:
        credential: What it may do.
        tenant: Its organisation's share of the queue.
        revision: Of the directory that said so; another one asks again.
        expires_s: Monotonic time after which a password is verified again [s].
        used_s: When its use was last reported [monotonic s].
        points: Data points that it may use, by stream id, as far as they were asked for.
    """

    credential: CredentialRecord
    tenant: Tenant
    revision: int
    expires_s: float = NEVER
    used_s: float = float("-inf")
    points: dict[str, DataPoint] = field(default_factory=dict)


class Verdict(Enum):
    """What an ``Authorization`` header was worth, if not an access."""

    MISSING = "missing"  # no header, or not Basic: the challenge, not a guess
    WRONG = "wrong"
    ASK_ARGON2 = "ask_argon2"  # a person's password: ``verify_slowly``
    ASK_AGAIN = "ask_again"  # the same, and no new guess: right before, or being verified
    BUSY = "busy"


class Authenticator:
    """Turns ``Authorization`` headers into accesses.

    A generated secret costs one keyed digest. A person's password costs Argon2id in a
    thread, once a minute. Both are remembered by a keyed digest of the header, never by
    the header itself, and only as long as the directory's revision stands.

    Args:
        settings: Keys, times and limits.
        directory: The first snapshot.
        clock: Monotonic seconds.
    """

    def __init__(
        self, settings: CollectorSettings, directory: Directory, clock: Callable[[], float]
    ) -> None:
        self._key = os.urandom(32)
        self._server_key = settings.server_key
        self._memory_s = settings.password_memory_s
        self._waiting_max = settings.password_waiting_max
        self._clock = clock
        self._known: dict[bytes, Access] = {}
        self._verified: dict[bytes, tuple[str, float]] = {}
        self._tenants: dict[int, Tenant] = {}
        self._directory = directory
        self._pool = ThreadPoolExecutor(settings.password_threads, "password")
        self._pending: dict[bytes, list[Callable[[], None]]] = {}

    def swap(self, directory: Directory) -> None:
        """Believe another snapshot: everything remembered is asked again."""
        self._directory = directory
        self._known.clear()

    @property
    def revision(self) -> int:
        """Of the directory in force."""
        return self._directory.revision

    def authenticate(self, header: bytes | None) -> Access | Verdict:
        """Tell whose request this is, at once if that can be done at once."""
        if header is None:
            return Verdict.MISSING
        digest = self._digest(header)
        access = self._known.get(digest)
        if access is not None and access.expires_s > self._clock():
            return access
        parsed = read_basic(header)
        if parsed is None:
            return Verdict.MISSING
        username, password = parsed
        record = self._directory.credential(username)
        if "@" in username or (record is not None and record.password_hash):
            return self._person(digest, record)
        # The same work for a name that exists as for one that does not.
        offered = secrets.digest(self._server_key, password)
        stored = record.secret_digest if record is not None else DECOY
        right = hmac.compare_digest(offered, stored)
        return self._remember(digest, record, NEVER) if record and right else Verdict.WRONG

    def _person(self, digest: bytes, record: CredentialRecord | None) -> Access | Verdict:
        verified, until_s = self._verified.get(digest, ("", 0.0))
        right_before = record is not None and verified == record.password_hash
        if record is not None and right_before and until_s > self._clock():
            return self._remember(digest, record, until_s)
        # Whoever was right before is never turned away by a crowd of guesses.
        if right_before or digest in self._pending:
            return Verdict.ASK_AGAIN
        full = len(self._pending) >= self._waiting_max
        return Verdict.BUSY if full else Verdict.ASK_ARGON2

    def verify_slowly(self, header: bytes, done: Callable[[], None]) -> None:
        """Verify a person's password in a thread.

        An unknown account takes as long as a known one. Requests that show the same
        password meanwhile wait for the same verification.

        Args:
            header: For which ``authenticate`` said ``ASK_ARGON2`` or ``ASK_AGAIN``.
            done: Called on the loop; from then on ``authenticate`` knows the answer if it
                was right.
        """
        digest = self._digest(header)
        waiting = self._pending.get(digest)
        if waiting is not None:
            waiting.append(done)
            return
        self._pending[digest] = [done]
        parsed = read_basic(header)
        assert parsed is not None
        username, password = parsed
        record = self._directory.credential(username)
        stored = record.password_hash if record is not None and record.password_hash else None

        def verified(future: asyncio.Future[bool]) -> None:
            if stored and not future.cancelled() and not future.exception() and future.result():
                self._verified[digest] = (stored, self._clock() + self._memory_s)
            for tell in self._pending.pop(digest):
                tell()

        asyncio.get_running_loop().run_in_executor(
            self._pool, secrets.verify_password, stored, password
        ).add_done_callback(verified)

    def forget_old(self) -> None:
        """Drop what expired an hour ago; call it now and then."""
        old_s = self._clock() - RIGHT_BEFORE_S
        for digest, (_, until_s) in list(self._verified.items()):
            if until_s <= old_s:
                self._verified.pop(digest, None)

    def close(self) -> None:
        """Let no further verification begin."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _remember(self, digest: bytes, record: CredentialRecord, expires_s: float) -> Access:
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        access = Access(
            record, self.tenant(record.organisation_id), self._directory.revision, expires_s
        )
        self._known[digest] = access
        return access

    def tenant(self, organisation_id: int) -> Tenant:
        """Return an organisation's share of the queue, the same object every time."""
        tenant = self._tenants.get(organisation_id)
        if tenant is None:
            tenant = self._tenants[organisation_id] = Tenant(organisation_id)
        return tenant

    def _digest(self, header: bytes) -> bytes:
        return hashlib.blake2b(header, key=self._key, digest_size=16).digest()


def read_basic(header: bytes) -> tuple[str, str] | None:
    """Return user name and password of a Basic header, or None if it is not one.

    Clients in use send UTF-8 or ISO-8859-1; what is not valid UTF-8 is the latter.
    """
    scheme, _, token = header.strip().partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        raw = base64.b64decode(token.strip(), validate=True)
    except binascii.Error:
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    username, colon, password = text.partition(":")
    return (username, password) if colon else None
