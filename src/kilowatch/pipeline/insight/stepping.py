"""What is done with the hours of some streams once nothing in order can change them any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from kilowatch.insights.hours import HOUR_MS, WEEK_H
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import QUANTILES
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.file import Band, Commit, Kept
from kilowatch.pipeline.insight.subjects import Subject, hourly
from kilowatch.pipeline.view import View

LOOK_BACK_H = 8 * WEEK_H


class StreamState(msgspec.Struct):
    """What is remembered of a stream between two steps.

    Attributes:
        day_ms: First hour of the band that holds now [ms since 1970, UTC].
        band: ``QUANTILES`` by the hours of that day, as bytes.
    """

    day_ms: int = 0
    band: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StreamState).decode


@dataclass(frozen=True, slots=True)
class Step:
    """Hours of some streams that are looked at together.

    Attributes:
        subjects: Streams that live by one clock and are equally far.
        kept: How far each is.
        from_ms: First hour [ms since 1970, UTC].
        until_ms: End of the last [ms since 1970, UTC].
    """

    subjects: Sequence[Subject]
    kept: Sequence[Kept]
    from_ms: int
    until_ms: int

    @property
    def zone(self) -> Zone:
        """The clock."""
        return Zone.of(self.kept[0].zone)


def look(view: View, step: Step, states: dict[int, bytes]) -> Commit:
    """Look at the hours of a step.

    Args:
        view: The measurements.
        step: Which hours of which streams.
        states: Of those that have been looked at before, packed.

    Returns:
        What was found, and the states from here on.

    Raises:
        KilowatchError: 503 from the store.
    """
    first_ms = step.from_ms - LOOK_BACK_H * HOUR_MS
    values = hourly(view, step.subjects, first_ms, step.until_ms)
    known = [
        _decode(states[s.series]) if s.series in states else StreamState() for s in step.subjects
    ]
    commit = Commit()
    edges = [*step.zone.day_starts_within(step.from_ms, step.until_ms).tolist()]
    for midnight in edges:
        end_ms = int(step.zone.day_starts_within(midnight + 1, midnight + 30 * HOUR_MS)[0])
        origin = (midnight - first_ms) // HOUR_MS
        band = similar_days(values[:, :origin], (end_ms - midnight) // HOUR_MS)
        for row, subject in enumerate(step.subjects):
            commit.bands.append(Band(subject.series, midnight, midnight, "prior", "", band[row]))
            known[row] = StreamState(midnight, band[row].tobytes())
    for subject, kept, state in zip(step.subjects, step.kept, known, strict=True):
        moved = replace(kept, cursor_ms=step.until_ms)
        commit.kept[subject.series] = (moved, _encode(state))
    return commit


def similar_days(past: Floats, horizon: int) -> Floats:
    """Return quantiles of the same hour of the week, shape (streams, 5, horizon)."""
    streams, count = past.shape
    found = np.full((streams, len(QUANTILES), horizon), np.nan)
    for hour in range(horizon):
        index = np.arange(count + hour - WEEK_H, -1, -WEEK_H)
        index = index[index < count]
        if len(index):
            with np.errstate(all="ignore"):
                found[:, :, hour] = np.nanquantile(past[:, index], QUANTILES, axis=1).T
    return found
