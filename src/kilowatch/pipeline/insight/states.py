"""A stream's state between two steps, as bytes: the detector's, the band's width, today's band.

Of many streams they are packed and unpacked together, array by array.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import msgspec
import numpy as np

from kilowatch.insights import anomalies
from kilowatch.insights.forecasting import Track
from kilowatch.insights.waste import Reference
from kilowatch.model.blocks import Floats
from kilowatch.pipeline.insight.fault_runs import FaultRun, Supply


class WasteRun(msgspec.Struct, array_like=True):
    """Waste of one kind that may go on: an event that is growing, or is about to be one.

    Attributes:
        kind: Index into ``list(EventKind)``.
        start_ms: First hour [ms since 1970, UTC].
        last_ms: Last hour so far [ms since 1970, UTC].
        found_ms: When it became an event; 0 before [ms since 1970, UTC].
        hours: Hours with waste.
        days: Local days with waste.
        day: The last of them, counted from 1970-01-01.
        amount: Wasted so far [Wh or m³].
        expected: What was needed in those hours [Wh or m³].
        highest: Most that was wasted in one of them [Wh or m³].
        nights: How many of the hours lie in the night.
    """

    kind: int
    start_ms: int
    last_ms: int
    found_ms: int
    hours: int
    days: int
    day: int
    amount: float
    expected: float
    highest: float
    nights: int = 0


class Remembered(msgspec.Struct, array_like=True):
    """What is remembered of a stream.

    Attributes:
        layout: Version of ``scan``.
        scan: The anomaly detector's state.
        days: Days whose forecast was compared with what came.
        width: What that taught: four logarithms, as bytes.
        day_ms: First hour of the band that holds now; 0 before there is one [ms].
        band: ``QUANTILES`` by the hours of that day, as bytes.
        source: Which model made it.
        model: Its version.
        stages: How often the reference was learnt.
        waste: Waste that may go on.
        faults: Electrical faults that may go on.
        supply: What is known of an electrical stream's supply.
    """

    layout: str = ""
    scan: bytes = b""
    days: int = 0
    width: bytes = b""
    day_ms: int = 0
    band: bytes = b""
    source: str = ""
    model: str = ""
    stages: int = 0
    waste: list[WasteRun] = []
    faults: list[FaultRun] = []
    supply: Supply = msgspec.field(default_factory=Supply)


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Remembered).decode


def decode(packed: bytes) -> Remembered | None:
    """Read a state; None if another version wrote it: its history is looked at again."""
    try:
        found = _decode(packed)
    except msgspec.ValidationError:
        return None
    return found if found.layout == LAYOUT else None


def _arrays(state: Any) -> list[tuple[str, Any]]:
    return [(one.name, getattr(state, one.name)) for one in fields(state)]


VERSION = 5
"""Of everything but the detector's arrays; another one has every history looked at again."""


def _layout() -> str:
    parts = [f"{name}{array.dtype.str}{array.shape}" for name, array in _arrays(anomalies.start(1))]
    return hashlib.blake2b(f"{VERSION}{''.join(parts)}".encode(), digest_size=6).hexdigest()


LAYOUT = _layout()
"""Names, types and shapes of the detector's arrays: a state of others can't be gone on with."""


def scans(remembered: Sequence[Remembered]) -> anomalies.State:
    """Return the detector's states of some streams as one."""
    fresh = anomalies.start(len(remembered))
    known = [row for row, one in enumerate(remembered) if one.scan]
    if not known:
        return fresh
    rows = np.frombuffer(b"".join(remembered[one].scan for one in known), np.uint8)
    rows = rows.reshape(len(known), -1)
    at = 0
    for _, array in _arrays(fresh):
        size = array[:1].nbytes
        part = np.ascontiguousarray(rows[:, at : at + size]).view(array.dtype)
        array[known] = part.reshape(len(known), *array.shape[1:])
        at += size
    return fresh


def packed_scans(state: anomalies.State) -> list[bytes]:
    """Return the detector's state of each stream as bytes."""
    rows = [
        np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
        for _, array in _arrays(state)
    ]
    return [row.tobytes() for row in np.concatenate(rows, axis=1)]


def tracks(remembered: Sequence[Remembered]) -> Track:
    """Return what forecasts of some streams have taught, as one."""
    track = Track.start(len(remembered))
    for row, one in enumerate(remembered):
        if one.width:
            track.days[row] = one.days
            track.width[row] = np.frombuffer(one.width)
    return track


def bands(remembered: Sequence[Remembered], day_ms: int, hours: int) -> Floats:
    """Return the bands of a day, shape (5, streams, hours); NaN for a stream that has none."""
    found = np.full((5, len(remembered), hours), np.nan)
    for row, one in enumerate(remembered):
        if one.band and one.day_ms == day_ms:
            found[:, row] = np.frombuffer(one.band).reshape(5, hours)
    return found


def packed_reference(reference: Reference, row: int) -> bytes:
    """Return what one stream needs, as bytes."""
    one = reference.take(np.array([row]))
    arrays = [getattr(one, name) for name in _REFERENCE]
    parts = [(each.tobytes(), each.dtype.str, each.shape) for each in arrays]
    return msgspec.msgpack.encode((one.from_ms, one.to_ms, parts))


def references(packed: Sequence[bytes]) -> Reference:
    """Return what some streams need, as one."""
    read = [msgspec.msgpack.decode(one) for one in packed]
    arrays = {
        name: np.concatenate(
            [np.frombuffer(part[number][0], part[number][1]).reshape(part[number][2])
             for _, _, part in read]
        )
        for number, name in enumerate(_REFERENCE)
    }  # fmt: skip
    return Reference(min(one[0] for one in read), max(one[1] for one in read), **arrays)


_REFERENCE = tuple(field.name for field in fields(Reference))[2:]
"""The arrays of a reference, by stream."""
