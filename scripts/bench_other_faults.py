"""Kinds of fault that nothing was taught with, put into untouched years of real meters.

python scripts/bench_other_faults.py --data DIR [--every 3]
python scripts/bench_other_faults.py --data DIR --rates

The first asks of every third of the streams that DIR has a faulted copy of how many of each kind
are found in the year of that copy, and how many alarms are false. Recall and false alarms are
counted as docs/reference/evaluation.md says. The second writes how often a month untouched streams
come to the sums of ``insights/anomalies/repeating.py``: its ``RATES``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kilowatch.evaluation import anomalies
from kilowatch.evaluation.anomaly_scores import Event, score
from kilowatch.evaluation.folder import Folder, hours_of
from kilowatch.evaluation.rows import Series
from kilowatch.insights.anomalies import repeating, scanning
from kilowatch.insights.anomalies.alarms import Group
from kilowatch.insights.anomalies.episodes import QUIET_H
from kilowatch.insights.anomalies.measures import Moment
from kilowatch.insights.anomalies.state import PATTERNS
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats
from kilowatch.model.lengths import HOUR_MS

APART_H = 12 * 24
"""From the end of a fault to the beginning of the next."""
SETTLED_H = 56 * 24
RANDOM = np.random.default_rng(5)
Change = Callable[[Floats, float], Floats]


def _doubled(values: Floats, _size: float) -> Floats:
    return np.where(RANDOM.random(len(values)) < 0.5, 2 * values, values)


def _noisy(values: Floats, size: float) -> Floats:
    return values + RANDOM.normal(0, size, len(values))


def _held(values: Floats, hours: int) -> Floats:
    return np.repeat(values[::hours], hours)[: len(values)]


def _holes(values: Floats, _size: float) -> Floats:
    return np.where(np.arange(len(values)) % 3 == 0, 0.0, values)


KINDS: dict[str, tuple[Change, int]] = {
    "noise as large as the load": (_noisy, 7),
    "a thousand times as much": (lambda v, _: 1000 * v, 5),
    "a thousandth": (lambda v, _: v / 1000, 5),
    "wrong sign": (lambda v, _: -v, 2),
    "twice the mean load added": (lambda v, s: v + 2 * s, 5),
    "every second hour doubled, by chance": (_doubled, 5),
    "every third hour zero": (_holes, 3),
    "no more than the 60 % quantile": (lambda v, _: np.minimum(v, np.quantile(v, 0.6)), 14),
    "held at its highest": (lambda v, _: np.full(len(v), v.max()), 2),
    "two fifths less": (lambda v, _: 0.6 * v, 10),
    "falling to half": (lambda v, _: v * np.linspace(1, 0.5, len(v)), 25),
    "base load gone": (lambda v, _: np.maximum(v - np.quantile(v, 0.2), 0), 14),
    "each value twice": (lambda v, _: _held(v, 2), 3),
    "each value three times": (lambda v, _: _held(v, 3), 3),
    "in steps of a quarter of the load": (lambda v, s: np.round(4 * v / s) * s / 4, 7),
    "the same day again and again": (lambda v, _: np.resize(v[:24], len(v)), 10),
    "a straight line": (lambda v, _: np.linspace(v[0], v[-1], len(v)), 1),
}
"""What is done to the hours, given the mean size of the year, and for how many days."""


def spoiled(series: Series, first_ms: int) -> tuple[Floats, list[tuple[str, int, int]]]:
    """Put faults into the year from a time on, one after the other in any order.

    Args:
        series: A stream's untouched hours.
        first_ms: Start of the year [ms since 1970, UTC].

    Returns:
        The changed values, and of each fault its kind and its first and last hour.
    """
    values, found = series.values.copy(), []
    first = int(np.searchsorted(series.start_ms, first_ms))
    last = int(np.searchsorted(series.start_ms, first_ms + 365 * 24 * HOUR_MS))
    size = float(np.nanmean(np.abs(values[first:last])))
    place, names = first + APART_H, list(KINDS)
    for which in RANDOM.permutation(len(names)):
        change, days = KINDS[names[which]]
        begin = place + int(RANDOM.integers(0, 24))
        end = begin + 24 * days
        if end + APART_H > last:
            break
        whole = series.start_ms[end - 1] - series.start_ms[begin] == (24 * days - 1) * HOUR_MS
        if whole and np.isfinite(values[begin:end]).all():
            values[begin:end] = change(values[begin:end], size)
            found.append((names[which], begin, end - 1))
        place = end + APART_H
    return values, found


def found_of(folder: Folder, every: int) -> None:
    """Write how many faults of each kind are found."""
    clean, faulted = folder.streams(), folder.faulted()
    changed: dict[str, Series] = {}
    events: list[Event] = []
    for key in sorted(faulted)[1::every]:
        own, first_ms = clean[key], int(faulted[key].start_ms[0])
        values, faults = spoiled(own, first_ms)
        year = (own.start_ms >= first_ms) & (own.start_ms < first_ms + 365 * 24 * HOUR_MS)
        changed[key] = Series(own.start_ms[year], values[year])
        events += [
            Event(key, kind, int(own.start_ms[begin]), int(own.start_ms[end]) + HOUR_MS)
            for kind, begin, end in faults
        ]
    spans = {key: (int(o.start_ms[0]), int(o.start_ms[-1]) + HOUR_MS) for key, o in changed.items()}
    for budget, alarms in anomalies.alarms(folder, changed).items():
        scored = score(alarms, events, spans)
        print(
            f"budget {budget}: recall {scored['recall']:.3f} of {len(events)},"
            f" {scored['false_alarms_per_meter_month']:.3f} false alarms a meter-month"
        )
        for kind in KINDS:
            many = sum(one.kind == kind for one in events)
            print(f"  {kind:40} {scored['recall_by_kind'][kind]:.2f} of {many}")


def _sums(hours: Hours) -> npt.NDArray[np.float32]:
    """Return the height of each sum where it would be told, shape (hours, streams, PATTERNS)."""
    seen: list[npt.NDArray[np.float32]] = []

    def told(_at: int, moment: Moment) -> None:
        seen.append(np.where(moment.again < 0, state.again, 0).astype(np.float32))

    state = scanning.start(hours.streams)
    scanning.watch(state, hours, told)
    return np.stack(seen)


def rates_of(folder: Folder) -> None:
    """Write the rates of the sums, by pattern."""
    clean = folder.streams()
    groups: dict[tuple[str, str], list[str]] = {}
    for key in sorted(clean):
        groups.setdefault((folder.listed[key].zone, folder.listed[key].dataset), []).append(key)
    levels = repeating.LEVELS[1:]
    counts, months = np.zeros((len(PATTERNS), len(levels))), 0.0
    for (zone, _), keys in groups.items():
        hours = hours_of({key: clean[key] for key in keys}, zone, None)
        sums = _sums(hours)
        for row in range(len(keys)):
            known = np.isfinite(hours.values[row])
            first = int(known.argmax()) + SETTLED_H
            months += known[first:].sum() / 24 / 30.4375
            for one in range(len(PATTERNS)):
                for place, level in enumerate(levels):
                    at = np.flatnonzero(sums[first:, row, one] >= level)
                    apart = np.diff(at) > QUIET_H[Group.SUDDEN]
                    counts[one, place] += bool(len(at)) + apart.sum()
    for one, name in enumerate(PATTERNS):
        row = np.log10(np.maximum(counts[one], 0.5) / months)
        print(name, *(f"{level:g}: {rate:.2f}" for level, rate in zip(levels, row, strict=True)))


def main() -> None:
    """Read the folder and write what was asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--every", type=int, default=3, help="every which stream is spoiled")
    asked.add_argument("--rates", action="store_true", help="write the rates of untouched streams")
    given = asked.parse_args()
    folder = Folder(given.data)
    if given.rates:
        rates_of(folder)
    else:
        found_of(folder, given.every)


if __name__ == "__main__":
    main()
