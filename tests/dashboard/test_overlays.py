"""What insights lay over Breakdown: the same hours and events as everywhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from kilowatch.dashboard.periods import local_day, midnight_ms
from kilowatch.model.insight import EventKind, InsightEvent, WasteHours
from tests.dashboard.conftest import Watched
from tests.dashboard.fakes import DAY_MS, HOUR_MS
from tests.dashboard.insight_world import furnish
from tests.dashboard.worlds import World


@pytest.fixture(scope="module")
def found(world: World) -> dict[str, InsightEvent]:
    """Let the module's world have events."""
    return furnish(world, 40)


def test_a_day_has_what_was_expected_and_what_is_to_come(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Hours of the band before now, the forecast after it, and the events that touch the day."""
    point = world.point("hvac")
    event = found["weekend"]
    day = f"from={event.start_ms}&to={event.start_ms + DAY_MS}"
    answer = admin.get(f"/data/overlays?point={point.id}&{day}").json()
    assert answer["parameters"] == ["aP", "pC"]
    assert len(answer["expected"]["start"]) == 24
    assert answer["expected"]["end"][0] == answer["expected"]["start"][0] + HOUR_MS
    assert [one["id"] for one in answer["events"]] == [event.id]
    assert answer["events"][0]["tone"] == "waste"
    now_ms = world.now[0]
    ahead = admin.get(f"/data/overlays?point={point.id}&from={now_ms}&to={now_ms + DAY_MS}").json()
    assert ahead["forecast"]["start"][0] >= now_ms - HOUR_MS


def test_a_month_has_every_day_that_is_still_to_come(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Together with what was measured the days add up to the sum at the end of the month."""
    assert found
    point, now_ms = world.point("main"), world.now[0]
    today = local_day(now_ms, point.zone)
    first = midnight_ms(today.replace(day=1), point.zone)
    after = midnight_ms((today.replace(day=28) + timedelta(5)).replace(day=1), point.zone)
    answer = admin.get(f"/data/overlays?point={point.id}&from={first}&to={after}").json()
    days = answer["days_ahead"]
    assert days["start"][0] == midnight_ms(today, point.zone)
    assert days["end"] == [*days["start"][1:], after]
    insights = world.extra["insights"]
    month = next(one for one in insights.outlook(point).ends if one.period == "month")
    lengths = np.subtract(days["end"], days["start"])
    wanted = month.daily[month.days_ms >= days["start"][0]]
    assert np.array(days["mid"]) * lengths / HOUR_MS == pytest.approx(wanted)
    past = admin.get(f"/data/overlays?point={point.id}&from={first - DAY_MS}&to={first}").json()
    assert past["days_ahead"] is None


@pytest.mark.browser
def test_days_to_come_are_dashed_in_a_graph_of_days(live_world: World, watched: Watched) -> None:
    """Tomorrow has no bucket yet; its forecast is drawn all the same, up to the month's end."""
    page = watched.open(f"/breakdown/{live_world.point('main').id}?period=month")
    page.wait_for_function(DASHED)
    page = watched.open(f"/breakdown/{live_world.point('main').id}?period=month&over=expected")
    assert not page.evaluate(DASHED), "switched off"


DASHED = """() => [...document.querySelectorAll("#chart canvas")].map((one) =>
  echarts.getInstanceByDom(one.closest("[_echarts_instance_]"))).some((chart) =>
  chart.getZr().storage.getDisplayList(true).some((one) =>
    JSON.stringify(one.style?.lineDash) === "[5,4]" && one.shape?.points?.length > 4))"""


def test_what_was_needed_between_two_wasted_weekends_is_not_shown_as_waste(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """An event that goes on until the next Saturday names its wasted hours, and no others."""
    point, was = world.point("hvac"), world.extra["insights"].found
    event = found["weekend"]
    begin = event.start_ms
    lasting = replace(event, end_ms=begin + 7 * DAY_MS + HOUR_MS, open=True)
    weekend = list(EventKind).index(EventKind.WEEKEND)
    starts = begin + np.array([0, 1, 2, 30, 168, 5, 60], np.int64) * HOUR_MS
    kinds = np.array([weekend] * 5 + [0, weekend], np.int64)
    amounts = np.array([1.0] * 6 + [0.05])
    world.extra["insights"].found = {**was, point.series: (lasting,)}
    world.extra["insights"].wasted = WasteHours(np.full(7, point.series), starts, amounts, kinds)
    try:
        span = f"from={begin}&to={begin + 8 * DAY_MS}"
        answer = admin.get(f"/data/overlays?point={point.id}&{span}").json()
        span = f"from={begin + 59 * HOUR_MS}&to={begin + 62 * HOUR_MS}"
        quiet = admin.get(f"/data/overlays?point={point.id}&{span}").json()
        circuits = admin.get(
            f"/data/circuits?points={point.id}&days=28&until={local_day(world.now[0], point.zone)}"
        ).json()
    finally:
        world.extra["insights"].found, world.extra["insights"].wasted = was, None
    (mark,) = answer["events"]
    hours = [[(at - begin) // HOUR_MS for at in one] for one in mark["spans"]]
    assert hours == [[0, 3], [30, 31], [168, 169]], "not another kind's, nor hardly anything"
    assert quiet["events"][0]["spans"] == [], "it goes on, and wastes nothing to speak of"
    assert circuits["circuits"][0]["marks"][0]["spans"] == mark["spans"][:2]


def test_over_a_long_stretch_local_days_are_answered(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """A year of hours is thinner than a pixel; the day on which clocks change has 25."""
    assert found
    point = world.point("main")
    to_ms = world.now[0]
    answer = admin.get(f"/data/overlays?point={point.id}&from={to_ms - 90 * DAY_MS}&to={to_ms}")
    expected = answer.json()["expected"]
    lengths = {
        (end - start) // HOUR_MS
        for start, end in zip(expected["start"], expected["end"], strict=True)
    }
    assert lengths <= {24, 25}
    assert all(one is None for one in expected["low"])
    midnight = midnight_ms(local_day(expected["start"][0], point.zone), point.zone)
    assert expected["start"][0] == midnight


@pytest.mark.parametrize("stretch", ["", "from=5&to=5", "from=9&to=1", "from=0&to=999999999999999"])
def test_what_is_no_stretch_is_refused_in_words(
    world: World, admin: TestClient, stretch: str
) -> None:
    """Rubbish in an address is answered with what to write instead."""
    answer = admin.get(f"/data/overlays?point={world.point('main').id}&{stretch}")
    assert answer.status_code == 400
    assert "milliseconds" in answer.json()["remedy"]


@pytest.mark.browser
def test_each_overlay_has_a_switch_and_a_word_in_the_address(
    live_world: World, watched: Watched
) -> None:
    """Switched off it is gone, and the link says so; an event in the list opens."""
    found = furnish(live_world, 40)
    page = watched.open(f"/breakdown/{live_world.point('hvac').id}?period=week&date=2026-11-07")
    page.wait_for_selector("#breakdown[data-laid]")
    link = page.locator(f'#overlay-events a[href$="{found["weekend"].id}"]')
    expect(link).to_be_visible()
    page.locator("input[name=overlay][value=waste]").uncheck()
    page.wait_for_url("**over=expected%2Cforecast%2Canomaly**")
    expect(link).to_be_hidden()
    page.reload()
    page.wait_for_selector("#breakdown[data-laid]")
    expect(page.locator("input[name=overlay][value=waste]")).not_to_be_checked()
    page.locator("input[name=overlay][value=waste]").check()
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Use at the weekend")
