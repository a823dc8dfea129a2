"""What is expected of a stream is known before it happens, and rests on that stream alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.insights.forecasting import (
    Model,
    TooLittleError,
    Track,
    WrongModelError,
    expect,
    follow,
    naive_scale,
    predict,
    score,
    train,
)
from kilowatch.insights.forecasting.features import Features, features
from kilowatch.insights.forecasting.windows import HISTORY_DAYS, Windows
from kilowatch.insights.hours import Hours
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone

JANUARY_MS = 1_735_689_600_000  # 2025-01-01 00:00 in Dublin, a Wednesday
MONTHS = 24 * 119  # over the spring change of the clocks on 2025-03-30


def buildings(streams: int = 24, count: int = MONTHS, seed: int = 5) -> Hours:
    """Return offices that heat: busy on working days, more when it is cold, each of its size."""
    randomness = np.random.default_rng(seed)
    start_ms = JANUARY_MS + np.arange(count) * HOUR_MS
    zone = Zone.of("Europe/Dublin")
    local = zone.local_ms(start_ms) // HOUR_MS
    weekday, hour = (local // 24 + 3) % 7, local % 24
    busy = (weekday < 5) & (hour >= 7) & (hour < 19)
    outdoor = 8 - 5 * np.cos(2 * np.pi * local / 8766) + 3 * np.sin(2 * np.pi * (hour - 9) / 24)
    size = np.exp(randomness.normal(3, 1, (streams, 1)))
    values = size * (1 + 2 * busy + 0.05 * np.maximum(15 - outdoor, 0))
    values = values * (1 + 0.05 * randomness.standard_normal((streams, count)))
    none = np.zeros((streams, count), np.bool_)
    return Hours(JANUARY_MS, values, zone, none, np.tile(outdoor, (streams, 1)))


HOURS = buildings()


@pytest.fixture(scope="module")
def model() -> Model:
    """One model of all the offices, trained on the first ninety days."""
    return train([HOURS.hours(0, 24 * 90)])


def test_a_model_knows_a_working_day_from_a_weekend(model: Model) -> None:
    """A day ahead, an office's error is its noise, a third of the weekly naive's at most."""
    rates, came, weekly = [], [], []
    for day in range(91, 112):
        origin = int(np.flatnonzero(HOURS.day - HOURS.day[0] == day)[0])
        rates.append(predict(model, HOURS, origin, 24).rate)
        came.append(HOURS.values[:, origin : origin + 24])
        weekly.append(HOURS.values[:, origin - 168 : origin - 144])
    rate, values = np.concatenate(rates, axis=2), np.concatenate(came, axis=1)
    scale = naive_scale(HOURS.values[:, : 24 * 90])
    found = score(values, np.concatenate(weekly, axis=1), rate, scale)
    assert np.median(found.mase) < 0.8
    assert (found.mase < found.naive).all()
    assert 0.84 < np.mean(found.coverage) < 0.96
    assert (np.diff(rate, axis=0) >= 0).all()


@settings(deadline=None, max_examples=25)
@given(origin=st.integers(24, MONTHS - 1), horizon=st.integers(1, 48), seed=st.integers(0, 9))
def test_what_comes_after_the_origin_changes_nothing(
    model: Model, origin: int, horizon: int, seed: int
) -> None:
    """No forecast looks ahead, at whatever hour it is made; not across a change of the clocks."""
    randomness = np.random.default_rng(seed)
    other = HOURS.values.copy()
    other[:, origin:] = randomness.choice([0.0, 1e6, np.nan], other[:, origin:].shape)
    assert HOURS.temperature_c is not None
    colder = HOURS.temperature_c.copy()
    colder[:, origin:] += randomness.choice([-15.0, 15.0, np.nan], other[:, origin:].shape)
    before = predict(model, HOURS, origin, horizon)
    changed = replace(HOURS, values=other, temperature_c=colder)
    after = predict(model, changed, origin, horizon)
    assert np.array_equal(before.rate, after.rate)
    inside = HOURS.start_ms[origin : origin + horizon]
    assert before.start_ms[: len(inside)].tolist() == inside.tolist()


@settings(deadline=None, max_examples=25)
@given(
    origin=st.integers(1, MONTHS - 48),
    chosen=st.lists(st.integers(0, 23), min_size=1, max_size=5, unique=True),
)
def test_a_forecast_rests_on_its_own_stream_alone(
    model: Model, origin: int, chosen: list[int]
) -> None:
    """Whoever stands beside a stream in a batch, its numbers are the same to the last bit."""
    for one in (model, None):
        whole = predict(one, HOURS, origin)
        part = predict(one, HOURS.only(np.array(chosen)), origin)
        assert np.array_equal(whole.rate[:, chosen], part.rate)


@settings(deadline=None, max_examples=25)
@given(
    share=st.floats(0, 1), seed=st.integers(0, 9), origin=st.integers(1, MONTHS), own=st.booleans()
)
def test_whatever_is_missing_a_forecast_is_a_number(
    model: Model, share: float, seed: int, origin: int, *, own: bool
) -> None:
    """Missing hours never make a gap in a forecast; of an empty stream nothing is said."""
    randomness = np.random.default_rng(seed)
    holes = np.where(randomness.random(HOURS.values.shape) < share, np.nan, HOURS.values)
    found = predict(model if own else None, replace(HOURS, values=holes), origin)
    seen = (~np.isnan(holes[:, max(0, origin - 24 * 55) : origin])).any(axis=1)
    assert not np.isnan(found.rate[:, seen]).any()
    assert (found.rate[:, seen] >= 0).all()


def test_of_a_stream_that_was_never_seen_nothing_is_said(model: Model) -> None:
    """An empty stream has no forecast, rather than an invented one."""
    empty = replace(HOURS, values=np.full_like(HOURS.values, np.nan))
    for one in (model, None):
        said = predict(one, empty, 500)
        assert np.isnan(said.rate).all()
        beside = np.concatenate([HOURS.values[:1], empty.values[1:]])
        others = predict(one, replace(HOURS, values=beside), 500)
        assert said.source[1:] == others.source[1:], "whoever is asked about beside it"
        assert np.isnan(others.rate[:, 1:]).all()


def test_a_new_data_point_has_a_forecast_within_its_first_day(model: Model) -> None:
    """Six hours after its first value, a prior or the global model says what is coming."""
    young = HOURS.hours(24 * 60, 24 * 65)
    prior = predict(None, young, 6, utility="electricity")
    assert set(prior.source) == {"prior"}
    assert (prior.rate[4] > prior.rate[0]).all()
    off = np.abs(prior.rate[2, :, :24] - young.values[:, 6:30]).mean(axis=1)
    assert (off < 0.8 * young.values[:, 6:30].mean(axis=1)).all()
    assert set(predict(model, young, 6).source) == {"global"}
    assert set(predict(model, HOURS, 24 * 14).source) == {"own"}


def test_the_same_history_trains_the_same_model(model: Model) -> None:
    """Training is repeatable: a model's name stands for its content."""
    again = train([HOURS.hours(0, 24 * 90)])
    assert again.version == model.version
    read = Model.from_bytes(model.to_bytes())
    assert read.version == model.version
    assert np.array_equal(predict(read, HOURS, 2000).rate, predict(model, HOURS, 2000).rate)


