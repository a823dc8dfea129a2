"""Measure what a backup costs those who push meanwhile, and how long it and a restore take.

    .venv/bin/python scripts/bench_backup.py [--fill 30] [--rounds 5] [--seconds 8]

Starts a server of its own in a temporary folder on free ports and fills it with packets. Then, in
turn in one run, packets are pushed while nothing else happens, and while one backup is made after
another: as fast as 64 connections can, and over 4. Last, the server is restored elsewhere from a
backup and started. Ratios hold better than rates: everything shares the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kilowatch import catalog
from kilowatch.bench import Figures, Load, Prepared, load, prepare
from kilowatch.bench.reconcile import drained
from kilowatch.bench.streams import next_times
from kilowatch.catalog import secrets
from kilowatch.client import Pusher, Target, Trust

PORTS = ("push-http-port", "push-https-port", "dashboard-port", "dashboard-https-port")
START_S_MAX, DRAIN_S_MAX = 90.0, 600.0
STREAMS = 64


def command(*words: str, data: Path) -> list[str]:
    """Return a command of the program."""
    return [sys.executable, "-m", "kilowatch", *words, "--data", str(data)]


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any], float]:
    """Start the program; returns it, its addresses, and how long that took [s]."""
    began_s = time.monotonic()
    flags = [word for port in PORTS for word in (f"--{port}", "0")]
    with folder.with_suffix(".log").open("ab") as output:
        started = subprocess.Popen(
            command("serve", *flags, data=folder), stdout=output, stderr=output
        )
    while time.monotonic() - began_s < START_S_MAX:
        try:
            told = json.loads((folder / "addresses.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            told = {}
        if told.get("pids", {}).get("serve") == started.pid:
            return started, told, time.monotonic() - began_s
        time.sleep(0.02)
    sys.exit(folder.with_suffix(".log").read_text())


@dataclass(slots=True)
class Backups:
    """Backups that are made one after another.

    Attributes:
        data: Of what.
        folder: Where they go.
        told: What each of them said.
        going: Until it is set to False.
    """

    data: Path
    folder: Path
    told: list[dict[str, Any]] = field(default_factory=list)
    going: bool = True

    async def make(self) -> None:
        """Make one after another."""
        while self.going:
            path = self.folder / f"{len(self.told)}.tar"
            words = command("backup", str(path), "--json", data=self.data)
            made = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
            said, _ = await made.communicate()
            self.told.append(json.loads(said))
            if len(self.told) > 1:
                path.unlink()


async def pushed(
    addresses: dict[str, Any], ready: Prepared, connections: int, seconds: float
) -> Figures:
    """Push for some seconds; returns what it was like."""
    assert ready.password
    target = Target.parse(
        addresses["push_http"], ready.username, ready.password, Trust(None, insecure=False)
    )
    async with Pusher(target, patient=True) as pusher:
        times = await next_times(pusher, ready.streams)
    wanted = Load(connections=connections, seconds=seconds)
    return await load(target, times, wanted, [addresses["pids"]["collector"]])


async def rounds(
    arguments: argparse.Namespace, data: Path, addresses: dict[str, Any], ready: Prepared
) -> list[dict[str, Any]]:
    """Push with and without backups, in turn; prints each round."""
    told: list[dict[str, Any]] = []
    for connections in (64, 4):
        ratios: list[tuple[float, float, float, float]] = []
        for number in range(arguments.rounds):
            found: dict[bool, Figures] = {}
            for busy in (number % 2 == 0, number % 2 == 1):
                await drained(data / "control.sock", DRAIN_S_MAX)
                backups = Backups(data, data.parent)
                making = asyncio.create_task(backups.make()) if busy else None
                found[busy] = await pushed(addresses, ready, connections, arguments.seconds)
                backups.going = False
                if making is not None:
                    await making
                    told += backups.told
                (data.parent / "0.tar").unlink(missing_ok=True)
            alone, beside = found[False], found[True]
            ratios.append((alone.per_s, beside.per_s / alone.per_s, alone.p99_ms, beside.p99_ms))
            print(
                f"{connections} connections: {alone.per_s:,.0f}/s alone, {beside.per_s:,.0f}/s"
                f" beside {len(told)} backups so far; p50 {alone.p50_ms:.2f} and"
                f" {beside.p50_ms:.2f} ms, p99 {alone.p99_ms:.1f} and {beside.p99_ms:.1f} ms",
                flush=True,
            )
        rate, ratio, before_ms, after_ms = (
            statistics.median(one) for one in zip(*ratios, strict=True)
        )
        print(
            f"  medians: {rate:,.0f}/s, ratio {ratio:.2f},"
            f" p99 {before_ms:.1f} and {after_ms:.1f} ms",
            flush=True,
        )
    return told


def restored(data: Path, folder: Path) -> None:
    """Back up, restore elsewhere and start; prints how long each took."""
    path, elsewhere = folder / "last.tar", folder / "elsewhere"
    made = subprocess.run(
        command("backup", str(path), "--json", data=data), check=True, capture_output=True
    )
    print("backup, nothing else going on:", made.stdout.decode())
    began_s = time.monotonic()
    said = subprocess.run(
        command("restore", str(path), "--json", data=elsewhere), check=True, capture_output=True
    )
    print(
        f"restore: {json.loads(said.stdout)['seconds']} s, {time.monotonic() - began_s:.1f} s with"
    )
    server, _, took_s = serve(elsewhere)
    print(f"start of what was restored: {took_s:.1f} s")
    asyncio.run(drained(elsewhere / "control.sock", DRAIN_S_MAX))
    print(f"everything in its store: {time.monotonic() - began_s:.1f} s after the restore began")
    server.send_signal(signal.SIGINT)
    server.wait()


def main() -> None:
    """Fill, measure in turn, restore."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fill", type=float, default=30.0, help="how long to fill before [s]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each part of a round [s]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        server, addresses, _ = serve(data)
        try:
            registered = catalog.open(data / "catalog.sqlite")
            ready = prepare(registered, secrets.server_key(data), STREAMS)
            registered.close()
            filled = asyncio.run(pushed(addresses, ready, 64, arguments.fill))
            asyncio.run(drained(data / "control.sock", DRAIN_S_MAX))
            print(f"filled with {filled.acknowledged:,} packets", flush=True)
            told = asyncio.run(rounds(arguments, data, addresses, ready))
            seconds = [one["seconds"] for one in told]
            print(f"{len(told)} backups beside pushes: {min(seconds)} to {max(seconds)} s each")
            asyncio.run(drained(data / "control.sock", DRAIN_S_MAX))
            restored(data, Path(name))
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()


if __name__ == "__main__":
    main()
