"""Run one step of set-up, and say in one sentence what failed and what to do."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class SetupError(Exception):
    """A step failed; the text says which and what to do about it."""


def say(text: str) -> None:
    """Tell the person who waits what happens now."""
    print(f"dev: {text}", flush=True)


def run(
    command: Sequence[str | Path],
    failure: str,
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command with its output shown.

    Args:
        command: The program and its arguments.
        failure: What failed and what to do, for a person.
        cwd: Folder to run it in.
        env: Variables set on top of the environment.

    Raises:
        SetupError: The command is missing or did not succeed.
    """
    try:
        done = subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, check=False)
    except OSError as error:
        raise SetupError(f"{failure} ({error})") from error
    if done.returncode != 0:
        raise SetupError(f"{failure} (exit code {done.returncode})")
