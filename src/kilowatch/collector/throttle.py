"""Guessing is made slow: each wrong credential from an address is answered later than the last."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

FREE_FAILURES = 3
"""A person mistypes a password two or three times; that costs nothing."""
DELAY_S_FIRST = 0.25
DELAY_S_MAX = 4.0
"""Doubled from the first to this; longer would hold sockets for the guesser's benefit."""
FORGIVEN_AFTER_S = 60.0
"""One failure is forgotten in this time, so that a mended gateway is soon answered at once."""
ADDRESSES_MAX = 10_000
DELAYED_MAX = 1_000
DELAYED_PER_ADDRESS_MAX = 16
"""Answers that wait, over all and for one address: beyond it they are refused at once and the
connection is closed, or slowing down would itself use up connections and memory."""


@dataclass(slots=True)
class _Record:
    failures: float = 0.0
    at_s: float = 0.0
    delayed: int = 0


class Throttle:
    """Counts failures by address; an IPv6 address counts as its /64 network.

    Every time is monotonic seconds, given by the caller.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self.delayed = 0

    def failed(self, address: str, now_s: float) -> float | None:
        """Count one wrong credential.

        Args:
            address: Who tried.
            now_s: Monotonic time [s].

        Returns:
            How long to wait with the answer [s], 0 for not at all; None if too many wait
            already: then answer at once and close. A wait must be ended with ``answered``.
        """
        record = self._record(_network(address))
        record.failures = max(0.0, record.failures - (now_s - record.at_s) / FORGIVEN_AFTER_S) + 1.0
        record.at_s = now_s
        over = record.failures - FREE_FAILURES
        if over <= 0:
            return 0.0
        if self.delayed >= DELAYED_MAX or record.delayed >= DELAYED_PER_ADDRESS_MAX:
            return None
        record.delayed += 1
        self.delayed += 1
        return float(min(DELAY_S_MAX, DELAY_S_FIRST * 2.0 ** min(over - 1.0, 10.0)))

    def answered(self, address: str) -> None:
        """End a wait that ``failed`` asked for."""
        self.delayed -= 1
        record = self._records.get(_network(address))
        if record is not None and record.delayed:
            record.delayed -= 1

    def _record(self, network: str) -> _Record:
        record = self._records.get(network)
        if record is None:
            record = self._records[network] = _Record()
            if len(self._records) > ADDRESSES_MAX:
                self._records.popitem(last=False)
        else:
            self._records.move_to_end(network)
        return record


def _network(address: str) -> str:
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address.split("%", 1)[0])
    except ValueError:
        return address
    # Whoever has one IPv6 address has the 2**64 of its network.
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
