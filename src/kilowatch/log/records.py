"""What goes into the log and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from kilowatch.model.packet import Form, OffsetKind

Status = Literal["accepted", "duplicate", "discarded", "backfilled", "removed", "failed"]
Source = Literal["push", "kept", "import", "decision"]

NOT_CHRONOLOGICAL = "not_chronological"

BACKFILLED = 8
"""Set in the flags of a packet that was put into history: it does not move its stream."""
DECIDED = 16
"""Set beside it where a person decided that these values count at their instant."""
KEPT = 32
"""Set beside it where the packet came by itself, too late for its stream, and was kept: it is
``received_ms`` that says when it came, and it may tell something about its sender's clock."""


def flags_of(form: Form, kind: OffsetKind) -> int:
    """Return form and kind of offset as one small number, as stored."""
    return form + 4 * kind


def kind_of(flags: int) -> OffsetKind:
    """Return how a packet's timestamp named its offset."""
    return OffsetKind(flags >> 2 & 1)


def form_of(flags: int) -> Form:
    """Return the address a packet was pushed to."""
    return Form(flags & 3)


class Origin(NamedTuple):
    """Where a packet that goes into history comes from; kept with the packets.

    Attributes:
        source: ``push`` (over HTTPS), ``kept`` (it had been discarded), ``import`` (a file
            that a person put in) or ``decision`` (a conflict that a person decided).
        actor: The person or program on the server; empty for a push: the credential tells.
        reason: Why, in a person's words.
    """

    source: Source
    actor: str = ""
    reason: str = ""


class Entry(NamedTuple):
    """One packet in the log.

    Attributes:
        seq: Sequence number, from 1, without gaps.
        series: Key of the data stream.
        at_ms: Pushed instant [ms since 1970, UTC].
        offset_min: Pushed UTC offset [min].
        flags: ``Form + 4 * OffsetKind``, and ``BACKFILLED``, ``DECIDED`` and ``KEPT`` where
            they apply.
        received_ms: When it was received [ms since 1970, UTC].
        credential_id: Who pushed it; 0 where nobody did (an import, a decision).
        body: As pushed; of a merged partial packet, the merged JSON.
    """

    seq: int
    series: int
    at_ms: int
    offset_min: int
    flags: int
    received_ms: int
    credential_id: int
    body: bytes


class Arrival(NamedTuple):
    """That a packet came, without what it says.

    Attributes:
        seq: Sequence number.
        series: Key of the data stream.
        at_ms: Pushed instant [ms since 1970, UTC].
        offset_min: Pushed UTC offset [min].
        flags: ``Form + 4 * OffsetKind``.
        received_ms: When it was received [ms since 1970, UTC].
        credential_id: Who pushed it.
    """

    seq: int
    series: int
    at_ms: int
    offset_min: int
    flags: int
    received_ms: int
    credential_id: int


@dataclass(frozen=True, slots=True)
class Counters:
    """How a stream's packets were answered, and when last [ms since 1970, UTC; None: never].

    ``accepted``, ``discarded`` and ``backfilled`` are exact; ``duplicate`` and ``refused``
    may lack the last second before a crash.
    """

    accepted: int = 0
    duplicate: int = 0
    discarded: int = 0
    refused: int = 0
    last_accepted_ms: int | None = None
    last_duplicate_ms: int | None = None
    last_discarded_ms: int | None = None
    last_refused_ms: int | None = None
    backfilled: int = 0
    last_backfilled_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The latest packet of a stream, with the stream's counters."""

    entry: Entry
    counters: Counters


class Outcome(NamedTuple):
    """What became of a submitted packet.

    Attributes:
        status: ``backfilled``: in the log, and not after the stream's latest packet.
            ``removed`` answers a dismissal. ``failed`` means that nothing was stored: a
            retry can help.
        seq: Log sequence number of the packet, or of the one it repeats or comes after;
            0 when it failed.
        latest_at_ms: The stream's latest instant [ms since 1970, UTC].
        latest_offset_min: The offset it was pushed with [min].
        latest_flags: ``Form + 4 * OffsetKind`` of it.
        merged: True for a partial packet that was merged with its predecessor.
        reason: Of a discarded packet, ``not_chronological``; of a failed one, the fault.
    """

    status: Status
    seq: int = 0
    latest_at_ms: int = 0
    latest_offset_min: int = 0
    latest_flags: int = 0
    merged: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KeptPacket:
    """A packet that is not in the series of its stream, with the reason.

    Attributes:
        id: Number to dismiss it by.
        status: ``discarded`` or ``refused``.
        code: ``not_chronological``, or the error's stable word.
        detail: The error's sentence; empty for a discarded packet.
        at_ms: Its instant [ms since 1970, UTC]; None if it has no readable one.
        offset_min: Pushed UTC offset [min].
        flags: ``Form + 4 * OffsetKind``.
        latest_at_ms: What the stream's latest instant was when it came; None if refused.
        received_ms: When it came first [ms since 1970, UTC].
        last_received_ms: When it came last.
        repeats: How often the very same packet came.
        credential_id: Who pushed it first.
        body: As pushed, cut off after ``KEPT_BODY_BYTES_MAX`` bytes if refused.
        body_bytes: Its whole length.
    """

    id: int
    status: Literal["discarded", "refused"]
    code: str
    detail: str
    at_ms: int | None
    offset_min: int
    flags: int
    latest_at_ms: int | None
    received_ms: int
    last_received_ms: int
    repeats: int
    credential_id: int
    body: bytes
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Backfill:
    """Who put which packets into a stream's history: one run of one actor, source and reason.

    Attributes:
        id: Rises with each run.
        series: Key of the data stream.
        source: See ``Origin``.
        actor: See ``Origin``.
        reason: See ``Origin``.
        credential_id: Who pushed them; 0 where nobody did.
        packets: How many, repeats included.
        first_at_ms: Earliest instant among them [ms since 1970, UTC].
        last_at_ms: Latest.
        first_received_ms: When the first of them came [ms since 1970, UTC].
        last_received_ms: When the last of them came.
        first_seq: Log sequence number of the first.
        last_seq: Of the last; other packets may lie between them.
    """

    id: int
    series: int
    source: Source
    actor: str
    reason: str
    credential_id: int
    packets: int
    first_at_ms: int
    last_at_ms: int
    first_received_ms: int
    last_received_ms: int
    first_seq: int
    last_seq: int
