"""Edited intervals over drawn streams, rules and corrections: the same whatever the cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kilowatch.model.editing import (
    NOTHING,
    Correction,
    CorrectionKind,
    Editing,
    Method,
    Rules,
)
from kilowatch.model.parameters import PC, VALUE
from kilowatch.model.points import DataPoint
from tests.pipeline.pipeline_world import World, point
from tests.pipeline.test_editing import (
    CLOCK_CHANGE_MS,
    END_MS,
    QUARTER_MS,
    dial,
    found,
    fresh,
    fresh_without,
    shown,
    total,
)

Shape = Literal["dial", "amounts", "three-phase"]


def data_point(shape: Shape) -> DataPoint:
    """Return a quarter-hourly data point."""
    if shape == "dial":
        return dial()
    if shape == "amounts":
        return dial(behaviour="amount")
    return point(1, interval_s=900, tolerance_s=450.0, clock="offset")


def push(world: World, shape: Shape, at_ms: int, figure: float, used: float) -> None:
    """Push a packet: a dial's figure, or what was used since the one before."""
    values = {"value": figure if shape == "dial" else used}
    if shape == "three-phase":
        values = {"pC_1": figure * 1000, "pC_2": figure * 500, "aP_1": used * 4000}
    world.log.push(1, at_ms, values)


KINDS = ["plain"] * 40 + ["gap", "gap", "short gap", "zero", "zero", "fall"] + ["spike"] * 4


@st.composite
def streams(draw: st.DrawFn, seen: Counter[str]) -> list[tuple[int, float]]:
    """Draw a quarter-hourly dial around the day that loses an hour: gaps, zeros, spikes, falls."""
    at_ms = CLOCK_CHANGE_MS - draw(st.integers(0, 40)) * QUARTER_MS
    figure, packets = 1000.0, [(at_ms, 1000.0)]
    for _ in range(draw(st.integers(15, 60))):
        kind = draw(st.sampled_from(KINDS))
        seen[kind] += 1
        steps = {"gap": draw(st.integers(3, 40)), "short gap": 2}.get(kind, 1)
        at_ms += steps * QUARTER_MS
        if kind != "zero":
            figure += draw(st.integers(1, 40)) / 16 * steps
        figure += {"spike": 500.0, "fall": -300.0}.get(kind, 0.0)
        packets.append((at_ms + draw(st.sampled_from([0, 0, 0, 7_000])), figure))
    return packets


def add_up(world: World) -> None:
    """Check that hours and days make the month: amounts, covered time, the time of each quality."""
    one = world.points.points[1]
    month = world.view.series(one, [VALUE, PC], 0, END_MS, "month")
    for grain in ("hour", "day"):
        rows = world.view.series(one, [VALUE, PC], 0, END_MS, grain)
        assert rows.shares().sum(axis=0).tolist() == month.shares().sum(axis=0).tolist()
        assert rows.covered_ms.sum() == month.covered_ms.sum()
        assert np.nansum(rows.amount) == pytest.approx(np.nansum(month.amount), rel=1e-12)


def of_rules(world: World) -> list[str]:
    """Return what rules found: not what fits no registration, nor dials that fell."""
    told = [one for one in found(world) if "mark" not in one.data]
    return [one.code for one in told if one.code != "register.fell"]


