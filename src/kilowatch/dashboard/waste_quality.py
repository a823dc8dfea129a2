"""How much is known of what waste was found in, and of which quality that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kilowatch.dashboard.behind import shares_of
from kilowatch.dashboard.insight_period import Stretch
from kilowatch.dashboard.needs import View
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_eras import counted_of

LOOKED_AT = 200
"""Data points of a site whose days are looked at for a page; of more, those that wasted most."""
LOOKED_AT_OF_MANY_SITES = 20
"""The same of many sites: they lie far from each other in the store, so that each takes more than a
millisecond, and a page has 200."""
STORE_OPENS = 503


def quality_of(
    view: View, points: Sequence[DataPoint], days: Stretch, now_ms: int
) -> tuple[float | None, Mapping[str, float] | None]:
    """Return what is known of some days of data points, and its shares by quality.

    Waste does without the store: where that opens still, nothing is said of it.

    Args:
        view: Measurements.
        points: Where waste was found, the first ``LOOKED_AT``; they count something.
        days: Their local days.
        now_ms: What is later has not passed [ms].

    Returns:
        Known share of the time that has passed, and of the known time what is derived, edited,
        estimated and questionable, 0 to 1.
    """
    if not points:
        return None, None
    passed_ms, parts = 0, []
    for zone in dict.fromkeys(point.zone for point in points):
        here = {p.series: c[0] for p in points if p.zone == zone and (c := counted_of(p))}
        from_ms, to_ms = days.ms(zone)
        passed_ms += len(here) * max(0, min(to_ms, now_ms) - from_ms)
        try:
            rows = view.series_many(
                [p for p in points if p.series in here],
                sorted(set(here.values())), from_ms, to_ms, "day",
            )  # fmt: skip
        except KilowatchError as error:
            if error.status != STORE_OPENS:
                raise
            return None, None
        keys = np.array(sorted(here), np.int64)
        own = np.array([here[key] for key in keys.tolist()], np.int64)
        parts.append(rows.take(rows.channel == own[np.searchsorted(keys, rows.series)]))
    found = IntervalBlock.concatenate(parts)
    known = float(found.covered_ms.sum()) / passed_ms if passed_ms else 0.0
    return min(1.0, known), shares_of(found)
