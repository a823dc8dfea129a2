"""A registry and a server's key, new for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilowatch import catalog
from kilowatch.catalog import secrets
from tests.catalog.people_world import World, build


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[catalog.Catalog]:
    """Open an empty registry whose clock stands at 2026-11-23 12:00 UTC."""
    opened = catalog.open(tmp_path / "catalog.sqlite", clock=lambda: 1_795_435_200_000)
    yield opened
    opened.close()


@pytest.fixture
def key() -> bytes:
    """Return a server's key."""
    return bytes(range(secrets.KEY_BYTES))


@pytest.fixture
def actor() -> catalog.Actor:
    """Return who makes the changes."""
    return catalog.Actor("ann@example.com", user_id=7, address="192.0.2.1")


@pytest.fixture
def folks(tmp_path: Path) -> Iterator[World]:
    """Build two organisations with people in them."""
    made = build(tmp_path)
    yield made
    made.catalog.close()
