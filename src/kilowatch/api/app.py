"""The way of a request: who asks, what for, how often; then a thread that makes the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kilowatch.api import problems
from kilowatch.api.declaring import Ask, Resource
from kilowatch.api.needs import Rooms
from kilowatch.api.openapi import document
from kilowatch.api.paging import portion
from kilowatch.api.resources import RESOURCES
from kilowatch.api.tokens import holder_of
from kilowatch.model.errors import KilowatchError

log = structlog.get_logger(__name__)

PREFIX = "/api/v1"
DESCRIPTION = f"{PREFIX}/openapi.json"
THREADS = 4
"""Answers that are made at a time: pages find threads, and the store, free."""
JSON = "application/json"
HEADERS = {"cache-control": "no-store"}
UNKNOWN, DESCRIBED = "api_unknown", "api_openapi"
"""What the times of requests are counted under that name no resource, or ask what there is."""


def create_api(rooms: Rooms) -> ASGIApp:
    """Return the application that answers below ``/api``."""
    return Api(rooms)


class Api:
    """Answers requests for the resources that are declared.

    Args:
        rooms: Everything that an answer is made from.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._shapes = [(one.shape, one) for one in RESOURCES]
        self._document = msgspec.json.encode(document(RESOURCES, PREFIX))
        self._threads = asyncio.Semaphore(THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        assert scope["type"] == "http"
        request = Request(scope)
        response = await self._answered(request)
        await response(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        path = str(request.scope["path"])
        found = self._find(path)
        name = f"api_{found[0].handler.__name__}" if found else UNKNOWN
        request.scope["endpoint"] = _Named(DESCRIBED if path == DESCRIPTION else name)
        try:
            if request.method not in ("GET", "HEAD"):
                return problems.answer(problems.only_reading(request.method))
            if path == DESCRIPTION:
                return Response(self._document, 200, HEADERS, JSON)
            async with self._threads:
                return await run_in_threadpool(self._made, request, found)
        except KilowatchError as error:
            return problems.answer(error)
        except Exception as error:
            log.exception("request of the API failed", path=path, reason=type(error).__name__)
            return problems.answer(
                KilowatchError(
                    "server_fault",
                    "The server failed to answer this request.",
                    status=500,
                    remedy="Ask again later; the operator finds the reason in the server's log.",
                    retry_helps=True,
                )
            )

    def _find(self, path: str) -> tuple[Resource, int] | None:
        for shape, resource in self._shapes:
            found = shape.fullmatch(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
            if found:
                return resource, int(found.groupdict().get("id") or 0)
        return None

    def _made(self, request: Request, found: tuple[Resource, int] | None) -> Response:
        who = holder_of(self._rooms, request).person
        if found is None:
            raise problems.not_found()
        resource, number = found
        values = resource.check(request.query_params.multi_items())
        answer: Any = resource.handler(Ask(self._rooms, who, number, values, resource.tool))
        headers = HEADERS
        if resource.paged:
            answer, more = portion(answer, request, values)
            headers = HEADERS | more
        return Response(msgspec.json.encode(answer), 200, headers, JSON)


class _Named:
    """Stands for what answers, where the times of answers are counted by its name."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
