"""What the pipeline knows about each stream: what was pushed, and how far it is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import msgspec

from kilowatch.model.clock import ClockWitness
from kilowatch.model.dated import History
from kilowatch.model.editing import Editing, encoded
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.evidence import Evidence
from kilowatch.pipeline.grids import PointGrid
from kilowatch.pipeline.validation import Event

SHARED_MAX = 10_000  # settings that differ
DISTANCES_MAX = 15  # the median of so many shows a changed interval after eight packets
FALLS_MAX = 50  # a dial that falls with every packet must not fill the memory
IGNORED_NAMES_MAX = 50  # a stream that invents names must not fill the memory

_SETTINGS = (
    "kind", "unit", "interval_s", "tolerance_s", "behaviour", "stamp", "register_max", "zone",
)  # fmt: skip
"""Fields of a data point that its intervals depend on, besides the clock."""

_WITNESS = tuple(field.name for field in fields(ClockWitness))


class Fall(msgspec.Struct, frozen=True, array_like=True):
    """A dial that fell, and nobody has said why.

    Attributes:
        channel: Which register.
        at_ms: Effective instant of the lower figure [ms].
        before_ms: Effective instant of the figure before [ms].
        before: Figure before [as pushed].
        after: The lower figure [as pushed].
    """

    channel: int
    at_ms: int
    before_ms: int
    before: float
    after: float


class Progress(msgspec.Struct, omit_defaults=True):
    """How far one grid of a stream's intervals has come.

    Attributes:
        generation: Of its rows in the store.
        settings: What it is computed with (``settings_of``); None before the first reading.
        first_register_ms: By energy, effective instant of the first packet that carried it.
        first_export_ms: Effective instant of the first negative total power.
        since_ms: First interval start that a reading in order can still change.
        context_ms: Pushed instant from which on every reading is context of the next.
        context_before_ms: Pushed instants of the context's readings before that.
        first_ms: Effective instant of the first reading.
        last_ms: Effective instant of the last reading.
        channels: Channels that have rows; never changed in place, streams share them.
        hour_ms: Stored hours reach to here; kept beside the state in the file, since roll-ups
            are written after a state was packed.
        day_ms: Stored local days reach to here; likewise.
        stored_ms: No interval row in the store starts later.
        rows_ms: End of the last row of a formula, also of one without a result: a quotient of
            nothing made has a sum above, which counts in its hour.
        events: Violated rules in what is closed; beside the state in the file, as its hours are.
        judged_ms: Intervals of an hour and longer are judged up to here; shorter ones when their
            hour is closed. Beside the state too.
        falls: Where dials fell and nobody has said why, the latest of them.
        falls_before: How many earlier ones are not listed.
        looked_for_gaps: False in a state of a version that did not: its history has to be
            looked through once.
        editing_failure: Why rules and corrections could not be applied to some hours or days that
            are stored, or an empty string.
    """

    generation: int = 1
    settings: dict[str, Any] | None = None
    first_register_ms: Mapping[int, int] = {}
    first_export_ms: int | None = None
    since_ms: int = 0
    context_ms: int = 0
    context_before_ms: list[int] = []
    first_ms: int | None = None
    last_ms: int | None = None
    channels: set[int] = set()
    hour_ms: int = 0
    day_ms: int = 0
    stored_ms: int | None = None
    rows_ms: int | None = None
    events: list[Event] = []
    judged_ms: int = 0
    falls: list[Fall] = []
    falls_before: int = 0

    @property
    def reach_ms(self) -> int | None:
        """No row of the stream starts later [ms]; None before the first."""
        ends = [one for one in (self.last_ms, self.rows_ms) if one is not None]
        return max(ends, default=None)

    def note_falls(self, falls: Sequence[Fall], anew_ms: int) -> None:
        """Add falls since an instant; those that were noted since then are seen anew."""
        listed = [fall for fall in self.falls if fall.at_ms < anew_ms] + list(falls)
        self.falls_before += max(len(listed) - FALLS_MAX, 0)
        self.falls = listed[-FALLS_MAX:]

    looked_for_gaps: bool = False
    editing_failure: str = ""


class StreamState(msgspec.Struct, omit_defaults=True):
    """What the pipeline remembers of one stream.

    Attributes:
        progress: The grid that readers see.
        seq: Last packet of the stream that is counted here.
        packets: Readings with distinct instants.
        at_ms: Pushed instant of the last reading.
        values: Values of the last reading, by channel.
        witness: What packets have said about the clock (``ClockWitness``).
        offset_matters: Whether offset and wall clock have ever meant different instants.
        distances_ms: Between the last readings.
        ignored: Names that are not in the contract, with how many packets carried them.
        ignored_at: Pushed instant of the packet that carried each of them last.
        evidence: What packets have shown about the registration.
        stale: Why the intervals must be computed again, or an empty string.
        rehear: Whether a packet came to history that may speak of its sender's clock: everything
            that was said of it is heard again, in the order of instants.
        marks: How often that was said: what was said during a recomputation asks for another.
        late_seq: Last packet that lies before what was settled, or replaced a reading.
        conflicts: Readings that contradict stored ones and wait for a person.
        conflicts_uncounted: Further ones, of which only this number is known.
        failure: Why the stream's packets can't be turned into intervals, or empty.
        failed_at_ms: The packet that failed.
    """

    progress: Progress = msgspec.field(default_factory=Progress)
    seq: int = 0
    packets: int = 0
    at_ms: int = 0
    values: dict[int, float] = {}
    witness: dict[str, Any] = msgspec.field(default_factory=lambda: witness_fields(ClockWitness()))
    offset_matters: bool = False
    distances_ms: list[int] = []
    ignored: dict[str, int] = {}
    ignored_at: dict[str, int] = {}
    evidence: Evidence = msgspec.field(default_factory=Evidence)
    stale: str = ""
    late_seq: int = 0
    conflicts: int = 0
    conflicts_uncounted: int = 0
    failure: str = ""
    failed_at_ms: int | None = None
    marks: int = 0
    rehear: bool = False

    def mark_stale(self, why: str) -> None:
        """Say that the intervals must be computed again."""
        self.stale = why
        self.marks += 1

    def observe(self, at_ms: int, seq: int) -> None:
        """Count a packet, in the order of the log."""
        self.seq = seq
        if self.packets and at_ms < self.at_ms:  # history was put in that reaches beyond it
            self.mark_stale("a packet came that lies before what was put into history")
            return
        if self.packets and at_ms == self.at_ms:
            return  # a partial packet merged into the one before it
        if self.packets:
            self.distances_ms = [*self.distances_ms[1 - DISTANCES_MAX :], at_ms - self.at_ms]
        self.packets += 1
        self.at_ms = at_ms

    def ignore(self, names: Iterable[str], at_ms: int) -> None:
        """Count names in a packet that are not in the contract."""
        for name in names:
            if name in self.ignored or len(self.ignored) < IGNORED_NAMES_MAX:
                self.ignored[name] = self.ignored.get(name, 0) + 1
                self.ignored_at[name] = at_ms


def witness_fields(witness: ClockWitness) -> dict[str, Any]:
    """Return a witness as it is stored; ``asdict`` would copy deeply, 20 times slower."""
    return {name: getattr(witness, name) for name in _WITNESS}


def settings_of(point: DataPoint, witness: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a data point's intervals depend on, its clock decided as far as it is.

    A data point without periods, factors and events has no entry ``history``.
    """
    decision = witness["decision"]
    clock = decision if point.clock == "auto" else point.clock
    # Undecided is shown as sent, which is what the wall clock means.
    settings = {name: getattr(point, name) for name in _SETTINGS}
    settings["clock"] = "offset" if clock == "offset" else "wall"
    # What follows is only there where there is any: what was computed before still fits.
    history = point.history
    if history.zones:
        settings["zone"] = history.zone_name(point.zone)
    if history.periods or history.events or history.formulas:
        decided = "offset" if decision == "offset" else "wall"
        settings["history"] = history.with_clock(decided).plain()
    if editing := _editing(point.editing, point.utility, point.behaviour):
        settings["editing"] = editing
    return settings


