"""Any body gets an answer, and the fast way and the careful way give the same one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form, Packet
from kilowatch.model.parameters import CHANNEL_BY_PARAMETER, VALUE, WIRE_CHANNELS
from kilowatch.wire import decode, digest, encode_merged, values_of
from kilowatch.wire import decoding as inside
from kilowatch.wire.explaining import examine

STAMP = "2026-03-29T14:05:00.000+02:00"
HALF = "x\ud800"  # of a surrogate pair: JSON can escape it, UTF-8 has no way to write it
NAMES = st.sampled_from(
    [*WIRE_CHANNELS, "value", "aP", "Value", "id", "tsISO8601", "größe", ":", HALF]
)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**18), 10**18),
    st.sampled_from([0.0, -0.0, 2**53 + 1, 2**64, 10**308, 10**309, -(2**1023)]),
)
TEXTS = st.one_of(st.text(max_size=5), st.just(STAMP), st.just(HALF))
ANYTHING = st.recursive(
    st.one_of(NUMBERS, st.none(), st.booleans(), TEXTS, st.just(float("nan"))),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=3,
)
PAIR = st.one_of(
    st.tuples(st.sampled_from(list(WIRE_CHANNELS)), st.one_of(NUMBERS, st.none())),
    st.tuples(st.sampled_from(["aP_1", "v_13", "v_31"]), st.sampled_from([1, 1.0, 2])),
    st.tuples(st.sampled_from(["aP", "größe", ":", HALF]), ANYTHING),
    st.tuples(NAMES, ANYTHING),
)
RIGHT = st.dictionaries(st.sampled_from(list(CHANNEL_BY_PARAMETER)), NUMBERS, max_size=12)


def write(pairs: list[tuple[str, Any]], *, ascii_only: bool = False) -> str:
    """Write a JSON object whose names may come twice."""
    parts = (
        json.dumps(name, ensure_ascii=ascii_only) + ":" + json.dumps(value, ensure_ascii=ascii_only)
        for name, value in pairs
    )
    return ("{" + ",".join(parts) + "}").replace("\ud800", "\\ud800")


def outcome(way: Any, body: bytes, form: Form) -> Any:
    """Return the packet, or the code of a refusal that a client can read."""
    try:
        return way(body, form)
    except KilowatchError as error:
        refusal = error
    assert refusal.status == 400
    assert refusal.detail
    msgspec.json.encode([refusal.detail, refusal.remedy, refusal.data])
    return refusal.code


def agree(body: bytes, form: Form) -> Any:
    """Decode in every way, hold the ways against each other, and return the outcome."""
    found = outcome(decode, body, form)
    assert found == outcome(examine, body, form)
    fast = outcome(inside._decode_fast, body, form)
    assert fast is None or fast == found
    event(
        ("fast " if fast else "careful ") + ("packet" if isinstance(found, Packet) else "refusal")
    )
    if isinstance(found, Packet):
        assert found.values
        assert all(type(value) is float for value in found.values.values())
        assert found == values_of(body, form)
        assert -(2**63) <= digest(found.values) < 2**63
        found.stream_id.encode()
        "".join(found.ignored).encode()
    return found


@given(
    pairs=st.lists(PAIR, max_size=5),
    place=st.integers(0, 8),
    form=st.sampled_from(Form),
    ascii_only=st.booleans(),
    codec=st.sampled_from(["utf-8", "utf-8", "latin-1", "utf-8-sig"]),
)
@example(
    pairs=[("aP_1", 1.0), ("aP_1", 2.0)], place=0, form=Form.LOCAL, ascii_only=False, codec="utf-8"
)
@example(pairs=[(HALF, float("nan"))], place=0, form=Form.LOCAL, ascii_only=True, codec="utf-8")
@settings(max_examples=400)
def test_any_object_gets_one_answer(
    pairs: list[tuple[str, Any]], place: int, form: Form, ascii_only: bool, codec: str
) -> None:
    """Twice the same name, text for numbers, unknown names: the careful way has the last word."""
    pairs = [*pairs[:place], ("id", "m"), ("tsISO8601", STAMP), *pairs[place:]]
    body = write(pairs, ascii_only=ascii_only).encode(codec, "replace")
    found = agree(body, form)
    if isinstance(found, Packet):
        sent = [
            (name, value) for name, value in pairs if name in WIRE_CHANNELS and value is not None
        ]
        for name, value in sent:  # nothing that was said is dropped without a word
            assert found.values[WIRE_CHANNELS[name]] == float(value)
        for name, _ in pairs:
            shown = name.replace("\ud800", "\\ud800")
            assert shown in (*WIRE_CHANNELS, "value", "id", "tsISO8601", *found.ignored)


@given(values=RIGHT, form=st.sampled_from(Form), order=st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_a_right_packet_goes_the_fast_way_whatever_its_order(
    values: dict[str, Any], form: Form, order: Any
) -> None:
    """What meters send all day long costs microseconds, and arrives to the last bit."""
    pairs = [("id", "m"), ("tsISO8601", STAMP), *values.items()]
    order.shuffle(pairs)
    body = write(pairs).encode()
    found = agree(body, form)
    small = {name: value for name, value in values.items() if abs(value) < 2**1023}
    if values and small == values:
        assert inside._decode_fast(body, form) == found
        assert found.values == {CHANNEL_BY_PARAMETER[n]: float(v) for n, v in values.items()}


GOOD = b"""{"id":"m","tsISO8601":"%s","aP_1":12.5,"v_13":230,"x":"y","pC_1":9e3}""" % STAMP.encode()


PIECES = (
    *(b'"', b"\\", b":", b",", b"}", b"{", b"[", b"-", b"e", b"\0", b"NaN", b"1e999", b"null"),
    *(b'"aP_1":1,', b"\\u003a", b"\\ud800", b"\xef\xbb\xbf", b"\xe2\x80\x9c"),
)
CUT = st.tuples(
    st.integers(0, len(GOOD)),
    st.integers(0, 4),
    st.one_of(st.binary(max_size=3), st.sampled_from(PIECES)),
)


@given(cuts=st.lists(CUT, min_size=1, max_size=3), form=st.sampled_from(Form))
@settings(max_examples=600)
def test_a_damaged_packet_gets_one_answer_and_never_a_crash(
    cuts: list[tuple[int, int, bytes]], form: Form
) -> None:
    """A flipped byte, a lost comma or a cut end is answered with 400 or read as it stands."""
    body = GOOD
    for at, length, piece in cuts:
        body = body[:at] + piece + body[at + length :]
    agree(body, form)


@given(body=st.binary(max_size=60), form=st.sampled_from(Form))
def test_any_bytes_get_an_answer(body: bytes, form: Form) -> None:
    """Port scanners and broken clients send anything."""
    agree(body, form)


CHANNELS = st.dictionaries(
    st.sampled_from(list(CHANNEL_BY_PARAMETER.values())),
    st.floats(allow_nan=False, allow_infinity=False),
    min_size=1,
    max_size=6,
)


@given(earlier=CHANNELS, later=CHANNELS, single=st.booleans(), unknown=st.booleans())
def test_merged_partial_packets_hold_the_later_value_of_each_parameter(
    earlier: dict[int, float], later: dict[int, float], single: bool, unknown: bool
) -> None:
    """A gateway that reads phases one by one pushes them one by one; together they are one."""
    if single:
        earlier, later = {VALUE: next(iter(earlier.values()))}, {VALUE: next(iter(later.values()))}
    names = {**{c: n for n, c in WIRE_CHANNELS.items()}, VALUE: "value"}
    said = {"serial": "A-1", "ok": True, "count": 7}
    extra = {"größe": [1], "\ud800": "\udfff", "huge": 10**30, **said} if unknown else {}

    def body(values: dict[int, float]) -> bytes:
        named = {names[channel]: value for channel, value in values.items()}
        return json.dumps({"id": "m", "tsISO8601": STAMP, **named, **extra}).encode()

    first, second = decode(body(earlier), Form.LOCAL), decode(body(later), Form.PARTIAL)
    merged = encode_merged(first, second, body(later))
    found = decode(merged, Form.PARTIAL)
    assert found.values == {**earlier, **later}
    assert found.ignored == second.ignored
    assert (found.stream_id, found.at_ms, found.offset_min) == ("m", first.at_ms, 120)
    assert STAMP.encode() in merged
    if unknown:  # what a client told beside its readings comes back as it told it
        assert json.loads(merged).items() >= said.items()


@given(values=CHANNELS, order=st.randoms(use_true_random=False), channel=st.integers(0, 5))
def test_the_fingerprint_of_a_packet_is_that_of_its_values_alone(
    values: dict[int, float], order: Any, channel: int
) -> None:
    """A retry is known again although the client wrote its parameters in another order."""
    pairs = list(values.items())
    order.shuffle(pairs)
    assert digest(dict(pairs)) == digest(values)
    changed = pairs[channel % len(pairs)][0]
    assert digest({**values, changed: values[changed] / 2 + 1}) != digest(values) or (
        values[changed] / 2 + 1 == values[changed]
    )
    assert digest({changed: -0.0}) == digest({changed: 0.0})
