"""Measure the log: durable packets per second, beside a plain file on the same disk.

64 submitters wait for their packet's outcome and then submit the next, as 64 keep-alive
connections do. Everything runs in one process; absolute figures are the machine's, ratios
between the lines of one run are the log's.

    python scripts/bench_log.py [--packets 200000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import os
import queue
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from kilowatch.log import LogReader, LogWriter, ledger
from kilowatch.model.packet import Form
from kilowatch.wire import decode

SUBMITTERS = 64
BODY = (
    b'{"id":"meter-%06d","tsISO8601":"2026-03-29T14:05:00.000+02:00","aP_1":1234.5,"aP_2":234.25,'
    b'"aP_3":33.1,"v_1":230.1,"v_2":231.0,"v_3":229.9,"c_1":5.21,"pC_1":123456.78}'
)
Submit = Callable[[int, Any], None]


class Figures(NamedTuple):
    """Packets per second, CPU time of the process for each [µs], and each one's wait [s]."""

    rate: float
    cpu_us: float
    waits: list[float]


class GroupCommit:
    """The same queue and thread as the log's, around any way to write a list of bodies."""

    def __init__(self, write: Callable[[list[tuple[int, bytes]]], None]) -> None:
        self._write = write
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def submit(self, number: int, token: Any) -> None:
        """Queue a body; ``token`` comes back through ``done``."""
        self._queue.put((number, BODY % (number % 1_000_000), token))

    def close(self) -> None:
        """Stop the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (one := self._queue.get()) is not None:
            waiting = [one]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            if waiting[-1] is None:
                return
            self._write([(number, body) for number, body, _ in waiting])
            self.done.put([token for _, _, token in waiting])


def drive(submit: Submit, done: queue.SimpleQueue[Any], packets: int) -> Figures:
    """Keep 64 packets under way."""
    waits: list[float] = []
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for number in range(SUBMITTERS):
        submit(number, time.perf_counter())
    submitted = SUBMITTERS
    while len(waits) < packets:
        tokens = done.get()
        now = time.perf_counter()
        waits += [now - token for token in tokens]
        for _ in tokens:
            if submitted < packets:
                submit(submitted, time.perf_counter())
                submitted += 1
    cpu_us = (time.process_time() - begin_cpu) / packets * 1e6
    return Figures(packets / (time.perf_counter() - begin), cpu_us, waits)


def report(name: str, figures: Figures) -> float:
    """Print one line of the table and return the packets per second."""
    rate, cpu_us, waits = figures
    cuts = statistics.quantiles(waits, n=1000)
    p50, p99, p999 = (cuts[n] * 1e3 for n in (499, 989, 998))
    print(
        f"{name:<30}{rate:>7,.0f}/s {cpu_us:5.1f} µs CPU  wait p50 {p50:.2f} p99 {p99:.2f}"
        f" p99.9 {p999:.2f} max {max(waits) * 1e3:.1f} ms"
    )
    return rate


def fdatasync_rate(folder: Path) -> float:
    """Return how many writes of 16 KiB the disk makes durable, one after the other [1/s]."""
    file = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY)
    begin, count = time.perf_counter(), 300
    for _ in range(count):
        os.write(file, bytes(16_384))
        os.fdatasync(file)
    os.close(file)
    return count / (time.perf_counter() - begin)


def plain_file(folder: Path, packets: int) -> float:
    """Append bodies to a file, fdatasync, answer: no order, no latest packet, no recovery."""
    file = os.open(folder / "plain", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def write(waiting: list[tuple[int, bytes]]) -> None:
        os.write(file, b"\n".join(body for _, body in waiting))
        os.fdatasync(file)

    group = GroupCommit(write)
    rate = report("plain file and fdatasync", drive(group.submit, group.done, packets))
    group.close()
    os.close(file)
    return rate


def log(path: Path, packets: int, streams: int, begin: int = 0) -> float:
    """Push through ``LogWriter``: order gate, latest packet, counts, recovery."""
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    writer = LogWriter(path, on_done_batch=lambda answers: done.put([one for one, _ in answers]))
    packet = decode(BODY % 1, Form.LOCAL)
    scattered = 7_919 if streams % 7_919 else 7_907  # neighbours in time are not so in the file

    def submit(number: int, token: Any) -> None:
        one = packet._replace(at_ms=packet.at_ms + begin + number)
        series = number * scattered % streams + 1
        writer.submit(series, one, Form.LOCAL, BODY % series, one.at_ms, 1, token)

    rate = report(f"the log, {streams:,} streams", drive(submit, done, packets))
    start = time.perf_counter()
    writer.close()
    print(f"{'':<30}closed in {time.perf_counter() - start:.2f} s, {path.stat().st_size:,} bytes")
    return rate


def opening(path: Path) -> None:
    """Print what the gate costs at start: time and memory."""
    before = resident_mb()
    begin = time.perf_counter()
    writer = LogWriter(path)
    opened_s = time.perf_counter() - begin
    streams = writer.status()["streams"]
    mb = resident_mb() - before
    print(f"opened with {streams:,} streams in {opened_s:.2f} s, {mb:.0f} MB more memory")
    writer.close()
    reader = LogReader(path)
    begin = time.perf_counter()
    read = len(reader.read(0, 20_000))
    print(f"the pipeline reads {read / (time.perf_counter() - begin):,.0f} packets/s")


def resident_mb() -> float:
    """Return the process's resident memory [MB]."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to measure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        print(f"fdatasync of 16 KiB: {fdatasync_rate(folder):,.0f}/s")
        plain = plain_file(folder, arguments.packets)
        few = log(folder / "few.sqlite", arguments.packets, 100)
        many = log(folder / "many.sqlite", arguments.packets, 100_000)
        later = log(folder / "many.sqlite", arguments.packets, 100_000, begin=10**8)
        ledger.TAIL_ROWS_MAX = 0  # type: ignore[misc]
        row_few = log(folder / "row-few.sqlite", arguments.packets, 100)
        row_many = log(folder / "row-many.sqlite", arguments.packets, 100_000)
        print(f"log / plain file: {few / plain:.2f} (100 streams), {many / plain:.2f} (100,000)")
        print(f"the log again, over what it holds by then: {later / many:.2f}")
        print("each stream's row in every commit, in place of once in 20,000 packets:")
        print(f"  {row_few / few:.2f} (100 streams), {row_many / many:.2f} (100,000)")
        opening(folder / "many.sqlite")


if __name__ == "__main__":
    main()
