"""Since when packets have been accepted without a break: who was not heard then was not silent.

A stream can only be called silent for a time in which its packets would have been taken. The
collector knows best when that was not so: it was not running, in maintenance, unable to write the
log or full; or the whole machine slept, or its clock was set.
"""

from __future__ import annotations

from collections.abc import Callable

STALL_MS = 5_000  # we look once a second: after so long the machine slept, or its clock was set


class Accepting:
    """Watches over the collector's own readiness.

    Args:
        refusal: Returns why packets can't be taken just now, or an empty string.
        now_ms: The wall clock [ms since 1970, UTC].

    Attributes:
        since_ms: Packets have been accepted since then; None while they are not.
    """

    def __init__(self, refusal: Callable[[], str], now_ms: Callable[[], int]) -> None:
        self._refusal = refusal
        self._now_ms = now_ms
        self._looked_ms = now_ms()
        self.since_ms: int | None = self._looked_ms

    def look(self) -> int | None:
        """Look now, and return ``since_ms``; called at least once a second."""
        now_ms = self._now_ms()
        stalled = not 0 <= now_ms - self._looked_ms <= STALL_MS
        self._looked_ms = now_ms
        if self._refusal():
            self.since_ms = None
        elif self.since_ms is None or stalled:
            self.since_ms = now_ms
        return self.since_ms


class Readiness:
    """Why the collector can't take packets, as its parts tell it.

    Args:
        maintenance: Returns the operator's reason while maintenance is on, else None.
        log_status: Returns the log writer's numbers.
        take_full: Returns whether a packet was refused for want of room since the last call.
        now_s: Seconds that never go back.
    """

    def __init__(
        self,
        maintenance: Callable[[], str | None],
        log_status: Callable[[], dict[str, object]],
        take_full: Callable[[], bool],
        now_s: Callable[[], float],
    ) -> None:
        self._maintenance = maintenance
        self._log_status = log_status
        self._take_full = take_full
        self._now_s = now_s
        self._moved: tuple[object, float] = (None, now_s())

    def refusal(self) -> str:
        """Return why packets are not accepted, or not made durable; empty if they are."""
        log = self._log_status()
        if log["last_seq"] != self._moved[0] or not log["waiting"]:
            self._moved = (log["last_seq"], self._now_s())
        if self._maintenance() is not None:
            return "maintenance"
        if log["fault"]:
            return "the log can't be written"
        if self._now_s() - self._moved[1] > 1.0:  # what waits so long may be anybody's packet
            return "the disk is slow"
        return "full" if self._take_full() else ""
