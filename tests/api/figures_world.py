"""A real catalogue and the real pipeline behind pages and API: both clock changes, gaps, prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from kilowatch import api
from kilowatch import catalog as catalogs
from kilowatch.api.app import PREFIX
from kilowatch.catalog import data_points, people, prices, registry, tokens
from kilowatch.catalog.settings_check import Settings
from kilowatch.cli.addresses import ByPath, guarded
from kilowatch.dashboard import DashboardSettings, create_app
from kilowatch.dashboard.expected_waste import wasted
from kilowatch.log import LogReader, LogWriter
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.view import InsightView
from tests.dashboard.conftest import form_token
from tests.dashboard.fakes import FakeRequests
from tests.dashboard.worlds import ADMIN, KEY, PASSWORD
from tests.pipeline.pipeline_world import DAY_MS, HOUR_MS, World

OCTOBER_MS = 1_729_724_400_000  # 2024-10-24 in Dublin, where the clocks go back on the 27th
MARCH_MS = 1_711_670_400_000  # 2024-03-29 there: they go forward on the 31st
NOW_MS = OCTOBER_MS + 6 * DAY_MS + 15 * HOUR_MS
GAP = range(60, 110)  # half hours: from the 25th, 06:00, over the night to the 26th, 07:00
SHORT_GAP = range(250, 258)  # within the 29th
POINTS = {
    "supply": Settings("electrical", "electricity", 1800),
    "both": Settings("electrical", "electricity", 1800),
    "gas": Settings("single", "gas", 1800, "m3", "register"),
    "counter": Settings("single", "heat", 1800, "kWh", "amount"),
    "power": Settings("single", "electricity", 1800, "kW", "rate"),
    "outdoor": Settings("single", "temperature", 1800),
    "quiet": Settings("electrical", "electricity", 1800),
    "parts": Settings("single", "other", 1800, "pcs", "amount"),
    "fine": Settings("single", "electricity", 1, "kWh", "amount"),
}


@dataclass
class Figures:
    """What a figure can be asked of: the page's data and the API."""

    client: TestClient
    token: str
    points: dict[str, DataPoint]
    catalog: catalogs.Catalog
    session: dict[str, str]

    def api(self, name: str, what: str, query: str, status: int = 200) -> Any:
        """Return an answer about a data point."""
        address = f"{PREFIX}/meters/{self.points[name].id}/{what}?{query}"
        answer = self.client.get(address, headers={"authorization": self.token})
        assert answer.status_code == status, answer.text
        return answer.json()

    def page(self, name: str, query: str) -> Any:
        """Return what Breakdown draws."""
        address = f"/data/series?point={self.points[name].id}&{query}"
        self.client.cookies.update(self.session)
        answer = self.client.get(address)
        self.client.cookies.clear()
        assert answer.status_code == 200, answer.text
        return answer.json()


def build(folder: Path) -> Figures:
    """Register, push and serve."""
    catalog = catalogs.open(folder / "catalog.sqlite", clock=lambda: NOW_MS)
    with catalog.change(catalogs.Actor("test")) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, acme, "Office", zone="Europe/Dublin")
        rows = {
            name: data_points.register(change, site, name, settings, stream_id=f"meter-{name}").id
            for name, settings in POINTS.items()
        }
        user, _ = people.add_user(change, ADMIN, name="A. Lee", password=PASSWORD)
        people.set_role(change, user, acme, "administrator")
        made = tokens.make(change, KEY, user.id, "script", read_only=True, days=30)
        first = prices.PriceDraft("electricity", 0.25, "contract")
        prices.set_price(change, acme, first)
        later = prices.PriceDraft("electricity", 0.4, "new contract", from_day=date(2024, 10, 28))
        prices.set_price(change, acme, later)
        gas = prices.PriceDraft("gas", 0.9, "gas bill", from_day=date(2024, 10, 26), per="m3")
        prices.set_price(change, acme, gas)
    known = catalogs.directory.load(catalog, "development")
    points = {name: point for name, one in rows.items() if (point := known.by_id(one)) is not None}
    world = World(folder, list(points.values())).start()
    world.time_s = NOW_MS / 1000
    for begin, count in ((MARCH_MS, 4 * 48), (OCTOBER_MS, 6 * 48 + 31)):
        push(world, points, begin, count)
    world.catch_up()
    writer = LogWriter(folder / "log.sqlite", on_commit=lambda _seq: None)
    settings = DashboardSettings("development", KEY, "https://localhost:8443/x")
    app = create_app(
        catalog, world.view, LogReader(folder / "log.sqlite"), FakeRequests(), settings,
        clock=lambda: NOW_MS,
    )  # fmt: skip
    writer.close()
    rooms, found = app.state.rooms, InsightView(folder / "insights.sqlite")
    asked = api.create_api(
        api.Rooms(
            rooms.registry, world.view, KEY, rooms.clock, found,
            partial(wasted, found, rooms.registry),
        )
    )  # fmt: skip
    client = TestClient(ByPath(app, "/api", guarded(asked, {}, production=False)))
    sent = {"csrf": form_token(client), "email": ADMIN, "password": PASSWORD}
    assert client.post("/login", data=sent, follow_redirects=False).status_code == 303
    session = dict(client.cookies)
    client.cookies.clear()
    return Figures(client, made.text, points, catalog, session)


def push(world: World, points: dict[str, DataPoint], begin: int, count: int) -> None:
    """Push half hours; registers count on over the gaps, in which nothing comes."""
    zone = Zone.of("Europe/Dublin")
    dial, out, cubic = 50_000.0 + begin / 1e9, 900.0, 120.0
    for n in range(count):
        at_ms = begin + n * HOUR_MS // 2
        offset = int(zone.offsets_ms([at_ms])[0]) // 60_000
        watts = 1_500.0 + 7 * n
        values: dict[str, dict[str, float]] = {
            "supply": {
                "aP_1": watts, "aP_2": watts / 2, "v_1": 230.0 + n % 3, "v_2": 231.0,
                "pC_1": dial, "pC_2": dial / 2,
            },
            "both": {"pC_1": dial, "pE_1": out},
            "gas": {"value": cubic},
            "counter": {"value": 0.5 + n / 100},
            "power": {"value": 2.0 + n / 50},
            "outdoor": {"value": 9.0 + n % 5},
        }  # fmt: skip
        if not (n in GAP or n in SHORT_GAP) or begin == MARCH_MS:
            for name, sent in values.items():
                world.log.push(points[name].series, at_ms, sent, offset_min=offset)
        dial += watts / 2
        out += 40.0
        cubic += 0.25
