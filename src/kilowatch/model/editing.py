"""What rules and people make of computed intervals: validation, estimates, corrections.

Nothing here touches what was pushed, nor the intervals that were computed from it: a correction is
a value that says what to show instead, and leaving it out again gives the figures before it, bit
for bit (docs/reference/intervals.md, docs/decisions/0012).
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from typing import Literal

CorrectionKind = Literal["edit", "fill", "spread", "accept", "confirm", "comment"]
Method = Literal["linear", "profile", "sister"]

CORRECTION_KINDS: tuple[CorrectionKind, ...] = (
    "edit", "fill", "spread", "accept", "confirm", "comment",
)  # fmt: skip
METHODS: tuple[Method, ...] = ("linear", "profile", "sister")

NEVER_NEGATIVE = frozenset({"gas", "water", "heat", "cooling"})
"""Utilities of which nobody gives anything back: a negative amount is a fault by default."""

SUM_TOLERANCE = 0.05
"""Submeters may count so much more than their main before that is odd: two meters of accuracy
class 2 (EN 50470-3: 2 % each) read 4 % apart, and clocks a minute apart add to it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is odd about an interval of a data point, and what may be estimated without a person.

    Attributes:
        demand_max: Highest plausible mean over an interval [W, m³/h, … or a gauge's own unit].
            Off by default: only who knows the fuse knows it.
        spike_factor: An interval that exceeds the medians of its neighbours on both sides by more
            than this factor is a spike. Off by default: a kettle in a quiet flat is one too.
        zero_run_s: Longest time without any consumption [s]. Off by default: offices close.
        negative: Whether a negative amount is odd; None for gas, water, heat and cooling only.
        sum_tolerance: By what share submeters may exceed their main meter; 0 switches it off,
            None is ``SUM_TOLERANCE``.
        estimate_up_to_s: Gaps up to this length are estimated by themselves [s]. Off by default.
        estimate_method: How: ``linear`` or ``profile``.
    """

    demand_max: float | None = None
    spike_factor: float | None = None
    zero_run_s: int | None = None
    negative: bool | None = None
    sum_tolerance: float | None = None
    estimate_up_to_s: int | None = None
    estimate_method: Method = "linear"

    @property
    def judge(self) -> bool:
        """Whether any rule looks at intervals."""
        limits = (self.demand_max, self.spike_factor, self.zero_run_s)
        return bool(self.negative) or any(limit is not None for limit in limits)


@dataclass(frozen=True, slots=True)
class Correction:
    """One decision of a person about a range of time.

    Attributes:
        id: The catalogue's number; of two edits of an interval the larger counts.
        kind: ``edit`` gives every interval that starts in the range a value. ``fill`` estimates
            what is missing in it. ``spread`` distributes the energy that a register counted
            across a gap. ``accept`` leaves a gap as it is, whatever the rules say. ``confirm``
            makes what is questionable valid. ``comment`` changes nothing.
        channel: Channel code; None for all.
        from_ms: Start of the range [ms since 1970, UTC].
        to_ms: Its end [ms].
        value: Of an edit: amount of the interval, or its mean for rates, powers and gauges
            [canonical unit].
        method: Of a fill or a spread.
        sister: Series of the meter whose shape is taken.
    """

    id: int
    kind: CorrectionKind
    channel: int | None
    from_ms: int
    to_ms: int
    value: float | None = None
    method: Method | None = None
    sister: int | None = None

    def concerns(self, channel: int) -> bool:
        """Tell whether a channel is meant."""
        return self.channel is None or self.channel == channel

    def overlaps(self, from_ms: int, to_ms: int) -> bool:
        """Tell whether the range has a part in [from_ms, to_ms)."""
        return self.from_ms < to_ms and self.to_ms > from_ms


@dataclass(frozen=True, slots=True)
class Editing:
    """Rules and corrections of a data point.

    Attributes:
        rules: What is odd and what may be estimated.
        corrections: In the order of their numbers, those undone left out.
    """

    rules: Rules = Rules()
    corrections: tuple[Correction, ...] = ()

    def applied(self, utility: str, behaviour: str) -> Editing:
        """Return what intervals depend on: defaults decided, and nothing that changes none."""
        negative = self.rules.negative
        if negative is None:
            negative = utility in NEVER_NEGATIVE and behaviour == "amount"
        rules = replace(self.rules, negative=negative or None, sum_tolerance=None)
        if rules.estimate_up_to_s is None:
            rules = replace(rules, estimate_method="linear")
        return Editing(rules, tuple(c for c in self.corrections if c.kind != "comment"))

    @property
    def sisters(self) -> frozenset[int]:
        """Series of other meters that estimates rest on."""
        return frozenset(c.sister for c in self.corrections if c.sister is not None)


NOTHING = Editing()


@lru_cache(maxsize=50_000)
def encoded(editing: Editing) -> str:
    """Return rules and corrections as text, equal for equal ones; empty when there is nothing."""
    if editing == NOTHING:
        return ""
    corrections = [astuple(correction) for correction in editing.corrections]
    return json.dumps([astuple(editing.rules), corrections], separators=(",", ":"))


@lru_cache(maxsize=50_000)
def decoded(text: str) -> Editing:
    """Return what ``encoded`` was given."""
    if not text:
        return NOTHING
    rules, corrections = json.loads(text)
    return Editing(Rules(*rules), tuple(Correction(*fields) for fields in corrections))
