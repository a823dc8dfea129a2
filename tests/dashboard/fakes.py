"""A building without a pipeline: intervals drawn by formula, behind the view that pages call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from kilowatch.client.history import PutIn
from kilowatch.model.blocks import Floats, IntervalBlock, Ints, Quality, ReadingBlock
from kilowatch.model.calendar import Zone
from kilowatch.model.editing import Editing
from kilowatch.model.findings import Finding
from kilowatch.model.gaps import Gap, GapDay, PointGaps
from kilowatch.model.packet import Form
from kilowatch.model.parameters import (
    CHANNEL_BY_PARAMETER,
    FAMILIES,
    FAMILY_BY_NUMBER,
    RATIO,
    VALUE,
    Role,
)
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Contact
from kilowatch.pipeline.answers import Recomputing
from kilowatch.pipeline.compiled import compiled
from kilowatch.pipeline.conflicts import Conflict
from kilowatch.pipeline.cutting import cut_rows
from kilowatch.pipeline.formula_preview import FormulaPreview, preview_of
from kilowatch.pipeline.gaps import Missing, days_of, gaps_of, missing_of, totals_of
from kilowatch.pipeline.grids import PointGrid
from kilowatch.pipeline.preview import Preview
from kilowatch.pipeline.rollups import roll_up
from kilowatch.pipeline.state import Progress, grid_of, settings_of
from kilowatch.pipeline.tree_eras import DatedFeeding, Feeding
from kilowatch.pipeline.tree_reading import tree_roll_ups
from kilowatch.pipeline.tree_rollups import TreeRollUp

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NO_ROWS: Ints = np.empty((0, 4), np.int64)
NOTHING_CHANGES = Preview((), IntervalBlock.empty(), IntervalBlock.empty())


@dataclass(frozen=True)
class Extent:
    """From when to when."""

    first_ms: int
    last_ms: int
    packets: int


@dataclass(frozen=True)
class Last:
    """The last value."""

    at_ms: int
    channel: int
    value: float
    unit: str


@dataclass(frozen=True)
class Status:
    """What a pipeline would have found out."""

    series: int
    clock: str = "offset"
    clock_reason: str = "The last 20 packets came within a minute of their time with its offset."
    observed_interval_s: float | None = 300.0
    interval_matches: bool = True
    join_interval_s: int = 300
    ignored: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    recomputing: float | None = None


class Subscription:
    """Changes as a test announces them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[frozenset[int] | None] = asyncio.Queue()

    def tell(self, series: frozenset[int] | None) -> None:
        """Announce a change, from any thread."""
        self._loop.call_soon_threadsafe(self._queue.put_nowait, series)

    async def __aiter__(self) -> AsyncIterator[frozenset[int]]:
        """Yield changes until closed."""
        while (changed := await self._queue.get()) is not None:
            yield changed

    def close(self) -> None:
        """End the iteration."""
        self._queue.put_nowait(None)


