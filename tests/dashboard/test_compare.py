"""Comparisons against plain sums: weekdays meet weekdays, prices have a day, gaps save nothing."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import prices, tables
from kilowatch.dashboard.chart_period import Span
from kilowatch.dashboard.compare_levels import Levels, difference, means_of
from kilowatch.dashboard.compare_read import Item, first_items, other_span
from kilowatch.dashboard.compare_rows import days_by_key
from kilowatch.dashboard.compare_sums import (
    Days,
    bucketed,
    change,
    degrees_by_day,
    priced,
    quotient,
)
from kilowatch.dashboard.flow import in_usual_order
from kilowatch.dashboard.periods import midnight_ms
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.parameters import AP, RATIO, VALUE
from kilowatch.model.site_facts import Price, SiteFacts
from kilowatch.model.zones import Zone
from kilowatch.pipeline.tree_eras import counted_of
from tests.dashboard.conftest import Logged, form_token
from tests.dashboard.worlds import STRANGER, VIEWER, World

ZONE = "Europe/Dublin"
PAGE = {"accept": "text/html"}
TODAY = date(2026, 11, 9)


def days(*amounts: float, complete: float = 1.0, running: bool = False) -> Days:
    """Return days that counted so much; the last one may be running still."""
    start = midnight_ms(date(2026, 10, 1), ZONE)
    n = len(amounts)
    passed = np.ones(n)
    passed[-1] = 0.5 if running else 1.0
    known = np.where(np.isfinite(amounts), complete, 0.0)
    return Days(start + np.arange(n, dtype=np.int64) * 86_400_000, np.array(amounts), known, passed)


def test_weekdays_meet_weekdays() -> None:
    """A month lies beside as many days five weeks before; a year before is 52 weeks."""
    month = Span("month", date(2026, 10, 1), date(2026, 10, 31), TODAY)
    for against, back in (("before", 35), ("year", 364)):
        other = other_span(month, against)
        assert other
        assert (month.first - other.first).days == back
        assert (other.days, other.first.weekday()) == (31, month.first.weekday())
    year = other_span(Span("year", date(2025, 1, 1), date(2025, 12, 31), TODAY), "before")
    assert year
    assert year.first == date(2024, 1, 3)
    assert other_span(month, "none") is None


def test_half_a_month_is_not_held_against_a_whole_one() -> None:
    """The running day, and days that either side lacks, count on neither."""
    own = days(10.0, 20.0, math.nan, 40.0, 5.0, running=True)
    other = days(5.0, math.nan, 7.0, 20.0, 50.0)
    found = change(own, other)
    assert found.share == pytest.approx((10 + 40) / (5 + 20) - 1)
    assert (found.days, found.own, found.other) == (2, 50.0, 25.0)
    half = change(own, days(5.0, 5.0, 5.0, 5.0, 5.0, complete=0.5))
    assert (half.share, half.days) == (None, 0)
    none = change(days(5.0, 5.0), days(0.0, 0.0))
    assert (none.share, none.days) == (None, 2)
    few = change(days(2.0, 2.0, 2.0), days(1.0, math.nan, math.nan))
    assert (few.share, few.days) == (None, 1), "one day does not stand for three"


def test_what_differs_from_day_to_day_is_divided_day_by_day() -> None:
    """30 kWh over 3 degree days is 10 each; a year with the same need per degree did not change."""
    own, other = days(10.0, 20.0), days(40.0, 20.0)
    cold, colder = np.array([1.0, 2.0]), np.array([4.0, 2.0])
    assert quotient(own, cold) == pytest.approx((10.0, 30.0, 3.0))
    assert quotient(own, np.array([0.0, 0.0])) is None
    assert quotient(own, np.array([1.0, math.nan])) is None
    found = change(own, other, (cold, colder))
    assert found.share == pytest.approx(0.0)
    assert found.days == 2


def test_each_day_costs_its_own_price() -> None:
    """From 2 October on a kilowatt-hour costs twice as much; a day without a price is said."""
    begin = midnight_ms(date(2026, 10, 2), ZONE)
    new = Price(2, "electricity", 0.4, "kWh", "EUR", begin, date(2026, 10, 2), "new")
    old = Price(1, "electricity", 0.2, "kWh", "EUR", 0, None, "old")
    own = days(1_000.0, 3_000.0)
    both = SiteFacts(1, ZONE, "IE", "", "EUR", prices=(new, old))
    found = priced(own, both, "electricity", "Wh", "money")
    assert found.value == pytest.approx(0.2 + 1.2)
    assert (found.unit, found.share) == ("EUR", 1.0)
    late = SiteFacts(1, ZONE, "IE", "", "EUR", prices=(new,))
    found = priced(own, late, "electricity", "Wh", "money")
    assert found.value == pytest.approx(1.2)
    assert found.share == pytest.approx(0.75)
    assert priced(own, None, "electricity", "Wh", "co2").value is None


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    """What a period cuts off stays cut off: the first bucket begins with the period."""
    own = days(*[1.0] * 31, 2.0)
    names, sums, complete = bucketed(own, date(2026, 10, 1), "week")
    assert names[:2] == [date(2026, 10, 1), date(2026, 10, 5)]
    assert (sums[0], sums[1], complete[0]) == (4.0, 7.0, 1.0)
    names, sums, _ = bucketed(own, date(2026, 10, 1), "month")
    assert (names, sums) == ([date(2026, 10, 1), date(2026, 11, 1)], [31.0, 2.0])
    _, sums, complete = bucketed(days(math.nan, math.nan), date(2026, 10, 1), "week")
    assert (sums, complete) == ([None], [0.0])


def test_degree_days_are_those_of_local_days() -> None:
    """10 °C throughout is 5.5 K·d a day, also on the day of 25 hours; an unknown day is unknown."""
    first = midnight_ms(date(2026, 10, 24), ZONE)
    values = np.full(24 + 25 + 24, 10.0)
    values[49:] = math.nan
    facts = SiteFacts(1, ZONE, "IE", "", "EUR")
    found = degrees_by_day(values, first, Zone.of(ZONE), facts, "heating", 3)
    assert found[:2] == pytest.approx([5.5, 5.5])
    assert math.isnan(found[2])
    cooling = degrees_by_day(values, first, Zone.of(ZONE), facts, "cooling", 3)
    assert cooling[:2] == pytest.approx([0.0, 0.0])
    mild = degrees_by_day(values + 3.4, first, Zone.of(ZONE), facts, "heating", 3)
    assert mild[:2] == pytest.approx([2.1, 2.1])
    scrap = degrees_by_day(values + 5.3, first, Zone.of(ZONE), facts, "heating", 3)
    assert scrap[:2].tolist() == [0.0, 0.0], "0.4 degree days divide nothing"


@pytest.fixture(scope="module")
def set_up(world: World) -> World:
    """Give Dublin a floor area, a thermometer and a tree, and the organisation prices."""
    with world.catalog.change(catalogs.Actor("test")) as change_:
        acme = change_.session.scalars(select(tables.Organisation).filter_by(name="Acme")).one()
        site = change_.session.get(tables.Site, world.sites["Office Dublin"])
        assert site is not None
        site.area_m2 = 2_000.0
        from kilowatch.catalog.tables_sites import SiteTerms  # noqa: PLC0415

        change_.session.add(
            SiteTerms(organisation_id=acme.id, site_id=site.id,
                      temperature_point_id=world.point("outdoor").id, heating_base_c=15.5,
                      cooling_base_c=18.0, attention_per_week=3, created_at_ms=0)
        )  # fmt: skip
        for name in ("hvac", "server"):
            row = change_.session.get(tables.DataPoint, world.point(name).id)
            assert row is not None
            row.parent_id = world.point("main").id
        draft = prices.PriceDraft("electricity", 0.25, "contract")
        prices.set_price(change_, acme, draft)
    return world


def energy(world: World, name: str, first: date, last: date) -> float:
    """Return what a data point counted on local days, interval by interval [Wh]."""
    rows = world.view.rows[world.point(name).series]
    from_ms, to_ms = midnight_ms(first, ZONE), midnight_ms(last + timedelta(1), ZONE)
    inside = (rows.channel == 24) & (rows.start_ms >= from_ms) & (rows.start_ms < to_ms)
    parts = np.concatenate([rows.amount[inside], rows.unallocated[inside]])
    return float(parts[np.isfinite(parts)].sum())


def items_of(client: TestClient, query: str) -> dict[str, dict[str, object]]:
    """Return the answer's items by their name."""
    answer = client.get(f"/data/compare?{query}")
    assert answer.status_code == 200, answer.text
    return {item["name"]: item for item in answer.json()["items"]}


