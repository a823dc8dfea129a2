"""What the platform answers to commands on its Unix socket: status, counts, explain, export."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from kilowatch.catalog.directory import Directory
from kilowatch.cli.explain import instant_ms
from kilowatch.log import LogReader
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Silence
from kilowatch.pipeline.conflicts import Take
from kilowatch.pipeline.view import View
from kilowatch.wire import text_of

HISTORY_MAX = 1_000
TAKES: tuple[Take, ...] = ("stored", "offered")

Answer = Callable[[Request], dict[str, Any]]


def create_control(
    directory: Callable[[], Directory],
    view: View,
    reader: LogReader,
    silent: Callable[[], list[Silence]],
    own: Callable[[], dict[str, Any]],
    more: Sequence[BaseRoute] = (),
) -> Starlette:
    """Build the control application.

    Args:
        directory: Returns the present snapshot of registered data points.
        view: Reads measurements.
        reader: Reads the log.
        silent: Returns the silences that last.
        own: Returns what the judgement of health needs of this process.
        more: What else is answered.
    """

    def status(_request: Request) -> dict[str, Any]:
        points = list(directory().points.values())
        last = view.last_values(points)
        counters = reader.counters(None).values()
        return {
            **own(),
            "log": {"first": reader.first_seq(), "last": reader.last_seq()},
            "packets": {
                outcome: sum(getattr(counter, outcome) for counter in counters)
                for outcome in ("accepted", "backfilled", "duplicate", "discarded", "refused")
            },
            "streams": {"registered": len(points), "with_data": len(last)},
            "silent": _silent(silent(), directory()),
        }

    def counts(request: Request) -> dict[str, Any]:
        wanted = set(request.query_params.getlist("stream"))
        extents = {
            point.stream_id: view.extent(point)
            for point in directory().points.values()
            if not wanted or point.stream_id in wanted
        }
        return {"streams": {name: e.packets if e else 0 for name, e in extents.items()}}

    def explain(request: Request) -> dict[str, Any]:
        point = _point(directory(), request)
        story = view.explain(point, instant_ms(request.query_params["time"], point.zone))
        for reading in story.get("readings", []):
            entry = reader.latest(point.series, reading["seq"])
            reading["packet"] = entry.body.decode("utf-8", "replace") if entry is not None else None
        return story

    def history(request: Request) -> dict[str, Any]:
        return history_of(_point(directory(), request), view, reader)

    routes = {"/status": status, "/counts": counts, "/explain": explain, "/history": history}
    answers = [Route(path, _in_thread(answer)) for path, answer in routes.items()]
    return Starlette(routes=[*answers, *more])


def history_of(point: DataPoint, view: View, reader: LogReader) -> dict[str, Any]:
    """Return what was put into a stream's history, what is kept, and what contradicts it."""
    kept = reader.kept_of(point.series, None, HISTORY_MAX)
    return {
        "series": point.series,
        "point": point.id,
        "organisation": point.organisation_id,
        "zone": point.zone,
        "runs": [
            dataclasses.asdict(run) | {"by": run.actor or f"credential {run.credential_id}"}
            for run in reader.backfills(point.series, HISTORY_MAX)
        ],
        "kept": [
            {"id": one.id, "at_ms": one.at_ms, "packet": one.body.decode("utf-8", "replace")}
            for one in kept
        ],
        "conflicts": [
            {
                "at_ms": one.at_ms,
                "stored": {channel_name(code): value for code, value in one.stored.items()},
                "offered": {channel_name(code): value for code, value in one.offered.items()},
                "decisions": {take: _packet(*one.decided(take)) for take in TAKES},
            }
            for one in view.conflicts(point, HISTORY_MAX)
        ],
    }


def _packet(body: bytes, form: Form) -> tuple[str, str]:
    return text_of(body), form.name.lower()


def _silent(silences: list[Silence], directory: Directory) -> list[dict[str, Any]]:
    """Return the streams that are silent, with what each is allowed."""
    points = directory.points
    return [
        {
            "stream_id": points[silence.series].stream_id,
            "name": points[silence.series].name,
            "organisation_id": silence.organisation_id,
            "last_ms": silence.last_ms,
            "gap_ms": points[silence.series].gap_ms,
            "due_ms": silence.due_ms,
            "found_ms": silence.found_ms,
        }
        for silence in silences
        if silence.series in points
    ]


def _point(directory: Directory, request: Request) -> DataPoint:
    wanted = request.query_params["stream"]
    organisation = request.query_params.get("organisation")
    found = [
        point
        for point in directory.points.values()
        if point.stream_id == wanted
        and (organisation is None or organisation == str(point.organisation_id))
    ]
    if not found:
        raise KilowatchError(
            "unknown_stream",
            f"No data point has the stream id {wanted!r}.",
            status=404,
            remedy="`kilowatch data-point list` shows them all.",
        )
    if len(found) > 1:
        numbers = ", ".join(str(point.organisation_id) for point in found)
        raise KilowatchError(
            "ambiguous_stream",
            f"Several organisations have a stream {wanted!r}: {numbers}.",
            remedy="Name one with --organization.",
        )
    return found[0]


def _in_thread(answer: Answer) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await run_in_threadpool(answer, request))
        except KilowatchError as error:
            body = {"code": error.code, "detail": error.detail, "remedy": error.remedy}
            return JSONResponse(body, status_code=error.status)

    return endpoint
