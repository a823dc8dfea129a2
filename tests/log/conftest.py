"""Logs in folders of their own, closed after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kilowatch.log import LogReader
from tests.log.faults import FaultyDisk
from tests.log.pushing import Pushing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the test's log is."""
    return tmp_path / "log" / "log.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., Pushing]]:
    """Return a function that opens the test's log for writing."""
    made: list[Pushing] = []

    def make(**settings: Any) -> Pushing:
        made.append(Pushing(settings.pop("path", path), **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def log(opened: Callable[..., Pushing]) -> Pushing:
    """Return the test's log, open for writing."""
    return opened()


@pytest.fixture
def reader(path: Path) -> Iterator[LogReader]:
    """Return a reader of the test's log."""
    one = LogReader(path)
    yield one
    one.close()


@pytest.fixture
def faulty() -> Iterator[FaultyDisk]:
    """Return a disk that fails on command."""
    one = FaultyDisk()
    yield one
    one.disk.heal()
