"""The parent of the processes stays in order whatever its children do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
import structlog

from kilowatch.cli import supervisor
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.serve import alone
from kilowatch.cli.settings import Settings
from kilowatch.cli.supervisor import AGAIN_S, Child, Signals, supervise
from kilowatch.model.errors import KilowatchError


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_child_that_cannot_start_costs_nothing_however_often_it_is_tried(tmp_path: Path) -> None:
    """A platform that is started again for a night must not wear out the parent."""

    async def tries() -> tuple[int, int]:
        child = Child("nobody", {"folder": str(tmp_path), "settings": asdict(Settings())})
        counts = []
        for _ in range(4):
            with pytest.raises(KilowatchError) as caught:
                await child.start()
            assert caught.value.code == "child_died"
            counts.append(_open_files())
        return counts[0], counts[-1]

    first, last = asyncio.run(tries())
    assert last <= first, "each try leaves an open file behind"


def test_who_asks_twice_to_stop_is_not_kept_waiting() -> None:
    """The first Ctrl-C ends all in order, the next one at once; a wrapper's echo is neither."""
    said: list[bool] = []
    ended: list[str] = []
    child = SimpleNamespace(end=lambda: ended.append("child"))
    now_s = [50.0]
    signals = Signals([child], said.append, lambda: now_s[0])  # type: ignore[list-item]
    signals.ask()
    assert (signals.stop.is_set(), said, ended) == (True, [False], [])
    now_s[0] += AGAIN_S / 2
    signals.ask()
    assert ended == []
    now_s[0] += AGAIN_S
    signals.ask()
    signals.ask()
    assert (said, ended) == ([False, True], ["child"])


def test_a_refusal_of_a_child_reaches_the_operator_in_its_own_words(tmp_path: Path) -> None:
    """A wrong setting that only the process can see is told like any other."""
    settings = Settings(trusted_proxies=("not a network",), push_http_port=0, push_https_port=0)
    (tmp_path / "log").mkdir()

    async def start() -> None:
        await Child("collector", {"folder": str(tmp_path), "settings": asdict(settings)}).start()

    with pytest.raises(KilowatchError, match="not a network"):
        asyncio.run(start())


