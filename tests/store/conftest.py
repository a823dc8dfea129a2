"""A real chDB store for each test, and blocks to put into it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilowatch.store.chdb_store import ChdbStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of the store under test."""
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[ChdbStore]:
    """Open a store whose merges are stopped: what readers see must not depend on them."""
    opened = ChdbStore(folder)
    for table in ("reading", "interval", "rollup"):
        opened._engine.execute(f"SYSTEM STOP MERGES {table}")
    yield opened
    opened.close()
