"""One run of the load generator: its processes, the time it takes, the CPU of the server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kilowatch.bench.figures import Figures, merge
from kilowatch.bench.generator import GRACE_S, Job, Mode
from kilowatch.client import Target
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form

PACKETS_MAX = 5_000_000
SECONDS_MAX = 600.0
CONNECTIONS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Load:
    """What a run asks of the server.

    Attributes:
        mode: ``keep-alive``, ``new`` or ``handshake``.
        connections: Open at once.
        seconds: How long [s].
        processes: Generator processes that share the connections.
        cpu: Core that the generator stays on, or None.
        packets_max: End of the run, however long it took.
    """

    mode: Mode = "keep-alive"
    connections: int = 64
    seconds: float = 10.0
    processes: int = 1
    cpu: int | None = None
    packets_max: int = PACKETS_MAX


async def load(
    target: Target,
    streams: Sequence[tuple[str, int]],
    wanted: Load,
    server_pids: Sequence[int] = (),
) -> Figures:
    """Load a server on this machine, and return the figures.

    Args:
        target: Server and credential.
        streams: Stream ids and the time of their next packets [s since 1970, UTC]; each
            belongs to one connection, so that its packets stay in order.
        wanted: What to do.
        server_pids: Processes whose CPU time counts as the server's.

    Raises:
        KilowatchError: Another machine, more than is allowed, fewer streams than
            connections, or the generator failed.
    """
    address = _loopback(target.host)
    _check(wanted, len(streams))
    jobs = _jobs(target, address, streams, wanted)
    before_s = [cpu_s(pid) for pid in server_pids]
    parts = await asyncio.gather(*(_run(job) for job in jobs))
    figures = merge(wanted.mode, list(parts), tls=target.secure, connections=wanted.connections)
    used_s = sum(cpu_s(pid) - b for pid, b in zip(server_pids, before_s, strict=True))
    if server_pids and figures.done:
        figures.server_cpu_us = used_s / figures.done * 1e6
    return figures


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process and its threads have used [s].

    Raises:
        KilowatchError: There is no such process, or this system has no ``/proc``.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - not a file
            parts = file.read().rpartition(")")[2].split()
    except OSError as error:
        raise KilowatchError(
            "no_such_process", f"The CPU time of process {pid} cannot be read: {error.strerror}."
        ) from None
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def _check(wanted: Load, streams: int) -> None:
    if wanted.connections > CONNECTIONS_MAX or wanted.seconds > SECONDS_MAX:
        raise KilowatchError(
            "too_much",
            f"A run has at most {CONNECTIONS_MAX} connections and {SECONDS_MAX:.0f} seconds.",
        )
    if streams < wanted.connections:
        raise KilowatchError(
            "too_few_streams",
            f"{wanted.connections} connections need as many streams; there are {streams}.",
            remedy="Ask for more streams or for fewer connections.",
        )


def _loopback(host: str) -> str:
    """Return the host's address if it is this machine.

    Raises:
        KilowatchError: It is another one, or unknown.
    """
    try:
        address = str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise KilowatchError("bad_address", f"{host} is not known: {error}.") from None
    if not address.startswith("127.") and address != "::1":
        raise KilowatchError(
            "not_this_machine",
            f"{host} is not this machine; the bench loads nobody else's server.",
            remedy="Run it where the server runs.",
        )
    return address


def _jobs(
    target: Target, address: str, streams: Sequence[tuple[str, int]], wanted: Load
) -> list[Job]:
    head = target.post_head(Form.LOCAL).decode().removesuffix("Content-Length: ")
    bare = "".join(
        line for line in head.splitlines(keepends=True) if not line.startswith("Authorization")
    )
    lanes = [list(streams[n :: wanted.connections]) for n in range(wanted.connections)]
    processes = min(wanted.processes, wanted.connections)
    cafile = target.trust.cafile
    return [
        Job(
            host=target.host if target.secure else address,
            port=target.port,
            mode=wanted.mode,
            head=head,
            bare_head=bare,
            streams=lanes[n::processes],
            seconds=wanted.seconds,
            packets_max=wanted.packets_max // processes,
            tls=target.secure,
            verify=not target.trust.insecure,
            cafile=str(cafile) if cafile else None,
            cpu=wanted.cpu,
        )
        for n in range(processes)
    ]


async def _run(job: Job) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "kilowatch.bench.generator",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(job.seconds + 10 * GRACE_S):
            out, err = await process.communicate(json.dumps(asdict(job)).encode())
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise KilowatchError(
            "generator_failed", f"The load generator failed: {err.decode()[-500:]}"
        )
    result: dict[str, Any] = json.loads(out)
    return result
