"""The store's tables and how an older folder becomes a current one.

``reading`` is wide, one row a packet; ``interval`` and ``rollup`` are long, one row for each
channel. All three are replacing tables: of rows with an equal key the largest ``seq`` or
``version`` counts. There are no partitions, so that a block may touch any number of years.

Integers that rise by steps take (Double)Delta before ZSTD(1); floats take plain ZSTD(1): meters
send rounded decimals, on which Gorilla is worse (docs/decisions/0004-chdb-is-the-store.md).
"""

from __future__ import annotations

from kilowatch.model.parameters import CHANNEL_BY_PARAMETER, VALUE, channel_name

READING_KEYS: dict[str, str] = {
    "series": "UInt32",
    "at": "Int64",
    "offset_min": "Int16",
    "flags": "UInt8",
    "seq": "UInt64",
    "available": "Int64",
}
"""Columns of ``reading`` before its values, with their types."""

READING_VALUES: dict[int, str] = {
    channel: channel_name(channel) for channel in (VALUE, *sorted(CHANNEL_BY_PARAMETER.values()))
}
"""Channel code to its column in ``reading``."""

FIGURES: dict[str, str] = {
    "series": "UInt32",
    "generation": "UInt32",
    "channel": "UInt8",
    "start": "Int64",
    "duration": "UInt32",
    "version": "UInt64",
    "count": "UInt32",
    "mean": "Nullable(Float64)",
    "low": "Nullable(Float64)",
    "high": "Nullable(Float64)",
    "amount": "Nullable(Float64)",
    "unallocated": "Nullable(Float64)",
    "covered": "UInt32",
    "quality": "UInt8",
}
"""Columns of ``interval``; ``rollup`` has ``grain`` before them."""

SHARES: tuple[str, ...] = ("derived", "edited", "estimated", "questionable")
"""Columns of ``rollup`` for the time of each of ``blocks.SHARED`` [ms], in that order.

Roll-ups of version 1 have none: they read as derived throughout where that was their quality (a
meter without a register), and as nothing else, since only the worst of their parts was known.
"""

_CODECS = {
    "at": "DoubleDelta, ZSTD(1)",
    "start": "DoubleDelta, ZSTD(1)",
    "available": "Delta, ZSTD(1)",
    "seq": "DoubleDelta, ZSTD(1)",
    "version": "DoubleDelta, ZSTD(1)",
}

_ENGINE_SETTINGS = (
    "index_granularity = 1024, "  # a day of one channel reads 1,024 rows rather than 8,192
    "fsync_after_insert = 1, fsync_part_directory = 1"  # a write that returned survives power loss
)


def _columns(columns: dict[str, str]) -> str:
    return ", ".join(
        f"`{name}` {kind} CODEC({_CODECS.get(name, 'ZSTD(1)')})" for name, kind in columns.items()
    )


def _replacing(table: str, columns: dict[str, str], version: str, key: str) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({_columns(columns)}) "
        f"ENGINE = ReplacingMergeTree({version}) ORDER BY ({key}) SETTINGS {_ENGINE_SETTINGS}"
    )


MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        _replacing(
            "reading",
            READING_KEYS | dict.fromkeys(READING_VALUES.values(), "Nullable(Float64)"),
            "seq",
            "series, at",
        ),
        _replacing("interval", FIGURES, "version", "series, generation, channel, start"),
        _replacing(
            "rollup",
            {"grain": "UInt8"} | FIGURES,
            "version",
            "series, generation, grain, channel, start",
        ),
    ),
    tuple(
        f"ALTER TABLE rollup ADD COLUMN IF NOT EXISTS `{name}` UInt32 "
        f"DEFAULT {'if(quality = 1, covered, 0)' if name == 'derived' else '0'} CODEC(ZSTD(1))"
        for name in SHARES
    ),
)
"""Statements that lead from one version of the tables to the next; the first make version 1.

Each may be run twice: a crash can fall between a statement and the note that it was done.
"""

VERSIONS = (
    "CREATE TABLE IF NOT EXISTS schema_version (`version` UInt32) "
    f"ENGINE = MergeTree ORDER BY version SETTINGS {_ENGINE_SETTINGS}"
)
