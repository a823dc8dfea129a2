"""What is remembered of a stream's arrivals, and when its next packet is due.

A packet is due when the last one's *arrival* is older than the data point allows. Counting from
the arrival, and not from the instant in the packet, a stream that is an hour late every time is
never called silent for it, and it does not matter whether an amount is stamped at the start or at
the end of its interval. The instants decide two other things: what is history (a year that is
being imported can't fall silent), and what the silence's gap in the data is.
"""

from __future__ import annotations

import msgspec

from kilowatch.log import Arrival
from kilowatch.log.records import BACKFILLED
from kilowatch.model.clock import live_window_ms
from kilowatch.model.lengths import DAY_S, HOUR_MS, MINUTE_MS
from kilowatch.model.packet import OffsetKind
from kilowatch.model.points import DataPoint

ALIKE = 0.25  # two pauses that differ by no more are a rhythm: 15 min that come in 14 to 18
ALIKE_MS = 1_000
LONGER = 1.25  # a rhythm counts when it is so much longer than the interval
PACED = 0.5  # of the time between two bursts: how far their instants may stray from it
CALENDAR_MS = HOUR_MS  # a day, and so a month, can be an hour longer than registered


class Heard(msgspec.Struct, gc=False):
    """One stream's arrivals; small, and the same whenever the log is read again.

    A *burst* is a run of packets that come faster than twice an interval: a gateway that
    uploads every hour sends twelve five-minute packets at once. Between bursts is a *pause*.

    Attributes:
        seq: Last packet that counted.
        at_ms: Its pushed instant [ms since 1970, UTC].
        offset_min: Its pushed UTC offset [min].
        flags: ``Form + 4 * OffsetKind`` of it.
        received_ms: Its arrival [ms since 1970, UTC].
        credential_id: Who pushed it.
        live: Whether the stream has ever sent the present rather than history.
        burst_at_ms: Instant of the first packet of the present burst.
        burst_received_ms: Arrival of that packet.
        pauses_ms: The last two pauses, the older one first; 0 where there was none.
    """

    seq: int = 0
    at_ms: int = 0
    offset_min: int = 0
    flags: int = 0
    received_ms: int = 0
    credential_id: int = 0
    live: bool = False
    burst_at_ms: int = 0
    burst_received_ms: int = 0
    pauses_ms: tuple[int, int] = (0, 0)

    def hear(self, arrival: Arrival, point: DataPoint | None, zone_offset_ms: int) -> bool:
        """Take note of a packet, in the order of the log.

        Args:
            arrival: The packet.
            point: Its data point, as far as that is registered.
            zone_offset_ms: The site's local time minus UTC at the arrival [ms].

        Returns:
            Whether the stream spoke: False for a packet that was counted before, for one that
            a person put into history, and for one that lies before the latest.
        """
        if arrival.flags & BACKFILLED:
            return False
        if arrival.seq <= self.seq or arrival.at_ms < self.at_ms:
            return False
        interval_ms = point.interval_s * 1000 if point is not None else 0
        pause_ms = arrival.received_ms - self.received_ms
        if not self.seq:
            self._begin_burst(arrival)
        elif 2 * pause_ms > interval_ms:
            self.pauses_ms = (self.pauses_ms[1], pause_ms)
            passed_ms = arrival.received_ms - self.burst_received_ms
            strayed_ms = abs(arrival.at_ms - self.burst_at_ms - passed_ms)
            self.live = self.live or strayed_ms <= PACED * passed_ms
            self._begin_burst(arrival)
        if not self.live and point is not None:
            late_ms = arrival.received_ms - probable_ms(arrival, point, zone_offset_ms)
            self.live = late_ms <= live_window_ms(point.gap_ms)
        self.seq, self.at_ms = arrival.seq, arrival.at_ms
        self.offset_min, self.flags = arrival.offset_min, arrival.flags
        self.received_ms, self.credential_id = arrival.received_ms, arrival.credential_id
        return True

    def _begin_burst(self, arrival: Arrival) -> None:
        self.burst_at_ms, self.burst_received_ms = arrival.at_ms, arrival.received_ms

    def due_ms(self, point: DataPoint, accepting_since_ms: int) -> int:
        """Return when the next packet should have arrived at the latest [ms since 1970, UTC].

        Args:
            point: What the stream is allowed.
            accepting_since_ms: Packets have been taken without a break since then: nobody is
                blamed for the time before.
        """
        heard_ms = max(self.received_ms, accepting_since_ms)
        return heard_ms + allowed_ms(point, self.rhythm_ms(point))

    def rhythm_ms(self, point: DataPoint) -> int:
        """Return the regular pause between packets when it is longer than registered, else 0.

        After three packets with two like pauses a wrong registration is known for what it
        is: that is a finding, and no reason to call the stream silent every few minutes.
        """
        first_ms, second_ms = self.pauses_ms
        longer_ms = max(first_ms, second_ms)
        alike = abs(first_ms - second_ms) <= max(ALIKE * longer_ms, ALIKE_MS)
        if not first_ms or not alike or longer_ms <= LONGER * point.interval_s * 1000:
            return 0
        return longer_ms


def allowed_ms(point: DataPoint, rhythm_ms: int = 0) -> int:
    """Return how long a stream may be quiet [ms].

    Args:
        point: Its interval and tolerance.
        rhythm_ms: A regular pause that is longer than the interval, with a tolerance in the
            same proportion; 0 if there is none.
    """
    calendar_ms = CALENDAR_MS if point.interval_s >= DAY_S else 0
    allowed = point.gap_ms + calendar_ms
    if rhythm_ms:
        share = point.tolerance_s / point.interval_s
        allowed = max(allowed, round(rhythm_ms * (1 + share)))
    return allowed


def probable_ms(arrival: Arrival, point: DataPoint, zone_offset_ms: int) -> int:
    """Return a live packet's instant as ``model.clock`` reads it while nothing is decided."""
    pushed_ms = arrival.offset_min * MINUTE_MS
    meant = arrival.flags >> 2 == OffsetKind.ZULU
    agrees = arrival.offset_min != 0 and pushed_ms == zone_offset_ms
    if point.clock == "offset" or meant or agrees:
        return arrival.at_ms
    return arrival.at_ms + pushed_ms - zone_offset_ms
