"""Rows of a sheet as ECMA-376 has them (``SpreadsheetML``, part 1, 18.3.1), a batch at a time.

XlsxWriter takes each cell through Python: 15 µs for checks, an object and a line of XML, in
constant memory or not. Here columns become texts and texts are joined, as in ``csv_file``: a name
is escaped once for a batch, and no cell is a Python object.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kilowatch.exports.csv_file import offset_texts
from kilowatch.exports.tables import Heading
from kilowatch.model.lengths import DAY_MS

EPOCH_DAYS = 25_569  # days from 1899-12-30, where Excel counts from, to 1970-01-01
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML cannot hold; Excel writes it as ``_x0007_`` (ECMA-376, 22.9.2.19)."""
LIKE_CONTROL = re.compile("_(?=x[0-9a-fA-F]{4}_)")
"""A text that looks like one, and would be taken for it."""


def rows_xml(
    batch: pa.RecordBatch, headings: Sequence[Heading], styles: Sequence[int], first: int
) -> bytes:
    """Return rows as XML; an empty cell is not there.

    Args:
        batch: The rows.
        headings: Their columns.
        styles: Number of each column's format.
        first: Number of the first row; Excel counts from 1.
    """
    numbers = pa.array(np.arange(first, first + batch.num_rows)).cast(pa.string())
    parts = [pc.binary_join_element_wise('<row r="', numbers, '">', "")]
    for n, one in enumerate(headings):
        name, style = column_name(n), f's="{styles[n]}"' if styles[n] else ""
        begin = pc.binary_join_element_wise(f'<c r="{name}', numbers, "")
        parts.append(_cells(begin, style, batch.column(n), one))
    lines = pc.binary_join_element_wise(*parts, "</row>", "")
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, np.int32)
    return bytes(memoryview(data)[int(ends[lines.offset]) : int(ends[lines.offset + len(lines)])])


def column_name(number: int) -> str:
    """Return what Excel calls a column, counted from 0.

    Example:
        >>> column_name(0), column_name(27), column_name(16_383)
        ('A', 'AB', 'XFD')
    """
    name, number = "", number + 1
    while number:
        number, letter = divmod(number - 1, 26)
        name = chr(ord("A") + letter) + name
    return name


def _cells(begin: pa.Array, style: str, column: pa.Array, heading: Heading) -> pa.Array:
    """Return a column's cells; empty texts where there is none."""
    if heading.kind in ("text", "offset"):
        coded = offset_texts(column).dictionary_encode() if heading.kind == "offset" else column
        words = [
            None if word is None else _text(style, word) for word in coded.dictionary.to_pylist()
        ]
        rest = pa.array(words, pa.string()).take(coded.indices)
        return pc.fill_null(pc.binary_join_element_wise(begin, rest, ""), "")
    if heading.kind in ("local", "utc"):
        days = np.asarray(column.cast(pa.int64())) / DAY_MS + EPOCH_DAYS
        column = pa.array(days)
    opening = f'" {style}><v>' if style else '"><v>'
    return pc.fill_null(
        pc.binary_join_element_wise(begin, opening, column.cast(pa.string()), "</v></c>", ""), ""
    )


def _text(style: str, word: str) -> str:
    """Return what follows a cell's place: a text that keeps its spaces."""
    plain = LIKE_CONTROL.sub("_x005F_", word)
    plain = CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", plain)
    space = ' xml:space="preserve"' if word != word.strip() else ""
    return f'" {style} t="inlineStr"><is><t{space}>{escape(plain, quote=False)}</t></is></c>'
