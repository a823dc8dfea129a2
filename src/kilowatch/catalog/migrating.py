"""Running the migrations: all of them in one transaction, by one program at a time."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text

from kilowatch.model.errors import KilowatchError

MIGRATION_LOCK = 0x6B77_6361  # "kwca": the number of PostgreSQL's advisory lock


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's settings for the migrations in this package, run on ``connection``."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def migrate(engine: Engine) -> None:
    """Bring a catalogue to this version; who comes second waits, and finds it done.

    Args:
        engine: Takes the write lock when it begins, and does not enforce foreign keys: a migration
            that rebuilds a table would delete what refers to it. They are checked at the end.

    Raises:
        KilowatchError: ``catalog_newer`` when a newer Kilowatch wrote it.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                lock = text("SELECT pg_advisory_xact_lock(:number)")
                connection.execute(lock, {"number": MIGRATION_LOCK})
            command.upgrade(alembic_config(connection), "head")
            if engine.dialect.name == "sqlite":
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                assert not broken, broken
    except CommandError as error:
        raise KilowatchError(
            "catalog_newer",
            "This catalogue was written by a newer version of Kilowatch.",
            status=500,
            remedy="Start that version or a later one; it is not changed by this one.",
        ) from error
