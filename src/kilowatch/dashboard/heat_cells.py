"""A heat map's cells: the hours of local days, laid out by time of day.

Arrays in, plain values out. On the days on which clocks change an hour is missing or comes twice.
The missing one has no cell. The one that comes twice keeps its place on the wall clock and is
split: the first time is the upper half of it, the second time the lower half, so that both are
there and time still runs downwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from kilowatch.insights.hours import COVERED_MIN
from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.calendar import bucket_edges_ms
from kilowatch.model.lengths import DAY_MS, HOUR_MS, MINUTE_MS
from kilowatch.model.zones import FIRST_DAY, Zone
from kilowatch.pipeline.grids import Bools

DAY_MIN = 1_440

ScaleKind = Literal["zero", "range", "diverging"]

FROM_ZERO = frozenset(
    {"W", "var", "VA", "A", "%", "Wh", "varh", "m3", "m3/h", "kg", "kg/h", "pcs", "pcs/h", "lx",
     "ppm", "W/m2"}
)  # fmt: skip
"""Units whose zero means nothing at all: their colours begin there."""
CLIP = 99.5
"""Percentile at which the colours end where a few cells are far above all others."""
FAR = 1.5
"""By how much the highest cell must be above that percentile for the colours to end before it."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of some local days, in order of time; arrays have shape (n,).

    Attributes:
        start_ms: Start of each cell [ms since 1970, UTC].
        end_ms: Its end [ms since 1970, UTC].
        day: Local day, counted from 1970-01-01.
        top: Where it begins on the day's wall clock [min from midnight].
        bottom: Where it ends [min from midnight].
        again: Whether it is the second time that this hour comes on its day.
        wall: What the wall clock shows when it begins [min from midnight].
        value: Mean of the cell [unit]; NaN where less than half of it was measured.
        covered: Share of the cell that was measured, 0 to 1.
    """

    start_ms: Ints
    end_ms: Ints
    day: Ints
    top: Floats
    bottom: Floats
    again: Bools
    wall: Ints
    value: Floats
    covered: Floats


@dataclass(frozen=True, slots=True)
class Scale:
    """Which values the colours stand for.

    Attributes:
        kind: ``zero`` begins at zero, ``range`` at the lowest value, ``diverging`` has a middle.
        low: Value of the first colour [unit].
        middle: Value of the neutral colour, for ``diverging`` [unit].
        high: Value of the last colour [unit].
        highest: The highest value; above ``high`` where a few cells are far above all others.
        lowest: The lowest value.
    """

    kind: ScaleKind
    low: float
    middle: float | None
    high: float
    highest: float
    lowest: float


def cells_of(
    rows: IntervalBlock,
    from_ms: int,
    to_ms: int,
    bin_s: int,
    zone: Zone,
    *,
    amounts: bool,
    least: float = COVERED_MIN,
) -> Cells:
    """Lay buckets of one channel into the cells of a period.

    Args:
        rows: Buckets of ``bin_s``, sorted by start.
        from_ms: Start of the first local day [ms since 1970, UTC].
        to_ms: End of the last [ms since 1970, UTC].
        bin_s: Length of a cell [s]; one is shorter where the clock changes within it.
        zone: The site's clock.
        amounts: Whether the rows are amounts: their cells are rates, amount over measured time.
        least: Share of a cell that must be measured for its value to be known.
    """
    edges = bucket_edges_ms(from_ms, to_ms, bin_s, zone)
    start, end = edges[:-1], edges[1:]
    value, covered = np.full(len(start), np.nan), np.zeros(len(start))
    place = np.searchsorted(start, rows.start_ms)
    inside = (place < len(start)) & (rows.start_ms < to_ms)
    inside[inside] &= start[place[inside]] == rows.start_ms[inside]
    own, place = rows.take(inside), place[inside]
    covered[place] = np.minimum(own.covered_ms / (end - start)[place], 1.0)
    known = (own.covered_ms > 0) & (covered[place] >= least)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = own.amount * HOUR_MS / own.covered_ms if amounts else own.mean
    value[place] = np.where(known, rate, np.nan)
    day = zone.day_index(start)
    top = (zone.local_ms(start) - day * DAY_MS) / MINUTE_MS
    bottom = top + (end - start) / MINUTE_MS
    wall = top.astype(np.int64)
    again = np.zeros(len(start), np.bool_)
    for one in changing_days(from_ms, to_ms, zone):
        mine = np.flatnonzero(day == one)
        top[mine], bottom[mine], again[mine] = _on_the_wall(start[mine], end[mine], one, zone)
    return Cells(start, end, day, top, bottom, again, wall, value, covered)


def changing_days(from_ms: int, to_ms: int, zone: Zone) -> list[int]:
    """Return the local days of a period on which the clocks change, counted from 1970-01-01."""
    changes = zone.segment_start_ms[1:-1]
    own = changes[(changes >= from_ms) & (changes < to_ms)]
    found: list[int] = np.unique(zone.day_index(own)).tolist()
    return found


def skipped(day: int, zone: Zone) -> list[tuple[float, float]]:
    """Return what is missing on a local day's wall clock, as pairs of [min from midnight]."""
    found = []
    for before, after in _turns(day, zone):
        if after > before:
            found.append((before, after))
    begin = float(zone.local_ms([_bounds(day, zone)[0]])[0] - day * DAY_MS) / MINUTE_MS
    return [(0.0, begin), *found] if begin > 0 else found


