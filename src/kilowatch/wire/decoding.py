"""The rules of a packet, on the fast path: what is right is decoded in microseconds.

msgspec decodes; whatever it or the checks here do not like goes to ``explaining.py``,
which reads the body again, slowly, and either finds it right after all or says what is
wrong with it. Both ways give the same packet (a property test holds them together).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.packet import Form, OffsetKind, Packet
from kilowatch.model.parameters import CHANNEL_BY_PARAMETER, VALUE
from kilowatch.wire.explaining import ID_LENGTH_MAX, WIRE_NAMES, examine, text_of
from kilowatch.wire.timestamps import format_timestamp, parse_timestamp

__all__ = ["FUTURE_MS_MAX", "check_time", "decode", "text_of", "values_of"]

EARLIEST_MS: Final = 365 * DAY_MS  # 1971: a meter that lost its clock restarts in 1970
FUTURE_MS_MAX: Final = DAY_MS

_CHANNELS: Final[dict[str, int]] = {"value": VALUE, **CHANNEL_BY_PARAMETER}
_FLOAT: Final = frozenset({float})
_FORMS: Final = tuple(Form)
_LARGE: Final = 2**1023  # integers beyond it are looked at closely
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def decode(body: bytes, form: Form, now_ms: int | None = None) -> Packet:
    """Decode and validate one pushed packet.

    Args:
        body: The request's body, at most 64 KiB, UTF-8 or else ISO-8859-1.
        form: The address it was pushed to.
        now_ms: The receiver's clock [ms since 1970, UTC]; None leaves out the check that
            the timestamp lies between 1971 and a day from now.

    Raises:
        KilowatchError: Status 400. ``data`` has what applies of ``parameter``, ``line``,
            ``column`` (both from 1), ``expected``, and ``stream_id`` when the body gives it.
    """
    packet = _decode_fast(body, form)
    if packet is None:
        packet = examine(body, form)
    if now_ms is not None:
        check_time(packet, now_ms)
    return packet


def values_of(body: bytes, flags: int) -> Packet:
    """Decode a body that was accepted before, as the pipeline does.

    Args:
        body: As stored in the log.
        flags: ``Form + 4 * OffsetKind`` as stored beside it.
    """
    return decode(body, _FORMS[flags & 3])


def check_time(packet: Packet, now_ms: int) -> None:
    """Refuse an instant that can only come from a broken clock.

    One packet from the year 2099 would make everything after it "not chronological".

    Raises:
        KilowatchError: ``timestamp_too_old`` or ``timestamp_in_future``.
    """
    if EARLIEST_MS <= packet.at_ms <= now_ms + FUTURE_MS_MAX:
        return
    shown = format_timestamp(packet.at_ms, packet.offset_min, packet.offset_kind)
    data = {"parameter": "tsISO8601", "stream_id": packet.stream_id, "value": shown}
    if packet.at_ms < EARLIEST_MS:
        raise KilowatchError(
            "timestamp_too_old",
            f"tsISO8601 {shown} is before 1971.",
            remedy="Set the clock of the meter or gateway, then send the packet again.",
            data=data,
        )
    now = format_timestamp(now_ms, 0, OffsetKind.ZULU)
    raise KilowatchError(
        "timestamp_in_future",
        f"tsISO8601 {shown} is more than 24 hours ahead of the server's time, {now}.",
        remedy="Set the clock of the meter or gateway, then send the packet again.",
        data=data | {"now": now},
    )


def _decode_fast(body: bytes, form: Form) -> Packet | None:
    """Decode a packet that is plainly right; None sends it the slow way."""
    try:
        fields = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    stream_id, text = fields.pop("id", None), fields.pop("tsISO8601", None)
    if type(stream_id) is not str or type(text) is not str:
        return None
    # A parameter that came twice left no trace in ``fields``, but its colon is in the body.
    # A backslash could hide one more or one less, so a body with one goes the slow way.
    colons = len(fields) + 2 + stream_id.count(":") + text.count(":")
    if body.count(b":") != colons or b"\\" in body or not 0 < len(stream_id) <= ID_LENGTH_MAX:
        return None
    found = _values_fast(fields)
    if found is None:
        return None
    try:
        at_ms, offset_min, kind = parse_timestamp(text, form)
    except KilowatchError as refusal:
        refusal.data["stream_id"] = stream_id
        raise
    return Packet(stream_id, at_ms, offset_min, kind, *found)


def _values_fast(fields: dict[str, Any]) -> tuple[dict[int, float], tuple[str, ...]] | None:
    """Return values by channel and the names to ignore; None if in doubt."""
    ignored: tuple[str, ...] = ()
    try:
        values = {_CHANNELS[name]: value for name, value in fields.items()}
    except KeyError:
        known = _known(fields)
        if known is None:
            return None
        ignored = tuple(name for name in fields if name not in WIRE_NAMES)
        values = known
    if not _FLOAT.issuperset(map(type, values.values())):
        plain = _as_floats(values)
        if plain is None:
            return None
        values = plain
    if not values or (VALUE in values and len(values) > 1):
        return None
    return values, ignored


def _known(fields: dict[str, Any]) -> dict[int, Any] | None:
    """Leave out what is not in the contract; None if it needs a closer look."""
    known: dict[int, Any] = {}
    for name, value in fields.items():
        channel = WIRE_NAMES.get(name)
        if channel is None:
            if type(value) is dict or type(value) is list:
                return None
        elif channel in known:  # v_13 and v_31
            return None
        else:
            known[channel] = value
    return known


def _as_floats(values: dict[int, Any]) -> dict[int, float] | None:
    """Leave out null and convert integers; None if there is anything else."""
    plain: dict[int, float] = {}
    for channel, value in values.items():
        if type(value) is float:
            plain[channel] = value
        elif type(value) is int and -_LARGE < value < _LARGE:
            plain[channel] = float(value)
        elif value is not None:
            return None
    return plain
