"""What the dashboard needs of the rooms that it is given, and no more than that.

The catalogue is used as it is. View, log reader and collector are named here by what is called
on them, so that a test, or another engine, can stand in for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol

from kilowatch.client.history import HistoryDesk, PutIn
from kilowatch.dashboard.periods import Grain
from kilowatch.exports.needs import Extent, Measurements
from kilowatch.health import Facts, Report
from kilowatch.log.records import Backfill, Counters, Head, KeptPacket
from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.calendar import Grain as Bucket
from kilowatch.model.durations import Durations
from kilowatch.model.editing import Editing
from kilowatch.model.findings import Finding
from kilowatch.model.gaps import Gap, GapDay, PointGaps
from kilowatch.model.insight import (
    EventBrief,
    Expected,
    InsightEvent,
    Needed,
    Outlook,
    Standing,
    WasteChanges,
    WasteHours,
)
from kilowatch.model.packet import Form
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Contact
from kilowatch.pipeline.answers import Recomputing
from kilowatch.pipeline.conflicts import Conflict
from kilowatch.pipeline.formula_preview import FormulaPreview
from kilowatch.pipeline.grids import PointGrid
from kilowatch.pipeline.tree_eras import DatedFeeding, Feeding
from kilowatch.pipeline.tree_rollups import TreeRollUp


class LastValue(Protocol):
    """The last packet's most telling value, in the unit it was pushed in."""

    @property
    def at_ms(self) -> int: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def unit(self) -> str: ...  # noqa: D102


