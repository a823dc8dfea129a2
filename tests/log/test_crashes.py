"""kill -9 and power loss: what was acknowledged is there, once, in order, and counted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from kilowatch.log import LogReader, LogWriter, ledger
from kilowatch.log.schema import last_segment
from tests.log.pushing import Push, Pushing, at_ms, copy_as_after_a_crash

KILLS = 6
SEED = 20261123
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(path: Path) -> None:
    """A 200 means durable: acknowledged minus stored is 0 after every kill."""
    chance = random.Random(SEED)
    acknowledged: Counter[tuple[int, int]] = Counter()
    discarded: Counter[int] = Counter()
    for kill in range(KILLS):
        lines = _push_until_killed(path, seed=kill, seconds=0.2 + chance.random() * 0.8)
        for series, minute, status in map(str.split, lines):
            assert status in ("accepted", "duplicate", "discarded")
            acknowledged[int(series), int(minute)] += status == "accepted"
            discarded[int(series)] += status == "discarded"
        _check(path, acknowledged, discarded)
    assert sum(acknowledged.values()) > 50 * KILLS
    writer = LogWriter(path)
    _check(path, acknowledged, discarded)
    writer.close()
    _check(path, acknowledged, discarded)


def _push_until_killed(path: Path, seed: int, seconds: float) -> list[str]:
    """Run a gateway, kill it while it pushes, and return what it was told."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(ROOT)]),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.log.gateway", str(path), str(seed)],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=ROOT,
    )
    assert process.stdout is not None
    told = process.stdout.readline()  # it has begun
    assert told, process.wait()
    os.set_blocking(process.stdout.fileno(), False)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        told += process.stdout.read() or b""
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.set_blocking(process.stdout.fileno(), True)
    told += process.stdout.read()
    process.stdout.close()
    return told.decode().splitlines()


def _check(path: Path, acknowledged: Counter[tuple[int, int]], discarded: Counter[int]) -> None:
    reader = LogReader(path)
    entries = reader.read(0, 10**9)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    stored = Counter((entry.series, entry.at_ms) for entry in entries)
    assert set(stored.values()) == {1}
    missing = [key for key in acknowledged if stored[key[0], at_ms(key[1])] < acknowledged[key]]
    assert missing == []
    counters = reader.counters()
    for series, counted in counters.items():
        stamps = [entry.at_ms for entry in entries if entry.series == series]
        assert stamps == sorted(stamps)
        assert counted.accepted == len(stamps)
        assert counted.discarded >= discarded[series]
        assert sum(one.repeats for one in reader.kept(series, 10**6)) == counted.discarded
    reader.close()


@pytest.mark.parametrize("cut", [1, 100, 4_000, 4_120, 9_000])
@pytest.mark.parametrize("damage", ["cut off", "zeros", "noise"])
def test_a_torn_tail_of_the_write_ahead_log_costs_the_last_commits_only(
    opened: Callable[..., Pushing], path: Path, tmp_path: Path, cut: int, damage: str
) -> None:
    """Power loss can tear what was being written; what was synced before stays whole."""
    log = opened()
    for minute in range(10):
        log.push(1, minute)
    copy = copy_as_after_a_crash(path, tmp_path / "copy")
    wal = copy.with_name(copy.name + "-wal")
    whole = wal.read_bytes()
    tail = {"cut off": b"", "zeros": bytes(cut), "noise": random.Random(cut).randbytes(cut)}[damage]
    wal.write_bytes(whole[:-cut] + tail)
    log = opened(path=copy)
    reader = LogReader(copy)
    entries = reader.read(0)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert len(entries) >= 10 - 1 - cut // 4_120
    assert log.push(1, 10).seq == len(entries) + 1
    assert reader.counters([1])[1].accepted == len(entries) + 1
    reader.close()


def test_a_crash_between_flushes_keeps_every_count(
    opened: Callable[..., Pushing],
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stream's row lags behind the packets on purpose; what it lacks is counted from them."""
    for name, value in (("TAIL_ROWS_MAX", 60), ("FLUSH_STREAMS", 2), ("FLUSH_SHARE", 0)):
        monkeypatch.setattr(ledger, name, value)
    log = opened(segment_rows=50)
    expected: Counter[int] = Counter()
    for turn in range(8):
        pushes = [Push(n % 7 + 1, turn * 100 + n, {"value": 1.0}) for n in range(40)]
        late = [Push(1, -turn, {"value": 1.0})]
        expected.update(push.series for push in pushes)
        log.push_all(pushes + late)
        if turn == 4:
            log.writer._ledger.flush()
        copy = copy_as_after_a_crash(path, tmp_path / f"copy-{turn}")
        other = LogWriter(copy, segment_rows=50)
        reader = LogReader(copy)
        assert {s: one.accepted for s, one in reader.counters().items()} == expected
        assert reader.counters([1])[1].discarded == turn + 1
        assert other._ledger.states == log.writer._ledger.states
        connection = other._ledger.connection
        assert connection is not None
        assert last_segment(connection) == (40 * (turn + 1) - 1) // 50 * 50 + 1
        other.close()
        assert {s: one.accepted for s, one in reader.counters().items()} == expected
        reader.close()
