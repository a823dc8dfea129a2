"""The dead man's ping: an outside monitor raises the alarm when we fall silent.

While everything works end to end, the platform asks for an address at a steady pace. When it does
not work, or the whole machine is gone, the address is not asked for, and whoever watches it tells
people by a way of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog

from kilowatch.health.checks import Report

log = structlog.get_logger("deadman")

TIMEOUT_S = 10.0
PATIENCE_S = 60.0  # with 100 million readings a start takes seconds; a restart is no alarm
LOOK_S = 1.0  # how often to look whether a start is done


@dataclass(frozen=True, slots=True)
class DeadManSettings:
    """What an operator can set.

    Attributes:
        url: Address to ask for while everything works.
        interval_s: How often [s].
        fail_url: Address to ask for while something does not; empty keeps silent.
        timeout_s: How long to wait for an answer [s].
        patience_s: How long a start may take before it counts as a failure [s].
    """

    url: str
    interval_s: float = 60.0
    fail_url: str = ""
    timeout_s: float = TIMEOUT_S
    patience_s: float = PATIENCE_S


class DeadMan:
    """Pings while the platform works.

    Args:
        settings: Where and how often.
        report: Looks at everything; what it returns decides.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        settings: DeadManSettings,
        report: Callable[[], Awaitable[Report]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._report = report
        self._clock = clock
        self._sent = self._failed = self._withheld = 0
        self._last_ms: int | None = None
        self._fault = ""
        self._starts_until_s = clock() + settings.patience_s

    async def run(self) -> None:
        """Ping until cancelled; whatever happens to one ping, the next one is due."""
        async with httpx.AsyncClient(
            timeout=self._settings.timeout_s, follow_redirects=True
        ) as client:
            while True:
                try:
                    await self.turn(client)
                except Exception:
                    log.exception("fault in the dead man's ping")
                await asyncio.sleep(LOOK_S if self._starting else self._settings.interval_s)

    async def turn(self, client: httpx.AsyncClient) -> None:
        """Look at everything, and ping, ping the other address, or keep silent."""
        report = await self._report()
        if report.works:
            self._starts_until_s = 0.0
            await self._ping(client, self._settings.url)
            return
        if self._starting:
            return
        self._withheld += 1
        log.warning("the dead man's ping is withheld", faults=report.faults)
        if self._settings.fail_url:
            await self._ping(client, self._settings.fail_url)

    @property
    def _starting(self) -> bool:
        return self._clock() < self._starts_until_s

    async def _ping(self, client: httpx.AsyncClient, url: str) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                async with client.stream("GET", url) as answer:
                    answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            self._failed += 1
            # The address is a secret: whoever knows it can keep the alarm from being raised.
            self._fault = _why(error)
            log.warning("the dead man's ping failed", host=_host(url), reason=self._fault)
            return
        self._fault = ""
        self._sent += 1
        if url == self._settings.url:
            self._last_ms = round(self._clock() * 1000)

    def told(self) -> dict[str, Any]:
        """Return how it goes, ready for JSON; never the whole address."""
        return {
            "host": _host(self._settings.url),
            "interval_s": self._settings.interval_s,
            "last_ms": self._last_ms,
            "sent": self._sent,
            "failed": self._failed,
            "withheld": self._withheld,
            "fault": self._fault,
        }


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _why(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code}"
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "it does not answer in time"
    return type(error).__name__
