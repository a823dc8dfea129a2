"""An organisation whose silences and values a test sets, and a clock that it moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from kilowatch import catalog as catalogs
from kilowatch.catalog import (
    alerts,
    bulk,
    bulk_apply,
    bulk_plan,
    credentials,
    data_points,
    registry,
    sheets,
)
from kilowatch.catalog.alerts import Watched
from kilowatch.catalog.credentials import Target
from kilowatch.catalog.directory import Directory
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Site
from kilowatch.catalog.tables_alerts import AlertRule, ChannelKind, RuleKind
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Silence
from kilowatch.model.zones import Zone
from kilowatch.notify.book import Alert, Delivery, Member
from kilowatch.notify.mail import Mailer, NoMailer
from kilowatch.notify.needs import Grain, Sources, Tiding
from kilowatch.notify.rules import Terms
from kilowatch.notify.sealing import Sealer
from kilowatch.notify.service import Notifier, NotifySettings
from kilowatch.pipeline.rollups import roll_up

KEY = bytes(range(32))
MIN_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NOW_MS = 1_794_234_140_000  # Mon 9 Nov 2026 14:22:20 in Dublin
ELECTRICAL = Settings("electrical", "electricity", 300)


class FakeFeed:
    """Silences as the pipeline tells them: numbered, in order, and kept."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Silence]] = []
        self._lasting: dict[int, Silence] = {}

    def find(self, silence: Silence) -> None:
        """A packet did not come."""
        self._lasting[silence.series] = silence
        self.told.append((len(self.told) + 1, silence))

    def end(self, series: int, ended_ms: int) -> None:
        """It is there again."""
        over = replace(self._lasting.pop(series), ended_ms=ended_ms)
        self.told.append((len(self.told) + 1, over))

    def open(self) -> list[Silence]:
        """Return what lasts."""
        return list(self._lasting.values())

    def changes(self, after: int, limit: int) -> list[tuple[int, Silence]]:
        """Return what changed."""
        return self.told[after : after + limit]


@dataclass(frozen=True)
class Last:
    """When a stream last spoke."""

    at_ms: int


class FakeView:
    """Interval rows by series; sums come from the pipeline's own roll-up."""

    def __init__(self) -> None:
        self.rows: dict[int, IntervalBlock] = {}
        self.asked = 0

    def put(
        self, point: DataPoint, channel: int, start_ms: int, *, mean: float = np.nan,
        amount: float = np.nan, covered: float = 1.0,
    ) -> None:  # fmt: skip
        """Add one interval."""
        whole = point.interval_s * 1000
        numbers = {
            "series": point.series, "channel": channel, "start_ms": start_ms, "duration_ms": whole,
            "version": 1, "count": 1, "covered_ms": int(covered * whole), "quality": 0,
        }  # fmt: skip
        floats = {"mean": mean, "low": mean, "high": mean, "amount": amount, "unallocated": np.nan}
        columns: dict[str, Any] = {k: np.array([v], np.int64) for k, v in numbers.items()}
        columns |= {k: np.array([v], np.float64) for k, v in floats.items()}
        known = self.rows.get(point.series, IntervalBlock.empty())
        self.rows[point.series] = IntervalBlock.concatenate([known, IntervalBlock(**columns)])

    def series_many(
        self, points: Sequence[DataPoint], channels: Sequence[int], from_ms: int, to_ms: int,
        grain: Grain,
    ) -> IntervalBlock:  # fmt: skip
        """Return buckets."""
        self.asked += 1
        found = []
        for point in points:
            rows = self.rows.get(point.series, IntervalBlock.empty())
            inside = (rows.start_ms >= from_ms) & (rows.start_ms < to_ms)
            rows = rows.take(inside & np.isin(rows.channel, list(channels)))
            if grain != "interval" and len(rows):
                rows = roll_up(rows, grain, Zone.of(point.zone))
            found.append(rows.take(np.lexsort((rows.start_ms, rows.channel))))
        return IntervalBlock.concatenate(found)

    def last_values(self, points: Sequence[DataPoint]) -> Mapping[int, Last]:
        """Return when each spoke last."""
        return {
            point.series: Last(int(self.rows[point.series].start_ms.max()))
            for point in points
            if point.series in self.rows
        }


