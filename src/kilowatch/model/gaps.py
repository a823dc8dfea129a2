"""Holes in a stream's data, and what has become of each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Literal

GapState = Literal["open", "notified", "found", "filled", "accepted"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time between two packets that is longer than the data point allows.

    Attributes:
        series: Key of the data stream.
        from_ms: Effective instant of the packet before it [ms since 1970, UTC].
        to_ms: Effective instant of the packet after it; None while none has come.
        holes: How many such times in a row are counted as this one, single packets between.
        missing_ms: Time without data: of a register all of it, of the others without the
            intervals that the packets at its ends are about [ms].
    """

    series: int
    from_ms: int
    to_ms: int | None
    holes: int
    missing_ms: int


def gap_state(
    gap: Gap,
    *,
    notified: Collection[tuple[int, int]] = (),
    filled: Collection[tuple[int, int, int]] = (),
    accepted: Collection[tuple[int, int, int]] = (),
) -> GapState:
    """Return where a gap stands in its life.

    A gap that a backfill has filled with packets is closed: the pipeline forgets it.

    Args:
        gap: The gap.
        notified: Of the silences that somebody was told about, ``(series, last_ms)``.
        filled: Gaps that estimates cover, ``(series, from_ms, to_ms)``.
        accepted: Gaps that a person has accepted as they are, likewise.

    Returns:
        ``open`` while no packet has come (``notified`` once somebody was told); then ``found``,
        ``filled`` or ``accepted``.
    """
    if gap.to_ms is None:
        return "notified" if (gap.series, gap.from_ms) in notified else "open"
    hole = (gap.series, gap.from_ms, gap.to_ms)
    if hole in filled:
        return "filled"
    return "accepted" if hole in accepted else "found"


@dataclass(frozen=True, slots=True)
class GapDay:
    """What is missing on one local day, over some data points.

    Attributes:
        day: The local date of each data point's site.
        points: Data points with a gap on it.
        gaps: Gaps that touch it.
        missing_ms: Time without data on it, all data points together [ms].
    """

    day: date
    points: int
    gaps: int
    missing_ms: int
