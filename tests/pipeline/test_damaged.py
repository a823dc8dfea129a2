"""Files of what is found again: one that a disk has damaged stops nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.silences import Silences

NOW_MS = 1_717_000_000_000

OPENERS: tuple[Callable[[Path], Any], ...] = (InsightFile, lambda path: Silences(path, NOW_MS))


@pytest.mark.parametrize("opened", OPENERS, ids=["insights", "silences"])
def test_a_damaged_file_is_put_aside_and_made_anew(
    tmp_path: Path, opened: Callable[[Path], Any]
) -> None:
    """Whoever wants to look at it finds it whole beside the new one, which opens from then on."""
    path = tmp_path / "kept.sqlite"
    opened(path).close()
    torn = b"SQLite format 3\0" + b"\xff" * 8_000
    path.write_bytes(torn)
    path.with_name("kept.sqlite-wal").write_bytes(b"of the damaged one")
    opened(path).close()
    (aside,) = tmp_path.glob("kept.sqlite.broken-*")
    assert aside.read_bytes() == torn
    opened(path).close()
    assert list(tmp_path.glob("kept.sqlite.broken-*")) == [aside], "the new one is whole"