def test_a_start_waits_for_processes_whose_parent_was_killed_and_for_no_server_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An orphan may be sending a message still: beside another platform it would go out twice."""
    folder = DataFolder(tmp_path)
    passed: list[int] = []

    async def made(*_: object, pass_fds: list[int], **__: object) -> None:
        passed.extend(pass_fds)
        raise BlockingIOError

    with alone(folder, "platform") as lock:
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "create_subprocess_exec", made)
            before = len(list(Path("/dev/fd").iterdir()))
            with pytest.raises(BlockingIOError):
                asyncio.run(Child("platform", {}, lock=lock).start())
            open_now = len(list(Path("/dev/fd").iterdir()))
            assert open_now <= before, "it is tried again every few seconds"
        assert lock in passed
        orphan = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE, pass_fds=[lock],
        )  # fmt: skip
    waited = []

    def ends(_seconds: float) -> None:
        waited.append(orphan.communicate())

    monkeypatch.setattr(time, "sleep", ends)
    with (
        pytest.raises(KilowatchError, match="already running"),
        alone(folder, "platform", wait_s=60.0),
    ):
        pass
    assert not waited, "who took the lock is there: ourselves"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "platform.lock").write_text(str(gone.pid))
    with alone(folder, "platform", wait_s=60.0):
        assert orphan.returncode == 0
    assert len(waited) == 1


FULL = (
    "import errno, json, os, sys, tempfile\n"
    "from kilowatch.cli import child\n"
    "async def run(folder, settings, stop, ready):\n"
    "    raise RuntimeError('whatever the database says of it')\n"
    "def full(*_, **__):\n"
    "    raise OSError(errno.ENOSPC, 'No space left on device')\n"
    "if sys.argv[2] == 'full':\n"
    "    tempfile.TemporaryFile = full\n"
    "sys.modules['nobody'] = type('nobody', (), {'run': staticmethod(run)})\n"
    "child.PROCESSES['nobody'] = 'nobody'\n"
    "life, parent = os.pipe()\n"
    "heard, ready = os.pipe()\n"
    "os.set_blocking(heard, False)\n"
    "os.write(parent, sys.argv[1].encode() + b'\\n')\n"
    "os.close(parent)\n"
    "try:\n"
    "    child.main(['nobody', str(life), str(ready)])\n"
    "finally:\n"
    "    os.write(1, os.read(heard, 5000) if sys.argv[2] == 'full' else b'')\n"
)


def test_a_start_on_a_full_disk_says_that_it_is_full_and_anything_else_what_it_is(
    tmp_path: Path,
) -> None:
    """Whoever reads "disk I/O error" looks for the fault in the wrong place."""
    told = json.dumps({"folder": str(tmp_path), "settings": asdict(Settings())})
    full, other = (
        subprocess.run(
            [sys.executable, "-c", FULL, told, disk], capture_output=True, text=True, check=False
        )
        for disk in ("full", "roomy")
    )
    said = json.loads(full.stdout)
    assert said["refused"] == "folder_unusable"
    assert "No space left on device" in said["detail"]
    assert "Make room" in said["remedy"]
    assert "whatever the database says" in other.stderr
    assert not list(tmp_path.iterdir()), "what was tried leaves nothing behind"


def test_a_process_that_is_started_again_on_a_full_disk_ends_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That its number can't be written down is no reason to take no packets any more."""
    monkeypatch.setattr(supervisor, "RESTART_S_MIN", 0.0)
    monkeypatch.setattr(supervisor, "RESTART_S_MAX", 0.0)
    written: list[dict[str, Any]] = []
    failures = [KilowatchError("folder_unusable", "The disk is full."), None]

    class Once:
        """A process that ends once, and then lives."""

        name = "collector"
        ready: ClassVar[dict[str, Any]] = {"pid": 1}
        starts = 0
        process: Any = None

        async def start(self) -> None:
            self.starts += 1
            if self.starts == 2:
                raise BlockingIOError(11, "no process can be made")
            self.process = self

        async def wait(self) -> int:
            if self.starts > 1:
                await asyncio.Event().wait()
            return -9

        def let_go(self) -> None:
            pass

        async def stop(self) -> None:
            pass

    def ready(said: dict[str, Any]) -> None:
        failure = failures.pop(0) if written else None
        if failure is not None:
            raise failure
        written.append(said)
        if len(written) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    child = Once()
    asyncio.run(supervise(cast("list[Child]", [child]), on_ready=ready))
    assert child.starts == 3
    assert len(written) == 2


def test_a_fault_while_telling_of_a_restart_is_said_and_ends_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody awaits what tells of a restart: without a word, its fault would go unheard."""
    monkeypatch.setattr(supervisor, "RESTART_S_MAX", 0.0)
    tries: list[int] = []
    faults: list[Exception] = [OSError(28, "No space left on device"), ValueError("a bug")]

    def tell() -> None:
        tries.append(1)
        raise faults.pop(0)

    with structlog.testing.capture_logs() as said:
        asyncio.run(supervisor._tell(tell))
    assert len(tries) == 2, "a disk may have room again, a fault of ours stays one"
    assert [one["event"] for one in said] == ["where the processes are is not written down"] * 2
    assert said[1]["exc_info"]


def test_a_child_whose_parent_is_gone_before_it_is_ready_ends_without_a_stack(
    tmp_path: Path,
) -> None:
    """A parent may be ended while a child starts: that is no fault of the child's."""
    program = (
        "import os, sys\n"
        "from kilowatch.cli import child\n"
        "async def run(folder, settings, stop, ready):\n"
        "    ready({})\n"
        "    await stop.wait()\n"
        "sys.modules['nobody'] = type('nobody', (), {'run': staticmethod(run)})\n"
        "child.PROCESSES['nobody'] = 'nobody'\n"
        "life, parent = os.pipe()\n"
        "heard, ready = os.pipe()\n"
        "os.write(parent, sys.argv[1].encode() + b'\\n')\n"
        "os.close(parent), os.close(heard)\n"
        "sys.exit(child.main(['nobody', str(life), str(ready)]))\n"
    )
    told = json.dumps({"folder": str(tmp_path), "settings": asdict(Settings())})
    done = subprocess.run(
        [sys.executable, "-c", program, told], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
