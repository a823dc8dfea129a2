"""History goes into the log beside its stream: durable, counted apart, with who and why."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from kilowatch.log import LogReader, Origin, Outcome, Submission
from kilowatch.log.records import BACKFILLED, DECIDED, form_of, kind_of
from kilowatch.model.packet import Form, OffsetKind
from kilowatch.wire import decode, values_of
from tests.log.faults import FaultyDisk
from tests.log.pushing import RECEIVED_MS, Push, Pushing, at_ms, copy_as_after_a_crash

HOUR_MS = 3_600_000
PUSHED = Origin("push", "", "the gateway was away")
KEPT = Origin("kept", "ann@example.com", "clock was wrong")
DECISION = Origin("decision", "ann@example.com", "the second file is right")


def answered(start: Callable[[Callable[[Outcome], None]], None]) -> Outcome:
    """Start something and wait for its outcome."""
    found: list[Outcome] = []
    event = threading.Event()

    def done(outcome: Outcome) -> None:
        found.append(outcome)
        event.set()

    start(done)
    assert event.wait(20), "no outcome after 20 s"
    return found[0]


def backfill(
    log: Pushing, push: Push, origin: Origin = PUSHED, *, received_ms: int = RECEIVED_MS,
    kept_id: int | None = None,
) -> Outcome:  # fmt: skip
    """Put one packet into history and wait for its outcome."""
    return answered(
        lambda done: log.writer.backfill(
            Submission(
                push.series, decode(push.body, push.form), push.form, push.body, received_ms, 7,
                done, origin, kept_id,
            )
        )
    )  # fmt: skip


def test_history_moves_nothing_of_its_stream(
    opened: Callable[..., Pushing], reader: LogReader, path: Path, tmp_path: Path
) -> None:
    """The latest packet, what GET answers and the order of live packets stay as they were."""
    log = opened()
    log.push(1, 10, value=10.0)
    before = log.writer.latest(1), reader.counters([1])[1].accepted
    outcome = backfill(log, Push(1, 4, {"value": 4.0}))
    assert (outcome.status, outcome.seq, outcome.latest_at_ms) == ("backfilled", 2, at_ms(10))
    entry = reader.at(2)
    assert entry is not None
    assert (entry.at_ms, entry.flags & BACKFILLED, entry.flags & DECIDED) == (at_ms(4), 8, 0)
    assert (kind_of(entry.flags), form_of(entry.flags)) == (OffsetKind.NUMERIC, Form.LOCAL)
    assert values_of(entry.body, entry.flags).values == {0: 4.0}
    for crashed in (False, True):
        now = reader
        if crashed:
            now = LogReader(copy_as_after_a_crash(path, tmp_path / "crashed"))
        head = now.head(1)
        assert head is not None
        assert (head.entry, now.counters([1])[1].accepted) == before
        assert (now.counters([1])[1].backfilled, now.counters()[1].backfilled) == (1, 1)
        assert now.counters([1])[1].last_backfilled_ms == RECEIVED_MS
    log.close()
    again = opened()
    assert again.push(1, 9).status == "discarded", "the gate was read back as it was"
    assert again.push(1, 10, value=10.0).status == "duplicate"
    assert again.push(1, 11).status == "accepted"
    assert reader.counters([1])[1].accepted == 2


def test_only_what_is_not_after_the_latest_packet_is_history(log: Pushing) -> None:
    """A file may reach up to now: its newest packets are ordinary ones, in order as ever."""
    assert backfill(log, Push(1, 5, {"value": 5.0})).status == "accepted", "the stream's first"
    assert backfill(log, Push(1, 3, {"value": 3.0})).status == "backfilled"
    assert backfill(log, Push(1, 6, {"value": 6.0})).status == "accepted"
    assert backfill(log, Push(1, 6, {"value": 6.0})).status == "duplicate"
    assert backfill(log, Push(1, 6, {"value": 7.0})).status == "backfilled", "for a person"
    assert backfill(log, Push(1, 5, {"value": 5.0})).status == "backfilled"
    assert log.push(1, 4).status == "discarded", "an ordinary push is treated as ever"


def test_a_kept_packet_leaves_its_list_in_the_commit_that_takes_it(
    opened: Callable[..., Pushing], reader: LogReader, faulty: FaultyDisk
) -> None:
    """Either it is in history or it is still kept: at no moment both, and never neither."""
    log = opened(vfs=faulty.name)
    log.push(1, 10)
    for minute in (2, 4):
        log.push(1, minute, value=float(minute))
    first, second = log.writer.kept_of(1, None, 10)
    assert (first.at_ms, second.at_ms) == (at_ms(2), at_ms(4)), "oldest first"
    faulty.disk.full = True
    push = Push(1, 2, {"value": 2.0})
    assert backfill(log, push, KEPT, kept_id=first.id).status == "failed"
    assert len(reader.kept(1)) == 2
    assert reader.last_seq() == 1
    faulty.disk.heal()
    assert backfill(log, push, KEPT, kept_id=first.id).status == "backfilled"
    assert [one.id for one in reader.kept(1)] == [second.id]
    assert reader.last_seq() == 2
    assert log.writer.kept_of(1, [first.id, second.id], 10) == [second]


def test_what_comes_into_history_another_way_waits_no_more(log: Pushing, reader: LogReader) -> None:
    """The file was pushed with --backfill: what had been discarded of it is not offered again."""
    log.push(1, 10, value=10.0)
    log.push(1, 4, value=4.0)
    log.push(1, 5, value=5.0)
    log.push(2, 10, value=10.0)
    log.push(2, 4, value=4.0)
    backfill(log, Push(1, 4, {"value": 4.0}))
    backfill(log, Push(1, 5, {"value": 5.5}))
    waiting = {series: [one.at_ms for one in reader.kept(series)] for series in (1, 2)}
    assert waiting == {1: [at_ms(5)], 2: [at_ms(4)]}, (
        "another value, and another stream, still wait"
    )


def test_a_dismissal_is_answered_when_it_is_durable(log: Pushing, reader: LogReader) -> None:
    """Whoever has dismissed a packet does not see it again."""
    log.push(1, 10)
    log.push(1, 3)
    log.push(1, 4)
    number = log.writer.kept_of(1, None, 1)[0].id
    assert answered(lambda done: log.writer.remove(1, [number], done)).status == "removed"
    assert [one.at_ms for one in reader.kept(1)] == [at_ms(4)]
    assert answered(lambda done: log.writer.remove(1, None, done)).status == "removed"
    assert reader.kept(1) == []


def test_history_says_who_put_what_in_and_why(log: Pushing, reader: LogReader) -> None:
    """One line for each run of one actor and reason: a file is not 100,000 lines of history."""
    log.push(1, 100)
    log.push(2, 100)
    for minute in (7, 3, 5):
        backfill(log, Push(1, minute, {"value": 1.0}), received_ms=RECEIVED_MS + minute)
    backfill(log, Push(2, 3, {"value": 1.0}))
    backfill(log, Push(1, 9, {"value": 1.0}), Origin("push", "", "another reason"))
    backfill(log, Push(1, 8, {"value": 1.0}), KEPT)
    backfill(log, Push(1, 1, {"value": 1.0}), received_ms=RECEIVED_MS + 2 * HOUR_MS)
    runs = [
        (one.source, one.actor, one.reason, one.credential_id, one.packets)
        for one in reader.backfills(1)
    ]
    assert runs == [
        ("push", "", PUSHED.reason, 7, 1),
        ("kept", "ann@example.com", KEPT.reason, 7, 1),
        ("push", "", "another reason", 7, 1),
        ("push", "", PUSHED.reason, 7, 3),
    ]
    oldest = reader.backfills(1, 1, 3)[0]
    assert (oldest.first_at_ms, oldest.last_at_ms) == (at_ms(3), at_ms(7))
    assert (oldest.first_received_ms, oldest.last_received_ms) == (
        RECEIVED_MS + 3, RECEIVED_MS + 7
    )  # fmt: skip
    assert (oldest.first_seq, oldest.last_seq) == (3, 5)
    assert [one.packets for one in reader.backfills(2)] == [1]


def test_a_decision_is_history_that_says_so(log: Pushing, reader: LogReader) -> None:
    """A replay of the log decides as the person did, even about the latest packet."""
    log.push(1, 10, value=1.0)
    outcome = backfill(log, Push(1, 10, {"value": 1.0}), DECISION)
    entry = reader.at(outcome.seq)
    assert outcome.status == "backfilled"
    assert entry is not None
    assert entry.flags & DECIDED
    latest = log.writer.latest(1)
    assert latest is not None
    assert latest.seq == 1


def test_history_outlives_the_segments_of_its_packets(
    opened: Callable[..., Pushing], reader: LogReader
) -> None:
    """Who put what in is still known when the packets themselves have left the log."""
    log = opened(segment_rows=4, retention_ms=-1)
    log.push(1, 50, value=5.0)
    for minute in range(10):
        backfill(log, Push(1, minute, {"value": 1.0}))
    log.writer.release(11)
    log.settle()
    assert reader.first_seq() > 1
    assert reader.backfills(1)[0].packets == 10
    head = reader.head(1)
    assert head is not None
    assert values_of(head.entry.body, head.entry.flags).values == {0: 5.0}


VERSION_1 = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('tail_seq', 0);
CREATE TABLE streams(
    series INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL DEFAULT 0, at_ms INTEGER, offset_min INTEGER, flags INTEGER,
    received_ms INTEGER, credential_id INTEGER, body BLOB,
    accepted INTEGER NOT NULL DEFAULT 0, duplicate INTEGER NOT NULL DEFAULT 0,
    discarded INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0,
    last_duplicate_ms INTEGER, last_discarded_ms INTEGER, last_refused_ms INTEGER);
CREATE TABLE segments(
    first_seq INTEGER PRIMARY KEY, last_seq INTEGER,
    first_at_ms INTEGER, last_at_ms INTEGER, last_received_ms INTEGER);
CREATE TABLE kept(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL, refused INTEGER NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL,
    at_ms INTEGER, offset_min INTEGER NOT NULL, flags INTEGER NOT NULL, digest INTEGER NOT NULL,
    latest_at_ms INTEGER, received_ms INTEGER NOT NULL, last_received_ms INTEGER NOT NULL,
    repeats INTEGER NOT NULL DEFAULT 1, credential_id INTEGER NOT NULL,
    body BLOB NOT NULL, body_bytes INTEGER NOT NULL);
CREATE UNIQUE INDEX kept_once ON kept(owner, refused, ifnull(at_ms, 0), digest);
CREATE INDEX kept_age ON kept(last_received_ms) WHERE refused;
CREATE TABLE packets_1(
    seq INTEGER PRIMARY KEY, series INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    offset_min INTEGER NOT NULL, flags INTEGER NOT NULL, received_ms INTEGER NOT NULL,
    credential_id INTEGER NOT NULL, body BLOB NOT NULL);
INSERT INTO segments(first_seq) VALUES (1);
PRAGMA application_id = 1264012359;
PRAGMA user_version = 1;
"""
"""What the first release wrote, word for word."""


