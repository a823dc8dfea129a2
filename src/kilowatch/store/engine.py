"""The embedded engine: one lock on the folder, a few connections, a limit on every query."""

from __future__ import annotations

import fcntl
import importlib
import os
import queue
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from kilowatch.model.durations import Durations
from kilowatch.model.errors import KilowatchError

MIB = 2**20
OWN_CONNECTIONS = 2  # the pipeline writes interval rows while it reads and writes roll-ups
EMPTYINGS = 3  # what is left comes with the next answer; the one after it is clean

_BUSY = {159: "took longer than its limit", 241: "needed more memory than its limit"}
"""The engine's codes for a query that met a limit, not a fault."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What the engine may use.

    Attributes:
        readers: Connections for pages; as many queries run at a time, the rest wait.
        query_s_max: Longest time a page's query may run, or wait for a connection [s].
        query_bytes_max: Most memory a page's query may take [bytes].
        write_bytes_max: Most memory a write or the pipeline's own query may take [bytes].
        cache_bytes: For marks and primary keys together [bytes].
        engine_bytes_max: Most memory for everything in the engine, merges too [bytes].
    """

    readers: int = 3
    query_s_max: float = 10.0
    query_bytes_max: int = 200 * MIB
    write_bytes_max: int = 400 * MIB
    cache_bytes: int = 96 * MIB
    engine_bytes_max: int = 700 * MIB


class Engine:
    """chDB over one folder, for one process.

    Once it is open the process must never fork (spawn is fine): the engine has threads of its own.
    Opening takes about two seconds, most of it the import.

    Args:
        folder: Where the tables are; created if it is not there.
        settings: Limits.

    Raises:
        KilowatchError: 503 ``store_locked`` when another process has the folder open,
            503 ``store_failed`` when the engine can't open it.
    """

    def __init__(self, folder: Path, settings: StoreSettings) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._settings, self._folder = settings, folder
        self.page_times, self.own_times = Durations(), Durations()
        self._lock = _lock(folder / "kilowatch.lock")
        try:
            # Imported here: a second and 200 MB that only the process with the store pays.
            self._chdb: Any = importlib.import_module("chdb")
            self._own: queue.LifoQueue[Any] = queue.LifoQueue()
            for _ in range(OWN_CONNECTIONS):
                self._own.put(self._connect(folder, settings.write_bytes_max, 0.0))
            self._pages: queue.LifoQueue[Any] = queue.LifoQueue()
            for _ in range(settings.readers):
                self._pages.put(
                    self._connect(folder, settings.query_bytes_max, settings.query_s_max)
                )
        except BaseException:
            os.close(self._lock)
            raise

    def _connect(self, folder: Path, bytes_max: int, seconds_max: float) -> Any:
        cache = self._settings.cache_bytes // 2
        options = {
            # Of the server: the first connection decides.
            "mark_cache_size": cache,
            "primary_index_cache_size": cache,
            "max_server_memory_usage": self._settings.engine_bytes_max,
            # Of the connection.
            "optimize_on_insert": 0,  # readers leave out superseded rows; a third cheaper
            "use_query_condition_cache": 0,  # of up to 100 MiB: no two questions have the same time
            "use_statistics_for_part_pruning": 0,  # up to 2 ms a query; the key finds as much
            "async_insert": 0,  # on by default in new engines: a write would return before it is
            "max_threads": 1,
            "max_insert_threads": 1,
            "max_memory_usage": bytes_max,
            "max_execution_time": seconds_max,
            "output_format_arrow_compression_method": "none",
        }
        tail = "&".join(f"{name}={value}" for name, value in options.items())
        try:
            return self._chdb.connect(f"{folder.resolve()}?{tail}")
        except RuntimeError as error:
            raise _failed(error) from error

    def query(self, sql: str, *, page: bool = True) -> pa.Table:
        """Run a SELECT.

        Args:
            sql: The statement.
            page: Whether it runs under a page's limits, or on a connection of the pipeline.

        Returns:
            Its rows.

        Raises:
            KilowatchError: 503 ``store_busy`` at a limit, 503 ``store_failed`` otherwise.
        """
        began_s = time.perf_counter()
        try:
            with self._borrow(self._pages if page else self._own) as connection:
                asked_s = time.perf_counter()
                try:
                    answer = connection.query(sql, "ArrowStream")
                except Exception as error:
                    raise _failed(error) from error
                if page and 0 < self._settings.query_s_max <= time.perf_counter() - asked_s:
                    # At its limit the engine may end without an error, with some of the rows or
                    # none: what took that long is never believed.
                    raise _failed(TimeoutError("Code: 159. at the limit, without an error"))
                return _whole(answer)
        finally:  # with the wait for a connection: that is what a page waits for
            took = self.page_times if page else self.own_times
            took.note(time.perf_counter() - began_s)

    def execute(self, sql: str) -> None:
        """Run a statement without a result on a connection of the pipeline.

        Raises:
            KilowatchError: 503 ``store_failed``.
        """
        with self._borrow(self._own) as connection:
            try:
                connection.query(sql)
            except Exception as error:
                raise _failed(error) from error

    def insert(self, table: str, batches: Iterable[pa.RecordBatch]) -> None:
        """Write batches, each of them durable when the next begins.

        Raises:
            KilowatchError: 503 ``store_failed``; repeating the whole write mends it.
        """
        for batch in batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as stream:
                stream.write_batch(batch)
            statement = f"INSERT INTO {table} ({', '.join(batch.schema.names)})"
            with self._borrow(self._own) as connection:
                try:
                    with connection.send_insert(statement, "ArrowStream") as insert:
                        insert.append(sink.getvalue().to_pybytes())
                        insert.finish()
                except Exception as error:
                    raise _failed(error) from error

    def close(self) -> None:
        """Wait for running queries and release the folder; a second call does nothing.

        Whoever asks from then on, or waits for a connection, is refused at once.
        """
        if self._lock < 0:
            return
        handle, self._lock = self._lock, -1
        for pool, size in ((self._own, OWN_CONNECTIONS), (self._pages, self._settings.readers)):
            for _ in range(size):
                with suppress(queue.Empty):  # a query that will not end must not keep us
                    pool.get(timeout=self._settings.query_s_max + 1).close()
            pool.put(None)
        os.close(handle)

    @contextmanager
    def _borrow(self, pool: queue.Queue[Any]) -> Iterator[Any]:
        try:
            connection = pool.get(timeout=self._settings.query_s_max)
        except queue.Empty:
            raise KilowatchError(
                "store_busy",
                "All connections to the store are in use.",
                status=503,
                remedy="Try again in some seconds.",
                retry_helps=True,
            ) from None
        if connection is None:
            pool.put(None)  # for the next one who waits
            raise KilowatchError(
                "store_closed",
                "The store is closed: the platform is stopping.",
                status=503,
                remedy="Ask again when it has started.",
                retry_helps=True,
            )
        try:
            yield connection
        except BaseException:
            connection = self._emptied(connection, own=pool is self._own)
            raise
        finally:
            pool.put(connection)

    def _emptied(self, connection: Any, *, own: bool) -> Any:
        """Return a connection in which a failed query has left nothing.

        chDB 4.4 keeps what a query had written before it failed, and gives it to the next query of
        the connection in front of its own rows: figures of another question, of another
        organisation even. What is left comes with the next answer and is thrown away here; a
        connection that stays unclean is closed and made anew.
        """
        for _ in range(EMPTYINGS):
            with suppress(Exception):
                _whole(connection.query("SELECT 1 AS one", "ArrowStream"))
                return connection
        with suppress(Exception):
            connection.close()
        settings = self._settings
        limits = (settings.query_bytes_max, settings.query_s_max)
        return self._connect(self._folder, *((settings.write_bytes_max, 0.0) if own else limits))


