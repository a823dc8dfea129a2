"""One call for scripts that have some packets and no event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from kilowatch.client.answers import Tally
from kilowatch.client.pusher import Pusher
from kilowatch.client.target import Target, Trust
from kilowatch.model.errors import KilowatchError


def push(
    url: str,
    username: str,
    password: str,
    packets: Iterable[Mapping[str, object]],
    *,
    cafile: Path | None = None,
    insecure: bool = False,
) -> Tally:
    """Push packets, oldest first, and return once each one is durable or refused.

    Args:
        url: The push server, for example ``https://localhost:8443``.
        username: Of the credential.
        password: Of the credential.
        packets: Packets as in the contract: ``id``, ``tsISO8601`` and values.
        cafile: The server's certificate when it is self-signed.
        insecure: Trust any certificate.

    Returns:
        Counts by outcome, and the refused packets with their reasons.

    Raises:
        PushStopped: Credential, permission or address are wrong.
        KilowatchError: The address cannot be used, or a packet has no ``id``.

    Example:
        >>> push("https://localhost:8443", "partner", "…", [
        ...     {"id": "gas", "tsISO8601": "2026-01-01T00:00:00+00:00", "value": 1.5},
        ... ])  # doctest: +SKIP
    """
    target = Target.parse(url, username, password, Trust(cafile, insecure))
    streams: dict[str, list[bytes]] = {}
    for packet in packets:
        stream_id = packet.get("id")
        if not isinstance(stream_id, str):
            raise KilowatchError("invalid_id", f"A packet has no id: {packet!r}.")
        streams.setdefault(stream_id, []).append(msgspec.json.encode(packet))
    return asyncio.run(_push(target, streams))


async def _push(target: Target, streams: dict[str, list[bytes]]) -> Tally:
    total = Tally()
    async with Pusher(target) as pusher, asyncio.TaskGroup() as group:
        tasks = [group.create_task(pusher.push_all(s, bodies)) for s, bodies in streams.items()]
    for task in tasks:
        total.merge(task.result())
    return total
