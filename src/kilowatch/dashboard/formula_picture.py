"""A formula's last intervals as a small picture and a table, drawn on the server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from kilowatch.dashboard.needs import View
from kilowatch.dashboard.periods import clock_text
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import Floats
from kilowatch.model.formulas import Names, Reference, Why
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.formula_preview import FormulaPreview

INTERVALS = 96
ROWS = 8
DIGITS, DECIMALS_MAX = 5, 6
MINUTES = 16  # characters of a time without its seconds
WIDTH, HEIGHT, EDGE = 960, 160, 8  # of the picture's own coordinates


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table: when, the inputs, what comes out or why nothing does; as texts."""

    at: str
    inputs: tuple[str, ...]
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What a formula gives.

    Attributes:
        unit: Of the results.
        heads: Names of the inputs with their units.
        lines: The newest first.
        path: Results as a line, broken where there is none.
        zero: Height of zero, if it is in the picture.
        low: Smallest result.
        high: Largest.
        known: Intervals with a result.
        count: All of them.
        since: When the picture begins, on the clock of the site.
        until: When it ends.
    """

    unit: str
    heads: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    path: str
    zero: float | None
    low: float
    high: float
    known: int
    count: int
    since: str
    until: str


def picture_of(
    view: View, point: DataPoint, used: Sequence[DataPoint | None], names: Names
) -> Picture | None:
    """Return what a formula gives in its last intervals; None while no input has said anything.

    Inputs that ``names`` does not know are not shown: who looks may not see them.

    Raises:
        KilowatchError: As ``preview_formula``.
    """
    found = view.preview_formula(point, used, INTERVALS)
    if not len(found.start_ms):
        return None
    heads = tuple((_name(names, one.reference), one.unit) for one in found.inputs)
    seen = tuple(names.knows(one.reference.point_id) for one in found.inputs)
    newest = range(len(found.start_ms) - 1, max(len(found.start_ms) - 1 - ROWS, -1), -1)
    rows = list(newest)
    results = _texts(found.value[rows])
    inputs = zip(*(_texts(one.value[rows]) for one in compress(found.inputs, seen)), strict=True)
    columns = list(inputs) or [()] * len(rows)
    lines = tuple(
        Line(
            clock_text(int(found.start_ms[number]), point.zone)[:MINUTES],
            columns[place],
            results[place],
            reason(found, heads, number),
        )
        for place, number in enumerate(rows)
    )
    known = found.value[np.isfinite(found.value)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    bottom, top = min(low, 0.0), max(high, 0.0)
    return Picture(
        found.unit, tuple(compress(heads, seen)), lines, _path(found.value, bottom, top),
        _height(0.0, bottom, top) if low < 0 else None,
        low, high, len(known), len(found.start_ms),
        clock_text(int(found.start_ms[0]), point.zone)[:MINUTES],
        clock_text(int(found.start_ms[-1]), point.zone)[:MINUTES],
    )  # fmt: skip


def reason(found: FormulaPreview, heads: Sequence[tuple[str, str]], number: int) -> str:
    """Return why an interval has no result, in words; empty where it has one."""
    why = Why(int(found.why[number]))
    if why is Why.KNOWN:
        return ""
    blame = int(found.blame[number])
    name = heads[blame][0] if 0 <= blame < len(heads) else ""
    return t(f"formula_why.{why.name.lower()}", name=name)


def _texts(values: Floats) -> list[str]:
    """Return a column of figures with as many decimals each, so that they stand one below another.

    Five digits of the largest; what is missing is an empty text.
    """
    known = np.abs(values[np.isfinite(values)])
    largest = float(known.max()) if len(known) else 0.0
    whole = math.floor(math.log10(largest)) if largest else 0
    decimals = min(max(DIGITS - 1 - whole, 0), DECIMALS_MAX)
    if not np.any(np.mod(known, 1)):
        decimals = 0
    return [f"{one:,.{decimals}f}" if np.isfinite(one) else "" for one in values.tolist()]


def _name(names: Names, reference: Reference) -> str:
    if not names.knows(reference.point_id):
        return t("formula.hidden")
    name = names.shown(reference.point_id)[1:-1].replace("]]", "]")
    return f"{name}, {reference.parameter.replace('_', ' ')}" if reference.parameter else name


def _height(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.0
    return round(HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE), 1)


def _path(values: np.ndarray, low: float, high: float) -> str:
    """Return steps, each over the whole width of its interval; nothing where nothing is known."""
    width = WIDTH / max(len(values), 1)
    parts, before = [], False
    for number, value in enumerate(values.tolist()):
        if not np.isfinite(value):
            before = False
            continue
        left, right = round(number * width, 1), round((number + 1) * width, 1)
        parts.append(f"{'L' if before else 'M'}{left} {_height(value, low, high)}H{right}")
        before = True
    return "".join(parts)
