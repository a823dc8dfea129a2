"""The metrics of both processes in Prometheus' text format, made when somebody asks for them.

Nothing is counted twice: the rooms count as they go (``Durations``, plain numbers), the collector
tells its numbers over its socket, and here they get their public names. docs/operate/monitoring.md
explains each one; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from kilowatch.health.checks import Report

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
STATES = {"ok": 0, "warning": 1, "failing": 2}

METRICS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "check_state": ("gauge", "A health check: 0 ok, 1 warning, 2 failing.", ("check",)),
    "up": ("gauge", "Whether a process answers.", ("process",)),
    "started_seconds": ("gauge", "When a process started [s since 1970].", ("process",)),
    "away_seconds": ("gauge", "Time between a process's last run and this one.", ("process",)),
    "ended_cleanly": ("gauge", "Whether a process's last run ended in order.", ("process",)),
    "resident_memory_bytes": ("gauge", "Resident memory of a process.", ("process",)),
    "cpu_seconds": ("counter", "Processor time of a process.", ("process",)),
    "threads": ("gauge", "Threads of a process.", ("process",)),
    "push_answers": ("counter", "Requests to the push API by their answer.", ("outcome",)),
    "push_seconds": ("histogram", "From a packet's arrival to its answer, commit included.", ()),
    "push_connections": ("gauge", "Open connections of clients.", ()),
    "push_in_flight": ("gauge", "Packets that wait for their commit.", ()),
    "push_delayed": ("gauge", "Answers to wrong passwords that are being held back.", ()),
    "log_queue_packets": ("gauge", "Packets that wait for the log's writer.", ()),
    "log_queue_bytes": ("gauge", "Their size.", ()),
    "log_commit_seconds": ("histogram", "How long commits took, with their fsync.", ()),
    "log_committed_packets": ("counter", "Packets made durable.", ()),
    "log_committed_at_seconds": ("gauge", "When the log was last written [s since 1970].", ()),
    "log_wal_pages": ("gauge", "Pages in the log's write-ahead file.", ()),
    "pipeline_lag_packets": ("gauge", "Packets in the log that are not visible yet.", ()),
    "pipeline_lag_seconds": ("gauge", "Age of the oldest of them.", ()),
    "pipeline_rows_flushed": ("counter", "Rows written to the store.", ("table",)),
    "pipeline_flush_seconds": ("histogram", "How long it took to write them.", ()),
    "pipeline_flushes_failed": ("counter", "Writes that failed and were tried again.", ()),
    "pipeline_recomputations": ("counter", "Histories computed again.", ("outcome",)),
    "pipeline_recomputing": ("gauge", "Streams whose history is being computed again.", ()),
    "insights_due_streams": ("gauge", "Streams with complete hours not looked at yet.", ()),
    "insights_due_hours": ("gauge", "Those hours, summed over streams.", ()),
    "insights_hours": ("counter", "Hours looked at, summed over streams.", ()),
    "insights_answers": (
        "gauge", "Findings that people have answered, by what they said.", ("kind", "verdict"),
    ),
    "streams": ("gauge", "Data points by state.", ("state",)),
    "store_query_seconds": ("histogram", "How long the store's queries took.", ("by",)),
    "page_seconds": ("histogram", "From a page's request to its answer.", ("page",)),
    "size_bytes": ("gauge", "Size on disk of a part of the data folder.", ("part",)),
    "disk_free_bytes": ("gauge", "Free space of the data folder's disk.", ()),
    "disk_total_bytes": ("gauge", "Size of that disk.", ()),
    "notification_attempts": (
        "counter", "Attempts to deliver a notification.", ("channel", "outcome"),
    ),
    "sessions": ("gauge", "People's sessions on the dashboard that are valid.", ()),
    "live_pages": ("gauge", "Open pages with live updates.", ()),
    "certificate_expires_seconds": ("gauge", "When the certificate expires [s since 1970].", ()),
    "deadman_pings": ("counter", "Dead man's pings by outcome.", ("outcome",)),
    "deadman_last_seconds": ("gauge", "When the last one was answered [s since 1970].", ()),
}  # fmt: skip
"""Name without ``kilowatch_`` to type, meaning and labels; counters get ``_total`` at the end."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is asked for when metrics are, beside the health report; the platform's own.

    Attributes:
        process: Of this process (``process_facts``).
        runs: By process, its run (``uptime.Run``) ready for JSON.
        streams: How many data points by state.
        pipeline: Counts of the pipeline, by the names of their metrics.
        rows: Rows written, by table.
        recomputations: By outcome.
        flushes: ``Durations.told``.
        queries: By who asked, ``Durations.told``.
        pages: By page, ``Durations.told``.
        sizes: By part of the data folder [bytes].
        notifications: By kind of channel and outcome.
        sessions: Valid sessions.
        live_pages: Open live streams.
        answers: Findings that were answered, by kind and verdict.
    """

    process: dict[str, Any]
    runs: Mapping[str, dict[str, Any]]
    streams: Mapping[str, int]
    pipeline: Mapping[str, float]
    rows: Mapping[str, int]
    recomputations: Mapping[str, int]
    flushes: dict[str, Any]
    queries: Mapping[str, dict[str, Any]]
    pages: Mapping[str, dict[str, Any]]
    sizes: Mapping[str, int]
    notifications: Mapping[tuple[str, str], int] = field(default_factory=dict)
    sessions: int = 0
    live_pages: int = 0
    answers: Mapping[tuple[str, str], int] = field(default_factory=dict)


Sample = tuple[str, tuple[str, ...], Any]
"""Name, values of its labels, and a number or ``Durations.told``."""


def text_of(report: Report, numbers: Numbers) -> bytes:
    """Return what Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([*_samples(report), *_own(numbers)]))
    return generate_latest(registry)


