"""The demo pushes to the same small push server as the client's tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def fake_server() -> Any:
    """Return the class of a push server with faults on request."""
    path = Path(__file__).parents[1] / "client" / "conftest.py"
    spec = importlib.util.spec_from_file_location("fake_push_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FakeServer
