"""What stands at the addresses beside the push API: a line for people, a 404 for clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from kilowatch.collector.answers import Answer, problem
from kilowatch.collector.routes import PREFIX
from kilowatch.model.errors import KilowatchError

HTML = b"text/html; charset=utf-8"
PAGE = b"""<!doctype html>
<html lang="en">
<title>Kilowatch push API</title>
<h1>Kilowatch push API</h1>
<p>Meters and gateways push packets here:
<code>POST /measurements/v2/unifiedjson/</code>.</p>
<p>People want the dashboard, which listens on another port.</p>
</html>
"""


HEALTH = "/health"
"""What a load balancer asks for: no data, no details, and no credential needed."""
WELL = Answer(200, b'{"status":"ok"}', code="health")
UNWELL = Answer(503, b'{"status":"failing"}', code="health")
Ready = Callable[[], bool]
Application = Callable[[Scope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]


def pages(ready: Ready) -> Application:
    """Return the application that answers beside the push addresses.

    Args:
        ready: Tells whether packets are accepted now.
    """

    async def answer(scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        await _send(_answer(scope["path"], scope["method"], ready), send)

    return answer


application = pages(lambda: True)
"""The same without a log to look at."""


async def _send(answer: Answer, send: ASGISendCallable) -> None:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
    ]
    if answer.status == 405:
        headers.append((b"allow", b"GET, HEAD"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _answer(path: str, method: str, ready: Ready) -> Answer:
    if path in ("/", HEALTH):
        if method in ("GET", "HEAD"):
            if path == "/":
                return Answer(200, PAGE, HTML, code="page")
            return WELL if ready() else UNWELL
        return problem(KilowatchError("method_not_allowed", "This page is only read.", status=405))
    remedy = "Push to /measurements/v2/unifiedjson/."
    if not path.startswith(PREFIX):
        remedy = "This is the push API; the dashboard listens on another port. " + remedy
    return problem(
        KilowatchError(
            "path_unknown", f"There is nothing at {path[:200]}.", status=404, remedy=remedy
        )
    )