@lru_cache(maxsize=10_000)
def _editing(editing: Editing, utility: str, behaviour: str) -> str:
    """Return the rules and corrections that apply, as text: nearly all points have the same."""
    return encoded(editing.applied(utility, behaviour))


def shortest_interval_s(settings: Mapping[str, Any]) -> int:
    """Return the shortest interval that a grid has ever had [s]."""
    periods = (settings.get("history") or {}).get("periods", [])
    shortest: int = min([settings["interval_s"], *(period["interval_s"] for period in periods)])
    return shortest


def grid_of(point: DataPoint, progress: Progress) -> PointGrid:
    """Return the settings that a grid is computed with, whatever they are by now."""
    settings = dict(progress.settings or {})
    clock = settings.pop("clock", "wall")
    settings.pop("editing", None)  # of what is made of intervals afterwards (``editing.py``)
    settings.pop("inputs", None)  # of what a formula is computed from (``compiled.py``)
    history = History.of_plain(settings.pop("history", None))
    applied = replace(point, **settings, history=history)
    return PointGrid(
        applied,
        Zone.of(applied.zone),
        clock,
        progress.first_register_ms,
        progress.first_export_ms,
    )


class SharedSettings:
    """Equal settings of many streams as one object: 700 bytes once, not for each of 100,000."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], dict[str, Any]] = {}

    def of(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the same settings, nobody changes them in place; dated ones are not shared."""
        if "history" in settings:
            return settings
        if len(self._known) > SHARED_MAX:
            self._known.clear()
        return self._known.setdefault(tuple(settings.items()), settings)
