"""Admin, data points that are computed: an editor that shows at once what a formula gives.

Whoever writes a formula may name what they may read, in the organisation of the site that they
chose. Whoever may read the data point sees what it gives, and of its inputs only those that they
may read too.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import formula_use, formulas, spans
from kilowatch.catalog.formulas import Understood, Wish
from kilowatch.catalog.rights import may
from kilowatch.catalog.tables import Site
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import problems_of, section_page, sites_for, texts_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.dated_form import COMMENT_MAX, from_when
from kilowatch.dashboard.dated_pages import LOOKS, progress_of
from kilowatch.dashboard.formula_names import dated_formulas, names_for
from kilowatch.dashboard.formula_picture import Picture, picture_of
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import Names, points_in
from kilowatch.model.formulas.dimensions import shown as shown_unit
from kilowatch.model.formulas.measures import measures_of
from kilowatch.model.formulas.names import refusal_at
from kilowatch.model.points import UTILITIES, DataPoint

SECTION = "data_points"
FOUND_MAX = 12
TEXT_MAX = 4_000
NAMES = ("name", "site", "formula", "interval", "utility")
DATED = ("when", "from", "comment", "seen")
EXAMPLES = ("sum", "ratio", "condition", "surplus")


@dataclass(frozen=True, slots=True)
class Found:
    """A figure that can be put into a formula."""

    text: str
    unit: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a formula can't be understood, and where: the text before, the place, the text after."""

    detail: str
    remedy: str
    before: str
    place: str
    after: str
    at: int
    until: int


def _part(request: Request, template: str, context: dict[str, Any]) -> Response:
    return rooms_of(request).templates.TemplateResponse(request, template, context)


async def new(request: Request) -> Response:
    """Show the empty editor."""
    return await run_in_threadpool(_new, request)


async def create(request: Request) -> Response:
    """Register a formula, or show what is wrong with it."""
    fields = _fields(texts_of(await request.form(), NAMES))
    return await run_in_threadpool(_create, request, fields)


async def edit(request: Request) -> Response:
    """Show a formula."""
    return await run_in_threadpool(_edit, request)


async def change(request: Request) -> Response:
    """Give a data point another formula, for all time or from a date on."""
    fields = _fields(texts_of(await request.form(), (*NAMES, *DATED)))
    return await run_in_threadpool(_change, request, fields)


async def preview(request: Request) -> Response:
    """Show what the formula in the editor gives, while it is written."""
    fields = _fields(texts_of(await request.form(), (*NAMES, "point")))
    return await run_in_threadpool(_preview, request, fields)


async def find(request: Request) -> Response:
    """List data points that can be put into the formula."""
    return await run_in_threadpool(_find, request)


def _fields(texts: dict[str, str]) -> dict[str, str]:
    return texts | {"formula": texts["formula"].replace("\r\n", "\n")[:TEXT_MAX]}


def _wish(fields: dict[str, str]) -> Wish:
    interval = spans.parse_interval(fields["interval"]) if fields["interval"] else None
    return Wish(fields["formula"], interval, fields["utility"] or None)


def _new(request: Request) -> Response:
    asked = whole_number(request.query_params.get("site", ""))
    sites = [site.id for _, site in sites_for(request, "manage")]
    first = asked if asked in sites else (sites[0] if sites else "")
    return _form(request, dict.fromkeys(NAMES, "") | {"site": str(first)}, None, {})


