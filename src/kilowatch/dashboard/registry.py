"""The catalogue as the pages see it: a snapshot of the data points, and each person's tree.

Both are kept until the catalogue's revision steps, so that a page of ten thousand data points
costs a look at one number.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from sqlalchemy import select

from kilowatch.catalog import directory as directories
from kilowatch.catalog import facts as site_facts
from kilowatch.catalog import feeding
from kilowatch.catalog import tree as trees
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.directory import Directory
from kilowatch.catalog.rights import Person, has_tool, may
from kilowatch.catalog.tables import Environment, Site
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.pipeline.tree_eras import DatedFeeding

LOOK_EVERY_S = 0.25
TREES_KEPT = 64


class Registry:
    """A snapshot that follows the catalogue. Its methods block briefly: call them in a thread.

    Args:
        catalog: Where it comes from.
        environment: Which series a data point writes to.
    """

    def __init__(self, catalog: Catalog, environment: Environment) -> None:
        self.catalog = catalog
        self._environment = environment
        self._lock = threading.Lock()
        self._directory: Directory | None = None
        self._looked_s = 0.0
        self._fed_by: dict[int, tuple[int, dict[int, int | None]]] = {}
        self._fed_over: dict[tuple[int, int], tuple[int, DatedFeeding]] = {}
        self._facts: tuple[int, Mapping[int, SiteFacts]] | None = None
        self._trees: OrderedDict[tuple[object, ...], list[trees.OrganisationNode]] = OrderedDict()

    def directory(self, *, fresh: bool = False) -> Directory:
        """Return the snapshot in force; ``fresh`` after a change that must be in it."""
        with self._lock:
            now_s, known = time.monotonic(), self._directory
            if known is not None and not fresh and now_s - self._looked_s < LOOK_EVERY_S:
                return known
            self._looked_s = now_s
            if known is None or self.catalog.revision() != known.revision:
                known = directories.load(self.catalog, self._environment, known)
                self._directory = known
            return known

    def tree(self, who: Person) -> list[trees.OrganisationNode]:
        """Return what a person may see, as organisations with everything below.

        Right after a role was given or taken, as the right itself is: never of an older revision.
        """
        # The rights too: a person may have been read before the revision stepped that took one.
        rights = frozenset(who.standings.items()), who.sites, who.data_points
        key = (who.id, self.catalog.revision(), *rights)
        with self._lock:
            if key in self._trees:
                self._trees.move_to_end(key)
                return self._trees[key]
        with self.catalog.reading() as session:
            found = trees.tree(session, who)
        with self._lock:
            self._trees[key] = found
            while len(self._trees) > TREES_KEPT:
                self._trees.popitem(last=False)
        return found

    def facts(self) -> Mapping[int, SiteFacts]:
        """Return prices, CO2 factors, calendars and weather of every site, by its number."""
        revision = self.catalog.revision()
        with self._lock:
            if self._facts is not None and self._facts[0] == revision:
                return self._facts[1]
        with self.catalog.reading() as session:
            found = site_facts.read(session)
        with self._lock:
            self._facts = (revision, found)
        return found

    def fed_by(self, points: Iterable[DataPoint]) -> dict[int, int | None]:
        """Return which data point feeds each one now, by number, in the points' organisations."""
        revision = self.catalog.revision()
        found: dict[int, int | None] = {}
        for owner in {point.organisation_id for point in points}:
            with self._lock:
                known = self._fed_by.get(owner)
            if known is None or known[0] != revision:
                with self.catalog.reading() as session:
                    known = (revision, feeding.fed_by(session, owner))
                with self._lock:
                    self._fed_by[owner] = known
            found |= known[1]
        return found

    def fed_over_time(self, points: Iterable[DataPoint]) -> DatedFeeding:
        """Return from when on which data point fed each one, at the points' sites, rising.

        Who feeds whom is a matter of one site; each site's story is kept until the catalogue steps.
        """
        places = sorted({(point.organisation_id, point.site_id) for point in points})
        stories = [self.fed_at_site(*place) for place in places]
        found: list[tuple[int, dict[int, int | None]]] = []
        for at_ms in sorted({at_ms for story in stories for at_ms, _ in story}):
            then: dict[int, int | None] = {}
            for story in stories:
                then |= [by for since, by in story if since <= at_ms][-1]
            found.append((at_ms, then))
        return found

    def fed_at_site(self, organisation_id: int, site_id: int) -> DatedFeeding:
        """Return the same of everything at a site; at least for all time."""
        place, revision = (organisation_id, site_id), self.catalog.revision()
        with self._lock:
            known = self._fed_over.get(place)
        if known is None or known[0] != revision:
            with self.catalog.reading() as session:
                known = (revision, feeding.fed_by_over_time(session, *place))
            with self._lock:
                self._fed_over[place] = known
        return known[1]

    def point(self, who: Person, data_point_id: int) -> DataPoint | None:
        """Return a data point that a person may read, else None."""
        point = self.directory().by_id(data_point_id)
        return point if point is not None and may_point(who, "read", point) else None

    def organisation_of_site(self, site_id: int) -> int | None:
        """Return whose site it is; None where there is no such site."""
        with self.catalog.reading() as session:
            return session.scalar(select(Site.organisation_id).where(Site.id == site_id))

    def readable(self, who: Person) -> list[DataPoint]:
        """Return every data point that a person may read."""
        points = self.directory().points.values()
        # Most people may read whole organisations: ten thousand questions are one.
        whole = {number for number, own in who.standings.items() if own.whole and may(
            who, "read", organisation_id=number)}  # fmt: skip
        return [p for p in points if p.organisation_id in whole or may_point(who, "read", p)]


def may_point(who: Person, action: str, point: DataPoint) -> bool:
    """Tell whether a person may do something to a data point."""
    return may(
        who,
        action,  # type: ignore[arg-type]
        organisation_id=point.organisation_id,
        site_id=point.site_id,
        data_point_id=point.id,
    )


def may_export(who: Person, point: DataPoint) -> bool:
    """Tell whether a person may take a data point's figures along as a file."""
    return may_point(who, "export", point) and has_tool(who, "export", point.organisation_id)
