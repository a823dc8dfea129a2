"""Admin, data points: a plain form to register a stream and to change how it is read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import data_points, spans
from kilowatch.catalog.changes import Actor
from kilowatch.catalog.rights import may
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Site
from kilowatch.dashboard.attributes import latest_text
from kilowatch.dashboard.curl import curl_line
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import crumbs_of, page, place_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import (
    BEHAVIOURS,
    CLOCKS,
    KINDS,
    LATENESS_SHARE,
    STAMPS,
    UTILITIES,
    DataPoint,
)
from kilowatch.model.units import UNITS

LISTED_MAX = 500
INTERVALS = ("1m", "5m", "10m", "15m", "30m", "1h", "1d")


@dataclass(frozen=True, slots=True)
class Fields:
    """The form as it is filled in: texts, so that it comes back as it was sent."""

    name: str = ""
    stream_id: str = ""
    site: str = ""
    kind: str = "electrical"
    utility: str = "electricity"
    unit: str = ""
    interval: str = "5m"
    tolerance: str = ""
    behaviour: str = ""
    stamp: str = "start"
    clock: str = "auto"
    register_max: str = ""

    @classmethod
    def of_form(cls, form: FormData) -> Fields:
        """Read what a browser sent."""
        texts = {name: str(form.get(name, "")).strip() for name in cls.__slots__}
        return cls(**texts)

    @classmethod
    def of_point(cls, point: DataPoint) -> Fields:
        """Fill the form with what is registered."""
        usual = point.tolerance_s == LATENESS_SHARE * point.interval_s
        return cls(
            name=point.name,
            stream_id=point.stream_id,
            site=str(point.site_id),
            kind=point.kind,
            utility=point.utility,
            unit=point.unit,
            interval=spans.interval_text(point.interval_s),
            tolerance="" if usual else f"{point.tolerance_s:g}s",
            behaviour=point.behaviour,
            stamp=point.stamp,
            clock=point.clock,
            register_max="" if point.register_max is None else f"{point.register_max:.15g}",
        )

    def settings(self) -> Settings:
        """Return the settings that the form means, not yet checked against each other.

        Raises:
            KilowatchError: A text that is no interval or no number, with ``data["field"]``.
        """
        electrical = self.kind == "electrical"
        return Settings(
            kind=self.kind,  # type: ignore[arg-type]
            utility=self.utility,  # type: ignore[arg-type]
            interval_s=spans.parse_interval(self.interval),
            unit=None if electrical or not self.unit else self.unit,
            behaviour=self.behaviour or None,  # type: ignore[arg-type]
            tolerance_s=_tolerance(self.tolerance),
            stamp=self.stamp,  # type: ignore[arg-type]
            clock=self.clock,  # type: ignore[arg-type]
            register_max=_register_max(self.register_max),
        )


async def listing(request: Request) -> Response:
    """Show every data point that the person may change."""
    return await run_in_threadpool(_listing, request)


async def new(request: Request) -> Response:
    """Show the empty form."""
    return await run_in_threadpool(_new, request)


async def create(request: Request) -> Response:
    """Register a data point, or show the form with what is wrong beside each field."""
    fields = Fields.of_form(await request.form())
    return await run_in_threadpool(_create, request, fields)


async def edit(request: Request) -> Response:
    """Show the form of a data point, with the ready curl line."""
    return await run_in_threadpool(_edit, request)


async def change(request: Request) -> Response:
    """Change a data point's settings, for its whole history."""
    fields = Fields.of_form(await request.form())
    return await run_in_threadpool(_change, request, fields)


def _listing(request: Request) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    points = [p for p in rooms.registry.readable(who) if may_point(who, "manage", p)]
    organisations = rooms.registry.tree(who)
    rows = []
    for point in sorted(points, key=lambda p: (p.organisation_id, p.site_id, p.name))[:LISTED_MAX]:
        organisation, site = place_of(organisations, point)
        rows.append(
            {
                "point": point,
                "site": site.name if site else "",
                "organisation": organisation.name if organisation else "",
                "interval": spans.interval_text(point.interval_s),
            }
        )
    context = {"page": "admin", "rows": rows, "more": max(0, len(points) - LISTED_MAX)}
    return page(request, "admin_points.html", [{"name": t("nav.data_points")}], context)


