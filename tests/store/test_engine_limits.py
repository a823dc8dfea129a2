"""What the engine gives at its limits is refused, never taken for the whole answer."""

from __future__ import annotations

import queue
import time

import pyarrow as pa
import pytest

from kilowatch.model.durations import Durations
from kilowatch.model.errors import KilowatchError
from kilowatch.store.engine import Engine, StoreSettings


class Late:
    """A connection that ends at the limit with an empty answer and no error, as chDB may."""

    def query(self, _sql: str, _format: str) -> Late:
        """Take longer than the limit."""
        time.sleep(0.03)
        return self

    def bytes(self) -> bytes:
        """Return no rows."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, pa.schema([("series", pa.int64())])):
            pass
        return bytes(sink.getvalue().to_pybytes())


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
