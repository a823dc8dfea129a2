"""Outdoor temperatures out of EPW and CSV files stand at the beginning of their hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kilowatch.client.weather_files import Asked, Reading, Weather, read
from kilowatch.model.errors import KilowatchError

DUBLIN = Asked("Europe/Dublin")


def epw(
    lines: list[tuple[int, int, int, int, int, float]], hours: str = "0.0", per_hour: int = 1
) -> bytes:
    """Write an EPW: year, month, day, hour, minute and temperature of each line."""
    header = [
        f"LOCATION,Dublin Airport,-,IRL,IWEC,039690,53.43,-6.25,{hours},85.0",
        "DESIGN CONDITIONS,0", "TYPICAL/EXTREME PERIODS,0", "GROUND TEMPERATURES,0",
        "HOLIDAYS/DAYLIGHT SAVINGS,No,0,0,0", "COMMENTS 1,x", "COMMENTS 2,y",
        f"DATA PERIODS,1,{per_hour},Data,Sunday, 1/ 1,12/31",
    ]  # fmt: skip
    rest = ",".join(["0"] * 28)
    rows = [f"{y},{m},{d},{h},{n},?9?9,{c},{rest}" for y, m, d, h, n, c in lines]
    return ("\r\n".join([*header, *rows]) + "\r\n").encode()


def stamps(found: Weather) -> list[str]:
    """Return when each temperature stands, in UTC."""
    return [one.at.strftime("%m-%d %H:%M") for one in found.readings]


def test_hour_1_of_an_epw_begins_at_midnight_of_standard_time() -> None:
    """In July too: EPW does not know summer time. Hour 24 is the last of its own day."""
    days = [(2023, 7, 1, 1, 60, 12.0), (2023, 7, 1, 2, 60, 11.5), (2023, 7, 1, 24, 60, 13.0)]
    found = read(epw(days, "1.0"), DUBLIN)
    assert stamps(found) == ["06-30 23:00", "07-01 00:00", "07-01 22:00"]
    assert found.place == "Dublin Airport, -, IRL"
    half = read(epw(days[:1], "5.5"), DUBLIN)
    assert stamps(half) == ["06-30 18:30"]
    west = read(epw(days[:1], "-8"), DUBLIN)
    assert stamps(west) == ["07-01 08:00"]


@pytest.mark.parametrize("minute", [0, 60])
def test_an_hourly_epw_writes_minute_0_or_60_for_the_same_hour(minute: int) -> None:
    """Both spellings are in use, and mean the hour that ends then."""
    found = read(epw([(2023, 1, 1, 5, minute, 3.0)]), DUBLIN)
    assert stamps(found) == ["01-01 04:00"]


def test_an_epw_with_four_records_an_hour_has_quarter_hours() -> None:
    """The minute is the end of the quarter, as the hour is the end of the hour."""
    quarters = [(2023, 1, 1, 1, minute, 3.0 + minute / 100) for minute in (15, 30, 45, 60)]
    found = read(epw(quarters, per_hour=4), DUBLIN)
    assert stamps(found) == ["01-01 00:00", "01-01 00:15", "01-01 00:30", "01-01 00:45"]
    assert found.interval_s == 900


def test_a_missing_temperature_is_no_temperature() -> None:
    """99.9 means that there is none; nonsense and broken lines are named and left out."""
    rows = [(2023, 1, 1, 1, 0, 99.9), (2023, 1, 1, 2, 0, -120.0), (2023, 1, 1, 3, 0, 4.0)]
    found = read(epw(rows) + b"2023,13,1,1,0,?,4.0\r\nend\r\n", DUBLIN)
    assert [one.temperature_c for one in found.readings] == [4.0]
    assert found.missing == 1
    assert [line for line, _ in found.mistakes] == [10, 12, 13]


def test_a_typical_year_is_no_history_unless_a_person_says_for_which_year() -> None:
    """January of 2004 and February of 1991 side by side would be put into two pasts."""
    typical = epw([(2004, 1, 1, 1, 0, 4.0), (1991, 2, 1, 1, 0, 5.0)])
    with pytest.raises(KilowatchError) as refused:
        read(typical, DUBLIN)
    assert refused.value.code == "typical_year"
    found = read(typical, Asked("Europe/Dublin", year=2025))
    assert [one.at.year for one in found.readings] == [2025, 2025]


def test_a_csv_is_read_with_the_columns_that_are_found() -> None:
    """Semicolons, decimal commas, local times; the hour that comes twice is told apart."""
    rows = "\n".join(
        f"{stamp};{value}"
        for stamp, value in (
            ("25.10.2026 00:00", "9,5"), ("25.10.2026 01:00", "9,0"), ("25.10.2026 01:00", "8,5"),
            ("25.10.2026 02:00", "8,0"), ("25.10.2026 03:00", ""),
        )
    )  # fmt: skip
    found = read(f"Zeit;Temperatur\n{rows}\n".encode(), DUBLIN)
    assert stamps(found) == ["10-24 23:00", "10-25 00:00", "10-25 01:00", "10-25 02:00"]
    assert [one.temperature_c for one in found.readings] == [9.5, 9.0, 8.5, 8.0]
    assert found.missing == 1


def test_a_csv_in_utc_and_fahrenheit_whose_times_end_the_hour() -> None:
    """What a person says of the file counts."""
    text = b"when,wind,temp_f\n2026-01-01 01:00,5,32\n2026-01-01 02:00,6,50\n"
    asked = Asked("UTC", "when", "temp_f", fahrenheit=True, hour_ending=True)
    found = read(text, asked)
    assert stamps(found) == ["01-01 00:00", "01-01 01:00"]
    assert [one.temperature_c for one in found.readings] == pytest.approx([0.0, 10.0])


def test_a_column_that_cannot_be_found_is_asked_for() -> None:
    """Two columns of numbers and no name that tells: a person decides."""
    text = b"when,a,b\n2026-01-01 01:00,5,32\n"
    with pytest.raises(KilowatchError, match="Which column has the temperatures"):
        read(text, Asked("UTC"))
    with pytest.raises(KilowatchError, match="there are: when, a, b"):
        read(text, Asked("UTC", temperature_column="c"))
    assert read(text, Asked("UTC", temperature_column="b")).readings[0].temperature_c == 32.0


def test_two_temperatures_of_one_time_are_named_and_the_first_counts() -> None:
    """Order does not matter; what is not a time is named with its line."""
    text = b"time,temp\n2026-01-01T02:00Z,2\n2026-01-01T01:00Z,1\n2026-01-01T02:00Z,3\nx,4\n"
    found = read(text, Asked("UTC", "time", "temp"))
    assert [one.temperature_c for one in found.readings] == [1.0, 2.0]
    assert [line for line, _ in found.mistakes] == [4, 5]
    with pytest.raises(KilowatchError, match="no temperature in this file"):
        read(b"time,temp\nx,1\n", Asked("UTC", "time", "temp"))


def test_a_reading_becomes_a_packet_with_its_instant() -> None:
    """In UTC, so that nobody's clock has to be guessed."""
    at = datetime(2026, 7, 1, 1, tzinfo=UTC) + timedelta(minutes=30)
    assert Reading(at, 12.34567).packet("w") == (
        b'{"id": "w", "tsISO8601": "2026-07-01T01:30:00Z", "value": 12.346}'
    )
