"""Findings on their way: from packets in the log to what pages are told of many streams."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from kilowatch.pipeline.state_file import pack
from kilowatch.pipeline.view import View
from tests.pipeline.pipeline_world import DAY_MS, HOUR_MS, MINUTE_MS, START_MS, World, point, single


def wrong(folder: Path, **settings: object) -> World:
    """Return a world with a wrong interval, a typo, a dial as an amount, and one that is right."""
    hourly = {"interval_s": 3600, "tolerance_s": 1800.0}
    points = [point(1), point(2), single(3, behaviour="amount", unit="kWh"), single(4, **hourly)]
    world = World(folder, points).start(**settings)
    for number in range(40):
        at_ms = START_MS + number * 5 * MINUTE_MS
        world.log.push(1, START_MS + number * 15 * MINUTE_MS, {"aP_1": 500.0 + number % 7})
        world.log.push(2, at_ms, {"aP_1": 500.0 + number % 7, "AP2": 3.0})
        world.log.push(3, at_ms, {"value": 5e5 + number / 10})
        world.log.push(4, START_MS + number * HOUR_MS, {"value": float(number)})
    return world


def test_a_page_is_told_what_does_not_fit_and_how_to_mend_it(tmp_path: Path) -> None:
    """Each stream's status has its own, and a list of streams has them all."""
    world = wrong(tmp_path).catch_up()
    points = list(world.points.points.values())
    found = world.view.findings(points)
    assert {series: [one.code for one in own] for series, own in found.items()} == {
        1: ["interval.longer"],
        2: ["parameters.unknown"],
        3: ["behaviour.rises_for_ever"],
    }
    status = world.view.status(points[0])
    assert status.findings == tuple(found[1])
    assert (status.interval_matches, status.join_interval_s) == (False, 900)
    right = world.view.status(points[3])
    assert (right.findings, right.interval_matches, right.join_interval_s) == ((), True, 3600)


def test_a_dismissed_finding_is_not_told_until_it_says_something_else(tmp_path: Path) -> None:
    """A person decides once; another observed interval is another question."""
    world = wrong(tmp_path).catch_up()
    one = world.points.points[1]
    dismissed = {(1, "interval.longer", "900")}
    view = View(world.streams, world.log, dismissed=lambda: dismissed)
    assert view.status(one).findings == ()
    assert [each.code for each in view.findings([one], with_dismissed=True)[1]] == [
        "interval.longer"
    ]
    for number in range(20):
        world.log.push(1, START_MS + DAY_MS + number * HOUR_MS, {"aP_1": 500.0 + number % 7})
    world.catch_up()
    assert [each.data["mark"] for each in view.findings([one])[1]] == ["3600"]


def test_uploads_in_batches_are_told_with_the_tolerance_that_fits(tmp_path: Path) -> None:
    """What keeps the alarm quiet is said aloud."""
    one = single(4, interval_s=3600, tolerance_s=1800.0)
    world = World(tmp_path, [one]).start()
    for number in range(5):
        world.log.push(4, START_MS + number * HOUR_MS, {"value": float(number)})
    world.catch_up()
    view = View(world.streams, world.log, rhythm_ms=lambda _point: 24 * HOUR_MS)
    (finding,) = view.findings([one])[4]
    assert finding.code == "arrival.in_batches"
    assert finding.data["remedy"] == {"setting": "tolerance_s", "value": 86_400}


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_what_is_known_does_not_depend_on_how_the_log_was_cut_or_replayed(
    tmp_path: Path, batch_rows: int
) -> None:
    """One packet at a time with a restart after each hour, or all at once: the same evidence."""
    (tmp_path / "whole").mkdir()
    whole = wrong(tmp_path / "whole").catch_up()
    (tmp_path / "cut").mkdir()
    cut = wrong(tmp_path / "cut", batch_rows=batch_rows)
    for number in range(1, 600):
        if cut.streams.seq >= cut.log.last_seq():
            break
        cut.consumer.step()
        if number % 12 == 0:
            cut.consumer.flush()
        if number % 17 == 0:
            cut.kill()
            cut.start()
    cut.catch_up()
    assert whole.streams.states.keys() == cut.streams.states.keys() != set()
    for series, state in whole.streams.states.items():
        other = cut.streams.states[series]
        assert other.evidence == state.evidence
        assert other.ignored_at == state.ignored_at
        assert len(pack(state)) < 3_000


def test_a_stream_that_sends_on_change_is_aggregated_whole(tmp_path: Path) -> None:
    """Registered for a day, its longest silence: each packet counts, and nothing is a gap."""
    points = [
        single(1, interval_s=86_400, tolerance_s=0.0, behaviour="gauge", unit="%"),
        single(2, interval_s=86_400, tolerance_s=0.0, behaviour="register"),
    ]
    world = World(tmp_path, points).start()
    begin_ms = at_ms = START_MS
    pushed: list[tuple[int, float]] = []
    while at_ms < begin_ms + 5 * DAY_MS:
        value = 20 + 5 * math.sin(len(pushed))
        pushed.append((at_ms, value))
        world.log.push(1, at_ms, {"value": value})
        world.log.push(2, at_ms, {"value": (at_ms - begin_ms) / HOUR_MS})
        at_ms += (len(pushed) * 7_919 % 400 + 1) * MINUTE_MS
    world.log.push(2, begin_ms + 5 * DAY_MS, {"value": 120.0})
    world.catch_up()
    rows = world.view.series(points[0], [0], begin_ms, begin_ms + 5 * DAY_MS, "day")
    for number in range(5):
        day = [v for at, v in pushed if number == (at - begin_ms) // DAY_MS]
        assert rows.count[number] == len(day) > 1
        assert rows.mean[number] == pytest.approx(sum(day) / len(day))
        assert (rows.low[number], rows.high[number]) == (min(day), max(day))
    dial = world.view.series(points[1], [0], begin_ms, begin_ms + 5 * DAY_MS, "day")
    assert dial.amount.tolist() == pytest.approx([24.0] * 5)
    assert (dial.covered_ms == DAY_MS).all()
    for one in points:
        assert world.view.gaps(one, 0, at_ms) == []
        assert world.view.findings([one]) == {}


def test_findings_of_ten_thousand_streams_are_a_glance(tmp_path: Path) -> None:
    """The home page asks for all of them at once."""
    world = wrong(tmp_path).catch_up()
    known = [world.streams.states[series] for series in (1, 2, 3, 4)]
    points = []
    for series in range(1, 10_001):
        kind = world.points.points[(series - 1) % 4 + 1]
        points.append(single(series) if kind.kind == "single" else point(series))
        world.streams.states[series] = known[(series - 1) % 4]
    began = time.thread_time()
    found = world.view.findings(points)
    assert len(found) > 2_000
    assert time.thread_time() - began < 2
