"""``kilowatch status`` says so when something needs a person, and is silent when nothing does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from kilowatch.cli import status
from kilowatch.cli.folder import DataFolder
from kilowatch.model.errors import KilowatchError

COLLECTOR: dict[str, Any] = {"log": {"fault": "", "upkeep_fault": ""}}
PLATFORM: dict[str, Any] = {
    "busy": "",
    "lag": {"packets": 0, "seconds": 0.0, "fault": ""},
    "silences": {"fault": ""},
    "silent": [],
}


def _gather(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    collector: dict[str, Any] | None,
    platform: dict[str, Any] | None,
    now_ms: int = 0,
) -> dict[str, Any]:
    answers = {True: collector, False: copy.deepcopy(platform)}

    def answer(_folder: DataFolder, *, collector: bool = False) -> dict[str, Any] | None:
        return answers[collector]

    monkeypatch.setattr(status, "_try", answer)
    return status.gather(DataFolder(folder), now_ms)


def test_a_server_without_faults_is_healthy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No alarm where none is due."""
    said = _gather(monkeypatch, tmp_path, COLLECTOR, PLATFORM)
    assert said["healthy"]
    assert not said["late"]


@pytest.mark.parametrize(
    ("collector", "platform", "told"),
    [
        (None, PLATFORM, "packets are not accepted"),
        (COLLECTOR, None, "nothing is shown"),
        ({"log": {"fault": "disk is full", "upkeep_fault": ""}}, PLATFORM, "disk is full"),
        ({"log": {"fault": "", "upkeep_fault": "read-only"}}, PLATFORM, "read-only"),
        (COLLECTOR, {**PLATFORM, "busy": "the store is opening"}, "the store is opening"),
        (COLLECTOR, {**PLATFORM, "silences": {"fault": "disk is full"}}, "disk is full"),
        (
            COLLECTOR,
            {**PLATFORM, "lag": {"packets": 9, "seconds": 60.0, "fault": "store_failed"}},
            "store_failed",
        ),
    ],
)
def test_each_fault_is_told_and_the_server_is_not_healthy(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    collector: dict[str, Any] | None,
    platform: dict[str, Any] | None,
    told: str,
) -> None:
    """A full disk, a stopped pipeline or a missing process never looks like health."""
    said = _gather(monkeypatch, tmp_path, collector, platform)
    assert not said["healthy"]
    assert any(told in fault for fault in said["faults"])


def test_maintenance_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Somebody who forgot to end maintenance finds it here."""
    (tmp_path / "maintenance").write_text("")
    assert "Maintenance" in _gather(monkeypatch, tmp_path, COLLECTOR, PLATFORM)["faults"][0]


def test_a_stream_is_late_when_the_platform_has_found_it_silent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command shows what the alarms rest on, with the time since the last packet."""
    silent = {"stream_id": "a", "name": "A", "last_ms": 1_000, "gap_ms": 450_000}
    platform = {**PLATFORM, "silent": [silent]}
    said = _gather(monkeypatch, tmp_path, COLLECTOR, platform, now_ms=601_000)
    assert said["late"] == [{**silent, "late_s": 600}]
    assert "silent" not in said["platform"]
    assert said["healthy"], "a meter's fault is not the server's"


def test_a_person_reads_since_when_it_runs_and_whom_it_tells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a night with a power cut the first look says how long the server was away."""
    run = {"started_ms": 0, "before_ms": -5_400_000, "before_clean": False, "away_s": 5_400.0}
    deadman = {
        "host": "hc-ping.com", "interval_s": 60.0, "last_ms": 3_540_000, "sent": 9, "failed": 1,
        "withheld": 2, "fault": "",
    }  # fmt: skip
    platform = {
        **PLATFORM, "last": [], "runs": {"platform": run}, "deadman": deadman,
        "packets": dict.fromkeys(("accepted", "duplicate", "discarded", "refused"), 0),
        "streams": {"registered": 1, "with_data": 1},
    }  # fmt: skip
    status._show(_gather(monkeypatch, tmp_path, COLLECTOR, platform, now_ms=3_600_000))
    printed = " ".join(capsys.readouterr().out.split())
    assert "up for 1.0 h; before that away for 1.5 h (it did not stop in order)" in printed
    assert "hc-ping.com was told 1.0 min ago, every 1.0 min; 2 withheld, 1 failed" in printed


def test_a_server_that_does_not_run_is_told_with_the_way_out(tmp_path: Path) -> None:
    """The first thing that a newcomer forgets is to start it."""
    with pytest.raises(KilowatchError, match="kilowatch serve"):
        status.gather(DataFolder(tmp_path), 0)


def test_a_silent_stream_whose_clock_was_ahead_is_shown_as_that(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A packet may be dated up to 24 h ahead: "-82855 s" would tell nobody what is wrong."""
    point = {"stream_id": "gas-1", "name": "Gas"}
    late = [{**point, "late_s": -82_855}, {**point, "late_s": 7_200}]
    said = {"healthy": True, "environment": "development", "faults": [], "platform": None}
    status._show({**said, "late": late})
    shown = capsys.readouterr().out
    assert "23.0 h ahead of this clock" in shown
    assert "2.0 h ago" in shown
    assert "-82" not in shown
