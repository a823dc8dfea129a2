"""Nothing is learnt from hours that somebody has called faulty: they were not what is usual."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from kilowatch.insights.hours import Bools, Hours
from kilowatch.model.blocks import Floats
from kilowatch.model.lengths import HOUR_MS
from kilowatch.pipeline.insight import InsightView
from kilowatch.pipeline.insight.knowledge import Knowledge
from kilowatch.pipeline.insight.subjects import Subject, subject_of
from kilowatch.pipeline.insight.surroundings import Faults, Surroundings
from tests.pipeline.insight_history import History, Snapshot
from tests.pipeline.insight_world import MONDAY_MS, WEEK_H, meter, office

FAULTY = slice(8 * WEEK_H, 10 * WEEK_H)
NOW_H = 12 * WEEK_H + 58


def called_faulty(_subjects: Sequence[Subject], hours: Hours) -> Bools:
    """Tell that of every stream two weeks were faulty."""
    number = (hours.start_ms - MONDAY_MS) // HOUR_MS
    own = (number >= FAULTY.start) & (number < FAULTY.stop)
    return np.broadcast_to(own, hours.values.shape)


def looked_at(folder: Path, use: Floats, faults: Faults | None) -> tuple[Snapshot, Floats]:
    """Return what was found of an office, and its forecast of the next two days."""
    folder.mkdir()
    history = History(folder, [meter(1)], {1: use}, knowledge=Knowledge(faults=faults))
    history.start()
    history.come_all(NOW_H)
    history.follow()
    points = history.points.points
    around = Surroundings(
        cast("Any", history.view), dict, lambda number: subject_of(points[number]), faults
    )
    outlook = InsightView(history.path, surroundings=around).outlook(points[1])
    assert outlook is not None
    return history.read(), outlook.hours.rate


def test_what_is_expected_does_not_rest_on_faulty_hours(tmp_path: Path) -> None:
    """Two weeks of twice the use, called a fault: bands and forecasts as if they were not there.

    They are still looked at: what is found in them does not vanish with the word.
    """
    usual = office(14, 5)
    broken, missing = usual.copy(), usual.copy()
    broken[FAULTY] *= 2
    missing[FAULTY] = np.nan
    said, forecast = looked_at(tmp_path / "said", broken, called_faulty)
    without, other = looked_at(tmp_path / "without", missing, None)
    taught, worse = looked_at(tmp_path / "taught", broken, None)
    assert said.bands.keys() == without.bands.keys()
    for at, (_, _, band) in without.bands.items():
        np.testing.assert_allclose(said.bands[at][2], band, rtol=1e-6)
    np.testing.assert_allclose(forecast, other, rtol=1e-9)
    came = usual[NOW_H : NOW_H + 48]
    assert np.abs(forecast[2] - came).mean() < 0.1 * came.mean()
    assert np.abs(worse[2] - came).mean() > np.abs(forecast[2] - came).mean()
    assert said.events, "what was found in them stays"
    after = (1, MONDAY_MS + FAULTY.stop * HOUR_MS)
    assert np.mean(taught.bands[after][2]) > 1.1 * np.mean(said.bands[after][2])


def test_the_model_is_not_trained_on_faulty_hours(tmp_path: Path) -> None:
    """What is handed over to training has holes where a person said that something was broken."""
    points = [meter(series, site_id=series) for series in range(1, 21)]
    use = {one.series: office(11, one.series) for one in points}
    history = History(tmp_path, points, use, knowledge=Knowledge(faults=called_faulty))
    history.start(train_again_s=0.0)
    history.come_all(11 * WEEK_H - 24)
    history.follow()
    assert history.follower.backlog.training
    handed = np.load(history.path.with_name("training") / "group-0000.npz")
    values = handed["values"]
    assert np.isnan(values[:, FAULTY]).all()
    assert np.isfinite(values[:, : FAULTY.start]).all()
    history.follower.stop()
    history.follower.close()
