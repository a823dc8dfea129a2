"""What the engine gives at its limits is refused, never taken for the whole answer."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

from kilowatch.model.durations import Durations
from kilowatch.model.errors import KilowatchError
from kilowatch.store.engine import MIB, Engine, StoreSettings

OF_ONE = 3_000_000


class Late:
    """A connection that ends at the limit with an empty answer and no error, as chDB may."""

    def query(self, _sql: str, _format: str) -> Late:
        """Take longer than the limit."""
        time.sleep(0.03)
        return self

    def rows_read(self) -> int:
        """Return how many rows there are."""
        return 0

    def bytes(self) -> bytes:
        """Return no rows."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, pa.schema([("series", pa.int64())])):
            pass
        return bytes(sink.getvalue().to_pybytes())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return an engine whose pages have little memory, with rows of two organisations."""
    settings = StoreSettings(readers=1, query_bytes_max=60 * MIB)
    opened = Engine(tmp_path_factory.mktemp("store"), settings)
    opened.execute("CREATE TABLE figure (owner UInt8, at UInt64, value Float64)"
                   " ENGINE = MergeTree ORDER BY (owner, at)")  # fmt: skip
    opened.execute(f"INSERT INTO figure SELECT 1, number, number / 3 FROM numbers({OF_ONE})")
    opened.execute("INSERT INTO figure SELECT 2, number, 7 FROM numbers(5)")
    yield opened
    opened.close()


@pytest.mark.parametrize("limit", ["max_execution_time = 0.01", "max_memory_usage = 30000000"])
def test_what_a_failed_query_had_found_is_never_in_the_next_answer(
    engine: Engine, limit: str
) -> None:
    """One organisation's long question meets a limit; the next page is another organisation's.

    chDB hands on what the failed query had written: 2 million rows of organisation 1 came as the
    answer to a question of organisation 2.
    """
    asked = "SELECT owner, at, value FROM figure WHERE owner = {} ORDER BY value DESC"
    failed = 0
    for page in (True, False) * 4:
        try:
            engine.query(f"{asked.format(1)} SETTINGS {limit}", page=page)
        except KilowatchError as error:
            failed += error.code == "store_busy"
        found = engine.query(asked.format(2), page=page)
        assert found.column("owner").to_pylist() == [2] * 5
    assert failed >= 4


def test_an_answer_has_all_of_its_rows_or_is_refused(engine: Engine) -> None:
    """At its limits the engine gave 0, 327,045 or 1,111,953 of 3 million rows, and no error."""
    asked = "SELECT owner, at, value FROM figure WHERE owner = 1"
    whole = refused = 0
    for step in range(24):
        limits = (f"max_execution_time = {0.02 * 1.2 ** (step % 12):.4f}",
                  f"max_memory_usage = {4_000_000 * 2 ** (step // 2 % 6)}")  # fmt: skip
        try:
            found = engine.query(f"{asked} SETTINGS {limits[step % 2]}", page=False)
        except KilowatchError as error:
            refused += error.code == "store_busy"
            continue
        assert found.num_rows == OF_ONE
        whole += 1
    assert refused
    assert engine.query("SELECT count() AS rows FROM figure").column("rows").to_pylist() == [
        OF_ONE + 5
    ]


def test_an_answer_at_the_time_limit_is_refused_even_without_an_error() -> None:
    """Under load the engine cut a page's answer short and said nothing: rows would be missing.

    The pipeline's own queries have no limit, and are believed.
    """
    engine = Engine.__new__(Engine)
    engine._settings = StoreSettings(query_s_max=0.02)
    engine.page_times, engine.own_times = Durations(), Durations()
    engine._pages, engine._own = queue.LifoQueue(), queue.LifoQueue()
    engine._pages.put(Late())
    engine._own.put(Late())
    with pytest.raises(KilowatchError, match="took longer than its limit") as told:
        engine.query("SELECT 1")
    assert told.value.code == "store_busy"
    assert engine.query("SELECT 1", page=False).num_rows == 0


def test_the_engine_keeps_nothing_of_what_was_asked(engine: Engine) -> None:
    """A cache of conditions would grow to 100 MiB while everything is exported, and help nobody."""
    for number in range(20):
        engine.query(f"SELECT count() AS n FROM figure WHERE value > {number}")
        engine.query(f"SELECT count() AS n FROM figure WHERE value > {number}", page=False)
    kept = engine.query(
        "SELECT value FROM system.metrics WHERE metric = 'QueryConditionCacheBytes'"
    )
    assert kept.to_pylist() in ([], [{"value": 0}])


def test_what_the_engine_may_keep_is_bounded(engine: Engine) -> None:
    """Marks and primary keys have a limit together; whole blocks and answers are not kept."""
    kept = "name IN ('mark_cache_size', 'primary_index_cache_size', 'uncompressed_cache_size')"
    sizes = engine.query(
        f"SELECT sum(toInt64(value)) AS n FROM system.server_settings WHERE {kept}"
    )
    assert sizes.to_pylist() == [{"n": StoreSettings().cache_bytes}]
    off = "'use_uncompressed_cache', 'use_query_cache', 'use_page_cache_for_local_disks'"
    for page in (True, False):
        found = engine.query(
            f"SELECT value FROM system.settings WHERE name IN ({off})"
            " OR name = 'use_query_condition_cache'",
            page=page,
        )
        assert found.column("value").to_pylist() == ["0"] * 4
