"""The parent of the processes stays in order whatever its children do."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import pytest

from kilowatch.cli.settings import Settings
from kilowatch.cli.supervisor import Child
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


def test_a_refusal_of_a_child_reaches_the_operator_in_its_own_words(tmp_path: Path) -> None:
    """A wrong setting that only the process can see is told like any other."""
    settings = Settings(trusted_proxies=("not a network",), push_http_port=0, push_https_port=0)
    (tmp_path / "log").mkdir()

    async def start() -> None:
        await Child("collector", {"folder": str(tmp_path), "settings": asdict(settings)}).start()

    with pytest.raises(KilowatchError, match="not a network"):
        asyncio.run(start())
