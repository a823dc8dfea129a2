"""Breakdown in a real browser: the graph, the table, the calendar, and what happens live."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from kilowatch.model.silences import Contact
from tests.dashboard.conftest import Watched
from tests.dashboard.fakes import Status, electrical_rows, rows_of
from tests.dashboard.test_pages_in_chromium import barriers
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser

CHART = "echarts.getInstanceByDom(document.getElementById('chart'))"


def option(page: Page) -> dict[str, Any]:
    """Return what the graph draws."""
    script = f"""() => {{
        const option = {CHART}.getOption();
        return {{
            series: option.series.map((one) => ({{type: one.type, data: one.data, step: one.step}})),
            ticks: option.xAxis[0].axisTick.customValues,
            labels: option.xAxis.at(-1).axisLabel.customValues.map(option.xAxis.at(-1).axisLabel.formatter),
            yMin: option.yAxis.map((axis) => axis.min),
            panels: option.grid.length,
        }};
    }}"""  # noqa: E501
    found: dict[str, Any] = page.evaluate(script)
    return found


def path(world: World, name: str, query: str = "") -> str:
    """Return the address of a data point's Breakdown."""
    return f"/breakdown/{world.point(name).id}" + (f"?{query}" if query else "")


def test_the_first_graph_shows_power_and_energy_of_today(
    live_world: World, watched: Watched
) -> None:
    """A bare link opens on today, with the figures above and the graph below."""
    page = watched.open(path(live_world, "main"))
    expect(page.locator("[data-period-label]")).to_have_text(re.compile("9 November 2026"))
    expect(page.locator(".tile")).to_have_count(5)
    expect(page.locator(".tile .figure").first).to_contain_text("kWh")
    drawn = option(page)
    assert drawn["panels"] == 2
    assert drawn["yMin"][1] == 0, "bars of energy start at zero"
    expect(page.locator("#grain")).to_have_value("interval")
    height = page.locator("#chart").evaluate("node => node.clientHeight")
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function(f"() => document.getElementById('chart').clientHeight > {height}")
    expect(page.locator(".graph:fullscreen")).to_have_count(1)
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function(f"() => document.getElementById('chart').clientHeight === {height}")


def test_the_numbers_are_asked_for_once_with_the_page(live_world: World, watched: Watched) -> None:
    """The browser asks while it fetches the scripts, they take that answer, and ask no other."""
    site = live_world.point("main").site_id
    watched.page.route(
        re.compile(r"/live(\?|$)"), lambda _held: None
    )  # its greeting would ask again
    for address, words in (
        (path(live_world, "main"), "9 November 2026"),
        (path(live_world, "main", "period=week&show=aP%2CpC&view=graph"), "9 Nov – 15 Nov 2026"),
        (f"/breakdown/site/{site}", "9 November 2026"),
    ):
        before = len(watched.asked)
        page = watched.open(address)
        heading = page.locator("[data-period-label]")
        expect(heading).to_have_text(re.compile(words))
        assert heading.get_attribute("data-first") == "2026-11-09"
        asked = [one for one in watched.asked[before:] if "/series?" in one]
        assert len(asked) == 1, asked
    # An answer that was preloaded and is not taken is a warning of the browser, and a fault here.


def test_an_interval_is_drawn_over_its_whole_width(live_world: World, watched: Watched) -> None:
    """Each bar begins where its interval begins and ends where it ends."""
    page = watched.open(path(live_world, "main", "date=2026-11-06&grain=hour&show=pC"))
    custom = [one for one in option(page)["series"] if one["type"] == "custom" and one["data"]]
    bars = [one for one in custom if len(one["data"][0]) == 6][-1]  # not what lies over them
    widths = {row[2] - row[1] for row in bars["data"]}
    assert widths == {3_600_000}
    assert len(bars["data"]) == 24


