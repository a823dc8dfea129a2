"""Home: what waits for somebody, what is late, and each site against what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import prices, verdicts
from kilowatch.catalog.tables import Organisation
from kilowatch.dashboard import home
from kilowatch.dashboard.forecast_page import ends_of
from kilowatch.dashboard.home import late_points
from kilowatch.dashboard.home_figures import like_of, lines_of
from kilowatch.dashboard.measures import change, shown
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.pipeline.insight.knowledge import Backlog
from tests.dashboard.fakes import DAY_MS
from tests.dashboard.house import House, post
from tests.dashboard.insight_world import furnish
from tests.dashboard.mailbox import Mailbox
from tests.dashboard.worlds import ADMIN, END_USER, World, build

PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def found(world: World) -> dict[str, InsightEvent]:
    """Let the module's world have events."""
    return furnish(world, 40)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[House]:
    """Build a world that a test may change."""
    made = build(tmp_path, days=2)
    yield House(made, Mailbox())
    made.writer.close()
    made.log.close()
    made.catalog.close()


def page(client: TestClient, path: str = "/") -> str:
    """Return a page's text."""
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text[:500]
    return unescape(answer.text)


def test_home_begins_with_what_costs_most(
    found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """The dearest open event first, with its money and the price it rests on."""
    text = page(admin)
    order = [text.index(f'id="event-{found[name].id}"') for name in ("weekend", "night", "spike")]
    assert order == sorted(order)
    assert "0.2187 EUR/kWh (contract 2026)" in text


def test_what_was_answered_no_longer_waits_on_home(own: House) -> None:
    """Acknowledged is answered: home is for what nobody has looked at."""
    found = furnish(own.world, 2)
    client = own.log_in(ADMIN)
    path = f"/event/{own.world.point('hvac').id}/{found['weekend'].id}"
    assert f'id="event-{found["weekend"].id}"' in page(client)
    assert post(client, path, f"{path}/say", verdict="acknowledged").status_code == 303
    assert f'id="event-{found["weekend"].id}"' not in page(client)


def test_what_people_have_said_is_read_once(
    admin: TestClient, found: dict[str, InsightEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is expected is asked for what waits and for what is laid out, in one look."""
    assert found
    looks: list[str] = []
    for name in ("of_events", "teaching"):
        was = getattr(verdicts, name)

        def noted(*asked: object, name: str = name, was: Any = was) -> Any:
            looks.append(name)
            return was(*asked)

        monkeypatch.setattr(verdicts, name, noted)
    assert "/event/" in page(admin)
    assert sorted(looks) == ["of_events", "teaching"]


def test_what_has_stopped_last_stands_first(world: World) -> None:
    """What went silent this morning is news; what has been silent for months is known."""
    rooms = world.app.state.rooms
    late = late_points(rooms, list(world.points.values()), world.now[0])
    assert [point.name for point, _ in late] == ["Server room"]
    later = late_points(rooms, list(world.points.values()), world.now[0] + DAY_MS)
    assert later[-1][0].name == "Server room"
    assert len(later) > 3


def test_sites_are_ranked_by_what_their_open_events_cost(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """The wasted weekend comes before a dear evening; a card says the sum of what is listed."""
    insights, spike = world.extra["insights"], found["spike"]
    was = insights.found[spike.series]
    low = replace(spike, amount=-20_000.0)
    insights.found[spike.series] = tuple(low if one.id == spike.id else one for one in was)
    text = page(admin)
    insights.found[spike.series] = was
    cards = text[text.index('class="site-cards"') :]
    assert cards.index("Office Dublin") < cards.index("Supermarket Cork")
    listed = re.findall(
        r'href="/event/(\d+)/.*?event-worth"><strong>(?:<data value="([-.\d]+)" data-currency)?',
        text[: text.index('class="site-cards"')], re.DOTALL,
    )  # fmt: skip
    site = world.sites["Office Dublin"]
    mine = {str(p.id) for p in world.points.values() if p.site_id == site}
    values = [float(value) for number, value in listed if number in mine and value]
    assert min(values) < 0, "what was not used is no cost"
    (card,) = re.findall(rf'place=s{site}&state=open".*?<data value="([-.\d]+)"', cards)
    assert float(card) == pytest.approx(sum(values))


def test_every_price_that_a_sum_rests_on_is_named(
    own: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card adds up all that waits: the prices of what is not laid out are in its sum too."""
    found = furnish(own.world, 2)
    insights = own.world.extra["insights"]
    ran = replace(found["drop"], kind=EventKind.SPIKE, series=own.world.point("water").series)
    insights.put(replace(ran, id="leak", amount=40.0))
    with own.world.catalog.change(catalogs.Actor("test")) as change:
        owner = change.session.scalars(select(Organisation).filter_by(name="Acme")).one()
        prices.set_price(change, owner, prices.PriceDraft("water", 3.5, "city", per="m3"))
    monkeypatch.setattr(home, "ATTENTION", 1)
    text = page(own.log_in(ADMIN))
    assert text.count('class="event-head"') == 1
    named = text[: text.index('class="site-cards"')]
    assert "0.2187 EUR/kWh (contract 2026)" in named
    assert "3.5 EUR/m³ (city)" in named, "the water that ran is in a sum"


def test_what_has_no_amount_is_no_missing_price(own: House) -> None:
    """Voltage that was too high costs nothing: that is no reason to say that no price is set."""
    found = furnish(own.world, 2)
    insights = own.world.extra["insights"]
    insights.found = {found["voltage"].series: [replace(found["voltage"], end_ms=own.world.now[0])]}
    client = own.log_in(ADMIN)
    text = page(client)
    assert f'id="event-{found["voltage"].id}"' in text
    assert "No price is set for any" not in text
    spike = replace(found["spike"], series=own.world.point("water").series)
    insights.found = {spike.series: [spike]}
    assert "No price is set for any" in page(client), (
        "water was used, and nobody said what it costs"
    )


def test_a_site_is_compared_with_what_was_expected_of_the_same_hours(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """On the wasted weekend HVAC alone used more than was expected of this month."""
    assert found
    rooms = world.app.state.rooms
    (line,) = lines_of(rooms, [world.point("hvac")])
    assert line.month.change is not None
    assert line.month.change > 0.3
    assert line.today.change == pytest.approx(0.0, abs=0.2)
    assert line.month.so_far is not None
    assert line.month.ahead is not None
    assert line.month.ahead > line.month.so_far
    text = page(admin, f"/home/site/{world.sites['Office Dublin']}")
    assert "0.2187 EUR/kWh (contract 2026)" in text


def test_figures_in_one_line_of_home_have_one_unit(admin: TestClient, world: World) -> None:
    """So far and forecast are read against each other: nobody has to turn litres into m³."""
    lines = 0
    for site_id in world.sites.values():
        text = page(admin, f"/home/site/{site_id}")
        for row in re.findall(r'<tr><th scope="row"[^>]*>(.*?)</tr>', text, re.DOTALL):
            told = re.findall(r"data-like=\"[0-9.e+-]+\">[^ <]+ ([^<]+)</data>", row)
            likes = re.findall(r'data-like="([0-9.e+-]+)"', row)
            today = {unit for unit, like in zip(told, likes, strict=True) if like == likes[0]}
            month = {unit for unit, like in zip(told, likes, strict=True) if like == likes[-1]}
            lines += bool(told)
            assert len(today) <= 1, row
            assert len(month) <= 1, row
            assert "gas" not in row or not {"L", "L/h"} & (today | month)
    assert lines
    assert shown(23.8e-3, "m3", like=1.0) == "0.0238 m³"


def test_two_lines_of_one_utility_say_in_what_each_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site with gas in cubic metres and gas in kilowatt-hours has no two lines called Gas."""
    gas = world.point("gas")
    energy = replace(gas, id=9_001, series=9_001, unit="kWh", behaviour="amount")
    monkeypatch.setitem(world.view.rows, 9_001, world.view.rows[gas.series])
    rooms = world.app.state.rooms
    names = [line.name for line in lines_of(rooms, [gas, energy, world.point("main")])]
    assert sorted(names) == ["Electricity", "Gas, kWh", "Gas, m³"]
    assert [line.name for line in lines_of(rooms, [gas])] == ["Gas"]


def test_gas_in_kilowatt_hours_is_told_like_other_energy(world: World) -> None:
    """A month of 4,512,523 Wh is 4.51 MWh; only cubic metres of gas stay what they are."""
    by_energy = replace(world.point("gas"), unit="kWh", behaviour="amount")
    like = like_of(by_energy, [4_512_523.0, 5_100_000.0])
    assert shown(4_512_523.0, "Wh", like=like) == "4.51 MWh"
    by_volume = replace(by_energy, unit="m3")
    assert shown(0.0238, "m3", like=like_of(by_volume, [0.0238, 0.9])) == "0.0238 m³"


def test_a_change_that_rounds_to_nothing_has_no_sign() -> None:
    """A minus before 0 % says that something is less, and then that it is not."""
    assert change(-0.004) == change(0.004) == "0 %"
    assert change(-0.006) == "\N{MINUS SIGN}1 %"
    assert change(0.126) == "+13 %"


def test_against_almost_nothing_the_amount_is_told(
    world: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cellar that was to use 80 Wh and used 4.38 kWh: nobody learns anything from +5383 %."""
    lines = lines_of(world.app.state.rooms, [world.point("hvac")])
    cellar = replace(lines[0].today, change=4_380 / 80 - 1, compared=4_380.0, expected=80.0)
    monkeypatch.setattr(home, "lines_of", lambda *_: [replace(lines[0], today=cellar)])
    (row,) = re.findall(
        r'<tr><th scope="row".*?</tr>',
        page(admin, f"/home/site/{world.sites['Office Dublin']}"),
        re.DOTALL,
    )
    told = re.sub(r"<[^>]+>", " ", row)
    assert re.search(r"\+ *4.3 kWh +almost nothing was expected", told), told
    assert "5375" not in told


def test_what_a_month_will_cost_has_each_day_at_its_own_price_as_on_forecast(own: House) -> None:
    """A contract that began on the fifth did not price the four days before it."""
    furnish(own.world, 20)
    with own.world.catalog.change(catalogs.Actor("test")) as change:
        owner = change.session.scalars(select(Organisation).filter_by(name="Acme")).one()
        draft = prices.PriceDraft("electricity", 0.31, "new contract", from_day=date(2026, 11, 5))
        prices.set_price(change, owner, draft)
    rooms, point = own.world.app.state.rooms, own.world.point("hvac")
    (line,) = lines_of(rooms, [point])
    outlook = rooms.outlooks.of(rooms.insights, point)
    month = outlook.ends[2]
    before = month.daily[:4].sum() / 1000
    cost = 0.2187 * before + 0.31 * (month.amount[1] / 1000 - before)
    assert line.month.worth.money == pytest.approx(cost)
    assert [one.label for one in line.month.worth.all_prices] == ["contract 2026", "new contract"]
    ends = ends_of(outlook, point, rooms.registry.facts()[point.site_id])
    low, middle, high = (one.money or 0.0 for one in ends[2].worth)
    assert middle == pytest.approx(cost)
    assert high - middle == pytest.approx(0.31 * (month.amount[2] - month.amount[1]) / 1000)
    assert low <= middle
    text = page(own.log_in(ADMIN), f"/forecast?point={point.id}")
    assert "0.2187 EUR/kWh (contract 2026)" in text
    assert "(new contract)" in text
    facts = replace(rooms.registry.facts()[point.site_id], prices=line.month.worth.all_prices[1:])
    assert ends_of(outlook, point, facts)[2].worth[1].money == pytest.approx(
        0.31 * month.amount[1] / 1000
    ), "days before the first price have that price too"


def test_figures_of_an_old_history_name_their_day(own: House) -> None:
    """A site whose data ended in November is not told of "today" in the year after."""
    client = own.log_in(ADMIN)
    address = f"/home/site/{own.world.sites['Office Dublin']}"
    assert "Today" in page(client, address)
    own.world.now[0] += 90 * DAY_MS
    text = page(own.log_in(ADMIN), address)
    assert "Today" not in text
    assert "9 November 2026" in text
    assert "November 2026" in text


def test_a_site_of_somebody_else_has_no_figures_here(world: World, logged: object) -> None:
    """Not even that it exists: an end user sees the site that was granted, and no other."""
    client = logged(END_USER)  # type: ignore[operator]
    address = "/home/site/{}"
    office, market = world.sites["Office Dublin"], world.sites["Supermarket Cork"]
    assert client.get(address.format(office), headers=PAGE).status_code == 404
    assert client.get(address.format(market), headers=PAGE).status_code == 200
    assert "Office Dublin" not in page(client)


def test_home_works_without_insights(own: House) -> None:
    """Late data and the sites are there all the same, and the page says what is not."""
    app = own.world.app
    app.state.rooms = replace(app.state.rooms, insights=None)
    client = own.log_in(ADMIN)
    text = page(client)
    assert "insights are not running" in text
    assert "Server room" in text
    figures = page(client, f"/home/site/{own.world.sites['Office Dublin']}")
    assert "so far" in figures


def test_a_backlog_is_told_and_so_is_a_fault(own: House) -> None:
    """Nobody takes a page for complete while the history is still worked through."""
    insights = own.world.extra["insights"]
    client = own.log_in(ADMIN)
    paths = ("/", "/sentinel", "/waste", "/forecast")
    insights.behind = Backlog(streams=3, hours=5_000)
    for path in paths:
        assert "still working through the history" in page(client, path)
    assert "Nothing waits for an answer" not in page(client), "a green tick would be a guess"
    insights.behind = Backlog(streams=3, hours=3)
    assert "Nothing waits for an answer" in page(client)
    for path in paths:
        assert "still working through the history" not in page(client, path)
    insights.behind = Backlog(starting=True)
    for path in paths:
        assert "have just been started" in page(client, path)
    assert "Nothing waits for an answer" not in page(client), "nobody has counted what is due"
    insights.behind = Backlog(fault="the store is full")
    for path in paths:
        assert "Insights have stopped" in page(client, path)


def test_a_register_that_fell_is_on_home_with_its_figures(own: House) -> None:
    """Who looks at nothing but Home sees that use is not counted, and where to say why."""
    insights = own.world.extra["insights"]
    told = {"fell": 1, "registers": ["value"], "register": "value", "before": 26466.0, "after": 0.0}
    gas, now_ms = own.world.point("gas"), own.world.now[0]
    fell = InsightEvent(
        "fell", gas.series, EventKind.NEGATIVE, now_ms - 2 * DAY_MS, now_ms - DAY_MS, True,
        now_ms - DAY_MS, float("nan"), 0.99, told,
    )  # fmt: skip
    insights.found = {gas.series: (fell,)}
    client = own.log_in(ADMIN)
    for path in ("/", "/sentinel"):
        text = page(client, path)
        assert "A register fell" in text
        assert "the register fell from 26,466 to 0; what was used in between is not" in text
        assert "say at Data quality whether the meter was exchanged or reset" in text
