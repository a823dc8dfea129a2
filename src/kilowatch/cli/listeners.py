"""Listeners of the platform: pages over HTTP and HTTPS, commands over a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from kilowatch.model.errors import KilowatchError

GRACE_S = 5  # a page that is being sent may finish; live streams are closed before
BACKLOG = 2048  # uvicorn's own
KEEP_ALIVE_S = 75  # what browsers and proxies expect; uvicorn's 5 s costs a handshake a click


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
        KilowatchError: ``port_taken`` or ``wrong_address``.
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
    tasks = [asyncio.create_task(server.serve(sockets=[taken])) for server, taken in served]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for server, _ in served:
        server.should_exit = True
    await asyncio.gather(*tasks)