def test_the_answer_agrees_with_the_intervals(set_up: World, admin: TestClient) -> None:
    """October, with the hour that came twice: totals, per square metre, cost and ranking."""
    first, last = date(2026, 10, 1), date(2026, 10, 31)
    main = energy(set_up, "main", first, last)
    chiller = energy(set_up, "chiller", first, last)
    found = items_of(admin, "period=month&date=2026-10-10&per=area&against=none")
    dublin, cork = found["Office Dublin"], found["Supermarket Cork"]
    assert list(found) == ["Office Dublin", "Supermarket Cork"]
    assert dublin["total"] == pytest.approx(main)
    assert cork["total"] == pytest.approx(chiller)
    assert dublin["per"] == pytest.approx(main / 2_000)
    assert dublin["money"] == pytest.approx(main / 1000 * 0.25)
    assert dublin["money_basis"] == ["0.25 EUR/kWh (contract)"]
    assert (dublin["divided"], dublin["by"]) == pytest.approx((main, 2_000))
    assert (cork["per"], cork["without"]) == (None, "area")
    assert cork["set_href"] == f"/admin/sites/{set_up.sites['Supermarket Cork']}"
    assert sum(dublin["value"]) == pytest.approx(main / 2_000)  # type: ignore[call-overload]
    assert len(dublin["value"]) == 31  # type: ignore[arg-type]


