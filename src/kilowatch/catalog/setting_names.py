"""What settings of a data point are called in messages and printed lines, with their units."""

from __future__ import annotations

from typing import Any

from kilowatch.catalog.spans import interval_text

_NAMES = {
    "interval_s": "interval",
    "tolerance_s": "tolerance",
    "register_max": "register width",
    "parent_id": "feeder",
    "ct_ratio": "CT ratio",
    "vt_ratio": "VT ratio",
    "pulse_weight": "pulse weight",
    "calorific_kwh_per_m3": "calorific value",
    "calorific_unit": "unit of the calorific value",
    "volume_correction": "volume correction",
    "nominal_voltage_v": "nominal voltage",
    "low_voltage_percent": "limit of low voltage",
    "high_voltage_percent": "limit of high voltage",
    "lowest_voltage_percent": "limit of the lowest voltage",
    "unbalance_percent": "limit of unbalance",
    "least_power_factor": "least power factor",
    "lost_phase_percent": "limit of a lost phase",
    "phase_sum_percent": "limit between registers and powers",
    "zone": "time zone",
}
_UNITS = {"calorific_kwh_per_m3": "kWh/m3", "nominal_voltage_v": "V"}


def name_of(field: str) -> str:
    """Return what a setting is called.

    Example:
        >>> name_of("ct_ratio"), name_of("behaviour")
        ('CT ratio', 'behaviour')
    """
    return _NAMES.get(field, field)


def value_text(field: str, value: Any) -> str:
    """Return a setting's value with its unit.

    Example:
        >>> value_text("interval_s", 900), value_text("tolerance_s", 7.5), value_text("unit", "")
        ('15 min', '7.5 s', 'none')
        >>> value_text("calorific_kwh_per_m3", 11.2), value_text("register_max", None)
        ('11.2 kWh/m3', 'not set')
    """
    if value is None:
        return "not set"
    if field in {"interval_s", "tolerance_s"} and value > 0 and value == int(value):
        return interval_text(int(value))
    if isinstance(value, float):
        value = f"{value:.10g}"
    unit = "s" if field in {"interval_s", "tolerance_s"} else _UNITS.get(field, "")
    unit = "%" if field.endswith("_percent") else unit
    return f"{value} {unit}".strip() or "none"
