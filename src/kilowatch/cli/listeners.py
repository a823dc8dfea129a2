"""Listeners of the platform: pages over HTTP and HTTPS, commands over a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from kilowatch.model.errors import KilowatchError

log = structlog.get_logger()

GRACE_S = 5  # a page that is being sent may finish; live streams are closed before
BACKLOG = 2048  # uvicorn's own
KEEP_ALIVE_S = 75  # what browsers and proxies expect; uvicorn's 5 s costs a handshake a click


class CutOff(logging.Filter):
    """Tells in one line what is cut off when we stop, in place of a stack for each answer.

    A long download outlasts the grace: that is no fault of the server, and whoever waits for it
    wants to know what to do. The lines are those of the pinned uvicorn.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through what is not about answers that were cut off."""
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False
        if not str(record.msg).startswith("Cancel %s running task"):
            return True
        count = record.args[0] if isinstance(record.args, tuple) else record.args
        log.warning(
            "answers cut off", answers=count, reason="the program stops",
            remedy="a download that was under way has to be begun again",
        )  # fmt: skip
        return False


CUT_OFF = CutOff()
"""One for all servers: a logger takes the same filter once."""


class Listener(uvicorn.Server):
    """One uvicorn server on one socket, without a say in signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the parent process."""
        yield


def take_port(host: str, port: int, flag: str) -> socket.socket:
    """Bind a TCP port before anything expensive happens.

    Args:
        host: Address to listen on.
        port: Port; 0 takes a free one.
        flag: The flag of ``serve`` that changes the port, for the message.

    Raises:
        KilowatchError: ``port_taken``.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen(BACKLOG)  # who reads our address a moment before we serve waits, and is served
    except OSError as error:
        taken.close()
        raise KilowatchError(
            "port_taken",
            f"The dashboard can't listen on {host} port {port}: {error.strerror}.",
            remedy=f"Stop what uses it, or choose another port with {flag}.",
        ) from None
    return taken


def take_path(path: Path) -> socket.socket:
    """Bind a Unix socket that only this user can speak to; a stale one is replaced."""
    path.unlink(missing_ok=True)
    taken = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    earlier = os.umask(0o177)
    try:
        taken.bind(str(path))
        taken.listen(BACKLOG)
    finally:
        os.umask(earlier)
    return taken


def listener(
    app: Any, tls: tuple[Path, Path] | None = None, proxies: tuple[str, ...] = ()
) -> Listener:
    """Make a server for an ASGI application.

    Args:
        app: The application.
        tls: Certificate chain and private key, or None for plain HTTP.
        proxies: Networks (CIDR) whose ``X-Forwarded-…`` headers are believed.
    """
    certificate, key = tls or (None, None)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=certificate,
        ssl_keyfile=str(key) if key else None,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
    )
    return Listener(config)


async def serve_all(served: list[tuple[Listener, socket.socket]], stop: asyncio.Event) -> None:
    """Serve until asked to stop, then let what is being answered finish."""
    logging.getLogger("uvicorn.error").addFilter(CUT_OFF)
    tasks = [asyncio.create_task(server.serve(sockets=[taken])) for server, taken in served]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for server, _ in served:
        server.should_exit = True
    await asyncio.gather(*tasks)
