"""The interval rules once more, one packet and one figure at a time, in plain Python.

Slow, obvious and written from the rules (docs/reference/intervals.md), not from the code:
what the fast code computes for all streams at once must equal this.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import fsum
from typing import Any

from kilowatch.model.blocks import Quality
from kilowatch.model.calendar import Zone, bucket_end_ms, bucket_start_ms
from kilowatch.model.points import DataPoint
from tests.pipeline.interval_cases import Packets
from tests.pipeline.interval_oracle_eras import Era, Figure, eras_of, without_bad

Key = tuple[int, int]  # channel and start
ENERGIES, POWERS, FACTOR = (24, 44, 48, 52), (4, 8, 12), 32
HOUR_MS = 3_600_000


class Oracle:
    """Interval rows of one stream."""

    def __init__(self, packets: Packets) -> None:
        self.point = packets.point
        self.zone = Zone.of(self.point.history.zone_name(self.point.zone))
        self.eras = eras_of(self.point)
        self.packets = without_bad(packets)
        self.seq = self.packets.seq
        self.rows: dict[Key, dict[str, Any]] = {}
        self.touched: dict[Key, int] = {}
        if self.point.kind == "single":
            self._value()
        else:
            self._electrical()

    def era(self, at_ms: int) -> Era:
        """Return the settings in force at an instant."""
        return next(era for era in self.eras if era.from_ms <= at_ms < era.until_ms)

    def start(self, at_ms: int, era: Era | None = None) -> int:
        """Return the start of the interval that an instant lies in [ms]."""
        era = era or self.era(at_ms)
        start = int(bucket_start_ms([at_ms], era.settings.interval_s, self.zone)[0])
        return max(start, era.from_ms)

    def end(self, at_ms: int) -> int:
        """Return the end of the interval that an instant lies in [ms]."""
        era = self.era(at_ms)
        end = int(bucket_end_ms([at_ms], era.settings.interval_s, self.zone)[0])
        return min(end, era.until_ms)

    def about(self, at_ms: int) -> Era:
        """Return the settings of a value stamped so: of the time that it is about."""
        era = self.era(at_ms)
        number = self.eras.index(era)
        if number and era.settings.stamp == "end" and at_ms == era.from_ms:
            before = self.eras[number - 1]
            dials = {one.settings.behaviour == "register" for one in (before, era)}
            return before if len(dials) == 1 else era
        return era

    def sample_start(self, at_ms: int) -> int:
        """Return the start of the interval that a value stamped so belongs to [ms]."""
        era = self.about(at_ms)
        inside = at_ms - 1 if era.settings.stamp == "end" else at_ms
        return self.start(min(max(inside, era.from_ms), era.until_ms - 1), era)

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
        dial = [one for one in self.column(0) if self.era(one[0]).settings.behaviour == "register"]
        self._register(0, dial, lambda era: era.scale)
        self._register(1, dial, lambda era: era.scale * era.energy if era.energy else None)
        column = []
        for at, seq, value in self.column(0):
            if self.era(at).settings.behaviour != "register":
                era = self.about(at)
                unit = era.settings.unit_of_value
                column.append((at, seq, value * unit.factor * era.scale + unit.offset))
        for start, seqs, values in self._by_interval(column):
            row = self._sampled(0, start, seqs, values)
            era = self.era(start)
            if era.settings.behaviour == "amount":
                row |= {"mean": None, "amount": fsum(values), "unallocated": 0.0}
            elif era.settings.behaviour == "rate":
                hours = row["duration_ms"] / HOUR_MS
                amount = row["mean"] * hours * era.settings.unit_of_value.amount_factor
                row |= {"amount": amount, "unallocated": 0.0}
            if era.energy:
                energies = {
                    name: None if row[name] is None else row[name] * era.energy
                    for name in ("mean", "low", "high", "amount", "unallocated")
                }
                self.row(1, start).update(row | energies)

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

    def _figures(self, channel: int, column: list[tuple[int, int, float]]) -> list[Figure]:
        """Put what a person read off the meter between the packets' figures."""
        figures = [Figure(at, seq, value, value) for at, seq, value in column]
        wire = 0 if channel == 1 else channel
        events: dict[tuple[int, str], Any] = {}
        total = channel - channel % 4
        counts_from = 0
        if total in (24, 44):  # before the first packet, energy came from power
            counts_from = min(at for at, _, _ in self._sums(total))
        for event in self.point.history.events:
            if event.at_ms <= counts_from:
                continue
            if event.kind != "bad" and event.channel in (None, wire):
                key = (event.at_ms, event.kind)
                if event.channel is not None or key not in events:
                    events[key] = event
        packets = list(zip(self.packets.at_ms, self.seq, strict=True))
        for (at, kind), event in sorted(events.items()):
            told = [seq for packet, seq in packets if packet >= at]
            if not told:
                continue  # it counts from the first packet after it on, whatever that carries
            after = [n for n, one in enumerate(figures) if one.real and one.at >= at]
            place = after[0] if after else len(figures)
            if kind == "roll_over":
                if after:
                    figures[place] = replace(figures[place], rolled=event.width)
                continue
            packets_before = [one for one in figures[:place] if one.real]
            rests_on = packets_before[-1] if packets_before else column[0]
            seq = rests_on.seq if isinstance(rests_on, Figure) else rests_on[1]
            read = Figure(at, seq, event.last, event.first, real=False, end_seq=told[0])
            figures.insert(place, read)
        return figures

    def _register(
        self, channel: int, column: list[tuple[int, int, float]], scale: Any = None
    ) -> None:
        scale = scale or (lambda era: era.scale)
        if not column:
            return
        figures = self._figures(channel, column)
        for one in figures:
            if one.real and scale(self.era(one.at)) is not None:
                row = self.row(channel, self.start(one.at))
                row["count"] += 1
                row["version"] = max(row["version"], one.seq)
                row["unallocated"] = row["unallocated"] or 0.0
        for a, b in pairwise(figures):
            self._pair(channel, a, b, scale)

    def _end_era(self, one: Figure) -> Era:
        return self.era(one.at if one.real else one.at - 1)

    def _pair(self, channel: int, a: Figure, b: Figure, scale: Any) -> None:
        """Count what lies between two figures."""
        first, last = self.era(a.at), self._end_era(b)
        between = self.eras[self.eras.index(first) : self.eras.index(last) + 1]
        if any(era.settings.behaviour != "register" for era in between):
            return
        unit, end_unit = (era.settings.unit_of_value.factor for era in (first, last))
        if self.point.kind == "electrical":
            unit = end_unit = 1.0
        parts = [(era, min(era.until_ms, b.at) - max(era.from_ms, a.at)) for era in between]
        gap = self._gap(a, b, first, last, parts)
        if not gap:
            self._version(channel, a, b)
        self._version_at(channel, self._closing(a, b), a, b)
        if a.begin is None or b.end is None:
            return
        ended = Fraction(b.end)
        if unit != end_unit:
            ended *= Fraction(end_unit) / Fraction(unit)
        width = first.settings.register_max
        step, known = self._step(Fraction(a.begin), ended, width, b.rolled)
        step *= Fraction(unit)
        closing = self._closing(a, b)
        if scale(self.era(closing)) is not None and (gap or not known):
            factor = self._factor(parts, b.at - a.at, scale)
            self._mark(channel, closing, step * factor if known else None)
        if known and not gap:
            self._spread(channel, (a, b), step, scale)

    def _factor(self, parts: Any, lasted: int, scale: Any) -> Fraction:
        """Return the mean factor over a time, by how long each was in force."""
        if not lasted:
            return Fraction(scale(parts[-1][0]) or 0)
        known = [(scale(era), part) for era, part in parts if scale(era) is not None]
        return sum((Fraction(one) * Fraction(part, lasted) for one, part in known), Fraction(0))

    def _mark(self, channel: int, closing: int, unallocated: Fraction | None) -> None:
        """Note what was counted until an interval's end; None where the dial fell."""
        if unallocated is None:
            row = self.row(channel, closing)
            row["quality"] = int(Quality.QUESTIONABLE)
            row["unallocated"] = row["unallocated"] or 0.0
        elif unallocated:
            row = self.row(channel, closing)
            row["unallocated"] = (row["unallocated"] or 0.0) + unallocated

    def _closing(self, a: Figure, b: Figure) -> int:
        """Return the start of the interval that ends with a figure."""
        if a.at == b.at and not a.real:
            return self.start(b.at - 1 if self._is_dial(b.at - 1) else b.at)
        return self.start(max(b.at - 1, a.at))

    def _gap(self, a: Figure, b: Figure, first: Era, last: Era, parts: Any) -> bool:
        if a.at == b.at and not a.real:
            return True
        if len(parts) > 1 and sum(t / (1000 * e.settings.interval_s) for e, t in parts) > 1000:
            return True
        return all(
            b.at - a.at
            > min(era.settings.gap_ms, 1_000_000 * era.settings.interval_s)
            + (HOUR_MS if era.settings.interval_s >= 86_400 else 0)
            for era in (first, last)
        )

    def _version(self, channel: int, a: Figure, b: Figure) -> None:
        """Let a pair count in the version of the intervals it belongs to, known or not."""
        now = a.at
        while now < b.at:
            self._version_at(channel, self.start(now), a, b)
            now = self.end(now)

    def _version_at(self, channel: int, start: int, a: Figure, b: Figure) -> None:
        key = (channel, start)
        self.touched[key] = max(self.touched.get(key, 0), a.seq, b.end_seq or b.seq)

    def _spread(
        self, channel: int, pair: tuple[Figure, Figure], step: Fraction, scale: Any
    ) -> None:
        now, until = pair[0].at, pair[1].at
        lasted = until - now
        while now < until:
            cut = min(self.end(now), until)
            factor = scale(self.era(now))
            if factor is not None:
                row = self.row(channel, self.start(now))
                part = step * Fraction(factor) * Fraction(cut - now, lasted)
                row["amount"] = (row["amount"] or 0) + part
                row["unallocated"] = row["unallocated"] or 0.0
                row["covered_ms"] += cut - now
            now = cut

    def _step(
        self, a: Fraction, b: Fraction, width: float | None, rolled: float | None
    ) -> tuple[Fraction, bool]:
        if b >= a:
            return b - a, True
        if width is not None and a <= width and b - a + Fraction(width) <= Fraction(width) / 2:
            return b - a + Fraction(width), True
        if rolled is not None and a <= rolled:
            return b - a + Fraction(rolled), True
        return Fraction(0), False

    def _electrical(self) -> None:
        pushed, self.packets = self.packets, replace(self.packets, values=self._transformed())
        channels = {channel for values in self.packets.values for channel in values}
        for channel in sorted(channels):
            energy = channel - channel % 4 in ENERGIES
            if energy:
                scaled, self.packets = self.packets, pushed
                self._register(channel, self._dials(channel))
                self.packets = scaled
                self._amount(channel, self._not_dials(self.column(channel)))
            elif channel - channel % 4 == FACTOR:
                self._phase_factor(channel)
            else:
                for start, seqs, values in self._by_interval(self.column(channel)):
                    self._sampled(channel, start, seqs, values)
        for total in POWERS:
            for start, seqs, values in self._by_interval(self._sums(total)):
                self._sampled(total, start, seqs, values)
        self._power_factor()
        for key, version in self.touched.items():
            if key in self.rows:
                self.rows[key]["version"] = max(self.rows[key]["version"], version)
        for total in ENERGIES:
            self._register_total(total)
            self._amount(total, self._not_dials(self._sums(total)))
        self._energy_from_power()

    def _dials(self, channel: int) -> list[tuple[int, int, float]]:
        return [one for one in self.column(channel) if self._is_dial(one[0])]

    def _not_dials(self, column: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
        return [one for one in column if not self._is_dial(one[0])]

    def _is_dial(self, at_ms: int) -> bool:
        return bool(self.era(at_ms).settings.behaviour == "register")

    def _transformed(self) -> list[dict[int, float]]:
        """Return what was pushed with multiplier and transformers: CT, VT, or both."""
        found = []
        for at, values in zip(self.packets.at_ms, self.packets.values, strict=True):
            era = self.about(at)
            factor = {4: era.scale, 8: era.scale, 12: era.scale, 16: era.vt_ratio}
            factor |= {20: era.ct_ratio, 28: era.vt_ratio} | dict.fromkeys(ENERGIES, era.scale)
            found.append({c: v * factor.get(c - c % 4, 1.0) for c, v in values.items()})
        return found

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
        starts = {
            start
            for channel, start in self.rows
            if total < channel < total + 4 and self.era(start).settings.behaviour == "register"
        }
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
        first_at: dict[int, int] = {}
        for total in (24, 44):
            carried = [at for at, _, _ in self._sums(total)]
            if carried:
                at = first_at[total] = min(carried)
                first[total] = self.start(at) if self._is_dial(at) else self.sample_start(at)
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
            counts = self.era(start).settings.behaviour != "amount"
            sent = [at for at, _, _ in powers if self.sample_start(at) == start]
            ends = {24: start >= import_end}
            ends[44] = exporting and first.get(44, never) <= start <= import_end
            for total, ended in ends.items():
                # A row that was derived of what is before the register's first packet is older.
                early = counts and ended and min(sent) < first_at[total] < self.end(start)
                if early and (total, start) in self.rows:
                    row = self.rows[total, start]
                    packets = zip(self.packets.at_ms, self.seq, strict=True)
                    older = [
                        seq
                        for at, seq in packets
                        if at < first_at[total] and self.sample_start(at) == start
                    ]
                    row["version"] = max(row["version"], *older)

    def _derived(self, channel: int, start: int, seqs: list[int], values: list[float]) -> None:
        row = self._sampled(channel, start, seqs, values)
        amount = row["mean"] * row["duration_ms"] / HOUR_MS
        row |= {"mean": None, "low": None, "high": None, "amount": amount}
        row |= {"unallocated": 0.0, "quality": int(Quality.DERIVED)}


def expected_rows(packets: Packets) -> dict[tuple[int, int, int], dict[str, Any]]:
    """Return the rows that a stream makes, by series, channel and start."""
    oracle = Oracle(packets)
    rows = oracle.rows
    for key, version in oracle.touched.items():
        if key in rows:
            rows[key]["version"] = max(rows[key]["version"], version)
    return {(packets.point.series, channel, start): row for (channel, start), row in rows.items()}


def point_of(packets: Packets) -> DataPoint:
    """Return the settings of a stream."""
    return packets.point
