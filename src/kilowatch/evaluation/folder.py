"""Reads a folder of meter data: streams, weather and the altered copies of them.

The labels (``fault_events.csv``, ``waste_events.csv``, ``injected_hours.parquet``) are read by the
scores, which come after the predictions, and by nobody else.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kilowatch.catalog.places import country_of_zone
from kilowatch.insights.hours import COVERED_MIN, HOUR_MS, Hours
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.public_holidays import public_holidays
from kilowatch.model.units import UNITS
from kilowatch.model.zones import Zone

REGIONS = {"GB": "ENG"}
"""Region of a country where it matters and the time zone does not say it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of ``streams.csv``."""

    stream_id: str
    dataset: str
    building: str
    utility: str
    unit: str
    zone: str
    weather_id: str


@dataclass(frozen=True, slots=True)
class Series:
    """One stream's hours with a value, sorted.

    Attributes:
        start_ms: Starts, shape (n,) [ms since 1970, UTC].
        values: Values, shape (n,) [the stream's unit].
    """

    start_ms: Ints
    values: Floats


class Folder:
    """A folder laid out as docs/reference/evaluation.md says.

    Args:
        root: The folder.

    Raises:
        FileNotFoundError: It has no ``streams.csv``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        with (root / "streams.csv").open(encoding="utf-8", newline="") as lines:
            self.listed = {
                row["stream_id"]: Listed(
                    row["stream_id"], row["dataset"], row["building"], row["utility"],
                    row["unit"], row["tz"], row["weather_id"],
                )
                for row in csv.DictReader(lines)
            }  # fmt: skip

    def streams(self) -> dict[str, Series]:
        """Return the untouched streams by id."""
        found: dict[str, Series] = {}
        for dataset in sorted({one.dataset for one in self.listed.values()}):
            found |= self.table(self.root / "streams" / f"{dataset}.parquet")
        return {key: found[key] for key in self.listed if key in found}

    def faulted(self) -> dict[str, Series]:
        """Return the streams that faults were put into, by id."""
        return self.table(self.root / "anomaly" / "faulted.parquet")

    def wasteful(self) -> dict[str, Series]:
        """Return the streams that waste was put into, by id."""
        return self.table(self.root / "waste" / "wasteful.parquet")

    def temperature(self, weather_id: str) -> Series | None:
        """Return measured outdoor temperature [°C], or None where there is none."""
        path = self.root / "weather" / f"{weather_id}.parquet"
        if not weather_id or not path.exists():
            return None
        table = pq.read_table(path)
        return _series(table, "temp_c")

    def table(self, path: Path, column: str = "value") -> dict[str, Series]:
        """Return a column of a file of streams by id; nothing where there is no such file.

        Values of intervals shorter than an hour are brought to hours.
        """
        if not path.exists():
            return {}
        table = pq.read_table(path)
        names = table.column("stream_id").combine_chunks().dictionary_encode()
        codes = names.indices.to_numpy(zero_copy_only=False)
        whole = _series(table, column)
        found = {}
        for code, name in enumerate(names.dictionary.to_pylist()):
            rows = codes == code
            order = np.argsort(whole.start_ms[rows], kind="stable")
            listed = self.listed.get(name)
            unit = UNITS.get(listed.unit) if listed is not None else None
            amount = unit is None or unit.behaviour == "amount"
            own = Series(whole.start_ms[rows][order], whole.values[rows][order])
            found[name] = _hourly(own, listed.zone if listed else "UTC", amount=amount)
        return found


def _series(table: pa.Table, column: str) -> Series:
    starts = pc.cast(_instants(table.column("ts")), pa.timestamp("ms", "UTC"))
    values = table.column(column).to_numpy().astype(np.float64)
    return Series(pc.cast(starts, pa.int64()).to_numpy(), values)


def _instants(stamps: pa.ChunkedArray) -> pa.ChunkedArray:
    """Read ISO 8601 with an offset; files may also hold true timestamps."""
    if not pa.types.is_string(stamps.type) and not pa.types.is_large_string(stamps.type):
        return stamps
    return pc.cast(stamps, pa.timestamp("ms", "UTC"))


def _hourly(series: Series, zone: str, *, amount: bool) -> Series:
    """Return a stream by hours of its clock: sums of amounts, means of everything else.

    An hour of which a part is missing is taken for as much of it as is there.
    """
    if len(series.start_ms) < 2:
        return series
    step_ms = int(np.median(np.diff(series.start_ms)))
    if not 0 < step_ms < HOUR_MS:
        return series
    clock = Zone.of(zone)
    past = clock.local_ms(series.start_ms) % HOUR_MS  # hours of half-hour zones begin at :30 UTC
    known = np.isfinite(series.values)
    hours, place = np.unique((series.start_ms - past)[known], return_inverse=True)
    count = np.bincount(place, minlength=len(hours))
    mean = np.bincount(place, series.values[known], minlength=len(hours)) / count
    enough = count * step_ms >= COVERED_MIN * HOUR_MS
    values = mean * (HOUR_MS / step_ms) if amount else mean
    return Series(hours[enough], values[enough])


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
    days = clock.local_ms(first_ms + np.arange(count, dtype=np.int64) * HOUR_MS) // 86_400_000
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