def test_a_gap_is_hatched_and_never_joined(live_world: World, watched: Watched) -> None:
    """No line crosses three hours without data, and the gap has a mark of its own."""
    page = watched.open(path(live_world, "main", "date=2026-11-08&show=aP"))
    series = option(page)["series"]
    gaps = series[0]["data"]
    assert len(gaps) == 1
    begin, end = gaps[0][1], gaps[0][2]
    assert end - begin == pytest.approx(3 * 3_600_000, abs=600_000)
    line = next(one for one in series if one["type"] == "line")["data"]
    assert [row for row in line if row[0] == begin and row[1] is None], "the line ends at the gap"
    assert not [row for row in line if begin < row[0] < end]


def test_packets_in_a_longer_interval_than_registered_are_joined_by_the_line(
    live_world: World, watched: Watched
) -> None:
    """Where the finding says that packets come every three hours, three hours are no gap."""
    series, statuses = live_world.point("main").series, live_world.view.statuses
    statuses[series] = Status(series, join_interval_s=3 * 3_600)
    try:
        page = watched.open(path(live_world, "main", "date=2026-11-08&show=aP"))
        drawn = option(page)["series"]
    finally:
        del statuses[series]
    assert drawn[0]["data"] == [], "nothing is hatched"
    line = next(one for one in drawn if one["type"] == "line")["data"]
    assert len([row for row in line if row[1] is None]) == 1, "the line ends once, at its end"


@pytest.mark.parametrize(
    ("day", "hour", "times", "word"),
    [("2026-10-25", "01:00", 2, "clocks go back"), ("2026-03-29", "01:00", 0, "clocks go forward")],
)
def test_the_axis_shows_the_sites_own_clock(
    live_world: World, watched: Watched, day: str, hour: str, times: int, word: str
) -> None:
    """The doubled hour is there twice and the missing one not at all, whatever the browser."""
    page = watched.open(path(live_world, "gas", f"date={day}"))
    if times == 0:  # before the data began: the axis is drawn by the same module
        script = """async ([from, to]) => {
            const root = document.querySelector("script[type=module]").src.replace("main.js", "");
            const { SiteTime } = await import(root + "sitetime.js");
            const time = new SiteTime([[from, 0], [from + 3600000, 60]]);
            return [time.ticks(from, to, 1000).map((tick) => tick.text),
                    time.changes(from, to).map((change) => change.text)];
        }"""
        begin = 1_774_742_400_000
        labels, changes = page.evaluate(script, [begin, begin + 23 * 3_600_000])
    else:
        labels = [re.sub(r"\{b\|(.*)\}", r"\1", one) for one in option(page)["labels"]]
        changes = [word]
    assert labels.count(hour) == times
    assert labels.count("02:00") == 1
    assert word in changes[0]


def test_the_table_has_the_same_figures_with_sums(live_world: World, watched: Watched) -> None:
    """Every value of the data endpoint stands in the table, unrounded, and the foot adds up."""
    query = "date=2026-11-06&grain=hour&show=pC"
    number = live_world.point("main").id
    page = watched.open(path(live_world, "main", f"{query}&view=table"))
    answer = json.loads(
        page.evaluate(
            "(url) => fetch(url).then((r) => r.text())", f"/data/series?point={number}&{query}"
        )
    )
    wanted = answer["channels"][0]["amount"]
    cells = page.locator("#table tbody td[data-key=value]")
    expect(cells).to_have_count(24)
    shown = [float(text) for text in cells.evaluate_all("all => all.map((td) => td.dataset.value)")]
    assert shown == wanted
    foot = page.locator("#table tfoot td[data-value]").first.get_attribute("data-value")
    assert float(foot or "nan") == pytest.approx(sum(wanted), rel=1e-12)


def test_a_hole_is_said_aloud_in_the_table(live_world: World, watched: Watched) -> None:
    """Who reads the table learns of the gap as well as who sees the hatching."""
    page = watched.open(path(live_world, "main", "date=2026-11-08&show=aP&view=table"))
    expect(page.locator("#table .hole")).to_have_count(1)
    expect(page.locator("#table .hole")).to_contain_text("No data until")


