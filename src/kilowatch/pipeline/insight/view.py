"""What pages and alerts read of the insights; never changes anything."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from kilowatch.model.insight import (
    EventBrief,
    EventKind,
    Expected,
    InsightEvent,
    Needed,
    Outlook,
    Standing,
    WasteChanges,
    WasteHours,
)
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.insight.briefs import Briefs, numbers, portions, touching
from kilowatch.pipeline.insight.columns import SHOWN, shown_of, unpacked
from kilowatch.pipeline.insight.file import NEWEST_REVISION
from kilowatch.pipeline.insight.knowledge import Backlog
from kilowatch.pipeline.insight.needed import Needs
from kilowatch.pipeline.insight.outlooks import Outlooks
from kilowatch.pipeline.insight.reader import InsightReader
from kilowatch.pipeline.insight.surroundings import Surroundings

DAY_H = 25  # the longest local day
CHANGES_MAX = 100_000  # more of them are everything: a row is some 100 bytes and a microsecond
_EVENT = f"SELECT {SHOWN} FROM event "
_standing = msgspec.msgpack.Decoder(Standing).decode


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model that is in use.

    Attributes:
        version: Its name.
        from_ms: It has made the forecasts since then, in the time of the data
            [ms since 1970, UTC].
        trained_on: Streams and weeks that it has learnt from.
        quality: How good it was when it was trained.
    """

    version: str
    from_ms: int
    trained_on: dict[str, object]
    quality: dict[str, object]


@dataclass(frozen=True, slots=True)
class InsightState:
    """What the insights rest on at present, and how far they are.

    Attributes:
        models: The one in use; none before there are 20 streams with 8 weeks each.
        backlog: How far insights are behind.
        streams: Streams that are looked at.
    """

    models: tuple[ModelState, ...]
    backlog: Backlog
    streams: int


