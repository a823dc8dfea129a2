"""Peak demand, load factor, baseload and power factor, each against sums made by hand."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.catalog import Actor, site_terms
from kilowatch.catalog.tables import Site
from kilowatch.dashboard.periods import midnight_ms
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import AP, APP, PC, PF, RP
from tests.dashboard.conftest import form_token
from tests.dashboard.fakes import rows_of, starts_of, with_gap
from tests.dashboard.test_series import ask
from tests.dashboard.worlds import World

ZONE = ZoneInfo("Europe/Dublin")


def stored(world: World, name: str, first: date, days: int) -> IntervalBlock:
    """Return the energy of some local days, as stored."""
    rows = world.view.rows[world.point(name).series]
    begin, end = (midnight_ms(one, ZONE.key) for one in (first, first + timedelta(days)))
    return rows.take((rows.channel == PC) & (rows.start_ms >= begin) & (rows.start_ms < end))


def by_hand(rows: IntervalBlock, minutes: int) -> dict[str, Any]:
    """Work the figures out one interval at a time, with the standard library's calendar."""
    energy: dict[tuple[datetime, int], float] = defaultdict(float)
    known_s: dict[tuple[datetime, int], float] = defaultdict(float)
    total_wh = total_s = 0.0
    for start, amount, covered in zip(
        rows.start_ms.tolist(), rows.amount.tolist(), rows.covered_ms.tolist(), strict=True
    ):
        if not covered:
            continue
        local = datetime.fromtimestamp(start / 1000, UTC).astimezone(ZONE)
        minute = local.minute // minutes * minutes
        key = local.replace(minute=minute, second=0, tzinfo=None), local.fold
        energy[key] += amount
        known_s[key] += covered / 1000
        total_wh += amount
        total_s += covered / 1000
    demand = {
        key: energy[key] / known_s[key] * 3600
        for key in energy
        if known_s[key] >= 0.9 * minutes * 60
    }
    peak = max(demand.values())
    when, fold = next(key for key, value in demand.items() if value == peak)
    full = list(demand)
    mean = sum(energy[k] for k in full) / sum(known_s[k] for k in full) * 3600
    return {
        "peak": peak,
        "peak_ms": round(when.replace(tzinfo=ZONE, fold=fold).timestamp() * 1000),
        "mean": mean,
        "low": float(np.percentile(sorted(demand.values()), 2.5)),
        "complete_s": total_s,
    }


@pytest.mark.parametrize(
    ("first", "days", "hours"),
    [
        (date(2026, 11, 6), 1, 24),
        (date(2026, 10, 25), 1, 25),  # the hour that comes twice
        (date(2026, 11, 8), 1, 21),  # three hours are missing
        (date(2026, 10, 19), 7, 7 * 24 + 1),
    ],
)
def test_the_figures_of_demand_are_those_of_a_hand_made_sum(
    world: World, admin: TestClient, first: date, days: int, hours: int
) -> None:
    """Quarter-hours of the local clock, also where the clock changes and where data is missing."""
    wanted = by_hand(stored(world, "main", first, days), 15)
    period = "day" if days == 1 else "week"
    found = ask(admin, world, "main", f"period={period}&date={first}")["demand"]
    assert found["peak"] == pytest.approx(wanted["peak"], rel=1e-12)
    assert found["peak_ms"] == wanted["peak_ms"]
    assert found["period_s"] == 900
    assert found["load_factor"] == pytest.approx(wanted["mean"] / wanted["peak"], rel=1e-9)
    assert found["baseload"] == pytest.approx(wanted["low"], rel=1e-9)
    ends = midnight_ms(first + timedelta(days), ZONE.key)
    length_h = (ends - midnight_ms(first, ZONE.key)) / 3_600_000
    assert found["complete"] == pytest.approx(hours / length_h, abs=2e-3)


def test_a_half_hourly_site_has_half_hourly_peaks(world: World, admin: TestClient) -> None:
    """The network tariff of a site says over how long; the site's settings have it."""
    site = world.point("main").site_id
    path = f"/admin/sites/{site}/attention"
    assert "15 minutes (usual)" in admin.get(path).text
    form = {"csrf": form_token(admin, path), "attention_per_week": "3", "demand_period_s": "1800"}
    assert admin.post(path, data=form).status_code == 303
    wanted = by_hand(stored(world, "main", date(2026, 10, 25), 1), 30)
    found = ask(admin, world, "main", "date=2026-10-25")["demand"]
    assert (found["period_s"], found["asked_s"]) == (1800, 1800)
    assert found["peak"] == pytest.approx(wanted["peak"], rel=1e-12)
    assert found["peak_ms"] == wanted["peak_ms"]
    gas = ask(admin, world, "gas", "date=2026-11-06")["demand"]
    assert gas["period_s"] == 1800
    assert admin.post(path, data=form | {"demand_period_s": "1200"}).status_code == 422
    with world.catalog.change(Actor("test")) as change:
        row = change.session.get_one(Site, site)
        with pytest.raises(KilowatchError, match="15 or 30 minutes"):
            site_terms.set_demand_period(change, row, 60)
        site_terms.set_demand_period(change, row, None)


