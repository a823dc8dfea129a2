"""What the first visitor would wait for, done when the server has started and nobody waits.

The library of public holidays looks through all countries once (0.2 s), and a month of waste of an
estate is added up once (0.6 s of the processor for 10,000 data points). Both are exact when they
are asked for, with this or without it.
"""

from __future__ import annotations

import threading

import structlog

from kilowatch.dashboard.hourly import has_hours
from kilowatch.dashboard.insight_period import newest_ms, stretch
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.rooms import Rooms
from kilowatch.dashboard.waste_read import AT_ONCE
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.model.public_holidays import public_holidays, regions
from kilowatch.pipeline.tree_eras import amount_of

logger = structlog.get_logger("dashboard")

LOOK_EVERY_S = 1.0
LOOKS_MAX = 120
"""Two minutes: a store that takes longer to open has other things to do."""


SETTLE_S = 5.0
"""Between the first measurements and this: whoever waited for the start goes first."""


STOP_S_MAX = 2.0
"""A server that stops on a crowded machine waits no longer for it: nothing is written."""


class Warming:
    """Does it in a thread that begins when measurements can be read, and ends by itself.

    Args:
        rooms: What the dashboard was given.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warming", daemon=True)

    def start(self) -> None:
        """Begin to wait for measurements."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is being added up may be, for a moment."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S_MAX)

    def _run(self) -> None:
        try:
            for _ in range(LOOKS_MAX):
                if self._stopping.wait(LOOK_EVERY_S):
                    return
                points = list(self._rooms.registry.directory().points.values())
                if newest_ms(self._rooms.view, points) is not None:
                    if self._stopping.wait(SETTLE_S):
                        return
                    warm_holidays(self._rooms)
                    if not self._stopping.is_set():
                        warm_waste(self._rooms, points)
                    return
        except KilowatchError as error:
            logger.info("warming.given_up", reason=str(error))
        except Exception:  # the pages do without it
            if not self._stopping.is_set():
                logger.exception("warming.failed")


def warm_holidays(rooms: Rooms) -> None:
    """Look up the public holidays of the sites: of this year and its neighbours."""
    for facts in rooms.registry.facts().values():
        year = local_day(rooms.clock(), facts.zone).year
        regions(facts.country)
        for one in (year - 1, year, year + 1):
            public_holidays(facts.country, facts.region, one)


def warm_waste(rooms: Rooms, points: list[DataPoint]) -> None:
    """Add up the month that Waste opens with, where there are so many sites that it takes long.

    Args:
        rooms: What the dashboard was given.
        points: Every data point.
    """
    counting = [point for point in points if has_hours(point) and amount_of(point)]
    if rooms.insights is not None and len(counting) > AT_ONCE:
        days = stretch({}, rooms.view, counting, rooms.clock())
        rooms.waste_days.of(rooms.insights, rooms.registry, counting, days)