@pytest.fixture
def older(path: Path) -> Path:
    """A log of version 1 with two accepted packets and a discarded one."""
    path.parent.mkdir(parents=True)
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "WAL")
    connection.execute(VERSION_1)
    for seq, minute in ((1, 8), (2, 9)):
        body = Push(1, minute, {"value": float(minute)}).body
        row: tuple[Any, ...] = (seq, 1, at_ms(minute), 0, 0, RECEIVED_MS, 7, body)
        connection.execute("INSERT INTO packets_1 VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute(
        "INSERT INTO kept(owner, refused, code, detail, at_ms, offset_min, flags, digest,"
        " latest_at_ms, received_ms, last_received_ms, credential_id, body, body_bytes)"
        " VALUES (1, 0, 'not_chronological', '', ?, 0, 0, 1, ?, ?, ?, 7, ?, 50)",
        (at_ms(3), at_ms(9), RECEIVED_MS, RECEIVED_MS, Push(1, 3, {"value": 3.0}).body),
    )
    connection.execute("INSERT INTO streams(series, discarded) VALUES (1, 1)")
    connection.close()
    return path


def test_a_log_of_the_first_release_opens_and_goes_on(
    older: Path, opened: Callable[..., Pushing], reader: LogReader
) -> None:
    """An upgrade loses nothing: packets, kept packets and counts are there, history works."""
    counts = reader.counters([1])[1]
    assert (counts.accepted, counts.discarded, counts.backfilled) == (2, 1, 0)
    assert reader.backfills(1) == []
    assert reader.counters()[1] == counts
    log = opened()
    assert reader.counters([1])[1] == counts, "a reader that was open goes on"
    assert log.push(1, 9, value=9.0).status == "duplicate"
    kept = log.writer.kept_of(1, None, 10)[0]
    assert backfill(log, Push(1, 3, {"value": 3.0}), KEPT, kept_id=kept.id).status == "backfilled"
    assert reader.counters([1])[1].backfilled == 1
    assert reader.backfills(1)[0].reason == KEPT.reason
    log.close()
    assert opened().push(1, 10).status == "accepted"
    assert older.exists()
