"""How events and bands stand in the insights' file: columns and packed bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.pipeline.insight.records import Filed


def _plain(value: object) -> object:
    """Return a NumPy number as Python's own."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} can't be kept")


encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
decode = msgspec.msgpack.Decoder().decode

EVENT = (
    "id, series, kind, start_ms, end_ms, open, found_ms, amount, confidence, evidence, model,"
    " others"
)
"""Columns of an event, in the order of ``event_of``."""

SHOWN = f"{EVENT}, shown"
"""The same as people see it, with all that was found of its cause, in the order of ``shown_of``."""


def event_of(row: Sequence[Any]) -> InsightEvent:
    """Return an event from the columns ``EVENT``."""
    amount = row[7]
    return InsightEvent(
        id=row[0],
        series=row[1],
        kind=EventKind(row[2]),
        start_ms=row[3],
        end_ms=row[4],
        open=bool(row[5]),
        found_ms=row[6],
        amount=float("nan") if amount is None else amount,
        confidence=row[8],
        evidence=decode(row[9]),
        model=row[10],
        others=tuple(decode(row[11])),
    )


def shown_of(row: Sequence[Any]) -> InsightEvent:
    """Return an event as people see it from the columns ``SHOWN``."""
    own = event_of(row)
    if not row[12]:
        return own
    kind, start_ms, end_ms, is_open, amount, confidence, evidence, model = decode(row[12])
    return replace(
        own,
        kind=EventKind(kind),
        start_ms=start_ms,
        end_ms=end_ms,
        open=is_open,
        amount=float("nan") if amount is None else amount,
        confidence=confidence,
        evidence=evidence,
        model=model,
    )


def packed(rate: Floats) -> bytes:
    """Return a band as it is kept: single precision, 4 bytes a number."""
    return np.ascontiguousarray(rate, np.float32).tobytes()


def unpacked(band: bytes) -> Floats:
    """Return a band as it was kept, shape (5, hours)."""
    return np.frombuffer(band, np.float32).reshape(5, -1).astype(np.float64)


def row_of(filed: Filed) -> tuple[Any, ...]:
    """Return the columns of ``event`` that keep an event, in their order."""
    event = filed.event
    amount = None if np.isnan(event.amount) else float(event.amount)
    return (
        filed.key, event.id, event.series, event.kind.value, event.start_ms, event.end_ms,
        int(event.open), event.found_ms, amount, float(event.confidence), encode(event.evidence),
        event.model, filed.cause, encode(list(event.others)), filed.told_ms, filed.told_wall_ms,
        float(filed.value), *_shown(filed.shown),
    )  # fmt: skip


def _shown(event: InsightEvent | None) -> tuple[bytes | None, int | None, int | None]:
    if event is None:
        return None, None, None
    amount = None if np.isnan(event.amount) else float(event.amount)
    parts = (
        event.kind.value, event.start_ms, event.end_ms, event.open, amount,
        float(event.confidence), event.evidence, event.model,
    )  # fmt: skip
    return encode(parts), event.start_ms, event.end_ms
