"""The language of formulas: reading, refusing in words, units, and what is computed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import (
    Checked,
    Figures,
    Names,
    Placed,
    Reference,
    Why,
    check,
    evaluate,
    parse,
    references,
    text_of,
)
from kilowatch.model.formulas.names import refusal_at
from kilowatch.model.formulas.tree import Node, Number, Operation
from kilowatch.model.points import DataPoint


def a_point(number: int, name: str, unit: str, behaviour: str = "amount", **fields: str) -> Placed:
    """Return a data point of Dublin unless another site is given."""
    site = fields.pop("site", "Dublin")
    point = DataPoint(
        number, number, f"s-{number}", name, 1, 1, "Europe/Dublin",
        fields.get("kind", "single"), fields.get("utility", "electricity"),  # type: ignore[arg-type]
        unit, 900, 450.0, behaviour,  # type: ignore[arg-type]
    )  # fmt: skip
    return Placed(point, site)


NAMES = Names(
    [
        a_point(1, "Main supply", "Wh", "register", kind="electrical"),
        a_point(2, "Heat", "MWh", utility="heat"),
        a_point(3, "Outside", "°C", "gauge", utility="temperature"),
        a_point(4, "Boiler gas", "m3", utility="gas"),
        a_point(5, "Line 1", "pcs", utility="production"),
        a_point(6, "Chiller", "kW", "rate"),
        a_point(7, "Moisture", "%", "gauge", utility="humidity"),
        a_point(8, "Lift", "kWh"),
        a_point(9, "Lift", "kWh", site="Cork"),
        a_point(10, "Odd ] name", "kWh"),
    ]
)


def read(text: str) -> Checked:
    """Return a formula as a person wrote it, checked."""
    return check(parse(text, NAMES.find), NAMES.measure)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", 0, "empty"),
        ("[Heat] +", 8, "The formula ends here, where a data point"),
        ("2 * ([Heat]", 11, "')' to close the bracket"),
        ("[Heat] [Heat]", 7, "an operator"),
        ("[Heta]", 0, "Did you mean [Heat]?"),
        ("[Heat", 0, "Close it"),
        ("[Lift]", 0, "Write which one: [Cork / Lift] or [Dublin / Lift]."),
        ("[Main supply]", 0, "Write which: .energy"),
        ("[Main supply].enrgy", 0, "Did you mean .energy?"),
        ("[Main supply].", 14, "the figure that is meant"),
        ("mix([Heat], [Heat])", 0, "Did you mean 'min'?"),
        ("Heat * 2", 0, "Write [Heat] for a data point"),
        ("round([Heat])", 0, "pages round what they show"),
        ("min([Heat])", 0, "works on 2 to 20 values; 1 stand here"),
        ("1,5 * [Heat]", 1, "Write a point: 1.5"),
        ("[Heat] $ 2", 7, "'$' has no meaning"),
        ("if [Outside] > 20 °C then 1", 27, "'else' for what holds otherwise"),
        ("5 kW < [Chiller] < 9 kW", 17, "Join them with 'and'"),
        ("1 + 2", 0, "names no data point"),
        ("[Heat] + [Outside]", 9, "°C can't be added to kWh."),
        ("[Heat] + 5", 9, "Write the unit behind the number, such as 5 kWh."),
        ("[Outside] > 20", 12, "A plain number can't be compared with °C."),
        ("max([Heat], [Chiller])", 12, "kW can't be compared with kWh"),
        ("if [Outside] then 1 else 2", 3, "After 'if' stands a figure"),
        ("[Heat] and [Outside] > 2 °C", 0, "On a side of 'and' stands a figure"),
        ("2 * ([Outside] > 2 °C)", 5, "if … then 1 else 0"),
        ("if [Outside] > 2 °C then [Heat] else [Outside]", 37, "°C can't be an alternative to kWh"),
        ("[Heat] * [Heat]", 0, "which no page can show"),
        ("[Line 1] * [Line 1] / 1 pcs", 0, "how long an interval is"),
        ("2 ^ [Heat]", 4, "An exponent is a plain number"),
        ("[Heat] ^ 0.5", 9, "a whole number"),
        ("#99", 0, "There is no data point"),
        ("1" * 2001, 2000, "2,000 is the most"),
        ("(" * 120, 100, "stand within each other"),
        ("+".join(["#2"] * 300), 750, "more than 500"),
        ("1e999 * [Heat]", 0, "too large"),
    ],
)
def test_a_refusal_names_its_place_and_what_was_expected(text: str, place: int, words: str) -> None:
    """Whoever writes a formula sees where it is wrong and what would be right."""
    with pytest.raises(KilowatchError) as refused:
        read(text)
    assert words in str(refused.value)
    assert refusal_at(refused.value) is not None
    assert refused.value.data["at"] == place
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("text", "unit", "behaviour", "is_ratio"),
    [
        ("[Heat] + [Main supply].energy", "kWh", "amount", False),
        ("[Main supply].energy / 1200 m2", "kWh/m2", "amount", False),
        ("[Main supply].power + [Chiller]", "kW", "rate", False),
        ("[Chiller].energy - [Heat]", "kWh", "amount", False),
        ("[Heat] / 0.25 h", "kW", "rate", False),
        ("[Chiller] * 0.25 h", "kWh", "amount", False),
        ("[Heat] / [Main supply].energy", "", "gauge", True),
        ("100 % * [Heat] / ([Heat] + [Main supply].energy)", "%", "gauge", True),
        ("1 - [Heat] / [Main supply].energy", "", "gauge", True),
        ("[Main supply].power / [Main supply].apparent_power", "kWh/kVAh", "gauge", True),
        ("[Main supply].energy / [Line 1]", "kWh/pcs", "gauge", True),
        ("([Outside] + 21 °C) / 2", "°C", "gauge", False),
        ("[Boiler gas].energy / [Boiler gas]", "kWh/m3", "gauge", True),
        ("max(0, [Heat] - [Lift].energy)".replace("Lift", "Dublin / Lift"), "kWh", "amount", False),
        ("[Outside] > 20 °C and not [Moisture] >= 60 %", "", "gauge", False),
        ("if [Outside] < 15 °C then [Heat] else 0", "kWh", "amount", False),
        ("[odd ]] NAME] × 2 − 1 kWh", "kWh", "amount", False),
        ("abs([Outside])^2 / [Outside]", "°C", "gauge", False),
        ("([Heat] / [Line 1]) / [Outside]", "kWh/pcs/°C", "gauge", True),
    ],
)
def test_the_result_has_the_unit_and_behaviour_that_follow(
    text: str, unit: str, behaviour: str, is_ratio: bool
) -> None:
    """Nobody has to say what a formula gives: kWh by m² is kWh/m2, and adds up over a day."""
    found = read(text)
    assert (found.unit.symbol, found.behaviour, found.ratio is not None) == (
        unit, behaviour, is_ratio,
    )  # fmt: skip


def test_a_name_may_change_and_the_formula_stays() -> None:
    """What is kept holds numbers; names are put in for people, with their spaces as written."""
    kept = NAMES.with_numbers("[heat]  +  [Main supply].energy / [cork / lift] * [Odd ]] name]")
    assert kept == "#2  +  #1.energy / #9 * #10"
    assert NAMES.with_names(kept) == (
        "[Heat]  +  [Main supply].energy / [Cork / Lift] * [Odd ]] name]"
    )
    renamed = Names([a_point(2, "Heat meter", "MWh")])
    assert renamed.with_names("#2 * #3") == "[Heat meter] * #3"
    assert parse(renamed.with_numbers(renamed.with_names("#2 * 2"))) == parse("#2 * 2")


UNKNOWN = {"1": 7.0, "2": math.nan}


def trees(depth: int = 3) -> st.SearchStrategy[Node]:
    """Return trees of figures, and conditions within them."""
    leaf: st.SearchStrategy[Node] = st.one_of(
        st.builds(Number, st.sampled_from([0.0, 1.0, 2.0, 0.5, 1e-7, 1e300, 9.0])),
        st.builds(Reference, st.integers(1, 3)),
    )
    if not depth:
        return leaf
    inner = trees(depth - 1)
    pairs = st.tuples(inner, inner)
    truth = st.one_of(
        st.builds(Operation, st.sampled_from(["<", "<=", ">", ">=", "=", "!="]), pairs),
        st.builds(
            lambda sign, one, two: Operation(
                sign,
                (Operation("<", one), Operation("not", (Operation(">", two),))),
            ),
            st.sampled_from(["and", "or"]),
            pairs,
            pairs,
        ),
    )
    return st.one_of(
        leaf,
        st.builds(Operation, st.sampled_from(["+", "-", "*", "/", "^", "min", "max"]), pairs),
        st.builds(Operation, st.sampled_from(["negative", "abs"]), st.tuples(inner)),
        st.builds(Operation, st.just("if"), st.tuples(truth, inner, inner)),
    )


class Missing(Exception):  # noqa: N818 - the interval is, nothing is wrong
    """There is no figure."""


def slowly(node: Node, values: dict[int, float]) -> float | bool:
    """Compute one interval with Python's own numbers, as a second opinion."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Reference):
        if math.isnan(values[node.point_id]):
            raise Missing
        return values[node.point_id]
    if node.sign == "if":
        condition, then, other = node.parts
        return slowly(then if slowly(condition, values) else other, values)
    parts = [slowly(part, values) for part in node.parts]
    computed: dict[str, Callable[..., Any]] = {
        "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
        "/": lambda a, b: a / b, "^": lambda a, b: float(a) ** float(b),
        "min": min, "max": max, "abs": abs, "negative": lambda a: -a,
        "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b, "=": lambda a, b: a == b, "!=": lambda a, b: a != b,
        "and": lambda a, b: a and b, "or": lambda a, b: a or b, "not": lambda a: not a,
    }  # fmt: skip
    try:
        found: float | bool | complex = computed[node.sign](*parts)
    except (ZeroDivisionError, OverflowError) as error:
        raise Missing from error
    if isinstance(found, complex) or not math.isfinite(found):
        raise Missing
    return found


