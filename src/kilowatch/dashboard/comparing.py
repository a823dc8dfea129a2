"""A second line beside the first: the period before, a year before, or another data point.

Which days lie beside which is ``alignment.py``'s, and in the answer (``window``: ``aligned``,
``shift_days``). While a period runs, figures are compared over the time that has passed on both
sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from kilowatch.dashboard.alignment import Asked, Shift, moved_day, shift_of
from kilowatch.dashboard.drawn import (
    Chosen,
    Drawn,
    channel_columns,
    chosen,
    drawn_of,
    means_of,
    parameter_columns,
    point_columns,
    read,
    statistics_of,
)
from kilowatch.dashboard.needs import Measured
from kilowatch.dashboard.offered import Parameter, shown
from kilowatch.dashboard.periods import Grain, Window, midnight_ms, offsets
from kilowatch.model.blocks import IntervalBlock, Ints
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone

LONG_ROW_MS = 22 * HOUR_MS
"""A bucket of a day or more, however the clocks change."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The other side of a comparison, read.

    Attributes:
        asked: What the address wants.
        point: Whose figures they are.
        shift: How far back.
        first: First local day.
        last: Last local day, included.
        span: The same as instants [ms].
        until_ms: Until when the figures count [ms].
        running: Whether that is before the end, since the period still runs.
        beside: Channels drawn in the panel of a channel of the first, by this one's.
        drawn: What is drawn of ``point``.
        apart: What has a panel of its own, since units or intervals differ.
        telling: Channels of the tiles that both have.
        rows: By channel, starts as measured.
        counted: The same, cut at ``until_ms``.
        drawn_ms: By channel, where each row is drawn on the first one's axis [ms], or -1.
        means: By channel, those that rows do not tell (``drawn.means_of``).
    """

    asked: Asked
    point: DataPoint
    shift: Shift
    first: date
    last: date
    span: tuple[int, int]
    until_ms: int
    running: bool
    beside: Mapping[int, str]
    apart: Drawn
    telling: Drawn
    drawn: Drawn
    rows: Mapping[int, IntervalBlock]
    counted: Mapping[int, IntervalBlock]
    drawn_ms: Mapping[int, Ints]
    means: Mapping[int, float]


def compared(
    view: Measured,
    point: DataPoint,
    other: DataPoint,
    asked: Asked,
    frame: Window,
    own: Chosen,
    until_ms: int,
) -> Compared:
    """Read the other side of a comparison. Blocks on the store.

    Args:
        view: Measurements.
        point: The data point that is shown.
        other: The one beside it; the same for ``previous`` and ``year``.
        asked: What the address wants.
        frame: The period shown.
        own: What is drawn of ``point``.
        until_ms: Until when its figures count [ms].

    Raises:
        KilowatchError: 503 from the store.
    """
    shift = shift_of(asked.kind, frame)
    first, last, span = beside_span(asked, frame, other)
    mine, theirs = Zone.of(point.zone), Zone.of(other.zone)
    running = until_ms < frame.to_ms
    end_ms = span[1]
    if running:
        back = shift.instants(np.array([until_ms], np.int64), mine, theirs, -1)
        end_ms = int(back[0]) if back[0] >= 0 else until_ms - (frame.from_ms - span[0])
    received = view.extent(other) is not None
    grain = grain_of(frame, point, other)
    beside, apart, telling, drawn = _pairs(view, point, other, own, frame, received=received)
    codes = sorted({code for _, code in (*drawn, *telling)}) if received else []
    rows = read(view, other, codes, span, grain)
    missing = {code: IntervalBlock.empty() for _, code in (*drawn, *telling)}
    rows = {**missing, **rows}
    same = not shift.days and not shift.months and point.zone == other.zone
    drawn_ms = {
        code: some.start_ms
        if same
        else drawn_at(some.start_ms, some.duration_ms, shift, theirs, mine)
        for code, some in rows.items()
    }
    counted = _counted(view, other, rows, end_ms) if running and received else rows
    return Compared(
        asked, other, shift, first, last, span, end_ms, running, beside, apart, telling, drawn,
        rows, counted, drawn_ms, means_of(view, other, codes, span[0], end_ms),
    )  # fmt: skip


def beside_span(
    asked: Asked, frame: Window, other: DataPoint
) -> tuple[date, date, tuple[int, int]]:
    """Return the first and the last day of the other side, and the same as instants [ms]."""
    shift = shift_of(asked.kind, frame)
    first, last = moved_day(frame.first, shift), moved_day(frame.last, shift)
    if shift.months:
        last = moved_day(frame.last + timedelta(1), shift) - timedelta(1)
    return first, last, (
        midnight_ms(first, other.zone), midnight_ms(last + timedelta(1), other.zone),
    )  # fmt: skip


def grain_of(frame: Window, point: DataPoint, other: DataPoint) -> Grain:
    """Return the granularity of the other side: as long as what is shown."""
    if frame.grain != "interval" or point.interval_s == other.interval_s:
        return frame.asked
    return max(point.interval_s, other.interval_s)


def drawn_at(start_ms: Ints, duration_ms: Ints, shift: Shift, theirs: Zone, mine: Zone) -> Ints:
    """Return where buckets of the other side are drawn on the first one's axis [ms].

    Args:
        start_ms: Their starts, shape (n,) [ms].
        duration_ms: How long they are, shape (n,) [ms].
        shift: How far back the other side lies.
        theirs: The other side's clock.
        mine: The clock of the axis.

    Returns:
        Instants, shape (n,) [ms]; -1 where the axis has no such time.
    """
    at_ms = shift.instants(start_ms, theirs, mine, 1)
    # A day begins, whatever its clocks do: only parts of a day can have no counterpart.
    back = mine.wall_to_instant_ms(shift.moved(theirs.local_ms(start_ms), 1)).at_ms
    return np.where((at_ms < 0) & (duration_ms >= LONG_ROW_MS), back, at_ms)


def _counted(
    view: Measured, point: DataPoint, rows: Mapping[int, IntervalBlock], until_ms: int
) -> dict[int, IntervalBlock]:
    """Return rows as far as an instant: the bucket that holds it is read finer."""
    found = {}
    begins = min(
        (int(start) for some in rows.values()
         for start in some.start_ms[(some.start_ms < until_ms)
                                    & (some.start_ms + some.duration_ms > until_ms)]),
        default=until_ms,
    )  # fmt: skip
    codes = [code for code, some in rows.items() if len(some)]
    fine = read(view, point, codes, (begins, until_ms), "interval") if begins < until_ms else {}
    for code, some in rows.items():
        whole = some.take(some.start_ms + some.duration_ms <= until_ms)
        part = fine.get(code, IntervalBlock.empty())
        part = part.take((part.start_ms >= begins) & (part.start_ms + part.duration_ms <= until_ms))
        whole = whole.take(whole.start_ms < begins) if begins < until_ms else whole
        found[code] = IntervalBlock.concatenate([whole, part])
    return found


def _pairs(
    view: Measured,
    point: DataPoint,
    other: DataPoint,
    own: Chosen,
    frame: Window,
    *,
    received: bool,
) -> tuple[dict[int, str], Drawn, Drawn, Drawn]:
    if other.id == point.id:
        names = {code: channel_name(code) for _, code in own.drawn}
        return names, [], own.telling, own.drawn
    theirs = chosen(view, other, {"phases": "apart" if own.apart else ""}, received=received)
    beside: dict[int, str] = {}
    drawn: Drawn = []
    telling: Drawn = []
    for parameter in own.parameters:
        like = _like(parameter, theirs.offered)
        if like is None or (like.measure == "amount" and _coarser(point, other, frame)):
            continue
        mine = [code for one, code in own.drawn if one == parameter]
        codes = [code for _, code in drawn_of([like], apart=own.apart)]
        if len(codes) != len(mine):
            codes, mine = [like.total if like.total is not None else codes[0]], mine[:1]
        beside |= {code: channel_name(its) for code, its in zip(codes, mine, strict=True)}
        drawn += [(like, code) for code in codes]
        if any(one == parameter for one, _ in own.telling):
            telling.append((like, codes[0] if like.total is None else like.total))
    if drawn or not theirs.offered:
        return beside, [], telling, drawn
    alone = drawn_of(shown(theirs.offered, None)[:1], apart=False)
    return {}, alone, [], alone


def _like(parameter: Parameter, offered: list[Parameter]) -> Parameter | None:
    same = [
        one for one in offered if (one.measure, one.unit) == (parameter.measure, parameter.unit)
    ]
    return next((one for one in same if one.name == parameter.name), same[0] if same else None)


def _coarser(point: DataPoint, other: DataPoint, frame: Window) -> bool:
    """Say whether the other's amounts are of longer buckets than those that are shown."""
    asked = frame.asked
    shown_s = point.interval_s if asked == "interval" else asked if isinstance(asked, int) else 3600
    return other.interval_s > max(shown_s, point.interval_s)