def test_bytes_that_are_no_model_are_refused() -> None:
    """A damaged file is told from a model, with what to do about it."""
    with pytest.raises(WrongModelError, match="train again"):
        Model.from_bytes(b"something else")
    with pytest.raises(WrongModelError, match="of this version"):
        Model.from_bytes(b"kwfc2\nof the version before")
    with pytest.raises(WrongModelError, match="damaged"):
        Model.from_bytes(b"kwfc3\nnonsense")


def test_too_few_streams_train_no_model() -> None:
    """Nineteen streams teach a prior's worth: the model waits for the twentieth."""
    with pytest.raises(TooLittleError, match="19 streams"):
        train([HOURS.only(slice(0, 19))])
    with pytest.raises(TooLittleError, match="0 streams"):
        train([HOURS.hours(0, 24 * 50)])


def test_a_stream_that_leaves_its_band_gets_a_wider_one(model: Model) -> None:
    """A building that became restless is not called strange every day for ever."""
    randomness = np.random.default_rng(0)
    track = Track.start(HOURS.streams)
    inside = []
    for day in range(50, 110):
        origin = int(np.flatnonzero(HOURS.day - HOURS.day[0] == day)[0])
        found = predict(model, HOURS, origin, 24, track=track)
        came = HOURS.values[:, origin : origin + 24]
        came = came * (1 + 0.15 * randomness.standard_normal(came.shape))
        inside.append(((came >= found.rate[0]) & (came <= found.rate[4])).mean())
        track = follow(track, found, came)
    assert np.mean(inside[:7]) < 0.7
    assert np.mean(inside[-14:]) > 0.82
    joined = Track.join([track.take(slice(0, 5)), track.take(slice(5, None))])
    assert np.array_equal(Track.from_bytes(joined.to_bytes()).width, track.width)


