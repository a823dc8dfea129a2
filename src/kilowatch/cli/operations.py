"""What the platform process knows of its own health, and of the collector's."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from starlette.concurrency import run_in_threadpool

from kilowatch.catalog import Catalog, sessions, verdicts
from kilowatch.catalog.directory import Directory
from kilowatch.cli.folder import DataFolder
from kilowatch.health import Facts, Report, judge, metrics
from kilowatch.health.deadman import DeadMan
from kilowatch.health.deliveries import Deliveries
from kilowatch.health.process import folder_bytes, process_facts
from kilowatch.health.uptime import Run
from kilowatch.log import LogReader
from kilowatch.model.durations import Durations
from kilowatch.model.errors import KilowatchError
from kilowatch.pipeline.insight.knowledge import Backlog
from kilowatch.pipeline.streams import Streams
from kilowatch.pipeline.view import View

KEPT_S = 1.0  # a report is good for a second: whoever asks more often costs nothing
SIZES_KEPT_S = 60.0  # a big store has thousands of files
TIMEOUT_S = 5.0
CLOCK_KEPT_S = 3_600.0


class Clock:
    """Compares the wall clock with the one that never goes back."""

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()
        self._step_s = 0.0
        self._stepped_at = -CLOCK_KEPT_S

    def step_ms(self) -> int:
        """Return by how much the clock was set within the last hour [ms]."""
        now_s = time.monotonic()
        offset_s = time.time() - now_s
        moved_s, self._offset_s = offset_s - self._offset_s, offset_s
        if abs(moved_s) > 1.0:
            self._step_s, self._stepped_at = moved_s, now_s
        return round(self._step_s * 1000) if now_s - self._stepped_at < CLOCK_KEPT_S else 0


class Certificate:
    """When the certificate expires; its file is read again when it changes.

    Args:
        path: Its PEM file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._told: dict[str, Any] = {}

    def told(self) -> dict[str, Any]:
        """Return file, expiry and fault, ready for JSON."""
        try:
            stat = self._path.stat()
            if (stamp := (stat.st_mtime_ns, stat.st_ino)) != self._stamp:
                read = x509.load_pem_x509_certificate(self._path.read_bytes())
                self._stamp = stamp
                expires_ms = round(read.not_valid_after_utc.timestamp() * 1000)
                self._told = {"file": self._path.name, "expires_ms": expires_ms, "fault": ""}
        except (OSError, ValueError) as error:
            self._stamp = None
            return {"file": self._path.name, "expires_ms": None, "fault": _words(error)}
        return self._told


@dataclass(slots=True)
class Parts:
    """What there is to look at.

    Attributes:
        folder: The data folder.
        catalog: The registry.
        view: Measurements.
        log: Packets.
        streams: What the pipeline shows and counts.
        directory: Returns the registered data points.
        query_times: How long the store's queries took, by who asked; empty while it opens.
        certificate: The certificate's file; None while there is none of ours.
        deliveries: Fed by whoever delivers notifications; None where nobody does.
        live_pages: How many live streams are open.
        deadman: The dead man's ping, if there is one.
        silences_fault: Why silent streams are not found, or an empty string.
        insights: Returns how far insights are behind; None where there are none.
    """

    folder: DataFolder
    catalog: Catalog
    view: View
    log: LogReader
    streams: Streams
    directory: Callable[[], Directory]
    query_times: Callable[[], Mapping[str, Durations]]
    certificate: Path | None = None
    deliveries: Deliveries | None = None
    live_pages: Callable[[], int] = lambda: 0
    deadman: DeadMan | None = None
    silences_fault: Callable[[], str] = str
    insights: Callable[[], Backlog] | None = None


