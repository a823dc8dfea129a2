"""Which part of a timestamp to believe: the offset, or the wall clock of the site.

Some clients send local time with ``+00:00`` always. The *effective* instant of a packet
is the one that intervals, days and lateness are computed with (decision record 0006).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kilowatch.model.blocks import Ints
from kilowatch.model.lengths import MINUTE_MS
from kilowatch.model.packet import OffsetKind
from kilowatch.model.zones import Zone

Decision = Literal["offset", "wall", "undecided"]

FOR_OFFSET, FOR_WALL, NO_EVIDENCE, NOT_ON_THE_WALL = 1, -1, 0, 2
"""What one packet says: see ``evidence``."""

CONSISTENT_IN_A_ROW = 3  # one late or early packet must not decide; three of a kind do
AHEAD_MS = 120_000  # a meter's clock may run two minutes fast
LIVE_MS = 900_000  # a packet that is older than this and than its interval is history


def live_window_ms(gap_ms: int) -> int:
    """Return how old a packet may be to count as live [ms]: its longest silence, or 15 min."""
    return max(gap_ms, LIVE_MS)


def effective_ms(
    at_ms: Ints, offset_min: Ints, flags: Ints, decision: Decision, zone: Zone
) -> Ints:
    """Return the instants that intervals are computed with.

    ``offset``: the pushed instant. ``wall`` and ``undecided``: the local part, read in the
    site's zone (the first of two when it occurs twice; the instant of the clock change
    when it does not occur). A ``Z``, and a packet pushed as UTC, always mean their
    instant; so does an offset other than zero that is the site's own at that instant,
    because then both readings agree, and only it tells apart the two hours of autumn.

    Args:
        at_ms: Pushed instants, shape (n,) [ms].
        offset_min: Pushed offsets, shape (n,) [min].
        flags: ``Form + 4 * OffsetKind``, shape (n,).
        decision: What is known about the stream's clock.
        zone: The site's time zone.
    """
    if decision == "offset":
        return at_ms
    pushed_ms = offset_min * MINUTE_MS
    meant = (flags >> 2 & 1) == OffsetKind.ZULU
    agrees = (offset_min != 0) & (zone.offsets_ms(at_ms) == pushed_ms)
    wall_ms = zone.wall_to_instant_ms(at_ms + pushed_ms).at_ms
    return np.where(meant | agrees, at_ms, wall_ms)


def evidence(
    at_ms: Ints,
    offset_min: Ints,
    flags: Ints,
    received_ms: Ints,
    window_ms: int | Ints,
    zone: Zone,
) -> Ints:
    """Say what each packet tells about its sender's clock.

    A ``Z`` or an offset other than zero comes from a client that knows offsets, unless the
    instant lies in the future while the wall clock's reading does not. ``+00:00`` says
    something only where the two readings differ: a live packet arrives from 2 min before
    its instant to ``window_ms`` after it, so when exactly one of them fits, that one is
    meant. When both fit, or none (history), the packet says nothing; but a local time that
    does not exist in the site's zone was never shown by a clock on its wall.

    Args:
        at_ms: Pushed instants, shape (n,) [ms].
        offset_min: Pushed offsets, shape (n,) [min].
        flags: ``Form + 4 * OffsetKind``, shape (n,).
        received_ms: When the packets arrived, shape (n,) [ms].
        window_ms: How old a live packet may be [ms], one for all or shape (n,).
        zone: The site's time zone.

    Returns:
        ``FOR_OFFSET``, ``FOR_WALL``, ``NOT_ON_THE_WALL`` or ``NO_EVIDENCE``, shape (n,).
    """
    wall = zone.wall_to_instant_ms(at_ms + offset_min * MINUTE_MS)
    knows_offsets = (offset_min != 0) | ((flags >> 2 & 1) == OffsetKind.ZULU)
    late_offset_ms, late_wall_ms = received_ms - at_ms, received_ms - wall.at_ms
    fits_offset = (late_offset_ms >= -AHEAD_MS) & (late_offset_ms <= window_ms)
    fits_wall = (late_wall_ms >= -AHEAD_MS) & (late_wall_ms <= window_ms)
    for_wall = fits_wall & np.where(knows_offsets, late_offset_ms < -AHEAD_MS, ~fits_offset)
    for_offset = np.where(knows_offsets, ~for_wall, fits_offset & ~fits_wall)
    says = np.where(for_offset, FOR_OFFSET, np.where(for_wall, FOR_WALL, NO_EVIDENCE))
    return np.where(wall.nonexistent & ~knows_offsets, NOT_ON_THE_WALL, says)


@dataclass(frozen=True, slots=True)
class ClockWitness:
    """What a stream's packets have shown about its clock so far; a plain value to store.

    Depends on the packets in the order of their instants: the same ones give the same decision.

    Attributes:
        decision: ``undecided`` until the evidence suffices; then it stays.
        reason: One sentence for the data point's status.
        run: Pieces of evidence of one kind in a row; positive for ``offset``.
        for_offset: Packets that spoke for the offset.
        for_wall: Packets that spoke for the wall clock.
    """

    decision: Decision = "undecided"
    reason: str = "No packet has shown yet whether the offset is meant: shown as sent."
    run: int = 0
    for_offset: int = 0
    for_wall: int = 0

    def with_evidence(self, pieces: Iterable[int]) -> ClockWitness:
        """Return the witness after more packets, in the order of their instants."""
        witness = self
        for piece in pieces:
            if piece != NO_EVIDENCE:
                witness = witness._after(int(piece))
        return witness

    def _after(self, piece: int) -> ClockWitness:
        for_wall = piece == FOR_WALL
        step = -1 if for_wall else 1
        counted = replace(
            self,
            run=self.run + step if self.run * step > 0 else step,
            for_offset=self.for_offset + (not for_wall),
            for_wall=self.for_wall + for_wall,
        )
        if self.decision != "undecided":
            return counted
        if piece == NOT_ON_THE_WALL and self.for_wall == 0:
            return replace(
                counted,
                decision="offset",
                reason="A packet carried a local time that the change to summer time skips: "
                "no clock at the site showed it, so the offset is meant.",
            )
        if abs(counted.run) < CONSISTENT_IN_A_ROW:
            return counted
        return replace(counted, decision="wall" if for_wall else "offset", reason=_why(for_wall))


def _why(for_wall: bool) -> str:  # noqa: FBT001 - two sentences
    if for_wall:
        return (
            f"{CONSISTENT_IN_A_ROW} live packets in a row arrived when the site's wall clock "
            "showed their local time: their offset is not meant."
        )
    return (
        f"{CONSISTENT_IN_A_ROW} packets in a row carried an offset of their own, or arrived "
        "at the instant that their offset gives: the offset is meant."
    )
