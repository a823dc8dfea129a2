"""A formula is used wherever a data point is: with the real program, from packet to mail."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook

from kilowatch import catalog as catalogs
from kilowatch.catalog import alerts, bulk, bulk_apply, bulk_plan, registry, secrets
from kilowatch.catalog.alerts import Watched
from kilowatch.catalog.tables import DataPoint
from kilowatch.notify.rules import Terms
from kilowatch.notify.sealing import Sealer
from kilowatch.pipeline.insight.reader import InsightReader
from tests.journeys.inboxes import Inbox, mail_server, mail_settings
from tests.journeys.pages import Dashboard
from tests.journeys.pushing import Client, client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until, until_stored

pytestmark = [pytest.mark.journey, pytest.mark.slow]

DUBLIN = ZoneInfo("Europe/Dublin")
FIRST = datetime(2026, 1, 5, tzinfo=DUBLIN)  # a Monday
WEEKS = 5
FRIDAY = datetime(2026, 2, 6, 18, tzinfo=DUBLIN)  # in the fifth week: it is not switched off
HOUR_MS = 3_600_000
TABLE = """stream_id,name,site,utility,unit,interval,behaviour,formula
fan,Fan,{site},electricity,kWh,1h,amount,
light,Light,{site},electricity,kWh,1h,amount,
fast,Fast,{site},electricity,kW,1s,rate,
both,Both,{site},,,,,[Fan] + [Light]
area,By area,{site},,,,,[Both] / 50 m2
share,Share,{site},,,,,100 % * [Fan] / [Both]
double,Double,{site},,,,,2 * [Fast]
"""


def hours(chance: np.random.Generator) -> list[tuple[datetime, float, float]]:
    """Return local hours with what a fan and the light use [kWh]."""
    found = []
    at = FIRST.astimezone(UTC)
    for _ in range(WEEKS * 168):
        local = at.astimezone(DUBLIN)
        working = local.weekday() < 5 and 8 <= local.hour < 18
        left_on = FRIDAY <= local < FRIDAY + timedelta(hours=54)
        noise = 1 + 0.03 * chance.standard_normal(2)
        fan = (31.0 if working or left_on else 9.0) * noise[0]
        found.append((at, round(fan, 3), round((4.0 if working else 1.0) * noise[1], 3)))
        at += timedelta(hours=1)
    return found


def registered(data: Path, address: str) -> dict[str, tuple[int, int]]:
    """Register everything by one table, and rules that mail; returns numbers and series."""
    opened = catalogs.open(data / "catalog.sqlite")
    with opened.change(catalogs.Actor("test")) as change:
        session = change.session
        (acme,) = registry.organisations(session)
        site = registry.sites(session, acme.id)[0]
        sheet = bulk.read(TABLE.format(site=site.name).encode())
        digest = bulk_plan.plan(session, acme.id, sheet, change.now_ms).digest
        bulk_apply.apply(change, acme.id, sheet, digest)
        points = {one.stream_id: one for one in session.query(DataPoint)}
        sealed = Sealer(secrets.server_key(data)).seal(acme.id, {"to": address})
        channel = alerts.add_channel(change, acme.id, "Facility", "email", address, sealed)
        double = Watched(data_point_id=points["double"].id)
        above = Terms(quantity="electricity", limit=8_000.0, unit="W", consecutive=1)
        for name, kind, terms in (
            ("Too much", "threshold", above.columns()), ("Silent", "offline", {}),
        ):  # fmt: skip
            rule = alerts.add_rule(change, acme.id, name, kind, double, terms)  # type: ignore[arg-type]
            alerts.use_channels(change, rule, [channel.id], [])
        found = {name: (one.id, one.series) for name, one in points.items()}
    opened.close()
    return found


def push(client: Client, stream: str, at: datetime, value: float) -> None:
    """Push a packet, which is taken."""
    packet = {"id": stream, "tsISO8601": at.isoformat(), "value": value}
    assert client.push(packet) == (200, {"status": "accepted"})


def subjects(kept: Inbox) -> list[str]:
    """Return what the mails are about."""
    return [str(mail["Subject"]) for mail in kept.mails]


@dataclass(slots=True)
class Estate:
    """A running server with two meters' weeks, what is computed from them, and who looks.

    Attributes:
        server: The program.
        client: Pushes.
        board: An administrator's session.
        kept: Mails.
        points: Numbers and series by stream id.
        hours: What was pushed.
    """

    server: Server
    client: Client
    board: Dashboard
    kept: Inbox
    points: dict[str, tuple[int, int]]
    hours: list[tuple[datetime, float, float]]

    def get(self, path: str, **query: Any) -> Any:
        """Return an answer as JSON, of a file as bytes, of a page as text."""
        answer = self.board.client.get(path, params=query)
        assert answer.status_code == 200, (path, answer.text)
        if path.startswith("/data"):
            return answer.json()
        return answer.content if path.startswith("/export") else answer.text

    def days(self, stream: str, column: str = "amount") -> dict[int, float]:
        """Return a data point's January by day."""
        query = {"period": "month", "date": "2026-01-20", "grain": "day"}
        return self.board.column(self.points[stream][0], "value", column, **query)


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Start the program, register everything by one table, and push five weeks."""
    folder = tmp_path_factory.mktemp("formulas")
    server = Server(folder / "data", folder / "data.log")
    server.data.mkdir()
    with mail_server() as (kept, port):
        (server.data / "kilowatch.toml").write_text(mail_settings(port))
        server.start()
        package = startup_package(server.data)
        points = registered(server.data, "facility@example.com")
        client = client_of(package, server.data)
        rows = hours(np.random.default_rng(5))
        for at, fan, light in rows:
            push(client, "fan", at, fan)
            push(client, "light", at, light)
        until_stored(server.data)
        board = Dashboard(
            package["dashboard_url"].rstrip("/"), package["dashboard_user"],
            package["dashboard_password"],
        )  # fmt: skip
        yield Estate(server, client, board, kept, points, rows)
    if server.process is not None and server.process.poll() is None:
        server.kill()


def test_every_page_and_file_has_what_a_formula_gives(estate: Estate) -> None:
    """January: the sum of two meters day by day, its quotients, and all of it as three files."""
    fan, light, both = (estate.days(one) for one in ("fan", "light", "both"))
    assert len(both) == 27
    assert both == pytest.approx({at: fan[at] + light[at] for at in fan})
    assert estate.days("share", "mean") == pytest.approx(
        {at: 100 * fan[at] / both[at] for at in fan}
    )
    assert estate.days("area") == pytest.approx({at: both[at] / 1000 / 50 for at in both})
    number = estate.points["both"][0]
    month = {"point": number, "period": "month", "date": "2026-01-20"}
    told = estate.get("/data/series", **month)["sources"]
    assert [one["formula"] for one in told] == ["[Fan] + [Light]"], "where does it come from"
    heat = estate.get("/data/heatmap", **month)["days"]["values"]
    cells = [cell for day in heat for cell in day if cell is not None]
    assert math.fsum(cells) == pytest.approx(math.fsum(both.values()))
    kinds = estate.get("/data/profile", **month)["periods"][0]["kinds"]
    assert sum(one["days"] * (one["amount"] or 0.0) for one in kinds) == (
        pytest.approx(math.fsum(both.values()))
    )
    items = f"p{number},p{estate.points['fan'][0]}"
    ranked = estate.get("/data/compare", items=items, period="month", date="2026-01-20")["items"]
    assert [one["total"] for one in ranked] == pytest.approx(
        [math.fsum(both.values()), math.fsum(fan.values())]
    )
    file = {"place": f"p{number}", "period": "everything", "granularity": "hour"}
    total = math.fsum(fan + light for _, fan, light in estate.hours)
    lines = estate.get("/export/file", **file, format="csv").decode("utf-8-sig")
    assert math.fsum(float(row["value"]) for row in csv.DictReader(io.StringIO(lines))) == (
        pytest.approx(total)
    )
    table = pq.read_table(io.BytesIO(estate.get("/export/file", **file, format="parquet")))
    assert math.fsum(table["value"].to_pylist()) == pytest.approx(total)
    book = CalamineWorkbook.from_filelike(
        io.BytesIO(estate.get("/export/file", **file, format="xlsx"))
    )
    cells = [
        c for row in book.get_sheet_by_index(0).to_python() for c in row if isinstance(c, float)
    ]
    assert any(cell == pytest.approx(estate.hours[0][1] + estate.hours[0][2]) for cell in cells)


def test_insights_look_at_a_formula_and_tell_one_cause_once(estate: Estate) -> None:
    """Band and forecast are there; the fan that stayed on stands for what its sums show of it."""
    series = {name: one[1] for name, one in estate.points.items()}
    reader = InsightReader(estate.server.data / "insights.sqlite")
    goal_ms = round(estate.hours[-1][0].timestamp() * 1000) - 2 * HOUR_MS

    def reached() -> bool:
        done = dict(reader.rows("SELECT series, cursor_ms FROM stream"))
        return all(done.get(series[one], 0) >= goal_ms for one in ("fan", "both", "area"))

    until(reached, 180, "a look at every hour")
    rows = reader.rows("SELECT id, series, cause, others FROM event WHERE start_ms >= ?", (
        round((FRIDAY - timedelta(hours=2)).timestamp() * 1000),
    ))  # fmt: skip
    reader.close()
    standing = [row for row in rows if not row[2]]
    sums = {series["both"], series["area"]}
    assert sums <= {row[1] for row in rows}, "it shows in the sum, and in the sum by area"
    assert not [row for row in standing if row[1] in sums], "and is no event of its own there"
    stood_for = [set(msgspec.msgpack.decode(row[3])) for row in standing if row[1] == series["fan"]]
    assert any(sums <= others for others in stood_for)
    number = estate.points["both"][0]
    from_ms = round(FRIDAY.timestamp() * 1000)
    stretch = {"point": number, "from": from_ms, "to": from_ms + 24 * HOUR_MS}
    expected = estate.get("/data/overlays", **stretch)["expected"]["mid"]
    evening = [one for one in expected[:6] if one is not None]
    assert max(evening) < 20_000, "expected was an idle evening; from midnight on that it goes on"
    chart = estate.get("/data/forecast", point=number)["chart"]
    assert chart["forecast"]["mid"], "what is to come"
    waste = estate.get("/waste").split("<main")[1]
    assert "By area" not in waste, "counted along the tree, where the fan is counted already"


def test_rules_watch_a_formula_for_limits_and_for_silence(estate: Estate) -> None:
    """5 kW are 10 kW: a mail; then the meter says nothing more: another; then both are over."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=4)
    for second in range(4):
        push(estate.client, "fast", at + timedelta(seconds=second), 5.0)
    until(lambda: "Double: electricity above 8 kW (10 kW)" in subjects(estate.kept), 60, "a mail")
    until(lambda: "No data from Double" in subjects(estate.kept), 60, "news of the silence")
    at = datetime.now(UTC).replace(microsecond=0)
    for second in range(2):
        push(estate.client, "fast", at + timedelta(seconds=second), 1.0)
    until(lambda: "Data again from Double" in subjects(estate.kept), 60, "the end of the silence")
    assert not [one for one in subjects(estate.kept) if "Fast" in one], "no rule watches the meter"


def test_a_formula_changes_from_a_day_on_while_the_program_runs(estate: Estate) -> None:
    """Since 20 January the fan counts half: days before stay, those after follow, and undo."""
    before, fan = estate.days("both"), estate.days("fan")
    change = (
        "data-point",
        "formula",
        "Both",
        "--text",
        "[Fan] / 2 + [Light]",
        "--from",
        "2026-01-20",
    )
    kilowatch(*change, data=estate.server.data)
    turn = round(datetime(2026, 1, 20, tzinfo=DUBLIN).timestamp() * 1000)
    wanted = {at: value - (fan[at] / 2 if at >= turn else 0) for at, value in before.items()}
    until(lambda: estate.days("both") == pytest.approx(wanted), 60, "the formula of then")
    shares = {at: 100 * fan[at] / wanted[at] for at in fan}
    until(lambda: estate.days("share", "mean") == pytest.approx(shares), 60, "what is made of it")
    found = json.loads(
        kilowatch("data-point", "formula", "Both", "--json", data=estate.server.data)
    )
    (period,) = found["dated"]
    kilowatch("data-point", "formula", "Both", "--undo", period["undo"], data=estate.server.data)
    until(lambda: estate.days("both") == pytest.approx(before), 60, "the formula as before")
