"""Reads a folder of meter data: streams, weather and the altered copies of them.

The labels (``fault_events.csv``, ``waste_events.csv``, ``injected_hours.parquet``) are read by the
scores, which come after the predictions, and by nobody else.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kilowatch.catalog.places import country_of_zone
from kilowatch.evaluation import remarks, rows
from kilowatch.evaluation.hourly import by_hours
from kilowatch.evaluation.remarks import Remarks
from kilowatch.evaluation.rows import Series
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.public_holidays import public_holidays
from kilowatch.model.units import UNITS
from kilowatch.model.zones import Zone

REGIONS = {"GB": "ENG"}
"""Region of a country where it matters and the time zone does not say it."""
COLDEST_C, HOTTEST_C = -80.0, 60.0
"""No weather station outside of Antarctica has measured less or more [°C]."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of ``streams.csv``; ``unit`` is that of the file of values where it says one."""

    stream_id: str
    dataset: str
    building: str
    utility: str
    unit: str
    zone: str
    weather_id: str


class Folder:
    """A folder laid out as docs/reference/evaluation.md says.

    Args:
        root: The folder.

    Attributes:
        listed: Rows of ``streams.csv`` by stream, and of streams that only another file knows.
        remarks: What was noticed of the data so far.
        left_out: Streams of which nothing can be said, and why, by file: ``streams``,
            ``faulted``, ``wasteful``.

    Raises:
        FileNotFoundError: It has no ``streams.csv``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.remarks = Remarks()
        self.left_out: dict[str, dict[str, str]] = {}
        self.listed: dict[str, Listed] = {}
        with (root / "streams.csv").open(
            encoding="utf-8-sig", errors="replace", newline=""
        ) as lines:
            for row in csv.DictReader(lines):
                self._list({key: (row[key] or "").strip() for key in row if isinstance(key, str)})
        self.ids = tuple(self.listed)

    def _list(self, row: Mapping[str, str]) -> None:
        name = row["stream_id"]
        if not name:
            return
        if name in self.listed:
            self.remarks.add(remarks.TWICE_LISTED, [name])
        zone = row.get("tz", "")
        try:
            Zone.of(zone)
        except (ValueError, OSError):
            self.remarks.add(remarks.NO_ZONE, [name])
            zone = "UTC"
        self.listed[name] = Listed(
            name, row.get("dataset", ""), row.get("building", "") or name, row.get("utility", ""),
            row.get("unit", ""), zone, row.get("weather_id", ""),
        )  # fmt: skip

    def streams(self, wanted: Collection[str] | None = None) -> dict[str, Series]:
        """Return the untouched streams by id, in the order of ``streams.csv``.

        Args:
            wanted: Those that are asked for; None: all that are listed.
        """
        asked = [key for key in self.ids if wanted is None or key in wanted]
        found: dict[str, Series] = {}
        usual = [
            self.root / "streams" / f"{name}.parquet"
            for name in sorted({self.listed[key].dataset for key in asked})
        ]
        for path in usual:
            found |= self._part(path, set(asked))
        missing = set(asked) - set(found) - set(self.left_out.get("streams", ()))
        if missing:
            for path in sorted((self.root / "streams").rglob("*.parquet")):
                if path not in usual:
                    more = self._part(path, missing)
                    self.remarks.add(remarks.ELSEWHERE, more)
                    found |= more
        for key in asked:
            if key not in found:
                self.left_out.setdefault("streams", {}).setdefault(key, remarks.NO_ROWS)
        return {key: found[key] for key in asked if key in found}

    def _part(self, path: Path, wanted: Collection[str]) -> dict[str, Series]:
        return self.table(path, wanted=wanted, role="streams")

    def faulted(self) -> dict[str, Series]:
        """Return the streams that faults were put into, by id."""
        return self.table(self.root / "anomaly" / "faulted.parquet", role="faulted")

    def wasteful(self) -> dict[str, Series]:
        """Return the streams that waste was put into, by id."""
        return self.table(self.root / "waste" / "wasteful.parquet", role="wasteful")

    def temperature(self, weather_id: str) -> Series | None:
        """Return measured outdoor temperature [°C], or None where there is none."""
        if not weather_id:
            return None
        zones = {one.zone for one in self.listed.values() if one.weather_id == weather_id}
        whom = [one.stream_id for one in self.listed.values() if one.weather_id == weather_id]
        try:
            measured = rows.weather(
                self.root / "weather" / f"{weather_id}.parquet", Zone.of(min(zones)), self.remarks
            )
        except KilowatchError:
            self.remarks.add(remarks.NO_WEATHER, whom)
            return None
        if not np.isfinite(measured.values).any():
            self.remarks.add(remarks.NO_WEATHER, whom)
            return None
        odd = (measured.values < COLDEST_C) | (measured.values > HOTTEST_C)
        if odd.any():
            self.remarks.add(remarks.BAD_WEATHER, whom)
        return Series(measured.start_ms, np.where(odd, np.nan, measured.values))

    def table(
        self, path: Path, column: str = "value", *, wanted: Collection[str] | None = None,
        role: str = "",
    ) -> dict[str, Series]:  # fmt: skip
        """Return a column of a file of streams by id; nothing where there is no such file.

        Values of intervals shorter than an hour are brought to hours; streams of which nothing
        is left are put into ``left_out``.

        Args:
            path: The file.
            column: What the values are called.
            wanted: Streams that are asked for; None: all.
            role: Under which name ``left_out`` has them.

        Raises:
            KilowatchError: The file is no such file.
        """
        if not path.exists():
            return {}
        read = rows.read(path, column, wanted)
        if role in ("faulted", "wasteful") and read.naive.any():
            self.streams(set(read.names))  # whose stamps may tell that they are UTC
        if role == "streams":
            self.remarks.add(remarks.LEFT_LYING, read.others - set(self.ids))
        found = {}
        for key, series in rows.by_stream(read, self._zone, self.remarks).items():
            listed = self._known(key, read.units.get(key, ""))
            hours, noticed = by_hours(series, Zone.of(listed.zone), amount=adds_up(listed.unit))
            if np.isfinite(hours.values).any():
                found[key] = hours
                for one in noticed:
                    self.remarks.add(one, [key])
            else:
                why = noticed[0] if noticed else remarks.NO_ROWS
                self.left_out.setdefault(role, {})[key] = why
        return found

    def _zone(self, key: str) -> Zone:
        return Zone.of(self.listed[key].zone if key in self.listed else "UTC")

    def _known(self, key: str, unit: str) -> Listed:
        """Return what is known of a stream, with the unit of the file of its values."""
        listed = self.listed.get(key)
        if listed is None:
            self.remarks.add(remarks.NOT_LISTED, [key])
            listed = Listed(key, "", key, "", "", "UTC", "")
        said = named(unit) or named(listed.unit) or listed.unit or unit
        if named(unit) and named(listed.unit) and named(unit) != named(listed.unit):
            self.remarks.add(remarks.OTHER_UNIT, [key])
        if not said or said not in UNITS:
            self.remarks.add(remarks.NO_UNIT, [key])
        self.listed[key] = replace(listed, unit=said)
        return self.listed[key]


def named(unit: str) -> str:
    """Return a unit as we write it (``m³`` is ``m3``), or "" where we do not know it."""
    if unit in UNITS:
        return unit
    return _SPELT.get(unit.replace("³", "3").casefold(), "")


_SPELT = {symbol.casefold(): symbol for symbol in UNITS if symbol} | {"c": "°C", "degc": "°C"}


def adds_up(unit: str) -> bool:
    """Return whether values of a unit are amounts, or are taken for them."""
    return not unit or unit not in UNITS or UNITS[unit].behaviour == "amount"


def hours_of(
    series: Mapping[str, Series],
    zone: str,
    temperature: Series | None,
    *,
    from_ms: int | None = None,
    to_ms: int | None = None,
) -> Hours:
    """Lay streams of one zone on one grid of hours, in the order of ``series``.

    Args:
        series: By id; at least one.
        zone: IANA name.
        temperature: Of the place, or None.
        from_ms: First hour; the earliest of all if None [ms].
        to_ms: End; one hour after the latest of all if None [ms].
    """
    first = min(int(one.start_ms[0]) for one in series.values()) if from_ms is None else from_ms
    ends = max(int(one.start_ms[-1]) for one in series.values()) + HOUR_MS
    count = ((ends if to_ms is None else to_ms) - first) // HOUR_MS
    clock = Zone.of(zone)
    values = np.stack([on_grid(one, first, count) for one in series.values()])
    closed = holiday_hours(zone, first, count)
    outdoor = None
    if temperature is not None:
        outdoor = np.tile(on_grid(temperature, first, count), (len(series), 1))
    return Hours(first, values, clock, np.tile(closed, (len(series), 1)), outdoor)


def on_grid(series: Series, first_ms: int, count: int) -> Floats:
    """Return a stream on a grid of hours, shape (count,); NaN where it has no value."""
    laid = np.full(count, np.nan)
    index = (series.start_ms - first_ms) // HOUR_MS
    inside = (index >= 0) & (index < count)
    laid[index[inside]] = series.values[inside]
    return laid


def holiday_hours(
    zone: str, first_ms: int, count: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which hours lie on a public holiday of a zone's country, shape (count,)."""
    clock = Zone.of(zone)
    days = clock.local_ms(first_ms + np.arange(count, dtype=np.int64) * HOUR_MS) // DAY_MS
    unique, inverse = np.unique(days, return_inverse=True)
    dates = unique.astype("datetime64[D]").astype(object)
    country, region = country_of(zone)
    if country is None:
        return np.zeros(count, np.bool_)
    closed = [one in public_holidays(country, region or "", one.year) for one in dates]
    return np.array(closed, np.bool_)[inverse]


def country_of(zone: str) -> tuple[str | None, str | None]:
    """Return the country, and the region where it matters, that a time zone lies in."""
    country = "US" if zone.startswith("US/") else country_of_zone(zone)
    return country, REGIONS.get(country or "")


def zones(listed: Iterable[Listed]) -> dict[tuple[str, str], list[str]]:
    """Group stream ids by what they share: zone and weather."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for one in listed:
        grouped.setdefault((one.zone, one.weather_id), []).append(one.stream_id)
    return grouped


def alike(
    listed: Iterable[Listed], series: Mapping[str, Series], at_most: int | None = None
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield streams that fit on one grid of hours: zone, weather, ids.

    Args:
        listed: The streams.
        series: Their hours, by id: the minute at which they begin is shared too.
        at_most: Streams at once.
    """
    for (zone, weather), names in zones(listed).items():
        phases = {key: int(series[key].start_ms[0]) % HOUR_MS for key in names}
        for phase in sorted(set(phases.values())):
            same = [key for key in names if phases[key] == phase]
            for first in range(0, len(same), at_most or len(same)):
                yield zone, weather, same[first : first + (at_most or len(same))]
