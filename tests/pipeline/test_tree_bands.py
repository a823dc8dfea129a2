"""A total as a stack: bands add up to what the mains counted, whoever feeds whom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.model.blocks import Floats
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_bands import Stack, stack_of
from kilowatch.pipeline.tree_eras import DatedFeeding
from kilowatch.pipeline.tree_rollups import TreeRollUp, tree_roll_up
from tests.pipeline.pipeline_world import HOUR_MS
from tests.pipeline.test_rollups import rows
from tests.pipeline.test_tree_rollups import START_MS, amount

KIND = ("electricity", "Wh")


def tree_with(
    figures: dict[int, list[float]], fed_by: DatedFeeding
) -> tuple[TreeRollUp, list[DataPoint]]:
    """Return the tree of hourly figures by data point; NaN is an hour without data."""
    points = [amount(number) for number in figures]
    parts = [
        (number, START_MS + hour * HOUR_MS, value)
        for number, values in sorted(figures.items())
        for hour, value in enumerate(values)
        if not np.isnan(value)
    ]
    block = rows([at for _, at, _ in parts], 0, HOUR_MS, amount=[value for *_, value in parts])
    block.series = np.array([number for number, *_ in parts])
    hours = len(next(iter(figures.values())))
    end_ms = START_MS + hours * HOUR_MS
    found = tree_roll_up(lambda _p, _c: block, points, fed_by, (START_MS, end_ms), "hour", end_ms)
    return found, points


def bands(stack: Stack) -> dict[tuple[int, bool], Floats]:
    """Return the amounts of a stack's bands by data point and whether they are the rest."""
    return {(one.point.id, one.remainder): one.amount for one in stack.bands}


@given(st.lists(st.integers(0, 7), min_size=1, max_size=8), st.integers(0, 255))
def test_bands_add_up_to_the_total_of_every_forest(parents: list[int], missing: int) -> None:
    """Whoever feeds whom, circles and silent submeters too: nothing is lost or counted twice."""
    feeding = {n + 1: (None if p == 0 else p) for n, p in enumerate(parents)}
    figures = {
        n: [float(n) * 10, np.nan if missing >> (n - 1) & 1 else 3.0] for n in feeding
    }  # fmt: skip
    tree, points = tree_with(figures, [(0, feeding)])
    stack = stack_of(tree, points, KIND)
    (era,) = tree.eras
    heads = np.array([tree.points[n].amount for n, feeder in era.parents.items() if feeder is None])
    silent = np.isnan(heads).all(axis=0)
    np.testing.assert_allclose(stack.total, np.where(silent, np.nan, np.nansum(heads, axis=0)))
    mains_known = ~np.any([np.isnan(tree.points[p.id].amount) for p in stack.mains], axis=0)
    summed = np.nansum([one.amount for one in stack.bands], axis=0)
    np.testing.assert_allclose(summed[mains_known], stack.total[mains_known], atol=1e-6)


def test_a_rest_below_zero_stays_below_zero() -> None:
    """Submeters that count more than their main are shown as what they are, not as nothing."""
    tree, points = tree_with({1: [5.0], 2: [4.0], 3: [3.0]}, [(0, {1: None, 2: 1, 3: 1})])
    found = bands(stack_of(tree, points, KIND))
    assert found[1, True].tolist() == [-2.0]
    assert found[2, False].tolist() == [4.0]


def test_a_submeter_that_moved_is_a_band_only_while_it_is_right_below() -> None:
    """Since the second hour the plug hangs below the floor meter: its energy is in the floor's."""
    eras = [(0, {1: None, 2: 1, 3: 1}), (START_MS + HOUR_MS, {1: None, 2: 1, 3: 2})]
    tree, points = tree_with({1: [9.0, 9.0], 2: [4.0, 6.0], 3: [2.0, 2.0]}, eras)
    stack = stack_of(tree, points, KIND)
    found = bands(stack)
    assert found[2, False].tolist() == [4.0, 6.0]
    assert found[3, False][0] == 2.0
    assert np.isnan(found[3, False][1])
    assert found[1, True].tolist() == [3.0, 3.0]
    assert [one.opens for one in stack.bands if one.point.id == 2] == [True]


def test_where_no_submeter_is_known_the_main_stands_in_the_rest() -> None:
    """A silent submeter makes no hole in a total that the main knows; the rest is unsure."""
    tree, points = tree_with({1: [9.0, 9.0], 2: [4.0, np.nan]}, [(0, {1: None, 2: 1})])
    stack = stack_of(tree, points, KIND)
    assert bands(stack)[1, True].tolist() == [5.0, 9.0]
    rest = next(one for one in stack.bands if one.remainder)
    assert rest.completeness.tolist() == [1.0, 0.0]


def test_a_meter_is_broken_down_by_what_is_below_it() -> None:
    """From a meter's level on, its own figure is the total; the site above plays no part."""
    feeding = {1: None, 2: 1, 3: 2, 4: 2}
    tree, points = tree_with({1: [20.0], 2: [9.0], 3: [4.0], 4: [3.0]}, [(0, feeding)])
    stack = stack_of(tree, points, KIND, frozenset({2, 3}))
    assert stack.total.tolist() == [9.0], "3 is fed by 2: it is in that figure"
    assert bands(stack)[2, True].tolist() == pytest.approx([2.0])
    assert [one.id for one in stack.mains] == [2]
