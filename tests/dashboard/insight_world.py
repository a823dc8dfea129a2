"""The usual organisation with prices, a weekend on which ventilation ran on, and what was found."""

from __future__ import annotations

import numpy as np
from sqlalchemy import select

from kilowatch import catalog as catalogs
from kilowatch.catalog import prices
from kilowatch.catalog.tables import Organisation
from kilowatch.dashboard.hourly import hourly
from kilowatch.dashboard.periods import midnight_ms
from kilowatch.model.insight import EventKind, InsightEvent, Standing, WasteHours
from kilowatch.model.lengths import HOUR_MS
from tests.dashboard.fake_insights import FakeInsights, event
from tests.dashboard.fakes import DAY_MS, electrical_rows, office, starts_of
from tests.dashboard.worlds import World

EXTRA_W = 14_000.0
"""What the ventilation takes that ran through the weekend [W]."""


def furnish(world: World, days: int = 60) -> dict[str, InsightEvent]:
    """Give a world prices, CO2 factors, a wasted weekend and its events; returns them by name."""
    _price(world)
    now_ms = world.now[0]
    insights: FakeInsights = world.extra["insights"]
    point = world.point("hvac")
    from kilowatch.dashboard.periods import local_day  # noqa: PLC0415

    monday = local_day(now_ms, point.zone)
    saturday = midnight_ms(monday, point.zone) - 2 * DAY_MS
    sunday_end = midnight_ms(monday, point.zone)
    starts = starts_of(point, now_ms - days * DAY_MS, now_ms - 240_000)
    watts = office(starts, point.zone, 2) * 0.36
    wasted = (starts >= saturday) & (starts < sunday_end)
    world.view.put(point, electrical_rows(point, starts, watts + EXTRA_W * wasted))
    weekend = event(
        point.series, EventKind.WEEKEND, saturday, 48,
        amount=48 * EXTRA_W, confidence=0.94, model="prior-1",
        others=(world.point("main").series,), evidence={"normal_w": 9_000.0},
    )  # fmt: skip
    main, chiller = world.point("main"), world.point("chiller")
    found = {
        "weekend": weekend,
        "spike": event(main.series, EventKind.SPIKE, now_ms - 5 * DAY_MS, 3, amount=61_000.0),
        "night": event(
            main.series, EventKind.NIGHT_LOAD, now_ms - 12 * DAY_MS, 24 * 7, amount=212_000.0,
            open=True, confidence=0.7,
        ),
        "after_hours": event(
            chiller.series, EventKind.AFTER_HOURS, now_ms - 8 * DAY_MS, 5, amount=18_500.0
        ),
        "drop": event(
            world.point("gas").series, EventKind.DROPOUT, now_ms - 3 * DAY_MS, 9, amount=-31.0
        ),
        "voltage": event(
            main.series, EventKind.VOLTAGE, now_ms - 20 * DAY_MS, 24 * 7, amount=float("nan"),
            confidence=0.55,
        ),
    }  # fmt: skip
    insights.put(*found.values())
    _waste(world, saturday)
    for name, best in (("main", 0.8), ("hvac", 0.55), ("chiller", 0.97)):
        series = world.point(name).series
        own = hourly(world.view, [world.point(name)], now_ms - 28 * DAY_MS, now_ms)[series]
        low, high = np.quantile(own.rate, (0.025, 0.975))
        insights.standings[series] = Standing(
            float(low), float(low * best), now_ms - 120 * DAY_MS, float(high),
            float(own.rate.mean() / own.rate.max()),
        )  # fmt: skip
        insights.openings[series] = tuple(
            day < 5 and 8 <= hour < 18 for day in range(7) for hour in range(24)
        )
    return found


def _waste(world: World, saturday: int) -> None:
    kinds = list(EventKind)
    rows = [
        (world.point("hvac").series, saturday + hour * HOUR_MS, EXTRA_W, EventKind.WEEKEND)
        for hour in range(48)
    ]
    for day in range(1, 20):
        night = saturday - day * DAY_MS + 20 * HOUR_MS
        rows += [
            (world.point("main").series, night + hour * HOUR_MS, 3_000.0 + 200 * day,
             EventKind.AFTER_HOURS)
            for hour in range(3)
        ]  # fmt: skip
        rows.append(
            (world.point("chiller").series, night - 15 * HOUR_MS, 2_400.0, EventKind.EARLY_START)
        )
    insights: FakeInsights = world.extra["insights"]
    insights.wasted = WasteHours(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64) // HOUR_MS * HOUR_MS,
        np.array([row[2] for row in rows]),
        np.array([kinds.index(row[3]) for row in rows], np.int64),
    )


def _price(world: World) -> None:
    with world.catalog.change(catalogs.Actor("test")) as change:
        owner = change.session.scalars(select(Organisation).filter_by(name="Acme")).one()
        for utility, per_unit, label in (
            ("electricity", 0.2187, "contract 2026"), ("gas", 0.061, "contract 2026"),
        ):  # fmt: skip
            prices.set_price(change, owner, prices.PriceDraft(utility, per_unit, label))
        prices.set_carbon(
            change, owner,
            prices.CarbonDraft("electricity", 0.2548, "SEAI 2024", "location-based"),
        )  # fmt: skip
