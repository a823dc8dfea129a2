"""What a table of history looks like at first sight: shown to a person before it is used."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from kilowatch.client.columns import (
    DATE,
    IGNORE,
    NAMED,
    NUMBERS,
    PARAMETERS,
    POINT,
    TIME,
    Column,
    Order,
    Shape,
    rows_of,
)
from kilowatch.client.workbooks import csv_of, is_workbook
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import CHANNEL_BY_NAME

SEPARATORS = (";", "\t", "|", ",")
"""Most telling first: who writes decimal commas separates with something else."""
SAMPLE_LINES = 200
SHOWN_LINES = 5
SHARE = 0.8  # of a column's cells that must be times, or numbers, before it is taken for one
COLUMNS_MAX = 200

_TIME_NAMES = ("ts", "time", "timestamp", "tsiso8601", "date", "datum", "zeit", "datetime")
_POINT_NAMES = ("id", "stream_id", "stream", "data_point", "meter")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?", re.ASCII)
_OFFSET = re.compile(r"[+-]\d{2}:\d{2}", re.ASCII)
_HEADING = re.compile(r"(?P<name>.+?)(?: (?P<parameter>\w+))?(?: \[(?P<unit>[^\]]*)\])?")
"""How our own exports head a column: name of the data point, parameter unless it is a single
value, unit."""


@dataclass(frozen=True, slots=True)
class Look:
    """A file as it was understood at first sight.

    Attributes:
        text: Its content.
        encoding: How its bytes were read.
        shape: How it would be read.
        rows: Its first lines of data, cell by cell.
        doubtful: Whether day and month could be the other way round.
    """

    text: str
    encoding: str
    shape: Shape
    rows: list[list[str]] = field(default_factory=list)
    doubtful: bool = False


def text_of(content: bytes) -> tuple[str, str]:
    """Return a file as text, with the encoding that it seems to have.

    Raises:
        KilowatchError: ``unreadable_file``.
    """
    if is_workbook(content):
        return csv_of(content), "Excel"
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, "replace"), encoding
    if b"\0" in content[:4096]:
        raise KilowatchError(
            "unreadable_file",
            "This is not a text file.",
            remedy="Bring a workbook, or save it as CSV UTF-8.",
            data={"field": "file"},
        )
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), "Windows-1252"


def look(content: bytes, streams: Mapping[str, str]) -> Look:
    """Guess how a file is meant.

    Args:
        content: The file.
        streams: Stream id by what a file may call a data point: its stream id, its name.

    Raises:
        KilowatchError: ``unreadable_file``.
    """
    text, encoding = text_of(content)
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    if not first:
        raise KilowatchError(
            "unreadable_file", "The file is empty.", data={"field": "file"},
            remedy="Export it again.",
        )  # fmt: skip
    if first.lstrip().startswith("{"):
        return Look(text, encoding, Shape("ndjson"))
    sample = [line for line in text[:200_000].splitlines() if line.strip()][:SAMPLE_LINES]
    separator = _separator(sample)
    rows = [row for _, row in rows_of(text, separator, SAMPLE_LINES)]
    header = not any(_time_order([cell]) for cell in rows[0])
    data = rows[1:] if header else rows
    names = rows[0] if header else [f"column {n + 1}" for n in range(len(rows[0]))]
    if len(names) > COLUMNS_MAX:
        raise KilowatchError(
            "unreadable_file",
            f"The file has {len(names)} columns, more than {COLUMNS_MAX}.",
            remedy="Split it.",
            data={"field": "file"},
        )
    columns, order, doubtful = _columns(_unique(names), data, streams)
    decimal = "," if separator != "," and _has_decimal_commas(columns, data) else "."
    shape = Shape("csv", separator, decimal, order, header=header, columns=columns)
    return Look(text, encoding, shape, data[:SHOWN_LINES], doubtful)


def _separator(sample: Sequence[str]) -> str:
    fewest = {mark: min(line.count(mark) for line in sample) for mark in SEPARATORS}
    return next((mark for mark in SEPARATORS if fewest[mark]), ",")


def _unique(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for n, name in enumerate(names):
        short = " ".join(name.split())[:100] or f"column {n + 1}"
        found.append(short if short not in found else f"{short} ({n + 1})")
    return found


def _columns(
    names: Sequence[str], rows: Sequence[Sequence[str]], streams: Mapping[str, str]
) -> tuple[tuple[Column, ...], Order, bool]:
    columns: list[Column] = []
    order: Order | None = None
    doubtful = False
    for n, name in enumerate(names):
        cells = [row[n].strip() for row in rows if n < len(row) and row[n].strip()]
        plain = name.casefold().replace(" ", "_")
        written = _time_order(cells) if order is None or plain in _TIME_NAMES else None
        beside = bool(cells) and (
            all(_CLOCK.fullmatch(cell) for cell in cells)
            or all(_OFFSET.fullmatch(cell) for cell in cells)
        )
        if beside and order is not None:
            columns.append(Column(name, TIME))  # the time of day, or the offset, beside its date
        elif written and (order is None):
            order, doubtful = written
            columns.append(Column(name, TIME))
        elif plain in _POINT_NAMES and cells and any(cell in streams for cell in cells):
            columns.append(Column(name, POINT))
        elif plain == "parameter" and cells and any(cell in CHANNEL_BY_NAME for cell in cells):
            columns.append(Column(name, NAMED))
        elif name in PARAMETERS or plain == "value":
            columns.append(Column(name, "value" if plain == "value" else name))
        else:
            columns.append(_of_heading(name, streams))
    return _one_value(columns, rows), order or "iso", doubtful


def _of_heading(name: str, streams: Mapping[str, str]) -> Column:
    """Return a column that is headed by its data point, or one that nothing is known of.

    Where several data points have the name, its parameter is known still.
    """
    known = Column(name)
    for text in (name, name.removeprefix("'")):
        if text in streams:
            return Column(name, "value", streams[text])
        found = _HEADING.fullmatch(text)
        if found is None:
            continue
        whole = " ".join(part for part in (found["name"], found["parameter"]) if part)
        if whole in streams:
            return Column(name, "value", streams[whole])
        if found["parameter"] in PARAMETERS and found["name"] in streams:
            return Column(name, found["parameter"], streams[found["name"]])
        if found["parameter"] in PARAMETERS and found["unit"]:
            known = Column(name, found["parameter"])
    return known


def _one_value(columns: list[Column], rows: Sequence[Sequence[str]]) -> tuple[Column, ...]:
    """Where no column was known as a value and only one has numbers, it is the value."""
    if any(one.role in PARAMETERS for one in columns):
        return tuple(columns)
    numeric = [n for n, one in enumerate(columns) if one.role == IGNORE and _numeric(rows, n)]
    if len(numeric) == 1:
        columns[numeric[0]] = replace(columns[numeric[0]], role="value")
    return tuple(columns)


def _numeric(rows: Sequence[Sequence[str]], n: int) -> bool:
    cells = [row[n].strip() for row in rows if n < len(row) and row[n].strip()]
    numbers = sum(
        any(sign.isdigit() for sign in cell)
        and any(NUMBERS[mark].fullmatch(cell) for mark in NUMBERS)
        for cell in cells
    )
    return bool(cells) and numbers >= SHARE * len(cells)  # a few lines may be wrong


def _time_order(cells: Sequence[str]) -> tuple[Order, bool] | None:
    """Return how a column writes times, and whether day and month are in doubt."""
    if not cells:
        return None
    dates = [match for cell in cells if (match := DATE.fullmatch(cell))]
    if len(dates) >= SHARE * len(cells):
        if any(int(one[1]) > 12 for one in dates) or any("." in one[0][:6] for one in dates):
            return "day_first", False
        if any(int(one[2]) > 12 for one in dates):
            return "month_first", False
        return "day_first", True
    for order, shape in (
        ("iso", r"\d{4}[-/]\d{1,2}[-/]\d{1,2}.*"),
        ("unix_ms", r"1\d{12}"),
        ("unix_s", r"1\d{9}"),
    ):
        fits = sum(bool(re.fullmatch(shape, cell, re.ASCII)) for cell in cells)
        if fits >= SHARE * len(cells):
            return order, False  # type: ignore[return-value]
    return None


def _has_decimal_commas(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> bool:
    cells = [
        row[n].strip()
        for row in rows
        for n, one in enumerate(columns)
        if n < len(row) and one.role not in (TIME, POINT)
    ]
    commas = sum(bool(re.fullmatch(r"[+-]?[\d.]*,\d+", cell)) for cell in cells)
    points = sum(
        bool(re.fullmatch(r"[+-]?[\d,]*\.\d+", cell))
        and not re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", cell)  # 1.240 can be thousands
        for cell in cells
    )
    return commas > points
