"""The log's file: its tables, how it comes into being, and when it is not to be trusted."""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import apsw

from kilowatch.model.errors import KilowatchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

APPLICATION_ID: Final = 0x4B574C47  # "KWLG"
VERSION: Final = 2
BUSY_MS: Final = 2_000  # readers hold no lock that long; recovery after a crash may

BACKFILLED_COLUMN: Final = "backfilled INTEGER NOT NULL DEFAULT 0"
LAST_BACKFILLED_COLUMN: Final = "last_backfilled_ms INTEGER"
BACKFILLS: Final = """
CREATE TABLE IF NOT EXISTS backfills(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    series INTEGER NOT NULL, source TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
    credential_id INTEGER NOT NULL, packets INTEGER NOT NULL,
    first_at_ms INTEGER NOT NULL, last_at_ms INTEGER NOT NULL,
    first_received_ms INTEGER NOT NULL, last_received_ms INTEGER NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS backfills_of ON backfills(series, id);
"""
_FROM_1: Final = f"""
ALTER TABLE streams ADD COLUMN {BACKFILLED_COLUMN};
ALTER TABLE streams ADD COLUMN {LAST_BACKFILLED_COLUMN};
{BACKFILLS}
PRAGMA user_version = 2;
"""
_TABLES: Final = f"""
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('tail_seq', 0);
CREATE TABLE streams(
    series INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL DEFAULT 0, at_ms INTEGER, offset_min INTEGER, flags INTEGER,
    received_ms INTEGER, credential_id INTEGER, body BLOB,
    accepted INTEGER NOT NULL DEFAULT 0, duplicate INTEGER NOT NULL DEFAULT 0,
    discarded INTEGER NOT NULL DEFAULT 0, refused INTEGER NOT NULL DEFAULT 0,
    last_duplicate_ms INTEGER, last_discarded_ms INTEGER, last_refused_ms INTEGER,
    {BACKFILLED_COLUMN}, {LAST_BACKFILLED_COLUMN});
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
{BACKFILLS}
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
"""
# A stream's row holds it up to its own ``seq``; what came after is in the packets from
# ``tail_seq`` on. So an accepted packet costs one row at the end of one table, however
# many streams there are, and not a second page somewhere among 100,000 streams.

SEGMENT: Final = """
CREATE TABLE packets_{first}(
    seq INTEGER PRIMARY KEY, series INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    offset_min INTEGER NOT NULL, flags INTEGER NOT NULL, received_ms INTEGER NOT NULL,
    credential_id INTEGER NOT NULL, body BLOB NOT NULL)
"""


def corrupt(path: Path, why: str) -> KilowatchError:
    """Return the refusal to touch a log that may have lost something."""
    return KilowatchError(
        "log_corrupt",
        f"The log {path} is damaged: {why}.",
        status=503,
        remedy="It has not been changed. Restore it from a backup, or move it aside (keep it: "
        "packets can be recovered from it) to start with an empty log.",
    )


def open_for_writing(path: Path, vfs: str | None = None) -> apsw.Connection:
    """Open the log, or create it where there is none.

    Raises:
        KilowatchError: ``log_corrupt``; the file is left as it was found.
    """
    wal = path.with_name(path.name + "-wal")
    if not path.exists():
        if wal.exists():
            raise corrupt(path, "it is missing, but its write-ahead log is there")
        _create(path)
    elif path.stat().st_size == 0:
        raise corrupt(path, "it is empty")
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # a refused file stays as is
        connection.set_busy_timeout(BUSY_MS)
        check_header(connection, path)
        connection.pragma("synchronous", "FULL")
        connection.pragma("wal_autocheckpoint", 0)
        connection.pragma("cache_size", -8_000)  # 8 MB: the end of a table and the kept packets
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise corrupt(path, str(error)) from error
    return connection


def open_for_reading(path: Path) -> apsw.Connection:
    """Open the log read-only; it must exist."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_MS)
    connection.pragma("cache_size", -4_000)
    return connection


def _create(path: Path) -> None:
    """Make an empty log beside its place and move it there: it is never half made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    connection = apsw.Connection(str(new))
    connection.pragma("journal_mode", "WAL")
    connection.pragma("synchronous", "FULL")
    connection.execute(f"BEGIN; {_TABLES} COMMIT")
    connection.close()
    new.chmod(0o600)
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_header(connection: apsw.Connection, path: Path) -> None:
    """Look whether a file is a log that this program reads.

    Raises:
        KilowatchError: ``log_corrupt`` or ``log_version``.
    """
    application_id, version = connection.pragma("application_id"), connection.pragma("user_version")
    if application_id != APPLICATION_ID:
        raise corrupt(path, "it is not a log of Kilowatch")
    if version not in (1, VERSION):
        raise KilowatchError(
            "log_version",
            f"The log {path} has version {version}; this program reads {VERSION}.",
            status=503,
            remedy="Use the version of Kilowatch that wrote it, or a newer one.",
        )


def bring_up_to_date(connection: apsw.Connection) -> None:
    """Bring a log of version 1 up to date: all of it, or nothing if that fails."""
    if connection.pragma("user_version") == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_FROM_1)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def check_tables(connection: apsw.Connection, path: Path) -> None:
    """Look for damage in what is read at start and where writing goes on: a bounded time.

    Raises:
        KilowatchError: ``log_corrupt``.
    """
    try:
        tables = ["meta", "streams", "segments"]
        last = last_segment(connection)
        if last:
            tables.append(f"packets_{last}")
            first, end, count = next(
                connection.execute(f"SELECT min(seq), max(seq), count(*) FROM packets_{last}")
            )
            if first != last or end - first + 1 != count:
                raise corrupt(path, f"packets are missing after number {first}")
        for table in tables:
            found = connection.pragma("quick_check", table)
            if found != "ok":
                raise corrupt(path, str(found).splitlines()[0])
    except apsw.Error as error:
        raise corrupt(path, str(error)) from error


def last_segment(connection: apsw.Connection) -> int:
    """Return the first sequence number of the newest segment, or 0."""
    found: int | None = connection.execute("SELECT max(first_seq) FROM segments").get
    return found or 0


def insert_many(
    connection: apsw.Connection,
    into: str,
    rows: Sequence[Sequence[Any]],
    then: str = "",
) -> None:
    """Insert rows in few statements.

    Every statement gives up and takes back the interpreter's lock, which an event loop
    in another thread would rather keep: 64 rows in one statement wait for it once.

    Args:
        connection: Inside a transaction.
        into: ``table(column, …)``.
        rows: Values in the order of the columns.
        then: What follows the values (``ON CONFLICT …``).
    """
    start = 0
    while start < len(rows):
        count = min(1 << (len(rows) - start).bit_length() - 1, 256)
        values = tuple(chain.from_iterable(rows[start : start + count]))
        connection.execute(_insert(into, count, then), values)
        start += count


@lru_cache(maxsize=256)
def _insert(into: str, count: int, then: str) -> str:
    one = "(" + ",".join("?" * (into.count(",") + 1)) + ")"
    return f"INSERT INTO {into} VALUES {','.join([one] * count)} {then}"
