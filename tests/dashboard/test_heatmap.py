"""The heat map's cells against a plain look at each hour on the wall, clock changes included."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard.chart_period import span
from kilowatch.dashboard.heat_cells import Cells, cells_of, changing_days, scale_of, skipped
from kilowatch.dashboard.heatmap import rounded
from kilowatch.dashboard.periods import local_day, midnight_ms
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.zones import Zone
from tests.dashboard.fakes import HOUR_MS, rows_of
from tests.dashboard.test_waste_and_forecast import point
from tests.dashboard.worlds import World

PAGE = {"accept": "text/html"}
EPOCH = date(1970, 1, 1)


def day_of(zone: str, day: date, bin_s: int = 3600) -> Cells:
    """Return the cells of one local day, each with the number of its hour as its value."""
    from_ms, to_ms = midnight_ms(day, zone), midnight_ms(day + timedelta(1), zone)
    rows = rows_of(point(1), 0, np.arange(from_ms, to_ms, bin_s * 1000), mean=np.arange(0.0, 400)[
        : len(range(from_ms, to_ms, bin_s * 1000))])  # fmt: skip
    rows.duration_ms[:] = rows.covered_ms[:] = bin_s * 1000
    return cells_of(rows, from_ms, to_ms, bin_s, Zone.of(zone), amounts=False)


def test_the_hour_that_comes_twice_is_there_twice() -> None:
    """25 October 2026 in Dublin has 25 hours: 01:00 is split, first time above, second below."""
    cells = day_of("Europe/Dublin", date(2026, 10, 25))
    assert len(cells.start_ms) == 25
    spans = list(zip(cells.top.tolist(), cells.bottom.tolist(), cells.again.tolist(), strict=True))
    assert spans[:4] == [(0, 60, False), (60, 90, False), (90, 120, True), (120, 180, False)]
    assert cells.value[:4].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert not skipped(20_751, Zone.of("Europe/Dublin"))


def test_the_hour_that_does_not_come_has_no_cell() -> None:
    """29 March 2026 in Dublin has 23 hours; what lies between 01:00 and 02:00 never was."""
    cells = day_of("Europe/Dublin", date(2026, 3, 29))
    assert len(cells.start_ms) == 23
    assert 60 not in cells.top.tolist()
    number = (date(2026, 3, 29) - EPOCH).days
    assert skipped(number, Zone.of("Europe/Dublin")) == [(60.0, 120.0)]


@pytest.mark.parametrize(
    ("zone", "day", "minutes"),
    [
        ("Australia/Lord_Howe", date(2026, 4, 5), 24 * 60 + 30),
        ("Australia/Lord_Howe", date(2026, 10, 4), 24 * 60 - 30),
        ("America/Santiago", date(2026, 4, 4), 25 * 60),
        ("America/Santiago", date(2026, 9, 6), 23 * 60),
        ("Asia/Kolkata", date(2026, 10, 25), 24 * 60),
    ],
)
def test_cells_fill_the_day_once_wherever_the_clock_turns(
    zone: str, day: date, minutes: int
) -> None:
    """At midnight, by half an hour, or not at all: no two cells overlap, and time runs down."""
    cells = day_of(zone, day, 1800)
    assert ((cells.end_ms - cells.start_ms).sum()) == minutes * 60_000
    assert (np.diff(cells.top) > 0).all()
    assert (cells.bottom[:-1] <= cells.top[1:]).all()
    gone = skipped((day - EPOCH).days, Zone.of(zone))
    shown = float((cells.bottom - cells.top).sum())
    assert shown + sum(until - since for since, until in gone) == 24 * 60


def test_a_year_has_two_days_with_a_change_of_clocks() -> None:
    """Only those leave the regular grid."""
    from_ms, to_ms = (midnight_ms(date(year, 1, 1), "Europe/Berlin") for year in (2026, 2027))
    days = changing_days(from_ms, to_ms, Zone.of("Europe/Berlin"))
    named = [EPOCH + timedelta(number) for number in days]
    assert named == [date(2026, 3, 29), date(2026, 10, 25)]


def test_half_an_hour_of_data_is_a_cell_and_less_is_none() -> None:
    """An amount becomes its rate over the time that was measured; a scrap of it says nothing."""
    from_ms = midnight_ms(date(2026, 6, 1), "Europe/Dublin")
    starts = from_ms + np.arange(3, dtype=np.int64) * HOUR_MS
    rows = rows_of(point(1), 0, starts, amount=np.array([1000.0, 600.0, 100.0]))
    rows.covered_ms[:] = [HOUR_MS, HOUR_MS // 2, HOUR_MS // 10]
    cells = cells_of(rows, from_ms, from_ms + 4 * HOUR_MS, 3600, Zone.of("Europe/Dublin"),
                     amounts=True)  # fmt: skip
    assert cells.value[:2].tolist() == [1000.0, 1200.0]
    assert np.isnan(cells.value[2:]).all()
    assert cells.covered.tolist() == pytest.approx([1.0, 0.5, 0.1, 0.0])


def test_colours_begin_at_zero_where_zero_means_nothing() -> None:
    """Power from zero, signed power around it, temperature around its median, voltage as it is."""
    power = scale_of(np.array([5.0, 10.0, math.nan]), "W")
    assert power
    assert (power.kind, power.low, power.high) == ("zero", 0.0, 10.0)
    signed = scale_of(np.array([-4.0, 10.0]), "W")
    assert signed
    assert (signed.kind, signed.low, signed.middle, signed.high) == ("diverging", -10.0, 0.0, 10.0)
    warm = scale_of(np.array([16.0, 20.2, 21.0]), "°C")
    assert warm
    assert (warm.kind, warm.middle, warm.low, warm.high) == ("diverging", 20.0, 16.0, 24.0)
    volts = scale_of(np.array([228.0, 235.0]), "V")
    assert volts
    assert (volts.kind, volts.low, volts.high) == ("range", 228.0, 235.0)
    assert scale_of(np.array([math.nan]), "W") is None
    spike = scale_of(np.array([*np.linspace(1, 10, 999), 500.0]), "W")
    assert spike
    assert (spike.high < 11, spike.highest) == (True, 500.0)
    export = scale_of(np.array([-4.0, -1.0]), "W")
    assert export
    assert (export.low, export.high) == (-4.0, 0.0)


def test_a_picture_has_five_digits_and_no_made_up_ones() -> None:
    """What is drawn is rounded; unknown stays unknown, and zero stays zero."""
    shown = rounded(np.array([123_456.7, 0.0123456, 0.0, math.nan, -98.76543]))
    assert shown == [123_460.0, 0.012346, 0.0, None, -98.765]


@pytest.mark.parametrize("name", ["main", "gas", "outdoor"])
def test_the_answer_is_what_the_wall_clock_says(world: World, admin: TestClient, name: str) -> None:
    """Each hour of 40 days, summed by hand from the intervals, is the cell at its place.

    The days hold a gap of three hours, the end of summer time, and a running hour.
    """
    own = world.point(name)
    query = f"point={own.id}&bin=60&period=12m"
    answer = admin.get(f"/data/heatmap?{query}").json()
    rows = world.view.rows[own.series]
    channel = {"main": 4, "gas": 0, "outdoor": 0}[name]
    rows = rows.take(rows.channel == channel)
    wanted = by_the_wall(rows, own.zone, amounts=name == "gas")
    checked = 0
    for index, day in enumerate(answer["days"]["day"]):
        turn = answer["turns"].get(str(index))
        values = turn["values"] if turn else answer["days"]["values"][index]
        starts = turn["start_ms"] if turn else [
            answer["days"]["start_ms"][index] + hour * HOUR_MS for hour in range(24)
        ]  # fmt: skip
        for start, value in zip(starts, values, strict=True):
            at = datetime.fromtimestamp(start / 1000, UTC).astimezone(ZoneInfo(own.zone))
            assert at.date().isoformat() == day
            right = wanted.get(start)
            assert (value is None) == (right is None), at
            if right is not None:
                assert value == pytest.approx(right, rel=1e-4)
                checked += 1
    assert checked > 900
    turning = [answer["days"]["day"][int(index)] for index in answer["turns"]]
    assert turning == ["2026-03-29", "2026-10-25"]
    month = admin.get(f"/data/heatmap?point={own.id}&period=month&date=2026-11-01").json()
    assert month["facts"]["known_since"] == "", "it had begun before"
    if name == "main":
        began = local_day(int(rows.start_ms[0]), own.zone)
        assert answer["facts"]["known_since"] == day_text(began), "no year of gap before it"
        assert answer["facts"]["complete"] == pytest.approx(1 - 3 / (40 * 24), abs=2e-3)


def by_the_wall(rows: IntervalBlock, zone: str, *, amounts: bool) -> dict[int, float]:
    """Return the mean of each hour that is half known, by its start, one interval at a time."""
    sums: dict[int, list[tuple[float, int]]] = defaultdict(list)
    values = rows.amount if amounts else rows.mean
    for start, value, covered in zip(
        rows.start_ms.tolist(), values.tolist(), rows.covered_ms.tolist(), strict=True
    ):
        if not math.isnan(value):
            at = datetime.fromtimestamp(start / 1000, UTC).astimezone(ZoneInfo(zone))
            hour = at.replace(minute=0, second=0, microsecond=0)
            sums[round(hour.timestamp() * 1000)].append((value, covered))
    found = {}
    for start, parts in sums.items():
        known = sum(covered for _, covered in parts)
        if known >= HOUR_MS / 2:
            total = sum(value for value, _ in parts)
            weighted = sum(value * covered for value, covered in parts) / known
            found[start] = total * HOUR_MS / known if amounts else weighted
    return found


def test_the_file_has_every_cell_with_full_precision(world: World, admin: TestClient) -> None:
    """Empty is unknown; both hours of the doubled one are there, told apart by their offset."""
    own = world.point("main")
    query = f"point={own.id}&channel=pC&period=custom&date=2026-10-25&until=2026-10-25&bin=60"
    answer = admin.get(f"/data/heatmap.csv?{query}")
    assert 'filename="main-supply-pc-2026-10-25-60min.csv"' in answer.headers["content-disposition"]
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["start", "end", "Active energy, imported mean [W]", "covered"]
    assert len(rows) == 26
    assert [row[0] for row in rows[2:4]] == [
        "2026-10-25T01:00:00+01:00", "2026-10-25T01:00:00+00:00",
    ]  # fmt: skip
    block = world.view.rows[own.series]
    first = midnight_ms(date(2026, 10, 25), own.zone)
    mine = (block.channel == 24) & (block.start_ms >= first) & (block.start_ms < first + HOUR_MS)
    assert float(rows[1][2]) == pytest.approx(block.amount[mine].sum())


def test_weekends_and_the_sites_own_holidays_are_marked(world: World, admin: TestClient) -> None:
    """26 October 2026 is a bank holiday in Ireland, the day before it a Sunday."""
    own = world.point("main")
    answer = admin.get(f"/data/heatmap?point={own.id}&period=month&date=2026-10-09").json()
    assert answer["window"]["name"] == "October 2026"
    assert answer["marks"]["24"] == "weekend"
    assert answer["marks"]["25"] == "October Bank Holiday"
    assert "22" not in answer["marks"]


def test_what_can_not_be_drawn_is_said(world: World, admin: TestClient) -> None:
    """No data yet, a word that is no parameter, a date that is none: a sentence each."""
    empty = unescape(admin.get(f"/heatmap/{world.point('new').id}", headers=PAGE).text)
    assert "No data yet." in empty
    own = world.point("main").id
    for query, code in (
        ("channel=nonsense", "bad_channel"), ("bin=7", "bad_bin"), ("period=eon", "bad_period"),
        ("date=2026-13-01", "bad_date"),
        ("period=custom&date=2020-01-01&until=2026-01-01", "bad_date"),
    ):  # fmt: skip
        answer = admin.get(f"/data/heatmap?point={own}&{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, code), query
    file = admin.get(f"/data/heatmap.csv?point={world.point('new').id}")
    assert file.text == "start,end,covered\r\n"


def test_a_rolling_year_is_a_year_also_around_a_leap_day() -> None:
    """Twelve months back from 29 February, and as many on."""
    today = date(2028, 6, 1)
    chosen = span({"period": "12m", "date": "2028-02-29"}, ("12m",), today, today, "12m")
    assert (chosen.first, chosen.last) == (date(2027, 3, 1), date(2028, 2, 29))
    assert chosen.moved(-1).last == date(2027, 2, 28)
    with pytest.raises(KilowatchError, match="is not a period"):
        span({"period": "day"}, ("12m",), today, today, "12m")
