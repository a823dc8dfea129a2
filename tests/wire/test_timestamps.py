"""Timestamps: what gateways write, and the instant that each of them means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form, OffsetKind
from kilowatch.wire import format_timestamp, parse_timestamp
from kilowatch.wire import timestamps as inside

NOON = datetime(2026, 3, 29, 12, 5, tzinfo=UTC)


def ms(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "seconds", "offset_min", "kind"),
    [
        ("2026-03-29T14:05:00.000+02:00", 0, 120, OffsetKind.NUMERIC),
        ("2026-03-29T14:05:00+02:00", 0, 120, OffsetKind.NUMERIC),
        ("2026-03-29T14:05+02:00", 0, 120, OffsetKind.NUMERIC),
        ("2026-03-29T14:05+0200", 0, 120, OffsetKind.NUMERIC),
        ("2026-03-29T14:05+02", 0, 120, OffsetKind.NUMERIC),
        ("2026-03-29T12:05:00Z", 0, 0, OffsetKind.ZULU),
        ("2026-03-29t12:05:00z", 0, 0, OffsetKind.ZULU),
        ("2026-03-29 12:05:00Z", 0, 0, OffsetKind.ZULU),
        ("2026-03-29T12:05:00+00:00", 0, 0, OffsetKind.NUMERIC),
        ("2026-03-29T12:05:00-00:00", 0, 0, OffsetKind.NUMERIC),
        ("2026-03-29T17:50:00+05:45", 0, 345, OffsetKind.NUMERIC),
        ("2026-03-29T08:35:00-03:30", 0, -210, OffsetKind.NUMERIC),
        ("2026-03-29T08:35:00\u221203:30", 0, -210, OffsetKind.NUMERIC),
        ("2026-03-30T06:05:00+18:00", 0, 1080, OffsetKind.NUMERIC),
        ("2026-03-29T12:05:01.5Z", 1.5, 0, OffsetKind.ZULU),
        ("2026-03-29T12:05:01,25Z", 1.25, 0, OffsetKind.ZULU),
        ("2026-03-29T12:05:01.9999999Z", 1.999, 0, OffsetKind.ZULU),
        ("2026-03-29T12:05:01.000999+00:00", 1, 0, OffsetKind.NUMERIC),
    ],
)
def test_every_way_to_write_an_instant_means_that_instant(
    text: str, seconds: float, offset_min: int, kind: OffsetKind
) -> None:
    """Loggers write the same moment in many ways; energy must land in the same interval.

    Digits beyond the millisecond are cut off, never rounded up into the next moment.
    """
    expected = ms(NOON) + round(seconds * 1000)
    assert parse_timestamp(text, Form.LOCAL) == (expected, offset_min, kind)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-03-29T12:05:00", 12),
        ("2026-03-29T12:05", 12),
        ("2026-03-29 12:05:00.000", 12),
        ("2026-03-29T12:05:00Z", 12),
        ("2026-03-29T14:05:00+02:00", 12),
        ("2026-03-29T12:05:00+00:00", 12),
    ],
)
def test_the_utc_address_takes_times_without_an_offset_as_utc(text: str, hour: int) -> None:
    """Only there an offset may be missing; one that is present still names its instant."""
    assert parse_timestamp(text, Form.UTC) == (ms(NOON.replace(hour=hour)), 0, OffsetKind.ZULU)


@pytest.mark.parametrize("form", [Form.LOCAL, Form.PARTIAL])
@pytest.mark.parametrize(
    "text", ["2026-03-29T12:05:00", "2026-03-29T12:05", "2026-03-29 12:05:00.123"]
)
def test_elsewhere_a_time_without_an_offset_is_refused(text: str, form: Form) -> None:
    """Local time without an offset is two moments in autumn; we ask instead of guessing."""
    with pytest.raises(KilowatchError) as refusal:
        parse_timestamp(text, form)
    assert refusal.value.code == "missing_offset"
    assert inside.EXAMPLE in refusal.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "1774785900", "2026-03-29", "2026-03-29T12Z", "29.03.2026 12:05:00+02:00",
        "03/29/2026 12:05:00+02:00", "20260329T120500Z", "2026-W13-7T12:05:00Z",
        "2026-088T12:05:00Z", "2026-3-29T12:05:00Z", "2026-03-29T1:05:00Z",
        "2026-03-29T12:5:00Z", "2026-03-29T12:05:0Z", "2026-03-29T12:05:00.Z",
        "2026-03-29T12:05:00 Z", "2026-03-29T12:05:00+2:00", "2026-03-29T12:05:00+02:0",
        "2026-03-29T12:05:00+02:60", "2026-03-29T12:05:00+18:01", "2026-03-29T12:05:00-19:00",
        "2026-03-29T12:05:00+02:00:00", "2026-03-29T12:05:00Z+02:00", "2026-03-29T12:05:00UTC",
        "2026-03-29T12:05:00[Europe/Dublin]", "2026-02-29T12:05:00Z", "2026-13-01T12:05:00Z",
        "2026-00-01T12:05:00Z", "0000-01-01T12:05:00Z", "2026-03-29T25:00:00Z",
        "2026-03-29T12:60:00Z", "2026-03-29T12:05:61Z", "2026-03-29T24:00:01Z",
        "2026-03-29T24:01Z", "2026-03-29T24:00:00.1Z", "2026-03-29T12:05:60Z",
        " 2026-03-29T12:05:00Z", "2026-03-29T12:05:00Z ", "2026-03-29T12:05:00Z\n",
        "+2026-03-29T12:05:00Z", "٢٠٢٦-03-29T12:05:00Z", "2026-03-29T12:05:0\u0660Z",
        "2026-03-29X12:05:00Z", "2026-03-29T12:05:00 02:00", "2026-03-29T12:05:00e+02:00",
        "2026-03-29T+2:05:00Z", "2026-03-29T12:05: 0Z", "\ud800",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", list(Form))
def test_what_is_not_a_timestamp_is_refused_with_an_example(text: str, form: Form) -> None:
    """A wrong time would put energy into the wrong hour, so nothing is guessed."""
    with pytest.raises(KilowatchError) as refusal:
        parse_timestamp(text, form)
    assert refusal.value.code == "invalid_timestamp"
    assert refusal.value.status == 400
    assert "A right one is" in refusal.value.remedy


def test_a_plus_that_became_a_space_is_recognised() -> None:
    """A client that URL-encodes by half turns the plus of the offset into a space."""
    with pytest.raises(KilowatchError, match="lost in URL decoding"):
        parse_timestamp("2026-03-29T12:05:00 02:00", Form.LOCAL)


def test_24_00_is_midnight_at_the_end_of_the_day() -> None:
    """Some meters close their day at 24:00; that is 00:00 of the next day."""
    end = parse_timestamp("2026-12-31T24:00:00.000+01:00", Form.LOCAL)
    assert end == parse_timestamp("2027-01-01T00:00+01:00", Form.LOCAL)


@pytest.mark.parametrize(
    ("text", "offset_min"), [("2016-12-31T23:59:60Z", 0), ("2017-01-01T05:44:60.7+05:45", 345)]
)
def test_a_leap_second_stays_between_its_neighbours(text: str, offset_min: int) -> None:
    """A meter that reads every second gives :59, :60 and :00; each keeps its place."""
    at_ms, found, _ = parse_timestamp(text, Form.LOCAL)
    assert found == offset_min
    assert at_ms == ms(datetime(2016, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))


def test_the_hour_that_comes_twice_in_autumn_is_in_order() -> None:
    """At 03:00 clocks go back to 02:00; the offset tells the two hours apart."""
    summer = [f"2026-10-25T02:{minute:02}:00+02:00" for minute in range(0, 60, 15)]
    winter = [f"2026-10-25T02:{minute:02}:00+01:00" for minute in range(0, 60, 15)]
    instants = [parse_timestamp(text, Form.LOCAL)[0] for text in summer + winter]
    assert instants == [instants[0] + 900_000 * n for n in range(8)]


OFFSETS = st.one_of(
    st.integers(-1080, 1080), st.sampled_from([0, 60, 120, 345, 570, -210, -480, 840, -720])
)


@given(
    moment=st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),  # noqa: DTZ001
    offset_min=OFFSETS,
    precision=st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
    zulu=st.booleans(),
)
@example(
    moment=datetime(2024, 2, 29, 23, 59, 59),  # noqa: DTZ001
    offset_min=60,
    precision="seconds",
    zulu=False,
)
def test_any_instant_in_any_offset_is_read_as_datetime_reads_it(
    moment: datetime, offset_min: int, precision: str, zulu: bool
) -> None:
    """The look-up tables of the fast way agree with Python's own calendar, everywhere."""
    zone = timezone(timedelta(minutes=0 if zulu else offset_min))
    local = moment.replace(tzinfo=zone)
    text = local.isoformat(timespec=precision)
    read_back = datetime.fromisoformat(text)
    if zulu:
        text = text.replace("+00:00", "Z")
    event(precision)
    at_ms, found_min, kind = parse_timestamp(text, Form.LOCAL)
    assert at_ms == ms(read_back)
    assert found_min == (0 if zulu else offset_min)
    assert kind is (OffsetKind.ZULU if zulu else OffsetKind.NUMERIC)
    assert inside._parse_slowly(text, Form.LOCAL) == (at_ms, found_min, kind)
    if precision == "milliseconds":
        assert format_timestamp(at_ms, found_min, kind) == text


ALMOST = st.text("0123456789-+:.,TtZz \u2212", min_size=8, max_size=32)
MUTATED = st.builds(
    lambda text, at, piece, cut: text[: at % 30] + piece + text[at % 30 + cut :],
    st.sampled_from(
        ["2026-03-29T14:05:00.000+02:00", "2016-12-31T23:59:60Z", "2026-03-29T24:00+0100"]
    ),
    st.integers(0, 29),
    st.text("0123456789-+:.,TtZz \u2212²٣", max_size=2),
    st.integers(0, 2),
)


@given(text=st.one_of(MUTATED, ALMOST, st.text(max_size=40)), form=st.sampled_from(Form))
def test_the_fast_way_and_the_careful_way_agree_on_every_text(text: str, form: Form) -> None:
    """Whatever a client sends, speed never changes what a timestamp means."""

    def outcome(parse: object) -> object:
        try:
            return parse(text, form)  # type: ignore[operator]
        except KilowatchError as refusal:
            return refusal.code

    fast, slow = outcome(parse_timestamp), outcome(inside._parse_slowly)
    event("read" if isinstance(fast, tuple) else "refused")
    assert fast == slow
