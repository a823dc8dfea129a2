"""Where a number comes from: told from the intervals that made it, on every page in one shape."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import jinja2
import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard.app import HERE
from kilowatch.dashboard.behind import NAMED, Behind, Part, mean_shares, shares_of
from kilowatch.dashboard.hourly import hourly
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import IntervalBlock, Quality
from kilowatch.model.parameters import AP, PC
from tests.dashboard.conftest import Logged
from tests.dashboard.fakes import DAY_MS, HOUR_MS, rows_of
from tests.dashboard.insight_world import furnish
from tests.dashboard.test_level import ask, stored, wire
from tests.dashboard.test_waste_and_forecast import point
from tests.dashboard.worlds import ADMIN, STRANGER, World


@pytest.fixture(scope="module")
def wired(world: World) -> World:
    """Return a world with submeters."""
    wire(world, priced=False)
    return world


def test_a_page_of_the_server_gives_a_button_with_the_facts() -> None:
    """The macro's button has a name of its own; facts arrive as they are, whatever is in a name."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["t"] = t
    source = {"id": 1, "name": 'Bob\'s "Main" <b>', "stream_id": "a", "formula": ""}
    facts = Behind("What it is", [source], "1 May", parts=[Part("A", None, "Wh")]).columns()
    page = environment.from_string(
        '{% from "why.html" import why with context %}{{ why("Waste <b>", facts) }}'
    ).render(facts=facts)
    assert 'aria-label="Where Waste &lt;b&gt; comes from"' in page
    told = re.search(r'data-facts="([^"]*)"', page)
    assert told
    assert json.loads(html.unescape(told[1])) == facts


def test_of_many_data_points_some_are_named_and_the_others_counted() -> None:
    """A dialog is no list of a thousand names."""
    some = [{"id": n, "name": str(n), "stream_id": "", "formula": ""} for n in range(NAMED + 30)]
    told = Behind("", some, "").columns()
    assert (len(told["points"]), told["more"]) == (NAMED, 30)