class World:
    """Everything that a test of notifications may touch.

    Args:
        folder: Where the catalogue and the book are kept.
        points: How many data points the first site has.
        zone: The sites' time zone.
        mailer: Sends e-mail.
        networks: Private networks that messages may reach.
    """

    def __init__(
        self, folder: Path, *, points: int = 3, zone: str = "Europe/Dublin",
        mailer: Mailer | None = None, networks: tuple[Any, ...] = (),
    ) -> None:  # fmt: skip
        self.folder = folder
        self.now = NOW_MS
        self.catalog = catalogs.open(folder / "catalog.sqlite", clock=lambda: self.now)
        self.feed, self.view = FakeFeed(), FakeView()
        self.mailer, self.networks = mailer or NoMailer(), networks
        self.sealer = Sealer(KEY)
        self._register(points, zone)
        self.directory: Directory = catalogs.directory.load(self.catalog, "development")
        self.points = [p for p in self.directory.points.values() if p.site_id == self.site_id]
        self.others = [p for p in self.directory.points.values() if p.site_id != self.site_id]
        self.open()

    def _register(self, points: int, zone: str) -> None:
        with self.catalog.change(catalogs.Actor("test")) as change:
            acme = registry.add_organisation(change, "Acme", country="IE")
            sites: list[Site] = [
                registry.add_site(change, acme, name, zone=zone)
                for name in ("Office Dublin", "Supermarket Cork")
            ]
            names = ["Main supply", *(f"Circuit {number}" for number in range(1, points))]
            lines = [(name, "Office Dublin") for name in names]
            sheet = bulk.read(sheets.write(("name", "site"), lines))
            digest = bulk_plan.plan(change.session, acme.id, sheet, self.now).digest
            bulk_apply.apply(change, acme.id, sheet, digest)
            data_points.register(change, sites[1], "Refrigeration", ELECTRICAL)
            data_points.register(
                change, sites[1], "Cold room", Settings("single", "temperature", 900)
            )
            issued = credentials.issue(
                change, KEY, Target(acme), environment="development", name="gateway A"
            )
            self.organisation_id, self.credential_id = acme.id, issued.credential.id
            self.site_id, self.other_site_id = sites[0].id, sites[1].id

    def open(self) -> None:
        """Start the service's rooms, without their threads."""
        self.notifier = Notifier(
            self.catalog,
            Sources(lambda: self.directory, self.feed, self.view),
            self.mailer,
            NotifySettings(
                self.folder / "notify.sqlite", KEY, self.networks, "https://energy.example"
            ),
            lambda: self.now,
        )
        self.book = self.notifier._book

    def reopen(self) -> None:
        """Come back after a crash: nothing was closed, nothing was said good-bye to."""
        self.book._connection.close()
        self.open()

    def close(self) -> None:
        """Let go of the files."""
        self.book.close()
        self.catalog.close()

    def channel(self, name: str = "desk", kind: ChannelKind = "email", **config: str) -> int:
        """Add a channel."""
        with self.catalog.change(catalogs.Actor("test")) as change:
            sealed = self.sealer.seal(
                self.organisation_id, config or {"to": f"{name}@acme.example"}
            )
            made = alerts.add_channel(change, self.organisation_id, name, kind, name, sealed)
            return made.id

    def rule(
        self, kind: RuleKind = "offline", *, watched: Watched | None = None,
        channels: Sequence[int] = (), escalated: Sequence[int] = (), name: str = "Rule",
        **terms: Any,
    ) -> int:  # fmt: skip
        """Add a rule; for the first site unless said otherwise."""
        with self.catalog.change(catalogs.Actor("test")) as change:
            row = alerts.add_rule(
                change, self.organisation_id, name, kind, watched or Watched(site_id=self.site_id),
                Terms(**terms).columns(),
            )  # fmt: skip
            alerts.use_channels(change, row, channels, escalated)
            return row.id

    def watch(self, rule: int, watched: Watched) -> None:
        """Let a rule look elsewhere."""
        with self.catalog.change(catalogs.Actor("test")) as change:
            row = change.session.get_one(AlertRule, rule)
            alerts.change_rule(change, row, name=row.name, watched=watched, terms=row.terms)

    def silent(
        self, point: DataPoint, *, last_ms: int | None = None, credential_id: int | None = None
    ) -> Silence:
        """A data point's packet is due now and does not come."""
        last = self.now - point.gap_ms if last_ms is None else last_ms
        silence = Silence(
            point.series, point.id, point.organisation_id, point.site_id,
            self.credential_id if credential_id is None else credential_id,
            last, last + point.gap_ms, self.now,
        )  # fmt: skip
        self.feed.find(silence)
        return silence

    def again(self, point: DataPoint) -> None:
        """The data point speaks again."""
        self.feed.end(point.series, self.now)

    def run(self, *, seconds: float = 0, step_s: float = 1) -> None:
        """Let time go by, a pass of the engine in each step; one pass at least."""
        end = self.now + round(seconds * 1000)
        self.notifier.engine.run_once()
        while self.now < end:
            self.now = min(end, self.now + round(step_s * 1000))
            self.notifier.engine.run_once()

    def said(self, what: str = "") -> list[Delivery]:
        """Return what was said so far, delivered or not."""
        return [d for d in self.book.all(Delivery, "ORDER BY id") if not what or d.what == what]

    def alerts(self) -> list[Alert]:
        """Return every alert."""
        return self.book.all(Alert, "ORDER BY id")

    def members(self) -> list[Member]:
        """Return who is in them."""
        return self.book.all(Member, "ORDER BY id")

    def read(self, point: DataPoint, value: float, *, channel: int = 4, **more: Any) -> None:
        """A reading comes in, for the interval that begins now."""
        start = self.now // (point.interval_s * 1000) * point.interval_s * 1000
        self.view.put(point, channel, start, mean=value, **more)
        self.notifier.changed({point.series})


def until(condition: Any, seconds: float = 10) -> bool:
    """Wait for something that threads do; tells whether it came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        threading.Event().wait(0.02)
    return bool(condition())


@dataclass
class FakeFindings:
    """Findings as the insights tell them: numbered, in order, and kept."""

    told: list[tuple[int, Tiding]] = field(default_factory=list)
    ended: dict[str, Tiding | None] = field(default_factory=dict)

    def tell(self, tiding: Tiding) -> Tiding:
        """Something was found, or is over."""
        self.told.append((len(self.told) + 1, tiding))
        return tiding

    def changes(self, after: int, limit: int) -> list[tuple[int, Tiding]]:
        """Return what changed."""
        return self.told[after : after + limit]

    def over(self, event_ids: Collection[str]) -> Mapping[str, Tiding | None]:
        """Return what is over, or no more, without having been told so."""
        return {name: self.ended[name] for name in event_ids if name in self.ended}
