"""The insights inside the platform: their thread, what they know, and what others read of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from kilowatch.catalog import Catalog, alerts, facts, feeding, verdicts
from kilowatch.catalog.histories import electrical_limits
from kilowatch.cli.directory_watch import DirectoryWatch
from kilowatch.cli.folder import DataFolder
from kilowatch.insights.expecting import expected_by
from kilowatch.insights.explaining import About, explain, seen_too
from kilowatch.insights.hours import Bools, Hours
from kilowatch.model.insight import InsightEvent, Verdict
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.units import rate_unit
from kilowatch.model.verdicts import Said
from kilowatch.model.zones import Zone
from kilowatch.notify.needs import Tiding
from kilowatch.pipeline.insight import Follower, Knowledge
from kilowatch.pipeline.insight.subjects import Subject, subject_of
from kilowatch.pipeline.insight.surroundings import Surroundings
from kilowatch.pipeline.insight.view import InsightView
from kilowatch.pipeline.streams import Streams
from kilowatch.pipeline.tree_eras import counted_of
from kilowatch.pipeline.view import View


class Catalogued:
    """What insights know from the catalogue, read again when a person changed anything.

    Safe from any thread.

    Args:
        catalog: The registry, open.
        watch: The registered data points.
    """

    def __init__(self, catalog: Catalog, watch: DirectoryWatch) -> None:
        self._catalog = catalog
        self._watch = watch
        self._lock = threading.Lock()
        self._state = -1
        self._facts: Mapping[int, SiteFacts] = {}
        self._teaching: Mapping[int, tuple[Said, ...]] = {}
        self._faults: dict[int, list[tuple[int, int]]] = {}
        self._above: dict[int, Mapping[int, int | None]] = {}
        self._limits: Mapping[int, list[tuple[int, dict[str, float | None]]]] = {}

    def knowledge(self) -> Knowledge:
        """Return what insights ask."""
        return Knowledge(self.facts, self.above, self.expects, self.faults, self.limits)

    def facts(self) -> Mapping[int, SiteFacts]:
        """Return the facts of sites; the same object while nothing changed."""
        with self._lock:
            self._refresh()
            return self._facts

    def above(self, site_id: int) -> Mapping[int, int | None]:
        """Return, of a site's streams, the stream that feeds each one."""
        directory = self._watch.now()
        with self._lock:
            found = self._above.get(site_id)
            if found is not None:
                return found
            mine = [point for point in directory.points.values() if point.site_id == site_id]
            if not mine:
                return {}
            with self._catalog.reading() as session:
                fed_by = feeding.fed_by(session, mine[0].organisation_id, site_id)
            found = {}
            for point in mine:
                feeder = directory.by_id(fed_by.get(point.id) or 0)
                found[point.series] = None if feeder is None else feeder.series
            self._above[site_id] = found
            return found

    def expects(self, event: InsightEvent, subject: Subject) -> bool:
        """Tell whether somebody has said that such an event is to be expected."""
        with self._lock:
            self._refresh()
            said = self._teaching.get(subject.point.id, ())
        return expected_by(said, event, Zone.of(subject.point.zone)) is not None

    def faults(self, subjects: Sequence[Subject], hours: Hours) -> Bools:
        """Tell which hours a person has called faulty, shape (streams, hours)."""
        with self._lock:
            self._refresh()
            spans = [self._faults.get(one.point.id, []) for one in subjects]
        found = np.zeros(hours.values.shape, np.bool_)
        for row, own in enumerate(spans):
            for start_ms, end_ms in own:
                found[row] |= (hours.start_ms + HOUR_MS > start_ms) & (hours.start_ms < end_ms)
        return found

    def limits(self, subject: Subject, at_ms: int) -> Mapping[str, float | None]:
        """Return what people have set of a data point's nominal voltage and limits, at an instant.

        The usual one holds where there is none.
        """
        with self._lock:
            self._refresh()
            dated = self._limits.get(subject.point.id, [])
        found: dict[str, float | None] = {}
        for from_ms, own in dated:
            if from_ms <= at_ms:
                found |= own
        return found

    def _refresh(self) -> None:
        with self._catalog.reading() as session:
            state = alerts.state(session)
            if state == self._state:
                return
            self._facts = facts.read(session)
            self._teaching = verdicts.teaching(session)
            faults: dict[int, list[tuple[int, int]]] = {}
            owners = {point.organisation_id for point in self._watch.now().points.values()}
            for organisation_id in owners:
                for said in verdicts.of_events(session, organisation_id).values():
                    if said.verdict is Verdict.FAULT:
                        faults.setdefault(said.data_point_id, []).append(
                            (said.start_ms, said.end_ms)
                        )
            self._limits = electrical_limits(session)
            self._faults, self._above, self._state = faults, {}, state