@st.composite
def editings(draw: st.DrawFn, shape: Shape) -> Editing:
    """Draw rules and corrections around the same day."""
    rules = Rules(
        demand_max=draw(st.sampled_from([None, 8_000.0])),
        spike_factor=draw(st.sampled_from([5.0, 5.0, None])),
        zero_run_s=draw(st.sampled_from([None, 900, 1800])),
        estimate_up_to_s=draw(st.sampled_from([None, 3600, 6 * 3600])),
        estimate_method=draw(st.sampled_from(["linear", "profile"])),
    )
    corrections = []
    # Every second time only what makes no energy, so that its conservation is looked at.
    makes = draw(st.booleans())
    kinds: list[CorrectionKind] = ["spread", "accept", "confirm", "comment"]
    if makes:
        kinds += ["edit", "edit", "edit", "fill", "fill"]
    channel = PC if shape == "three-phase" else VALUE
    for number in range(draw(st.sampled_from([2, 3, 4] if makes else [0, 1, 2]))):
        from_ms = CLOCK_CHANGE_MS + draw(st.integers(-20, 60)) * QUARTER_MS
        kind: CorrectionKind = draw(st.sampled_from(kinds))
        method: Method = draw(st.sampled_from(["linear", "profile"]))
        corrections.append(
            Correction(
                number + 1,
                kind,
                channel if kind == "edit" else draw(st.sampled_from([channel, None])),
                from_ms,
                from_ms + draw(st.integers(1, 40)) * QUARTER_MS,
                value=1234.5 if kind == "edit" else None,
                method=method if kind == "fill" else draw(st.sampled_from([None, method])),
            )
        )
    return Editing(rules, tuple(corrections))


def until_drawn(holds: Callable[[], None], seen: Counter[str], edges: list[str]) -> None:
    """Draw, and draw again up to three times where thirty draws missed a rare edge."""
    for _ in range(4):
        holds()
        if all(seen[edge] for edge in edges):
            break
    print(seen)  # noqa: T201 - how often each edge was really drawn
    assert all(seen[edge] for edge in edges), seen


@pytest.mark.parametrize("shape", ["dial", "amounts", "three-phase"])
def test_figures_and_findings_do_not_depend_on_when_what_was_stored(shape: Shape) -> None:
    """Any cut into batches, flushes, a kill and a restart: every granularity is the same."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[phase for phase in Phase if phase is not Phase.explain],
    )
    @given(
        streams(seen),
        editings(shape),
        st.sampled_from([1, 1, 2, 3, 7, 1000]),
        st.sampled_from([0, 0, 10, 40]),
    )
    def holds(
        packets: list[tuple[int, float]], editing: Editing, every: int, given_at: int
    ) -> None:
        with TemporaryDirectory() as folder:
            world = World(Path(folder), [data_point(shape)]).start()
            bare, last = True, packets[0][1]
            for number, (at_ms, figure) in enumerate(packets):
                push(world, shape, at_ms, figure, figure - last)
                last = figure
                if number >= given_at and bare:
                    world.points.change(1, editing=editing)
                    bare = False
                if number % every == 0:
                    world.catch_up()
                    if number % 3:
                        world.consumer.flush()
                    if number % 11 == 0:
                        world.kill()
                        world.start()
            if bare:
                world.points.change(1, editing=editing)
            world.catch_up()
            open_tail = shown(world)
            world.consumer.flush()
            expected = fresh(world)
            assert shown(world) == shown(expected)
            assert open_tail == shown(expected), "and nothing depends on the flush"
            assert found(world) == found(expected)
            month = world.view.series(world.points.points[1], [VALUE, PC], 0, END_MS, "month")
            add_up(world)
            seen["estimated"] += bool(month.shares()[:, 2].any())
            seen["edited"] += bool(month.shares()[:, 1].any())
            seen["questionable"] += bool(month.shares()[:, 3].any())
            seen["findings"] += bool(of_rules(world))
            seen["a spike is found"] += any(f.code == "interval.spike" for f in found(world))
            by_rule = shape == "amounts" and editing.rules.estimate_up_to_s is not None
            if not by_rule and not any(c.kind in {"edit", "fill"} for c in editing.corrections):
                before = total(fresh_without(world))
                assert total(world) == pytest.approx(before, rel=1e-12), "energy is never made"
                seen["conserved"] += bool(month.shares()[:, 2].any())
            world.points.change(1, editing=NOTHING)
            world.catch_up().consumer.flush()
            assert shown(world) == shown(fresh_without(world)), "undone, it was never there"
            assert not of_rules(world)
            world.kill()

    edges = ["estimated", "edited", "questionable", "findings", "a spike is found"]
    edges += ["conserved"] if shape != "amounts" else []
    until_drawn(holds, seen, edges)
