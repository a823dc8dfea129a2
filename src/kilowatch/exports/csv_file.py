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

from kilowatch.exports.tables import Heading, Table

FORMULA = "^[=+@\t\r-]"
"""Where a text begins like this a spreadsheet would calculate it (OWASP, CSV injection)."""


def csv_chunks(table: Table) -> Iterator[bytes]:
    """Yield the file piece by piece."""
    yield _header(table.headings)
    for batch in table.batches:
        yield _lines(batch, table.headings)


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


def _lines(batch: pa.RecordBatch, headings: Sequence[Heading]) -> bytes:
    """Return rows as lines.

    Columns become texts, texts are joined, and what they were joined in is the file: six times as
    fast as a writer that looks into each cell, since names are quoted once for a batch.
    """
    cells: list[pa.Array] = []
    coded: list[pa.DictionaryArray] = []
    for n, one in enumerate(headings):
        column = batch.column(n)
        if one.kind == "text":
            if coded and _place(coded[-1]) != _place(column):
                cells.append(_texts(coded))
                coded = []
            coded.append(column)
            continue
        if coded:
            cells.append(_texts(coded))
            coded = []
        if one.kind == "local":
            cells.append(local_texts(column, batch.column(n + 1)))
        elif one.kind == "utc":
            cells.append(pc.binary_join_element_wise(_iso(column), "Z", ""))
        elif one.kind != "offset":
            cells.append(pc.fill_null(column.cast(pa.string()), ""))
    if coded:
        cells.append(_texts(coded))
    cells[-1] = pc.binary_join_element_wise(cells[-1], "\n", "")
    lines = pc.binary_join_element_wise(*cells, ",")
    _, offsets, data = lines.buffers()
    end = np.frombuffer(offsets, np.int32)[len(lines)]
    return bytes(memoryview(data)[: int(end)])


def _place(coded: pa.DictionaryArray) -> tuple[int, int]:
    """Return where a column's codes lie: columns with the same ones are joined once."""
    return coded.indices.buffers()[1].address, coded.indices.offset


def _texts(coded: Sequence[pa.DictionaryArray]) -> pa.Array:
    """Return text columns that share their codes as one, quoted and joined."""
    quoted = [
        pc.binary_join_element_wise(
            '"', pc.replace_substring(harmless(one.dictionary), '"', '""'), '"', ""
        )
        for one in coded
    ]
    joined = quoted[0] if len(quoted) == 1 else pc.binary_join_element_wise(*quoted, ",")
    return pc.fill_null(joined.take(coded[0].indices), "")


def _iso(instants: pa.Array) -> pa.Array:
    """Return instants as ISO 8601 without a zone; to the millisecond where one needs it."""
    whole = np.asarray(instants.cast(pa.timestamp("ms")).cast(pa.int64())) % 1000
    plain = instants.cast(pa.timestamp("ms" if whole.any() else "s"))
    text = plain.cast(pa.string()).cast(pa.binary())
    return pc.binary_replace_slice(text, 10, 11, b"T").cast(pa.string())


def offset_texts(minutes: pa.Array) -> pa.Array:
    """Return offsets from UTC as ``+01:00``."""
    coded = minutes.dictionary_encode()
    texts = [
        f"{'-' if one < 0 else '+'}{abs(one) // 60:02d}:{abs(one) % 60:02d}"
        for one in coded.dictionary.to_pylist()
    ]
    return pa.array(texts, pa.string()).take(coded.indices)
