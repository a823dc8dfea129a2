"""Where packets go: address, credential and whom to trust."""

from __future__ import annotations

import base64
import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from kilowatch import __version__
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form

PATHS: dict[Form, str] = {
    Form.LOCAL: "/measurements/v2/unifiedjson/",
    Form.UTC: "/measurements/v2/unifiedjson_utc/",
    Form.PARTIAL: "/measurements/v2/unifiedjson_partial/",
}


def backfill_query(reason: str = "") -> str:
    """Return what makes an address take packets that are older than the latest as history.

    Args:
        reason: Why, in a person's words; up to 200 characters.
    """
    return "?backfill=1" + (f"&reason={quote(reason, safe='')}" if reason else "")


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a TLS connection believes.

    Attributes:
        cafile: Certificate of the server, or of who signed it; None for the system's own.
        insecure: Believe anyone, and allow a password over plain HTTP to another machine.
    """

    cafile: Path | None = None
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """Return a TLS context (TLS 1.2 or newer, HTTP/1.1 only).

        Raises:
            KilowatchError: ``cafile`` cannot be read or holds no certificate.
        """
        try:
            context = ssl.create_default_context(cafile=str(self.cafile) if self.cafile else None)
        except (OSError, ssl.SSLError) as error:
            raise KilowatchError(
                "bad_ca_file",
                f"The certificate file {self.cafile} cannot be used: {error}.",
                remedy="Name a PEM file with the server's certificate or its issuer's.",
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class Target:
    """A push server and the credential to use there.

    Attributes:
        host: Name or address of the server.
        port: Its TCP port.
        secure: True for HTTPS.
        prefix: Path in front of ``/measurements/``, for servers behind a proxy.
        username: Of the credential.
        password: Of the credential; never shown.
        trust: Whom to believe.
    """

    host: str
    port: int
    secure: bool
    prefix: str
    username: str
    password: str = field(repr=False)
    trust: Trust = field(default_factory=Trust)

    @staticmethod
    def parse(url: str, username: str, password: str, trust: Trust | None = None) -> Target:
        """Read an address; the server's own or the full push address, both work.

        Raises:
            KilowatchError: Not an http(s) address, a secret inside it, or plain HTTP
                to another machine without ``insecure``.
        """
        trust = trust or Trust()
        parts = urlsplit(url if "//" in url else f"//{url}", scheme="https")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise KilowatchError(
                "bad_address",
                f"{url!r} is not the address of a push server.",
                remedy="It looks like https://HOST:8443.",
            )
        if parts.password is not None:
            raise KilowatchError(
                "secret_in_address",
                "The address contains a password; addresses end up in logs.",
                remedy="Give the user name and the password apart from it.",
            )
        secure = parts.scheme == "https"
        if not secure and not trust.insecure and not _is_loopback(parts.hostname):
            raise KilowatchError(
                "not_secure",
                f"{url} would send the password where others can read it.",
                remedy="Use https://, or say that this network is safe (insecure).",
            )
        prefix = parts.path.split("/measurements", 1)[0].rstrip("/")
        default = 443 if secure else 80
        return Target(parts.hostname, port or default, secure, prefix, username, password, trust)

    @property
    def authority(self) -> str:
        """Value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def authorization(self) -> str:
        """Value of the ``Authorization`` header."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode("ascii")

    def _common(self) -> str:
        return (
            f"Host: {self.authority}\r\n"
            f"Authorization: {self.authorization}\r\n"
            f"User-Agent: kilowatch/{__version__}\r\n"
        )

    def post_head(self, form: Form, query: str = "") -> bytes:
        """Return everything of a push in front of the length of its body.

        Args:
            form: The address to push to.
            query: What stands behind it; see ``backfill_query``.
        """
        return (
            f"POST {self.prefix}{PATHS[form]}{query} HTTP/1.1\r\n{self._common()}"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    def latest_request(self, stream_id: str) -> bytes:
        """Return the request for the latest packet of a stream."""
        path = f"{self.prefix}{PATHS[Form.LOCAL]}?stream={quote(stream_id, safe='')}"
        return f"GET {path} HTTP/1.1\r\n{self._common()}\r\n".encode()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
