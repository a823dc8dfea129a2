"""Waste is what a building takes above its need, for as long as that lasts, and of one kind."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.insights.hours import Hours
from kilowatch.insights.waste import (
    LOOKBACK_H,
    Reference,
    events,
    learn,
    opening_hours,
    peers,
    standing,
    waste,
)
from kilowatch.insights.waste.days import Days
from kilowatch.insights.waste.finding import KINDS, above_need
from kilowatch.insights.waste.signs import NAMES, QUIETS, Signs, signs
from kilowatch.model.insight import EventKind
from tests.insights.waste_world import YEAR_H, index, office, with_values

WORLD = office(70)
PAST = WORLD.hours(0, YEAR_H)
REFERENCE = learn(PAST)


def _later(*change: tuple[int, int, float]) -> Hours:
    """Return the world from twelve weeks before the reference ends, with load added."""
    values = WORLD.values.copy()
    for first, end, watts in change:
        values[:, first:end] += watts
    return with_values(WORLD, values).hours(YEAR_H - 12 * 168, WORLD.count)


def _kinds(hours: Hours) -> list[tuple[EventKind, int]]:
    rate, kind = waste(REFERENCE, hours)
    return [(one.kind, one.stream) for one in events(REFERENCE, hours, rate, kind)]


def test_an_ordinary_quarter_wastes_next_to_nothing() -> None:
    """Noise around the need is not waste."""
    hours = _later()
    rate, _ = waste(REFERENCE, hours)
    assert rate.sum() < 0.001 * hours.values.sum()
    assert _kinds(hours) == []


@pytest.mark.parametrize(
    ("weekday", "hour", "length", "kind"),
    [
        (0, 20, 9, EventKind.AFTER_HOURS),
        (0, 4, 3, EventKind.EARLY_START),
        (5, 6, 12, EventKind.WEEKEND),
    ],
)
def test_each_kind_is_called_by_its_name(
    weekday: int, hour: int, length: int, kind: EventKind
) -> None:
    """Where in the week the load is too high says what was left on."""
    days = range(4) if weekday < 5 else (5, 6)
    parts = []
    for week in (60, 61, 62):
        for day in days:
            first = index(WORLD, week, day, hour)
            parts.append((first, first + length, 9_000.0))
    hours = _later(*parts)
    assert {one for one, _ in _kinds(hours)} == {kind}
    rate, _ = waste(REFERENCE, hours)
    put = sum((end - first) * watts for first, end, watts in parts)
    assert rate[0].sum() == pytest.approx(put, rel=0.25)


def test_the_ranks_that_an_hour_is_compared_with_rise() -> None:
    """Where an hour stood in eleven weeks is read off ranks, and a higher rank is never lower."""
    hours = _later((YEAR_H - 5 * 168, YEAR_H - 2 * 168, 4_000.0))
    days = Days.of(hours)
    table = signs(REFERENCE, hours, days, days.count - 14).table
    ranks = sorted(QUIETS, key=lambda name: QUIETS[name])
    read = np.stack([table[..., NAMES.index(name)] for name in ranks])
    assert np.isfinite(read).all()
    assert (np.diff(read, axis=0) >= 0).all()
    assert (read[-1] > read[0]).any()


def test_what_was_left_on_shows_in_the_least_of_days_and_in_some_hours() -> None:
    """Nights that take more every day raise their least; the rest of the day stays as it was."""
    parts = [
        (index(WORLD, 60, day, 21), index(WORLD, 60, day, 21) + 4, 9_000.0) for day in range(4)
    ]
    hours = _later(*parts)
    days = Days.of(hours)
    table = signs(REFERENCE, hours, days, 0).table[0]
    friday = int(days.row[index(hours, 60, 4, 0)])
    thursday = friday - 1
    column = {name: table[..., number] for number, name in enumerate(NAMES)}
    put = 9_000 / REFERENCE.scale[0]
    assert column["least_3"][thursday, 22] > 0.7 * put
    assert column["least_3"][thursday, 12] < 0.2 * put
    assert column["hours_q9"][friday, 0] > 0.7 * put
    assert abs(column["hours_q3"][friday, 0]) < 0.2 * put
    assert column["over_high"][thursday, 22] < column["over"][thursday, 22]


def test_a_weekend_as_it_should_be_is_no_waste_after_one_that_was() -> None:
    """Ventilation that ran for a weekend and was mended is over: the next is not held against it.

    The gate looks at the same hour of the days before, and goes on to expect as much.
    """
    values = np.round(WORLD.values, -4)
    reference = learn(with_values(PAST, values[:, :YEAR_H]))
    first = index(WORLD, 60, 5, 0)
    values[:, first : first + 54] += 12_000.0
    hours = with_values(WORLD, values).hours(YEAR_H - 12 * 168, WORLD.count)
    rate, _ = waste(reference, hours)
    at = first - (YEAR_H - 12 * 168)
    assert (rate[:, at + 6 : at + 48] > 9_000.0).all()
    after = rate[:, at + 7 * 24 : at + 9 * 24]
    assert not after.any()


def test_a_wider_dead_band_never_finds_more() -> None:
    """Each hour's waste falls to nothing as the band is widened, and never rises."""
    noisy = _later((YEAR_H + 400, YEAR_H + 700, 6_000.0))
    first = YEAR_H - (YEAR_H - 12 * 168)
    found = [waste(REFERENCE, noisy, band, first)[0] for band in (0.02, 0.1, 0.3, 0.7, 1.0)]
    for narrow, wide in pairwise(found):
        assert (wide <= narrow).all()
    assert found[0].any()
    assert not found[-1].any()


