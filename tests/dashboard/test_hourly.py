"""Hours as charts of insights draw them: what is missing, and what is not simply measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kilowatch.dashboard.hourly import actual_columns, by_point, hourly, missing_of
from kilowatch.model.blocks import Quality
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from tests.dashboard.fakes import FakeView, rows_of, starts_of
from tests.pipeline.interval_cases import data_point

BEGIN_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS
END_MS = BEGIN_MS + 2 * DAY_MS


@pytest.fixture
def point() -> DataPoint:
    """Return a meter with a packet every quarter of an hour."""
    return replace(data_point(), interval_s=900)


def drawn(
    point: DataPoint, lost: tuple[int, int], span: tuple[int, int], now_ms: int
) -> tuple[FakeView, dict[str, object]]:
    """Return what is drawn of two days from which some hours are lost."""
    starts = starts_of(point, BEGIN_MS, END_MS)
    gone = (starts >= BEGIN_MS + lost[0] * HOUR_MS) & (starts < BEGIN_MS + lost[1] * HOUR_MS)
    starts = starts[~gone]
    rows = rows_of(point, 0, starts, amount=np.full(len(starts), 7.0))
    rows.quality[3] = Quality.ESTIMATED
    rows.quality[4:6] = [Quality.EDITED, Quality.QUESTIONABLE]
    view = FakeView()
    view.put(point, rows)
    hours = by_point(hourly(view, [point], *span), point)
    return view, actual_columns(view, point, hours, span, now_ms)


def test_hours_that_could_be_known_and_are_not_are_missing(point: DataPoint) -> None:
    """Hatched like in Breakdown: not before the first packet, and not what is still to come."""
    span = (BEGIN_MS - DAY_MS, END_MS + DAY_MS)
    _, found = drawn(point, (5, 9), span, END_MS + 60_000)
    assert found["missing"] == [[BEGIN_MS + 5 * HOUR_MS, BEGIN_MS + 9 * HOUR_MS]]
    _, found = drawn(point, (5, 9), span, END_MS + 5 * HOUR_MS + 60_000)
    assert found["missing"] == [
        [BEGIN_MS + 5 * HOUR_MS, BEGIN_MS + 9 * HOUR_MS],
        [END_MS, END_MS + 5 * HOUR_MS],
    ], "of one that has stopped everything up to now"
    _, found = drawn(point, (5, 6), (BEGIN_MS, END_MS), END_MS)
    assert found["missing"] == [[BEGIN_MS + 5 * HOUR_MS, BEGIN_MS + 6 * HOUR_MS]]


def test_hours_that_are_not_simply_measured_say_why(point: DataPoint) -> None:
    """A quarter of an hour that was estimated is enough; of two reasons the worse is told."""
    _, found = drawn(point, (5, 9), (BEGIN_MS, END_MS), END_MS)
    assert found["doubt"] == [BEGIN_MS, BEGIN_MS + HOUR_MS]
    assert found["why"] == ["estimated", "questionable"]
    view = FakeView()
    nothing = by_point({}, point)
    assert actual_columns(view, point, nothing, (BEGIN_MS, END_MS), END_MS) == {
        "start": [], "value": [], "missing": [], "doubt": [], "why": [],
    }  # fmt: skip


def test_hours_of_a_clock_at_half_past_are_those_that_are_missing(point: DataPoint) -> None:
    """In Kolkata an hour begins at half past of UTC; what is known is not hatched by halves."""
    first_ms = BEGIN_MS + HOUR_MS // 2
    view, there = FakeView(), replace(point, zone="Asia/Kolkata")
    starts = starts_of(there, first_ms - HOUR_MS // 4, END_MS)
    gone = (starts >= first_ms + 5 * HOUR_MS) & (starts < first_ms + 7 * HOUR_MS)
    starts = starts[~gone]
    view.put(there, rows_of(there, 0, starts, amount=np.full(len(starts), 7.0)))
    span = (first_ms - 12 * HOUR_MS, first_ms + DAY_MS)
    known = np.array([first_ms + n * HOUR_MS for n in range(24) if n not in (5, 6)], np.int64)
    assert missing_of(view, there, known, span, END_MS) == [
        [first_ms + 5 * HOUR_MS, first_ms + 7 * HOUR_MS]
    ]
