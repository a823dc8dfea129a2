"""Scripts, styles and pictures: compressed once, kept by browsers until their address changes."""

from __future__ import annotations

import gzip
import mimetypes
from functools import lru_cache
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

FOREVER = "public, max-age=31536000, immutable"  # the address changes with the content
PACKED = frozenset({".js", ".css", ".svg", ".txt", ".json"})
SMALLEST = 1024  # below this packing saves no packet on the wire


class Static:
    """Static files of a folder, for a browser that keeps them.

    A file is packed at its first request and kept so: packing ECharts anew for each visitor took
    40 ms of the loop that every page waits for.

    Args:
        folder: Where they are; they do not change while the program runs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._plain = StaticFiles(directory=folder)
        self._packed = lru_cache(maxsize=512)(self._pack)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a file, packed where that helps and is understood."""
        answer = await self._answer_packed(scope)
        if answer is not None:
            await answer(scope, receive, send)
            return

        async def with_age(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = message.get("headers", [])
                assert isinstance(headers, list)
                message["headers"] = [*headers, (b"cache-control", FOREVER.encode())]
            await send(message)

        await self._plain(scope, receive, with_age)  # type: ignore[arg-type]

    async def _answer_packed(self, scope: Scope) -> Response | None:
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        if "gzip" not in Headers(scope=scope).get("accept-encoding", ""):
            return None
        path = self._plain.get_path(scope)
        if Path(path).suffix not in PACKED:
            return None
        body = await run_in_threadpool(self._packed, path)
        if body is None:
            return None
        kind = mimetypes.guess_type(path)[0] or "text/plain"
        headers = {
            "content-encoding": "gzip",
            "vary": "Accept-Encoding",
            "cache-control": FOREVER,
        }
        return Response(body, media_type=kind, headers=headers)

    def _pack(self, path: str) -> bytes | None:
        """Return a file packed; None for one that is not there, outside, or too small."""
        file = (self._folder / path).resolve()
        if not file.is_relative_to(self._folder) or not file.is_file():
            return None
        body = file.read_bytes()
        return gzip.compress(body, 9, mtime=0) if len(body) >= SMALLEST else None


class PackedData:
    """Packs the answers that charts are drawn from: they shrink to a sixth.

    Pages are left as they are: they hold a form's token beside what an address may bring in, and
    the length of a packed page would tell of it. Files are streamed, and the live stream must not
    wait for a block to fill.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._packed = GZipMiddleware(app, minimum_size=SMALLEST, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, packed where it is data."""
        path = scope.get("path", "")
        data = path.startswith("/data/") or path.endswith(("/data", "/series"))
        packed = scope["type"] == "http" and data and not path.endswith(".csv")
        await (self._packed if packed else self._plain)(scope, receive, send)
