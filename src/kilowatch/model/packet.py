"""A packet as it was pushed: one stream, one instant, some values."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Form(IntEnum):
    """The address that a packet was pushed to; stored in the log."""

    LOCAL = 0  # /unifiedjson/: local time with its UTC offset
    UTC = 1  # /unifiedjson_utc/: the timestamp is UTC
    PARTIAL = 2  # /unifiedjson_partial/: some parameters of one timestamp


class OffsetKind(IntEnum):
    """How a timestamp named its offset; the clock decides by it. Stored in the log."""

    NUMERIC = 0  # +01:00, or +00:00, which some clients always send
    ZULU = 1  # Z, or a packet pushed as UTC: the offset is meant


class Packet(NamedTuple):
    """One decoded packet; a tuple, for a frozen dataclass takes 1 µs more to make.

    Attributes:
        stream_id: ``id`` of the packet.
        at_ms: Pushed instant, local part minus offset [ms since 1970, UTC].
        offset_min: Pushed UTC offset [min].
        offset_kind: Whether the offset was a number or ``Z``.
        values: Channel code (``parameters.py``) to value; never empty, never NaN.
        ignored: Names in the packet that are not in the contract.
    """

    stream_id: str
    at_ms: int
    offset_min: int
    offset_kind: OffsetKind
    values: dict[int, float]
    ignored: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """True for a single-value packet."""
        return 0 in self.values
