"""The command line in a data folder of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from kilowatch.cli.app import command_line
from kilowatch.model.errors import KilowatchError


@dataclass
class Said:
    """What a command printed, and how it ended."""

    text: str
    refusal: KilowatchError | None

    @property
    def json(self) -> Any:
        """Read what was printed as JSON."""
        assert self.refusal is None, self.refusal
        return json.loads(self.text)


@cache
def _commands() -> typer.Typer:
    """Return every command; made once, since a command line never has to forget one."""
    return command_line()


@dataclass
class Shell:
    """Runs the registration commands in this process, always in the same data folder."""

    folder: Path

    def __call__(self, *arguments: str) -> Said:
        """Run a command; a refusal is caught, anything else that goes wrong is not."""
        done = CliRunner().invoke(_commands(), [*arguments, "--data", str(self.folder)])
        if done.exception is not None and not isinstance(done.exception, KilowatchError):
            raise AssertionError(done.output) from done.exception
        return Said(done.stdout, done.exception)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a command line with an empty data folder."""
    return Shell(tmp_path / "data")


@pytest.fixture
def acme(shell: Shell) -> dict[str, Any]:
    """Make a startup package for Acme; returns what a program is told."""
    package: dict[str, Any] = shell(
        "startup-package", "--organization", "Acme", "--email", "ann@example.com", "--json"
    ).json
    return package
