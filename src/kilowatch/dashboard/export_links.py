"""Refreshable links: a spreadsheet or a BI tool fetches a saved export again and again.

The token comes as Basic authentication, which Excel, Power BI and everything else can send; one in
the address is a choice of its own. A link opens one export of one organisation, as far as its
person may export there when it is used.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch import __version__
from kilowatch.catalog import export_links
from kilowatch.catalog.export_links import LinkHolder, MadeLink, Wanted
from kilowatch.catalog.rights import may
from kilowatch.dashboard.access import Access, Door, not_allowed
from kilowatch.dashboard.account import prove_again
from kilowatch.dashboard.asking import (
    actor_of,
    address_of,
    keep_session,
    problems_of,
    renew_session,
    text,
)
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
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.exports import tableau
from kilowatch.exports.definition import FORMATS, Definition, read
from kilowatch.exports.plan import Plan
from kilowatch.model.errors import KilowatchError

VALID_DAYS = (7, 30, 90, 365)
USER = "kilowatch"  # any name will do; tools ask for one
CHALLENGE = 'Basic realm="Kilowatch export", charset="UTF-8"'


async def links(request: Request) -> Response:
    """Show the links, and how one is made of the export in the address."""
    return await run_in_threadpool(_links, request)


async def make(request: Request) -> Response:
    """Make a link, and show its token once."""
    return await run_in_threadpool(_make, request, await request.form())


async def revoke(request: Request) -> Response:
    """Revoke a link."""
    return await run_in_threadpool(_revoke, request, await request.form())


async def fetch(request: Request) -> Response:
    """Answer a spreadsheet or a BI tool: the export that the link was made of."""
    rooms = rooms_of(request)
    try:
        holder = await run_in_threadpool(_holder, request)
        person, row = holder.person, holder.row
        export = await run_in_threadpool(_planned, rooms, holder)
        tag = await run_in_threadpool(_tag, rooms, export, row.format)
        name = file_name(export, row.format)
        headers = {
            "etag": tag,
            "cache-control": "private, no-cache",
            "accept-ranges": "none",
            "content-disposition": f'attachment; filename="{name}"',
            "vary": "authorization",
        }
        media_type = FORMATS[row.format][1]
        if _matches(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            told = Response(headers=headers, media_type=media_type)
            del told.headers["content-length"]  # nobody has counted: 0 would say that it is empty
            return told

        def made() -> Any:
            return file_of(reader_of(rooms), Author.of(person), export, row.format), export

        begun = await begin(request, person.id, rooms.exports, made)
    except KilowatchError as error:
        return _refusal(error)
    if begun is None:
        return Response(status_code=499)  # nobody reads it
    return FileAnswer(begun[0], begun[1], headers, media_type)


def token_of(headers: Mapping[str, str], query: Mapping[str, str]) -> tuple[str, bool]:
    """Return the token that a request brings, and whether it stood in the address.

    As Basic authentication the token is the password, or the user name where the password is
    empty, as some tools have one field only. A bearer token is taken as well; an empty one, with
    which Power Query asks how to sign in, is none.
    """
    scheme, _, brought = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(brought.strip()).decode().partition(":")
        except ValueError:
            return "", False
        return password or user, False
    if scheme.lower() == "bearer":
        return brought.strip(), False
    return query.get("token", ""), "token" in query


def _holder(request: Request) -> LinkHolder:
    """Return whom the request stands for.

    Raises:
        KilowatchError: 401 ``link_over``, 429 ``link_slowed``.
    """
    rooms, address = rooms_of(request), address_of(request)
    number, limits = int(request.path_params["export_id"]), rooms.exports
    now_s = rooms.clock() / 1000
    _not_too_often(limits.failures.full(address, now_s))
    token, in_address = token_of(request.headers, request.query_params)
    holder = None
    if token:
        holder = export_links.look_up(
            rooms.registry.catalog, rooms.settings.server_key, number, token,
            in_address=in_address, address=address,
        )  # fmt: skip
    if holder is None:
        if token:
            limits.failures.note(address, now_s)
        raise KilowatchError(
            "link_over",
            "This link wants its token, and this is not it; or it was revoked or has expired.",
            status=401,
            remedy="Send the token as password of Basic authentication, or make another link.",
        )
    _not_too_often(limits.fetches.full(str(number), now_s))
    limits.fetches.note(str(number), now_s)
    return holder


def _not_too_often(wait_s: float) -> None:
    if wait_s > 0:
        raise KilowatchError(
            "link_slowed",
            "This link was asked for too often.",
            status=429,
            remedy="Refresh less often: 60 times within ten minutes are plenty.",
            retry_helps=True,
            data={"retry_after_s": int(wait_s) + 1},
        )


def _planned(rooms: Rooms, holder: LinkHolder) -> Plan:
    person, row = holder.person, holder.row
    if not exportable(rooms, person, row.organisation_id):
        raise not_allowed()
    asked = Definition.of_json(row.definition)
    export = planned(rooms, person, asked, row.organisation_id)
    export.check(row.format)
    return export


def _tag(rooms: Rooms, export: Plan, format_word: str) -> str:
    """Return a mark that differs as soon as the file would: a weak one, for notes have a date."""
    points = [one.point for one in export.subjects]
    months = export.asked.grain == "month"  # the last one is as long as the period lets it be
    about = (
        __version__, format_word, export.asked.pairs(), rooms.registry.directory().revision,
        [(one.from_ms, one.to_ms, one.period if months else None) for one in export.subjects],
        rooms.view.versions(points),
    )  # fmt: skip
    return f'W/"{hashlib.blake2b(repr(about).encode(), digest_size=16).hexdigest()}"'


def _matches(asked: str, tag: str) -> bool:
    """Tell whether the client has this version (If-None-Match, compared weakly)."""
    known = {one.strip().removeprefix("W/") for one in asked.split(",")}
    return "*" in known or tag.removeprefix("W/") in known


def _refusal(error: KilowatchError) -> Response:
    """Answer a program in plain words; never with the log-in page, which it would take for data."""
    headers = {"cache-control": "no-store"}
    if error.status == 401:
        headers["www-authenticate"] = CHALLENGE
    if "retry_after_s" in error.data:
        headers["retry-after"] = str(error.data["retry_after_s"])
    text_of = f"{error.detail} {error.remedy}".strip() + "\n"
    return Response(text_of, error.status, headers, "text/plain; charset=utf-8")


def _links(
    request: Request,
    problems: dict[str, str] | None = None,
    fields: dict[str, str] | None = None,
    made: MadeLink | None = None,
    asked: Definition | None = None,
) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    if asked is None:
        try:
            asked = read(request.query_params.multi_items())
        except KilowatchError as error:
            problems, asked = problems_of(error), Definition()
    with rooms.registry.catalog.reading() as session:
        found = export_links.of_people(session, who.id, _administered(request))
    rows = [one for one in found if one.organisation_id in who.standings]
    context = {
        "page": "export",
        "problems": defaultdict(str, problems or {}),
        "said": t("export.link_revoked") if "revoked" in request.query_params else "",
        "fields": {"name": "", "format": "csv", "days": "90", "in_address": "", **(fields or {})},
        "asked": asked,
        "pairs": asked.pairs(),
        "chosen": [one.point.name for one in chosen(rooms, who, asked)] if asked.places else [],
        "query": urlencode(asked.pairs()),
        "rows": rows,
        "formats": [one for one in FORMATS if one != "hyper" or tableau.available()],
        "valid_days": VALID_DAYS,
        "made": made,
        "mine": who.id,
        "user": USER,
        "base": rooms.settings.public_url,
    }
    crumbs = [{"name": t("export.title"), "href": "/export"}, {"name": t("export.links")}]
    return page(request, "export_links.html", crumbs, context, status=422 if problems else 200)


def _make(request: Request, form: FormData) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    fields = {name: text(form, name) for name in ("name", "format", "days", "in_address")}
    asked = None
    try:
        pairs = [(name, str(value)) for name, value in form.multi_items() if name != "name"]
        asked = read(pairs)
        owner = _one_organisation(rooms, request, asked)
        _known(fields["format"])
        planned(rooms, who, asked, owner)
        wanted = Wanted(
            owner, fields["name"], asked.as_json(), fields["format"],
            whole_number(fields["days"]) or 0, bool(fields["in_address"]),
        )  # fmt: skip
        prove_again(request, form)
        with rooms.registry.catalog.change(actor_of(request)) as change:
            made = export_links.make(change, rooms.settings.server_key, who.id, wanted)
            session_token = renew_session(request, change)
    except KilowatchError as error:
        return _links(request, problems_of(error), fields, asked=asked)
    return keep_session(request, _links(request, made=made, asked=asked), session_token)


def _known(format_word: str) -> None:
    if format_word not in FORMATS:
        raise KilowatchError("bad_format", t("export.no_format"), data={"field": "format"})


def _one_organisation(rooms: Rooms, request: Request, asked: Definition) -> int:
    owners = {p.point.organisation_id for p in chosen(rooms, visit_of(request).person, asked)}
    if len(owners) != 1:
        key = "export.several_organisations" if owners else "export.empty_next"
        raise KilowatchError("bad_link", t(key), data={"field": "place"})
    return owners.pop()


def _revoke(request: Request, form: FormData) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    number = whole_number(text(form, "export_link")) or 0
    with rooms.registry.catalog.change(actor_of(request)) as change:
        export_links.revoke(change, who.id, number, _administered(request))
    return RedirectResponse("/export/links?revoked", status_code=303)


def _administered(request: Request) -> list[int]:
    """Return the organisations whose people the person administers."""
    who = visit_of(request).person
    return [one for one in who.standings if may(who, "administer", organisation_id=one)]


DOORS: tuple[Door, ...] = (
    Door("/export/links", links, Access.EXPORT_SOMEWHERE, tool=TOOL),
    Door("/export/links", make, Access.EXPORT_SOMEWHERE, ("POST",), tool=TOOL),
    Door("/export/links/revoke", revoke, Access.SIGNED_IN, ("POST",)),
    Door("/export/link/{export_id:number}", fetch, Access.OF_LINK),
)