def test_a_heat_that_nobody_has_seen_is_not_judged() -> None:
    """Cooling in a heat wave beyond the reference period is no waste: its need is unknown."""
    assert WORLD.temperature_c is not None
    hot = WORLD.temperature_c.copy()
    heat = slice(index(WORLD, 61, 0, 0), index(WORLD, 62, 0, 0))
    hot[:, heat] = REFERENCE.seen_c[:, 1:] + 6
    values = WORLD.values.copy()
    values[:, heat] += 15_000
    wave = Hours(WORLD.first_ms, values, WORLD.zone, WORLD.holidays, hot)
    rate, _ = waste(REFERENCE, wave, first=YEAR_H)
    assert rate[:, heat][:, 24:].sum() == 0
    cool = waste(REFERENCE, with_values(WORLD, values), first=YEAR_H)[0]
    assert cool[:, heat].sum() > 50 * 15_000


def test_a_base_that_rose_is_seen_by_day_in_the_cold_too() -> None:
    """Nobody can say what an open hour wastes in the cold, but nights say that the base rose."""
    start = index(WORLD, 53, 0, 0)
    hours = _later((start, start + 10 * 24, 4_000.0))
    first = index(hours, 53, 0, 0)
    rate, kind = waste(REFERENCE, hours)
    by_day = [slice(first + day * 24 + 8, first + day * 24 + 18) for day in range(5)]
    creep = KINDS.index(EventKind.BASELOAD_CREEP)
    assert not rate[:, by_day[0]].any()
    assert not rate[:, by_day[1]].any()
    for third_and_later in by_day[2:]:
        assert rate[0, third_and_later].mean() == pytest.approx(4_000, rel=0.25)
        assert (kind[0, third_and_later] == creep).all()


def test_a_building_that_grew_for_good_has_grown_most_where_it_uses_most() -> None:
    """Day and night a fifth up for twelve weeks: middays may be two fifths up, and are no waste."""
    over = np.full((1, 1, 24), 0.2)
    over[..., 9:17] = 0.4
    table = np.zeros((1, 1, 24, len(NAMES)), np.float32)
    one = Signs(np.arange(1), table, over, over, np.full((1, 1), 0.2))
    assert not above_need(one).any()
    shorter = replace(one, level=np.zeros((1, 1)))
    np.testing.assert_allclose(above_need(shorter), over - 0.1)
    steep = replace(one, over=over * 2, usual=over * 2)
    np.testing.assert_allclose(above_need(steep)[..., 12], 0.4)


def test_a_building_that_needs_less_is_judged_by_what_it_needs_now() -> None:
    """A night left on reaches the old need only: it is seen above the need of late."""
    table = np.zeros((1, 1, 24, len(NAMES)), np.float32)
    at = np.zeros((1, 1, 24))
    fallen = Signs(np.arange(1), table, at, at - 0.15, np.zeros((1, 1)))
    np.testing.assert_allclose(above_need(fallen), 0.15)
    empty = replace(fallen, usual=at - 0.9)  # after a summer that nobody was there
    np.testing.assert_allclose(above_need(empty), 0.2)


def test_waste_is_never_more_than_what_was_used() -> None:
    """Nobody can save more than there was."""
    rng = np.random.default_rng(3)
    wild = with_values(WORLD, WORLD.values * rng.lognormal(0, 1, WORLD.values.shape))
    rate, kind = waste(REFERENCE, wild, first=YEAR_H)
    assert (rate >= 0).all()
    assert (rate <= wild.values).all()
    assert ((rate > 0) == (kind >= 0)).all()


def test_a_single_high_hour_is_not_waste() -> None:
    """A kettle is no waste: an hour above the dead band needs company."""
    first = index(WORLD, 60, 2, 22)
    assert _kinds(_later((first, first + 1, 20_000.0))) == []


