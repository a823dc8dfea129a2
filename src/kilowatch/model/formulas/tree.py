"""A formula as a tree, and as text again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Span = tuple[int, int]
"""First character of a piece of text and the first one behind it, counted from 0."""

NOWHERE: Span = (0, 0)


@dataclass(frozen=True, slots=True)
class Number:
    """A number, with a unit if one was written behind it.

    Attributes:
        value: As written [``unit``].
        unit: Symbol of its unit; empty for a plain number.
        span: Where it stands.
    """

    value: float
    unit: str = ""
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """A figure of a data point.

    Attributes:
        point_id: The catalogue's number of the data point: it stays when the name changes.
        parameter: Which of its figures; empty for the only or the main one.
        span: Where it stands.
    """

    point_id: int
    parameter: str = ""
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator, a function, or ``if`` with what it works on.

    Attributes:
        sign: ``+ - * / ^``, ``< <= > >= = !=``, ``and or not``, ``negative``, ``if`` or the name
            of a function.
        parts: What it works on, in the order of writing.
        span: Where it stands.
    """

    sign: str
    parts: tuple[Node, ...]
    span: Span = field(default=NOWHERE, compare=False)


Node = Number | Reference | Operation

STRENGTH = {
    "or": 1, "and": 2, "not": 3,
    "<": 4, "<=": 4, ">": 4, ">=": 4, "=": 4, "!=": 4,
    "+": 5, "-": 5, "*": 6, "/": 6, "negative": 7, "^": 8,
}  # fmt: skip
"""How strongly an operator binds; ``-2 ^ 2`` is -4, as on paper."""

COMPARISONS = ("<", "<=", ">", ">=", "=", "!=")
FUNCTIONS: dict[str, tuple[int, int]] = {"min": (2, 20), "max": (2, 20), "abs": (1, 1)}
"""Names of functions, with the fewest and the most values that they take.

There is no ``round``: pages round what they show, a rounded figure no longer adds up, and whether
to the kilowatt-hour or to the watt-hour would be anybody's guess.
"""


def walk(tree: Node) -> Iterator[Node]:
    """Yield a tree's nodes, parts before what is made of them; without recursion."""
    waiting: list[tuple[Node, bool]] = [(tree, False)]
    while waiting:
        node, seen = waiting.pop()
        if seen or not isinstance(node, Operation):
            yield node
            continue
        waiting.append((node, True))
        waiting += [(part, False) for part in reversed(node.parts)]


def references(tree: Node) -> tuple[Reference, ...]:
    """Return the different figures that a formula is made of, in the order of writing."""
    found = [node for node in walk(tree) if isinstance(node, Reference)]
    return tuple(dict.fromkeys(found))


def by_number(reference: Reference) -> str:
    """Return a reference as it is kept: ``#12.energy``."""
    return f"#{reference.point_id}" + (f".{reference.parameter}" if reference.parameter else "")


def text_of(tree: Node, named: Callable[[Reference], str] = by_number) -> str:
    """Return a tree as text that is read as the same tree.

    Args:
        tree: The formula.
        named: Writes a reference.

    Example:
        >>> text_of(Operation("*", (Operation("+", (Reference(1), Number(2.0))), Number(3.0))))
        '(#1 + 2) * 3'
    """
    texts: list[tuple[str, int]] = []
    for node in walk(tree):
        if isinstance(node, Number):
            texts.append((_number(node), 9))
        elif isinstance(node, Reference):
            texts.append((named(node), 9))
        else:
            count = len(node.parts)
            parts, texts = texts[len(texts) - count :], texts[: len(texts) - count]
            texts.append(_operation(node.sign, parts))
    return texts[0][0]


def _operation(sign: str, parts: list[tuple[str, int]]) -> tuple[str, int]:
    if sign == "if":
        condition, then, other = (text for text, _ in parts)
        return f"if {condition} then {then} else {other}", 0
    if sign in FUNCTIONS:
        return f"{sign}({', '.join(text for text, _ in parts)})", 9
    own = STRENGTH[sign]
    if len(parts) == 1:
        text = _within(parts[0], own)
        return (f"not {text}" if sign == "not" else f"-{text}"), own
    # A chain leans to the left, that of powers to the right; comparisons make no chain.
    left = own + (sign == "^" or sign in COMPARISONS)
    right = 7 if sign == "^" else own + 1
    return f"{_within(parts[0], left)} {sign} {_within(parts[1], right)}", own


def _within(part: tuple[str, int], least: int) -> str:
    text, strength = part
    return f"({text})" if strength < least else text


def _number(number: Number) -> str:
    value = number.value
    text = repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return f"{text} {number.unit}" if number.unit else text
