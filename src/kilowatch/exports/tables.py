"""The table that all writers write: Arrow batches, with what a column means beside its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.exports.plan import Plan
from kilowatch.model.blocks import Ints, Quality
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.lengths import MINUTE_MS
from kilowatch.model.zones import Zone

HALF_HOUR_MS = 1_800_000
Kind = Literal["local", "offset", "utc", "text", "number", "count", "share"]

TYPES: dict[Kind, pa.DataType] = {
    "local": pa.timestamp("ms"),
    "offset": pa.int16(),
    "utc": pa.timestamp("ms", "UTC"),
    "text": pa.string(),  # in batches as codes into a dictionary: names repeat
    "number": pa.float64(),
    "count": pa.int64(),
    "share": pa.float64(),
}
CODED = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, slots=True)
class Heading:
    """A column.

    Attributes:
        name: What programs call it.
        kind: What is in it; ``local`` is followed by its ``offset`` [min].
        unit: Of its numbers; empty where each row has its own.
        people: What people call it; empty for a word of the catalogue by ``name``.
    """

    name: str
    kind: Kind
    unit: str = ""
    people: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What is written.

    Attributes:
        headings: The columns.
        batches: The rows; reading them asks the store.
        zone: Zone of local times; empty where each row has that of its site.
    """

    headings: Sequence[Heading]
    batches: Iterator[pa.RecordBatch]
    zone: str

    @property
    def schema(self) -> pa.Schema:
        """The schema of the file."""
        return schema_of(self.headings)


def schema_of(headings: Sequence[Heading], *, coded: bool = False) -> pa.Schema:
    """Return the schema of a table; units are in the columns' metadata.

    Args:
        headings: The columns.
        coded: That of batches, in which texts are codes into a dictionary.
    """
    return pa.schema(
        [
            pa.field(
                one.name,
                CODED if coded and one.kind == "text" else TYPES[one.kind],
                metadata={"unit": one.unit} if one.unit else None,
            )
            for one in headings
        ]
    )


def times(plan: Plan) -> list[Heading]:
    """Return the headings of a row's instant."""
    what = "time" if plan.asked.grain == "source" else "start"
    found = [
        Heading(f"{what}_local", "local"),
        Heading("utc_offset_min", "offset", "min"),
        Heading(f"{what}_utc", "utc"),
    ]
    if "half_hours" in plan.asked.extras:
        found.append(Heading("half_hour", "count"))
    return found


def instants(plan: Plan, at_ms: Ints, zone: Zone, offset_ms: Ints | None = None) -> list[pa.Array]:
    """Return the columns of ``times``.

    Args:
        plan: The export.
        at_ms: Instants, shape (n,) [ms].
        zone: Of local times.
        offset_ms: Local time minus UTC where it was pushed, shape (n,) [ms].
    """
    offsets = zone.offsets_ms(at_ms) if offset_ms is None else offset_ms
    found = [
        pa.array(at_ms + offsets).cast(TYPES["local"]),
        pa.array((offsets // MINUTE_MS).astype(np.int16)),
        pa.array(at_ms).cast(TYPES["utc"]),
    ]
    if "half_hours" in plan.asked.extras:
        found.append(pa.array(half_hours(at_ms, zone)))
    return found


def half_hours(at_ms: Ints, zone: Zone) -> Ints:
    """Return the number of the half hour of its local day that each instant lies in, shape (n,).

    The first is 1. A day has 48, and where the clock changes 46 or 50: they are counted in time
    that passes, as settlement periods are.
    """
    return (at_ms - grain_start_ms(at_ms, "day", zone)) // HALF_HOUR_MS + 1


def numbers(values: npt.NDArray[np.float64]) -> pa.Array:
    """Return numbers; what is unknown is empty."""
    return pa.array(values, from_pandas=True)


def qualities(codes: Ints) -> pa.Array:
    """Return the words of qualities; a code below zero is no quality."""
    return texts(codes, _quality_words(), codes < 0)


@cache
def _quality_words() -> pa.Array:
    """Return the names of qualities. Made at first use: Arrow loads pandas for it (0.12 s)."""
    return pa.array([quality.name.lower() for quality in sorted(Quality)])


def texts(
    codes: Ints, words: pa.Array | Sequence[str], unknown: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return words by their codes, shape (n,); columns of the same array of codes share it."""
    places = codes if isinstance(codes, pa.Array) else pa.array(codes, pa.int32(), mask=unknown)
    return pa.DictionaryArray.from_arrays(places, pa.array(words, pa.string()))
