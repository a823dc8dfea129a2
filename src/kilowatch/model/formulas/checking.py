"""What a formula's result is measured in, and whether its parts go together at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas.dimensions import (
    EXPONENT_MAX,
    PLAIN,
    Dimension,
    literals,
    name_of,
    product,
    shown,
    unit_of,
)
from kilowatch.model.formulas.measures import Measure
from kilowatch.model.formulas.ratios import Ratio, ratio_of
from kilowatch.model.formulas.tree import (
    COMPARISONS,
    Node,
    Number,
    Operation,
    Reference,
    references,
    walk,
)
from kilowatch.model.formulas.words import fault
from kilowatch.model.points import Behaviour
from kilowatch.model.units import Unit

REFERENCES_MAX = 100
UNIT_MAX = 10  # characters, as the registry keeps a unit

MeasureOf = Callable[[Reference], Measure]


@dataclass(frozen=True, slots=True)
class Type:
    """What a piece of a formula is.

    Attributes:
        dimension: What it measures.
        degree: How it grows with the length of an interval: 1 for an amount, 0 for a mean; None
            for a number, which goes with either.
        truth: Whether it is true or false.
        zero: Whether it is the number 0, which needs no unit.
    """

    dimension: Dimension = PLAIN
    degree: int | None = 0
    truth: bool = False
    zero: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A formula that makes sense.

    Attributes:
        tree: The formula.
        inputs: The figures that it is made of, in the order of writing.
        measures: What each of them is.
        unit: Of the result, as shown; ``UNITS`` or a unit made of them.
        behaviour: ``amount`` (added up over a day), ``rate`` or ``gauge`` (averaged).
        factor: A result in base units times this is in the unit of the interval layer.
        ratio: Above and below of a quotient of amounts or of rates, which is formed again from
            sums for hours and days; None where figures are added up or averaged.
    """

    tree: Node
    inputs: tuple[Reference, ...]
    measures: tuple[Measure, ...]
    unit: Unit
    behaviour: Behaviour
    factor: float
    ratio: Ratio | None


def check(tree: Node, measure_of: MeasureOf) -> Checked:
    """Return a formula with what its result is.

    Args:
        tree: The formula.
        measure_of: Returns the figure that a reference means; raises the refusal.

    Raises:
        KilowatchError: 422 ``formula_units`` and others, with the place.
    """
    inputs = references(tree)
    if not inputs:
        raise fault(
            "no_point",
            "The formula names no data point.",
            tree.span,
            "Write the name of one in square brackets.",
        )
    if len(inputs) > REFERENCES_MAX:
        raise fault(
            "too_long",
            f"The formula is made of {len(inputs)} figures; {REFERENCES_MAX} is the most.",
            inputs[REFERENCES_MAX].span,
            "Make formulas of its parts, and one that uses them.",
        )
    measures = {reference: measure_of(reference) for reference in inputs}
    types = types_of(tree, measures)
    outcome = types[id(tree)]
    behaviour, unit = _outcome(tree, outcome)
    ratio = ratio_of(tree)
    if ratio is not None and not (behaviour == "gauge" and _adds_up(ratio, measures)):
        ratio = None
    size = shown(outcome.dimension).factor
    # Held as Wh, W and so on where a data point can be; a unit of our own is held as shown.
    factor = 1.0 if unit.canonical != unit.symbol else size
    return Checked(
        tree, inputs, tuple(measures.values()), unit, behaviour, factor, ratio
    )  # fmt: skip


def types_of(tree: Node, measures: dict[Reference, Measure]) -> dict[int, Type]:
    """Return what each node is, by ``id``."""
    types: dict[int, Type] = {}
    for node in walk(tree):
        types[id(node)] = _type(node, measures, types)
    return types


def _type(node: Node, measures: dict[Reference, Measure], types: dict[int, Type]) -> Type:
    if isinstance(node, Number):
        dimension = literals()[node.unit].dimension if node.unit else PLAIN
        return Type(dimension, None, zero=node.value == 0 and not node.unit)
    if isinstance(node, Reference):
        measure = measures[node]
        return Type(measure.dimension, int(measure.column == "amount"))
    return _operation(node, [types[id(part)] for part in node.parts])


def _operation(node: Operation, parts: list[Type]) -> Type:
    if node.sign in {"and", "or", "not"}:
        for part, of in zip(node.parts, parts, strict=True):
            _demand_truth(part, of, f"on a side of {node.sign!r}")
        return Type(truth=True)
    if node.sign == "if":
        _demand_truth(node.parts[0], parts[0], "after 'if'")
        return _alike(node, node.parts[1:], parts[1:])
    if node.sign in COMPARISONS:
        if node.sign not in {"=", "!="} or not all(part.truth for part in parts):
            _alike(node, node.parts, parts)
        return Type(truth=True)
    for part, of in zip(node.parts, parts, strict=True):
        if of.truth:
            raise _no_truth(part)
    if node.sign in {"*", "/"}:
        return _times(parts[0], parts[1], 1 if node.sign == "*" else -1)
    return _power(node, parts) if node.sign == "^" else _alike(node, node.parts, parts)


