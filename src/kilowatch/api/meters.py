"""Meters and appliances, which are the platform's data points.

A meter of this API is a data point that stands for a meter as a whole, an appliance one that stands
for a channel of it; both have one number, under which ``reference`` is what packets carry. What has
no data point (an appliance that somebody has only named) has no reference and is not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from kilowatch.api.declaring import Ask, Resource, number
from kilowatch.api.estate import ORGANIZATION, SITE, places
from kilowatch.api.problems import not_found, not_in_plan
from kilowatch.catalog.rights import has_tool
from kilowatch.catalog.tree import MeterNode
from kilowatch.model.points import DataPoint, Utility

METER = number("meter_id", "Only channels of this meter.")
ABOUT = (
    "`reference` is the id that packets carry. `reading` is `cum` where packets carry a register "
    "that counts on, else `avg`. `wh_per_pulse` is null where no pulses of energy are counted. "
    "`parent_id` is the meter or appliance whose figures contain these: totals that leave out "
    "everything with a parent in the list count nothing twice."
)


class Meter(msgspec.Struct):
    """A data point that stands for a meter as a whole.

    Attributes:
        id: Its number.
        organization_id: Whose it is.
        site_id: Where it is.
        name: What it is called.
        reference: The data stream id that packets carry.
        type: What is measured.
        unit: Of its values as they are pushed; of electrical packets, that of their energies.
        reading: ``cum`` for a register that counts on, else ``avg``.
        process_sampling_rate: Expected interval between packets [min].
        process_sampling_rate_minutes: The same.
        wh_per_pulse: What a pulse stands for [Wh]; null where no pulses of energy are counted.
        parent_id: Which meter or appliance feeds it; null for none, or one the token does not see.
        param_type: ``all`` for electrical packets with their parameters, ``one`` for one value.
        computed: Whether a formula computes it and no packets are pushed.
        time_zone: IANA name of its site's clock.
    """

    id: int
    organization_id: int
    site_id: int
    name: str
    reference: str
    type: Utility
    unit: str
    reading: Literal["cum", "avg"]
    process_sampling_rate: int | float
    process_sampling_rate_minutes: int | float
    wh_per_pulse: float | None
    parent_id: int | None
    param_type: Literal["all", "one"]
    computed: bool
    time_zone: str


class Appliance(Meter):
    """A data point that stands for a channel of a meter; what a meter has, and which meter.

    Attributes:
        meter_id: The meter whose channel it is: of its meter's data points the one of the same
            type, else the first; null where there is none that the token sees.
        appliance_name: What the channel is called.
        channel_param_type: As ``param_type``.
    """

    meter_id: int | None
    appliance_name: str
    channel_param_type: Literal["all", "one"]


def meters(ask: Ask) -> list[Meter]:
    """Answer the meters that the token's owner sees, by number."""
    points = [point for _, node in _nodes(ask) for point in _whole(ask, node)]
    fed_by, seen = ask.rooms.registry.fed_by(points), _seen(ask)
    found = [_meter(point, fed_by.get(point.id), seen) for point in points]
    return sorted(found, key=lambda one: one.id)


def meter(ask: Ask) -> Meter:
    """Answer one meter."""
    point = point_of(ask)
    return _meter(point, ask.rooms.registry.fed_by([point]).get(point.id), _seen(ask))


def appliances(ask: Ask) -> list[Appliance]:
    """Answer the appliances that the token's owner sees, by number."""
    wanted = ask.values.get("meter_id")
    known = [node for _, node in _nodes(ask)]
    if wanted is not None and not any(one.id == wanted for n in known for one in n.points):
        raise not_found()
    found = [(node, name, point) for node in known for name, point in _channels(ask, node)]
    fed_by, seen = ask.rooms.registry.fed_by([point for _, _, point in found]), _seen(ask)
    told = [
        _appliance(ask, node, name, point, fed_by.get(point.id), seen)
        for node, name, point in found
    ]
    return sorted((one for one in told if wanted in (None, one.meter_id)), key=lambda one: one.id)


def appliance(ask: Ask) -> Appliance:
    """Answer one appliance."""
    for _, node in _nodes(ask):
        for name, point in _channels(ask, node):
            if point.id == ask.number:
                feeder = ask.rooms.registry.fed_by([point]).get(point.id)
                return _appliance(ask, node, name, point, feeder, _seen(ask))
    raise not_found()


