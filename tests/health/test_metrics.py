"""Metrics: each one is documented, each one is told, and their numbers add up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from kilowatch.health import Facts, judge
from kilowatch.health.deliveries import CHANNELS_MAX, Deliveries
from kilowatch.health.metrics import METRICS, Numbers, text_of
from kilowatch.model.durations import Durations

DOCUMENTED = Path(__file__).parents[2] / "docs" / "operate" / "monitoring.md"
PROCESS = {"resident_bytes": 80_000_000, "cpu_s": 1.5, "threads": 4, "started_s": 1.7e9}


def took(*seconds: float) -> dict[str, Any]:
    """Return a histogram."""
    durations = Durations()
    for one in seconds:
        durations.note(one)
    return durations.told()


COLLECTOR: dict[str, Any] = {
    "answers": {"accepted": 7, "credentials_wrong": 2},
    "push_times": took(0.0004, 0.003, 0.003, 20.0),
    "connections": 3, "in_flight": 1, "delayed_401": 0, "process": PROCESS,
    "disk": {"free_bytes": 2**36, "total_bytes": 2**37},
    "log": {
        "fault": "", "upkeep_fault": "", "waiting": 1, "waiting_bytes": 300, "wal_pages": 5,
        "commits": took(0.002), "committed_packets": 7, "committed_ms": 1_700_000_000_500,
    },
}  # fmt: skip
PLATFORM: dict[str, Any] = {
    "busy": "", "lag": {"packets": 2, "seconds": 0.25, "fault": ""},
    "disk": {"free_bytes": 2**36, "total_bytes": 2**37},
    "certificate": {"file": "cert.pem", "expires_ms": 1_800_000_000_000, "fault": ""},
    "deadman": {"sent": 5, "failed": 1, "withheld": 2, "last_ms": 1_700_000_000_000, "fault": ""},
}  # fmt: skip


def text(collector: dict[str, Any] | None = COLLECTOR) -> str:
    """Return the metrics of a server with something of everything."""
    deliveries = Deliveries()
    deliveries.note("mail", "delivered", 1)
    deliveries.note("mail", "failed", 2, "refused")
    run = {"started_ms": 1, "before_ms": 1, "before_clean": False, "away_s": 90.0}
    report = judge(Facts(collector, PLATFORM, maintenance=False, now_ms=1_700_000_001_000))
    numbers = Numbers(
        process=PROCESS,
        runs={"platform": run},
        streams={"registered": 10, "with_data": 8, "late": 1},
        pipeline={
            "pipeline_flushes_failed": 0,
            "pipeline_recomputing": 1,
            "insights_due_streams": 2,
            "insights_due_hours": 30,
            "insights_hours": 700,
        },
        rows={"reading": 7, "interval": 14},
        recomputations={"done": 1, "failed": 0},
        flushes=took(0.2),
        queries={"page": took(0.02)},
        pages={"breakdown": took(0.07)},
        sizes={"log": 100, "store": 200},
        notifications=deliveries.counts(),
        sessions=2,
        live_pages=1,
        answers={("weekend", "fault"): 17, ("weekend", "expected"): 6},
    )
    return text_of(report, numbers).decode()


def samples(said: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every number by name and labels, as Prometheus itself would read them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    }


def test_every_metric_is_documented_and_no_other() -> None:
    """Whoever writes an alert finds what each number means, under the name that it has."""
    documented = set(re.findall(r"^\| `kilowatch_(\w+)`", DOCUMENTED.read_text(), re.MULTILINE))
    ends = {"counter": "_total"}
    assert documented == {name + ends.get(kind, "") for name, (kind, *_) in METRICS.items()}


def test_every_metric_is_told_with_its_meaning() -> None:
    """A metric that is documented and never told would make an alert that never fires."""
    families = {family.name for family in text_string_to_metric_families(text())}
    assert families == {f"kilowatch_{name}" for name in METRICS}


def test_numbers_come_through_as_they_are() -> None:
    """The alert compares with what the rooms have counted, to the last packet."""
    found = samples(text())
    assert found["kilowatch_push_answers_total", (("outcome", "accepted"),)] == 7
    assert found["kilowatch_log_committed_at_seconds", ()] == 1_700_000_000.5
    assert found["kilowatch_pipeline_rows_flushed_total", (("table", "interval"),)] == 14
    assert found["kilowatch_check_state", (("check", "log"),)] == 0
    labels = (("channel", "mail"), ("outcome", "failed"))
    assert found["kilowatch_notification_attempts_total", labels] == 1
    labels = (("kind", "weekend"), ("verdict", "fault"))
    assert found["kilowatch_insights_answers", labels] == 17
    assert found["kilowatch_away_seconds", (("process", "platform"),)] == 90
    assert found["kilowatch_ended_cleanly", (("process", "platform"),)] == 0


def test_a_histogram_counts_each_packet_once_and_in_the_right_class() -> None:
    """A percentile is read from it: classes add up, and the slowest is not lost."""
    found = samples(text())
    buckets = {
        dict(labels)["le"]: count
        for (name, labels), count in found.items()
        if name == "kilowatch_push_seconds_bucket"
    }
    assert (buckets["0.001"], buckets["0.0025"], buckets["0.005"]) == (1, 1, 3)
    assert (buckets["10.0"], buckets["+Inf"]) == (3, 4)
    assert found["kilowatch_push_seconds_count", ()] == 4
    assert found["kilowatch_push_seconds_sum", ()] == 20.0064


def test_a_collector_that_is_away_is_a_zero_and_takes_nothing_else_along() -> None:
    """The scrape of a half-dead server is the one that matters most."""
    found = samples(text(collector=None))
    assert found["kilowatch_up", (("process", "collector"),)] == 0
    assert found["kilowatch_check_state", (("check", "collector"),)] == 2
    assert found["kilowatch_streams", (("state", "registered"),)] == 10


def test_what_names_a_channel_is_bounded() -> None:
    """A mistake that makes a new name for each delivery must not fill memory and monitor."""
    deliveries = Deliveries()
    for number in range(3 * CHANNELS_MAX):
        deliveries.note(f"kind-{number}", "delivered", number)
    counts = deliveries.counts()
    assert len(counts) == CHANNELS_MAX + 1
    assert sum(counts.values()) == 3 * CHANNELS_MAX


def test_a_label_cannot_break_out_of_its_quotes() -> None:
    """Whatever a code or a name holds, the lines after it can still be read."""
    strange = 'a"b\\c\nd'
    said = text({**COLLECTOR, "answers": {strange: 1}})
    assert samples(said)["kilowatch_push_answers_total", (("outcome", strange),)] == 1