def test_the_link_holds_the_whole_state_and_back_goes_back(
    live_world: World, watched: Watched
) -> None:
    """What a colleague opens is what one saw; the back button undoes one choice at a time."""
    page = watched.open(path(live_world, "main"))
    page.get_by_text("Week", exact=True).click()
    expect(page.locator("[data-period-label]")).to_have_text("9 Nov – 15 Nov 2026")
    page.get_by_text("Apart", exact=True).click()
    page.wait_for_function("() => location.search.includes('phases=apart')")
    page.get_by_text("Table", exact=True).click()
    expect(page.locator("#table table")).to_be_visible()
    link = page.url
    again = watched.open(link.removeprefix(watched.url))
    expect(again.locator("[data-period-label]")).to_have_text("9 Nov – 15 Nov 2026")
    expect(again.locator("#table table")).to_be_visible()
    assert again.url == link
    assert len(option(again)["series"]) if again.locator("#chart canvas").count() else True
    again.get_by_text("Graph", exact=True).click()
    expect(again.locator("#chart canvas").first).to_be_visible()
    again.go_back()
    expect(again.locator("#table table")).to_be_visible()


def test_the_calendar_marks_days_with_data_and_opens_them(
    live_world: World, watched: Watched
) -> None:
    """Marked days have data; a click opens the day; nothing leads outside of the data."""
    page = watched.open(path(live_world, "main"))
    expect(page.locator("#calendar .has")).to_have_count(9)
    expect(page.locator("#calendar [data-month='1']")).to_be_disabled()
    expect(page.locator("#calendar button[value='2026-11-10']")).to_be_disabled()
    page.locator("#calendar button[value='2026-11-03']").click()
    expect(page.locator("[data-period-label]")).to_have_text(re.compile("3 November 2026"))
    page.locator("#calendar [data-month='-1']").click()
    expect(page.locator("#calendar [data-title]")).to_have_text("October 2026")
    page.locator("#calendar [data-month='-1']").click(force=True)
    expect(page.locator("#calendar [data-title]")).to_have_text(re.compile("October|September"))


def test_parameters_are_chosen_by_group_and_one_stays(live_world: World, watched: Watched) -> None:
    """Voltage can be added, energy taken away; the last parameter cannot."""
    page = watched.open(path(live_world, "main", "date=2026-11-06"))
    expect(page.locator("[data-parameters] legend").first).to_have_text("Power")
    voltage = page.get_by_role("checkbox", name="Phase voltage")
    voltage.check()
    page.wait_for_function("() => location.search.includes('v')")
    page.wait_for_function(f"() => {CHART}.getOption().grid.length === 3")
    page.get_by_role("checkbox", name="Active energy, imported").uncheck()
    page.wait_for_function(f"() => {CHART}.getOption().grid.length === 2")
    page.get_by_role("checkbox", name="Active power", exact=True).uncheck()
    page.wait_for_function(f"() => {CHART}.getOption().grid.length === 1")
    voltage.click()
    expect(voltage).to_be_checked()
    expect(page.locator("[data-parameters-hint]")).to_contain_text("One parameter stays")


CHANGES = """async () => {
    const page = document.querySelector("script[src$='breakdown/page.js']").src;
    const { changeText } = await import(page.replace("page.js", "compare.js"));
    const { changed } = await import(page.replace("breakdown/page.js", "numbers.js"));
    const beside = (complete) => changeText({ share: 1.19, difference: 5, complete }, "Wh");
    return [beside(0.4), beside(0.6),
      changeText({ share: 53.83, difference: 4300, complete: 1 }, "Wh"),
      changed(-0.0001, -3, "Wh"), changed(null, -3, "Wh")];
}"""


