"""Measure the pipeline on this machine: packets a second, bytes a packet, time of a page's read.

Usage: python scripts/bench_pipeline.py [--meters N] [--days N] [--live] [--pace RATE]

A log in memory holds 5-minute packets of 18 parameters (three phases of active, reactive and
apparent power, voltage, current and imported energy); the store is real and in a temporary
folder. Figures of decision records 0004 and 0005 come from here.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from kilowatch.log import Entry
from kilowatch.model.parameters import AP
from kilowatch.model.points import DataPoint
from kilowatch.pipeline import Consumer, PipelineSettings, Streams, View
from kilowatch.store import ChdbStore

START_MS = 1_704_067_200_000  # 2024-01-01
STEP_MS = 300_000
DAY_MS = 86_400_000
MIB = 2**20


@dataclass
class Points:
    """A catalogue that never changes."""

    points: dict[int, DataPoint]
    revision: int = 1

    def by_series(self, series: int) -> DataPoint | None:
        """Return a data point."""
        return self.points.get(series)


@dataclass
class Log:
    """A log in memory."""

    entries: list[Entry]

    def read(self, after_seq: int, limit: int = 20_000) -> list[Entry]:
        """Return entries after a sequence number."""
        return self.entries[after_seq : after_seq + limit]

    def last_seq(self) -> int:
        """Return the last sequence number."""
        return len(self.entries)


def meter(series: int) -> DataPoint:
    """Return a three-phase meter."""
    return DataPoint(
        id=series, series=series, stream_id=f"meter-{series}", name=f"Meter {series}",
        organisation_id=1, site_id=1, zone="Europe/Dublin", kind="electrical",
        utility="electricity", unit="W", interval_s=300, tolerance_s=150.0, behaviour="register",
        clock="offset",
    )  # fmt: skip


def packets(series: int, days: int, seed: int) -> list[tuple[int, bytes]]:
    """Return (instant, body) of a meter's history: a daily shape, noise, rounded decimals."""
    random = np.random.default_rng(seed)
    count = days * 288
    at_ms = START_MS + np.arange(count) * STEP_MS
    shape = np.sin(np.arange(count) / 288 * 2 * np.pi - 1.5)
    columns: dict[str, list[float]] = {}
    for phase in ("1", "2", "3"):
        power = np.clip(2500 + 1800 * shape + random.normal(0, 300, count), 50, None)
        reactive = power * 0.2 + random.normal(0, 30, count)
        voltage = 231 + random.normal(0, 1.5, count)
        columns[f"aP_{phase}"] = np.round(power, 1).tolist()
        columns[f"rP_{phase}"] = np.round(reactive, 1).tolist()
        columns[f"apP_{phase}"] = np.round(np.hypot(power, reactive), 1).tolist()
        columns[f"v_{phase}"] = np.round(voltage, 1).tolist()
        columns[f"c_{phase}"] = np.round(np.hypot(power, reactive) / voltage, 2).tolist()
        columns[f"pC_{phase}"] = np.round(np.cumsum(power / 12)).tolist()
    bodies = []
    for row, at in enumerate(at_ms.tolist()):
        moment = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")
        values = {name: column[row] for name, column in columns.items()}
        text = json.dumps({"id": f"meter-{series}", "tsISO8601": moment, **values})
        bodies.append((at, text.encode()))
    return bodies


def entries(meters: int, days: int) -> list[Entry]:
    """Return the log: each meter's history after the other's, as an import sends it."""
    found: list[Entry] = []
    for series in range(1, meters + 1):
        for at_ms, body in packets(series, days, series):
            found.append(Entry(len(found) + 1, series, at_ms, 0, 0, at_ms + 900, 1, body))
    return found


def interleaved(found: list[Entry], meters: int) -> list[Entry]:
    """Return the same packets as they come live: every meter's packet of a moment together."""
    order = np.arange(len(found)).reshape(meters, -1).T.ravel()
    return [found[row]._replace(seq=place + 1) for place, row in enumerate(order.tolist())]


def run(log: Log, points: Points, folder: Path) -> tuple[float, float, View, ChdbStore]:
    """Follow a log to its end; return wall and processor seconds, and what can be asked."""
    store = ChdbStore(folder / "store")
    streams = Streams()
    consumer = Consumer(
        log=log,
        store=store,
        state_path=folder / "pipeline.sqlite",
        points=lambda: points,
        streams=streams,
        settings=PipelineSettings(),
    )
    began, began_cpu = time.perf_counter(), time.process_time()
    while streams.seq < log.last_seq():
        consumer.step()
    consumer.finish()
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    return wall_s, cpu_s, View(streams, log), store


