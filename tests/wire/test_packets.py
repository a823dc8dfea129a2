"""The packet rules of the Data Push API, row by row."""

from __future__ import annotations

import json

import pytest

from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form, OffsetKind, Packet
from kilowatch.model.parameters import CHANNEL_BY_PARAMETER, VALUE, WIRE_CHANNELS
from kilowatch.wire import check_time, decode, text_of, values_of

NOON_MS = 1_774_785_900_000
HEAD = '"id":"m","tsISO8601":"2026-03-29T14:05:00.000+02:00"'


def packet(rest: str, form: Form = Form.LOCAL) -> Packet:
    """Decode a packet with an id, a timestamp and what is given."""
    return decode(f"{{{HEAD},{rest}}}".encode(), form)


def refusal(body: bytes | str, form: Form = Form.LOCAL) -> KilowatchError:
    """Return the error that a body is answered with."""
    with pytest.raises(KilowatchError) as caught:
        decode(body.encode() if isinstance(body, str) else body, form)
    assert caught.value.status == 400
    assert not caught.value.retry_helps
    json.dumps(caught.value.data)  # it travels in the answer
    str(caught.value).encode()
    return caught.value


def test_a_packet_of_every_parameter_keeps_every_value() -> None:
    """Nothing that the contract names gets lost, and each value is under its own channel."""
    values = {name: number + 0.5 for number, name in enumerate(CHANNEL_BY_PARAMETER)}
    decoded = packet(json.dumps(values)[1:-1])
    assert decoded.values == {CHANNEL_BY_PARAMETER[n]: v for n, v in values.items()}
    assert decoded.stream_id == "m"
    assert (decoded.at_ms, decoded.offset_min) == (NOON_MS, 120)
    assert decoded.offset_kind is OffsetKind.NUMERIC
    assert decoded.ignored == ()
    assert not decoded.single


@pytest.mark.parametrize("name", [*WIRE_CHANNELS, "value"])
def test_one_parameter_is_enough(name: str) -> None:
    """A meter sends what it has: any subset of the parameters makes a packet."""
    assert packet(f'"{name}":1').values == {WIRE_CHANNELS.get(name, VALUE): 1.0}


def test_an_integer_a_zero_and_a_negative_value_are_numbers_like_others() -> None:
    """A dial at rest sends 0, an exporting building negative power."""
    decoded = packet('"aP_1":-5,"aP_2":0,"aP_3":-0.0,"pC_1":123456789012')
    assert list(decoded.values.values()) == [-5.0, 0.0, 0.0, 123456789012.0]
    assert {type(value) for value in decoded.values.values()} == {float}


def test_null_is_as_if_the_parameter_were_absent() -> None:
    """A meter whose third phase is not connected may say so with null."""
    assert packet('"aP_1":1.5,"aP_3":null') == packet('"aP_1":1.5')
    assert refusal(f'{{{HEAD},"aP_1":null,"value":null}}').code == "no_known_parameter"


def test_a_parameter_that_is_not_in_the_table_is_named_and_the_rest_is_kept() -> None:
    """A typo must not lose data silently: the packet counts, and the name is reported."""
    decoded = packet('"aP_1":1.5,"AP_2":2,"ap_3":3,"aP":4')
    assert decoded.values == {CHANNEL_BY_PARAMETER["aP_1"]: 1.5}
    assert decoded.ignored == ("AP_2", "ap_3", "aP")


@pytest.mark.parametrize(
    "extra",
    ['"text"', '"12:05 o\'clock"', "true", "null", "[1,[2,{}]]", '{"a":{"aP_2":7}}', "1e999", "[]"],
)
def test_an_unknown_parameter_may_hold_anything(extra: str) -> None:
    """Gateways add serial numbers, states and objects of their own; readings get through."""
    decoded = packet(f'"state":{extra},"aP_1":1.5')
    assert decoded.values == {CHANNEL_BY_PARAMETER["aP_1"]: 1.5}
    assert decoded.ignored == ("state",)


@pytest.mark.parametrize("body", [f"{{{HEAD}}}", f'{{{HEAD},"AP_1":3,"power":4}}'])
def test_a_packet_without_any_known_parameter_is_refused(body: str) -> None:
    """Such a packet tells nothing; the sender learns which names are known."""
    found = refusal(body)
    assert found.code == "no_known_parameter"
    assert found.data["stream_id"] == "m"


def test_value_and_electrical_parameters_do_not_go_together() -> None:
    """A data point is either a gas meter's single value or an electrical meter."""
    found = refusal(f'{{{HEAD},"value":1,"aP_1":2}}')
    assert found.code == "mixed_kinds"
    assert "aP_1" in found.detail


