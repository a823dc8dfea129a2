"""Outdoor temperatures out of files: EPW, and CSV with a column of times and one of temperatures.

EPW is the weather file of building simulation (EnergyPlus, Auxiliary Programs, "Weather File (EPW)
Data Dictionary"): local standard time all year, whatever the clocks do, and hours that are named by
their end: hour 1 is 00:00 to 01:00. Here every temperature stands at the beginning of its interval.
"""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

from kilowatch.client.columns import IGNORE, TIME, Shape, lines
from kilowatch.client.guessing import look, text_of
from kilowatch.model.errors import KilowatchError

LOWEST_C, HIGHEST_C = -90.0, 70.0
"""Colder or warmer it has never been outdoors; EPW writes 99.9 for a missing temperature."""
EPW_MISSING = 99.9
_EPW_HEADER = 8
_STREAM = "file"


@dataclass(frozen=True, slots=True)
class Reading:
    """An outdoor temperature.

    Attributes:
        at: Beginning of its interval, in UTC.
        temperature_c: [°C].
        line: Of the file, from 1; 0 for one that came from elsewhere.
    """

    at: datetime
    temperature_c: float
    line: int = 0

    def packet(self, stream_id: str) -> bytes:
        """Return it as a packet of a stream in °C."""
        stamp = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps(
            {"id": stream_id, "tsISO8601": stamp, "value": round(self.temperature_c, 3)}
        ).encode()