class PacedLog(Log):
    """A log in which so many packets a second appear."""

    def __init__(self, found: list[Entry], rate: float) -> None:
        super().__init__(found)
        self.rate = rate
        self.began = time.perf_counter()

    def last_seq(self) -> int:
        """Return how many packets there are by now."""
        return min(len(self.entries), int((time.perf_counter() - self.began) * self.rate))

    def read(self, after_seq: int, limit: int = 20_000) -> list[Entry]:
        """Return what has appeared by now."""
        return self.entries[after_seq : min(after_seq + limit, self.last_seq())]


def pace(found: list[Entry], points: Points, folder: Path, rate: float) -> None:
    """Follow a log that grows at a steady rate, woken 20 times a second, and print the delay."""
    store = ChdbStore(folder / "store")
    streams = Streams()
    log = PacedLog(found, rate)
    consumer = Consumer(
        log=log, store=store, state_path=folder / "pipeline.sqlite", points=lambda: points,
        streams=streams,
    )  # fmt: skip
    thread = threading.Thread(target=consumer.run)
    thread.start()
    delays: list[tuple[float, int]] = []
    log.began = time.perf_counter()
    seen = 0
    while streams.seq < len(found):
        time.sleep(0.05)
        consumer.wake()
        now_s, seq = time.perf_counter() - log.began, streams.seq
        if seq > seen:
            # The oldest of those that have become visible since we last looked.
            delays.append((now_s - seen / rate, seq - seen))
            seen = seq
    consumer.stop()
    thread.join()
    waited = np.repeat([delay for delay, _ in delays], [count for _, count in delays])
    p50, p99, longest = np.percentile(waited, (50, 99, 100))
    print(
        f"{f'{rate:,.0f} packets/s, seen after':<34}{p50:>10.2f} s (p50), {p99:.2f} s (p99), "
        f"{longest:.2f} s at most"
    )
    store.close()


def median_ms(ask: Callable[[], object], times: int = 15) -> float:
    """Return the median time of a question [ms]."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def report(name: str, wall_s: float, cpu_s: float, count: int) -> None:
    """Print a rate."""
    cpu_us = 1e6 * cpu_s / count
    print(f"{name:<34}{count / wall_s:>10,.0f} packets/s   {cpu_us:>6.1f} µs CPU a packet")


def sizes(store: ChdbStore, count: int) -> None:
    """Print bytes a packet after the last merge."""
    for table in ("reading", "interval", "rollup"):
        store._engine.execute(f"OPTIMIZE TABLE {table} FINAL")  # noqa: SLF001 - a measurement
        parts = store._engine.query(  # noqa: SLF001
            "SELECT sum(bytes_on_disk) AS b, sum(rows) AS r FROM system.parts "
            f"WHERE active AND table = '{table}'"
        ).to_pylist()[0]
        print(
            f"{table:<34}{parts['b'] / count:>10.1f} bytes a packet, {parts['r'] / count:.1f} rows"
        )


def reads(view: View, point: DataPoint, days: int) -> None:
    """Print how long a page's questions take, warm."""
    end = START_MS + days * DAY_MS
    month = min(30, days) * DAY_MS
    for name, from_ms, grain in (
        ("a year of hours", START_MS, "hour"),
        ("a year of days", START_MS, "day"),
        ("a month of 5 minutes", end - month, "interval"),
        ("a day of 5 minutes", end - DAY_MS, "interval"),
    ):
        rows = len(view.series(point, [AP], from_ms, end, grain))  # type: ignore[arg-type]
        taken = median_ms(lambda: view.series(point, [AP], from_ms, end, grain))  # type: ignore[arg-type]  # noqa: B023
        print(f"{name:<34}{taken:>10.1f} ms, {rows:,} rows")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meters", type=int, default=1)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--live", action="store_true", help="all meters' packets interleaved")
    parser.add_argument("--pace", type=float, help="packets a second; print the delay only")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    found = entries(options.meters, options.days)
    if options.live:
        found = interleaved(found, options.meters)
    points = Points({series: meter(series) for series in range(1, options.meters + 1)})
    with tempfile.TemporaryDirectory() as folder:
        if options.pace:
            pace(found, points, Path(folder), options.pace)
            return
        profile = cProfile.Profile() if options.profile else None
        if profile:
            profile.enable()
        wall_s, cpu_s, view, store = run(Log(found), points, Path(folder))
        if profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        report("log to store", wall_s, cpu_s, len(found))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{'memory, with the log in it':<34}{peak:>10,} MiB at most")
        sizes(store, len(found))
        reads(view, points.points[1], options.days)
        store.close()


if __name__ == "__main__":
    main()
