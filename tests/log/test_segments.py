"""The log does not grow for ever, and nothing goes before the platform has stored it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kilowatch.log import LogReader
from kilowatch.model.packet import Form
from kilowatch.wire import values_of
from tests.log.pushing import RECEIVED_MS, Push, Pushing, at_ms

ROWS = 10
RETENTION_MS = 7 * 86_400_000


@pytest.fixture
def aged(opened: Callable[..., Pushing]) -> Callable[..., Pushing]:
    """Return a function that opens a log of small segments, some time after the packets."""

    def make(age_ms: int = RETENTION_MS + 1, **settings: Any) -> Pushing:
        now_s = (RECEIVED_MS + age_ms) / 1000
        return opened(clock=lambda: now_s, segment_rows=ROWS, **settings)

    return make


def fill(log: Pushing, count: int, series: int = 1, start: int = 0) -> None:
    """Push packets in order."""
    pushes = [Push(series, start + n, {"value": float(n)}) for n in range(count)]
    assert {outcome.status for outcome in log.push_all(pushes)} == {"accepted"}


def test_entries_are_read_across_segments_from_any_number(
    aged: Callable[..., Pushing], reader: LogReader
) -> None:
    """The pipeline reads on from its cursor, wherever a segment ends."""
    log = aged()
    fill(log, 35)
    for after in range(37):
        for limit in (1, 9, 10, 11, 100):
            seqs = [entry.seq for entry in reader.read(after, limit)]
            assert seqs == list(range(after + 1, min(36, after + 1 + limit)))
    assert (reader.first_seq(), reader.last_seq()) == (1, 35)
    entry = reader.at(20)
    assert entry is not None
    assert (entry.seq, entry.at_ms) == (20, at_ms(19))
    assert reader.at(36) is None
    assert reader.at(0) is None


def test_segments_go_once_they_are_stored_and_old(
    aged: Callable[..., Pushing], reader: LogReader
) -> None:
    """The platform's cursor at 25 frees two segments of ten; the third is still needed."""
    log = aged()
    fill(log, 35)
    log.writer.release(25)
    log.settle()
    assert reader.first_seq() == 21
    assert [entry.seq for entry in reader.read(0)] == list(range(21, 36))
    assert reader.at(20) is None


def test_nothing_goes_before_the_platform_has_stored_it(
    aged: Callable[..., Pushing], reader: LogReader
) -> None:
    """The platform may be down for months; the log waits."""
    log = aged(age_ms=365 * 86_400_000)
    fill(log, 35)
    log.writer.release(9)
    log.settle()
    assert reader.first_seq() == 1


def test_nothing_goes_before_its_retention_time_has_passed(
    aged: Callable[..., Pushing], reader: LogReader
) -> None:
    """A week of packets stays, so that a week of figures can be computed anew."""
    log = aged(age_ms=RETENTION_MS)
    fill(log, 35)
    log.writer.release(35)
    log.settle()
    assert reader.first_seq() == 1


def test_numbers_go_on_where_they_were_whatever_was_dropped(
    aged: Callable[..., Pushing], reader: LogReader
) -> None:
    """A number used twice would make the pipeline take a new packet for an old one."""
    log = aged()
    fill(log, 30)
    for turn in range(1, 4):
        log.writer.release(10_000)
        log.settle()
        log.close()
        log = aged()
        fill(log, 1, start=1_000 * turn)
        assert reader.last_seq() == 30 + turn
    assert reader.first_seq() == 31


def test_the_latest_packet_outlives_its_segment(
    aged: Callable[..., Pushing], reader: LogReader
) -> None:
    """A meter that fell silent still shows its last packet, and still knows its retry."""
    log = aged()
    log.push(7, 5, Form.PARTIAL, aP_1=1.0)
    fill(log, 35)
    before, counters = reader.head(7), reader.counters()
    log.writer.release(35)
    log.settle()
    assert reader.first_seq() == 31
    assert reader.head(7) == before
    assert reader.counters() == counters
    assert log.writer.latest(7) == (before and before.entry)
    assert log.push(7, 5, aP_1=1.0).status == "duplicate"
    assert log.push(7, 4, aP_1=1.0).status == "discarded"
    assert log.push(7, 5, Form.PARTIAL, aP_2=2.0).merged
    head = reader.head(7)
    assert head is not None
    assert values_of(head.entry.body, head.entry.flags).values == {5: 1.0, 6: 2.0}
    assert head.counters.accepted == 2


def test_counts_stay_exact_while_segments_go(
    aged: Callable[..., Pushing], reader: LogReader
) -> None:
    """What was received is received, however little of it is still in the log."""
    log = aged()
    for turn in range(6):
        fill(log, 13, series=turn % 2 + 1, start=100 * turn)
        log.writer.release(10_000)
        log.settle()
        counters = reader.counters([1, 2])
        assert sum(one.accepted for one in counters.values()) == 13 * (turn + 1)
    assert {series: one.accepted for series, one in reader.counters().items()} == {1: 39, 2: 39}


def test_an_entry_is_found_by_its_instant_while_the_log_holds_it(
    aged: Callable[..., Pushing], reader: LogReader
) -> None:
    """To explain a figure, the packet that it rests on is looked up."""
    log = aged()
    fill(log, 25)
    log.push(1, 24, Form.PARTIAL, value=99.0)
    found = [reader.entry(1, at_ms(minute)) for minute in (0, 9, 10, 24)]
    assert [entry and entry.seq for entry in found] == [1, 10, 11, 26]
    assert reader.entry(1, at_ms(25)) is None
    assert reader.entry(2, at_ms(5)) is None
    log.writer.release(26)
    log.settle()
    assert reader.entry(1, at_ms(5)) is None


def test_a_reader_in_the_middle_of_the_log_sees_one_state_of_it(
    aged: Callable[..., Pushing], reader: LogReader
) -> None:
    """A segment dropped meanwhile is not missing from what is being read."""
    log = aged()
    fill(log, 35)
    with reader._reading() as connection:
        assert connection is not None
        assert connection.execute("SELECT count(*) FROM packets_1").get == 10
        log.writer.release(35)
        log.settle()
        assert connection.execute("SELECT count(*) FROM packets_1").get == 10
    assert reader.first_seq() == 31
