"""Measure exports of an estate: rows a second, memory above idle, and pages meanwhile.

    .venv/bin/python scripts/estate.py DIR          # once
    .venv/bin/python scripts/bench_exports.py DIR [--formats csv,parquet] [--sites N] [--write]

Starts the real program on free ports, logs in, and fetches every interval of every data point in
each format, as a browser would; what comes is counted and thrown away. Excel gets as many data
points as fit on a sheet. Memory is the platform's peak while it sends, and how much of it is
above what it had before; a page is asked for once a second meanwhile. When the server has stopped,
the rows of every data point are counted in its store, and in the Parquet file: what a whole export
lacks or has too much is named. ``--write`` puts the table into docs/reference/benchmarks.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kilowatch import __version__, catalog  # noqa: E402
from kilowatch.catalog import directory  # noqa: E402
from kilowatch.cli.folder import DataFolder  # noqa: E402
from kilowatch.exports.definition import Definition  # noqa: E402
from kilowatch.exports.fields import fields_of  # noqa: E402
from kilowatch.store import ChdbStore  # noqa: E402
from scripts.bench_estate import (  # noqa: E402
    _cpu_s,
    _kilowatch,
    _log_in,
    _peak_mib,
    _settled,
)
from scripts.bench_export_memory import HEAD, Held  # noqa: E402
from scripts.estate import ROOMY  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
BEGIN, END = "<!-- exports:begin -->", "<!-- exports:end -->"
SHEET_POINTS = 90
"""Hourly data points whose year fits on a sheet."""
SERIES_TOGETHER = 250  # counted by one statement: their instants lie in memory


@dataclass(frozen=True, slots=True)
class Run:
    """One export; ``by_stream`` is counted in the file, where its format is quick to read."""

    title: str
    rows: int
    size: int
    seconds: float
    first_s: float
    cpu_s: float
    peak_mib: float
    above_mib: float
    page_ms: float
    by_stream: Counter[str]
    held: Held


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--formats", default="csv,parquet,hyper,xlsx")
    parser.add_argument("--sites", type=int, default=0, help="only so many sites of the estate")
    parser.add_argument("--write", action="store_true")
    wanted = parser.parse_args()
    load = os.getloadavg()[0]
    runs = []
    with _kilowatch(wanted.folder) as (addresses, pids):
        url, pid = addresses["dashboard_http"], pids["platform"]
        client = _log_in(url)
        _settled(client)
        organisation = re.findall(r"/organization/(\d+)", client.get("/tree").text)[0]
        for word in wanted.formats.split(","):
            places = [("place", f"o{organisation}")]
            if word == "xlsx":
                found = re.findall(r"/breakdown/(\d+)", client.get("/tree?q=circuit").text)
                places = [("place", f"p{number}") for number in found[:SHEET_POINTS]]
            elif wanted.sites:
                places = [("place", f"s{number}") for number in range(1, wanted.sites + 1)]
            runs.append(_run(client, pid, word, places))
            print(_line(runs[-1]), file=sys.stderr)
    text = f"{_table(runs, load)}\n\n{HEAD}\n"
    text += "\n".join(line for run in runs for line in run.held.lines(run.title))
    if not wanted.sites:
        text += f"\n\n{_counted(runs, _stored(wanted.folder))}"
    print(text)
    if wanted.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _run(client: httpx.Client, pid: int, word: str, places: list[tuple[str, str]]) -> Run:
    query: list[tuple[str, Any]] = [*places, ("period", "everything"), ("grain", "interval")]
    query.append(("format", word))
    idle, _ = _peak_mib(pid)
    by_stream: Counter[str] = Counter()
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    began_cpu_s, began_s = _cpu_s(pid), time.monotonic()
    pages: list[float] = []
    over = threading.Event()
    asking = threading.Thread(target=_ask, args=(client, pages, over), daemon=True)
    asking.start()
    first_s, rows, held = 0.0, -1, Held(pid)
    with (
        tempfile.TemporaryFile() as kept,
        client.stream("GET", "/export/file", params=query, timeout=None) as answer,
        held.watched(),
    ):
        assert answer.status_code == 200, answer.read()[:500]
        for piece in answer.iter_bytes(1 << 20):
            first_s = first_s or time.monotonic() - began_s
            held.size += len(piece)
            if word == "csv":
                rows += piece.count(b"\n")
            else:
                kept.write(piece)
        seconds = time.monotonic() - began_s
        cpu_s, peak = _cpu_s(pid) - began_cpu_s, _peak_mib(pid)[1]
        over.set()
        asking.join()
        if word != "csv":
            rows = _rows(word, kept)
        if word == "parquet":
            by_stream = _by_stream(kept)
    return Run(
        word, rows, held.size, seconds, first_s, cpu_s, peak, peak - idle,
        statistics.median(pages) if pages else 0.0, by_stream, held,
    )  # fmt: skip


def _ask(client: httpx.Client, pages: list[float], over: threading.Event) -> None:
    """Ask for a page once a second, as a colleague would."""
    with httpx.Client(base_url=client.base_url, cookies=client.cookies, timeout=60) as own:
        number = re.findall(r"/breakdown/(\d+)", own.get("/tree?q=five").text)[0]
        while not over.wait(1.0):
            began_s = time.perf_counter()
            own.get(f"/data/series?point={number}&period=month")
            pages.append((time.perf_counter() - began_s) * 1000)


def _by_stream(kept: IO[bytes]) -> Counter[str]:
    """Return how many rows a Parquet file has of each data point."""
    kept.seek(0)
    file, found = pq.ParquetFile(kept), Counter[str]()
    for batch in file.iter_batches(1_000_000, columns=["stream_id"]):
        for one in pa.array(batch.column(0)).value_counts().to_pylist():
            found[one["values"]] += one["counts"]
    return found


def _stored(data: Path) -> Counter[str]:
    """Return how many values of each data point the store holds that an export has to tell."""
    folder = DataFolder(data)
    registered = catalog.open(folder.catalog)
    points = directory.load(registered, "development").points
    registered.close()
    store, series = ChdbStore(folder.store, ROOMY), sorted(points)
    counts: dict[int, dict[int, int]] = {}
    for first in range(0, len(series), SERIES_TOGETHER):
        some = series[first : first + SERIES_TOGETHER]
        for one in store._engine.query(  # noqa: SLF001 - no door of the store only counts
            "SELECT series, channel, uniqExact(start) AS n FROM interval "
            f"WHERE series IN ({', '.join(map(str, some))}) GROUP BY series, channel",
            page=False,
        ).to_pylist():
            counts.setdefault(one["series"], {})[one["channel"]] = one["n"]
    store.close()
    return Counter(
        {
            point.stream_id: sum(found.get(field.channel, 0) for field in fields)
            for point in points.values()
            if (found := counts.get(point.series))
            and (fields := fields_of(point, sorted(found), Definition(grain="interval")))
        }
    )


def _counted(runs: list[Run], stored: Counter[str]) -> str:
    """Return how the files compare with the store."""
    lines = [f"The store holds {stored.total():,} such values of {len(stored):,} data points."]
    for run in runs:
        if run.by_stream:
            other = {
                name
                for name in stored.keys() | run.by_stream.keys()
                if stored[name] != run.by_stream[name]
            }
            shown = ", ".join(
                f"{name} {run.by_stream[name]:,} of {stored[name]:,}" for name in sorted(other)[:9]
            )
            lines.append(f"{run.title}: {len(other)} data points have another number. {shown}")
        elif run.title != "xlsx":
            lines.append(f"{run.title}: {run.rows - stored.total():+,} rows.")
    return "\n".join(lines)


def _rows(word: str, kept: IO[bytes]) -> int:
    """Return how many rows a file has, read with the library of its format."""
    kept.seek(0)
    if word == "parquet":
        return int(pq.ParquetFile(kept).metadata.num_rows)
    if word == "xlsx":
        from python_calamine import CalamineWorkbook  # noqa: PLC0415 - for this format only

        return int(CalamineWorkbook.from_filelike(kept).get_sheet_by_index(0).height) - 1
    from tableauhyperapi import Connection, HyperProcess, Telemetry  # noqa: PLC0415 - optional

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "read.hyper"
        with path.open("wb") as file:
            while piece := kept.read(1 << 20):
                file.write(piece)
        options: dict[str, Any] = {"log_config": ""}
        with (
            HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=options) as hyper,
            Connection(hyper.endpoint, str(path)) as connection,
        ):
            count = 'SELECT count(*) FROM "Extract"."Extract"'
            return int(connection.execute_scalar_query(count))


def _line(run: Run) -> str:
    return (
        f"| {run.title} | {run.rows:,} | {run.size / 2**20:,.0f} | {run.seconds:,.0f} "
        f"| {run.rows / run.seconds:,.0f} | {run.cpu_s:,.0f} | {run.first_s:.1f} "
        f"| {run.peak_mib:,.0f} | {run.above_mib:,.0f} | {run.page_ms:,.0f} |"
    )


def _table(runs: list[Run], load: float) -> str:
    head = [
        (
            f"Kilowatch {__version__}, {dt.datetime.now(dt.UTC).date()}: {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, load average {load:.1f} before the run."
        ),
        "",
        (
            "| format | rows | MiB | s | rows/s | CPU s | first byte s "
            "| peak MiB | MiB above idle | page meanwhile, p50 ms |"
        ),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return "\n".join([*head, *map(_line, runs)])


if __name__ == "__main__":
    main()
