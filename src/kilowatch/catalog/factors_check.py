"""Factors of a data point, and whether they can be true together with its other settings.

In the words of ``settings_check.py``: who reads a meter's plate must see what is meant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kilowatch.catalog.setting_names import name_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import Kind
from kilowatch.model.units import UNITS

LIMITS = {
    "low_voltage_percent": (0.0, 50.0, "It is how far below nominal most means may lie: 10."),
    "high_voltage_percent": (0.0, 50.0, "It is how far above nominal a mean may lie: 10."),
    "lowest_voltage_percent": (0.0, 99.0, "It is how far below nominal any mean may lie: 15."),
    "unbalance_percent": (0.0, 200.0, "It is a phase's deviation from the mean of the three: 30."),
    "least_power_factor": (0.0, 1.0, "Many tariffs charge for reactive energy below 0.9."),
    "lost_phase_percent": (0.0, 50.0, "It is the share of the others' mean that is nothing: 2."),
    "phase_sum_percent": (0.0, 100.0, "It is how far registers and powers may differ: 5."),
}  # fmt: skip
"""What an electrical data point is judged by where the usual limits do not hold."""

FACTORS: dict[str, float | None] = {
    "multiplier": 1.0,
    "ct_ratio": 1.0,
    "vt_ratio": 1.0,
    "pulse_weight": 1.0,
    "calorific_kwh_per_m3": None,
    "volume_correction": 1.0,
    "nominal_voltage_v": None,
    **dict.fromkeys(LIMITS),
}
"""Settings that have no column, with what they are when nobody has set them."""

MJ_PER_KWH = 3.6
_LIMITS: dict[str, tuple[float, float, str]] = {
    "multiplier": (0.0, 1e9, "It is what the meter's figure is multiplied with, such as 40."),
    "ct_ratio": (0.0, 1e6, "It is primary over secondary current: 40 for 200/5 A."),
    "vt_ratio": (0.0, 1e6, "It is primary over secondary voltage: 100 for 10,000/100 V."),
    "pulse_weight": (0.0, 1e9, "It is what one pulse stands for in the data point's unit: 0.01."),
    "calorific_kwh_per_m3": (
        0.5, 40.0,
        "Natural gas has about 11 kWh/m3. If the bill says MJ/m3 (about 39), divide it by 3.6.",
    ),
    "volume_correction": (0.0, 10.0, "It is standard over metered volume, about 1: 1.02264."),
    "nominal_voltage_v": (0.0, 1e6, "It is the voltage between phase and neutral: 230."),
    **LIMITS,
}  # fmt: skip
"""What a factor must be above, and what it must not exceed, with an example."""

_THROUGH = {"ct_ratio": ("Wh", "W", "A"), "vt_ratio": ("Wh", "W", "V")}
_HAS_VOLTS = ("Wh", "W", "A", "V")
"""What a single value may count or measure where the supply's voltage means something."""


def check_factors(kind: Kind, unit: str, behaviour: str, factors: Mapping[str, Any]) -> None:
    """Refuse factors that no meter of this kind has.

    Raises:
        KilowatchError: ``invalid_setting``; ``data["field"]`` names the factor.
    """
    for field, usual in FACTORS.items():
        value = factors[field]
        if value is None and usual is None:
            continue
        check_number(field, value)
        if value != usual:
            _check_meaning(field, kind, unit, behaviour)
    low, lowest = factors["low_voltage_percent"], factors["lowest_voltage_percent"]
    if lowest is not None and lowest < (10.0 if low is None else low):
        raise invalid(
            "lowest_voltage_percent",
            f"Any mean may lie {lowest:g} % below nominal, which is less than what most must keep.",
            "Give both limits, the one for most means first: 10 and 15.",
        )


def check_number(field: str, value: Any) -> None:
    """Refuse what is no number, or not one that this factor can be.

    Raises:
        KilowatchError: ``invalid_setting``.
    """
    above, most, example = _LIMITS[field]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and math.isfinite(value) and above < value <= most:
        return
    span = f"above {above:g} and at most {most:,.0f}" if above else "above zero"
    shown = f"{value:.10g}" if number else repr(value)
    detail = f"The {name_of(field)} is {shown}; it must be a number {span}."
    raise invalid(field, detail, example)


def _check_meaning(field: str, kind: Kind, unit: str, behaviour: str) -> None:
    known = UNITS[unit]
    if kind == "single" and field in _THROUGH and known.canonical not in _THROUGH[field]:
        what = "current" if field == "ct_ratio" else "voltage"
        raise invalid(
            field,
            f"{unit or 'A plain number'} does not pass through a {what} transformer.",
            f"Leave the {name_of(field)} out; a multiplier is what its figures are multiplied by.",
        )
    if field == "nominal_voltage_v" and kind == "single" and known.canonical not in _HAS_VOLTS:
        raise invalid(
            field,
            f"A nominal voltage is of an electrical supply, and {unit or 'a plain number'} is none "
            "of its quantities.",
            "Leave the nominal voltage out.",
        )
    if field in LIMITS and kind != "electrical":
        raise invalid(
            field,
            "Only an electrical data point has phases that are judged.",
            f"Leave the {name_of(field)} out.",
        )
    if field == "pulse_weight" and (kind == "electrical" or behaviour == "gauge"):
        raise invalid(
            field,
            "Only a single value that is counted or flows comes as pulses.",
            "Leave the pulse weight out, or register a single-value data point.",
        )
    if field == "calorific_kwh_per_m3" and (kind == "electrical" or known.amount != "m3"):
        raise invalid(
            field,
            f"A calorific value turns a volume into energy, and {unit or 'a number'} is none.",
            "Set the unit to m3, or leave the calorific value out.",
        )


def invalid(field: str, detail: str, remedy: str, **data: Any) -> KilowatchError:
    """Return the refusal of a setting."""
    return KilowatchError("invalid_setting", detail, remedy=remedy, data={"field": field, **data})
