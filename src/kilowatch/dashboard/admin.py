"""Admin, one data point: the form that registers a stream and changes how it is read.

A change holds for all time (it was always wrong) or from a date on (something was exchanged then).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import data_points, point_settings, spans
from kilowatch.catalog.factors_check import FACTORS, LIMITS
from kilowatch.catalog.rights import may
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.catalog.tables import Meter, Site
from kilowatch.dashboard import admin_placing
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import (
    asked_of,
    organisations_for,
    problems_of,
    section_page,
    sites_for,
)
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.attributes import latest_text
from kilowatch.dashboard.curl import curl_line
from kilowatch.dashboard.dated_form import COMMENT_MAX, figure_of, figure_text, from_when
from kilowatch.dashboard.dated_pages import LOOKS, history_context, progress_of
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
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

SECTION = "data_points"
INTERVALS = ("1m", "5m", "10m", "15m", "30m", "1h", "1d")


@dataclass(frozen=True, slots=True)
class Fields:
    """The form as it is filled in: texts, so that it comes back as it was sent."""

    name: str = ""
    stream_id: str = ""
    site: str = ""
    meter: str = ""
    appliance: str = ""
    meter_name: str = ""
    appliance_name: str = ""
    parent: str = ""
    kind: str = "electrical"
    utility: str = "electricity"
    unit: str = ""
    interval: str = "5m"
    tolerance: str = ""
    behaviour: str = ""
    stamp: str = "start"
    clock: str = "auto"
    register_max: str = ""
    multiplier: str = ""
    ct_ratio: str = ""
    vt_ratio: str = ""
    pulse_weight: str = ""
    calorific_kwh_per_m3: str = ""
    volume_correction: str = ""
    nominal_voltage_v: str = ""
    low_voltage_percent: str = ""
    high_voltage_percent: str = ""
    lowest_voltage_percent: str = ""
    unbalance_percent: str = ""
    least_power_factor: str = ""
    lost_phase_percent: str = ""
    phase_sum_percent: str = ""
    when: str = "always"
    from_: str = ""
    comment: str = ""

    @classmethod
    def of_form(cls, form: FormData) -> Fields:
        """Read what a browser sent."""
        texts = {name: str(form.get(name.rstrip("_"), "")).strip() for name in cls.__slots__}
        return cls(**texts)

    @classmethod
    def of_point(cls, point: DataPoint, factors: Mapping[str, Any]) -> Fields:
        """Fill the form with what is registered."""
        told = {name: value for name, value in factors.items() if value != FACTORS[name]}
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
            register_max=figure_text(point.register_max),
            **{name: figure_text(value) for name, value in told.items()},
        )

    def factors(self) -> dict[str, float | None]:
        """Return the factors that the form means; an empty field is what is usual.

        Raises:
            KilowatchError: A text that is no number, with ``data["field"]``.
        """
        found = {name: figure_of(getattr(self, name), name) for name in FACTORS}
        return {name: FACTORS[name] if value is None else value for name, value in found.items()}

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
    """Change a data point's settings, for all time or from a date on."""
    fields = Fields.of_form(await request.form())
    return await run_in_threadpool(_change, request, fields)


def _new(request: Request) -> Response:
    sites = _sites(request)
    asked = request.query_params.get("site", "")
    known = [site["id"] for site in sites]
    first = asked if asked in known else (known[0] if known else "")
    place = asked_of(request, ("meter", "appliance")) if asked in known else {}
    named = request.query_params.get("stream_id", "")[:100]
    return _form(request, Fields(site=first, stream_id=named, **place), None, {})


def _create(request: Request, fields: Fields) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    try:
        settings = fields.settings()
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            site = _site(open_change.session.get(Site, whole_number(fields.site) or 0), request)
            session = open_change.session
            parent = admin_placing.feeder_on(session, site, fields.parent, visit.person)
            meter, appliance = admin_placing.numbered(session, site, fields.meter, fields.appliance)
            if meter is None:
                meter, appliance = admin_placing.named(
                    open_change, site, fields.meter_name, fields.appliance_name
                )
            row = data_points.register(
                open_change,
                site,
                fields.name,
                settings,
                stream_id=fields.stream_id or None,
                meter=meter,
                appliance=appliance,
                parent=parent,
            )
            factors = fields.factors()
            told = {name: value for name, value in factors.items() if value != FACTORS[name]}
            if told:
                point_settings.change_always(open_change, row, told)
            number = row.id
    except KilowatchError as error:
        return _form(request, fields, None, problems_of(error))
    rooms.registry.directory(fresh=True)
    assert rooms.registry.point(visit.person, number) is not None
    return RedirectResponse(f"/admin/data-points/{number}?saved=new", status_code=303)