def test_hours_that_are_not_in_the_grid_yet_are_forecast_too(model: Model) -> None:
    """Live, the grid ends at the origin: the forecast goes on over its end."""
    live = HOURS.hours(0, 2000)
    assert np.array_equal(predict(model, live, 2000).rate, predict(model, HOURS, 2000).rate)


@pytest.mark.parametrize(("origin", "horizon"), [(0, 24), (MONTHS + 1, 24), (100, 0), (100, 49)])
def test_times_that_cannot_be_are_refused(origin: int, horizon: int) -> None:
    """A forecast of nothing, or of a time out of reach, is a mistake of the caller."""
    with pytest.raises(ValueError, match=r"horizon|origin"):
        predict(None, HOURS, origin, horizon)


def test_several_midnights_at_once_say_what_each_says_alone(model: Model) -> None:
    """A replay may look at weeks together: to the last bit, over a clock change and holidays."""
    closed = np.isin(HOURS.day - HOURS.day[0], (80, 87, 95))
    hours = replace(HOURS, holidays=np.tile(closed, (HOURS.streams, 1)))
    midnights = np.flatnonzero(np.diff(HOURS.day, prepend=0))[76:94]
    lengths = np.minimum(np.diff(midnights), 24).tolist()
    origins = midnights[:-1].tolist()
    assert set(lengths) == {23, 24}
    for one in (model, None):
        for made in expect(one, hours, origins, lengths):
            alone = predict(one, hours, made.origin, len(made.start_ms))
            assert np.array_equal(made.band().rate, alone.rate)
            assert np.array_equal(made.start_ms, alone.start_ms)


def test_the_day_before_a_holiday_is_known_as_one(model: Model) -> None:
    """A day's band rests on whether the next day is a holiday, also if it ends before that."""
    origin = int(np.flatnonzero(HOURS.day - HOURS.day[0] == 100)[0])
    closed = np.tile(HOURS.day - HOURS.day[0] == 101, (HOURS.streams, 1))
    seen: list[bool] = []

    def looked(cut: Windows, aheads: tuple[int, ...]) -> Features:
        seen.append(bool(cut.holiday[:, HISTORY_DAYS + 1].all()))
        return features(cut, aheads)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kilowatch.insights.forecasting.predicting.features", looked)
        predict(model, replace(HOURS, holidays=closed), origin, 24)
    assert seen == [True]


def test_a_fault_is_not_learnt_and_a_level_that_stays_is(model: Model) -> None:
    """A meter that stood still, fell to zero or leapt moves no forecast; another use does."""
    origin = int(np.flatnonzero(HOURS.day - HOURS.day[0] == 100)[0])
    usual = predict(model, HOURS, origin, 24).rate[2]

    def far(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
        said = predict(model, replace(HOURS, values=values), origin, 24).rate[2]
        return float(np.median(np.abs(said - usual).mean(axis=1) / usual.mean(axis=1)))

    still, zero, spike, back, more = (HOURS.values.copy() for _ in range(5))
    still[:, origin - 40 : origin - 4] = still[:, origin - 41 : origin - 40]
    zero[:, origin - 20 : origin - 4] = 0.0
    spike[:, origin - 30 : origin - 27] *= 8
    back[:, origin - 10] = -100 * usual.mean(axis=1)  # a register that was set back
    more[:, origin - 24 * 21 :] *= 1.5
    assert far(still) < 0.06
    assert far(zero) < 0.06
    assert far(spike) < 0.02
    assert far(back) < 0.02
    assert 0.35 < far(more) < 0.6
