"""One stream's trouble stays its own, and nothing is lost in silence."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.pipeline import growth
from kilowatch.pipeline.intervals import intervals
from tests.pipeline.pipeline_world import (
    FOREVER,
    MINUTE_MS,
    START_MS,
    World,
    point,
)


def test_a_stream_that_always_fails_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its packets are kept and its status says why; its neighbours' figures go on."""
    world = World(tmp_path, [point(series) for series in range(1, 9)]).start()
    compute = intervals

    def fails_for_5(readings: ReadingBlock, *others: Any, **named: Any) -> IntervalBlock:
        if (readings.series == 5).any():
            raise ZeroDivisionError("strange numbers")
        return compute(readings, *others, **named)

    monkeypatch.setattr(growth, "intervals", fails_for_5)
    for number in range(20):
        for series in range(1, 9):
            world.log.push(series, START_MS + number * 5 * MINUTE_MS, {"aP_1": series * 100})
    world.consumer._settings = replace(world.settings, batch_rows=50)
    world.catch_up()
    world.consumer.flush()
    assert world.stored[-1] == world.log.last_seq(), "the cursor is not blocked"
    for series in (1, 2, 3, 4, 6, 7, 8):
        assert len(world.everything(series)) == 60
        assert world.view.status(world.points.points[series]).findings == ()
    failed = world.points.points[5]
    assert world.everything(5) == []
    assert len(world.view.readings(failed, 0, FOREVER)) == 20, "the source layer has them"
    (finding,) = world.view.status(failed).findings
    assert finding.code == "stream.failed"
    assert "could not be processed: ZeroDivisionError: strange numbers" in finding.text

    world.kill()
    world.start().catch_up()
    assert world.view.status(failed).findings == (finding,), "a restart has not forgotten it"
    monkeypatch.undo()
    world.time_s += 61
    world.catch_up()
    assert len(world.everything(5)) == 60, "tried again a minute later, it works"
    assert world.view.status(failed).findings == ()


def test_a_packet_that_arrives_before_its_registration_is_not_lost(tmp_path: Path) -> None:
    """The collector may know a new data point some milliseconds before the pipeline does."""
    world = World(tmp_path, []).start()
    for number in range(5):
        world.log.push(3, START_MS + number * 5 * MINUTE_MS, {"aP_1": 100.0 * number})
    world.catch_up()
    world.points.add(point(3))
    world.log.push(3, START_MS + 25 * MINUTE_MS, {"aP_1": 500.0})
    world.catch_up()
    assert [row[6] for row in world.everything(3)][:6] == [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]


def test_the_catalogue_is_asked_again_for_a_stream_it_does_not_know(tmp_path: Path) -> None:
    """A packet of a data point registered this moment is shown at once."""
    world = World(tmp_path, []).start()
    late = World(tmp_path / "unused", [point(3)]).points
    world.consumer._reload = lambda: late
    world.log.push(3, START_MS, {"aP_1": 100.0})
    world.consumer.step()
    assert world.view.channels(late.points[3]) == [4, 5, 24]


def test_unknown_names_and_counts_are_kept(tmp_path: Path) -> None:
    """A typo in a parameter's name shows in the data point's status, with how often it came."""
    world = World(tmp_path, [point(1)]).start()
    for number in range(4):
        at_ms = START_MS + number * 15 * MINUTE_MS
        world.log.push(1, at_ms, {"aP_1": 1.0, "ap_2": 3.0, **({"x": 1} if number == 2 else {})})
    world.catch_up()
    world.consumer.flush()
    world.kill()
    status = world.start().view.status(world.points.points[1])
    assert status.ignored == {"ap_2": 4, "x": 1}
    assert status.packets == 4
    assert status.observed_interval_s == 900.0
    assert not status.interval_matches, "registered for five minutes, pushed every fifteen"


def test_lag_says_how_far_readers_are_behind(tmp_path: Path) -> None:
    """A status page can say what has been acknowledged and is not shown yet."""
    world = World(tmp_path, [point(1)]).start()
    world.log.push(1, START_MS, {"aP_1": 1.0}, received_ms=START_MS)
    world.log.push(1, START_MS + 1, {"aP_1": 1.0}, received_ms=START_MS + 1)
    world.time_s = START_MS / 1000 + 2.5
    lag = world.view.lag()
    assert (lag.packets, lag.seconds) == (2, 2.5)
    world.catch_up()
    assert world.view.lag().packets == 0


def test_a_log_from_another_backup_is_noticed(tmp_path: Path) -> None:
    """New packets under old numbers would be taken for repetitions and lost."""
    world = World(tmp_path, [point(1)]).start()
    for number in range(20):
        world.log.push(1, START_MS + number, {"aP_1": 1.0})
    world.catch_up()
    world.log.entries = world.log.entries[:5]
    with pytest.raises(KilowatchError, match="from the same backup") as refusal:
        world.consumer.step()
    assert refusal.value.code == "log_behind"
