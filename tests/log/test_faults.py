"""A failing disk: nothing acknowledged is lost, what failed is said, and it passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kilowatch.log import LogReader, LogWriter
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form
from tests.log.faults import FaultyDisk
from tests.log.pushing import RECEIVED_MS, Push, Pushing, at_ms, copy_as_after_a_crash, wait

FAULTS = ["full", "torn", "broken", "unsynced"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("after", range(6))
def test_a_disk_that_fails_loses_nothing_that_was_acknowledged(
    opened: Callable[..., Pushing], faulty: FaultyDisk, reader: LogReader, fault: str, after: int
) -> None:
    """Gateways push each packet until it is acknowledged; each then counts once.

    The fault strikes at each of the writes and syncs of a commit in turn, three times.
    """
    log = opened(vfs=faulty.name)
    log.push_all([Push(1, minute, {"value": 1.0}) for minute in range(5)])
    setattr(faulty.disk, fault, True)
    faulty.disk.after = after
    failures = 0
    for minute in range(5, 25):
        waiting = [Push(1, minute, {"value": 1.0}), Push(2, minute, {"value": 2.0})]
        while waiting:
            outcomes = [outcome.status for outcome in log.push_all(waiting)]
            # After a failed sync the packet may be there all the same; then it is a duplicate.
            assert set(outcomes) <= {"accepted", "failed", "duplicate"}
            if "failed" in outcomes:
                failures += 1
                assert fault == "unsynced" or "duplicate" not in outcomes
                assert log.writer.status()["fault"]
            waiting = [p for p, o in zip(waiting, outcomes, strict=True) if o == "failed"]
            if failures == 3:
                faulty.disk.heal()
    assert failures >= 3
    assert faulty.disk.struck
    assert log.writer.status()["fault"] == ""
    check_all_there(reader)
    log.close()
    log = opened()
    check_all_there(reader)
    assert log.push(1, 24, value=1.0).status == "duplicate"
    assert log.push(1, 25, value=1.0).seq == 46


def check_all_there(reader: LogReader) -> None:
    """Look for every packet, once, in order, and in the counts."""
    entries = reader.read(0)
    assert [entry.seq for entry in entries] == list(range(1, 46))
    for series, expected in ((1, range(25)), (2, range(5, 25))):
        stamps = [entry.at_ms for entry in entries if entry.series == series]
        assert stamps == [at_ms(minute) for minute in expected]
        assert reader.counters([series])[series].accepted == len(expected)


def test_a_failed_commit_leaves_the_gate_as_it_was(
    opened: Callable[..., Pushing], faulty: FaultyDisk, reader: LogReader
) -> None:
    """A retry after a full disk is new and not a duplicate; an older packet is not late."""
    log = opened(vfs=faulty.name)
    log.push(1, 1, aP_1=1.0)
    faulty.disk.full = True
    pushes = [
        Push(1, 5, {"aP_1": 1.0}), Push(1, 5, {"aP_1": 1.0}), Push(1, 4, {"aP_1": 1.0}),
        Push(1, 1, {"aP_2": 1.0}, Form.PARTIAL), Push(1, 1, {"aP_1": 1.0}),
    ]  # fmt: skip
    for outcome in log.push_all(pushes):
        assert outcome.status in ("failed", "duplicate")
        assert outcome.status == "duplicate" or "full" in outcome.reason
    faulty.disk.heal()
    assert log.push(1, 1, Form.PARTIAL, aP_2=1.0).merged
    assert log.push(1, 4, aP_1=1.0).status == "accepted"
    assert log.push(1, 5, aP_1=1.0).status == "accepted"
    log.settle()
    counters = reader.counters([1])[1]
    assert (counters.accepted, counters.discarded) == (4, 0)
    assert reader.kept(1) == []


def test_what_rests_on_a_failing_commit_fails_with_it(
    opened: Callable[..., Pushing], faulty: FaultyDisk
) -> None:
    """A retry must not hear "duplicate" of a packet that then turns out not to be stored."""
    log = opened(vfs=faulty.name)
    log.push(9, 0)
    faulty.disk.unsynced = True
    with faulty.disk.slow():
        places = log.submit([Push(1, 5, {"value": 1.0})])
        assert faulty.disk.waiting.wait(10)
        retries = log.submit([Push(1, 5, {"value": 1.0}), Push(1, 4, {"value": 1.0})])
    assert wait(places, 0).status == "failed"
    assert {wait(retries, 0).status, wait(retries, 1).status} == {"failed"}


def test_refused_packets_and_counts_wait_for_a_disk_that_works_again(
    opened: Callable[..., Pushing], faulty: FaultyDisk, reader: LogReader
) -> None:
    """They are not worth an answer, but they are not dropped either."""
    log = opened(vfs=faulty.name)
    log.push(1, 1)
    assert log.push(1, 1).status == "duplicate"
    faulty.disk.full = True
    log.writer.refuse(1, 5, code="x", detail="y", body=b"z", received_ms=RECEIVED_MS)
    for _ in range(100):
        if faulty.disk.struck:
            break
        time.sleep(0.02)
    log.writer.refuse(1, 5, code="x", detail="y", body=b"z", received_ms=RECEIVED_MS)
    faulty.disk.heal()
    log.settle()
    assert [(one.code, one.repeats) for one in reader.kept(1)] == [("x", 2)]
    counters = reader.counters([1])[1]
    assert (counters.duplicate, counters.refused) == (1, 2)


@pytest.mark.parametrize("after", range(9))
def test_a_disk_that_fails_while_a_bad_packet_is_sought_answers_everybody_once(
    opened: Callable[..., Pushing], faulty: FaultyDisk, reader: LogReader, after: int
) -> None:
    """Two troubles at once are no reason to leave a gateway without an answer."""
    log = opened(vfs=faulty.name)
    with faulty.disk.slow():
        first = log.submit([Push(9, 0, {"value": 1.0})])
        assert faulty.disk.waiting.wait(10)
        series = [1, 2, 2**70, 3, 4]  # the third cannot be written
        places = log.submit([Push(number, 1, {"value": 1.0}) for number in series])
        faulty.disk.full = True
        faulty.disk.after = after
    assert wait(first, 0).status in ("accepted", "failed")
    statuses = [wait(places, number).status for number in range(5)]
    assert statuses[2] == "failed"
    stored = [entry.series for entry in reader.read(0) if entry.series != 9]
    accepted = [n for n, status in zip(series, statuses, strict=True) if status == "accepted"]
    assert stored == accepted
    log.settle()
    assert log.writer.status()["waiting"] == 0


def test_a_checkpoint_that_fails_stops_no_packet(
    opened: Callable[..., Pushing], faulty: FaultyDisk, reader: LogReader, path: Path
) -> None:
    """The write-ahead log holds everything; moving it into the file can wait."""
    log = opened(vfs=faulty.name)
    faulty.disk.only = "log.sqlite"
    faulty.disk.broken = True
    for turn in range(12):
        pushes = [Push(1, turn * 200 + n, {"value": 1.0, "x" * 5_000: 1.0}) for n in range(200)]
        statuses = [outcome.status for outcome in log.push_all(pushes)]
        assert set(statuses) == {"accepted"}
    assert faulty.disk.struck
    assert path.with_name(path.name + "-wal").stat().st_size > 8 * 2**20
    assert log.writer.status()["fault"] == ""
    assert "IOError" in log.writer.status()["upkeep_fault"]
    faulty.disk.heal()
    assert log.push(1, 10_000).status == "accepted"
    assert len(reader.read(0)) == 2_401


def test_a_collector_that_starts_on_a_full_disk_recovers_without_a_restart(
    opened: Callable[..., Pushing], faulty: FaultyDisk, path: Path, tmp_path: Path
) -> None:
    """It answers 503 and says why; the latest packets can still be read."""
    log = opened()
    log.push(1, 1)
    copy = copy_as_after_a_crash(path, tmp_path / "copy")
    faulty.disk.full = True
    log = opened(path=copy, vfs=faulty.name)
    assert "full" in log.writer.status()["fault"].lower()
    assert log.push(1, 2).status == "failed"
    assert log.writer.head(1) is not None
    faulty.disk.heal()
    assert log.push(1, 2).seq == 2
    assert log.push(1, 1).status == "discarded"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("no database", lambda whole: b"x" * len(whole)),
        ("empty", lambda _: b""),
        ("cut in half", lambda whole: whole[: len(whole) // 8192 * 4096]),
        ("one byte of the header", lambda whole: b"T" + whole[1:]),
        ("a page of zeros", lambda whole: whole[:-4096] + bytes(4096)),
        ("another program's", lambda whole: whole[:68] + bytes(4) + whole[72:]),
    ],
)
def test_a_damaged_log_is_refused_and_left_as_it_is(
    opened: Callable[..., Pushing], path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    """Starting over an unreadable log would overwrite what could still be recovered."""
    log = opened()
    log.push_all([Push(1, minute, {"value": 1.0}) for minute in range(500)])
    log.close()
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(KilowatchError) as refusal:
            LogWriter(path)
        assert refusal.value.code == "log_corrupt", name
        assert str(path) in refusal.value.detail
        assert "backup" in refusal.value.remedy
    assert path.read_bytes() == damaged


def test_a_log_that_vanished_while_its_write_ahead_log_stayed_is_refused(
    opened: Callable[..., Pushing], path: Path
) -> None:
    """A new log in its place would begin again at number 1, over packets that are still there."""
    log = opened()
    log.push(1, 1)
    log.close()
    path.unlink()
    path.with_name(path.name + "-wal").write_bytes(b"something")
    with pytest.raises(KilowatchError, match="it is missing"):
        LogWriter(path)
    assert not path.exists()


def test_a_log_of_a_newer_version_is_refused(opened: Callable[..., Pushing], path: Path) -> None:
    """An older program must not write what it does not understand."""
    log = opened()
    log.writer._ledger.connection.pragma("user_version", 99)  # type: ignore[union-attr]
    log.close()
    with pytest.raises(KilowatchError, match="version 99"):
        LogWriter(path)


def test_only_the_owner_can_read_the_log(log: Pushing, path: Path) -> None:
    """When somebody is at home can be read from a meter."""
    log.push(1, 1)
    for one in path.parent.iterdir():
        assert one.stat().st_mode & 0o077 == 0, one