def test_quality_is_a_share_of_the_time_that_is_known() -> None:
    """Half an hour estimated of one and a half hours known is a third; nothing known is nothing."""
    rows = rows_of(point(1), 0, np.arange(2, dtype=np.int64) * HOUR_MS, amount=np.ones(2))
    rows.covered_ms[:] = [HOUR_MS, HOUR_MS // 2]
    rows.quality[:] = [Quality.VALID, Quality.ESTIMATED]
    assert shares_of(rows)["estimated"] == pytest.approx(1 / 3)
    assert shares_of(IntervalBlock.empty())["estimated"] == 0
    whole, half = np.array([[0.0, 0, 1, 0]]), np.array([[0.0, 0, 0, 0]])
    found = mean_shares([whole, half], [np.array([1.0]), np.array([3.0])])
    assert found == pytest.approx({"derived": 0, "edited": 0, "estimated": 0.25, "questionable": 0})


@pytest.mark.parametrize("query", ["period=week&date=2026-10-20&grain=hour", "date=2026-11-08"])
def test_the_rest_of_a_stack_says_what_it_is_less(
    wired: World, admin: TestClient, query: str
) -> None:
    """Main less submeters is the remainder, over a change of the clocks and over a gap."""
    found = ask(admin, wired, query)
    (rest,) = [one for one in found["statistics"] if one["channel"] == "b2"]
    own, below = rest["parts"]
    assert own["value"] + below["value"] == pytest.approx(rest["total"], rel=1e-9)
    assert [one["name"] for one in rest["points"]] == ["Main supply", "HVAC", "Server room"]
    if "week" in query:
        assert own["value"] == pytest.approx(stored(wired, "main", found), rel=1e-9)
    (hvac,) = found["statistics"][0]["points"]
    assert (hvac["id"], hvac["stream_id"]) == (wired.point("hvac").id, "acme-hvac")


def rows(world: World, name: str, code: int, answer: dict[str, Any]) -> IntervalBlock:
    """Return a data point's single intervals in the days of an answer."""
    every = world.view.rows[world.point(name).series]
    from_ms, to_ms = answer["window"]["from_ms"], answer["window"]["to_ms"]
    inside = (every.channel == code) & (every.start_ms >= from_ms) & (every.start_ms < to_ms)
    return every.take(inside)


def test_a_site_says_what_was_estimated_and_questionable(wired: World, admin: TestClient) -> None:
    """Of the total, a band and the rest: the share of the known time, never simply none."""
    own = wired.view.rows[wired.point("main").series]
    kept = own.quality.copy()
    try:
        hour = (own.start_ms // HOUR_MS) % 24 == 12
        own.quality[hour & (own.channel == PC)] = Quality.ESTIMATED
        found = ask(admin, wired, "date=2026-11-06&grain=hour")
        mine = rows(wired, "main", PC, found)
        wanted = mine.covered_ms[mine.quality == Quality.ESTIMATED].sum() / mine.covered_ms.sum()
        assert 0 < wanted < 1
        hvac, _, rest, whole = found["statistics"]
        assert whole["shares"]["estimated"] == pytest.approx(wanted, abs=1e-6)
        assert rest["shares"]["estimated"] == pytest.approx(wanted, abs=1e-6)
        assert hvac["shares"]["estimated"] == 0
    finally:
        own.quality[:] = kept


def test_the_heat_map_says_of_which_cells_and_of_which_quality(
    world: World, admin: TestClient
) -> None:
    """October with its day of 25 hours, November with a gap: cells and known cells, one by one."""
    main = world.point("main")
    october = admin.get(f"/data/heatmap?point={main.id}&period=month&date=2026-10-01&bin=60")
    found = october.json()
    begin = max(found["window"]["from_ms"], found["window"]["begin_ms"])
    assert found["facts"]["cells"] == -(-(found["window"]["to_ms"] - begin) // HOUR_MS)
    november = admin.get(f"/data/heatmap?point={main.id}&period=month&date=2026-11-01&bin=60")
    found = november.json()
    mine = rows(world, "main", AP, found)
    covered = np.bincount((mine.start_ms - found["window"]["from_ms"]) // HOUR_MS, mine.covered_ms)
    assert found["facts"]["known"] == int((covered >= HOUR_MS / 2).sum())
    assert found["facts"]["cells"] > found["facts"]["known"]
    assert found["facts"]["shares"] == {
        name: pytest.approx(mine.covered_ms[mine.quality == one].sum() / mine.covered_ms.sum())
        for one, name in ((one, one.name.lower()) for one in Quality)
        if one not in (Quality.VALID, Quality.FORECAST)
    }
    (source,) = found["sources"]
    assert (source["id"], source["name"]) == (main.id, "Main supply")


def test_the_load_profile_says_how_many_demand_periods_are_known(
    world: World, admin: TestClient
) -> None:
    """A quarter of an hour counts where nine tenths of it were measured."""
    main = world.point("main")
    body = admin.get(f"/data/profile?point={main.id}&period=month&date=2026-11-01").json()
    (found,) = body["periods"]
    from_ms = int(np.datetime64("2026-11-01", "ms").astype(np.int64))
    every = world.view.rows[main.series]
    mine = every.take((every.channel == PC) & (every.start_ms >= from_ms))
    step = body["bin_s"] * 1000
    covered = np.bincount((mine.start_ms - from_ms) // step, mine.covered_ms)
    assert found["known"] == int((covered >= 0.9 * step).sum())
    assert found["known"] < found["cells"]


def behind(text: str) -> list[dict[str, Any]]:
    """Return the facts of the buttons of a page, in order."""
    return [json.loads(html.unescape(one)) for one in re.findall(r'data-facts="([^"]*)"', text)]


@pytest.fixture(scope="module")
def found(wired: World) -> World:
    """Return a world in which insights have found something."""
    furnish(wired, 40)
    return wired


def test_home_says_what_its_supplies_counted_and_what_was_expected(
    found: World, logged: Logged
) -> None:
    """Today's and the month's figures are those of the supply on Breakdown, gaps and all."""
    site = found.sites["Office Dublin"]
    client = logged(ADMIN)
    told = behind(client.get(f"/home/site/{site}").text)
    electricity = told[0]
    assert [one["stream_id"] for one in electricity["points"]] == ["acme-main"]
    notes = [{p["name"]: p["value"] for p in note[1]} for note in electricity["notes"]]
    point = found.point("main")
    for period, note in zip(("day", "month"), notes, strict=True):
        shown = client.get(f"/data/series?point={point.id}&period={period}&show=pC").json()
        assert note[t("home.so_far")] == pytest.approx(shown["summary"][0]["total"]), period
    from_ms = int(np.datetime64("2026-11-01", "ms").astype(np.int64))
    own = hourly(found.view, [point], from_ms, found.now[0])[point.series]
    assert electricity["intervals"].startswith(f"{len(own.rate)} of ")
    assert electricity["complete"] < 1, "the gap of the 8th is not called known"
    assert electricity["shares"] is not None


def test_waste_adds_up_from_sites_and_of_one_site_from_data_points(
    found: World, logged: Logged
) -> None:
    """Parts are the total to the last digit; money names its price, CO2 its factor."""
    client = logged(ADMIN)
    site = found.sites["Office Dublin"]
    for place in ("all", f"s{site}"):
        text = client.get(f"/waste?place={place}", headers={"accept": "text/html"}).text
        total, money, carbon = behind(text)
        shown = re.search(r'class="figure-of">(?:<span[^>]*>)?<data value="([0-9.e+]+)"', text)
        assert shown
        assert sum(one["value"] for one in total["parts"]) == pytest.approx(float(shown[1]))
        assert money["price"] == ["0.2187 EUR/kWh (contract 2026)"]
        assert money["priced"] == 1
        assert sum(one["value"] for one in money["parts"]) == pytest.approx(
            float(shown[1]) / 1000 * 0.2187
        )
        assert "SEAI 2024" in carbon["price"][0]
        assert {one["unit"] for one in carbon["parts"]} == {"kg"}
    assert [one["name"] for one in total["parts"]] == ["HVAC", "Main supply"]


def test_waste_says_of_which_quality_its_days_are(
    found: World, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days of the data points where waste was found; of more, of those that wasted most."""
    main = found.view.rows[found.point("main").series]
    path, client = f"/waste?place=s{found.sites['Office Dublin']}&until=2026-11-07", logged(ADMIN)
    kept = main.quality.copy()
    try:
        main.quality[(main.start_ms // HOUR_MS) % 24 == 12] = Quality.ESTIMATED
        told = behind(client.get(path, headers={"accept": "text/html"}).text)
        last_ms = int(np.datetime64("2026-11-08", "ms").astype(np.int64))
        covered = estimated = 0.0
        for name in ("main", "hvac"):
            every = found.view.rows[found.point(name).series]
            own = every.take((every.channel == PC) & (every.start_ms < last_ms))
            own = own.take(own.start_ms >= last_ms - 30 * DAY_MS - HOUR_MS)  # from 00:00 in summer
            covered += float(own.covered_ms.sum())
            estimated += float(own.covered_ms[own.quality == Quality.ESTIMATED].sum())
    finally:
        main.quality[:] = kept
    assert covered > 0
    for one in told[:3]:
        assert one["shares"]["estimated"] == pytest.approx(estimated / covered, rel=1e-9)
        assert one["complete"] == pytest.approx(covered / (2 * (30 * DAY_MS + HOUR_MS)), rel=1e-9)
    assert all("wasted most" not in str(one["notes"]) for one in told[:3])
    monkeypatch.setattr("kilowatch.dashboard.waste_page.LOOKED_AT", 1)
    total = behind(client.get(path, headers={"accept": "text/html"}).text)[0]
    assert 0 < total["complete"] <= 1
    ((_, note),) = total["notes"]
    assert "those of the 1 data points that wasted most, of 2" in note
    share = re.search(r"(\d+).%", note)
    assert share
    assert 50 <= int(share[1]) < 100


def test_the_flow_says_which_data_points_and_of_which_quality(found: World, logged: Logged) -> None:
    """Every node that is a data point has its source; a supply has the quality of its mains."""
    main = found.view.rows[found.point("main").series]
    kept = main.quality.copy()
    try:
        main.quality[(main.start_ms // HOUR_MS) % 24 == 12] = Quality.QUESTIONABLE
        body = logged(ADMIN).get(f"/data/flow?place=s{found.sites['Office Dublin']}").json()
        own = rows_in_november(found, "main")
    finally:
        main.quality[:] = kept
    points = {one["point"] for one in body["nodes"] if one["point"]}
    assert points == {one["id"] for one in body["sources"]}
    assert body["intervals"] == "30 intervals of 1 day"
    supply = next(one for one in body["nodes"] if one["kind"] == "supply")
    questionable = own.covered_ms[own.quality == Quality.QUESTIONABLE].sum()
    wanted = questionable / own.covered_ms.sum()
    assert wanted > 0
    assert supply["shares"]["questionable"] == pytest.approx(wanted, abs=1e-3)
    rest = next(one for one in body["nodes"] if one["kind"] == "unmetered")
    assert rest["shares"] == supply["shares"], "of its main, as in Breakdown"


def test_a_forecast_says_of_which_quality_its_measured_hours_are(
    found: World, logged: Logged
) -> None:
    """The month's hours so far as the store has them; nothing of the hours to come."""
    point, main = found.point("main"), found.view.rows[found.point("main").series]
    kept = main.quality.copy()
    main.quality[(main.start_ms // HOUR_MS) % 24 == 12] = Quality.QUESTIONABLE
    text = logged(ADMIN).get(f"/forecast?point={point.id}", headers={"accept": "text/html"}).text
    told = behind(text)
    own = rows_in_november(found, "main")
    main.quality[:] = kept
    assert len(told) == 3
    wanted = own.covered_ms[own.quality == Quality.QUESTIONABLE].sum() / own.covered_ms.sum()
    assert told[2]["shares"]["questionable"] == pytest.approx(wanted, abs=0.01)


def rows_in_november(world: World, name: str) -> IntervalBlock:
    """Return what a data point counted in the month, interval by interval."""
    begin = int(np.datetime64("2026-11-01", "ms").astype(np.int64))
    return rows(world, name, PC, {"window": {"from_ms": begin, "to_ms": begin + 30 * DAY_MS}})


def test_a_stranger_is_told_nothing_of_another_organisation(found: World, logged: Logged) -> None:
    """Neither a name nor an id of Acme stands behind a figure that a stranger sees."""
    client = logged(STRANGER)
    site = found.sites["Office Dublin"]
    assert client.get(f"/home/site/{site}").status_code == 404
    for path in ("/data/compare?items=s1", f"/data/flow?place=s{site}", f"/waste?place=s{site}"):
        assert "acme-" not in client.get(path).text, path