def compared_columns(found: Compared) -> dict[str, Any]:
    """Return a comparison as the answer has it; ``answer.py`` documents it."""
    columns = channel_columns(found.drawn, found.rows, found.point.zone)
    for (_, code), channel in zip(found.drawn, columns, strict=True):
        channel["own_start_ms"] = channel["start_ms"]
        channel["start_ms"] = found.drawn_ms[code].tolist()
        channel["beside"] = found.beside.get(code)
    elapsed = max(0, found.until_ms - found.span[0])
    figures = statistics_of(found.drawn, found.counted, elapsed, found.until_ms, found.means)
    for (_, code), entry in zip(found.drawn, figures, strict=True):
        entry["beside"] = found.beside.get(code)
    return {
        "kind": found.asked.kind,
        "point": point_columns(found.point),
        "window": {
            "first": found.first.isoformat(),
            "last": found.last.isoformat(),
            "from_ms": found.span[0],
            "to_ms": found.span[1],
            "until_ms": found.until_ms if found.running else None,
            "shift_days": found.shift.days,
            "aligned": found.shift.aligned,
            "offsets": offsets(*found.span, found.point.zone),
        },
        "channels": columns,
        "parameters_shown": [
            parameter_columns(parameter) for parameter in dict.fromkeys(p for p, _ in found.apart)
        ],
        "statistics": figures,
        "summary": statistics_of(
            found.telling, found.counted, elapsed, found.until_ms, found.means
        ),
    }


def changes(own: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    """Write into each figure what it is compared with and how it changed, in place.

    ``change`` has ``of`` (``total`` or ``mean``), ``value`` of the other side, ``difference`` (own
    minus other), ``share`` of the other (null where that is zero), ``complete`` of the other side.

    Args:
        own: Entries of ``statistics`` or ``summary``.
        other: Those of the other side; each belongs to the channel ``beside``, or, where that is
            not said, to the figure of the same measure and unit.
    """
    for mine in own:
        theirs = next((one for one in other if _of_one_kind(mine, one)), None)
        if theirs is None:
            continue
        key = "total" if mine["measure"] == "amount" else "mean"
        value, against = mine[key], theirs[key]
        if value is None or against is None:
            continue
        mine["change"] = {
            "of": key,
            "value": against,
            "difference": value - against,
            "share": (value - against) / abs(against) if against else None,
            "complete": theirs["complete"],
        }


def _of_one_kind(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    if mine["unit"] != theirs["unit"] or mine["measure"] != theirs["measure"]:
        return False
    return "beside" not in theirs or bool(theirs["beside"] == mine["channel"])