class _Families:
    """What prometheus-client asks for metrics."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = samples

    def describe(self) -> list[Metric]:
        """Return nothing: names are checked by a test, not at each start."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its samples."""
        families: dict[str, Any] = {}
        for name, labels, value in self._samples:
            if name not in families:
                families[name] = _family(name)
            family = families[name]
            if isinstance(family, HistogramMetricFamily):
                family.add_metric(labels, _buckets(value), value["sum_s"])
            else:
                family.add_metric(labels, value)
        yield from families.values()


def _family(name: str) -> Metric:
    kind, meaning, labels = METRICS[name]
    families = {
        "gauge": GaugeMetricFamily,
        "counter": CounterMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    made: Metric = families[kind](f"kilowatch_{name}", meaning, labels=labels)
    return made


def _buckets(told: dict[str, Any]) -> list[tuple[str, float]]:
    bounds = [*map(str, told["bounds_s"]), "+Inf"]
    return list(zip(bounds, accumulate(told["counts"]), strict=True))


def _samples(report: Report) -> Iterator[Sample]:
    """Yield what the health report knows, the collector's part with it."""
    facts = report.facts
    for check in report.checks:
        yield "check_state", (check.name,), STATES[check.state]
    for process, said in (("collector", facts.collector), ("platform", facts.platform)):
        yield "up", (process,), int(said is not None)
    if facts.collector is not None:
        yield from _collector(facts.collector)
    if facts.platform is not None:
        yield from _platform(facts.platform)


def _collector(said: dict[str, Any]) -> Iterator[Sample]:
    for outcome, count in said["answers"].items():
        yield "push_answers", (outcome,), count
    yield "push_seconds", (), said["push_times"]
    yield "push_connections", (), said["connections"]
    yield "push_in_flight", (), said["in_flight"]
    yield "push_delayed", (), said["delayed_401"]
    log = said["log"]
    yield "log_queue_packets", (), log["waiting"]
    yield "log_queue_bytes", (), log["waiting_bytes"]
    yield "log_commit_seconds", (), log["commits"]
    yield "log_committed_packets", (), log["committed_packets"]
    yield "log_committed_at_seconds", (), log["committed_ms"] / 1000
    yield "log_wal_pages", (), log["wal_pages"]
    yield from _process("collector", said["process"])


def _platform(said: dict[str, Any]) -> Iterator[Sample]:
    yield "pipeline_lag_packets", (), said["lag"]["packets"]
    yield "pipeline_lag_seconds", (), said["lag"]["seconds"]
    yield "disk_free_bytes", (), said["disk"]["free_bytes"]
    yield "disk_total_bytes", (), said["disk"]["total_bytes"]
    certificate = said["certificate"]
    if certificate and certificate["expires_ms"] is not None:
        yield "certificate_expires_seconds", (), certificate["expires_ms"] / 1000
    deadman = said["deadman"]
    if deadman is not None:
        for outcome in ("sent", "failed", "withheld"):
            yield "deadman_pings", (outcome,), deadman[outcome]
        if deadman["last_ms"] is not None:
            yield "deadman_last_seconds", (), deadman["last_ms"] / 1000


def _own(numbers: Numbers) -> Iterator[Sample]:
    yield from _process("platform", numbers.process)
    for process, run in numbers.runs.items():
        if run["away_s"] is not None:
            yield "away_seconds", (process,), run["away_s"]
            yield "ended_cleanly", (process,), int(run["before_clean"])
    for name, value in numbers.pipeline.items():
        yield name, (), value
    yield "pipeline_flush_seconds", (), numbers.flushes
    counted: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("pipeline_rows_flushed", numbers.rows),
        ("pipeline_recomputations", numbers.recomputations),
        ("streams", numbers.streams),
        ("store_query_seconds", numbers.queries),
        ("page_seconds", numbers.pages),
        ("size_bytes", numbers.sizes),
    )
    for name, by_label in counted:
        for label, one in by_label.items():
            yield name, (label,), one
    for labels, count in numbers.notifications.items():
        yield "notification_attempts", labels, count
    yield "sessions", (), numbers.sessions
    yield "live_pages", (), numbers.live_pages
    for labels, count in numbers.answers.items():
        yield "insights_answers", labels, count


def _process(name: str, said: dict[str, Any]) -> Iterator[Sample]:
    yield "started_seconds", (name,), said["started_s"]
    yield "resident_memory_bytes", (name,), said["resident_bytes"]
    yield "cpu_seconds", (name,), said["cpu_s"]
    yield "threads", (name,), said["threads"]
