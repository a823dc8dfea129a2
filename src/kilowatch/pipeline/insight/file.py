"""What insights keep: one SQLite file of their own.

A stream's state, its cursor and everything that was found in the same hours move in one
transaction. So a crash at any moment leads back to a point from which the same hours give the
same findings under the same names.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import structlog

from kilowatch.pipeline.damaged import opened_or_anew
from kilowatch.pipeline.insight.columns import SHOWN, encode, event_of, packed, row_of, shown_of
from kilowatch.pipeline.insight.records import Commit, Filed, Kept, event_key

logger = structlog.get_logger("insights")

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE stream (
        series INTEGER PRIMARY KEY, basis TEXT NOT NULL, zone TEXT NOT NULL,
        birth_ms INTEGER NOT NULL, cursor_ms INTEGER NOT NULL, quiet_ms INTEGER NOT NULL,
        state BLOB NOT NULL);
    CREATE TABLE reference (series INTEGER PRIMARY KEY, packed BLOB NOT NULL);
    CREATE TABLE event (
        key TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, series INTEGER NOT NULL, kind TEXT NOT NULL,
        start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, open INTEGER NOT NULL,
        found_ms INTEGER NOT NULL, amount REAL, confidence REAL NOT NULL,
        evidence BLOB NOT NULL, model TEXT NOT NULL,
        cause TEXT NOT NULL DEFAULT '', others BLOB NOT NULL DEFAULT x'90',
        told_ms INTEGER, told_wall_ms INTEGER, value REAL NOT NULL DEFAULT 0)
        WITHOUT ROWID;
    CREATE INDEX event_of ON event (series, end_ms);
    CREATE TABLE former (
        id TEXT PRIMARY KEY, series INTEGER NOT NULL, kind TEXT NOT NULL,
        start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL,
        told_ms INTEGER, told_wall_ms INTEGER) WITHOUT ROWID;
    CREATE INDEX former_of ON former (series);
    CREATE TABLE notice (
        number INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, over INTEGER NOT NULL);
    CREATE TABLE expected (
        series INTEGER NOT NULL, start_ms INTEGER NOT NULL, made_ms INTEGER NOT NULL,
        source TEXT NOT NULL, model TEXT NOT NULL, band BLOB NOT NULL,
        PRIMARY KEY (series, start_ms)) WITHOUT ROWID;
    CREATE TABLE waste (
        series INTEGER NOT NULL, start_ms INTEGER NOT NULL,
        amounts BLOB NOT NULL, kinds BLOB NOT NULL,
        PRIMARY KEY (series, start_ms)) WITHOUT ROWID;
    CREATE TABLE standing (series INTEGER PRIMARY KEY, packed BLOB NOT NULL);
    CREATE TABLE opening (series INTEGER PRIMARY KEY, hours BLOB NOT NULL);
    CREATE TABLE model (
        version TEXT NOT NULL, from_ms INTEGER PRIMARY KEY,
        trained_on BLOB NOT NULL, quality BLOB NOT NULL, bytes BLOB NOT NULL);
    """,
    """
    ALTER TABLE event ADD COLUMN shown BLOB;
    ALTER TABLE event ADD COLUMN shown_from_ms INTEGER;
    ALTER TABLE event ADD COLUMN shown_until_ms INTEGER;
    """,
    """
    CREATE INDEX event_shown ON event (series, coalesce(shown_until_ms, end_ms)) WHERE cause = '';
    """,
    """
    ALTER TABLE waste ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX waste_changed ON waste (revision) WHERE revision > 0;
    CREATE TABLE waste_forgotten (series INTEGER PRIMARY KEY, revision INTEGER NOT NULL);
    """,
    """
    CREATE TABLE quiet (series INTEGER PRIMARY KEY, until_ms INTEGER NOT NULL);
    """,
    """
    ALTER TABLE waste ADD COLUMN needs BLOB;
    """,
)
"""Statements that lead from one version of the file to the next; the first make version 1."""

NEWEST_REVISION = (
    "SELECT max(revision) FROM (SELECT max(revision) AS revision FROM waste WHERE revision > 0"
    " UNION ALL SELECT max(revision) FROM waste_forgotten)"
)
"""Number of the last change to wasted hours: with it readers find what has changed since."""

_OF_STREAM = ("event", "expected", "waste", "standing", "opening", "reference", "stream")
"""Tables that hold what was found of a stream."""
_LEARNT = ("standing", "opening", "reference")
"""Those of them that hold what was learnt."""


