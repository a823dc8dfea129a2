"""Public holidays of a country and its regions, by the library ``holidays``.

They are computed, not fetched: the same version of the library gives the same days everywhere. A
holiday that moves because it falls on a weekend counts on the day on which people are off.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from types import MappingProxyType

import holidays

NONE: Mapping[date, str] = MappingProxyType({})


def is_known(country: str) -> bool:
    """Tell whether the holidays of a country are known (ISO 3166 code)."""
    return country in _countries()


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, list[str]]:
    return holidays.list_supported_countries(include_aliases=False)


@lru_cache(maxsize=300)
def regions(country: str) -> tuple[tuple[str, str], ...]:
    """Return the regions that have holidays of their own: code and name, in order of names.

    Example:
        >>> ("BY", "Bayern") in regions("DE")
        True
    """
    codes = _countries().get(country, [])
    if not codes:
        return ()
    names = {code: name for name, code in _aliases(country).items()}
    return tuple(sorted(((c, names.get(c, c)) for c in codes), key=lambda one: one[1]))


def region_code(country: str, region: str) -> str:
    """Return the code of a region that people wrote by code or name; "" where it is none.

    Example:
        >>> region_code("DE", "bayern"), region_code("GB", "SCT"), region_code("IE", "Munster")
        ('BY', 'SCT', '')
    """
    wanted = region.strip().casefold()
    if not wanted or not is_known(country):
        return ""
    known = {code.casefold(): code for code in _countries()[country]}
    known |= {name.casefold(): code for name, code in _aliases(country).items()}
    return known.get(wanted, "")


@lru_cache(maxsize=300)
def _aliases(country: str) -> Mapping[str, str]:
    found: Mapping[str, str] = getattr(
        holidays.country_holidays(country), "subdivisions_aliases", {}
    )
    return found


@lru_cache(maxsize=5000)
def public_holidays(country: str, region: str, year: int) -> Mapping[date, str]:
    """Return the public holidays of a year with their names.

    Args:
        country: ISO 3166 code; one that the library does not know has no holidays.
        region: Code of a region as ``region_code`` returns it; "" for those of the whole country.
        year: Of the local calendar.

    Example:
        >>> public_holidays("IE", "", 2026)[date(2026, 3, 17)]
        "Saint Patrick's Day"
    """
    if not is_known(country):
        return NONE
    found = holidays.country_holidays(country, subdiv=region or None, years=year, language="en_US")
    return MappingProxyType({day: name for day, name in found.items() if day.year == year})
