"""Measure a server with an estate in it: start, pages, memory; print the table.

    .venv/bin/python scripts/estate.py DIR          # once, 4 minutes
    .venv/bin/python scripts/estate_findings.py DIR DEMO  # once: waste and events to show
    .venv/bin/python scripts/bench_estate.py DIR [--times 15] [--write]

Starts the real program on free ports, logs in, and asks for each page one after the other, as one
person would: some 4 minutes on a quiet machine. Server time is the whole request over the loopback
address; processor time is what the platform's process spent, which holds on a busy machine too.
``--write`` puts the table into docs/reference/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kilowatch import __version__

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"
BEGIN, END = "<!-- estate:begin -->", "<!-- estate:end -->"
ACCOUNT, PASSWORD = "estate@example.com", "an estate of ten thousand"
START_S_MAX = 60.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    title: str
    p50_ms: float
    worst_ms: float
    cpu_ms: float
    kib: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--write", action="store_true")
    wanted = parser.parse_args()
    load = os.getloadavg()[0]
    starts = [_start_s(wanted.folder) for _ in range(2)]
    with _kilowatch(wanted.folder) as (addresses, pids):
        client = _log_in(addresses["dashboard_http"])
        _settled(client)
        facts = _facts(client)
        lines = [_measure(client, pids["platform"], *page, wanted.times) for page in _pages(client)]
        memory = {name: _peak_mib(pids[name]) for name in ("collector", "platform")}
    text = _table(facts, load, starts, lines, memory)
    print(text)
    if wanted.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


@contextlib.contextmanager
def _kilowatch(data: Path) -> Iterator[tuple[dict[str, Any], dict[str, int]]]:
    """Run a server on free ports until the block ends."""
    (data / "addresses.json").unlink(missing_ok=True)
    names = ("--push-http-port", "--push-https-port", "--dashboard-port", "--dashboard-https-port")
    ports = [part for name in names for part in (name, "0")]
    process = subprocess.Popen(
        [sys.executable, "-m", "kilowatch", "serve", "--data", str(data), *ports],
        stdout=subprocess.DEVNULL,
    )
    try:
        ends = time.monotonic() + START_S_MAX
        while not (data / "addresses.json").exists():
            if process.poll() is not None or time.monotonic() > ends:
                sys.exit("the server did not start")
            time.sleep(0.01)
        addresses = json.loads((data / "addresses.json").read_text(encoding="utf-8"))
        yield addresses, addresses["pids"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _start_s(data: Path) -> tuple[float, float, float]:
    """Return the time until pages and pushes are answered, and until measurements are [s].

    The third is the processor time of all three processes until then [s].
    """
    began_s = time.monotonic()
    with _kilowatch(data) as (addresses, pids):
        serving_s = time.monotonic() - began_s
        with httpx.Client(base_url=addresses["dashboard_http"]) as client:
            while True:
                checks = client.get("/health/ready").json().get("checks", {})
                if checks.get("store", {}).get("state") == "ok":
                    measured_s = time.monotonic() - began_s
                    return serving_s, measured_s, sum(map(_cpu_s, pids.values()))
                time.sleep(0.02)


def _log_in(url: str) -> httpx.Client:
    client = httpx.Client(base_url=url, timeout=300, headers={"accept": "text/html"})
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/login").text)
    assert found
    form = {"csrf": found[1], "email": ACCOUNT, "password": PASSWORD}
    answer = client.post("/login", data=form)
    assert answer.status_code == 303, answer.text[:500]
    return client


def _settled(client: httpx.Client) -> None:
    """Wait until the pipeline has taken in what the log holds."""
    while client.get("/health/ready").json()["checks"]["store"]["state"] != "ok":
        time.sleep(0.1)
    time.sleep(12)  # the last packets are flushed to the store


def _facts(client: httpx.Client) -> dict[str, float]:
    """Return gauges without labels and with one, by name."""
    found = {}
    for line in client.get("/metrics").text.splitlines():
        if match := re.fullmatch(r'kilowatch_(\w+)(?:\{\w+="(\w+)"\})? ([0-9.e+]+)', line):
            found[match[1] + (f".{match[2]}" if match[2] else "")] = float(match[3])
    return found


def _pages(client: httpx.Client) -> list[tuple[str, str]]:
    """Return a title and an address for everything that is measured."""
    organisation = re.findall(r"/organization/\d+", client.get("/tree").text)[0]
    search = client.get("/tree?q=site+001+five").text
    fine = int(re.findall(r"/breakdown/(\d+)", search)[0])
    plain = int(re.findall(r"/breakdown/(\d+)", client.get("/tree?q=site+100+circuit").text)[0])
    site = int(re.findall(r"/site/(\d+)", client.get("/tree?q=site+100+circuit").text)[0])
    year, month = (f"/data/series?point={fine}&period={period}" for period in ("year", "month"))
    cards = ",".join(re.findall(r"/breakdown/(\d+)", client.get(f"/site/{site}").text)[:60])
    circuits = ",".join(cards.split(",")[:12])
    return [
        ("home", "/"),
        ("home, one site's figures", f"/home/site/{site}"),
        ("the organisation", organisation),
        ("a site", f"/site/{site}"),
        ("its cards: today's figures", f"/data/today?points={cards}"),
        ("tree", "/tree"),
        ("one branch of the tree", f"/tree?branch=site-{site}"),
        ("search, 100 found of 8,800", "/tree?q=circuit"),
        ("search, one found", "/tree?q=site+100+circuit+07"),
        ("search, none found", "/tree?q=nothing+of+this+name"),
        ("admin table", "/admin/data-points"),
        ("admin form", f"/admin/data-points/{plain}"),
        ("new formula", f"/admin/data-points/new-formula?site={site}"),
        ("data points for a formula", f"/admin/formula/names?site={site}&find=circuit+07"),
        ("attributes", f"/attributes/{plain}"),
        ("attributes, panels", f"/attributes/{plain}/panels"),
        ("breakdown, frame", f"/breakdown/{plain}"),
        ("breakdown, year by hours of an hourly point", f"/data/series?point={plain}&period=year"),
        ("breakdown, year of a 5-minute point", year),
        ("breakdown, month of a 5-minute point", month),
        (
            "breakdown, that year beside the year before",
            f"/data/series?point={fine}&period=year&compare=year",
        ),
        ("breakdown, comments of a month", f"/data/comments?point={fine}&from=1&to=2678400001"),
        ("breakdown of a site, frame", f"/breakdown/site/{site}"),
        ("breakdown of a site, a month", f"/breakdown/site/{site}/series?period=month"),
        ("breakdown of a site, a year", f"/breakdown/site/{site}/series?period=year"),
        (
            "breakdown of a site, a month compared",
            f"/breakdown/site/{site}/series?period=month&compare=previous",
        ),
        (
            "what lies over a site's month",
            f"/breakdown/site/{site}/overlays?from=1793491200000&to=1796083200000",
        ),
        (
            "days with data of a month",
            f"/data/days?point={fine}&month={dt.datetime.now(dt.UTC):%Y-%m}",
        ),
        ("heat map, frame", f"/heatmap/{fine}"),
        ("heat map, year of a 5-minute point", f"/data/heatmap?point={fine}&period=12m"),
        ("heat map, the same by 15 min", f"/data/heatmap?point={fine}&period=12m&bin=15"),
        ("heat map, year of an hourly point", f"/data/heatmap?point={plain}&period=12m"),
        ("load profile, frame", f"/profile/{fine}"),
        ("load profile, year of a 5-minute point", f"/data/profile?point={fine}&period=12m"),
        ("load profile, two years of it", f"/data/profile?point={fine}&period=12m&against=year"),
        ("energy flow, frame", f"/flow?place=s{site}"),
        ("energy flow, a site's month", f"/data/flow?place=s{site}&period=month"),
        ("energy flow, a site's year", f"/data/flow?place=s{site}&period=year"),
        ("compare, frame", "/compare"),
        ("compare, month of two sites of 100", "/data/compare?period=month"),
        (
            "compare, month of ten data points",
            f"/data/compare?period=month&items={','.join('p' + n for n in cards.split(',')[:10])}",
        ),
        ("sentinel", f"/sentinel?place=s{site}"),
        ("sentinel, its circuits", f"/data/circuits?points={circuits}"),
        ("waste, as it opens", "/waste"),
        ("waste, everything", "/waste?place=all"),
        ("waste, one site", f"/waste?place=s{site}"),
        ("forecast", f"/forecast?place=s{site}"),
        ("forecast, a site's table", f"/forecast/site?place=s{site}"),
        ("export, its page", f"/export?place=s{site}"),
        ("export, preview of a site", f"/export/preview?place=s{site}&grain=hour"),
        ("export, preview of everything", f"/export/preview?place=o{organisation[14:]}"),
        ("readiness", "/health/ready"),
        ("metrics", "/metrics"),
    ]


def _measure(client: httpx.Client, pid: int, title: str, address: str, times: int) -> Line:
    for _ in range(2):
        answer = client.get(address)
        assert answer.status_code == 200, (address, answer.status_code, answer.text[:300])
    taken = []
    began_cpu_s = _cpu_s(pid)
    for _ in range(times):
        began_s = time.perf_counter()
        client.get(address)
        taken.append((time.perf_counter() - began_s) * 1000)
    cpu_ms = (_cpu_s(pid) - began_cpu_s) / times * 1000
    line = Line(
        title, statistics.median(taken), max(taken), cpu_ms, answer.num_bytes_downloaded / 1024
    )
    print(f"{title:46} {line.p50_ms:8.1f} ms  CPU {cpu_ms:7.1f} ms  {address}", file=sys.stderr)
    return line


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def _peak_mib(pid: int) -> tuple[float, float]:
    """Return the memory now and the most it was [MiB]."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    now, peak = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmRSS", "VmHWM"))
    assert now
    assert peak
    return int(now[1]) / 1024, int(peak[1]) / 1024


