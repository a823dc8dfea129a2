"""Waste hour by hour is the waste of the whole history."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kilowatch.insights.hours import Hours
from kilowatch.insights.waste import Reference, events
from kilowatch.insights.waste.events import KINDS
from kilowatch.model.blocks import Ints
from kilowatch.model.insight import WASTE_KINDS, EventKind, InsightEvent
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.states import WasteRun
from kilowatch.pipeline.insight.stepping import _rows
from kilowatch.pipeline.insight.wasting import ended, go_on
from tests.pipeline.insight_world import MONDAY_MS

DAYS = 45
NEED, SCALE = 9_000.0, 20_000.0
WASTED = sorted(KINDS.index(kind) for kind in WASTE_KINDS)
RUN = st.tuples(
    st.integers(0, DAYS * 24 - 1), st.integers(1, 30), st.sampled_from(WASTED),
    st.floats(100.0, 30_000.0),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(RUN, max_size=25), st.lists(st.integers(1, 300), min_size=1, max_size=30))
@example([(0, 1, WASTED[0], 0.45 * SCALE), (94, 4, WASTED[0], 0.05 * SCALE)], [300])
def test_events_that_grow_hour_by_hour_are_those_of_the_whole_history(
    runs: list[tuple[int, int, int, float]], cuts: list[int]
) -> None:
    """However the hours are cut, the same events begin, grow and end with the same numbers."""
    kind = np.full(DAYS * 24, -1, np.int64)
    rate = np.zeros(DAYS * 24)
    for first, length, number, size in runs:
        kind[first : first + length] = number
        rate[first : first + length] = size
    hours = Hours(
        MONDAY_MS,
        np.full((1, DAYS * 24), NEED) + rate,
        Zone.of("Europe/Dublin"),
        np.zeros((1, DAYS * 24), np.bool_),
    )
    reference = Reference(
        0, 1, np.full((1, 3, 24, 11), NEED), np.zeros((1, 3, 24, 11), np.float16),
        np.zeros(1, np.bool_), np.array([SCALE]),
        np.zeros((1, 2, 24)), np.zeros((1, 3)), np.zeros((1, 53, 3)), np.zeros((1, 2)),
        np.zeros((1, 168), np.bool_),
    )  # fmt: skip
    whole = events(reference, hours, rate[None], kind[None])
    going: list[WasteRun] = []
    found: dict[str, InsightEvent] = {}
    first = 0
    for size in [*cuts, DAYS * 24]:
        part = slice(first, min(first + size, DAYS * 24))
        first = part.stop
        if part.start < part.stop:
            when = (hours.start_ms[part], hours.day[part], hours.hour_of_day[part])
            own = (rate[part], np.full(part.stop - part.start, NEED), kind[part])
            going, changed = go_on(1, going, when, own, SCALE)
            found |= {one.id: one for one in changed}
    _nights_are_counted(found, hours, kind)
    over = ended(1, going, SCALE)
    assert {one.id for one in over} == {one.id for one in found.values() if one.open}
    told = sorted(found.values(), key=lambda one: (one.start_ms, one.kind))
    assert len(told) == len(whole)
    for mine, theirs in zip(told, whole, strict=True):
        assert (mine.kind, mine.start_ms, mine.end_ms) == (
            theirs.kind, theirs.start_ms, theirs.end_ms,
        )  # fmt: skip
        assert (mine.found_ms, mine.open) == (theirs.found_ms, theirs.open)
        assert mine.confidence == theirs.confidence
        assert np.isclose(mine.amount, theirs.amount, rtol=1e-12)
        assert np.isclose(mine.evidence["expected"] * theirs.hours, theirs.expected)


def test_the_same_needs_are_kept_live_and_of_a_whole_day() -> None:
    """Three wasted hours of a day keep three needs, in whatever pieces the day came."""
    kind = np.full(48, -1, np.int64)
    kind[[30, 31, 40]] = WASTED[0]
    rate, need = np.where(kind >= 0, 500.0, 0.0), NEED + np.arange(48.0)
    start_ms, day = MONDAY_MS + np.arange(48) * 3_600_000, np.arange(48) // 24
    kept = []
    for step in (48, 1, 5):
        parts = [slice(first, first + step) for first in range(0, 48, step)]
        found: dict[int, float] = {}
        for part in parts:
            when = (start_ms[part], day[part], np.arange(48)[part] % 24)
            for row in _rows(1, when, (rate[part], need[part], kind[part])):
                assert row.need is not None
                hours = row.start_ms + np.arange(len(row.need)) * 3_600_000
                told = zip(hours.tolist(), row.need.tolist(), strict=True)
                found |= {at_ms: one for at_ms, one in told if np.isfinite(one)}
        kept.append(found)
    assert kept[0] == kept[1] == kept[2]
    assert list(kept[0].values()) == [NEED + hour for hour in (30, 31, 40)]


def test_use_in_mild_weather_says_how_much_its_stream_goes_by_the_weather() -> None:
    """Its title rests on that; other kinds of waste do not, and infinite is written as a number."""
    start_ms = MONDAY_MS + np.arange(24) * 3_600_000
    when = (start_ms, np.zeros(24, np.int64), np.arange(24))
    for kind, told in ((EventKind.OVER_CONDITIONING, 100.0), (EventKind.WEEKEND, None)):
        own = (np.full(24, 5e3), np.full(24, NEED), np.full(24, KINDS.index(kind)))
        _, (event, *_) = go_on(1, [], when, own, SCALE, weather_range=float("inf"))
        assert event.evidence.get("weather_range") == told
        _, (event, *_) = go_on(1, [], when, own, SCALE)
        assert "weather_range" not in event.evidence


def _nights_are_counted(found: dict[str, InsightEvent], hours: Hours, kind: Ints) -> None:
    """Of a base that crept up it is told how many of its hours lie between midnight and five."""
    for event in found.values():
        there = (hours.start_ms >= event.start_ms) & (hours.start_ms < event.end_ms)
        mine = there & (kind == KINDS.index(event.kind))
        nights = int((mine & (hours.hour_of_day < 5)).sum())
        wanted = nights if event.kind is EventKind.BASELOAD_CREEP else None
        assert event.evidence.get("night_hours") == wanted
