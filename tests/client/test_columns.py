"""A file from another system: columns, times and numbers are understood, or said to be wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.client.columns import Column, Shape, lines
from kilowatch.client.guessing import look
from kilowatch.model.errors import KilowatchError

STREAMS = {"gas-1": "gas-1", "Gas boiler": "gas-1", "main": "main", "Main supply": "main"}
ZONES = {"gas-1": "Europe/Dublin", "main": "Europe/Berlin"}


def packets(text: str, shape: Shape) -> list[dict[str, object]]:
    """Return the packets of a file; a line that is none fails the test."""
    found = list(lines(text, shape, STREAMS, ZONES))
    assert not [one for one in found if one.mistake], found
    return [json.loads(one.body) for one in found]


def mistakes(text: str, shape: Shape) -> list[tuple[int, str]]:
    """Return the lines that are no packet, with what is said about them."""
    return [(one.number, one.mistake) for one in lines(text, shape, STREAMS, ZONES) if one.mistake]


def test_a_german_export_is_understood_at_first_sight() -> None:
    """Semicolons, day first, decimal commas, thousands: read as they were meant."""
    text = "Datum;Uhrzeit;Zählerstand\r\n31.10.2026;23:45;1.234,5\r\n01.11.2026;00:00;1.240\r\n"
    seen = look(text.encode("cp1252"), STREAMS)
    assert (seen.encoding, seen.doubtful) == ("Windows-1252", False)
    shape = seen.shape
    assert (shape.separator, shape.decimal, shape.order) == (";", ",", "day_first")
    assert [(one.name, one.role) for one in shape.columns] == [
        ("Datum", "time"), ("Uhrzeit", "time"), ("Zählerstand", "value"),
    ]  # fmt: skip
    whole = Shape(**{name: getattr(shape, name) for name in Shape.__slots__} | {"stream": "main"})
    assert packets(seen.text, whole) == [
        {"id": "main", "tsISO8601": "2026-10-31T23:45:00+01:00", "value": 1234.5},
        {"id": "main", "tsISO8601": "2026-11-01T00:00:00+01:00", "value": 1240.0},
    ]


def test_a_column_for_each_meter_finds_its_data_points() -> None:
    """The headers are names of data points: one line gives a packet for each, in its own zone."""
    text = "time,Gas boiler,Main supply,remark\n2026-01-05 10:00,5.5,,ok\n2026-01-05 11:00,6,70,\n"
    seen = look(text.encode(), STREAMS)
    assert [(one.role, one.stream) for one in seen.shape.columns] == [
        ("time", ""), ("value", "gas-1"), ("value", "main"), ("ignore", ""),
    ]  # fmt: skip
    assert packets(text, seen.shape) == [
        {"id": "gas-1", "tsISO8601": "2026-01-05T10:00:00+00:00", "value": 5.5},
        {"id": "gas-1", "tsISO8601": "2026-01-05T11:00:00+00:00", "value": 6.0},
        {"id": "main", "tsISO8601": "2026-01-05T11:00:00+01:00", "value": 70.0},
    ]


def test_a_heading_that_several_data_points_share_tells_its_parameter_still() -> None:
    """Of three "Electricity" it can't be known which one; that it is power of phase 1 can."""
    text = "time,Electricity aP_1 [W],Electricity pC [Wh],Foyer f,Main supply aP_1 [W]\n"
    seen = look((text + "2026-01-05 10:00,1,2,3,4\n").encode(), STREAMS)
    assert [(one.role, one.stream) for one in seen.shape.columns] == [
        ("time", ""), ("aP_1", ""), ("ignore", ""), ("ignore", ""), ("aP_1", "main"),
    ]  # fmt: skip


