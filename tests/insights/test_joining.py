"""One cause is one event, wherever and as whatever it was seen."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kilowatch.insights.joining import Kinship, join, merged, others_of
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import HOUR_MS

TREE = Kinship({1: 7, 2: 7, 3: 7, 4: 7}, {1: None, 2: 1, 3: 2, 4: 1})
"""Supply 1 feeds 2 and 4; 2 feeds 3."""


def event(series: int, kind: EventKind, start_h: int, hours: int, found_h: int = 0) -> InsightEvent:
    """Return an event of some hours."""
    start_ms = start_h * HOUR_MS
    return InsightEvent(
        id=f"{series}-{kind}-{start_h}",
        series=series,
        kind=kind,
        start_ms=start_ms,
        end_ms=start_ms + hours * HOUR_MS,
        open=False,
        found_ms=start_ms + (found_h or 3) * HOUR_MS,
        amount=1000.0,
        confidence=0.9,
    )


def test_a_weekend_that_is_seen_at_submeter_and_supply_is_one_event() -> None:
    """The heating that stayed on is told once, at its own meter, with the supply beside it."""
    own = event(3, EventKind.WEEKEND, 10, 40)
    events = [
        event(1, EventKind.MISSED_SHUTDOWN, 12, 36, found_h=9),
        own,
        event(3, EventKind.NIGHT_LOAD, 14, 30, found_h=9),
        event(2, EventKind.LEVEL_SHIFT, 10, 38, found_h=20),
    ]
    causes = join(events, TREE)
    assert set(causes.values()) == {own.id}
    assert others_of(events, causes) == {own.id: (1, 2)}


def test_what_the_supply_shows_belongs_to_the_meter_whose_time_is_most_like_it() -> None:
    """The weekend of the ventilation is no part of lights that burn since the month began."""
    lights = event(4, EventKind.OVER_CONDITIONING, 0, 600)
    fans = event(2, EventKind.WEEKEND, 300, 48)
    supply = event(1, EventKind.WEEKEND, 300, 47)
    causes = join([lights, fans, supply], TREE)
    assert causes == {lights.id: lights.id, fans.id: fans.id, supply.id: fans.id}


def test_what_one_meter_proves_is_not_only_indicative() -> None:
    """The voltage of a site is one: ten-minute means at one meter decide for quarter-hours."""
    coarse = replace(
        event(1, EventKind.VOLTAGE, 10, 40), confidence=0.6, amount=float("nan"),
        evidence={"indicative": True, "lowest_v": 201.0},
    )  # fmt: skip
    fine = replace(
        event(4, EventKind.VOLTAGE, 10, 40, found_h=5), confidence=0.95, amount=float("nan"),
        evidence={"indicative": False, "lowest_v": 199.0},
    )  # fmt: skip
    assert set(join([coarse, fine], TREE).values()) == {coarse.id}
    seen = merged(coarse, [fine])
    assert seen.confidence == 0.95
    assert seen.evidence == {"indicative": False, "lowest_v": 201.0, "proved_elsewhere": True}
    alone = merged(coarse, [replace(fine, evidence={"indicative": True})])
    assert alone == coarse
    assert merged(fine, [coarse]) == fine


def test_what_happens_at_sisters_or_at_another_time_stays_apart() -> None:
    """Two tenants that each forgot the lights are two causes, and so are two weekends."""
    events = [
        event(3, EventKind.WEEKEND, 10, 40),
        event(4, EventKind.WEEKEND, 10, 40),
        event(3, EventKind.WEEKEND, 178, 40),
        replace(event(1, EventKind.LEVEL_SHIFT, 12, 36), amount=-1000.0),
    ]
    assert join(events, TREE) == {one.id: one.id for one in events}


def test_a_power_cut_is_one_event_at_all_meters_of_a_site() -> None:
    """When the supply fails, a message for each meter would hide what happened."""
    events = [event(series, EventKind.DROPOUT, 10 + series % 2, 5) for series in (1, 2, 3, 4)]
    assert len(set(join(events, TREE).values())) == 1


COMPUTED = replace(
    TREE, made_of={20: frozenset({2, 4}), 21: frozenset({20, 2, 4, 1}), 22: frozenset({4})}
)
"""20 is 2 and 4 together, 21 what 1 has beside it, 22 meter 4 by area."""


def test_what_shows_in_a_formula_is_told_at_the_meter_that_it_happened_at() -> None:
    """A dial that stands still lowers the sum and raises what is left over: one event, once."""
    own = replace(event(2, EventKind.STUCK, 10, 40), amount=-500.0)
    events = [
        event(20, EventKind.LEVEL_SHIFT, 10, 38),
        event(21, EventKind.SPIKE, 12, 36),
        own,
    ]
    assert set(join(events, COMPUTED).values()) == {own.id}
    assert others_of(events, join(events, COMPUTED)) == {own.id: (20, 21)}
    alone = [event(20, EventKind.WEEKEND, 10, 40), event(22, EventKind.WEEKEND, 12, 40)]
    assert len(set(join(alone, COMPUTED).values())) == 1, "both are made of 4"
    supply = [event(1, EventKind.WEEKEND, 10, 40), event(22, EventKind.WEEKEND, 10, 40)]
    assert set(join(supply, COMPUTED).values()) == {supply[0].id}, "1 feeds what 22 is made of"


def test_a_slow_drift_of_one_input_does_not_hide_what_happens_to_another() -> None:
    """Weeks of a creeping baseload and an evening's spike of the sum are two causes."""
    events = [event(2, EventKind.DRIFT, 10, 500), event(20, EventKind.SPIKE, 100, 3)]
    assert join(events, COMPUTED) == {one.id: one.id for one in events}
    other = [event(3, EventKind.SPIKE, 100, 3), event(22, EventKind.SPIKE, 100, 3)]
    assert join(other, COMPUTED) == {one.id: one.id for one in other}, "22 is not made of 3"