@pytest.mark.parametrize(
    "value",
    ['"12.5"', '""', "true", "false", "NaN", "Infinity", "-Infinity", "nan", "-inf", "1.#QNAN",
     "[1]", "{}", "[]"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["aP_1", "value", "v_13"])
def test_what_is_not_a_number_is_refused_by_name(name: str, value: str) -> None:
    """The parameter is named, so that the gateway's settings can be mended in a minute."""
    found = refusal(f'{{{HEAD},"{name}":{value}}}')
    assert found.code == "not_a_number"
    assert found.data["parameter"] == name
    assert found.data["stream_id"] == "m"


@pytest.mark.parametrize(
    "value", ["1e999", "-1e309", "9" * 400, "-" + "9" * 5000, "1" + "0" * 309, "2e308"]
)
def test_a_number_outside_double_range_is_refused_by_name(value: str) -> None:
    """A register cannot hold it, so it is a fault of the meter and not a reading."""
    found = refusal(f'{{{HEAD},"aP_1":1,"pC_1":{value}}}')
    assert (found.code, found.data["parameter"]) == ("number_out_of_range", "pC_1")


@pytest.mark.parametrize("value", ["1.7e308", "1" + "0" * 308, "5e-324", "1e-400", "9" * 300])
def test_a_number_inside_double_range_is_kept(value: str) -> None:
    """The edges of what a double can hold are still numbers."""
    assert packet(f'"value":{value}').values == {VALUE: float(value)}


def test_v_13_is_another_name_of_v_31() -> None:
    """Both names of the line-to-line voltage are in use in the field."""
    channel = CHANNEL_BY_PARAMETER["v_31"]
    assert packet('"v_13":400.5').values == {channel: 400.5}
    assert packet('"v_13":400.5,"v_31":400.5').values == {channel: 400.5}
    assert packet('"v_13":null,"v_31":400.5').values == {channel: 400.5}
    found = refusal(f'{{{HEAD},"v_13":400.5,"v_31":401}}')
    assert found.code == "conflicting_values"
    assert found.data["parameters"] == ["v_13", "v_31"]
    assert "v_13" in found.detail
    assert "v_31" in found.detail


def test_a_parameter_that_comes_twice_must_say_the_same() -> None:
    """JSON leaves open which of two values counts, so we never choose one silently."""
    assert packet('"aP_1":5,"aP_1":5.0').values == {CHANNEL_BY_PARAMETER["aP_1"]: 5.0}
    assert packet('"aP_1":null,"aP_1":5').values == {CHANNEL_BY_PARAMETER["aP_1"]: 5.0}
    assert packet('"x":1,"aP_1":5,"x":2').ignored == ("x",)
    found = refusal(f'{{{HEAD},"aP_1":5,"aP_1":6}}')
    assert (found.code, found.data["parameter"]) == ("conflicting_values", "aP_1")
    assert refusal(f'{{{HEAD},"aP_1":5,"a\\u0050_1":6}}').code == "conflicting_values"
    hidden = '{"id":"a\\u003ab","tsISO8601":"2026-03-29T14:05Z","aP_1":5,"aP_1":6}'
    assert refusal(hidden).code == "conflicting_values"
    assert refusal(f'{{{HEAD},"id":"n","aP_1":5}}').data["parameter"] == "id"
    twice = f'{{{HEAD},"tsISO8601":"2026-03-29T14:06:00+02:00","aP_1":5}}'
    assert refusal(twice).data["parameter"] == "tsISO8601"


@pytest.mark.parametrize(
    ("sent", "stream_id"),
    [
        ('"m"', "m"), ('" m "', " m "), ('"Zähler"', "Zähler"), ('"a:b"', "a:b"),
        ('"a\\u003ab"', "a:b"), ('"\\ud83d\\udd0c"', "🔌"), ("4711", "4711"), ("0", "0"),
        ("-1", "-1"), (f'"{"x" * 255}"', "x" * 255), ('"urn:dev:mac:0024befffe804ff1"', None),
    ],
)  # fmt: skip
def test_the_id_is_taken_exactly_as_it_is(sent: str, stream_id: str | None) -> None:
    """No trimming and no change of case; a whole number counts as its digits."""
    decoded = decode(
        f'{{"id":{sent},"tsISO8601":"2026-03-29T14:05Z","value":1}}'.encode(), Form.LOCAL
    )
    assert decoded.stream_id == (stream_id or sent[1:-1])


@pytest.mark.parametrize(
    "sent", ['""', "1.5", "true", "[]", "{}", f'"{"x" * 256}"', '"\\ud800"', "NaN", "1e2"]
)
def test_an_id_that_is_no_text_is_refused(sent: str) -> None:
    """Without a usable id nobody can say whose reading it is."""
    found = refusal(f'{{"id":{sent},"tsISO8601":"2026-03-29T14:05Z","value":1}}')
    assert (found.code, found.data["parameter"]) == ("invalid_id", "id")


@pytest.mark.parametrize("start", ["", '"id":null,', '"ID":"m",'])
def test_a_packet_without_an_id_is_refused(start: str) -> None:
    """Without an id nobody can say whose reading it is."""
    body = f'{{{start}"tsISO8601":"2026-03-29T14:05Z","value":1}}'
    assert refusal(body).code == "missing_id"


def test_a_packet_without_a_timestamp_is_refused_with_an_example() -> None:
    """The server's clock is no substitute: a backfill would land in one interval."""
    for body in ('{"id":"m","value":1}', '{"id":"m","tsISO8601":null,"value":1}'):
        found = refusal(body)
        assert (found.code, found.data["stream_id"]) == ("missing_timestamp", "m")
        assert "+02:00" in found.remedy
    assert refusal('{"id":"m","tsISO8601":1774785900,"value":1}').code == "invalid_timestamp"
    found = refusal('{"id":"m","tsISO8601":"2026-03-29T14:05:00","value":1}')
    assert (found.code, found.data["stream_id"]) == ("missing_offset", "m")


def test_a_clock_that_is_far_off_is_refused() -> None:
    """One packet from 2099 would make everything after it "not chronological"."""
    body = f'{{{HEAD},"value":1}}'.encode()
    day_ms = 86_400_000
    assert decode(body, Form.LOCAL, now_ms=NOON_MS - day_ms).at_ms == NOON_MS
    with pytest.raises(KilowatchError) as future:
        decode(body, Form.LOCAL, now_ms=NOON_MS - day_ms - 1)
    assert (future.value.code, future.value.data["stream_id"]) == ("timestamp_in_future", "m")
    old = b'{"id":"m","tsISO8601":"1970-12-31T23:59:59.999Z","value":1}'
    with pytest.raises(KilowatchError) as past:
        decode(old, Form.LOCAL, now_ms=NOON_MS)
    assert past.value.code == "timestamp_too_old"
    check_time(values_of(old, 0)._replace(at_ms=31_536_000_000), NOON_MS)  # 1971 exactly


@pytest.mark.parametrize("body", ["[]", "[{}]", "5", '"text"', "null", "true", " [1"])
def test_a_body_that_is_not_one_object_is_refused(body: str) -> None:
    """One packet per request: each packet has its own answer, so each can be retried."""
    assert refusal(body).code == "not_one_packet"


@pytest.mark.parametrize("rest", ["{}", "x", "}", ",", "\n{", "\0", "\u00a0", "//"])
def test_nothing_may_follow_the_packet(rest: str) -> None:
    """What follows would be lost without a word."""
    found = refusal(f'{{{HEAD},"value":1}}\n{rest}')
    assert found.code == "not_one_packet"
    assert found.data["line"] >= 2
    assert found.data["stream_id"] == "m"


def test_white_space_around_the_packet_and_a_byte_order_mark_do_no_harm() -> None:
    """Editors and embedded clients add them."""
    body = f'{{{HEAD},"value":1}}'.encode()
    expected = decode(body, Form.LOCAL)
    assert decode(b" \r\n\t" + body + b"\r\n\r\n", Form.LOCAL) == expected
    assert decode(b"\xef\xbb\xbf" + body, Form.LOCAL) == expected


def test_a_body_that_is_not_utf_8_is_read_as_iso_8859_1() -> None:
    """A client in use sends it so, and its streams have umlauts in their ids."""
    body = '{"id":"Zähler","tsISO8601":"2026-03-29T14:05Z","value":1,"größe":2}'
    assert decode(body.encode("latin-1"), Form.LOCAL) == decode(body.encode(), Form.LOCAL)
    assert decode(body.encode("latin-1"), Form.LOCAL).stream_id == "Zähler"
    assert text_of(body.encode("latin-1")) == text_of(b"\xef\xbb\xbf" + body.encode()) == body


def test_what_was_accepted_is_read_again_without_a_clock() -> None:
    """The pipeline reads stored packets years later; a packet that was right stays right."""
    body = f'{{{HEAD},"value":1}}'.encode()
    for form in Form:
        assert values_of(body, form + 4 * OffsetKind.NUMERIC) == decode(body, form, NOON_MS)


def test_deep_nesting_is_refused_and_stops_nothing() -> None:
    """A body of 60,000 brackets is no packet, and must not take the server down."""
    assert packet('"x":' + "[" * 63 + "]" * 63 + ',"value":1').ignored == ("x",)
    for inner in ("[" * 64 + "]" * 64, "[" * 60_000, '{"a":' * 10_000, '"[[["' * 9 + "[" * 70):
        found = refusal(f'{{{HEAD},"value":1,"x":{inner}}}')
        assert found.code == "nested_too_deep"
        assert found.data["stream_id"] == "m"
