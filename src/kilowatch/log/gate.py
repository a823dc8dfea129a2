"""The order gate: is a packet new, a repeat, or too late?

A stream's order is decided by its instants alone. The gate holds one small state per
stream; a batch decides against it and against its own earlier decisions, and nothing of
a batch reaches the gate before its commit. So a commit that fails needs no undoing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kilowatch.log.records import (
    BACKFILLED,
    DECIDED,
    KEPT,
    NOT_CHRONOLOGICAL,
    Entry,
    Origin,
    Outcome,
    Status,
    flags_of,
)
from kilowatch.model.packet import Form, Packet
from kilowatch.wire import encode_merged, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class State(NamedTuple):
    """What the gate knows of a stream: where its latest packet is.

    Not what is in it: that is read again for the rare packet of the same instant, and so
    100,000 streams take 16 MB, and a packet in order costs no comparison.
    """

    at_ms: int
    seq: int
    offset_min: int
    flags: int


class Submission(NamedTuple):
    """A packet that waits for its answer.

    Attributes:
        series: Key of the data stream.
        packet: What its body said.
        form: The address it was pushed to.
        body: As pushed.
        received_ms: When it was received [ms since 1970, UTC].
        credential_id: Who pushed it.
        done: Called with what became of it, once that is durable.
        origin: Given, a packet that is not after the latest one goes into history.
        kept_id: The kept packet that it was, which leaves its list in the same commit.
        put_ms: When it is put into history, where it had been received before [ms].
    """

    series: int
    packet: Packet
    form: Form
    body: bytes
    received_ms: int
    credential_id: int
    done: Callable[[Outcome], None]
    origin: Origin | None = None
    kept_id: int | None = None
    put_ms: int | None = None


class Removal(NamedTuple):
    """Kept packets of a stream that a person dismisses: those named, or all discarded ones."""

    series: int
    ids: Sequence[int] | None
    done: Callable[[Outcome], None]
    body: bytes = b""  # it takes no room in the queue


class Backfilled(NamedTuple):
    """A packet on its way into history, where it comes from, its values, and when it is put in."""

    entry: Entry
    origin: Origin
    values: dict[int, float]
    put_ms: int


class Discard(NamedTuple):
    """A packet that comes too late, to be kept with its reason."""

    submission: Submission
    latest_at_ms: int


@dataclass(slots=True)
class Batch:
    """Decisions that ride on one commit.

    Args:
        states: The gate: committed states by series. Never changed here.
        next_seq: Sequence number of the first packet that is accepted.
        read: Gives a stream's latest committed entry by series and sequence number.

    Attributes:
        entries: Packets to write, in order of their sequence numbers.
        changed: States of streams that the batch moves on, by series.
        discards: Packets that come too late, to be kept.
        duplicates: Packets that say what is stored: they are counted.
        backfilled: Those of ``entries`` that go into history, with where they come from.
        removals: Kept packets to delete: series, and their numbers or None for all discarded ones.
        outcomes: Whom to tell what, in the order of submission.
    """

    states: dict[int, State]
    next_seq: int
    read: Callable[[int, int], Entry]
    entries: list[Entry] = field(default_factory=list)
    changed: dict[int, State] = field(default_factory=dict)
    discards: list[Discard] = field(default_factory=list)
    duplicates: list[Submission] = field(default_factory=list)
    backfilled: list[Backfilled] = field(default_factory=list)
    removals: list[tuple[int, Sequence[int] | None]] = field(default_factory=list)
    outcomes: list[tuple[Callable[[Outcome], None], Outcome]] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Whether anything has to be written."""
        return bool(self.entries or self.discards or self.removals)

    def decide(self, submission: Submission | Removal) -> None:
        """Decide one packet and remember what has to be written and answered."""
        if type(submission) is Removal:
            self.removals.append((submission.series, submission.ids))
            self.outcomes.append((submission.done, Outcome("removed")))
            return
        assert type(submission) is Submission
        at_ms, origin = submission.packet.at_ms, submission.origin
        state = self.changed.get(submission.series) or self.states.get(submission.series)
        if submission.kept_id is not None:
            self.removals.append((submission.series, [submission.kept_id]))
        if origin is not None and origin.source == "decision":
            self._put_into_history(submission, state, origin)
        elif state is None or at_ms > state.at_ms:
            self._accept(submission, submission.body, merged=False)
        elif at_ms == state.at_ms and self._join(submission, state):
            return
        elif origin is not None:
            self._put_into_history(submission, state, origin)
        else:
            self.discards.append(Discard(submission, state.at_ms))
            self._answer(submission, "discarded", state, reason=NOT_CHRONOLOGICAL)

    def _join(self, submission: Submission, state: State) -> bool:
        """Take a packet of the latest instant as a repeat or a part; False if it is neither."""
        latest = self._entry(submission.series, state.seq)
        earlier = values_of(latest.body, latest.flags)
        values = submission.packet.values
        if submission.form is Form.PARTIAL:
            values = {**earlier.values, **values}
        if values == earlier.values:
            self.duplicates.append(submission)
            self._answer(submission, "duplicate", state)
        elif submission.form is Form.PARTIAL:
            body = encode_merged(earlier, submission.packet, submission.body)
            self._accept(submission, body, merged=True)
        else:
            return False
        return True

    def _accept(self, submission: Submission, body: bytes, *, merged: bool) -> None:
        series, packet, form, _, received_ms, credential_id, *_ = submission
        if submission.put_ms is not None:
            received_ms = submission.put_ms
        _, at_ms, offset_min, kind, _, _ = packet
        seq = self.next_seq
        self.next_seq = seq + 1
        flags = flags_of(form, kind)
        state = State(at_ms, seq, offset_min, flags)
        self.changed[series] = state
        self.entries.append(
            Entry(seq, series, at_ms, offset_min, flags, received_ms, credential_id, body)
        )
        self._answer(submission, "accepted", state, merged=merged)

    def _put_into_history(
        self, submission: Submission, state: State | None, origin: Origin
    ) -> None:
        """Write a packet that its stream's state and latest packet know nothing of."""
        packet, seq = submission.packet, self.next_seq
        self.next_seq = seq + 1
        flags = flags_of(submission.form, packet.offset_kind) | BACKFILLED
        if origin.source == "decision":
            flags |= DECIDED
        elif origin.source == "kept":
            flags |= KEPT
        put_ms = submission.received_ms if submission.put_ms is None else submission.put_ms
        entry = Entry(
            seq,
            submission.series,
            packet.at_ms,
            packet.offset_min,
            flags,
            submission.received_ms,
            submission.credential_id,
            submission.body,
        )
        self.entries.append(entry)
        self.backfilled.append(Backfilled(entry, origin, packet.values, put_ms))
        latest = state or State(packet.at_ms, seq, packet.offset_min, flags)
        self._answer(submission, "backfilled", latest._replace(seq=seq))

    def _entry(self, series: int, seq: int) -> Entry:
        if self.entries and seq >= self.entries[0].seq:
            return self.entries[seq - self.entries[0].seq]
        return self.read(series, seq)

    def _answer(
        self,
        submission: Submission,
        status: Status,
        state: State,
        *,
        merged: bool = False,
        reason: str = "",
    ) -> None:
        at_ms, seq, offset_min, flags = state
        outcome = Outcome(status, seq, at_ms, offset_min, flags, merged, reason)
        self.outcomes.append((submission.done, outcome))
