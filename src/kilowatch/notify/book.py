"""What came of the rules: alerts, whom they are about, deliveries, and every attempt at one.

A file of its own (docs/decisions/0015): one process writes it, often, in a transaction that moves
the cursor of the silences along with the alerts that they raise, so that a crash neither loses an
alert nor raises it twice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import msgspec

from kilowatch.model.errors import KilowatchError

APPLICATION_ID: Final = 0x4B574E42  # "KWNB"
VERSION: Final = 4

_TABLES: Final = f"""
CREATE TABLE state(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE alert(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule_id INTEGER NOT NULL, rule_name TEXT NOT NULL, kind TEXT NOT NULL,
    organisation_id INTEGER NOT NULL,
    opened_ms INTEGER NOT NULL, tell_ms INTEGER NOT NULL,
    told_ms INTEGER, spoke_ms INTEGER, escalated_ms INTEGER,
    acknowledged_ms INTEGER, acknowledged_by TEXT NOT NULL DEFAULT '',
    ended_ms INTEGER, ended_why TEXT NOT NULL DEFAULT '', closed_ms INTEGER,
    until_ms INTEGER, fresh INTEGER NOT NULL DEFAULT 0, summary TEXT NOT NULL DEFAULT '');
CREATE INDEX alert_alive ON alert(rule_id) WHERE closed_ms IS NULL;
CREATE INDEX alert_lasting ON alert(organisation_id) WHERE ended_ms IS NULL;
CREATE INDEX alert_place ON alert(organisation_id, id);
CREATE TABLE member(
    id INTEGER PRIMARY KEY,
    alert_id INTEGER NOT NULL, data_point_id INTEGER NOT NULL, site_id INTEGER NOT NULL,
    credential_id INTEGER NOT NULL DEFAULT 0,
    since_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, noticed_ms INTEGER NOT NULL,
    value REAL, ended_ms INTEGER);
CREATE INDEX member_alert ON member(alert_id);
CREATE INDEX member_lasting ON member(data_point_id) WHERE ended_ms IS NULL;
CREATE TABLE delivery(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    alert_id INTEGER, organisation_id INTEGER NOT NULL, channel_id INTEGER NOT NULL,
    channel_name TEXT NOT NULL, shown TEXT NOT NULL, what TEXT NOT NULL,
    title TEXT NOT NULL, body TEXT NOT NULL, facts TEXT NOT NULL,
    created_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'pending', done_ms INTEGER, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX delivery_pending ON delivery(channel_id, next_ms) WHERE state = 'pending';
CREATE INDEX delivery_place ON delivery(organisation_id, id);
CREATE INDEX delivery_alert ON delivery(alert_id);
CREATE TABLE attempt(
    id INTEGER PRIMARY KEY,
    delivery_id INTEGER NOT NULL, started_ms INTEGER NOT NULL, took_ms INTEGER,
    outcome TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX attempt_delivery ON attempt(delivery_id);
PRAGMA application_id = {APPLICATION_ID};
"""
_SECOND: Final = """
ALTER TABLE alert ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN text TEXT NOT NULL DEFAULT '';
ALTER TABLE alert ADD COLUMN over INTEGER NOT NULL DEFAULT 0;
CREATE INDEX alert_subject ON alert(subject) WHERE subject <> '';
PRAGMA user_version = 2;
"""
"""Version 2 knows findings: which one an alert is about, in its own words."""
_THIRD: Final = """
UPDATE alert SET text = replace(text, '; seen at ', '.' || char(10) || 'Seen at ');
PRAGMA user_version = 3;
"""
"""Version 3 names other data points in a line of their own: not everybody may read all of them."""
_FOURTH: Final = f"""
ALTER TABLE alert ADD COLUMN snoozed_ms INTEGER;
CREATE INDEX alert_snoozed ON alert(snoozed_ms) WHERE snoozed_ms IS NOT NULL;
PRAGMA user_version = {VERSION};
"""
"""Version 4 knows until when somebody has put a finding off."""


class Alert(msgspec.Struct, frozen=True):
    """Something that a rule found; it lasts until each of its members is over.

    Attributes:
        tell_ms: When people are told at the earliest [ms since 1970, UTC].
        told_ms: When they were; None while it gathers or waits for quiet hours to end.
        spoke_ms: When the last message about it was made.
        ended_ms: When the last member was over.
        ended_why: ``over``, ``switched off``, ``period over`` or ``before told``.
        closed_ms: When there was nothing left to say about it.
        until_ms: End of the period that a sum is counted over, else None.
        fresh: Members that joined since the last message.
        summary: Its title as last told.
        subject: The finding that it is about; "" for every other kind.
        text: Its words, one line after the other; likewise.
        over: Whether the finding was over before it was told: it is told once.
        snoozed_ms: When whoever put the finding off is to be reminded of it, over or not; None
            where nobody has, or it was done [ms since 1970, UTC].
    """

    id: int
    rule_id: int
    rule_name: str
    kind: str
    organisation_id: int
    opened_ms: int
    tell_ms: int
    told_ms: int | None
    spoke_ms: int | None
    escalated_ms: int | None
    acknowledged_ms: int | None
    acknowledged_by: str
    ended_ms: int | None
    ended_why: str
    closed_ms: int | None
    until_ms: int | None
    fresh: int
    summary: str
    subject: str = ""
    text: str = ""
    over: int = 0
    snoozed_ms: int | None = None


class Member(msgspec.Struct, frozen=True):
    """A data point that an alert is about.

    Attributes:
        credential_id: Who pushed its last packet; 0 where that does not matter.
        since_ms: Its last packet, or the first reading past the limit [ms since 1970, UTC].
        due_ms: When the next packet should have come; else as ``since_ms``.
        noticed_ms: When it joined the alert.
        value: The reading or the sum [canonical unit, or money]; None for silence.
        ended_ms: When it was over.
    """

    id: int
    alert_id: int
    data_point_id: int
    site_id: int
    credential_id: int
    since_ms: int
    due_ms: int
    noticed_ms: int
    value: float | None
    ended_ms: int | None


class Delivery(msgspec.Struct, frozen=True):
    """A message on its way to one channel, or one that arrived, failed or was dropped.

    Attributes:
        key: The same for every attempt, so that a receiver can tell a repetition.
        what: ``opened``, ``update``, ``reminder``, ``escalation``, ``recovery`` or ``test``.
        facts: The same as JSON, for webhooks.
        state: ``pending``, ``sent``, ``failed`` or ``dropped``.
    """

    id: int
    key: str
    alert_id: int | None
    organisation_id: int
    channel_id: int
    channel_name: str
    shown: str
    what: str
    title: str
    body: str
    facts: str
    created_ms: int
    next_ms: int
    tries: int
    state: str
    done_ms: int | None
    reason: str


class Attempt(msgspec.Struct, frozen=True):
    """One attempt; its ``outcome`` is ``started``, ``sent``, ``failed`` or ``cut off``."""

    id: int
    delivery_id: int
    started_ms: int
    took_ms: int | None
    outcome: str
    reason: str


RowType = TypeVar("RowType", Alert, Member, Delivery, Attempt)


class Book:
    """The open file; safe to use from several threads, one transaction at a time.

    Args:
        path: The file; None keeps everything in memory.

    Raises:
        KilowatchError: ``alerts_unreadable``, it is damaged or of another version.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.RLock()
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            self._connection = apsw.Connection(":memory:" if path is None else str(path))
            self._connection.set_busy_timeout(10_000)
            self._connection.pragma("journal_mode", "WAL")
            self._connection.pragma("synchronous", "FULL")
            self._bring_up(path)
        except apsw.Error as error:
            raise _unreadable(path, str(error)) from error

    def _bring_up(self, path: Path | None) -> None:
        found = self._connection.pragma("user_version")
        ours = found == 0 or self._connection.pragma("application_id") == APPLICATION_ID
        if ours and found < VERSION:
            steps = " ".join((_TABLES, _SECOND, _THIRD, _FOURTH)[found:])
            self._connection.execute(f"BEGIN IMMEDIATE; {steps} COMMIT")
        elif (found, ours) != (VERSION, True):
            raise _unreadable(path, f"it has version {found}, this program writes {VERSION}")

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """Open a transaction, committed at the end or undone by an exception."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")  # a power cut would do the same
                raise
            self._connection.execute("COMMIT")

    def all(self, what: type[RowType], then: str = "", *values: Any) -> list[RowType]:
        """Return rows of a table as values.

        Args:
            what: ``Alert``, ``Member``, ``Delivery`` or ``Attempt``.
            then: What follows the table's name in the query.
            values: For the question marks in it.
        """
        columns = ", ".join(f"{what.__name__.lower()}.{name}" for name in what.__struct_fields__)
        with self._lock:
            found = self._connection.execute(
                f"SELECT {columns} FROM {what.__name__.lower()} {then}",
                values,
            )
            return [what(*row) for row in found]

    def number(self, query: str, *values: Any) -> int:
        """Return the one number that a query answers; 0 for none."""
        with self._lock:
            found: int | None = self._connection.execute(query, values).get
        return found or 0

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Return what a query answers."""
        with self._lock:
            return list(self._connection.execute(query, values))

    def cursor(self, feed: str = "silences") -> int:
        """Return the number of the last change of a feed that was taken in."""
        return self.number("SELECT value FROM state WHERE name = ?", feed)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def move_cursor(tx: apsw.Connection, number: int, feed: str = "silences") -> None:
    """Keep up to where a feed was taken in; part of the transaction that raises alerts."""
    tx.execute(
        "INSERT INTO state VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (feed, number),
    )


def insert(tx: apsw.Connection, table: str, rows: Sequence[dict[str, Any]]) -> int:
    """Insert rows with the same columns; returns the number of the last."""
    if not rows:
        return 0
    names = list(rows[0])
    marks = ", ".join("?" * len(names))
    statement = f"INSERT INTO {table}({', '.join(names)}) VALUES ({marks})"
    tx.executemany(statement, [tuple(row[name] for name in names) for row in rows])
    return tx.last_insert_rowid()


def forget(tx: apsw.Connection, before_ms: int) -> None:
    """Drop what has been over since before an instant, with its deliveries and attempts."""
    tx.execute(
        "DELETE FROM attempt WHERE delivery_id IN (SELECT id FROM delivery WHERE done_ms < ?)",
        (before_ms,),
    )
    tx.execute("DELETE FROM delivery WHERE done_ms < ?", (before_ms,))
    tx.execute(
        "DELETE FROM member WHERE alert_id IN (SELECT id FROM alert WHERE closed_ms < ?)",
        (before_ms,),
    )
    tx.execute("DELETE FROM alert WHERE closed_ms < ?", (before_ms,))


def _unreadable(path: Path | None, why: str) -> KilowatchError:
    return KilowatchError(
        "alerts_unreadable",
        f"{path} can't be used: {why}.",
        status=500,
        remedy="Restore it from a backup, or move it aside: a new one is made, without the history "
        "of alerts; rules and channels are in the catalogue.",
    )
