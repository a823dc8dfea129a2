"""Measure how long after a packet a formula's value can be read, with the real program.

    .venv/bin/python scripts/bench_formula_latency.py [--packets 40] [--formulas 300]

Starts a server of its own in a temporary folder on free ports, registers a meter of one second, a
formula of it, one of that, and so many more of the meter, and pushes a packet a second over HTTPS.
From its acknowledgement on the dashboard's data endpoint is asked again and again until the value
is there: of the meter itself, of the formula, and of the formula of the formula, in turn. So a
figure has the time of one answer in it, which is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from kilowatch import catalog
from kilowatch.catalog import bulk, bulk_apply, bulk_plan, registry
from kilowatch.catalog.tables import DataPoint

START_S_MAX, SEEN_S_MAX, BEGIN_S_MAX = 60.0, 30.0, 300.0
WARM_UP = 3
HEAD = "stream_id,name,site,utility,unit,interval,behaviour,formula\n"
WATCHED = ("fast", "double", "above")


@dataclass(slots=True)
class Running:
    """A running server, who pushes and who reads, and the numbers of data points."""

    push_url: str
    pushes: httpx.Client
    reads: httpx.Client
    numbers: dict[str, int]


def command(folder: Path, *words: str) -> list[str]:
    """Return a command of the program."""
    return [sys.executable, "-m", "kilowatch", *words, "--data", str(folder)]


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start the program; returns it and its addresses."""
    ports = ("push-http-port", "push-https-port", "dashboard-port", "dashboard-https-port")
    flags = [word for port in ports for word in (f"--{port}", "0")]
    with (folder.parent / "serve.log").open("ab") as output:
        process = subprocess.Popen(
            [*command(folder, "serve"), *flags], stdout=output, stderr=output
        )
    deadline = time.monotonic() + START_S_MAX
    while not (folder / "addresses.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("The server did not start: see serve.log.")
        time.sleep(0.05)
    addresses: dict[str, Any] = json.loads((folder / "addresses.json").read_text())
    return process, addresses


def register(folder: Path, formulas: int) -> dict[str, int]:
    """Register the meter and its formulas; returns their numbers."""
    opened = catalog.open(folder / "catalog.sqlite")
    with opened.change(catalog.Actor("bench")) as change:
        (owner,) = registry.organisations(change.session)
        site = registry.sites(change.session, owner.id)[0].name
        lines = [
            f"fast,Fast,{site},electricity,kW,1s,rate,",
            f"double,Double,{site},,,,,2 * [Fast]",
            f"above,Above,{site},,,,,[Double] + [Fast]",
            *(f"more-{n},More {n},{site},,,,,[Fast] * {n + 2}" for n in range(formulas)),
        ]
        sheet = bulk.read((HEAD + "\n".join(lines)).encode())
        digest = bulk_plan.plan(change.session, owner.id, sheet, change.now_ms).digest
        bulk_apply.apply(change, owner.id, sheet, digest)
        numbers = {one.stream_id: one.id for one in change.session.query(DataPoint)}
    opened.close()
    return numbers


def logged_in(package: dict[str, Any]) -> httpx.Client:
    """Return a session of the dashboard."""
    url = package["dashboard_url"].rstrip("/")
    client = httpx.Client(base_url=url, follow_redirects=True, timeout=60, trust_env=False)
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    form = {"email": package["dashboard_user"], "password": package["dashboard_password"]}
    client.post("/login", data={**form, "csrf": token[1], "next": "/"}).raise_for_status()
    return client


def last(running: Running, stream: str, day: str) -> float | None:
    """Return the last value of a data point that can be read [W]."""
    query = {"point": str(running.numbers[stream]), "period": "day", "date": day}
    answer = running.reads.get("/data/series", params=query | {"grain": "interval"})
    channels = answer.json().get("channels") or [{"mean": []}]
    means = [one for one in channels[0]["mean"] if one is not None]
    return float(means[-1]) if means else None


def begin(running: Running) -> None:
    """Push a packet, and wait until every formula's history is computed for the first time."""
    at = datetime.now(UTC).replace(microsecond=0)
    body = {"id": "fast", "tsISO8601": at.isoformat(), "value": 0.5}
    assert running.pushes.post(running.push_url, json=body).json() == {"status": "accepted"}
    deadline = time.monotonic() + BEGIN_S_MAX
    slowest = max(running.numbers, key=lambda name: running.numbers[name])
    while not all(last(running, name, at.date().isoformat()) for name in ("above", slowest)):
        if time.monotonic() > deadline:
            raise SystemExit(f"The formulas were not begun in {BEGIN_S_MAX:.0f} s.")
        time.sleep(0.5)


def measure(running: Running, packets: int) -> dict[str, list[float]]:
    """Return milliseconds from acknowledgement to a value that can be read, by stream."""
    factors = dict(zip(WATCHED, (1.0, 2.0, 3.0), strict=True))
    found: dict[str, list[float]] = {name: [] for name in (*WATCHED, "an answer")}
    for number in range(WARM_UP * 3 + packets * 3):
        stream = WATCHED[number % 3]
        time.sleep(1.0 - time.time() % 1.0)
        at = datetime.now(UTC).replace(microsecond=0)
        power_kw = round(1 + number / 1000, 3)
        body = {"id": "fast", "tsISO8601": at.isoformat(), "value": power_kw}
        answer = running.pushes.post(running.push_url, json=body)
        assert answer.json() == {"status": "accepted"}, answer.text
        began, wanted = time.perf_counter(), power_kw * 1000 * factors[stream]
        while True:
            asked = time.perf_counter()
            value = last(running, stream, at.date().isoformat())
            now = time.perf_counter()
            if value is not None and abs(value - wanted) < 1e-6 * wanted:
                break
            if now - began > SEEN_S_MAX:
                raise SystemExit(f"{stream} did not show the packet in {SEEN_S_MAX:.0f} s.")
        if number >= WARM_UP * 3:
            found[stream].append((now - began) * 1000)
            found["an answer"].append((now - asked) * 1000)
    return found


def bench(packets: int, formulas: int) -> None:
    """Measure with so many further formulas of the meter, and print a table's line."""
    with tempfile.TemporaryDirectory(prefix="kilowatch-latency-") as place:
        folder = Path(place) / "data"
        folder.mkdir()
        process, _ = serve(folder)
        try:
            done = subprocess.run(
                command(
                    folder, "startup-package", "--organization", "Bench", "--email",
                    "bench@example.com", "--json",
                ),
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            package = json.loads(done.stdout)
            numbers = register(folder, formulas)
            pushes = httpx.Client(
                auth=(package["username"], package["password"]), trust_env=False,
                verify=str(folder / "tls" / "cert.pem"),
            )  # fmt: skip
            time.sleep(3)  # collector and platform know the data points within a second
            running = Running(package["push_url"], pushes, logged_in(package), numbers)
            begin(running)
            found = measure(running, packets)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    told = " | ".join(
        f"{statistics.median(times):.0f} / {sorted(times)[int(len(times) * 0.95)]:.0f}"
        for times in found.values()
    )
    print(f"| {formulas + 2:,} | {told} |", flush=True)


def main() -> None:
    """Print a table: median and 95th percentile in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=40, help="of each of the three streams")
    parser.add_argument("--formulas", type=int, default=300, help="further ones of the meter")
    asked = parser.parse_args()
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"load {load}; median / 95th percentile [ms]")
    print("| formulas | the meter | a formula of it | a formula of that | one answer |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for formulas in (0, asked.formulas):
        bench(asked.packets, formulas)


if __name__ == "__main__":
    main()
