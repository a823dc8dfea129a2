"""CSV: UTF-8, commas, decimal points, full precision; one header line; empty means unknown.

Local times carry their offset, so that an hour that comes twice can be told apart, and the UTC
instant stands beside them. A text that a spreadsheet would take for a formula gets an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from kilowatch.exports.tables import Heading, Table

FORMULA = "^[=+@\t\r-]"
"""Where a text begins like this a spreadsheet would calculate it (OWASP, CSV injection)."""
_OPTIONS = pyarrow.csv.WriteOptions(include_header=False, batch_size=8_192)


def csv_chunks(table: Table) -> Iterator[bytes]:
    """Yield the file piece by piece."""
    yield _header(table.headings)
    for batch in table.batches:
        written = pa.BufferOutputStream()
        pyarrow.csv.write_csv(_told(batch, table.headings), written, _OPTIONS)
        yield written.getvalue().to_pybytes()


def harmless(texts: pa.Array) -> pa.Array:
    """Return texts that no spreadsheet calculates."""
    return pc.replace_substring_regex(texts, FORMULA, r"'\0")


def local_texts(local: pa.Array, offset_min: pa.Array) -> pa.Array:
    """Return local times as ISO 8601 with their offset."""
    return pc.binary_join_element_wise(_iso(local), offset_texts(offset_min), "")


def _header(headings: Sequence[Heading]) -> bytes:
    names = [one.name for one in headings if one.kind != "offset"]
    row = io.StringIO()
    safe = harmless(pa.array(names, pa.string())).to_pylist()
    csv.writer(row, lineterminator="\n").writerow(safe)
    return row.getvalue().encode()


def _told(batch: pa.RecordBatch, headings: Sequence[Heading]) -> pa.Table:
    names, columns = [], []
    for n, one in enumerate(headings):
        column = batch.column(n)
        if one.kind == "offset":
            continue
        if one.kind == "local":
            column = local_texts(column, batch.column(n + 1))
        elif one.kind == "utc":
            column = pc.binary_join_element_wise(_iso(column), pa.scalar("Z"), "")
        elif one.kind == "text":
            column = harmless(column)
        names.append(one.name)
        columns.append(column)
    return pa.Table.from_arrays(columns, names=names)


def _iso(instants: pa.Array) -> pa.Array:
    """Return instants as ISO 8601 without a zone; to the millisecond where one needs it."""
    whole = np.asarray(instants.cast(pa.timestamp("ms")).cast(pa.int64())) % 1000
    plain = instants.cast(pa.timestamp("ms" if whole.any() else "s"))
    text = plain.cast(pa.string()).cast(pa.binary())
    return pc.binary_replace_slice(text, 10, 11, b"T").cast(pa.string())


def offset_texts(minutes: pa.Array) -> pa.Array:
    """Return offsets from UTC as ``+01:00``."""
    found, place = np.unique(np.asarray(minutes), return_inverse=True)
    texts = [
        f"{'-' if one < 0 else '+'}{abs(one) // 60:02d}:{abs(one) % 60:02d}"
        for one in found.tolist()
    ]
    return pa.array(texts, pa.string()).take(pa.array(place))
