"""Refusals: RFC 9457 problem details, with the members that the push API's have."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from kilowatch.model.errors import KilowatchError

PROBLEM = "application/problem+json"
CHALLENGE = 'Bearer realm="Kilowatch API"'
ALLOWED = "GET, HEAD"
RETRY_AFTER_S = 5
"""Of a 503: the store opens within seconds."""


def answer(error: KilowatchError) -> Response:
    """Return a refusal as it goes on the wire."""
    headers = {"cache-control": "no-store"}
    if error.status == 401:
        wrong = ', error="invalid_token"' if error.code == "token_wrong" else ""
        headers["www-authenticate"] = CHALLENGE + wrong
    elif error.status == 405:
        headers["allow"] = ALLOWED
    if error.status in (429, 503):
        headers["retry-after"] = str(error.data.get("retry_after_s", RETRY_AFTER_S))
    return Response(msgspec.json.encode(error.problem()), error.status, headers, PROBLEM)


def not_found() -> KilowatchError:
    """Return the answer to what is not there, the same to what is not there for this person."""
    return KilowatchError(
        "not_found",
        "There is nothing here for this token to see.",
        status=404,
        remedy="Check the address and the number; /api/v1/openapi.json has every address.",
    )


def not_allowed() -> KilowatchError:
    """Return the answer to what a person sees but may not do."""
    return KilowatchError(
        "not_allowed",
        "The role of the token's owner does not include this.",
        status=403,
        remedy="Ask an administrator of the organisation.",
    )


def not_in_plan() -> KilowatchError:
    """Return the answer to who has a plan without the tool that shows this."""
    return KilowatchError(
        "not_in_plan",
        "The plan of the token's owner does not include this.",
        status=403,
        remedy="Ask an administrator of the organisation for another plan.",
    )


def only_reading(method: str) -> KilowatchError:
    """Return the answer to every method that would change something."""
    return KilowatchError(
        "method_not_allowed",
        f"This address does not answer {method[:20]}: the API reads, and writing is not built yet.",
        status=405,
        remedy="Change things on the administration pages or with 'kilowatch' commands.",
    )


def too_often(what: str, wait_s: float, remedy: str) -> KilowatchError:
    """Return the answer to who asks more often than is good.

    Args:
        what: What came too often.
        wait_s: How long to wait [s].
        remedy: What to do about it.
    """
    return KilowatchError(
        "too_many_requests",
        what,
        status=429,
        remedy=remedy,
        retry_helps=True,
        data={"retry_after_s": int(wait_s) + 1},
    )


def bad_parameter(name: str, detail: str, remedy: str = "") -> KilowatchError:
    """Return the answer to a parameter that cannot be read: 400."""
    return KilowatchError("bad_parameter", detail, remedy=remedy, data={"parameter": name})


def impossible(name: str, code: str, detail: str, remedy: str = "") -> KilowatchError:
    """Return the answer to a parameter that is read and cannot be answered: 422."""
    return KilowatchError(code, detail, status=422, remedy=remedy, data={"parameter": name})


def busy(why: str) -> KilowatchError:
    """Return the answer while measurements cannot be read yet, which is soon over."""
    return KilowatchError(
        "store_busy",
        why,
        status=503,
        remedy="Ask again after the time in Retry-After.",
        retry_helps=True,
    )
