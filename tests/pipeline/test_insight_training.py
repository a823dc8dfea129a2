"""A model is trained in a process of its own, and a replay asks the model that was in force."""

import os
import shutil
import time
from pathlib import Path

import pytest

from kilowatch.model.lengths import HOUR_MS
from kilowatch.pipeline.insight.file import InsightFile
from tests.pipeline.insight_history import History, assert_same
from tests.pipeline.insight_world import MONDAY_MS, WEEK_H, meter, office

STREAMS = 20


def history(folder: Path, weeks: int = 11) -> History:
    """Return twenty offices."""
    points = [meter(series, site_id=series) for series in range(1, STREAMS + 1)]
    return History(folder, points, {one.series: office(weeks, one.series) for one in points})


def trained(one: History) -> None:
    """Wait until the model that is being trained is there."""
    ends_s = time.monotonic() + 120
    one.follower.tick()
    while one.follower.backlog.training:
        assert time.monotonic() < ends_s
        time.sleep(0.2)
        one.follower.tick()
    assert one.follower.backlog.training_fault == ""


@pytest.mark.slow
def test_a_model_forecasts_from_the_day_on_that_it_is_ready_and_a_replay_asks_the_same(
    tmp_path: Path,
) -> None:
    """Until then the shipped one says what is to be expected; what it said stays as it was."""
    live = history(tmp_path / "live")
    live.folder.mkdir()
    live.start(train_again_s=0.0)
    live.come_all(8 * WEEK_H - 24)
    live.follow()
    assert not live.follower.backlog.training  # not before they have eight weeks each
    live.come_all(8 * WEEK_H + 24)
    live.follow()
    trained(live)
    ready_ms = MONDAY_MS + (8 * WEEK_H + 24) * HOUR_MS
    live.come_all(8 * WEEK_H + 6 * 24)  # within the week before it is trained again
    live.follow()
    found = live.read()
    said = {
        start_ms >= ready_ms: source.split()[0]
        for (_, start_ms), (_, source, _) in found.bands.items()
    }
    assert said[False] == "shipped"
    assert said[True] in {"own", "global"}
    state = live.insights().state()
    assert state.models[0].from_ms == ready_ms
    point = live.points.points[1]
    assert set(live.insights().expected(point, ready_ms, ready_ms + 48 * HOUR_MS).source) == {
        said[True]
    }

    again = history(tmp_path / "again")
    again.folder.mkdir()
    live.kill()
    shutil.copy(live.path, again.folder / "insights.sqlite")
    file = InsightFile(again.folder / "insights.sqlite")
    file.forget(range(1, STREAMS + 1))  # everything but the models
    file.close()
    again.start()
    again.come_all(8 * WEEK_H + 6 * 24)
    again.follow()
    assert_same(found, again.read())

    # After an update that reads other models, the next one is trained at once, not in a week.
    again.kill()
    file = InsightFile(again.folder / "insights.sqlite")
    now_ms = MONDAY_MS + (8 * WEEK_H + 6 * 24) * HOUR_MS
    file.add_model("older", now_ms, {"trained_on": {}, "quality": {}}, b"of an older version")
    file.close()
    again.start(train_again_s=0.0)
    again.follower.tick()
    assert again.follower.backlog.training
    again.follower.close()


def test_a_training_that_fails_says_why_and_bands_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where LightGBM can't be loaded, people read so, and similar days stay in force."""
    broken = tmp_path / "broken" / "lightgbm"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise OSError('libgomp.so.1: cannot open shared object')")
    paths = ":".join([str(broken.parent), *filter(None, [_pythonpath()])])
    monkeypatch.setenv("PYTHONPATH", paths)
    one = history(tmp_path)
    one.start(train_again_s=0.0)
    one.come_all(9 * WEEK_H)
    one.follow()
    ends_s = time.monotonic() + 60
    while not (fault := one.follower.backlog.training_fault):
        assert time.monotonic() < ends_s
        time.sleep(0.1)
        one.follower.tick()
    assert "libgomp" in fault
    one.come_all(10 * WEEK_H)
    one.follow()
    assert one.follower.backlog.hours == 0
    one.follower.close()


def _pythonpath() -> str:

    return os.environ.get("PYTHONPATH", "")
