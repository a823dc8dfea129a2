"""Is everything there that was acknowledged? Asked stream by stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from kilowatch.model.errors import KilowatchError

Parameters = list[tuple[str, str | int | float | bool | None]]

_AT_ONCE = 100
_TIMEOUT_S = 60.0
_PAUSE_S = 0.25
PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The comparison of what was acknowledged with what the store holds.

    Attributes:
        acknowledged: Packets that were answered as accepted.
        stored: Packets that have come to the store since before the run.
        lost: Acknowledged packets that are not there, by stream; must be empty.
        surplus: Stored packets whose answer was never read, by stream.
    """

    acknowledged: int
    stored: int
    lost: dict[str, int]
    surplus: dict[str, int]


def reconcile(
    accepted: Mapping[str, int], before: Mapping[str, int], after: Mapping[str, int]
) -> Reconciled:
    """Compare acknowledged packets with those stored since before the run, per stream."""
    lost, surplus, stored = {}, {}, 0
    for stream_id, count in accepted.items():
        there = after.get(stream_id, 0) - before.get(stream_id, 0)
        stored += there
        if there < count:
            lost[stream_id] = count - there
        elif there > count:
            surplus[stream_id] = there - count
    return Reconciled(sum(accepted.values()), stored, lost, surplus)


async def stored_counts(control: Path, streams: Iterable[str]) -> dict[str, int]:
    """Ask the platform how many packets of each stream its store holds.

    Args:
        control: The platform's control socket.
        streams: Stream ids, unique on this server.

    Raises:
        KilowatchError: The platform does not answer.
    """
    names = list(streams)
    counts: dict[str, int] = {}
    async with _client(control) as client:
        for start in range(0, len(names), _AT_ONCE):
            asked: Parameters = [("stream", name) for name in names[start : start + _AT_ONCE]]
            counts |= (await _get(client, "/counts", asked))["streams"]
    return counts


async def drained(control: Path, seconds_max: float) -> float:
    """Wait until the pipeline has stored everything that is in the log; return how long [s].

    Raises:
        KilowatchError: Not within ``seconds_max``, or the platform does not answer.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with _client(control) as client:
        while (await _get(client, "/status", []))["lag"]["packets"]:
            if loop.time() - began > seconds_max:
                raise KilowatchError(
                    "lagging", f"The pipeline is still behind after {seconds_max:.0f} s."
                )
            await asyncio.sleep(_PAUSE_S)
    return loop.time() - began


def _client(control: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(control))
    return httpx.AsyncClient(transport=transport, base_url="http://kilowatch", timeout=_TIMEOUT_S)


async def _get(
    client: httpx.AsyncClient, path: str, parameters: Parameters
) -> dict[str, dict[str, int]]:
    """Ask until there is an answer: a platform that has just started opens its store first."""
    tries = round(PATIENCE_S / _PAUSE_S)
    for left in reversed(range(tries)):
        try:
            answer = await client.get(path, params=httpx.QueryParams(parameters))
            answer.raise_for_status()
        except httpx.HTTPError as error:
            if left == 0:
                raise KilowatchError(
                    "not_running",
                    f"The platform does not answer: {error}.",
                    remedy="Start `kilowatch serve`, or name its data folder with --data.",
                ) from None
            await asyncio.sleep(_PAUSE_S)
        else:
            break
    said: dict[str, dict[str, int]] = answer.json()
    return said
