"""The store's questions as SQL.

Statements stay inside what old and new ClickHouse share: integer time in milliseconds, plain
conditions, plain GROUP BY. Superseded rows are left out in ``newest.py``, on whole rows.

Every value in a statement is an integer, written with ``:d``: nothing a person typed gets here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa

from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from kilowatch.model.parameters import VALUE
from kilowatch.store import schema
from kilowatch.store.columns import intervals_of, readings_of
from kilowatch.store.newest import newest_intervals, newest_readings
from kilowatch.store.store import GRAINS, Bound, Generations, RollUp, StoredStream

_SUPERSEDED = 100  # rows more than wanted: a partial packet comes in at most so many pieces
_SINGLE = ", ".join((*schema.READING_KEYS, schema.READING_VALUES[VALUE]))
_FIGURES = ", ".join(name for name in schema.FIGURES if name != "generation")
_ROLLED_FIGURES = ", ".join((_FIGURES, *schema.SHARES))


class ClickHouseReads:
    """``Reads`` over anything that runs a SELECT and returns an Arrow table.

    Args:
        select: Runs one statement under its own limits.
    """

    def __init__(self, select: Callable[[str], pa.Table]) -> None:
        self._select = select

    def readings(
        self, series: Sequence[int], from_ms: int, to_ms: int, *, single: bool = False
    ) -> ReadingBlock:
        """Return readings pushed for instants in [from_ms, to_ms)."""
        where = f"WHERE {_in('series', series)} AND at >= {from_ms:d} AND at < {to_ms:d}"
        return self._readings(where, single=single)

    def first_readings(self, series: int, from_ms: int, to_ms: int, limit: int) -> ReadingBlock:
        """Return the first ``limit`` of a stream's readings in [from_ms, to_ms).

        Reading in the order on disk, the engine stops early, which FINAL would not let it. So
        superseded rows are among those that it counts, and we ask on until there are enough.
        """
        found: list[ReadingBlock] = []
        missing, ask = limit, limit + _SUPERSEDED
        while missing > 0:
            table = self._select(
                f"SELECT * FROM reading WHERE series = {series:d} AND at >= {from_ms:d} "
                f"AND at < {to_ms:d} ORDER BY series, at LIMIT {ask:d}"
            )
            rows = newest_readings(readings_of(table))
            if table.num_rows < ask:
                found.append(rows)
                break
            # More versions of the last instant may lie behind the limit: it is asked for again.
            last_ms = int(rows.at_ms[-1])
            rows = rows.take(rows.at_ms < last_ms)
            found.append(rows)
            from_ms, missing = last_ms, missing - len(rows)
            ask = missing + _SUPERSEDED if len(rows) else 2 * ask
        return ReadingBlock.concatenate(found).take(slice(limit))

    def readings_since(self, since_ms: Mapping[int, int], *, single: bool = False) -> ReadingBlock:
        """Return, for each series, its readings at or after its own instant [ms], in one query."""
        if not since_ms:
            return ReadingBlock.empty()
        where = f"WHERE {_in('series', since_ms)} AND {_from('at', since_ms)}"
        return self._readings(where, single=single)

    def _readings(self, where: str, *, single: bool = False) -> ReadingBlock:
        columns = _SINGLE if single else "*"
        return newest_readings(readings_of(self._select(f"SELECT {columns} FROM reading {where}")))

    def readings_at(
        self, at_ms: Mapping[int, Sequence[int]], *, single: bool = False
    ) -> ReadingBlock:
        """Return, for each series, its readings at some instants [ms], in one query."""
        pairs = _pairs(at_ms)
        if not pairs:
            return ReadingBlock.empty()
        return self._readings(f"WHERE (series, at) IN ({pairs})", single=single)

    def instants_there(self, at_ms: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
        """Return which of each series' instants [ms] have a reading: no value is looked at."""
        pairs = _pairs(at_ms)
        if not pairs:
            return {}
        rows = self._select(
            f"SELECT series, at FROM reading WHERE (series, at) IN ({pairs}) GROUP BY series, at"
        )
        found: dict[int, list[int]] = {}
        columns = (rows.column("series").to_pylist(), rows.column("at").to_pylist())
        for series, at in zip(*columns, strict=True):
            found.setdefault(series, []).append(at)
        return found

    def intervals(
        self, generations: Generations, channels: Sequence[int] | None, from_ms: Bound, to_ms: Bound
    ) -> IntervalBlock:
        """Return interval rows that start in [from_ms, to_ms); all channels if None."""
        return self._figures("interval WHERE", generations, channels, from_ms, to_ms)

    def rollups(
        self,
        grain: RollUp,
        generations: Generations,
        channels: Sequence[int] | None,
        from_ms: Bound,
        to_ms: Bound,
    ) -> IntervalBlock:
        """Return hours or local days that start in [from_ms, to_ms); all channels if None."""
        table = f"rollup WHERE grain = {GRAINS[grain]:d} AND"
        return self._figures(table, generations, channels, from_ms, to_ms)

    def days_then_hours(
        self,
        generations: Generations,
        channels: Sequence[int] | None,
        from_ms: Bound,
        middle_ms: Bound,
        to_ms: Bound,
    ) -> tuple[IntervalBlock, IntervalBlock]:
        """Return local days in [from_ms, middle_ms) and hours in [middle_ms, to_ms)."""
        if not generations or (channels is not None and not len(channels)):
            return IntervalBlock.empty(), IntervalBlock.empty()
        chosen = "" if channels is None else f" AND {_in('channel', channels)}"
        day, hour = GRAINS["day"], GRAINS["hour"]
        rows = self._select(
            f"SELECT grain, {_ROLLED_FIGURES} FROM rollup WHERE {_grid(generations)}{chosen} AND ("
            f"(grain = {day:d} AND {_from('start', from_ms)} AND {_until('start', middle_ms)}) OR "
            f"(grain = {hour:d} AND {_from('start', middle_ms)} AND {_until('start', to_ms)}))"
        )
        is_day = np.asarray(rows.column("grain").to_numpy()) == day
        found = intervals_of(rows)
        return newest_intervals(found.take(is_day)), newest_intervals(found.take(~is_day))

    def _figures(
        self,
        table: str,
        generations: Generations,
        channels: Sequence[int] | None,
        from_ms: Bound,
        to_ms: Bound,
    ) -> IntervalBlock:
        if not generations or (channels is not None and not len(channels)):
            return IntervalBlock.empty()
        chosen = "" if channels is None else f" AND {_in('channel', channels)}"
        columns = _FIGURES if table.startswith("interval") else _ROLLED_FIGURES
        rows = self._select(
            f"SELECT {columns} FROM {table} {_grid(generations)}{chosen} "
            f"AND {_from('start', from_ms)} AND {_until('start', to_ms)}"
        )
        return newest_intervals(intervals_of(rows))

    def streams(self) -> dict[int, StoredStream]:
        """Return what there is of every stream; looks at all readings, so not for a page.

        A formula has intervals and no readings.
        """
        grids = self._select("SELECT series, max(generation) AS g FROM interval GROUP BY series")
        generations = dict(
            zip(grids.column("series").to_pylist(), grids.column("g").to_pylist(), strict=True)
        )
        rows = self._select(
            "SELECT series, uniqExact(at) AS packets, max(at) AS last, max(seq) AS newest "
            "FROM reading GROUP BY series"
        )
        without = {series: StoredStream(0, 0, 0, last) for series, last in generations.items()}
        return without | {
            row["series"]: StoredStream(
                row["packets"], row["last"], row["newest"], generations.get(row["series"], 0)
            )
            for row in rows.to_pylist()
        }

    def days(self, series: int, generation: int, from_ms: int, to_ms: int) -> Ints:
        """Return the starts of stored local days with data in [from_ms, to_ms), shape (n,) [ms]."""
        rows = self._select(
            f"SELECT start FROM rollup WHERE series = {series:d} AND generation = {generation:d} "
            f"AND grain = {GRAINS['day']:d} AND start >= {from_ms:d} AND start < {to_ms:d} "
            "GROUP BY start ORDER BY start"
        )
        return np.asarray(rows.column("start").to_numpy(), np.int64)


