"""Estimates that rest on another meter follow it: its new figures make theirs stale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kilowatch.pipeline.state import StreamState
from kilowatch.pipeline.streams import Points

WHY = "the meter that an estimate is made from has other figures now"


@dataclass(slots=True)
class Sisters:
    """Which streams have estimates made from which others.

    Attributes:
        states: By series; those of dependents are marked stale.
    """

    states: Mapping[int, StreamState]
    _revision: int | None = None
    _dependents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    _seen_ms: dict[int, int] = field(default_factory=dict)

    def follow(self, points: Points) -> None:
        """Look at the catalogue, if it has changed."""
        if points.revision == self._revision:
            return
        self._revision = points.revision
        self._dependents = {}
        for series, point in points.points.items():
            for correction in point.editing.corrections:
                if correction.sister is not None:
                    pair = (series, correction.to_ms)
                    self._dependents.setdefault(correction.sister, []).append(pair)
        for sister in self._dependents:
            self._seen_ms.setdefault(sister, self._last_ms(sister))

    def grown(self, series: Iterable[int]) -> set[int]:
        """Return the dependents of streams that have new readings in their range, now stale."""
        stale: set[int] = set()
        for sister in self._dependents.keys() & set(series):
            before_ms, self._seen_ms[sister] = self._seen_ms[sister], self._last_ms(sister)
            stale |= self._mark(s for s, to_ms in self._dependents[sister] if before_ms < to_ms)
        return stale

    def renewed(self, series: int) -> set[int]:
        """Return the dependents of a stream whose history was computed again, now stale."""
        return self._mark(one for one, _ in self._dependents.get(series, ()))

    def _mark(self, dependents: Iterable[int]) -> set[int]:
        marked = {one for one in dependents if one in self.states and self.states[one].packets}
        for one in marked:
            state = self.states[one]
            state.mark_stale(state.stale or WHY)  # a reason of its own counts more
        return marked

    def _last_ms(self, series: int) -> int:
        state = self.states.get(series)
        return -1 if state is None or state.progress.last_ms is None else state.progress.last_ms
