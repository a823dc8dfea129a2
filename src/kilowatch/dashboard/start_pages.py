"""The first hour: from an empty installation to the first graph, step by step on one page.

The steps are those of ``start_way.py``. A form here makes what the forms of Administration make,
with fewer questions; everything can be changed there afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import credentials, data_points, examples, registry, spans
from kilowatch.catalog.credentials import Target
from kilowatch.catalog.examples import Pusher
from kilowatch.catalog.places import DEFAULT_ZONE, zones
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.catalog.tables import Site
from kilowatch.dashboard.access import Access, Door, asked_organisation, belonging_to, not_found
from kilowatch.dashboard.admin_credentials import issued_before, latest_of
from kilowatch.dashboard.admin_frame import problems_of, texts_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.attributes import latest_text
from kilowatch.dashboard.curl import PATH, curl_line
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.security import set_cookie
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.start_way import LATER_COOKIE, STEPS, Way, way_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

YEAR_S = 365 * 24 * 3600
CREDENTIAL_NAME = "First steps"
KINDS: dict[str, Settings] = {
    "electricity": Settings("electrical", "electricity", 300),
    "gas": Settings("single", "gas", 300, "m3"),
    "water": Settings("single", "water", 300, "m3"),
    "heat": Settings("single", "heat", 300, "kWh"),
    "temperature": Settings("single", "temperature", 300, "°C"),
}
"""What a first data point can measure; the form of Administration has everything else."""
INTERVALS = ("1m", "5m", "15m", "30m", "1h")


async def start(request: Request) -> Response:
    """Show the steps, with the form of the one that is due."""
    return await run_in_threadpool(_start, request)


async def ticks(request: Request) -> Response:
    """Answer the parts that change when a packet comes."""
    return await run_in_threadpool(_ticks, request)


async def add_site(request: Request) -> Response:
    """Add the first site."""
    fields = texts_of(await request.form(), ("site_name", "zone"))
    return await run_in_threadpool(_add_site, request, fields)


async def add_point(request: Request) -> Response:
    """Register the first data point."""
    fields = texts_of(await request.form(), ("point_name", "measures", "every"))
    return await run_in_threadpool(_add_point, request, fields)


async def add_credential(request: Request) -> Response:
    """Issue a credential, and show the ready line with its secret once."""
    fields = texts_of(await request.form(), ("after",))
    return await run_in_threadpool(_add_credential, request, fields)


async def later(request: Request) -> Response:
    """Leave the first hour for later: this browser is not led here again by itself."""
    rooms = rooms_of(request)
    answer = RedirectResponse("/", status_code=303)
    set_cookie(request, answer, rooms.settings, LATER_COOKIE, "yes", seconds=YEAR_S)
    return answer


def _start(request: Request) -> Response:
    return _page(request, way_of(request), {}, {})


def _add_site(request: Request, fields: dict[str, str]) -> Response:
    rooms, organisation = rooms_of(request), asked_organisation(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            registry.add_site(open_change, organisation, fields["site_name"], zone=fields["zone"])
    except KilowatchError as error:
        return _again(request, fields, problems_of(error), {"name": "site_name"})
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/start?organization={organisation.id}", status_code=303)


def _add_point(request: Request, fields: dict[str, str]) -> Response:
    rooms = rooms_of(request)
    try:
        wanted = _settings(fields)
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            site = open_change.session.get(Site, visit_of(request).site_id)
            if site is None:
                raise not_found()
            number = data_points.register(open_change, site, fields["point_name"], wanted).id
    except KilowatchError as error:
        names = {"name": "point_name", "interval": "every"}
        return _again(request, fields, problems_of(error), names)
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/start?point={number}", status_code=303)


def _settings(fields: dict[str, str]) -> Settings:
    """Return what the form means.

    Raises:
        KilowatchError: A kind or an interval that does not exist, with ``data["field"]``.
    """
    usual = KINDS.get(fields["measures"])
    if usual is None:
        raise KilowatchError("invalid_setting", t("start.choose_kind"), data={"field": "measures"})
    return replace(usual, interval_s=spans.parse_interval(fields["every"]))


def _add_credential(request: Request, fields: dict[str, str]) -> Response:
    rooms, organisation = rooms_of(request), asked_organisation(request)
    point = rooms.registry.point(visit_of(request).person, request.path_params["point_id"])
    if point is None or point.organisation_id != organisation.id:
        raise not_found()
    where = rooms.settings.environment
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            session = open_change.session
            target = Target(organisation, session.get(Site, point.site_id))
            if issued_before(session, target, where, CREDENTIAL_NAME, fields["after"]) is not None:
                return RedirectResponse(f"/start?point={point.id}&again", status_code=303)
            issued = credentials.issue(
                open_change,
                rooms.settings.server_key,
                target,
                environment=where,
                name=CREDENTIAL_NAME,
            )
            row = session.get(Row, point.id)
            assert row is not None
            pusher = Pusher(_push_address(request), issued.credential.username, issued.secret)
            line = examples.push(pusher, row)
    except KilowatchError as error:
        return _again(request, fields, problems_of(error), {})
    rooms.registry.directory(fresh=True)
    shown = {
        "issued": {"username": issued.credential.username, "secret": issued.secret},
        "curl": line,
    }
    return _page(request, way_of(request, point.id), {}, shown)


def _again(
    request: Request, fields: dict[str, str], problems: dict[str, str], names: dict[str, str]
) -> Response:
    """Show the page with what is wrong beside the field of this page that it is about."""
    own = {names.get(field, field): text for field, text in problems.items()}
    known = {field: text for field, text in own.items() if field in fields}
    about_none = " ".join(text for field, text in own.items() if field not in fields)
    return _page(request, way_of(request), {**known, "": about_none}, {"fields": fields}, 422)


def _page(
    request: Request,
    way: Way,
    problems: dict[str, str],
    more: dict[str, Any],
    status: int = 200,
) -> Response:
    rooms, point = rooms_of(request), way.point
    context: dict[str, Any] = {
        "page": "start",
        "again": "again" in request.query_params,
        "issued": None,
        "curl": "",
        "after": "",
        "problems": defaultdict(str, problems),
        "fields": {"zone": _zone(way), "every": "5m", "measures": "electricity"},
        "zones": sorted(zones()),
        "kinds": tuple(KINDS),
        "intervals": [(one, spans.interval_text(spans.parse_interval(one))) for one in INTERVALS],
        "point": point,
        "push_url": _push_address(request),
        **_standing(way),
    }
    if way.organisation is not None:
        with rooms.registry.catalog.reading() as session:
            context["after"] = str(latest_of(session, way.organisation.id))
    if point is not None:
        latest = latest_text(rooms.log.head(point.series))
        name = way.username or "USERNAME"
        context["curl"] = curl_line(point, rooms.settings, rooms.clock(), name, latest)
    fields = context["fields"] | more.pop("fields", {})
    context |= {**more, "fields": defaultdict(str, fields)}
    crumbs = [{"name": t("start.title")}]
    return page(request, "start.html", crumbs, context, status=status)


def _ticks(request: Request) -> Response:
    context = _standing(way_of(request))
    return rooms_of(request).templates.TemplateResponse(request, "start_ticks.html", context)


def _standing(way: Way) -> dict[str, Any]:
    done = way.done
    return {
        "way": way,
        "steps": STEPS,
        "done": done,
        "due": way.current,
        "count": sum(done.values()),
    }


def _zone(way: Way) -> str:
    return way.site.zone if way.site is not None else DEFAULT_ZONE


def _push_address(request: Request) -> str:
    """Return where this machine pushes: plainly in development, as in ``curl_line``."""
    settings = rooms_of(request).settings
    base = (settings.push_url_http or settings.push_url).partition("/measurements/")[0]
    return base.rstrip("/") + PATH


DOORS: tuple[Door, ...] = belonging_to(
    "admin",
    (
        Door("/start", start, Access.MANAGE_SOMEWHERE),
        Door("/start/ticks", ticks, Access.MANAGE_SOMEWHERE),
        Door("/start/later", later, Access.MANAGE_SOMEWHERE, ("POST",)),
        Door(
            "/organization/{organisation_id:number}/start/site",
            add_site,
            Access.MANAGE_ORGANISATION,
            ("POST",),
        ),
        Door("/start/site/{site_id:number}/data-point", add_point, Access.MANAGE_SITE, ("POST",)),
        Door(
            "/organization/{organisation_id:number}/start/{point_id:number}/credential",
            add_credential,
            Access.ADMINISTER_ORGANISATION,
            ("POST",),
        ),
    ),
)