def _new(request: Request) -> Response:
    sites = _sites(request)
    asked = request.query_params.get("site", "")
    known = [site["id"] for site in sites]
    first = asked if asked in known else (known[0] if known else "")
    return _form(request, Fields(site=first), None, {})


def _create(request: Request, fields: Fields) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    try:
        settings = fields.settings()
        with rooms.registry.catalog.change(_actor(request)) as open_change:
            site = _site(open_change.session.get(Site, whole_number(fields.site) or 0), request)
            row = data_points.register(
                open_change, site, fields.name, settings, stream_id=fields.stream_id or None
            )
            number = row.id
    except KilowatchError as error:
        return _form(request, fields, None, _problems(error))
    rooms.registry.directory(fresh=True)
    assert rooms.registry.point(visit.person, number) is not None
    return RedirectResponse(f"/admin/data-points/{number}?saved=new", status_code=303)


def _edit(request: Request) -> Response:
    point = point_of(request)
    saved = request.query_params.get("saved", "")
    return _form(request, Fields.of_point(point), point, {}, saved=saved)


def _change(request: Request, fields: Fields) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    try:
        settings = fields.settings()
        with rooms.registry.catalog.change(_actor(request)) as open_change:
            data_points.change_settings(open_change, point.id, fields.name, settings)
    except KilowatchError as error:
        return _form(request, fields, point, _problems(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/data-points/{point.id}?saved=yes", status_code=303)


def _form(
    request: Request,
    fields: Fields,
    point: DataPoint | None,
    problems: dict[str, str],
    *,
    saved: str = "",
) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    crumbs = [{"name": t("nav.data_points"), "href": "/admin/data-points"}]
    if point is not None:
        crumbs = [*crumbs_of(rooms, visit.person, point)[:-1], *crumbs, {"name": point.name}]
    else:
        crumbs.append({"name": t("admin.add")})
    context: dict[str, Any] = {
        "page": "admin",
        "fields": asdict(fields),
        "problems": defaultdict(str, problems),
        "saved": saved,
        "sites": _sites(request),
        "kinds": KINDS,
        "utilities": UTILITIES,
        "units": [symbol for symbol in UNITS if symbol],
        "behaviours": BEHAVIOURS,
        "stamps": STAMPS,
        "clocks": CLOCKS,
        "intervals": INTERVALS,
        "curl": "",
    }
    current = ""
    if point is not None:
        context["point"] = point
        latest = latest_text(rooms.log.head(point.series))
        context["curl"] = curl_line(point, rooms.settings, rooms.clock(), latest=latest)
        current = f"point-{point.id}"
    status = 422 if problems else 200
    return page(request, "admin_point.html", crumbs, context, current=current, status=status)


def _sites(request: Request) -> list[dict[str, str]]:
    rooms, who = rooms_of(request), visit_of(request).person
    found = []
    organisations = rooms.registry.tree(who)
    for organisation in organisations:
        for site in organisation.sites:
            if may(who, "manage", organisation_id=organisation.id, site_id=site.id):
                alone = len(organisations) == 1
                name = site.name if alone else f"{organisation.name} \N{EM DASH} {site.name}"
                found.append({"id": str(site.id), "name": name, "zone": site.zone})
    return found


def _site(site: Site | None, request: Request) -> Site:
    who = visit_of(request).person
    if site is None or not may(
        who, "manage", organisation_id=site.organisation_id, site_id=site.id
    ):
        raise KilowatchError(
            "unknown_site",
            "Choose the site where this is measured.",
            data={"field": "site"},
        )
    return site


def _actor(request: Request) -> Actor:
    person = visit_of(request).person
    return Actor(person.email, person.id, request.client.host if request.client else "")


def _problems(error: KilowatchError) -> dict[str, str]:
    """Return the sentence beside the field it is about; under "" when it is about none."""
    if error.status in (403, 500, 503):
        raise error
    return {str(error.data.get("field", "")): f"{error.detail} {error.remedy}".strip()}


def _tolerance(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(spans.parse_span(text))
    except KilowatchError as error:
        error.data["field"] = "tolerance"
        raise


def _register_max(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text.replace(" ", "").replace("_", ""))
    except ValueError:
        raise KilowatchError(
            "invalid_setting",
            f"{text!r} is not a number.",
            remedy="Write the first value that the dial cannot show, such as 1000000.",
            data={"field": "register_max"},
        ) from None
