"""Nothing is lost silently: what is not in a stream's series is kept, with its reason."""

from __future__ import annotations

from collections.abc import Callable

from kilowatch.log import LogReader
from kilowatch.log.kept import KEPT_BODY_BYTES_MAX, REFUSED_ROWS_MAX
from tests.log.faults import FaultyDisk
from tests.log.pushing import RECEIVED_MS, Push, Pushing, at_ms, wait

DAY_MS = 86_400_000


def refuse(
    log: Pushing, number: int, received_ms: int = RECEIVED_MS, series: int | None = 1
) -> None:
    """Refuse a packet, one of its kind by its number."""
    log.writer.refuse(
        series, 5, code="not_a_number", detail=f"value {number}", body=b"{%d}" % number,
        received_ms=received_ms, credential_id=8, flags=1,
    )  # fmt: skip


def test_a_sender_that_is_stuck_fills_no_disk(log: Pushing, reader: LogReader) -> None:
    """The same discarded packet is kept once with its count; a different one is kept too."""
    log.push(1, 9)
    for _ in range(20):
        assert log.push(1, 5, value=3.0).status == "discarded"
    assert log.push(1, 5, value=4.0).status == "discarded"
    assert log.push(2, 9).status == "accepted"
    kept = {(one.repeats, one.at_ms) for one in reader.kept(1)}
    assert kept == {(20, at_ms(5)), (1, at_ms(5))}
    assert reader.counters([1])[1].discarded == 21
    assert reader.kept(2) == []


def test_a_discarded_packet_stays_until_a_person_dismisses_it(
    opened: Callable[..., Pushing], reader: LogReader
) -> None:
    """Years later it can still be backfilled; dismissed is dismissed, the counter stays."""
    now_s = RECEIVED_MS / 1000
    log = opened(clock=lambda: now_s)
    log.push(1, 9)
    log.push(2, 9)
    for minute in (3, 4, 5):
        log.push(1, minute)
        log.push(2, minute)
    log.close()
    log = opened(clock=lambda: now_s + 10 * 366 * 86_400)
    log.settle()
    first = reader.kept(1)
    assert len(first) == 3
    log.writer.dismiss(1, [first[0].id, reader.kept(2)[0].id])
    log.settle()
    assert [one.id for one in reader.kept(1)] == [one.id for one in first[1:]]
    assert len(reader.kept(2)) == 3  # a number of another stream's is none of its business
    log.writer.dismiss(1)
    log.settle()
    assert reader.kept(1) == []
    assert reader.counters([1])[1].discarded == 3
    assert log.push(1, 4).status == "discarded"
    assert [one.at_ms for one in reader.kept(1)] == [at_ms(4)]


def test_a_refused_packet_is_kept_with_its_reason(log: Pushing, reader: LogReader) -> None:
    """The data point's page shows what came and what was wrong with it."""
    refuse(log, 1)
    refuse(log, 1, RECEIVED_MS + 5)
    log.settle()
    (kept,) = reader.kept(1)
    assert (kept.status, kept.code, kept.detail) == ("refused", "not_a_number", "value 1")
    assert (kept.body, kept.body_bytes, kept.repeats) == (b"{1}", 3, 2)
    assert (kept.received_ms, kept.last_received_ms) == (RECEIVED_MS, RECEIVED_MS + 5)
    assert (kept.at_ms, kept.latest_at_ms, kept.credential_id) == (None, None, 8)
    counters = reader.counters([1])[1]
    assert (counters.refused, counters.last_refused_ms) == (2, RECEIVED_MS + 5)
    assert reader.head(1) is None


def test_the_newest_200_refused_packets_are_kept_and_the_rest_are_counted(
    log: Pushing, reader: LogReader
) -> None:
    """A gateway with a wrong setting sends nonsense for weeks; the disk must not fill."""
    for number in range(REFUSED_ROWS_MAX + 50):
        refuse(log, number, RECEIVED_MS + number)
        if number % 90 == 0:
            log.settle()
    log.settle()
    kept = reader.kept(1, limit=1_000)
    assert [one.detail for one in kept] == [f"value {n}" for n in range(249, 49, -1)]
    assert reader.counters([1])[1].refused == 250
    assert [one.detail for one in reader.kept(1, limit=2, offset=100)] == ["value 149", "value 148"]


def test_refused_packets_are_forgotten_after_30_days(
    opened: Callable[..., Pushing], reader: LogReader
) -> None:
    """They may name people or places; what nobody looked at for a month goes."""
    log = opened(clock=lambda: (RECEIVED_MS + 30 * DAY_MS) / 1000)
    refuse(log, 1, RECEIVED_MS - 1)
    refuse(log, 2, RECEIVED_MS)
    log.push(1, 9)
    log.push(1, 8)
    log.settle()
    log.close()
    log = opened(clock=lambda: (RECEIVED_MS + 30 * DAY_MS) / 1000)
    log.writer.dismiss(99)  # something to do
    log.settle()
    assert {one.detail for one in reader.kept(1)} == {"value 2", ""}


def test_a_refused_packet_of_no_known_stream_is_kept_for_its_organisation(
    log: Pushing, reader: LogReader
) -> None:
    """An integrator who mistyped the stream id finds the packet all the same."""
    for number in range(REFUSED_ROWS_MAX + 1):
        refuse(log, number, series=None)
    log.settle()
    kept = reader.kept_unknown(5, limit=1_000)
    assert len(kept) == REFUSED_ROWS_MAX
    assert kept[0].detail == "value 200"
    assert reader.kept_unknown(6) == []
    assert reader.kept(5) == []


def test_a_large_refused_body_is_cut_off_and_its_length_is_told(
    log: Pushing, reader: LogReader
) -> None:
    """4 KiB are enough to see what is wrong; 200 times 64 KiB a stream would not be little."""
    log.writer.refuse(1, 5, code="x", detail="y", body=b"z" * 65_536, received_ms=RECEIVED_MS)
    log.settle()
    (kept,) = reader.kept(1)
    assert (len(kept.body), kept.body_bytes) == (KEPT_BODY_BYTES_MAX, 65_536)


def test_a_flood_of_refused_packets_is_counted_in_full(log: Pushing, reader: LogReader) -> None:
    """More than a thousand a second are not all kept, but every one is counted."""
    for number in range(3_000):
        refuse(log, number)
    log.settle()
    assert reader.counters([1])[1].refused == 3_000
    assert len(reader.kept(1, limit=1_000)) == REFUSED_ROWS_MAX


def test_a_refusal_that_cannot_be_written_costs_no_other_tenant_theirs(
    opened: Callable[..., Pushing], faulty: FaultyDisk, reader: LogReader
) -> None:
    """A bug with one packet's text must not lose everybody's counts of that second."""
    log = opened(vfs=faulty.name)
    log.push(1, 1)
    with faulty.disk.slow():
        places = log.submit([Push(1, 2, {"value": 1.0})])
        assert faulty.disk.waiting.wait(10)
        for number in range(1, 6):
            refuse(log, number, series=number)
        log.writer.refuse(
            6, 5, code="x", detail="half a pair: \ud800", body=b"", received_ms=RECEIVED_MS
        )
        refuse(log, 7, series=7)
    assert wait(places, 0).status == "accepted"
    log.settle()
    assert log.push(1, 3).status == "accepted"
    log.settle()
    for number in (1, 2, 3, 4, 5, 7):
        assert [one.detail for one in reader.kept(number)] == [f"value {number}"]
        assert reader.counters([number])[number].refused == 1
    assert reader.kept(6) == []
    assert log.writer.status()["fault"] == ""
