"""Settings and grids of present data points, made once for each and not for every packet.

The catalogue's reader hands out the same ``DataPoint`` object until the point changes, so identity
tells whether what was made of it still holds: comparing costs nothing, also with 100,000 of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kilowatch.model.points import DataPoint
from kilowatch.pipeline.grids import PointGrid
from kilowatch.pipeline.state import Progress, SharedSettings, grid_of, settings_of

STREAMS_MAX = 200_000  # about 100 MB; beyond it everything is made anew now and then


class _Wanted(NamedTuple):
    """What a data point's rows should be computed with, and what that was made of."""

    point: DataPoint
    decision: Any
    settings: dict[str, Any]


class _Grid(NamedTuple):
    """The grid that a stream is computed with, and what it was made of."""

    point: DataPoint
    settings: dict[str, Any] | None
    grid: PointGrid


class Registered:
    """Remembers what was made of each stream's data point; one thread uses it."""

    def __init__(self) -> None:
        self._wanted: dict[int, _Wanted] = {}
        self._grids: dict[int, _Grid] = {}
        self._shared = SharedSettings()

    def settings_of(self, point: DataPoint, witness: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``state.settings_of``, the same object as long as it does not change."""
        known = self._wanted.get(point.series)
        decision = witness["decision"]
        if known is None or known.point is not point or known.decision != decision:
            if len(self._wanted) >= STREAMS_MAX:
                self._wanted.clear()
            settings = self._shared.of(settings_of(point, witness))
            known = self._wanted[point.series] = _Wanted(point, decision, settings)
        return known.settings

    def grid_of(self, point: DataPoint, progress: Progress) -> PointGrid:
        """Return ``state.grid_of``, the same object as long as it does not change."""
        known = self._grids.get(point.series)
        if (
            known is None
            or known.point is not point
            or known.settings is not progress.settings
            or known.grid.first_export_ms != progress.first_export_ms
            or known.grid.first_register_ms != progress.first_register_ms
        ):
            if len(self._grids) >= STREAMS_MAX:
                self._grids.clear()
            grid = grid_of(point, progress)
            known = self._grids[point.series] = _Grid(point, progress.settings, grid)
        return known.grid
