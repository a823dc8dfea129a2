"""What stands at the addresses beside the push API: a line for people, a 404 for clients."""

from __future__ import annotations

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


async def application(scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer what is not a push address."""
    assert scope["type"] == "http"
    answer = _answer(scope["path"], scope["method"])
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
    ]
    if answer.status == 405:
        headers.append((b"allow", b"GET, HEAD"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _answer(path: str, method: str) -> Answer:
    if path == "/":
        if method in ("GET", "HEAD"):
            return Answer(200, PAGE, HTML, code="page")
        return problem(KilowatchError("method_not_allowed", "This page is only read.", status=405))
    remedy = "Push to /measurements/v2/unifiedjson/."
    if not path.startswith(PREFIX):
        remedy = "This is the push API; the dashboard listens on another port. " + remedy
    return problem(
        KilowatchError(
            "path_unknown", f"There is nothing at {path[:200]}.", status=404, remedy=remedy
        )
    )
