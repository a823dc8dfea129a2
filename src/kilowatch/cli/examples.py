"""Example requests that work when they are pasted into a shell, today and tomorrow.

The time comes from the shell's clock, in words that GNU's and BSD's ``date`` share. A register
counts with the clock as well (one a second), so that a second packet already shows something.
"""

from __future__ import annotations

import shlex
from urllib.parse import quote

from kilowatch.catalog.tables import DataPoint
from kilowatch.cli.registration import Server

NOW = "'$(date +%Y-%m-%dT%H:%M:%S%z)'"
DIAL = "'$(($(date +%s) % 1000000))'"


def push(server: Server, username: str, secret: str, point: DataPoint) -> str:
    """Return a ``curl`` line that pushes one packet of the data point.

    Args:
        server: Where to.
        username: Of a credential that may push to it.
        secret: Its secret.
        point: The data point.
    """
    packet = f'{{"id":"{_in_single_quotes(point.stream_id)}","tsISO8601":"{NOW}",{_values(point)}}}'
    return (
        f"curl {_trust(server)} -u {shlex.quote(f'{username}:{secret}')} "
        f"-H 'Content-Type: application/json' {server.push_https} -d '{packet}'"
    )


def latest(server: Server, username: str, secret: str, point: DataPoint) -> str:
    """Return a ``curl`` line that asks for the data point's latest packet."""
    address = f"{server.push_https}?stream={quote(point.stream_id, safe='')}"
    return f"curl {_trust(server)} -u {shlex.quote(f'{username}:{secret}')} {shlex.quote(address)}"


def _trust(server: Server) -> str:
    if server.settings.tls_certificate:
        return "-sS"
    if server.certificate is None:
        return "-sSk"
    return f"-sS --cacert {shlex.quote(str(server.certificate))}"


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
