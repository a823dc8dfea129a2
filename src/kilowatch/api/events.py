"""What stands out: anomalies, waste and electrical faults, in the words that people read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy.orm import Session

from kilowatch.api.declaring import Ask, Resource, number, word
from kilowatch.api.estate import ORGANIZATION, SITE, places
from kilowatch.api.local_time import SPAN, clock_of, span_of, timestamp
from kilowatch.api.problems import not_found, not_in_plan
from kilowatch.catalog import verdicts
from kilowatch.catalog.rights import has_tool
from kilowatch.insights.expecting import expected_by
from kilowatch.insights.explaining import About, explain
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.units import rate_unit
from kilowatch.model.verdicts import Said
from kilowatch.pipeline.tree_eras import counted_of

TOOL = "sentinel"
State = Literal["open", "acknowledged", "snoozed", "expected", "fault", "resolved"]


class Event(msgspec.Struct):
    """Something that stands out at one meter or appliance.

    Attributes:
        id: Its name; the same history gives the same one.
        meter_id: The meter or appliance at which it was found first.
        site_id: Where that is.
        kind: What happened, by a stable word.
        is_waste: Whether it is energy that need not have been used.
        title: One line, as messages begin.
        sentence: What happened, with its numbers, as pages say it.
        start: Begin of its first hour, local time with the offset from UTC.
        end: End of its last hour so far, likewise.
        ongoing: Whether it was still going on when it was last looked at.
        amount: How much more (or less, below zero) than was expected; null where the kind has none.
        unit: Of the amount: `Wh`, `m3`; empty where nothing is counted.
        cost: What the amount cost; below zero is money that was saved. Null where it has no price.
        currency: Of the cost; null where there is none.
        price: The price that the cost rests on, that of when it began; null where there is none.
        confidence: How sure the platform is, 0 to 1.
        evidence: The numbers that the sentence is made of; names and units depend on the kind.
        model: Version of the model that expected otherwise; empty where none was asked.
        also_at: Other meters and appliances, of those that the token sees, with the same cause.
        state: What a person has said of it; `open` while nobody has, or a snooze is over.
    """

    id: str
    meter_id: int
    site_id: int
    kind: EventKind
    is_waste: bool
    title: str
    sentence: str
    start: str
    end: str
    ongoing: bool
    amount: float | None
    unit: str
    cost: float | None
    currency: str | None
    price: str | None
    confidence: float
    evidence: dict[str, Any]
    model: str
    also_at: list[int]
    state: State


def events(ask: Ask) -> list[Event]:
    """Answer what stands out at the meters and appliances of the query, in order of time."""
    points = _points(ask)
    found: list[tuple[InsightEvent, DataPoint]] = []
    first, last = ask.values["from"], ask.values["to"]
    for zone in dict.fromkeys(map(clock_of, points)):
        here = [point for point in points if clock_of(point) is zone]
        by_series = {point.series: point for point in here}
        there = ask.rooms.insights.events(here, *span_of(first, last, zone))
        found += [(one, by_series[series]) for series, some in there.items() for one in some]
    kind = ask.values["kind"]
    wanted = [(one, point) for one, point in found if kind in (None, one.kind)]
    return _told(ask, sorted(wanted, key=lambda one: (one[0].start_ms, one[0].id)))


def _points(ask: Ask) -> list[DataPoint]:
    """Return the data points that are asked about, of organisations whose plan has the tool.

    Raises:
        KilowatchError: 404 ``not_found``, 403 ``not_in_plan``.
    """
    wanted, by_id = ask.values["meter_id"], ask.rooms.registry.directory().by_id
    found, refused = [], False
    for node, site in places(ask):
        leaves = [one for one in site.leaves() if wanted in (None, one.id)]
        if has_tool(ask.who, ask.tool, node.id):
            found += [point for one in leaves if (point := by_id(one.id)) is not None]
        else:
            refused = refused or bool(leaves)
    if refused and not found:
        raise not_in_plan()
    if wanted is not None and not found:
        raise not_found()
    return found


def _told(ask: Ask, pairs: Sequence[tuple[InsightEvent, DataPoint]]) -> list[Event]:
    """Return events as people read them."""
    if not pairs:
        return []
    registry = ask.rooms.registry
    facts, points = registry.facts(), registry.directory().points
    tree = registry.tree(ask.who)
    seen = {leaf.id for node in tree for site in node.sites for leaf in site.leaves()}
    others = {
        series: point
        for event, _ in pairs
        for series in event.others
        if (point := points.get(series)) is not None and point.id in seen
    }
    spoke = ask.rooms.view.last_seen({event.series for event, _ in pairs if event.open})
    with registry.catalog.reading() as session:
        states = list(_states(session, pairs, ask.rooms.clock()))
    return [
        _event(
            ask, event.rested(spoke.get(event.series)), point, facts.get(point.site_id),
            {s: others[s] for s in event.others if s in others}, state,
        )
        for (event, point), state in zip(pairs, states, strict=True)
    ]  # fmt: skip


def _states(
    session: Session, pairs: Sequence[tuple[InsightEvent, DataPoint]], now_ms: int
) -> Iterator[State]:
    """Yield what was said of each event, or of one like it that makes this one expected."""
    said: dict[str, Said] = {}
    for owner in {point.organisation_id for _, point in pairs}:
        said |= verdicts.of_events(session, owner, [event.id for event, _ in pairs])
    teaching = verdicts.teaching(session)
    for event, point in pairs:
        one = said.get(event.id)
        if one is None and expected_by(teaching.get(point.id, ()), event, clock_of(point)):
            yield "expected"
        elif one is None or one.verdict is None or not one.silences(now_ms):
            yield "open"
        else:
            yield one.verdict.value


def _event(
    ask: Ask,
    event: InsightEvent,
    point: DataPoint,
    facts: SiteFacts | None,
    others: Mapping[int, DataPoint],
    state: State,
) -> Event:
    zone, counted = clock_of(point), counted_of(point)
    unit = counted[1] if counted else ""
    price = facts.price_at(point.utility, event.start_ms, unit) if facts and unit else None
    amount = event.size if unit and math.isfinite(event.size) else None
    cost = price.cost_of_more(amount, unit) if price and amount is not None else None
    about = About(
        point.name,
        point.utility,
        unit,
        rate_unit(unit) if unit else point.unit_of_value.canonical,
        zone,
        price,
        tuple(one.name for one in others.values()),
        facts is not None and facts.temperature_point is not None,
        ask.rooms.clock(),
    )
    words = explain(event, about)
    return Event(
        id=event.id,
        meter_id=point.id,
        site_id=point.site_id,
        kind=event.kind,
        is_waste=event.is_waste,
        title=words.title,
        sentence=words.sentence,
        start=timestamp(event.start_ms, zone),
        end=timestamp(event.end_ms, zone),
        ongoing=event.open,
        amount=amount,
        unit=unit,
        cost=cost,
        currency=price.currency if price and cost is not None else None,
        price=str(price) if cost is not None else None,
        confidence=event.confidence,
        evidence=event.evidence,
        model=event.model,
        also_at=sorted(one.id for one in others.values()),
        state=state,
    )


RESOURCES: tuple[Resource, ...] = (
    Resource(
        "/events", events, list[Event], "Insights",
        "What stands out: anomalies, waste, electrical faults",
        "Events that touch the period, in order of their begin; what has one cause is one event. "
        "Those of meters and of appliances.",
        (
            ORGANIZATION, SITE, number("meter_id", "Only at this meter or appliance."), *SPAN,
            word("kind", "Only of this kind.", [one.value for one in EventKind]),
        ),
        paged=True, tool=TOOL,
    ),
)  # fmt: skip
