"""Opening the catalogue: the engine, its transactions, its migrations.

SQLite here uses the rollback journal, not WAL (docs/decisions/0008): several processes write to
this file, and they are few writes. The only SQL of one dialect in this room is on this page.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from kilowatch.catalog import (  # the metadata is complete with them
    tables_alerts,  # noqa: F401
    tables_comments,  # noqa: F401
    tables_corrections,  # noqa: F401
    tables_estate,  # noqa: F401
    tables_exports,  # noqa: F401
    tables_findings,  # noqa: F401
    tables_formulas,  # noqa: F401
    tables_imports,  # noqa: F401
    tables_people,  # noqa: F401
    tables_settings,  # noqa: F401
    tables_sites,  # noqa: F401
)
from kilowatch.catalog.changes import Actor, Change
from kilowatch.catalog.tables import Counter
from kilowatch.model.errors import KilowatchError

BUSY_TIMEOUT_S = 10  # a writer holds the file for milliseconds; a load of 100,000 points for 1 s
HEAD = "0013"
"""The migration that this version of the program needs; a test compares."""

Clock = Callable[[], int]


def now_ms() -> int:
    """Return the time [ms since 1970, UTC]."""
    return time.time_ns() // 1_000_000


class Catalog:
    """An open catalogue; safe to use from several threads.

    Args:
        engine: Where it is kept.
        clock: What time it is [ms since 1970, UTC].
    """

    def __init__(self, engine: Engine, clock: Clock = now_ms) -> None:
        self.engine = engine
        self.clock = clock
        self._writer = engine.execution_options(begin_with="BEGIN IMMEDIATE")
        self._revision = select(Counter.value).where(Counter.name == "revision")

    def revision(self) -> int:
        """Return a number that steps whenever collector or pipeline must load the directory."""
        with _plainly(), self.engine.connect() as connection:
            return int(connection.execute(self._revision).scalar_one())

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that sees one state of the catalogue and changes nothing."""
        with _plainly(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def change(self, actor: Actor) -> Iterator[Change]:
        """Open a transaction that is committed at the end, or undone by an exception.

        Raises:
            KilowatchError: ``catalog_busy`` when another program holds the catalogue for longer
                than ``BUSY_TIMEOUT_S``.
        """
        with _plainly(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            session.connection()  # takes the write lock now, so that what is read stays true
            change = Change(session, actor, self.clock())
            yield change
            change.finish()

    @contextmanager
    def bookkeeping(self) -> Iterator[Session]:
        """Open a transaction for what no person changes, such as when a session was last seen.

        Nothing in it is audited, and the revision stays.
        """
        with _plainly(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_catalog(where: Path | str, *, clock: Clock = now_ms) -> Catalog:
    """Open the catalogue, make it when it is missing, and bring it to this version.

    Args:
        where: Path of an SQLite file, or an SQLAlchemy URL.
        clock: What time it is [ms since 1970, UTC].

    Raises:
        KilowatchError: ``catalog_newer`` when a newer Kilowatch wrote it, ``catalog_unreadable``
            when it is no catalogue, ``catalog_busy`` when another program does not let go of it.
    """
    if isinstance(where, Path) or "://" not in where:
        path = Path(where)
        _create_private(path)
        url = f"sqlite:///{path}"
    else:
        url = where
    with _plainly(str(where)):
        _bring_up_to_date(url)
    return Catalog(_engine(url), clock)


def _create_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _engine(url: str, *, foreign_keys: bool = True) -> Engine:
    options: dict[str, Any] = {}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    engine = create_engine(url, **options)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _connect(raw: Any, _record: object) -> None:
            raw.isolation_level = None  # we begin transactions ourselves, below
            raw.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")
            raw.execute("PRAGMA synchronous=FULL")
            # A change larger than the page cache would lock readers out before its commit: with
            # 10,000 data points from a table for five seconds, in place of a moment.
            raw.execute("PRAGMA cache_spill=OFF")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            # A writer asks for its lock at once: two readers that both want to write later
            # would be told "locked" without any waiting.
            options = connection.get_execution_options()
            connection.exec_driver_sql(options.get("begin_with", "BEGIN"))

    return engine


def _bring_up_to_date(url: str) -> None:
    engine = _engine(url, foreign_keys=False)
    try:
        with engine.connect() as connection:
            if _version(connection) == HEAD:
                return
        # Alembic costs every process 0.15 s at its start and 9 MB, and is needed once a version.
        from kilowatch.catalog.migrating import migrate  # noqa: PLC0415 - see above

        migrate(engine.execution_options(begin_with="BEGIN IMMEDIATE"))
    finally:
        engine.dispose()


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


@contextmanager
def _plainly(where: str = "The catalogue") -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if "locked" not in str(error.orig):
            raise
        raise KilowatchError(
            "catalog_busy",
            f"Another program has held the catalogue for {BUSY_TIMEOUT_S} s.",
            status=503,
            remedy="Try again; if it lasts, look for a program that has the file open.",
            retry_helps=True,
        ) from error
    except DatabaseError as error:
        if "not a database" not in str(error.orig):
            raise
        raise KilowatchError(
            "catalog_unreadable",
            f"{where} is not a Kilowatch catalogue.",
            status=500,
            remedy="Choose another data folder with --data, or restore the file from a backup.",
        ) from error
