"""Breakdown of a site: its total stacked by submeter, with what none of them saw."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from kilowatch.catalog import Actor, prices
from kilowatch.catalog.feeders import set_feeder
from kilowatch.catalog.tables import DataPoint, Organisation
from kilowatch.model.parameters import PC
from tests.dashboard.conftest import Logged, Watched
from tests.dashboard.test_pages_in_chromium import barriers
from tests.dashboard.worlds import END_USER, STRANGER, VIEWER, World


def wire(world: World, *, priced: bool = True) -> None:
    """Hang HVAC and the server room below the main supply of Dublin; perhaps with a price."""
    with world.catalog.change(Actor("test")) as change:
        for short in ("hvac", "server"):
            row = change.session.get_one(DataPoint, world.point(short).id)
            set_feeder(change, row, world.point("main").id)
        if not priced:
            return
        owner = change.session.get_one(Organisation, world.point("main").organisation_id)
        prices.set_price(change, owner, prices.PriceDraft("electricity", 0.25, "contract"))


@pytest.fixture(scope="module")
def wired(world: World) -> World:
    """Return a world with submeters."""
    wire(world)
    return world


def ask(client: TestClient, world: World, query: str = "") -> dict[str, Any]:
    """Return what the data endpoint answers for Dublin."""
    site = world.sites["Office Dublin"]
    answer = client.get(f"/breakdown/site/{site}/series?{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def stored(world: World, name: str, answer: dict[str, Any]) -> float:
    """Add up what a data point counted in the days of an answer."""
    rows = world.view.rows[world.point(name).series]
    window = answer["window"]
    inside = (rows.channel == PC) & (rows.start_ms >= window["from_ms"])
    inside &= rows.start_ms < window["to_ms"]
    return float(np.nansum(rows.amount[inside]) + np.nansum(rows.unallocated[inside]))


@pytest.mark.parametrize(
    "query",
    [
        "period=week&date=2026-10-20&grain=hour",
        "period=month&date=2026-10-25",
        "period=month&date=2026-10-25&grain=week",
    ],
)
def test_bands_and_rest_are_what_the_main_counted(
    wired: World, admin: TestClient, query: str
) -> None:
    """Each submeter once; the rest is the main less its submeters, over a change of the clocks."""
    found = ask(admin, wired, query)
    total = {one["parameter_title"]: one["total"] for one in found["statistics"]}
    main, hvac, server = (stored(wired, name, found) for name in ("main", "hvac", "server"))
    assert total["HVAC"] == pytest.approx(hvac, rel=1e-9)
    assert total["Server room"] == pytest.approx(server, rel=1e-9)
    assert total["Not submetered, of Main supply"] == pytest.approx(main - hvac - server, rel=1e-9)
    assert found["summary"][0]["total"] == pytest.approx(main, rel=1e-9)
    assert [one["band"] for one in found["channels"]] == ["child", "child", "remainder"]
    assert found["channels"][0]["href"] == f"/breakdown/{wired.point('hvac').id}"


def test_a_site_is_no_finer_than_its_meters_and_no_longer_than_a_graph(
    wired: World, admin: TestClient
) -> None:
    """Half minutes of five-minute meters are their intervals; a year of them is refused at once."""
    fine = ask(admin, wired, "date=2026-11-06&grain=30s")
    own = ask(admin, wired, "date=2026-11-06&grain=interval")
    assert fine["summary"][0]["total"] == pytest.approx(own["summary"][0]["total"], rel=1e-12)
    assert len(fine["total"]["start"]) == len(own["total"]["start"])
    site = wired.sites["Office Dublin"]
    refused = admin.get(f"/breakdown/site/{site}/series?period=year&date=2026-01-01&grain=1s")
    assert (refused.status_code, refused.json()["code"]) == (400, "too_many_rows")


def test_the_site_counts_in_money_and_names_its_price(wired: World, admin: TestClient) -> None:
    """The same stack in euro, each bucket by the price of its day."""
    energy = ask(admin, wired, "date=2026-11-06")
    money = ask(admin, wired, "date=2026-11-06&worth=money")
    assert money["summary"][0]["unit"] == "EUR"
    wanted = energy["summary"][0]["total"] / 1000 * 0.25
    assert money["summary"][0]["total"] == pytest.approx(wanted, rel=1e-12)
    assert money["worth"]["basis"][0]["text"] == "0.25 EUR/kWh (contract)"
    gas = ask(admin, wired, "date=2026-11-06&utility=gas&worth=money")
    assert (gas["summary"][0]["total"], gas["worth"]["share"]) == (None, 0.0)


def test_each_utility_has_its_own_stack(wired: World, admin: TestClient) -> None:
    """Cubic metres are never added to kilowatt-hours; what is not measured here is refused."""
    found = ask(admin, wired, "date=2026-11-06&utility=water")
    assert [one["title"] for one in found["channels"]] == ["Water"]
    assert {one["word"] for one in found["utilities"]} == {"electricity-Wh", "gas-m3", "water-m3"}
    site = wired.sites["Office Dublin"]
    refused = admin.get(f"/breakdown/site/{site}/series?utility=heat")
    assert refused.status_code == 400
    assert "water-m3" in refused.json()["remedy"]


def test_the_file_and_the_calendar_are_those_of_the_stack(wired: World, admin: TestClient) -> None:
    """One column a band, full precision; days with data are those of the mains."""
    site = wired.sites["Office Dublin"]
    query = "period=week&date=2026-10-20&grain=day"
    text = admin.get(f"/breakdown/site/{site}/series.csv?{query}").text
    head, *rows = list(csv.reader(io.StringIO(text)))
    bands = ["HVAC [Wh]", "Server room [Wh]", "Not submetered, of Main supply [Wh]"]
    assert head[2:] == [*bands, "Total [Wh]"]
    found = ask(admin, wired, query)
    sums = [sum(float(row[at]) for row in rows) for at in (2, 3, 4)]
    assert sum(sums) == pytest.approx(found["summary"][0]["total"], rel=1e-9)
    assert sum(float(row[5]) for row in rows) == pytest.approx(sum(sums), rel=1e-9)
    beside = admin.get(f"/breakdown/site/{site}/series.csv?{query}&compare=previous").text
    head, *rows = list(csv.reader(io.StringIO(beside)))
    assert head[6].startswith("2026-10-12 to 2026-10-18: ")
    assert float(rows[0][6]) > 0
    days = admin.get(f"/breakdown/site/{site}/days?month=2026-11").json()["days"]
    assert days == [f"2026-11-{day:02}" for day in range(1, 10)]


def test_a_meter_in_the_tree_leads_to_its_stack(wired: World, logged: Logged) -> None:
    """For who may read the whole site; of another organisation, and for a tenant, there is none."""
    with wired.catalog.change(Actor("test")) as change:
        hvac = change.session.get_one(DataPoint, wired.point("hvac").id)
        main = change.session.get_one(DataPoint, wired.point("main").id)
        own, hvac.meter_id = hvac.meter_id, main.meter_id  # two readings: the meter is a branch
    site = wired.sites["Office Dublin"]
    href = f"/breakdown/site/{site}/meter/{main.meter_id}"
    try:
        for email, there in ((VIEWER, True), (END_USER, False), (STRANGER, False)):
            text = logged(email).get(f"/tree?branch=site-{site}").text
            assert (f'href="{href}"' in text) == there, email
        page = logged(VIEWER).get(href, headers={"accept": "text/html"}).text
        assert re.search(rf'href="{href}" aria-current="page"', page)
    finally:
        with wired.catalog.change(Actor("test")) as change:
            change.session.get_one(DataPoint, hvac.id).meter_id = own


def test_only_who_reads_the_whole_site_sees_its_total(wired: World, logged: Logged) -> None:
    """A viewer reads and exports nothing; a tenant of another site and a stranger find nothing."""
    site = wired.sites["Office Dublin"]
    viewer = logged(VIEWER)
    assert viewer.get(f"/breakdown/site/{site}/series").status_code == 200
    assert viewer.get(f"/breakdown/site/{site}/series.csv").status_code == 403
    for email in (END_USER, STRANGER):
        assert logged(email).get(f"/breakdown/site/{site}/series").status_code == 404
    assert viewer.get(f"/breakdown/site/{site}/meter/99999").status_code == 404


@pytest.mark.browser
def test_a_click_on_a_band_goes_to_the_submeter(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """From the site's page to its stack, to a band, to the submeter, for the same days."""
    wire(live_world)
    site = live_world.sites["Office Dublin"]
    page = watched.open(f"/site/{site}")
    page.get_by_role("navigation", name="Pages of this site").get_by_text("Breakdown").click()
    page.wait_for_selector("#breakdown[data-ready]")
    page.get_by_text("Week", exact=True).click()
    expect(page.locator("[data-period-label]")).to_have_text("9 Nov – 15 Nov 2026")
    expect(page.locator("#statistics tbody tr")).to_have_count(4)
    expect(page.locator("[data-notes]")).to_contain_text("Stacked by what is below")
    page.get_by_text("Table", exact=True).click()
    for name in ("HVAC", "Server room", "Not submetered", "Total"):
        expect(page.locator("#table thead")).to_contain_text(name)
    assert page.locator("#table").evaluate("one => one.scrollWidth <= one.clientWidth"), "sideways"
    page.get_by_text("Graph", exact=True).click()
    expect(page.locator("#chart canvas").first).to_be_visible()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert not barriers(watched, axe_source)
    at = page.evaluate(
        "() => echarts.getInstanceByDom(document.getElementById('chart'))"
        f".convertToPixel({{gridIndex: 0}}, [{live_world.now[0] - 3 * 3_600_000}, 1])"
    )
    box = page.locator("#chart").bounding_box()
    assert box
    page.mouse.click(box["x"] + at[0], box["y"] + at[1])
    page.wait_for_url(re.compile(rf"/breakdown/{live_world.point('hvac').id}\?period=week"))
