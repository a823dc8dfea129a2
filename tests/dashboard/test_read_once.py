"""What one answer reads once is what it would have read each time."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.catalog.rights import Person
from kilowatch.catalog.tree import OrganisationNode
from kilowatch.dashboard.periods import Grain
from kilowatch.dashboard.read_once import ReadOnce
from kilowatch.model.blocks import IntervalBlock
from tests.dashboard.fakes import DAY_MS, HOUR_MS
from tests.dashboard.worlds import World


def counted(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return a list that grows with each look into the measurements."""
    asked: list[tuple[Any, ...]] = []
    plain = world.view.series_many

    def series_many(*arguments: Any) -> IntervalBlock:
        asked.append(arguments)
        return plain(*arguments)

    monkeypatch.setattr(world.view, "series_many", series_many)
    return asked


def test_rows_are_those_of_a_look_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer data points, channels or days than were read already: no look, and the same rows."""
    plain, asked = world.view.series_many, counted(world, monkeypatch)
    once = ReadOnce(world.view, world.now[0])
    points = [world.point(name) for name in ("main", "hvac", "gas", "water")]
    midnight_ms = world.now[0] // DAY_MS * DAY_MS - 5 * DAY_MS
    chance = np.random.default_rng(4)
    once.expect(
        [(midnight_ms, midnight_ms + DAY_MS), (midnight_ms + DAY_MS, midnight_ms + 2 * DAY_MS)],
        "hour",
    )
    grains: tuple[Grain, ...] = ("hour", 900, "interval")
    for number in range(40):
        some = [p for p in points if chance.random() < 0.7] or points
        channels = [0, 24][: int(chance.integers(1, 3))]
        begin = midnight_ms + int(chance.integers(0, 30)) * HOUR_MS
        end = begin + int(chance.integers(1, 30)) * HOUR_MS
        grain = grains[number % 3]
        found = once.series(some, channels, begin, end, grain)
        wanted = plain(some, channels, begin, end, grain)
        assert len(found) == len(wanted)
        for name in ("series", "channel", "start_ms", "amount", "mean", "covered_ms"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert 3 <= len(asked) < 30


def test_a_compared_month_of_a_site_looks_into_the_store_once_for_its_days(
    world: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This month's days and the last one's together; besides, the hours of the day that is cut."""
    site = world.sites["Office Dublin"]
    address = f"/breakdown/site/{site}/series?period=month&compare=previous&grain=day"
    assert admin.get(address).status_code == 200  # figures of demand are kept from now on
    asked = counted(world, monkeypatch)
    found = admin.get(address).json()
    assert found["compare"]["statistics"]
    assert [one["change"]["of"] for one in found["statistics"] if one.get("change")]
    assert [grain for *_, grain in asked] == ["day", 300]


def test_a_site_that_is_renamed_while_its_page_is_made_is_still_there(
    world: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page looks for its site once: what changes meanwhile is the next one's matter."""
    registry = world.app.state.rooms.registry
    plain, looks = registry.tree, [0]

    def tree(who: Person) -> list[OrganisationNode]:
        looks[0] += 1
        found = []
        for owner in plain(who):
            sites = [replace(site, name=f"{site.name} {looks[0]}") for site in owner.sites]
            found.append(replace(owner, sites=sites))
        return found

    monkeypatch.setattr(registry, "tree", tree)
    found = admin.get(f"/breakdown/site/{world.sites['Office Dublin']}")
    assert found.status_code == 200
    assert looks[0] > 1
    assert re.search(r'class="breakdown electricity"', found.text)
