"""The time that a whole run takes: long files begin first, and the end says where it went.

A run goes in several processes, file by file. A file that takes two minutes and begins last keeps
everybody waiting for it, so the long ones begin first and the many short ones fill what is left.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

LONG = (
    "tests/journeys/test_disorder.py",
    "tests/dashboard/test_every_page.py",
    "tests/journeys/test_silences.py",
    "tests/journeys/test_crashes.py",
    "tests/journeys/test_months.py",
    "tests/dashboard/test_quality_in_chromium.py",
    "tests/journeys/test_wasted_weekend.py",
    "tests/journeys/test_processes.py",
    "tests/dashboard/test_breakdown_in_chromium.py",
    "tests/pipeline/test_insight_causality.py",
    "tests/evaluation/test_forecasts.py",
    "tests/journeys/test_silent_meter.py",
    "tests/journeys/test_backup.py",
    "tests/journeys/test_dated_settings.py",
    "tests/journeys/test_watching.py",
    "tests/journeys/test_telling.py",
    "tests/journeys/test_remedies_pages.py",
    "tests/journeys/test_first_hour.py",
    "tests/journeys/test_rewiring.py",
    "tests/dashboard/test_access.py",
    "tests/pipeline/test_order.py",
    "tests/journeys/test_history_commands.py",
    "tests/pipeline/test_dated_properties.py",
    "tests/dashboard/test_pages_in_chromium.py",
    "tests/dashboard/test_people_in_chromium.py",
    "tests/bench/test_bench_journey.py",
    "tests/store/test_chdb_store.py",
    "tests/pipeline/test_interplay_properties.py",
    "tests/pipeline/test_insight_training.py",
    "tests/pipeline/test_intervals_properties.py",
    "tests/insights/test_anomalies.py",
    "tests/pipeline/test_editing_properties.py",
)
"""Files that take more than some 15 s, the longest first, as the end of a run lists them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin first; the others keep their order."""
    place = {file: number for number, file in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(LONG)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which folders and files took the time, so that growth is noticed when it happens."""
    seconds: dict[str, float] = defaultdict(float)
    for report in (one for kind in terminalreporter.stats.values() for one in kind):
        if isinstance(report, pytest.TestReport):
            seconds[report.nodeid.partition("::")[0]] += report.duration
    total = sum(seconds.values())
    if total < 60:
        return
    folders: dict[str, float] = defaultdict(float)
    for file, took in seconds.items():
        folders[str(Path(file).parent)] += took
    terminalreporter.section("seconds by folder and by file")
    for name, places in (("folder", folders), ("file", seconds)):
        slowest = sorted(places.items(), key=lambda one: -one[1])[:10]
        for place, took in slowest:
            terminalreporter.write_line(f"{name:<7} {took:7.0f} s {took / total:5.0%}  {place}")
