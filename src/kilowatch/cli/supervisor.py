"""The parent of a server's processes: starts them, restarts them, and outlives none of them.

Each child holds the read end of a pipe whose write end only the parent has: the first line
carries the child's settings, and end of file means that the parent is gone, however it went.
A second pipe brings back one line when the child is ready. Children run in sessions of
their own, so that Ctrl-C reaches the parent alone and signals have one owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from kilowatch.model.errors import KilowatchError

log = structlog.get_logger("supervisor")

EXIT_REFUSED = 3
"""A child's exit code when it refuses to serve (a port is taken, a wrong key). At the first
start this ends the server; later it is tried again, since the port or the disk may come back."""

READY_S_MAX = 90.0  # a store with 100 million readings opens in 5 s; slow disks get patience
STOP_S_MAX = 30.0
"""How long a child may take to stop. It needs some two seconds of one core, most of them for what
it flushes and the piece of insights that is under way, after 5 s for pages that are being sent: 10
to 18 s on two cores that twenty others shared. Nothing is lost when it is ended, but the next start
takes in again what was not flushed, and says that this one did not end in order."""
AGAIN_S = 1.0
"""A signal that comes sooner after the first is the same one, sent on by a wrapper."""
RESTART_S_MIN, RESTART_S_MAX = 0.2, 5.0


@dataclass(slots=True)
class Child:
    """One supervised process.

    Attributes:
        name: ``collector`` or ``platform``.
        settings: What the child gets on its first line.
        process: The running process, or None between two of them.
        ready: What the child said when it was ready.
        lifeline: The pipe that the process lives by.
        lock: What says that its folder has such a process; it holds it beyond our own end.
    """

    name: str
    settings: dict[str, Any]
    process: asyncio.subprocess.Process | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    lifeline: int | None = None
    lock: int | None = None

    async def start(self) -> dict[str, Any]:
        """Start the process and wait until it says that it is ready.

        Raises:
            KilowatchError: The child refused to start, in its own words.
        """
        life_read, life_write = os.pipe()
        ready_read, ready_write = os.pipe()
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "kilowatch.cli.child", self.name,
                str(life_read), str(ready_write),
                pass_fds=[one for one in (life_read, ready_write, self.lock) if one is not None],
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except BaseException:  # tried again later: nothing may be left open each time
            os.close(life_write)
            os.close(ready_read)
            raise
        finally:
            os.close(life_read)
            os.close(ready_write)
        self.lifeline = life_write
        try:
            said = await self._said(ready_read)
        except BaseException:
            await self.stop()
            raise
        finally:
            os.close(ready_read)
        self.settings["settings"].update(said.pop("settings", {}))  # a free port stays the same
        self.ready = {**said, "pid": self.process.pid}
        return self.ready

    async def _said(self, ready: int) -> dict[str, Any]:
        """Give the child its settings and return what it says when it is ready."""
        assert self.lifeline is not None
        with contextlib.suppress(BrokenPipeError):  # it died at once: the next lines say so
            os.write(self.lifeline, json.dumps(self.settings).encode() + b"\n")
        try:
            line = await asyncio.wait_for(_read_line(ready), READY_S_MAX)
        except TimeoutError:
            raise KilowatchError(
                "not_ready", f"The {self.name} was not ready after {READY_S_MAX:.0f} s."
            ) from None
        if not line.endswith(b"\n"):
            raise KilowatchError("child_died", f"The {self.name} ended before it was ready.")
        said: dict[str, Any] = json.loads(line)
        if "refused" in said:
            raise KilowatchError(
                said["refused"], said["detail"], remedy=said["remedy"], data={"child": self.name}
            )
        return said

    def let_go(self) -> None:
        """Close the pipe that the process lives by."""
        if self.lifeline is not None:
            os.close(self.lifeline)
            self.lifeline = None

    def end(self) -> None:
        """End the process at once, whatever it is at: what was acknowledged is durable."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    async def stop(self) -> None:
        """End the process: by the pipe, then by signals."""
        self.let_go()
        if self.process is None:
            return
        try:
            await asyncio.wait_for(self.process.wait(), STOP_S_MAX)
        except TimeoutError:
            log.warning("child did not stop in time", child=self.name)
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


