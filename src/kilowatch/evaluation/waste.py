"""Waste that was put into meter data: how much of it is found, and how much else."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kilowatch.evaluation.folder import Folder, Series, hours_of, on_grid, zones
from kilowatch.insights.hours import HOUR_MS, Hours
from kilowatch.insights.waste import learn, waste
from kilowatch.model.blocks import Floats, Ints

REFERENCE_H = 365 * 24
"""The reference period: the year before the streams are judged, as the platform does by rule."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One stream, judged as it was and with waste put in.

    Attributes:
        start_ms: Start of each hour, shape (hours,) [ms since 1970, UTC].
        original: Measured, shape (hours,) [kWh].
        found: Waste found in it, shape (hours,) [kWh].
        found_wasteful: Waste found in the wasteful copy, shape (hours,) [kWh].
    """

    start_ms: Ints
    original: Floats
    found: Floats
    found_wasteful: Floats


def run(folder: Folder, out: Path) -> dict[str, Any]:
    """Judge the streams that have a wasteful copy, write ``waste.parquet``, then score it.

    The labels are read after ``waste.parquet`` is written.

    Args:
        folder: Streams and labels.
        out: Where to write; it exists.

    Returns:
        Scores; without wasteful streams ``{"streams": 0}``.
    """
    began = time.process_time()
    judged: dict[str, Judged] = {}
    for whole, group, wasteful in pairs(folder):
        judged |= judge(whole, group, wasteful)
    spent_s = time.process_time() - began
    _write(judged, out / "waste.parquet")
    if not judged:
        return {"streams": 0}
    scored = score(folder, judged)
    scored["ms_per_stream_year"] = round(1000 * spent_s / (2 * len(judged)), 2)
    return scored


def pairs(folder: Folder) -> Iterator[tuple[Hours, list[str], Hours]]:
    """Yield streams that share a clock and a beginning: as they were, their ids, with waste.

    Both begin with the reference period, ``REFERENCE_H`` hours, which is the same in both.
    """
    altered = folder.wasteful()
    streams = folder.streams()
    both = [folder.listed[key] for key in altered if key in streams and key in folder.listed]
    for (zone, weather_id), ids in zones(both).items():
        temperature = folder.temperature(weather_id)
        starts = {key: int(altered[key].start_ms[0]) for key in ids}
        for first_ms in sorted(set(starts.values())):
            group = [key for key in ids if starts[key] == first_ms]
            end_ms = max(int(altered[key].start_ms[-1]) for key in group) + HOUR_MS
            past_ms = first_ms - REFERENCE_H * HOUR_MS
            before = {key: streams[key] for key in group}
            whole = hours_of(before, zone, temperature, from_ms=past_ms, to_ms=end_ms)
            values = whole.values.copy()
            for row, key in enumerate(group):
                later = whole.count - REFERENCE_H
                values[row, REFERENCE_H:] = on_grid(altered[key], first_ms, later)
            yield whole, group, replace(whole, values=values)


def judge(whole: Hours, group: list[str], wasteful: Hours) -> dict[str, Judged]:
    """Judge streams as they were and with waste put in, as the platform would."""
    reference = learn(whole.hours(0, REFERENCE_H))
    plain, more = (waste(reference, one, first=REFERENCE_H)[0] for one in (whole, wasteful))
    part = slice(REFERENCE_H, None)
    return {
        key: Judged(
            whole.start_ms[part], whole.values[row, part], plain[row, part], more[row, part]
        )
        for row, key in enumerate(group)
    }


def _write(judged: dict[str, Judged], path: Path) -> None:
    """Write what was found in each hour of both copies; hours with none in either are left out."""
    names: list[str] = []
    starts, wasteful, original = [], [], []
    for key, one in judged.items():
        rows = (one.found > 0) | (one.found_wasteful > 0)
        names += [key] * int(rows.sum())
        starts.append(one.start_ms[rows])
        wasteful.append(one.found_wasteful[rows])
        original.append(one.found[rows])
    instants = np.concatenate([np.empty(0, np.int64), *starts])
    table = pa.table(
        {
            "stream_id": pa.array(names, pa.string()),
            "ts": pc.cast(pa.array(instants), pa.timestamp("ms", "UTC")),
            "waste_kwh": np.concatenate([np.empty(0), *wasteful]),
            "waste_kwh_original": np.concatenate([np.empty(0), *original]),
        }
    )
    pq.write_table(table, path)


@dataclass(frozen=True, slots=True)
class Put:
    """An event that was put in: stream, kind, first and last hour, and how much."""

    stream_id: str
    kind: str
    start_ms: int
    end_ms: int
    kwh: float


def score(folder: Folder, judged: dict[str, Judged]) -> dict[str, Any]:
    """Score what was found against what was put in, as docs/reference/evaluation.md defines it."""
    events, injected = _labels(folder)
    added = {
        key: on_grid(injected.get(key, _NONE), int(one.start_ms[0]), len(one.start_ms))
        for key, one in judged.items()
    }
    added = {key: np.nan_to_num(hours) for key, hours in added.items()}
    events = [one for one in events if one.stream_id in judged]
    utility = {key: folder.listed[key].utility for key in judged}
    building = {key: folder.listed[key].building for key in judged}
    groups = {"all": list(judged)}
    for name in sorted(set(utility.values())):
        groups[name] = [key for key in judged if utility[key] == name]
    groups["tuned"] = [key for key in judged if tuned(building[key])]
    groups["untouched"] = [key for key in judged if not tuned(building[key])]
    found = {
        name: _scores(keys, judged, added, [e for e in events if e.stream_id in set(keys)])
        for name, keys in groups.items()
        if keys
    }
    kinds = {
        kind: _by_kind(judged, [e for e in events if e.kind == kind])
        for kind in sorted({e.kind for e in events})
    }
    return {"streams": len(judged), **found.pop("all"), "by_group": found, "by_kind": kinds}


_NONE = Series(np.empty(0, np.int64), np.empty(0))


def tuned(building: str) -> bool:
    """Return whether operating points were chosen on a building: by its name's hash, half."""
    return hashlib.sha256(building.encode()).digest()[-1] % 2 == 0


