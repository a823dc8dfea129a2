"""Reads a file of rows (stream, stamp, value) by streams, whatever writes the file.

Stamps may be ISO 8601 text or true timestamps, with an offset or without; rows may come in any
order. A file is read in pieces: 1,000 streams of four years fit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kilowatch.evaluation import remarks
from kilowatch.evaluation.remarks import Remarks
from kilowatch.evaluation.stamps import EARLIEST_MS, LATEST_MS, UNKNOWN, instants, on_clock
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.zones import Zone

PIECE = 1 << 20
"""Rows that are read at once."""
FAR_MS = 15 * 366 * DAY_MS
"""A stamp this far from the middle of its stream is no time that it lived in."""


@dataclass(frozen=True, slots=True)
class Series:
    """One stream's intervals, sorted, one for each start.

    Attributes:
        start_ms: Starts, shape (n,) [ms since 1970, UTC].
        values: Values, shape (n,) [the stream's unit]; NaN where there is none.
    """

    start_ms: Ints
    values: Floats


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a file, those of a stream together, in the order of the file.

    Attributes:
        names: Streams.
        ends: Where the rows of each stream end, shape (streams,).
        stamp_ms: Stamps; wall clock as if it were UTC where ``naive``, shape (rows,) [ms].
        naive: Whether the stamp has no offset, shape (rows,).
        values: Shape (rows,).
        units: Of each stream as its first row says, "" where none does.
        others: Streams of the file that nobody asked for.
        counted: What stamps that are numbers count since 1970, in words.
    """

    names: list[str]
    ends: Ints
    stamp_ms: Ints
    naive: Bools
    values: Floats
    units: dict[str, str]
    others: set[str]
    counted: frozenset[str] = frozenset()


def read(path: Path, column: str, wanted: Collection[str] | None = None) -> Rows:
    """Read the rows of a Parquet file.

    Args:
        path: With the columns ``stream_id`` and ``ts``, maybe ``unit``.
        column: What the values are called.
        wanted: Streams that are asked for; None: all.

    Raises:
        KilowatchError: It is no such file.
    """
    try:
        return _read(path, column, wanted)
    except (OSError, pa.ArrowException) as error:
        raise KilowatchError(
            "unreadable_file",
            f"{path} can't be read: {str(error).rstrip('.')}.",
            remedy="docs/reference/evaluation.md says what the file holds.",
        ) from error


def _read(path: Path, column: str, wanted: Collection[str] | None) -> Rows:
    file = pq.ParquetFile(path)
    missing = {"stream_id", "ts", column} - set(file.schema_arrow.names)
    if missing:
        raise KilowatchError(
            "missing_columns",
            f"{path} lacks the columns {', '.join(sorted(missing))}.",
            remedy="docs/reference/evaluation.md says what the file holds.",
        )
    columns = ["stream_id", "ts", column]
    columns += [name for name in ("unit",) if name in file.schema_arrow.names]
    place: dict[str, int] = {}
    units: dict[str, str] = {}
    others: set[str] = set()
    counted: frozenset[str] = frozenset()
    pieces: list[_Piece] = [_Piece.empty()]
    for batch in file.iter_batches(batch_size=PIECE, columns=columns):
        codes = _codes(batch.column("stream_id"), place, wanted, others)
        if "unit" in columns:
            _note_units(batch.column("unit"), codes, list(place), units)
        at_ms, naive, words = instants(batch.column("ts"))
        counted |= words
        piece = _Piece(codes, at_ms, naive, _numbers(batch.column(column)))
        pieces.append(piece if (codes >= 0).all() else piece.take(codes >= 0))
    whole = _Piece.joined(pieces)
    if (np.diff(whole.codes) < 0).any():
        whole = whole.take(np.argsort(whole.codes, kind="stable"))
    ends = np.searchsorted(whole.codes, np.arange(len(place)), side="right")
    return Rows(
        list(place), ends, whole.stamp_ms, whole.naive, whole.values, units, others, counted
    )  # fmt: skip


class _Piece(NamedTuple):
    """Some rows of a file: place of the stream, stamp, whether it has no offset, value."""

    codes: npt.NDArray[np.int32]
    stamp_ms: Ints
    naive: Bools
    values: Floats

    @classmethod
    def empty(cls) -> _Piece:
        none = np.empty(0)
        return cls(none.astype(np.int32), none.astype(np.int64), none.astype(np.bool_), none)

    @classmethod
    def joined(cls, pieces: list[_Piece]) -> _Piece:
        return cls(
            np.concatenate([one.codes for one in pieces]),
            np.concatenate([one.stamp_ms for one in pieces]),
            np.concatenate([one.naive for one in pieces]),
            np.concatenate([one.values for one in pieces]),
        )

    def take(self, rows: Ints | Bools) -> _Piece:
        return _Piece(
            self.codes[rows], self.stamp_ms[rows], self.naive[rows], self.values[rows]
        )  # fmt: skip


def _codes(
    names: pa.Array, place: dict[str, int], wanted: Collection[str] | None, others: set[str]
) -> npt.NDArray[np.int32]:
    """Return the place of each row's stream; −1 where it has none or nobody asks for it."""
    if pa.types.is_dictionary(names.type):
        names = names.dictionary_decode()
    encoded = pc.cast(names, pa.string()).dictionary_encode()
    known = np.full(len(encoded.dictionary) + 1, -1, np.int32)
    for number, name in enumerate(encoded.dictionary.to_pylist()):
        if wanted is None or name in wanted:
            known[number] = place.setdefault(name, len(place))
        else:
            others.add(name)
    rows = encoded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
    return np.asarray(known[rows], np.int32)


def _note_units(
    column: pa.Array, codes: npt.NDArray[np.int32], names: list[str], units: dict[str, str]
) -> None:
    """Remember the unit of each stream's first row."""
    begins = np.flatnonzero(np.diff(codes, prepend=-2))
    found, first = np.unique(codes[begins], return_index=True)
    for code, row in zip(found.tolist(), begins[first].tolist(), strict=True):
        if code >= 0 and not units.get(names[code]):
            units[names[code]] = str(column[row].as_py() or "").strip()


def _numbers(column: pa.Array) -> Floats:
    return np.asarray(
        pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64
    )


def weather(path: Path, zone: Zone, seen: Remarks) -> Series:
    """Read measured outdoor temperature [°C], sorted, one for each stamp.

    Args:
        path: With the columns ``ts`` and ``temp_c``.
        zone: The clock that stamps without an offset are read by.
        seen: What is noticed goes there, under the name of the file.

    Raises:
        KilowatchError: There is no such file, or it holds something else.
    """
    try:
        table = pq.ParquetFile(path).read(columns=["ts", "temp_c"]).combine_chunks()
        stamps, values = (table.column(name).chunk(0) for name in ("ts", "temp_c"))
        at_ms, naive, counted = instants(stamps)
        name = f"weather/{path.stem}"
        numbers = _numbers(values)
        read = Rows([name], np.array([len(at_ms)]), at_ms, naive, numbers, {}, set(), counted)
    except (OSError, pa.ArrowException, KeyError, IndexError) as error:
        raise KilowatchError("unreadable_file", f"{path} can't be read: {error}.") from error
    return by_stream(read, lambda _: zone, seen)[name]


def by_stream(rows: Rows, zone_of: Callable[[str], Zone], seen: Remarks) -> dict[str, Series]:
    """Sort the rows of each stream by time, one for each start.

    Args:
        rows: Of a file.
        zone_of: The clock of a stream, which stamps without an offset are read by.
        seen: What is noticed goes there.
    """
    found = {}
    begin = 0
    for name, end in zip(rows.names, rows.ends.tolist(), strict=True):
        part = slice(begin, end)
        begin = end
        at_ms = rows.stamp_ms[part]
        naive = rows.naive[part]
        for words in sorted(rows.counted):
            seen.add(remarks.COUNTED.format(words), [name])
        if naive.any():
            at_ms = at_ms.copy()
            known = naive & (at_ms != UNKNOWN)
            in_utc = seen.holds(remarks.NAIVE_UTC, name)
            zone = Zone.of("UTC") if in_utc else zone_of(name)
            at_ms[known], local = on_clock(at_ms[known], zone)
            seen.add(remarks.NAIVE if local and not in_utc else remarks.NAIVE_UTC, [name])
        found[name] = _sorted(name, at_ms, rows.values[part], seen)
    return found


def _sorted(name: str, at_ms: Ints, values: Floats, seen: Remarks) -> Series:
    """Sort one stream; of rows with the same start the last one with a value counts."""
    fits = (at_ms >= EARLIEST_MS) & (at_ms <= LATEST_MS)
    if not fits.all():
        seen.add(remarks.NO_STAMP, [name])
        at_ms, values = at_ms[fits], values[fits]
    if len(at_ms):
        near = np.abs(at_ms - np.median(at_ms)) <= FAR_MS
        if not near.all():
            seen.add(remarks.FAR_OFF, [name])
            at_ms, values = at_ms[near], values[near]
    if np.isinf(values).any():
        seen.add(remarks.INFINITE, [name])
        values = np.where(np.isinf(values), np.nan, values)
    if len(at_ms) > 1 and (np.diff(at_ms) <= 0).any():
        order = np.lexsort((~np.isnan(values), at_ms))  # stable: last with a value is last
        at_ms, values = at_ms[order], values[order]
        last = np.append(np.diff(at_ms) > 0, True)
        if not last.all():
            seen.add(remarks.REPEATED, [name])
            at_ms, values = at_ms[last], values[last]
    return Series(at_ms, values)
