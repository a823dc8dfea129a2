"""The demo organisation: three buildings, their meters, and what each stream carries."""

from __future__ import annotations

from dataclasses import dataclass

from kilowatch.demo.weather import CORK, DUBLIN, GALWAY, Town
from kilowatch.model.points import Behaviour, Kind, Utility

ORGANISATION = "Kilowatch Demo"

_PHASES = ("1", "2", "3")


def _parameters(*names: str) -> tuple[str, ...]:
    line = {"v_line": ("v_12", "v_23", "v_31"), "f": ("f",)}
    return tuple(p for name in names for p in line.get(name, [f"{name}_{n}" for n in _PHASES]))


MAIN_METER = _parameters("aP", "rP", "apP", "v", "c", "pC", "v_line", "pF", "f")
SOLAR_MAIN_METER = _parameters("aP", "rP", "apP", "v", "c", "pC", "pE", "v_line", "pF", "f")
SUBMETER = _parameters("aP", "rP", "v", "c", "pC")


@dataclass(frozen=True, slots=True)
class Building:
    """A site of the demo organisation with its floor area [m²]; ``about`` is for the docs."""

    key: str
    name: str
    town: Town
    about: str
    area_m2: float


OFFICE = Building("office", "Canal House (office)", DUBLIN, "160 people, gas boiler", 4_000.0)
MARKET = Building(
    "market", "Lee Market (supermarket)", CORK, "open 7 to 22, bakery, cold rooms", 1_600.0
)
SCHOOL = Building(
    "school", "Claddagh School", GALWAY, "240 pupils, kitchen, 20 kW of solar panels", 1_900.0
)
BUILDINGS = (OFFICE, MARKET, SCHOOL)


@dataclass(frozen=True, slots=True)
class Stream:
    """One data stream of the demo.

    Attributes:
        stream_id: ``id`` of its packets.
        name: What the tree calls it.
        building: Where it is.
        kind: ``electrical`` or ``single``.
        utility: What is measured.
        unit: Of ``value``; empty for an electrical stream.
        behaviour: Of ``value`` or of the registers.
        interval_s: Between packets of the history [s].
        live_s: Between live packets [s].
        parameters: Of an electrical packet, in order.
        decimals: Places of ``value``.
        parent: Stream of the meter in front of it.
    """

    stream_id: str
    name: str
    building: Building
    kind: Kind
    utility: Utility
    unit: str
    behaviour: Behaviour
    interval_s: int
    live_s: int
    parameters: tuple[str, ...] = ()
    decimals: int = 0
    parent: str | None = None


def _electric(
    stream_id: str, name: str, building: Building, parameters: tuple[str, ...] = MAIN_METER
) -> Stream:
    return Stream(
        stream_id, name, building, "electrical", "electricity", "", "register", 900, 10, parameters
    )


def _sub(stream_id: str, name: str, building: Building) -> Stream:
    return Stream(
        stream_id, name, building, "electrical", "electricity", "", "register", 900, 10, SUBMETER,
        parent=f"{building.key}-electricity",
    )  # fmt: skip


def _dial(building: Building, utility: Utility, unit: str, decimals: int, name: str) -> Stream:
    return Stream(
        f"{building.key}-{utility}", name, building, "single", utility, unit, "register",
        3600, 60, decimals=decimals,
    )  # fmt: skip


def _outdoor(building: Building) -> Stream:
    return Stream(
        f"{building.key}-temperature", "Outdoors", building, "single", "temperature",
        "°C", "gauge", 1800, 60, decimals=1,
    )  # fmt: skip


STREAMS: tuple[Stream, ...] = (
    _electric("office-electricity", "Electricity", OFFICE),
    _sub("office-hvac", "HVAC", OFFICE),
    _sub("office-lighting", "Lighting", OFFICE),
    _dial(OFFICE, "gas", "m3", 2, "Gas"),
    _dial(OFFICE, "water", "m3", 3, "Water"),
    _outdoor(OFFICE),
    _electric("market-electricity", "Electricity", MARKET),
    _sub("market-refrigeration", "Refrigeration", MARKET),
    _sub("market-bakery", "Bakery", MARKET),
    _dial(MARKET, "gas", "m3", 2, "Gas"),
    _dial(MARKET, "water", "m3", 3, "Water"),
    _outdoor(MARKET),
    _electric("school-electricity", "Electricity", SCHOOL, SOLAR_MAIN_METER),
    _sub("school-kitchen", "Kitchen", SCHOOL),
    _dial(SCHOOL, "production", "kWh", 2, "Solar panels"),
    _dial(SCHOOL, "gas", "m3", 2, "Gas"),
    _dial(SCHOOL, "water", "m3", 3, "Water"),
    _outdoor(SCHOOL),
)
"""In the order of their history: the office's main meter first, so that its chart stands soon."""

TRY_STREAM = "try-it"
"""A temperature that nobody simulates: for the first packet of a newcomer."""

STREAM_BY_ID = {stream.stream_id: stream for stream in STREAMS}

PACKETS_MAX = 500_000
"""The demo's history stays below this, so that it fits a laptop and a few minutes."""


def history_packets(days: int) -> int:
    """Return how many packets a history of so many days has, all streams together."""
    return sum(days * 86_400 // stream.interval_s for stream in STREAMS)
