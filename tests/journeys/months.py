"""A month of ten meters as packets, and what every hour must come to, computed apart.

``Meter`` is what a journey pushes; its ``hours`` are computed here from the source alone, with
none of the platform's code, so that both can't be wrong in the same way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kilowatch.demo.plan import STREAM_BY_ID
from kilowatch.demo.world import World
from kilowatch.model.blocks import Ints

HOUR_MS = 3_600_000
HOURS = 31 * 24
How = Literal["electrical-cum", "single-cum", "single-avg"]


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter of the journey.

    Attributes:
        stream: Its stream id.
        zone: Time zone of its site.
        utility: What it measures.
        unit: Unit of its values on the wire (an electrical one pushes Wh).
        how: Which kind of data point it is registered as.
        start_ms: First hour [ms].
        used: Amount of each hour from ``start_ms`` on, None where the source has none
            [Wh, or the canonical unit].
    """

    stream: str
    zone: str
    utility: str
    unit: str
    how: How
    start_ms: int
    used: tuple[float | None, ...]

    def packets(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (instant [ms], packet): a register's reading at the hour, or the hour's amount."""
        register = 123_456.0 * self.pushed_unit
        for number, used in enumerate(self.used):
            at_ms = self.start_ms + number * HOUR_MS
            if used is not None:
                value = register if self.cumulative else used
                yield at_ms, self._packet(at_ms, value / self.pushed_unit)
                register += used
        if self.cumulative:
            at_ms = self.start_ms + len(self.used) * HOUR_MS
            yield at_ms, self._packet(at_ms, register / self.pushed_unit)

    def _packet(self, at_ms: int, value: float) -> dict[str, Any]:
        name = "pC_1" if self.how == "electrical-cum" else "value"
        return {"id": self.stream, "tsISO8601": iso(at_ms, self.zone), name: value}

    @property
    def cumulative(self) -> bool:
        """True for a register."""
        return self.how.endswith("cum")

    @property
    def pushed_unit(self) -> float:
        """Size of the unit on the wire in the canonical unit."""
        return 1.0 if self.how == "electrical-cum" or self.unit in ("Wh", "m3") else 1000.0

    def hours(self) -> dict[int, float]:
        """Return the amount of every hour that can be known, by its start [ms]."""
        known: dict[int, float] = {}
        for number, used in enumerate(self.used):
            last = number + 1 == len(self.used)
            # A register tells an hour's use only with a reading at both of its ends.
            if used is not None and (
                not self.cumulative or last or self.used[number + 1] is not None
            ):
                known[self.start_ms + number * HOUR_MS] = used
        return known

    @property
    def total(self) -> float:
        """All that was used, across holes too: registers lose nothing."""
        return math.fsum(used for used in self.used if used is not None)


def iso(at_ms: int, zone: str) -> str:
    """Write an instant as clients do: local time with its offset, to the millisecond."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds")


def real_meters(data: Path) -> list[Meter]:
    """Read ten meters: electricity and gas, registers and amounts, in four time zones.

    March has the change to summer time on both sides of the Atlantic in it.
    """
    cambridge = _month(data / "streams" / "cambridge.parquet", 2019)
    bdg2 = _month(data / "streams" / "bdg2.parquet", 2017)
    chosen = [
        *_choose(cambridge, "-e", 2019, "Europe/London", "electricity", "electrical-cum", 3),
        *_choose(cambridge, "-g", 2019, "Europe/London", "gas", "single-cum", 2),
        *_choose(cambridge, "-g", 2019, "Europe/London", "gas", "single-avg", 2),
        *_choose(bdg2, "", 2017, "US/Eastern", "electricity", "electrical-cum", 1),
        *_choose(bdg2, "", 2017, "Australia/Lord_Howe", "electricity", "single-avg", 2),
    ]
    assert len({meter.stream for meter in chosen}) == 10
    return chosen


def _month(path: Path, year: int) -> dict[str, list[float | None]]:
    """Return Wh of each hour of March (UTC) by stream, None where the source has no row."""
    table = pq.read_table(path)
    march = pc.starts_with(table.column("ts"), f"{year}-03")
    start = datetime(year, 3, 1, tzinfo=UTC)
    used: dict[str, list[float | None]] = {}
    for row in table.filter(march).to_pylist():
        number = round((datetime.fromisoformat(row["ts"]) - start) / timedelta(hours=1))
        if 0 <= number < HOURS:
            stream = used.setdefault(row["stream_id"], [None] * HOURS)
            stream[number] = row["value"] * 1000.0
    return used


def _choose(
    source: dict[str, list[float | None]],
    ending: str,
    year: int,
    zone: str,
    utility: str,
    how: How,
    most: int,
) -> Iterator[Meter]:
    start_ms = round(datetime(year, 3, 1, tzinfo=UTC).timestamp() * 1000)
    for stream in [name for name in source if name.endswith(ending)][:most]:
        amounts = source.pop(stream)
        # A register's first packet is its first reading: begin where the source begins.
        first = next(number for number, amount in enumerate(amounts) if amount is not None)
        begin_ms = start_ms + first * HOUR_MS
        yield Meter(stream, zone, utility, "kWh", how, begin_ms, tuple(amounts[first:]))


SIMULATED: tuple[tuple[str, How], ...] = (
    ("office-electricity", "electrical-cum"),
    ("office-hvac", "electrical-cum"),
    ("market-electricity", "electrical-cum"),
    ("school-kitchen", "single-avg"),
    ("office-gas", "single-cum"),
    ("market-gas", "single-avg"),
    ("school-water", "single-cum"),
)
DUBLIN = "Europe/Dublin"


def simulated_meters() -> list[Meter]:
    """Take seven meters from the demo's buildings; October has the change to winter time."""
    start_ms = round(datetime(2025, 10, 1, tzinfo=UTC).timestamp() * 1000)
    end_ms = start_ms + HOURS * HOUR_MS
    world = World.between(start_ms - 24 * HOUR_MS, end_ms + 24 * HOUR_MS, end_ms)
    instants = np.arange(start_ms, end_ms + 1, HOUR_MS, dtype=np.int64)
    return [_simulated(world, instants, stream, how) for stream, how in SIMULATED]


def _simulated(world: World, instants: Ints, stream_id: str, how: How) -> Meter:
    stream = STREAM_BY_ID[stream_id]
    dial: dict[int, float] = {}
    for body in world.packets(stream, instants):
        packet = json.loads(body)
        at_ms = round(datetime.fromisoformat(packet["tsISO8601"]).timestamp() * 1000)
        names = ("pC_1", "pC_2", "pC_3", "value")
        dial[at_ms] = sum(packet.get(name, 0.0) for name in names)
    hours = [int(at_ms) for at_ms in instants[:-1]]
    used = [
        dial[at_ms + HOUR_MS] - dial[at_ms] if {at_ms, at_ms + HOUR_MS} <= dial.keys() else None
        for at_ms in hours
    ]
    first = next(number for number, amount in enumerate(used) if amount is not None)
    unit = "Wh" if stream.kind == "electrical" else stream.unit
    utility = "electricity" if stream.kind == "electrical" else stream.utility
    return Meter(stream_id, DUBLIN, utility, unit, how, hours[first], tuple(used[first:]))
