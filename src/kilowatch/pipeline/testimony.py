"""What all packets of one stream say about its sender's clock, in the order of their instants.

Live packets come in that order, so what they say is folded as they come (``grids.watch_clocks``).
A packet that came by itself, but too late, was kept and put in later; what it says belongs
before what newer ones said. Then everything is heard again from the first packet on, so that
the decision rests on the packets, and not on the order in which they got into the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kilowatch.log.records import BACKFILLED, KEPT
from kilowatch.model.blocks import Ints, ReadingBlock
from kilowatch.model.clock import ClockWitness
from kilowatch.pipeline.grids import Bools, PointGrid, watch_clocks


@dataclass(frozen=True, slots=True)
class Testimony:
    """What a stream's readings have said so far.

    Attributes:
        witness: What is decided, or how far it is.
        waiting: Kept packets of which the live one after them is not known yet.
    """

    witness: ClockWitness = field(default_factory=ClockWitness)
    waiting: ReadingBlock = field(default_factory=ReadingBlock.empty)

    def after(self, readings: ReadingBlock, grid: PointGrid, *, last: bool) -> Testimony:
        """Return what is said after more readings.

        Args:
            readings: The next ones of the stream, by instant. What others put into history
                says nothing: it is not told when the sender's clock showed its time.
            grid: Settings of the stream.
            last: Whether there are no more.
        """
        heard = readings.take(readings.flags & (BACKFILLED | KEPT) != BACKFILLED)
        if len(self.waiting):
            heard = ReadingBlock.concatenate([self.waiting, heard])
        live = heard.flags & BACKFILLED == 0
        until = len(heard)
        if not last:
            until = int(np.flatnonzero(live)[-1]) + 1 if live.any() else 0
        overtaken = _overtaken(heard.available_ms, live)
        spoken = heard.take(slice(0, until))
        series = grid.point.series
        said = watch_clocks(spoken, {series: grid}, {series: self.witness}, overtaken[:until])
        return Testimony(said.get(series, self.witness), heard.take(slice(until, None)))


def _overtaken(received_ms: Ints, live: Bools) -> Bools:
    """Say which packets came after a live one that is newer, shape (n,).

    Live packets come one after the other, so the next newer one came first of all newer ones.
    """
    places = np.flatnonzero(live)
    following = np.searchsorted(places, np.arange(len(live)), side="right")
    known = following < len(places)
    found = ~live
    found[known] &= received_ms[known] > received_ms[places[following[known]]]
    return found
