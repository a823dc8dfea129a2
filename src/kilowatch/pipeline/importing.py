"""A file of history for one data point: first what it would do, then the same for good.

A dry run reads the lines, asks what is stored for their instants, and computes the days that
would change before and after; nothing is written. What is applied goes through the log as every
backfill does, so that the pipeline's judgement, and not the dry run's, is what counts: a packet
that arrives in between is no danger.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from kilowatch import wire
from kilowatch.client.history import PutIn
from kilowatch.client.source import Line
from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.packet import Form, Packet
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.grids import KEY_BITS, PointGrid
from kilowatch.pipeline.growth import grow, settle
from kilowatch.pipeline.recompute import READINGS_A_SLICE
from kilowatch.pipeline.rollups import roll_up
from kilowatch.pipeline.rows import Row, block_of, rows_of
from kilowatch.pipeline.state import Progress
from kilowatch.store.newest import newest_intervals, newest_readings

LINES_MAX = 250_000  # two years of 5 minutes: 100 MB while the dry run lasts
SHOWN_MAX = 100  # mistakes and contradictions that are told one by one; the rest is counted
READINGS_A_PAGE = 20_000
READINGS_MAX = 500_000  # beyond that the days before and after are left out
AROUND_MS = 62 * DAY_MS  # readings that the edges of the file may rest on: two months


class Stored(Protocol):
    """What a dry run needs of the measurements (``View`` is one)."""

    def readings(
        self, point: DataPoint, from_ms: int, to_ms: int, limit: int = 1000
    ) -> ReadingBlock:
        """Return readings as pushed for instants in [from_ms, to_ms), the first ``limit``."""

    def grid(self, point: DataPoint) -> PointGrid:
        """Return the settings that the data point's intervals are computed with."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that is no packet of the data point, with the reason."""

    line: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A line that says other values than what is stored, or than an earlier line.

    Attributes:
        line: Its number.
        at_ms: Pushed instant [ms since 1970, UTC].
        stored: Values that count, by channel.
        offered: Values of the line.
        of_line: The earlier line that it contradicts; 0 where it is what is stored.
    """

    line: int
    at_ms: int
    stored: Mapping[int, float]
    offered: Mapping[int, float]
    of_line: int = 0


@dataclass(slots=True)
class DryRun:
    """What a file would do.

    Attributes:
        lines: Lines that hold something.
        new: Readings that are not stored yet.
        identical: Lines that say what is stored, or what an earlier line said.
        conflicting: Lines that contradict; they would wait for a person.
        invalid: Lines that are no packet of the data point.
        conflicts: The first of the contradictions.
        mistakes: The first of the invalid lines.
        first_ms: Earliest new instant [ms since 1970, UTC]; None without one.
        last_ms: Latest new instant.
        before: Local days that would change, as they are; None where there are too many
            readings to tell.
        after: The same days as they would be.
    """

    lines: int = 0
    new: int = 0
    identical: int = 0
    conflicting: int = 0
    invalid: int = 0
    conflicts: list[Contradiction] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    first_ms: int | None = None
    last_ms: int | None = None
    before: IntervalBlock | None = None
    after: IntervalBlock | None = None

    def refuse(self, mistake: Mistake) -> None:
        """Count an invalid line, and keep it while there is room."""
        self.invalid += 1
        if len(self.mistakes) < SHOWN_MAX:
            self.mistakes.append(mistake)

    def contradict(self, one: Contradiction) -> None:
        """Count a contradiction, and keep it while there is room."""
        self.conflicting += 1
        if len(self.conflicts) < SHOWN_MAX:
            self.conflicts.append(one)


def dry_run(stored: Stored, point: DataPoint, lines: Iterable[Line], now_ms: int) -> DryRun:
    """Say what lines of a file would do; nothing is changed.

    Args:
        stored: The measurements.
        point: Whose history it is.
        lines: As ``client.source.read`` gives them.
        now_ms: The present [ms since 1970, UTC].

    Raises:
        KilowatchError: ``too_many_lines``; the file or the store can't be read.
    """
    run = DryRun()
    packets: dict[int, tuple[int, Row]] = {}
    shapes: dict[tuple[int, ...], tuple[int, ...]] = {}
    for line, read in _packets(point, lines, now_ms):
        run.lines += 1
        if run.lines > LINES_MAX:
            raise KilowatchError(
                "too_many_lines",
                f"The file has more than {LINES_MAX} lines.",
                remedy="Split it, or put it in with `kilowatch push FILE --backfill`.",
            )
        if isinstance(read, Mistake):
            run.refuse(read)
            continue
        row = _row(read, shapes)
        number, earlier = packets.setdefault(read.at_ms, (line.number, row))
        if earlier is row:
            continue
        if _values(earlier) == read.values:
            run.identical += 1
        else:
            run.contradict(
                Contradiction(line.number, read.at_ms, _values(earlier), read.values, number)
            )
    if packets:
        _compare(run, stored, point, packets)
    return run


class Desk(Protocol):
    """Where packets are put in: ``client.history.HistoryDesk``."""

    def put_in(
        self,
        series: int,
        packets: Iterable[tuple[bytes, Form]],
        actor: str,
        reason: str = "",
        source: Literal["import", "decision"] = "import",
    ) -> PutIn:
        """Put packets into history."""


def apply(
    desk: Desk,
    point: DataPoint,
    lines: Iterable[Line],
    now_ms: int,
    actor: str,
    reason: str = "",
) -> PutIn:
    """Put a file's packets into history; invalid lines are left out, the rest is judged there.

    Args:
        desk: The collector's.
        point: Whose history it is.
        lines: As for the dry run, read anew.
        now_ms: The present [ms since 1970, UTC].
        actor: Who does it.
        reason: Why.

    Raises:
        KilowatchError: As of ``HistoryDesk.put_in``; doing it again is safe.
    """
    bodies = (
        (line.body, Form.LOCAL)
        for line, read in _packets(point, lines, now_ms)
        if isinstance(read, Packet)
    )
    return desk.put_in(point.series, bodies, actor, reason)


def _packets(
    point: DataPoint, lines: Iterable[Line], now_ms: int
) -> Iterator[tuple[Line, Packet | Mistake]]:
    """Read lines as the push server would."""
    for line in lines:
        yield line, _read(point, line, now_ms)


def _read(point: DataPoint, line: Line, now_ms: int) -> Packet | Mistake:
    if line.mistake:
        return Mistake(line.number, "not_a_packet", line.mistake)
    try:
        packet = wire.decode(line.body, Form.LOCAL, now_ms)
    except KilowatchError as error:
        return Mistake(line.number, error.code, error.detail)
    if packet.stream_id != point.stream_id:
        detail = f"The line is about the stream {packet.stream_id!r}, not {point.stream_id!r}."
        return Mistake(line.number, "another_stream", detail)
    if packet.single != (point.kind == "single"):
        detail = f"The data point is {point.kind}; the line is not."
        return Mistake(line.number, "kind_mismatch", detail)
    return packet


def _compare(
    run: DryRun, stored: Stored, point: DataPoint, packets: Mapping[int, tuple[int, Row]]
) -> None:
    """Compare packets with what is stored for their instants, and the days that they change."""
    first_ms, last_ms = min(packets), max(packets)
    there: set[int] = set()
    for block in _readings(stored, point, first_ms, last_ms + 1):
        for row in rows_of(block.take(np.isin(block.at_ms, list(packets)))):
            line, offered = packets[row.at_ms]
            there.add(row.at_ms)
            values, said = _values(row), _values(offered)
            if all(values.get(channel) == value for channel, value in said.items()):
                run.identical += 1
            else:
                run.contradict(Contradiction(line, row.at_ms, values, said))
    new = [packets[at_ms][1] for at_ms in sorted(packets.keys() - there)]
    run.new = len(new)
    if new:
        run.first_ms, run.last_ms = new[0].at_ms, new[-1].at_ms
        _days(run, stored, point, new)


def _days(run: DryRun, stored: Stored, point: DataPoint, new: list[Row]) -> None:
    """Compute the local days that new readings change, without and with them."""
    present: list[ReadingBlock] = []
    count = len(new)
    from_ms, to_ms = new[0].at_ms - AROUND_MS, new[-1].at_ms + AROUND_MS
    for block in _readings(stored, point, from_ms, to_ms):
        present.append(block)
        count += len(block)
        if count > READINGS_MAX:
            return
    grid = stored.grid(point)
    added = block_of(np.full(len(new), point.series, np.int64), new)
    before = _rolled(ReadingBlock.concatenate(present), grid)
    after = _rolled(newest_readings(ReadingBlock.concatenate([*present, added])), grid)
    run.before, run.after = _changed(before, after), _changed(after, before)


def _rolled(readings: ReadingBlock, grid: PointGrid) -> IntervalBlock:
    """Return the local days of readings.

    Slice by slice, as history is computed again: the intervals of 100,000 packets of 18 parameters
    at once, twice, are 700 MB.

    Raises:
        KilowatchError: 409 ``preview_failed``.
    """
    series, zone = grid.point.series, grid.zone
    progress = Progress(
        first_register_ms=grid.first_register_ms, first_export_ms=grid.first_export_ms
    )
    context = ReadingBlock.empty()
    opened, days = IntervalBlock.empty(), []
    for first in range(0, len(readings), READINGS_A_SLICE):
        new = readings.take(slice(first, first + READINGS_A_SLICE))
        some = ReadingBlock.concatenate([context, new])
        now = replace(
            grid,
            first_register_ms=progress.first_register_ms,
            first_export_ms=progress.first_export_ms,
        )
        fresh = np.arange(len(some)) >= len(context)
        growth = grow(some, fresh, {series: now}, {})
        if growth.failures:
            raise KilowatchError("preview_failed", growth.failures[series], status=409)
        made = growth.intervals
        opened = opened.take(~np.isin(_keys(opened), _keys(made)))
        opened = IntervalBlock.concatenate([opened, made])
        if series in growth.streams:
            settle(progress, growth.streams[series])
            context = some.take(growth.keep)
        over = opened.start_ms < grain_start_ms([progress.since_ms], "day", zone)[0]
        days.append(roll_up(opened.take(over), "day", zone))
        opened = opened.take(~over)
    days.append(roll_up(opened, "day", zone))
    return newest_intervals(IntervalBlock.concatenate(days))


def _keys(rows: IntervalBlock) -> Ints:
    return (rows.channel << KEY_BITS) | rows.start_ms


def _changed(block: IntervalBlock, other: IntervalBlock) -> IntervalBlock:
    """Return the days of a block that the other does not have, or has otherwise."""
    figures = ("count", "mean", "amount", "unallocated")

    def rows(one: IntervalBlock) -> list[tuple[object, ...]]:
        columns = [getattr(one, name).tolist() for name in ("channel", "start_ms", *figures)]
        return [
            tuple(None if value != value else value for value in row)  # noqa: PLR0124 - NaN
            for row in zip(*columns, strict=True)
        ]

    there = set(rows(other))
    return block.take(np.array([row not in there for row in rows(block)], np.bool_))


def _readings(stored: Stored, point: DataPoint, from_ms: int, to_ms: int) -> Iterator[ReadingBlock]:
    """Return readings page by page."""
    while True:
        block = stored.readings(point, from_ms, to_ms, READINGS_A_PAGE)
        if len(block):
            yield block
        if len(block) < READINGS_A_PAGE:
            return
        from_ms = int(block.at_ms[-1]) + 1


def _row(packet: Packet, shapes: dict[tuple[int, ...], tuple[int, ...]]) -> Row:
    """Return a packet as a row, which takes a tenth of the memory."""
    channels = tuple(sorted(packet.values))
    channels = shapes.setdefault(channels, channels)
    flags = Form.LOCAL + 4 * packet.offset_kind
    values = array("d", [packet.values[channel] for channel in channels])
    return Row(packet.at_ms, packet.offset_min, flags, 0, 0, channels, values)


def _values(row: Row) -> dict[int, float]:
    return dict(zip(row.channels, row.values, strict=True))
