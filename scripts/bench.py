"""Measure the push server beside nginx answering a fixed 200, in one run, and write the table.

    .venv/bin/python scripts/bench.py [--seconds 10] [--connections 64] [--no-write]

Starts a server of its own in a temporary folder and, where it is installed, nginx with one
worker, both on core 0; the load generator stays on the last core. Everything is on the
loopback address, bounded in time, and ended by the script. The table goes into
docs/reference/benchmarks.md, between its markers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import os
import platform
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kilowatch import __version__, catalog
from kilowatch.bench import Figures, Load, Prepared, load, prepare, reconcile
from kilowatch.bench.generator import Mode
from kilowatch.bench.reconcile import drained, stored_counts
from kilowatch.bench.streams import next_times
from kilowatch.catalog import secrets
from kilowatch.client import Pusher, Target, Trust

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
SERVER_CORE = 0
IDLE_MIN = 0.85
START_S_MAX = 60.0
DRAIN_S_MAX = 300.0
HEADER = (
    "| | packets/s | p50 ms | p99 ms | CPU µs a packet | nginx, fixed 200: per s | p99 ms "
    "| CPU µs | share of nginx, measured | share of nginx, by CPU |"
)
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
{user}
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 120s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  ssl_certificate {cert}; ssl_certificate_key {key};
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
  server {{
    listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl;
    location / {{
      default_type application/json;
      if ($http_authorization = "") {{ return 401 '{{"status":"unauthorized"}}'; }}
      return 200 '{{"status":"accepted"}}';
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    title: str
    mode: Mode
    tls: bool


CASES = (
    Case("keep-alive", "keep-alive", tls=False),
    Case("new connection, 401 first", "new", tls=False),
    Case("keep-alive, TLS", "keep-alive", tls=True),
    Case("new connection, 401 first, TLS", "new", tls=True),
    Case("TLS handshake alone", "handshake", tls=True),
)


@dataclass(slots=True)
class Run:
    """What the script has found out so far."""

    seconds: float
    connections: int
    idle: float
    ours: dict[str, Figures] = field(default_factory=dict)
    nginx: dict[str, Figures] = field(default_factory=dict)
    whole: Figures | None = None
    drain_s: float = 0.0
    acknowledged: int = 0
    stored: int = 0
    lost: int = 0
    sync_ms: float = 0.0


def main() -> None:
    """Run every case, print the table, write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--no-write", action="store_true")
    parser.add_argument("--busy", action="store_true", help="measure on a busy machine too")
    wanted = parser.parse_args()
    idle = _idle()
    if idle < IDLE_MIN and not wanted.busy:
        sys.exit(
            f"The machine is only {idle:.0%} idle, so the figures would be somebody else's. "
            "Stop what runs on it, or measure all the same with --busy."
        )
    run = Run(min(wanted.seconds, 60.0), wanted.connections, idle)
    with tempfile.TemporaryDirectory(prefix="kilowatch-bench-") as folder:
        _measure(Path(folder), run)
    text = _table(run)
    print(text)
    if not wanted.no_write:
        _write(text)
    if run.lost:
        sys.exit(f"{run.lost} acknowledged packets are missing")


def _measure(folder: Path, run: Run) -> None:
    run.sync_ms = _sync_ms(folder)
    data = folder / "data"
    accepted: Counter[str] = Counter()
    with _kilowatch(data, "--only", "collector") as addresses:
        ready = _prepare(data, run.connections)
        pid = addresses["pids"]["collector"]
        _pin(pid)
        cert, key = data / "tls" / "cert.pem", data / "tls" / "key.pem"
        with _nginx(folder, cert, key) as nginx:
            for case in CASES:
                url = addresses["push_https" if case.tls else "push_http"]
                figures = _case(url, ready, case, run, cert, [pid])
                run.ours[case.title] = figures
                accepted.update(figures.accepted)
                if nginx is not None:
                    url, worker = nginx["https" if case.tls else "http"], int(nginx["pid"])
                    run.nginx[case.title] = _case(url, ready, case, run, cert, [worker], ask=False)
    with _kilowatch(data) as addresses:
        control = data / "control.sock"
        asyncio.run(drained(control, DRAIN_S_MAX))
        whole = Case("the whole platform", "keep-alive", tls=False)
        pids = [addresses["pids"][name] for name in ("collector", "platform")]
        run.whole = _case(addresses["push_http"], ready, whole, run, cert, pids, pin=False)
        accepted.update(run.whole.accepted)
        run.drain_s = asyncio.run(drained(control, DRAIN_S_MAX))
        after = asyncio.run(stored_counts(control, ready.streams))
    compared = reconcile(accepted, {}, after)
    run.acknowledged, run.stored = compared.acknowledged, compared.stored
    run.lost = sum(compared.lost.values())


def _case(
    url: str,
    ready: Prepared,
    case: Case,
    run: Run,
    cert: Path,
    pids: list[int],
    *,
    pin: bool = True,
    ask: bool = True,
) -> Figures:
    target = Target.parse(url, ready.username, ready.password or "", Trust(cert))

    async def measure() -> Figures:
        if ask:
            async with Pusher(target, patient=True) as pusher:
                times = await next_times(pusher, ready.streams)
        else:
            times = [(name, int(time.time()) - 86_400) for name in ready.streams]
        core = max(os.sched_getaffinity(0)) if pin else None
        wanted = Load(case.mode, run.connections, run.seconds, cpu=core)
        return await load(target, times, wanted, pids)

    figures = asyncio.run(measure())
    cpu = f"{figures.server_cpu_us:.1f} µs CPU" if figures.server_cpu_us else ""
    print(f"{case.title:32} {url.split('/')[2]:18} {figures.per_s:10,.0f}/s {cpu}", file=sys.stderr)
    if figures.other:
        print(f"  other answers: {dict(figures.other)}", file=sys.stderr)
    return figures


