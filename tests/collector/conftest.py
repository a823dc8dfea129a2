"""Servers for the tests of the push API."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilowatch import catalog
from tests.collector.harness import Registry, Server, make_registry, settings_for
from tests.ready_made import hash_for_real


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The registry that every test starts from; made once, since each entry is durable."""
    # What is verified costs what it cost to hash: here it is a real person's password.
    with pytest.MonkeyPatch.context() as patch:
        hash_for_real(patch)
        made = make_registry(tmp_path_factory.mktemp("template"))
    made.catalog.close()
    return made


def copy_of(template: Registry, folder: Path) -> Registry:
    """Return a registry of the test's own."""
    shutil.copy(template.folder / "catalog.sqlite", folder / "catalog.sqlite")
    (folder / "log").mkdir()
    return Registry(folder, catalog.open(folder / "catalog.sqlite"), dict(template.secrets))


@pytest.fixture
def registered(template: Registry, tmp_path: Path) -> Iterator[Registry]:
    """Two organisations, Bakery and Brewery, in a registry of their own."""
    made = copy_of(template, tmp_path)
    yield made
    made.catalog.close()


StartServer = Callable[..., Server]


@pytest.fixture
def start(registered: Registry) -> Iterator[StartServer]:
    """Start servers with settings of the test's choice; stopped at its end."""
    started: list[Server] = []

    def begin(**changed: Any) -> Server:
        server = Server(registered, replace(settings_for(registered.folder), **changed))
        started.append(server)
        return server

    yield begin
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def shared(template: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One development server for all tests of a module that leave each other alone."""
    made = copy_of(template, tmp_path_factory.mktemp("collector"))
    server = Server(made, settings_for(made.folder))
    yield server
    server.stop()
    made.catalog.close()


@pytest.fixture
def server(start: StartServer) -> Server:
    """A development server of the test's own."""
    return start()
