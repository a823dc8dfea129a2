"""The formulas of the present data points, read and checked, and who is computed from whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import (
    Checked,
    Reference,
    check,
    measure_of,
    parse,
    points_in,
)
from kilowatch.model.formulas.measures import Measure
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.state import StreamState, settings_of, shortest_interval_s

_WALL = {"decision": "wall"}


@dataclass(frozen=True, slots=True)
class Input:
    """A figure that a formula is made of.

    Attributes:
        reference: As it stands in the formula.
        measure: What it is.
        series: Of the data point.
    """

    reference: Reference
    measure: Measure
    series: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """A data point with its formula.

    Attributes:
        point: The data point.
        settings: What its rows are computed with, without its inputs' generations.
        used: The data points that it is made of, as they are registered.
        checked: Its formula; None if it can't be computed.
        inputs: What it is made of.
        problem: Why it can't be computed, or an empty string.
    """

    point: DataPoint
    settings: dict[str, Any]
    used: tuple[DataPoint | None, ...]
    checked: Checked | None = None
    inputs: tuple[Input, ...] = ()
    problem: str = ""

    @property
    def zone(self) -> Zone:
        """Where its intervals are counted."""
        return Zone.of(self.settings["zone"])

    @property
    def interval_s(self) -> int:
        """Length of its intervals [s]."""
        return shortest_interval_s(self.settings)

    def settings_with(self, states: Mapping[int, StreamState]) -> dict[str, Any]:
        """Return what its rows are computed with, in the present generations of its inputs.

        Where an input's history is computed again, its generation is another, and so is this.
        """
        inputs = (
            f"{one.series}.{one.measure.channel}.{one.measure.column}@"
            f"{states[one.series].progress.generation if one.series in states else 1}"
            for one in self.inputs
        )
        return self.settings | {"inputs": " ".join(inputs) + self.problem}


@dataclass(slots=True)
class Book:
    """All formulas of a snapshot of the catalogue.

    Attributes:
        by_series: Every formula.
        order: Their series, each after those that it is made of.
        dependents: By series, the formulas that are made of it directly.
    """

    by_series: dict[int, Compiled] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    dependents: dict[int, list[int]] = field(default_factory=dict)

    @staticmethod
    def of(points: Mapping[int, DataPoint], before: Book) -> Book:
        """Read the formulas; one that has not changed, nor what it is made of, is taken over.

        Args:
            points: Present data points by series.
            before: The formulas so far.
        """
        formulas = [point for point in points.values() if point.formula]
        if not formulas:
            return Book()
        by_id = {point.id: point for point in points.values()}
        book = Book()
        for point in formulas:
            used = tuple(by_id.get(number) for number in points_in(point.formula))
            known = before.by_series.get(point.series)
            if known is None or known.point is not point or not _same(known.used, used):
                known = compiled(point, used)
            book.by_series[point.series] = known
        book._put_in_order()
        return book

    def _put_in_order(self) -> None:
        """Find an order in which each comes after its inputs; what runs in a circle can't be."""
        waiting = {
            series: {one.series for one in formula.inputs if one.series in self.by_series}
            for series, formula in self.by_series.items()
        }
        while ready := [series for series, inputs in waiting.items() if not inputs]:
            self.order += ready
            for series in ready:
                del waiting[series]
            done = set(ready)
            for inputs in waiting.values():
                inputs.difference_update(done)
        for series in waiting:  # the catalogue refuses it; a torn backup could have it
            one = self.by_series[series]
            problem = "It is computed from itself, by way of other formulas."
            self.by_series[series] = Compiled(one.point, one.settings, one.used, problem=problem)
            self.order.append(series)
        for series, formula in self.by_series.items():
            for number in {one.series for one in formula.inputs}:
                self.dependents.setdefault(number, []).append(series)


def compiled(point: DataPoint, used: tuple[DataPoint | None, ...]) -> Compiled:
    """Return a data point with its formula, or with why it can't be computed.

    Args:
        point: The data point.
        used: Those that its formula names, in the order of writing; None where there is none.
    """
    settings = settings_of(point, _WALL)
    settings.pop("editing", None)  # what is corrected is its inputs
    settings["formula"] = point.formula
    by_id = {one.id: one for one in used if one is not None}

    def measure(reference: Reference) -> Measure:
        named = by_id.get(reference.point_id)
        if named is None or named.organisation_id != point.organisation_id:
            raise KilowatchError("formula_name", f"Data point #{reference.point_id} is not there.")
        return measure_of(named, reference)

    try:
        checked = check(parse(point.formula), measure)
    except KilowatchError as error:
        return Compiled(point, settings, used, problem=error.detail)
    if checked.unit.symbol != point.unit or checked.behaviour != point.behaviour:
        problem = (
            f"It would give {checked.unit.symbol or 'a plain number'} ({checked.behaviour}) now, "
            f"and is registered as {point.unit or 'a plain number'} ({point.behaviour})."
        )
        return Compiled(point, settings, used, problem=problem)
    inputs = tuple(
        Input(reference, one, by_id[reference.point_id].series)
        for reference, one in zip(checked.inputs, checked.measures, strict=True)
    )
    return Compiled(point, settings, used, checked, inputs)


def _same(one: tuple[DataPoint | None, ...], other: tuple[DataPoint | None, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
