"""Tables as people exchange them: CSV as Excel, LibreOffice and programs write it.

Reading takes UTF-8 with and without a byte order mark, UTF-16 and Windows-1252; commas, semicolons
and tabs; Excel's ``sep=;`` line. Writing begins with a byte order mark, without which Excel takes
UTF-8 for something else.

A cell that a spreadsheet would take for a formula is written with an apostrophe before it, and
read without it, so that a name such as ``=HYPERLINK(…)`` is text to whoever opens the file.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kilowatch.model.errors import KilowatchError

BYTES_MAX = 8 * 1024 * 1024
LINES_MAX = 20_000  # 10,000 data points, and room: planning that many takes about a second
CELL_MAX = 32_767  # characters, as a cell of Excel holds: a formula with its history is long

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table.

    Attributes:
        number: Where it begins in the file, from 1, the header included.
        cells: Text by column, without spaces around it.
    """

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table that was read.

    Attributes:
        columns: Those that the file has.
        lines: Its lines; empty ones are left out.
        encoding: How its bytes were understood.
        separator: What stands between its cells.
    """

    columns: tuple[str, ...]
    lines: list[Line]
    encoding: str
    separator: str


def read(content: bytes, known: Sequence[str], needed: Sequence[str] = ()) -> Sheet:
    """Read a table.

    Args:
        content: The file.
        known: Columns that it may have; a header is read without regard to case, and with spaces
            in place of underscores.
        needed: Columns that it must have.

    Raises:
        KilowatchError: ``unreadable_file``, saying in which line and what to do.
    """
    if len(content) > BYTES_MAX:
        raise _unreadable(f"The file has more than {BYTES_MAX // 1024 // 1024} MiB.", "Split it.")
    text, encoding = _text(content)
    separator_line = _SEPARATOR_LINE.match(text)
    skipped = 0
    if separator_line:
        text, skipped = text[separator_line.end() :], 1
    separator = separator_line[1] if separator_line else _separator(text)
    rows = _rows(text, separator, skipped)
    header = next(rows, None)
    if header is None:
        raise _unreadable("The file is empty.", "Begin with the template.")
    columns = _header(header[1], known, needed)
    lines: list[Line] = []
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
            raise _unreadable(
                f"Line {number} has {len(row)} cells, and the header has {len(columns)}.",
                "Put a text that contains the separator in double quotes.",
            )
        if len(lines) == LINES_MAX:
            raise _unreadable(f"The file has more than {LINES_MAX:,} lines.", "Split it.")
        cells = {c: _plain(cell) for c, cell in zip(columns, row, strict=False) if c}
        for column in columns:
            if column:
                cells.setdefault(column, "")
        lines.append(Line(number, cells))
    return Sheet(tuple(c for c in columns if c), lines, encoding, separator)


def write(columns: Sequence[str], rows: Iterable[Sequence[str]], separator: str = ",") -> bytes:
    """Write a table that Excel opens as one, and that ``read`` reads as it was."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula.

    Example:
        >>> harmless("=1+1"), harmless("Boiler"), harmless("'-5")
        ("'=1+1", 'Boiler', "''-5")
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def number(text: str, separator: str = ",") -> float:
    """Read a number as people of a country write it.

    Args:
        text: The cell.
        separator: Between the file's cells: where it is a semicolon, the comma is for decimals.

    Raises:
        ValueError: It is no number, or could be two different ones.

    Example:
        >>> number("1.000.000,5", ";"), number("1,000,000.5"), number("12,5", ";"), number("1 000")
        (1000000.5, 1000000.5, 12.5, 1000.0)
    """
    plain = re.sub(r"[\s_'’]", "", text)
    comma, point = plain.rfind(","), plain.rfind(".")
    if comma < 0 and plain.count(".") <= 1:
        if separator == ";" and _grouped(plain, "."):
            raise ValueError(text)  # 1.000 is a thousand to one reader and one to another
        return float(plain)
    if comma >= 0 and point >= 0:
        decimal = "," if comma > point else "."
    elif plain.count(",") == 1:
        decimal = "," if separator != "," or not _grouped(plain, ",") else "."
    else:
        decimal = "." if plain.count(".") <= 1 else ","
    grouping = "." if decimal == "," else ","
    whole, _, fraction = plain.partition(decimal)
    if grouping in fraction or (grouping in whole and not _grouped(whole, grouping)):
        raise ValueError(text)
    return float(f"{whole.replace(grouping, '')}.{fraction or '0'}")


def _grouped(text: str, mark: str) -> bool:
    return re.fullmatch(rf"[+-]?\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+", text) is not None


def _plain(cell: str) -> str:
    cell = cell.strip(" \u00a0")
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _text(content: bytes) -> tuple[str, str]:
    marked = (encoding for mark, encoding in _MARKS.items() if content.startswith(mark))
    encoding = next(marked, "utf-8")
    if encoding == "utf-8" and b"\0" in content:
        raise _unreadable("This is not a text file.", "In Excel, save it as “CSV UTF-8”.")
    try:
        return content.decode(encoding), encoding.removesuffix("-sig")
    except UnicodeDecodeError:
        if encoding != "utf-8":
            raise _unreadable("The file is damaged.", "Save it again as “CSV UTF-8”.") from None
    return content.decode("cp1252", errors="replace"), "windows-1252"


def _separator(text: str) -> str:
    header = text.partition("\n")[0]
    counts = {mark: header.count(mark) for mark in (",", ";", "\t")}
    return max(counts, key=lambda mark: counts[mark])


def _rows(text: str, separator: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    before = skipped
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _unreadable(
                f"Line {before + 1} cannot be read: {error}.",
                "A double quote inside a quoted text is written twice.",
            ) from None
        if any(len(cell) > CELL_MAX for cell in row):
            raise _unreadable(
                f"Line {before + 1} has a cell of more than {CELL_MAX} characters.",
                "Look for a double quote that is never closed.",
            )
        yield before + 1, row
        before = skipped + reader.line_num


def _header(row: list[str], known: Sequence[str], needed: Sequence[str]) -> list[str]:
    columns = []
    for cell in row:
        column = re.sub(r"[\s-]+", "_", _plain(cell).casefold())
        if column and column not in known:
            close = difflib.get_close_matches(column, known, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            raise _unreadable(
                f"There is no column {cell.strip()!r}.",
                f"{hint}The columns are: {', '.join(known)}.",
            )
        if column and column in columns:
            raise _unreadable(f"The column {column!r} is there twice.", "Leave one of them out.")
        columns.append(column)
    missing = [column for column in needed if column not in columns]
    if missing:
        raise _unreadable(
            f"The column {missing[0]!r} is missing.",
            "The first line has the names of the columns: begin with the template.",
        )
    return columns


def _unreadable(detail: str, remedy: str) -> KilowatchError:
    return KilowatchError("unreadable_file", detail, remedy=remedy, data={"field": "file"})
