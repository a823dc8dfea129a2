"""Which model speaks of a stream: the installation's, or the one that ships."""

from dataclasses import replace

import numpy as np
import pytest

from kilowatch.insights.forecasting import Track, WrongModelError, predict, shipped
from kilowatch.model.lengths import DAY_MS
from kilowatch.pipeline.insight import models
from tests.insights.test_forecasting import HOURS

ORIGIN = 24 * 70
SOME = replace(HOURS.only(np.arange(5)), temperature_c=None)
USED = ["electricity"] * 5


def test_a_stream_that_has_not_taught_the_installations_model_is_told_by_the_shipped_one() -> None:
    """Eight weeks teach; until then the model that knows the neighbours knows it no better."""
    assert models.is_new(0, 56 * DAY_MS - 1)
    assert not models.is_new(0, 56 * DAY_MS)
    first, offset, last, end = shipped().net.layers
    net = replace(shipped().net, layers=(first, offset, last, end + 1.0))
    own = replace(shipped(), net=net, ships=False)
    track = Track.start(5)
    new = np.array([False, True, False, False, True])
    said, versions = models.forecast(own, SOME, ORIGIN, 24, track=track, utilities=USED, new=new)
    by_own, by_shipped = (predict(one, SOME, ORIGIN, 24, track=track) for one in (own, shipped()))
    assert np.array_equal(said.rate[:, ~new], by_own.rate[:, ~new])
    assert np.array_equal(said.rate[:, new], by_shipped.rate[:, new])
    assert said.source == ("own", "shipped", "own", "own", "shipped")
    assert [one == own.version for one in versions] == (~new).tolist()


def test_where_no_model_can_be_read_similar_days_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without LightGBM, or a wheel whose model is of other words: no band is missing."""

    def broken() -> None:
        raise WrongModelError("of another version")

    monkeypatch.setattr(models, "shipped", broken)
    models.standing_in.cache_clear()
    try:
        assert models.usable("any", shipped().to_bytes()) is None
        said, versions = models.forecast(
            models.standing_in(), SOME, ORIGIN, 24, track=Track.start(5), utilities=USED,
            new=np.ones(5, np.bool_),
        )  # fmt: skip
    finally:
        models.standing_in.cache_clear()
    assert set(said.source) == {"prior"}
    assert versions == [""] * 5
    assert np.isfinite(said.rate).all()


def test_a_model_of_another_version_is_left_aside() -> None:
    """After an update the shipped one stands in, until the next is trained."""
    assert models.usable("older", b"kwfc2\nof the version before") is shipped()
    own = replace(shipped(), ships=False)
    read = models.usable("own", own.to_bytes())
    assert read is not None
    assert read.version == own.version


def test_a_replay_does_not_forecast_from_temperatures_that_were_yet_to_come() -> None:
    """Live nobody knows them: a heat wave after the origin changes nothing that was said at it."""
    own = replace(shipped(), ships=False)
    some = HOURS.only(np.arange(5))
    assert some.temperature_c is not None
    hot = some.temperature_c.copy()
    hot[:, ORIGIN:] += 20
    named = {"track": Track.start(5), "utilities": USED, "new": np.zeros(5, np.bool_)}
    said, other = (
        models.forecast(own, replace(some, temperature_c=one), ORIGIN, 24, **named)[0]  # type: ignore[arg-type]
        for one in (some.temperature_c, hot)
    )
    assert np.array_equal(said.rate, other.rate)