def test_what_is_known_is_known_of_hours_not_of_days(set_up: World, admin: TestClient) -> None:
    """A day of 25 hours weighs 25: the share is that of Breakdown for the same days."""
    main = set_up.point("main").id
    days = "period=custom&date=2026-10-25&until=2026-11-08"
    (item,) = items_of(admin, f"items=p{main}&{days}&grain=month").values()
    shown = admin.get(f"/data/series?point={main}&{days}&grain=day&show=pC").json()["summary"][0]
    assert 0 < shown["complete"] < 1
    assert item["complete"] == pytest.approx(shown["complete"], rel=1e-12)
    assert item["total"] == pytest.approx(shown["total"])


def test_a_week_against_the_one_before(set_up: World, admin: TestClient) -> None:
    """The change is that of two plain sums; of degree days, of two quotients."""
    week, before = date(2026, 10, 26), date(2026, 10, 19)
    own = energy(set_up, "main", week, week + timedelta(6))
    other = energy(set_up, "main", before, before + timedelta(6))
    query = f"items=p{set_up.point('main').id}&period=week&date={week}&against=before"
    (item,) = items_of(admin, query).values()
    assert item["change"] == pytest.approx(own / other - 1)
    assert item["compared"] == 7
    assert (item["own_compared"], item["other_compared"]) == pytest.approx((own, other))
    assert (item["own_by"], item["other_by"]) == (None, None)
    behind: Any = item["behind"]
    assert behind["points"][0]["id"] == set_up.point("main").id
    assert behind["intervals"] == "7 of 7 days have data"
    (item,) = items_of(admin, query + "&per=heating").values()
    rows = set_up.view.rows[set_up.point("outdoor").series]
    sums = []
    for begin in (week, before):
        from_ms, to_ms = midnight_ms(begin, ZONE), midnight_ms(begin + timedelta(7), ZONE)
        inside = (rows.start_ms >= from_ms) & (rows.start_ms < to_ms)
        hours = rows.mean[inside].reshape(-1, 4).mean(axis=1)
        sums.append(float(np.maximum(15.5 - hours, 0).sum()) / 24)
    # 25 October, a day of 25 hours, lies in the week before: it counts as one day all the same.
    assert item["per"] == pytest.approx(own / sums[0])
    assert item["change"] == pytest.approx(own / sums[0] / (other / sums[1]) - 1, abs=0.01)
    assert (item["own_by"], item["other_by"]) == pytest.approx(sums, rel=0.01)


