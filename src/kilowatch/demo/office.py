"""The office in Dublin: people, lamps, air, and what goes wrong with them."""

from __future__ import annotations

import numpy as np

from kilowatch.demo.events import Event
from kilowatch.demo.noise import white
from kilowatch.demo.plan import MAIN_METER, OFFICE, SUBMETER
from kilowatch.demo.timeline import SLOT_MS, Timeline
from kilowatch.demo.traces import Dial, Electrical, Supply, Thermometer, Trace, load, registers_wh
from kilowatch.demo.weather import sun_w_per_m2, temperature_c
from kilowatch.model.blocks import Floats

GAS_KWH_PER_M3 = 10.6 * 0.9
"""Gross calorific value of Irish natural gas, 10.6 kWh/m³, times a boiler's efficiency."""


def occupancy(t: Timeline) -> Floats:
    """Return the share of people at their desks, shape (n,), 0 to about 1."""
    present = t.rises(7, 9.5) - t.rises(16.5, 18.8)
    present -= 0.12 * t.between_hours(12.5, 13.5) * (present > 0.5)
    day = np.where(t.weekday == 4, 0.78, 0.97) + 0.05 * white(t.day, 11)
    quiet = (t.day_of_year >= 358) | (t.day_of_year <= 1)  # 24 December to New Year
    weekend = 0.06 * ((t.weekday == 5) & t.between_hours(10, 14))
    return np.where(t.workday, present * day * np.where(quiet, 0.25, 1.0), weekend)


def simulate(t: Timeline, found: dict[str, Event]) -> dict[str, Trace]:
    """Return the office's meters over a timeline with the events in it."""
    people = occupancy(t)
    outdoor_c = temperature_c(t.at_ms, OFFICE.town)
    daylight = np.clip(sun_w_per_m2(t.at_ms, OFFICE.town) / 350, 0, 1)
    running = t.workday & t.between_hours(6.5, 18.5)

    both = found["heating_and_cooling"]
    clash = running & t.within(both.from_ms, both.to_ms)
    weekend = found["ventilation_at_weekend"]
    forgotten = ~running & t.within(weekend.from_ms, weekend.to_ms)
    creep = found["baseload_creep"]
    crept = (t.at_ms - creep.from_ms) / (creep.to_ms - creep.from_ms)
    creeping_kw = 6.0 * np.where((crept >= 0) & (crept < 1), crept, 0.0)

    cooling_kw = running * np.clip(1.9 * (outdoor_c - 14.5 + 3 * people), 0, 60)
    hvac = load(
        t,
        0.8 + 12.0 * (running | forgotten) + cooling_kw + 14.0 * clash
        + 2.2 * (running & (outdoor_c < 15)),
        0.87, (0.35, 0.33, 0.32), 1100,
    )  # fmt: skip
    cleaning = t.workday & t.between_hours(18.5, 20.5)
    lighting = load(
        t, 2.2 + 20 * people**0.7 * (1 - 0.35 * daylight) + 7.0 * cleaning,
        0.95, (0.31, 0.36, 0.33), 1200,
    )  # fmt: skip
    rest = load(
        t, 9.7 + 18.5 * people + creeping_kw, 0.97, (0.37, 0.31, 0.32), 1300
    )  # servers, desks, lifts
    whole = hvac + lighting + rest
    supply = Supply.of(t, whole, np.zeros(len(t.at_ms), dtype=bool), 1400)

    heating = t.workday & t.between_hours(5.5, 17.5)
    heat_kw = 7.5 * heating * np.maximum(0, 15.5 - outdoor_c) * (1 + 0.5 * (t.hour < 8))
    heat_kw += 0.9 * np.maximum(0, 6 - outdoor_c) + 3 * people
    leak = found["water_leak"]
    draught = 1 + 0.35 * white(t.at_ms // SLOT_MS, 1500)
    water = 0.55 * people * draught + 0.006 + 0.25 * t.within(leak.from_ms, leak.to_ms)

    origin_ms = int(t.at_ms[0])

    return {
        "office-electricity": Electrical(origin_ms, whole, supply, MAIN_METER, registers_wh(214.0)),
        "office-hvac": Electrical(origin_ms, hvac, supply, SUBMETER, registers_wh(48.0)),
        "office-lighting": Electrical(origin_ms, lighting, supply, SUBMETER, registers_wh(61.0)),
        "office-gas": Dial(origin_ms, heat_kw * draught / GAS_KWH_PER_M3 + 5.0 * clash, 48_211.4),
        "office-water": Dial(origin_ms, water, 3_902.118),
        "office-temperature": Thermometer(OFFICE.town),
    }
