"""What faults leave behind in the forecasts that are made during them and afterwards.

python scripts/bench_learnt_faults.py --data DIR

Each faulted stream of the folder is forecast at each midnight of its year twice, by the model that
ships: from what the meter said, and from its untouched history. Both are compared with the
untouched values. A ratio of 1 says that a fault moved no forecast; 2, that errors were twice as
large.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kilowatch.evaluation.anomaly_scores import Event, read_labels
from kilowatch.evaluation.folder import Folder, on_grid
from kilowatch.evaluation.forecast_groups import Group, groups_of, joined
from kilowatch.evaluation.forecasts import Cost, never_seen
from kilowatch.evaluation.rows import Series
from kilowatch.insights.forecasting import shipped
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import DAY_MS, HOUR_MS

PHASES = {"1 to 2": (0, 2), "3 to 7": (2, 7), "8 to 21": (7, 21), "22 to 49": (21, 49)}
"""Days after the end of a fault."""
FEW_H = 12


class Errors(NamedTuple):
    """Errors of one stream's forecasts, each shape (hours,).

    Attributes:
        start_ms: Start of each hour [ms since 1970, UTC].
        origin_ms: When it was forecast [ms since 1970, UTC].
        plain: Absolute error from the untouched history, over the stream's mean one.
        faulted: Absolute error from the faulted one, likewise.
    """

    start_ms: Ints
    origin_ms: Ints
    plain: Floats
    faulted: Floats


def with_faults(group: Group, faulted: dict[str, Series]) -> Group:
    """Return a group of which the last year is as its meters said."""
    values = group.hours.values.copy()
    for row, one in enumerate(group.listed):
        if one.stream_id in faulted:
            own = faulted[one.stream_id]
            first = (int(own.start_ms[0]) - group.hours.first_ms) // HOUR_MS
            start_ms = group.hours.first_ms + first * HOUR_MS
            values[row, first:] = on_grid(own, start_ms, group.hours.count - first)
    return replace(group, hours=replace(group.hours, values=values))


def errors_of(group: Group, faulted: dict[str, Series]) -> Iterator[tuple[str, Errors]]:
    """Yield each faulted stream with its errors."""
    pairs = (group, with_faults(group, faulted))
    (plain_band, index, origin), (band, _, _) = (
        joined(one, never_seen([one], shipped(), Cost())[0]) for one in pairs
    )
    start_ms = group.hours.start_ms
    for row, one in enumerate(group.listed):
        if one.stream_id in faulted:
            real = group.hours.values[row, index]
            plain, other = (np.abs(rate[2, row] - real) for rate in (plain_band, band))
            usual = np.nanmean(plain)
            yield (
                one.stream_id,
                Errors(start_ms[index], start_ms[origin], plain / usual, other / usual),
            )


def phases(event: Event, until_ms: int) -> Iterator[tuple[str, int, int]]:
    """Yield the stretches of an event and after it, until the next one begins."""
    yield "during", event.start_ms, event.end_ms
    for name, (first, last) in PHASES.items():
        first_ms, last_ms = (event.end_ms + days * DAY_MS for days in (first, last))
        yield name, first_ms, min(last_ms, until_ms)


def main() -> None:
    """Print the ratios by kind of fault."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True)
    folder = Folder(asked.parse_args().data)
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for event in sorted(read_labels(folder)[0], key=lambda one: one.start_ms):
        events[event.stream_id].append(event)
    sums: defaultdict[tuple[str, str], Floats] = defaultdict(lambda: np.zeros(2))
    faulted = folder.faulted()
    for group in groups_of(folder):
        if not faulted.keys() & {one.stream_id for one in group.listed}:
            continue
        for key, own in errors_of(group, faulted):
            nexts = [*(one.start_ms for one in events[key][1:]), int(own.start_ms[-1])]
            for event, until_ms in zip(events[key], nexts, strict=True):
                for name, first_ms, last_ms in phases(event, until_ms):
                    some = (own.start_ms >= first_ms) & (own.start_ms < last_ms)
                    some &= own.origin_ms >= (
                        event.start_ms + 1 if name == "during" else event.end_ms
                    )
                    some &= np.isfinite(own.plain) & np.isfinite(own.faulted)
                    if some.sum() >= FEW_H:
                        part = np.array([own.plain[some].sum(), own.faulted[some].sum()])
                        sums[event.kind, name] += part
                        sums["all", name] += part
    names = ["during", *PHASES]
    print("| kind | " + " | ".join(names) + " |")
    for kind in sorted({kind for kind, _ in sums}):
        ratios = [sums[kind, name] for name in names]
        said = " | ".join(f"{two / one:.2f}" if one else "" for one, two in ratios)
        print(f"| {kind} | {said} |")


if __name__ == "__main__":
    main()