class FakeView:
    """Holds interval rows by series; coarser buckets come from the real roll-up."""

    def __init__(self) -> None:
        self.rows: dict[int, IntervalBlock] = {}
        self.packets: dict[int, int] = {}
        self.statuses: dict[int, Status] = {}
        self.lasts: dict[int, Last] = {}
        self.subscriptions: list[Subscription] = []
        self.gaps: dict[int, Ints] = {}
        self.silent: set[int] = set()
        self.contacts: dict[int, Contact] = {}
        self.previews: dict[int, Preview] = {}
        self.previewed: list[tuple[Any, ...]] = []
        self.sums: dict[int, tuple[Finding, ...]] = {}
        self.dismissed: dict[int, tuple[Finding, ...]] = {}
        self.waiting: dict[int, list[Conflict]] = {}
        self.now_ms = 1 << 62

    def put(self, point: DataPoint, rows: IntervalBlock, *, packets: int | None = None) -> None:
        """Give a data point its rows and make the last one known."""
        self.rows[point.series] = rows
        starts = np.unique(rows.start_ms)
        self.packets[point.series] = len(starts) if packets is None else packets
        telling = 4 if point.kind == "electrical" else VALUE
        own = rows.take(rows.channel == telling)
        value = own.mean[-1] if np.isfinite(own.mean[-1]) else own.amount[-1]
        unit = FAMILY_BY_NUMBER[1].unit if telling else point.unit
        self.lasts[point.series] = Last(int(starts[-1]), telling, float(value), unit)

    def extend(self, point: DataPoint, rows: IntervalBlock) -> None:
        """Add newer rows, as a packet would, and tell the pages."""
        known = self.rows.get(point.series)
        packets = self.packets.get(point.series, 0) + 1
        self.put(
            point,
            IntervalBlock.concatenate([known, rows]) if known is not None else rows,
            packets=packets,
        )
        self.announce(point.series)

    def announce(self, *series: int) -> None:
        """Tell subscribers that series changed."""
        for subscription in self.subscriptions:
            subscription.tell(frozenset(series))

    def series(
        self, point: DataPoint, channels: Sequence[int], from_ms: int, to_ms: int, grain: Any
    ) -> IntervalBlock:
        """Return buckets."""
        return self.series_many([point], channels, from_ms, to_ms, grain)

    def series_many(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Any,
    ) -> IntervalBlock:
        """Return buckets of several data points."""
        found = []
        for point in sorted(points, key=lambda one: one.series):
            rows = self.rows.get(point.series)
            if rows is None:
                continue
            inside = (rows.start_ms >= from_ms) & (rows.start_ms < to_ms)
            rows = rows.take(inside & np.isin(rows.channel, list(channels)))
            finer = isinstance(grain, int) and grain <= point.interval_s
            if grain != "interval" and not finer:
                rows = roll_up(rows, grain, Zone.of(point.zone))
            order = np.lexsort((rows.start_ms, rows.channel))
            found.append(rows.take(order))
        both = IntervalBlock.concatenate(found)
        return both.take(np.argsort(both.series, kind="stable"))

    def to_average(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Any = "day",
    ) -> IntervalBlock:
        """Return buckets; a quotient's rows are those of its own channel."""
        own = [*channels, RATIO] if any(point.formula for point in points) else channels
        return self.series_many(points, own, from_ms, to_ms, grain)

    def cut_many(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Any,
    ) -> IntervalBlock:
        """Return buckets that are cut to the days, by the real function."""
        span = from_ms, to_ms
        return cut_rows(
            lambda each: self.series_many(points, channels, *span, each),
            span, grain, Zone.of(points[0].zone),
        )  # fmt: skip

    def preview_formula(
        self, point: DataPoint, used: Sequence[DataPoint | None], span: tuple[int, int] | int
    ) -> FormulaPreview:
        """Return what a formula gives in the last hours of its inputs."""
        formula = compiled(point, tuple(used))
        named = [one for one in used if one is not None]
        codes = [one.measure.channel for one in formula.inputs]
        lasts = [self.lasts[one.series].at_ms for one in named if one.series in self.lasts]
        from_ms, to_ms = span if isinstance(span, tuple) else (0, 0)
        if isinstance(span, int) and lasts:
            from_ms, to_ms = min(lasts) - span * point.interval_s * 1000, min(lasts) + 1
        return preview_of(formula, self.series_many(named, codes, from_ms, to_ms, "interval"))

    def channels(self, point: DataPoint) -> list[int]:
        """Return the channels with data."""
        rows = self.rows.get(point.series)
        return [] if rows is None else sorted({int(code) for code in np.unique(rows.channel)})

    def days_with_data(self, point: DataPoint, from_ms: int, to_ms: int) -> list[date]:
        """Return local days with data."""
        rows = self.rows.get(point.series)
        if rows is None:
            return []
        starts = rows.start_ms[(rows.start_ms >= from_ms) & (rows.start_ms < to_ms)]
        return sorted({local(int(at_ms), point.zone).date() for at_ms in np.unique(starts)})

    def extent(self, point: DataPoint) -> Extent | None:
        """Return from when to when."""
        rows = self.rows.get(point.series)
        if rows is None or not len(rows):
            return None
        first, last = int(rows.start_ms.min()), int(rows.start_ms.max())
        return Extent(first, last, self.packets[point.series])

    def last_values(self, points: Sequence[DataPoint]) -> dict[int, Last]:
        """Return last values."""
        return {p.series: self.lasts[p.series] for p in points if p.series in self.lasts}

    def last_seen(self, series: Iterable[int]) -> dict[int, int]:
        """Return instants of last values."""
        return {one: self.lasts[one].at_ms for one in series if one in self.lasts}

    def contact(self, point: DataPoint) -> Contact | None:
        """Return when a data point spoke last, if that was set."""
        return self.contacts.get(point.series)

    def silent_now(self) -> frozenset[int] | None:
        """Return the streams that were set to be silent, if anybody listens."""
        silent = (series for series, contact in self.contacts.items() if contact.silent)
        return frozenset(silent) if self.contacts else None

    def status(self, point: DataPoint) -> Status:
        """Return what was set, or that all is well."""
        return self.statuses.get(point.series, Status(point.series))

    def recomputing(self, points: Sequence[DataPoint]) -> Recomputing:
        """Return the shares that were set, as one."""
        shares = [self.status(point).recomputing for point in points]
        waiting = [share for share in shares if share is not None]
        return Recomputing(len(waiting), 0, sum(waiting) / len(waiting) if waiting else 1.0)

    def busy(self) -> str:
        """Return that it can be read."""
        return ""

    def is_current(self, point: DataPoint) -> bool:
        """Tell whether nothing is being computed."""
        return self.status(point).recomputing is None

    def gaps_many(
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> dict[int, list[Gap]]:
        """Return the gaps that were set."""
        found = {}
        for point in points:
            rows = self.gaps.get(point.series, NO_ROWS)
            some = gaps_of(point, rows, from_ms, to_ms)
            if point.series in self.silent and some:
                some[-1] = replace(some[-1], to_ms=None, silent_ms=some[-1].from_ms)
            found[point.series] = some
        return {series: some for series, some in found.items() if some}

    def gap_days(self, points: Sequence[DataPoint], from_ms: int, to_ms: int) -> list[GapDay]:
        """Return the calendar of the gaps that were set."""
        return days_of(points, self._missing(points), from_ms, to_ms)

    def gap_totals(
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> dict[int, PointGaps]:
        """Return what each misses."""
        return totals_of(points, self._missing(points), from_ms, to_ms)

    def _missing(self, points: Sequence[DataPoint]) -> Missing:
        return missing_of(points, [self.gaps.get(p.series, NO_ROWS) for p in points])

    def preview(self, point: DataPoint, editing: Editing, from_ms: int, to_ms: int) -> Preview:
        """Return what was set for a point; the asking is remembered."""
        self.previewed.append((point, editing, from_ms, to_ms))
        return self.previews.get(point.series, NOTHING_CHANGES)

    def preview_events(
        self, point: DataPoint, changed: DataPoint, span: tuple[int, int]
    ) -> Preview:
        """Return what was set for a point; the asking is remembered."""
        self.previewed.append((point, changed, *span))
        return self.previews.get(point.series, NOTHING_CHANGES)

    def tree(
        self,
        points: Sequence[DataPoint],
        fed_by: Feeding | DatedFeeding,
        from_ms: int,
        to_ms: int,
        grain: Any,
    ) -> TreeRollUp:
        """Return totals along the tree, by the real function."""
        return self.trees(points, fed_by, [(from_ms, to_ms)], grain)[0]

    def trees(
        self,
        points: Sequence[DataPoint],
        fed_by: Feeding | DatedFeeding,
        spans: Sequence[tuple[int, int]],
        grain: Any,
    ) -> list[TreeRollUp]:
        """Return the same of several periods, by the real function."""
        return tree_roll_ups(self.series_many, points, fed_by, spans, grain, self.now_ms)

    def sum_findings(
        self,
        points: Sequence[DataPoint],
        fed_by: DatedFeeding,
        from_ms: int,
        to_ms: int,
    ) -> dict[int, tuple[Finding, ...]]:
        """Return what was set."""
        for _, by in fed_by:
            assert {point.id for point in points} == set(by)
        assert from_ms < to_ms
        return {p.id: self.sums[p.id] for p in points if p.id in self.sums}

    def findings(
        self, points: Sequence[DataPoint], *, with_dismissed: bool = False
    ) -> dict[int, tuple[Finding, ...]]:
        """Return what was set, and what was set as dismissed."""
        found = {
            one.series: (
                *self.status(one).findings,
                *(self.dismissed.get(one.series, ()) if with_dismissed else ()),
            )
            for one in points
        }
        return {series: some for series, some in found.items() if some}

    def conflicts(self, point: DataPoint, limit: int = 100, offset: int = 0) -> list[Conflict]:
        """Return the contradictions that were set."""
        return self.waiting.get(point.series, [])[offset : offset + limit]

    def readings(
        self, _point: DataPoint, _from_ms: int, _to_ms: int, _limit: int = 1000
    ) -> ReadingBlock:
        """Return no readings: this building is drawn by formula."""
        return ReadingBlock.concatenate([])

    def readings_many(
        self, _points: Sequence[DataPoint], _from_ms: int, _to_ms: int
    ) -> ReadingBlock:
        """Return no readings, likewise."""
        return ReadingBlock.concatenate([])

    def versions(self, points: Sequence[DataPoint]) -> list[tuple[object, ...]]:
        """Return how many packets each has."""
        return [(one.series, self.packets.get(one.series)) for one in points]

    def grid(self, point: DataPoint) -> PointGrid:
        """Return the plain settings."""
        return grid_of(point, Progress(settings=settings_of(point, {"decision": "offset"})))

    def subscribe(
        self, loop: asyncio.AbstractEventLoop, series: Collection[int] | None = None
    ) -> Subscription:
        """Subscribe to changes."""
        assert series is None, "pages watch everything and filter by right"
        subscription = Subscription(loop)
        self.subscriptions.append(subscription)
        return subscription


class FakePast:
    """A collector's desk that remembers what was put in."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answer = PutIn(backfilled=1, last_seq=1)

    def put_in_kept(
        self, series: int, ids: Sequence[int] | None, actor: str, reason: str = ""
    ) -> PutIn:
        """Remember."""
        self.asked.append(("kept", series, ids, actor, reason))
        return self.answer

    def put_in(
        self,
        series: int,
        packets: Iterable[tuple[bytes, Form]],
        actor: str,
        reason: str = "",
        source: str = "import",
    ) -> PutIn:
        """Remember."""
        taken = list(packets)
        self.asked.append((source, series, taken, actor, reason))
        return PutIn(backfilled=len(taken), last_seq=1)

    def dismiss(self, series: int, ids: Sequence[int] | None) -> None:
        """Remember."""
        self.asked.append(("dismiss", series, ids))


class FakeRequests:
    """A collector that tells what a test puts in."""

    def __init__(self) -> None:
        self.past: list[dict[str, Any]] = []
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Queue[dict[str, Any]]]] = []

    def tell(self, request: dict[str, Any]) -> None:
        """Announce a request, from any thread."""
        self.past.insert(0, request)
        for loop, queue in self._waiting:
            loop.call_soon_threadsafe(queue.put_nowait, {"request": request})

    async def recent(self, organisation_id: int | None, limit: int) -> list[dict[str, Any]]:
        """Return the last requests of an organisation."""
        mine = [one for one in self.past if one["organization_id"] == organisation_id]
        return mine[:limit]

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Yield requests as they are told."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._waiting.append((asyncio.get_running_loop(), queue))
        while True:
            yield await queue.get()


def local(at_ms: int, zone: str) -> datetime:
    """Return an instant on a zone's clock."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone))


def rows_of(
    point: DataPoint,
    channel: int,
    starts: Ints,
    *,
    mean: Floats | None = None,
    amount: Floats | None = None,
    spread: float = 0.0,
    quality: int = Quality.VALID,
) -> IntervalBlock:
    """Return rows of one channel, wholly covered; ``spread`` widens the band of a mean."""
    n = len(starts)
    unknown = np.full(n, np.nan)
    whole = np.full(n, point.interval_s * 1000, np.int64)
    means = unknown if mean is None else mean
    return IntervalBlock(
        series=np.full(n, point.series, np.int64),
        channel=np.full(n, channel, np.int64),
        start_ms=starts,
        duration_ms=whole,
        version=np.arange(n, dtype=np.int64),
        count=np.ones(n, np.int64),
        mean=means,
        low=means * (1 - spread),
        high=means * (1 + spread),
        amount=unknown if amount is None else amount,
        unallocated=np.zeros(n) if amount is not None else unknown.copy(),
        covered_ms=whole.copy(),
        quality=np.full(n, quality, np.int64),
    )


def starts_of(point: DataPoint, from_ms: int, to_ms: int) -> Ints:
    """Return interval starts."""
    step = point.interval_s * 1000
    return np.arange(from_ms // step * step, to_ms, step, dtype=np.int64)


def office(starts: Ints, zone: str, seed: int = 7) -> Floats:
    """Return an office's load [W], shape (n,): working hours, lunch, weekends, noise."""
    when = [local(int(at_ms), zone) for at_ms in starts]
    hours = np.array([w.hour + w.minute / 60 for w in when])
    weekday = np.array([w.weekday() < 5 for w in when])
    day = np.exp(-(((hours - 13) / 4.2) ** 4)) * (1 - 0.12 * np.exp(-(((hours - 12.8) / 0.6) ** 2)))
    rng = np.random.default_rng(seed)
    drift = np.convolve(rng.normal(0, 1, len(starts) + 12), np.ones(12) / 12, "same")[: len(starts)]
    load = 9_500 + np.where(weekday, 46_000, 6_000) * day + 1_800 * drift
    return np.maximum(load * (1 + rng.normal(0, 0.025, len(starts))), 2_000)


def electrical_rows(point: DataPoint, starts: Ints, load: Floats) -> IntervalBlock:
    """Return every parameter of an electrical point whose total is ``load`` [W]."""
    shares = (0.38, 0.33, 0.29)
    hours = point.interval_s / 3600
    blocks = [rows_of(point, 4, starts, mean=load, spread=0.08)]
    energy = np.zeros(len(starts))
    rng = np.random.default_rng(3)
    for phase, share in enumerate(shares, start=1):
        power = load * share * (1 + rng.normal(0, 0.03, len(starts)))
        volts = 231 + 2 * np.sin(starts / 7e6 + phase) + rng.normal(0, 0.4, len(starts))
        means = {"aP": power, "rP": power * 0.21, "apP": power * 1.03, "v": volts}
        means["c"] = power / volts
        means["pF"] = np.full(len(starts), 0.97) + rng.normal(0, 0.004, len(starts))
        means["thdV"] = 1.9 + rng.normal(0, 0.1, len(starts))
        for name, mean in means.items():
            spread = 0.004 if name == "v" else 0.06
            code = CHANNEL_BY_PARAMETER[f"{name}_{phase}"]
            blocks.append(rows_of(point, code, starts, mean=mean, spread=spread))
        amount = power * hours
        energy += amount
        code = CHANNEL_BY_PARAMETER[f"pC_{phase}"]
        blocks.append(rows_of(point, code, starts, amount=amount))
    for family in FAMILIES:
        if family.name in ("rP", "apP", "pF") and family.role is not Role.GAUGE:
            scale = {"rP": 0.21, "apP": 1.03}.get(family.name)
            mean = load * scale if scale else np.full(len(starts), 0.971)
            blocks.append(rows_of(point, family.total, starts, mean=mean, spread=0.05))
    blocks.append(rows_of(point, CHANNEL_BY_PARAMETER["pC_1"] - 1, starts, amount=energy))
    return IntervalBlock.concatenate(blocks)


def with_gap(rows: IntervalBlock, from_ms: int, to_ms: int) -> IntervalBlock:
    """Cut a hole; what registers counted across it is unallocated, on its last interval."""
    inside = (rows.start_ms >= from_ms) & (rows.start_ms < to_ms)
    kept = rows.take(~inside)
    extra = []
    for channel in np.unique(rows.channel[inside]):
        lost = inside & (rows.channel == channel) & np.isfinite(rows.amount)
        if lost.any():
            last = rows.take(np.flatnonzero(lost)[-1:])
            last.unallocated = np.array([rows.amount[lost].sum()])
            last.amount = np.array([np.nan])
            last.count = np.array([0], np.int64)
            last.covered_ms = np.array([0], np.int64)
            extra.append(last)
    return IntervalBlock.concatenate([kept, *extra])