def test_a_line_that_names_its_data_point_and_its_parameters() -> None:
    """Our own shape needs no mapping; what cannot be read is said with its line."""
    text = (
        "id,tsISO8601,pC_1,v_1\nmain,2026-01-05T10:00:00Z,1,230\nboiler,2026-01-05T10:00:00Z,1,\n"
        "main,yesterday,1,\nmain,2026-01-05T10:05:00Z,1o,\n\nmain,2026-01-05T10:10:00Z,,\n"
    )
    shape = look(text.encode(), STREAMS).shape
    assert [one.role for one in shape.columns] == ["point", "time", "pC_1", "v_1"]
    assert mistakes(text, shape) == [
        (3, "There is no data point 'boiler' here."),
        (4, "'yesterday' is not a time."),
        (5, "'1o' is not a number with a decimal '.'."),
        (7, "The line has no value."),
    ]
    first = next(iter(lines(text, shape, STREAMS, ZONES)))
    assert json.loads(first.body) == {
        "id": "main", "tsISO8601": "2026-01-05T10:00:00+00:00", "pC_1": 1.0, "v_1": 230.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "order", "doubtful", "means"),
    [
        ("2026/01/05 24:00", "iso", False, "2026-01-06T00:00:00"),
        ("13/01/2026 08:30", "day_first", False, "2026-01-13T08:30:00"),
        ("01/13/2026 8:30 pm", "month_first", False, "2026-01-13T20:30:00"),
        ("05/01/26 12:00 am", "day_first", True, "2026-01-05T00:00:00"),
        ("1767571200", "unix_s", False, "2026-01-05T00:00:00"),
        ("1767571200000", "unix_ms", False, "2026-01-05T00:00:00"),
    ],
)
def test_times_as_people_and_programs_write_them(
    written: str,
    order: str,
    doubtful: bool,
    means: str,
) -> None:
    """Each way is recognised; where day and month could be swapped, that is said."""
    text = f"time,value\n{written},1\n"
    seen = look(text.encode(), STREAMS)
    assert (seen.shape.order, seen.doubtful) == (order, doubtful)
    shape = Shape(order=seen.shape.order, zone="UTC", stream="main", columns=seen.shape.columns)
    assert packets(text, shape)[0]["tsISO8601"] == f"{means}+00:00"


@given(
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "UTC"]),
    st.sampled_from([5, 10, 15, 30]),
    st.integers(-40, 40),
    st.sampled_from([datetime(2026, 10, 25), datetime(2026, 4, 5), datetime(2026, 11, 1)]),  # noqa: DTZ001
    st.booleans(),
)  # fmt: skip
def test_every_instant_comes_back_from_its_local_time(
    zone: str,
    minutes: int,
    shift: int,
    day: datetime,
    newest_first: bool,
) -> None:
    """A file without offsets over the change of the clocks loses no hour and doubles none."""
    start = day.replace(tzinfo=UTC) + timedelta(minutes=shift * 15) - timedelta(hours=20)
    instants = [start + timedelta(minutes=minutes * n) for n in range(60 * 60 // minutes)]
    if newest_first:
        instants.reverse()
    rows = [f"{one.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M},1" for one in instants]
    first = instants[0].astimezone(ZoneInfo(zone))
    if first.replace(fold=0).utcoffset() != first.replace(fold=1).utcoffset():
        return  # a file that begins within the doubled hour cannot be told apart
    shape = Shape(zone=zone, stream="main", columns=(Column("time", "time"), Column("v", "value")))
    read = packets("\n".join(["time,v", *rows]), shape)
    assert [datetime.fromisoformat(str(one["tsISO8601"])) for one in read] == instants


def test_a_local_time_that_never_was_is_no_packet() -> None:
    """At half past two on the last Sunday of March there is nothing to put in."""
    shape = Shape(
        zone="Europe/Berlin", stream="main", columns=(Column("t", "time"), Column("v", "value"))
    )
    ((line, said),) = mistakes("t,v\n2026-03-29 01:30,1\n2026-03-29 02:30,2\n", shape)
    assert line == 3
    assert "does not exist" in said


def test_history_as_packets_is_taken_as_it_is() -> None:
    """NDJSON needs no columns; a packet without id belongs to the chosen data point."""
    text = (
        '{"id":"main","tsISO8601":"2026-01-05T10:00:00Z","aP_1":1.50}\n'
        '{"tsISO8601":"2026-01-05T10:05:00Z","aP_1":2}\nnonsense\n{"id":"x","value":1}\n'
    )
    seen = look(text.encode(), STREAMS)
    assert seen.shape.kind == "ndjson"
    shape = Shape("ndjson", stream="main")
    found = list(lines(text, shape, STREAMS, ZONES))
    assert found[0].body == b'{"id":"main","tsISO8601":"2026-01-05T10:00:00Z","aP_1":1.50}'
    assert json.loads(found[1].body)["id"] == "main"
    assert [one.number for one in found if one.mistake] == [3, 4]


def test_a_saved_shape_finds_its_columns_again() -> None:
    """Next month's file has a column more and another order: the profile still fits."""
    saved = look(b"when,kWh\n2026-01-05 10:00,1\n", STREAMS).shape
    assert Shape.of_json(json.loads(json.dumps(saved.as_json()))) == saved
    later = look(b"kWh,note,when\n1,x,2026-02-05 10:00\n", STREAMS).shape
    assert [one.role for one in later.fitted(saved).columns] == ["value", "ignore", "time"]


@pytest.mark.parametrize("content", [b"", b"  \n", b"PK\x03\x04\0\0\0", b",".join([b"a"] * 300)])
def test_what_is_no_table_is_refused_in_words(content: bytes) -> None:
    """An Excel workbook or an empty file gets a sentence, not a fault."""
    with pytest.raises(KilowatchError) as refused:
        look(content, STREAMS)
    assert refused.value.code == "unreadable_file"
