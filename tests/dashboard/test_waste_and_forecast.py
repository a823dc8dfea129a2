"""Waste is added up once and priced by its day; forecasts say what they are made of."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from html import unescape

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import site_terms, tables
from kilowatch.dashboard.insight_rows import when_text
from kilowatch.dashboard.outlooks import Outlooks
from kilowatch.dashboard.waste_page import _opening, cells_of, is_always_on
from kilowatch.dashboard.waste_sums import KINDS, counted_once, kind_title, wasted
from kilowatch.dashboard.worth import NOTHING, Sums
from kilowatch.model.insight import EventKind, InsightEvent, Standing, WasteHours
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import Price, SiteFacts
from tests.dashboard.fakes import HOUR_MS
from tests.dashboard.insight_world import EXTRA_W, furnish
from tests.dashboard.worlds import World

PAGE = {"accept": "text/html"}
WEEKEND = KINDS.index(EventKind.WEEKEND)
MONDAY_MS = 1_793_577_600_000  # Mon 2 Nov 2026 00:00 in Dublin


@pytest.fixture(scope="module")
def found(world: World) -> dict[str, InsightEvent]:
    """Let the module's world have events and waste."""
    return furnish(world, 40)


def page(client: TestClient, path: str) -> str:
    """Return a page's text."""
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text[:500]
    return unescape(answer.text)


def point(number: int, site: int = 1) -> DataPoint:
    """Return an electricity data point whose series is ten times its number."""
    return DataPoint(
        number, 10 * number, f"p{number}", f"Point {number}", 1, site, "Europe/Dublin",
        "electrical", "electricity", "kWh", 3600, 1800.0, "register",
    )  # fmt: skip


def hours(*rows: tuple[int, int, float]) -> WasteHours:
    """Return wasted hours from series, hour and amount."""
    return WasteHours(
        np.array([row[0] for row in rows], np.int64),
        np.array([MONDAY_MS + row[1] * HOUR_MS for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.full(len(rows), WEEKEND, np.int64),
    )


def test_what_a_meter_and_its_submeter_both_saw_counts_once() -> None:
    """A fan that ran on is at its own meter and at the supply: its kilowatt-hours are not two."""
    seen = hours((10, 0, 5_000.0), (20, 0, 4_000.0), (30, 0, 2_000.0), (10, 1, 5_000.0))
    kept = counted_once(seen, [point(1), point(2), point(3)], {1: None, 2: 1, 3: 1})
    rows = sorted(zip(kept.series.tolist(), kept.amount.tolist(), strict=True))
    assert rows == [(10, 5_000.0), (20, 4_000.0), (30, 2_000.0)]


@settings(deadline=None)  # the machine's other work counts as this test's
@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.integers(0, 5), st.floats(1.0, 1e5)),
        max_size=40,
        unique_by=lambda row: (row[0], row[1]),
    ),
    st.dictionaries(st.integers(1, 6), st.integers(1, 6)),
)
def test_no_waste_is_lost_or_counted_twice_whatever_the_tree(
    rows: list[tuple[int, int, float]], feeding: dict[int, int]
) -> None:
    """Hour by hour the sum is never above what everybody saw, nor below the most that one saw.

    Trees with loops too: somebody may have registered nonsense.
    """
    points = [point(number) for number in range(1, 7)]
    seen = hours(*((10 * number, hour, amount) for number, hour, amount in rows))
    kept = counted_once(seen, points, {p.id: feeding.get(p.id) for p in points})
    for hour in range(6):
        at_ms = MONDAY_MS + hour * HOUR_MS
        everybody = seen.amount[seen.start_ms == at_ms]
        total = kept.amount[kept.start_ms == at_ms].sum()
        assert total <= everybody.sum() * (1 + 1e-9)
        if len(everybody):
            assert total >= everybody.max() * (1 - 1e-9)


def test_each_hour_costs_the_price_of_its_own_day() -> None:
    """A price that rises on Tuesday does not make Monday's waste dearer."""
    tuesday = MONDAY_MS + 24 * HOUR_MS
    prices = (
        Price(2, "electricity", 0.4, "kWh", "EUR", tuesday, date(2026, 11, 3), "new"),
        Price(1, "electricity", 0.2, "kWh", "EUR", 0, None, "old"),
    )
    facts = {1: SiteFacts(1, "Europe/Dublin", "IE", "", "EUR", prices=prices)}
    total = wasted(hours((10, 5, 1_000.0), (10, 30, 1_000.0)), [point(1)], facts).total
    assert total.money["EUR"] == pytest.approx(0.2 + 0.4)
    assert {str(price.label) for price in total.prices} == {"old", "new"}


def test_waste_without_a_price_is_not_free() -> None:
    """It stands in kilowatt-hours, and the page can say that a part has no price."""
    total = wasted(hours((10, 5, 1_000.0)), [point(1)], {}).total
    assert not total.money
    assert (total.amounts, total.without_price) == ({"Wh": 1_000.0}, 1)


