"""Lets a stream's evidence look at its new packets, and starts it anew with other settings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import structlog

from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.evidence import Evidence, settings_key
from kilowatch.pipeline.rows import Row
from kilowatch.pipeline.state import StreamState

logger = structlog.get_logger("pipeline")

OFFSETS_MAX = 10_000
QUARTER_MS = 900_000  # clocks change on quarter-hours


class Looking:
    """Shows packets to evidence; one thread uses it."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}
        self._keys: dict[int, tuple[DataPoint, str]] = {}

    def look(self, state: StreamState, point: DataPoint | None, rows: Sequence[Row]) -> None:
        """Let a stream's evidence look at those of its new packets that it wants.

        Args:
            state: The stream's.
            point: Its data point; None where its packets can't be computed.
            rows: Its new packets, in the order of the log.
        """
        if point is None:
            return
        known = self._keys.get(point.series)
        if known is None or known[0] is not point:
            known = self._keys[point.series] = (point, settings_key(point))
        key = known[1]
        if state.evidence.settings != key:
            state.evidence = Evidence(settings=key)
        for row in rows:
            if not state.evidence.wants(row):
                continue
            try:
                state.evidence.look(row, point, self._offset_ms(point.zone, row.available_ms))
            except Exception:  # a hint must never stop the figures
                logger.exception("evidence.failed", series=point.series)
                state.evidence = Evidence(settings=key, at_ms=row.at_ms)

    def _offset_ms(self, zone: str, at_ms: int) -> int:
        key = (zone, at_ms // QUARTER_MS)
        if key not in self._offsets:
            if len(self._offsets) >= OFFSETS_MAX:
                self._offsets.clear()
            self._offsets[key] = int(Zone.of(zone).offsets_ms(np.array([at_ms]))[0])
        return self._offsets[key]
