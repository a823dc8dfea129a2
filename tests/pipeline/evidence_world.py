"""Shows packets to a stream's evidence, without a pipeline around it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kilowatch.model.findings import Finding
from kilowatch.model.parameters import WIRE_CHANNELS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.looking import Looking
from kilowatch.pipeline.mismatches import mismatches
from kilowatch.pipeline.rows import Row
from kilowatch.pipeline.state import Fall, StreamState
from tests.pipeline.pipeline_world import START_MS


class Shown:
    """One stream, as far as mismatches are concerned."""

    def __init__(self, point: DataPoint) -> None:
        self.point = point
        self.state = StreamState()
        self.told: Counter[str] = Counter()
        self.at_ms = START_MS
        self._looking = Looking()
        self._dials: dict[int, float] = {}
        self._zone = Zone.of(point.zone)

    def packet(
        self,
        values: Mapping[str, float],
        at_ms: int | None = None,
        *,
        late_ms: int = 700,
        offset_min: int | None = None,
        flags: int = 0,
        ignored: tuple[str, ...] = (),
    ) -> None:
        """Show a packet; by default one interval after the last, with the site's offset."""
        self.at_ms = self.at_ms + self.point.interval_s * 1000 if at_ms is None else at_ms
        if offset_min is None:
            offset_min = int(self._zone.offsets_ms(np.array([self.at_ms]))[0]) // 60_000
        channels = tuple(0 if name == "value" else WIRE_CHANNELS[name] for name in values)
        number = self.state.packets + 1
        row = Row(
            self.at_ms, offset_min, flags, number, self.at_ms + late_ms, channels,
            array("d", [float(value) for value in values.values()]),
        )  # fmt: skip
        self._note_falls(row)
        self.state.observe(row.at_ms, number)
        if ignored:
            self.state.ignore(ignored, row.at_ms)
        self._looking.look(self.state, self.point, [row])
        self.told.update(one.code for one in self.findings())

    def _note_falls(self, row: Row) -> None:
        """Note where a dial falls, as the interval rules do; nobody says why."""
        falls = [
            Fall(channel, row.at_ms, self.state.at_ms, self._dials[channel], value)
            for channel, value in zip(row.channels, row.values, strict=True)
            if value < self._dials.get(channel, value)
        ]
        if row.at_ms > self.state.at_ms:
            self._dials |= dict(zip(row.channels, row.values, strict=True))
            if self.point.behaviour == "register":
                self.state.progress.note_falls(falls, row.at_ms)

    def values(self, values: Iterable[float], **how: Any) -> None:
        """Show packets of a single value, one an interval."""
        for value in values:
            self.packet({"value": value}, **how)

    def findings(self) -> tuple[Finding, ...]:
        """Return what is told now."""
        return mismatches(self.point, self.state)

    @property
    def codes(self) -> list[str]:
        """Return the codes of it."""
        return [one.code for one in self.findings()]
