"""What opens an account beside its password: the second factor, and tokens for programs."""

from __future__ import annotations

import io

import segno
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import second_factor, tokens
from kilowatch.catalog.second_factor import Offer
from kilowatch.catalog.tables import User
from kilowatch.dashboard import mails
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.account import account_page, prove_again, tell_owner
from kilowatch.dashboard.asking import (
    actor_of,
    keep_session,
    problems_of,
    renew_session,
    text,
)
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.model.errors import KilowatchError

VALID_DAYS = (7, 30, 90, 365)


async def factor(request: Request) -> Response:
    """Show the second factor, or how to set one up."""
    return await run_in_threadpool(_factor, request)


async def begin_factor(request: Request) -> Response:
    """Offer an authenticator's key."""
    return await run_in_threadpool(_begin_factor, request, await request.form())


async def confirm_factor(request: Request) -> Response:
    """Put the authenticator in force, and show the recovery codes."""
    return await run_in_threadpool(_confirm_factor, request, await request.form())


async def renew_codes(request: Request) -> Response:
    """Make new recovery codes, and show them."""
    return await run_in_threadpool(_renew_codes, request, await request.form())


async def remove_factor(request: Request) -> Response:
    """Take the second factor away."""
    return await run_in_threadpool(_remove_factor, request, await request.form())


async def token_list(request: Request) -> Response:
    """Show the API tokens."""
    return await run_in_threadpool(_tokens, request)


async def make_token(request: Request) -> Response:
    """Make an API token, and show it once."""
    return await run_in_threadpool(_make_token, request, await request.form())


async def revoke_token(request: Request) -> Response:
    """Revoke an API token."""
    return await run_in_threadpool(_revoke_token, request, await request.form())


def qr_code(content: str) -> Markup:
    """Return a QR code as SVG that needs neither style nor script, for the strict policy.

    It is dark on light in both themes: many cameras don't read it the other way round.
    """
    picture = io.BytesIO()
    code = segno.make(content, error="m", micro=False)
    code.save(
        picture, kind="svg", border=4, xmldecl=False, svgns=True, svgclass="qr", lineclass=None,
        omitsize=True, light="#ffffff", dark="#000000", title=None,
    )  # fmt: skip
    drawn = picture.getvalue().decode().strip()
    return Markup(drawn)  # noqa: S704 - made by segno of numbers, never of text


def _factor(
    request: Request,
    problems: dict[str, str] | None = None,
    codes: list[str] | None = None,
    offer: Offer | None = None,
) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    with rooms.registry.catalog.reading() as session:
        user = session.get(User, who.id)
        assert user is not None
        confirmed = second_factor.confirmed(session, who.id)
        left = second_factor.codes_left(session, who.id)
        if offer is None and confirmed is None:
            offer = second_factor.offered(session, rooms.settings.server_key, user)
    context = {
        "problems": problems or {},
        "confirmed_at_ms": confirmed.confirmed_at_ms if confirmed else None,
        "left": left,
        "codes": codes,
        "qr": qr_code(offer.address) if offer and not confirmed else None,
        "key": " ".join(offer.key[i : i + 4] for i in range(0, len(offer.key), 4)) if offer else "",
        "owes": who.owes_second_factor and confirmed is None,
    }
    return account_page(request, "factor", context, status=422 if problems else 200)


def _begin_factor(request: Request, form: FormData) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    try:
        prove_again(request, form)
        with rooms.registry.catalog.change(actor_of(request)) as change:
            user = change.session.get(User, who.id)
            assert user is not None
            second_factor.offer(change, rooms.settings.server_key, user)
            token = renew_session(request, change)
    except KilowatchError as error:
        return _factor(request, problems_of(error))
    answer = RedirectResponse("/account/second-factor", status_code=303)
    return keep_session(request, answer, token)


def _confirm_factor(request: Request, form: FormData) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change:
            codes = second_factor.confirm(
                change, rooms.settings.server_key, who.id, text(form, "code")
            )
            token = renew_session(request, change)
    except KilowatchError as error:
        return _factor(request, problems_of(error))
    answer = _factor(request, codes=codes)
    mail = mails.second_factor_changed(rooms.settings.public_url, who.email, removed=False)
    answer.background = tell_owner(rooms, mail)
    return keep_session(request, answer, token)


def _renew_codes(request: Request, form: FormData) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    try:
        prove_again(request, form)
        with rooms.registry.catalog.change(actor_of(request)) as change:
            codes = second_factor.renew_codes(change, who.id)
            token = renew_session(request, change)
    except KilowatchError as error:
        return _factor(request, problems_of(error))
    return keep_session(request, _factor(request, codes=codes), token)


def _remove_factor(request: Request, form: FormData) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    try:
        prove_again(request, form)
        with rooms.registry.catalog.change(actor_of(request)) as change:
            second_factor.remove(change, who.id)
            token = renew_session(request, change)
    except KilowatchError as error:
        return _factor(request, problems_of(error))
    answer = RedirectResponse("/account/second-factor?said=factor_removed", status_code=303)
    mail = mails.second_factor_changed(rooms.settings.public_url, who.email, removed=True)
    answer.background = tell_owner(rooms, mail)
    return keep_session(request, answer, token)


def _tokens(
    request: Request,
    problems: dict[str, str] | None = None,
    fields: dict[str, str] | None = None,
    made: tokens.Made | None = None,
) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    with rooms.registry.catalog.reading() as session:
        rows = tokens.of_person(session, who.id)
    context = {
        "problems": problems or {},
        "fields": {"name": "", "access": "read", "days": "90", **(fields or {})},
        "rows": rows,
        "made": made,
        "valid_days": VALID_DAYS,
    }
    return account_page(request, "tokens", context, status=422 if problems else 200)


def _make_token(request: Request, form: FormData) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    fields = {name: text(form, name) for name in ("name", "access", "days")}
    try:
        prove_again(request, form)
        with rooms.registry.catalog.change(actor_of(request)) as change:
            made = tokens.make(
                change,
                rooms.settings.server_key,
                who.id,
                fields["name"],
                read_only=fields["access"] != "full",
                days=whole_number(fields["days"]) or 0,
            )
            token = renew_session(request, change)
    except KilowatchError as error:
        return _tokens(request, problems_of(error), fields)
    return keep_session(request, _tokens(request, made=made), token)


def _revoke_token(request: Request, form: FormData) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    with rooms.registry.catalog.change(actor_of(request)) as change:
        tokens.revoke(change, who.id, whole_number(text(form, "token")) or 0)
    return RedirectResponse("/account/tokens?said=token_revoked", status_code=303)


DOORS: tuple[Door, ...] = (
    Door("/account/second-factor", factor, Access.SIGNED_IN, while_owing=True),
    Door("/account/second-factor/begin", begin_factor, Access.SIGNED_IN, ("POST",),
         while_owing=True),
    Door("/account/second-factor/confirm", confirm_factor, Access.SIGNED_IN, ("POST",),
         while_owing=True),
    Door("/account/second-factor/codes", renew_codes, Access.SIGNED_IN, ("POST",)),
    Door("/account/second-factor/remove", remove_factor, Access.SIGNED_IN, ("POST",)),
    Door("/account/tokens", token_list, Access.SIGNED_IN),
    Door("/account/tokens", make_token, Access.SIGNED_IN, ("POST",)),
    Door("/account/tokens/revoke", revoke_token, Access.SIGNED_IN, ("POST",)),
)  # fmt: skip
