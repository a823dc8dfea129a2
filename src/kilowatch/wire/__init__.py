"""The packet format of the Data Push API: bytes to a packet, and back.

Promises: every packet that the contract allows becomes one ``Packet``; every other body
becomes a ``KilowatchError`` with a stable code, the place of the mistake and a remedy.
What was accepted once decodes again, at any time and without a clock.
Refuses: I/O, and any knowledge of who pushed the packet or whether the stream exists.
Read first: ``decoding.py`` (the rules), then ``timestamps.py``; ``explaining.py`` is the
slow path that finds out what is wrong with a body, ``merging.py`` joins partial packets.
"""

from kilowatch.wire.decoding import FUTURE_MS_MAX, check_time, decode, text_of, values_of
from kilowatch.wire.merging import digest, encode_merged, encode_packet
from kilowatch.wire.timestamps import format_timestamp, parse_timestamp

__all__ = [
    "FUTURE_MS_MAX",
    "check_time",
    "decode",
    "digest",
    "encode_merged",
    "encode_packet",
    "format_timestamp",
    "parse_timestamp",
    "text_of",
    "values_of",
]