def _labels(folder: Folder) -> tuple[list[Put], dict[str, Series]]:
    root = folder.root / "waste"
    with (root / "waste_events.csv").open(encoding="utf-8", newline="") as lines:
        events = [
            Put(row["stream_id"], row["kind"], _ms(row["start"]), _ms(row["end"]),
                float(row["injected_kwh"]))
            for row in csv.DictReader(lines)
        ]  # fmt: skip
    return events, folder.table(root / "injected_hours.parquet", "injected_kwh")


def _ms(stamp: str) -> int:
    value = pc.cast(pa.scalar(stamp), pa.timestamp("ms", "UTC"))
    return int(pc.cast(value, pa.int64()).as_py())


def _window(one: Judged, event: Put) -> slice:
    first = (event.start_ms - int(one.start_ms[0])) // HOUR_MS
    return slice(max(first, 0), (event.end_ms - int(one.start_ms[0])) // HOUR_MS + 1)


def _share(judged: dict[str, Judged], event: Put) -> float:
    """Return which share of an event was found, over and above what is found without it."""
    one = judged[event.stream_id]
    part = _window(one, event)
    return float((one.found_wasteful[part].sum() - one.found[part].sum()) / event.kwh)


def _scores(
    keys: list[str], judged: dict[str, Judged], added: dict[str, Floats], events: list[Put]
) -> dict[str, float]:
    more = sum(float(judged[k].found_wasteful.sum() - judged[k].found.sum()) for k in keys)
    put = sum(float(added[k].sum()) for k in keys)
    inside = overlap = 0.0
    for key in keys:
        window = np.zeros(len(added[key]), np.bool_)
        for event in events:
            if event.stream_id == key:
                window[_window(judged[key], event)] = True
        flagged = judged[key].found_wasteful[window]
        inside += float(flagged.sum())
        overlap += float(np.minimum(flagged, added[key][window]).sum())
    shares = [_share(judged, event) for event in events if event.kwh > 0]
    used = sum(float(np.nansum(judged[k].original)) for k in keys)
    background = sum(float(judged[k].found.sum()) for k in keys)
    return {
        "kwh_recall": round(more / put, 4) if put else float("nan"),
        "kwh_precision": round(overlap / inside, 4) if inside else float("nan"),
        "events_half_found": round(float(np.mean([s >= 0.5 for s in shares])), 4),
        "background_share": round(background / used, 4),
    }


def _by_kind(judged: dict[str, Judged], events: list[Put]) -> dict[str, float]:
    shares = np.array([_share(judged, event) for event in events])
    kwh = np.array([event.kwh for event in events])
    return {
        "events": len(events),
        "kwh_recall": round(float(np.average(shares, weights=kwh)), 4),
        "events_half_found": round(float(np.mean(shares >= 0.5)), 4),
    }
