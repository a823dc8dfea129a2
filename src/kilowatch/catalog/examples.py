"""Example requests that work when they are pasted into a shell, today and tomorrow.

The time comes from the shell's clock, in words that GNU's and BSD's ``date`` share. A register
counts with the clock as well (one a second), so that a second packet already shows something.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from urllib.parse import quote

from kilowatch.catalog.tables import DataPoint

NOW = "'$(date +%Y-%m-%dT%H:%M:%S%z)'"
DIAL = "'$(($(date +%s) % 1000000))'"


@dataclass(frozen=True, slots=True)
class Pusher:
    """Who pushes where.

    Attributes:
        address: Of the push API, with its path.
        username: Of a credential.
        secret: Its secret.
        trust: What ``curl`` is told about the server's certificate.
    """

    address: str
    username: str
    secret: str = field(repr=False)
    trust: str = "-sS"

    @property
    def user(self) -> str:
        """The credential as one word of a shell."""
        return shlex.quote(f"{self.username}:{self.secret}")


def push(pusher: Pusher, point: DataPoint) -> str:
    """Return a ``curl`` line that pushes one packet of the data point."""
    packet = f'{{"id":"{_in_single_quotes(point.stream_id)}","tsISO8601":"{NOW}",{_values(point)}}}'
    return (
        f"curl {pusher.trust} -u {pusher.user} "
        f"-H 'Content-Type: application/json' {pusher.address} -d '{packet}'"
    )


def latest(pusher: Pusher, point: DataPoint) -> str:
    """Return a ``curl`` line that asks for the data point's latest packet."""
    address = f"{pusher.address}?stream={quote(point.stream_id, safe='')}"
    return f"curl {pusher.trust} -u {pusher.user} {shlex.quote(address)}"


def _values(point: DataPoint) -> str:
    if point.kind == "electrical":
        energy = DIAL if point.behaviour == "register" else "300"
        return f'"aP_1":3600,"v_1":230.4,"pC_1":{energy}'
    if point.behaviour == "register":
        return f'"value":{DIAL}e-3'
    return f'"value":{21.5 if point.behaviour == "gauge" else 0.25}'


def _in_single_quotes(stream_id: str) -> str:
    in_json = stream_id.replace("\\", "\\\\").replace('"', '\\"')
    return in_json.replace("'", "'\\''")
