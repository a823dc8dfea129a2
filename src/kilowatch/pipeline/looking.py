"""Lets a stream's evidence look at its new packets, and starts it anew with other settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from kilowatch.model.dated import ALWAYS_MS
from kilowatch.model.lengths import MINUTE_MS, QUARTER_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.evidence import Evidence, settings_key
from kilowatch.pipeline.rows import Row
from kilowatch.pipeline.state import StreamState

logger = structlog.get_logger("pipeline")

OFFSETS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class _Era:
    """What a data point was registered as from an instant on, as far as evidence rests on it."""

    from_ms: int
    point: DataPoint
    key: str


def _eras(point: DataPoint) -> list[_Era]:
    found: list[_Era] = []
    for period in point.history.periods:
        then = replace(
            point, unit=period.unit, behaviour=period.behaviour, interval_s=period.interval_s
        )
        # A meter that sends megawatt-hours since March was not mistaken before.
        key = settings_key(then)
        if not found or found[-1].key != key or found[-1].point.interval_s != then.interval_s:
            found.append(_Era(period.from_ms, then, key))
    return found or [_Era(ALWAYS_MS, point, settings_key(point))]


class Looking:
    """Shows packets to evidence; one thread uses it."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}
        self._known: dict[int, tuple[DataPoint, list[_Era]]] = {}

    def look(self, state: StreamState, point: DataPoint | None, rows: Sequence[Row]) -> None:
        """Let a stream's evidence look at those of its new packets that it wants.

        Args:
            state: The stream's.
            point: Its data point; None where its packets can't be computed.
            rows: Its new packets, in the order of the log.
        """
        if point is None:
            return
        known = self._known.get(point.series)
        if known is None or known[0] is not point:
            known = self._known[point.series] = (point, _eras(point))
        eras = known[1]
        for row in rows:
            era = eras[0] if len(eras) == 1 else self._era(eras, row)
            if era is None:
                continue
            if state.evidence.settings != era.key:
                state.evidence = Evidence(settings=era.key)
            if not state.evidence.wants(row):
                continue
            try:
                offset_ms = self._offset_ms(era.point.zone, row.available_ms)
                state.evidence.look(row, era.point, offset_ms)
            except Exception:  # a hint must never stop the figures
                logger.exception("evidence.failed", series=point.series)
                state.evidence = Evidence(settings=era.key, at_ms=row.at_ms)

    def _era(self, eras: Sequence[_Era], row: Row) -> _Era | None:
        """Return what was registered when a packet was; None where its clock leaves that open."""
        wall_ms = row.at_ms + row.offset_min * MINUTE_MS
        wall_ms -= self._offset_ms(eras[-1].point.zone, row.at_ms)
        found = [
            [era for era in eras if era.from_ms <= at_ms][-1] for at_ms in (row.at_ms, wall_ms)
        ]
        return found[0] if found[0] is found[1] else None

    def _offset_ms(self, zone: str, at_ms: int) -> int:
        key = (zone, at_ms // QUARTER_MS)
        if key not in self._offsets:
            if len(self._offsets) >= OFFSETS_MAX:
                self._offsets.clear()
            self._offsets[key] = int(Zone.of(zone).offsets_ms(np.array([at_ms]))[0])
        return self._offsets[key]
