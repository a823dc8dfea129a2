"""The pages of insights in a real browser: drawn, without barriers, on every width."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from playwright.sync_api import expect

from kilowatch.model.blocks import Quality
from kilowatch.model.insight import InsightEvent
from kilowatch.model.lengths import HOUR_MS
from tests.dashboard.conftest import Watched
from tests.dashboard.fakes import DAY_MS
from tests.dashboard.insight_world import furnish
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser


MARKED = """(id) => echarts.getInstanceByDom(document.getElementById(id)).getZr().storage
  .getDisplayList(true).filter((one) => one.type === "tspan").map((one) => one.style.text)
  .filter((text) => text.includes("%"))"""
"""What is really drawn, not what was asked for: ECharts leaves out silently what it was built
without."""


@pytest.fixture(scope="module")
def found(live_world: World) -> dict[str, InsightEvent]:
    """Let the served world have events."""
    return furnish(live_world, 40)


def fill(path: str, world: World, found: dict[str, InsightEvent]) -> str:
    """Put numbers and names into a path."""
    points = {name: point.id for name, point in world.points.items()}
    sites = {"site": world.sites["Office Dublin"]}
    return path.format(**points, **sites, **{name: one.id for name, one in found.items()})


def test_an_event_is_a_picture_and_a_table(
    live_world: World, found: dict[str, InsightEvent], watched: Watched
) -> None:
    """The same hours can be read by somebody who sees no chart."""
    page = watched.open(fill("/event/{hvac}/{weekend}", live_world, found))
    page.wait_for_selector("#event[data-ready]")
    expect(page.locator("#near canvas")).to_be_visible()
    expect(page.locator("#day canvas")).to_be_visible()
    page.locator("label", has=page.locator("input[data-view=near][value=table]")).click()
    expect(page.locator("#near-table tbody tr").first).to_be_visible()
    assert page.locator("#near-table tbody tr").count() > 100
    expect(page.locator("#near")).to_be_hidden()


def test_an_event_of_waste_says_what_was_needed_and_what_is_counted(
    live_world: World, found: dict[str, InsightEvent], watched: Watched
) -> None:
    """The legend has the line of the need and the area that is counted; the table both."""
    page = watched.open(fill("/event/{hvac}/{weekend}", live_world, found))
    page.wait_for_selector("#event[data-ready]")
    legend = page.locator("section[aria-labelledby=near-title] .legend li:visible")
    expect(legend).to_have_text(["used", "needed", "counted as waste"])
    page.locator("label", has=page.locator("input[data-view=near][value=table]")).click()
    head = page.locator("#near-table thead th")
    expect(head).to_have_text(["Hour", "used [kW]", "needed [kW]", "counted as waste [kW]"])
    insights = live_world.extra["insights"]
    insights.knows_need = False
    page = watched.open(fill("/event/{hvac}/{weekend}", live_world, found))
    page.wait_for_selector("#event[data-ready]")
    expect(legend).to_have_text(["used", "expected: 50 and 90 % range"])
    expect(page.get_by_text("what was needed then was not kept")).to_be_visible()
    insights.knows_need = True


def test_an_electrical_event_shows_its_phases(
    live_world: World, found: dict[str, InsightEvent], watched: Watched
) -> None:
    """Three voltages with their marks and both limits, the same as a table; no normal day."""
    page = watched.open(fill("/event/{main}/{voltage}", live_world, found))
    page.wait_for_selector("#event[data-ready]")
    expect(page.locator("#quantity canvas")).to_be_visible()
    expect(page.locator("#quantity-legend li")).to_have_text(["● L1", "■ L2", "▲ L3"])
    expect(page.locator("#day-card")).to_have_count(0)
    page.locator("label", has=page.locator("input[data-view=quantity][value=table]")).click()
    row = page.locator("#quantity-table tbody tr").first
    expect(row.locator("td")).to_have_count(3)
    assert all(225 < float(text) < 237 for text in row.locator("td").all_inner_texts())
    assert page.evaluate(MARKED, "quantity") == ["207 V (−10 %)", "253 V (+10 %)"]


def test_the_circuits_of_a_site_are_drawn(
    live_world: World, found: dict[str, InsightEvent], watched: Watched
) -> None:
    """Each data point with hours has its chart; a click on an event opens it."""
    page = watched.open(f"/sentinel?place=s{live_world.sites['Office Dublin']}")
    page.wait_for_selector("#multiples[data-ready]")
    page.locator("#multiples .plot").first.scroll_into_view_if_needed()
    expect(page.locator("#multiples canvas").first).to_be_visible()
    # Each comes as it comes near.
    last = page.locator("#multiples [data-circuit]").last
    last.locator(".plot").scroll_into_view_if_needed()
    expect(last.locator("canvas").first).to_be_visible()
    last.locator("summary").click()
    expect(last.locator("tbody tr").first).to_be_visible()
    page.locator(f'.timeline a[href$="{found["weekend"].id}"]').click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Use at the weekend")


def test_answering_an_event_from_its_page(
    live_world: World, found: dict[str, InsightEvent], watched: Watched
) -> None:
    """One click acknowledges; the badge and the story say so; one click takes it back."""
    page = watched.open(fill("/event/{main}/{spike}", live_world, found))
    page.fill("#comment", "test of the lift")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".title .badge").first).to_have_text("acknowledged")
    expect(page.locator(".story")).to_contain_text("test of the lift")
    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".title .badge").first).to_have_text("open")


DRAWN = """([id, names]) => {
  const texts = echarts.getInstanceByDom(document.getElementById(id)).getZr().storage
    .getDisplayList(true).filter((one) => one.type === "tspan").map((one) => one.style.text);
  return names.every((one) => texts.includes(one)); }"""


def test_a_forecast_names_its_last_day_and_its_legend_has_the_colour_of_its_line(
    live_world: World, found: dict[str, InsightEvent], watched: Watched
) -> None:
    """Gas is drawn in the hue of gas, and its legend says so; each midnight has its name."""
    assert found
    page = watched.open(f"/forecast?point={live_world.point('gas').id}")
    expect(page.locator("#ahead canvas")).to_be_visible()
    colours = page.evaluate(
        """() => [".key.actual", ".key.forecast"].map((one) => getComputedStyle(
          document.querySelector(`#forecast ${one}`)).borderTopColor)"""
    )
    hue = page.evaluate(
        """() => { const one = document.createElement("i"); one.style.color = "var(--gas)";
          document.body.append(one); return getComputedStyle(one).color; }"""
    )
    assert colours == [hue, hue]
    address = page.locator("#forecast").get_attribute("data-forecast")
    chart = page.evaluate("async (address) => (await (await fetch(address)).json()).chart", address)
    assert [minutes for _, minutes in chart["offsets"]] == [0], "November in Dublin"
    days = [
        datetime.fromtimestamp(at / 1000, UTC)
        for at in range(chart["from_ms"], chart["to_ms"], DAY_MS)
    ]
    midnights = [f"{day:%a} {day.day} {day:%b}" for day in days]
    assert len(midnights) >= 7
    page.wait_for_function(DRAWN, arg=["ahead", midnights])


PICTURED = """(id) => echarts.getInstanceByDom(document.getElementById(id)).getZr().storage
  .getDisplayList(true).flatMap((one) => one.style?.fill?.image ? ["hatched"]
    : JSON.stringify(one.style?.lineDash) === "[2,3]" ? ["dotted"] : [])"""


def test_what_is_missing_is_hatched_and_what_is_estimated_is_dotted(
    live_world: World, found: dict[str, InsightEvent], watched: Watched
) -> None:
    """In the charts of events, circuits and forecasts as in Breakdown; and told in their tables."""
    point, view = live_world.point("main"), live_world.view
    rows = view.rows[point.series]
    lost = (rows.start_ms >= found["spike"].start_ms + 6 * HOUR_MS) & (
        rows.start_ms < found["spike"].start_ms + 15 * HOUR_MS
    )
    held = (rows.start_ms // HOUR_MS * HOUR_MS) == found["spike"].start_ms - 9 * HOUR_MS
    marked = replace(rows, quality=np.where(held, Quality.ESTIMATED, rows.quality))
    gone = marked.take(~lost)
    view.rows[point.series] = gone
    try:
        page = watched.open(fill("/event/{main}/{spike}", live_world, found))
        page.wait_for_selector("#event[data-ready]")
        assert set(page.evaluate(PICTURED, "near")) == {"hatched", "dotted"}
        page.locator("label", has=page.locator("input[data-view=near][value=table]")).click()
        expect(page.locator("#near-table tbody td", has_text="(estimated)")).to_have_count(1)
        lost = rows.start_ms // (5 * HOUR_MS) == found["voltage"].start_ms // (5 * HOUR_MS) + 2
        view.rows[point.series] = rows.take(~lost)
        page = watched.open(fill("/event/{main}/{voltage}", live_world, found))
        page.wait_for_selector("#event[data-ready]")
        assert page.evaluate(PICTURED, "quantity") == ["hatched"], "five hours"
        view.rows[point.series] = gone
        page = watched.open(fill("/forecast?point={main}", live_world, found))
        page.wait_for_selector("#forecast[data-ready]")
        assert "hatched" in page.evaluate(PICTURED, "ahead")
    finally:
        view.rows[point.series] = rows


CUT = """() => [...document.querySelectorAll(".site-cards .card, .site-cards .scroll")]
  .filter((one) => one.scrollWidth > one.clientWidth || [...one.querySelectorAll("data, .badge")]
    .some((figure) => figure.getBoundingClientRect().right > one.getBoundingClientRect().right))
  .map((one) => `${one.className} ${one.scrollWidth} > ${one.clientWidth}`)"""
LONGEST = """() => { for (const one of document.querySelectorAll(".stands data"))
  one.textContent = one.dataset.currency ? "€1,234,567" : "−1,234 MWh"; }"""


def test_no_figure_of_a_site_is_cut_on_any_screen(
    live_world: World, found: dict[str, InsightEvent], watched: Watched
) -> None:
    """€1,087 that reads €1,08 is another sum: on every width all of a card's figures are seen."""
    assert found
    page = watched.open("/")
    expect(page.locator(".site-cards .loading-place")).to_have_count(0)
    assert page.locator(".stands data").count() > 6
    for longest in (False, True):
        if longest:
            page.evaluate(LONGEST)
        for width in (320, 390, 768, 1024, 1280, 1366, 1440, 1920, 2560):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(CUT) == [], f"{width} px"
