"""From a plan to a file: the table in its layout, written in its format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from kilowatch.exports.csv_file import csv_chunks, local_texts
from kilowatch.exports.excel_file import Wording, excel_chunks
from kilowatch.exports.hyper_file import hyper_chunks
from kilowatch.exports.long_rows import long_table
from kilowatch.exports.memory import lean
from kilowatch.exports.parquet_file import parquet_chunks
from kilowatch.exports.plan import Plan
from kilowatch.exports.slices import Reader
from kilowatch.exports.tables import Table
from kilowatch.exports.wide_rows import wide_table

PREVIEW_ROWS = 12
PREVIEW_COLUMNS = 12
PREVIEW_SLICE = 2_000


def table_of(plan: Plan, reader: Reader) -> Table:
    """Return the table of an export; nothing is read before its batches are."""
    wide = plan.asked.layout == "wide"
    table = wide_table(plan, reader) if wide else long_table(plan, reader)
    return replace(table, batches=lean(table.batches))


def chunks_of(
    format_word: str, plan: Plan, reader: Reader, words: Wording, about: Mapping[str, str]
) -> Iterator[bytes]:
    """Yield a file piece by piece; empty pieces while one is still put together.

    Args:
        format_word: A word of ``definition.FORMATS``.
        plan: The export, checked.
        reader: Asks the store.
        words: What people read in a workbook.
        about: Who exported what, and when; for the metadata of files that have some.
    """
    table = table_of(plan, reader)
    if format_word == "csv":
        return csv_chunks(table)
    if format_word == "xlsx":
        return excel_chunks(table, words)
    if format_word == "hyper":
        return hyper_chunks(table, about)
    return parquet_chunks(table, about)


def preview(plan: Plan, reader: Reader) -> tuple[list[str], list[list[str]]]:
    """Return the first columns and rows as a person would see them in the file."""
    few = Plan(plan.asked, plan.subjects[:PREVIEW_COLUMNS], (), plan.zones, plan.now_ms)
    wide = plan.asked.layout == "wide"
    table = wide_table(few, reader, PREVIEW_SLICE) if wide else long_table(few, reader, 500)
    names = [one.name for one in table.headings if one.kind != "offset"]
    rows: list[list[str]] = []
    for batch in islice(table.batches, 40):
        rows += _rows(batch.slice(0, PREVIEW_ROWS - len(rows)), table)
        if len(rows) >= PREVIEW_ROWS:
            break
    return names[: PREVIEW_COLUMNS + 4], [row[: PREVIEW_COLUMNS + 4] for row in rows]


def _rows(batch: pa.RecordBatch, table: Table) -> list[list[str]]:
    columns: list[list[str]] = []
    for n, one in enumerate(table.headings):
        column = batch.column(n)
        if one.kind == "local":
            columns.append(local_texts(column, batch.column(n + 1)).to_pylist())
        elif one.kind == "utc":
            at_ms = np.asarray(column.cast(pa.int64())).astype("datetime64[ms]")
            columns.append([f"{text}Z" for text in np.datetime_as_string(at_ms, unit="s")])
        elif one.kind != "offset":
            columns.append([_text(cell) for cell in column.to_pylist()])
    return [list(row) for row in zip(*columns, strict=True)]


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
