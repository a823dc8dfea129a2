"""Which values of a data point go into a file, and in which unit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from kilowatch.exports.definition import Definition
from kilowatch.model.parameters import (
    ENERGY_CHANNELS,
    FAMILIES,
    GAS_ENERGY,
    PARAMETER_BY_CHANNEL,
    VALUE,
    Family,
    Role,
    channel_name,
    family_of,
    phase_of,
)
from kilowatch.model.points import DataPoint

Measure = Literal["amount", "mean", "pushed"]

MAIN = ("pC", "pE")
"""The parameters of an electrical data point that tell most; power where it counts no energy."""
KILO = {"Wh": "kWh", "W": "kW", "varh": "kvarh", "var": "kvar", "VA": "kVA"}
"""Units that people read in thousands."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a data point.

    Attributes:
        channel: Where it comes from.
        measure: Amount or mean of an interval, or what was pushed.
        word: What the file calls it: ``pC``, ``aP_1``, ``value``, ``rate``, ``energy``.
        title: What people call it; empty where the data point's name says it all.
        unit: Of the numbers in the file.
        divisor: What canonical numbers are divided by.
    """

    channel: int
    measure: Measure
    word: str
    title: str
    unit: str
    divisor: float = 1.0


def fields_of(
    point: DataPoint, channels: Sequence[int], asked: Definition, pushed: Collection[int] = ()
) -> tuple[Field, ...]:
    """Return what a data point gives.

    Args:
        point: The data point.
        channels: Channels that have ever had figures.
        asked: What is exported.
        pushed: Energies (codes of their totals) that packets carried; others were derived, and
            no reading has them.
    """
    if asked.grain == "source":
        return _pushed(point, channels, asked, pushed)
    found = _single(point, channels) if point.kind == "single" else _electrical(channels, asked)
    if asked.parameters:
        found = [one for one in found if _family_word(one) in asked.parameters]
    elif point.kind != "single":
        main = [one for one in found if _family_word(one) in MAIN]
        found = main or [one for one in found if _family_word(one) == "aP"]
    return tuple(_scaled(one, asked) for one in found)


def words_of(point: DataPoint, channels: Sequence[int]) -> list[tuple[str, str]]:
    """Return the parameters that can be asked for: word and title, in the order of the panel."""
    fields = _single(point, channels) if point.kind == "single" else _electrical(channels, None)
    return list(dict.fromkeys((_family_word(one), _family_title(one)) for one in fields))


def in_order(words: Iterable[str]) -> list[str]:
    """Return parameters as the panel of Breakdown has them; those of single meters come last."""
    places = {channel_name(one.total): n for n, one in enumerate(_families())}
    return sorted(words, key=lambda word: places.get(word, len(places)))


def _families() -> list[Family]:
    return sorted(FAMILIES, key=lambda one: one.role is not Role.REGISTER)


def _family_word(field: Field) -> str:
    family = family_of(field.channel)
    return channel_name(family.total) if family is not None else field.word


def _family_title(field: Field) -> str:
    family = family_of(field.channel)
    return family.title if family is not None else field.title


def _single(point: DataPoint, channels: Sequence[int]) -> list[Field]:
    unit = point.unit_of_value
    found = []
    if point.behaviour == "gauge":
        found.append(Field(VALUE, "mean", "value", "", unit.canonical))
    elif point.behaviour == "rate":
        if unit.amount:
            found.append(Field(VALUE, "amount", "value", "", unit.amount))
        found.append(Field(VALUE, "mean", "rate", "Rate", unit.canonical))
    else:
        found.append(Field(VALUE, "amount", "value", "", unit.canonical))
    if GAS_ENERGY in channels:
        found.append(Field(GAS_ENERGY, "amount", "energy", "Energy", "Wh"))
    return found


def _electrical(channels: Sequence[int], asked: Definition | None) -> list[Field]:
    found = []
    for family in _families():
        mine = [code for code in channels if family_of(code) is family]
        phases = [code for code in mine if phase_of(code)]
        together = family.role is not Role.GAUGE and family.total in mine
        apart = asked is not None and asked.apart and phases
        codes = [family.total] if together and not apart else phases or mine
        found += [_of_family(family, code) for code in codes]
    return found


def _of_family(family: Family, code: int, measure: Measure | None = None) -> Field:
    usual: Measure = "amount" if family.role is Role.REGISTER else "mean"
    phase = phase_of(code)
    wires = "–".join(f"L{digit}" for digit in family.suffixes[phase - 1]) if phase else ""
    title = f"{family.title} {wires}".strip()
    return Field(code, measure or usual, channel_name(code), title, family.unit)


def _pushed(
    point: DataPoint, channels: Sequence[int], asked: Definition, pushed: Collection[int]
) -> tuple[Field, ...]:
    if point.kind == "single":
        return (Field(VALUE, "pushed", "value", "", point.unit),)
    found = []
    for code in channels:
        family = family_of(code)
        if code not in PARAMETER_BY_CHANNEL or family is None:
            continue
        if family.total in ENERGY_CHANNELS and family.total not in pushed:
            continue
        if not asked.parameters or channel_name(family.total) in asked.parameters:
            found.append(_of_family(family, code, "pushed"))
    return tuple(found)


def _scaled(field: Field, asked: Definition) -> Field:
    if asked.units == "plain" or field.unit not in KILO:
        return field
    unit = KILO[field.unit]
    return Field(field.channel, field.measure, field.word, field.title, unit, 1000.0)
