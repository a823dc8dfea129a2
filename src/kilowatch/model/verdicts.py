"""What a person has said of an event, and what that teaches about the next ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kilowatch.model.blocks import Ints
from kilowatch.model.insight import EventKind, Verdict
from kilowatch.model.lengths import DAY_MS, HOUR_MS, WEEK_MS
from kilowatch.model.zones import Zone

Lasts = Literal["once", "until", "weekly"]
LASTS: tuple[Lasts, ...] = ("once", "until", "weekly")
"""How long something is expected: this time, until a date, always at this time of the week."""

_MONDAY_MS = 4 * DAY_MS  # 1970-01-05


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict as it stands.

    Attributes:
        id: The catalogue's number.
        event_id: Which event.
        data_point_id: Of which data point.
        kind: What the event was.
        start_ms: When it began, as it was known when the verdict was given [ms since 1970, UTC].
        end_ms: When it ended, likewise.
        verdict: What was said; None for a comment alone.
        lasts: Of something expected: for how long; ``once`` of every other verdict.
        until_ms: First instant at which it holds no longer, for what is snoozed or expected until
            then [ms since 1970, UTC].
        comment: In the person's words.
        who: Who said it.
        at_ms: When [ms since 1970, UTC].
        taken_back_ms: When it was taken back; None while it stands.
        taken_back_by: Who took it back.
    """

    id: int
    event_id: str
    data_point_id: int
    kind: EventKind
    start_ms: int
    end_ms: int
    verdict: Verdict | None
    lasts: Lasts
    until_ms: int | None
    comment: str
    who: str
    at_ms: int
    taken_back_ms: int | None = None
    taken_back_by: str = ""

    def silences(self, now_ms: int) -> bool:
        """Tell whether nobody needs to be told of the event at an instant.

        Everything that was said of it is an answer; what is snoozed comes back when its time is up.
        """
        if self.verdict is None:
            return False
        return self.verdict is not Verdict.SNOOZED or (
            self.until_ms is not None and now_ms < self.until_ms
        )

    @property
    def teaches(self) -> bool:
        """Whether it says something about other events: what is expected for longer."""
        return self.verdict is Verdict.EXPECTED and self.lasts != "once"

    def expects(self, kind: EventKind, start_ms: int, end_ms: int, zone: Zone) -> bool:
        """Tell whether it makes another event of the same data point expected.

        Args:
            kind: Of that event; another kind is another matter.
            start_ms: When that event began [ms since 1970, UTC].
            end_ms: When it ended, or until when it is known so far.
            zone: The site's clock, which the time of the week is read from.

        Returns:
            True for an event of this kind that begins before ``until_ms``; of a weekly one, when
            more than half of its hours are hours of the week that the first one had.
        """
        if not self.teaches or kind is not self.kind or start_ms < self.start_ms:
            return False
        if self.lasts == "until":
            return self.until_ms is not None and start_ms < self.until_ms
        theirs = hours_of_week(_within(start_ms, end_ms), zone)
        return bool(2 * np.isin(theirs, self.hours_of_week(zone)).sum() > theirs.size)

    def hours_of_week(self, zone: Zone) -> Ints:
        """Return the hours of the local week that the event had, each once."""
        return np.unique(hours_of_week(_within(self.start_ms, self.end_ms), zone))


def hours_of_week(at_ms: Ints, zone: Zone) -> Ints:
    """Return the hour of the local week that each instant lies in, Monday from midnight being 0."""
    return (zone.local_ms(at_ms) - _MONDAY_MS) % WEEK_MS // HOUR_MS


def _within(start_ms: int, end_ms: int) -> Ints:
    return np.arange(start_ms, max(end_ms, start_ms + 1), HOUR_MS, dtype=np.int64)
