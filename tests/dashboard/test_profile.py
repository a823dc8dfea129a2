"""A load profile's figures against a slow and plain count, day by day."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard.chart_period import Span
from kilowatch.dashboard.heat_cells import Cells, cells_of
from kilowatch.dashboard.periods import midnight_ms
from kilowatch.dashboard.profile import bin_of, other_span
from kilowatch.dashboard.profile_figures import (
    CURVE_WHOLE,
    duration_curve,
    kind_of,
    peak_days,
    typical_days,
)
from kilowatch.model.blocks import Floats
from kilowatch.model.site_facts import DayRange, SiteFacts
from kilowatch.model.zones import Zone
from tests.dashboard.fakes import rows_of
from tests.dashboard.test_waste_and_forecast import point
from tests.dashboard.worlds import World

ZONE = "Europe/Dublin"
FACTS = SiteFacts(
    1, ZONE, "IE", "", "EUR",
    closed_days=(DayRange(date(2026, 10, 22), date(2026, 10, 22), "stock-taking"),),
)  # fmt: skip


def cells(first: date, last: date, load: Floats | None = None, bin_s: int = 1800) -> Cells:
    """Return the demand of some days: of each half-hour its number since the first."""
    from_ms, to_ms = midnight_ms(first, ZONE), midnight_ms(last + timedelta(1), ZONE)
    starts = np.arange(from_ms, to_ms, bin_s * 1000, dtype=np.int64)
    rows = rows_of(
        point(1), 0, starts, mean=np.arange(float(len(starts))) if load is None else load
    )
    rows.duration_ms[:] = rows.covered_ms[:] = bin_s * 1000
    return cells_of(rows, from_ms, to_ms, bin_s, Zone.of(ZONE), amounts=False, least=0.9)


def test_each_day_is_of_one_kind_and_holidays_come_first() -> None:
    """A bank holiday on a Monday is no weekday, nor is a day on which the site is closed."""
    assert kind_of(date(2026, 10, 26), FACTS) == "holiday"
    assert kind_of(date(2026, 10, 22), FACTS) == "holiday"
    assert kind_of(date(2026, 10, 23), FACTS) == "weekday"
    assert kind_of(date(2026, 10, 24), FACTS) == "saturday"
    assert kind_of(date(2026, 10, 25), FACTS) == "sunday"
    assert kind_of(date(2026, 10, 26), None) == "weekday"


def test_a_typical_day_is_the_spread_over_its_days_by_the_wall_clock() -> None:
    """October 2026, slowly: the median of 01:00 on Sundays holds the doubled hour's mean once."""
    rng = np.random.default_rng(6)
    first, last = date(2026, 10, 1), date(2026, 10, 31)
    load = rng.gamma(2.0, 1000.0, 31 * 48 + 2)
    load[100:130] = math.nan
    own = cells(first, last, load)
    wanted: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    by_day: dict[tuple[date, int], list[float]] = defaultdict(list)
    for start, value in zip(own.start_ms.tolist(), load.tolist(), strict=True):
        at = datetime.fromtimestamp(start / 1000, UTC).astimezone(ZoneInfo(ZONE))
        if not math.isnan(value):
            by_day[at.date(), at.hour * 2 + at.minute // 30].append(value)
    for (day, column), values in by_day.items():
        wanted[kind_of(day, FACTS)][column].append(sum(values) / len(values))
    found = {one.kind: one for one in typical_days(own, 30, FACTS)}
    assert {kind: one.days for kind, one in found.items()} == {
        "weekday": 20, "saturday": 5, "sunday": 4, "holiday": 2,
    }  # fmt: skip
    for kind, columns in wanted.items():
        for column, values in columns.items():
            right = np.percentile(values, (10, 25, 50, 75, 90))
            assert found[kind].spread[:, column] == pytest.approx(right), (kind, column)  # type: ignore[index]
    sunday = (found["sunday"].amount or 0) / 1
    hours = [own.value[own.day == number] for number in np.unique(own.day) if (number + 3) % 7 == 6]
    assert sunday == pytest.approx(np.mean([values.sum() / 2 for values in hours]))


def test_the_duration_curve_keeps_the_peaks_and_the_hours() -> None:
    """A year of quarters becomes 400 points; the highest is first, the last hour is the last."""
    rng = np.random.default_rng(7)
    count = 365 * 96
    load = rng.gamma(2.0, 1000.0, count)
    own = cells(date(2025, 11, 10), date(2026, 11, 9), load, 900)
    hours, demand = duration_curve(own)
    assert len(hours) <= 400
    assert demand[:CURVE_WHOLE] == sorted(load.tolist(), reverse=True)[:CURVE_WHOLE]
    assert demand == sorted(demand, reverse=True)
    assert hours[-1] == pytest.approx(count / 4)
    for hour, value in zip(hours, demand, strict=True):
        assert (load > value).sum() / 4 < hour <= (load >= value).sum() / 4 + 1e-9


def test_peak_days_are_ten_different_days() -> None:
    """Ten quarters of one hot afternoon are one peak day."""
    load = np.zeros(20 * 48 + 2)
    load[0 : 20 * 48 : 48] = np.arange(20.0) + 100
    load[5:10] = 500.0
    found = peak_days(cells(date(2026, 10, 12), date(2026, 10, 31), load), FACTS)
    assert len(found) == 10
    assert len({one.day for one in found}) == 10
    assert (found[0].day, found[0].demand) == (date(2026, 10, 12), 500.0)
    at = datetime.fromtimestamp(found[0].start_ms / 1000, UTC).astimezone(ZoneInfo(ZONE))
    assert (at.hour, at.minute) == (2, 30)


def test_demand_periods_fit_the_intervals() -> None:
    """Quarters of a quarter's or five minutes' data, half-hours of half-hours, else hours."""
    seconds = {60: 900, 300: 900, 900: 900, 1800: 1800, 3600: 3600, 600: 1800, 420: 3600}
    for interval_s, bin_s in seconds.items():
        one = point(1)
        object.__setattr__(one, "interval_s", interval_s)
        assert bin_of(one, 900) == bin_s


def test_a_month_is_compared_with_the_same_month() -> None:
    """Other days a year back begin on the same day of the week."""
    today = date(2026, 11, 9)
    month = Span("month", date(2026, 2, 1), date(2026, 2, 28), today)
    other = other_span(month, "year")
    assert other
    assert (other.first, other.last) == (date(2025, 2, 1), date(2025, 2, 28))
    days = other_span(Span("custom", date(2026, 11, 2), date(2026, 11, 8), today), "year")
    assert days
    assert (days.first, days.first.weekday(), days.days) == (date(2025, 11, 3), 0, 7)
    assert other_span(month, "none") is None


def test_the_answer_agrees_with_the_intervals(world: World, admin: TestClient) -> None:
    """Peak, mean, load factor and the peak days of 40 days, from 5-minute energies by hand."""
    own = world.point("main")
    answer = admin.get(f"/data/profile?point={own.id}&against=before").json()
    (period, before) = answer["periods"]
    rows = world.view.rows[own.series]
    rows = rows.take((rows.channel == 24) & np.isfinite(rows.amount))
    quarters: dict[int, list[float]] = defaultdict(list)
    for start, amount in zip(rows.start_ms.tolist(), rows.amount.tolist(), strict=True):
        quarters[start // 900_000 * 900_000].append(amount)
    demand = {at: sum(parts) * 4 for at, parts in quarters.items() if len(parts) == 3}
    figures = period["figures"]
    assert figures["peak"] == pytest.approx(max(demand.values()))
    assert demand[figures["peak_ms"]] == max(demand.values())
    assert figures["mean"] == pytest.approx(np.mean(list(demand.values())))
    assert figures["load_factor"] == pytest.approx(figures["mean"] / figures["peak"])
    hours: dict[int, float] = defaultdict(float)
    counts: dict[int, int] = defaultdict(int)
    for start, amount in zip(rows.start_ms.tolist(), rows.amount.tolist(), strict=True):
        hours[start // 3_600_000] += amount
        counts[start // 3_600_000] += 1
    known = [hours[at] * 12 / counts[at] for at in hours if counts[at] >= 6]
    assert figures["near_base"] == pytest.approx(np.percentile(known, 2.5))
    assert figures["near_peak"] == pytest.approx(np.percentile(known, 97.5))
    best: dict[str, float] = {}
    for at, value in demand.items():
        day = datetime.fromtimestamp(at / 1000, UTC).astimezone(ZoneInfo(ZONE)).date().isoformat()
        best[day] = max(best.get(day, 0.0), value)
    right = sorted(best.items(), key=lambda item: -item[1])[:10]
    assert [(one["day"], one["demand"]) for one in period["peaks"]] == [
        (day, pytest.approx(value)) for day, value in right
    ]
    assert before["figures"]["mean"] is None
    assert not before["peaks"]
    holiday = next(one for one in period["kinds"] if one["kind"] == "holiday")
    assert holiday["days"] == 1


def test_a_temperature_has_a_profile_too(world: World, admin: TestClient) -> None:
    """It has no energy, and nothing is said of any; the file has a row for each time of day."""
    own = world.point("outdoor")
    answer = admin.get(f"/data/profile?point={own.id}&period=month").json()
    assert (answer["unit"], answer["amount_unit"], answer["bin_s"]) == ("°C", "", 900)
    file = admin.get(f"/data/profile.csv?point={own.id}&period=month")
    rows = list(csv.reader(io.StringIO(file.text)))
    kinds = len(answer["periods"][0]["kinds"])
    assert len(rows) == 1 + kinds * 96
    assert rows[0][:4] == ["period", "kind of day", "days", "time of day"]
    assert rows[2][3] == "00:15"


def test_what_can_not_be_compared_is_said(world: World, admin: TestClient) -> None:
    """A word that is nothing to compare with is refused with those that are."""
    answer = admin.get(f"/data/profile?point={world.point('main').id}&against=mars")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_against")
    empty = admin.get(f"/profile/{world.point('new').id}", headers={"accept": "text/html"})
    assert "No data yet." in empty.text
