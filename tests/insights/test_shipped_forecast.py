"""The forecasting model that ships speaks from the first day; installations learn on from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kilowatch.insights.forecasting import (
    Model,
    TooLittleError,
    adapt,
    naive_scale,
    predict,
    score,
    shipped,
)
from kilowatch.insights.forecasting.features import NAMES
from kilowatch.insights.hours import Hours
from tests.insights.test_forecasting import buildings

HOURS = buildings()
LEARNT_H = 24 * 90


@pytest.fixture(scope="module")
def own() -> Model:
    """What 24 offices make of the shipped model in ninety days."""
    return adapt(shipped(), [HOURS.hours(0, LEARNT_H)])


def off(model: Model | None, hours: Hours, days: range) -> tuple[float, float]:
    """Return error and coverage of some days, each forecast at its midnight."""
    rates, origins = [], [int(np.flatnonzero(hours.day - hours.day[0] == day)[0]) for day in days]
    rates = [predict(model, hours, origin, 23).rate for origin in origins]
    came = [hours.values[:, origin : origin + 23] for origin in origins]
    rate, values = np.concatenate(rates, axis=2), np.concatenate(came, axis=1)
    scale = naive_scale(HOURS.values[:, :LEARNT_H])
    found = score(values, values, rate, scale)
    return float(np.median(found.mase)), float(np.mean(found.coverage))


def test_the_model_in_the_package_is_one_of_this_version() -> None:
    """Whoever changes what an hour is described by, makes the shipped model again."""
    model = shipped()
    assert model.ships
    assert Model.from_bytes(model.to_bytes()).version == model.version
    assert len(model.to_bytes()) < 2_000_000
    assert len(NAMES) == len(set(NAMES))


def test_a_new_building_is_known_better_on_its_first_days_than_similar_days_know_it() -> None:
    """On most first days, and on all after a week, it errs less than similar days and a load shape.

    Not on the first Saturday of an office: that nobody is there then, a load shape guesses.
    """
    for shown, least in ((1, 4), (7, 7)):
        better = 0
        for day in range(60, 67):  # each day of the week is the first one once
            young = HOURS.hours(24 * (day - shown), 24 * (day + 2))
            assert set(predict(shipped(), young, 24 * shown, 24).source) == {"shipped"}
            near = range(shown, shown + 1)
            better += off(shipped(), young, near)[0] < 0.8 * off(None, young, near)[0]
        assert better >= least


def test_an_installation_learns_on_from_the_shipped_model(own: Model) -> None:
    """Its own streams make it better on days to come, and its band fits them."""
    assert not own.ships
    assert set(predict(own, HOURS, LEARNT_H).source) == {"own"}
    error, coverage = off(own, HOURS, range(91, 112, 2))
    assert error < 0.97 * off(shipped(), HOURS, range(91, 112, 2))[0]
    assert 0.84 < coverage < 0.96
    assert own.trained_on["streams"] == HOURS.streams


def test_the_same_history_teaches_the_same(own: Model) -> None:
    """A model's name stands for its content; what streams are called or cost plays no part."""
    assert adapt(shipped(), [HOURS.hours(0, LEARNT_H)]).version == own.version


def test_too_few_streams_teach_nothing() -> None:
    """Nineteen streams wait for the twentieth: until then the shipped model speaks."""
    with pytest.raises(TooLittleError, match="19 streams"):
        adapt(shipped(), [HOURS.only(slice(0, 19))])


def test_what_would_make_the_net_worse_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weeks that are held out decide: a net that has unlearnt what it knew is dropped."""
    base = shipped()
    first, offset, last, end = base.net.layers
    spoilt = replace(base.net, layers=(first, offset, last, end + 2.0))
    monkeypatch.setattr(
        "kilowatch.insights.forecasting.adapting.go_on", lambda *_args, **_named: spoilt
    )
    found = adapt(base, [HOURS.hours(0, LEARNT_H)])
    assert found.net is base.net


def test_each_week_a_model_learns_what_is_new_and_stays_what_it_was(own: Model) -> None:
    """From itself, with a week and as many days to be reminded of: a fraction of the first time."""
    later = HOURS.hours(0, LEARNT_H + 168)
    again = adapt(own, [later])
    assert again.version != own.version
    assert again.trained_on["to_ms"] == int(later.start_ms[-1])
    assert again.trained_on["hours"] < 0.3 * own.trained_on["hours"]
    days = range(98, 112, 3)
    assert off(again, HOURS, days)[0] < 1.03 * off(own, HOURS, days)[0]
    assert 0.84 < off(again, HOURS, days)[1] < 0.96
