"""What a stream's intervals are edited with, and how far in time that reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kilowatch.model.editing import Correction, Editing, decoded
from kilowatch.model.parameters import VALUE, Role, family_of
from kilowatch.model.zones import Zone
from kilowatch.pipeline.estimation import REACH_MS
from kilowatch.pipeline.validation import ahead_ms, behind_ms

Figure = Literal["register", "amount", "rate", "power", "gauge", "ratio"]
"""What the rows of a channel hold; ``power`` is a mean that adds up, without an amount."""

Spans = Mapping[int, tuple[int, int]]
"""By series, from where to where [ms]: first start, and first start that is not wanted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a stream's intervals are edited with.

    Attributes:
        interval_s: Of its grid [s].
        zone: Of its site.
        kind: Of the data point.
        behaviour: Of the data point.
        unit: Of the data point.
        editing: Rules and corrections.
    """

    interval_s: int
    zone: Zone
    kind: str
    behaviour: str
    unit: str
    editing: Editing

    @staticmethod
    def of(settings: Mapping[str, Any] | None) -> Frame | None:
        """Return the frame of a stream's settings; None when there is nothing to edit."""
        text = settings.get("editing") if settings else None
        if not settings or not text:
            return None
        return Frame(
            settings["interval_s"],
            Zone.of(settings["zone"]),
            settings["kind"],
            settings["behaviour"],
            settings["unit"],
            decoded(text),
        )

    @property
    def interval_ms(self) -> int:
        """Length of an interval, of a month the longest [ms]."""
        return self.interval_s * 1000

    @property
    def _estimated_ms(self) -> int:
        """How far from an interval the ends of a gap that is estimated by itself may lie [ms]."""
        up_to_s = self.editing.rules.estimate_up_to_s
        return 0 if up_to_s is None else up_to_s * 1000 + self.interval_ms

    def settled_ms(self, since_ms: int) -> int:
        """Return before which start edited intervals are final, when computed ones are [ms].

        Args:
            since_ms: First start of a computed interval that can still change [ms].
        """
        rules = self.editing.rules
        settled_ms = since_ms - max(ahead_ms(rules, self.interval_ms), self._estimated_ms)
        for correction in self.editing.corrections:
            if correction.kind in {"fill", "spread"} and self._reach(correction)[1] > since_ms:
                settled_ms = min(settled_ms, correction.from_ms - self._estimated_ms)
        return settled_ms

    def window(self, from_ms: int, to_ms: int) -> tuple[int, int]:
        """Return which computed intervals those of [from_ms, to_ms) rest on, profiles aside."""
        rules, interval_ms = self.editing.rules, self.interval_ms
        low = from_ms - max(behind_ms(rules, interval_ms), self._estimated_ms)
        high = to_ms + max(ahead_ms(rules, interval_ms), self._estimated_ms)
        ranges = [
            (c, *self._reach(c)) for c in self.editing.corrections if c.kind in {"fill", "spread"}
        ]
        while True:  # a range that is touched is wanted whole, and may touch another
            touched = [(a, b) for c, a, b in ranges if c.overlaps(low, high)]
            wider = (
                min((a for a, _ in touched), default=low),
                max((b for _, b in touched), default=high),
            )
            wider = min(low, wider[0]), max(high, wider[1])
            if wider == (low, high):
                return low, high
            low, high = wider

    def _reach(self, correction: Correction) -> tuple[int, int]:
        beside_ms = max(self.interval_ms, REACH_MS if correction.method == "linear" else 0)
        return correction.from_ms - beside_ms, correction.to_ms + beside_ms

    def figure(self, channel: int) -> Figure:
        """Return what a channel's rows hold."""
        family = family_of(channel)
        if channel == VALUE or family is None:
            return self.behaviour  # type: ignore[return-value] # one of the four
        if family.role is Role.REGISTER:
            return "register" if self.behaviour == "register" else "amount"
        named: dict[Role, Figure] = {Role.POWER: "power", Role.GAUGE: "gauge"}
        return named.get(family.role, "ratio")
