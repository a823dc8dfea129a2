"""The platform's part of ``kilowatch backup``: its files stand still while the command reads them.

The answer lasts as long as the command listens. However that ends, with a kill too, what was
frozen is let go of; so it is after hours with a command that does not end.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from typing import Any, Protocol

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kilowatch.cli.folder import DataFolder
from kilowatch.cli.standstill import Standstill, Work, only_backup, tidy
from kilowatch.model.errors import KilowatchError

log = structlog.get_logger("backup")

BEAT_S = 2.0
WAIT_S_MAX = 120.0  # a flush to a slow disk, or a slice of a recomputation
STAND_S_MAX = 6 * 3600.0
"""A disk that takes 5 MB/s gets 100 GB of store by then. Until it ends the log drops nothing."""


class Pausing(Protocol):
    """What the pipeline does for a backup."""

    def between_writes(self, work: Work) -> Future[None]:
        """Have something done while nothing is written; raises 503 ``starting``."""

    def freeze(self) -> None:
        """Keep the store's files as they are."""

    def keep_log(self, wanted: bool) -> None:
        """Keep the collector from dropping what the store has, from now on or no more."""


class StandingStill:
    """Answers ``/backup``, one at a time.

    Args:
        folder: The data folder.
        pipeline: Stands still between two rounds.
    """

    def __init__(self, folder: DataFolder, pipeline: Pausing) -> None:
        self._folder, self._pipeline = folder, pipeline
        self._one = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        with suppress(KilowatchError, OSError), only_backup(folder):
            tidy(
                folder
            )  # of a backup that was killed; what can't be removed is no reason not to start

    def route(self) -> Route:
        """Return the address at which the command asks."""

        async def backup(_request: Request) -> Response:
            return StreamingResponse(self._lines(), media_type="application/x-ndjson")

        return Route("/backup", backup)

    async def stop(self) -> None:
        """End what lasts, and wait until everything is let go of."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _lines(self) -> AsyncIterator[str]:
        told: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        gone = asyncio.Event()
        task = asyncio.create_task(self._stand(told, gone))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while not self._stopping:
                try:
                    line = await asyncio.wait_for(told.get(), BEAT_S)
                except TimeoutError:
                    yield "\n"
                else:
                    if line is None:
                        return
                    yield json.dumps(line) + "\n"
        finally:
            gone.set()

    async def _stand(self, told: asyncio.Queue[dict[str, Any] | None], gone: asyncio.Event) -> None:
        """Stand still until the command is gone; a task of its own, which nobody cancels."""
        async with self._one:
            if gone.is_set():
                return
            moment = Standstill(self._folder)
            try:
                began_s = time.monotonic()
                await asyncio.to_thread(moment.take, self._hold, self._pipeline.freeze)
                told.put_nowait({"held": round(time.monotonic() - began_s, 3)})
                await asyncio.to_thread(moment.copy)
                told.put_nowait({"copied": True})
                await self._until(gone)
            except KilowatchError as error:
                told.put_nowait(
                    {"code": error.code, "detail": error.detail, "remedy": error.remedy}
                )
            except Exception:
                log.exception("a backup could not be made")
            finally:
                try:
                    await asyncio.to_thread(moment.close)
                except Exception:
                    log.exception("what a backup had set aside could not be removed")
                finally:
                    self._pipeline.keep_log(False)
                    told.put_nowait(None)

    async def _until(self, gone: asyncio.Event) -> None:
        """Wait for the end of the command, but not for ever."""
        try:
            await asyncio.wait_for(gone.wait(), STAND_S_MAX)
        except TimeoutError:
            log.warning("a backup took too long and is let go of", hours=STAND_S_MAX / 3600)

    def _hold(self, work: Work) -> None:
        """Have something done between two rounds of the pipeline, and wait for it.

        From then on the collector keeps what the frozen store does not have.
        """

        def still() -> None:
            self._pipeline.keep_log(True)
            work()

        future = self._pipeline.between_writes(still)
        try:
            future.result(WAIT_S_MAX)
        except (TooLate, CancelledError):
            if not future.cancel() and not future.cancelled():
                future.result()  # it has just begun, and takes a moment
                return
            raise KilowatchError(
                "store_busy",
                "The pipeline did not come to rest, or is ending.",
                status=503,
                remedy="Try again in a moment; `kilowatch status` tells how it is.",
                retry_helps=True,
            ) from None
