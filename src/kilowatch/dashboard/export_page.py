"""Export: choose data points, time and columns, see the first rows, take the file along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.places import zones
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.exporting import (
    TOOL,
    Author,
    FileAnswer,
    begin,
    chosen,
    exportable,
    file_name,
    file_of,
    planned,
    reader_of,
)
from kilowatch.dashboard.recomputed import share_done
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.exports import tableau
from kilowatch.exports.definition import (
    EXTRAS,
    FORMATS,
    GRAINS,
    HALF_HOURS,
    LAYOUTS,
    PERIODS,
    UNITS,
    Definition,
    is_place,
    read,
    refused,
)
from kilowatch.exports.fields import in_order, words_of
from kilowatch.exports.formats import preview as first_rows
from kilowatch.exports.plan import EXCEL_ROWS_MAX, Place, Plan
from kilowatch.model.errors import KilowatchError

FOUND_MAX = 30
LOOKED_AT_MAX = 200  # data points whose parameters are offered; they repeat


async def form(request: Request) -> Response:
    """Show what can be chosen; the preview comes after."""
    return await run_in_threadpool(_form, request)


async def found(request: Request) -> Response:
    """Answer the places that a search found."""
    return await run_in_threadpool(_found, request)


async def preview(request: Request) -> Response:
    """Answer the first rows, how much it is, and the buttons that take it along."""
    return await run_in_threadpool(_preview, request)


async def file(request: Request) -> Response:
    """Send the file."""
    rooms, who = rooms_of(request), visit_of(request).person
    word = request.query_params.get("format", "csv")
    if word not in FORMATS:
        raise refused(f"{word[:40]!r} is no format.", f"Use {', '.join(FORMATS)}.", "format")

    def made() -> Any:
        export = planned(rooms, who, read(request.query_params.multi_items()))
        return file_of(reader_of(rooms), Author.of(who), export, word), export

    begun = await begin(request, who.id, rooms.exports, made)
    if begun is None:
        return Response(status_code=499)  # nobody reads it
    first, rest, export = begun
    name = file_name(export, word)
    headers = {"content-disposition": f'attachment; filename="{name}"', "accept-ranges": "none"}
    return FileAnswer(first, rest, headers, FORMATS[word][1])


def _form(request: Request) -> Response:
    problem, asked = "", Definition()
    try:
        asked = read(request.query_params.multi_items())
    except KilowatchError as error:
        problem = f"{error.detail} {error.remedy}"
        pairs = request.query_params.multi_items()
        places = [value for name, value in pairs if name == "place" and is_place(value)]
        asked = replace(asked, places=tuple(places[:20]))
    query = request.query_params.get("q", "")
    rooms, who = rooms_of(request), visit_of(request).person
    context = {
        "page": "export",
        "parameters": _parameters(rooms, chosen(rooms, who, asked), asked),
        "asked": asked,
        "problem": problem,
        "chosen": _named(request, asked.places),
        "found": _search(request, query, asked.places),
        "q": query[:100],
        "periods": PERIODS,
        "grains": list(GRAINS),
        "half_hours": HALF_HOURS,
        "layouts": LAYOUTS,
        "units": UNITS,
        "extras": EXTRAS,
        "zones": sorted(zones()),
        "query": urlencode(asked.pairs()),
    }
    return page(request, "export.html", [{"name": t("export.title")}], context)


def _found(request: Request) -> Response:
    places = tuple(v for k, v in request.query_params.multi_items() if k == "place")
    query = request.query_params.get("q", "")
    context = {"found": _search(request, query, places), "q": query[:100]}
    return rooms_of(request).templates.TemplateResponse(request, "export_found.html", context)


def _preview(request: Request) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    context: dict[str, Any] = {"problem": "", "parameters": [], "plan": None, "asked": Definition()}
    try:
        asked = read(request.query_params.multi_items())
        places = chosen(rooms, who, asked)
        context |= {"asked": asked, "parameters": _parameters(rooms, places, asked)}
        if asked.places:
            context |= _shown(rooms, planned(rooms, who, asked))
    except KilowatchError as error:
        if error.status == 503:
            raise
        context["problem"] = f"{error.detail} {error.remedy}".strip()
    context["query"] = urlencode(context["asked"].pairs())
    return rooms.templates.TemplateResponse(request, "export_preview.html", context)


def _shown(rooms: Rooms, export: Plan) -> dict[str, Any]:
    if not export.subjects:
        return {"plan": export, "rows": []}
    names, rows = first_rows(export, reader_of(rooms))
    estimate = export.estimate()
    return {
        "plan": export,
        "names": names,
        "rows": rows,
        "estimate": estimate,
        "size": {word: size_text(estimate.size[word]) for word in FORMATS},
        "formats": list(FORMATS),
        "excel_rows": EXCEL_ROWS_MAX,
        "fits_excel": estimate.fits_excel,
        "silent": [one.name for one in export.silent],
        "recomputing": share_done(rooms.view, (one.point for one in export.subjects)),
        "tableau": tableau.available(),
        "install": tableau.INSTALL,
    }


def size_text(size: int) -> str:
    """Return a size as people say it.

    Example:
        >>> size_text(3_400_000)
        '3.4 MB'
    """
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= length:
            return (
                f"{size / length:.2g} {unit}"
                if size < 10 * length
                else f"{size / length:,.0f} {unit}"
            )
    return f"{size} B"


def _parameters(rooms: Rooms, places: list[Place], asked: Definition) -> list[dict[str, Any]]:
    """Return the parameters that the chosen data points have."""
    titles: dict[str, str] = {}
    for place in places[:LOOKED_AT_MAX]:
        for word, title in words_of(place.point, rooms.view.channels(place.point)):
            titles.setdefault(word, title or t("export.single_value"))
    return [
        {"word": word, "title": titles[word], "chosen": word in asked.parameters}
        for word in in_order(titles)
    ]


def _named(request: Request, places: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the chosen places that the person may export, with their names."""
    names = {one["value"]: one for one in _all_places(request)}
    return [names[place] for place in places if place in names]