def test_the_highest_reading_is_another_figure_than_peak_demand(
    world: World, admin: TestClient
) -> None:
    """The highest instant stands apart from the highest quarter-hour, at any granularity."""
    rows = world.view.rows[world.point("main").series]
    begin, end = midnight_ms(date(2026, 11, 2), ZONE.key), midnight_ms(date(2026, 11, 9), ZONE.key)
    inside = (rows.channel == AP) & (rows.start_ms >= begin) & (rows.start_ms < end)
    at = int(np.argmax(np.where(inside, rows.high, -1)))
    for grain in ("interval", "hour", "day"):
        found = ask(admin, world, "main", f"period=week&date=2026-11-04&grain={grain}")["demand"]
        assert found["high"] == pytest.approx(rows.high[at])
        assert found["high_ms"] == rows.start_ms[at], "with the time of its interval"
    assert found["high"] > found["peak"]


def test_a_year_costs_the_store_three_questions(
    world: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days, demand periods, and the hours of the day with the highest reading: no more."""
    asked: list[tuple[int, ...]] = []
    plain = type(world.view).series

    def counting(view: Any, point: Any, channels: Any, *rest: Any) -> IntervalBlock:
        asked.append(tuple(channels))
        return plain(view, point, channels, *rest)

    monkeypatch.setattr(type(world.view), "series", counting)
    ask(admin, world, "main", "period=year&date=2026-11-01")
    assert asked == [(AP, RP, PC, PF), (PC,), (AP,)]
    asked.clear()
    again = ask(admin, world, "main", "period=year&date=2026-11-01")["demand"]
    assert asked == [(AP, RP, PC, PF)], "its days are the same: so are the quarters in them"
    world.now[0] += 7_200_000
    later = ask(admin, world, "main", "period=year&date=2026-11-01")["demand"]
    world.now[0] -= 7_200_000
    assert later["complete"] < again["complete"], "two hours more have passed without data"
    assert later | {"complete": 0, "power_factor": 0} == again | {"complete": 0, "power_factor": 0}
    rows = world.view.rows[world.point("main").series]
    row = int(np.flatnonzero((rows.channel == PC) & (rows.covered_ms > 0))[5000])
    before = rows.amount[row]
    rows.amount[row] = 90_000.0
    changed = ask(admin, world, "main", "period=year&date=2026-11-01")["demand"]
    rows.amount[row] = before
    assert changed["peak"] > again["peak"], "one interval of one day has changed"
    restored = ask(admin, world, "main", "period=year&date=2026-11-01")["demand"]
    assert restored == again
    asked.clear()
    ask(admin, world, "gas", "date=2026-11-06&grain=30m")
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("p_sign", "q_sign", "nature"),
    [(1, 1, "inductive"), (1, -1, "capacitive"), (-1, -1, "inductive")],
)
def test_the_power_factor_is_sum_p_over_sum_s(
    world: World, admin: TestClient, p_sign: int, q_sign: int, nature: str
) -> None:
    """A light load with a bad factor weighs little; sign from P, lead or lag from Q; no gaps."""
    point = world.point("new")
    begin = midnight_ms(date(2026, 10, 25), ZONE.key)
    starts = starts_of(point, begin, begin + 25 * 3_600_000)
    rng = np.random.default_rng(8)
    p = rng.uniform(500, 30_000, len(starts)) * p_sign
    q = rng.uniform(0.1, 1.5, len(starts)) * np.abs(p) * q_sign
    s = np.hypot(p, q)
    factor = rows_of(point, PF, starts, mean=p / s)
    factor.amount = s / 12  # the weight of the mean: apparent energy
    energy = np.maximum(p, 0) / 12 + 1
    rows = IntervalBlock.concatenate(
        [rows_of(point, AP, starts, mean=p), rows_of(point, RP, starts, mean=q),
         rows_of(point, APP, starts, mean=s), rows_of(point, PC, starts, amount=energy), factor]
    )  # fmt: skip
    gap = (begin + 5 * 3_600_000, begin + 8 * 3_600_000)
    kept = (starts < gap[0]) | (starts >= gap[1])
    world.view.put(point, with_gap(rows, *gap))
    wanted = p[kept].sum() / s[kept].sum()
    for grain in ("interval", "hour", "day"):
        found = ask(admin, world, "new", f"date=2026-10-25&grain={grain}")["demand"]
        assert found["power_factor"]["value"] == pytest.approx(wanted, rel=1e-9)
        assert found["power_factor"]["nature"] == nature
        assert found["power_factor"]["complete"] == pytest.approx(22 / 25, abs=1e-3)