def test_a_friday_evening_and_its_weekend_are_one_event_with_both_amounts() -> None:
    """People read of the whole weekend under the name that they were told on Friday."""
    friday = event(3, EventKind.AFTER_HOURS, 18, 6)
    weekend = replace(event(3, EventKind.WEEKEND, 25, 46), amount=9000.0, evidence={"actual": 31})
    anomaly = replace(event(3, EventKind.MISSED_SHUTDOWN, 31, 40), amount=9500.0)
    events = [friday, weekend, anomaly]
    assert set(join(events, TREE).values()) == {friday.id}
    seen = merged(friday, [anomaly, weekend])
    assert (seen.id, seen.kind, seen.amount) == (friday.id, EventKind.WEEKEND, 10_000.0)
    assert (seen.start_ms, seen.end_ms) == (friday.start_ms, weekend.end_ms)
    assert seen.evidence["actual"] == 31
    assert [part["kind"] for part in seen.evidence["parts"]] == [
        "after_hours", "weekend", "missed_shutdown",
    ]  # fmt: skip
    assert merged(friday, [replace(weekend, series=1)]) is friday


def test_a_peak_that_turns_out_to_last_is_the_beginning_of_what_lasts() -> None:
    """Two hours after closing it was a peak; by midnight it is a weekend that stayed on."""
    peak = event(3, EventKind.SPIKE, 18, 8, found_h=2)
    lasting = [
        event(3, EventKind.AFTER_HOURS, 18, 6, found_h=4), event(3, EventKind.WEEKEND, 24, 48),
    ]  # fmt: skip
    assert set(join([peak, *lasting], TREE).values()) == {peak.id}
    higher = event(3, EventKind.LEVEL_SHIFT, 19, 56, found_h=4)
    mild = event(3, EventKind.OVER_CONDITIONING, 50, 340)
    assert set(join([peak, higher, mild], TREE).values()) == {peak.id}, (
        "and of what follows on that"
    )
    amid = event(3, EventKind.SPIKE, 40, 3)
    assert join([event(3, EventKind.NIGHT_LOAD, 18, 200), amid], TREE)[amid.id] == amid.id


def test_a_rhythm_that_shifts_to_another_sum_is_another_level() -> None:
    """Nineteen times the gas is no time switch: it is of the waste that goes on after it."""
    mild = event(3, EventKind.OVER_CONDITIONING, 30, 300)
    for ratio, together in ((19.3, 1), (1.05, 2)):
        shifted = replace(event(3, EventKind.CLOCK_SHIFT, 10, 100), evidence={"ratio": ratio})
        assert len(set(join([shifted, mild], TREE).values())) == together


def test_what_is_wrong_with_a_meter_is_one_event_and_not_one_for_each_day() -> None:
    """A clock that shows to be out of step on three days of a week is out of step once."""
    for kind, again in ((EventKind.CLOCK_SHIFT, {}), (EventKind.STUCK, {"again": "day"})):
        days = [
            replace(event(3, kind, 24 * day, 12), amount=way * 50.0, evidence=again)
            for day, way in ((0, 1), (2, -1), (9, 1), (25, 1))
        ]
        causes = join(days, TREE)
        assert [causes[one.id] for one in days] == [days[0].id] * 3 + [days[3].id]
    other = [days[0], replace(days[1], evidence={"again": "line"})]
    assert len(set(join(other, TREE).values())) == 2, "another pattern is another matter"


@given(
    st.lists(
        st.builds(
            event,
            st.integers(1, 4),
            st.sampled_from(list(EventKind)),
            st.integers(0, 60),
            st.integers(1, 50),
            st.integers(1, 30),
        ),
        max_size=12,
        unique_by=lambda one: one.id,
    ),
    st.randoms(),
)
def test_the_order_in_which_events_are_given_does_not_matter(
    events: list[InsightEvent], chance: object
) -> None:
    """Replayed or live, in one piece or in many: the same findings belong together."""
    shuffled = list(events)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    causes = join(events, TREE)
    assert join(shuffled, TREE) == causes
    assert all(causes[cause] == cause for cause in causes.values())


def test_what_goes_on_for_weeks_hides_no_other_fault() -> None:
    """A fuse that blows in a month of high voltage is told; a lost neutral is both at once."""
    volts = event(1, EventKind.VOLTAGE, 0, 600)
    sums = event(1, EventKind.PHASE_SUM, 24, 500)
    fuse = event(1, EventKind.PHASE_LOSS, 300, 20)
    gone = event(1, EventKind.DROPOUT, 400, 10)
    causes = join([volts, sums, fuse, gone], TREE)
    assert len(set(causes.values())) == 4
    neutral = event(1, EventKind.PHASE_LOSS, 1, 20)
    assert set(join([volts, neutral], TREE).values()) == {volts.id}


def test_a_register_that_fell_is_part_of_nothing_else() -> None:
    """Somebody has to say what it was: not under a level that shifted, nor at another meter."""
    fell = replace(event(2, EventKind.NEGATIVE, 50, 1), evidence={"fell": 1})
    other = replace(event(1, EventKind.NEGATIVE, 50, 1), evidence={"fell": 1})
    level = event(2, EventKind.LEVEL_SHIFT, 10, 300)
    assert len(set(join([fell, other, level], TREE).values())) == 3
