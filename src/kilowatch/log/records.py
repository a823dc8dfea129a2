"""What goes into the log and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from kilowatch.model.packet import Form, OffsetKind

Status = Literal["accepted", "duplicate", "discarded", "failed"]

NOT_CHRONOLOGICAL = "not_chronological"


def flags_of(form: Form, kind: OffsetKind) -> int:
    """Return form and kind of offset as one small number, as stored."""
    return form + 4 * kind


def form_of(flags: int) -> Form:
    """Return the address a packet was pushed to."""
    return Form(flags & 3)


class Entry(NamedTuple):
    """One packet in the log.

    Attributes:
        seq: Sequence number, from 1, without gaps.
        series: Key of the data stream.
        at_ms: Pushed instant [ms since 1970, UTC].
        offset_min: Pushed UTC offset [min].
        flags: ``Form + 4 * OffsetKind``.
        received_ms: When it was received [ms since 1970, UTC].
        credential_id: Who pushed it.
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

    ``accepted`` and ``discarded`` are exact; ``duplicate`` and ``refused`` may lack the
    last second before a crash.
    """

    accepted: int = 0
    duplicate: int = 0
    discarded: int = 0
    refused: int = 0
    last_accepted_ms: int | None = None
    last_duplicate_ms: int | None = None
    last_discarded_ms: int | None = None
    last_refused_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The latest packet of a stream, with the stream's counters."""

    entry: Entry
    counters: Counters


class Outcome(NamedTuple):
    """What became of a submitted packet.

    Attributes:
        status: ``failed`` means that nothing was stored: a retry can help.
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
