"""Anomalies on a folder: alarms first, written down; labels and scores after that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kilowatch.evaluation import remarks
from kilowatch.evaluation.anomaly_scores import Event, Told, read_labels, score
from kilowatch.evaluation.folder import Folder, alike, hours_of
from kilowatch.evaluation.labels import set_aside
from kilowatch.evaluation.rows import Series
from kilowatch.insights.anomalies import Alarm, scan_within
from kilowatch.insights.anomalies.judging import Judge
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import HOUR_MS

BUDGETS = (1.0, 0.5)
"""False alarms that are put up with, for each meter and month: one operating point each."""
HISTORY_H = 250 * 24
"""What came before is looked at for so long: the detector remembers nothing older."""
NOTHING = "there is no anomaly/faulted.parquet, or no row in it"
TOGETHER = 200
"""Streams that pass by at once: more of them take no less time, and more memory."""


def run(folder: Folder, out: Path) -> dict[str, Any]:
    """Write the alarms of a folder's faulted streams, then score them: ``predict`` at once."""
    return predict(folder, out)()


def predict(folder: Folder, out: Path) -> Callable[[], dict[str, Any]]:
    """Write the alarms of a folder's faulted streams.

    Args:
        folder: Without ``anomaly/`` there is nothing to judge.
        out: Folder for ``alarms.parquet``: ``stream_id``, ``at`` (when it was told, UTC),
            ``kind``, ``score`` and ``budget``; a row for each budget that it is told within.

    Returns:
        What reads the labels and scores the alarms, by budget: the score as
        docs/reference/evaluation.md defines it, overall, by kind and by dataset.
    """
    faulted = folder.faulted()
    told = alarms(folder, faulted)
    write(told, out / "alarms.parquet")
    left_out = folder.left_out.get("faulted", {})
    judged = {key: one for key, one in faulted.items() if key not in left_out}

    def scored() -> dict[str, Any]:
        found: dict[str, Any] = {"left_out": left_out} if left_out else {}
        if not judged:
            why = "no stream of anomaly/faulted.parquet can be judged" if left_out else NOTHING
            return {"streams": 0, "not_scored": why, **found}
        try:
            labels, unread = read_labels(folder)
        except KilowatchError as error:
            count = {str(budget): len(said) for budget, said in told.items()}
            why = f"labels can't be read: {error.detail}"
            return {"streams": len(judged), "alarms": count, "not_scored": why, **found}
        return {**_scored(folder, judged, told, labels, unread), **found}

    return scored


def _scored(
    folder: Folder,
    judged: Mapping[str, Series],
    told: Mapping[float, list[Told]],
    every: list[Event],
    unread: int,
) -> dict[str, Any]:
    spans = {
        key: (int(one.start_ms[0]), int(one.start_ms[-1]) + HOUR_MS) for key, one in judged.items()
    }
    labels = [one for one in every if _seen(one, spans)]
    aside = Counter(one.stream_id for one in every if not _seen(one, spans))
    dataset = {key: folder.listed[key].dataset for key in judged}
    scores = {
        str(budget): {
            **score(found, labels, spans),
            "by_dataset": {
                name: score(
                    [one for one in found if dataset[one.stream_id] == name],
                    [one for one in labels if dataset[one.stream_id] == name],
                    {key: span for key, span in spans.items() if dataset[key] == name},
                )
                for name in sorted(set(dataset.values()))
            },
        }
        for budget, found in told.items()
    }
    return {**scores, **set_aside(unread, aside)}


def _seen(event: Event, spans: Mapping[str, tuple[int, int]]) -> bool:
    """Return whether an event lies in the time for which its stream was watched."""
    first, last = spans.get(event.stream_id, (0, 0))
    return event.end_ms > first and event.start_ms < last


