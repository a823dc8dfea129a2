"""Joins hours of waste to events: one cause, one event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.insights.hours import Hours
from kilowatch.insights.waste.reference import Reference
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS

KINDS = tuple(EventKind)
GAP_H = {
    EventKind.AFTER_HOURS: 4 * 24,
    EventKind.EARLY_START: 4 * 24,
    EventKind.OVER_CONDITIONING: 4 * 24,
    EventKind.BASELOAD_CREEP: 3 * 24,
    EventKind.WEEKEND: 7 * 24,
    EventKind.HOLIDAY: 4 * 24,
}
"""Hours without any after which it is another event: a weekend between two nights is none."""
FIRST_GAP_H = 24
"""The same while it is no event yet: an event begins on the day on which it became one, not with a
small hour days before."""
MIN_H = {EventKind.EARLY_START: 2}
"""Hours of waste that make an event; three where nothing else is said."""
MIN_SHARE = 0.5
"""Energy that makes an event, as a share of what the stream uses in one mean hour."""
MIN_BESIDE_PEAK = 0.25
"""Part of it, likewise, that must lie outside of its largest hour: the same hour of the next two
days is looked at more closely, and a single high hour is no event by what little is seen there.
Three equal hours have a third of a mean hour there as soon as they are enough."""


@dataclass(frozen=True, slots=True)
class WasteEvent:
    """Waste of one kind at one stream from when to when.

    Attributes:
        stream: Index of the stream.
        kind: Its kind.
        start_ms: First hour of it [ms since 1970, UTC].
        end_ms: End of the last hour of it so far [ms since 1970, UTC].
        found_ms: End of the hour at which it became an event [ms since 1970, UTC].
        open: Whether more of it may follow.
        amount: What was wasted so far [Wh or m³].
        expected: What the stream would have needed in those hours [Wh or m³].
        hours: How many hours of waste it has.
        confidence: How sure we are, 0 to 1.
    """

    stream: int
    kind: EventKind
    start_ms: int
    end_ms: int
    found_ms: int
    open: bool
    amount: float
    expected: float
    hours: int
    confidence: float


def events(reference: Reference, hours: Hours, rate: Floats, kind: Ints) -> list[WasteEvent]:
    """Join hours of waste of one kind to events.

    Args:
        reference: What the streams need.
        hours: The hours that were judged.
        rate: Waste, as ``waste`` gives it, shape (streams, hours) [W or m³/h].
        kind: Kinds, as ``waste`` gives them, shape (streams, hours).

    Returns:
        Events by stream and start. A later hour can make one longer, never earlier or smaller.
    """
    expected = reference.expected(hours)
    found: list[WasteEvent] = []
    for stream in range(hours.streams):
        for number in np.unique(kind[stream][kind[stream] >= 0]):
            label = KINDS[int(number)]
            places = np.flatnonzero(kind[stream] == number)
            cuts = np.flatnonzero(np.diff(places) > GAP_H[label]) + 1
            for part in np.split(places, cuts):
                own = _from_its_day(part, rate[stream], label, float(reference.scale[stream]))
                if own is not None:
                    known, run = own
                    found.append(
                        _event(
                            reference, hours, rate[stream], expected[stream], stream, label, run,
                            known,
                        )
                    )  # fmt: skip
    return sorted(found, key=lambda one: (one.stream, one.start_ms, one.kind))


def _from_its_day(
    places: Ints, rate: Floats, kind: EventKind, scale: float
) -> tuple[int, Ints] | None:
    """Return the hour at which hours became an event, and the hours of it; None if they are none.

    Hours that ended without having become one, a day and more before the next, are left out.
    """
    begin = 0
    for cut in (*(np.flatnonzero(np.diff(places) > FIRST_GAP_H) + 1).tolist(), len(places)):
        amount = rate[places[begin:cut]]
        so_far = np.cumsum(amount)
        enough = np.arange(1, len(amount) + 1) >= MIN_H.get(kind, 3)
        enough &= so_far > MIN_SHARE * scale
        enough &= so_far - np.maximum.accumulate(amount) > MIN_BESIDE_PEAK * scale
        if enough.any():
            return int(places[begin + int(np.argmax(enough))]), places[begin:]
        begin = cut
    return None


def _event(
    reference: Reference, hours: Hours, rate: Floats, expected: Floats, stream: int,
    kind: EventKind, places: Ints, known: int,
) -> WasteEvent:  # fmt: skip
    amount = float(np.cumsum(rate[places])[-1])
    scale = float(reference.scale[stream])
    last = int(places[-1])
    days = len(np.unique(hours.day[places]))
    size = amount / len(places) / max(scale, 1e-12)
    sure = (1 - 0.5 ** (days / 2)) * min(1.0, 0.5 + size / 0.4)
    return WasteEvent(
        stream, kind, int(hours.start_ms[places[0]]), int(hours.start_ms[last]) + HOUR_MS,
        int(hours.start_ms[known]) + HOUR_MS, hours.count - 1 - last <= GAP_H[kind],
        amount, float(expected[places].sum()), len(places), round(sure, 3),
    )  # fmt: skip
