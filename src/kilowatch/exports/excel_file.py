"""Excel, made for people: real dates in local time, units in the headings, and a sheet of notes.

XlsxWriter writes row by row and keeps none in memory (``constant_memory``); the workbook is put
together on disk and sent when it is whole, so that one that fails is an answer, not half a file.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from kilowatch.exports.csv_file import offset_texts
from kilowatch.exports.plan import EXCEL_ROWS_MAX, too_long_for_excel
from kilowatch.exports.tables import Heading, Table
from kilowatch.model.errors import KilowatchError

CHUNK_BYTES = 256 * 1024
ROWS_A_STEP = 5_000  # rows between two looks at whether somebody still waits
EPOCH_DAYS = 25_569  # days from 1899-12-30, where Excel counts from, to 1970-01-01
DAY_MS = 86_400_000
WIDTHS = {"local": 17, "offset": 8, "utc": 17, "count": 10, "share": 13, "number": 14, "text": 20}
FORMATS = {
    "local": "yyyy-mm-dd hh:mm",
    "utc": "yyyy-mm-dd hh:mm",
    "number": "#,##0.###",
    "share": "0.0%",
    "count": "0",
}


@dataclass(slots=True)
class Summary:
    """What was written.

    Attributes:
        rows: How many rows.
        qualities: How many rows have each quality.
        covered: Sum of the rows' completeness.
    """

    rows: int = 0
    qualities: Counter[str] = field(default_factory=Counter)
    covered: float = 0.0

    def add(self, batch: pa.RecordBatch) -> None:
        """Count some rows."""
        self.rows += batch.num_rows
        if "completeness" in batch.schema.names:
            found = batch.column("quality").value_counts()
            for word, count in zip(*(part.to_pylist() for part in found.flatten()), strict=True):
                self.qualities[str(word or "")] += count
            self.covered += float(pc.sum(batch.column("completeness")).as_py() or 0)


@dataclass(frozen=True, slots=True)
class Wording:
    """What people read in a workbook; the dashboard's catalogue has the words.

    Attributes:
        data: Name of the sheet with the rows.
        notes: Name of the sheet of notes.
        heading: Returns what a column is called, given the zone of local times.
        lines: Returns the notes, what and what about it, given what was written.
    """

    data: str
    notes: str
    heading: Callable[[Heading, str], str]
    lines: Callable[[Summary], Sequence[tuple[str, str]]]


def excel_chunks(table: Table, words: Wording) -> Iterator[bytes]:
    """Yield nothing while the workbook is written, then the workbook piece by piece.

    Raises:
        KilowatchError: 400 ``too_many_rows``: there are more than the estimate said; 507
            ``workbook_not_written``: the disk for temporary files is full.
    """
    with tempfile.TemporaryDirectory(prefix="kilowatch-export-") as folder:
        path = Path(folder) / "export.xlsx"
        options = {
            "constant_memory": True, "tmpdir": folder, "strings_to_formulas": False,
            "strings_to_urls": False, "strings_to_numbers": False, "nan_inf_to_errors": False,
        }  # fmt: skip
        book = xlsxwriter.Workbook(str(path), options)
        try:
            for _ in _write(book, table, words):
                yield b""
        except BaseException:
            book.fileclosed = True  # what is half written is thrown away with its folder
            raise
        try:
            book.close()
        except FileCreateError as error:  # half a workbook is worse than none
            book.fileclosed = True
            raise KilowatchError(
                "workbook_not_written",
                f"The workbook could not be put together on the server: {error}.",
                status=507,
                remedy="Make room in the server's folder for temporary files, or take CSV or"
                " Parquet, which need none.",
                retry_helps=True,
            ) from error
        with path.open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece


def _write(book: Any, table: Table, words: Wording) -> Iterator[None]:
    formats = {kind: book.add_format({"num_format": text}) for kind, text in FORMATS.items()}
    bold = book.add_format(
        {"bold": True, "text_wrap": True, "valign": "top", "bottom": 1, "bg_color": "#eef2f6"}
    )
    sheet = book.add_worksheet(words.data)
    titles = [words.heading(one, table.zone) for one in table.headings]
    for n, one in enumerate(table.headings):
        width = max(WIDTHS[one.kind], min(len(titles[n]), 28))
        sheet.set_column(n, n, width, formats.get(one.kind))
    sheet.freeze_panes(1, 0)
    for n, title in enumerate(titles):
        sheet.write_string(0, n, title, bold)
    row, summary = 1, Summary()
    for batch in table.batches:
        summary.add(batch)
        for first in range(0, batch.num_rows, ROWS_A_STEP):
            some = batch.slice(first, ROWS_A_STEP)
            if row + some.num_rows > EXCEL_ROWS_MAX:
                raise too_long_for_excel(row + some.num_rows)
            _rows(sheet, row, some, table.headings, formats)
            row += some.num_rows
            yield
    if row > 1:
        sheet.autofilter(0, 0, row - 1, len(titles) - 1)
    notes = book.add_worksheet(words.notes)
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    notes.set_column(0, 0, 26, wrap)
    notes.set_column(1, 1, 90, wrap)
    for n, (what, about) in enumerate(words.lines(summary)):
        notes.write_string(n, 0, what, book.add_format({"bold": True, "valign": "top"}))
        notes.write_string(n, 1, about, wrap)


def _rows(
    sheet: Any,
    first: int,
    batch: pa.RecordBatch,
    headings: Sequence[Heading],
    formats: dict[str, Any],
) -> None:
    """Write some rows; row by row, as what keeps none in memory must be."""
    columns = [_cells(batch.column(n), one) for n, one in enumerate(headings)]
    writes = [
        sheet.write_string if one.kind in ("text", "offset") else sheet.write_number
        for one in headings
    ]
    shapes = [formats.get(one.kind) for one in headings]
    order = range(len(columns))
    for n in range(batch.num_rows):
        for k in order:
            cell = columns[k][n]
            if cell is not None:
                writes[k](first + n, k, cell, shapes[k])


def _cells(column: pa.Array, heading: Heading) -> list[Any]:
    """Return what is written; None for an empty cell."""
    if heading.kind in ("local", "utc"):
        at_ms = np.asarray(column.cast(pa.int64()))
        return list((at_ms / DAY_MS + EPOCH_DAYS).tolist())
    if heading.kind == "offset":
        return list(offset_texts(column).to_pylist())
    return list(column.to_pylist())
