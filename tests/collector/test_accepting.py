"""Since when packets have been taken without a break: what silences are judged by."""

from __future__ import annotations

from typing import Any

from kilowatch.collector.accepting import STALL_MS, Accepting, Readiness


class Now:
    """A clock and a reason that a test sets."""

    def __init__(self) -> None:
        self.ms = 1_000_000
        self.why = ""

    def accepting(self) -> Accepting:
        """Return what is tested, started now."""
        return Accepting(lambda: self.why, lambda: self.ms)

    def pass_ms(self, accepting: Accepting, ms: int) -> int | None:
        """Let time pass with a look a second."""
        for _ in range(ms // 1_000):
            self.ms += 1_000
            accepting.look()
        return accepting.since_ms


def test_it_counts_from_the_start() -> None:
    """Hours without a fault change nothing."""
    now = Now()
    accepting = now.accepting()
    assert now.pass_ms(accepting, 3_600_000) == 1_000_000


def test_a_refusal_ends_it_and_its_end_begins_it_anew() -> None:
    """While packets are refused nobody can be silent; then everybody gets a new beginning."""
    now = Now()
    accepting = now.accepting()
    now.why = "maintenance"
    assert now.pass_ms(accepting, 60_000) is None
    now.why = ""
    assert now.pass_ms(accepting, 60_000) == now.ms - 59_000


def test_a_machine_that_slept_or_whose_clock_was_set_begins_anew() -> None:
    """Forward by an hour or backward by one: what was counted before means nothing now."""
    for jump_ms in (3_600_000, -3_600_000, STALL_MS + 1):
        now = Now()
        accepting = now.accepting()
        now.ms += jump_ms
        assert accepting.look() == now.ms
    now = Now()
    accepting = now.accepting()
    now.ms += STALL_MS
    assert accepting.look() == 1_000_000, "a busy moment is no sleep"


def test_readiness_names_what_refuses_packets() -> None:
    """Maintenance, a log that can't be written, a disk that stands still, a full queue."""
    log: dict[str, Any] = {"last_seq": 5, "waiting": 0, "fault": ""}
    state: dict[str, Any] = {"maintenance": None, "full": False, "s": 0.0}
    readiness = Readiness(
        lambda: state["maintenance"], lambda: log, lambda: state["full"], lambda: state["s"]
    )
    assert readiness.refusal() == ""
    state["maintenance"] = ""
    assert readiness.refusal() == "maintenance"
    state["maintenance"] = None
    log["fault"] = "disk full"
    assert "written" in readiness.refusal()
    log["fault"] = ""
    state["full"] = True
    assert readiness.refusal() == "full"
    state["full"] = False
    log["waiting"] = 3
    state["s"] = 0.9
    assert readiness.refusal() == "", "a commit under way"
    state["s"] = 2.5
    assert "slow" in readiness.refusal()
    log["last_seq"] = 6
    assert readiness.refusal() == "", "it moves"
    state["s"] = 4.0
    log["waiting"] = 0
    assert readiness.refusal() == "", "a quiet hour is no slow disk"
