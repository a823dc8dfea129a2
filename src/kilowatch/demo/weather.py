"""Outdoor temperature and sun of an Irish town."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.demo.noise import smooth
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import DAY_MS, HOUR_MS

_YEAR_MS = 365.2425 * DAY_MS
_JULY_24_MS = 204 * DAY_MS
_SUMMER_SOLSTICE_MS = 171 * DAY_MS


@dataclass(frozen=True, slots=True)
class Town:
    """Where a building stands.

    Attributes:
        name: Of the town.
        latitude_deg: North [°].
        longitude_deg: East [°].
        warmer_k: Mean temperature above Dublin's [K].
        seed: Of its own part of the weather.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    warmer_k: float
    seed: int


DUBLIN = Town("Dublin", 53.34, -6.26, 0.0, 101)
CORK = Town("Cork", 51.90, -8.47, 0.4, 102)
GALWAY = Town("Galway", 53.27, -9.05, 0.1, 103)


def _season(at_ms: Ints, peak_ms: int) -> Floats:
    """Return 1 at the yearly peak and -1 half a year from it, shape (n,)."""
    turn: Floats = np.cos(2 * np.pi * (at_ms - peak_ms) / _YEAR_MS)
    return turn


def _solar_hour(at_ms: Ints, town: Town) -> Floats:
    return (at_ms / HOUR_MS + town.longitude_deg / 15) % 24


def temperature_c(at_ms: Ints, town: Town) -> Floats:
    """Return the outdoor temperature, shape (n,) [°C].

    Mean, season and daily range are those of Met Éireann's climate averages 1991-2020
    (Dublin about 10 °C, July 10 K above January); the weather on top wanders over days,
    most of it the same for the whole island.
    """
    season = _season(at_ms, _JULY_24_MS)
    daily = np.cos(2 * np.pi * (_solar_hour(at_ms, town) - 15) / 24)
    island = 4.4 * smooth(at_ms, 5.5 * 86_400, 1) + 1.6 * smooth(at_ms, 1.4 * 86_400, 2)
    local = 0.7 * smooth(at_ms, 6 * 3600, town.seed) + 0.15 * smooth(at_ms, 1800, town.seed + 50)
    swing = (2.6 + 1.3 * season) * (1.25 - 0.7 * cloud_cover(at_ms, town))
    return 10.2 + town.warmer_k + 5.2 * season + swing * daily + island + local


def cloud_cover(at_ms: Ints, town: Town) -> Floats:
    """Return how much of the sky is covered, shape (n,), 0 to 1."""
    wandering = 0.45 * smooth(at_ms, 2 * 86_400, 3) + 0.3 * smooth(at_ms, 4 * 3600, town.seed + 7)
    return np.clip(0.6 + wandering, 0.0, 1.0)


def sun_w_per_m2(at_ms: Ints, town: Town) -> Floats:
    """Return the sun's power on level ground, shape (n,) [W/m²].

    Source:
        Clear sky: Haurwitz 1945, 1098 cos z exp(-0.057 / cos z). Clouds: Kasten and
        Czeplak 1980, a factor of 1 - 0.75 N^3.4.
    """
    declination = np.radians(23.44) * _season(at_ms, _SUMMER_SOLSTICE_MS)
    hour_angle = np.radians(15 * (_solar_hour(at_ms, town) - 12))
    latitude = np.radians(town.latitude_deg)
    height = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(
        declination
    ) * np.cos(hour_angle)
    up = np.maximum(height, 1e-3)
    clear = np.where(height > 0, 1098 * up * np.exp(-0.057 / up), 0.0)
    return clear * (1 - 0.75 * cloud_cover(at_ms, town) ** 3.4)
