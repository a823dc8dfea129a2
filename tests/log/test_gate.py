"""Accepted, duplicate or discarded: a stream's order is decided by its instants alone."""

from __future__ import annotations

import pytest

from kilowatch.log import Counters, LogReader
from kilowatch.model.packet import Form, OffsetKind
from kilowatch.wire import values_of
from tests.log.pushing import RECEIVED_MS, Push, Pushing, at_ms


def test_packets_in_order_are_accepted_and_numbered(log: Pushing, reader: LogReader) -> None:
    """Each accepted packet is one entry, and their numbers have no gaps."""
    outcomes = [log.push(1, minute, value=minute) for minute in (0, 5, 6)]
    assert [o.status for o in outcomes] == ["accepted"] * 3
    assert [o.seq for o in outcomes] == [1, 2, 3]
    assert [o.latest_at_ms for o in outcomes] == [at_ms(0), at_ms(5), at_ms(6)]
    entries = reader.read(0)
    assert [(e.seq, e.series, e.at_ms) for e in entries] == [
        (1, 1, at_ms(0)), (2, 1, at_ms(5)), (3, 1, at_ms(6)),
    ]  # fmt: skip
    assert {(e.offset_min, e.received_ms, e.credential_id) for e in entries} == {
        (0, RECEIVED_MS, 7)
    }
    assert log.commits == [1, 2, 3]


def test_the_same_packet_again_is_a_duplicate_and_counts_once(
    log: Pushing, reader: LogReader
) -> None:
    """A client that lost the answer sends the packet again; its energy counts once."""
    log.push(1, 5, aP_1=1.0, v_31=400.0)
    again = log.push(1, 5, v_31=400.0, aP_1=1.0)
    assert (again.status, again.seq, again.latest_at_ms) == ("duplicate", 1, at_ms(5))
    assert log.push(1, 5, aP_1=1, v_13=400, unknown=3).status == "duplicate"
    assert log.push(1, 5, Form.UTC, aP_1=1, v_13=400).status == "duplicate"
    assert log.push(1, 5, Form.PARTIAL, aP_1=1, v_13=400).status == "duplicate"
    assert len(reader.read(0)) == 1
    log.settle()
    assert reader.counters([1])[1] == Counters(
        1, 4, 0, 0, last_accepted_ms=RECEIVED_MS, last_duplicate_ms=RECEIVED_MS
    )


@pytest.mark.parametrize(
    ("minute", "value"), [(4, 2.0), (4, 1.0), (5, 2.0), (-100_000, 1.0)],
    ids=["older", "older repeat", "conflicting tie", "much older"],
)  # fmt: skip
def test_a_packet_that_is_not_after_the_latest_is_discarded_and_kept(
    log: Pushing, reader: LogReader, minute: int, value: float
) -> None:
    """Never refused: clients retry a refused packet for ever and block their queue."""
    log.push(1, 4, value=1.0)
    log.push(1, 5, value=1.0)
    late = log.push(1, minute, value=value)
    assert (late.status, late.reason) == ("discarded", "not_chronological")
    assert (late.seq, late.latest_at_ms, late.latest_offset_min) == (2, at_ms(5), 0)
    assert OffsetKind(late.latest_flags >> 2) is OffsetKind.NUMERIC
    (kept,) = reader.kept(1)
    assert (kept.status, kept.code, kept.at_ms) == ("discarded", "not_chronological", at_ms(minute))
    assert (kept.latest_at_ms, kept.repeats, kept.credential_id) == (at_ms(5), 1, 7)
    assert values_of(kept.body, kept.flags).values == {0: value}
    counters = reader.counters([1])[1]
    assert (counters.accepted, counters.discarded) == (2, 1)
    assert counters.last_discarded_ms == RECEIVED_MS
    assert len(reader.read(0)) == 2


def test_streams_do_not_order_each_other(log: Pushing) -> None:
    """A meter that is behind is not late because another is ahead."""
    assert log.push(1, 100).status == "accepted"
    assert log.push(2, 5).status == "accepted"
    assert log.push(2, 4).status == "discarded"
    assert log.push(1, 101).status == "accepted"


