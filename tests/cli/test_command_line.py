"""The command line loads the command that is asked for, and its help shows all of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from kilowatch.cli.app import COMMANDS, command_line


def _names(app: typer.Typer) -> list[str]:
    return list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_every_command_is_found_in_the_module_that_is_loaded_for_it() -> None:
    """What works when all commands are loaded works when only its own is; nobody is forgotten."""
    assert sorted(_names(command_line())) == sorted(COMMANDS)
    for name in COMMANDS:
        assert name in _names(command_line([name, "--data", "x"]))
    assert sorted(_names(command_line(["no-such-command"]))) == sorted(COMMANDS)


def test_a_command_does_not_load_what_only_others_need(tmp_path: Path) -> None:
    """Status on a busy machine, or a push every minute, costs a third of what it did."""
    program = (
        "import sys; sys.argv = ['kilowatch', *sys.argv[1:]]\n"
        "from kilowatch.cli.app import main\n"
        "try:\n    main()\n"
        "except SystemExit as ended:\n"
        "    print(ended.code, {'sqlalchemy', 'pyarrow', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program, "status", "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "1 set()\n"
    assert "kilowatch serve" in done.stderr, "it says what to do"


@pytest.mark.parametrize(("flag", "first"), [("--only=nobody", True), ("--help", False)])
def test_a_server_says_that_it_starts_before_anything_else(
    tmp_path: Path, flag: str, *, first: bool
) -> None:
    """Loading it takes ten seconds on a crowded machine, in which nothing seemed to happen."""
    command = [sys.executable, "-m", "kilowatch", "serve", "--data", str(tmp_path), flag]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("Kilowatch is starting …\n") == first


def test_the_platform_starts_without_pandas() -> None:
    """Arrow loads it for a list of words: an eighth of a second that every start waited for."""
    code = "import sys, kilowatch.exports.excel_file; print('pandas' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert found.stdout.strip() == "False"
