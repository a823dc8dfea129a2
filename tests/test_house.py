"""The rules of the house that a machine can check."""

import doctest
import importlib
import json
import re
import subprocess
from pathlib import Path

import pytest

import kilowatch
from tests.budget import LONG

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(kilowatch.__file__).parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
NPM_LOCKS = [ROOT / "package-lock.json", ROOT / "requirements" / "chromium" / "package-lock.json"]
LINES_MAX = 500


def tracked_files() -> list[Path]:
    """Return every file that git holds; a clone owned by somebody else counts too."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def places(pattern: str) -> list[str]:
    """Return where the pattern stands in tracked text, as file:line."""
    found = []
    for file in tracked_files():
        text = file.read_bytes().decode(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{file.relative_to(ROOT)}:{number}")
    return found


def modules() -> list[str]:
    """Return every module's name, except those that act when they are imported."""
    names = []
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        if "migrations" not in parts and parts[-1] != "__main__":
            names.append(".".join(part for part in parts if part != "__init__"))
    return names


def commands_of(script: str) -> list[str]:
    """Return the `make` commands that a text runs."""
    return re.findall(r"\bmake [a-z]+\b", script)


def test_readme_names_the_commands_that_exist_and_ci_runs_the_same_test_command() -> None:
    """What a newcomer is told to type is what our own checks type, so it can't rot unseen."""
    shown = "\n".join(
        re.findall(r"```(?:sh|console|bash)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    )
    assert {"make demo", "make test"} <= set(commands_of(shown))
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    targets = phony[1].split()
    for command in commands_of(shown):
        assert command.removeprefix("make ") in targets


def test_ci_runs_make_test_and_nothing_else() -> None:
    """A green light on our side means that the same command is green on yours."""
    lines = [
        line
        for line in (ROOT / ".ci" / "run").read_text().splitlines()
        if line and not line.startswith(("#", "set ", "cd "))
    ]
    assert lines == ["exec make test </dev/null"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_no_tracked_file_names_a_registry_host() -> None:
    """A company that mirrors packages must not find an address that goes round its mirror."""
    # Written so that this file does not find itself; so is the next pattern.
    assert places(r"(pypi|pythonhosted|registry[.]npmjs|deb[.]debian)[.]org") == []


def test_no_tracked_file_names_a_path_of_a_developers_machine() -> None:
    """The platform must not depend on a folder that exists on one computer only."""
    assert places(r"(^|[^A-Za-z0-9_.-])/(work|farm)/|/tmp/prob[e]") == []


def test_the_files_that_begin_first_are_there() -> None:
    """A file that was renamed would begin last again, and everybody would wait for it."""
    assert [file for file in LONG if not (ROOT / file).is_file()] == []
    assert len(set(LONG)) == len(LONG)


def test_no_module_is_longer_than_one_sitting() -> None:
    """Someone who audits a number must be able to read the code behind it in one go."""
    long = {
        str(file.relative_to(ROOT)): count
        for file in tracked_files()
        if file.suffix == ".py" and file.is_relative_to(ROOT / "src")
        if (count := len(file.read_text().splitlines())) > LINES_MAX
    }
    assert long == {}


def test_a_length_of_time_is_written_as_a_number_once() -> None:
    """Who reads HOUR_MS knows which one it is: there is one, in ``model.lengths``."""
    number = re.compile(
        r"^_?(?:MINUTE|QUARTER|HOUR|DAY|WEEK)_M?S\b[^=\n]*= *[\d_]+ *(?:#.*)?$", re.MULTILINE
    )
    found = [file.name for file in sorted(PACKAGE.rglob("*.py")) if number.search(file.read_text())]
    assert found == ["lengths.py"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_python_dependency_is_pinned_with_hashes_and_without_an_address(lock: Path) -> None:
    """What is installed at your site is, byte for byte, what we tested."""
    text = lock.read_text()
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text


@pytest.mark.parametrize("lock", NPM_LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_browser_library_is_pinned_with_hashes_and_without_an_address(lock: Path) -> None:
    """The same holds for what runs in your browser."""
    packages = json.loads(lock.read_text())["packages"]
    fetched = {name: package for name, package in packages.items() if name}
    assert fetched
    for name, package in fetched.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


@pytest.mark.parametrize("name", modules())
def test_every_example_in_the_code_gives_what_it_shows(name: str) -> None:
    """An example in the documentation of a formula is a promise, so we run it."""
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0