def alarms(
    folder: Folder, faulted: Mapping[str, Series], trees: Judge | None = None
) -> dict[float, list[Told]]:
    """Let the streams' own history pass by, and then what is to be judged.

    What is said of a stream does not depend on which others are judged with it. A stream that
    can't be judged is put into ``folder.left_out``.

    Args:
        folder: Where the history is.
        faulted: What is to be judged, by stream.
        trees: What judges; None: the trees that come with the platform.

    Returns:
        What was told within each budget.
    """
    clean = folder.streams(faulted)
    folder.remarks.add(remarks.NO_HISTORY, faulted.keys() - clean.keys())
    whole = {key: joined(clean.get(key), one) for key, one in faulted.items()}
    found: dict[float, list[Told]] = {budget: [] for budget in BUDGETS}
    for zone, weather, names in alike(
        (folder.listed[key] for key in faulted), whole, at_most=TOGETHER
    ):
        outdoor = folder.temperature(weather)
        for budget, told in _each(folder, whole, zone, outdoor, names, faulted, trees).items():
            found[budget] += told
    return {
        budget: sorted(told, key=lambda one: (one.stream_id, one.at_ms))
        for budget, told in found.items()
    }


def _each(
    folder: Folder,
    whole: Mapping[str, Series],
    zone: str,
    outdoor: Series | None,
    names: list[str],
    faulted: Mapping[str, Series],
    trees: Judge | None,
) -> dict[float, list[Told]]:
    """Judge some streams together; if that fails, each by itself: one must not stop the others."""
    try:
        return _judged({key: whole[key] for key in names}, zone, outdoor, faulted, trees)
    except (ValueError, ArithmeticError, IndexError) as error:
        if len(names) == 1:
            why = f"{remarks.FAILED}: {error}"
            folder.left_out.setdefault("faulted", {})[names[0]] = why
            return {}
    found: dict[float, list[Told]] = {budget: [] for budget in BUDGETS}
    for one in names:
        for budget, told in _each(folder, whole, zone, outdoor, [one], faulted, trees).items():
            found[budget] += told
    return found


def _judged(
    series: Mapping[str, Series],
    zone: str,
    outdoor: Series | None,
    faulted: Mapping[str, Series],
    trees: Judge | None,
) -> dict[float, list[Told]]:
    """Judge streams of one clock, each from 250 days before its own faulted part on."""
    names = list(series)
    first_ms = min(int(one.start_ms[0]) for one in series.values())
    begins = {key: int(faulted[key].start_ms[0]) for key in names}
    # Whole days before the beginning, of the day that the grid begins with.
    before = {
        key: max((begin - first_ms) // HOUR_MS - HISTORY_H, 0) // 24 * 24
        for key, begin in begins.items()
    }
    from_h = min(before.values())
    hours = hours_of(series, zone, outdoor, from_ms=first_ms + from_h * HOUR_MS)
    for row, key in enumerate(names):
        hours.values[row, : before[key] - from_h] = np.nan
    raised = scan_within(hours, BUDGETS, trees)
    return {
        budget: _from(some, names, faulted) for budget, some in zip(BUDGETS, raised, strict=True)
    }


def joined(before: Series | None, faulted: Series) -> Series:
    """Put a stream's own history before what is to be judged."""
    if before is None:
        return faulted
    old = before.start_ms < faulted.start_ms[0]
    return Series(
        np.concatenate([before.start_ms[old], faulted.start_ms]),
        np.concatenate([before.values[old], faulted.values]),
    )


def _from(raised: list[Alarm], names: list[str], faulted: Mapping[str, Series]) -> list[Told]:
    """Return alarms that were opened while a stream's faulted part passed by."""
    told = [Told(names[one.stream], one.at_ms, one.kind, one.score) for one in raised if one.open]
    spans = {key: faulted[key].start_ms[[0, -1]] for key in names}
    return [
        one
        for one in told
        if spans[one.stream_id][0] < one.at_ms <= spans[one.stream_id][1] + HOUR_MS
    ]


def write(told: Mapping[float, list[Told]], path: Path) -> None:
    """Write alarms, a row for each budget that they are told within."""
    rows = [(one, budget) for budget, found in told.items() for one in found]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table(
            {
                "stream_id": pa.array([one.stream_id for one, _ in rows], pa.string()),
                "at": pa.array([one.at_ms for one, _ in rows], pa.timestamp("ms", "UTC")),
                "kind": pa.array([str(one.kind) for one, _ in rows], pa.string()),
                "score": pa.array([one.score for one, _ in rows], pa.float64()),
                "budget": pa.array([budget for _, budget in rows], pa.float64()),
            }
        ),
        path,
    )
