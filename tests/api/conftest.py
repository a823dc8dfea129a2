"""Fixtures of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.api_world import Served, serve


def _let_go(served: Served) -> None:
    served.world.writer.close()
    served.world.log.close()
    served.world.catalog.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a world for the tests of a module, which leave it as it is."""
    made = serve(tmp_path_factory.mktemp("api"))
    yield made
    _let_go(made)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Served]:
    """Serve a small world for one test that changes it."""
    made = serve(tmp_path, days=1)
    yield made
    _let_go(made)
