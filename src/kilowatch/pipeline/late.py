"""Packets that went into history: new, known already, or in conflict with what is stored.

A late reading is stored like any other, and its stream's figures are computed again once no
more come; the packets that arrive meanwhile are shown as ever. What a packet comes to depends
on the log's order alone. After a crash the store may know packets that the cursor is not past:
a stored row whose number is not smaller than the packet's own is what it came to the first time.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kilowatch.log import Entry
from kilowatch.log.records import BACKFILLED, DECIDED, KEPT, form_of
from kilowatch.model.blocks import ReadingBlock
from kilowatch.model.packet import Form
from kilowatch.pipeline.conflicts import CONFLICTS_MAX, Conflict, Key
from kilowatch.pipeline.rows import Row, block_of, rows_of
from kilowatch.pipeline.streams import Streams
from kilowatch.store.newest import newest_readings
from kilowatch.wire import digest

INSTANTS_A_QUERY = 2_000  # 60 KB of SQL; the engine takes 256 KB

Place = tuple[int, int]
"""Series and instant."""


def is_late(flags: int) -> bool:
    """Tell whether a packet went into history."""
    return bool(flags & BACKFILLED)


@dataclass(slots=True)
class Late:
    """What the late packets of a batch come to.

    Attributes:
        rows: By series, readings to store: new ones, and ones that replace another.
        packets: By series, readings whose instant was not there before.
        seq: By series, the last packet that history has to be computed again for.
        kept: Series that got a packet which had come by itself: it may speak of the clock.
        conflicts: New ones, and ones that are decided now.
        undecided: By series, how many more conflicts wait for a person (fewer: negative).
        uncounted: By series, conflicts beyond ``CONFLICTS_MAX``.
    """

    rows: dict[int, list[Row]] = field(default_factory=dict)
    packets: dict[int, int] = field(default_factory=dict)
    seq: dict[int, int] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    conflicts: dict[Key, Conflict] = field(default_factory=dict)
    undecided: dict[int, int] = field(default_factory=dict)
    uncounted: dict[int, int] = field(default_factory=dict)

    def readings(self) -> ReadingBlock:
        """Return the readings to store, sorted by series and instant."""
        parts = [
            block_of(np.full(len(rows), series, np.int64), rows)
            for series, rows in self.rows.items()
        ]
        return newest_readings(ReadingBlock.concatenate(parts)) if parts else ReadingBlock.empty()


class LateReadings:
    """Judges late packets against what is stored; one thread uses it.

    Args:
        streams: Where stored and unwritten readings are.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def judge(
        self, packets: Sequence[tuple[Entry, Row]], live: Mapping[int, Sequence[Row]]
    ) -> Late:
        """Say what late packets come to; nothing is changed yet.

        Args:
            packets: In the order of the log.
            live: The other new readings of the same batch, by series.

        Raises:
            KilowatchError: The store could not be read.
        """
        late = Late()
        if not packets:
            return late
        known = self._known(packets, live)
        for entry, row in packets:
            place = (entry.series, row.at_ms)
            stored = self._judge(late, entry, row, known.get(place))
            if stored is not None:
                known[place] = stored
                late.rows.setdefault(entry.series, []).append(stored)
        return late

    def _judge(self, late: Late, entry: Entry, row: Row, prior: Row | None) -> Row | None:
        """Judge one packet; return the row to store, if any."""
        series, decided = entry.series, bool(entry.flags & DECIDED)
        if decided:
            self._settle(late, entry, row)
        if prior is None:
            late.packets[series] = late.packets.get(series, 0) + 1
            self._note(late, entry)
            return row
        counts = row if decided else self._joined(late, entry, row, prior)
        if prior.seq >= row.seq:  # it was stored before a crash; history tells what was counted
            self._note(late, entry)
            return None
        if counts is not None:
            self._note(late, entry)
        return counts

    @staticmethod
    def _note(late: Late, entry: Entry) -> None:
        """Note that history has to be computed again for a packet."""
        late.seq[entry.series] = entry.seq
        if entry.flags & KEPT:
            late.kept.add(entry.series)

    def _joined(self, late: Late, entry: Entry, row: Row, prior: Row) -> Row | None:
        """Return what a packet and the reading of its instant make; None for the reading itself."""
        stored, offered = _values(prior), _values(row)
        differs = any(stored.get(channel, value) != value for channel, value in offered.items())
        adds = not offered.keys() <= stored.keys()
        if prior.seq == row.seq or not (differs or adds):
            return None
        if not differs and form_of(entry.flags) is Form.PARTIAL:
            return _merged(row, stored | offered)
        self._ask(late, entry, row, prior)
        return None

    def _ask(self, late: Late, entry: Entry, row: Row, prior: Row) -> None:
        """Keep a contradiction for a person, unless it was kept or decided before."""
        stored, offered = _values(prior), _values(row)
        series, at_ms = entry.series, row.at_ms
        key = (series, at_ms, digest(offered))
        for one in self._conflicts(late, series, at_ms):
            if one.key == key or (one.decided_seq and dict(one.stored) == offered):
                return
        kept = self._streams.states[series].conflicts if series in self._streams.states else 0
        if kept + late.undecided.get(series, 0) >= CONFLICTS_MAX:
            late.uncounted[series] = late.uncounted.get(series, 0) + 1
            return
        late.undecided[series] = late.undecided.get(series, 0) + 1
        late.conflicts[key] = Conflict(
            *key, row.seq, row.offset_min, entry.flags, entry.received_ms, entry.credential_id,
            entry.body, stored, prior.seq,
        )  # fmt: skip

    def _settle(self, late: Late, entry: Entry, row: Row) -> None:
        """Close the conflicts of an instant: a person has decided."""
        series = entry.series
        for one in self._conflicts(late, series, row.at_ms):
            if not one.decided_seq and one.seq < row.seq:
                late.conflicts[one.key] = replace(one, decided_seq=row.seq)
                late.undecided[series] = late.undecided.get(series, 0) - 1

    def _conflicts(self, late: Late, series: int, at_ms: int) -> list[Conflict]:
        found = {one.key: one for one in self._streams.conflicts.at(series, at_ms)}
        found |= {key: one for key, one in late.conflicts.items() if key[:2] == (series, at_ms)}
        return list(found.values())

    def _known(
        self, packets: Sequence[tuple[Entry, Row]], live: Mapping[int, Sequence[Row]]
    ) -> dict[Place, Row]:
        """Return the readings that are there for the packets' instants, the newest of each."""
        places = sorted({(entry.series, row.at_ms) for entry, row in packets})
        instants: dict[int, list[int]] = {}
        for series, at_ms in places:
            instants.setdefault(series, []).append(at_ms)
        _, hot = self._streams.hot.snapshot(lambda: None)
        own = self._streams.store.own
        parts: list[ReadingBlock] = []
        for series, some in instants.items():
            blocks = hot.readings(series, some[0], some[-1] + 1)
            parts += [block.take(np.isin(block.at_ms, some)) for block in blocks]
        for start in range(0, len(places), INSTANTS_A_QUERY):
            asked: dict[int, list[int]] = {}
            for series, at_ms in places[start : start + INSTANTS_A_QUERY]:
                asked.setdefault(series, []).append(at_ms)
            # Nearly none are there, and whole rows cost eight times as much to look for.
            there = own.instants_there(asked)
            if there:
                parts.append(own.readings_at(there))
        found = newest_readings(ReadingBlock.concatenate(parts))
        keys = zip(found.series.tolist(), found.at_ms.tolist(), strict=True)
        known = dict(zip(keys, rows_of(found), strict=True))
        for series in instants:
            for row in live.get(series, ()):
                known[series, row.at_ms] = row
        return known


def _values(row: Row) -> dict[int, float]:
    return dict(zip(row.channels, row.values, strict=True))


def _merged(row: Row, values: Mapping[int, float]) -> Row:
    channels = tuple(sorted(values))
    return row._replace(
        channels=channels, values=array("d", [values[channel] for channel in channels])
    )
