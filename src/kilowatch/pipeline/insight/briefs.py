"""What events are ranked by, of many streams at once; read anew when the file was written to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kilowatch.model.insight import UNCOUNTED, WASTE_KINDS, EventBrief
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.insight.columns import decode
from kilowatch.pipeline.insight.reader import InsightReader

KEPT = 2
"""Answers that are kept: of an estate 10,000 events, some 2 MB each."""
_WASTE = ", ".join(f"'{kind.value}'" for kind in sorted(WASTE_KINDS))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, and how often the file had been written to when it was asked."""

    version: int
    from_ms: int
    to_ms: int
    waste: bool
    points: Sequence[DataPoint]


class Briefs:
    """Reads what events are ranked by; safe from any thread.

    To find 10,000 events of 10,000 streams takes as long as a page may take. The engine knows for
    nothing whether anybody has written since: where nobody has, the answer is the one of before.

    Args:
        reader: The file.
    """

    def __init__(self, reader: InsightReader) -> None:
        self._reader = reader
        self._kept: tuple[tuple[_Asked, tuple[EventBrief, ...]], ...] = ()

    def of(
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int, *, waste: bool
    ) -> Sequence[EventBrief]:
        """Return what the events that touch [from_ms, to_ms) are ranked by, in no order.

        Args:
            points: Whose events.
            from_ms: Start [ms since 1970, UTC].
            to_ms: End [ms since 1970, UTC].
            waste: Whether waste alone is asked for.
        """
        # Told before the rows are read: what is written meanwhile is another version.
        asked = _Asked(self._reader.version(), from_ms, to_ms, waste, tuple(points))
        found = next((answer for known, answer in self._kept if known == asked), None)
        if found is None:
            found = self._read(asked)
        others = [one for one in self._kept if one[1] is not found]
        self._kept = (*others[1 - KEPT :], (asked, found))
        return found

    def _read(self, asked: _Asked) -> tuple[EventBrief, ...]:
        found = []
        for some in portions(asked.points):
            rows = self._reader.rows(
                f"SELECT id, series, start_ms, amount, kind, shown FROM event"
                f" {touching(waste=asked.waste)}",
                (numbers(some), asked.from_ms, asked.to_ms),
            )
            for event_id, series, start_ms, amount, kind, shown in rows:
                if shown:
                    kind, start_ms, _, _, amount, *_ = decode(shown)  # noqa: PLW2901 - as it is seen
                    if asked.waste and kind not in WASTE_KINDS:
                        continue
                size = math.nan if amount is None or kind in UNCOUNTED else amount
                found.append(EventBrief(event_id, series, start_ms, size))
        return tuple(found)


def touching(*, waste: bool) -> str:
    """Return the condition of events of a list of series that touch [from, to)."""
    # What is shown may be waste where what was found first is not.
    kinds = f" AND (shown IS NOT NULL OR kind IN ({_WASTE}))" if waste else ""
    return (
        "WHERE cause = '' AND series IN (SELECT value FROM json_each(?))"
        " AND coalesce(shown_until_ms, end_ms) > ?"
        f" AND coalesce(shown_from_ms, start_ms) < ?{kinds}"
    )


def portions(points: Sequence[DataPoint]) -> list[Sequence[DataPoint]]:
    """Return data points as many at a time as one statement asks for."""
    return [points[first : first + 2000] for first in range(0, len(points), 2000)]


def numbers(points: Sequence[DataPoint]) -> str:
    """Return the series of data points as a statement takes them."""
    return "[" + ",".join(str(point.series) for point in points) + "]"