class PointStatus(Protocol):
    """What the pipeline has found out about a stream."""

    @property
    def clock(self) -> str: ...  # noqa: D102
    @property
    def clock_reason(self) -> str: ...  # noqa: D102
    @property
    def observed_interval_s(self) -> float | None: ...  # noqa: D102
    @property
    def interval_matches(self) -> bool: ...  # noqa: D102
    @property
    def join_interval_s(self) -> int: ...  # noqa: D102
    @property
    def ignored(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def findings(self) -> Sequence[Finding]: ...  # noqa: D102
    @property
    def recomputing(self) -> float | None: ...  # noqa: D102


class DayChange(Protocol):
    """One channel on one local day, before and after (``pipeline.preview.DayChange``)."""

    @property
    def channel(self) -> int: ...  # noqa: D102
    @property
    def start_ms(self) -> int: ...  # noqa: D102
    @property
    def duration_ms(self) -> int: ...  # noqa: D102
    @property
    def before(self) -> float: ...  # noqa: D102
    @property
    def after(self) -> float: ...  # noqa: D102
    @property
    def before_completeness(self) -> float: ...  # noqa: D102
    @property
    def after_completeness(self) -> float: ...  # noqa: D102
    @property
    def before_shares_ms(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def after_shares_ms(self) -> tuple[int, ...]: ...  # noqa: D102


class Preview(Protocol):
    """What a decision would change: days, and the intervals that would differ."""

    @property
    def days(self) -> Sequence[DayChange]: ...  # noqa: D102
    @property
    def before(self) -> IntervalBlock: ...  # noqa: D102
    @property
    def after(self) -> IntervalBlock: ...  # noqa: D102


class Subscription(Protocol):
    """Tells which series changed; ``close`` ends the iteration."""

    def __aiter__(self) -> AsyncIterator[frozenset[int]]: ...
    def close(self) -> None: ...  # noqa: D102


class Measured(Protocol):
    """Rows of data points: the view itself, or sums that look like one (``level_total.py``)."""

    def series(  # noqa: D102
        self, point: DataPoint, channels: Sequence[int], from_ms: int, to_ms: int, grain: Grain
    ) -> IntervalBlock: ...
    def to_average(  # noqa: D102
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain = "day",
    ) -> IntervalBlock: ...
    def channels(self, point: DataPoint) -> list[int]: ...  # noqa: D102
    def extent(self, point: DataPoint) -> Extent | None: ...  # noqa: D102


class View(Measurements, Measured, Protocol):
    """The measurements: ``kilowatch.pipeline.view.View``. Called in threads.

    What exports need of them, and what pages need besides.

    Raises:
        KilowatchError: 503 ``store_busy`` while the store opens or a query takes too long.
    """

    def days_with_data(self, point: DataPoint, from_ms: int, to_ms: int) -> list[date]: ...  # noqa: D102
    def last_values(self, points: Sequence[DataPoint]) -> Mapping[int, LastValue]: ...  # noqa: D102
    def last_seen(self, series: Iterable[int]) -> Mapping[int, int]: ...  # noqa: D102
    @property
    def contact(self) -> Callable[[DataPoint], Contact | None]: ...  # noqa: D102
    @property
    def silent_now(self) -> Callable[[], frozenset[int] | None]: ...  # noqa: D102
    def status(self, point: DataPoint) -> PointStatus: ...  # noqa: D102
    def recomputing(self, points: Sequence[DataPoint]) -> Recomputing: ...  # noqa: D102
    def is_current(self, point: DataPoint) -> bool: ...  # noqa: D102
    def findings(  # noqa: D102
        self, points: Sequence[DataPoint], *, with_dismissed: bool = False
    ) -> Mapping[int, tuple[Finding, ...]]: ...
    def gaps_many(  # noqa: D102
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> Mapping[int, list[Gap]]: ...
    def gap_days(  # noqa: D102
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> list[GapDay]: ...
    def gap_totals(  # noqa: D102
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> Mapping[int, PointGaps]: ...
    def preview(  # noqa: D102
        self, point: DataPoint, editing: Editing, from_ms: int, to_ms: int
    ) -> Preview: ...
    def preview_formula(  # noqa: D102
        self, point: DataPoint, used: Sequence[DataPoint | None], span: tuple[int, int] | int
    ) -> FormulaPreview: ...
    def preview_events(  # noqa: D102
        self, point: DataPoint, changed: DataPoint, span: tuple[int, int]
    ) -> Preview: ...
    def tree(  # noqa: D102
        self,
        points: Sequence[DataPoint],
        fed_by: Feeding | DatedFeeding,
        from_ms: int,
        to_ms: int,
        grain: Bucket,
    ) -> TreeRollUp: ...
    def trees(  # noqa: D102
        self,
        points: Sequence[DataPoint],
        fed_by: Feeding | DatedFeeding,
        spans: Sequence[tuple[int, int]],
        grain: Bucket,
    ) -> list[TreeRollUp]: ...
    def sum_findings(  # noqa: D102
        self,
        points: Sequence[DataPoint],
        fed_by: DatedFeeding,
        from_ms: int,
        to_ms: int,
    ) -> Mapping[int, tuple[Finding, ...]]: ...
    def conflicts(self, point: DataPoint, limit: int = 100, offset: int = 0) -> list[Conflict]: ...  # noqa: D102
    def readings(  # noqa: D102
        self, point: DataPoint, from_ms: int, to_ms: int, limit: int = 1000
    ) -> ReadingBlock: ...
    def versions(self, points: Sequence[DataPoint]) -> list[tuple[object, ...]]: ...  # noqa: D102
    def grid(self, point: DataPoint) -> PointGrid: ...  # noqa: D102
    def subscribe(  # noqa: D102
        self, loop: asyncio.AbstractEventLoop, series: Collection[int] | None = None
    ) -> Subscription: ...


class Backlog(Protocol):
    """How far insights are behind (``pipeline.insight.follower.Backlog``)."""

    @property
    def streams(self) -> int: ...  # noqa: D102
    @property
    def hours(self) -> int: ...  # noqa: D102
    @property
    def fault(self) -> str: ...  # noqa: D102
    @property
    def starting(self) -> bool: ...  # noqa: D102


class Insights(Protocol):
    """What was found out about use: ``kilowatch.pipeline.insight.view.InsightView``.

    Called in threads. Hours and instants are those of the data, never of the wall clock.
    """

    def events(  # noqa: D102
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int, *, waste: bool = False
    ) -> Mapping[int, tuple[InsightEvent, ...]]: ...
    def briefs(  # noqa: D102
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int, *, waste: bool = False
    ) -> Sequence[EventBrief]: ...
    def event(self, event_id: str) -> InsightEvent | None: ...  # noqa: D102
    def expected(self, point: DataPoint, from_ms: int, to_ms: int) -> Expected: ...  # noqa: D102
    def outlook(self, point: DataPoint) -> Outlook | None: ...  # noqa: D102
    def needed(self, point: DataPoint, from_ms: int, to_ms: int) -> Needed: ...  # noqa: D102
    def waste(  # noqa: D102
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> WasteHours: ...
    def waste_changes(self, after: int | None) -> WasteChanges: ...  # noqa: D102
    def standing(self, points: Sequence[DataPoint]) -> Mapping[int, Standing]: ...  # noqa: D102
    def opening(self, point: DataPoint) -> tuple[bool, ...] | None: ...  # noqa: D102
    def backlog(self) -> Backlog: ...  # noqa: D102


class PacketLog(Protocol):
    """The log as it is read: ``kilowatch.log.LogReader``. Called in threads."""

    def head(self, series: int) -> Head | None: ...  # noqa: D102
    def counters(self, series: Sequence[int] | None = None) -> Mapping[int, Counters]: ...  # noqa: D102
    def kept(self, series: int, limit: int = 100, offset: int = 0) -> list[KeptPacket]: ...  # noqa: D102
    def kept_of(self, series: int, ids: Sequence[int] | None, limit: int) -> list[KeptPacket]: ...  # noqa: D102
    def kept_unknown(  # noqa: D102
        self, organisation_id: int, limit: int = 100, offset: int = 0
    ) -> list[KeptPacket]: ...
    def backfills(self, series: int, limit: int = 100, offset: int = 0) -> list[Backfill]: ...  # noqa: D102


class Past(Protocol):
    """What persons put into history: ``kilowatch.client.history.HistoryDesk``. Called in threads.

    Raises:
        KilowatchError: 503 while the collector is away; doing it again is safe.
    """

    def put_in_kept(  # noqa: D102
        self, series: int, ids: Sequence[int] | None, actor: str, reason: str = ""
    ) -> PutIn: ...
    def put_in(  # noqa: D102
        self,
        series: int,
        packets: Iterable[tuple[bytes, Form]],
        actor: str,
        reason: str = "",
        source: Literal["import", "decision"] = "import",
    ) -> PutIn: ...
    def dismiss(self, series: int, ids: Sequence[int] | None) -> None: ...  # noqa: D102


def no_past() -> Past:
    """Return what stands in where there is no collector: it answers that none is running."""
    return HistoryDesk(Path("collector.sock"))


class Health(Protocol):
    """Whether the platform is all right: ``kilowatch.cli.operations.Operations``."""

    @property
    def page_times(self) -> dict[str, Durations]:
        """Where it is counted how long pages take, by their handler's name."""
        ...

    async def report(self) -> Report:
        """Look at everything; never raises."""
        ...

    async def metrics(self) -> bytes:
        """Return the metrics of both processes in Prometheus' text format."""
        ...


class NoHealth:
    """Stands in where nobody looks, as in a dashboard alone: no fault is found."""

    def __init__(self) -> None:
        self.page_times: dict[str, Durations] = {}

    async def report(self) -> Report:
        """Return a report without checks."""
        return Report((), Facts(None, None, maintenance=False, now_ms=0))

    async def metrics(self) -> bytes:
        """Return no metrics."""
        return b""


class RequestEvents(Protocol):
    """The collector's live view: ``CollectorEvents`` of this room, over ``collector.sock``."""

    async def recent(self, organisation_id: int | None, limit: int) -> list[dict[str, Any]]:
        """Return the last requests, newest first; empty while the collector is away."""
        ...

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield ``{"request": {...}}`` and ``{"committed": seq}`` for ever, reconnecting."""
        ...
