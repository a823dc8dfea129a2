"""Tables and charts of the insights as files: the page's figures, and nobody else's."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard.waste_sums import counted_once
from kilowatch.model.insight import InsightEvent
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
    high = {instant_ms(row["start"]): float(row["95 % [W]"]) for row in rows if row["band of"]}
    drawn = dict(zip(near["band"]["start"], near["band"]["high"], strict=True))
    assert high == pytest.approx(drawn, rel=1e-8)
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
