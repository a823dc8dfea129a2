"""The figures of one run, merged over generator processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kilowatch.bench.generator import EDGES_MS, Mode


@dataclass(slots=True)
class Figures:
    """What a run has shown.

    Attributes:
        mode: How connections were used.
        tls: Over TLS.
        connections: Open at once.
        seconds: How long it took [s].
        done: Requests with a final answer, or handshakes.
        accepted: Acknowledged packets by stream.
        unanswered: Packets by stream whose connection broke: stored or not.
        other: Every other answer, counted.
        p50_ms: Median latency [ms].
        p99_ms: 99th percentile [ms].
        generator_share: Part of its core that the generator used, 0 to 1.
        server_cpu_us: CPU time of the server per request [µs], None if unknown.
    """

    mode: Mode
    tls: bool
    connections: int
    seconds: float
    done: int
    p50_ms: float
    p99_ms: float
    generator_share: float
    accepted: dict[str, int] = field(default_factory=dict)
    unanswered: dict[str, int] = field(default_factory=dict)
    other: Counter[str] = field(default_factory=Counter)
    server_cpu_us: float | None = None

    @property
    def per_s(self) -> float:
        """Requests (or handshakes) per second."""
        return self.done / self.seconds

    @property
    def acknowledged(self) -> int:
        """Packets that the server said it had accepted."""
        return sum(self.accepted.values())

    @property
    def generator_bound(self) -> bool:
        """True when the generator, not the server, was the limit."""
        return self.generator_share > 0.95


def merge(mode: Mode, parts: list[dict[str, Any]], *, tls: bool, connections: int) -> Figures:
    """Merge the results of generator processes that ran side by side."""
    classes = np.sum([part["latency_classes"] for part in parts], axis=0)
    accepted: Counter[str] = Counter()
    unanswered: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for part in parts:
        accepted.update(part["accepted"])
        unanswered.update(part["unanswered"])
        other.update(part["other"])
    return Figures(
        mode=mode,
        tls=tls,
        connections=connections,
        seconds=max(part["seconds"] for part in parts),
        done=int(classes.sum()),
        p50_ms=percentile_ms(classes, 0.50),
        p99_ms=percentile_ms(classes, 0.99),
        generator_share=max(part["cpu_s"] / part["seconds"] for part in parts),
        accepted=dict(accepted),
        unanswered=dict(unanswered),
        other=other,
    )


def percentile_ms(classes: Any, share: float) -> float:
    """Return the upper end of the class of latency that a share of requests reaches [ms]."""
    counts = np.asarray(classes)
    if counts.sum() == 0:
        return float("nan")
    number = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return float(EDGES_MS[min(number, len(EDGES_MS) - 1)])