class InsightFile:
    """The insights' own file; one thread writes, any thread may read by a reader of its own.

    A file that is damaged is put aside: everything in it but the models is found again.

    Args:
        path: The file; created if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        now_ms = time.time_ns() // 1_000_000
        self._connection = opened_or_anew(path, _opened, now_ms, logger, "insights.broken")
        path.chmod(0o600)
        self._revision: int = self._connection.execute(NEWEST_REVISION).get or 0

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def meta(self, name: str) -> str:
        """Return what was noted under a name; empty if nothing was."""
        found: str | None = self._connection.execute(
            "SELECT value FROM meta WHERE name = ?", (name,)
        ).get
        return found or ""

    def note(self, name: str, value: str) -> None:
        """Note something under a name."""
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def kept(self) -> dict[int, Kept]:
        """Return how far the insights of each stream are."""
        rows = self._connection.execute(
            "SELECT series, basis, zone, birth_ms, cursor_ms, quiet_ms FROM stream"
        )
        return {series: Kept(*rest) for series, *rest in rows}

    def quiet_ms(self, series: int) -> int:
        """Return how far a stream had been looked at when its history became another one.

        Kept here from the moment on at which it is forgotten: a crash before the first look at the
        new history must not make news of the old one.

        Returns:
            As ``Kept.quiet_ms``; 0 if that never happened [ms since 1970, UTC].
        """
        found: int | None = self._connection.execute(
            "SELECT until_ms FROM quiet WHERE series = ?", (series,)
        ).get
        return found or 0

    def states(self, series: Iterable[int]) -> dict[int, bytes]:
        """Return the states of some streams, packed."""
        return self._blobs("SELECT series, state FROM stream", series)

    def references(self, series: Iterable[int]) -> dict[int, bytes]:
        """Return what some streams need, packed; of those of which it is known."""
        return self._blobs("SELECT series, packed FROM reference", series)

    def _blobs(self, select: str, series: Iterable[int]) -> dict[int, bytes]:
        numbers = "[" + ",".join(map(str, series)) + "]"
        some = " WHERE series IN (SELECT value FROM json_each(?))"
        rows: list[Any] = self._connection.execute(select + some, (numbers,)).fetchall()
        return dict(rows)

    def events(self, series: Iterable[int], since_ms: int) -> list[Filed]:
        """Return the events of some streams that end at an instant or later [ms, UTC]."""
        numbers = "[" + ",".join(map(str, series)) + "]"
        return self._filed(
            "series IN (SELECT value FROM json_each(?)) AND end_ms >= ?", (numbers, since_ms)
        )

    def _filed(self, where: str, values: tuple[Any, ...]) -> list[Filed]:
        rows = self._connection.execute(
            f"SELECT {SHOWN}, key, cause, told_ms, told_wall_ms, value FROM event WHERE {where}",
            values,
        )
        return [
            Filed(
                row[13],
                event_of(row),
                row[14],
                row[15],
                row[16],
                row[17],
                shown_of(row) if row[12] else None,
            )
            for row in rows
        ]

    def named(self, filed: list[Filed]) -> list[Filed]:
        """Give events the names that they had before their history was computed again.

        An event is the same if it is of the same kind at the same stream and shares time. One that
        was long may be several now: the one that begins as it did has its name, else the first; no
        name is given twice, for an event that takes another one's name would take its row.
        """
        with_former = {
            series for (series,) in self._connection.execute("SELECT DISTINCT series FROM former")
        }
        begins = {one.key for one in filed}
        given: set[str] = set()
        found = []
        for one in filed:
            if one.event.series in with_former:
                one = self._named(one, given | begins - {one.key})  # noqa: PLW2901 - the same event
                given.add(one.event.id)
            found.append(one)
        return found

    def _named(self, one: Filed, taken: set[str]) -> Filed:
        event = one.event
        rows: list[Any] = self._connection.execute(
            "SELECT id, told_ms, told_wall_ms FROM former WHERE series = ? AND kind = ?"
            " AND start_ms < ? AND end_ms > ?"
            " AND id NOT IN (SELECT id FROM event WHERE key <> ?)"
            " ORDER BY id <> ?, abs(start_ms - ?), id",
            (event.series, event.kind.value, event.end_ms, event.start_ms, one.key, one.key,
             event.start_ms),
        ).fetchall()  # fmt: skip
        for name, told_ms, told_wall_ms in rows:
            if name not in taken:
                return replace(
                    one,
                    event=replace(event, id=name),
                    told_ms=one.told_ms or told_ms,
                    told_wall_ms=one.told_wall_ms or told_wall_ms,
                )
        name = event.id
        others = "SELECT 1 FROM event WHERE id = ? AND key <> ?"
        while name in taken or self._connection.execute(others, (name, one.key)).get:
            name = event_key(event.series, name, event.start_ms)
        return replace(one, event=replace(event, id=name))

    def commit(self, commit: Commit) -> None:
        """Write what moves together, durably."""
        with self._connection:
            self._write(commit)

    def _write(self, commit: Commit) -> None:
        run = self._connection.executemany
        for table in _LEARNT:
            run(f"DELETE FROM {table} WHERE series = ?", [(one,) for one in commit.anew])
        run(
            "INSERT OR REPLACE INTO stream (series, basis, zone, birth_ms, cursor_ms, quiet_ms,"
            " state) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (series, k.basis, k.zone, k.birth_ms, k.cursor_ms, k.quiet_ms, state)
                for series, (k, state) in commit.kept.items()
            ],
        )
        run(
            "INSERT OR REPLACE INTO expected (series, start_ms, made_ms, source, model, band)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (b.series, b.start_ms, b.made_ms, b.source, b.model, packed(b.rate))
                for b in commit.bands
            ],
        )
        self._revision += bool(commit.waste)
        run(
            "INSERT OR REPLACE INTO waste (series, start_ms, amounts, kinds, revision, needs)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    w.series, w.start_ms, w.amount.tobytes(), w.kind.astype(np.int8).tobytes(),
                    self._revision,
                    None if w.need is None else w.need.astype(np.float32).tobytes(),
                )
                for w in commit.waste
            ],
        )  # fmt: skip
        run(
            "INSERT OR REPLACE INTO event (key, id, series, kind, start_ms, end_ms, open,"
            " found_ms, amount, confidence, evidence, model, cause, others, told_ms, told_wall_ms,"
            " value, shown, shown_from_ms, shown_until_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [row_of(one) for one in commit.events],
        )
        run("INSERT INTO notice (event_id, over) VALUES (?, ?)", commit.notices)
        for statement, blobs in (
            ("INSERT OR REPLACE INTO reference (series, packed) VALUES (?, ?)", commit.references),
            ("INSERT OR REPLACE INTO opening (series, hours) VALUES (?, ?)", commit.openings),
            ("INSERT OR REPLACE INTO standing (series, packed) VALUES (?, ?)", commit.standings),
        ):
            run(statement, list(blobs.items()))

    def forget(self, series: Iterable[int]) -> list[Filed]:
        """Begin streams anew: their history is another one. Their events' names are kept.

        Returns:
            Events of other streams that had one cause with some of theirs. Each stands for itself
            until somebody decides about them again: behind a cause that is no more nobody sees it.
        """
        series = list(series)
        gone = "[" + ",".join(map(str, series)) + "]"
        of_them = "(SELECT value FROM json_each(?1))"
        kin = (
            f"series NOT IN {of_them} AND"
            f" (cause IN (SELECT id FROM event WHERE series IN {of_them})"
            f" OR id IN (SELECT cause FROM event WHERE series IN {of_them}))"
        )
        self._revision += 1
        with self._connection:
            left = self._filed(kin, (gone,)) if series else []
            self._connection.executemany(
                "UPDATE event SET cause = '' WHERE key = ?", [(one.key,) for one in left]
            )
            for one in series:
                self._connection.execute(
                    "INSERT OR REPLACE INTO waste_forgotten (series, revision) VALUES (?, ?)",
                    (one, self._revision),
                )
                self._connection.execute(
                    "INSERT OR REPLACE INTO former (id, series, kind, start_ms, end_ms, told_ms,"
                    " told_wall_ms) SELECT id, series, kind, start_ms, end_ms, told_ms,"
                    " told_wall_ms FROM event WHERE series = ?",
                    (one,),
                )
                self._connection.execute(
                    "INSERT INTO quiet (series, until_ms) SELECT series, max(quiet_ms, cursor_ms)"
                    " FROM stream WHERE series = ? ON CONFLICT (series) DO UPDATE"
                    " SET until_ms = max(until_ms, excluded.until_ms)",
                    (one,),
                )
                for table in _OF_STREAM:
                    self._connection.execute(f"DELETE FROM {table} WHERE series = ?", (one,))
        return left

    def models(self) -> list[tuple[int, str]]:
        """Return since when which model makes the forecasts, rising [ms since 1970, UTC]."""
        rows = self._connection.execute("SELECT from_ms, version FROM model ORDER BY from_ms")
        return [(from_ms, version) for from_ms, version in rows]

    def model(self, version: str) -> bytes:
        """Return a model's bytes."""
        found: bytes = self._connection.execute(
            "SELECT bytes FROM model WHERE version = ? LIMIT 1", (version,)
        ).get
        return found

    def add_model(
        self, version: str, from_ms: int, about: Mapping[str, Mapping[str, Any]], content: bytes
    ) -> None:
        """Use a model from an instant on, in the time of the data [ms since 1970, UTC].

        Args:
            version: Its name.
            from_ms: First midnight that it makes forecasts of.
            about: ``trained_on`` and ``quality``.
            content: The model.
        """
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO model (version, from_ms, trained_on, quality, bytes)"
                " VALUES (?, ?, ?, ?, ?)",
                (version, from_ms, encode(about["trained_on"]), encode(about["quality"]), content),
            )

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()


def _opened(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(10_000)
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        version: int = connection.pragma("user_version")
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            with connection:
                connection.execute(statements)
                connection.pragma("user_version", number)
        # Numbers of notices are never given twice, also when this file is a new one or
        # an older copy: there are fewer of them than milliseconds.
        with connection:
            now_ms = time.time_ns() // 1_000_000
            known = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'notice'").get
            if known is None:
                connection.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES ('notice', ?)", (now_ms,)
                )
            elif known < now_ms:
                connection.execute(
                    "UPDATE sqlite_sequence SET seq = ? WHERE name = 'notice'", (now_ms,)
                )
    except BaseException:
        connection.close()
        raise
    return connection
