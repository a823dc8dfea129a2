"""Pages and the management API on the same ports, told apart by the path."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from kilowatch.dashboard.operating import PageTimes
from kilowatch.dashboard.security import SecurityHeaders
from kilowatch.dashboard.static_files import PackedAnswers
from kilowatch.model.durations import Durations


class ByPath:
    """Sends what lies below one path to an application of its own, and the rest to the pages.

    Args:
        pages: The dashboard.
        path: Without a slash at its end.
        below: What answers there.
    """

    def __init__(self, pages: ASGIApp, path: str, below: ASGIApp) -> None:
        self._pages = pages
        self._path = path
        self._below = below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to whose it is."""
        path = str(scope.get("path", ""))
        own = path == self._path or path.startswith(f"{self._path}/")
        app = self._below if own and scope["type"] == "http" else self._pages
        await app(scope, receive, send)


def guarded(asked: ASGIApp, times: dict[str, Durations], *, production: bool) -> ASGIApp:
    """Return an application with what pages have too: times, headers, packed answers.

    Args:
        asked: What answers.
        times: Where it is counted how long answers take, by name.
        production: Whether browsers may be told to come by https only.
    """
    return PageTimes(SecurityHeaders(PackedAnswers(asked), production=production), times)
