"""How the journeys push: as field clients do, one packet per request, over HTTPS."""

from __future__ import annotations

import http.client
import json
import ssl
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.journeys.server import kilowatch


@dataclass(slots=True)
class Client:
    """A keep-alive client with one credential, which trusts the server's own certificate.

    Attributes:
        url: Address of the push API.
        username: Of the credential.
        password: Of the credential.
        certificate: PEM file to trust; None for plain HTTP.
    """

    url: str
    username: str
    password: str
    certificate: Path | None
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def push(self, packet: dict[str, Any] | bytes) -> tuple[int, dict[str, Any]]:
        """Push one packet and return status and answer."""
        body = packet if isinstance(packet, bytes) else json.dumps(packet).encode()
        return self.request("POST", urlsplit(self.url).path, body)

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Send one request on the open connection, or on a new one."""
        connection = self._connection or self._connect()
        self._connection = connection
        secret = b64encode(f"{self.username}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection; the next request makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        context = ssl.create_default_context(cafile=self.certificate)
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30, context=context)


def push_side_by_side(client: Client, deliveries: list[list[dict[str, Any]]]) -> Counter[str]:
    """Push each list of packets in its order, all lists at once, and count the answers.

    Packets of several streams share a commit then, as in the field: one after another each waits
    for the disk.
    """

    def deliver(packets: list[dict[str, Any]]) -> Counter[str]:
        own = replace(client, _connection=None)
        found = Counter(own.push(packet)[1]["status"] for packet in packets)
        own.close()
        return found

    with ThreadPoolExecutor(max(1, len(deliveries))) as pool:
        return sum(pool.map(deliver, deliveries), Counter())


def startup_package(data: Path, organisation: str = "Acme", *flags: str) -> dict[str, Any]:
    """Make a startup package with the command that an integrator is told to run."""
    printed = kilowatch(
        "startup-package", "--organization", organisation,
        "--email", f"{organisation.lower()}@example.com", "--json", *flags, data=data,
    )  # fmt: skip
    package: dict[str, Any] = json.loads(printed)
    return package


def client_of(package: dict[str, Any], data: Path, url: str | None = None) -> Client:
    """Return a client with the credential of a startup package."""
    return Client(
        url or package["push_url"], package["username"], package["password"],
        data / "tls" / "cert.pem",
    )  # fmt: skip
