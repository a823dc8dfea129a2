"""Beside the figures stand those of another time or place: the same weekdays, the same clock."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard.alignment import Shift
from kilowatch.dashboard.periods import local_day, midnight_ms
from kilowatch.model.parameters import PC, VALUE
from kilowatch.model.zones import Zone
from tests.dashboard.conftest import Logged
from tests.dashboard.fakes import HOUR_MS
from tests.dashboard.test_series import ask, channel
from tests.dashboard.worlds import STRANGER, World

ZONE = Zone.of("Europe/Dublin")


def raw_sum(world: World, name: str, first: date, until_ms: int, code: int = PC) -> float:
    """Add up a data point's intervals from a local midnight on, as they are stored."""
    point = world.point(name)
    rows = world.view.rows[point.series]
    from_ms = midnight_ms(first, point.zone)
    inside = (rows.channel == code) & (rows.start_ms >= from_ms) & (rows.start_ms < until_ms)
    return float(np.nansum(rows.amount[inside]) + np.nansum(rows.unallocated[inside]))


def test_a_week_lies_beside_the_week_before_hour_by_hour(world: World, admin: TestClient) -> None:
    """Monday 09:00 meets Monday 09:00, also where clocks changed on the Sunday between."""
    query = "period=week&date=2026-10-27&grain=hour&show=pC&compare=previous"
    found = ask(admin, world, "main", query)
    other = found["compare"]
    assert (other["window"]["first"], other["window"]["last"]) == ("2026-10-19", "2026-10-25")
    assert (other["window"]["shift_days"], other["window"]["aligned"]) == (7, "weekdays")
    (column,) = other["channels"]
    assert column["beside"] == "pC"
    assert len(column["start_ms"]) == 7 * 24 + 1, "the Sunday before had 25 hours"
    at, own = np.array(column["start_ms"]), np.array(column["own_start_ms"])
    known = at >= 0
    assert np.count_nonzero(~known) == 1, "the second 01:00 has no counterpart"
    moved = ZONE.local_ms(own[known]) + 7 * 24 * HOUR_MS
    assert (ZONE.local_ms(at[known]) == moved).all()
    total = raw_sum(world, "main", date(2026, 10, 19), midnight_ms(date(2026, 10, 26), ZONE.name))
    assert other["statistics"][0]["total"] == pytest.approx(total, rel=1e-12)
    change = found["statistics"][0]["change"]
    mine = found["statistics"][0]["total"]
    assert change["value"] == pytest.approx(total, rel=1e-12)
    assert change["share"] == pytest.approx(mine / total - 1, rel=1e-9)
    assert change["complete"] == pytest.approx(1.0, abs=1e-6)


def test_while_a_period_runs_the_same_time_is_compared(world: World, admin: TestClient) -> None:
    """At 14:22 today counts against yesterday until 14:20, not against the whole of yesterday."""
    found = ask(admin, world, "main", "grain=hour&show=pC&compare=previous")
    until = found["compare"]["window"]["until_ms"]
    seen = world.view.lasts[world.point("main").series].at_ms + 300_000
    yesterday = local_day(world.now[0], ZONE.name) - timedelta(1)
    assert abs(until - (seen - 24 * HOUR_MS)) <= 600_000
    total = raw_sum(world, "main", yesterday, until - 299_999)
    assert found["summary"][0]["change"]["value"] == pytest.approx(total, rel=1e-12)
    assert found["compare"]["channels"][0]["own_start_ms"][-1] > until, "drawn to its end"


@pytest.mark.parametrize(
    ("query", "first", "last", "aligned"),
    [
        ("period=month&date=2026-11-01&compare=previous", "2026-09-27", "2026-10-26", "weekdays"),
        ("period=month&date=2026-11-01&compare=year", "2025-11-02", "2025-12-01", "weekdays"),
        ("period=day&date=2026-11-06&compare=previous", "2026-11-05", "2026-11-05", "days"),
        ("period=day&date=2026-11-06&compare=year", "2025-11-07", "2025-11-07", "weekdays"),
        ("period=year&date=2026-01-01&compare=previous", "2025-01-02", "2026-01-01", "weekdays"),
        (
            "period=year&date=2026-01-01&grain=month&compare=year",
            "2025-01-01", "2025-12-31", "months",
        ),
        (
            "period=custom&date=2024-02-01&until=2024-03-31&grain=month&compare=year",
            "2023-02-01", "2023-03-31", "months",
        ),
    ],
)  # fmt: skip
def test_which_days_are_compared_is_said(
    world: World, admin: TestClient, query: str, first: str, last: str, aligned: str
) -> None:
    """A period of a week or more moves by whole weeks, so each side has as many Mondays."""
    days = ask(admin, world, "main", query + "&show=pC")["compare"]["window"]
    assert (days["first"], days["last"], days["aligned"]) == (first, last, aligned)
    if aligned == "weekdays":
        wanted = date.fromisoformat(first).weekday()
        shifted = date.fromisoformat(first) + timedelta(days["shift_days"])
        assert shifted.weekday() == wanted


