"""A log that nobody writes to still shows whether it can: a full disk is known before a packet."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from kilowatch.log import LogReader
from tests.log.faults import FaultyDisk
from tests.log.pushing import Pushing


def until(true: Callable[[], bool]) -> None:
    """Wait for the log's thread."""
    ends_s = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


@pytest.mark.parametrize("fault", ["full", "broken", "unsynced"])
def test_a_disk_that_fails_while_nobody_pushes_is_found_and_its_recovery_too(
    opened: Callable[..., Pushing], faulty: FaultyDisk, fault: str
) -> None:
    """At night no gateway pushes; the disk fills all the same, and somebody should know."""
    log = opened(vfs=faulty.name)
    log.push(1, 0, value=1.0)
    before_ms = log.writer.committed_ms
    setattr(faulty.disk, fault, True)
    log.writer.probe()
    until(lambda: bool(log.writer.fault))
    assert log.writer.committed_ms == before_ms
    faulty.disk.heal()

    def mended() -> bool:
        log.writer.probe()
        return not log.writer.fault

    until(mended)
    assert log.writer.committed_ms >= before_ms
    assert log.push(1, 1, value=1.0).status == "accepted"


def test_a_probe_is_no_packet(log: Pushing, reader: LogReader) -> None:
    """The sign of life takes no sequence number and stands in no count."""
    log.push(1, 0, value=1.0)
    commits = sum(log.writer.status()["commits"]["counts"])
    log.writer.probe()
    until(lambda: sum(log.writer.status()["commits"]["counts"]) > commits)
    assert (log.writer.last_seq(), len(reader.read(0))) == (1, 1)
    assert log.writer.status()["committed_packets"] == 1
