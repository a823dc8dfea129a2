"""A preview says what will be: the totals of each day, before and after, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kilowatch.model.blocks import SHARED, Quality
from kilowatch.model.dated import History, MeterEvent
from kilowatch.model.editing import NOTHING, Correction, Editing, Rules
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import VALUE
from kilowatch.pipeline import preview_events
from tests.pipeline.pipeline_world import DAY_MS, HOUR_MS, START_MS, World, single
from tests.pipeline.test_editing import END_MS, GAP, amounts, edit, hourly, shown

SPAN = (START_MS + 10 * HOUR_MS, START_MS + 14 * HOUR_MS)
ESTIMATED = SHARED.tolist().index(Quality.ESTIMATED)


def test_the_preview_of_a_spread_moves_no_energy(tmp_path: Path) -> None:
    """The day has 12 kWh before and after; four hours become estimated, and nothing is changed."""
    world = hourly(tmp_path, GAP)
    before = shown(world)
    editing = Editing(corrections=(Correction(1, "spread", VALUE, *SPAN),))
    preview = world.view.preview(world.points.points[1], editing, *SPAN)
    (day,) = preview.days
    assert (day.channel, day.start_ms, day.duration_ms) == (VALUE, START_MS, 24 * HOUR_MS)
    assert (day.before, day.after) == (12_000.0, 12_000.0)
    assert (day.before_completeness, day.after_completeness) == (3 / 24, 7 / 24)
    assert day.before_shares_ms[ESTIMATED] == 0
    assert day.after_shares_ms[ESTIMATED] == 4 * HOUR_MS
    assert preview.after.amount.tolist() == [2e3] * 4
    assert len(preview.before) == 2, "two of the four had a row"
    assert shown(world) == before


def test_what_was_previewed_is_what_comes(tmp_path: Path) -> None:
    """An edit on the second of three days: only that day, and the figures that will be shown."""
    world = hourly(tmp_path, {hour: 100.0 + hour for hour in range(72)})
    day_ms = START_MS + 24 * HOUR_MS
    correction = Correction(1, "edit", VALUE, day_ms, day_ms + 2 * HOUR_MS, 5e3)
    editing = Editing(corrections=(correction,))
    point = world.points.points[1]
    preview = world.view.preview(point, editing, correction.from_ms, correction.to_ms)
    edit(world, correction)
    (day,) = preview.days
    assert (day.before, day.after) == (24e3, amounts(world, "day")[day_ms])
    assert day.after == 32e3
    undone = world.view.preview(world.points.points[1], NOTHING, day_ms, day_ms + HOUR_MS)
    assert [(one.before, one.after) for one in undone.days] == [(32e3, 24e3)]


def test_a_preview_of_rules_says_what_becomes_questionable(tmp_path: Path) -> None:
    """A limit of 500 W makes every hour of the range questionable, and its energy stays."""
    world = hourly(tmp_path, {hour: float(hour) for hour in range(24)})
    rules = Editing(Rules(demand_max=500.0))
    preview = world.view.preview(world.points.points[1], rules, START_MS, START_MS + HOUR_MS)
    (day,) = preview.days
    assert day.before == day.after == 23e3
    assert day.after_shares_ms == (0, 0, 0, 23 * HOUR_MS)
    assert (preview.after.quality == Quality.QUESTIONABLE).all()


def test_nothing_changes_nothing(tmp_path: Path) -> None:
    """The same rules, a point without data, a range without a gap: an empty preview."""
    world = hourly(tmp_path, GAP)
    point = world.points.points[1]
    assert world.view.preview(point, NOTHING, *SPAN).days == ()
    later = Editing(corrections=(Correction(1, "spread", VALUE, SPAN[1], SPAN[1] + HOUR_MS),))
    assert world.view.preview(point, later, SPAN[1], SPAN[1] + HOUR_MS).days == ()
    empty = World(tmp_path, [point])
    empty.folder = tmp_path / "empty"
    empty.folder.mkdir()
    empty.start()
    assert empty.view.preview(point, NOTHING, *SPAN).days == ()


def test_a_hole_that_is_filled_has_no_before(tmp_path: Path) -> None:
    """What was not known is NaN before, never zero."""
    world = hourly(tmp_path, {0: 5.0, 1: 6.0, 50: 7.0}, behaviour="amount")
    span = (START_MS + 24 * HOUR_MS, START_MS + 26 * HOUR_MS)
    edits = Editing(corrections=(Correction(1, "edit", VALUE, *span, 5e3),))
    (day,) = world.view.preview(world.points.points[1], edits, *span).days
    assert np.isnan(day.before)
    assert day.after == 10e3
    assert day.after_completeness == pytest.approx(2 / 24)
    assert span[1] < END_MS


FELL = [(0, 999_000.0), (1, 999_400.0), (2, 999_900.0), (9, 300.0), (10, 800.0), (40, 2_000.0)]
"""Hours and figures of a dial of six digits that rolls over in a gap of seven hours."""


@pytest.mark.parametrize(
    "event",
    [
        MeterEvent("roll_over", START_MS + 9 * HOUR_MS, VALUE, width=1_000_000.0),
        MeterEvent("reset", START_MS + 9 * HOUR_MS, VALUE, first=0.0),
        MeterEvent("exchange", START_MS + 9 * HOUR_MS, VALUE, last=999_950.0, first=100.0),
        MeterEvent("bad", START_MS + 9 * HOUR_MS, VALUE),
    ],
    ids=lambda event: event.kind,
)
def test_what_was_previewed_of_a_meter_is_what_comes(tmp_path: Path, event: MeterEvent) -> None:
    """Each decision about a dial that fell: the day before and after, to the last digit."""
    one = single(1, behaviour="register", interval_s=3600, tolerance_s=1800.0, unit="Wh")
    world = World(tmp_path, [one]).start()
    for hour, figure in FELL:
        world.log.push(1, START_MS + hour * HOUR_MS, {"value": figure})
    world.catch_up()
    changed = replace(one, history=History(events=(event,)))
    span = (START_MS + 9 * HOUR_MS, START_MS + 9 * HOUR_MS)
    preview = world.view.preview_events(one, changed, span)
    before = days_of_world(world)
    assert world.view.is_current(one)
    assert not world.view.is_current(changed)
    world.points.change(1, history=changed.history)
    world.catch_up()
    after = days_of_world(world)
    assert world.view.is_current(changed)
    (day,) = [day for day in preview.days if day.channel == VALUE]
    assert (day.start_ms, day.before, day.after) == (START_MS, before[START_MS], after[START_MS])
    assert day.before_completeness == 3 / 24 or day.before != day.after
    rows = world.view.series(one, [VALUE], START_MS, START_MS + DAY_MS, "interval")
    shown = dict(zip(rows.start_ms.tolist(), rows.unallocated.tolist(), strict=True))
    assert {
        at_ms: value
        for at_ms, value in zip(
            preview.after.start_ms.tolist(), preview.after.unallocated.tolist(), strict=True
        )
        if value == value  # noqa: PLR0124 - unknown is no figure
    }.items() <= shown.items()


def test_a_preview_of_too_many_packets_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever: a shorter range is asked for."""
    one = single(1, behaviour="register", interval_s=3600, tolerance_s=1800.0, unit="Wh")
    world = World(tmp_path, [one]).start()
    for hour, figure in FELL:
        world.log.push(1, START_MS + hour * HOUR_MS, {"value": figure})
    world.catch_up()
    monkeypatch.setattr(preview_events, "READINGS_MAX", 5)
    with pytest.raises(KilowatchError, match="more than 5 packets"):
        world.view.preview_events(one, one, (START_MS, START_MS + DAY_MS))


def days_of_world(world: World) -> dict[int, float]:
    """Return each day's total, energy whose time is not known included."""
    rows = world.view.series(world.points.points[1], [VALUE], START_MS, END_MS, "day")
    totals = np.nansum([rows.amount, rows.unallocated], axis=0)
    return dict(zip(rows.start_ms.tolist(), totals.tolist(), strict=True))
