"""What went out to whom as a file: a row for each attempt to deliver a message."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import has_tool
from kilowatch.dashboard.access import Access, Door, not_in_plan
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.notifications import asked_history, zone_of
from kilowatch.dashboard.periods import iso_local
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.notify.book import Attempt, Delivery
from kilowatch.notify.desk import Desk

READ_TOGETHER = 500


async def history_csv(request: Request) -> Response:
    """Answer every message that the page lists and that is still kept, with every attempt."""
    return await run_in_threadpool(_history, request)


def _history(request: Request) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    number, state, channel_id = asked_history(request)
    if not all(has_tool(who, tool, number) for tool in ("notifications", "export")):
        raise not_in_plan()
    zone = zone_of(rooms, who, number).name
    head = [t(f"outbox_file.{word}") for word in (
        "number", "made", "title", "what", "channel", "to", "state", "done", "reason",
        "attempt", "started", "outcome", "took", "said",
    )]  # fmt: skip
    rows = (
        row
        for delivery, attempts in _all(rooms.desk, number, state, channel_id)
        for row in _rows(delivery, attempts, zone)
    )
    return csv_answer("what went out", head, rows)


def _all(
    desk: Desk, number: int, state: str, channel_id: int | None
) -> Iterator[tuple[Delivery, list[Attempt]]]:
    """Yield all messages of an organisation, the newest first."""
    last: int | None = None
    while found := desk.history(
        [number], state=state, channel_id=channel_id, before_id=last, limit=READ_TOGETHER
    ):
        yield from found
        last = found[-1][0].id


def _rows(delivery: Delivery, attempts: list[Attempt], zone: str) -> Iterator[list[object]]:
    """Yield a row for each attempt; one without an attempt where none was made yet."""
    message = [
        delivery.id, iso_local(delivery.created_ms, zone), delivery.title,
        t(f"alert_what.{delivery.what}"), delivery.channel_name, delivery.shown,
        t(f"delivery_state.{delivery.state}"),
        "" if delivery.done_ms is None else iso_local(delivery.done_ms, zone), delivery.reason,
    ]  # fmt: skip
    for count, one in enumerate(attempts, 1):
        outcome = t(f"attempt.{one.outcome.replace(' ', '_')}")
        started = iso_local(one.started_ms, zone)
        yield [*message, count, started, outcome, one.took_ms, one.reason]
    if not attempts:
        yield [*message, None, None, None, None, None]


DOORS: tuple[Door, ...] = (
    Door("/notifications/history.csv", history_csv, Access.MANAGE_SOMEWHERE, tool="export"),
)
