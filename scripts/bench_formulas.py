"""Measure formulas: per interval, and what many of them cost while packets come.

Usage: python scripts/bench_formulas.py [--meters 10000] [--formulas 1000] [--batches 12]

Meters are dials that send every five minutes, spread over these; each formula adds up ten of them
and divides. A round of the consumer is a second of packets. The store is real and in a temporary
folder. Figures of decision record 0026 come from here.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from kilowatch.log import Entry
from kilowatch.model.formulas import Figures, evaluate, parse, references
from kilowatch.model.points import DataPoint
from kilowatch.pipeline import Consumer, PipelineSettings, Streams
from kilowatch.store import ChdbStore

START_MS = 1_704_067_200_000  # 2024-01-01
STEP_MS = 300_000
YEAR = 35_040  # quarters of an hour
TEXTS = (
    "#1 + #2",
    "100 % * (#1 - #2) / (#1 + #2 + #3)",
    "if #1 > #2 then max(0, #1 - #2) else min(#2, #3) * 2",
    " + ".join(f"#{number}" for number in range(1, 51)),
)


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

    entries: list[Entry] = field(default_factory=list)

    def read(self, after_seq: int, limit: int = 20_000) -> list[Entry]:
        """Return entries after a sequence number."""
        return self.entries[after_seq : after_seq + limit]

    def last_seq(self) -> int:
        """Return the last sequence number."""
        return len(self.entries)

    def push(self, series: int, at_ms: int, value: int) -> None:
        """Append a packet."""
        moment = np.datetime64(at_ms, "ms")
        body = f'{{"id":"m-{series}","tsISO8601":"{moment}+00:00","value":{value}}}'
        seq = len(self.entries) + 1
        self.entries.append(Entry(seq, series, at_ms, 0, 0, at_ms, 1, body.encode()))


def meter(series: int) -> DataPoint:
    """Return a dial in kWh."""
    return DataPoint(
        id=series, series=series, stream_id=f"m-{series}", name=f"Meter {series}",
        organisation_id=1, site_id=1, zone="Europe/Dublin", kind="single", utility="electricity",
        unit="kWh", interval_s=300, tolerance_s=150.0, behaviour="register", clock="offset",
    )  # fmt: skip


def language() -> None:
    """Print what a year of quarter-hours costs to evaluate."""
    for text in TEXTS:
        tree = parse(text)
        one, none = np.linspace(1.0, 2.0, YEAR), np.zeros(YEAR, np.int64)
        figures = Figures(one, none, none - 1, none, np.ones(YEAR), none)
        inputs = dict.fromkeys(references(tree), figures)
        evaluate(tree, inputs)
        times = []
        for _ in range(5):
            began = time.process_time()
            evaluate(tree, inputs)
            times.append(time.process_time() - began)
        print(f"{min(times) / YEAR * 1e9:8.0f} ns an interval  {text[:60]}")


def live(meters: int, formulas: int, batches: int, folder: Path) -> None:
    """Print what a second of packets costs without and with formulas."""
    points = {number: meter(number) for number in range(1, meters + 1)}
    step = max(meters // max(formulas, 1), 1)
    for number in range(formulas):
        used = [(number * step + k) % meters + 1 for k in range(10)]
        text = " + ".join(f"#{one}" for one in used)
        series = meters + 1 + number
        points[series] = replace(
            meter(series), formula=f"({text}) / 10", behaviour="amount", name=f"Formula {number}"
        )
    log, streams = Log(), Streams()
    consumer = Consumer(
        log=log, store=ChdbStore(folder / "store"), state_path=folder / "pipeline.sqlite",
        points=lambda: Points(points), streams=streams,
        settings=PipelineSettings(formulas_s=0.0),
    )  # fmt: skip
    for place in range(3):
        for series in range(1, meters + 1):
            log.push(series, START_MS + place * STEP_MS, place)
    began = time.process_time()
    while consumer.step() or streams.seq < log.last_seq():
        pass
    consumer.flush()
    print(f"{meters} meters, {formulas} formulas; begun in {time.process_time() - began:.1f} s CPU")
    each = max(meters // 300, 1)
    times, walls = [], []
    for batch in range(batches):
        for number in range(each):
            series = (batch * each + number) % meters + 1
            log.push(series, START_MS + 3 * STEP_MS + batch * 1000, 3)
        began, began_wall = time.process_time(), time.perf_counter()
        consumer.step()
        times.append(time.process_time() - began)
        walls.append(time.perf_counter() - began_wall)
    told = (statistics.median(times) * 1e3, statistics.median(walls) * 1e3)
    print(f"a second of {each} packets: {told[0]:.1f} ms CPU, {told[1]:.1f} ms (median)")
    for series in range(1, meters + 1):
        log.push(series, START_MS + 5 * STEP_MS, 5)
    began, began_wall = time.process_time(), time.perf_counter()
    while streams.seq < log.last_seq():
        consumer.step()
    told = (time.process_time() - began, time.perf_counter() - began_wall)
    print(f"all {meters} at once: {told[0]:.2f} s CPU, {told[1]:.2f} s")
    consumer.finish()


def main() -> None:
    """Measure as asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meters", type=int, default=10_000)
    parser.add_argument("--formulas", type=int, default=1_000)
    parser.add_argument("--batches", type=int, default=12)
    asked = parser.parse_args()
    language()
    for formulas in (0, asked.formulas):
        with tempfile.TemporaryDirectory() as folder:
            live(asked.meters, formulas, asked.batches, Path(folder))


if __name__ == "__main__":
    main()
