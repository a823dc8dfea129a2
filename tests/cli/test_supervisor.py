"""The parent of the processes stays in order whatever its children do."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

from kilowatch.cli.settings import Settings
from kilowatch.cli.supervisor import AGAIN_S, Child, Signals
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
