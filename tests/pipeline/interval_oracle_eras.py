"""What the second implementation of the interval rules knows of dated settings and meters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kilowatch.model.points import DataPoint
from kilowatch.model.units import UNITS
from tests.pipeline.interval_cases import Packets


@dataclass(frozen=True)
class Era:
    """A period of settings, from its beginning until the next one's."""

    from_ms: int
    until_ms: int
    settings: Any
    scale: float = 1.0
    ct_ratio: float = 1.0
    vt_ratio: float = 1.0
    energy: float | None = None


@dataclass(frozen=True)
class Figure:
    """A figure of a dial: a packet's, or what a person read off (``real`` is False).

    ``end`` is what a difference ends with, ``begin`` what the next one begins with; they
    differ where a meter was exchanged. ``rolled`` is the width of a decided roll-over,
    ``end_seq`` the first packet since which a figure that was read off counts.
    """

    at: int
    seq: int
    end: float | None
    begin: float | None
    real: bool = True
    rolled: float | None = None
    end_seq: int = 0


def eras_of(point: DataPoint) -> list[Era]:
    """Return a data point's periods; one if nothing is dated."""
    never = 1 << 42
    periods = point.history.periods
    if not periods:
        return [Era(0, never, point)]
    ends = [*(period.from_ms for period in periods[1:]), never]
    found = []
    for period, end in zip(periods, ends, strict=True):
        ratios = period.ct_ratio * period.vt_ratio
        scale = period.multiplier
        if point.kind == "electrical":
            scale *= ratios
        else:
            symbol = UNITS[period.unit].canonical
            scale *= {"Wh": ratios, "W": ratios, "A": period.ct_ratio, "V": period.vt_ratio}.get(
                symbol, 1.0
            )
            scale *= period.pulse_weight
        energy = period.calorific_kwh_per_m3
        if energy is not None:
            energy *= period.volume_correction * 1000
        found.append(
            Era(period.from_ms, end, period, scale, period.ct_ratio, period.vt_ratio, energy)
        )
    return found


def without_bad(packets: Packets) -> Packets:
    """Leave out what a person has marked as bad."""
    seq = packets.seq or list(range(1, len(packets.at_ms) + 1))
    kept: list[tuple[int, int, dict[int, float]]] = []
    for at, number, values in zip(packets.at_ms, seq, packets.values, strict=True):
        left = dict(values)
        for event in packets.point.history.events:
            until = event.at_ms if event.until_ms is None else event.until_ms
            if event.kind == "bad" and event.at_ms <= at <= until:
                if event.channel is None:
                    left = {}
                else:
                    left.pop(event.channel, None)
        if left:
            kept.append((at, number, left))
    return Packets(
        packets.point,
        [at for at, _, _ in kept],
        [values for _, _, values in kept],
        [number for _, number, _ in kept],
    )
