"""What `./dev` can do; the Makefile only calls these."""

import os
import sys
from collections.abc import Callable, Sequence

from scripts.setup.assets import fetch_assets, npm
from scripts.setup.chromium import PACKAGE as CHROMIUM_PACKAGE
from scripts.setup.chromium import find_chromium
from scripts.setup.environment import (
    PYTHON,
    build_wheel,
    install,
    install_wheel,
    make_venv,
    program,
    set_up_alone,
)
from scripts.setup.process import ROOT, SetupError, run, say

Arguments = Sequence[str]
CODE = ("dev", "scripts", "src", "tests")
# A whole run goes in two processes, file by file: the machine it is meant for has two cores.
# Not those with most tests first, as xdist would have it: tests/budget.py puts the longest first.
WHOLE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")


def become(command: Sequence[object]) -> None:
    """Turn this process into the command, so that Ctrl-C and the exit code are the command's."""
    sys.stdout.flush()
    words = [str(word) for word in command]
    os.execv(words[0], words)  # noqa: S606


def demo(arguments: Arguments) -> None:
    """Start the platform with three demo buildings; arguments go to `kilowatch demo`."""
    with set_up_alone():
        make_venv()
        install("runtime", "build")
        fetch_assets()
        install_wheel(always=False)
    become([program("kilowatch"), "demo", *arguments])


def prepare_tests() -> None:
    """Make the environment and fill it with everything that checks and tests need."""
    make_venv()
    install("test")
    fetch_assets()


def check() -> None:
    """Run every check that reads the code without running it."""
    run(
        [program("ruff"), "format", "--check", "--quiet", *CODE],
        "the code is not formatted: run ./dev format",
    )
    run([program("ruff"), "check", "--quiet", *CODE], "ruff found the faults above: mend them")
    run([program("mypy")], "mypy found the faults above: mend them")
    run(
        [program("lint-imports"), "--no-cache", "--no-logo"],
        "an import goes up, sideways or to an I/O library: see the contract above",
        env={"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test(arguments: Arguments) -> None:
    """Run every check, then pytest against the installed wheel; arguments go to pytest alone."""
    with set_up_alone():
        prepare_tests()
        chromium = find_chromium()
        say(f"tests use {chromium}")
        check()
        install_wheel(always=True)
    os.environ["KILOWATCH_CHROMIUM"] = chromium
    os.environ.setdefault("KILOWATCH_TEST_OUTPUT", str(ROOT / "test-output"))
    become([PYTHON, "-m", "pytest", *(arguments or WHOLE)])


def lint(arguments: Arguments) -> None:
    """Run the checks of `test` without the tests."""
    no_more(arguments)
    with set_up_alone():
        prepare_tests()
    check()


def format_code(arguments: Arguments) -> None:
    """Format the code and mend what ruff can mend; arguments name other files or folders."""
    with set_up_alone():
        prepare_tests()
    where = arguments or CODE
    run([program("ruff"), "format", *where], "ruff could not format: see above")
    run([program("ruff"), "check", "--fix", *where], "ruff left the faults above: mend them")


def lock(arguments: Arguments) -> None:
    """Refresh the lock files; arguments go to uv (say --upgrade, or --upgrade-package numpy)."""
    with set_up_alone():
        make_venv()
        install("lock")
        # Each lock holds to the ones before it, so that a package has one version everywhere.
        lock_one("runtime", ["pyproject.toml"], [], arguments)
        lock_one("build", ["requirements/build.in"], ["runtime"], arguments)
        inputs = ["pyproject.toml", "requirements/build.in", "requirements/test.in"]
        lock_one("test", inputs, ["runtime", "build"], arguments)
        lock_one("node", ["requirements/node.in"], [], arguments)
        lock_one("lock", ["requirements/lock.in"], [], arguments)
        for folder in (ROOT, CHROMIUM_PACKAGE):
            npm(folder, "install", "--package-lock-only")


def lock_one(name: str, inputs: Sequence[str], held_to: Sequence[str], more: Arguments) -> None:
    """Write one lock file for every platform, with hashes and without an address.

    Args:
        name: The lock file's name.
        inputs: Files that list what is wanted.
        held_to: Lock files whose versions bind this one.
        more: Further arguments to uv.
    """
    run(
        [
            *(program("uv"), "pip", "compile", "--no-config", "--quiet"),
            *("--universal", "--python-version", "3.11", "--generate-hashes"),
            *("--no-emit-index-url", "--no-annotate", "--no-header"),
            *inputs,
            *(word for other in held_to for word in ("--constraint", f"requirements/{other}.txt")),
            *("--output-file", f"requirements/{name}.txt"),
            *more,
        ],
        f"requirements/{name}.txt could not be refreshed: see uv's message above",
    )


def bench(arguments: Arguments) -> None:
    """Measure the push path as scripts/bench.py does; arguments go to it."""
    become_script("bench.py", arguments)


def screenshots(arguments: Arguments) -> None:
    """Take the documentation's screenshots; arguments go to scripts/screenshots.py."""
    become_script("screenshots.py", arguments)


def become_script(name: str, arguments: Arguments) -> None:
    """Run a script that needs the installed package and a browser."""
    script = ROOT / "scripts" / name
    if not script.is_file():
        raise SetupError(f"scripts/{name} does not exist")
    with set_up_alone():
        prepare_tests()
        install_wheel(always=False)
        os.environ["KILOWATCH_CHROMIUM"] = find_chromium()
    become([PYTHON, script, *arguments])


def wheel(arguments: Arguments) -> None:
    """Build the wheel into dist/."""
    no_more(arguments)
    with set_up_alone():
        make_venv()
        install("build")
        fetch_assets()
        say(f"built {build_wheel().relative_to(ROOT)}")


def no_more(arguments: Arguments) -> None:
    """Refuse arguments where a command takes none."""
    if arguments:
        raise SetupError(f"this command takes no arguments, but got: {' '.join(arguments)}")


COMMANDS: dict[str, Callable[[Arguments], None]] = {
    "demo": demo,
    "test": test,
    "lint": lint,
    "format": format_code,
    "lock": lock,
    "bench": bench,
    "screenshots": screenshots,
    "wheel": wheel,
}


def usage() -> str:
    """List the commands with what each does."""
    lines = (f"  ./dev {name:<12}{command.__doc__}" for name, command in COMMANDS.items())
    return "\n".join(["Commands:", *lines])


def main(arguments: Arguments) -> int:
    """Run the command that the arguments name and return the exit code."""
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        print(f"dev: there is no command {name!r}\n{usage()}", file=sys.stderr)
        return 2
    os.chdir(ROOT)
    try:
        COMMANDS[name](rest)
    except SetupError as error:
        print(f"dev {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
