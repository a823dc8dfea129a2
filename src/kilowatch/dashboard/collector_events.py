"""What the collector tells over its Unix socket: the last requests, and those that come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

RECONNECT_S = 1.0  # the parent restarts a collector within a second


class CollectorEvents:
    """A client of ``collector.sock``; a collector that is away is waited for, not an error.

    Args:
        socket: Path of the socket.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)

    def _client(self, timeout_s: float | None) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=self._socket)
        return httpx.AsyncClient(
            transport=transport, base_url="http://collector", timeout=timeout_s, trust_env=False
        )

    async def recent(self, organisation_id: int | None, limit: int) -> list[dict[str, Any]]:
        """Return the last requests of an organisation, newest first; empty if nobody answers."""
        query: dict[str, int] = {"limit": limit}
        if organisation_id is not None:
            query["organization_id"] = organisation_id
        try:
            async with self._client(2.0) as client:
                answer = await client.get("/recent", params=query)
                answer.raise_for_status()
                found = answer.json()
        except (httpx.HTTPError, json.JSONDecodeError):
            return []
        if isinstance(found, dict):
            found = found.get("requests", [])
        return found if isinstance(found, list) else []

    async def events(self, *, requests: bool = True) -> AsyncIterator[dict[str, Any]]:
        """Yield what the collector tells, line by line, and connect again when it was away.

        Args:
            requests: False for commits only, which spares the collector describing requests.
        """
        path = "/events" if requests else "/events?requests=0"
        while True:
            try:
                async with self._client(None) as client, client.stream("GET", path) as answer:
                    async for line in answer.aiter_lines():
                        if line.strip():
                            yield json.loads(line)
            except (httpx.HTTPError, json.JSONDecodeError):
                pass
            await asyncio.sleep(RECONNECT_S)
