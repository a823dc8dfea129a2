"""SQLite files are copied as they were at one moment, though somebody writes to them."""

from __future__ import annotations

import gzip
import threading
from pathlib import Path

import apsw
import pytest

from kilowatch.backup import Held, check, compress
from kilowatch.model.errors import KilowatchError

ROWS = 30_000  # several steps of a copy


def filled(path: Path, journal: str) -> apsw.Connection:
    """Make a file in which the sum of all amounts is zero."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(5_000)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER, text TEXT)")
    with connection:
        rows = ((number, 0, "x" * 400) for number in range(ROWS))
        connection.executemany("INSERT INTO account VALUES (?, ?, ?)", rows)
    return connection


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_copy_is_of_one_moment_while_others_write(tmp_path: Path, journal: str) -> None:
    """What moves from one end of the file to the other is never in it twice, or not at all."""
    path = tmp_path / "a.sqlite"
    writer = filled(path, journal)
    held = Held(path)
    going = threading.Event()

    def move() -> None:
        for number in range(200):
            if going.is_set():
                return
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE account SET amount = amount - 1 WHERE id = ?", (number,))
            last = (ROWS - 1 - number,)
            writer.execute("UPDATE account SET amount = amount + 1 WHERE id = ?", last)
            writer.execute("COMMIT")

    moving = threading.Thread(target=move)
    moving.start()
    held.copy(tmp_path / "b.sqlite")
    held.close()
    going.set()
    moving.join(30)
    assert not moving.is_alive()
    check(tmp_path / "b.sqlite", "b.sqlite")
    copy = apsw.Connection(str(tmp_path / "b.sqlite"))
    assert copy.execute("SELECT sum(amount), sum(amount <> 0), count(*) FROM account").get == (
        0, 0, ROWS,
    ), "the moment is when it was held"  # fmt: skip
    copy.close()
    writer.close()


def test_what_waits_in_the_write_ahead_log_is_in_the_copy(tmp_path: Path) -> None:
    """A plain copy of the file would lack what was committed last."""
    writer = filled(tmp_path / "a.sqlite", "WAL")
    writer.wal_autocheckpoint(0)
    writer.execute("UPDATE account SET amount = 7 WHERE id = 1")
    held = Held(tmp_path / "a.sqlite")
    held.copy(tmp_path / "b.sqlite")
    held.close()
    copy = apsw.Connection(str(tmp_path / "b.sqlite"))
    assert copy.execute("SELECT amount FROM account WHERE id = 1").get == 7
    copy.close()
    writer.close()


def test_a_damaged_file_is_refused_and_not_backed_up(tmp_path: Path) -> None:
    """A backup of something broken would be found out on the worst day."""
    path = tmp_path / "a.sqlite"
    filled(path, "DELETE").close()
    content = bytearray(path.read_bytes())
    content[4096 * 50 : 4096 * 60] = b"\xff" * (4096 * 10)
    path.write_bytes(content)
    with pytest.raises(KilowatchError) as refusal:
        check(path, "catalog.sqlite")
    assert refusal.value.code == "file_unreadable"
    assert "catalog.sqlite" in refusal.value.detail
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(KilowatchError, match="not a database"):
        Held(path)


def test_a_compressed_copy_takes_the_place_of_the_copy(tmp_path: Path) -> None:
    """There is never room for both for long; and equal files give equal bytes."""
    (tmp_path / "a").write_bytes(b"packet" * 10_000)
    packed = compress(tmp_path / "a")
    assert [file.name for file in tmp_path.iterdir()] == ["a.gz"]
    first = packed.read_bytes()
    assert gzip.decompress(first) == b"packet" * 10_000
    assert len(first) < 1_000
    packed.unlink()
    (tmp_path / "a").write_bytes(b"packet" * 10_000)
    assert compress(tmp_path / "a").read_bytes() == first