@pytest.mark.parametrize("watts", [4e5, 4e9])
def test_a_leap_is_waste_only_once_it_lasts(watts: float) -> None:
    """A meter's fault of an hour would outweigh a year's waste; a load that stays is a load."""
    first = index(WORLD, 62, 1, 22)
    left_on = [(index(WORLD, week, day, 20), index(WORLD, week, day, 29), 9_000.0)
               for week in (60, 61, 62) for day in range(4)]  # fmt: skip
    usual = waste(REFERENCE, _later(*left_on))[0][0].sum()
    short = waste(REFERENCE, _later(*left_on, (first, first + 2, watts)))[0][0].sum()
    assert short == pytest.approx(usual, rel=0.02)
    long = waste(REFERENCE, _later(*left_on, (first, first + 5, watts)))[0][0].sum()
    assert long - usual == pytest.approx(3 * watts, rel=0.1)


def test_an_event_begins_on_the_day_on_which_it_became_one() -> None:
    """A small hour two days before a night that stayed on is none of it."""
    hours = _later()
    rate = np.zeros(hours.values.shape)
    friday = index(hours, 60, 4, 20)
    rate[0, friday - 50] = 300.0
    rate[0, friday : friday + 5] = 9_000.0
    rate[0, friday + 72 : friday + 74] = 9_000.0  # the next night of it, once it is one
    kind = np.where(rate > 0, KINDS.index(EventKind.AFTER_HOURS), -1)
    (one,) = events(REFERENCE, hours, rate, kind)
    assert one.start_ms == hours.start_ms[friday]
    assert one.hours == 7


def test_a_quiet_building_is_not_told_of_each_hour_of_chance() -> None:
    """Where three hundredths are all that hours differ by, few of them are called waste."""
    rng = np.random.default_rng(5)
    quiet = with_values(WORLD, WORLD.values * (1 + 0.03 * rng.standard_normal(WORLD.values.shape)))
    reference = learn(quiet.hours(0, YEAR_H))
    rate, kind = waste(reference, quiet, first=YEAR_H)
    judged = slice(YEAR_H, None)
    assert (rate[:, judged] > 0).mean() < 0.02
    assert events(reference, quiet, rate, kind) == []


@settings(max_examples=8, deadline=None)
@given(st.integers(YEAR_H + 200, 70 * 168 - 1), st.integers(0, 2**32 - 1))
def test_later_hours_change_nothing(cut: int, seed: int) -> None:
    """What is said of an hour is the same whatever comes after it."""
    rng = np.random.default_rng(seed)
    before = WORLD.values * rng.uniform(0.7, 1.5, WORLD.values.shape)
    after = before.copy()
    after[:, cut:] *= rng.uniform(0, 4, after[:, cut:].shape)
    worlds = with_values(WORLD, before), with_values(WORLD, after)
    one, other = (waste(REFERENCE, world, first=YEAR_H) for world in worlds)
    assert np.array_equal(one[0][:, :cut], other[0][:, :cut])
    assert np.array_equal(one[1][:, :cut], other[1][:, :cut])


@settings(max_examples=8, deadline=None)
@given(st.integers(YEAR_H, 70 * 168 - 300), st.integers(1, 300), st.booleans())
def test_batches_change_nothing(first: int, length: int, warm: bool) -> None:
    """An hour has one answer, in whatever batch it comes, with the lead that it asks for."""
    rng = np.random.default_rng(first)
    noisy = WORLD.values * rng.uniform(0.7, 1.5, WORLD.values.shape)
    whole = with_values(WORLD, noisy)
    if not warm:
        whole = Hours(whole.first_ms, whole.values, whole.zone, whole.holidays)
    everything = waste(REFERENCE, whole, first=YEAR_H)
    batch = whole.hours(first - LOOKBACK_H, first + length)
    part = waste(REFERENCE, batch, first=LOOKBACK_H)
    for all_of_it, some in zip(everything, part, strict=True):
        assert np.array_equal(all_of_it[:, first : first + length], some[:, LOOKBACK_H:])


def test_streams_are_judged_by_themselves() -> None:
    """A neighbour in the batch changes nothing."""
    hours = _later((YEAR_H + 500, YEAR_H + 900, 8_000.0))
    both, _ = waste(REFERENCE, hours)
    alone, _ = waste(REFERENCE.take(np.array([1])), hours.only(np.array([1])))
    assert np.array_equal(both[1:], alone)


def test_the_reference_stays_as_it_was_learnt() -> None:
    """It comes back from its bytes as it was, and judging changes nothing in it."""
    raw = REFERENCE.to_bytes()
    waste(REFERENCE, _later((YEAR_H, YEAR_H + 2000, 30_000.0)))
    back = Reference.from_bytes(raw)
    assert back.to_bytes() == REFERENCE.to_bytes() == raw
    assert np.array_equal(back.need, REFERENCE.need, equal_nan=True)
    assert np.array_equal(back.reach, REFERENCE.reach, equal_nan=True)
    with pytest.raises(ValueError, match="learnt again"):
        Reference.from_bytes(b"something else")


