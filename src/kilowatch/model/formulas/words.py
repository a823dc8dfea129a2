"""From the text of a formula to its words, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal

from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas.dimensions import literals
from kilowatch.model.formulas.tree import Span

TEXT_MAX = 2_000
WORDS_MAX = 500
KEYWORDS = ("and", "or", "not", "if", "then", "else")
_OTHER_SIGNS = {
    "×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "==": "=", "<>": "!=", "≠": "!=",
    "≤": "<=", "≥": ">=", "**": "^",
}  # fmt: skip
_NUMBER = re.compile(r"(\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,3})?(?![\d.])")
_SIGN = re.compile(r"\*\*|==|<>|<=|>=|!=|[-+*/^()<>=,.×·÷−–≠≤≥]")
_WORD = re.compile(r"[^\W\d]\w*")
_NUMBERED = re.compile(r"#(\d{1,18})")
_SPACE = re.compile(r"\s+")

Kind = Literal["number", "point", "word", "sign", "end"]


@dataclass(frozen=True, slots=True)
class Word:
    """One word.

    Attributes:
        kind: What sort of word.
        text: A sign or a word as it is understood; the name of a data point, or ``#`` and its
            number.
        span: Where it stands.
        value: Of a number.
        unit: Of a number, if one follows it.
    """

    kind: Kind
    text: str
    span: Span
    value: float = 0.0
    unit: str = ""


def fault(code: str, detail: str, span: Span, remedy: str = "", **data: Any) -> KilowatchError:
    """Return a refusal that names its place in the text."""
    return KilowatchError(
        f"formula_{code}",
        detail,
        status=422,
        remedy=remedy,
        data={"field": "formula", "at": span[0], "until": max(span[1], span[0] + 1), **data},
    )


def words_of(text: str) -> list[Word]:
    """Return a formula's words and an end.

    Raises:
        KilowatchError: ``formula_too_long`` or ``formula_sign``.
    """
    if len(text) > TEXT_MAX:
        raise fault(
            "too_long",
            f"The formula has {len(text):,} characters; {TEXT_MAX:,} is the most.",
            (TEXT_MAX, len(text)),
            "Make formulas of its parts, and one that uses them.",
        )
    found: list[Word] = []
    place = 0
    while place < len(text):
        if space := _SPACE.match(text, place):
            place = space.end()
            continue
        word = _word(text, place)
        found.append(word)
        place = word.span[1]
        if len(found) > WORDS_MAX:
            raise fault(
                "too_long",
                f"The formula has more than {WORDS_MAX} numbers, names and signs.",
                word.span,
                "Make formulas of its parts, and one that uses them.",
            )
    found.append(Word("end", "", (len(text), len(text))))
    return found


def _word(text: str, place: int) -> Word:
    if text[place] == "[":
        return _named(text, place)
    if numbered := _NUMBERED.match(text, place):
        return Word("point", numbered[0], numbered.span())
    if number := _NUMBER.match(text, place):
        return _number(text, number)
    if text[place].isdigit() and text[place].isascii():
        raise fault(
            "number", "This is not a number that can be read.", (place, place + 1),
            "Write at most 20 digits, such as 1200.5 or 1.2e6.",
        )  # fmt: skip
    if sign := _SIGN.match(text, place):
        return Word("sign", _OTHER_SIGNS.get(sign[0], sign[0]), sign.span())
    if plain := _WORD.match(text, place):
        lower = plain[0].casefold()
        known = lower if lower in KEYWORDS else plain[0]
        return Word("word", known, plain.span())
    raise fault(
        "sign",
        f"{text[place]!r} has no meaning in a formula.",
        (place, place + 1),
        "Write data points in square brackets, and + - * / ^ < > = between them.",
    )


def _named(text: str, place: int) -> Word:
    """Return a name in square brackets; ``]]`` in it is one bracket."""
    name, at = "", place + 1
    while True:
        end = text.find("]", at)
        if end < 0:
            raise fault(
                "bracket",
                "The name of the data point does not end.",
                (place, len(text)),
                "Close it with a square bracket: ].",
            )
        name += text[at:end]
        if text[end + 1 : end + 2] != "]":
            return Word("point", name.strip(), (place, end + 1))
        name, at = name + "]", end + 2


def _number(text: str, number: re.Match[str]) -> Word:
    start, end = number.span()
    value = float(number[0])  # at most 20 digits and an exponent of three: never slow
    if value == float("inf"):
        raise fault(
            "number", "This number is too large.", (start, end), "Use a larger unit, such as MWh."
        )
    unit = _units().match(text, end)
    if unit:
        return Word("number", number[0], (start, unit.end()), value, unit[1])
    if text[end : end + 1] == "," and text[end + 1 : end + 2].isdigit() and "(" not in text[:start]:
        raise fault(
            "comma",
            "A comma stands in a number.",
            (end, end + 1),
            f"Write a point: {number[0]}.{text[end + 1]}.",
        )
    return Word("number", number[0], (start, end), value)


@cache
def _units() -> re.Pattern[str]:
    symbols = sorted(literals(), key=len, reverse=True)
    return re.compile(rf"\s*({'|'.join(map(re.escape, symbols))})(?![\w°%²³])")


def nearest(name: str, known: list[str]) -> str:
    """Return the known name that somebody may have meant, or an empty string."""
    folded = {one.casefold(): one for one in reversed(known)}
    close = get_close_matches(name.casefold(), folded, 1, 0.6)
    return folded[close[0]] if close else ""