def test_per_unit_produced_is_that_of_the_same_site(set_up: World, admin: TestClient) -> None:
    """Energy per cubic metre of water used there; a site without a choice says so."""
    query = "period=month&date=2026-10-10&per=production&against=none"
    found = items_of(admin, f"{query}&divisor={set_up.point('water').id}")
    dublin = found["Office Dublin"]
    rows = set_up.view.rows[set_up.point("water").series]
    from_ms, to_ms = midnight_ms(date(2026, 10, 1), ZONE), midnight_ms(date(2026, 11, 1), ZONE)
    water = rows.amount[(rows.start_ms >= from_ms) & (rows.start_ms < to_ms)].sum()
    main = energy(set_up, "main", date(2026, 10, 1), date(2026, 10, 31))
    assert dublin["per"] == pytest.approx(main / water)
    assert dublin["per_unit"] == "m3"
    assert found["Supermarket Cork"]["without"] == "divisor"


def test_a_formula_stands_beside_what_it_is_made_of_and_adds_nothing_to_its_site(
    set_up: World, admin: TestClient
) -> None:
    """Main and air conditioning together: compared, searched, divided by, and in no total."""
    first, last = date(2026, 10, 1), date(2026, 10, 31)
    main, hvac = (energy(set_up, name, first, last) for name in ("main", "hvac"))
    form = {
        "name": "Both", "site": str(set_up.sites["Office Dublin"]), "interval": "1h",
        "formula": "[Main supply].energy + [HVAC].energy", "csrf": form_token(admin, "/account"),
    }  # fmt: skip
    assert admin.post("/admin/data-points/new-formula", data=form).status_code == 303
    with set_up.catalog.reading() as session:
        both = session.scalars(select(tables.DataPoint).filter_by(name="Both")).one()
    main_rows, rows = (
        set_up.view.series(set_up.point(name), [24], 0, 1 << 60, "hour")
        for name in ("main", "hvac")
    )
    whole = np.nan_to_num(rows.amount) + np.nan_to_num(rows.unallocated)
    at_main = np.searchsorted(rows.start_ms, main_rows.start_ms)
    whole[at_main] += np.nan_to_num(main_rows.amount) + np.nan_to_num(main_rows.unallocated)
    set_up.view.rows[both.series] = replace(
        rows, series=np.full(len(rows), both.series), channel=np.zeros(len(rows), np.int64),
        amount=whole, unallocated=np.zeros(len(rows)),
    )  # fmt: skip
    key = f"p{both.id}"
    query = f"items={key},s{set_up.sites['Office Dublin']}&period=month&date=2026-10-10"
    found = items_of(admin, f"{query}&against=before")
    assert found["Office Dublin \N{EM DASH} Both"]["total"] == pytest.approx(main + hvac)
    assert found["Office Dublin"]["total"] == pytest.approx(main), "it is counted already"
    assert found["Office Dublin \N{EM DASH} Both"]["complete"] == pytest.approx(
        found["Office Dublin"]["complete"], abs=0.05
    )
    told: Any = found["Office Dublin \N{EM DASH} Both"]["behind"]
    (source,) = told["points"]
    assert source["formula"] == form["formula"], "a formula says what it is made of"
    peak = admin.get(f"/data/compare/peaks?{query}").json()[key]
    month_ms = [midnight_ms(day, ZONE) for day in (first, last + timedelta(1))]
    inside = (rows.start_ms >= month_ms[0]) & (rows.start_ms < month_ms[1])
    at = int(np.argmax(np.where(inside, whole, -np.inf)))
    begin = datetime.fromtimestamp(int(rows.start_ms[at]) / 1000, ZoneInfo(ZONE))
    assert peak["peak"] == pytest.approx(whole[at]), "it stands in no tree, and has a peak too"
    assert (peak["day"], peak["clock"], peak["minutes"]) == (
        f"{begin:%Y-%m-%d}", f"{begin:%H:%M}", 60,
    )  # fmt: skip
    opened = admin.get("/compare?q=both", headers=PAGE).text
    assert key in opened
    assert "Office Dublin \N{EM DASH} Both" in opened
    first_view = items_of(admin, "period=month&date=2026-10-10")
    assert list(first_view) == ["Office Dublin", "Supermarket Cork"]