def test_one_ordinary_hour_in_seven_reaches_higher_than_high_hours_do() -> None:
    """Reach is how far above the need a building's own high hours are, at that temperature."""
    over = (PAST.values - REFERENCE.expected(PAST)) / REFERENCE.scale[:, None]
    reach = REFERENCE.reaching(PAST)
    assert (reach >= 0).all()
    assert (over > reach).mean() == pytest.approx(0.15, abs=0.03)
    still = learn(with_values(PAST, np.full(PAST.values.shape, 5.0)))
    assert not still.reach.any()


def test_unknown_hours_are_never_waste() -> None:
    """Where nothing was measured, or nothing was learnt, nothing is claimed."""
    values = WORLD.values.copy()
    values[:, YEAR_H:] = np.nan
    rate, kind = waste(REFERENCE, with_values(WORLD, values))
    assert not rate[:, YEAR_H:].any()
    assert (kind[:, YEAR_H:] == -1).all()
    short = learn(WORLD.hours(0, 10 * 24))
    assert np.isnan(short.need).all()
    assert not waste(short, WORLD)[0].any()


def test_both_changes_of_the_clock_pass() -> None:
    """A day of 23 or 25 hours gets no waste of its own."""
    hours = office(70, zone="Europe/Dublin")
    reference = learn(hours.hours(0, YEAR_H))
    rate, kind = waste(reference, hours)
    assert rate.shape == hours.values.shape == kind.shape
    assert rate[:, YEAR_H:].sum() < 0.001 * hours.values[:, YEAR_H:].sum()


def test_without_temperature_the_season_stands_in() -> None:
    """Waste is found without a thermometer too."""
    world = office(70, warm=False)
    values = world.values.copy()
    for day in range(4):
        first = index(world, 60, day, 20)
        values[0, first : first + 8] += 12_000
    reference = learn(world.hours(0, YEAR_H))
    rate, kind = waste(reference, with_values(world, values), first=YEAR_H)
    assert rate[0].sum() == pytest.approx(4 * 8 * 12_000, rel=0.35)
    nights = np.isin(kind, [KINDS.index(EventKind.AFTER_HOURS), KINDS.index(EventKind.EARLY_START)])
    assert rate[0][nights[0]].sum() > 0.95 * rate[0].sum()


def test_what_goes_by_the_weather_is_told_from_what_does_not() -> None:
    """Lights take the same at 5 and 18 °C; a boiler stands still when it is warm."""
    assert PAST.temperature_c is not None
    boiler = with_values(PAST, 2_000 * np.maximum(15 - PAST.temperature_c, 0.0))
    half = with_values(PAST, 40_000 + 2_000 * np.maximum(15 - PAST.temperature_c, 0.0))
    assert np.all((REFERENCE.weather_range > 1) & (REFERENCE.weather_range < 1.15))
    assert np.all(learn(boiler).weather_range > 5)
    assert np.all((learn(half).weather_range > 1.4) & (learn(half).weather_range < 1.8))
    cold = learn(office(52, warm=False))
    assert np.all(np.isnan(cold.weather_range)), "nobody knows the temperature"


def test_opening_hours_are_read_off_the_load() -> None:
    """Working days from 7 to 19 h; a load that is always the same says nothing."""
    learnt = opening_hours(PAST)
    week = learnt[0].reshape(7, 24)
    assert week[:5, 7:19].all()
    assert week.sum() == 60
    flat = with_values(PAST, np.full(PAST.values.shape, 5.0))
    assert opening_hours(flat).all()


def test_standing_waste_is_measured_by_the_best_month() -> None:
    """A base that rose by 4 kW stands beside the month in which it was low."""
    hours = _later((YEAR_H, 70 * 168, 4_000.0))
    first, second = standing(hours, REFERENCE.opening)
    assert first.near_base - first.best_month == pytest.approx(4_000, abs=400)
    assert first.best_month_ms < PAST.start_ms[-1]
    assert 0 < first.load_factor < 1
    assert sorted(peers([first, second])) == [0.0, 1.0]
    assert np.isnan(peers([first])).all()
    values = hours.values.copy()
    evening = 4_000 + int(np.argmax(hours.hour_of_day[4_000:] == 21))
    values[0, evening : evening + 48] = 0.0
    still, _ = standing(with_values(hours, values), REFERENCE.opening)
    assert still.best_month == pytest.approx(first.best_month, rel=0.05), "a meter that stood still"
