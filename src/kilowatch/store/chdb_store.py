"""The store on one machine: ClickHouse in the process (chDB)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa

from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from kilowatch.model.durations import Durations
from kilowatch.model.errors import KilowatchError
from kilowatch.store import freezing, schema
from kilowatch.store.columns import interval_batches, reading_batches
from kilowatch.store.engine import Engine, StoreSettings
from kilowatch.store.reads import ClickHouseReads
from kilowatch.store.store import GRAINS, RollUp


class ChdbStore:
    """A ``Store`` over one folder, open in one process.

    Args:
        folder: Where the tables are; created if it is not there.
        settings: Limits of time and memory.

    Raises:
        KilowatchError: 503 ``store_locked`` when another process has it, 503 ``store_newer``
            when a later Kilowatch wrote it, 503 ``store_failed`` when it can't be opened.
    """

    def __init__(self, folder: Path, settings: StoreSettings | None = None) -> None:
        self._folder = folder
        self._engine = Engine(folder, settings or StoreSettings())
        self.pages = ClickHouseReads(partial(self._engine.query, page=True))
        self.own = ClickHouseReads(partial(self._engine.query, page=False))
        try:
            self._migrate()
        except BaseException:
            self._engine.close()
            raise

    def _migrate(self) -> None:
        self._engine.execute(schema.VERSIONS)
        done = self._engine.query("SELECT max(version) AS v FROM schema_version", page=False)
        version = int(done.column("v")[0].as_py())
        if version > len(schema.MIGRATIONS):
            raise KilowatchError(
                "store_newer",
                f"The store has tables of version {version}; this program knows "
                f"{len(schema.MIGRATIONS)}.",
                status=503,
                remedy="Start the Kilowatch release that wrote it, or a later one.",
            )
        for number, statements in enumerate(schema.MIGRATIONS[version:], start=version + 1):
            for statement in statements:
                self._engine.execute(statement)
            batch = pa.RecordBatch.from_pydict({"version": pa.array([number], pa.uint32())})
            self._engine.insert("schema_version", [batch])

    def query_times(self) -> dict[str, Durations]:
        """Return how long queries took, with their wait: of pages and of the pipeline."""
        return {"page": self._engine.page_times, "pipeline": self._engine.own_times}

    def write_readings(self, block: ReadingBlock) -> None:
        """Store readings; durable on return."""
        self._engine.insert("reading", reading_batches(block))

    def write_intervals(self, block: IntervalBlock, generation: Ints) -> None:
        """Store interval rows of the grid generations given, shape (n,); durable on return."""
        self._engine.insert("interval", interval_batches(block, generation))

    def write_rollups(self, grain: RollUp, block: IntervalBlock, generation: Ints) -> None:
        """Store hours or local days of the generations given, shape (n,); durable on return."""
        self._engine.insert("rollup", interval_batches(block, generation, GRAINS[grain]))

    def freeze(self) -> None:
        """Keep every file as it is now, beside those in use, until ``freezing.thaw``.

        Takes some milliseconds and no room. Whoever calls it sees to it that nothing is written
        meanwhile: one table is frozen after the other.

        Raises:
            KilowatchError: 503 ``store_failed``.
        """
        freezing.thaw(self._folder)
        for table in freezing.tables(self._folder):
            self._engine.execute(f"ALTER TABLE {table} FREEZE WITH NAME '{freezing.FROZEN}'")

    def close(self) -> None:
        """Let running queries end and release the folder; a second call does nothing."""
        self._engine.close()
