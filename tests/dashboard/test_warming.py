"""What is done before the first visitor comes is what would be done for them."""

from __future__ import annotations

import threading

import pytest

from kilowatch.dashboard import warming
from kilowatch.dashboard.rooms import Rooms
from kilowatch.dashboard.warming import Warming, warm_holidays, warm_waste
from kilowatch.model.public_holidays import public_holidays, regions
from tests.dashboard.insight_world import furnish
from tests.dashboard.worlds import World


def test_holidays_of_this_year_and_its_neighbours_are_looked_up(world: World) -> None:
    """The first form of a site, and the first event of a year, find them there."""
    public_holidays.cache_clear()
    warm_holidays(world.app.state.rooms)
    assert public_holidays.cache_info().currsize >= 6  # two countries, three years
    before = public_holidays.cache_info().misses, regions.cache_info().misses
    for country in ("IE", "DE"):
        regions(country)
        for year in (2025, 2026, 2027):
            assert public_holidays(country, "", year)
    assert (public_holidays.cache_info().misses, regions.cache_info().misses) == before


def test_the_month_of_waste_is_added_up_where_it_takes_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A building's month is quick; an estate's is there when the page is opened."""
    furnish(world, 40)
    rooms: Rooms = world.app.state.rooms
    points = list(rooms.registry.directory().points.values())
    warm_waste(rooms, points)
    assert not rooms.waste_days._kept
    monkeypatch.setattr(warming, "AT_ONCE", 2)
    warm_waste(rooms, points)
    sites = {
        point.site_id for days in rooms.waste_days._kept.values() for point in days.network.points
    }
    assert sites == {point.site_id for point in points}
    assert all(days.known.all() for days in rooms.waste_days._kept.values())


def test_it_begins_when_measurements_can_be_read_and_ends_when_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start of the server does not wait for it; a server that stops does not either."""
    done = threading.Event()
    monkeypatch.setattr(warming, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(warming, "SETTLE_S", 0.001)
    monkeypatch.setattr(warming, "warm_holidays", lambda _rooms: done.set())
    one = Warming(world.app.state.rooms)
    one.start()
    assert done.wait(30)
    one.stop()
    assert not one._thread.is_alive()
    done.clear()
    monkeypatch.setattr(warming, "newest_ms", lambda _view, _points: None)
    other = Warming(world.app.state.rooms)
    other.start()
    other.stop()
    assert not other._thread.is_alive()
    assert not done.is_set()
    Warming(world.app.state.rooms).stop()  # that never began
