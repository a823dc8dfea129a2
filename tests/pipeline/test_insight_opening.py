"""Opening hours that a person set hold from their day on, whatever has been learnt by then."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.opening import week_of_text
from kilowatch.model.site_facts import Opening, SiteFacts
from kilowatch.pipeline.insight import Knowledge
from tests.pipeline.insight_history import History, Snapshot, assert_same
from tests.pipeline.insight_world import MONDAY_MS, WEEK_H, meter, office

KINDS = list(EventKind)
WEEKS, FROM_WEEK = 13, 11
EVENINGS = (10, 12)
"""Weeks whose evenings took 12 kW too much: what is needed was learnt on 1 March, in week 8, and is
learnt again on 1 April only, after all of this."""


def use() -> Floats:
    """Return an office that stayed on until 22 o'clock in two weeks."""
    hours = office(WEEKS, 3, zone="UTC")
    for week in EVENINGS:
        for day in range(5):
            first = week * WEEK_H + day * 24 + 18
            hours[first : first + 4] += 12_000.0
    return hours


def facts(*openings: Opening) -> dict[int, SiteFacts]:
    """Return a site with the opening hours that somebody has set."""
    return {1: SiteFacts(1, "UTC", "IE", "", "EUR", openings=openings)}


def late(hours: str | None = "Mon-Fri 08-22", week: int = FROM_WEEK) -> Opening:
    """Return opening hours from the Monday of a week on."""
    at_ms = MONDAY_MS + week * WEEK_H * HOUR_MS
    day = date(2024, 1, 1) + timedelta(weeks=week)
    return Opening(at_ms, day, None if hours is None else week_of_text(hours))


def history(folder: Path, *openings: Opening) -> History:
    """Return the office with the opening hours that were set, not looked at yet."""
    folder.mkdir(exist_ok=True)
    found = History(folder, [meter(1, zone="UTC")], {1: use()}, facts(*openings))
    found.start()
    return found


def replayed(folder: Path, *openings: Opening) -> Snapshot:
    """Return what is found when all of it comes at once."""
    found = history(folder, *openings)
    found.come_all(WEEKS * WEEK_H)
    found.follow()
    return found.read()


def kinds(found: Snapshot, week: int) -> set[EventKind]:
    """Return of which kinds the waste of a week's evenings is."""
    own = set()
    for (_, start_ms), (_, numbers) in found.waste.items():
        for place, number in enumerate(numbers):
            hour = (start_ms - MONDAY_MS) // HOUR_MS + place
            if number >= 0 and hour // WEEK_H == week and 18 <= hour % 24 < 22:
                own.add(KINDS[number])
    return own


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Return what is found with opening hours as learnt."""
    return replayed(tmp_path_factory.mktemp("learnt"))


@pytest.fixture(scope="module")
def since(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Return what is found with later hours from week 60 on, set before anything came."""
    return replayed(tmp_path_factory.mktemp("since"), late())


def test_hours_set_from_a_day_on_count_from_that_day_on(learnt: Snapshot, since: Snapshot) -> None:
    """Evenings are after hours until the day from which the office is open until 22 o'clock."""
    before, after = EVENINGS
    assert kinds(learnt, before) == kinds(learnt, after) == {EventKind.AFTER_HOURS}
    assert kinds(since, before) == {EventKind.AFTER_HOURS}
    assert kinds(since, after) == {EventKind.OVER_CONDITIONING}
    from_ms = late().from_ms
    for at, (amounts, numbers) in learnt.waste.items():
        if at[1] < from_ms:
            assert numbers == since.waste[at][1], "nothing before that day is another"
            np.testing.assert_array_equal(amounts, since.waste[at][0])
    assert since.openings == learnt.openings, "what the load says stays what the load says"


def test_hours_that_are_given_back_are_the_learnt_ones_again(tmp_path: Path) -> None:
    """*Learnt from the load* from a day on ends what was set before."""
    found = replayed(tmp_path, late(week=9), late(None, week=EVENINGS[1]))
    assert kinds(found, EVENINGS[0]) == {EventKind.OVER_CONDITIONING}
    assert kinds(found, EVENINGS[1]) == {EventKind.AFTER_HOURS}


def test_what_is_always_on_counts_the_closed_hours_of_their_day(
    tmp_path: Path, learnt: Snapshot
) -> None:
    """Open around the clock on weekdays, nights are no closed hours any more; weekends are."""
    nights = use()
    hour, day = np.arange(len(nights)) % 24, np.arange(len(nights)) // 24 % 7
    nights[(hour < 6) & (day < 5)] -= 4_000.0  # nights of weekdays are lower than weekends
    found = []
    for name, openings in (("a", ()), ("b", (late("Mon-Fri 00-24", week=5),))):
        (tmp_path / name).mkdir()
        one = History(tmp_path / name, [meter(1, zone="UTC")], {1: nights}, facts(*openings))
        one.start()
        one.come_all(WEEKS * WEEK_H)
        one.follow()
        found.append(one.insights().standing([meter(1)])[1])
    by_load, by_hand = found
    assert by_load.near_base < 5_500
    assert by_hand.near_base > 8_000
    assert by_hand.best_month == pytest.approx(by_load.best_month, rel=0.05), "of before that day"


def test_live_in_pieces_killed_and_set_afterwards_it_is_the_same(
    tmp_path: Path, since: Snapshot
) -> None:
    """Whenever the hours were set, what they change is what a replay finds."""
    live = history(tmp_path / "live", late())
    chance = np.random.default_rng(5)
    reached = 0
    while reached < WEEKS * WEEK_H:
        reached = min(reached + int(chance.integers(1, 300)), WEEKS * WEEK_H)
        live.come_all(reached)
        live.follow()
        live.kill()
        live.start()
    assert_same(since, live.read())
    (tmp_path / "late").mkdir()
    now = facts()
    after = History(
        tmp_path / "late", [meter(1, zone="UTC")], {1: use()},
        knowledge=Knowledge(facts=lambda: now),
    )  # fmt: skip
    after.start()
    after.come_all(WEEKS * WEEK_H)
    after.follow()
    assert kinds(after.read(), EVENINGS[1]) == {EventKind.AFTER_HOURS}
    now = facts(late())
    after.follow()
    assert_same(since, after.read())
