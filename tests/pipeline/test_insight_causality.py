"""What is found rests on what was known by then: live, replayed or killed in between."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from kilowatch.model.blocks import Floats
from kilowatch.model.insight import WASTE_KINDS, EventKind
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.pipeline.insight import InsightView, states
from kilowatch.pipeline.insight.reader import InsightReader
from kilowatch.pipeline.insight.subjects import subject_of
from kilowatch.pipeline.insight.surroundings import Surroundings
from tests.pipeline.insight_history import History, Snapshot, assert_same
from tests.pipeline.insight_world import MONDAY_MS, WEEK_H, meter, office

WEEKS = 40
ZONE = "Europe/Dublin"


def building() -> tuple[list[DataPoint], dict[int, Floats], dict[int, SiteFacts]]:
    """Return a site with a supply, two submeters, a temperature, and things that go wrong."""
    hours = np.arange(WEEKS * WEEK_H)
    chance = np.random.default_rng(7)
    outdoor = 10 - 7 * np.cos(hours / 8760 * 2 * np.pi) + 3 * np.sin(hours / 24 * 2 * np.pi)
    outdoor += chance.standard_normal(len(hours))
    lights, heating = office(WEEKS, 1), office(WEEKS, 2) * (1 + np.maximum(15 - outdoor, 0) / 20)
    for week, day in ((20, 5), (27, 5), (33, 5)):  # weekends that stayed on
        heating[week * WEEK_H + day * 24 : week * WEEK_H + day * 24 + 48] = 33_000.0
    lights[30 * WEEK_H :] += 6_000.0  # the base creeps
    lights[15 * WEEK_H + 30 : 15 * WEEK_H + 60] = np.nan  # a gap
    heating[24 * WEEK_H + 10 : 24 * WEEK_H + 30] = 12_345.0  # a stuck meter
    heating[36 * WEEK_H + 5] = 400_000.0  # a spike
    values = {1: lights + heating, 2: lights, 3: heating, 4: outdoor}
    points = [
        meter(1),
        meter(2),
        meter(3, utility="heat"),
        meter(4, utility="temperature", unit="°C", behaviour="gauge"),
    ]
    facts = {1: SiteFacts(1, ZONE, "IE", "", "EUR", temperature_point=4)}
    return points, values, facts


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Return what was found when the hours came a few at a time, each stream at its own pace."""
    points, values, facts = building()
    history = History(tmp_path_factory.mktemp("live"), points, values, facts)
    history.start()
    chance = np.random.default_rng(3)
    reached = dict.fromkeys(values, 0)
    while min(reached.values()) < WEEKS * WEEK_H:
        size = int(chance.choice([1, 2, 5, 24, 60, 200]))
        for series in chance.permutation(list(values)).tolist():
            behind = max(reached.values()) - reached[series]
            ahead = size if series == 4 else behind + int(chance.integers(0, size + 1))
            reached[series] = min(reached[series] + ahead, WEEKS * WEEK_H)
            if series != 4:
                reached[series] = min(reached[series], reached[4])
            if reached[series]:
                history.come(series, reached[series])
        history.follow()
    return history.read()


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Return the same history when it was looked at in one go."""
    points, values, facts = building()
    history = History(tmp_path_factory.mktemp("replayed"), points, values, facts)
    history.start()
    history.come_all(WEEKS * WEEK_H)
    history.follow()
    return history


def test_a_replay_finds_what_was_found_live(replayed: History, live: Snapshot) -> None:
    """Months that are replayed in one go give the same findings, to nine digits."""
    assert_same(live, replayed.read())
    kinds = {event[2] for event in live.events.values()}
    assert {"stuck", "spike"} & kinds
    assert {"weekend", "missed_shutdown"} & kinds
    assert live.waste
    assert len(live.openings) == 3


def test_what_events_say_was_needed_is_what_was_kept_of_their_hours(replayed: History) -> None:
    """The mean that an event names is that of its own hours; a picture of it shows no other."""
    view, events = InsightView(replayed.path), replayed.read().events.values()
    end_ms, kinds, seen = MONDAY_MS + WEEKS * WEEK_H * HOUR_MS, list(EventKind), 0
    for point in replayed.points.points.values():
        waste = view.waste([point], MONDAY_MS, end_ms)
        need = view.needed(point, MONDAY_MS, end_ms)
        by_hour = dict(zip(need.start_ms.tolist(), need.rate.tolist(), strict=True))
        for event in events:
            series, kind, start_ms, end, evidence = *event[1:5], event[9]
            if series == point.series and kind in WASTE_KINDS:
                mine = waste.kind == kinds.index(EventKind(kind))
                mine &= (waste.start_ms >= start_ms) & (waste.start_ms < end)
                needed = [by_hour[at_ms] for at_ms in waste.start_ms[mine].tolist()]
                assert np.mean(needed) == pytest.approx(evidence["expected"], rel=1e-6)
                seen += 1
    assert seen


def test_the_need_of_quiet_days_is_read_from_what_was_learnt_before_them(
    replayed: History,
) -> None:
    """It agrees with what was kept of the days of waste, and of hours before it says nothing."""
    known, (_, _, facts) = replayed.points.points, building()
    around = Surroundings(
        cast("Any", replayed.view), lambda: facts, lambda number: subject_of(known[number])
    )
    view = InsightView(replayed.path, needs_of=around)
    reader, end_ms = InsightReader(replayed.path), MONDAY_MS + WEEKS * WEEK_H * HOUR_MS
    for series in (1, 2, 3):
        ((packed,),) = reader.rows("SELECT packed FROM reference WHERE series = ?", (series,))
        since_ms = states.references([packed]).to_ms
        kept = InsightView(replayed.path).needed(known[series], MONDAY_MS, end_ms)
        found = view.needed(known[series], MONDAY_MS, end_ms)
        whole = found.start_ms[found.start_ms >= since_ms]
        assert whole.tolist() == list(range(since_ms, end_ms, HOUR_MS))
        assert np.isin(found.start_ms[found.start_ms < since_ms], kept.start_ms).all()
        alone = np.full(WEEKS * WEEK_H, np.nan)
        subject = subject_of(known[series])
        assert subject is not None
        view._needs._learnt(subject, MONDAY_MS, alone)
        alone = alone[(kept.start_ms - MONDAY_MS) // HOUR_MS]
        both = np.isfinite(alone)
        assert both.sum() > 10
        assert alone[both] == pytest.approx(kept.rate[both], rel=1e-5)
    reader.close()


def test_killed_in_the_middle_it_goes_on_and_finds_the_same(tmp_path: Path, live: Snapshot) -> None:
    """After kill -9 at any moment, nothing is missing and nothing is there twice."""
    points, values, facts = building()
    history = History(tmp_path, points, values, facts)
    history.start(streams=1)
    chance = np.random.default_rng(11)
    reached = 0
    while reached < WEEKS * WEEK_H:
        reached = min(reached + int(chance.integers(1, 400)), WEEKS * WEEK_H)
        history.come_all(reached)
        for _ in range(int(chance.integers(1, 4))):
            history.follower.tick()
        history.kill()
        history.start(streams=int(chance.integers(1, 5)), slice_s=float(chance.choice([0, 1e9])))
    history.follow()
    assert_same(live, history.read())


@pytest.mark.parametrize("week", [21, 31])
def test_what_comes_later_changes_nothing_that_was_known(
    tmp_path: Path, live: Snapshot, week: int
) -> None:
    """Nobody looks ahead: with another future, everything known by now is the same."""
    points, values, facts = building()
    now = week * WEEK_H + 37
    now_ms = MONDAY_MS + now * HOUR_MS
    for series in values:
        values[series] = np.concatenate([values[series][:now], values[series][now:] * 3 + 5])
    history = History(tmp_path, points, values, facts)
    history.start()
    history.come_all(now)
    history.follow()
    found = history.read()
    known = {key: event for key, event in live.events.items() if event[6] <= now_ms}
    assert found.events.keys() == known.keys()
    for key, event in found.events.items():
        assert (event[1:4], event[6]) == (known[key][1:4], known[key][6])
    bands = {at: band for at, band in live.bands.items() if at[1] < now_ms}
    assert found.bands.keys() == bands.keys()
    for at, (made, source, band) in found.bands.items():
        assert (made, source) == bands[at][:2]
        np.testing.assert_allclose(band, bands[at][2], rtol=1e-6)
