"""A net sees a whole day, a ridge sees one stream: what each adds to the trees, and that it may."""

import numpy as np

from kilowatch.insights.forecasting.features import NAMES
from kilowatch.insights.forecasting.net import Day, Net
from kilowatch.insights.forecasting.surprises import surprises
from kilowatch.insights.forecasting.teaching import Lessons, teach
from kilowatch.insights.forecasting.windows import AHEAD_DAYS, HISTORY_DAYS, Windows
from kilowatch.model.blocks import Floats


def some_days(count: int = 300) -> Day:
    """Return days described by noise, with a weekday each."""
    chance = np.random.default_rng(3)
    columns = chance.standard_normal((count, len(NAMES), 24)).astype(np.float32)
    for name in ("weekday", "kind", "yesterday_kind"):
        columns[:, NAMES.index(name)] = chance.integers(0, 7, (count, 1))
    columns[:, NAMES.index("lead")] = np.arange(24)
    return Day.of(columns)


def taught(days: Day) -> tuple[Net, Floats]:
    """Return a net that was taught that Saturdays' afternoons are high, and what it was taught."""
    saturday = days.marks[:, 5] == 1
    truth = np.where(saturday[:, None] & (np.arange(24) >= 12), 2.0, 0.0)
    truth = truth + days.straight
    truth[::5, 3] = np.nan
    return teach(Lessons(days, truth, np.ones(len(truth))), seed=1, nets=2), truth


def test_a_net_learns_what_days_have_in_common_and_says_it_of_each_day_alone() -> None:
    """It finds the Saturdays; and whoever stands beside a day, its numbers stay the same."""
    days = some_days()
    net, truth = taught(days)
    said = net.say(days)
    off = np.abs(said - truth)[~np.isnan(truth)].mean()
    assert off < 0.5 * np.abs(days.straight - truth)[~np.isnan(truth)].mean()
    assert np.array_equal(Net.read(net.content()).say(days), said)
    for rows in (np.array([7]), np.array([250, 3, 7]), np.arange(40, 61)):
        assert np.array_equal(net.say(days.take(rows)), said[rows])


def windows_of(values: Floats) -> Windows:
    """Return what is known at a midnight after eight weeks of the same kind of day."""
    n, whole = len(values), HISTORY_DAYS + AHEAD_DAYS
    cut = np.concatenate([values, np.full((n, 1, 24), np.nan)], axis=1)
    unknown = np.full((n, whole, 24), np.nan)
    kind = np.zeros((n, whole), np.int64)
    zero = np.zeros(n, np.int64)
    return Windows(cut, unknown, kind, kind > 0, zero, zero + 20_000)


def test_a_surprise_that_lasts_is_told_from_one_that_does_not() -> None:
    """Where yesterday's surprise used to go on, it is expected to; where it didn't, it is not."""
    chance = np.random.default_rng(1)
    fresh = chance.standard_normal((200, HISTORY_DAYS + 1))
    lasting = np.zeros_like(fresh)
    for day in range(1, HISTORY_DAYS + 1):
        lasting[:, day] = 0.8 * lasting[:, day - 1] + 0.6 * fresh[:, day]
    for truth, better in ((lasting, 0.85), (fresh, 0.0)):
        hours = np.repeat(truth[:, :, None], 24, axis=2)
        cut = windows_of(hours[:, :-1])
        said = surprises(cut, cut.values, 0)
        own = np.abs(said["own_middle"] - hours[:, -1]).mean()
        usual = np.abs(said["own_base"] - hours[:, -1]).mean()
        assert own < better * usual if better else own < 1.1 * usual


def test_of_a_stream_without_a_past_no_surprise_is_told() -> None:
    """Three days are too few for similar days of most kinds: nothing is made up, nothing fails."""
    values = np.full((2, HISTORY_DAYS, 24), np.nan)
    values[1, -3:] = 1.0
    cut = windows_of(values)
    said = surprises(cut, cut.values, 1)
    assert np.isnan(said["own_middle"][0]).all()
    assert np.array_equal(said["own_shift"], np.zeros((2, 24)))
    assert (said["own_base"][1] == 1.0).all()