def test_a_cubic_metre_of_gas_is_none_of_water() -> None:
    """Both are told by name where both were wasted; energy of several utilities is one sum."""
    sums = Sums()
    single = replace(point(8), kind="single")
    sums.add(point(1), 500.0, NOTHING)
    sums.add(replace(single, utility="heat", unit="Wh"), 300.0, NOTHING)
    sums.add(replace(single, utility="gas", unit="m3"), 155.0, NOTHING)
    assert sums.told() == [(800.0, "Wh", ""), (155.0, "m3", "")]
    sums.add(replace(single, utility="water", unit="m3"), 0.25, NOTHING)
    assert sums.told() == [(800.0, "Wh", ""), (155.0, "m3", "Gas"), (0.25, "m3", "Water")]


def test_waste_that_is_of_no_named_kind_is_waste_all_the_same() -> None:
    """An hour may be wasted in none of the ways that have a name (-1): its sums keep it."""
    some = hours((10, 5, 1_000.0), (10, 6, 100.0))
    some = replace(some, kind=np.array([WEEKEND, -1], np.int64))
    found = wasted(some, [point(1)], {})
    assert found.total.amounts == {"Wh": 1_100.0}
    assert found.week.sum() == 1_100.0
    assert {kind: sums.amounts["Wh"] for kind, sums in found.by_kind.items()} == {
        EventKind.WEEKEND: 1_000.0, None: 100.0,
    }  # fmt: skip
    assert kind_title(None) != kind_title(EventKind.OVER_CONDITIONING)
    assert "Heating" not in kind_title(EventKind.OVER_CONDITIONING), "the sum has lights in it too"


def test_what_also_feeds_in_has_nothing_that_is_always_on() -> None:
    """A net meter at −31 kW instead of −108 kW wastes no 677 MWh a year."""
    base = Standing(132.0, 93.0, 0, 900.0, 0.4)
    assert is_always_on(base)
    assert is_always_on(replace(base, best_month=float("nan")))
    assert not is_always_on(replace(base, near_base=-31.0, best_month=-108.0))
    assert not is_always_on(replace(base, best_month=-108.0))
    assert not is_always_on(replace(base, near_base=float("nan")))


def test_the_hours_of_the_week_are_the_sites_own() -> None:
    """Monday 05:00 in Dublin is the fifth cell of the first row, and the worst one is darkest."""
    sums = wasted(hours((10, 5, 1_000.0), (10, 6, 100.0)), [point(1)], {})
    cells = cells_of(sums.week, None)
    assert (cells[0][5].level, cells[0][6].level, cells[1][5].level) == (4, 1, 0)
    assert sums.days == {date(2026, 11, 2): 1_100.0}


