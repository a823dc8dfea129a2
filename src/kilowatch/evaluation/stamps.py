"""Reads stamps, however a file writes them: text, true times, or counts since 1970."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone

UNKNOWN = np.iinfo(np.int64).min
"""Stands for a stamp that can't be read."""
EARLIEST_MS, LATEST_MS = 0, 50_000 * DAY_MS
"""What the tables of local days hold: 1970 to 2106."""
COUNTS = (("seconds", 1e11), ("milliseconds", 1e14), ("microseconds", 1e17), ("nanoseconds", 1e20))
"""What a number counts that is smaller than this; finer ones than seconds reach back to 1973."""
DIGITS = frozenset({9, 10, 13, 15, 16, 18, 19})
"""Digits of a count in text; others are a date: 20190331, 201903311200, 20190331120000."""


def instants(stamps: pa.Array) -> tuple[Ints, Bools, frozenset[str]]:
    """Read stamps.

    Returns:
        Milliseconds, ``UNKNOWN`` where a stamp can't be read; whether it has no offset, so that
        the milliseconds are those of a wall clock; and what was counted since 1970 where stamps
        are numbers (``COUNTS``).

    Raises:
        ArrowException: The column holds neither text nor numbers nor times.
    """
    if pa.types.is_dictionary(stamps.type):
        stamps = stamps.dictionary_decode()
    if pa.types.is_null(stamps.type):
        return np.full(len(stamps), UNKNOWN), np.zeros(len(stamps), np.bool_), frozenset()
    if _is_text(stamps.type):
        return _of_text(stamps)
    if pa.types.is_integer(stamps.type) or pa.types.is_floating(stamps.type):
        return _of_counts(stamps)
    if not (pa.types.is_timestamp(stamps.type) or pa.types.is_date(stamps.type)):
        raise pa.ArrowTypeError(
            f"ts is of type {stamps.type}, neither text, number nor a timestamp"
        )
    naive = not (pa.types.is_timestamp(stamps.type) and stamps.type.tz)
    at = pc.cast(stamps, pa.timestamp("ms", stamps.type.tz if not naive else None), safe=False)
    return _ms(at), np.full(len(stamps), naive), frozenset()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _ms(stamps: pa.Array) -> Ints:
    read = pc.cast(stamps, pa.int64()).fill_null(UNKNOWN)
    return np.asarray(read.to_numpy(zero_copy_only=False), np.int64)


def _of_counts(numbers: pa.Array) -> tuple[Ints, Bools, frozenset[str]]:
    """Read counts since 1970; nulls and what is no time stay unknown."""
    if pa.types.is_floating(numbers.type):
        return _of_fractions(np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64))
    there = np.asarray(pc.is_valid(numbers).to_numpy(zero_copy_only=False), np.bool_)
    read = pc.cast(numbers, pa.int64(), safe=False).fill_null(0)
    found = np.asarray(read.to_numpy(zero_copy_only=False), np.int64)
    number, words = _counted(found.astype(np.float64), there)
    at_ms = np.select(
        [number == 0, number == 1, number == 2, number == 3],
        [found * 1000, found, found // 1000, found // 1_000_000],
    )
    return np.where(there, at_ms, UNKNOWN), np.zeros(len(found), np.bool_), words


def _counted(numbers: Floats, there: Bools) -> tuple[Ints, frozenset[str]]:
    """Say which of ``COUNTS`` each number is by its size, and the words for those that are there.

    What is larger than any of them is none.
    """
    number = np.searchsorted([most for _, most in COUNTS], np.abs(numbers), side="right")
    there = there & (number < len(COUNTS))
    return number, frozenset(COUNTS[one][0] for one in np.unique(number[there]).tolist())


def _of_fractions(numbers: Floats) -> tuple[Ints, Bools, frozenset[str]]:
    """Read counts with decimals, as of seconds; NaN is no time."""
    there = np.isfinite(numbers)
    known = np.where(there, numbers, 0.0)
    number, words = _counted(known, there)
    there &= number < len(COUNTS)
    at_ms = np.round(known * np.array([1e3, 1.0, 1e-3, 1e-6, 0.0])[number])
    found = np.where(there, at_ms, 0.0).astype(np.int64)
    return np.where(there, found, UNKNOWN), np.zeros(len(found), np.bool_), words


def _of_text(stamps: pa.Array) -> tuple[Ints, Bools, frozenset[str]]:
    first = next((one for one in stamps[:10].to_pylist() if one), "")
    if _is_count(first):
        try:
            return _of_counts(pc.cast(pc.utf8_trim_whitespace(stamps), pa.int64()))
        except pa.ArrowInvalid:
            pass  # not all of them are: row by row
    for zone in ("UTC", None):
        try:
            read = pc.cast(stamps, pa.timestamp("ms", zone))
        except pa.ArrowInvalid:
            continue
        return _ms(read), np.full(len(stamps), zone is None), frozenset()
    read_ms, naive = np.full(len(stamps), UNKNOWN), np.zeros(len(stamps), np.bool_)
    texts = stamps.to_pylist()
    for row, text in enumerate(texts):
        read_ms[row], naive[row] = of_one(text)
    counts = pa.array([int(one) for one in texts if one and _is_count(one)], pa.int64())
    return read_ms, naive, _of_counts(counts)[2]


def _is_count(text: str) -> bool:
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) in DIGITS):
        return False
    return int(digits) < 2**63 and not (len(digits) == 10 and digits.startswith("20"))


def of_one(text: str | None) -> tuple[int, bool]:
    """Read one stamp as ``instants`` reads many."""
    if text and _is_count(text):
        return int(_of_counts(pa.array([int(text)], pa.int64()))[0][0]), False
    bare = (text or "").strip()
    if bare.isdigit() and len(bare) != len("20190331"):
        return int(UNKNOWN), False
    try:
        read = datetime.fromisoformat(bare)
    except ValueError:
        return int(UNKNOWN), False
    naive = read.tzinfo is None
    away = read.replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock
    offset = read.utcoffset()
    return round(1000 * (away - offset if offset else away).total_seconds()), naive


def on_clock(wall_ms: Ints, zone: Zone) -> tuple[Ints, bool]:
    """Read stamps without an offset by a clock.

    Of an hour that comes twice in autumn the first row is the first hour, and the next one with
    the same stamp the second. A clock that shows hours which local time skips is UTC.

    Args:
        wall_ms: Stamps as if they were UTC, in the order of the file, shape (n,) [ms].
        zone: Of the place.

    Returns:
        The instants [ms], and whether they are local time.
    """
    inside = np.clip(wall_ms, EARLIEST_MS, LATEST_MS)
    read = zone.wall_to_instant_ms(inside)
    if read.nonexistent.any():
        return wall_ms, False
    twice = np.flatnonzero(read.ambiguous)
    order = twice[np.argsort(wall_ms[twice], kind="stable")]
    again = order[1:][wall_ms[order[1:]] == wall_ms[order[:-1]]]
    at_ms = np.where(inside == wall_ms, read.at_ms, wall_ms)
    later = at_ms[again] + 12 * HOUR_MS
    at_ms[again] += zone.offsets_ms(at_ms[again]) - zone.offsets_ms(later)
    return at_ms, True