class Operations:
    """Answers ``/health/ready``, ``/metrics`` and the platform's part of ``kilowatch status``.

    Args:
        parts: What there is to look at.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.page_times: dict[str, Durations] = {}
        self._clock = Clock()
        self._certificate = Certificate(parts.certificate) if parts.certificate else None
        self._sizes: tuple[float, dict[str, int]] = (-SIZES_KEPT_S, {})
        self._report: Report | None = None
        self._reported_s = 0.0
        self._looking = asyncio.Lock()
        self._collector = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(parts.folder.collector_socket)),
            base_url="http://collector",
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    async def report(self) -> Report:
        """Look at everything, at most once a second; never raises."""
        async with self._looking:
            now_s = time.monotonic()
            if self._report is None or now_s - self._reported_s > KEPT_S:
                collector = await self._ask_collector()
                platform = await run_in_threadpool(self.platform)
                maintenance = self._parts.folder.maintenance.exists()
                facts = Facts(collector, platform, maintenance, time.time_ns() // 1_000_000)
                self._report, self._reported_s = judge(facts), now_s
            return self._report

    async def metrics(self) -> bytes:
        """Return the metrics of both processes."""
        report = await self.report()
        return await run_in_threadpool(self._metrics, report)

    async def close(self) -> None:
        """Let go of the collector's socket."""
        await self._collector.aclose()

    async def _ask_collector(self) -> dict[str, Any] | None:
        try:
            answer = await self._collector.get("/status")
            said: dict[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return None
        return said

    def platform(self) -> dict[str, Any]:
        """Return what the judgement needs of this process, ready for JSON."""
        parts = self._parts
        disk = shutil.disk_usage(parts.folder.root)
        return {
            "busy": parts.view.busy(),
            "lag": self._lag(),
            "turn_age_s": parts.streams.meters.turn_age_s(),
            "silences": {"fault": parts.silences_fault()},
            "insights": asdict(parts.insights()) if parts.insights else None,
            "catalogue": self._catalogue(),
            "clock": self._clocks(),
            "certificate": self._certificate.told() if self._certificate else None,
            "notifications": parts.deliveries.told() if parts.deliveries else None,
            "deadman": parts.deadman.told() if parts.deadman else None,
            "disk": {"free_bytes": disk.free, "total_bytes": disk.total},
            "process": process_facts(),
            "runs": self._runs(),
        }

    def _lag(self) -> dict[str, Any]:
        try:
            lag = self._parts.view.lag()
        except KilowatchError as error:
            return {"packets": 0, "seconds": 0.0, "fault": error.detail}
        return {"packets": lag.packets, "seconds": lag.seconds, "fault": lag.fault}

    def _catalogue(self) -> str:
        try:
            self._parts.catalog.revision()
        except Exception as error:  # noqa: BLE001 - whatever it is, that is the finding
            return _words(error)
        return ""

    def _clocks(self) -> dict[str, int]:
        ahead_ms = 0
        try:
            last = self._parts.log.at(self._parts.log.last_seq())
        except KilowatchError:
            last = None
        if last is not None:
            ahead_ms = max(0, last.received_ms - time.time_ns() // 1_000_000)
        return {"step_ms": self._clock.step_ms(), "ahead_ms": ahead_ms}

    def _runs(self) -> dict[str, Any]:
        folder = self._parts.folder
        runs = {name: Run.read(folder.uptime(name)) for name in ("collector", "platform")}
        return {name: run.told() for name, run in runs.items() if run is not None}

    def _metrics(self, report: Report) -> bytes:
        parts, meters = self._parts, self._parts.streams.meters
        told = report.facts.platform or {}
        numbers = metrics.Numbers(
            process=told["process"],
            runs=told["runs"],
            streams=self._streams(report.facts.now_ms),
            pipeline={
                "pipeline_flushes_failed": meters.flushes_failed,
                "pipeline_recomputing": len(parts.streams.recomputing),
                **_insights(parts.insights),
            },
            rows={"reading": meters.readings, "interval": meters.intervals},
            recomputations={"done": meters.recomputed, "failed": meters.recomputations_failed},
            flushes=meters.flushes.told(),
            queries={who: took.told() for who, took in parts.query_times().items()},
            pages={page: took.told() for page, took in dict(self.page_times).items()},
            sizes=self._sizes_now(),
            notifications=parts.deliveries.counts() if parts.deliveries else {},
            sessions=self._sessions(),
            live_pages=parts.live_pages(),
            answers=self._answers(),
        )
        return metrics.text_of(report, numbers)

    def _streams(self, now_ms: int) -> dict[str, int]:
        points = list(self._parts.directory().points.values())
        last = self._parts.view.last_values(points)
        late = sum(
            now_ms - last[point.series].at_ms > point.gap_ms
            for point in points
            if point.series in last
        )
        return {"registered": len(points), "with_data": len(last), "late": late}

    def _sessions(self) -> int:
        try:
            return sessions.count_valid(self._parts.catalog)
        except KilowatchError:
            return 0

    def _answers(self) -> dict[tuple[str, str], int]:
        found: Counter[tuple[str, str]] = Counter()
        try:
            with self._parts.catalog.reading() as session:
                for (_, kind, verdict), count in verdicts.counted(session).items():
                    found[kind.value, verdict.value] += count
        except KilowatchError:
            return {}
        return dict(found)

    def _sizes_now(self) -> dict[str, int]:
        looked_s, sizes = self._sizes
        if (now_s := time.monotonic()) - looked_s > SIZES_KEPT_S:
            folder = self._parts.folder
            sizes = {
                "log": folder_bytes(folder.log.parent),
                "store": folder_bytes(folder.store),
                "pipeline": _file_bytes(folder.pipeline),
                "catalogue": _file_bytes(folder.catalog),
                "insights": _file_bytes(folder.insights),
            }
            self._sizes = (now_s, sizes)
        return sizes


def _insights(backlog: Callable[[], Backlog] | None) -> dict[str, int]:
    if backlog is None:
        return {}
    now = backlog()
    return {
        "insights_due_streams": now.streams,
        "insights_due_hours": now.hours,
        "insights_hours": now.looked_at,
    }


def _file_bytes(path: Path) -> int:
    """Return the size of an SQLite file with what belongs to it."""
    total = 0
    for suffix in ("", "-wal", "-journal"):
        try:
            total += path.with_name(path.name + suffix).stat().st_size
        except FileNotFoundError:
            continue
    return total


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
