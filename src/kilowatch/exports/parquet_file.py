"""Parquet: instants in UTC, units in the schema, zone and definition in the file's metadata.

The footer comes last, so that the file is written as it is sent: a row group for each slice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.parquet

from kilowatch.exports.tables import Table

ROWS_A_GROUP = 50_000  # fewer are joined: each row group costs a page of the footer


class _Pipe:
    """A file that is only written to, and emptied meanwhile."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        piece = bytes(data)
        self._parts.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Do nothing: what was written is there."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        found, self._parts = b"".join(self._parts), []
        return found


def parquet_chunks(table: Table, about: Mapping[str, str]) -> Iterator[bytes]:
    """Yield the file piece by piece.

    Args:
        table: What is written.
        about: What stands in the metadata: who exported what, and when.
    """
    zone = table.zone or "of each site, in the column time_zone"
    kept = {"kilowatch": json.dumps({"time_zone": zone, **about}, ensure_ascii=False)}
    pipe = _Pipe()
    schema = table.schema.with_metadata(kept)
    held: list[pa.RecordBatch] = []
    with pyarrow.parquet.ParquetWriter(
        pa.PythonFile(pipe, "w"), schema, compression="zstd", write_statistics=True
    ) as writer:
        for batch in table.batches:
            held.append(batch)
            if sum(one.num_rows for one in held) >= ROWS_A_GROUP:
                writer.write_table(pa.Table.from_batches(held).cast(schema))
                held = []
            yield pipe.taken()
        if held:
            writer.write_table(pa.Table.from_batches(held).cast(schema))
    yield pipe.taken()
