"""What handlers of forms share: who asks and from where, and what was wrong with what they sent."""

from __future__ import annotations

from dataclasses import replace

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog import sessions
from kilowatch.catalog.changes import Actor, Change
from kilowatch.dashboard.access import SESSION_COOKIE
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.security import csrf_token, set_cookie
from kilowatch.dashboard.words import catalogue, t
from kilowatch.model.errors import KilowatchError


def address_of(request: Request) -> str:
    """Return the network address that a request came from."""
    return request.client.host if request.client else ""


def actor_of(request: Request) -> Actor:
    """Return who makes a change; only behind a door that asked for a log-in."""
    person = visit_of(request).person
    return Actor(person.email, person.id, address_of(request))


def text(form: FormData, name: str) -> str:
    """Return a field without space around it."""
    return str(form.get(name, "")).strip()


def problems_of(error: KilowatchError) -> dict[str, str]:
    """Return the sentence beside the field it is about; under "" when it is about none.

    Raises:
        KilowatchError: The error itself, when it is about no form.
    """
    if error.status in (403, 404, 500, 503):
        raise error
    return {str(error.data.get("field", "")): f"{error.detail} {error.remedy}".strip()}


def said(request: Request, prefix: str) -> str:
    """Return what a form before this page has done, if it is one of our sentences."""
    key = f"{prefix}.said.{request.query_params.get('said', '')}"
    return t(key) if key in catalogue() else ""


def renew_session(request: Request, change: Change) -> str:
    """Give the session another token, after its person has proved again who they are.

    Returns:
        The token, for ``keep_session`` on the answer.
    """
    rooms, visit = rooms_of(request), visit_of(request)
    key = rooms.settings.server_key
    token = sessions.rotate(change, key, visit.session_id)
    request.state.visit = replace(visit, token=token, csrf=csrf_token(key, token))
    return token


def keep_session(request: Request, answer: Response, token: str) -> Response:
    """Give the browser the session's new token with an answer."""
    set_cookie(request, answer, rooms_of(request).settings, SESSION_COOKIE, token)
    return answer
