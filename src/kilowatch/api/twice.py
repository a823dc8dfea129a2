"""Resources that meters and appliances have alike, under an address each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kilowatch.api.declaring import Ask, Parameter, Resource
from kilowatch.api.meters import point_of
from kilowatch.api.problems import busy
from kilowatch.model.points import DataPoint


def of_meters_and_appliances(
    name: str,
    make: Callable[[Ask, DataPoint], Any],
    answer: Any,
    summary: str,
    about: str,
    parameters: tuple[Parameter, ...] = (),
    *,
    tool: str,
) -> tuple[Resource, ...]:
    """Return ``/meters/{id}/NAME`` and ``/appliances/{id}/NAME``.

    Args:
        name: Last part of the address.
        make: Makes the answer for a data point that the token's owner sees.
        answer: As of ``Resource``, and so are the rest.
        summary: In a few words.
        about: In sentences.
        parameters: Of the query.
        tool: Of a plan.
    """
    found = []
    for group, channel in (("Meters", False), ("Appliances", True)):
        kind = group.lower()

        def handler(ask: Ask, *, channel: bool = channel) -> Any:
            point = point_of(ask, channel=channel)
            if why := ask.rooms.view.busy():  # what is not read yet must not look like nothing
                raise busy(f"Measurements can't be read yet: {why}.")
            return make(ask, point)

        handler.__name__ = f"{kind.removesuffix('s')}_{name}"
        found.append(
            Resource(
                f"/{kind}/{{id}}/{name}", handler, answer, group, summary, about, parameters,
                tool=tool,
            )
        )  # fmt: skip
    return tuple(found)
