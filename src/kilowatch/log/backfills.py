"""Who put what into history: written with the packets, kept when their segments are gone.

Each packet comes alone, so packets of one stream, source, actor and reason that follow each
other make one run: a file of a year is one line of history and not 100,000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kilowatch.log.records import Backfill
from kilowatch.log.schema import insert_many
from kilowatch.model.lengths import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from kilowatch.log.gate import Backfilled

    _Key = tuple[int, str, str, str, int]

RUN_PAUSE_MS: Final = HOUR_MS  # a gateway that retries for a while goes on in its run
_COLUMNS: Final = (
    "id, series, source, actor, reason, credential_id, packets, first_at_ms, last_at_ms,"
    " first_received_ms, last_received_ms, first_seq, last_seq"
)
_COUNTED_AGAIN: Final = (
    "ON CONFLICT(series) DO UPDATE SET backfilled = backfilled + excluded.backfilled,"
    " last_backfilled_ms = excluded.last_backfilled_ms"
)


def write(connection: apsw.Connection, backfilled: Sequence[Backfilled]) -> None:
    """Count a batch's packets that went into history and note who put them there."""
    if not backfilled:
        return
    key: _Key
    runs: dict[_Key, list[Backfilled]] = {}
    counts: dict[int, tuple[int, int]] = {}
    for one in backfilled:
        entry, origin, *_ = one
        key = (entry.series, origin.source, origin.actor, origin.reason, entry.credential_id)
        runs.setdefault(key, []).append(one)
        counts[entry.series] = (counts.get(entry.series, (0, 0))[0] + 1, one.put_ms)
    for key, run in runs.items():
        _write_run(connection, key, run)
    insert_many(
        connection,
        "streams(series, backfilled, last_backfilled_ms)",
        [(series, *count) for series, count in counts.items()],
        _COUNTED_AGAIN,
    )


def _write_run(connection: apsw.Connection, key: _Key, run: Sequence[Backfilled]) -> None:
    entries = [one.entry for one in run]
    instants = [entry.at_ms for entry in entries]
    received = [one.put_ms for one in run]
    connection.execute(
        "UPDATE backfills SET packets = packets + ?, first_at_ms = min(first_at_ms, ?),"
        " last_at_ms = max(last_at_ms, ?), first_received_ms = min(first_received_ms, ?),"
        " last_received_ms = max(last_received_ms, ?), last_seq = ? WHERE id = ("
        "SELECT id FROM backfills WHERE series = ? AND source = ? AND actor = ? AND reason = ?"
        " AND credential_id = ? AND last_received_ms >= ? ORDER BY id DESC LIMIT 1)",
        (
            len(run), min(instants), max(instants), min(received), max(received),
            entries[-1].seq, *key, min(received) - RUN_PAUSE_MS,
        ),
    )  # fmt: skip
    if connection.changes():
        return
    connection.execute(
        "INSERT INTO backfills(series, source, actor, reason, credential_id, packets,"
        " first_at_ms, last_at_ms, first_received_ms, last_received_ms, first_seq, last_seq)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *key, len(run), min(instants), max(instants), min(received), max(received),
            entries[0].seq, entries[-1].seq,
        ),
    )  # fmt: skip


def read(connection: apsw.Connection, series: int, limit: int, offset: int) -> list[Backfill]:
    """Return a stream's runs, the newest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM backfills WHERE series = ? ORDER BY id DESC LIMIT ? OFFSET ?",
        (series, limit, offset),
    )
    return [Backfill(*row) for row in rows]
