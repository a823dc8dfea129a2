"""What a resolved event has saved so far: the same weather with and without what was mended.

Whatever else was found at the data point is another story: what it wasted is left out before and
after, and the page names it beside the figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.event_page import PATH, event_of
from kilowatch.dashboard.expected_waste import wasted
from kilowatch.dashboard.hourly import by_point, hourly, like_of_gas, unit_of_amount
from kilowatch.dashboard.insight_rows import Shown, shown_event, shown_events
from kilowatch.dashboard.measures import part
from kilowatch.dashboard.periods import local_day, midnight_ms
from kilowatch.dashboard.places import site_names
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of
from kilowatch.dashboard.worth import Worth, worth_of_more_days
from kilowatch.insights.hours import Hours
from kilowatch.insights.savings import BEFORE_D, Saving, savings
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone

NAMED = 5
"""Other findings that are named beside the figures."""
COARSE = 0.25
"""Error of daily sums from which a comparison is called coarse: ASHRAE Guideline 14 takes no model
of months for calibrated that is off by more than 15 %, and of hours 30 %."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A saving with what it is worth.

    Attributes:
        saving: Energy before and after, adjusted to the weather.
        unit: Of its amounts.
        worth: Money and CO2 of what was saved; of production below zero, as less of it is a loss.
        days: Days after the change that are known.
        passed: Days that there were.
        since: The first of them in words.
        left_out: What other findings wasted in these days, which is not in the figures
            [Wh or m³].
        like: Size whose unit all amounts have; None where each has its own.
    """

    saving: Saving
    unit: str
    worth: Worth
    days: int
    passed: int
    since: str
    left_out: float = 0.0
    like: float | None = None

    @property
    def fit(self) -> str:
        """By how much the comparison misses days of before; empty where that is not known."""
        error = self.saving.cv_rmse
        return part(error) if math.isfinite(error) else ""

    @property
    def coarse(self) -> bool:
        """Whether that is so much that figures are a hint only."""
        return self.saving.cv_rmse > COARSE


async def saved(request: Request) -> Response:
    """Answer what an event has saved; the page fetches it after its frame."""
    return await run_in_threadpool(_saved, request)


def _saved(request: Request) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    shown = shown_event(request, event_of(request), point, site_names(request))
    change_ms = changed_ms(shown) if shown.state == "resolved" else None
    found = None if change_ms is None else saved_since(rooms, point, shown.event, change_ms)
    passing = change_ms is not None and passed_by_itself(shown.event, change_ms)
    others = []
    if found is not None:
        others = _others(request, point, shown.event.id, found.saving)
    context = {
        "found": found,
        "others": others[:NAMED],
        "more": len(others[NAMED:]),
        "since": "" if change_ms is None else day_text(local_day(change_ms, point.zone)),
        "passing": passing,
        "resolved": change_ms is not None,
    }
    return rooms.templates.TemplateResponse(request, "event_saved.html", context)


def changed_ms(shown: Shown) -> int:
    """Return when what was found ended: when it was said to be resolved, or before that, by itself.

    Args:
        shown: A resolved event.
    """
    assert shown.said is not None
    if shown.event.open:
        return shown.said.at_ms
    return min(shown.said.at_ms, shown.event.end_ms)


def passed_by_itself(event: InsightEvent, change_ms: int) -> bool:
    """Tell whether something was over by itself within a day: it may never have come again.

    Args:
        event: What was found.
        change_ms: When it ended [ms since 1970, UTC].
    """
    return change_ms == event.end_ms and change_ms - event.start_ms < DAY_MS


def _others(request: Request, point: DataPoint, event_id: str, saving: Saving) -> list[Shown]:
    """Return what else was found at a data point in the compared days, the latest first."""
    found = shown_events(request, [point], saving.from_ms, saving.to_ms, site_names(request))
    others = (one for one in found if one.event.id != event_id and one.state != "expected")
    return sorted(others, key=lambda one: -one.event.start_ms)


def saved_since(
    rooms: Rooms, point: DataPoint, event: InsightEvent, change_ms: int
) -> Saved | None:
    """Return what was saved since something that was found has ended.

    Args:
        rooms: Where measurements are.
        point: At which data point.
        event: What was found.
        change_ms: When it ended [ms since 1970, UTC].

    Returns:
        None where too little is known yet or of its own hours, and of what passed by itself.

    Raises:
        KilowatchError: 503 from the store.
    """
    seen = rooms.view.last_seen([point.series]).get(point.series)
    if seen is None or seen <= change_ms or not unit_of_amount(point):
        return None
    if passed_by_itself(event, change_ms):
        return None
    zone = point.zone
    since_ms = min(event.start_ms, change_ms)
    from_ms = midnight_ms(local_day(since_ms - BEFORE_D * DAY_MS, zone), zone)
    count = (seen - from_ms) // HOUR_MS
    facts = rooms.registry.facts().get(point.site_id)
    hours = _hours(rooms, point, facts, from_ms, count)
    change, since = ((at_ms - from_ms) // HOUR_MS for at_ms in (change_ms, since_ms))
    of_others = _wasted(
        rooms, point, hours, slice(since, (max(change_ms, event.end_ms) - from_ms) // HOUR_MS)
    )
    (saving,) = savings(replace(hours, values=hours.values - of_others), change, since)
    if saving is None or not math.isfinite(saving.saved + saving.uncertainty):
        return None
    days = dict(zip(saving.days_ms.tolist(), saving.daily.tolist(), strict=True))
    return Saved(
        saving,
        unit_of_amount(point),
        worth_of_more_days(facts, point, saving.saved, days, change_ms),
        max(1, round(saving.hours * HOUR_MS / DAY_MS)),
        max(1, round((saving.to_ms - saving.from_ms) / DAY_MS)),
        day_text(local_day(saving.from_ms, zone)),
        float(of_others[0, change:][~np.isnan(hours.values[0, change:])].sum()),
        like_of_gas(point, unit_of_amount(point)),
    )


def _wasted(rooms: Rooms, point: DataPoint, hours: Hours, own: slice) -> Floats:
    """Return what other findings wasted, shape (1, hours) [Wh or m³]; nothing in ``own`` time."""
    found = np.zeros(hours.count)
    if rooms.insights is None:
        return found[None]
    end_ms = hours.first_ms + hours.count * HOUR_MS
    waste = wasted(rooms.insights, rooms.registry, [point], hours.first_ms, end_ms)
    np.add.at(found, (waste.start_ms - hours.first_ms) // HOUR_MS, waste.amount)
    found[own] = 0.0
    return found[None]


def _hours(
    rooms: Rooms, point: DataPoint, facts: SiteFacts | None, from_ms: int, count: int
) -> Hours:
    """Return a data point's hours with the closed days and the weather of its site."""
    zone = Zone.of(point.zone)
    to_ms = from_ms + count * HOUR_MS
    outdoor = None
    number = facts.temperature_point if facts is not None else None
    weather = rooms.registry.directory().by_id(number) if number is not None else None
    wanted = [point] if weather is None else [point, weather]
    found = hourly(rooms.view, wanted, from_ms, to_ms)
    if weather is not None:
        outdoor = by_point(found, weather).on_grid(from_ms, count)[None]
    first, last = local_day(from_ms, point.zone), local_day(max(from_ms, to_ms - 1), point.zone)
    days = [first + timedelta(number) for number in range((last - first).days + 1)]
    closed = np.array([facts is not None and facts.closed(day) for day in days], np.bool_)
    starts = from_ms + np.arange(count, dtype=np.int64) * HOUR_MS
    day = zone.local_ms(starts) // DAY_MS
    index = np.clip(day - (first.toordinal() - 719_163), 0, len(days) - 1)
    values = by_point(found, point).on_grid(from_ms, count)[None]
    return Hours(from_ms, values, zone, closed[index][None], outdoor)


DOORS: tuple[Door, ...] = (Door(f"{PATH}/saved", saved, Access.READ_POINT, tool="sentinel"),)
