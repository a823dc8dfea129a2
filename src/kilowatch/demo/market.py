"""The supermarket in Cork: cold rooms that follow the weather, ovens that rise early."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kilowatch.demo.events import Event
from kilowatch.demo.noise import smooth, white
from kilowatch.demo.office import GAS_KWH_PER_M3
from kilowatch.demo.plan import MAIN_METER, MARKET, SUBMETER
from kilowatch.demo.timeline import SLOT_MS, Bools, Timeline
from kilowatch.demo.traces import Dial, Electrical, Supply, Thermometer, Trace, load, registers_wh
from kilowatch.demo.weather import temperature_c
from kilowatch.model.blocks import Floats

_DAY_FACTOR = np.array([0.9, 0.88, 0.92, 1.0, 1.15, 1.25, 0.85])  # Monday to Sunday
_CHRISTMAS_DAY = 359  # 25 December; a day later in a leap year


def _open(t: Timeline) -> Bools:
    sunday = t.weekday == 6
    opened: Bools = t.between_hours(7, 22) & (~sunday | t.between_hours(9, 21)) & ~_closed(t)
    return opened


def _closed(t: Timeline) -> Bools:
    christmas = (t.day_of_year == _CHRISTMAS_DAY) | (t.day_of_year == _CHRISTMAS_DAY + 1)
    closed: Bools = t.holiday & christmas
    return closed


def customers(t: Timeline) -> Floats:
    """Return how busy the shop is, shape (n,), 0 to about 1.3."""
    noon = np.exp(-(((t.hour - 12.6) / 1.6) ** 2))
    evening = np.exp(-(((t.hour - 17.7) / 1.5) ** 2))
    shape: Floats = 0.35 + 0.4 * noon + 0.5 * evening
    crowd: Floats = shape * _open(t) * _DAY_FACTOR[t.weekday]
    return crowd


def simulate(t: Timeline, found: dict[str, Event]) -> dict[str, Trace]:
    """Return the supermarket's meters over a timeline with the events in it."""
    shop, busy = _open(t), customers(t)
    outdoor_c = temperature_c(t.at_ms, MARKET.town)
    fault, phase = found["freezer_fault"], found["phase_loss"]
    iced = t.within(fault.from_ms, fault.to_ms)
    lost = t.within(phase.from_ms, phase.to_ms)

    cycling = 1 + 0.07 * smooth(t.at_ms, 2700, 2050)
    cold_kw: Floats = (23 + 0.9 * np.maximum(0, outdoor_c - 3) + 5 * busy) * cycling
    iced_kw: Floats = cold_kw * np.where(iced, 1.3, 1.0)
    refrigeration = load(t, iced_kw, 0.86, (0.33, 0.34, 0.33), 2100)
    early = np.where(t.weekday == 6, 6.5, 5.0)
    bread, cakes = t.hour - early, t.hour < 14
    ovens_kw = np.where((bread >= 0) & (bread < 4.5), 16.0, np.where((bread > 0) & cakes, 8.0, 0.0))
    bakery = load(t, 0.6 + ovens_kw * ~_closed(t), 0.98, (0.34, 0.33, 0.33), 2200)
    staff = t.between_hours(6, 23) & ~_closed(t)
    air_kw: Floats = shop * (6.0 + 1.3 * np.clip(outdoor_c - 16, 0, 15))
    lights_and_tills_kw: Floats = 2.5 + 9.0 * staff + 11.0 * shop + 4.0 * busy
    rest = load(
        t, lights_and_tills_kw + air_kw, 0.96, (0.36, 0.33, 0.31), 2300,
    )  # fmt: skip
    refrigeration, bakery, rest = (
        part.without_phase(2, lost) for part in (refrigeration, bakery, rest)
    )
    whole = refrigeration + bakery + rest
    supply = Supply.of(t, whole, lost, 2400)

    heat_kw = 3.2 * np.maximum(0, 14.5 - outdoor_c) * (shop | (staff & (t.hour < 7)))
    heat_kw += 5.0 * shop * (0.6 + busy)
    cleaning = shop & (t.hour >= 20.5)
    draught = 1 + 0.3 * white(t.at_ms // SLOT_MS, 2500)
    water = (0.05 + 0.4 * busy + 0.5 * cleaning + 0.15 * (ovens_kw > 0)) * draught

    origin_ms = int(t.at_ms[0])
    baker = Electrical(origin_ms, bakery, supply, SUBMETER, registers_wh(77.0))
    return {
        "market-electricity": Electrical(origin_ms, whole, supply, MAIN_METER, registers_wh(903.0)),
        "market-refrigeration": Electrical(
            origin_ms, refrigeration, supply, SUBMETER, registers_wh(391.0)
        ),
        "market-bakery": replace(baker, outages=(found["meter_outage"],)),
        "market-gas": Dial(origin_ms, heat_kw * draught / GAS_KWH_PER_M3, 120_744.9),
        "market-water": Dial(origin_ms, water, 11_207.402),
        "market-temperature": Thermometer(MARKET.town),
    }
