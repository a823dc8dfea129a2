"""What people have said of events, read once for all that a page needs of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kilowatch.catalog import verdicts
from kilowatch.dashboard.rooms import Rooms
from kilowatch.insights.expecting import expected_by
from kilowatch.model.insight import InsightEvent, Verdict
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.verdicts import Said
from kilowatch.model.zones import Zone

STATES = ("open", "acknowledged", "snoozed", "expected", "fault", "resolved")
"""What an event is to people: open until somebody has said something, or a snooze is over."""
MORNING_MS = 7 * HOUR_MS
"""On the clock of the day until which something was put off: then somebody is reminded of it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was said.

    Attributes:
        said: The verdict that counts, by the event's id.
        teaching: By data point, verdicts that make events like theirs expected too.
    """

    said: Mapping[str, Said] = field(default_factory=dict)
    teaching: Mapping[int, Sequence[Said]] = field(default_factory=dict)

    def due(self, now_ms: int, for_ms: int) -> Mapping[str, Said]:
        """Return what was put off until lately and waits again, by the event's id.

        Args:
            now_ms: What time it is [ms since 1970, UTC].
            for_ms: How long it is called so [ms].
        """
        return {
            event_id: one
            for event_id, one in self.said.items()
            if one.verdict is Verdict.SNOOZED
            and one.until_ms is not None
            and one.until_ms <= now_ms < one.until_ms + for_ms
        }

    def like(self, event: InsightEvent, point: DataPoint) -> Said | None:
        """Return what was said of another event that makes this one expected, or None.

        What was said of the event itself goes before.
        """
        if event.id in self.said or point.id not in self.teaching:
            return None
        return expected_by(self.teaching[point.id], event, Zone.of(point.zone))


def answers(rooms: Rooms, points: Iterable[DataPoint], ids: Iterable[str] | None = None) -> Answers:
    """Read what was said of events at data points.

    Args:
        rooms: The catalogue's.
        points: Where the events were found; that the person may read them has been seen to.
        ids: Of which events; None for all of their organisations.
    """
    owners = {point.organisation_id for point in points}
    if not owners:
        return Answers()
    wanted = None if ids is None else set(ids)
    said: dict[str, Said] = {}
    with rooms.registry.catalog.reading() as session:
        for owner in owners:
            said |= verdicts.of_events(session, owner, wanted)
        return Answers(said, verdicts.teaching(session))


def state_of(said: Said | None, now_ms: int) -> str:
    """Return what an event is to people by what was said of it: one of ``STATES``."""
    if said is None or said.verdict is None or not said.silences(now_ms):
        return "open"
    return str(said.verdict)


def tell_desk(rooms: Rooms, organisation_id: int, event_id: str, who: str) -> None:
    """Let the alerts of an event stand as what people have said of it does now.

    Args:
        rooms: The catalogue's and the desk's.
        organisation_id: Whose event.
        event_id: Which.
        who: What the person is called who has just answered, or taken an answer back.
    """
    with rooms.registry.catalog.reading() as session:
        said = verdicts.of_events(session, organisation_id, [event_id]).get(event_id)
    if said is None or state_of(said, rooms.clock()) == "open":
        rooms.desk.unanswered(event_id)
        return
    put_off = said.verdict is Verdict.SNOOZED and said.until_ms is not None
    until_ms = _morning_ms(rooms, said) if put_off else None
    rooms.desk.answered(event_id, who, until_ms=until_ms)


def _morning_ms(rooms: Rooms, said: Said) -> int:
    """Return when somebody is reminded: seven by the site's clock, also where it changes."""
    midnight_ms = said.until_ms or 0
    point = rooms.registry.directory().by_id(said.data_point_id)
    if point is None:
        return midnight_ms + MORNING_MS
    zone = Zone.of(point.zone)
    morning = zone.wall_to_instant_ms(zone.local_ms([midnight_ms]) + MORNING_MS)
    return int(morning.at_ms[0])