def scale_of(values: Floats, unit: str) -> Scale | None:
    """Choose which values the colours stand for; None where nothing is known.

    Energy, power and all else whose zero means "nothing" begin at zero. What has both signs, and
    temperature, gets two hues around a neutral middle: zero, or the median temperature.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return None
    lowest, highest = float(known.min()), float(known.max())
    if unit == "°C" or lowest < 0 < highest:
        middle = float(np.round(np.median(known))) if unit == "°C" else 0.0
        away = np.abs(known - middle)
        reach = _reach(float(away.max()), float(np.percentile(away, CLIP))) or 1.0
        return Scale("diverging", middle - reach, middle, middle + reach, highest, lowest)
    if unit in FROM_ZERO and highest > 0:
        return Scale(
            "zero", 0.0, None, _reach(highest, float(np.percentile(known, CLIP))), highest, lowest
        )
    if unit in FROM_ZERO:  # all of it is exported, or nothing is used at all
        return Scale("zero", lowest or 0.0, None, 0.0 if lowest else 1.0, highest, lowest)
    return Scale(
        "range", lowest, None, highest if highest > lowest else lowest + 1, highest, lowest
    )


def _reach(most: float, usual: float) -> float:
    return usual if usual > 0 and most > FAR * usual else most


def _bounds(day: int, zone: Zone) -> tuple[int, int]:
    first, after = zone.day_starts_ms[day - FIRST_DAY : day - FIRST_DAY + 2].tolist()
    return first, after


def _turns(day: int, zone: Zone) -> list[tuple[float, float]]:
    """Return what the wall clock shows before and after each change [min from midnight]."""
    parts = list(zone.segments_within(*_bounds(day, zone)))
    midnight = day * DAY_MS
    return [
        ((end + offset - midnight) / MINUTE_MS, (end + following - midnight) / MINUTE_MS)
        for (_, end, offset), (_, _, following) in pairwise(parts)
    ]


def _on_the_wall(start: Ints, end: Ints, day: int, zone: Zone) -> tuple[Floats, Floats, Bools]:
    """Return where the cells of a day with a change of clocks stand, the doubled ones halved."""
    offset = zone.offsets_ms(start)
    top = (start + offset - day * DAY_MS) / MINUTE_MS
    bottom = top + (end - start) / MINUTE_MS
    again = np.zeros(len(start), np.bool_)
    changes = [at_ms for at_ms, _, _ in zone.segments_within(*_bounds(day, zone))][1:]
    for (late, early), change_ms in zip(_turns(day, zone), changes, strict=True):
        if early >= late:
            continue
        middle = (early + late) / 2
        second = start >= change_ms
        again |= second & (top < late)
        for edge in (top, bottom):
            first_half = np.interp(edge, [early, late], [early, middle])
            second_half = np.interp(edge, [early, late], [middle, late])
            doubled = (edge >= early) & (edge <= late)
            edge[doubled] = np.where(second, second_half, first_half)[doubled]
    return np.clip(top, 0, DAY_MIN), np.clip(bottom, 0, DAY_MIN), again
