"""Requests that are ready to send but for the time in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from kilowatch.model.lengths import DAY_S

STEP_S = 1
"""Time between two packets of a stream: 30 days back to now hold 2.6 million of them."""

_CLOCK = [b"T%02d:%02d:%02d.000+00:00" % (s // 3600, s // 60 % 60, s % 60) for s in range(DAY_S)]
_PARAMETERS = (
    ("aP_1", "7512.4"), ("aP_2", "7104.9"), ("aP_3", "7330.2"), ("v_1", "231.4"),
    ("c_1", "33.18"), ("pC_1", "162973510.5"), ("pC_2", "150689646.5"), ("pC_3", "145397387.3"),
)  # fmt: skip


def body(stream_id: str, stamp: str) -> str:
    """Return a packet of eight values, the size that performance targets are stated for."""
    values = ",".join(f'"{name}":{value}' for name, value in _PARAMETERS)
    return f'{{"id":"{stream_id}","tsISO8601":"{stamp}",{values}}}'


@dataclass(slots=True)
class Requests:
    """The requests of one stream, one after the other.

    Args:
        stream_id: Of the packets.
        at_s: Time of the first packet [s since 1970, UTC].
        head: Request line and headers, without the length.
    """

    stream_id: str
    at_s: int
    head: bytes
    _before: bytes = field(init=False)
    _after: bytes = field(init=False)
    _date: bytes = field(init=False, default=b"")
    _second: int = field(init=False, default=DAY_S)

    def __post_init__(self) -> None:
        packet = body(self.stream_id, "2026-01-01T00:00:00.000+00:00").encode()
        before, after = packet.split(b"2026-01-01T00:00:00.000+00:00")
        self._before = b"%bContent-Length: %d\r\n\r\n%b" % (self.head, len(packet), before)
        self._after = after
        self._turn()

    def _turn(self) -> None:
        at = datetime.fromtimestamp(self.at_s, UTC)
        self._date = at.strftime("%Y-%m-%d").encode()
        self._second = self.at_s % DAY_S

    def next(self) -> bytes:
        """Return the next request."""
        second = self._second
        if second >= DAY_S:
            self._turn()
            second = self._second
        self._second = second + STEP_S
        self.at_s += STEP_S
        return b"".join((self._before, self._date, _CLOCK[second], self._after))