class InsightView:
    """Reads insights; thread-safe.

    Args:
        path: The insights' own file.
        backlog: Returns how far the follower is behind.
        surroundings: Reads hours for outlooks, nobody else's; None where there are none.
        needs_of: The same for what was needed, nobody else's either.
    """

    def __init__(
        self,
        path: Path,
        backlog: Callable[[], Backlog] = Backlog,
        surroundings: Surroundings | None = None,
        needs_of: Surroundings | None = None,
    ) -> None:
        self._reader = InsightReader(path)
        self._backlog = backlog
        self._briefs = Briefs(self._reader)
        self._outlooks = None if surroundings is None else Outlooks(self._reader, surroundings)
        self._needs = Needs(self._reader, needs_of)

    def events(
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int, *, waste: bool = False
    ) -> Mapping[int, tuple[InsightEvent, ...]]:
        """Return what happened in [from_ms, to_ms), by series, each sorted by its start.

        What has one cause is one event, at the stream where it was found first, with all that was
        found of it there; the streams on which it was seen too are its ``others``. ``waste`` asks
        for waste alone.
        """
        found: dict[int, list[InsightEvent]] = {}
        for some in portions(points):
            rows = self._reader.rows(
                f"{_EVENT}{touching(waste=waste)} ORDER BY coalesce(shown_from_ms, start_ms), id",
                (numbers(some), from_ms, to_ms),
            )
            for event in map(shown_of, rows):
                if event.is_waste or not waste:
                    found.setdefault(event.series, []).append(event)
        return {series: tuple(events) for series, events in found.items()}

    def briefs(
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int, *, waste: bool = False
    ) -> Sequence[EventBrief]:
        """Return what the same events are ranked by, in no order: a fifth of the work.

        Read again only where something was written to the file since.
        """
        return self._briefs.of(points, from_ms, to_ms, waste=waste)

    def event(self, event_id: str) -> InsightEvent | None:
        """Return one event; None where there is none of that name."""
        rows = self._reader.rows(_EVENT + "WHERE id = ?", (event_id,))
        return shown_of(rows[0]) if rows else None

    def expected(self, point: DataPoint, from_ms: int, to_ms: int) -> Expected:
        """Return what was expected of the hours that start in [from_ms, to_ms)."""
        rows = self._reader.rows(
            "SELECT start_ms, made_ms, source, band FROM expected"
            " WHERE series = ? AND start_ms > ? AND start_ms < ? ORDER BY start_ms",
            (point.series, from_ms - DAY_H * HOUR_MS, to_ms),
        )
        starts, made, rates, sources = [], [], [], []
        for start_ms, made_ms, source, band in rows:
            rate = unpacked(band)
            hours = start_ms + np.arange(rate.shape[1], dtype=np.int64) * HOUR_MS
            chosen = (hours >= from_ms) & (hours < to_ms)
            starts.append(hours[chosen])
            made.append(np.full(int(chosen.sum()), made_ms, np.int64))
            rates.append(rate[:, chosen])
            sources += [source] * int(chosen.sum())
        if not starts:
            none = np.empty(0, np.int64)
            return Expected(none, none, np.empty((5, 0)), ())
        return Expected(
            np.concatenate(starts), np.concatenate(made), np.concatenate(rates, axis=1),
            tuple(sources),
        )  # fmt: skip

    def outlook(self, point: DataPoint) -> Outlook | None:
        """Return what is coming; None before there is anything to tell it from.

        Raises:
            KilowatchError: 503 from the store.
        """
        return None if self._outlooks is None else self._outlooks.of(point)

    def needed(self, point: DataPoint, from_ms: int, to_ms: int) -> Needed:
        """Return what was needed in the hours that start in [from_ms, to_ms): those known.

        Raises:
            KilowatchError: 503 from the store.
        """
        return self._needs.of(point, from_ms, to_ms)

    def waste(self, points: Sequence[DataPoint], from_ms: int, to_ms: int) -> WasteHours:
        """Return the wasted hours that start in [from_ms, to_ms), by series and start."""
        none = np.empty(0, np.int64)
        parts = [WasteHours(none, none, np.empty(0), none)]
        for some in portions(points):
            rows = self._reader.rows(
                "SELECT series, start_ms, amounts, kinds FROM waste"
                " WHERE series IN (SELECT value FROM json_each(?))"
                " AND start_ms > ? AND start_ms < ? ORDER BY series, start_ms",
                (numbers(some), from_ms - DAY_H * HOUR_MS, to_ms),
            )
            if rows:
                parts.append(_wasted(rows, from_ms, to_ms))
        return WasteHours.concatenate(parts)

    def waste_changes(self, after: int | None) -> WasteChanges:
        """Return which wasted hours have changed since a revision; None for which one is now.

        In one look at the file: what is not told yet has a later revision.
        """
        if after is not None:
            rows = self._reader.rows(
                "SELECT series, start_ms, revision FROM waste WHERE revision > 0 AND revision > ?"
                " UNION ALL SELECT series, -1, revision FROM waste_forgotten WHERE revision > ?"
                " LIMIT ?",
                (after, after, CHANGES_MAX + 1),
            )
            if len(rows) <= CHANGES_MAX:
                table = np.array(rows, np.int64).reshape(-1, 3)
                whole = table[:, 1] < 0
                return WasteChanges(
                    int(table[:, 2].max(initial=after)),
                    table[~whole, 0],
                    table[~whole, 1],
                    table[whole, 0],
                )
        none = np.empty(0, np.int64)
        found = self._reader.rows(NEWEST_REVISION)
        revision = found[0][0] if found and found[0][0] is not None else 0
        return WasteChanges(revision, none, none, none, everything=True)

    def standing(self, points: Sequence[DataPoint]) -> Mapping[int, Standing]:
        """Return what is always on in streams, by series; those of which it is known."""
        rows = self._reader.rows(
            "SELECT series, packed FROM standing WHERE series IN (SELECT value FROM json_each(?))",
            (numbers(points),),
        )
        return {series: _standing(packed) for series, packed in rows}

    def opening(self, point: DataPoint) -> tuple[bool, ...] | None:
        """Return the opening hours as learnt, by hour of the local week; None before they are."""
        rows = self._reader.rows("SELECT hours FROM opening WHERE series = ?", (point.series,))
        if not rows:
            return None
        return tuple(np.frombuffer(rows[0][0], np.bool_).tolist())

    def backlog(self) -> Backlog:
        """Return how far insights are behind; nothing is read for it."""
        return self._backlog()

    def state(self) -> InsightState:
        """Return what the insights rest on and how far they are."""
        rows = self._reader.rows(
            "SELECT version, from_ms, trained_on, quality FROM model ORDER BY from_ms DESC LIMIT 1"
        )
        decode = msgspec.msgpack.decode
        models = tuple(
            ModelState(version, from_ms, decode(on), decode(quality))
            for version, from_ms, on, quality in rows
        )
        ((streams,),) = self._reader.rows("SELECT count(*) FROM stream") or [(0,)]
        return InsightState(models, self._backlog(), streams)

    def notices(self, after: int, limit: int) -> list[tuple[int, str, bool]]:
        """Return of which events somebody is to be told, after a number, in its order.

        Returns:
            Number, id of the event, and whether it is about its end. Numbers rise and are durable.
        """
        rows = self._reader.rows(
            "SELECT number, event_id, over FROM notice WHERE number > ? ORDER BY number LIMIT ?",
            (after, limit),
        )
        return [(number, event_id, bool(over)) for number, event_id, over in rows]

    def former(self, event_id: str) -> InsightEvent | None:
        """Return what is left of an event whose history is another one now: no figures."""
        rows = self._reader.rows(
            "SELECT id, series, kind, start_ms, end_ms, coalesce(told_ms, end_ms) FROM former"
            " WHERE id = ?",
            (event_id,),
        )
        for name, series, kind, start_ms, end_ms, found_ms in rows:
            return InsightEvent(
                name, series, EventKind(kind), start_ms, end_ms, open=True, found_ms=found_ms,
                amount=math.nan, confidence=0.0,
            )  # fmt: skip
        return None

    def gone(self, event_ids: Iterable[str]) -> set[str]:
        """Return which events are no more, though their history was looked at as far as before."""
        rows = self._reader.rows(
            "SELECT former.id FROM former JOIN stream USING (series) LEFT JOIN quiet USING (series)"
            " WHERE former.id IN (SELECT value FROM json_each(?))"
            " AND stream.cursor_ms >= coalesce(quiet.until_ms, stream.quiet_ms)"
            " AND former.id NOT IN (SELECT id FROM event)",
            (msgspec.json.encode(list(event_ids)).decode(),),
        )
        return {event_id for (event_id,) in rows}

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


def _wasted(rows: Sequence[tuple[Any, ...]], from_ms: int, to_ms: int) -> WasteHours:
    """Return the hours of packed days that were wasted and start in [from_ms, to_ms).

    All days are unpacked at once: an estate has 300,000 of them in a month, and numpy takes some
    10 us to look at one.
    """
    counts = np.array([len(row[3]) for row in rows], np.int64)
    amounts = np.frombuffer(b"".join([row[2] for row in rows]))
    hour = np.arange(len(amounts), dtype=np.int64)
    hour -= np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.repeat(np.array([row[1] for row in rows], np.int64), counts) + hour * HOUR_MS
    chosen = np.flatnonzero((starts >= from_ms) & (starts < to_ms) & (amounts > 0))
    kinds = np.frombuffer(b"".join([row[3] for row in rows]), np.int8)
    series = np.repeat(np.array([row[0] for row in rows], np.int64), counts)
    return WasteHours(
        series[chosen], starts[chosen], amounts[chosen], kinds[chosen].astype(np.int64)
    )