def _table(
    facts: dict[str, float],
    load: float,
    starts: list[tuple[float, float, float]],
    lines: list[Line],
    memory: dict[str, tuple[float, float]],
) -> str:
    serving_s, store_s, start_cpu_s = starts[-1]
    head = [
        (
            f"Kilowatch {__version__}, {dt.datetime.now(dt.UTC).date()}: {os.cpu_count()} cores, "
            f"Python {platform.python_version()}, load average {load:.1f} before the run. "
            f"{facts['streams.registered']:,.0f} data points, store "
            f"{facts['size_bytes.store'] / 2**30:.1f} GiB."
        ),
        "",
        (
            f"Start: pages and pushes answered after {serving_s:.1f} s, measurements after "
            f"{store_s:.1f} s; {start_cpu_s:.1f} s of processor time. "
            "Memory, at the end and at most: collector "
            f"{memory['collector'][0]:.0f} and {memory['collector'][1]:.0f} MiB, platform "
            f"{memory['platform'][0]:.0f} and {memory['platform'][1]:.0f} MiB."
        ),
        "",
        "| page | p50 ms | worst ms | CPU ms | packed KiB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    rows = [
        f"| {one.title} | {one.p50_ms:.0f} | {one.worst_ms:.0f} | {one.cpu_ms:.0f} "
        f"| {one.kib:.0f} |"
        for one in lines
    ]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    main()