def test_a_comparison_stands_in_graph_figures_table_and_address(
    live_world: World, watched: Watched
) -> None:
    """The period before, then another data point by its name; money names its price or none."""
    page = watched.open(path(live_world, "main", "period=week&date=2026-11-04&grain=day&show=pC"))
    page.get_by_label("Compare with").select_option("previous")
    page.wait_for_function("() => location.search.includes('compare=previous')")
    expect(page.locator(".tile.first .change")).to_contain_text("vs 26 Oct – 1 Nov 2026")
    expect(page.locator("[data-compare] [data-said]")).to_contain_text(
        "a week earlier, so that weekdays meet"
    )
    dashed = f"() => {CHART}.getOption().series.filter((one) => one.lineStyle?.type?.[0] === 6)"
    page.wait_for_function(f"{dashed}[0]?.data.length >= 7")  # a dashed line over the bars
    page.get_by_text("Table", exact=True).click()
    expect(page.locator("#table td[data-key=beside]").first).not_to_be_empty()
    expect(page.locator("#table td[data-key=change]")).to_have_count(7)
    barely, enough, *others = page.evaluate(CHANGES)
    assert (barely, enough) == ("–", "+119\N{NO-BREAK SPACE}%"), (
        "too little of a side is nothing to compare with"
    )
    assert others == ["+4.3 kWh", "±0\N{NO-BREAK SPACE}%", "\N{MINUS SIGN}3 Wh"], (
        "from almost nothing an amount is told, not +5,383 %"
    )
    page.get_by_text("Graph", exact=True).click()
    page.get_by_label("Compare with").select_option("point")
    field = page.get_by_label("Data point", exact=True)
    expect(field).to_be_focused()
    field.press_sequentially("gas b")
    page.wait_for_function("() => document.querySelectorAll('#compare-points option').length === 1")
    page.evaluate("() => { dispatchEvent(new PopStateEvent('popstate')); }")  # asks again
    page.wait_for_selector("#breakdown:not([aria-busy])")
    expect(field).to_be_focused()
    expect(field).to_have_value("gas b")
    field.fill("Gas boiler, Office Dublin")
    gas = live_world.point("gas").id
    page.wait_for_function(f"() => location.search.includes('compare=p{gas}')")
    expect(page.locator("[data-compare] [data-said]")).to_contain_text("a graph of its own below")
    page.wait_for_function(f"() => {CHART}.getOption().grid.length === 2")
    page.get_by_text("CO₂", exact=True).click()
    expect(page.locator("[data-worth-said]")).to_contain_text("No CO₂ factor is set for this here")
    expect(page.locator("[data-worth-said] a")).to_have_attribute("href", re.compile("/prices$"))
    again = watched.open(page.url.removeprefix(watched.url))
    expect(again.get_by_label("Data point", exact=True)).to_have_value("Gas boiler")
    expect(again.get_by_role("radio", name="CO₂")).to_be_checked()


