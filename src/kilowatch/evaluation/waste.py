"""Waste that was put into meter data: how much of it is found, and how much else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kilowatch.evaluation import remarks
from kilowatch.evaluation.folder import Folder, alike, hours_of, on_grid
from kilowatch.evaluation.rows import Series
from kilowatch.evaluation.waste_scores import Judged, read_labels, score
from kilowatch.insights.hours import Bools, Hours
from kilowatch.insights.waste import learn, waste
from kilowatch.insights.waste.reference import MIN_DAYS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.units import UNITS

REFERENCE_H = 365 * 24
"""The reference period: the year before the streams are judged, as the platform does by rule."""
ALMOST_H = 330 * 24
"""A reference period with fewer hours than this is said to be short."""
COMPARED_MIN = 0.9
"""Share of a wasteful copy for which the untouched stream has to be known."""
TOGETHER = 50
"""Streams that are judged at once: what is looked at takes 10 MB each."""
NOTHING = "there is no waste/wasteful.parquet, or no row in it"
NO_HISTORY = "nothing in streams/ to learn its need from"
TOO_SHORT = "less than 28 days of history in the 365 before its wasteful copy begins"
NO_AMOUNT = "a unit without an amount that could be wasted"


def run(folder: Folder, out: Path) -> dict[str, Any]:
    """Judge the streams that have a wasteful copy, and score it: ``predict`` at once."""
    return predict(folder, out)()


def predict(folder: Folder, out: Path) -> Callable[[], dict[str, Any]]:
    """Judge the streams that have a wasteful copy, and write ``waste.parquet``.

    Args:
        folder: Streams and labels.
        out: Where to write; it exists.

    Returns:
        What reads the labels and returns scores; without wasteful streams they say so.
    """
    began = time.process_time()
    judged: dict[str, Judged] = {}
    for whole, group, wasteful in pairs(folder):
        judged |= _each(folder, whole, group, wasteful)
    for key, one in judged.items():
        judged[key] = one.times(amount_of(folder.listed[key].unit)[0])
    spent_s = time.process_time() - began
    _write(judged, out / "waste.parquet")
    left_out = folder.left_out.get("wasteful", {})

    def scored() -> dict[str, Any]:
        found: dict[str, Any] = {"left_out": left_out} if left_out else {}
        if not judged:
            why = "no stream of waste/wasteful.parquet can be judged" if left_out else NOTHING
            return {"streams": 0, "not_scored": why, **found}
        found["timing"] = {"ms_per_stream_year": round(1000 * spent_s / (2 * len(judged)), 2)}
        try:
            labels = read_labels(folder)
        except KilowatchError as error:
            why = f"labels can't be read: {error.detail}"
            return {"streams": len(judged), "not_scored": why, **found}
        return {**score(folder, judged, labels), **found}

    return scored


def amount_of(unit: str) -> tuple[float, bool]:
    """Return what an hour's value of a unit is multiplied by for kWh, and whether that is so.

    Units that are no energy (m3, L/s) stay as they are, and so do unknown ones, which are taken for
    kWh. Units without an amount (°C) give 0.
    """
    if not unit or unit not in UNITS:
        return 1.0, True
    known = UNITS[unit]
    if not known.amount:
        return 0.0, False
    if known.amount != "Wh":
        return 1.0, False
    return known.factor * known.amount_factor / 1000, True


def pairs(folder: Folder) -> Iterator[tuple[Hours, list[str], Hours]]:
    """Yield streams that share a clock and a beginning: as they were, their ids, with waste.

    Both begin with the reference period, ``REFERENCE_H`` hours, which is the same in both, and end
    with the wasteful copy of each stream. Streams that can't be judged are put into
    ``folder.left_out``.
    """
    altered = folder.wasteful()
    streams = folder.streams(altered)
    left_out = folder.left_out.setdefault("wasteful", {})
    both = []
    for key in altered:
        factor, energy = amount_of(folder.listed[key].unit)
        if not factor:
            left_out[key] = NO_AMOUNT
        elif key not in streams:
            why = folder.left_out.get("streams", {}).get(key, "not listed")
            left_out[key] = f"{NO_HISTORY}: {why}"
        else:
            both.append(folder.listed[key])
            folder.remarks.add(remarks.NO_ENERGY, [] if energy else [key])
    for zone, weather_id, ids in alike(both, altered):
        temperature = folder.temperature(weather_id)
        starts = {key: int(altered[key].start_ms[0]) for key in ids}
        for first_ms in sorted(set(starts.values())):
            group = [key for key in ids if starts[key] == first_ms]
            for first in range(0, len(group), TOGETHER):
                some = {key: (streams[key], altered[key]) for key in group[first:][:TOGETHER]}
                whole, wasteful = _laid(some, zone, temperature, first_ms)
                fits = _long_enough(folder, whole, wasteful, list(some))
                if fits.any():
                    kept = [key for key, fit in zip(some, fits, strict=True) if fit]
                    yield whole.only(fits), kept, wasteful.only(fits)


def _laid(
    some: dict[str, tuple[Series, Series]], zone: str, temperature: Series | None, first_ms: int
) -> tuple[Hours, Hours]:
    end_ms = max(int(altered.start_ms[-1]) for _, altered in some.values()) + HOUR_MS
    past_ms = first_ms - REFERENCE_H * HOUR_MS
    before = {key: own for key, (own, _) in some.items()}
    whole = hours_of(before, zone, temperature, from_ms=past_ms, to_ms=end_ms)
    values = whole.values.copy()
    for row, (_, altered) in enumerate(some.values()):
        later = whole.count - REFERENCE_H
        values[row, REFERENCE_H:] = on_grid(altered, first_ms, later)
        end = REFERENCE_H + (int(altered.start_ms[-1]) - first_ms) // HOUR_MS + 1
        whole.values[row, end:] = np.nan
    return whole, replace(whole, values=values)


def _long_enough(folder: Folder, whole: Hours, wasteful: Hours, ids: list[str]) -> Bools:
    """Return which streams have a reference period, and say what is missing of whom."""
    known = np.sum(~np.isnan(whole.values[:, :REFERENCE_H]), axis=1)
    for key, hours in zip(ids, known.tolist(), strict=True):
        if hours < MIN_DAYS * 24:
            folder.left_out["wasteful"][key] = TOO_SHORT
        elif hours < ALMOST_H:
            folder.remarks.add(remarks.SHORT_REFERENCE, [key])
    part = slice(REFERENCE_H, None)
    there, both = ~np.isnan(wasteful.values[:, part]), ~np.isnan(whole.values[:, part])
    compared = np.sum(there & both, axis=1) / np.maximum(np.sum(there, axis=1), 1)
    for key, share in zip(ids, compared.tolist(), strict=True):
        if share < COMPARED_MIN and key not in folder.left_out["wasteful"]:
            folder.remarks.add(remarks.NO_ORIGINAL, [key])
    return np.asarray(known >= MIN_DAYS * 24)


def _each(folder: Folder, whole: Hours, group: list[str], wasteful: Hours) -> dict[str, Judged]:
    """Judge some streams together; if that fails, each by itself: one must not stop the others."""
    try:
        return judge(whole, group, wasteful)
    except (ValueError, ArithmeticError, IndexError) as error:
        if len(group) == 1:
            folder.left_out["wasteful"][group[0]] = f"{remarks.FAILED}: {error}"
            return {}
    found: dict[str, Judged] = {}
    for row, key in enumerate(group):
        part = slice(row, row + 1)
        found |= _each(folder, whole.only(part), [key], wasteful.only(part))
    return found


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
