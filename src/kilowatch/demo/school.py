"""The school in Galway: terms and holidays, a kitchen, and panels that feed the grid."""

from __future__ import annotations

import numpy as np

from kilowatch.demo.events import Event
from kilowatch.demo.noise import white
from kilowatch.demo.office import GAS_KWH_PER_M3
from kilowatch.demo.plan import SCHOOL, SOLAR_MAIN_METER, SUBMETER
from kilowatch.demo.timeline import SLOT_MS, Timeline
from kilowatch.demo.traces import (
    Dial,
    Electrical,
    Load,
    Supply,
    Thermometer,
    Trace,
    load,
    registers_wh,
)
from kilowatch.demo.weather import sun_w_per_m2, temperature_c
from kilowatch.model.blocks import Floats

PANELS_KW = 20.0
INVERTER_KW_MAX = 17.0
PERFORMANCE = 0.75
"""What reaches the meter of what the panels' rating promises: dirt, heat, cables."""


def solar_kw(t: Timeline) -> Floats:
    """Return what the panels feed in, shape (n,) [kW]."""
    sun = sun_w_per_m2(t.at_ms, SCHOOL.town)
    haze = 1 + 0.04 * white(t.at_ms // SLOT_MS, 3600)
    return np.minimum(PANELS_KW * PERFORMANCE * sun / 1000, INVERTER_KW_MAX) * haze


def simulate(t: Timeline, found: dict[str, Event]) -> dict[str, Trace]:
    """Return the school's meters over a timeline with the events in it."""
    pupils = t.school * (t.rises(8.3, 9.0) - t.rises(14.3, 15.2))
    outdoor_c = temperature_c(t.at_ms, SCHOOL.town)
    daylight = np.clip(sun_w_per_m2(t.at_ms, SCHOOL.town) / 350, 0, 1)
    cleaning = t.school & t.between_hours(15, 17)
    night, holiday = found["lights_left_on"], found["heating_in_holidays"]
    lit = t.within(night.from_ms, night.to_ms)
    heated_day = t.school | t.within(holiday.from_ms, holiday.to_ms)
    heating = heated_day & t.between_hours(5.5, 14.5) & (outdoor_c < 15.5)

    lunch = np.exp(-(((t.hour - 11.2) / 1.0) ** 2))
    kitchen = load(t, 0.35 + 9 * lunch * t.school, 0.97, (0.34, 0.34, 0.32), 3100)
    rest = load(
        t, 2.4 + 9 * pupils * (1 - 0.4 * daylight) + 6 * pupils + 3 * cleaning
        + 0.9 * heating + 6.0 * lit,
        0.95, (0.35, 0.32, 0.33), 3200,
    )  # fmt: skip
    panels_kw = solar_kw(t)
    panels = Load(
        np.repeat(-1000.0 * panels_kw[:, None] / 3, 3, axis=1), np.zeros((len(pupils), 3))
    )
    whole = kitchen + rest + panels
    supply = Supply.of(t, whole, np.zeros(len(t.at_ms), dtype=bool), 3400)

    heat_kw = 5.5 * heating * np.maximum(0, 15.5 - outdoor_c) + 0.6 * np.maximum(0, 5 - outdoor_c)
    draught = 1 + 0.3 * white(t.at_ms // SLOT_MS, 3500)
    water = (0.35 * pupils + 0.08 * lunch * t.school + 0.004) * draught

    origin_ms = int(t.at_ms[0])
    return {
        "school-electricity": Electrical(
            origin_ms, whole, supply, SOLAR_MAIN_METER, registers_wh(88.0)
        ),
        "school-kitchen": Electrical(origin_ms, kitchen, supply, SUBMETER, registers_wh(19.0)),
        "school-production": Dial(origin_ms, panels_kw, 31_408.2),
        "school-gas": Dial(
            origin_ms, heat_kw * draught / GAS_KWH_PER_M3, 36_902.7, outages=(found["gas_outage"],)
        ),
        "school-water": Dial(origin_ms, water, 6_120.55),
        "school-temperature": Thermometer(SCHOOL.town, stuck=found["stuck_sensor"]),
    }
