"""Excel, made for people: real dates in local time, units in the headings, and a sheet of notes.

XlsxWriter makes the workbook but for its rows, which ``excel_rows.py`` puts into it: formats,
widths, filter and notes are the library's, and no row is kept in memory. The workbook is put
together on disk and sent when it is whole, so that one that fails is an answer, not half a file.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter

from kilowatch.exports.excel_rows import rows_xml
from kilowatch.exports.plan import EXCEL_ROWS_MAX, too_large_for_excel, too_long_for_excel
from kilowatch.exports.tables import Heading, Table
from kilowatch.model.errors import KilowatchError

CHUNK_BYTES = 256 * 1024
CELLS_A_STEP = 50_000  # between two looks at whether somebody still waits
COMPRESSION = 3  # half of the time of 6, for a twelfth more bytes
SHEET_BYTES_MAX = 2 * 2**30 - 2**20  # of one file in a plain zip archive, which is what Excel reads
SHEET = "xl/worksheets/sheet1.xml"
TYPES = "[Content_Types].xml"
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
        KilowatchError: 400 ``too_many_rows``: there are more than the estimate said, or more in
            them than programs open; 507 ``workbook_not_written``: the disk for temporary files
            is full.
    """
    with tempfile.TemporaryDirectory(prefix="kilowatch-export-") as folder:
        path = Path(folder) / "export.xlsx"
        try:
            with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=COMPRESSION) as book:
                for _ in _write(book, table, words):
                    yield b""
        except OSError as error:  # half a workbook is worse than none
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


def _write(book: ZipFile, table: Table, words: Wording) -> Iterator[None]:
    """Write a workbook whose rows lie between the head and the tail of XlsxWriter's sheet."""
    frame, summary = _frame(table, words, None), Summary()
    head, _ = _around_rows(frame)
    styles = _styles(head, len(table.headings))
    book.writestr(TYPES, frame.read(TYPES))  # first: so programs tell what the file is
    together, written = max(1, CELLS_A_STEP // len(styles)), 0
    with book.open(SHEET, "w") as sheet:
        sheet.write(head)
        for batch in table.batches:
            for first in range(0, batch.num_rows, together):
                some = batch.slice(first, together)
                if summary.rows + some.num_rows >= EXCEL_ROWS_MAX:
                    raise too_long_for_excel(summary.rows + some.num_rows)
                rows = rows_xml(some, table.headings, styles, summary.rows + 2)
                written += len(rows)
                if written > SHEET_BYTES_MAX:
                    raise too_large_for_excel((summary.rows + some.num_rows) * len(styles))
                sheet.write(rows)
                summary.add(some)
                yield
        frame = _frame(table, words, summary)
        again, tail = _around_rows(frame)
        assert again == head, "rows and their frame must have the same formats"
        sheet.write(tail)
    for entry in frame.infolist():
        if entry.filename not in (SHEET, TYPES):
            book.writestr(entry.filename, frame.read(entry))


def _frame(table: Table, words: Wording, written: Summary | None) -> ZipFile:
    """Return the workbook without its rows; before they are written, without notes on them."""
    kept = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(kept, options)
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
    if written is not None and written.rows:
        sheet.autofilter(0, 0, written.rows, len(titles) - 1)
    notes = book.add_worksheet(words.notes)
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    about = book.add_format({"bold": True, "valign": "top"})
    notes.set_column(0, 0, 26, wrap)
    notes.set_column(1, 1, 90, wrap)
    for n, (what, said) in enumerate(() if written is None else words.lines(written)):
        notes.write_string(n, 0, what, about)
        notes.write_string(n, 1, said, wrap)
    book.close()
    return ZipFile(kept)


def _around_rows(frame: ZipFile) -> tuple[bytes, bytes]:
    """Return what stands before and after the rows of a sheet, which say themselves how many."""
    before, end, after = frame.read(SHEET).partition(b"</sheetData>")
    return re.sub(rb"<dimension [^>]*/>", b"", before), end + after


def _styles(head: bytes, columns: int) -> list[int]:
    """Return the number of each column's format, as the sheet names it; 0 for none."""
    found = [0] * columns
    for column in re.findall(rb"<col [^>]*>", head):
        told = {name: int(number) for name, number in re.findall(rb' (\w+)="(\d+)"', column)}
        for n in range(told[b"min"], told[b"max"] + 1):
            found[n - 1] = told.get(b"style", 0)
    return found