def test_partial_packets_of_one_instant_become_one_measurement(
    log: Pushing, reader: LogReader
) -> None:
    """A gateway that reads phases one by one pushes them one by one."""
    first = log.push(1, 5, Form.PARTIAL, aP_1=1.0)
    second = log.push(1, 5, Form.PARTIAL, aP_2=2.0)
    third = log.push(1, 5, Form.PARTIAL, aP_1=1.5)
    assert [(o.status, o.merged) for o in (first, second, third)] == [
        ("accepted", False), ("accepted", True), ("accepted", True),
    ]  # fmt: skip
    entries = reader.read(0)
    assert {(e.series, e.at_ms) for e in entries} == {(1, at_ms(5))}
    merged = values_of(entries[-1].body, entries[-1].flags)
    assert merged.values == {5: 1.5, 6: 2.0}
    assert (merged.stream_id, merged.at_ms) == ("stream-1", at_ms(5))
    head = reader.head(1)
    assert head is not None
    assert head.entry == entries[-1]
    assert head.entry.flags & 3 == Form.PARTIAL
    assert head.counters.accepted == 3


def test_a_partial_packet_that_changes_nothing_is_a_duplicate(log: Pushing) -> None:
    """No change, no new measurement."""
    log.push(1, 5, Form.PARTIAL, aP_1=1.0)
    log.push(1, 5, Form.PARTIAL, aP_2=2.0)
    for values in ({"aP_1": 1.0}, {"aP_2": 2.0}, {"aP_1": 1.0, "aP_2": 2.0}):
        assert log.push(1, 5, Form.PARTIAL, **values).status == "duplicate"


def test_an_older_partial_packet_is_discarded(log: Pushing) -> None:
    """Only the latest instant can still be completed."""
    log.push(1, 5, Form.PARTIAL, aP_1=1.0)
    assert log.push(1, 4, Form.PARTIAL, aP_2=2.0).status == "discarded"


def test_plain_then_partial_merges_and_partial_then_plain_does_not(log: Pushing) -> None:
    """A partial packet completes what is there; a plain one says that it is all there is."""
    log.push(1, 5, aP_1=1.0)
    assert log.push(1, 5, Form.PARTIAL, aP_2=2.0).merged
    assert log.push(1, 5, aP_1=1.0, aP_2=3.0).status == "discarded"
    assert log.push(1, 5, aP_1=1.0).status == "discarded"
    assert log.push(1, 5, aP_1=1.0, aP_2=2.0).status == "duplicate"
    assert log.push(1, 6, aP_1=1.0).status == "accepted"


def test_one_batch_decides_as_many_would(log: Pushing, reader: LogReader) -> None:
    """Packets that ride on one commit see each other as if each had its own."""
    pushes = [
        Push(1, 5, {"aP_1": 1.0}), Push(1, 5, {"aP_1": 1.0}), Push(1, 4, {"aP_1": 1.0}),
        Push(1, 5, {"aP_2": 2.0}, Form.PARTIAL), Push(2, 5, {"value": 1.0}),
        Push(1, 5, {"aP_2": 2.0}, Form.PARTIAL), Push(1, 6, {"aP_1": 1.0}),
    ]  # fmt: skip
    log.push(9, 0)
    statuses = [(o.status, o.merged) for o in log.push_all(pushes)]
    assert statuses == [
        ("accepted", False), ("duplicate", False), ("discarded", False), ("accepted", True),
        ("accepted", False), ("duplicate", False), ("accepted", False),
    ]  # fmt: skip
    assert reader.counters([1])[1].accepted == 3
    assert len(log.batches) <= 3


def test_what_was_acknowledged_is_what_a_reader_of_the_latest_packet_sees(log: Pushing) -> None:
    """A GET that follows a 200 to a POST of the same client sees that packet."""
    assert log.writer.head(1) is None
    for minute in range(30):
        outcome = log.push(1, minute, value=minute)
        head = log.writer.head(1)
        assert head is not None
        assert (head.entry.seq, head.entry.at_ms) == (outcome.seq, at_ms(minute))
        assert values_of(head.entry.body, head.entry.flags).values == {0: minute}
