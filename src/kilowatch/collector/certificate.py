"""TLS: the certificate that is made at the first start, and the context that serves it."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kilowatch.model.errors import KilowatchError

VALIDITY_DAYS = 825
"""The longest that Apple's systems accept of a certificate that a user trusts by hand."""
RENEWAL_DAYS = 30


def ensure_certificate(folder: Path, hosts: Sequence[str] = ()) -> tuple[Path, Path]:
    """Return paths of certificate and key, making them if they are absent or nearly expired.

    The certificate signs itself: enough for encryption on a closed network, and for clients
    that are told to trust it. P-256, because a handshake costs a tenth of RSA's. Several
    processes may call this at once.

    Args:
        folder: Where ``cert.pem`` and ``key.pem`` lie; made if absent.
        hosts: Names and addresses beside localhost, 127.0.0.1, ::1 and this machine's name.

    Returns:
        Paths of the certificate and of its private key (mode 0600).
    """
    certificate, key = folder / "cert.pem", folder / "key.pem"
    if certificate.exists() and key.exists() and not _expires_soon(certificate):
        return certificate, key
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    names = dict.fromkeys(("localhost", "127.0.0.1", "::1", socket.gethostname(), *hosts))
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kilowatch")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # a client's clock may be slow
        .not_valid_after(now + dt.timedelta(days=VALIDITY_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(n) for n in names if n]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Key and certificate are told apart by a reader only if both are whole: key first.
    _write(key, pem)
    _write(certificate, made.public_bytes(serialization.Encoding.PEM))
    return certificate, key


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


def _expires_soon(path: Path) -> bool:
    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except ValueError:
        return True
    return ends - dt.datetime.now(dt.UTC) < dt.timedelta(days=RENEWAL_DAYS)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once, readable by its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)