async def _read_line(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(descriptor), "rb")
    )
    try:
        return await reader.readline()
    finally:
        transport.close()


@dataclass(slots=True)
class Signals:
    """What SIGINT and SIGTERM ask for: to stop in order, and whoever asks again, at once.

    Attributes:
        children: What is ended at once.
        on_stop: Called with whether it is at once.
        clock: Seconds that never go back.
        stop: Set by the first signal.
    """

    children: list[Child]
    on_stop: Callable[[bool], None]
    clock: Callable[[], float] = time.monotonic
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    _asked_s: float | None = None
    _ended: bool = False

    def ask(self) -> None:
        """Take in a signal."""
        now_s = self.clock()
        if self._asked_s is None:
            self._asked_s = now_s
            self.stop.set()
            self.on_stop(False)
        elif not self._ended and now_s - self._asked_s >= AGAIN_S:
            self._ended = True
            self.on_stop(True)
            for child in self.children:
                child.end()


async def supervise(
    children: list[Child],
    *,
    on_ready: Callable[[dict[str, dict[str, Any]]], None],
    on_stop: Callable[[bool], None] = lambda _at_once: None,
) -> None:
    """Run the children until a signal asks to stop; restart one that crashes.

    Args:
        children: In the order in which they start; they stop in the opposite one.
        on_ready: Called with what each child said, at first and after each restart.
        on_stop: Called when a signal asks to stop (False), and to end at once (True).

    Raises:
        KilowatchError: A child refused to start.
    """
    signals = Signals(children, on_stop)
    stop, loop = signals.stop, asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.ask)
    watchers: list[asyncio.Task[None]] = []
    try:
        for child in children:
            if not stop.is_set():
                await _unless_stopped(child.start(), stop)
        if not stop.is_set():

            def tell() -> None:
                on_ready({child.name: child.ready for child in children})

            tell()
            watchers = [asyncio.create_task(_keep_alive(child, stop, tell)) for child in children]
            waiting = asyncio.create_task(stop.wait())
            await asyncio.wait([waiting, *watchers], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
    finally:
        stop.set()
        for watcher in watchers:
            watcher.cancel()
        for child in reversed(children):
            await child.stop()
    for watcher in watchers:
        if watcher.done() and not watcher.cancelled() and (error := watcher.exception()):
            raise error


async def _unless_stopped(starting: Any, stop: asyncio.Event) -> None:
    start, stopped = asyncio.ensure_future(starting), asyncio.ensure_future(stop.wait())
    await asyncio.wait([start, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if start.done():
        start.result()
    else:
        start.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await start


async def _keep_alive(child: Child, stop: asyncio.Event, tell: Callable[[], None]) -> None:
    wait_s = RESTART_S_MIN
    telling = asyncio.create_task(asyncio.sleep(0))
    while True:
        assert child.process is not None
        started = time.monotonic()
        code = await child.process.wait()
        if stop.is_set():
            return
        log.error("process ended, it is started again", child=child.name, code=code)
        child.let_go()
        if time.monotonic() - started > 10 * RESTART_S_MAX:
            wait_s = RESTART_S_MIN
        while True:
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RESTART_S_MAX)
            try:
                await child.start()
            except (KilowatchError, OSError) as error:
                log.error("process did not start", child=child.name, reason=str(error))  # noqa: TRY400
            else:
                break
        telling.cancel()
        telling = asyncio.create_task(_tell(tell))


async def _tell(tell: Callable[[], None]) -> None:
    """Say that a process was started again, and again where that can't be written down.

    The process serves on the port that it had, so a full disk is no reason to end all of them, and
    neither is a fault of ours: nobody awaits this, so that is said once, with where it came from.
    """
    while True:
        try:
            tell()
        except (KilowatchError, OSError) as error:
            log.error("where the processes are is not written down", reason=str(error))  # noqa: TRY400
            await asyncio.sleep(RESTART_S_MAX)
        except Exception:
            log.exception("where the processes are is not written down")
            return
        else:
            return
