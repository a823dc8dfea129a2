"""The interval rules once more, one packet and one figure at a time, in plain Python.

Slow, obvious and written from the rules (docs/reference/intervals.md), not from the code:
what the fast code computes for all streams at once must equal this.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from itertools import pairwise
from math import fsum
from typing import Any

from kilowatch.model.blocks import Quality
from kilowatch.model.calendar import Zone, bucket_end_ms, bucket_start_ms
from kilowatch.model.points import DataPoint
from tests.pipeline.interval_cases import Packets

Key = tuple[int, int]  # channel and start
ENERGIES, POWERS, FACTOR = (24, 44, 48, 52), (4, 8, 12), 32
HOUR_MS = 3_600_000


class Oracle:
    """Interval rows of one stream."""

    def __init__(self, packets: Packets) -> None:
        self.packets = packets
        self.point = packets.point
        self.zone = Zone.of(self.point.zone)
        self.seq = packets.seq or list(range(1, len(packets.at_ms) + 1))
        self.rows: dict[Key, dict[str, Any]] = {}
        if self.point.kind == "single":
            self._value()
        else:
            self._electrical()

    def start(self, at_ms: int) -> int:
        """Return the start of the interval that an instant lies in [ms]."""
        return int(bucket_start_ms([at_ms], self.point.interval_s, self.zone)[0])

    def end(self, at_ms: int) -> int:
        """Return the end of the interval that an instant lies in [ms]."""
        return int(bucket_end_ms([at_ms], self.point.interval_s, self.zone)[0])

    def sample_start(self, at_ms: int) -> int:
        """Return the start of the interval that a value stamped so belongs to [ms]."""
        return self.start(at_ms - 1 if self.point.stamp == "end" else at_ms)

    def row(self, channel: int, start: int) -> dict[str, Any]:
        """Return the row of a channel and interval, a blank one at first."""
        unknown = dict.fromkeys(("mean", "low", "high", "amount", "unallocated"))
        blank = {"count": 0, "covered_ms": 0, "quality": 0, "version": 0} | unknown
        row = self.rows.setdefault((channel, start), blank)
        row["duration_ms"] = self.end(start) - start
        return row

    def column(self, channel: int) -> list[tuple[int, int, float]]:
        """Return instant, sequence number and value of the packets that carry a channel."""
        packets = zip(self.packets.at_ms, self.seq, self.packets.values, strict=True)
        return [(at, seq, values[channel]) for at, seq, values in packets if channel in values]

    def _value(self) -> None:
        unit = self.point.unit_of_value
        column = [(at, seq, v * unit.factor + unit.offset) for at, seq, v in self.column(0)]
        if self.point.behaviour == "register":
            self._register(0, self.column(0), unit.factor)
            return
        for start, seqs, values in self._by_interval(column):
            row = self._sampled(0, start, seqs, values)
            hours = row["duration_ms"] / HOUR_MS
            if self.point.behaviour == "amount":
                row |= {"mean": None, "amount": fsum(values), "unallocated": 0.0}
            elif self.point.behaviour == "rate":
                amount = row["mean"] * hours * unit.amount_factor
                row |= {"amount": amount, "unallocated": 0.0}

    def _by_interval(
        self, column: list[tuple[int, int, Any]]
    ) -> list[tuple[int, list[int], list[Any]]]:
        found: dict[int, tuple[list[int], list[Any]]] = defaultdict(lambda: ([], []))
        for at, seq, value in column:
            seqs, values = found[self.sample_start(at)]
            seqs.append(seq)
            values.append(value)
        return [(start, seqs, values) for start, (seqs, values) in found.items()]

    def _sampled(
        self, channel: int, start: int, seqs: list[int], values: list[float]
    ) -> dict[str, Any]:
        row = self.row(channel, start)
        packets = zip(self.packets.at_ms, self.seq, strict=True)
        row["version"] = max(seq for at, seq in packets if self.sample_start(at) == start)
        row |= {"count": len(seqs), "covered_ms": row["duration_ms"]}
        row |= {"mean": fsum(values) / len(values), "low": min(values), "high": max(values)}
        return row

    def _register(
        self, channel: int, column: list[tuple[int, int, float]], factor: float = 1.0
    ) -> None:
        for at, seq, _ in column:
            row = self.row(channel, self.start(at))
            row["count"] += 1
            row["version"] = max(row["version"], seq)
            row["unallocated"] = row["unallocated"] or 0.0
        for (a_at, _, a), (b_at, _, b) in pairwise(column):
            step, known = self._step(Fraction(a), Fraction(b))
            step *= Fraction(factor)
            closing = self.start(b_at - 1)
            if not known:
                row = self.row(channel, closing)
                row["quality"] = int(Quality.QUESTIONABLE)
                row["unallocated"] = row["unallocated"] or 0.0
            elif self._gap(a_at, b_at):
                if step:
                    row = self.row(channel, closing)
                    row["unallocated"] = (row["unallocated"] or 0.0) + step
            else:
                self._spread(channel, (a_at, b_at), step)
        self._versions(channel, column)

    def _versions(self, channel: int, column: list[tuple[int, int, float]]) -> None:
        """Let each pair count in the version of the intervals it belongs to, known or not."""
        for (a_at, a_seq, _), (b_at, b_seq, _) in pairwise(column):
            now = self.start(b_at - 1) if self._gap(a_at, b_at) else a_at
            while now < b_at:
                if (channel, self.start(now)) in self.rows:
                    row = self.row(channel, self.start(now))
                    row["version"] = max(row["version"], a_seq, b_seq)
                now = self.end(now)

    def _gap(self, a_at: int, b_at: int) -> bool:
        longer_ms = HOUR_MS if self.point.interval_s >= 86_400 else 0
        return b_at - a_at > self.point.gap_ms + longer_ms

    def _spread(self, channel: int, between: tuple[int, int], step: Fraction) -> None:
        now, until = between
        while now < until:
            cut = min(self.end(now), until)
            row = self.row(channel, self.start(now))
            part = step * Fraction(cut - now, until - between[0])
            row["amount"] = (row["amount"] or 0) + part
            row["unallocated"] = row["unallocated"] or 0.0
            row["covered_ms"] += cut - now
            now = cut

    def _step(self, a: Fraction, b: Fraction) -> tuple[Fraction, bool]:
        width = self.point.register_max
        if b >= a:
            return b - a, True
        if width is not None and a <= width and b - a + Fraction(width) <= Fraction(width) / 2:
            return b - a + Fraction(width), True
        return Fraction(0), False

    def _electrical(self) -> None:
        channels = {channel for values in self.packets.values for channel in values}
        for channel in sorted(channels):
            energy = channel - channel % 4 in ENERGIES
            if energy and self.point.behaviour == "register":
                self._register(channel, self.column(channel))
            elif energy:
                self._amount(channel, self.column(channel))
            elif channel - channel % 4 == FACTOR:
                self._phase_factor(channel)
            else:
                for start, seqs, values in self._by_interval(self.column(channel)):
                    self._sampled(channel, start, seqs, values)
        for total in POWERS:
            for start, seqs, values in self._by_interval(self._sums(total)):
                self._sampled(total, start, seqs, values)
        self._power_factor()
        for total in ENERGIES:
            if self.point.behaviour == "register":
                self._register_total(total)
            else:
                self._amount(total, self._sums(total))
        self._energy_from_power()

    def _amount(self, channel: int, column: list[tuple[int, int, float]]) -> None:
        for start, seqs, values in self._by_interval(column):
            row = self._sampled(channel, start, seqs, values)
            row |= {"mean": None, "amount": fsum(values), "unallocated": 0.0}

    def _sums(self, total: int) -> list[tuple[int, int, float]]:
        phases = (total + 1, total + 2, total + 3)
        packets = zip(self.packets.at_ms, self.seq, self.packets.values, strict=True)
        return [
            (at, seq, sum(values[phase] for phase in phases if phase in values))
            for at, seq, values in packets
            if any(phase in values for phase in phases)
        ]

    def _phase_factor(self, channel: int) -> None:
        phase, column = channel - FACTOR, []
        packets = zip(self.packets.at_ms, self.seq, self.packets.values, strict=True)
        for at, seq, values in packets:
            if channel in values:
                p, s, pf = values.get(4 + phase), values.get(12 + phase), values[channel]
                if s is None and p is not None and pf:
                    s = abs(p / pf)
                column.append((at, seq, (pf, s or 0.0)))
        for start, seqs, parts in self._by_interval(column):
            row = self._sampled(channel, start, seqs, [pf for pf, _ in parts])
            loads = [s for _, s in parts if s > 0]
            if loads:
                row["mean"] = fsum(pf * s for pf, s in parts if s > 0) / fsum(loads)
                row["amount"] = fsum(loads) / len(loads) * row["duration_ms"] / HOUR_MS

    def _power_factor(self) -> None:
        column = []
        packets = zip(self.packets.at_ms, self.seq, self.packets.values, strict=True)
        for at, seq, values in packets:
            p_total = s_total = 0.0
            for phase in (1, 2, 3):
                p, s, pf = (values.get(total + phase) for total in (4, 12, FACTOR))
                if s is None and p is not None and pf:
                    s = abs(p / pf)
                if p is not None and s is not None:
                    p_total, s_total = p_total + p, s_total + s
            factors = [phase for phase in (1, 2, 3) if FACTOR + phase in values]
            if factors == [1] and not any(4 + phase in values for phase in (1, 2, 3)):
                column.append((at, seq, (values[FACTOR + 1], 1.0)))
            elif s_total > 0:
                column.append((at, seq, (p_total, s_total)))
        for start, seqs, parts in self._by_interval(column):
            row = self._sampled(FACTOR, start, seqs, [p / s for p, s in parts])
            loads = [s for _, s in parts]
            row["mean"] = fsum(p for p, _ in parts) / fsum(loads)
            row["amount"] = fsum(loads) / len(loads) * row["duration_ms"] / HOUR_MS

    def _register_total(self, total: int) -> None:
        starts = {start for channel, start in self.rows if total < channel < total + 4}
        for start in starts:
            phases = [
                self.rows[total + phase, start]
                for phase in (1, 2, 3)
                if (total + phase, start) in self.rows
            ]
            known = [row["amount"] for row in phases if row["amount"] is not None]
            self.row(total, start).update(
                count=max(row["count"] for row in phases),
                version=max(row["version"] for row in phases),
                quality=max(row["quality"] for row in phases),
                covered_ms=min(row["covered_ms"] for row in phases),
                amount=sum(known) if known else None,
                unallocated=sum(row["unallocated"] for row in phases),
            )

    def _energy_from_power(self) -> None:
        first: dict[int, int] = {}
        for total in (24, 44):
            carried = [at for at, _, _ in self._sums(total)]
            if carried:
                summed = self.point.behaviour == "amount"
                first[total] = (self.sample_start if summed else self.start)(min(carried))
        powers = self._sums(4)
        exports = [self.sample_start(at) for at, _, power in powers if power < 0]
        never = 1 << 62
        import_end = first.get(24, never)
        for start, seqs, values in self._by_interval(powers):
            if start < import_end:
                self._derived(24, start, seqs, [max(value, 0.0) for value in values])
            exporting = bool(exports) and start >= min(exports)
            if exporting and start <= import_end and start < first.get(44, never):
                self._derived(44, start, seqs, [max(-value, 0.0) for value in values])

    def _derived(self, channel: int, start: int, seqs: list[int], values: list[float]) -> None:
        row = self._sampled(channel, start, seqs, values)
        amount = row["mean"] * row["duration_ms"] / HOUR_MS
        row |= {"mean": None, "low": None, "high": None, "amount": amount}
        row |= {"unallocated": 0.0, "quality": int(Quality.DERIVED)}


def expected_rows(packets: Packets) -> dict[tuple[int, int, int], dict[str, Any]]:
    """Return the rows that a stream makes, by series, channel and start."""
    rows = Oracle(packets).rows
    return {(packets.point.series, channel, start): row for (channel, start), row in rows.items()}


def point_of(packets: Packets) -> DataPoint:
    """Return the settings of a stream."""
    return packets.point
