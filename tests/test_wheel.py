"""What a user installs: everything the platform needs, and nothing that only we need."""

import os
import subprocess
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

import kilowatch
from kilowatch.dashboard.manual import PARTS

ROOT = Path(__file__).resolve().parents[1]
VENDOR = "kilowatch/dashboard/static/vendor"


pytestmark = pytest.mark.skipif(
    os.environ.get("KILOWATCH_TEST_SOURCE") == "1",
    reason="a run on the source installs no wheel; ./dev test does",
)


@pytest.fixture(scope="module")
def content() -> set[str]:
    """Return the names in the wheel that this run built."""
    wheels = list((ROOT / "dist").glob("kilowatch-*.whl"))
    assert len(wheels) == 1, "run ./dev test, which builds the wheel"
    with zipfile.ZipFile(wheels[0]) as wheel:
        return set(wheel.namelist())


def test_the_installed_version_is_the_code_s_own() -> None:
    """The version that the program shows is the one that was installed."""
    assert version("kilowatch") == kilowatch.__version__


def test_installing_gives_the_kilowatch_command() -> None:
    """After installation a person types `kilowatch` and it starts."""
    [command] = entry_points(group="console_scripts", name="kilowatch")
    assert command.value == "kilowatch.cli.app:main"


def test_the_wheel_holds_every_file_of_the_package(content: set[str]) -> None:
    """Pages, styles and database migrations travel with the code, so a page is never blank."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "src"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {
        name.removeprefix("src/")
        for name in listed.stdout.split("\0")
        if name and (ROOT / name).is_file()
    }
    assert "kilowatch/__init__.py" in ours
    assert ours <= content


def test_the_wheel_holds_the_browser_libraries_with_their_licences(content: set[str]) -> None:
    """Charts work at a site without internet, and the libraries' authors are named."""
    libraries = {"echarts.min.js", "htmx.min.js"}
    licences = {"echarts.LICENSE.txt", "echarts.NOTICE.txt", "htmx.LICENSE.txt"}
    assert {f"{VENDOR}/{name}" for name in libraries | licences} <= content


def test_the_wheel_holds_the_manual(content: set[str]) -> None:
    """Help leads to chapters that are there at a site without internet."""
    pages = [path for part in PARTS for path in (ROOT / "docs" / part).glob("*.md")]
    assert len(pages) > 15
    names = {f"kilowatch/dashboard/docs/{path.parent.name}/{path.name}" for path in pages}
    assert names <= content


def test_the_wheel_holds_nothing_that_only_developers_need(content: set[str]) -> None:
    """A server at your site carries no test and no build tool of ours."""
    roots = {name.split("/")[0] for name in content}
    assert roots == {"kilowatch", f"kilowatch-{kilowatch.__version__}.dist-info"}
    strays = {"tests", "node_modules", "__pycache__"}
    assert [name for name in content if strays & set(name.split("/"))] == []
