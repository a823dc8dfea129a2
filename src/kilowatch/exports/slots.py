"""How many exports run at a time: of one person, and of everybody."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from kilowatch.model.errors import KilowatchError

OWN_MAX = 2
ALL_MAX = 6


@dataclass(slots=True)
class Slots:
    """Counts exports that are under way; safe from any thread.

    Attributes:
        own_max: Of one person.
        all_max: Of everybody.
        turn: Held by the one that asks the store, so that pages find a connection free.
    """

    own_max: int = OWN_MAX
    all_max: int = ALL_MAX
    turn: threading.Lock = field(default_factory=threading.Lock)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _running: Counter[int] = field(default_factory=Counter)

    def take(self, user_id: int) -> None:
        """Begin an export.

        Raises:
            KilowatchError: 429 ``exports_running``.
        """
        with self._lock:
            own, everybody = self._running[user_id], self._running.total()
            if own >= self.own_max or everybody >= self.all_max:
                detail = (
                    f"{own} exports of yours are running, which is as many as one person can have."
                    if own >= self.own_max
                    else f"{everybody} exports are running, which is as many as there can be."
                )
                raise KilowatchError(
                    "exports_running",
                    detail,
                    status=429,
                    remedy="Wait until one has ended, or stop it.",
                    retry_helps=True,
                    data={"retry_after_s": 30},
                )
            self._running[user_id] += 1

    def give_back(self, user_id: int) -> None:
        """End an export."""
        with self._lock:
            self._running[user_id] -= 1
            if self._running[user_id] <= 0:
                del self._running[user_id]

    @property
    def running(self) -> int:
        """How many exports are under way."""
        with self._lock:
            return self._running.total()
