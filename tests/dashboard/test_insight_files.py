"""Tables and charts of the insights as files: the page's figures, and nobody else's."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard.home_figures import lines_of
from kilowatch.dashboard.periods import midnight_ms
from kilowatch.dashboard.waste_sums import counted_once
from kilowatch.model.insight import InsightEvent
from kilowatch.model.parameters import PC
from tests.dashboard.conftest import Logged
from tests.dashboard.insight_world import furnish
from tests.dashboard.worlds import STRANGER, VIEWER, World

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def found(world: World) -> dict[str, InsightEvent]:
    """Let the module's world have events and waste."""
    return furnish(world, 40)


def rows_of(client: TestClient, path: str) -> Rows:
    """Return a file's rows by the titles of their columns."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


def instant_ms(text: str) -> int:
    """Return a local time with its offset as an instant."""
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def test_every_event_is_in_the_file_with_its_cost_and_sentence(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """The filter of the page holds; instants are local with their offset; money has its price."""
    site = world.sites["Office Dublin"]
    rows = rows_of(admin, f"/data/sentinel.csv?place=s{site}&days=90")
    mine = {point.series for point in world.points.values() if point.site_id == site}
    here = {one.id for one in found.values() if one.series in mine}
    assert len(rows) == len(here)
    one = next(row for row in rows if row["kind"] == "Use at the weekend")
    event = found["weekend"]
    assert (instant_ms(one["start"]), instant_ms(one["end"])) == (event.start_ms, event.end_ms)
    assert float(one["amount"]) == event.amount
    assert (one["unit"], one["currency"]) == ("Wh", "EUR")
    assert float(one["cost"]) == pytest.approx(event.amount / 1000 * 0.2187)
    assert "0.2187 EUR/kWh" in one["price"]
    assert "weekend" in one["sentence"].casefold()
    voltage = next(row for row in rows if row["kind"] == "Voltage out of limits")
    assert (voltage["amount"], voltage["cost"], voltage["price"]) == ("", "", "")
    waste = rows_of(admin, f"/data/sentinel.csv?place=s{site}&days=90&kind=waste")
    assert {row["kind"] for row in waste} < {row["kind"] for row in rows}


def test_wasted_days_add_up_to_what_the_page_says(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """By day, data point and kind; nothing twice where a submeter saw it too."""
    assert found
    site = world.sites["Office Dublin"]
    query = f"place=s{site}&days=30"
    rows = rows_of(admin, f"/data/waste.csv?{query}")
    points = [p for p in world.points.values() if p.site_id == site]
    fed_by = world.app.state.rooms.registry.fed_by(points)
    hours = world.extra["insights"].wasted
    last = max(date.fromisoformat(row["day"]) for row in rows)
    zone = points[0].zone
    assert {row["unit"] for row in rows} == {"Wh"}
    assert len({(row["day"], row["data point"], row["kind"]) for row in rows}) == len(rows)
    once = counted_once(hours, points, fed_by)
    begin = min(instant_ms(f"{row['day']}T00:00:00+00:00") for row in rows)
    inside = (once.start_ms >= begin - 3_600_000) & np.isin(once.series, [p.series for p in points])
    assert sum(float(row["amount"]) for row in rows) == pytest.approx(once.amount[inside].sum())
    assert sum(int(row["hours"]) for row in rows) == inside.sum()
    assert last <= datetime.fromtimestamp(world.now[0] / 1000, UTC).date(), zone
    assert admin.get(f"/data/waste.csv?{query}&until=soon").status_code == 400


def test_hours_have_what_was_used_and_the_band(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """The same hours as the picture of the event, each with its five levels."""
    event, point = found["weekend"], world.point("hvac")
    near = admin.get(f"/event/{point.id}/{event.id}/data").json()["near"]
    text = admin.get(f"/event/{point.id}/{event.id}", headers={"accept": "text/html"}).text
    path = next(
        part.partition('"')[0]
        for part in text.split('href="')
        if part.startswith("/data/hours.csv")
    )
    rows = rows_of(admin, path.replace("&amp;", "&"))
    used = {instant_ms(row["start"]): row["used [W]"] for row in rows}
    for at_ms, value in zip(near["actual"]["start"], near["actual"]["value"], strict=True):
        assert float(used[at_ms]) == pytest.approx(value, rel=1e-8)
    for name, word in (("need", "needed"), ("counted", "counted as waste")):
        told = {instant_ms(row["start"]): float(row[f"{word} [W]"]) for row in rows
                if row[f"{word} [W]"]}  # fmt: skip
        drawn = dict(zip(near[name]["start"], near[name]["value"], strict=True))
        assert told == pytest.approx(drawn, rel=1e-8), "what the sum of the event is made of"
    assert sum(near["counted"]["value"]) == pytest.approx(event.amount)
    spike, main = found["spike"], world.point("main")
    near = admin.get(f"/event/{main.id}/{spike.id}/data").json()["near"]
    days = path.partition("date=")[2].partition("&amp;need")[0].replace("&amp;", "&")
    rows = rows_of(admin, f"/data/hours.csv?point={main.id}&date={days}")
    assert "needed [W]" not in rows[0]
    high = {instant_ms(row["start"]): float(row["95 % [W]"]) for row in rows if row["band of"]}
    drawn = dict(zip(near["band"]["start"], near["band"]["high"], strict=True))
    both = sorted(high.keys() & drawn.keys())
    assert len(both) > 24
    assert [high[at] for at in both] == pytest.approx([drawn[at] for at in both], rel=1e-8)
    for wrong in ("date=x&until=2026-11-01", "date=2024-01-01&until=2026-11-01",
                  "date=2026-11-02&until=2026-11-01"):  # fmt: skip
        assert admin.get(f"/data/hours.csv?point={point.id}&{wrong}").status_code == 400


def test_the_quantity_of_an_electrical_event_is_a_file(
    world: World, found: dict[str, InsightEvent], admin: TestClient, logged: Logged
) -> None:
    """Each phase with its mean, smallest and largest volts, as the page draws them."""
    event, point = found["voltage"], world.point("main")
    home = f"/event/{point.id}/{event.id}"
    path = f"{home}/quantity.csv"
    assert f'href="{path}"' in admin.get(home, headers={"accept": "text/html"}).text
    drawn = admin.get(f"{home}/data").json()["quantity"]
    rows = rows_of(admin, path)
    for line in drawn["lines"]:
        for name, word in (("value", ""), ("low", " smallest"), ("high", " largest")):
            of_file = {
                instant_ms(row["start"]): float(row[f"{line['name']}{word} [V]"]) for row in rows
            }
            assert of_file == dict(zip(line["start"], line[name], strict=True))
    assert instant_ms(rows[0]["end"]) - instant_ms(rows[0]["start"]) == drawn["step_ms"]
    assert logged(VIEWER).get(path).status_code == 403
    assert logged(STRANGER).get(path).status_code == 404
    other = f"/event/{world.point('hvac').id}/{found['weekend'].id}"
    hours = admin.get(f"{other}/quantity.csv")
    assert hours.status_code == 303
    assert hours.headers["location"].startswith("/data/hours.csv?"), "seen by hourly use"
    assert "quantity.csv" not in admin.get(other, headers={"accept": "text/html"}).text


def test_files_of_insights_are_for_who_may_export_there(
    world: World, found: dict[str, InsightEvent], logged: Logged
) -> None:
    """A viewer reads; a stranger sees nothing of a site that they name."""
    assert found
    place = f"place=s{world.sites['Office Dublin']}"
    hours = f"/data/hours.csv?point={world.point('hvac').id}&date=2026-11-01&until=2026-11-02"
    for path in (f"/data/sentinel.csv?{place}", f"/data/waste.csv?{place}", hours):
        assert logged(VIEWER).get(path).status_code == 403, path
    stranger = logged(STRANGER)
    for name in ("sentinel", "waste"):
        assert "HVAC" not in stranger.get(f"/data/{name}.csv?{place}").text
    assert stranger.get(hours).status_code == 404


def test_where_a_site_stands_and_what_is_coming_are_files(
    world: World, found: dict[str, InsightEvent], admin: TestClient, logged: Logged
) -> None:
    """The figures of Home's card and of Forecast's table, with their unit, price and bands."""
    assert found
    site, main = world.sites["Office Dublin"], world.point("main")
    rows = rows_of(admin, f"/data/stand.csv?place=s{site}")
    today, month = (row for row in rows if row["utility"] == "Electricity")
    rooms = world.app.state.rooms
    points = [p for p in world.points.values() if p.site_id == site]
    (line,) = [one for one in lines_of(rooms, points) if one.utility == "electricity"]
    assert float(month["amount"]) == line.month.so_far
    assert float(today["expected"]) == line.today.expected
    assert (month["unit"], month["currency"]) == ("Wh", "EUR")
    assert month["price"] == "0.2187 EUR/kWh (contract 2026)"
    assert float(month["CO2 of the whole [kg]"]) == line.month.worth.carbon_kg
    assert month["CO2 factor"] == "0.2548 kg/kWh (location-based, SEAI 2024)"
    ends = rows_of(admin, f"/data/ends.csv?place=s{site}")
    mine = [row for row in ends if row["data point"] == main.name]
    assert len(mine) == 3
    assert {row["CO2 factor"] for row in mine} == {"0.2548 kg/kWh (location-based, SEAI 2024)"}
    assert all(float(row["CO2 of the whole [kg]"]) > 0 for row in mine)
    assert {row["CO2 factor"] for row in ends if not row["CO2 of the whole [kg]"]} == {""}
    outlook = rooms.outlooks.of(rooms.insights, main)
    for row, end in zip(mine, outlook.ends, strict=True):
        assert float(row["middle"]) == pytest.approx(float(end.amount[1]))
        assert instant_ms(row["end"]) == end.end_ms
    assert logged(VIEWER).get(f"/data/stand.csv?place=s{site}").status_code == 403
    assert rows_of(logged(STRANGER), f"/data/stand.csv?place=s{site}") == []
    assert rows_of(logged(STRANGER), f"/data/ends.csv?place=s{site}") == []
    assert "/data/stand.csv" in admin.get(f"/home/site/{site}").text
    assert "/data/stand.csv" not in logged(VIEWER).get(f"/home/site/{site}").text


def test_totals_of_a_data_point_are_a_file(world: World, admin: TestClient) -> None:
    """Days of a month with what they rest on; they add up to the page's month."""
    main = world.point("main")
    query = "year=2026&month=10&channel=pC"
    rows = rows_of(admin, f"/quality/{main.id}/totals.csv?{query}")
    assert (len(rows), rows[0]["first day"], rows[0]["unit"]) == (31, "2026-10-01", "Wh")
    counted = world.view.series(main, [PC], *october(), "month")
    whole = float(np.nansum(counted.amount) + np.nansum(counted.unallocated))
    assert sum(float(row["total or mean"]) for row in rows) == pytest.approx(whole)
    page = admin.get(f"/quality/{main.id}?year=2026&month=10", headers={"accept": "text/html"}).text
    assert f"/quality/{main.id}/totals.csv?year=2026&amp;month=10&amp;channel=pC" in page


def october() -> tuple[int, int]:
    """Return October 2026 in Dublin [ms]."""
    first, last = date(2026, 10, 1), date(2026, 11, 1)
    return midnight_ms(first, "Europe/Dublin"), midnight_ms(last, "Europe/Dublin")
