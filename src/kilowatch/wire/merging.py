"""Partial packets of one timestamp become one measurement; packets become comparable."""

from __future__ import annotations

import struct
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kilowatch.model.parameters import PARAMETER_BY_CHANNEL, VALUE
from kilowatch.wire.explaining import as_pushed
from kilowatch.wire.timestamps import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kilowatch.model.packet import Packet

DIGEST_BYTES: Final = 8  # one accidental match in 10^19 pairs


def digest(values: Mapping[int, float]) -> int:
    """Return a fingerprint of the values, whatever their order in the packet.

    It files discarded packets, so that the same one is kept once. It is signed and 64 bits
    wide, to fit a column. ``-0.0`` is 0.

    Args:
        values: Channel code to value [unit as pushed].
    """
    channels = sorted(values)
    packed = _packer(len(channels))(*channels, *[values[c] + 0.0 for c in channels])
    return int.from_bytes(blake2b(packed, digest_size=DIGEST_BYTES).digest(), "big", signed=True)


@lru_cache(maxsize=128)
def _packer(count: int) -> Callable[..., bytes]:
    return struct.Struct(f"<{count}H{count}d").pack


def encode_packet(packet: Packet) -> bytes:
    """Write a packet anew: JSON that decodes to the same one at the address of local times."""
    said: dict[str, Any] = {
        "id": packet.stream_id,
        "tsISO8601": format_timestamp(packet.at_ms, packet.offset_min, packet.offset_kind),
    }
    return msgspec.json.encode(said | _named(packet.values))


def encode_merged(earlier: Packet, later: Packet, body: bytes) -> bytes:
    """Write the measurement that a partial packet and the one before it make together.

    Identity, timestamp and unknown parameters are those of the later packet, as it was
    pushed (``as_pushed``); of a parameter in both, the later value wins.

    Args:
        earlier: Packet of the same stream and instant.
        later: The partial packet.
        body: The partial packet as it was pushed.

    Returns:
        UTF-8 JSON that decodes to the merged packet.
    """
    assert earlier.at_ms == later.at_ms
    stamp, unknown = as_pushed(body)
    merged: dict[str, Any] = {"id": later.stream_id, "tsISO8601": stamp}
    merged |= _named({**earlier.values, **later.values}) | unknown
    return msgspec.json.encode(merged)


def _named(values: Mapping[int, float]) -> dict[str, float]:
    """Return values by parameter; a whole number is written without a fraction."""
    return {
        "value" if channel == VALUE else PARAMETER_BY_CHANNEL[channel]: (
            int(value) if value.is_integer() and abs(value) < 2**53 else value
        )
        for channel, value in values.items()
    }
