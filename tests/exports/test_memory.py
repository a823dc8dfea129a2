"""A long file does not leave the process larger than it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from kilowatch.exports import formats, memory
from tests.exports.shop import build

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PIECE_BYTES = 60_000  # below what the C library asks the system for piece by piece
PIECES = 2_000


def held_bytes() -> int:
    """Return what the process holds of the machine's memory [bytes]."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


@pytest.mark.skipif(memory.trim_of_system() is None, reason="this C library keeps what it has")
def test_what_was_freed_goes_back_to_the_system() -> None:
    """120 MB of slices are freed while one that came after them stays: most of it is given back."""
    pieces = [bytearray(PIECE_BYTES) for _ in range(PIECES)]
    last = bytearray(PIECE_BYTES)
    before = held_bytes()
    pieces.clear()
    memory.give_back()
    assert before - held_bytes() > PIECES * PIECE_BYTES / 2
    assert len(last) == PIECE_BYTES


def test_every_table_gives_back_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Now and then, between slices; the rows are all there."""
    given: list[int] = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))

    def batches() -> Iterator[pa.RecordBatch]:
        for n in range(2 * memory.BATCHES_A_TRIM + 1):
            yield pa.record_batch({"n": [n]})

    assert [batch["n"][0].as_py() for batch in memory.lean(batches())] == list(
        range(2 * memory.BATCHES_A_TRIM + 1)
    )
    assert len(given) == 2
    shop = build(tmp_path)
    seen: list[object] = []

    def noted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        seen.append(batches)
        return batches

    monkeypatch.setattr(formats, "lean", noted)
    for layout in ("long", "wide"):
        assert shop.file("csv", f"period=everything grain=day layout={layout}")
    assert len(seen) == 2
