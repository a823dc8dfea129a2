"""The figures behind Breakdown are those of the store: complete where they say so, never zero."""

from __future__ import annotations

import csv
import io
import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard.figures import elapsed_ms, figures
from kilowatch.model.blocks import IntervalBlock, Quality
from kilowatch.model.calendar import Zone
from kilowatch.model.parameters import PC
from kilowatch.pipeline.rollups import roll_up
from tests.dashboard.fakes import HOUR_MS, rows_of, starts_of
from tests.dashboard.worlds import NOW_MS, World

COLUMNS = (
    "start", "start_ms", "duration_ms", "count", "amount", "mean", "low", "high", "unallocated",
    "covered_ms", "quality",
)  # fmt: skip


def ask(client: TestClient, world: World, name: str, query: str = "") -> dict[str, Any]:
    """Return what the endpoint answers for a data point."""
    answer = client.get(f"/data/series?point={world.point(name).id}&{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def channel(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one channel of an answer."""
    return next(one for one in answer["channels"] if one["channel"] == name)


def test_each_channel_has_columns_of_equal_length(world: World, admin: TestClient) -> None:
    """A program reads the columns side by side; local starts carry their offset."""
    found = ask(admin, world, "main", "date=2026-11-06")
    assert len(found["channels"]) > 1
    for one in found["channels"]:
        assert {len(one[name]) for name in COLUMNS} == {288}
        assert one["start"][0] == "2026-11-06T00:00:00+00:00"
        for start, at_ms in zip(one["start"], one["start_ms"], strict=True):
            assert datetime.fromisoformat(start).timestamp() * 1000 == at_ms


def test_what_is_left_out_of_the_address_is_chosen_and_said(
    world: World, admin: TestClient
) -> None:
    """A bare link opens today, power and energy, and says how it read itself."""
    state = ask(admin, world, "main")["state"]
    assert state == {
        "period": "day", "date": "2026-11-09", "until": "", "grain": "interval",
        "show": "aP,pC", "phases": "sum", "compare": "", "worth": "",
    }  # fmt: skip


@pytest.mark.parametrize("grain", ["interval", "15m", "30m", "hour", "day", "2h"])
def test_a_total_does_not_depend_on_the_granularity(
    world: World, admin: TestClient, grain: str
) -> None:
    """Energy is neither lost nor doubled when it is looked at more coarsely, gaps included."""
    fine = ask(admin, world, "main", "period=week&date=2026-11-08&grain=interval")
    coarse = ask(admin, world, "main", f"period=week&date=2026-11-08&grain={grain}")
    totals = [
        next(one["total"] for one in answer["statistics"] if one["channel"] == "pC")
        for answer in (fine, coarse)
    ]
    assert math.isclose(*totals, rel_tol=1e-12)
    rows = channel(coarse, "pC")
    known = sum(value for value in rows["amount"] if value is not None)
    assert math.isclose(known + sum(rows["unallocated"]), totals[0], rel_tol=1e-12)


@pytest.mark.parametrize("grain", ["week", "month", "48h"])
def test_weeks_and_months_are_cut_to_the_period(
    world: World, admin: TestClient, grain: str
) -> None:
    """November in weeks begins on 1 November: the same total, peak and price as in days."""
    span = "period=custom&date=2026-11-01&until=2026-11-07&show=pC"
    days = ask(admin, world, "main", f"{span}&grain=day")
    found = ask(admin, world, "main", f"{span}&grain={grain}")
    (daily,), (whole,) = days["summary"], found["summary"]
    for name in ("total", "unallocated", "mean", "complete"):
        assert math.isclose(daily[name], whole[name], rel_tol=1e-12), name
    assert found["demand"] == days["demand"]
    rows = channel(found, "pC")
    assert rows["start"][0] == "2026-11-01T00:00:00+00:00"
    assert rows["start_ms"][-1] + rows["duration_ms"][-1] == found["window"]["to_ms"]


def test_phases_apart_add_up_to_the_sum(world: World, admin: TestClient) -> None:
    """What the three phases used is what the meter used."""
    query = "date=2026-11-06&show=pC&grain=hour&phases="
    apart, total = (ask(admin, world, "main", query + word) for word in ("apart", "sum"))
    columns = np.array([channel(apart, f"pC_{phase}")["amount"] for phase in (1, 2, 3)])
    assert np.allclose(columns.sum(axis=0), channel(total, "pC")["amount"], rtol=1e-12)
    tiles = [
        next(one for one in answer["summary"] if one["measure"] == "amount")
        for answer in (apart, total)
    ]
    assert tiles[0] == tiles[1], "the tiles speak of the whole meter in both views"


def test_voltages_are_never_summed(world: World, admin: TestClient) -> None:
    """The sum of three voltages means nothing, so the sum view shows the phases."""
    found = ask(admin, world, "main", "date=2026-11-06&show=v&phases=sum")
    assert [one["channel"] for one in found["channels"]] == ["v_1", "v_2", "v_3"]


def test_a_gap_has_no_rows_and_its_energy_is_counted_once(world: World, admin: TestClient) -> None:
    """What the register counted across a gap is in the total and named, in no hour of its own."""
    found = ask(admin, world, "main", "date=2026-11-08&show=pC")
    rows = channel(found, "pC")
    figures_ = found["statistics"][0]
    empty = [i for i, value in enumerate(rows["amount"]) if value is None]
    assert len(empty) == 1, "one row carries what the gap used"
    assert rows["count"][empty[0]] == 0
    assert figures_["unallocated"] == pytest.approx(rows["unallocated"][empty[0]])
    known = sum(value for value in rows["amount"] if value is not None)
    assert figures_["total"] == pytest.approx(known + figures_["unallocated"])
    assert figures_["complete"] == pytest.approx(21 / 24, abs=1e-3)


def test_no_data_is_no_figure_rather_than_zero(world: World, admin: TestClient) -> None:
    """A day before the data began has no total; nobody mistakes it for a day off."""
    found = ask(admin, world, "main", "date=2026-08-01")
    assert all(not one["start_ms"] for one in found["channels"])
    assert [one["total"] for one in found["statistics"]] == [None, None]
    assert [one["mean"] for one in found["statistics"]] == [None, None]
    assert found["demand"] is None


def test_a_stream_without_packets_says_so(world: World, admin: TestClient) -> None:
    """No date in 1970, no made-up extent: the page can say plainly that nothing has come."""
    found = ask(admin, world, "new")
    assert found["extent"] is None
    assert found["channels"] == []
    assert found["window"]["today"] == found["window"]["first"] == "2026-11-09"


def test_an_infinite_or_missing_number_is_null(world: World, admin: TestClient) -> None:
    """JSON has no NaN; what is unknown arrives as null."""
    text = admin.get(f"/data/series?point={world.point('main').id}").text
    assert "NaN" not in text
    assert channel(ask(admin, world, "main"), "pC")["mean"][0] is None


def test_the_day_with_25_hours_has_25_rows(world: World, admin: TestClient) -> None:
    """The repeated hour is there twice, told apart by its offset."""
    starts = channel(ask(admin, world, "main", "date=2026-10-25&grain=hour"), "pC")["start"]
    assert len(starts) == 25
    assert starts[1:3] == ["2026-10-25T01:00:00+01:00", "2026-10-25T01:00:00+00:00"]


@pytest.mark.parametrize(
    "query",
    [
        "date=yesterday", "period=era", "grain=fine", "grain=0m", "show=aQ", "channels=v_9",
        "period=month&date=2101-01-01", "date=2200-12-31&grain=week", "grain=999999h",
    ],
)  # fmt: skip
def test_a_mistake_in_the_address_is_explained(world: World, admin: TestClient, query: str) -> None:
    """Every 400 names what was not understood and what would be."""
    answer = admin.get(f"/data/series?point={world.point('main').id}&{query}")
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["detail"]
    assert problem["code"].startswith("bad_")


def test_the_last_and_the_longest_that_can_be_asked_for_is_answered(
    world: World, admin: TestClient
) -> None:
    """At the end of the calendar, and of granularities, there is an answer still."""
    for query in ("period=year&date=2100-12-31&grain=week", "date=1971-01-01&grain=8760h"):
        assert ask(admin, world, "main", query)["summary"][0]["total"] is None
        site = world.sites["Office Dublin"]
        answer = admin.get(f"/breakdown/site/{site}/series?{query}&compare=year")
        assert answer.status_code == 200, (query, answer.text)


def test_a_month_in_foreign_digits_is_explained(world: World, admin: TestClient) -> None:
    """Digits of another script are not understood, and that is said."""
    answer = admin.get(f"/data/days?point={world.point('main').id}&month=20%D9%A26-11")
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_month"


def test_the_file_holds_the_same_figures(world: World, admin: TestClient) -> None:
    """The CSV of a day adds up to the total on the page, with full precision."""
    query = "date=2026-11-06&grain=hour&show=pC"
    answer = admin.get(f"/data/series.csv?point={world.point('main').id}&{query}")
    assert answer.headers["content-disposition"].endswith('main-supply-2026-11-06-hour.csv"')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 24
    assert rows[0]["start"] == "2026-11-06T00:00:00+00:00"
    wanted = channel(ask(admin, world, "main", query), "pC")["amount"]
    assert [float(row["pC amount [Wh]"]) for row in rows] == wanted


def test_the_calendar_knows_the_days_with_data(world: World, admin: TestClient) -> None:
    """Marked are the days on which something came, no others."""
    number = world.point("main").id
    found = admin.get(f"/data/days?point={number}&month=2026-11").json()["days"]
    assert found == [f"2026-11-{day:02}" for day in range(1, 10)]
    assert admin.get(f"/data/days?point={number}&month=2026-13").status_code == 400


def test_the_interval_that_is_running_is_not_missing() -> None:
    """At 14:22 a stream that came at 14:20 is complete; one that stopped at noon is not."""
    minute, now = 60_000, 14 * 3_600_000 + 22 * 60_000
    assert elapsed_ms(0, 86_400_000, now, now - 2 * minute, 450_000) == now - 2 * minute
    assert elapsed_ms(0, 86_400_000, now, 12 * 3_600_000, 450_000) == now
    assert elapsed_ms(now, now + 1, now - 5, None, 450_000) == 0


def test_figures_of_nothing_are_unknown() -> None:
    """No rows, no figures: None everywhere, and nothing complete."""
    found = figures(IntervalBlock.empty(), "amount", 3_600_000)
    assert (found.total, found.mean, found.low, found.high) == (None, None, None, None)
    assert found.complete == 0


def counted(amounts: list[float], covered_min: list[int]) -> IntervalBlock:
    """Return quarters of an hour with energy, and how much of each is covered [min]."""
    block = IntervalBlock.empty()
    whole = np.ones(len(amounts), np.int64)
    block.series, block.channel, block.version, block.count = whole, whole * PC, whole, whole
    block.start_ms, block.duration_ms = np.arange(len(amounts)) * 900_000, whole * 900_000
    block.amount, block.unallocated = np.array(amounts), np.zeros(len(amounts))
    block.mean = block.low = block.high = np.full(len(amounts), np.nan)
    block.covered_ms, block.quality = np.array(covered_min) * 60_000, whole * 0
    return block


def test_a_phase_that_is_unknown_for_a_while_does_not_raise_the_mean() -> None:
    """Three phases of 1 kW, one left out of a packet: 3 kW, never more than was ever used."""
    found = figures(counted([750.0, 500.0, 500.0, 750.0], [15, 0, 0, 15]), "amount", 3_600_000)
    assert (found.mean, found.low, found.high, found.total) == (3000.0, 750.0, 750.0, 2500.0)


def test_the_extremes_of_amounts_are_of_intervals_that_are_covered() -> None:
    """Five minutes of data in a quarter of an hour are no low load."""
    found = figures(counted([100.0, 300.0, 290.0, 310.0], [5, 15, 14, 15]), "amount", 3_600_000)
    assert (found.low, found.low_ms, found.high) == (290.0, 1_800_000, 310.0)


def test_a_total_that_is_never_covered_has_no_mean() -> None:
    """A phase that reports in every second packet: the sum is known, its mean is not, nor 0."""
    found = figures(counted([500.0] * 4, [0] * 4), "amount", 3_600_000)
    assert (found.mean, found.low, found.high, found.low_ms, found.high_ms) == (None,) * 5
    assert found.total == 2000.0


def test_the_bucket_that_is_running_counts_for_the_mean_but_is_no_low() -> None:
    """At six past the half hour: 1 kW so far today, though its last quarter is young."""
    rows = counted([250.0, 250.0, 100.0], [15, 15, 6])
    found = figures(rows, "amount", 2_160_000, until_ms=2_160_000)
    assert (found.mean, found.low) == (1000.0, 250.0)


def test_a_gauge_has_no_unit_per_hour(world: World, admin: TestClient) -> None:
    """Nobody measures a temperature in °C/h; energy has its power."""
    found = ask(admin, world, "main", "date=2026-11-06&show=aP,pC,pF")["statistics"]
    assert {one["channel"]: one["rate_unit"] for one in found} == {
        "aP": None, "pC": "W", "pF": None,
    }  # fmt: skip


def test_now_is_the_servers_clock(world: World, admin: TestClient) -> None:
    """Freshness is reckoned by the server's clock, whatever the visitor's computer believes."""
    assert ask(admin, world, "main")["window"]["now_ms"] == NOW_MS


def test_the_statistics_say_what_a_person_or_a_rule_has_touched(world: World) -> None:
    """Beside a total stands how much of its time was estimated, edited, or is to be looked at."""
    point = world.point("gas")
    starts = starts_of(point, NOW_MS - 4 * HOUR_MS, NOW_MS)
    rows = rows_of(point, 0, starts, amount=np.ones(len(starts)))
    rows.quality[:5] = [Quality.EDITED, *[Quality.ESTIMATED] * 2, Quality.DERIVED, Quality.VALID]
    found = figures(rows, "amount", 4 * HOUR_MS)
    parts = len(starts)
    assert found.shares == {"edited": 1 / parts, "estimated": 2 / parts, "questionable": 0}
    day = roll_up(rows, "year", Zone.of(point.zone))
    assert figures(day, "amount", 4 * HOUR_MS).shares == found.shares, "not the worst of the day"
    assert figures(rows.take(slice(0)), "amount", 1).shares == dict.fromkeys(found.shares, 0.0)
