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
    "last": [{"stream_id": "a", "name": "A", "last_ms": 0, "gap_ms": 450_000}],
}


def _gather(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    collector: dict[str, Any] | None,
    platform: dict[str, Any] | None,
    now_ms: int = 0,
) -> dict[str, Any]:
    answers = {"collector.sock": collector, "control.sock": copy.deepcopy(platform)}
    monkeypatch.setattr(status, "_try", lambda socket: answers[socket.name])
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


def test_a_stream_is_late_after_what_its_data_point_allows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Seven minutes and a half are allowed here; a millisecond more is late."""
    on_time = _gather(monkeypatch, tmp_path, COLLECTOR, PLATFORM, now_ms=450_000)
    late = _gather(monkeypatch, tmp_path, COLLECTOR, PLATFORM, now_ms=450_001)
    assert [len(said["late"]) for said in (on_time, late)] == [0, 1]


def test_a_server_that_does_not_run_is_told_with_the_way_out(tmp_path: Path) -> None:
    """The first thing that a newcomer forgets is to start it."""
    with pytest.raises(KilowatchError, match="kilowatch serve"):
        status.gather(DataFolder(tmp_path), 0)
