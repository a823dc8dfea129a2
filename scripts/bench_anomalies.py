"""Compare families of detectors on a folder: python scripts/bench_anomalies.py --data DIR.

Every family sees the same hours and the same expected profile, raises an alarm where its score
rises above a limit and is scored as docs/reference/evaluation.md says. The limit of the simple
families is the best that the labels allow for each budget of false alarms, which flatters them.
With ``--halves DIR`` the trees that ``train_anomalies.py --halves DIR`` taught with one half of
the buildings are tried on the other, at the limits that they came with. Isolation forest and HBOS
need pyod, which the platform does not: without it they are left out.
"""

from __future__ import annotations

import argparse
import importlib
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kilowatch.evaluation.anomalies import BUDGETS, HISTORY_H, alarms, joined
from kilowatch.evaluation.anomaly_scores import Event, Told, read_labels, score
from kilowatch.evaluation.folder import Folder, hours_of, zones
from kilowatch.insights.anomalies import judging, scanning
from kilowatch.insights.anomalies.measures import NAMES, OWN, Moment
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS

QUIET_H = 24
LIMITS = 40


@dataclass(frozen=True, slots=True)
class Measured:
    """The measures of one stream from where it is judged.

    Attributes:
        stream_id: Whose.
        start_ms: Start of each hour, shape (hours,) [ms].
        measures: Shape (hours, len(NAMES)).
        before: Some hours of the months before, shape (n, len(NAMES)): to learn what is usual.
    """

    stream_id: str
    start_ms: Ints
    measures: npt.NDArray[np.float32]
    before: npt.NDArray[np.float32]


Family = Callable[[Measured], Floats]


