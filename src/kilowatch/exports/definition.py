"""What a person asks for: which data points, when, how finely, in which form.

A definition is what stands in the address of the Export page and what a refreshable link keeps.
Its period may be relative ("last 30 days"), so that a link goes on with time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal
from zoneinfo import available_timezones

from kilowatch.model.calendar import Grain as BucketGrain
from kilowatch.model.errors import KilowatchError

Layout = Literal["long", "wide"]
Units = Literal["kilo", "plain"]

PERIODS: tuple[str, ...] = (
    "today", "yesterday", "last_7_days", "last_30_days", "this_month", "last_month",
    "last_12_months", "this_year", "last_year", "everything", "custom",
)  # fmt: skip
GRAINS: dict[str, BucketGrain | Literal["interval"] | None] = {
    "source": None,
    "interval": "interval",
    "15m": 900,
    "30m": 1800,
    "hour": "hour",
    "day": "day",
    "month": "month",
}
"""Word in the address, and what the view is asked for; None for the readings as pushed."""
HALF_HOURS: frozenset[str] = frozenset({"source", "interval", "15m", "30m"})
"""Granularities whose rows lie within one half hour, so that its number can be told."""
EXTRAS: tuple[str, ...] = ("quality", "gaps", "extremes", "half_hours")
LAYOUTS: tuple[Layout, ...] = ("long", "wide")
UNITS: tuple[Units, ...] = ("kilo", "plain")
FORMATS: dict[str, tuple[str, str]] = {
    "csv": ("csv", "text/csv; charset=utf-8"),
    "xlsx": ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "parquet": ("parquet", "application/vnd.apache.parquet"),
    "hyper": ("hyper", "application/octet-stream"),
}
"""By word: ending of the file's name, and its media type."""
PLACES_MAX = 500  # chosen one by one: an address has room for so many; a site counts as one
_PLACE = re.compile(r"[pso][1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Definition:
    """What is exported.

    Attributes:
        places: ``p7`` for a data point, ``s2`` for a site, ``o1`` for an organisation.
        period: A word of ``PERIODS``.
        first: First local day, of a custom period only.
        last: Last local day, included.
        grain: A word of ``GRAINS``.
        layout: One row for each value, or one for each instant with a column for each value.
        parameters: Names of families (``pC``, ``aP``, ``value``); empty for those that tell most.
        apart: Phases apart in place of their sum.
        zone: IANA zone of local times; empty for that of each data point's site.
        units: kWh and kW, or Wh and W.
        extras: Further columns, words of ``EXTRAS``.
    """

    places: tuple[str, ...] = ()
    period: str = "last_30_days"
    first: date | None = None
    last: date | None = None
    grain: str = "hour"
    layout: Layout = "long"
    parameters: tuple[str, ...] = ()
    apart: bool = False
    zone: str = ""
    units: Units = "kilo"
    extras: frozenset[str] = frozenset({"quality", "gaps"})

    def days(self, today: date) -> tuple[date, date] | None:
        """Return the first and last local day, both included; None for everything there is."""
        return _days(self, today)

    def pairs(self) -> list[tuple[str, str]]:
        """Return it as the parts of an address, always in the same order."""
        found = [("place", place) for place in self.places]
        found += [("period", self.period)]
        if self.period == "custom":
            found += [("from", str(self.first)), ("until", str(self.last))]
        found += [("grain", self.grain), ("layout", self.layout)]
        found += [("parameter", name) for name in self.parameters]
        if self.apart:
            found.append(("phases", "apart"))
        found += [("zone", self.zone), ("units", self.units)]
        return found + [("with", word) for word in ("none", *EXTRAS) if word in self._told()]

    def _told(self) -> frozenset[str]:
        return self.extras or frozenset({"none"})

    def as_json(self) -> dict[str, Any]:
        """Return it as the catalogue keeps it."""
        return {"pairs": [list(pair) for pair in self.pairs()]}

    @staticmethod
    def of_json(kept: Mapping[str, Any]) -> Definition:
        """Return what was kept."""
        return read([(str(name), str(value)) for name, value in kept["pairs"]])


def read(pairs: Iterable[tuple[str, str]]) -> Definition:
    """Return what an address asks for.

    Args:
        pairs: Names and values; names that mean nothing here are passed over.

    Raises:
        KilowatchError: 400 ``bad_export``, with the field.
    """
    said: dict[str, list[str]] = {}
    for name, value in pairs:
        if value.strip():
            said.setdefault(name, []).append(value.strip())
    one = {name: values[-1] for name, values in said.items()}
    found = Definition(
        places=_places(said.get("place", [])),
        period=_word(one, "period", PERIODS, "last_30_days"),
        grain=_word(one, "grain", tuple(GRAINS), "hour"),
        layout=_word(one, "layout", LAYOUTS, "long"),  # type: ignore[arg-type]
        parameters=tuple(dict.fromkeys(said.get("parameter", [])))[:50],
        apart=one.get("phases") == "apart",
        zone=_zone(one.get("zone", "")),
        units=_word(one, "units", UNITS, "kilo"),  # type: ignore[arg-type]
        extras=_extras(said.get("with")),
    )
    if found.period == "custom":
        first, last = _day(one, "from"), _day(one, "until")
        found = replace(found, first=min(first, last), last=max(first, last))
    if "half_hours" in found.extras and found.grain not in HALF_HOURS:
        found = replace(found, extras=found.extras - {"half_hours"})
    return found


def is_place(word: str) -> bool:
    """Tell whether a word names a data point, a site or an organisation: ``p7``, ``s2``, ``o1``."""
    return _PLACE.fullmatch(word) is not None


def refused(detail: str, remedy: str, field: str = "") -> KilowatchError:
    """Return the answer to an export that makes no sense."""
    return KilowatchError("bad_export", detail, remedy=remedy, data={"field": field})


def _places(words: list[str]) -> tuple[str, ...]:
    places = tuple(dict.fromkeys(words))
    for place in places:
        if not is_place(place):
            raise refused(f"{place[:40]!r} is no data point, site or organisation.",
                          "Choose them on the Export page.", "place")  # fmt: skip
    if len(places) > PLACES_MAX:
        raise refused(
            f"{len(places)} data points were chosen one by one; an address holds {PLACES_MAX}.",
            "Choose a whole site or organisation.",
            "place",
        )
    return places


def _word(one: Mapping[str, str], name: str, words: tuple[str, ...], usual: str) -> str:
    word = one.get(name, usual)
    if word not in words:
        raise refused(f"{word[:40]!r} is no {name}.", f"Use {', '.join(words)}.", name)
    return word


def _zone(name: str) -> str:
    if name and name not in available_timezones():
        raise refused(f"{name[:60]!r} is no time zone.", "Write it like Europe/Dublin.", "zone")
    return name


def _extras(words: list[str] | None) -> frozenset[str]:
    if words is None:
        return frozenset({"quality", "gaps"})
    return frozenset(words) & frozenset(EXTRAS)


def _day(one: Mapping[str, str], name: str) -> date:
    text = one.get(name, "")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        detail = f"{text[:40]!r} is not a date." if text else "A day is missing."
        raise refused(detail, "Write it like 2026-11-09.", name) from None
    if not 1971 <= day.year <= 2100:
        raise refused(f"{text} lies outside 1971 to 2100.", "Choose another day.", name)
    return day


def _days(asked: Definition, today: date) -> tuple[date, date] | None:
    month, year = today.replace(day=1), date(today.year, 1, 1)
    before, yesterday = month - timedelta(1), today - timedelta(1)
    relative = {
        "today": (today, today),
        "yesterday": (yesterday, yesterday),
        "last_7_days": (today - timedelta(6), today),
        "last_30_days": (today - timedelta(29), today),
        "this_month": (month, today),
        "last_month": (before.replace(day=1), before),
        "last_12_months": (month.replace(year=month.year - 1), before),
        "this_year": (year, today),
        "last_year": (date(today.year - 1, 1, 1), year - timedelta(1)),
    }
    if asked.period == "custom":
        assert asked.first is not None
        assert asked.last is not None
        return asked.first, asked.last
    return relative.get(asked.period)
