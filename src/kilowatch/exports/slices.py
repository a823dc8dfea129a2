"""Reading in slices: short questions to the store, so that an export never holds it.

A slice is some 50,000 figures: some tens of milliseconds of one connection, which goes back to
the pages before the rows are written. Of all exports together one asks at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from kilowatch.exports.definition import GRAINS
from kilowatch.exports.months import Between, stretches
from kilowatch.exports.needs import Measurements
from kilowatch.exports.plan import Plan, Subject, bucket_s
from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import MINUTE_MS
from kilowatch.model.zones import Zone

Block = TypeVar("Block", IntervalBlock, ReadingBlock)

ROWS_A_SLICE = 50_000
CELLS_A_SLICE = 200_000  # of a wide table
SUBJECTS_A_SLICE = 500  # longer lists make a long statement
SPLITS_MAX = 6  # a slice that met a limit of the store is asked for in halves, so often
SHORTEST_MS = MINUTE_MS


@dataclass(frozen=True, slots=True)
class Reader:
    """Asks the store for slices.

    Attributes:
        view: The measurements.
        turn: Held while a slice is read; shared by all exports of the process.
    """

    view: Measurements
    turn: threading.Lock = field(default_factory=threading.Lock)

    def figures(
        self, subjects: Sequence[Subject], from_ms: int, to_ms: int, grain: str
    ) -> IntervalBlock:
        """Return buckets of some data points that start in [from_ms, to_ms).

        A month that the period cuts begins or ends with it, and is made of its days.
        """
        codes = sorted({one.channel for subject in subjects for one in subject.fields})
        word = GRAINS[grain]
        assert word is not None, "readings are no figures"

        def whole(some: Sequence[Subject], span: Between) -> list[IntervalBlock]:
            points = [one.point for one in some]

            def ask(first: int, last: int) -> IntervalBlock:
                with self.turn:
                    return self.view.series_many(points, codes, first, last, word)

            return _split(ask, *span)

        if word != "month":
            return IntervalBlock.concatenate(whole(subjects, (from_ms, to_ms)))
        alike: dict[tuple[Between | None, str], list[Subject]] = {}
        for one in subjects:
            alike.setdefault((one.period, one.point.zone), []).append(one)
        parts: list[IntervalBlock] = []
        for (period, zone), some in alike.items():
            for span, cut in stretches(period, (from_ms, to_ms), Zone.of(zone)):
                parts += [self._part(some, codes, span)] if cut else whole(some, span)
        return IntervalBlock.concatenate(parts)

    def _part(
        self, subjects: Sequence[Subject], codes: Sequence[int], span: Between
    ) -> IntervalBlock:
        with self.turn:
            return self.view.cut_many([one.point for one in subjects], codes, *span, "month")

    def readings(self, subjects: Sequence[Subject], from_ms: int, to_ms: int) -> ReadingBlock:
        """Return readings of some data points, pushed for instants in [from_ms, to_ms)."""
        points = [one.point for one in subjects]

        def ask(first: int, last: int) -> ReadingBlock:
            with self.turn:
                return self.view.readings_many(points, first, last)

        return ReadingBlock.concatenate(_split(ask, from_ms, to_ms))


def _split(
    ask: Callable[[int, int], Block], from_ms: int, to_ms: int, left: int = SPLITS_MAX
) -> list[Block]:
    try:
        return [ask(from_ms, to_ms)]
    except KilowatchError as error:
        if error.code != "store_busy" or not left or to_ms - from_ms < SHORTEST_MS:
            raise
    middle = (from_ms + to_ms) // 2
    before = _split(ask, from_ms, middle, left - 1)
    return before + _split(ask, middle, to_ms, left - 1)


@dataclass(frozen=True, slots=True)
class Slice:
    """What is read at once: some data points from one instant to another."""

    subjects: tuple[Subject, ...]
    from_ms: int
    to_ms: int


def along_points(plan: Plan, rows: int = ROWS_A_SLICE) -> Iterator[Slice]:
    """Return slices data point by data point: the order of rows in a long table, and on disk."""
    group: list[Subject] = []
    held = 0.0
    for one in plan.subjects:
        expected = _expected(one, plan.asked.grain)
        fits = not group or (
            held + expected <= rows
            and len(group) < SUBJECTS_A_SLICE
            and (one.zone, one.from_ms) == (group[0].zone, group[0].from_ms)
            and one.to_ms == group[0].to_ms
        )
        if not fits:
            yield from _in_time(group, rows, held)
            group, held = [], 0.0
        group.append(one)
        held += expected
    yield from _in_time(group, rows, held)


def along_time(plan: Plan, cells: int = CELLS_A_SLICE) -> Iterator[tuple[int, int]]:
    """Return stretches of time for all data points: the order of rows in a wide table."""
    from_ms = min(one.from_ms for one in plan.subjects)
    to_ms = max(one.to_ms for one in plan.subjects)
    finest_s = min(bucket_s(one, plan.asked.grain) for one in plan.subjects)
    step_ms = max(cells // max(len(plan.fields), 1), 1) * finest_s * 1000
    for first in range(from_ms, to_ms, step_ms):
        yield first, min(first + step_ms, to_ms)


def _in_time(group: list[Subject], rows: int, expected: float) -> Iterator[Slice]:
    if not group:
        return
    from_ms, to_ms = group[0].from_ms, group[0].to_ms
    parts = max(1, -(-round(expected) // rows)) if len(group) == 1 else 1
    step_ms = -(-(to_ms - from_ms) // parts)
    for first in range(from_ms, to_ms, step_ms):
        yield Slice(tuple(group), first, min(first + step_ms, to_ms))


def _expected(one: Subject, grain: str) -> float:
    length_s = max(bucket_s(one, grain), 1 if grain == "source" else one.length_s)
    return (one.to_ms - one.from_ms) / 1000 / length_s * len(one.fields)
