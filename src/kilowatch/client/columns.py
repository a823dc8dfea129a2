"""Packets out of a table whose columns a person names: which is the time, which a value, of what.

Exports of other systems have their own names, their own way to write a time and a number, and
often a column for each meter; ``guessing.py`` guesses what a file looks like. Local times become
instants here; the hour that comes twice when the clocks go back is told apart by the order of the
lines.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from kilowatch.client.source import Line
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import WIRE_CHANNELS

Order = Literal["iso", "day_first", "month_first", "unix_s", "unix_ms"]
ORDERS: tuple[Order, ...] = ("iso", "day_first", "month_first", "unix_s", "unix_ms")
IGNORE, TIME, POINT, NAMED = "ignore", "time", "point", "parameter"
PARAMETERS = ("value", *WIRE_CHANNELS)
DATE = re.compile(
    r"(\d{1,2})[./-](\d{1,2})[./-](\d{2}|\d{4})"
    r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]m)?)?",
    re.ASCII | re.IGNORECASE,
)
_DAY_WITH_OFFSET = re.compile(r"^(\d{4}-\d\d-\d\d) (?=[+-]\d{2}:\d{2}$)")
_BEFORE_OFFSET = re.compile(r" (?=[+-]\d{2}:\d{2}$)")
_SPACES = "'\u2019 \u00a0\u202f"  # what thousands are grouped with everywhere


def _written(decimal: str, grouping: str) -> re.Pattern[str]:
    whole = rf"(?:\d+|\d{{1,3}}(?:[{grouping}{_SPACES}]\d{{3}})+)?"
    return re.compile(rf"[+-]?{whole}(?:[{decimal}]\d+)?(?:[eE][+-]?\d+)?", re.ASCII)


NUMBERS = {".": _written(".", ","), ",": _written(",", ".")}
"""How numbers are written, by their decimal mark."""
_GROUPING = re.compile(f"[,.{_SPACES}]")


@dataclass(frozen=True, slots=True)
class Column:
    """What a column means.

    Attributes:
        name: Its header; that of a file without one is ``column 3``.
        role: ``ignore``, ``time``, ``point`` (names the data point of the line), ``parameter``
            (names the parameter of the line's value), or a parameter.
        stream: Stream id of a parameter's data point; empty for that of the line or the file.
    """

    name: str
    role: str = IGNORE
    stream: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a table is read.

    Attributes:
        kind: ``csv``, or ``ndjson``: then nothing but ``stream`` matters.
        separator: Between cells.
        decimal: ``.`` or ``,``.
        order: How times are written.
        zone: Of times without an offset; empty for that of each data point's site.
        header: Whether the first line names the columns.
        stream: Stream id of lines that name none; or empty.
        columns: In the order of the file.
    """

    kind: Literal["csv", "ndjson"] = "csv"
    separator: str = ","
    decimal: str = "."
    order: Order = "iso"
    zone: str = ""
    header: bool = True
    stream: str = ""
    columns: tuple[Column, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as the catalogue keeps it."""
        return asdict(self) | {"columns": [asdict(one) for one in self.columns]}

    @staticmethod
    def of_json(kept: Mapping[str, Any]) -> Shape:
        """Return what was kept."""
        return Shape(**{**kept, "columns": tuple(Column(**one) for one in kept["columns"])})

    def fitted(self, saved: Shape) -> Shape:
        """Return a saved shape for this file: its columns found again by their names."""
        known = {one.name: one for one in saved.columns}
        columns = tuple(known.get(one.name, replace(one, role=IGNORE)) for one in self.columns)
        return replace(saved, kind=self.kind, columns=columns)


def lines(
    text: str, shape: Shape, streams: Mapping[str, str], zones: Mapping[str, str]
) -> Iterator[Line]:
    """Return a file's packets, line by line; a line with several data points gives several.

    Args:
        text: The file.
        shape: How it is read.
        streams: Stream id by what a file may call a data point.
        zones: Time zone of each stream's site.

    Raises:
        KilowatchError: ``unreadable_file``, with the line.
    """
    if shape.kind == "ndjson":
        yield from _ndjson(text, shape, streams)
        return
    clocks: dict[str, _LocalClock] = {}

    def told(one: _Said) -> Line:
        clock = clocks.get(one.owner)
        if clock is None:
            clock = clocks[one.owner] = _LocalClock(shape.zone or zones[one.owner])
        return _line(one, shape, clock)

    held: _Said | None = None
    for one in _said(text, shape, streams):
        if isinstance(one, Line):
            if held is not None:
                yield told(held)
            held = None
            yield one
        elif held is not None and held.goes_on(one):
            held.values.extend(one.values)
        else:
            if held is not None:
                yield told(held)
            held = one
    if held is not None:
        yield told(held)


@dataclass(frozen=True, slots=True)
class _Said:
    """What a line says of one data point; lines that name their parameter go on in the next."""

    number: int
    owner: str
    stamp: str
    values: list[tuple[str, str]]
    named: bool

    def goes_on(self, after: _Said) -> bool:
        """Tell whether the next line has more of the same packet."""
        return self.named and (self.owner, self.stamp) == (after.owner, after.stamp)


def _said(text: str, shape: Shape, streams: Mapping[str, str]) -> Iterator[_Said | Line]:
    named = next((n for n, one in enumerate(shape.columns) if one.role == NAMED), None)
    for number, cells, stream in _told(text, shape, streams):
        if not stream.known:
            yield Line(number, "", b"", stream.mistake)
            continue
        parameter = "" if named is None else (cells[named] if named < len(cells) else "")
        if named is not None and parameter not in PARAMETERS:
            what = (
                f"{parameter[:40]!r} is not what a packet says; sums over phases cannot be put in."
            )
            yield Line(number, stream.name, b"", what)
            continue
        packets = _packets(cells, shape, stream.name, parameter)
        if not packets:
            yield Line(number, stream.name, b"", "The line has no value.")
        for owner, values in packets.items():
            if not owner:
                yield Line(number, "", b"", "The line does not say of which data point it is.")
                continue
            yield _Said(number, owner, _joined(cells, shape), values, named is not None)


@dataclass(frozen=True, slots=True)
class _Owner:
    """The data point of a line, or the sentence about a name that none has."""

    name: str
    mistake: str = ""

    @property
    def known(self) -> bool:
        return not self.mistake


def _told(
    text: str, shape: Shape, streams: Mapping[str, str]
) -> Iterator[tuple[int, list[str], _Owner]]:
    """Return rows with their data point."""
    named = next((n for n, one in enumerate(shape.columns) if one.role == POINT), None)
    rows = rows_of(text, shape.separator)
    if shape.header:
        next(rows, None)
    for number, row in rows:
        cells = [cell.strip() for cell in row]
        called = cells[named] if named is not None and named < len(cells) else ""
        if not called:
            yield number, cells, _Owner(shape.stream)
        elif called in streams:
            yield number, cells, _Owner(streams[called])
        elif called.removeprefix("'") in streams:  # our exports keep spreadsheets from calculating
            yield number, cells, _Owner(streams[called.removeprefix("'")])
        else:
            yield number, cells, _Owner("", f"There is no data point {called[:80]!r} here.")


def _joined(cells: Sequence[str], shape: Shape) -> str:
    """Return the time of a row; date and time of day may stand in two columns."""
    said = zip(shape.columns, cells, strict=False)
    return " ".join(cell for column, cell in said if column.role == TIME and cell)


def _packets(
    cells: Sequence[str], shape: Shape, stream: str, parameter: str
) -> dict[str, list[tuple[str, str]]]:
    """Return what a row says, by data point; its value is that of a parameter that it names."""
    packets: dict[str, list[tuple[str, str]]] = {}
    for column, cell in zip(shape.columns, cells, strict=False):
        if cell and column.role in PARAMETERS:
            role = parameter or column.role
            packets.setdefault(column.stream or stream, []).append((role, cell))
    return packets


def _line(one: _Said, shape: Shape, clock: _LocalClock) -> Line:
    try:
        moment = clock.instant(_moment(one.stamp, shape.order))
        values = {name: _number(text, shape.decimal) for name, text in one.values}
    except ValueError as error:
        return Line(one.number, one.owner, b"", str(error))
    packet = {"id": one.owner, "tsISO8601": moment.isoformat(), **values}
    return Line(one.number, one.owner, json.dumps(packet, ensure_ascii=False).encode())


class _LocalClock:
    """Turns local times of one data point into instants, in the order of its lines.

    When the clocks go back an hour comes twice. Its times are told apart by what came before:
    a time that does not go on in the direction of the file is that of the second pass.
    """

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._before: datetime | None = None
        self._falls = False

    def instant(self, moment: datetime) -> datetime:
        """Return an instant; one that has an offset already is left as it is.

        Raises:
            ValueError: The clocks were put forward over that time.
        """
        found = moment if moment.tzinfo is not None else self._local(moment)
        if self._before is not None and found.astimezone(UTC) != self._before:
            self._falls = found.astimezone(UTC) < self._before
        self._before = found.astimezone(UTC)
        return found

    def _local(self, moment: datetime) -> datetime:
        first, second = (moment.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            return first
        if first.astimezone(UTC).astimezone(self._zone).replace(tzinfo=None) != moment:
            raise ValueError(
                f"{moment} does not exist in {self._zone.key}: the clocks were put forward."
            )
        if self._before is None:
            return first
        if self._falls:
            return second if second.astimezone(UTC) < self._before else first
        return first if first.astimezone(UTC) > self._before else second


def _moment(text: str, order: Order) -> datetime:
    """Read a time as people write it.

    Raises:
        ValueError: A sentence for a person.
    """
    wrong = f"{text[:40]!r} is not a time." if text else "The line has no time."
    try:
        if order == "iso":
            return _iso(text)
        if order in ("unix_s", "unix_ms"):
            factor = 1 if order == "unix_s" else 1000
            return datetime.fromtimestamp(float(text) / factor, UTC)
        return _day_and_month(text, order)
    except (ValueError, OverflowError, OSError):
        raise ValueError(wrong) from None


def _iso(text: str) -> datetime:
    text = _DAY_WITH_OFFSET.sub(r"\1T00:00", text.replace("/", "-", 2))
    text = _BEFORE_OFFSET.sub("", text)
    if re.match(r"\d{4}-\d\d-\d\d[T ]24:00", text):
        return datetime.fromisoformat(text.replace("24:00", "00:00", 1)) + timedelta(days=1)
    return datetime.fromisoformat(text)


def _day_and_month(text: str, order: Order) -> datetime:
    match = DATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    one, two, year = int(match[1]), int(match[2]), int(match[3])
    day, month = (one, two) if order == "day_first" else (two, one)
    hour, minute, second = (int(match[n] or 0) for n in (4, 5, 6))
    if match[7]:
        hour = hour % 12 + (12 if match[7].lower() == "pm" else 0)
    year += 2000 if len(match[3]) == 2 else 0
    later = timedelta(days=1) if hour == 24 else timedelta()
    return datetime(year, month, day, hour % 24, minute, second) + later  # noqa: DTZ001 - local


def _number(text: str, decimal: str) -> float:
    """Read a number.

    Raises:
        ValueError: A sentence for a person.
    """
    digits = any(sign.isdigit() for sign in text)
    if not digits or not NUMBERS[decimal].fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a number with a decimal {decimal!r}.")
    whole, mark, rest = text.partition(decimal)
    return float(_GROUPING.sub("", whole) + ("." if mark else "") + rest)


def _ndjson(text: str, shape: Shape, streams: Mapping[str, str]) -> Iterator[Line]:
    for number, line in enumerate(io.StringIO(text), start=1):
        if not line.strip():
            continue
        try:
            packet = json.loads(line)
            if not isinstance(packet, dict):
                raise ValueError("a packet is one JSON object")  # noqa: TRY004, TRY301 - as JSON
        except ValueError as error:
            yield Line(number, "", b"", f"The line is not a packet: {error}.")
            continue
        called = packet.get("id")
        stream = shape.stream if called is None else streams.get(str(called), "")
        if not stream:
            said = "does not say" if called is None else f"says {str(called)[:80]!r}, which is none"
            yield Line(number, "", b"", f"The line {said} of the data points here.")
            continue
        if called == stream:
            yield Line(number, stream, line.strip().encode())
        else:
            yield Line(number, stream, json.dumps({**packet, "id": stream}).encode())


def rows_of(text: str, separator: str, most: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """Return rows that hold something, with the number of their last line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    found = 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
                found += 1
                if found == most:
                    return
    except csv.Error as error:
        raise KilowatchError(
            "unreadable_file",
            f"Line {reader.line_num} cannot be read: {error}.",
            remedy="Look for a double quote that is never closed.",
            data={"field": "file"},
        ) from None
