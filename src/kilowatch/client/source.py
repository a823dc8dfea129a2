"""Packets out of files: NDJSON as it is, CSV with a header in two shapes.

NDJSON: one packet a line. CSV: a column ``id`` (or ``stream_id``), a column ``tsISO8601`` (or
``ts``, ``timestamp``, ``time``) and either ``value`` with perhaps ``unit``, or one column for each
parameter. An empty cell is an absent parameter.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import msgspec

from kilowatch.model.errors import KilowatchError

ID_COLUMNS = ("id", "stream_id")
TIME_COLUMNS = ("tsISO8601", "ts", "timestamp", "time")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file: a packet, or the reason why it is none.

    Attributes:
        number: Of the line in the file, the first is 1.
        stream_id: Its stream; empty when the line does not tell.
        body: The packet; empty when the line is none.
        mistake: What is wrong with the line; empty for a packet.
    """

    number: int
    stream_id: str
    body: bytes
    mistake: str = ""


class _Named(msgspec.Struct):
    id: str | None = None


def read(path: Path, stream_id: str | None = None) -> Iterator[Line]:
    """Return a file's packets in the order of its lines.

    Args:
        path: A CSV or NDJSON file.
        stream_id: Stream of packets that do not name one.

    Raises:
        KilowatchError: The file cannot be read, or its header lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = next((line for line in file if line.strip()), "")
            file.seek(0)
            if first.lstrip().startswith(("{", "[")):
                yield from _read_ndjson(file, stream_id)
            else:
                yield from _read_csv(file, first, path, stream_id)
    except OSError as error:
        raise KilowatchError(
            "unreadable_file", f"{path} cannot be read: {error.strerror}."
        ) from error


def _read_ndjson(file: TextIO, stream_id: str | None) -> Iterator[Line]:
    for number, text in enumerate(file, start=1):
        packet = text.strip().lstrip("\ufeff").encode()
        if not packet:
            continue
        try:
            name = msgspec.json.decode(packet, type=_Named).id
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            yield Line(number, "", b"", f"not a packet: {error}")
            continue
        if name is None and stream_id is not None:
            name = stream_id
            packet = msgspec.json.encode({"id": name, **msgspec.json.decode(packet)})
        if name is None:
            yield Line(number, "", b"", "the packet has no id")
        else:
            yield Line(number, name, packet)


@dataclass(slots=True)
class _Columns:
    """Where the parts of a packet stand in a line."""

    stream: int | None
    time: int
    unit: int | None
    parameters: list[tuple[int, str]]


def _read_csv(file: TextIO, first: str, path: Path, stream_id: str | None) -> Iterator[Line]:
    separator = max(",;\t", key=first.count)
    rows = csv.reader(file, delimiter=separator)
    header = next((row for row in rows if any(cell.strip() for cell in row)), [])
    columns = _columns([name.strip() for name in header], path, stream_id)
    units: dict[str, str] = {}
    for row in rows:
        if any(cell.strip() for cell in row):
            yield _packet(row, rows.line_num, columns, stream_id, units)


def _columns(header: list[str], path: Path, stream_id: str | None) -> _Columns:
    def find(names: tuple[str, ...]) -> int | None:
        return next((header.index(name) for name in names if name in header), None)

    stream, time, unit = find(ID_COLUMNS), find(TIME_COLUMNS), find(("unit",))
    if time is None:
        raise KilowatchError(
            "no_time_column",
            f"The first line of {path} names no column of times.",
            remedy="It must be a header with tsISO8601 (or ts), and id, value or parameters.",
        )
    if stream is None and stream_id is None:
        raise KilowatchError(
            "no_stream",
            f"{path} has no column 'id', so its stream is unknown.",
            remedy="Name the stream with --stream.",
        )
    parameters = [
        (n, name) for n, name in enumerate(header) if n not in {stream, time, unit} and name
    ]
    if not parameters:
        raise KilowatchError(
            "no_value_column",
            f"The first line of {path} names no column of values.",
            remedy="Add a column 'value', or one for each parameter (aP_1, pC_1, …).",
        )
    return _Columns(stream, time, unit, parameters)


def _packet(
    row: list[str], number: int, columns: _Columns, stream_id: str | None, units: dict[str, str]
) -> Line:
    def cell(column: int | None) -> str:
        return row[column].strip() if column is not None and column < len(row) else ""

    name = cell(columns.stream) or stream_id or ""
    if not name:
        return Line(number, "", b"", "the line has no stream id")
    unit = cell(columns.unit)
    if unit and units.setdefault(name, unit) != unit:
        return Line(number, name, b"", f"the unit changes from {units[name]} to {unit}")
    parts = [f'"id":{_quoted(name)},"tsISO8601":{_quoted(cell(columns.time))}']
    for column, parameter in columns.parameters:
        text = cell(column)
        if text:
            value = _number(text)
            if value is None:
                return Line(number, name, b"", f"{parameter} is {text!r}, not a number")
            parts.append(f"{_quoted(parameter)}:{value}")
    return Line(number, name, f"{{{','.join(parts)}}}".encode())


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _number(text: str) -> str | None:
    """Return a number as JSON writes it, digit by digit where that is possible."""
    if _NUMBER.fullmatch(text):
        return text
    try:
        value = float(text)
    except ValueError:
        return None
    return repr(value) if math.isfinite(value) else None
