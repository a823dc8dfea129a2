"""A server of its own for a journey, on free ports, stopped and looked after at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.inboxes import Inbox, mail_server
from tests.journeys.server import Server


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a function that makes servers; each is stopped when the journey ends."""
    made: list[Server] = []

    def make(name: str = "data", *flags: str) -> Server:
        server = Server(tmp_path / name, tmp_path / f"{name}.log", flags)
        made.append(server)
        return server

    yield make
    for server in made:
        if server.process is not None and server.process.poll() is None:
            server.kill()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """A running server in the development environment."""
    return make_server().start()


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    """A mail server and its port."""
    with mail_server() as running:
        yield running