def test_each_figure_says_where_it_comes_from(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """By keyboard: definition, data point, days, intervals, what is known, and the way to both."""
    page = watched.open(path(live_world, "main", "date=2026-11-08&grain=hour"))
    asked = page.locator(".tile.first .why")
    asked.focus()
    page.keyboard.press("Enter")
    box = page.locator("dialog.why-box")
    expect(box).to_be_visible()
    for words in ("The sum of what was counted", "Main supply (acme-main)", "Europe/Dublin",
                  "22 intervals of 1 hour", "87.5 % of the time", "in gaps"):  # fmt: skip
        expect(box).to_contain_text(words)
    number = live_world.point("main").id
    expect(box.get_by_role("link", name="Packets of Main supply")).to_have_attribute(
        "href", f"/attributes/{number}"
    )
    expect(box.get_by_role("link", name=re.compile("Data quality"))).to_have_attribute(
        "href", f"/quality/{number}"
    )
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert not barriers(watched, axe_source)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(asked).to_be_focused()
    page.locator("[data-figure=power_factor] .why").click()
    expect(box).to_contain_text("sum of active power over the sum of apparent power")


def test_a_click_on_a_day_opens_the_day(live_world: World, watched: Watched) -> None:
    """From the month to the day is one click on its bar."""
    page = watched.open(path(live_world, "main", "period=month&date=2026-11-01&show=pC"))
    at = page.evaluate(
        f"() => {CHART}.convertToPixel({{xAxisIndex: 0}}, {1_793_577_600_000 + 43_200_000})"
    )
    box = page.locator("#chart").bounding_box()
    assert box
    page.mouse.click(box["x"] + at, box["y"] + 200)
    page.wait_for_function("() => location.search.includes('period=day')")
    expect(page.locator("[data-period-label]")).to_have_text(re.compile("2 November 2026"))


def test_the_pointer_tells_the_value_with_its_range_and_its_interval(
    live_world: World, watched: Watched
) -> None:
    """Mean, smallest and largest of the interval under the pointer; in a gap, that it is one."""
    page = watched.open(path(live_world, "main", "date=2026-11-08"))
    box = page.locator("#chart").bounding_box()
    assert box
    noon, in_the_gap = 1_794_139_200_000 + 60_000, 1_794_234_140_000 - 28 * 3_600_000
    at = page.evaluate(f"() => {CHART}.convertToPixel({{xAxisIndex: 0}}, {noon})")
    page.mouse.move(box["x"] + at, box["y"] + 100)
    hover = page.locator(".hover")
    expect(hover).to_contain_text("Sun 8 Nov, 12:00 – 12:05")
    expect(hover).to_contain_text(re.compile(r"Active power\s*\d+(\.\d)? kW\s*\d+(\.\d)? – \d+"))
    at = page.evaluate(f"() => {CHART}.convertToPixel({{xAxisIndex: 0}}, {in_the_gap})")
    page.mouse.move(box["x"] + at, box["y"] + 100)
    expect(hover).to_contain_text(re.compile("No data; .* kWh were used in this gap"))
    page.mouse.move(2, 2)
    expect(hover).to_be_hidden()


def test_a_new_packet_changes_the_graph_without_a_reload(
    live_world: World, watched: Watched
) -> None:
    """Within a second of the packet the line is longer, and nothing that is read has moved."""
    point = live_world.point("hvac")
    page = watched.open(path(live_world, "hvac"))
    page.wait_for_selector("html[data-live=on]")
    page.evaluate("() => { window.stayed = true; }")
    before = len(next(one for one in option(page)["series"] if one["type"] == "line")["data"])
    scrolled = page.evaluate("() => { scrollTo(0, 120); return scrollY; }")
    page.wait_for_timeout(500)
    start = np.array([live_world.view.rows[point.series].start_ms.max() + 300_000])
    live_world.view.extend(point, electrical_rows(point, start, np.array([33_333.0])))
    began = time.monotonic()
    page.wait_for_function(
        f"() => {CHART}.getOption().series.find((s) => s.type === 'line').data.length > {before}"
    )
    assert time.monotonic() - began < 2.0
    assert page.evaluate("() => window.stayed"), "the page was not loaded again"
    assert page.evaluate("() => scrollY") == scrolled


def test_the_first_packets_turn_the_empty_page_into_a_graph(
    live_world: World, watched: Watched
) -> None:
    """No data, then one packet, then a graph: each by itself, while somebody watches."""
    point = live_world.point("new")
    page = watched.open(path(live_world, "new"))
    expect(page.locator("#empty")).to_be_visible()
    expect(page.locator("#empty")).to_contain_text("acme-new")
    expect(page.locator("#empty pre")).to_contain_text("curl")
    expect(page.locator("#calendar [data-title]")).to_have_text("November 2026")
    page.wait_for_selector("html[data-live=on]")
    first = live_world.now[0] // 300_000 * 300_000 - 600_000
    for step, shown in ((0, "#single"), (1, "#chart canvas")):
        start = np.array([first + step * 300_000])
        live_world.view.extend(point, electrical_rows(point, start, np.array([5_000.0])))
        expect(page.locator(shown).first).to_be_visible()
    expect(page.locator("#single")).to_be_hidden()
    # Ten minutes of a day are three pixels: a dot says that something is there.
    dots = f"{CHART}.getOption().series.filter((one) => one.id?.startsWith('dots-'))"
    page.wait_for_function(f"() => {dots}.some((one) => one.data.length === 1)")


def test_late_data_says_since_when_and_what_to_do(live_world: World, watched: Watched) -> None:
    """A stream that stopped two hours ago is not shown as if all were well."""
    page = watched.open(path(live_world, "server"))
    expect(page.locator("#message")).to_contain_text("No data for 2 h. The last packet came at")
    expect(page.locator("#message a")).to_have_attribute("href", re.compile("/attributes/"))
    expect(page.locator(".bar .fresh")).to_contain_text("no data for 2 h")


def test_packets_for_another_time_are_told_from_missing_ones(
    live_world: World, watched: Watched
) -> None:
    """What came two minutes ago for two hours ago is no gap in communication, in any place."""
    point, now_ms = live_world.point("server"), live_world.now[0]
    live_world.view.contacts[point.series] = Contact(
        True, now_ms - 120_000, now_ms + 600_000, 720_000, False
    )
    page = watched.open(path(live_world, "server"))
    said = re.compile(r"Last packet came 2 min ago, for .*\d\d:\d\d")
    expect(page.locator("#message")).to_contain_text(said)
    expect(page.locator(".bar p.fresh")).to_contain_text(
        re.compile("last packet came 2 min ago, for")
    )
    leaf = page.locator("#tree .leaf", has_text="Server room")
    expect(leaf.locator("[data-state-text]")).to_have_text("fresh")
    live_world.view.contacts[point.series] = Contact(
        True, now_ms - 1_200_000, now_ms - 480_000, 720_000, True
    )
    page = watched.open(path(live_world, "server"))
    expect(page.locator("#message")).to_contain_text("No data for 20 min. The last packet came at")
    expect(leaf.locator("[data-state-text]")).to_have_text("late")


def test_a_period_without_data_leads_to_the_data(live_world: World, watched: Watched) -> None:
    """Somebody who went too far back gets a way to the first day."""
    page = watched.open(path(live_world, "main", "date=2026-08-01"))
    expect(page.locator("#message")).to_contain_text("no data this far back")
    page.locator("#message a").click()
    page.wait_for_selector("#breakdown[data-ready]")
    assert "date=2026-09-30" in page.url


def test_a_failed_request_says_so_and_can_be_tried_again(
    live_world: World, watched: Watched
) -> None:
    """When the server cannot answer, the page says what happened and offers to try again."""
    page = watched.page
    body = {"detail": "The store is opening.", "remedy": "Try again in a moment."}
    page.route("**/data/series?*", lambda route: route.fulfill(status=503, json=body))
    watched.open(path(live_world, "main"))
    expect(page.locator("#message")).to_contain_text("The store is opening. Try again in a moment.")
    page.unroute("**/data/series?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#chart canvas").first).to_be_visible()
    watched.faults[:] = [fault for fault in watched.faults if "503" not in fault]


