"""Holes in a stream's data, and what has become of each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Literal

from kilowatch.model.editing import NOTHING, Correction, Editing
from kilowatch.model.parameters import VALUE

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
        silent_ms: Of an open one, the effective instant of the packet that its silence began
            with, as it was found [ms since 1970, UTC]: history that is put in, and a clock that
            is found out, move the gap and not the silence.
    """

    series: int
    from_ms: int
    to_ms: int | None
    holes: int
    missing_ms: int
    silent_ms: int | None = None


def gap_state(
    gap: Gap,
    *,
    notified: Collection[tuple[int, int]] = (),
    editing: Editing = NOTHING,
) -> GapState:
    """Return where a gap stands in its life.

    A gap that a backfill has filled with packets is closed: the pipeline forgets it. What a person
    has decided is read off the data point's corrections, as the figures are: whoever takes one back
    changes both.

    Args:
        gap: The gap.
        notified: Of the silences that somebody was told about, ``(series, last_ms)``.
        editing: Rules and corrections of the data point.

    Returns:
        ``open`` while no packet has come (``notified`` once somebody was told); then ``found``,
        ``filled`` (by a person, or by a rule that estimates) or ``accepted``.
    """
    if gap.to_ms is None:
        return "notified" if (gap.series, gap.silent_ms) in notified else "open"
    for correction in reversed(editing.corrections):
        if not _covers(correction, gap):
            continue
        if correction.kind in {"fill", "spread", "edit"}:
            return "filled"
        if correction.kind == "accept":
            return "accepted"
    up_to_s = editing.rules.estimate_up_to_s
    estimated = up_to_s is not None and gap.holes == 1 and gap.missing_ms <= up_to_s * 1000
    return "filled" if estimated else "found"


def _covers(correction: Correction, gap: Gap) -> bool:
    """Tell whether a correction is about the gap, all of it: its range holds the middle."""
    assert gap.to_ms is not None
    if correction.channel not in {None, VALUE}:
        return False  # one parameter of many: the others are still missing
    middle_ms = (gap.from_ms + gap.to_ms) // 2
    return correction.from_ms <= middle_ms < correction.to_ms


@dataclass(frozen=True, slots=True)
class PointGaps:
    """What one data point misses over some time.

    Attributes:
        gaps: Gaps that touch it.
        missing_ms: Time without data in it [ms].
    """

    gaps: int
    missing_ms: int


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
