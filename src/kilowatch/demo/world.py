"""The three buildings over a stretch of time, and the packets that their meters send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kilowatch.demo import market, office, school
from kilowatch.demo.events import by_key, events
from kilowatch.demo.plan import Stream
from kilowatch.demo.timeline import ZONE_NAME, Timeline
from kilowatch.demo.traces import Trace, sends
from kilowatch.model.blocks import Ints
from kilowatch.model.lengths import DAY_MS, MINUTE_MS
from kilowatch.model.zones import Zone

CHUNK = 1_000
"""Packets that are computed at a time: 10 ms, so that nothing else waits for long."""

_DECIMALS = {"c": 2, "pF": 3, "f": 3}


@dataclass(frozen=True, slots=True)
class World:
    """Every meter of the demo from ``from_ms`` to ``to_ms``.

    A later end, or another day of the week to look from, changes nothing before it.

    Attributes:
        from_ms: Start of the history [ms since 1970, UTC]; the registers begin here.
        to_ms: End of the simulated time [ms since 1970, UTC].
        traces: Meters by stream id.
    """

    from_ms: int
    to_ms: int
    traces: dict[str, Trace]

    @staticmethod
    def between(from_ms: int, to_ms: int, started_ms: int) -> World:
        """Simulate the buildings.

        Args:
            from_ms: Start, a quarter-hour [ms since 1970, UTC].
            to_ms: End, a quarter-hour [ms since 1970, UTC].
            started_ms: First start of the demo, which places the events.
        """
        timeline = Timeline.between(from_ms, to_ms)
        found = by_key(events(started_ms))
        traces: dict[str, Trace] = {}
        for building in (office, market, school):
            traces |= building.simulate(timeline, found)
        return World(from_ms, to_ms, traces)

    def packets(self, stream: Stream, at_ms: Ints) -> Iterator[bytes]:
        """Return the packets of a stream at instants, oldest first; none during an outage."""
        trace = self.traces[stream.stream_id]
        template = _template(stream)
        for start in range(0, len(at_ms), CHUNK):
            chunk = at_ms[start : start + CHUNK]
            chunk = chunk[sends(trace, chunk)]
            if len(chunk):
                rows = trace.rows(chunk).tolist()
                for stamp, row in zip(timestamps(chunk), rows, strict=True):
                    yield (template % (stamp, *row)).encode()


def history_start_ms(started_ms: int, days: int) -> int:
    """Return local midnight so many days before the first start [ms since 1970, UTC]."""
    zone = Zone.of(ZONE_NAME)
    today = int(zone.local_ms([started_ms])[0]) // DAY_MS
    return int(zone.wall_to_instant_ms(np.array([(today - days) * DAY_MS])).at_ms[0])


def instants(from_ms: int, to_ms: int, step_s: int) -> Ints:
    """Return the multiples of a step in [from_ms, to_ms), shape (n,) [ms]."""
    step_ms = step_s * 1000
    return np.arange(-(-from_ms // step_ms) * step_ms, to_ms, step_ms, dtype=np.int64)


def timestamps(at_ms: Ints) -> list[str]:
    """Return instants as packets carry them: local time with milliseconds and offset."""
    zone = Zone.of(ZONE_NAME)
    offset_min = zone.offsets_ms(at_ms) // MINUTE_MS
    local = np.datetime_as_string(zone.local_ms(at_ms).astype("datetime64[ms]"), unit="ms")
    offsets = {
        minutes: f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
        for minutes in np.unique(offset_min).tolist()
    }
    return [
        stamp + offsets[minutes]
        for stamp, minutes in zip(local.tolist(), offset_min.tolist(), strict=True)
    ]


def _template(stream: Stream) -> str:
    if stream.kind == "single":
        values = f'"value":%.{stream.decimals}f'
    else:
        values = ",".join(
            f'"{name}":%.{_DECIMALS.get(name.split("_")[0], 1)}f' for name in stream.parameters
        )
    return f'{{"id":"{stream.stream_id}","tsISO8601":"%s",{values}}}'
