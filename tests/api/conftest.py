"""Fixtures of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilowatch.api.needs import Limits
from kilowatch.exports.slots import Rate
from tests.api.api_world import Served, serve


def _let_go(served: Served) -> None:
    served.world.writer.close()
    served.world.log.close()
    served.world.catalog.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a world for all tests that leave it as it is; its clock stands, so nobody waits."""
    never = Limits(Rate(10**9, 1.0), Rate(10**9, 1.0))
    made = serve(tmp_path_factory.mktemp("api"), limits=never)
    yield made
    _let_go(made)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """Serve a small world for one test that changes it."""
    made = serve(tmp_path, days=1)
    yield made
    _let_go(made)