def _pairs(at_ms: Mapping[int, Sequence[int]]) -> str:
    return ", ".join(f"({key:d}, {at:d})" for key, some in at_ms.items() for at in some)


def _in(column: str, numbers: Collection[int]) -> str:
    return f"{column} IN ({', '.join(f'{number:d}' for number in numbers)})"


def _grid(generations: Generations) -> str:
    """Return the condition that picks each series' own generation."""
    by_generation: dict[int, list[int]] = {}
    for series, generation in generations.items():
        by_generation.setdefault(generation, []).append(series)
    if len(by_generation) == 1:
        ((generation, series_of),) = by_generation.items()
        return f"{_in('series', series_of)} AND generation = {generation:d}"
    pairs = ", ".join(f"({series:d}, {generation:d})" for series, generation in generations.items())
    return f"(series, generation) IN ({pairs})"


def _from(column: str, bound: Bound) -> str:
    """Return the condition for a column not to lie before each series' own instant."""
    if isinstance(bound, int):
        return f"{column} >= {bound:d}"
    # The plain comparison is what the engine finds the place on disk by.
    return f"{column} >= {min(bound.values()):d} AND {column} >= {_own(bound)}"


def _until(column: str, bound: Bound) -> str:
    if isinstance(bound, int):
        return f"{column} < {bound:d}"
    return f"{column} < {max(bound.values()):d} AND {column} < {_own(bound)}"


def _own(at_ms: Mapping[int, int]) -> str:
    """Return the expression for each series' own instant."""
    if len(set(at_ms.values())) == 1:
        return f"{next(iter(at_ms.values())):d}"
    series = ", ".join(f"{number:d}" for number in at_ms)
    instants = ", ".join(f"{instant:d}" for instant in at_ms.values())
    return f"transform(series, [{series}], [{instants}], 0)"