@contextlib.contextmanager
def _kilowatch(data: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run a server on free ports until the block ends."""
    (data / "addresses.json").unlink(missing_ok=True)
    ports = [str(port) for port in _free_ports(4)]
    flags = ("--push-http-port", "--push-https-port", "--dashboard-port", "--dashboard-https-port")
    process = subprocess.Popen(
        [sys.executable, "-m", "kilowatch", "serve", "--data", str(data), *arguments,
         *(part for pair in zip(flags, ports, strict=True) for part in pair)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        ends = time.monotonic() + START_S_MAX
        while not (data / "addresses.json").exists():
            if process.poll() is not None or time.monotonic() > ends:
                sys.exit("the server did not start")
            time.sleep(0.1)
        yield json.loads((data / "addresses.json").read_text(encoding="utf-8"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@contextlib.contextmanager
def _nginx(folder: Path, cert: Path, key: Path) -> Iterator[dict[str, str] | None]:
    """Run nginx with one worker on the server's core, or say that there is none."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        print("nginx is not installed: no comparison", file=sys.stderr)
        yield None
        return
    http, https = _free_ports(2)
    config = folder / "nginx.conf"
    user = "user root;" if os.getuid() == 0 else ""
    config.write_text(
        NGINX.format(folder=folder, user=user, cert=cert, key=key, http=http, https=https),
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(config)], stderr=subprocess.DEVNULL
    )
    try:
        worker = _child_of(process.pid)
        _pin(worker)
        yield {
            "http": f"http://localhost:{http}",
            "https": f"https://localhost:{https}",
            "pid": str(worker),
        }
    finally:
        process.terminate()
        process.wait(30)


def _child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    ends = time.monotonic() + START_S_MAX
    while time.monotonic() < ends:
        if found := children.read_text(encoding="ascii").split():
            return int(found[0])
        time.sleep(0.05)
    sys.exit("nginx did not start")


def _prepare(data: Path, streams: int) -> Prepared:
    opened = catalog.open(data / "catalog.sqlite")
    try:
        return prepare(opened, secrets.server_key(data), streams)
    finally:
        opened.close()


def _pin(pid: int) -> None:
    """Keep a process, with every thread that it has, on the server's core."""
    if len(os.sched_getaffinity(0)) < 2:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {SERVER_CORE})


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in taken]
    for sock in taken:
        sock.close()
    return ports


def _idle() -> float:
    """Return the share of the machine's CPU time that nobody used for two seconds."""

    def read() -> list[int]:
        line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
        return [int(part) for part in line.split()[1:9]]

    before = read()
    time.sleep(2)
    spent = [b - a for a, b in zip(before, read(), strict=True)]
    return (spent[3] + spent[4]) / sum(spent)  # idle and waiting for the disk


def _sync_ms(folder: Path) -> float:
    """Return the median time of a data sync of 4 KiB on this disk [ms]."""
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return sorted(times)[100] * 1000


def _table(run: Run) -> str:
    today = dt.datetime.now(dt.UTC).date()
    machine = (
        f"Kilowatch {__version__}, {today}: {len(os.sched_getaffinity(0))} cores "
        f"({_cpu_model()}), Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, "
        f"Linux {platform.release().split('-')[0]}, {run.connections} connections, "
        f"{run.seconds:.0f} s each; a data sync of this disk takes {run.sync_ms:.2f} ms; "
        f"before the run the machine was {run.idle:.0%} idle."
    )
    lines = [machine, "", HEADER, "| --- " + 9 * "| ---: " + "|"]
    lines += [_row(case.title, run.ours[case.title], run.nginx.get(case.title)) for case in CASES]
    if run.whole is not None:
        lines.append(_row("keep-alive, whole platform, all cores", run.whole, None))
    alone, pushed = run.ours["TLS handshake alone"], run.ours["new connection, 401 first, TLS"]
    cost = ""
    if alone.server_cpu_us and pushed.server_cpu_us:
        cost = f" ({alone.server_cpu_us / pushed.server_cpu_us:.2f} by CPU)"
    handshakes = (
        f"A new TLS connection for each packet, with its 401, reaches "
        f"{pushed.per_s / alone.per_s:.2f} of the rate of the handshakes alone{cost}."
    )
    kept = (
        f"Acknowledged {run.acknowledged:,}, stored {run.stored:,}, "
        f"**acknowledged − stored = {run.lost}**; the pipeline had stored everything "
        f"{run.drain_s:.1f} s after the last packet of the whole platform's run."
    )
    return "\n".join([*lines, "", handshakes, kept])


def _row(title: str, ours: Figures, nginx: Figures | None) -> str:
    mark = "*" if ours.generator_bound else ""
    row = f"| {title} | {ours.per_s:,.0f}{mark} | {ours.p50_ms:.2f} | {ours.p99_ms:.2f} "
    row += f"| {ours.server_cpu_us or 0:.1f} "
    if nginx is None:
        return row + "| | | | | |"
    mark = "*" if nginx.generator_bound else ""
    row += f"| {nginx.per_s:,.0f}{mark} | {nginx.p99_ms:.2f} | {nginx.server_cpu_us or 0:.1f} "
    row += f"| {ours.per_s / nginx.per_s:.2f} "
    by_cpu = (nginx.server_cpu_us or 0) / (ours.server_cpu_us or float("inf"))
    return row + f"| {by_cpu:.2f} |"


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def _write(text: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
