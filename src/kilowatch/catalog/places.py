"""Time zones and countries: checked against the lists that Python and its tzdata carry."""

from __future__ import annotations

import difflib
import zoneinfo
from functools import cache
from importlib import resources

from kilowatch.model.errors import KilowatchError

DEFAULT_ZONE = "Europe/Dublin"


@cache
def zones() -> frozenset[str]:
    """Return every IANA time zone that this machine knows, without the machine's own links."""
    made_up = ("posix/", "right/")
    known = {name for name in zoneinfo.available_timezones() if not name.startswith(made_up)}
    return frozenset(known - {"localtime", "posixrules", "Factory"})


@cache
def countries() -> dict[str, str]:
    """Return the ISO 3166 countries: code to English name, from tzdata's ``iso3166.tab``."""
    rows = (line.split("\t") for line in _lines("iso3166.tab"))
    return {row[0]: row[1] for row in rows}


@cache
def _country_by_zone() -> dict[str, str]:
    rows = (line.split("\t") for line in _lines("zone.tab"))
    return {row[2]: row[0] for row in rows}


def _lines(name: str) -> list[str]:
    text = (resources.files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def check_zone(zone: str) -> str:
    """Return the time zone as given.

    Raises:
        KilowatchError: ``unknown_time_zone``, with the names that come close.
    """
    if zone in zones():
        return zone
    folded = {name.casefold(): name for name in sorted(zones())}
    wanted = zone.strip().casefold().replace(" ", "_")
    close = difflib.get_close_matches(wanted, folded, n=3, cutoff=0.6)
    close += [name for name in folded if wanted and name.endswith("/" + wanted)]
    names = [folded[name] for name in dict.fromkeys(close)]
    raise KilowatchError(
        "unknown_time_zone",
        f"{zone!r} is not a time zone.",
        remedy=f"Did you mean {_or(names)}?"
        if names
        else "Use an IANA name such as Europe/Dublin or America/New_York.",
        data={"field": "zone", "suggestions": names},
    )


def check_country(country: str) -> str:
    """Return the country's ISO 3166 code in capitals.

    Raises:
        KilowatchError: ``unknown_country``, with the codes of countries of a similar name.
    """
    code = country.strip().upper()
    if code in countries():
        return code
    names = {name.upper(): code for code, name in countries().items()}
    close = difflib.get_close_matches(code, names, n=3)
    found = [f"{names[name]} ({countries()[names[name]]})" for name in close]
    raise KilowatchError(
        "unknown_country",
        f"{country!r} is not a country code.",
        remedy=f"Did you mean {_or(found)}?"
        if found
        else "Use two letters of ISO 3166, such as IE, GB or DE.",
        data={"field": "country"},
    )


def country_of_zone(zone: str) -> str | None:
    """Return the country that a time zone belongs to, or None (``UTC``, old names)."""
    return _country_by_zone().get(zone)


def _or(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
