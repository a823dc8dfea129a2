"""Group commit: many wait for one fsync, nobody waits for ever, and memory is bounded."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kilowatch.log import LogReader, LogWriter, Outcome
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form
from kilowatch.wire import decode
from tests.log.faults import FaultyDisk
from tests.log.pushing import RECEIVED_MS, Push, Pushing, wait


def test_all_that_wait_ride_on_one_fsync(
    opened: Callable[..., Pushing], faulty: FaultyDisk
) -> None:
    """An fsync takes as long for a hundred packets as for one."""
    log = opened(vfs=faulty.name, upkeep_s=3_600.0)
    log.push(1, -1)
    with faulty.disk.slow():
        first = log.submit([Push(1, 0, {"value": 1.0})])
        assert faulty.disk.waiting.wait(10)  # the writer is busy with it
        syncs = faulty.disk.syncs
        rest = log.submit([Push(2, minute, {"value": 1.0}) for minute in range(200)])
    assert {wait(rest, number).status for number in range(200)} == {"accepted"}
    assert wait(first, 0).status == "accepted"
    assert log.batches == [1, 1, 200]
    assert faulty.disk.syncs - syncs == 1


def test_submitting_never_waits_for_the_disk(
    opened: Callable[..., Pushing], faulty: FaultyDisk
) -> None:
    """One slow disk must not stop the collector from answering everybody else."""
    log = opened(vfs=faulty.name)
    with faulty.disk.slow():
        places = log.submit([Push(1, minute, {"value": 1.0}) for minute in range(100)])
        assert faulty.disk.waiting.wait(10)
        log.writer.refuse(1, 5, code="x", detail="y", body=b"z", received_ms=RECEIVED_MS)
        log.writer.release(5)
        log.writer.dismiss(1)
        assert log.writer.status()["waiting"] == 100
        assert log.batches == []
    assert wait(places, 99).status == "accepted"


def test_a_full_queue_refuses_and_keeps_serving_what_it_has_accepted(
    opened: Callable[..., Pushing], faulty: FaultyDisk
) -> None:
    """Overload is answered with 503; memory is bounded, and it passes."""
    log = opened(vfs=faulty.name, queue_max=10)
    with faulty.disk.slow():
        places = log.submit([Push(1, minute, {"value": 1.0}) for minute in range(10)])
        with pytest.raises(KilowatchError) as refusal:
            log.submit([Push(1, 99, {"value": 1.0})])
    assert (refusal.value.code, refusal.value.status) == ("overloaded", 503)
    assert refusal.value.retry_helps
    assert {wait(places, number).status for number in range(10)} == {"accepted"}
    log.settle()
    assert log.push(1, 99).status == "accepted"
    log.settle()
    assert log.writer.status()["waiting"] == 0


def test_the_queue_is_bounded_in_bytes_too(
    opened: Callable[..., Pushing], faulty: FaultyDisk
) -> None:
    """Ten thousand packets of 64 KiB would be 640 MB."""
    log = opened(vfs=faulty.name, queue_bytes_max=1_000)
    with faulty.disk.slow(), pytest.raises(KilowatchError, match="More packets are waiting"):
        log.submit([Push(1, minute, {"value": 1.0}) for minute in range(50)])
    log.settle()
    assert log.push(2, 1).status == "accepted"
    log.settle()
    assert log.writer.status()["waiting_bytes"] == 0


def test_each_packet_learns_its_outcome_once_and_in_order(path: Path) -> None:
    """The collector answers a whole commit at once, in the order of the requests."""
    order: list[tuple[int, str]] = []
    finished = threading.Event()

    def done(number: int) -> Callable[[Outcome], None]:
        def answer(outcome: Outcome) -> None:
            order.append((number, outcome.status))
            if number == 99:
                finished.set()

        return answer

    writer = LogWriter(path)
    for number in range(100):
        push = Push(1, number // 2, {"value": 1.0})
        packet = decode(push.body, Form.LOCAL)
        writer.submit(1, packet, Form.LOCAL, push.body, RECEIVED_MS, 7, done(number))
    assert finished.wait(10)
    writer.close()
    assert order == [(n, "duplicate" if n % 2 else "accepted") for n in range(100)]


def test_closing_commits_what_waits(opened: Callable[..., Pushing], reader: LogReader) -> None:
    """An orderly stop loses nothing, not even counts, and then takes nothing more."""
    log = opened()
    log.push(1, 0)
    places = log.submit([Push(1, minute, {"value": 1.0}) for minute in range(500)])
    log.close()
    assert [wait(places, n).status for n in range(500)] == ["duplicate"] + ["accepted"] * 499
    counters = reader.counters([1])[1]
    assert (counters.accepted, counters.duplicate) == (500, 1)
    with pytest.raises(KilowatchError, match="closing"):
        log.push(1, 501)


def test_the_gate_is_the_same_after_a_restart(opened: Callable[..., Pushing]) -> None:
    """Retries that span a restart are still known as such."""
    log = opened(segment_rows=7)
    log.push(1, 5, Form.PARTIAL, aP_1=1.0)
    log.push(1, 5, Form.PARTIAL, aP_2=2.0)
    for minute in range(20):
        log.push(2, minute, value=minute)
    states = dict(log.writer._ledger.states)
    log.close()
    log = opened(segment_rows=7)
    assert log.writer._ledger.states == states
    assert log.push(1, 5, aP_1=1.0, aP_2=2.0).status == "duplicate"
    assert log.push(2, 18, value=18).status == "discarded"
    assert log.push(2, 20, value=20).seq == 23


def test_a_second_writer_is_refused(path: Path, log: Pushing) -> None:
    """Two collectors on one log would give one number to two packets."""
    log.push(1, 1)
    with pytest.raises(KilowatchError) as refusal:
        LogWriter(path)
    assert refusal.value.code == "log_in_use"
    program = f"from kilowatch.log import LogWriter; LogWriter({str(path)!r})"
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert other.returncode != 0
    assert "is being written by another process" in other.stderr
    assert log.push(1, 2).status == "accepted"
    log.close()
    LogWriter(path).close()


def test_one_packet_that_cannot_be_written_does_not_stop_its_neighbours(
    opened: Callable[..., Pushing], faulty: FaultyDisk, reader: LogReader
) -> None:
    """A fault in our own code would otherwise fail every packet that rides along."""
    log = opened(vfs=faulty.name)
    outcomes: dict[int, Outcome] = {}
    finished = threading.Semaphore(0)
    with faulty.disk.slow():
        log.submit([Push(9, 0, {"value": 1.0})])
        assert faulty.disk.waiting.wait(10)
        for number, series in enumerate([1, 2**70, 3]):
            push = Push(number, 1, {"value": 1.0})

            def done(outcome: Outcome, number: int = number) -> None:
                outcomes[number] = outcome
                finished.release()

            packet = decode(push.body, Form.LOCAL)
            log.writer.submit(series, packet, Form.LOCAL, push.body, RECEIVED_MS, 7, done)
    assert all(finished.acquire(timeout=10) for _ in range(3))
    assert [outcomes[n].status for n in range(3)] == ["accepted", "failed", "accepted"]
    assert [entry.series for entry in reader.read(0)] == [9, 1, 3]


def test_a_caller_that_fails_does_not_stop_the_log(path: Path, reader: LogReader) -> None:
    """An event loop that has just closed must not take the writer with it."""
    wrong: list[Any] = []

    def closed(answers: Any) -> None:
        wrong.append(answers)
        raise RuntimeError("Event loop is closed")

    writer = LogWriter(path, on_done_batch=closed)
    for minute in range(3):
        push = Push(1, minute, {"value": 1.0})
        packet = decode(push.body, Form.LOCAL)
        writer.submit(1, packet, Form.LOCAL, push.body, RECEIVED_MS, 7, lambda _: None)
        time.sleep(0.05)
    writer.close()
    assert len(reader.read(0)) == 3
    assert sum(map(len, wrong)) == 3


def test_many_threads_may_submit(log: Pushing, reader: LogReader) -> None:
    """Whoever submits, each stream's packets are decided one after the other."""

    def gateway(series: int) -> None:
        log.push_all([Push(series, minute, {"value": 1.0}) for minute in range(200)])

    threads = [threading.Thread(target=gateway, args=(series,)) for series in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = reader.read(0)
    assert [entry.seq for entry in entries] == list(range(1, 1_601))
    assert {s: one.accepted for s, one in reader.counters().items()} == dict.fromkeys(
        range(1, 9), 200
    )


def test_the_write_ahead_log_starts_over_again_and_again(
    opened: Callable[..., Pushing], path: Path, reader: LogReader
) -> None:
    """Only the collector checkpoints; without that the file beside the log would only grow."""
    log = opened()
    wal = path.with_name(path.name + "-wal")
    for turn in range(12):
        log.push_all(
            [
                Push(1, turn * 1_000 + n, {f"aP_{p}": float(n) for p in (1, 2, 3)})
                for n in range(900)
            ]
            + [Push(1 + turn, turn * 1_000 + 950, {"value": 1.0, "x" * 30_000: 1.0})] * 200
        )
        reader.read(0, 10)
    assert wal.stat().st_size < 12 * 2**20
    log.close()
    assert wal.stat().st_size == 0
