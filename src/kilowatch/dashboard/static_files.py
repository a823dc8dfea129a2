"""Scripts, styles and pictures: compressed once, kept by browsers until their address changes."""

from __future__ import annotations

import gzip
import mimetypes
import secrets
from functools import lru_cache
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOREVER = "public, max-age=31536000, immutable"  # the address changes with the content
PACKED = frozenset({".js", ".css", ".svg", ".txt", ".json"})
SMALLEST = 1024  # below this packing saves no packet on the wire
PACKED_KINDS = frozenset({"text/html", "application/json"})
LEVEL = 5  # a page of 227 KB: 1.5 ms and 18 KB; level 9 takes twice as long and saves 1 %
BLUR_MAX = 101
"""Below so many bytes are added to an answer by chance, as Django does (Heal the BREACH)."""


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


class PackedAnswers:
    """Packs pages and the answers that charts are drawn from: a page shrinks to a twelfth.

    A packed page holds what an address may bring in beside a form's token. So the token is masked
    anew each time (``security.csrf_token``), and a name of chance length in the packed answer
    blurs how long it is. What is answered to a form is left as it is: secrets are shown once there.
    Files are streamed, and the live stream must not wait for a block to fill.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, packed where it is a page or data and comes as a whole."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        if "gzip" not in Headers(scope=scope).get("accept-encoding", ""):
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def packed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _can_be_packed(message):
                start = message
                return
            if start is not None:
                begun, start = start, None
                body = message.get("body", b"")
                if not message.get("more_body", False) and len(body) >= SMALLEST:
                    body = await run_in_threadpool(_blurred, body)
                    message = {**message, "body": body}
                    _told(begun, len(body))
                await send(begun)
            await send(message)

        await self._app(scope, receive, packed)


def _can_be_packed(message: Message) -> bool:
    headers = Headers(raw=message["headers"])
    kind = headers.get("content-type", "").partition(";")[0]
    return kind in PACKED_KINDS and not {"content-encoding", "content-disposition"}.intersection(
        headers.keys()
    )


def _blurred(body: bytes) -> bytes:
    """Return an answer packed, with a name of chance length in its head (RFC 1952, FNAME)."""
    whole = gzip.compress(body, LEVEL, mtime=0)
    name = b"k" * secrets.randbelow(BLUR_MAX)
    return whole[:3] + b"\x08" + whole[4:10] + name + b"\0" + whole[10:]


def _told(start: Message, length: int) -> None:
    headers = MutableHeaders(raw=start["headers"])
    headers["content-encoding"] = "gzip"
    headers["content-length"] = str(length)
    headers.add_vary_header("Accept-Encoding")
    start["headers"] = headers.raw
