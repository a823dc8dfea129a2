"""How notifications fare, counted: fed by whoever delivers them, read by checks and metrics."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

DeliveryOutcome = Literal["delivered", "retried", "failed"]
CHANNELS_MAX = 100  # kinds of channel are a few dozen; a mistake must not fill the memory


@dataclass(slots=True)
class Deliveries:
    """Counts attempts by kind of channel and outcome; any thread may note one."""

    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _last: tuple[int, str, str, str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, outcome: DeliveryOutcome, at_ms: int, detail: str = "") -> None:
        """Count one attempt.

        Args:
            kind: Kind of the channel, such as ``mail``; never an address of a person.
            outcome: ``delivered``, ``retried`` (it failed and will be tried again) or ``failed``.
            at_ms: When it was made [ms since 1970, UTC].
            detail: Why it was not delivered, without secrets.
        """
        with self._lock:
            if (kind, outcome) not in self._counts and len(self._counts) >= CHANNELS_MAX:
                kind = "other"
            self._counts[kind, outcome] += 1
            self._last = (at_ms, kind, outcome, detail[:300])

    def told(self) -> dict[str, Any]:
        """Return the last attempt, ready for JSON."""
        with self._lock:
            at_ms, kind, outcome, detail = self._last or (None, "", "", "")
        return {
            "last_ms": at_ms,
            "last_channel": kind,
            "last_outcome": outcome,
            "last_detail": detail,
        }

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many attempts there were by kind of channel and outcome."""
        with self._lock:
            return dict(self._counts)
