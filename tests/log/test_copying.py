"""A log is copied while packets come, and is whole where it is put together again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from kilowatch.log import LogReader, copying
from kilowatch.model.errors import KilowatchError
from tests.log.pushing import Push, Pushing

ROWS = 20


def pushes(count: int, first: int = 0, series: int = 3) -> list[Push]:
    """Return packets of some streams, one after the other."""
    return [
        Push(1 + number % series, number, {"aP_1": float(number)})
        for number in range(first, first + count)
    ]


def copied(path: Path, folder: Path) -> copying.Copied:
    """Copy a log in pieces and put it together."""
    folder.mkdir()
    done: set[int] = set()
    while new := [one for one in copying.closed_segments(path) if one not in done]:
        for first in new:
            copying.copy_segment(path, first, folder / f"{first}")
            done.add(first)
    told = copying.copy_rest(path, folder / "log.sqlite", done)
    copying.join(folder / "log.sqlite", lambda first: folder / f"{first}")
    return told


def everything(path: Path) -> tuple[object, ...]:
    """Return all that a log answers."""
    reader = LogReader(path)
    try:
        return reader.read(0, 10**6), reader.counters(), [reader.kept(one) for one in range(5)]
    finally:
        reader.close()


def test_a_copy_in_pieces_is_the_same_log(
    opened: Callable[..., Pushing], path: Path, tmp_path: Path
) -> None:
    """Segments, latest packets, counts and kept packets: nothing differs, and it can be written."""
    log = opened(segment_rows=ROWS)
    log.push_all(pushes(95))
    log.push_all(pushes(4))  # too late: kept
    told = copied(path, tmp_path / "copy")
    assert (told.first_seq, told.last_seq, told.packets, told.accepted) == (1, 95, 95, 95)
    assert everything(tmp_path / "copy" / "log.sqlite") == everything(path)
    again = opened(path=tmp_path / "copy" / "log.sqlite", segment_rows=ROWS)
    assert [one.seq for one in again.push_all(pushes(30, first=95))] == list(range(96, 126))


def test_an_empty_log_and_one_with_a_single_segment_are_copied(
    opened: Callable[..., Pushing], path: Path, tmp_path: Path
) -> None:
    """A server of an hour has a log too."""
    log = opened(segment_rows=ROWS)
    assert copied(path, tmp_path / "empty") == copying.Copied(0, 0, 0, 0, None)
    log.push_all(pushes(3))
    assert copied(path, tmp_path / "one").packets == 3
    assert everything(tmp_path / "one" / "log.sqlite") == everything(path)


def test_what_was_acknowledged_before_the_copy_began_is_in_it_whatever_comes(
    opened: Callable[..., Pushing], path: Path, tmp_path: Path
) -> None:
    """Packets come all the while; the copy has no gap, and its counts fit its packets."""
    log = opened(segment_rows=ROWS)
    log.push_all(pushes(50))
    stop = threading.Event()

    def push() -> None:
        number = 50
        while not stop.is_set():
            log.push_all(pushes(5, first=number))
            number += 5

    pushing = threading.Thread(target=push)
    pushing.start()
    try:
        for attempt in range(5):
            told = copied(path, tmp_path / f"{attempt}")
            found = LogReader(tmp_path / f"{attempt}" / "log.sqlite")
            seqs = [entry.seq for entry in found.read(0, 10**6)]
            assert seqs == list(range(1, told.last_seq + 1))
            counts = sum(one.accepted for one in found.counters().values())
            assert told.accepted == told.packets == counts == len(seqs)
            found.close()
    finally:
        stop.set()
        pushing.join(30)
    assert told.packets > 50


def test_what_comes_in_the_middle_of_the_last_read_is_in_no_part_of_it(
    opened: Callable[..., Pushing], path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts, latest packets and packets are of one moment, or a start would count anew."""
    log = opened(segment_rows=ROWS)
    log.push_all(pushes(50))
    real = copying._create

    def create(connection: apsw.Connection, first: int) -> None:
        log.push_all(pushes(7, first=first + 100))
        real(connection, first)

    monkeypatch.setattr(copying, "_create", create)
    told = copying.copy_rest(path, tmp_path / "a.sqlite", ())
    monkeypatch.undo()
    copying.join(tmp_path / "a.sqlite", lambda _first: None)
    assert (told.last_seq, told.packets, told.accepted) == (50, 50, 50)
    found = LogReader(tmp_path / "a.sqlite")
    assert [entry.seq for entry in found.read(0, 1_000)] == list(range(1, 51))
    assert sum(one.accepted for one in found.counters().values()) == 50
    found.close()


def test_a_segment_that_is_dropped_meanwhile_is_missed_by_nobody(
    opened: Callable[..., Pushing], path: Path, tmp_path: Path
) -> None:
    """The store has it; the copy begins where the log does."""
    log = opened(segment_rows=ROWS, retention_ms=-1, upkeep_s=0.01)
    log.push_all(pushes(70))
    assert copying.closed_segments(path) == [1, 21, 41]
    assert copying.copy_segment(path, 1, tmp_path / "1")
    log.writer.release(40)
    reader = LogReader(path)
    for number in range(70, 1_000):
        log.push_all(pushes(1, first=number))
        if reader.first_seq() == 41:
            break
    reader.close()
    assert not copying.copy_segment(path, 21, tmp_path / "21"), "it is gone"
    told = copied(path, tmp_path / "copy")
    assert told.first_seq == 41
    assert told.accepted > told.packets
    assert everything(tmp_path / "copy" / "log.sqlite") == everything(path)


def test_a_missing_or_changed_piece_is_refused(
    opened: Callable[..., Pushing], path: Path, tmp_path: Path
) -> None:
    """A log with a hole would be taken for whole."""
    log = opened(segment_rows=ROWS)
    log.push_all(pushes(50))
    copying.copy_rest(path, tmp_path / "a.sqlite", {1, 21})
    with pytest.raises(KilowatchError, match="begins with packet 1 is missing"):
        copying.join(tmp_path / "a.sqlite", lambda _first: None)
    copying.copy_segment(path, 1, tmp_path / "1")
    copying.copy_segment(path, 21, tmp_path / "21")
    piece = apsw.Connection(str(tmp_path / "21"))
    piece.execute("DELETE FROM packets_21 WHERE seq = 30")
    piece.close()
    copying.copy_rest(path, tmp_path / "b.sqlite", {1, 21})
    with pytest.raises(KilowatchError, match="missing after number 21"):
        copying.join(tmp_path / "b.sqlite", lambda first: tmp_path / f"{first}")


def test_a_log_of_a_later_version_is_refused(
    opened: Callable[..., Pushing], path: Path, tmp_path: Path
) -> None:
    """An older program does not guess what a newer one has written."""
    opened().push_all(pushes(3))
    copying.copy_rest(path, tmp_path / "a.sqlite", ())
    later = apsw.Connection(str(tmp_path / "a.sqlite"))
    later.pragma("user_version", 99)
    later.close()
    with pytest.raises(KilowatchError) as refusal:
        copying.join(tmp_path / "a.sqlite", lambda _first: None)
    assert refusal.value.code == "log_version"
