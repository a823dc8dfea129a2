"""Whom a request stands for: its token, and how often it may ask."""

from __future__ import annotations

from starlette.requests import Request

from kilowatch.api.needs import REQUESTS, REQUESTS_WITHIN_S, Rooms
from kilowatch.api.problems import too_often
from kilowatch.catalog import secrets, tokens
from kilowatch.catalog.tokens import Holder
from kilowatch.model.errors import KilowatchError
from kilowatch.model.networks import network_of

LONGEST = 200  # a token has some fifty characters


def holder_of(rooms: Rooms, request: Request) -> Holder:
    """Return whom the request's token stands for, and count the request. Blocks: for a thread.

    Raises:
        KilowatchError: 401 ``token_missing`` or ``token_wrong``; 429 ``too_many_requests``.
    """
    text = token_of(request.headers.get("authorization", ""))
    address = request.client.host if request.client else ""
    network, now_s, limits = network_of(address), rooms.clock() / 1000, rooms.limits
    digest = secrets.digest(rooms.server_key, text, "api token seen").hex()[:32]
    wait_s = limits.failures.full(network, now_s)
    if wait_s and not limits.worked.full(digest, now_s):
        raise too_often(
            "Too many tokens that open nothing came from this network address.",
            wait_s,
            "Correct the token of the program that sends a wrong one.",
        )
    holder = tokens.look_up(rooms.registry.catalog, rooms.server_key, text, address)
    if holder is None:
        limits.failures.note(network, now_s)
        raise KilowatchError(
            "token_wrong",
            "This token is unknown, revoked or over, or its owner may not log in at present.",
            status=401,
            remedy="Make another one on your account's page. If your organisation asks "
            "for a second factor, set it up first.",
        )
    limits.worked.note(digest, now_s)
    name = str(holder.token_id)
    if wait_s := limits.requests.full(name, now_s):
        raise too_often(
            f"This token asked {REQUESTS} times within {REQUESTS_WITHIN_S:.0f} s.",
            wait_s,
            "Ask less often, or for more at a time.",
        )
    limits.requests.note(name, now_s)
    return holder


def token_of(header: str) -> str:
    """Return the token of an ``Authorization`` header: bare, or after ``Bearer``.

    Raises:
        KilowatchError: 401 ``token_missing``.

    Example:
        >>> token_of("Bearer kwt_abc"), token_of("kwt_abc")
        ('kwt_abc', 'kwt_abc')
    """
    first, _, rest = header.strip().partition(" ")
    found = rest.strip() if first.lower() == "bearer" else header.strip()
    if not found or " " in found or len(found) > LONGEST:
        raise KilowatchError(
            "token_missing",
            "This address needs an API token in the Authorization header."
            if not found
            else "The Authorization header can't be read: it holds no API token.",
            status=401,
            remedy="Send 'Authorization: Bearer TOKEN'; a token is made on your account's page, "
            "under API tokens.",
        )
    return found
