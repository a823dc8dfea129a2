"""Opening the registry: it is made, brought up to date, and shared by several programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from kilowatch import catalog
from kilowatch.catalog.database import HEAD
from kilowatch.catalog.migrating import alembic_config
from kilowatch.catalog.tables import Table
from kilowatch.model.errors import KilowatchError


def test_a_new_catalogue_is_private_and_empty(tmp_path: Path) -> None:
    """A first start makes the registry by itself, readable by the owner of the server only."""
    path = tmp_path / "data" / "catalog.sqlite"
    opened = catalog.open(path)
    assert opened.revision() == 1
    assert not catalog.directory.load(opened, "development").points
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_migrations_and_tables_agree(tmp_path: Path) -> None:
    """What the migrations build is exactly what the program expects: no column more or less."""
    opened = catalog.open(tmp_path / "catalog.sqlite")
    with opened.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []
        revision = context.get_current_revision()
    assert revision == HEAD == ScriptDirectory.from_config(alembic_config()).get_current_head()


def test_migrations_only_go_forward() -> None:
    """There is no way back to an older registry except a backup, and no half-tested code for it."""
    found = list(ScriptDirectory.from_config(alembic_config()).walk_revisions())
    assert len(found) > 10
    assert not [one.revision for one in found if hasattr(one.module, "downgrade")]


def test_the_rollback_journal_is_in_use_with_every_safety(tmp_path: Path) -> None:
    """A power cut must not cost a registration, and no other program may be ignored."""
    opened = catalog.open(tmp_path / "catalog.sqlite")
    with opened.engine.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    full = 2
    assert pragma == {
        "journal_mode": "delete",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


def test_two_programs_can_make_the_same_catalogue_at_once(tmp_path: Path) -> None:
    """Collector and platform start together on an empty folder; both find one registry."""
    program = (
        "import sys; from pathlib import Path; from kilowatch import catalog\n"
        "print(catalog.open(Path(sys.argv[1])).revision())"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "new" / "catalog.sqlite")]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = [process.communicate(timeout=60) for process in running]
    assert [answer for answer, _ in answers] == ["1\n"] * 4, answers


def test_a_catalogue_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """Who starts an old version by mistake is told so, and nothing is changed."""
    path = tmp_path / "catalog.sqlite"
    opened = catalog.open(path)
    with opened.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    opened.close()
    before = path.read_bytes()
    with pytest.raises(KilowatchError, match="newer version") as refused:
        catalog.open(path)
    assert refused.value.code == "catalog_newer"
    assert path.read_bytes() == before


def test_a_file_that_is_no_catalogue_is_named(tmp_path: Path) -> None:
    """A wrong path is answered with the path and what to do, not with a database's message."""
    path = tmp_path / "catalog.sqlite"
    path.write_text("this is a shopping list, not a registry " * 40)
    with pytest.raises(KilowatchError, match="is not a Kilowatch catalogue"):
        catalog.open(path)


def test_an_up_to_date_catalogue_opens_without_the_migration_tool(tmp_path: Path) -> None:
    """A server that restarts is back sooner: Alembic is loaded once for each version."""
    catalog.open(tmp_path / "catalog.sqlite").close()
    program = (
        "import sys; from pathlib import Path; from kilowatch import catalog\n"
        "catalog.open(Path(sys.argv[1])); print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "catalog.sqlite")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"