def measured(folder: Folder) -> list[Measured]:
    """Measure the faulted streams after their own history."""
    clean, faulted = folder.streams(), folder.faulted()
    found: list[Measured] = []
    for (zone, weather), names in zones(folder.listed[key] for key in faulted).items():
        series = {key: joined(clean.get(key), faulted[key]) for key in names}
        hours = hours_of(series, zone, folder.temperature(weather))
        begin = min(int(faulted[key].start_ms[0]) for key in names)
        before = (begin - hours.first_ms) // HOUR_MS - HISTORY_H
        hours = hours.hours(max(before, 0) // 24 * 24, hours.count)
        kept: list[npt.NDArray[np.float32]] = []
        old: list[npt.NDArray[np.float32]] = []

        def told(
            at: int, moment: Moment, *, hours: Any = hours, begin: int = begin,
            kept: Any = kept, old: Any = old,
        ) -> None:  # fmt: skip
            if hours.start_ms[at] >= begin:
                kept.append(moment.columns.T.copy())
            elif at % 29 == 0 and at > 60 * 24:
                old.append(moment.columns.T.copy())

        scanning.watch(scanning.start(len(names)), hours, told)
        first = hours.count - len(kept)
        found += [
            Measured(
                key,
                hours.start_ms[first:],
                np.stack([one[row] for one in kept]),
                np.stack([one[row] for one in old]),
            )
            for row, key in enumerate(names)
        ]
    return found


def column(one: Measured, name: str) -> Floats:
    """Return one measure; 0 where it is not known."""
    return np.nan_to_num(one.measures[:, NAMES.index(name)].astype(np.float64), nan=0.0)


def residual(one: Measured) -> Floats:
    """Return the robust residual z-score of each hour."""
    return np.abs(column(one, "off"))


def cusum(one: Measured) -> Floats:
    """Return the larger of two one-sided CUSUMs of the daily log ratio, in its own sizes.

    Source:
        E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954; slack of half a size.
    """
    day = column(one, "own_ratio_24h")[23::24]
    sums = np.zeros((2, len(day) + 1))
    for at, now in enumerate(day):
        for side, sign in enumerate((1, -1)):
            sums[side, at + 1] = min(max(sums[side, at] + sign * now - 1.5, 0.0), 50.0)
    daily = np.repeat(sums[:, 1:].max(axis=0), 24)
    found = np.zeros(len(one.start_ms))
    found[23 : 23 + len(daily)] = daily[: len(found) - 23]
    return found


def matched(one: Measured) -> Floats:
    """Return the largest of detectors made for one kind each, over their usual limits."""

    def get(name: str) -> Floats:
        return column(one, name)

    each = [
        get("rare_negative") / 4,
        get("rare_zero") / 12,
        get("rare_same") / 18,
        np.where(get("above") > 0.3, get("off") / 9, 0),
        np.where(
            (get("hours_today") >= 8) & (get("contrast") > 0.1),
            np.minimum(get("own_free_day") / 3, get("free_day") / 0.5),
            0,
        ),
        np.minimum(get("own_night_only") / 4, get("night_3") / 0.15),
        np.minimum(get("own_clock_gain") / 6, get("clock_gain") / 0.1),
        np.minimum(np.abs(get("own_off_6h")) / 4, np.abs(get("ratio_6h")) / 0.25),
        np.minimum(np.abs(get("own_off_24h")) / 3.2, np.abs(get("ratio_24h")) / 0.2),
        np.minimum(np.abs(get("own_base_168h")) / 2.5, np.abs(get("base_168h")) / 0.2),
    ]
    found: Floats = np.max(np.stack(each), axis=0)
    return found


def isolation(streams: list[Measured], name: str) -> Family | None:
    """Return a detector of pyod, taught with the months before; None where it is not installed."""
    try:
        module = importlib.import_module(f"pyod.models.{name.lower()}")
    except ImportError:
        return None
    usual = np.concatenate([one.before for one in streams])
    usual = usual[np.isfinite(usual[:, 0])]
    rows = np.random.default_rng(1).permutation(len(usual))[:20_000]
    columns = slice(len(OWN), 2 * len(OWN))
    model = getattr(module, name)()
    model.fit(np.nan_to_num(np.abs(usual[rows, columns])))

    def family(one: Measured) -> Floats:
        part = np.nan_to_num(np.abs(one.measures[:, columns]))
        found: Floats = model.decision_function(part)
        return found

    return family


def onsets(one: Measured, values: Floats, limit: float) -> list[Told]:
    """Return an alarm for each time that a score rises above a limit after a day of rest."""
    at = np.flatnonzero(values >= limit)
    if not len(at):
        return []
    first = at[np.concatenate([[True], np.diff(at) > QUIET_H])]
    return [
        Told(one.stream_id, int(one.start_ms[hour]) + HOUR_MS, EventKind.SPIKE, 0.0)
        for hour in first
    ]


def best(
    streams: list[Measured],
    family: Family,
    labels: list[Event],
    spans: dict[str, tuple[int, int]],
) -> dict[float, dict[str, Any]]:
    """Return the scores at the limit that finds most within each budget."""
    values = [family(one) for one in streams]
    sample = np.concatenate([one[::7] for one in values])
    limits = np.quantile(sample[sample > 0], 1 - np.geomspace(1e-6, 0.4, LIMITS))
    tried = [
        score(
            [one for stream, own in zip(streams, values, strict=True)
             for one in onsets(stream, own, limit)],
            labels, spans,
        )
        for limit in limits
    ]  # fmt: skip
    return {
        budget: max(
            (one for one in tried if one["false_alarms_per_meter_month"] <= budget),
            key=lambda one: float(one["recall"]),
        )
        for budget in BUDGETS
    }


def by_half(folder: Folder, halves: Path) -> dict[float, dict[str, Any]]:
    """Return the scores of trees on the buildings that they were not taught with."""
    faulted = folder.faulted()
    told: dict[float, list[Told]] = {budget: [] for budget in BUDGETS}
    for half in (0, 1):
        trees = judging.unpack((halves / f"half-{1 - half}.model").read_bytes())
        own = {
            key: one
            for key, one in faulted.items()
            if zlib.crc32(folder.listed[key].building.encode()) % 2 == half
        }
        for budget, found in alarms(folder, own, trees).items():
            told[budget] += found
    (labels, _), spans = read_labels(folder), _spans(folder)
    return {budget: score(found, labels, spans) for budget, found in told.items()}


def _spans(folder: Folder) -> dict[str, tuple[int, int]]:
    return {
        key: (int(one.start_ms[0]), int(one.start_ms[-1]) + HOUR_MS)
        for key, one in folder.faulted().items()
    }


def _line(name: str, budget: float, one: dict[str, Any]) -> str:
    weekend = one["recall_by_kind"].get("missed_weekend_shutdown", float("nan"))
    return (
        f"{name:26} {budget:6} {one['recall']:6.3f} {one['false_alarms_per_meter_month']:8.3f} "
        f"{one['f1']:5.3f}  {one['delay_h_median']:6.1f} {one['delay_h_p90']:6.1f}  {weekend:6.2f}"
    )


def main() -> None:
    """Measure, compare, print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--halves", type=Path, default=None, help="what train_anomalies.py wrote")
    given = asked.parse_args()
    folder = Folder(given.data)
    head = f"{'family':26} budget recall false/mm    F1  delay h (median, P90)  missed weekend"
    if given.halves is not None:
        print(head)
        for budget, one in by_half(folder, given.halves).items():
            print(_line("trees, other half", budget, one), flush=True)
            print(f"  right kind {one['kind_right']:.2f}, {one['recall_by_kind']}")
    begun = time.process_time()
    streams = measured(folder)
    print(f"{time.process_time() - begun:.0f} s of processor time to measure")
    (labels, _), spans = read_labels(folder), _spans(folder)
    families: dict[str, Family | None] = {
        "residual z-score": residual,
        "CUSUM of days": cusum,
        "matched detectors": matched,
        "isolation forest (pyod)": isolation(streams, "IForest"),
        "HBOS (pyod)": isolation(streams, "HBOS"),
    }
    print(head)
    for name, family in families.items():
        if family is None:
            print(f"{name:26} not installed")
            continue
        for budget, one in best(streams, family, labels, spans).items():
            print(_line(name, budget, one), flush=True)


if __name__ == "__main__":
    main()