def _whole(answer: Any) -> pa.Table:
    """Return the rows of an answer when they are those that the engine has counted.

    At a limit chDB may give fewer rows, or none, without an error, and after a failed query what
    that one had written; its own count is right in all of these cases (``test_engine_limits.py``).

    Raises:
        KilowatchError: 503 ``store_busy``: it is not this answer, or not all of it.
    """
    source = pa.BufferReader(answer.bytes())
    try:
        with pa.ipc.open_stream(source) as stream:
            table = stream.read_all()
        found = table.num_rows if source.tell() == source.size() else -1
    except pa.ArrowInvalid:
        found = -1
    if found == answer.rows_read():
        return table
    raise KilowatchError(
        "store_busy",
        "The store met a limit and did not give all that was asked for.",
        status=503,
        remedy="Ask for a shorter time or a coarser granularity.",
        retry_helps=True,
        data={"rows": found, "rows_counted": answer.rows_read()},
    )


def _lock(path: Path) -> int:
    """Take the folder for this process; the system gives it back however the process ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(handle)
        raise KilowatchError(
            "store_locked",
            f"The store in {path.parent} is open in another process (process number {owner}).",
            status=503,
            remedy="Only one platform process can have it: stop the other one first.",
            retry_helps=True,
            data={"process": owner},
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def _failed(error: Exception) -> KilowatchError:
    text = str(error)
    found = re.search(r"Code: (\d+)", text)
    code = int(found.group(1)) if found else 0
    if code in _BUSY:
        return KilowatchError(
            "store_busy",
            f"A query {_BUSY[code]}.",
            status=503,
            remedy="Ask for a shorter time or a coarser granularity.",
            retry_helps=True,
            data={"engine_code": code},
        )
    return KilowatchError(
        "store_failed",
        f"The store could not do it: {text[:300]}",
        status=503,
        remedy="Look at the free space and the permissions of the data folder.",
        retry_helps=True,
        data={"engine_code": code},
    )
