"""Packets that are not in their series, kept with the reason.

A discarded packet stays until a person backfills or dismisses it; the same one again only
raises its count, so that a sender that is stuck fills no disk. A refused one stays for 30
days, the newest 200 of a stream; of those beyond, the stream's counter knows.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kilowatch.log.records import NOT_CHRONOLOGICAL, KeptPacket, flags_of
from kilowatch.log.schema import insert_many
from kilowatch.model.lengths import DAY_MS
from kilowatch.wire import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from kilowatch.log.gate import Discard

REFUSED_MS_MAX: Final = 30 * DAY_MS
REFUSED_ROWS_MAX: Final = 200  # of one stream, or of one organisation's unknown streams
KEPT_BODY_BYTES_MAX: Final = 4_096  # of a refused body: enough to see what is wrong with it

_INTO: Final = (
    "kept(owner, refused, code, detail, at_ms, offset_min, flags, digest, latest_at_ms,"
    " received_ms, last_received_ms, repeats, credential_id, body, body_bytes)"
)
_AGAIN: Final = (
    "ON CONFLICT(owner, refused, ifnull(at_ms, 0), digest) DO UPDATE SET"
    " repeats = repeats + 1, last_received_ms = excluded.last_received_ms"
)
_COLUMNS: Final = (
    "id, refused, code, detail, at_ms, offset_min, flags, latest_at_ms, received_ms,"
    " last_received_ms, repeats, credential_id, body, body_bytes"
)


class Refusal(NamedTuple):
    """A packet that was answered with 400, 403 or 404.

    Attributes:
        owner: The series, or minus the organisation where no stream is known.
        code: Stable word of the refusal.
        detail: Its sentence.
        received_ms: When it came [ms since 1970, UTC].
        credential_id: Who pushed it.
        body: Its first ``KEPT_BODY_BYTES_MAX`` bytes.
        body_bytes: Its whole length.
        flags: ``Form + 4 * OffsetKind``.
    """

    owner: int
    code: str
    detail: str
    received_ms: int
    credential_id: int
    body: bytes
    body_bytes: int
    flags: int


def owner_of(series: int | None, organisation_id: int) -> int:
    """Return the number that kept packets are filed under."""
    return -organisation_id if series is None else series


def keep_discards(connection: apsw.Connection, discards: Sequence[Discard]) -> None:
    """Write a batch's discarded packets, inside its transaction."""
    rows = [
        (
            sent.series, 0, NOT_CHRONOLOGICAL, "", sent.packet.at_ms, sent.packet.offset_min,
            flags_of(sent.form, sent.packet.offset_kind), digest(sent.packet.values), latest_at_ms,
            sent.received_ms, sent.received_ms, 1, sent.credential_id, sent.body, len(sent.body),
        )
        for sent, latest_at_ms in discards
    ]  # fmt: skip
    insert_many(connection, _INTO, rows, _AGAIN)


def keep_refusals(connection: apsw.Connection, refusals: Sequence[Refusal]) -> None:
    """Write refused packets and drop the oldest of each owner beyond the bound."""
    rows = [
        (
            one.owner, 1, one.code, one.detail, None, 0, one.flags, _digest(one), None,
            one.received_ms, one.received_ms, 1, one.credential_id,
            one.body, one.body_bytes,
        )
        for one in refusals
    ]  # fmt: skip
    insert_many(connection, _INTO, rows, _AGAIN)
    for owner in {refusal.owner for refusal in refusals}:
        connection.execute(
            "DELETE FROM kept WHERE id IN (SELECT id FROM kept WHERE owner = ? AND refused = 1"
            " ORDER BY last_received_ms DESC, id DESC LIMIT -1 OFFSET ?)",
            (owner, REFUSED_ROWS_MAX),
        )


def _digest(refusal: Refusal) -> int:
    content = blake2b(refusal.code.encode() + b"\0" + refusal.body, digest_size=8).digest()
    return int.from_bytes(content, "big", signed=True)


def forget_refusals(connection: apsw.Connection, now_ms: int) -> None:
    """Delete refused packets that last came more than 30 days ago."""
    connection.execute(
        "DELETE FROM kept WHERE refused AND last_received_ms < ?", (now_ms - REFUSED_MS_MAX,)
    )


def dismiss(connection: apsw.Connection, owner: int, ids: Iterable[int] | None) -> None:
    """Delete kept packets of one owner: those named, or all that were discarded."""
    if ids is None:
        connection.execute("DELETE FROM kept WHERE owner = ? AND refused = 0", (owner,))
        return
    connection.executemany(
        "DELETE FROM kept WHERE owner = ? AND id = ?", [(owner, one) for one in ids]
    )


def put_in(connection: apsw.Connection, packets: Iterable[tuple[int, int, int]]) -> None:
    """Delete discarded packets that have come into history some other way, inside its commit.

    Otherwise a person would be offered what is there already.

    Args:
        connection: Inside a transaction.
        packets: Series, pushed instant [ms] and digest of the values of each.
    """
    connection.executemany(
        "DELETE FROM kept WHERE owner = ? AND refused = 0 AND ifnull(at_ms, 0) = ? AND digest = ?",
        packets,
    )


def read(connection: apsw.Connection, owner: int, limit: int, offset: int) -> list[KeptPacket]:
    """Return kept packets of one owner, the one that came last first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM kept WHERE owner = ?"
        " ORDER BY last_received_ms DESC, id DESC LIMIT ? OFFSET ?",
        (owner, limit, offset),
    )
    return [_packet(row) for row in rows]


def discarded(
    connection: apsw.Connection, owner: int, ids: Sequence[int] | None, limit: int
) -> list[KeptPacket]:
    """Return discarded packets of one owner, oldest instant first: those named, or the first."""
    columns, limited = f"SELECT {_COLUMNS} FROM kept", "ORDER BY at_ms, id LIMIT ?"
    if ids is None:
        rows = connection.execute(
            f"{columns} WHERE owner = ? AND refused = 0 {limited}", (owner, limit)
        )
        return [_packet(row) for row in rows]
    marks = ",".join("?" * len(ids))
    rows = connection.execute(
        f"{columns} WHERE owner = ? AND refused = 0 AND id IN ({marks}) {limited}",
        (owner, *ids, limit),
    )
    return [_packet(row) for row in rows]


def _packet(row: tuple[Any, ...]) -> KeptPacket:
    number, refused, *rest = row
    return KeptPacket(number, "refused" if refused else "discarded", *rest)