class Following:
    """Looks at hours as they become complete, until it is stopped.

    Args:
        folder: The data folder.
        catalog: The registry, open.
        watch: The registered data points.
        streams: How far each stream has come.
        view: The measurements.

    Attributes:
        follower: Who looks.
        view: What was found.
        tidings: What deserves attention, for whoever tells people.
    """

    def __init__(
        self,
        folder: DataFolder,
        catalog: Catalog,
        watch: DirectoryWatch,
        streams: Streams,
        view: View,
    ) -> None:
        known = Catalogued(catalog, watch)
        self.follower = Follower(
            view=view,
            streams=streams,
            points=watch.now,
            path=folder.insights,
            knowledge=known.knowledge(),
        )

        def subject(number: int) -> Subject | None:
            point = watch.now().by_id(number)
            return None if point is None else subject_of(point)

        self.view = InsightView(
            folder.insights,
            lambda: self.follower.backlog,
            Surroundings(view, known.facts, subject, known.faults),
            Surroundings(view, known.facts, subject),
        )
        self.tidings = Tidings(self.view, watch, known)
        self._thread = threading.Thread(target=self.follower.run, name="insights", daemon=True)

    def start(self) -> None:
        """Begin to look, in a thread."""
        self._thread.start()

    def end(self) -> None:
        """Ask the look that is under way to end; does not wait, from any thread."""
        self.follower.stop()

    def stop(self) -> None:
        """End the look that is under way, and let go of the file."""
        self.end()
        if self._thread.ident is not None:
            self._thread.join()
        else:
            self.follower.close()
        self.view.close()


class Tidings:
    """Findings that deserve attention, in words: what ``notify`` reads (``needs.InsightFeed``).

    Args:
        view: What was found.
        watch: The registered data points.
        known: Prices.
        wall_ms: The clock on the wall [ms since 1970, UTC].
    """

    def __init__(
        self,
        view: InsightView,
        watch: DirectoryWatch,
        known: Catalogued,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._view = view
        self._wall_ms = wall_ms
        self._watch = watch
        self._known = known

    def changes(self, after: int, limit: int) -> list[tuple[int, Tiding]]:
        """Return what changed after a number, in its order."""
        while notices := self._view.notices(after, limit):
            found = [
                (number, tiding)
                for number, event_id, over in notices
                if (tiding := self._tiding(event_id, over=over)) is not None
            ]
            if found:
                return found
            after = notices[-1][0]  # of data points that are gone
        return []

    def over(self, event_ids: Collection[str]) -> Mapping[str, Tiding | None]:
        """Return those of some findings that are over; None for one that is no more."""
        found: dict[str, Tiding | None] = {}
        for event_id in event_ids:
            event = self._view.event(event_id)
            if event is not None and not event.open:
                tiding = self._told(event, over=True)
                if tiding is not None:
                    found[event_id] = tiding
        return found | dict.fromkeys(self._view.gone(set(event_ids) - found.keys()))

    def _tiding(self, event_id: str, *, over: bool) -> Tiding | None:
        event = self._view.event(event_id)
        if event is not None:
            return self._told(event, over=over)
        # Its history is being looked at again. A notice is given once, so it is told by its kind.
        former = self._view.former(event_id)
        tiding = None if former is None else self._told(former, over=over)
        return None if tiding is None else replace(tiding, lines=())

    def _told(self, event: InsightEvent, *, over: bool) -> Tiding | None:
        directory = self._watch.now()
        point = directory.by_series(event.series)
        if point is None:
            return None
        told = explain(event, self._about(event, point))
        others = [one.name for one in map(directory.by_series, event.others) if one is not None]
        lines = (told.sentence, seen_too(others)) if others else (told.sentence,)
        return Tiding(
            event.id, point.organisation_id, point.site_id, point.id,
            is_waste=event.is_waste, over=over, since_ms=event.start_ms,
            title=told.title, lines=lines,
        )  # fmt: skip

    def _about(self, event: InsightEvent, point: DataPoint) -> About:
        counted = counted_of(point)
        unit = counted[1] if counted else ""
        site = self._known.facts().get(point.site_id)
        price = None
        if site is not None and unit:
            price = site.price_at(point.utility, event.start_ms, unit)
        return About(
            point.name,
            point.utility,
            unit,
            rate_unit(unit) if unit else point.unit_of_value.canonical,
            Zone.of(point.zone),
            price,
            weather=site is not None and site.temperature_point is not None,
            today_ms=self._wall_ms(),
        )