def _alike(node: Operation, nodes: tuple[Node, ...], parts: list[Type]) -> Type:
    """Return what parts are that must be of one kind.

    Raises:
        KilowatchError: ``formula_units`` or ``formula_truth``.
    """
    if any(part.truth for part in parts):
        for one, part in zip(nodes, parts, strict=True):
            if not part.truth:
                raise fault(
                    "truth", "Here a figure meets what is true or false.", one.span,
                    "Write a comparison, or figures on both sides.",
                )  # fmt: skip
        if node.sign != "if":
            raise _no_truth(nodes[0])
        return parts[0]
    first = next((part for part in parts if not part.zero), parts[0])
    for one, part in zip(nodes, parts, strict=True):
        if not part.zero and part.dimension != first.dimension:
            raise _unlike(node, one, first, part)
    degrees = {part.degree for part in parts if part.degree is not None}
    if len(degrees) > 1:
        raise fault(
            "units",
            "Here an amount of an interval meets a mean.",
            node.span,
            "Use figures of one kind on both sides.",
        )
    return Type(first.dimension, degrees.pop() if degrees else None)


_DOES = {
    "+": "added to", "-": "subtracted from", "if": "an alternative to", "min": "compared with",
    "max": "compared with",
}  # fmt: skip


def _unlike(node: Operation, at: Node, first: Type, other: Type) -> KilowatchError:
    one, two = name_of(first.dimension), name_of(other.dimension)
    does = _DOES.get(node.sign, "compared with")
    detail = f"{two[0].upper() + two[1:] if two.startswith('a ') else two} can't be {does} {one}."
    remedy = "Use figures that measure the same."
    if PLAIN in {first.dimension, other.dimension}:
        unit = one if other.dimension == PLAIN else two
        remedy = f"Write the unit behind the number, such as 5 {unit}."
    return fault("units", detail, at.span, remedy)


def _times(one: Type, other: Type, power: int) -> Type:
    dimension = product(one.dimension, other.dimension, power)
    if one.degree is None and other.degree is None:
        return Type(dimension, None)
    return Type(dimension, _factor_degree(one) + power * _factor_degree(other))


def _factor_degree(of: Type) -> int:
    """Return how a factor grows with time; a number of hours makes an amount of a rate."""
    if of.degree is not None:
        return of.degree
    powers = dict(of.dimension)
    return powers.get("h", 0) if set(powers) == {"h"} else 0


def _power(node: Operation, parts: list[Type]) -> Type:
    base, exponent = parts
    if exponent.dimension != PLAIN:
        raise fault(
            "units",
            f"An exponent is a plain number, and this is {name_of(exponent.dimension)}.",
            node.parts[1].span,
        )
    if base.dimension == PLAIN and not base.degree:
        return Type(PLAIN, None if base.degree is exponent.degree is None else 0)
    whole = _whole(node.parts[1])
    if whole is None or abs(whole) > EXPONENT_MAX:
        raise fault(
            "units",
            f"{name_of(base.dimension)} can only be raised to a whole number up to {EXPONENT_MAX}.",
            node.parts[1].span,
        )
    degree = None if base.degree is None else base.degree * whole
    return Type(product(PLAIN, base.dimension, whole), degree)


def _whole(node: Node) -> int | None:
    if isinstance(node, Operation) and node.sign == "negative":
        inner = _whole(node.parts[0])
        return None if inner is None else -inner
    if isinstance(node, Number) and not node.unit and node.value == int(node.value):
        return int(node.value) if abs(node.value) <= EXPONENT_MAX else None
    return None


def _demand_truth(node: Node, of: Type, where: str) -> None:
    if not of.truth:
        raise fault(
            "truth",
            f"{where[0].upper() + where[1:]} stands a figure, where a comparison was expected.",
            node.span,
            "Compare it with something, such as [A] > 5 kW.",
        )


def _no_truth(node: Node) -> KilowatchError:
    return fault(
        "truth",
        "What is true or false can't be reckoned with.",
        node.span,
        "Write: if … then 1 else 0.",
    )


def _outcome(tree: Node, of: Type) -> tuple[Behaviour, Unit]:
    unit = unit_of(of.dimension)
    if len(unit.symbol) > UNIT_MAX or "^" in unit.symbol:
        raise fault(
            "units",
            f"The result would be measured in {unit.symbol}, which no page can show.",
            tree.span,
            "Divide by what it is to be related to, or by a number with a unit.",
        )
    degree = of.degree or 0
    if degree > 1:
        raise fault(
            "units",
            "An amount is multiplied by an amount: the result would depend on how long an "
            "interval is.",
            tree.span,
            "Divide one of them by an amount, or by a time such as 1 h.",
        )
    if degree == 1:
        return "amount", unit
    return ("rate" if unit.behaviour == "rate" else "gauge"), unit


def _adds_up(ratio: Ratio, measures: dict[Reference, Measure]) -> bool:
    """Tell whether above and below are both amounts, or both rates."""
    kinds = []
    for tree in (ratio.above, ratio.below):
        of = types_of(tree, measures)[id(tree)]
        powers = dict(of.dimension)
        rate = of.degree == 0 and powers.get("h") == -1
        kinds.append(1 if of.degree == 1 else 2 if rate else 0)
    return kinds[0] == kinds[1] != 0


def denominator(checked: Checked) -> Dimension | None:
    """Return what the sums below a quotient measure; None of a formula that is no quotient.

    Months are one sum by another: a formula that follows a quotient must have the same below.
    """
    if checked.ratio is None:
        return None
    of = types_of(checked.ratio.below, dict(zip(checked.inputs, checked.measures, strict=True)))
    below = of[id(checked.ratio.below)]
    return below.dimension if below.degree == 1 else product(below.dimension, (("h", 1),))


def amounts(ratio: Ratio, measures: dict[Reference, Measure]) -> bool:
    """Tell whether a ratio is one of amounts, and not of rates."""
    return types_of(ratio.below, measures)[id(ratio.below)].degree == 1