def test_levels_are_compared_by_their_mean(set_up: World, admin: TestClient) -> None:
    """A temperature, and power: means over what is known, extremes, and a difference of two."""
    week, before = date(2026, 10, 26), date(2026, 10, 12)
    outdoor, main, hvac = (set_up.point(name) for name in ("outdoor", "main", "hvac"))
    page = admin.get("/compare?utility=temperature:°C", headers=PAGE).text
    assert '<option value="temperature:°C" selected>Temperature [°C]</option>' in page
    assert '<option value="electricity:W">Electricity [kW]</option>' in page
    assert 'id="per"' not in page, "nothing to divide"
    assert 'name="items" value="p' in page, "no site has a temperature"
    query = f"items=p{outdoor.id},s{outdoor.site_id}&period=week&date={week}&per=area&against="
    answer = admin.get(f"/data/compare?{query}before").json()
    (item,) = answer["items"]
    assert (answer["level"], answer["unit"], answer["per"]) == (True, "°C", "total")
    rows, means = set_up.view.rows[outdoor.series], []
    for begin in (week, before + timedelta(7)):
        from_ms, to_ms = midnight_ms(begin, ZONE), midnight_ms(begin + timedelta(7), ZONE)
        inside = rows.take((rows.start_ms >= from_ms) & (rows.start_ms < to_ms))
        means.append(float(np.average(inside.mean, weights=inside.covered_ms)))
        if begin == week:
            assert (item["low"], item["high"]) == (inside.low.min(), inside.high.max())
    assert item["total"] == pytest.approx(means[0])
    assert item["difference"] == pytest.approx(means[0] - means[1])
    assert (item["compared"], item["change"], item["money"]) == (7, None, None)
    assert len(item["value"]) == 7
    assert (max(item["value"]), min(item["value"])) != (item["total"], item["total"])
    weekly = admin.get(f"/data/compare?{query}none&grain=week").json()["items"][0]
    assert weekly["value"] == [pytest.approx(means[0])], "a week is a mean, no sum of days"
    power = f"items=p{main.id},p{hvac.id}&utility=electricity:W&period=week&date={week}&against="
    found = list(items_of(admin, power + "none").values())
    assert [item["href"].split("?")[0] for item in found] == [  # type: ignore[attr-defined]
        f"/breakdown/{main.id}", f"/breakdown/{hvac.id}",
    ]  # fmt: skip
    rows = set_up.view.rows[main.series].take(set_up.view.rows[main.series].channel == AP)
    from_ms, to_ms = midnight_ms(week, ZONE), midnight_ms(week + timedelta(7), ZONE)
    inside = rows.take((rows.start_ms >= from_ms) & (rows.start_ms < to_ms))
    assert found[0]["total"] == pytest.approx(np.average(inside.mean, weights=inside.covered_ms))
    file = list(csv.reader(io.StringIO(admin.get(f"/data/compare.csv?{power}before").text)))
    assert file[0][1:4] == ["Mean [W]", "Lowest [W]", "Highest [W]"]
    assert float(file[1][1]) == pytest.approx(found[0]["total"])
    assert len(file) == 3


def test_power_factor_voltage_and_peaks_are_compared(set_up: World, admin: TestClient) -> None:
    """ΣP/ΣS, the mean of the phases, and the highest quarter of an hour with its time."""
    week, main = date(2026, 10, 26), set_up.point("main")
    page = admin.get("/compare?utility=electricity:V", headers=PAGE).text
    assert '<option value="electricity:V" selected>Phase voltage [V]</option>' in page
    assert '<option value="electricity:PF">Power factor</option>' in page
    assert "data-peaks" not in page, "a level has no peak demand"
    days = f"items=p{main.id}&period=week&date={week}&against=none"
    shown = admin.get(f"/data/series?point={main.id}&period=week&date={week}&grain=day").json()
    (factor,) = items_of(admin, f"{days}&utility=electricity:PF").values()
    assert factor["total"] == pytest.approx(shown["demand"]["power_factor"]["value"])
    assert "show=pF" in str(factor["href"])
    (volts,) = items_of(admin, f"{days}&utility=electricity:V").values()
    rows = set_up.view.rows[main.series]
    from_ms, to_ms = midnight_ms(week, ZONE), midnight_ms(week + timedelta(7), ZONE)
    inside = rows.take(np.isin(rows.channel, [17, 18, 19]))
    inside = inside.take((inside.start_ms >= from_ms) & (inside.start_ms < to_ms))
    assert volts["total"] == pytest.approx(np.average(inside.mean, weights=inside.covered_ms))
    assert (volts["low"], volts["high"]) == (inside.low.min(), inside.high.max())
    (peak,) = admin.get(f"/data/compare/peaks?{days}").json().values()
    assert peak["peak"] == pytest.approx(shown["demand"]["peak"])
    at = datetime.fromtimestamp(shown["demand"]["peak_ms"] / 1000, ZoneInfo(ZONE))
    assert (peak["day"], peak["clock"], peak["minutes"]) == (f"{at:%Y-%m-%d}", f"{at:%H:%M}", 15)
    site = set_up.sites["Office Dublin"]
    whole = admin.get(f"/data/compare/peaks?{days.replace(f'p{main.id}', f's{site}')}").json()
    assert whole[f"s{site}"]["peak"] == pytest.approx(peak["peak"]), "its supply is the site's"
    head, row = csv.reader(io.StringIO(admin.get(f"/data/compare.csv?{days}").text))
    assert float(row[head.index("Peak demand [W]")]) == pytest.approx(peak["peak"])
    assert row[head.index("Peak demand at")] == at.isoformat()


