"""A data point's settings, and whether they can be true together.

A stream that is registered wrongly gives wrong figures quietly for months, so each contradiction
is refused here, in the words of somebody who reads a meter's data sheet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypedDict, TypeVar

from kilowatch.catalog.setting_names import name_of
from kilowatch.catalog.spans import check_interval, interval_text
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import (
    BEHAVIOURS,
    CLOCKS,
    INTERVAL_S_MAX,
    KINDS,
    STAMPS,
    UTILITIES,
    Behaviour,
    Clock,
    Kind,
    Stamp,
    Utility,
    behaviour_from_reading,
)
from kilowatch.model.units import UNITS

UNIT_BY_UTILITY: dict[str, str] = {
    "electricity": "kWh",
    "gas": "m3",
    "water": "m3",
    "heat": "kWh",
    "cooling": "kWh",
    "temperature": "°C",
    "humidity": "%",
    "production": "pcs",
    "environmental": "°C",
    "other": "",
}
"""What a single value of each utility mostly is; an electrical point's registers are Wh."""

_OTHER_SPELLINGS = {
    "m³": "m3", "m^3": "m3", "m³/h": "m3/h", "ft³": "ft3", "l": "L", "l/s": "L/s",
    "l/min": "L/min", "l/h": "L/h", "C": "°C", "degC": "°C", "F": "°F", "degF": "°F",
    "W/m²": "W/m2", "lux": "lx", "Btu": "BTU",
}  # fmt: skip

Word = TypeVar("Word", bound=str)


class Columns(TypedDict):
    """The settings as the table's columns."""

    kind: Kind
    utility: Utility
    unit: str
    interval_s: int
    tolerance_s: float | None
    behaviour: Behaviour
    stamp: Stamp
    clock: Clock
    register_max: float | None


@dataclass(frozen=True, slots=True)
class Settings:
    """How a data point's packets are to be read.

    Attributes:
        kind: ``electrical`` or ``single``.
        utility: What is measured.
        interval_s: Expected interval [s].
        unit: Of ``value``; None for the utility's usual one.
        behaviour: None for the one that ``reading`` means.
        reading: ``cum`` or ``avg``, the words of the older interface; None for the unit's usual.
        tolerance_s: How much later than the interval a packet may come [s]; None for half of it.
        stamp: Whether an amount's time is the start or the end of its interval.
        clock: Which part of a timestamp to believe.
        register_max: First value that a register does not reach, or None when unknown.
    """

    kind: Kind
    utility: Utility
    interval_s: int
    unit: str | None = None
    behaviour: Behaviour | None = None
    reading: str | None = None
    tolerance_s: float | None = None
    stamp: Stamp = "start"
    clock: Clock = "auto"
    register_max: float | None = None

    def columns(self) -> Columns:
        """Return checked settings as columns."""
        assert self.unit is not None
        assert self.behaviour is not None
        return {
            "kind": self.kind,
            "utility": self.utility,
            "unit": self.unit,
            "interval_s": self.interval_s,
            "tolerance_s": self.tolerance_s,
            "behaviour": self.behaviour,
            "stamp": self.stamp,
            "clock": self.clock,
            "register_max": self.register_max,
        }


def checked(settings: Settings) -> Settings:
    """Return the settings with unit and behaviour filled in.

    Raises:
        KilowatchError: ``invalid_setting`` or ``invalid_interval``; ``data["field"]`` names the
            setting, so that a form can show the message beside it.
    """
    one_of("kind", settings.kind, KINDS)
    one_of("utility", settings.utility, UTILITIES)
    one_of("stamp", settings.stamp, STAMPS)
    one_of("clock", settings.clock, CLOCKS)
    check_interval(settings.interval_s)
    _check_utility(settings)
    unit = _unit(settings)
    behaviour = _behaviour(settings, unit)
    _check_tolerance(settings)
    _check_register_max(settings, behaviour)
    return replace(settings, unit=unit, behaviour=behaviour)


def one_of(field: str, word: str, words: tuple[Word, ...]) -> Word:
    """Return the word if it is one of those that the field can have.

    Raises:
        KilowatchError: ``invalid_setting``, naming all of them.
    """
    for known in words:
        if word == known:
            return known
    raise _invalid(
        field, f"{word!r} is not a known {name_of(field)}.", f"Choose one of: {', '.join(words)}."
    )


