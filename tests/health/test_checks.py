"""The judgement about the platform: what is said, and that it is said for one reason only."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.health import Facts, Report, checks, judge

NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
GIB = 2**30
COLLECTOR: dict[str, Any] = {
    "log": {"fault": "", "upkeep_fault": "", "committed_ms": NOW_MS - 5_000},
    "disk": {"free_bytes": 50 * GIB, "total_bytes": 100 * GIB},
}
PLATFORM: dict[str, Any] = {
    "busy": "",
    "lag": {"packets": 0, "seconds": 0.0, "fault": ""},
    "turn_age_s": 0.2,
    "catalogue": "",
    "clock": {"step_ms": 0, "ahead_ms": 0},
    "certificate": {"file": "cert.pem", "expires_ms": NOW_MS + 90 * DAY_MS, "fault": ""},
    "notifications": {
        "last_ms": NOW_MS, "last_channel": "mail", "last_outcome": "delivered", "last_detail": "",
    },
    "deadman": {"fault": ""},
    "disk": {"free_bytes": 60 * GIB, "total_bytes": 100 * GIB},
}  # fmt: skip


def report(change: tuple[str, ...] = (), value: object = None, **facts: object) -> Report:
    """Return the judgement with one fact changed, named by its path."""
    said = {"collector": copy.deepcopy(COLLECTOR), "platform": copy.deepcopy(PLATFORM)}
    if change:
        place: Any = said
        for step in change[:-1]:
            place = place[step]
        place[change[-1]] = value
    whole: dict[str, Any] = {**said, "maintenance": False, "now_ms": NOW_MS, **facts}
    return judge(Facts(**whole))


def test_nothing_is_said_where_all_is_well() -> None:
    """An alarm that is always on is one that nobody reads."""
    well = report()
    assert (well.state, well.faults, well.works) == ("ok", [], True)
    assert {check.name for check in well.checks} == {
        "collector", "log", "store", "pipeline", "catalogue", "certificate", "notifications",
        "deadman", "disk", "clock",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "value", "name", "state", "words"),
    [
        (("collector",), None, "collector", "failing", "packets are not accepted"),
        (("platform",), None, "platform", "failing", "nothing is shown"),
        (("collector", "log", "fault"), "disk is full", "log", "failing", "disk is full"),
        (("collector", "log", "upkeep_fault"), "read-only", "log", "warning", "read-only"),
        (("collector", "log", "committed_ms"), NOW_MS - 91_000, "log", "failing", "for 91 s"),
        (("platform", "busy"), "the store is opening", "store", "failing", "is opening"),
        (("platform", "lag", "fault"), "store_failed", "pipeline", "failing", "store_failed"),
        (("platform", "lag", "seconds"), 10.5, "pipeline", "warning", "10 s behind"),
        (("platform", "lag", "seconds"), 61.0, "pipeline", "failing", "61 s behind"),
        (("platform", "turn_age_s"), 121.0, "pipeline", "failing", "nothing for 121 s"),
        (("platform", "catalogue"), "locked", "catalogue", "failing", "locked"),
        (
            ("platform", "certificate", "expires_ms"), NOW_MS + 20 * DAY_MS,
            "certificate", "warning", "expires in 20 days",
        ),
        (
            ("platform", "certificate", "expires_ms"), NOW_MS - 2 * DAY_MS,
            "certificate", "failing", "expired 2 days ago",
        ),
        (("platform", "certificate", "fault"), "gone", "certificate", "failing", "gone"),
        (
            ("platform", "notifications", "last_outcome"), "failed",
            "notifications", "warning", "not delivered (mail)",
        ),
        (("platform", "deadman", "fault"), "ConnectError", "deadman", "warning", "ConnectError"),
        (("platform", "disk", "free_bytes"), 9 * GIB, "disk", "warning", "9.0 of 100 GiB"),
        (("collector", "disk", "free_bytes"), GIB // 4, "disk", "failing", "nearly full"),
        (("platform", "clock", "step_ms"), -9_000, "clock", "warning", "-9 s"),
        (("platform", "clock", "ahead_ms"), 61_000, "clock", "failing", "61 s behind"),
    ],
)  # fmt: skip
def test_each_fault_is_found_and_no_other_with_it(
    change: tuple[str, ...], value: object, name: str, state: str, words: str
) -> None:
    """Whoever is woken at night reads what it is and nothing that is not."""
    found = report(change, value)
    wanting = [check for check in found.checks if check.state != "ok"]
    assert [(check.name, check.state) for check in wanting] == [(name, state)]
    assert words in wanting[0].detail
    assert found.state == state
    assert found.faults == [wanting[0].detail]


def test_maintenance_needs_a_person_and_is_no_failure() -> None:
    """An operator's own work must not page the operator, and must not be forgotten either."""
    found = report(maintenance=True)
    assert (found.state, found.works) == ("warning", True)
    assert "Maintenance is on" in found.faults[0]


def test_failures_are_told_before_warnings() -> None:
    """The reason comes first, what follows from it or merely waits comes after."""
    found = report(("platform", "lag", "fault"), "store_failed", maintenance=True)
    assert [fault.partition(" ")[0] for fault in found.faults] == ["The", "Maintenance"]


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (("platform", "certificate", "expires_ms"), 0),
        (("platform", "catalogue"), "locked"),
        (("platform", "disk", "free_bytes"), 0),
        (("platform", "clock", "ahead_ms"), 61_000),
    ],
)
def test_what_does_not_stop_packets_does_not_stop_the_sign_of_life(
    change: tuple[str, ...], value: object
) -> None:
    """The outside monitor is for the day when nothing works: the rest is told from inside."""
    found = report(change, value)
    assert found.state == "failing"
    assert found.works


@given(seconds=st.floats(0, 1e6))
def test_the_lag_is_judged_by_its_limits_alone(seconds: float) -> None:
    """Ten seconds are a warning, a minute is a failure, and nothing in between is missed."""
    wanted = "ok" if seconds <= checks.LAG_S_WARNING else "warning"
    wanted = wanted if seconds <= checks.LAG_S_FAILING else "failing"
    assert report(("platform", "lag", "seconds"), seconds).state == wanted
