"""Data points by name: what a person writes becomes numbers, and numbers are shown as names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas.measures import Measure, measures_of
from kilowatch.model.formulas.tree import Reference
from kilowatch.model.formulas.words import Word, fault, nearest, words_of
from kilowatch.model.points import DataPoint

_KEPT = re.compile(r"#(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Placed:
    """A data point that may be named, with the name of its site."""

    point: DataPoint
    site: str


class Names:
    """The data points that somebody may name: those of one organisation that they may see.

    A name alone means a data point if no other one has it; else its site stands before it:
    ``[Dublin / Main supply]``. A stream id means one too.

    Args:
        placed: The data points.
    """

    def __init__(self, placed: Iterable[Placed]) -> None:
        self._placed = {one.point.id: one for one in placed}
        self._by_name: dict[str, list[int]] = {}
        for number, one in self._placed.items():
            ways = (one.point.name, f"{one.site} / {one.point.name}", one.point.stream_id)
            for name in {_key(way) for way in ways}:
                self._by_name.setdefault(name, []).append(number)
        self._shown = {number: self._plainest(one) for number, one in self._placed.items()}
        pairs = [(self._shown[number], one.point) for number, one in self._placed.items()]
        self._points = sorted(pairs, key=lambda pair: pair[0].casefold())

    def _plainest(self, one: Placed) -> str:
        """Return the shortest way to name a data point that means no other."""
        ways = (one.point.name, f"{one.site} / {one.point.name}")
        clear = (way for way in ways if len(self._by_name[_key(way)]) == 1)
        return next(clear, one.point.stream_id)

    def points(self) -> list[tuple[str, DataPoint]]:
        """Return every data point with the name that a formula shows, by name."""
        return self._points

    def knows(self, point_id: int) -> bool:
        """Tell whether a data point is one of them."""
        return point_id in self._placed

    def point(self, point_id: int) -> DataPoint:
        """Return one of the data points, which is there."""
        return self._placed[point_id].point

    def learn(self, point: DataPoint) -> None:
        """Take other settings of one of the data points: what a planned formula gives."""
        before = self._placed[point.id]
        assert before.point.name == point.name, "names are known from the beginning"
        self._placed[point.id] = Placed(point, before.site)

    def find(self, word: Word) -> int:
        """Return the number of the data point that a word names.

        Raises:
            KilowatchError: 422 ``formula_name`` or ``formula_ambiguous``.
        """
        if word.text.startswith("#") and word.text[1:].isdigit():
            number = int(word.text[1:])
            if number in self._placed:
                return number
        found = self._by_name.get(_key(word.text), [])
        if len(found) == 1:
            return found[0]
        if found:
            choices = sorted(self.shown(number) for number in found)[:3]
            raise fault(
                "ambiguous",
                f"{len(found)} data points are called {word.text!r}.",
                word.span,
                f"Write which one: {' or '.join(choices)}.",
            )
        close = nearest(word.text, list(self._shown.values()))
        raise fault(
            "name",
            f"There is no data point {word.text!r} that you may use here.",
            word.span,
            f"Did you mean [{close}]?" if close else "Choose one of the list below the formula.",
            suggestion=close,
        )

    def measure(self, reference: Reference) -> Measure:
        """Return the figure that a reference means.

        Raises:
            KilowatchError: 422 ``formula_name`` or ``formula_figure``.
        """
        placed = self._placed.get(reference.point_id)
        if placed is None:
            raise fault(
                "name",
                f"Data point #{reference.point_id} is not there, or you may not use it here.",
                reference.span,
            )
        return measure_of(placed.point, reference)

    def shown(self, point_id: int) -> str:
        """Return a data point as it stands in a formula: its name, or its number if unknown."""
        name = self._shown.get(point_id)
        return f"#{point_id}" if name is None else f"[{name.replace(']', ']]')}]"

    def with_names(self, kept: str) -> str:
        """Return a formula that is kept as people read it.

        Example:
            >>> Names([]).with_names("#1 + 2")
            '#1 + 2'
        """
        return _KEPT.sub(lambda found: self.shown(int(found[1])), kept)

    def with_numbers(self, text: str) -> str:
        """Return a formula that somebody wrote as it is kept: each name as a number.

        Raises:
            KilowatchError: 422 ``formula_…``.
        """
        parts, place = [], 0
        for word in words_of(text):
            if word.kind == "point":
                parts += [text[place : word.span[0]], f"#{self.find(word)}"]
                place = word.span[1]
        return "".join([*parts, text[place:]]).strip()


def measure_of(point: DataPoint, reference: Reference) -> Measure:
    """Return the figure of a data point that a reference means.

    Raises:
        KilowatchError: 422 ``formula_figure``.
    """
    known = measures_of(point)
    found = known.get(reference.parameter)
    if found is None:
        folded = {name.casefold(): one for name, one in known.items()}
        found = folded.get(reference.parameter.casefold())
    if found is not None:
        return found
    names = [name for name in known if name]
    if not reference.parameter:
        raise fault(
            "figure",
            f"{point.name} has several figures, and none is named.",
            reference.span,
            f"Write which: {', '.join('.' + name for name in names[:5])} …",
            suggestions=names,
        )
    close = nearest(reference.parameter, names)
    raise fault(
        "figure",
        f"{point.name} has no figure {reference.parameter!r}.",
        reference.span,
        f"Did you mean .{close}?" if close else f"It has {', '.join(names[:8])}.",
        suggestions=names,
    )


def points_in(kept: str) -> tuple[int, ...]:
    """Return the numbers of the data points in a formula that is kept, in the order of writing."""
    return tuple(dict.fromkeys(int(one) for one in _KEPT.findall(kept)))


def points_named(point: DataPoint) -> tuple[int, ...]:
    """Return the numbers of all that a data point's formulas name, of earlier ones too."""
    return points_in("\n".join(text for _, text in point.formulas))


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def refusal_at(error: KilowatchError) -> tuple[int, int] | None:
    """Return the place in the text that a refusal speaks of."""
    at, until = error.data.get("at"), error.data.get("until")
    return (at, until) if isinstance(at, int) and isinstance(until, int) else None
