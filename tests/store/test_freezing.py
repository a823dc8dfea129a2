"""The store's files at one moment: what is written or merged later changes nothing of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from kilowatch.store import freezing
from kilowatch.store.chdb_store import ChdbStore
from tests.store.test_chdb_store import FOREVER, intervals, readings


def fill(store: ChdbStore, first: int) -> None:
    """Write some readings and intervals, a part of each for every call."""
    store.write_readings(readings([(1, at, at, {5: 1.0 * at}) for at in range(first, first + 50)]))
    store.write_intervals(
        intervals([(1, 4, at * 300_000, 1, 2.0, at) for at in range(first, first + 50)]), GENERATION
    )


GENERATION = np.full(50, 1)


def unpacked(folder: Path, to: Path) -> Path:
    """Copy what a backup takes, as if through an archive, and lay it out."""
    for name, path in freezing.members(folder):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to / name)
    freezing.lay_out(to)
    return to


def test_a_frozen_store_opens_elsewhere_as_it_was(
    store: ChdbStore, folder: Path, tmp_path: Path
) -> None:
    """Rows are there once, later ones are not; and it can be written and opened again."""
    fill(store, 0)
    fill(store, 25)  # half of it again: superseded rows are in it too
    store.freeze()
    fill(store, 500)
    for table in ("reading", "interval"):
        store._engine.execute(f"SYSTEM START MERGES {table}")
        store._engine.execute(f"OPTIMIZE TABLE {table} FINAL")
    names = [name for name, _ in freezing.members(folder)]
    assert sum(name.endswith("columns.txt") for name in names) >= 6
    assert not [name for name in names if "%" in name]
    elsewhere = unpacked(folder, tmp_path / "elsewhere")
    freezing.thaw(folder)
    assert not freezing.frozen(folder).exists()
    store.close()  # one engine in a process
    for _ in range(2):
        again = ChdbStore(elsewhere)
        assert again.own.readings([1], 0, FOREVER).at_ms.tolist() == list(range(75))
        held = again.own.intervals({1: 1}, None, 0, FOREVER)
        assert held.start_ms.tolist() == [at * 300_000 for at in range(75)]
        again.write_readings(readings([(2, 5, 90, {5: 1.0})]))
        assert again.own.readings([2], 0, FOREVER).at_ms.tolist() == [5]
        again.close()


def test_a_store_at_rest_is_frozen_without_its_engine(
    store: ChdbStore, folder: Path, tmp_path: Path
) -> None:
    """A backup of a stopped server opens nothing, and changes nothing."""
    fill(store, 0)
    store.close()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    freezing.link_parts(folder)
    inodes = {path.stat().st_ino for _, path in freezing.members(folder)}
    assert inodes <= {path.stat().st_ino for path in before}, "links, not copies"
    elsewhere = unpacked(folder, tmp_path / "elsewhere")
    freezing.thaw(folder)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()} == before
    again = ChdbStore(elsewhere)
    assert again.own.readings([1], 0, FOREVER).at_ms.tolist() == list(range(50))
    again.close()


def test_what_is_not_frozen_is_not_taken_for_an_empty_store(store: ChdbStore, folder: Path) -> None:
    """A backup without figures must not pass for one with them."""
    fill(store, 0)
    with pytest.raises(FileNotFoundError):
        list(freezing.members(folder))


def test_a_table_without_its_files_is_refused(
    store: ChdbStore, folder: Path, tmp_path: Path
) -> None:
    """A store that was put together from half of its parts must not be opened."""
    store.freeze()
    to = tmp_path / "half"
    for name, path in freezing.members(folder):
        if not name.startswith("rollup/"):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to / name)
    with pytest.raises(ValueError, match="rollup"):
        freezing.lay_out(to)