def _check_utility(settings: Settings) -> None:
    if settings.kind == "electrical" and settings.utility != "electricity":
        raise _invalid(
            "utility",
            f"An electrical data point measures electricity, so it cannot be {settings.utility}.",
            f"Register {settings.utility} as a single value (kind 'single'), or leave the utility "
            "at electricity: what a circuit feeds belongs into the name.",
        )


def _unit(settings: Settings) -> str:
    if settings.kind == "electrical":
        if settings.unit not in {None, "", "Wh"}:
            raise _invalid(
                "unit",
                f"An electrical data point has no unit of its own, so it cannot be "
                f"{settings.unit!r}.",
                "Its parameters fix the units (aP_1 in W, pC_1 in Wh): leave the unit out, or "
                "register a single-value data point.",
            )
        return "Wh"
    unit = UNIT_BY_UTILITY[settings.utility] if settings.unit is None else settings.unit.strip()
    unit = _OTHER_SPELLINGS.get(unit, unit)
    if unit in UNITS:
        return unit
    close = [symbol for symbol in UNITS if symbol.casefold() == unit.casefold()]
    symbols = ", ".join(symbol for symbol in UNITS if symbol)
    raise _invalid(
        "unit",
        f"{unit!r} is not a unit that Kilowatch knows.",
        f"Did you mean {close[0]!r}?" if close else f"Choose one of: {symbols}.",
    )


def _behaviour(settings: Settings, unit: str) -> Behaviour:
    behaviour = settings.behaviour
    if settings.reading is not None:
        one_of("reading", settings.reading, ("cum", "avg"))
        meant = behaviour_from_reading(settings.reading, settings.kind, unit)
        if behaviour is not None and (behaviour == "register") != (meant == "register"):
            raise _invalid(
                "behaviour",
                f"The reading {settings.reading!r} contradicts the behaviour {behaviour!r}.",
                "'cum' is a register; 'avg' is an amount, a rate or a gauge. Give only one.",
            )
        behaviour = behaviour or meant
    if behaviour is None:
        counts = settings.kind == "electrical" or UNITS[unit].behaviour == "amount"
        behaviour = behaviour_from_reading("cum" if counts else "avg", settings.kind, unit)
    one_of("behaviour", behaviour, BEHAVIOURS)
    _check_behaviour(settings.kind, unit, behaviour)
    return behaviour


def _check_behaviour(kind: Kind, unit: str, behaviour: Behaviour) -> None:
    if kind == "electrical":
        if behaviour not in {"register", "amount"}:
            raise _invalid(
                "behaviour",
                f"The energies of an electrical data point cannot be a {behaviour}.",
                "They are a register (a dial that counts up) or an amount for each interval.",
            )
        return
    measures = UNITS[unit].behaviour
    if behaviour in {"register", "amount"} and measures != "amount" and unit:
        example = "kWh or m3" if measures == "rate" else "one of energy, volume or pieces"
        raise _invalid(
            "behaviour",
            f"{unit} cannot be counted, so it has no {behaviour}.",
            f"Register it as a {measures} (reading 'avg'), or choose a unit that counts: "
            f"{example}.",
        )
    if behaviour == "rate" and measures != "rate":
        raise _invalid(
            "behaviour",
            f"{unit or 'A plain number'} is no power and no flow, so it cannot be a rate.",
            "Choose a unit such as kW or m3/h, or another behaviour.",
        )


def _check_tolerance(settings: Settings) -> None:
    tolerance_s = settings.tolerance_s
    if tolerance_s is None or 0 <= tolerance_s <= INTERVAL_S_MAX:
        return
    raise _invalid(
        "tolerance",
        f"A tolerance of {tolerance_s:g} s is not between nothing and one month.",
        f"Leave it out for half the interval ({interval_text(settings.interval_s)}).",
    )


def _check_register_max(settings: Settings, behaviour: Behaviour) -> None:
    limit = settings.register_max
    if limit is None:
        return
    if behaviour != "register":
        raise _invalid(
            "register_max",
            f"A data point that is a {behaviour} has no register to roll over.",
            "Leave it out, or register the data point with the reading 'cum'.",
        )
    if not (math.isfinite(limit) and limit > 0):
        raise _invalid(
            "register_max",
            "The register's width must be a number above zero.",
            "It is the first value that the dial does not reach: 1000000 for six digits.",
        )


def _invalid(field: str, detail: str, remedy: str, **data: Any) -> KilowatchError:
    return KilowatchError("invalid_setting", detail, remedy=remedy, data={"field": field, **data})