def _create(request: Request, fields: dict[str, str]) -> Response:
    rooms = rooms_of(request)
    try:
        site = _site(request, fields)
        names = names_for(request, site.organisation_id)
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            row = open_change.session.get_one(Site, site.id)
            made = formulas.create(open_change, row, fields["name"], _wish(fields), names)
            number = made.id
    except KilowatchError as error:
        return _form(request, fields, None, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/data-points/{number}/formula?saved=new", status_code=303)


def _edit(request: Request) -> Response:
    point = point_of(request)
    if not point.formula:
        return RedirectResponse(f"/admin/data-points/{point.id}", status_code=303)
    names = names_for(request, point.organisation_id)
    fields = {
        "name": point.name,
        "site": str(point.site_id),
        "formula": names.with_names(point.formula),
        "interval": spans.interval_text(point.interval_s),
        "utility": point.utility,
        "when": "from" if point.history.formulas else "always",
        "from": "",
        "comment": "",
    }
    return _form(request, fields, point, {}, saved=request.query_params.get("saved", ""))


def _mark(point: DataPoint) -> str:
    """Return what differs as soon as somebody else has changed a formula that one is editing."""
    kept = repr((point.name, point.utility, point.interval_s, point.formulas))
    return hashlib.blake2b(kept.encode(), digest_size=8).hexdigest()


def _change(request: Request, fields: dict[str, str]) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    names = names_for(request, point.organisation_id)
    if fields["seen"] and fields["seen"] != _mark(point):
        now = names.with_names(point.formula)
        told = {"formula": t("formula.meanwhile", formula=now)}
        return _form(request, fields, point, defaultdict(str, told))
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            formulas.change(
                open_change, point.id, fields["name"], _wish(fields), names,
                from_ms=from_when(fields, point.zone), comment=fields["comment"][:COMMENT_MAX],
            )  # fmt: skip
    except KilowatchError as error:
        return _form(request, fields, point, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/data-points/{point.id}/formula?saved=yes", status_code=303)


def _form(
    request: Request,
    fields: dict[str, str],
    point: DataPoint | None,
    problems: dict[str, str],
    *,
    saved: str = "",
) -> Response:
    rooms = rooms_of(request)
    found = sites_for(request, "manage")
    several = len({organisation.id for organisation, _ in found}) > 1
    context: dict[str, Any] = {
        "fields": fields,
        "saved": saved,
        "sites": [
            {"id": str(s.id), "name": f"{o.name} \N{EM DASH} {s.name}" if several else s.name}
            for o, s in found
        ],
        "utilities": UTILITIES,
        "examples": EXAMPLES,
        "point": point,
        "users": [],
        "periods": [],
        # There from the start: what came later moved the rest of the page.
        **_offered(request, fields["site"], [], point.id if point else None),
    }
    if point is not None:
        context["mark"] = _mark(point)
        context["progress"] = progress_of(rooms, point, LOOKS if saved else 0)
        with rooms.registry.catalog.reading() as session:
            rows = formula_use.users_of(session, point.id, point.organisation_id)
            context["users"] = [{"id": row.id, "name": row.name} for row in rows]
            dated = formula_use.periods_of(session, point.id)
        names = names_for(request, point.organisation_id)
        context["periods"] = [
            one
            | {"undo": f"formula-{row.id}" if row else "", "comment": row.comment if row else ""}
            for one, row in zip(dated_formulas(point, names), [None, *dated], strict=False)
        ]
    if problems:
        context["problems"] = problems
    crumbs = [{"name": point.name if point else t("formula.add")}]
    return section_page(
        request, SECTION, "admin_formula.html", crumbs, context,
        current=f"point-{point.id}" if point else "", status=422 if problems else 200,
    )  # fmt: skip


def _preview(request: Request, fields: dict[str, str]) -> Response:
    context: dict[str, Any] = {"refusal": None, "shown": None, "found": None, "empty": False}
    if not fields["formula"].strip():
        return _part(request, "formula_preview.html", context | {"empty": True})
    try:
        site = _site(request, fields)
        names = names_for(request, site.organisation_id)
        found = formulas.understand(_wish(fields), names)
        _refuse_circle(request, site.organisation_id, fields["point"], found)
        context["found"] = _told(found)
        context["shown"] = _picture(request, site, found, names)
    except KilowatchError as error:
        if error.status in (403, 404, 500):
            raise
        context["refusal"] = _refusal(error, fields["formula"])
    return _part(request, "formula_preview.html", context)


def _refuse_circle(request: Request, organisation_id: int, point: str, found: Understood) -> None:
    with rooms_of(request).registry.catalog.reading() as session:
        texts = formula_use.texts_of(session, organisation_id)
    formula_use.refuse_circle(texts, whole_number(point), found.kept)


def _told(found: Understood) -> dict[str, str]:
    behaviour = "ratio" if found.checked.ratio is not None else found.checked.behaviour
    return {
        "unit": found.checked.unit.symbol or t("formula.plain_number"),
        "behaviour": t(f"formula_gives.{behaviour}"),
        "interval": spans.interval_text(found.interval_s),
        "utility": t(f"utility.{found.utility}"),
    }


def _picture(request: Request, site: Site, found: Understood, names: Names) -> Picture | None:
    """Return what it gives in the last intervals; None while no input has said anything."""
    rooms = rooms_of(request)
    directory = rooms.registry.directory()
    settings = found.settings
    assert settings.unit is not None
    assert settings.behaviour is not None
    point = DataPoint(
        0, 0, "", "", site.organisation_id, site.id, site.zone, "single", found.utility,
        settings.unit, found.interval_s, 0.0, settings.behaviour, formula=found.kept,
    )  # fmt: skip
    used = [directory.by_id(number) for number in points_in(found.kept)]
    return picture_of(rooms.view, point, used, names)


def _refusal(error: KilowatchError, text: str) -> Refusal:
    at, until = refusal_at(error) or (0, 0)
    return Refusal(
        error.detail, error.remedy, text[:at], text[at:until] or " " * (until - at), text[until:],
        at, until,
    )  # fmt: skip


def _find(request: Request) -> Response:
    query = request.query_params
    words = query.get("find", "")[:100].casefold().split()
    own = whole_number(query.get("point", ""))
    context = _offered(request, query.get("site", ""), words, own)
    return _part(request, "formula_names.html", context)


def _offered(request: Request, site_id: str, words: list[str], own: int | None) -> dict[str, Any]:
    """Return the figures that have some words in their name; not those of the formula itself."""
    try:
        site = _site(request, {"site": site_id})
    except KilowatchError:
        return {"found": [], "more": False}
    names = names_for(request, site.organisation_id)
    found: list[Found] = []
    for name, point in names.points():
        if point.id == own or not all(word in name.casefold() for word in words):
            continue
        found += _figures(names, point)
        if len(found) > FOUND_MAX:
            break
    return {"found": found[:FOUND_MAX], "more": len(found) > FOUND_MAX}


def _figures(names: Names, point: DataPoint) -> list[Found]:
    """Return the figures of a data point that are wanted most: energy and power of a meter."""
    known = measures_of(point)
    wanted = ("energy", "power") if point.kind == "electrical" else ("", "energy")
    shown = names.shown(point.id)
    found: dict[tuple[int, str], Found] = {}
    for one in wanted:
        if one in known:
            measure = known[one]
            text = f"{shown}.{one}" if one else shown
            unit = shown_unit(measure.dimension).unit
            found.setdefault((measure.channel, measure.column), Found(text, unit))
    return list(found.values())


def _site(request: Request, fields: dict[str, str]) -> Site:
    """Return the site that was chosen, if the person may register something there.

    Raises:
        KilowatchError: ``unknown_site``.
    """
    who, number = visit_of(request).person, whole_number(fields["site"])
    with rooms_of(request).registry.catalog.reading() as session:
        site = session.get(Site, number or 0)
    if site is None or not may(
        who, "manage", organisation_id=site.organisation_id, site_id=site.id
    ):
        raise KilowatchError(
            "unknown_site", "Choose the site that it belongs to.", data={"field": "site"}
        )
    return site


DOORS: tuple[Door, ...] = (
    Door("/admin/data-points/new-formula", new, Access.MANAGE_SOMEWHERE),
    Door("/admin/data-points/new-formula", create, Access.MANAGE_SOMEWHERE, ("POST",)),
    Door("/admin/data-points/{point_id:number}/formula", edit, Access.MANAGE_POINT),
    Door("/admin/data-points/{point_id:number}/formula", change, Access.MANAGE_POINT, ("POST",)),
    Door("/admin/formula/preview", preview, Access.MANAGE_SOMEWHERE, ("POST",)),
    Door("/admin/formula/names", find, Access.MANAGE_SOMEWHERE),
)