INPUTS = np.array([[7.0, 0.0, -2.0, math.nan, 3.5], [1.0, 0.0, 4.0, 5.0, math.nan], [0.5] * 5])


def figures_of(tree: Node) -> dict[Reference, Figures]:
    """Return the inputs of drawn trees."""
    found = {}
    for reference in references(tree):
        value = INPUTS[reference.point_id - 1]
        missing = np.isnan(value)
        found[reference] = Figures(
            value,
            np.where(missing, Why.MISSING, Why.KNOWN),
            np.where(missing, reference.point_id, -1),
            np.array([0, 1, 2, 3, 4]) * (reference.point_id == 1),
            np.full(5, 1.0 / reference.point_id),
            np.arange(5) + reference.point_id,
        )
    return found


@settings(max_examples=150, deadline=None)
@given(trees())
def test_text_and_tree_are_the_same_and_arrays_give_what_pencil_and_paper_give(tree: Node) -> None:
    """A formula that is saved and opened again is the same; each interval is what it says."""
    assert parse(text_of(tree)) == tree
    found = evaluate(tree, figures_of(tree))
    for place in range(5):
        values = {number + 1: float(INPUTS[number, place]) for number in range(3)}
        at = place if len(found.value) > 1 else 0
        try:
            wanted = float(slowly(tree, values))
        except Missing:
            assert math.isnan(found.value[at])
            assert found.why[at] != Why.KNOWN
            continue
        assert found.value[at] == pytest.approx(wanted, rel=1e-12, abs=1e-300)
        assert found.why[at] == Why.KNOWN


