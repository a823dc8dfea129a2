"""When a data point spoke last, and whether it should have spoken since: one judgement everywhere.

It is the silences' own: a packet counts when it *arrives*, and a data point is late while its
silence lasts (docs/reference/silences.md). What a packet is *for* is another time; where the two
are far apart, pages say both.
"""

from __future__ import annotations

from dataclasses import dataclass

from kilowatch.dashboard.needs import LastValue, View
from kilowatch.dashboard.periods import clock_text
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Contact

STATES = ("fresh", "late", "history", "never")
"""``history``: nothing was ever live, so nothing is expected and nobody is late."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh a data point is.

    Attributes:
        state: One of ``STATES``.
        came_ms: When its last packet came; of history, what that is for [ms]. None before it.
        stamp_ms: What its last packet is for: effective instant [ms]; None before it.
        late_after_ms: How long after that it is late [ms]; None where nothing is expected.
        lags: Whether its last packet is for a time much before or after its arrival.
        heard: Whether that is judged by arrivals: it is live, and somebody listens.
    """

    state: str = "never"
    came_ms: int | None = None
    stamp_ms: int | None = None
    late_after_ms: int | None = None
    lags: bool = False
    heard: bool = False


class Judge:
    """Judges data points at one moment.

    Args:
        view: What is known of streams and silences.
        settings: When a data point is late where nobody listens for silences.
        now_ms: What time it is [ms since 1970, UTC].
    """

    def __init__(self, view: View, settings: DashboardSettings, now_ms: int) -> None:
        self._view = view
        self._settings = settings
        self._now_ms = now_ms

    def of(self, points: list[DataPoint]) -> dict[int, Freshness]:
        """Return how fresh data points are, by series."""
        last = self._view.last_values(points)
        return {point.series: self.one(point, last.get(point.series)) for point in points}

    def one(self, point: DataPoint, last: LastValue | None) -> Freshness:
        """Return how fresh a data point is whose last value is known."""
        if last is None:
            return Freshness()
        contact = self._view.contact(point)
        if contact is None:  # nobody listens yet: the packets' own time has to do
            after_ms = max(point.gap_ms, round(self._settings.late_after_s * 1000))
            state = "late" if self._now_ms - last.at_ms > after_ms else "fresh"
            return Freshness(state, last.at_ms, last.at_ms, after_ms)
        return _heard(last, contact)

    def stamp(self, point: DataPoint, fresh: Freshness) -> str:
        """Return what a last packet that lags is for: "09:15" of today, else with the day."""
        if fresh.stamp_ms is None or not fresh.lags:
            return ""
        day, _, clock = clock_text(fresh.stamp_ms, point.zone)[:16].partition(" ")
        today = clock_text(self._now_ms, point.zone)[:10]
        return clock if day == today else f"{day} {clock}"

    def late(self, points: list[DataPoint]) -> int:
        """Count those that are late, without their values: also of ten thousand."""
        return len(self.late_ones(points))

    def late_ones(self, points: list[DataPoint]) -> list[DataPoint]:
        """Return those that are late, without their values: also of ten thousand."""
        silent = self._view.silent_now()
        if silent is not None:
            return [point for point in points if point.series in silent]
        seen = self._view.last_seen([point.series for point in points])
        least_ms = round(self._settings.late_after_s * 1000)
        return [
            point
            for point in points
            if point.series in seen
            and self._now_ms - seen[point.series] > max(point.gap_ms, least_ms)
        ]


def _heard(last: LastValue, contact: Contact) -> Freshness:
    if not contact.live:
        return Freshness("history", last.at_ms, last.at_ms)
    after_ms = max(contact.due_ms - contact.heard_ms, 0)
    return Freshness(
        "late" if contact.silent else "fresh",
        contact.heard_ms,
        last.at_ms,
        after_ms,
        lags=abs(contact.heard_ms - last.at_ms) > contact.allowed_ms,
        heard=True,
    )
