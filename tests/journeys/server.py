"""Starts the real program for a journey, kills it as a power cut would, and asks it things."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_S_MAX = 120.0

FREE_PORTS = ("--push-http-port", "--push-https-port", "--dashboard-port", "--dashboard-https-port")


def kilowatch(*arguments: str, data: Path | None = None, check: bool = True) -> str:
    """Run a command of the installed program and return what it printed."""
    command = [sys.executable, "-m", "kilowatch", *arguments]
    if data is not None:
        command += ["--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if check and done.returncode:
        msg = f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        raise AssertionError(msg)
    return done.stdout


@dataclass(slots=True)
class Server:
    """One ``kilowatch serve`` on free ports.

    Attributes:
        data: Its data folder.
        output: Where its output goes, for a person who reads a failed run.
        flags: Further arguments of ``serve``.
    """

    data: Path
    output: Path
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    addresses: dict[str, Any] = field(default_factory=dict)

    def start(self, ports: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Server:
        """Start the program and wait until it says where it listens."""
        command = [sys.executable, "-m", "kilowatch", "serve", "--data", str(self.data)]
        for flag, port in zip(FREE_PORTS, ports, strict=True):
            command += [flag, str(port)]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, *self.flags], stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with suppress(FileNotFoundError, json.JSONDecodeError):
                self.addresses = json.loads((self.data / "addresses.json").read_text())
                if self.addresses["pids"]["serve"] == self.process.pid:
                    return self
            time.sleep(0.05)
        msg = f"the server did not start:\n{self.output.read_text(errors='replace')[-4000:]}"
        raise AssertionError(msg)

    def pids(self) -> dict[str, int]:
        """Return the process numbers of parent, collector and platform."""
        assert self.process is not None
        return {"serve": self.process.pid, **self.addresses.get("pids", {})}

    def refresh(self, until_other: str) -> None:
        """Wait until the parent has started a killed child again."""
        before = self.pids()[until_other]
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            with suppress(FileNotFoundError, json.JSONDecodeError):
                self.addresses = json.loads((self.data / "addresses.json").read_text())
            if self.pids()[until_other] != before:
                return
            time.sleep(0.05)
        msg = f"the {until_other} was not started again"
        raise AssertionError(msg)

    def kill(self) -> None:
        """End every process at once, as a power cut would, and wait until all are gone."""
        for pid in self.pids().values():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(timeout=10)
        wait_until_gone(self.pids().values())

    def stop(self) -> int:
        """Stop it as Ctrl-C does and return its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def wait_until_gone(pids: Any, seconds: float = 20.0) -> None:
    """Wait until no process of these numbers runs any more."""
    deadline = time.monotonic() + seconds
    left = set(pids)
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if _alive(pid)}
        time.sleep(0.02)
    assert not left, f"processes {left} are still there"


def _alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False
