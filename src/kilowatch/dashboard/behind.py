"""Where a number comes from: what the small button beside a figure tells.

One shape for every page: ``Behind.columns()``. It is in the answers that scripts draw, and in the
``data-facts`` of the button that ``why.html`` makes; ``static/js/behind.js`` puts both into words.
What is told is made of the arrays that the figure was made of, never a text of its own::

    means      what the figure is
    points     the data points: id, name, stream_id and, of a formula, its text
    more       how many data points are not named
    days       the time, in words
    intervals  what was added up, in words
    complete   known share of the time that has passed, 0 to 1; null where that is no question
    shares     of the known time, what is derived, edited, estimated and questionable, 0 to 1;
               null where a forecast or an expectation has none
    across     value and unit of what was used in gaps; null for nothing
    parts      what the figure adds up to or is divided from: name, value, unit
    price      each price and factor that is in it, in words
    each       whether each interval has the one of its own day, or all have that of the first
    priced     share of the amount that has one, 0 to 1; null without money or CO2
    notes      label and text, or parts, of what else there is to know
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.requests import Request

from kilowatch.dashboard.formula_names import names_for
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import SHARED, Floats, IntervalBlock, Quality
from kilowatch.model.dated import ALWAYS_MS
from kilowatch.model.points import DataPoint

NAMED = 12
"""Data points that are named, the largest first; the others are counted."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a figure is made of: an amount with its name.

    Attributes:
        name: What it is.
        value: How much [``unit``]; None for one that is not known.
        unit: Its canonical unit.
        like: The figure that decides in which unit it is told: gas never in litres; None: its own.
    """

    name: str
    value: float | None
    unit: str
    like: float | None = None


@dataclass(frozen=True, slots=True)
class Behind:
    """What stands behind one figure; the top of this module says what each field tells.

    Attributes:
        sources: The data points as ``sources_told`` has them.
    """

    means: str
    sources: Sequence[Mapping[str, Any]]
    days: str
    intervals: str = ""
    complete: float | None = None
    shares: Mapping[str, float] | None = None
    across: Part | None = None
    parts: Sequence[Part] = ()
    price: Sequence[str] = ()
    each: bool = True
    priced: float | None = None
    notes: Sequence[tuple[str, str | Sequence[Part]]] = ()

    def columns(self) -> dict[str, Any]:
        """Return it as an answer or a button has it."""
        return {
            "means": self.means,
            "points": list(self.sources[:NAMED]),
            "more": max(0, len(self.sources) - NAMED),
            "days": self.days,
            "intervals": self.intervals,
            "complete": self.complete,
            "shares": None if self.shares is None else dict(self.shares),
            "across": None if self.across is None else _part(self.across),
            "parts": [_part(one) for one in self.parts],
            "price": list(dict.fromkeys(self.price)),
            "each": self.each,
            "priced": self.priced,
            "notes": [
                [label, told if isinstance(told, str) else [_part(one) for one in told]]
                for label, told in self.notes
            ],
        }


def _part(part: Part) -> dict[str, Any]:
    told = {"name": part.name, "value": part.value, "unit": part.unit}
    return told if part.like is None else {**told, "like": part.like}


def sources_told(request: Request, points: Iterable[DataPoint]) -> list[dict[str, Any]]:
    """Return data points as ``Behind`` names them; behind a door that has let them through.

    A formula is told with the names of what it is made of; what the person may not read has none.
    """
    return [
        {
            "id": point.id,
            "name": point.name,
            "stream_id": point.stream_id,
            "formula": _formula(request, point) if point.formula else "",
        }
        for point in points
    ]


def _formula(request: Request, point: DataPoint) -> str:
    """Return a formula with the names of what it is made of; one that changed has its dates."""
    names = names_for(request, point.organisation_id)
    newest_first = sorted(point.formulas, reverse=True)
    if len(newest_first) == 1:
        return names.with_names(point.formula)
    told = []
    for from_ms, formula in newest_first:
        text = names.with_names(formula)
        day = day_text(local_day(from_ms, point.zone))
        told.append(text if from_ms <= ALWAYS_MS else t("why.from_day", formula=text, day=day))
    return t("why.before").join(told)


def shares_of(rows: IntervalBlock) -> dict[str, float]:
    """Return of the covered time of rows what has each quality but valid, 0 to 1."""
    covered = float(rows.covered_ms.sum())
    return _named(rows.shares().sum(axis=0) / covered if covered else np.zeros(len(SHARED)))


def mean_shares(shares: Sequence[Floats], weights: Sequence[Floats]) -> dict[str, float]:
    """Return the shares of several columns of buckets together.

    Args:
        shares: Of each, what has each of ``blocks.SHARED``, shape (k, 4), 0 to 1.
        weights: Of each, how much of each bucket is known, shape (k,) [any unit of time].
    """
    total = sum((float(one.sum()) for one in weights), 0.0)
    parts = [(s * w[:, None]).sum(axis=0) for s, w in zip(shares, weights, strict=True)]
    return _named(np.sum(parts, axis=0) / total if total else np.zeros(len(SHARED)))


def _named(shares: Floats) -> dict[str, float]:
    return {
        Quality(one).name.lower(): float(part)
        for one, part in zip(SHARED.tolist(), shares.tolist(), strict=True)
    }
