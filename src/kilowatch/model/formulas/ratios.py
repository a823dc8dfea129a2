"""A quotient's two sides: the efficiency of a day is the day's heat by the day's electricity.

The mean of 96 quotients is not that: a quarter of an hour in which next to nothing was used counts
as much as one at full load. So a formula that is a quotient, whatever is added to it or multiplied
with it, is brought to one fraction, and hours and days divide the sum above by the sum below.
"""

from __future__ import annotations

from dataclasses import dataclass

from kilowatch.model.formulas.tree import Node, Number, Operation, text_of, walk

NODES_MAX = 1_000  # bringing fractions of fractions to one doubles them each time


@dataclass(frozen=True, slots=True)
class Ratio:
    """A fraction.

    Attributes:
        above: What is divided.
        below: What it is divided by.
    """

    above: Node
    below: Node


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a fraction, with the number of its nodes."""

    node: Node
    size: int

    def times(self, other: _Side | None) -> _Side:
        return self if other is None else _joined("*", self, other)


def _joined(sign: str, *sides: _Side) -> _Side:
    node = Operation(sign, tuple(side.node for side in sides))
    return _Side(node, 1 + sum(side.size for side in sides))


_Fraction = tuple[_Side, _Side | None]


def ratio_of(tree: Node) -> Ratio | None:
    """Return a formula as one fraction; None where there is none to be formed.

    Example:
        >>> from kilowatch.model.formulas.parsing import parse
        >>> from kilowatch.model.formulas.tree import text_of
        >>> fraction = ratio_of(parse("1 - #1 / #2"))
        >>> text_of(fraction.above), text_of(fraction.below)
        ('1 * #2 - #1', '#2')
    """
    found: list[_Fraction] = []
    for node in walk(tree):
        count = len(node.parts) if isinstance(node, Operation) else 0
        parts, found = found[len(found) - count :], found[: len(found) - count]
        one = _fraction(node, parts)
        if one[0].size + (one[1].size if one[1] else 0) > NODES_MAX:
            return None
        found.append(one)
    above, below = found[0]
    if below is None or isinstance(below.node, Number):
        return None
    return Ratio(above.node, below.node)


def _fraction(node: Node, parts: list[_Fraction]) -> _Fraction:
    whole = _Side(node, 1 + sum(n.size + (d.size if d else 0) for n, d in parts))
    found: _Fraction | None = None
    if isinstance(node, Operation):
        if node.sign == "/":
            found = _divided(*parts)
        elif node.sign == "negative":
            found = _joined("negative", parts[0][0]), parts[0][1]
        elif node.sign == "*":
            found = _multiplied(*parts)
        elif node.sign in {"+", "-"}:
            found = _added(node.sign, *parts)
    return (whole, None) if found is None or found[1] is None else found


def _divided(one: _Fraction, other: _Fraction) -> _Fraction:
    (n1, d1), (n2, d2) = one, other
    if isinstance(n2.node, Number) and d2 is None:
        return _joined("/", n1, n2), d1
    return n1.times(d2), n2.times(d1)


def _multiplied(one: _Fraction, other: _Fraction) -> _Fraction:
    (n1, d1), (n2, d2) = one, other
    return _joined("*", n1, n2), d2 if d1 is None else d1.times(d2)


def _added(sign: str, one: _Fraction, other: _Fraction) -> _Fraction | None:
    (n1, d1), (n2, d2) = one, other
    if d1 is None or d2 is None:
        return _joined(sign, n1.times(d2), n2.times(d1)), d2 if d1 is None else d1
    if text_of(d1.node) == text_of(d2.node):
        return _joined(sign, n1, n2), d1
    return None  # of two different denominators no sum can be formed
