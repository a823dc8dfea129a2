"""The platform's files while they stand still, for the command: it runs, or it is at rest."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx

from kilowatch.cli.folder import DataFolder
from kilowatch.cli.standstill import Standstill, broken, tidy
from kilowatch.model.errors import KilowatchError
from kilowatch.store import freezing

STARTING_S_MAX = 60.0
AGAIN_S = 0.5
CONNECT_S = 5.0
SILENT_S_MAX = 30.0  # the platform gives a sign of life every two seconds
SOON = ("starting", "already_running")
"""The platform is starting or stopping: a moment later it can be asked, or is gone."""


@contextmanager
def standing_still(folder: DataFolder) -> Iterator[None]:
    """Let the platform's files stand still, copied into the backup's folder, for a while.

    Raises:
        KilowatchError: What the platform answers, or why a file can't be read or copied.
    """
    until_s = time.monotonic() + STARTING_S_MAX
    with ExitStack() as stack:
        stack.callback(_clear_up, folder)  # last: a platform that is killed meanwhile leaves all
        while True:
            try:
                if not _asked(folder, stack):
                    _at_rest(folder, stack)
                break
            except KilowatchError as error:
                if error.code not in SOON or time.monotonic() >= until_s:
                    raise
                time.sleep(AGAIN_S)
        yield


def _clear_up(folder: DataFolder) -> None:
    """Remove what is left; what can't be is left to the next start or backup."""
    with suppress(OSError):
        tidy(folder)


def _asked(folder: DataFolder, stack: ExitStack) -> bool:
    """Have the running platform stand still until the stack ends; False where there is none."""
    transport = httpx.HTTPTransport(uds=str(folder.control_socket))
    patience = httpx.Timeout(SILENT_S_MAX, connect=CONNECT_S)
    client = stack.enter_context(
        httpx.Client(
            transport=transport, base_url="http://kilowatch", timeout=patience, trust_env=False
        )
    )
    try:
        answer = client.send(client.build_request("GET", "/backup"), stream=True)
    except httpx.TransportError:
        return False
    stack.callback(answer.close)
    said_so = answer.iter_lines()
    stack.callback(said_so.close)  # type: ignore[attr-defined]  # the answer ends with it
    try:
        for line in said_so:
            said = json.loads(line) if line else {}
            if "code" in said:
                answer.close()
                raise KilowatchError(said["code"], said["detail"], remedy=said["remedy"])
            if "copied" in said:
                return True
    except (httpx.TransportError, ValueError) as error:
        raise broken() from error
    raise broken()


def _at_rest(folder: DataFolder, stack: ExitStack) -> None:
    """Take the files of a platform that does not run; it may start again while they are copied."""
    alone = importlib.import_module("kilowatch.cli.serve").alone  # it brings what serves
    moment = Standstill(folder)
    stack.callback(moment.close)
    with alone(folder, "platform", "It is starting or stopping: try again in a moment."):
        freezing.hand_over(folder.root / "platform.lock", folder.root)
        moment.take(lambda work: work(), lambda: freezing.link_parts(folder.store))
    moment.copy()
