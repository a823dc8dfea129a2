"""Scores waste against what was put in, as docs/reference/evaluation.md defines it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.evaluation import labels as files
from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.rows import Series, by_stream, read
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone

NONE = float("nan")


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

    def times(self, factor: float) -> Judged:
        """Return the same in another unit."""
        if factor == 1:
            return self
        return Judged(
            self.start_ms, self.original * factor, self.found * factor,
            self.found_wasteful * factor,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Put:
    """An event that was put in: stream, kind, first and last hour, and how much."""

    stream_id: str
    kind: str
    start_ms: int
    end_ms: int
    kwh: float


@dataclass(frozen=True, slots=True)
class Labels:
    """What was put in.

    Attributes:
        events: Each event.
        injected: By stream its hours [kWh].
        unread: Rows of the file of events that can't be read.
    """

    events: list[Put]
    injected: dict[str, Series]
    unread: int = 0


def read_labels(folder: Folder) -> Labels:
    """Read what was put in: after ``waste.parquet`` was written, and not before.

    Raises:
        KilowatchError: A file is not there, or lacks columns.
    """
    root = folder.root / "waste"
    columns = ("stream_id", "kind", "start", "end", "injected_kwh")
    events, unread = [], 0
    for row in files.read(root / "waste_events.csv", columns):
        stream = row["stream_id"]
        try:
            start, end = (files.instant_ms(row[name], folder, stream) for name in ("start", "end"))
            events.append(Put(stream, row["kind"], start, end, float(row["injected_kwh"])))
        except ValueError:
            unread += 1
    if not (root / "injected_hours.parquet").exists():
        raise KilowatchError("unreadable_file", "injected_hours.parquet is not there.")
    rows = read(root / "injected_hours.parquet", "injected_kwh")
    clocks = {key: one.zone for key, one in folder.listed.items()}
    injected = by_stream(rows, lambda key: Zone.of(clocks.get(key, "UTC")), folder.remarks)
    return Labels(events, injected, unread)


def score(folder: Folder, judged: dict[str, Judged], labels: Labels) -> dict[str, Any]:
    """Score what was found against what was put in.

    Args:
        folder: Buildings, utilities and units of the streams.
        judged: At least one.
        labels: What was put in.

    Returns:
        Figures; NaN where there is nothing to divide by.
    """
    added = {key: _hour_sums(labels.injected.get(key, _EMPTY), one) for key, one in judged.items()}
    events = [one for one in labels.events if _seen(judged, one)]
    aside = Counter(one.stream_id for one in labels.events if not _seen(judged, one))
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
    return {
        "streams": len(judged), **found.pop("all"), "by_group": found, "by_kind": kinds,
        **files.set_aside(labels.unread, aside),
    }  # fmt: skip


_EMPTY = Series(np.empty(0, np.int64), np.empty(0))


def _hour_sums(injected: Series, one: Judged) -> Floats:
    """Add up what was put into each hour that was judged, shape (hours,) [kWh]."""
    index = (injected.start_ms - int(one.start_ms[0])) // HOUR_MS
    inside = (index >= 0) & (index < len(one.start_ms)) & ~np.isnan(injected.values)
    values = injected.values[inside]
    return np.bincount(index[inside], values, minlength=len(one.start_ms)).astype(np.float64)


def tuned(building: str) -> bool:
    """Return whether operating points were chosen on a building: by its name's hash, half."""
    return hashlib.sha256(building.encode()).digest()[-1] % 2 == 0


def _window(one: Judged, event: Put) -> slice:
    first, last = ((at - int(one.start_ms[0])) // HOUR_MS for at in (event.start_ms, event.end_ms))
    return slice(max(first, 0), max(last + 1, 0))


def _seen(judged: dict[str, Judged], event: Put) -> bool:
    """Return whether an event lies in the time for which its stream was judged."""
    one = judged.get(event.stream_id)
    return one is not None and len(one.start_ms[_window(one, event)]) > 0


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
    half = float(np.mean([s >= 0.5 for s in shares])) if shares else NONE
    return {
        "kwh_recall": round(more / put, 4) if put else NONE,
        "kwh_precision": round(overlap / inside, 4) if inside else NONE,
        "events_half_found": round(half, 4),
        "background_share": round(background / used, 4) if used else NONE,
    }


def _by_kind(judged: dict[str, Judged], events: list[Put]) -> dict[str, float]:
    counted = [event for event in events if event.kwh > 0]
    if not counted:
        return {"events": len(events), "kwh_recall": NONE, "events_half_found": NONE}
    shares = np.array([_share(judged, event) for event in counted])
    kwh = np.array([event.kwh for event in counted])
    return {
        "events": len(events),
        "kwh_recall": round(float(np.average(shares, weights=kwh)), 4),
        "events_half_found": round(float(np.mean(shares >= 0.5)), 4),
    }
