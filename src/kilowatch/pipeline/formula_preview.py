"""What a formula would give, or gave, in a stretch of time: with its inputs, and reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import Reference, Why, evaluate
from kilowatch.model.formulas.dimensions import shown
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.compiled import Compiled, compiled
from kilowatch.pipeline.following import inputs_of
from kilowatch.pipeline.formula_rows import brought_together, by_part, spread
from kilowatch.pipeline.streams import Streams


@dataclass(frozen=True, slots=True)
class InputShown:
    """An input in the intervals of a preview.

    Attributes:
        reference: Which.
        series: Of its data point.
        unit: As people read it.
        value: Shape (n,) [``unit``]; NaN where it is missing.
    """

    reference: Reference
    series: int
    unit: str
    value: Floats


@dataclass(frozen=True, slots=True)
class FormulaPreview:
    """Intervals of a formula, in order of time; arrays of shape (n,).

    Attributes:
        unit: Of the results, as people read it.
        start_ms: Where each begins [ms].
        value: Results [``unit``]; NaN where there is none.
        why: ``Why`` there is none.
        blame: Which input is missing, by its place in ``inputs``; -1 for none.
        quality: The worst of what was used.
        inputs: What it is made of in these intervals.
    """

    unit: str
    start_ms: Ints
    value: Floats
    why: Ints
    blame: Ints
    quality: Ints
    inputs: tuple[InputShown, ...]


def preview_formula(
    streams: Streams,
    point: DataPoint,
    used: Sequence[DataPoint | None],
    span: tuple[int, int] | int,
) -> FormulaPreview:
    """Return what a formula gives in a range, or in the last intervals in which an input spoke.

    Args:
        streams: What readers see.
        point: The data point with the formula; it need not be registered.
        used: Those that its formulas name (``points_named``).
        span: From where to where [ms], or how many intervals.

    Raises:
        KilowatchError: 422 where the formula makes no sense; 503 from the store.
    """
    formula = compiled(point, tuple(used))
    if formula.checked is None:
        raise KilowatchError("formula_stopped", formula.problem, status=422)
    from_ms, to_ms = span if isinstance(span, tuple) else _last(streams, formula, span)
    return preview_of(formula, inputs_of(streams, [formula], from_ms, to_ms))


def preview_of(formula: Compiled, rows: IntervalBlock) -> FormulaPreview:
    """Return what a formula gives for the intervals of its inputs."""
    assert formula.checked is not None
    grid = brought_together(formula, rows)
    held = by_part(formula, grid)
    parts = [
        spread(evaluate(checked.tree, some.inputs), len(some.start_ms)) for checked, some in held
    ]
    used = [
        number
        for number, one in enumerate(formula.inputs)
        if any(one.reference in checked.inputs for checked, _ in held)
    ]
    value, why, blame, quality = (
        np.concatenate([getattr(one, name) for one in parts])
        for name in ("value", "why", "blame", "quality")
    )
    return FormulaPreview(
        formula.checked.unit.symbol,
        grid.start_ms,
        value * shown_factor(formula),
        why,
        np.where(blame >= 0, np.searchsorted(used, blame), -1),
        np.where(why == Why.KNOWN, quality, 0),
        tuple(
            InputShown(
                one.reference,
                one.series,
                shown(one.measure.dimension).unit,
                grid.inputs[one.reference].value * shown(one.measure.dimension).factor,
            )
            for one in (formula.inputs[number] for number in used)
        ),
    )


def explained(streams: Streams, point: DataPoint, span: tuple[int, int]) -> dict[str, Any]:
    """Return what an interval of a formula rests on, ready for JSON; nothing for other streams."""
    formula = streams.formulas.by_series.get(point.series)
    if formula is None:
        return {}
    told: dict[str, Any] = {"text": point.formula, "problem": formula.problem, "inputs": []}
    if formula.checked is None:
        return {"formula": told}
    part = formula.part_at(span[0])
    told["text"] = part.text
    found = preview_of(formula, inputs_of(streams, [formula], *span))
    known = len(found.start_ms) > 0
    told["unit"] = found.unit
    told["why"] = Why(int(found.why[0])).name.lower() if known else "missing"
    told["value"] = _known(found.value[0]) if known else None
    told["inputs"] = [
        {
            "data_point_id": one.reference.point_id,
            "figure": one.reference.parameter,
            "unit": one.unit,
            "value": _known(one.value[0]) if known else None,
        }
        for one in found.inputs
        if one.reference in part.checked.inputs
    ]
    return {"formula": told}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def shown_factor(formula: Compiled) -> float:
    """Return what turns a result in base units into the unit that people read."""
    assert formula.checked is not None
    unit = formula.checked.unit
    if unit.canonical == unit.symbol:
        return formula.checked.factor
    return formula.checked.factor / unit.factor


def _last(streams: Streams, formula: Compiled, intervals: int) -> tuple[int, int]:
    assert formula.checked is not None
    present = (one for one in formula.inputs if one.reference in formula.checked.inputs)
    states = (streams.states.get(one.series) for one in present)
    lasts = [s.progress.last_ms for s in states if s is not None and s.progress.last_ms is not None]
    if not lasts:
        return 0, 0
    length_ms = formula.interval_s * 1000
    # Where one input has fallen silent, the last time of all is of no use.
    to_ms = min(lasts)
    from_ms = int(grain_start_ms([to_ms], formula.interval_s, formula.zone)[0])
    first = grain_start_ms([from_ms - intervals * length_ms], formula.interval_s, formula.zone)
    return int(first[0]), from_ms + length_ms