def test_a_peak_survives_when_the_graph_is_too_narrow(live_world: World, watched: Watched) -> None:
    """A month of 5-minute values on a phone still shows the one that was highest."""
    point = live_world.point("main")
    rows = live_world.view.rows[point.series]
    power = rows.channel == 4
    at = int(np.flatnonzero(power)[1234])
    kept = rows.mean[at], rows.high[at]
    rows.mean[at] = rows.high[at] = 99_000.0
    watched.page.set_viewport_size({"width": 390, "height": 844})
    period = "period=custom&date=2026-09-30&until=2026-10-29&grain=interval&show=aP"
    page = watched.open(path(live_world, "main", period))
    series = option(page)["series"]
    band = next(one for one in series[1:] if one["type"] == "custom")["data"]
    assert len(band) < 1000, "thinned to what fits"
    assert max(row[4] for row in band) == pytest.approx(99.0)
    rows.mean[at], rows.high[at] = kept


def test_a_quiet_water_meter_is_zero_and_not_a_gap(live_world: World, watched: Watched) -> None:
    """Nothing used at night is known to be nothing: no hatching, complete."""
    page = watched.open(path(live_world, "water", "date=2026-11-08"))
    assert option(page)["series"][0]["data"] == []
    expect(page.locator(".tile.complete .figure")).to_have_text("100 %")
    assert live_world.point("water").series in live_world.view.rows
    assert rows_of is not None
