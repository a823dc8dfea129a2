"""Malformed JSON, named: where it is, what was expected, and what it looks like."""

from __future__ import annotations

import json
import re
from typing import Final

from kilowatch.model.errors import KilowatchError

# Quotes of web pages and word processors, and what Windows-1252 makes of them when its
# bytes are read as ISO-8859-1.
TYPOGRAPHIC_DOUBLE: Final = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u2036\x84\x93\x94"
TYPOGRAPHIC: Final = TYPOGRAPHIC_DOUBLE + "\u2018\u2019\u201a\u201b\u2032\u2035\x82\x91\x92"
_TYPOGRAPHIC_DOUBLE: Final = re.compile(f"[{TYPOGRAPHIC_DOUBLE}]")

_EXPECTED: Final = {
    "Expecting property name enclosed in double quotes": "a parameter's name in double quotes",
    "Illegal trailing comma before end of object": "a parameter's name in double quotes",
    "Expecting ':' delimiter": "':'",
    "Expecting ',' delimiter": "',' or the closing bracket",
    "Expecting value": "a value",
    "Unterminated string starting at": "the closing double quote of this text",
    "Invalid control character at": "no control character inside a text (escape it)",
    "Invalid \\escape": "an escape such as \\n or \\\\",
    "Invalid \\uXXXX escape": "four hexadecimal digits after \\u",
}
_LOOSE_ID: Final = re.compile(r'"id"\s*:\s*"([^"\\\x00-\x1f]{1,255})"')
_BEFORE_VALUE: Final = re.compile(r'"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*([+-]?1?)$')
_C_NOT_A_NUMBER: Final = re.compile(r"[+-]?(?:nan|inf|1\.#)[\w()]{0,16}", re.IGNORECASE)
_DECIMAL_COMMA: Final = re.compile(r"\d,[ \t]*$")
_NUMBER_HERE: Final = re.compile(r":[ \t\r\n]*-?\d{0,40}$")  # what stands before + or . in it
_LEADING_ZERO: Final = re.compile(r":[ \t\r\n]*-?0$")
_NO_LEADING_ZERO: Final = "JSON writes a number without leading zeros."
GZIP: Final = b"\x1f\x8b"  # how a compressed body begins (RFC 1952)


def place(text: str, position: int) -> tuple[int, int]:
    """Return line and column of a character, both from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def utf_8(text: str) -> str:
    """Return a text that UTF-8 can carry: half a surrogate pair becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def guessed_id(text: str) -> dict[str, str]:
    """Return the stream id of a body that cannot be parsed, if it can be seen."""
    found = _LOOSE_ID.search(text)
    return {"stream_id": found[1]} if found else {}


def malformed(text: str, error: json.JSONDecodeError, body: bytes) -> KilowatchError:
    """Turn the parser's error into one that a person can act on.

    Args:
        text: The body as text.
        error: What the parser said.
        body: The body as it came, to recognise UTF-16.
    """
    message = error.msg.split(" (")[0]
    position = _typographic(text, error.pos)
    if position is not None:
        return _refuse(
            text,
            position,
            code="typographic_quotes",
            expected='a plain double quote (")',
            found=f"the typographic quote {text[position]}",
            remedy='Replace typographic quotes by plain ones ("): they come from copying out of '
            "a web page or a document.",
        )
    start = error.pos
    named = _BEFORE_VALUE.search(text[:start])
    word = _C_NOT_A_NUMBER.match(text, named.start(2)) if named else None
    if named and word:
        return KilowatchError(
            "not_a_number",
            f'"{named[1]}" must be a number; it is {word[0]}.',
            remedy="Leave the parameter out or send null when there is no reading.",
            data={"parameter": named[1], **guessed_id(text)},
        )
    ended = not text[start:].strip() or message == "Unterminated string starting at"
    return _refuse(
        text,
        start,
        code="invalid_json",
        expected=_EXPECTED.get(message, message),
        found="the end of the body" if ended else repr(text[start : start + 1]),
        remedy=_remedy(text, start, message, body),
        parameter=named[1] if named else None,
    )


def _typographic(text: str, position: int) -> int | None:
    """Return where a typographic quote stands that explains the error, or None."""
    if text[position : position + 1] in TYPOGRAPHIC and position < len(text):
        return position
    if not _plain_quotes_help(text, position):
        return None  # a person's “word” inside a text is right as it is
    before = max(text.rfind(quote, 0, position) for quote in TYPOGRAPHIC_DOUBLE)
    if before >= 0:
        return before
    after = _TYPOGRAPHIC_DOUBLE.search(text, position)  # a text that was never closed
    return after.start() if after else None


def _plain_quotes_help(text: str, position: int) -> bool:
    """Tell whether the text is right, or right for longer, with plain quotes in it."""
    try:
        json.loads(_TYPOGRAPHIC_DOUBLE.sub('"', text))
    except json.JSONDecodeError as error:
        return error.pos > position
    except (ValueError, RecursionError):  # too many digits, too deep: not a matter of quotes
        return False
    return True


def _remedy(text: str, position: int, message: str, body: bytes) -> str:
    found = text[position : position + 1]
    utf_16 = body[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in body[:2]
    at_start = not text[:position].strip()
    number_here = _NUMBER_HERE.search(text[:position]) is not None
    cut_off = not text[position:].strip() or message.startswith("Unterminated")
    no_name = message.startswith(("Expecting property", "Illegal trailing"))
    looks_like = (
        (
            not text.strip(),
            "The body is empty: send the packet as a JSON object, its length as Content-Length.",
        ),
        (body[:2] == GZIP, "The body is compressed: say so with Content-Encoding: gzip."),
        (utf_16, "The body looks like UTF-16: send UTF-8."),
        (cut_off, "The body seems cut off: check the client's buffer and Content-Length."),
        (found == "'", "JSON quotes texts and names with double quotes."),
        (found == "}" and no_name, "Remove the comma after the last parameter."),
        (found == "/", "JSON has no comments."),
        (
            found.isdigit() and _DECIMAL_COMMA.search(text[:position]),
            "Write decimals with a point.",
        ),
        (found == "+" and number_here, "JSON writes a number without a plus sign."),
        (found == "." and number_here, "JSON wants a digit on both sides of the decimal point."),
        (found.isdigit() and _LEADING_ZERO.search(text[:position]), _NO_LEADING_ZERO),
        (at_start, "The whole body is one JSON object: it begins with { and ends with }."),
    )
    return next((remedy for applies, remedy in looks_like if applies), "")


def _refuse(
    text: str,
    position: int,
    *,
    code: str,
    expected: str,
    found: str,
    remedy: str,
    parameter: str | None = None,
) -> KilowatchError:
    line, column = place(text, position)
    data: dict[str, object] = {"line": line, "column": column, "expected": expected}
    if parameter is not None:
        data["parameter"] = parameter
    return KilowatchError(
        code,
        f"Malformed JSON at line {line}, column {column}: expected {expected}, found {found}.",
        remedy=remedy,
        data=data | guessed_id(text),
    )