def _search(request: Request, query: str, taken: tuple[str, ...]) -> list[dict[str, str]]:
    """Return what a search finds; without one, organisations and sites."""
    words = query.casefold().split()[:10]
    found = []
    for one in _all_places(request):
        if one["value"] in taken or (not words and one["kind"] == "point"):
            continue
        text = f"{one['name']} {one['about']}".casefold()
        if all(word in text for word in words):
            found.append(one)
            if len(found) == FOUND_MAX:
                break
    return found


def _all_places(request: Request) -> list[dict[str, str]]:
    rooms, who = rooms_of(request), visit_of(request).person
    points = exportable(rooms, who)
    sites, owners = {p.site_id for p in points}, {p.organisation_id for p in points}
    tree = [one for one in rooms.registry.tree(who) if one.id in owners]
    found, names = [], {}
    for owner in tree:
        found.append(_place("o", owner.id, "organization", owner.name, t("export.whole")))
        for site in owner.sites:
            if site.id in sites:
                names[site.id] = f"{site.name}, {owner.name}" if len(tree) > 1 else site.name
                found.append(_place("s", site.id, "site", site.name, t("export.whole_site")))
    points.sort(key=lambda one: (names.get(one.site_id, ""), one.name))
    for point in points:
        about = f"{names.get(point.site_id, '')} · {point.stream_id}"
        found.append(_place("p", point.id, "point", point.name, about) | {"icon": point.utility})
    return found


def _place(letter: str, number: int, kind: str, name: str, about: str) -> dict[str, str]:
    return {"value": f"{letter}{number}", "kind": kind, "icon": kind, "name": name, "about": about}


DOORS: tuple[Door, ...] = (
    Door("/export", form, Access.EXPORT_SOMEWHERE, tool=TOOL),
    Door("/export/places", found, Access.EXPORT_SOMEWHERE, tool=TOOL),
    Door("/export/preview", preview, Access.EXPORT_SOMEWHERE, tool=TOOL),
    Door("/export/file", file, Access.EXPORT_SOMEWHERE, tool=TOOL),
)
