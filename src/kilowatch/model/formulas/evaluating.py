"""Computing a formula: whole arrays at once, with what is missing, why, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.formulas.dimensions import literals
from kilowatch.model.formulas.tree import COMPARISONS, Node, Number, Operation, Reference, walk


class Why(IntEnum):
    """Why there is no result in an interval."""

    KNOWN = 0
    MISSING = 1  # an input has no figure there
    INCOMPLETE = 2  # an input's amount covers a part of the interval only
    LONGER = 3  # an input's interval is longer, or lies across two
    DIVIDED_BY_ZERO = 4
    NO_NUMBER = 5  # a root of a negative number, or too large


@dataclass(frozen=True, slots=True)
class Figures:
    """A piece of a formula in some intervals; every array has shape (n,), or (1,) for a number.

    Attributes:
        value: In base units; 0 and 1 for false and true; NaN where ``why`` is not ``KNOWN``.
        why: ``Why``.
        blame: Which input is missing, by its place among the inputs; -1 for none.
        quality: The worst of what was used.
        share: How much of the interval the least covered of what was used covers, 0 to 1.
        version: The largest log sequence number that it rests on.
    """

    value: Floats
    why: Ints
    blame: Ints
    quality: Ints
    share: Floats
    version: Ints

    def take(self, rows: slice) -> Figures:
        """Return some of the intervals."""
        return Figures(
            self.value[rows], self.why[rows], self.blame[rows], self.quality[rows],
            self.share[rows], self.version[rows],
        )  # fmt: skip

    @staticmethod
    def of(value: float) -> Figures:
        """Return a number."""
        none = np.zeros(1, np.int64)
        return Figures(np.array([value]), none, none - 1, none, np.ones(1), none)

    @staticmethod
    def missing(count: int, blame: int, why: Why = Why.MISSING) -> Figures:
        """Return what an input without any figure gives; its arrays may be filled in."""
        return Figures(
            np.full(count, np.nan),
            np.full(count, int(why), np.int64),
            np.full(count, blame, np.int64),
            np.zeros(count, np.int64),
            np.ones(count),
            np.zeros(count, np.int64),
        )


def evaluate(tree: Node, inputs: Mapping[Reference, Figures]) -> Figures:
    """Return a formula's results.

    An interval is missing where a figure that it needs is: of ``if`` only the branch that is
    taken. Dividing by zero leaves the interval missing, and no error.

    Args:
        tree: A formula that was checked.
        inputs: The figure of every reference, all of one shape.
    """
    done: list[Figures] = []
    with np.errstate(all="ignore"):
        for node in walk(tree):
            if isinstance(node, Number):
                done.append(Figures.of(_in_base_units(node)))
            elif isinstance(node, Reference):
                done.append(inputs[node])
            else:
                count = len(node.parts)
                parts, done = done[len(done) - count :], done[: len(done) - count]
                done.append(_operation(node, parts))
    return done[0]


def _in_base_units(number: Number) -> float:
    if not number.unit:
        return number.value
    literal = literals()[number.unit]
    return literal.factor * number.value + literal.offset


def _operation(node: Operation, parts: list[Figures]) -> Figures:
    if node.sign == "if":
        return _chosen(*parts)
    if len(parts) == 1:
        return _joined(parts, _of_one(node.sign, parts[0].value))
    result = parts[0]
    for other in parts[1:]:  # min and max have several
        result = _of_two(node.sign, result, other)
    return result


def _of_one(sign: str, value: Floats) -> Floats:
    if sign == "not":
        return np.where(np.isnan(value), np.nan, (value == 0).astype(np.float64))
    return np.abs(value) if sign == "abs" else -value


def _of_two(sign: str, one: Figures, other: Figures) -> Figures:
    a, b = one.value, other.value
    if sign == "/":
        return _joined([one, other], a / np.where(b == 0, np.nan, b), b == 0)
    if sign in COMPARISONS:
        return _joined([one, other], _COMPARED[sign](a, b).astype(np.float64))
    return _joined([one, other], _RECKONED[sign](a, b))


_RECKONED: dict[str, Any] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "^": np.power, "min": np.minimum,
    "max": np.maximum, "and": np.multiply, "or": np.maximum,
}  # fmt: skip
_COMPARED: dict[str, Any] = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
    "=": np.equal, "!=": np.not_equal,
}  # fmt: skip


def _joined(
    parts: list[Figures], value: Floats, by_zero: npt.NDArray[np.bool_] | None = None
) -> Figures:
    """Return a value with what it inherits; the first part that is missing is named."""
    why, blame = parts[0].why, parts[0].blame
    quality, share, version = parts[0].quality, parts[0].share, parts[0].version
    for part in parts[1:]:
        first = why != Why.KNOWN
        why, blame = np.where(first, why, part.why), np.where(first, blame, part.blame)
        quality, share = np.maximum(quality, part.quality), np.minimum(share, part.share)
        version = np.maximum(version, part.version)
    known = why == Why.KNOWN
    fault = known & ~np.isfinite(value)
    if fault.any():
        reason: Any = Why.NO_NUMBER
        if by_zero is not None:
            reason = np.where(by_zero, Why.DIVIDED_BY_ZERO, Why.NO_NUMBER)
        why = np.where(fault, reason, why)
        known = known & ~fault
    if not known.all():
        value = np.where(known, value, np.nan)
    return Figures(value, why, blame, quality, share, version)


def _chosen(condition: Figures, then: Figures, other: Figures) -> Figures:
    """Return of each interval the branch that its condition takes."""
    true = condition.value == 1
    taken = Figures(
        np.where(true, then.value, other.value),
        np.where(true, then.why, other.why),
        np.where(true, then.blame, other.blame),
        np.where(true, then.quality, other.quality),
        np.where(true, then.share, other.share),
        np.where(true, then.version, other.version),
    )
    unit = Figures(
        np.where(np.isnan(condition.value), np.nan, 1.0),
        condition.why, condition.blame, condition.quality, condition.share, condition.version,
    )  # fmt: skip
    return _joined([unit, taken], taken.value)
