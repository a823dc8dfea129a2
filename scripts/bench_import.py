"""Measure what a file of history costs the platform: memory above its idle process, and time.

Usage: python scripts/bench_import.py [--lines N] [--wide]

A CSV of five-minute packets for one data point that is live already: a dial, or with ``--wide``
three phases of 18 parameters. It is looked at (dry run) and put in, as the dashboard's worker does;
the pipeline takes it from a log in memory, stores it and computes the history again. The store is
real and in a temporary folder. Resident memory is sampled every 10 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from kilowatch.client.columns import Column, Shape, lines
from kilowatch.client.history import PutIn
from kilowatch.client.source import Line
from kilowatch.log import Entry
from kilowatch.log.records import BACKFILLED
from kilowatch.model.packet import Form
from kilowatch.model.points import DataPoint
from kilowatch.pipeline import Consumer, Streams, View, importing
from kilowatch.store import ChdbStore
from kilowatch.wire import decode

START = datetime(2023, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)
MIB = 2**20
FAMILIES = ("aP", "rP", "apP", "v", "c", "pC")


@dataclass
class Points:
    """A catalogue of one data point that never changes."""

    points: dict[int, DataPoint]
    revision: int = 1

    def by_series(self, series: int) -> DataPoint | None:
        """Return the data point."""
        return self.points.get(series)


class Log:
    """A log in memory, which history is put into as well."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def read(self, after_seq: int, limit: int = 20_000) -> list[Entry]:
        """Return entries after a sequence number."""
        return self.entries[after_seq : after_seq + limit]

    def last_seq(self) -> int:
        """Return the last sequence number."""
        return len(self.entries)

    def append(self, body: bytes, flags: int) -> None:
        """Write a packet."""
        packet = decode(body, Form.LOCAL)
        self.entries.append(
            Entry(len(self.entries) + 1, 1, packet.at_ms, 0, flags, packet.at_ms, 1, body)
        )

    def put_in(
        self,
        _series: int,
        packets: Iterable[tuple[bytes, Form]],
        _actor: str,
        _reason: str = "",
        _source: Literal["import", "decision"] = "import",
    ) -> PutIn:
        """Put packets into history."""
        for body, _ in packets:
            self.append(body, BACKFILLED)
        return PutIn(backfilled=len(self.entries) - 1)


class Memory:
    """Samples resident memory until it is stopped."""

    def __init__(self) -> None:
        self.peak = self.now()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    @staticmethod
    def now() -> float:
        """Return resident memory [MiB]."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    def _sample(self) -> None:
        while not self._stopped.wait(0.01):
            self.peak = max(self.peak, self.now())

    def measured(self, work: Callable[[], object]) -> dict[str, float]:
        """Return processor seconds and the peak of some work."""
        self.peak, began_s = self.now(), time.process_time()
        work()
        return {"cpu_s": round(time.process_time() - began_s, 2), "peak_mib": round(self.peak)}

    def stop(self) -> None:
        """Stop sampling."""
        self._stopped.set()
        self._thread.join()


def file_of(count: int, parameters: list[str]) -> str:
    """Return a CSV of history; registers rise, everything else moves."""
    head = ",".join(["time", *parameters])
    rows = []
    for row in range(count):
        figures = [
            f"{row * (place + 1)}"
            if name.startswith(("pC", "value"))
            else f"{row * (place + 7) % 9973 / 10}"
            for place, name in enumerate(parameters)
        ]
        rows.append(",".join([(START + row * STEP).isoformat(), *figures]))
    return "\n".join([head, *rows])


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--wide", action="store_true")
    asked = parser.parse_args()
    names = [f"{family}_{phase}" for family in FAMILIES for phase in (1, 2, 3)]
    parameters = names if asked.wide else ["value"]
    point = DataPoint(
        id=1, series=1, stream_id="meter", name="Meter", organisation_id=1, site_id=1,
        zone="Europe/Dublin", kind="electrical" if asked.wide else "single",
        utility="electricity", unit="Wh", interval_s=300, tolerance_s=150.0, behaviour="register",
        clock="offset",
    )  # fmt: skip
    shape = Shape(
        columns=(Column("time", "time"), *(Column(name, name) for name in parameters)),
        stream="meter",
    )
    text, log = file_of(asked.lines, parameters), Log()
    last = {"id": "meter", "tsISO8601": (START + (asked.lines + 1) * STEP).isoformat()}
    log.append(json.dumps(last | dict.fromkeys(parameters, 1e9)).encode(), 0)
    now_ms = round((START + (asked.lines + 2) * STEP).timestamp() * 1000)
    with tempfile.TemporaryDirectory() as folder:
        store, streams, points = ChdbStore(Path(folder) / "store"), Streams(), Points({1: point})
        consumer = Consumer(
            log=log,
            store=store,
            state_path=Path(folder) / "pipeline.sqlite",
            points=lambda: points,
            streams=streams,
        )
        view = View(streams, log)

        def follow() -> None:
            until = 1
            while until or streams.recomputing or streams.states[1].stale:
                consumer.step()
                until = log.last_seq() - streams.seq
                time.sleep(0 if until or streams.recomputing else 0.05)
            consumer.flush()

        def read() -> list[Line]:
            return list(lines(text, shape, {"meter": "meter"}, {"meter": point.zone}))

        follow()
        memory, idle = Memory(), Memory.now()
        found = {
            "look": memory.measured(lambda: importing.dry_run(view, point, read(), now_ms)),
            "put in": memory.measured(lambda: importing.apply(log, point, read(), now_ms, "bench")),
            "pipeline": memory.measured(follow),
        }
        memory.stop()
        assert streams.states[1].packets == asked.lines + 1
        consumer.finish()
        store.close()
    for phase in found.values():
        phase["above_idle_mib"] = phase["peak_mib"] - round(idle)
    print(json.dumps({"file_mib": round(len(text) / MIB, 1), "idle_mib": round(idle), **found}))


if __name__ == "__main__":
    main()