@dataclass(slots=True)
class Weather:
    """What a file says.

    Attributes:
        readings: In the order of time, one for each instant.
        interval_s: How far most of them are apart [s].
        place: What the file says of where it was measured, or an empty text.
        missing: Lines without a temperature.
        mistakes: Lines that make no sense, with the reason.
    """

    readings: list[Reading] = field(default_factory=list)
    interval_s: int = 3600
    place: str = ""
    missing: int = 0
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    def ordered(self) -> Weather:
        """Return it in the order of time; of two temperatures for an instant the first counts.

        Raises:
            KilowatchError: ``no_weather``, when there is no temperature in it.
        """
        found: dict[datetime, Reading] = {}
        mistakes = list(self.mistakes)
        for one in self.readings:
            there = found.setdefault(one.at, one)
            if there.temperature_c != one.temperature_c:
                mistakes.append((one.line, f"line {there.line} has another value for that time"))
        if not found:
            raise KilowatchError(
                "no_weather",
                "There is no temperature in this file.",
                remedy=f"Line {mistakes[0][0]}: {mistakes[0][1]}." if mistakes else "",
            )
        readings = [found[at] for at in sorted(found)]
        return replace(
            self, readings=readings, mistakes=sorted(mistakes), interval_s=_usual_step(readings)
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """How a person says that a file is read; for an EPW only ``year`` matters.

    Attributes:
        time_column: Header of the column of times; empty to find it.
        temperature_column: Header of the column of temperatures; empty to find it.
        zone: IANA time zone of times without an offset.
        fahrenheit: Whether temperatures are in °F.
        hour_ending: Whether a time names the end of its interval.
        year: The year that a typical year stands for; None for a file that was measured.
    """

    zone: str
    time_column: str = ""
    temperature_column: str = ""
    fahrenheit: bool = False
    hour_ending: bool = False
    year: int | None = None


def read(content: bytes, asked: Asked) -> Weather:
    """Return the temperatures of a file.

    Raises:
        KilowatchError: ``unreadable_file``, ``which_column``, ``typical_year`` or ``no_weather``.
    """
    text, _ = text_of(content)
    if text.lstrip().startswith("LOCATION,"):
        return _epw(text, asked).ordered()
    return _csv(content, text, asked).ordered()


def _epw(text: str, asked: Asked) -> Weather:
    rows = list(csv.reader(io.StringIO(text.lstrip(), newline="")))
    location, data = rows[0], rows[_EPW_HEADER:]
    zone = _standard_time(location)
    per_hour = _records_per_hour(rows[:_EPW_HEADER])
    years = [row[0].strip() for row in data if len(row) > 6]
    if asked.year is None and any(later < earlier for earlier, later in pairwise(years)):
        raise KilowatchError(
            "typical_year",
            "This is a typical year: its months were measured in different years.",
            remedy="It is no history. To use it as one all the same, say for which --year.",
        )
    place = ", ".join(filter(None, (cell.strip() for cell in location[1:4])))
    weather = Weather(place=place, interval_s=3600 // per_hour)
    for number, row in enumerate(data, start=_EPW_HEADER + 1):
        if not any(cell.strip() for cell in row):
            continue
        try:
            at, temperature_c = _epw_line(row, asked.year, zone, per_hour)
        except (ValueError, IndexError):
            weather.mistakes.append((number, "this is no line of an EPW file"))
            continue
        if temperature_c >= EPW_MISSING:
            weather.missing += 1
        else:
            _add(weather, Reading(at, temperature_c, number))
    return weather


def _standard_time(location: list[str]) -> timezone:
    try:
        return timezone(timedelta(hours=float(location[8])))
    except (ValueError, IndexError):
        raise KilowatchError(
            "unreadable_file", "The first line of this EPW does not tell its time zone."
        ) from None


def _records_per_hour(header: list[list[str]]) -> int:
    for row in header:
        if row and row[0].strip().upper() == "DATA PERIODS" and len(row) > 2:
            count = row[2].strip()
            if (
                count.isascii()
                and count.isdigit()
                and 1 <= int(count) <= 60
                and not 60 % int(count)
            ):
                return int(count)
    return 1


def _epw_line(
    row: list[str], year: int | None, zone: timezone, per_hour: int
) -> tuple[datetime, float]:
    """Return the beginning of a line's interval, and its dry-bulb temperature."""
    named, month, day, hour, minute = (int(cell) for cell in row[:5])
    midnight = datetime(year or named, month, day, tzinfo=zone)
    # With one record an hour files write minute 0 or 60 for the same hour.
    past = 60 if per_hour == 1 else minute or 60
    start = midnight + timedelta(hours=hour - 1, minutes=past - 60 // per_hour)
    return start.astimezone(UTC), float(row[6])


def _csv(content: bytes, text: str, asked: Asked) -> Weather:
    shape = _shaped(look(content, {}).shape, asked)
    weather = Weather()
    step: list[Reading] = []
    for line in lines(text, shape, {}, {}):
        if line.mistake == "The line has no value.":
            weather.missing += 1
        elif line.mistake:
            weather.mistakes.append((line.number, line.mistake.rstrip(".")))
        else:
            packet = json.loads(line.body)
            value = float(packet["value"])
            at = datetime.fromisoformat(packet["tsISO8601"]).astimezone(UTC)
            celsius = (value - 32) * 5 / 9 if asked.fahrenheit else value
            step.append(Reading(at, celsius, line.number))
    late = timedelta(seconds=_usual_step(step)) if asked.hour_ending else timedelta()
    for one in step:
        _add(weather, replace(one, at=one.at - late))
    return weather


def _shaped(found: Shape, asked: Asked) -> Shape:
    """Return how the file is read: one column of temperatures, and its times."""
    if found.kind != "csv":
        raise KilowatchError(
            "unreadable_file", "This is neither an EPW nor a CSV.", remedy="Save it as CSV."
        )
    names = [one.name for one in found.columns]
    times = [asked.time_column] if asked.time_column else _with(found, TIME)
    values = [asked.temperature_column] if asked.temperature_column else _with(found, "value")
    if not values:
        values = [name for name in names if "temp" in name.casefold()][:1]
    for wanted, what, option in (
        (times, "times", "--time-column"),
        (values, "temperatures", "--temperature-column"),
    ):
        if not wanted or set(wanted) - set(names):
            raise KilowatchError(
                "which_column",
                f"Which column has the {what}?",
                remedy=f"Name it with {option}; there are: {', '.join(names[:20])}.",
                data={"field": option},
            )
    columns = tuple(
        replace(
            one,
            role=TIME if one.name in times else "value" if one.name in values else IGNORE,
            stream="",
        )
        for one in found.columns
    )
    return replace(found, columns=columns, stream=_STREAM, zone=asked.zone)


def _with(shape: Shape, role: str) -> list[str]:
    return [one.name for one in shape.columns if one.role == role]


def _add(weather: Weather, reading: Reading) -> None:
    if math.isfinite(reading.temperature_c) and LOWEST_C <= reading.temperature_c <= HIGHEST_C:
        weather.readings.append(reading)
    else:
        said = f"{reading.temperature_c:g} °C is no outdoor temperature"
        weather.mistakes.append((reading.line, said))


def _usual_step(readings: list[Reading]) -> int:
    steps = sorted(
        round((later.at - earlier.at).total_seconds()) for earlier, later in pairwise(readings)
    )
    middle = steps[len(steps) // 2] if steps else 3600
    return middle if middle > 0 else 3600
