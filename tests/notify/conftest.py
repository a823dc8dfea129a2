"""Fixtures of the notifications' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notify.worlds import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Build an organisation with three data points at one site and two at another."""
    made = World(tmp_path)
    yield made
    made.close()