def test_what_was_used_decides_the_quality_and_the_branch_not_taken_does_not() -> None:
    """An estimated figure makes the result estimated; one that was not needed changes nothing."""
    tree = parse("if #3 > 1 then #1 else #2")
    found = evaluate(tree, figures_of(tree))
    assert found.value.tolist()[:4] == [1.0, 0.0, 4.0, 5.0]  # #1 is missing in the fourth
    assert found.quality.tolist() == [0] * 5
    assert found.share.tolist() == [1 / 3] * 5
    assert (found.why[4], found.blame[4]) == (Why.MISSING, 2)
    divided = evaluate(parse("#2 / #2"), figures_of(parse("#2")))
    assert divided.why.tolist() == [0, Why.DIVIDED_BY_ZERO, 0, 0, Why.MISSING]


@pytest.mark.parametrize(
    "text",
    ["9^9^9 * #2", "#2 * " + "9" * 20 + "e280 ^ 9", "-" * 45 + "#2", "+".join(["#2"] * 240),
     "1/(1+" * 30 + "#2" + ")" * 30, "#2/" * 200 + "#2", "min(#2" + ",#2" * 19 + ")"],
)  # fmt: skip
def test_nothing_that_can_be_written_takes_long(text: str) -> None:
    """A formula made to hurt costs no more than its length: a year of quarter-hours in a blink."""
    began_s = time.process_time()
    tree = parse(text)
    with suppress(KilowatchError):  # a unit that nobody has; checking must be cheap all the same
        check(tree, NAMES.measure)
    count = 35_040
    one = np.ones(count)
    none = np.zeros(count, np.int64)
    figures = Figures(one * 2, none, none - 1, none, one, none)
    evaluate(tree, dict.fromkeys(references(tree), figures))
    assert time.process_time() - began_s < 2.0
