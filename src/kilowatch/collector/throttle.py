"""Guessing is made slow: each wrong credential from an address is answered later than the last."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from kilowatch.model.networks import network_of

FREE_FAILURES = 3
"""A person mistypes a password two or three times; that costs nothing."""
DELAY_S_FIRST = 0.25
DELAY_S_MAX = 4.0
"""Doubled from the first to this; longer would hold sockets for the guesser's benefit."""
FAILURES_MAX = FREE_FAILURES + 5
"""From so many on every answer waits as long as it may. More are not counted: a gateway that tried
a wrong password all night is answered at once eight minutes after it was mended."""
FORGIVEN_AFTER_S = 60.0
"""One failure is forgotten in this time, so that a mended gateway is soon answered at once."""
ADDRESSES_MAX = 10_000
DELAYED_MAX = 1_000
DELAYED_PER_ADDRESS_MAX = 16
"""Guesses that are verified or wait for their answer, over all and for one address. Beyond it a
guess is answered 503 without looking at it and the connection is closed: slowing down must not
itself use up connections and memory, and many guesses at once must not be faster than few."""


@dataclass(slots=True)
class _Record:
    failures: float = 0.0
    at_s: float = 0.0
    delayed: int = 0
    verifying: int = 0

    def failures_at(self, now_s: float) -> float:
        """Return the failures that are not forgiven yet."""
        return max(0.0, self.failures - (now_s - self.at_s) / FORGIVEN_AFTER_S)


class Throttle:
    """Counts failures by address; an IPv6 address counts as its /64 network.

    Every time is monotonic seconds, given by the caller.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self.delayed = 0
        self._verifying = 0

    def may_guess(self, address: str, now_s: float) -> bool:
        """Tell whether a password may be verified; if so, end it with ``verified``.

        False if the answer, should it be wrong, could not be made to wait.
        """
        record = self._records.get(network_of(address)) or _Record()
        if record.failures_at(now_s) + record.verifying + 1.0 > FREE_FAILURES and (
            self.delayed + self._verifying >= DELAYED_MAX
            or record.delayed + record.verifying >= DELAYED_PER_ADDRESS_MAX
        ):
            return False
        self._record(network_of(address)).verifying += 1
        self._verifying += 1
        return True

    def verified(self, address: str) -> None:
        """End a verification that ``may_guess`` allowed."""
        self._verifying -= 1
        record = self._records.get(network_of(address))
        if record is not None and record.verifying:
            record.verifying -= 1

    def failed(self, address: str, now_s: float) -> float | None:
        """Count one wrong credential.

        Args:
            address: Who tried.
            now_s: Monotonic time [s].

        Returns:
            How long to wait with the answer [s], 0 for not at all; None if too many wait
            already: then answer 503 at once and close. A wait must be ended with ``answered``.
        """
        record = self._record(network_of(address))
        record.failures = min(record.failures_at(now_s) + 1.0, FAILURES_MAX)
        record.at_s = now_s
        over = record.failures - FREE_FAILURES
        if over <= 0:
            return 0.0
        if self.delayed >= DELAYED_MAX or record.delayed >= DELAYED_PER_ADDRESS_MAX:
            return None
        record.delayed += 1
        self.delayed += 1
        return float(min(DELAY_S_MAX, DELAY_S_FIRST * 2.0 ** (over - 1.0)))

    def answered(self, address: str) -> None:
        """End a wait that ``failed`` asked for."""
        self.delayed -= 1
        record = self._records.get(network_of(address))
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
