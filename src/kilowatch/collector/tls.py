"""TLS: which certificate is served, and how."""

from __future__ import annotations

import contextlib
import fcntl
import os
import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_S

VALIDITY_DAYS = 825
"""Of a certificate that we make: the longest that Apple's systems accept."""
RENEWAL_DAYS = 30
"""So long before its end it is made anew."""


def ensure_certificate(folder: Path, hosts: Sequence[str] = ()) -> tuple[Path, Path]:
    """Return paths of certificate and key, making them if they are absent or nearly expired.

    Several processes may call this at once.

    Args:
        folder: Where ``cert.pem`` and ``key.pem`` lie; made if absent.
        hosts: Names and addresses beside localhost, 127.0.0.1, ::1 and this machine's name.

    Returns:
        Paths of the certificate and of its private key (mode 0600).
    """
    certificate, key = folder / "cert.pem", folder / "key.pem"
    if _wanting(certificate, key):
        # Here, because the library takes 8 MB that a running collector need not hold.
        from kilowatch.collector.certificate import make_certificate  # noqa: PLC0415

        with _alone(folder):
            if _wanting(certificate, key):  # nobody else made them while we waited
                make_certificate(certificate, key, hosts, VALIDITY_DAYS)
    return certificate, key


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other maker is at work: certificate and key are two files, and one pair."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _wanting(certificate: Path, key: Path) -> bool:
    return not key.exists() or _age_s(certificate) > (VALIDITY_DAYS - RENEWAL_DAYS) * DAY_S


def _age_s(certificate: Path) -> float:
    try:
        return time.time() - certificate.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context of the HTTPS listener: TLS 1.2 and later, HTTP/1.1 only.

    Raises:
        KilowatchError: ``tls_unusable`` if the files are no certificate and its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    load(context, certificate, key)
    return context


def load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Let new connections use the files as they are now; those that are open keep theirs.

    Raises:
        KilowatchError: ``tls_unusable``.
    """
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise KilowatchError(
            "tls_unusable",
            f"{certificate} and {key} can't be used as certificate and key: {error}.",
            status=500,
            remedy="Check --tls-certificate and --tls-key, or remove the settings to have a "
            "certificate made.",
        ) from None


def stamp(*files: Path) -> tuple[int, ...]:
    """Return what changes when one of the files does."""
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            found.append(file.stat().st_mtime_ns)
    return tuple(found)
