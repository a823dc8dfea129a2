"""Readers in other processes: before there is a log, while it is written, when it is broken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kilowatch.log import LogReader, LogWriter
from kilowatch.model.errors import KilowatchError
from tests.log.pushing import Push, Pushing


def test_before_the_log_exists_it_is_an_empty_one(path: Path, reader: LogReader) -> None:
    """The platform may start before the collector has made its first file."""
    assert (reader.last_seq(), reader.first_seq(), reader.read(0)) == (0, 0, [])
    assert (reader.head(1), reader.at(1), reader.entry(1, 0), reader.latest(1, 1)) == (None,) * 4
    assert (reader.counters(), reader.kept(1), reader.kept_unknown(1)) == ({}, [], [])
    assert (reader.arrivals(0), reader.last_arrivals()) == ([], (0, []))
    LogWriter(path).close()
    assert (reader.last_seq(), reader.first_seq(), reader.read(0)) == (0, 0, [])
    assert (reader.head(1), reader.at(1), reader.entry(1, 0), reader.counters()) == (
        None, None, None, {},
    )  # fmt: skip


def test_a_reader_lives_on_while_the_writer_restarts(path: Path, reader: LogReader) -> None:
    """The platform is not restarted because the collector is."""
    for turn in range(3):
        log = Pushing(path)
        log.push(1, turn)
        assert reader.last_seq() == turn + 1
        log.close()
        assert reader.last_seq() == turn + 1


def test_reading_changes_nothing(path: Path, reader: LogReader) -> None:
    """Only the collector writes, checkpoints and removes segments."""
    log = Pushing(path)
    log.push(1, 0)
    log.close()
    before = path.read_bytes()
    assert reader.last_seq() == 1
    with reader._reading() as connection:
        assert connection is not None
        with pytest.raises(Exception, match="readonly"):
            connection.execute("DELETE FROM streams")
    reader.close()
    assert path.read_bytes() == before


def test_threads_may_share_a_reader(log: Pushing, reader: LogReader) -> None:
    """The dashboard asks from many threads at once."""
    log.push_all([Push(1, minute, {"value": 1.0}) for minute in range(100)])
    wrong: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(50):
                assert len(reader.read(0)) == 100
                assert reader.counters([1])[1].accepted == 100
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_log_that_cannot_be_read_is_said_so_and_read_again_later(
    path: Path, reader: LogReader
) -> None:
    """One bad moment of the disk must not end the platform."""
    log = Pushing(path)
    log.push(1, 0)
    log.close()
    whole = path.read_bytes()
    path.write_bytes(b"not a database" * 1_000)
    with pytest.raises(KilowatchError) as refusal:
        reader.last_seq()
    assert (refusal.value.code, refusal.value.status) == ("log_unreadable", 503)
    path.write_bytes(whole)
    assert reader.last_seq() == 1


def test_arrivals_are_the_entries_without_what_they_say(
    opened: Callable[..., Pushing], reader: LogReader
) -> None:
    """Who only listens whether packets come reads no bodies, across segments too."""
    log = opened(segment_rows=7)
    log.push_all([Push(minute % 3, minute, {"value": 1.0}) for minute in range(1, 31)])
    for after_seq, limit in ((0, 100), (0, 5), (6, 3), (20, 100), (30, 10)):
        entries = reader.read(after_seq, limit)
        assert reader.arrivals(after_seq, limit) == [tuple(entry[:7]) for entry in entries]


def test_the_last_arrival_of_each_stream_is_found_without_reading_the_log(
    opened: Callable[..., Pushing], reader: LogReader
) -> None:
    """What the streams' rows do not know yet comes after the number that is returned."""
    log = opened()
    log.push_all([Push(minute % 3, minute, {"value": 1.0}) for minute in range(1, 31)])
    for _ in range(2):
        seq, arrivals = reader.last_arrivals()
        last = {one.series: one for one in (*arrivals, *reader.arrivals(seq))}
        assert {series: one.seq for series, one in last.items()} == {0: 30, 1: 28, 2: 29}
        log.close()  # writes every stream's row