def test_the_page_of_waste_names_where_when_and_what_it_rests_on(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """By kind and building, with price and factor, opening hours and what is always on."""
    assert found
    text = page(admin, "/waste")
    kinds = text[text.index("By kind") : text.index("By building")]
    assert kinds.index("Use at the weekend") < kinds.index("Use after hours")
    assert "0.2187 EUR/kWh (contract 2026)" in text
    assert "0.2548 kg/kWh (location-based, SEAI 2024)" in text
    assert f'<data value="{48 * EXTRA_W}" data-unit="Wh">' in text
    site = page(admin, f"/waste?place=s{world.sites['Office Dublin']}")
    assert "Open Mon–Fri 08–18, as learnt from the load of most data points." in site
    assert "/calendar" in site
    assert "July 2026" in site


def test_water_tells_no_opening_hours(world: World, found: dict[str, InsightEvent]) -> None:
    """A district takes water from six to eleven at night: nobody opens it."""
    assert found
    rooms, office = world.app.state.rooms, [world.point("hvac"), world.point("water")]
    learnt = _opening(rooms, office[:1])
    assert learnt[2] == "learnt"
    assert _opening(rooms, office) == learnt
    rooms.insights.openings[office[1].series] = rooms.insights.openings[office[0].series]
    assert _opening(rooms, office[1:]) == (None, "", "water")


def test_days_without_waste_say_so(admin: TestClient, found: dict[str, InsightEvent]) -> None:
    """An empty page would look broken."""
    assert found
    assert "Nothing was wasted in these days" in page(admin, "/waste?days=7&until=2026-10-05")


def test_a_forecast_says_which_model_and_how_good_it_was(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Three sums with their range and cost, the model's name, and its error in words."""
    assert found
    text = page(admin, f"/forecast?point={world.point('main').id}")
    for words in ("End of the day", "End of the week", "End of the month", "similar days"):
        assert words in text
    assert "71 % " in text
    assert "0.2187 EUR/kWh (contract 2026)" in text
    world.extra["insights"].error = float("nan")
    steady = page(admin, f"/forecast?point={world.point('chiller').id}")
    world.extra["insights"].error = 53.83
    wild = page(admin, f"/forecast?point={world.point('hvac').id}")
    world.extra["insights"].error = 0.71
    assert "> 1,000 % " in wild
    assert "5383 %" not in wild
    assert "was never wrong" in steady, "a plant that runs by the clock has nothing to compare with"
    assert "before there are seven days" not in steady
    answer = admin.get(f"/data/forecast?point={world.point('main').id}").json()["chart"]
    assert len(answer["forecast"]["start"]) == 48
    assert answer["forecast"]["start"][0] >= answer["actual"]["start"][-1]
    assert all(
        low <= middle <= high
        for low, middle, high in zip(
            answer["forecast"]["low"], answer["forecast"]["mid"], answer["forecast"]["high"],
            strict=True,
        )
    )  # fmt: skip


def test_a_site_lists_the_ends_of_all_its_data_points(
    world: World,
    found: dict[str, InsightEvent],
    admin: TestClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The table is fetched after the frame, and has each data point that counts something."""
    assert found
    text = page(admin, f"/forecast/site?place=s{world.sites['Office Dublin']}")
    for name in ("Main supply", "HVAC", "Gas boiler", "Water", "Server room"):
        assert name in text
    assert "Refrigeration" not in text
    monkeypatch.setattr(world.app.state.rooms.outlooks, "of", lambda *_: None)
    text = page(admin, f"/forecast/site?place=s{world.sites['Office Dublin']}")
    rows = text.count('<tr><th scope="row">')
    assert text.count("<td") == text.count('data-label="'), "on a phone each figure has its name"
    assert text.count('data-label="Cost, month"') == rows


def test_a_data_point_without_data_has_no_forecast_and_is_told_when(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """One sentence and one next step."""
    assert found
    text = page(admin, f"/forecast?point={world.point('new').id}")
    assert "within its first day of data" in text
    assert admin.get(f"/data/forecast?point={world.point('new').id}").json() == {"chart": None}


def test_a_forecast_of_somebody_elses_data_point_is_not_there(admin: TestClient) -> None:
    """Nor does its number tell anything."""
    assert admin.get("/forecast?point=999999", headers=PAGE).status_code == 404


def test_an_outlook_is_kept_for_a_minute(world: World) -> None:
    """A site's table and its page ask the store once."""
    asked = []

    class Counting:
        def outlook(self, point: DataPoint) -> None:
            asked.append(point.id)

    kept = Outlooks()
    for _ in range(3):
        kept.of(Counting(), world.point("main"))  # type: ignore[arg-type]
    assert len(asked) == 1


def test_a_forecast_that_waits_for_the_temperature_says_so_and_where_the_data_ends(
    world: World,
    found: dict[str, InsightEvent],
    admin: TestClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three hours of data are not looked at yet: nobody reads that the data ends before them."""
    assert found
    point = world.point("main")
    outlook = world.extra["insights"].outlook(point)
    assert outlook is not None
    last = world.view.lasts[point.series]
    path = f"/forecast?point={point.id}"
    try:
        world.view.lasts[point.series] = replace(last, at_ms=outlook.made_ms + 3 * HOUR_MS)
        assert "wait for the outdoor temperature" not in page(admin, path), "none is linked"
        with world.catalog.change(catalogs.Actor("test")) as change:
            site = change.session.get(tables.Site, point.site_id)
            outdoor = change.session.get(tables.DataPoint, world.point("outdoor").id)
            assert site is not None
            site_terms.set_weather(change, site, outdoor)
        text = page(admin, path)
        assert "before the data ends" in text
        assert when_text(outlook.made_ms + 3 * HOUR_MS, point.zone) in text
        monkeypatch.setattr("kilowatch.dashboard.forecast_page.OLD_MS", -1)
        text = page(admin, path)
        assert "The data ends at" in text
        assert "where the data ends" not in text
        world.view.lasts[point.series] = replace(last, at_ms=outlook.made_ms + HOUR_MS)
        assert "wait for the outdoor temperature" not in page(admin, path)
    finally:
        world.view.lasts[point.series] = last


def test_gas_is_never_forecast_in_litres(world: World, admin: TestClient) -> None:
    """Nobody buys 70 L of gas: a warm day's cubic metres stay what they are."""
    gas = world.point("gas")
    rows = world.view.rows[gas.series]
    world.view.rows[gas.series] = replace(rows, amount=rows.amount / 10_000)
    try:
        pages = [
            admin.get(path, headers={"accept": "text/html"}).text
            for path in (f"/forecast?point={gas.id}", f"/forecast/site?place=s{gas.site_id}")
        ]
    finally:
        world.view.rows[gas.series] = rows
    for text in pages:
        figures = re.findall(r'<data value="[^"]+" data-unit="(m3[^"]*)"([^>]*)>([^<]+)<', text)
        assert figures
        told = [text for unit, like, text in figures if 'data-like="1.0"' in like]
        assert told
        assert all(one.endswith(("m³", "m³/h")) for one in told)
    mine = re.findall(r'data-unit="m3[^"]*"([^>]*)>([^<]+)<', pages[0].partition("<main")[2])
    assert not [one for one in mine if "data-like" not in one[0]], "all here is of gas"
    behind = unescape(unescape(pages[0].partition("<main")[2]))
    parts = re.findall(r'\{[^{}]*"unit": ?"m3"[^{}]*\}', behind)
    assert parts
    assert all('"like": 1.0' in one for one in parts), "where it comes from says so too"
