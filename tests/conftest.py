"""What every test shares: the wheel is what runs, and what a machine lacks is said aloud."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, expect, sync_playwright

from tests.budget import (  # noqa: F401 - pytest finds its hooks here
    pytest_collection_modifyitems,
    pytest_terminal_summary,
)
from tests.patience import PATIENCE_MS
from tests.ready_made import copy_new_catalogues, hash_cheaply, hash_for_real

# As the program itself does, see kilowatch.cli; before a test loads numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
# Without these Chromium calls home at every start, which a closed network refuses many times.
CHROMIUM_FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# A run that fails says something of the change, so every run draws the same examples, and how fast
# the machine is decides nothing. ``pytest --hypothesis-profile other`` draws new ones each time.
settings.register_profile(
    "other", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False
)
settings.register_profile("same", settings.get_profile("other"), derandomize=True)
settings.load_profile("same")


def tests_source() -> bool:
    """Tell whether a developer asked for a quick run on src/ in place of the wheel."""
    return os.environ.get("KILOWATCH_TEST_SOURCE") == "1"


def pytest_configure() -> None:
    """Refuse to test anything but the installed wheel, which is what users get."""
    expect.set_options(timeout=PATIENCE_MS)
    spec = importlib.util.find_spec("kilowatch")
    place = Path(spec.origin) if spec and spec.origin else None
    installed = place is not None and "site-packages" in place.parts
    if not installed and not (place and tests_source()):
        raise pytest.UsageError(
            f"kilowatch comes from {place or 'nowhere'}, not from an installed wheel: run ./dev "
            "test, or set KILOWATCH_TEST_SOURCE=1 and PYTHONPATH=src for a run on the source"
        )


@pytest.fixture(scope="session", autouse=True)
def ready_made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make once for the run what most tests only need to have; see ``tests/ready_made.py``."""
    with pytest.MonkeyPatch.context() as patch:
        copy_new_catalogues(patch, tmp_path_factory.mktemp("ready-made"))
        hash_cheaply(patch)
        yield


@pytest.fixture
def the_real_cost_of_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords as the program does, for a test that is about that."""
    hash_for_real(monkeypatch)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real meter data beside the project; skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real meter data (../shared/data) is not on this machine")
    return SHARED_DATA


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Return the Chromium to test pages with; its absence is a failure, not a skip."""
    names = (os.environ.get("KILOWATCH_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    assert found, "no Chromium: run ./dev test, which brings one, or set KILOWATCH_CHROMIUM"
    return found


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """Start a real browser for the tests of one module.

    Not for the whole run: Playwright keeps an event loop going on this thread while it is up,
    and then no later test could start its own.
    """
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium_path,
            args=list(CHROMIUM_FLAGS),
            chromium_sandbox=os.geteuid() != 0,  # Chromium refuses its sandbox to root
        )
        yield started
        started.close()
