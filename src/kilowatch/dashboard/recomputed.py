"""How far histories are that are computed again, for pages that say so beside their figures."""

from __future__ import annotations

from collections.abc import Iterable

from kilowatch.dashboard.needs import View
from kilowatch.model.points import DataPoint


def share_done(view: View, points: Iterable[DataPoint]) -> float | None:
    """Return the share that is done, 0 to 1; None while nothing is computed again."""
    found = view.recomputing(list(points))
    return found.share if found.total else None
