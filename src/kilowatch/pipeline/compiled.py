"""The formulas of the present data points, read and checked, and who is computed from whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.dated import ALWAYS_MS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import (
    Checked,
    Reference,
    check,
    denominator,
    measure_of,
    parse,
    points_named,
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
class Part:
    """A formula that holds from an interval on until the next one does.

    Attributes:
        from_ms: Start of its first interval [ms].
        text: As it is kept.
        checked: The formula.
    """

    from_ms: int
    text: str
    checked: Checked


@dataclass(frozen=True, slots=True)
class Compiled:
    """A data point with its formula, and those that it had before a date.

    Attributes:
        point: The data point.
        settings: What its rows are computed with, without its inputs' generations.
        used: The data points that it is or was made of, as they are registered.
        parts: Its formulas, rising, the present one last; none if it can't be computed.
        inputs: What all of them are made of.
        problem: Why it can't be computed, or an empty string.
    """

    point: DataPoint
    settings: dict[str, Any]
    used: tuple[DataPoint | None, ...]
    parts: tuple[Part, ...] = ()
    inputs: tuple[Input, ...] = ()
    problem: str = ""

    @property
    def checked(self) -> Checked | None:
        """Its present formula: unit, behaviour and denominator of the others are the same."""
        return self.parts[-1].checked if self.parts else None

    def part_at(self, start_ms: int) -> Part:
        """Return the formula that holds in the interval that begins at an instant."""
        return next(one for one in reversed(self.parts) if one.from_ms <= start_ms)

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
            used = tuple(by_id.get(number) for number in points_named(point))
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
        used: Those that its formulas name (``points_named``); None where there is none.
    """
    settings = settings_of(point, _WALL)
    settings.pop("editing", None)  # what is corrected is its inputs
    settings["formula"] = point.formula
    grain, zone = shortest_interval_s(settings), Zone.of(settings["zone"])
    by_id = {one.id: one for one in used if one is not None}

    def measure(reference: Reference) -> Measure:
        named = by_id.get(reference.point_id)
        if named is None or named.organisation_id != point.organisation_id:
            raise KilowatchError("formula_name", f"Data point #{reference.point_id} is not there.")
        return measure_of(named, reference)

    parts: list[Part] = []
    for from_ms, text in point.formulas:
        try:
            checked = check(parse(text), measure)
        except KilowatchError as error:
            return Compiled(point, settings, used, problem=error.detail)
        problem = _unlike(point, checked, parts)
        if problem:
            return Compiled(point, settings, used, problem=problem)
        parts.append(Part(_first_start_ms(from_ms, grain, zone), text, checked))
    inputs = {
        reference: Input(reference, one, by_id[reference.point_id].series)
        for part in parts
        for reference, one in zip(part.checked.inputs, part.checked.measures, strict=True)
    }
    return Compiled(point, settings, used, tuple(parts), tuple(inputs.values()))


def _unlike(point: DataPoint, checked: Checked, parts: list[Part]) -> str:
    """Return why a formula can't stand for its data point, or an empty string."""
    if checked.unit.symbol != point.unit or checked.behaviour != point.behaviour:
        return (
            f"It would give {checked.unit.symbol or 'a plain number'} ({checked.behaviour}) now, "
            f"and is registered as {point.unit or 'a plain number'} ({point.behaviour})."
        )
    if parts and denominator(parts[0].checked) != denominator(checked):
        return "Its formulas, which hold one after the other, are not averaged alike."
    return ""


def _first_start_ms(from_ms: int, grain: int, zone: Zone) -> int:
    """Return the start of the first interval that lies wholly behind an instant [ms]."""
    if from_ms == ALWAYS_MS:
        return ALWAYS_MS
    start = int(grain_start_ms([from_ms], grain, zone)[0])
    return start if start == from_ms else int(grain_end_ms([from_ms], grain, zone)[0])


def _same(one: tuple[DataPoint | None, ...], other: tuple[DataPoint | None, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