def test_another_data_point_of_the_same_unit_lies_in_the_same_graph(
    world: World, admin: TestClient
) -> None:
    """HVAC beside the main supply: power beside power, energy beside energy."""
    number = world.point("hvac").id
    found = ask(admin, world, "main", f"date=2026-11-06&compare=p{number}")
    assert found["state"]["compare"] == f"p{number}"
    other = found["compare"]
    assert [one["beside"] for one in other["channels"]] == ["aP", "pC"]
    assert other["parameters_shown"] == []
    total = raw_sum(world, "hvac", date(2026, 11, 6), midnight_ms(date(2026, 11, 7), ZONE.name))
    assert found["summary"][1]["change"]["value"] == pytest.approx(total, rel=1e-12)


def test_another_unit_has_a_graph_of_its_own(world: World, admin: TestClient) -> None:
    """Cubic metres are never drawn on an axis of kilowatt-hours, and no share is said of them."""
    number = world.point("gas").id
    found = ask(admin, world, "main", f"date=2026-11-06&compare=p{number}")
    other = found["compare"]
    assert [one["unit"] for one in other["parameters_shown"]] == ["m3"]
    assert other["channels"][0]["beside"] is None
    assert all("change" not in one for one in found["statistics"])
    assert found["window"]["grain"] == "30m", "as long as the intervals of both"


def test_longer_intervals_never_pose_as_short_ones(world: World, admin: TestClient) -> None:
    """Half-hours of gas are not compared with five minutes: asked so, they stand apart."""
    gas, water = world.point("gas"), world.point("water")
    found = ask(admin, world, "water", f"date=2026-11-06&grain=interval&compare=p{gas.id}")
    assert found["compare"]["channels"][0]["beside"] is None
    coarse = ask(admin, world, "water", f"date=2026-11-06&compare=p{gas.id}")
    assert coarse["window"]["grain"] == "30m"
    assert coarse["compare"]["channels"][0]["beside"] == "value"
    assert water.interval_s < gas.interval_s
    rows = world.view.rows[gas.series]
    day = (midnight_ms(date(2026, 11, 6), ZONE.name), midnight_ms(date(2026, 11, 7), ZONE.name))
    inside = (rows.start_ms >= day[0]) & (rows.start_ms < day[1]) & (rows.channel == VALUE)
    assert coarse["compare"]["channels"][0]["amount"] == rows.amount[inside].tolist()


@pytest.mark.parametrize("word", ["yesterday", "p", "px", "p-1", "17"])
def test_what_is_nothing_to_compare_with_is_refused(
    world: World, admin: TestClient, word: str
) -> None:
    """Rubbish in an address is answered with what to write instead."""
    number = world.point("main").id
    answer = admin.get(f"/data/series?point={number}&compare={word}")
    assert answer.status_code == 400
    assert "previous" in answer.json()["remedy"]


def test_nobody_compares_with_what_is_not_theirs(
    world: World, admin: TestClient, logged: Logged
) -> None:
    """A data point of another organisation is not there, nor is it offered by name."""
    main = world.point("main").id
    stranger = logged(STRANGER)
    theirs = stranger.get(f"/data/series?point={main}&compare=previous")
    assert theirs.status_code == 404
    others = max(point.id for point in world.points.values()) + 1
    assert admin.get(f"/data/series?point={main}&compare=p{others}").status_code == 404
    offered = admin.get(f"/data/points?point={main}&q=dublin").json()["points"]
    assert {one["label"] for one in offered} >= {"HVAC, Office Dublin", "Water, Office Dublin"}
    assert admin.get(f"/data/points?point={main}&q=presse").json() == {"points": []}
    assert stranger.get(f"/data/points?point={main}&q=").status_code == 404


def test_the_file_has_both_sides(world: World, admin: TestClient) -> None:
    """What is drawn can be taken along: a column names the days that lie beside."""
    number = world.point("main").id
    query = "period=week&date=2026-11-04&grain=day&show=pC&compare=previous"
    text = admin.get(f"/data/series.csv?point={number}&{query}").text
    head, *rows = list(csv.reader(io.StringIO(text)))
    at = head.index("2026-10-26 to 2026-11-01: pC amount [Wh]")
    answer = ask(admin, world, "main", query)
    wanted: list[Any] = channel(answer["compare"], "pC")["amount"]
    assert [float(row[at]) for row in rows if row[at]] == [one for one in wanted if one is not None]


def test_an_hour_that_comes_twice_meets_one_that_comes_twice() -> None:
    """52 weeks lie between two autumn Sundays: the second 01:00 meets the second 01:00."""
    second = midnight_ms(date(2025, 10, 26), ZONE.name) + 2 * HOUR_MS
    want = midnight_ms(date(2026, 10, 25), ZONE.name) + 2 * HOUR_MS
    found = Shift(days=364).instants(np.array([second - HOUR_MS, second]), ZONE, ZONE, 1)
    assert found.tolist() == [want - HOUR_MS, want]
    spring = midnight_ms(date(2026, 3, 29), ZONE.name)
    week_before = midnight_ms(date(2026, 3, 22), ZONE.name) + HOUR_MS
    assert Shift(days=7).instants(np.array([week_before]), ZONE, ZONE, 1).tolist() == [-1]
    assert Shift(days=7).instants(np.array([week_before - HOUR_MS]), ZONE, ZONE, 1) == [spring]