def test_a_level_counts_each_day_for_as_long_as_it_is_known() -> None:
    """A day of which an hour is known weighs little, and is held against no other."""
    start = midnight_ms(date(2026, 10, 1), ZONE) + np.arange(3, dtype=np.int64) * 86_400_000
    whole, hours, zeros = np.ones(3), np.full(3, 24.0), np.zeros(3, np.int64)

    def level(mean: list[float], complete: list[float], *sums: list[float]) -> Levels:
        values, known = np.array(mean), np.array(complete)
        above, below = (np.array(one) for one in (sums or (mean, mean)))
        rows = IntervalBlock(
            zeros, zeros + (RATIO if sums else VALUE), start, zeros + 86_400_000, zeros, zeros,
            values, values, values, above, below, (known * 86_400_000).astype(np.int64), zeros,
        )  # fmt: skip
        return Levels(start, values, known, whole, {}, {}, hours, rows, np.arange(3))

    own, other = level([10.0, 22.0, 99.0], [1.0, 1.0, 1 / 24]), level([9.0, 19.0, 0.0], [1.0] * 3)
    assert own.total == pytest.approx((240 + 528 + 99) / 49)
    found = difference(own, other)
    assert found.difference == pytest.approx(16 - 14)
    assert (found.days, found.share) == (2, None)
    few = difference(level([10.0, math.nan, math.nan], [1.0, 0.0, 0.0]), other)
    assert (few.difference, few.days) == (None, 1)
    assert level([math.nan] * 3, [0.0] * 3).total is None
    cop = level([3.0, 1.0, math.nan], [1.0] * 3, [300.0, 10.0, 5.0], [100.0, 10.0, 0.0])
    assert cop.total == pytest.approx(315 / 110), "a quotient divides sums, whatever its days are"
    assert means_of(cop, date(2026, 10, 1), "month")[1] == [cop.total]
    assert means_of(cop, date(2026, 10, 1), "day")[1] == [3.0, 1.0, None]


def test_the_files_say_the_same(set_up: World, admin: TestClient) -> None:
    """The ranking, and the days of every item beside each other."""
    query = "period=month&date=2026-10-10&per=area&against=none"
    ranking = list(csv.reader(io.StringIO(admin.get(f"/data/compare.csv?{query}").text)))
    main = energy(set_up, "main", date(2026, 10, 1), date(2026, 10, 31))
    assert ranking[0][:3] == ["Site or data point", "Total [Wh]", "Per square metre [Wh/(m2)]"]
    assert float(ranking[1][2]) == pytest.approx(main / 2_000)
    values = list(
        csv.reader(io.StringIO(admin.get(f"/data/compare.csv?table=values&{query}").text))
    )
    assert len(values) == 32
    assert sum(float(row[2]) for row in values[1:]) == pytest.approx(main)


