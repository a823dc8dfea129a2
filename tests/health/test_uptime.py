"""After a stop, a crash or a power cut the platform knows that it was away, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilowatch.health.uptime import Run, Uptime

START_MS = 1_795_000_000_000


def test_the_first_run_was_never_away(tmp_path: Path) -> None:
    """A new server does not claim a downtime that nobody had."""
    assert Uptime(tmp_path / "platform.up.json", START_MS).run == Run(START_MS)


def test_after_a_stop_in_order_the_time_away_is_exact(tmp_path: Path) -> None:
    """An update took 90 seconds, and that is what the status says."""
    path = tmp_path / "platform.up.json"
    first = Uptime(path, START_MS)
    first.beat(START_MS + 10_000)
    first.end(START_MS + 15_000)
    run = Uptime(path, START_MS + 105_000).run
    assert run == Run(START_MS + 105_000, START_MS + 15_000, before_clean=True, away_s=90.0)
    assert Run.read(path) == run


def test_after_a_crash_the_last_beat_tells_the_time_away(tmp_path: Path) -> None:
    """The power went an hour ago: known to ten seconds, and that it was no stop in order."""
    path = tmp_path / "platform.up.json"
    Uptime(path, START_MS).beat(START_MS + 20_000)
    run = Uptime(path, START_MS + 3_620_000).run
    assert (run.before_clean, run.away_s) == (False, 3_600.0)


@pytest.mark.parametrize("left", ["", "{", "[]", '{"seen_ms": "x"}', '{"seen_ms": 5}', "\x00"])
def test_a_file_that_a_crash_left_half_written_is_no_obstacle(tmp_path: Path, left: str) -> None:
    """Whatever the disk kept, the server starts, and claims nothing that it does not know."""
    path = tmp_path / "platform.up.json"
    path.write_text(left)
    assert Run.read(path) is None
    assert Uptime(path, START_MS).run == Run(START_MS)


def test_a_clock_that_was_set_back_gives_no_negative_time(tmp_path: Path) -> None:
    """Away for minus one hour would be a riddle at three in the morning."""
    path = tmp_path / "platform.up.json"
    Uptime(path, START_MS).end(START_MS)
    assert Uptime(path, START_MS - 3_600_000).run.away_s == 0.0


def test_a_disk_that_takes_nothing_does_not_end_the_process(tmp_path: Path) -> None:
    """The record is a courtesy: a full disk has worse consequences to look after."""
    up = Uptime(tmp_path / "gone" / "platform.up.json", START_MS)
    up.beat(START_MS + 10_000)
    up.end(START_MS + 20_000)
