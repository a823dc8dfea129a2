"""What insights keep, as values: how far a stream is, and everything that was found with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import InsightEvent


def event_key(series: int, kind: str, start_ms: int) -> str:
    """Return an event's own name: the same history gives the same one."""
    text = f"{series}:{kind}:{start_ms}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """How far a stream's insights are.

    Attributes:
        basis: What they rest on: generations of its grid and of its site's temperature.
        zone: Of its site.
        birth_ms: Start of the local day of its first reading, or of the first one behind more than
            400 days without any [ms since 1970, UTC].
        cursor_ms: Everything before this hour has been looked at [ms since 1970, UTC].
        quiet_ms: What was found before this was found once already: nobody is told again
            [ms since 1970, UTC].
    """

    basis: str
    zone: str
    birth_ms: int
    cursor_ms: int
    quiet_ms: int = 0


@dataclass(frozen=True, slots=True)
class Band:
    """Expected hours of a stream, made at one moment.

    Attributes:
        series: The stream.
        start_ms: First hour [ms since 1970, UTC].
        made_ms: When it was known, in the time of the data [ms since 1970, UTC].
        source: Which model said so.
        model: Its version.
        rate: ``QUANTILES`` by hours, shape (5, hours) [W or m³/h].
    """

    series: int
    start_ms: int
    made_ms: int
    source: str
    model: str
    rate: Floats


@dataclass(frozen=True, slots=True)
class WasteRow:
    """Waste of one stream in hours of one local day that follow each other.

    Attributes:
        series: The stream.
        start_ms: First hour [ms since 1970, UTC].
        amount: Waste in each hour, shape (hours,) [Wh or m³].
        kind: Index into ``list(EventKind)``, −1 where there is none, shape (hours,).
        need: What the stream needed in each hour, waste or not, shape (hours,) [W or m³/h]; NaN
            where nobody knows, None where it was not kept.
    """

    series: int
    start_ms: int
    amount: Floats
    kind: Ints
    need: Floats | None = None


@dataclass(frozen=True, slots=True)
class Filed:
    """An event as it is kept.

    Attributes:
        key: Its own name: the same history gives the same one.
        event: What happened; its ``id`` outlives a history that is computed again.
        cause: Key of the event that stands for its cause; "" if it stands for itself.
        told_ms: When it was found to deserve attention, in the time of the data; None if it did
            not [ms since 1970, UTC].
        told_wall_ms: The same on the wall clock.
        value: What it costs a day, or what stands for that; for ranking.
        shown: What people see: the same with all that was found of its cause; None where that is
            the event itself.
    """

    key: str
    event: InsightEvent
    cause: str = ""
    told_ms: int | None = None
    told_wall_ms: int | None = None
    value: float = 0.0
    shown: InsightEvent | None = None

    @property
    def seen(self) -> InsightEvent:
        """The event as people see it."""
        return self.event if self.shown is None else self.shown


@dataclass(slots=True)
class Commit:
    """What moves together.

    Attributes:
        kept: By series, how far its insights are from now on, and its state.
        events: Those that are new or have changed.
        notices: Events that somebody is to be told of, or whose end.
        bands: Expected hours.
        waste: Wasted hours.
        references: What streams need, by series, packed.
        openings: Learnt opening hours by series, as bytes.
        standings: What is always on, by series, packed.
        anew: Streams of which nothing that was learnt before this holds any more; what was found
            stays.
    """

    kept: dict[int, tuple[Kept, bytes]] = field(default_factory=dict)
    events: list[Filed] = field(default_factory=list)
    notices: list[tuple[str, bool]] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    waste: list[WasteRow] = field(default_factory=list)
    references: dict[int, bytes] = field(default_factory=dict)
    openings: dict[int, bytes] = field(default_factory=dict)
    standings: dict[int, bytes] = field(default_factory=dict)
    anew: list[int] = field(default_factory=list)