def point_of(ask: Ask, *, channel: bool = False) -> DataPoint:
    """Return the data point of a request for one meter, or for one appliance.

    Raises:
        KilowatchError: 404 ``not_found``: none, not theirs, or the other of the two; 403
            ``not_in_plan``: the plan lacks the resource's tool.
    """
    for _, node in _nodes(ask):
        leaves = (one for each in node.appliances for one in each.points)
        if any(one.id == ask.number for one in (leaves if channel else node.points)):
            point = ask.rooms.registry.directory().by_id(ask.number)
            if point is None:
                break  # it has gone since the tree was read
            if ask.tool and not has_tool(ask.who, ask.tool, point.organisation_id):
                raise not_in_plan()
            return point
    raise not_found()


def _nodes(ask: Ask) -> Iterator[tuple[int, MeterNode]]:
    for _, site in places(ask):
        for node in site.meters:
            yield site.id, node


def _whole(ask: Ask, node: MeterNode) -> Iterator[DataPoint]:
    by_id = ask.rooms.registry.directory().by_id
    for leaf in node.points:
        if (point := by_id(leaf.id)) is not None:
            yield point


def _channels(ask: Ask, node: MeterNode) -> Iterator[tuple[str, DataPoint]]:
    by_id = ask.rooms.registry.directory().by_id
    for one in node.appliances:
        for leaf in one.points:
            if (point := by_id(leaf.id)) is not None:
                yield one.name, point


def _seen(ask: Ask) -> frozenset[int]:
    """Return the numbers of all data points that the token's owner sees."""
    tree = ask.rooms.registry.tree(ask.who)
    return frozenset(leaf.id for node in tree for site in node.sites for leaf in site.leaves())


def _meter(point: DataPoint, feeder: int | None, seen: frozenset[int]) -> Meter:
    minutes = point.interval_s / 60 if point.interval_s % 60 else point.interval_s // 60
    return Meter(
        id=point.id,
        organization_id=point.organisation_id,
        site_id=point.site_id,
        name=point.name,
        reference=point.stream_id,
        type=point.utility,
        unit="Wh" if point.kind == "electrical" else point.unit,
        reading="cum" if point.behaviour == "register" and not point.formula else "avg",
        process_sampling_rate=minutes,
        process_sampling_rate_minutes=minutes,
        wh_per_pulse=wh_per_pulse(point),
        parent_id=feeder if feeder in seen else None,
        param_type="all" if point.kind == "electrical" else "one",
        computed=bool(point.formula),
        time_zone=point.zone,
    )


def _appliance(
    ask: Ask,
    node: MeterNode,
    name: str,
    point: DataPoint,
    feeder: int | None,
    seen: frozenset[int],
) -> Appliance:
    whole = list(_whole(ask, node))
    alike = [one.id for one in whole if one.utility == point.utility] or [one.id for one in whole]
    own = msgspec.structs.asdict(_meter(point, feeder, seen))
    return Appliance(
        **own,
        meter_id=min(alike, default=None),
        appliance_name=name,
        channel_param_type=own["param_type"],
    )


def wh_per_pulse(point: DataPoint) -> float | None:
    """Return what a pulse stands for [Wh]; None where no pulses of energy are counted."""
    if point.kind == "electrical" or not point.history.periods:
        return None
    weight, unit = point.history.periods[-1].pulse_weight, point.unit_of_value
    return weight * unit.factor if weight != 1.0 and unit.canonical == "Wh" else None


RESOURCES: tuple[Resource, ...] = (
    Resource(
        "/meters", meters, list[Meter], "Meters", "Every meter that the token's owner sees", ABOUT,
        parameters=(ORGANIZATION, SITE), paged=True,
    ),
    Resource("/meters/{id}", meter, Meter, "Meters", "One meter", ABOUT),
    Resource(
        "/appliances", appliances, list[Appliance], "Appliances",
        "Every channel of a meter that the token's owner sees", ABOUT,
        parameters=(ORGANIZATION, SITE, METER), paged=True,
    ),
    Resource("/appliances/{id}", appliance, Appliance, "Appliances", "One channel", ABOUT),
)  # fmt: skip
