"""A table of history out of an Excel workbook, as the text that a CSV file would have.

Read by python-calamine: ten times as fast as openpyxl, in the memory of one sheet, and it
reads the older ``.xls`` and OpenDocument as well. Formulas give what was last computed.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from python_calamine import CalamineError, CalamineWorkbook

from kilowatch.model.errors import KilowatchError

MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How a workbook begins: a zip archive, or the container of the older format."""
UNPACKED_MAX = 300 * 2**20  # what a sheet of a million rows unpacks to; a bomb is larger
MS = timedelta(milliseconds=1)


def is_workbook(content: bytes) -> bool:
    """Tell whether a file is one."""
    return content.startswith(MARKS)


def csv_of(content: bytes) -> str:
    """Return the first sheet that holds something, as CSV with ISO times.

    Raises:
        KilowatchError: ``unreadable_file``.
    """
    _check_size(content)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        for name in book.sheet_names:
            rows = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
            if rows:
                return _text(rows)
    except (CalamineError, ValueError, OSError) as error:
        raise _unreadable(f"The workbook cannot be read: {error}.") from None
    raise _unreadable("The workbook is empty.")


def _check_size(content: bytes) -> None:
    if not content.startswith(MARKS[0]):
        return
    try:
        unpacked = sum(one.file_size for one in zipfile.ZipFile(io.BytesIO(content)).infolist())
    except zipfile.BadZipFile as error:
        raise _unreadable(f"The workbook cannot be read: {error}.") from None
    if unpacked > UNPACKED_MAX:
        raise _unreadable(f"The workbook unpacks to {unpacked // 2**20} MB, which is too much.")


def _text(rows: Sequence[Sequence[object]]) -> str:
    found = io.StringIO()
    writer = csv.writer(found)
    timed = {n for row in rows for n, cell in enumerate(row) if isinstance(cell, datetime)}
    writer.writerows([_cell(cell, timed=n in timed) for n, cell in enumerate(row)] for row in rows)
    return found.getvalue()


def _cell(cell: object, *, timed: bool) -> str:
    """Return a cell as people would have typed it into CSV.

    Args:
        cell: What is in it.
        timed: Whether its column has times of day: there a date is its midnight.
    """
    if isinstance(cell, datetime):
        return _rounded(cell).isoformat(" ")
    if timed and isinstance(cell, date):
        return f"{cell.isoformat()} 00:00:00"
    if isinstance(cell, (date, time)):
        return cell.isoformat()
    if isinstance(cell, float):
        return repr(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return "" if cell is None else str(cell)


def _rounded(moment: datetime) -> datetime:
    """Return a time to the millisecond: Excel keeps days as floats, which are a little off."""
    spare = timedelta(microseconds=moment.microsecond % 1000)
    return moment - spare + (MS if spare * 2 >= MS else timedelta())


def _unreadable(detail: str) -> KilowatchError:
    return KilowatchError(
        "unreadable_file",
        detail,
        remedy="Save it as .xlsx again, or as CSV UTF-8.",
        data={"field": "file"},
    )
