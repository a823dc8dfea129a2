"""Exports for whoever runs the server: everything there is, as its catalogue names it.

The running platform sends the file over its Unix socket; a folder at rest is read by the command
itself (``at_rest.py``). Both go through here, so that one file does not differ from the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kilowatch.catalog import Catalog, data_points
from kilowatch.cli.export_wanted import SILENT
from kilowatch.dashboard.exporting import Author, FileAnswer, begin, file_of, named, reader_of
from kilowatch.dashboard.rooms import Rooms
from kilowatch.exports.definition import FORMATS, Definition, read, refused
from kilowatch.exports.fields import words_of
from kilowatch.exports.needs import Measurements
from kilowatch.exports.plan import Place, Plan, plan
from kilowatch.exports.slices import Reader
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint

SILENT_MAX = 10
SHELL = 0
"""Number under which exports of the command line are counted; no person has it."""


def places_of(registered: Catalog, points: Iterable[DataPoint], asked: Definition) -> list[Place]:
    """Return the data points that a definition names, with the names around them."""
    with registered.reading() as session:
        names = {one.point.id: (one.organisation, one.site) for one in data_points.listing(session)}
    return [Place(one, *names[one.id]) for one in named(points, asked) if one.id in names]


def planned(view: Measurements, places: list[Place], asked: Definition, now_ms: int) -> Plan:
    """Return how an export is carried out.

    Raises:
        KilowatchError: 400 ``bad_export``, also for a parameter that no data point has.
    """
    known = {
        word for place in places for word, _ in words_of(place.point, view.channels(place.point))
    }
    for word in asked.parameters:
        if word not in known:
            there = ", ".join(sorted(known))
            raise refused(
                f"None of the data points has the parameter {word[:40]!r}.",
                f"They have: {there}." if there else "They have no data yet.",
                "parameter",
            )
    return plan(view, places, asked, now_ms)


def file_for_shell(reader: Reader, made: Plan, actor: str, word: str) -> Iterator[bytes]:
    """Return the file piece by piece; empty pieces while one is still put together."""
    return file_of(reader, Author(actor, actor), made, word)


def silent_of(made: Plan) -> str:
    """Return the value of the header ``SILENT``."""
    names = [one.name for one in made.silent]
    return json.dumps([len(names), names[:SILENT_MAX]])


def route(rooms: Rooms) -> Route:
    """Return the platform's answer to ``kilowatch export``: the file, while it is written."""

    async def export(request: Request) -> Response:
        word, actor = request.query_params["format"], request.query_params["actor"]

        def made() -> tuple[Iterator[bytes], Plan]:
            asked = read(request.query_params.multi_items())
            points = rooms.registry.directory(fresh=True).points.values()
            places = places_of(rooms.registry.catalog, points, asked)
            export = planned(rooms.view, places, asked, rooms.clock())
            return file_for_shell(reader_of(rooms), export, actor, word), export

        try:
            begun = await begin(request, SHELL, rooms.exports, made)
        except KilowatchError as error:
            body = {"code": error.code, "detail": error.detail, "remedy": error.remedy}
            return JSONResponse(body, status_code=error.status)
        if begun is None:
            return Response(status_code=499)  # nobody reads it
        first, rest, made_plan = begun
        return FileAnswer(first, rest, {SILENT: silent_of(made_plan)}, FORMATS[word][1])

    return Route("/export", export)
