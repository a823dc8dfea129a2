"""The slow path of the decoder: read a doubtful body closely and say what is wrong.

Some of what comes here is right all the same: ISO-8859-1, a byte order mark, ``v_13``,
an integer as ``id``, text under a name that we do not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn

from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form, Packet
from kilowatch.model.parameters import VALUE, WIRE_CHANNELS
from kilowatch.wire import mistakes
from kilowatch.wire.timestamps import EXAMPLE, parse_timestamp

SHOWN_MAX: Final = 40  # of a text that should be a number: enough to recognise it
_PLAIN_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WITH_COMMA: Final = re.compile(r"[+-]?\d+(,\d+)+", re.ASCII)  # 1,5 or 1,500: the meter knows
ID_NAMES: Final = frozenset({"id", "stream", "stream_id", "streamid", "meter", "meter_id"})
TIME_NAMES: Final = frozenset({"tsiso8601", "ts", "timestamp", "time", "datetime", "date"})
"""What clients of other platforms call the two members that each packet has."""
ID_LENGTH_MAX: Final = 255
DEPTH_MAX: Final = 64  # far below the interpreter's limit, and the same wherever it runs
INTEGER_DIGITS_MAX: Final = 400  # the largest double has 309

WIRE_NAMES: Final[dict[str, int]] = {"value": VALUE, **WIRE_CHANNELS}
_NESTING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)
_SPACE: Final = " \t\n\r"

Pairs = list[tuple[str, Any]]


class NotANumber(str):
    """A literal such as ``NaN`` or ``1e999``, kept as it was written."""

    __slots__ = ()


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a name that comes twice is seen twice."""


def _integer(text: str) -> int | NotANumber:
    return int(text) if len(text) <= INTEGER_DIGITS_MAX else NotANumber(text)


def _float(text: str) -> float | NotANumber:
    number = float(text)
    return NotANumber(text) if number in (float("inf"), float("-inf")) else number


_scan: Final = json.JSONDecoder(
    object_pairs_hook=_Object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=NotANumber,
).raw_decode


def text_of(body: bytes) -> str:
    """Return the body as text: UTF-8, or ISO-8859-1 if it is not; no byte order mark."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def examine(body: bytes, form: Form) -> Packet:
    """Decode a body that the fast path sent back.

    Raises:
        KilowatchError: Status 400, with the place and the remedy.
    """
    text = text_of(body)
    pairs = _pairs(text, body)
    with _misspelt(pairs, "missing_id", "id", ID_NAMES):
        stream_id = _stream_id(_agreed(pairs, "id"))
    try:
        with _misspelt(pairs, "missing_timestamp", "tsISO8601", TIME_NAMES):
            when = _timestamp_text(_agreed(pairs, "tsISO8601"))
        at_ms, offset_min, kind = parse_timestamp(when, form)
        values, ignored = _values(pairs)
    except KilowatchError as refusal:
        refusal.data["stream_id"] = stream_id
        raise
    return Packet(stream_id, at_ms, offset_min, kind, values, ignored)


@contextmanager
def _misspelt(pairs: Pairs, code: str, right: str, others: frozenset[str]) -> Iterator[None]:
    """Name the member that was probably meant, where the right one is missing."""
    try:
        yield
    except KilowatchError as refusal:
        meant = next((name for name, _ in pairs if name.casefold() in others), None)
        if refusal.code != code or meant is None or meant == right:
            raise
        raise KilowatchError(
            code, refusal.detail, remedy=f'Name it "{right}", not "{meant}".', data=refusal.data
        ) from None


def as_pushed(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return ``tsISO8601`` of a body that was accepted, and its unknown parameters, as pushed.

    Of an unknown parameter a text, a number and a truth value are kept; what is none of these, or
    a number that no double holds, is ``None``.
    """
    pairs = _pairs(text_of(body), body)
    unknown = {
        mistakes.utf_8(name): _plain(value)
        for name, value in pairs
        if name not in WIRE_NAMES and name not in ("id", "tsISO8601")
    }
    return _timestamp_text(_agreed(pairs, "tsISO8601")), unknown


def _plain(value: Any) -> Any:
    if type(value) is str:
        return mistakes.utf_8(value)
    if type(value) is int and abs(value) >= 2**63:
        return None
    return value if type(value) in (bool, int, float) else None


def _pairs(text: str, body: bytes) -> Pairs:
    """Parse the one object of the body."""
    start = len(text) - len(text.lstrip(_SPACE))
    if start < len(text) and text[start] == "[":
        _not_one_packet(text, start, "The body is an array.")
    _check_depth(text)
    try:
        packet, end = _scan(text, start)
    except json.JSONDecodeError as error:
        raise mistakes.malformed(text, error, body) from None
    rest = len(text) - len(text[end:].lstrip(_SPACE))
    if not isinstance(packet, _Object):
        _not_one_packet(text, start, "The body is not a JSON object.")
    if rest < len(text):
        _not_one_packet(text, rest, "Something follows the packet.")
    return packet


def _check_depth(text: str) -> None:
    depth = 0
    for match in _NESTING.finditer(text):
        depth += (match[1] is not None) - (match[2] is not None)
        if depth > DEPTH_MAX:
            line, column = mistakes.place(text, match.start())
            raise KilowatchError(
                "nested_too_deep",
                f"The body is nested more than {DEPTH_MAX} levels deep "
                f"(line {line}, column {column}).",
                remedy="A packet is one flat JSON object.",
                data={"line": line, "column": column, **mistakes.guessed_id(text)},
            )


