"""What a supervised process does first: read its settings, watch its parent, say it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog
import uvloop

from kilowatch.cli.folder import DataFolder
from kilowatch.cli.logs import configure_logs
from kilowatch.cli.settings import Settings
from kilowatch.cli.supervisor import EXIT_REFUSED, STOP_S_MAX
from kilowatch.model.errors import KilowatchError

Ready = Callable[[dict[str, Any]], None]
Process = Callable[[DataFolder, Settings, asyncio.Event, Ready], Awaitable[None]]

PROCESSES = {
    "collector": "kilowatch.cli.collector_process",
    "platform": "kilowatch.cli.platform_process",
}
"""Modules with a ``run``; imported only in the process that needs it, since the collector's
memory is promised to stay small and the store's engine is not."""


def main(arguments: list[str]) -> int:
    """Run one child until its parent goes away.

    Args:
        arguments: Name of the process, descriptor of the lifeline, descriptor to say ready on.

    Returns:
        The exit code: ``EXIT_REFUSED`` when a restart can't help.
    """
    name, life, ready = arguments[0], int(arguments[1]), int(arguments[2])
    lifeline = os.fdopen(life, "rb")
    told = json.loads(lifeline.readline())
    settings = msgspec.convert(told["settings"], Settings)
    os.umask(0o077)  # whatever is made in the data folder is for this user alone
    configure_logs(settings.log_level, name)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent owns signals; we end with its pipe
    run: Process = importlib.import_module(PROCESSES[name]).run

    def say(message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # the parent is gone: the lifeline ends us
            os.write(ready, json.dumps(message).encode() + b"\n")
        os.close(ready)

    async def live() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def watch() -> None:
            lifeline.read()
            loop.call_soon_threadsafe(stop.set)
            threading.Timer(STOP_S_MAX, os._exit, (1,)).run()  # whatever hangs, we end

        threading.Thread(target=watch, name="lifeline", daemon=True).start()
        await run(folder, settings, stop, say)

    folder = DataFolder(Path(told["folder"]))
    try:
        with (
            folder.answering_for_its_disk(),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(live())
    except KilowatchError as error:
        try:
            say({"refused": error.code, "detail": error.detail, "remedy": error.remedy})
        except OSError:  # it was ready before: nobody reads there any more
            cause = repr(error.__cause__) if error.__cause__ else ""
            structlog.get_logger().error("ended", code=error.code, reason=str(error), cause=cause)
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