def _edit(request: Request) -> Response:
    point = point_of(request)
    if point.formula:
        asked = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/admin/data-points/{point.id}/formula{asked}", status_code=303)
    saved = request.query_params.get("saved", "")
    with rooms_of(request).registry.catalog.reading() as session:
        row = session.get(Row, point.id)
        assert row is not None
        now = point_settings.settings_at(session, row)
    fields = Fields.of_point(point, {name: now[name] for name in FACTORS})
    return _form(request, fields, point, {}, saved=saved)


def _change(request: Request, fields: Fields) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    try:
        settings = fields.settings()
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            data_points.change_settings(
                open_change,
                point.id,
                fields.name,
                settings,
                factors=fields.factors(),
                from_ms=from_when({"when": fields.when, "from": fields.from_}, point.zone),
                comment=fields.comment[:COMMENT_MAX],
            )
    except KilowatchError as error:
        return _form(request, fields, point, problems_of(error))
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
    rooms = rooms_of(request)
    crumbs = [{"name": point.name if point else t("admin.add")}]
    context: dict[str, Any] = {
        "fields": asdict(fields) | {"from": fields.from_},
        "saved": saved,
        "factors": [n for n in FACTORS if n not in LIMITS and _fits(n, fields, point, problems)],
        "limits": [n for n in LIMITS if _fits(n, fields, point, problems)],
        "sites": _sites(request),
        "organisations": organisations_for(request, "manage"),
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
    context["place"] = _place_words(request, fields, point)
    if point is not None:
        context["point"] = point
        latest = latest_text(rooms.log.head(point.series))
        context["curl"] = curl_line(point, rooms.settings, rooms.clock(), latest=latest)
        current = f"point-{point.id}"
        context |= history_context(request, point)
        context["progress"] = progress_of(rooms, point, LOOKS if saved else 0)
    if problems:
        if problems.keys() - {"", *(name.rstrip("_") for name in Fields.__slots__)}:
            problems[""] = " ".join(problems.values())  # about what has no field here
        context["problems"] = problems
    return section_page(
        request, SECTION, "admin_point.html", crumbs, context,
        current=current, status=422 if problems else 200,
    )  # fmt: skip


def _fits(name: str, fields: Fields, point: DataPoint | None, problems: Mapping[str, str]) -> bool:
    """Tell whether a factor means something for a data point; one that is set is shown anyway."""
    if point is None or getattr(fields, name) or problems.get(name):
        return True
    if name in LIMITS:
        return point.kind == "electrical"
    if point.kind == "electrical":
        return name in ("multiplier", "ct_ratio", "vt_ratio", "nominal_voltage_v")
    if name in ("calorific_kwh_per_m3", "volume_correction"):
        return point.utility == "gas"
    return name in ("multiplier", "pulse_weight") or point.utility == "electricity"


def _place_words(request: Request, fields: Fields, point: DataPoint | None) -> dict[str, str]:
    """Return in words where a data point hangs, or would; empty for a meter of its own."""
    with rooms_of(request).registry.catalog.reading() as session:
        if point is not None:
            row = session.get(Row, point.id)
            assert row is not None
            return admin_placing.words(session, session.get(Meter, row.meter_id), row)
        site = session.get(Site, whole_number(fields.site) or 0)
        if site is None or not _manages(request, site):
            return {}
        meter, appliance = admin_placing.numbered(session, site, fields.meter, fields.appliance)
        found = admin_placing.words(session, meter, None)
        return found | {"appliance": appliance.name} if found and appliance else found


def _manages(request: Request, site: Site) -> bool:
    who = visit_of(request).person
    return may(who, "manage", organisation_id=site.organisation_id, site_id=site.id)


def _sites(request: Request) -> list[dict[str, str]]:
    found = sites_for(request, "manage")
    alone = len({organisation.id for organisation, _ in found}) == 1
    return [
        {
            "id": str(site.id),
            "name": site.name if alone else f"{organisation.name} \N{EM DASH} {site.name}",
            "zone": site.zone,
        }
        for organisation, site in found
    ]


def _site(site: Site | None, request: Request) -> Site:
    if site is None or not _manages(request, site):
        raise KilowatchError(
            "unknown_site",
            "Choose the site where this is measured.",
            data={"field": "site"},
        )
    return site


def _tolerance(text: str) -> float | None:
    if not text:
        return None
    if re.fullmatch(r"[0-9]+[.,][0-9]+ ?s", text):  # 7.5s, as a file may have it
        return float(text.rstrip(" s").replace(",", "."))
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


DOORS: tuple[Door, ...] = (
    Door("/admin/data-points", create, Access.MANAGE_SOMEWHERE, ("POST",)),
    Door("/admin/data-points/new", new, Access.MANAGE_SOMEWHERE),
    Door("/admin/data-points/{point_id:number}", edit, Access.MANAGE_POINT),
    Door("/admin/data-points/{point_id:number}", change, Access.MANAGE_POINT, ("POST",)),
)
