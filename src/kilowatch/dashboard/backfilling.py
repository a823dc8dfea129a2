"""Packets that came too late or contradict others: put in, dismissed, decided by a person.

Only the collector writes the log: what is asked for here goes to it, as ``kilowatch history``
does, and is answered when it is durable. Who did it, when and why is in the log and in the
history of the organisation.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, cast

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.dashboard.access import Door, posts_about_point
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import clock_text, iso_local
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of
from kilowatch.dashboard.words import t
from kilowatch.log.records import Backfill, KeptPacket
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.conflicts import CONFLICTS_MAX, Conflict

CONFLICTS_SHOWN = 20
RUNS_SHOWN = 10
REASON_MAX = 200
SETTLED_S = 3.0  # a decision is read back from the log in a fraction of a second
_LOOK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of a conflict: what is stored, and what is offered instead."""

    name: str
    stored: str
    offered: str


def conflicts_of(rooms: Rooms, point: DataPoint) -> dict[str, Any]:
    """Return the contradictions that wait for a person, as the page shows them."""
    found = rooms.view.conflicts(point, CONFLICTS_SHOWN + 1)
    return {
        "conflicts": [
            {
                "at_ms": one.at_ms,
                "digest": one.digest,
                "at": iso_local(one.at_ms, point.zone),
                "received": clock_text(one.received_ms, point.zone),
                "differences": _differences(one),
            }
            for one in found[:CONFLICTS_SHOWN]
        ],
        "conflicts_more": len(found) > CONFLICTS_SHOWN,
    }


def runs_of(rooms: Rooms, point: DataPoint, names: dict[int, str]) -> list[dict[str, Any]]:
    """Return who put what into the stream's history and why, newest first."""
    return [_run(one, point, names) for one in rooms.log.backfills(point.series, RUNS_SHOWN)]


def _run(one: Backfill, point: DataPoint, names: dict[int, str]) -> dict[str, Any]:
    return {
        "when": clock_text(one.first_received_ms, point.zone),
        "who": one.actor or names.get(one.credential_id, "") or t("past.nobody"),
        "source": t(f"past_source.{one.source}"),
        "packets": one.packets,
        "first": clock_text(one.first_at_ms, point.zone),
        "last": clock_text(one.last_at_ms, point.zone),
        "reason": one.reason,
    }


def _differences(one: Conflict) -> list[Difference]:
    offered = one.offered
    return [
        Difference(
            channel_name(channel),
            _figure(one.stored.get(channel)),
            _figure(offered.get(channel)),
        )
        for channel in sorted({*one.stored, *offered})
        if channel in offered and one.stored.get(channel) != offered[channel]
    ]


def _figure(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.15g}"


async def backfill(request: Request) -> Response:
    """Put discarded packets into history: those chosen, or all of the stream."""
    return await run_in_threadpool(_backfill, request, await request.form())


async def dismiss(request: Request) -> Response:
    """Delete kept packets that nobody wants."""
    return await run_in_threadpool(_dismiss, request, await request.form())


async def decide(request: Request) -> Response:
    """Decide between what is stored and what was offered for the same instant."""
    return await run_in_threadpool(_decide, request, await request.form())


def _backfill(request: Request, form: FormData) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    reason, ids = reason_of(form), _chosen(form)
    if ids == []:
        return _back(point, "nothing_chosen")
    actor = actor_of(request)
    done = rooms.past.put_in_kept(point.series, ids, actor.name, reason)
    _record(request, "backfilled", point, packets=done.packets, reason=reason)
    return _back(point, "backfilled", done.packets)


def _dismiss(request: Request, form: FormData) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    reason, ids = reason_of(form), _chosen(form)
    if ids == []:
        return _back(point, "nothing_chosen")
    rooms.past.dismiss(point.series, ids)
    chosen = {} if ids is None else {"kept": ids}
    _record(request, "dismissed", point, reason=reason, **chosen)
    return _back(point, "dismissed")


def _decide(request: Request, form: FormData) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    take = str(form.get("take", ""))
    if take not in ("stored", "offered"):
        raise KilowatchError("which_values", "Which values shall count is not said.")
    waiting = rooms.view.conflicts(point, CONFLICTS_MAX)
    chosen = waiting if form.get("which") == "all" else _named(waiting, form)
    if take == "offered":
        # Of two offers for one instant the later would win unseen: they are decided one by one.
        at_once = Counter(one.at_ms for one in chosen)
        chosen = [one for one in chosen if at_once[one.at_ms] == 1]
    if not chosen:
        return _back(point, "conflict_gone")
    reason, wanted = reason_of(form), cast("Literal['stored', 'offered']", take)
    done = rooms.past.put_in(
        point.series,
        [one.decided(wanted) for one in chosen],
        actor_of(request).name,
        reason,
        "decision",
    )
    _record(request, f"decided for the {take} values", point, packets=done.packets, reason=reason)
    _settled(rooms, point, chosen)
    return _back(point, f"decided_{take}", len(chosen))


def _named(waiting: list[Conflict], form: FormData) -> list[Conflict]:
    at_ms = whole_number(str(form.get("at", "")).lstrip("-"))
    digest = str(form.get("digest", ""))
    found = [one for one in waiting if abs(one.at_ms) == at_ms and str(one.digest) == digest]
    return found[:1]


def _settled(rooms: Rooms, point: DataPoint, chosen: list[Conflict]) -> None:
    """Wait a moment, so that the page no longer shows what was just decided."""
    keys = {one.key for one in chosen}
    end = time.monotonic() + SETTLED_S
    while time.monotonic() < end:
        if not any(one.key in keys for one in rooms.view.conflicts(point, CONFLICTS_SHOWN)):
            return
        time.sleep(_LOOK_AGAIN_S)


def _chosen(form: FormData) -> list[int] | None:
    """Return the numbers that were ticked; None for everything that was discarded."""
    if form.get("which") == "all":
        return None
    numbers = (whole_number(str(one)) for one in form.getlist("kept"))
    return [number for number in numbers if number is not None]


def reason_of(form: FormData) -> str:
    """Return why a person does it, on one line."""
    return " ".join(str(form.get("reason", "")).split())[:REASON_MAX]


def _record(request: Request, action: str, point: DataPoint, **said: Any) -> None:
    with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
        change.record(action, "data_point", point.id, point.organisation_id, **said)


def _back(point: DataPoint, done: str, count: int = 0) -> Response:
    number = f"&n={count}" if count else ""
    return RedirectResponse(f"/attributes/{point.id}?done={done}{number}#past", status_code=303)


def selectable(one: KeptPacket) -> bool:
    """Tell whether a kept packet could be put into history: it was right, only late."""
    return one.status == "discarded"


DOORS: tuple[Door, ...] = posts_about_point(
    "attributes", {"kept/backfill": backfill, "kept/dismiss": dismiss, "conflict": decide}
)
