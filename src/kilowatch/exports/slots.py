"""How many exports run at a time: of one person, and of everybody."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from kilowatch.model.errors import KilowatchError

OWN_MAX = 2
ALL_MAX = 6
MADE_MAX = 2
"""Slices that are made at a time. Six exports of an estate at once held 322 MiB above idle where
each made its own when it liked, and 210 with two (Parquet: 337 and 244), and took no longer."""

NAMES_MAX = 10_000
FETCHES = 60  # of a link within ten minutes: a refresh in Excel asks two or three times
FAILURES = 30  # of a network address within ten minutes, with tokens that open nothing
WITHIN_S = 600.0


@dataclass(slots=True)
class Rate:
    """Counts what happens under a name within a while; safe from any thread.

    Attributes:
        most: How often it may.
        within_s: Length of the while [s].
    """

    most: int
    within_s: float
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: dict[str, list[float]] = field(default_factory=dict)

    def full(self, name: str, now_s: float) -> float:
        """Return how long a name has to wait [s]; 0 for not at all."""
        with self._lock:
            seen = self._seen.get(name, [])
            recent = [at_s for at_s in seen if at_s > now_s - self.within_s]
            if len(recent) < self.most:
                return 0.0
            return recent[-self.most] + self.within_s - now_s

    def note(self, name: str, now_s: float) -> None:
        """Count."""
        with self._lock:
            if len(self._seen) > NAMES_MAX:
                self._seen.clear()  # who invents names must not fill the memory
            seen = self._seen.setdefault(name, [])
            seen.append(now_s)
            del seen[: -self.most]


@dataclass(slots=True)
class Slots:
    """Counts exports that are under way; safe from any thread.

    Attributes:
        own_max: Of one person.
        all_max: Of everybody.
        fetches: Of each link.
        failures: With tokens that open nothing, of each network address.
        turn: Held by the one that asks the store, so that pages find a connection free.
        making: Held by those that make a piece of a file, from asking the store to its bytes.
    """

    own_max: int = OWN_MAX
    all_max: int = ALL_MAX
    fetches: Rate = field(default_factory=lambda: Rate(FETCHES, WITHIN_S))
    failures: Rate = field(default_factory=lambda: Rate(FAILURES, WITHIN_S))
    turn: threading.Lock = field(default_factory=threading.Lock)
    making: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MADE_MAX))
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
