"""Formulas fall silent with what they are made of, and speak again when all of it does.

A formula receives no packets, so nobody misses one. It is told where a rule watches it by itself: a
rule for a site or for everything tells of the meters, and would say the same thing twice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from kilowatch.model.formulas import points_in
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Silence
from kilowatch.notify.needs import Points


class MadeOf:
    """Which formulas rest on which data points; looked up anew when the data points changed.

    Formulas count as they are now: what one was made of before a date may be silent.
    """

    def __init__(self) -> None:
        self._points: Points | None = None
        self._below: dict[int, frozenset[int]] = {}
        self._above: dict[int, list[DataPoint]] = {}

    def of(self, points: Points) -> MadeOf:
        """Return the same for the data points of now."""
        if points is not self._points:
            self._points, self._below, self._above = points, {}, {}
            for point in points.points.values():
                if point.formula:
                    for number in self.inputs(point.id):
                        self._above.setdefault(number, []).append(point)
        return self

    def inputs(self, formula_id: int) -> frozenset[int]:
        """Return the data points with packets that a formula rests on, by their numbers."""
        if formula_id not in self._below:
            self._below[formula_id] = frozenset()  # a circle ends here
            found: set[int] = set()
            point = self._points.by_id(formula_id) if self._points is not None else None
            for number in points_in(point.formula) if point is not None else ():
                used = self._points.by_id(number) if self._points is not None else None
                if used is not None:
                    found |= self.inputs(number) if used.formula else {number}
            self._below[formula_id] = frozenset(found)
        return self._below[formula_id]

    def silences(self, silence: Silence, still: Collection[int] = ()) -> list[Silence]:
        """Return what a silence, or its end, means for formulas.

        Args:
            silence: Of a data point.
            still: Data points whose silence lasts: where a formula needs one, it stays silent.
        """
        found = self._above.get(silence.data_point_id, ())
        if silence.ended_ms is not None:
            found = [one for one in found if self.inputs(one.id).isdisjoint(still)]
        return [
            replace(silence, series=one.series, data_point_id=one.id, site_id=one.site_id)
            for one in found
        ]
