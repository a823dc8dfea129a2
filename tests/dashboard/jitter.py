"""Answers that come late and in any order: what a test of a page must not depend on.

A page's fragments and scripts are asked for at once and answered as the machine pleases. A test
that takes whichever came first, or that acts before the page listens, passes on an idle machine
and fails on a crowded one. ``KILOWATCH_TEST_LATE_MS=1500`` holds each answer back by a random
time up to that many milliseconds, so that such a test fails where it is written.
"""

from __future__ import annotations

import asyncio
import os
import random

from starlette.types import ASGIApp, Receive, Scope, Send

LATEST_MS = int(os.environ.get("KILOWATCH_TEST_LATE_MS", "0"))
"""The longest that an answer is held back [ms]; 0: none is."""


def late(app: ASGIApp, latest_ms: int = LATEST_MS) -> ASGIApp:
    """Return an application that answers like another one, only later.

    Args:
        app: The application.
        latest_ms: The longest that an answer is held back [ms].
    """
    if not latest_ms:
        return app

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(random.uniform(0, latest_ms / 1000))  # no secret
        await app(scope, receive, send)

    return answer