def test_nobody_compares_what_is_not_theirs(set_up: World, logged: Logged) -> None:
    """Items of others are left out of the address without a word; a viewer takes no file along."""
    items = f"s{set_up.sites['Office Dublin']},p{set_up.point('main').id}"
    stranger = logged(STRANGER)
    assert set(items_of(stranger, f"items={items}")) == {"Werk — Presse"}
    page = stranger.get(f"/compare?items={items}&q=main", headers=PAGE).text
    assert "Main supply" not in page
    assert logged(VIEWER).get(f"/data/compare.csv?items={items}").status_code == 403
    found = items_of(logged(VIEWER), f"items={items}&per=area")
    assert all(item["set_href"] == "" for item in found.values())


def test_from_a_site_it_is_compared_with_the_others(set_up: World, admin: TestClient) -> None:
    """The site that one comes from stands first, with what it counts; never beside its supply."""
    dublin, cork = (set_up.sites[name] for name in ("Office Dublin", "Supermarket Cork"))
    page = admin.get(f"/site/{cork}", headers={"accept": "text/html"}).text
    assert f'href="/compare?place=s{cork}"' in page
    for first, second in ((cork, dublin), (dublin, cork)):
        text = admin.get(f"/compare?place=s{first}", headers={"accept": "text/html"}).text
        assert f'name="items" value="s{first},s{second}"' in text
    one = [p for p in set_up.points.values() if p.site_id == dublin and counted_of(p) is not None]
    every = {f"s{dublin}": Item(f"s{dublin}", "Dublin", dublin, ZONE, tuple(one))} | {
        f"p{p.id}": Item(f"p{p.id}", p.name, dublin, ZONE, (p,)) for p in one
    }
    supply = one[0]
    alone = first_items(every, f"s{dublin}", {supply.id, None})
    assert len(alone) > 1
    assert f"p{supply.id}" not in {item.key for item in alone}
    assert f"s{dublin}" not in {item.key for item in alone}


def test_a_link_to_a_gas_meter_opens_on_gas(set_up: World, admin: TestClient) -> None:
    """Where the address names no utility, it is that of what it names; solar stands for itself."""
    gas, main = set_up.point("gas").id, set_up.point("main").id
    found = admin.get(f"/data/compare?items=p{gas}").json()
    assert (found["utility"], [one["key"] for one in found["items"]]) == ("gas", [f"p{gas}"])
    found = admin.get(f"/data/compare?items=p{gas},p{main}&utility=electricity:Wh").json()
    assert [one["key"] for one in found["items"]] == [f"p{main}"]
    both = ("production:Wh", "electricity:Wh")
    assert in_usual_order(both, with_production=True) == ["electricity:Wh", "production:Wh"]
    assert in_usual_order(both) == ["electricity:Wh"]


def test_items_are_added_and_taken_out_by_links(set_up: World, admin: TestClient) -> None:
    """A search leads to links that hold the rest of the address; words that are none are told."""
    text = admin.get("/compare?items=none&q=cork+fridge", headers=PAGE).text
    assert "Nothing is chosen." in text
    assert "Nothing found" in text
    text = admin.get("/compare?items=none&q=cork+refrig&per=area&grain=week", headers=PAGE).text
    key = f"p{set_up.point('chiller').id}"
    assert f"/compare?items={key}&amp;utility=electricity%3AWh" in text
    assert "per=area" in text
    for query in ("per=head", "grain=eon", "against=mars", "period=day"):
        assert admin.get(f"/data/compare?{query}").status_code == 400, query


def test_sites_of_several_clocks_are_read_side_by_side(world: World) -> None:
    """Each has the days of its own midnight, and the figures that it has when it is read alone."""
    rooms, abroad = world.app.state.rooms, replace(world.point("chiller"), zone="Europe/Berlin")
    items = [
        Item(f"p{point.id}", point.name, point.site_id, point.zone, (point,))
        for point in (world.point("main"), abroad, world.point("hvac"))
    ]
    assert len({one.zone for one in items}) == 2
    spans = [
        Span("custom", date(2026, 10, first), date(2026, 10, first + 6), TODAY) for first in (12, 5)
    ]
    together = days_by_key(rooms, items, spans)
    assert [some.keys() for some in together] == [{one.key for one in items}] * 2
    for one in items:
        for days_of, alone, span in zip(
            together, days_by_key(rooms, [one], spans), spans, strict=True
        ):
            mine = days_of[one.key]
            assert mine.start_ms[0] == midnight_ms(span.first, one.zone)
            assert mine.amount.tolist() == alone[one.key].amount.tolist()
            assert mine.total