def _not_one_packet(text: str, position: int, what: str) -> NoReturn:
    line, column = mistakes.place(text, position)
    raise KilowatchError(
        "not_one_packet",
        f"One packet per request. {what[:-1]} (line {line}, column {column}).",
        remedy="Send each packet as one JSON object in a request of its own.",
        data={"line": line, "column": column, **mistakes.guessed_id(text)},
    )


def _agreed(pairs: Pairs, name: str) -> Any:
    """Return the value of a name; one that comes twice must say the same both times."""
    found = [value for key, value in pairs if key == name and value is not None]
    for other in found[1:]:
        if type(other) is not type(found[0]) or other != found[0]:
            raise _conflict(name, name)
    return found[0] if found else None


def _conflict(name: str, other: str) -> KilowatchError:
    both = f'"{name}" comes twice' if name == other else f'"{name}" and "{other}" are one parameter'
    return KilowatchError(
        "conflicting_values",
        f"{both}, with different values.",
        remedy="Send each parameter once.",
        data={"parameter": name, "parameters": sorted({name, other})},
    )


def _stream_id(value: Any) -> str:
    if value is None:
        raise KilowatchError(
            "missing_id",
            'The packet has no "id".',
            remedy='Add the stream id that the data point is registered with: {"id": "…", …}.',
            data={"parameter": "id"},
        )
    if type(value) is int:
        value = str(value)  # some clients send a number; its decimal text is the id
    if type(value) is not str or not value or len(value) > ID_LENGTH_MAX or _unpaired(value):
        raise KilowatchError(
            "invalid_id",
            f'"id" must be a text of 1 to {ID_LENGTH_MAX} characters.',
            remedy="Use the stream id that the data point is registered with.",
            data={"parameter": "id"},
        )
    return value


def _unpaired(text: str) -> bool:
    """Tell whether half of a surrogate pair is in the text: no character, and no UTF-8."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _timestamp_text(value: Any) -> str:
    if value is None:
        raise KilowatchError(
            "missing_timestamp",
            'The packet has no "tsISO8601".',
            remedy=f'Add it, such as "tsISO8601": "{EXAMPLE}".',
            data={"parameter": "tsISO8601"},
        )
    if type(value) is not str:
        raise KilowatchError(
            "invalid_timestamp",
            "tsISO8601 must be a text in double quotes.",
            remedy=f'A right one is "{EXAMPLE}".',
            data={"parameter": "tsISO8601"},
        )
    return value


def _values(pairs: Pairs) -> tuple[dict[int, float], tuple[str, ...]]:
    values: dict[int, float] = {}
    named: dict[int, str] = {}
    ignored: dict[str, None] = {}
    for name, value in pairs:
        channel = WIRE_NAMES.get(name)
        if isinstance(value, NotANumber) and (channel is not None or value[-1] in "Ny"):
            raise _not_a_number(name, value)
        if channel is None:
            if name not in ("id", "tsISO8601"):
                ignored[mistakes.utf_8(name)] = None
        elif value is not None:
            number = _number(name, value)
            if values.setdefault(channel, number) != number:
                raise _conflict(named[channel], name)
            named[channel] = name
    if not values:
        raise KilowatchError(
            "no_known_parameter",
            "The packet has no value for any parameter of the contract.",
            remedy='Send "value" for a single-value data point, or parameters such as "aP_1" '
            "for an electrical one; names are case-sensitive.",
            data={"ignored": list(ignored)[:50]},
        )
    if VALUE in values and len(values) > 1:
        raise KilowatchError(
            "mixed_kinds",
            f'The packet has both "value" and the electrical parameter "{_other(named)}".',
            remedy="A data point is either of the two: push them as two streams.",
            data={"parameter": "value"},
        )
    return values, tuple(ignored)


def _other(named: dict[int, str]) -> str:
    return next(name for channel, name in named.items() if channel != VALUE)


def _number(name: str, value: Any) -> float:
    if type(value) is float or type(value) is int:
        try:
            return float(value)
        except OverflowError:
            value = NotANumber(value)
    raise _not_a_number(name, value)


def _not_a_number(name: str, value: Any) -> KilowatchError:
    name = mistakes.utf_8(name)
    data = {"parameter": name}
    if isinstance(value, NotANumber) and value[-1] not in "Ny":  # NaN, Infinity
        return KilowatchError(
            "number_out_of_range",
            f'"{name}" is larger than a double-precision number can be.',
            remedy="Check the meter's reading.",
            data=data,
        )
    remedy = "Leave the parameter out or send null when there is no reading."
    if isinstance(value, NotANumber):
        what = str(value)
    elif isinstance(value, str):
        what = f'the text "{mistakes.utf_8(value[:SHOWN_MAX])}"'
        if _PLAIN_NUMBER.fullmatch(value.strip()):
            remedy = f'Write the number without quotes: "{name}": {value.strip()}'
        elif _WITH_COMMA.fullmatch(value.strip()):
            remedy = "Write the number without quotes, its decimals after a point: 1234.5"
    elif isinstance(value, bool):
        what = "true or false"
        remedy = "Write 1 or 0, or leave the parameter out."
    else:
        what = "an object" if isinstance(value, _Object) else "an array"
        remedy = "A packet has one number for each parameter, and one time for all of them."
    return KilowatchError(
        "not_a_number",
        f'"{name}" must be a number; it is {what}.',
        remedy=remedy,
        data=data,
    )
