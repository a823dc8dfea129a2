"""A long file does not leave the process larger than it was."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kilowatch.exports import formats, memory, parquet_file
from kilowatch.exports.csv_file import csv_chunks
from kilowatch.exports.excel_file import excel_chunks
from kilowatch.exports.slices import Reader
from tests.exports.shop import WORDS, build

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PIECE_BYTES = 60_000  # below what the C library asks the system for piece by piece
PIECES = 2_000
BATCHES = 60
SLICES_HELD_MAX = 8
"""In the forms that rows take on their way: codes, texts, lines."""

ARENAS = """
import ctypes, sys, threading
from kilowatch.exports import memory

memory.bound_allocators()
bytearray(16 * 2**20)  # freed at once: by itself, glibc would map nothing shorter from here on
held = bytearray(2**20)

def work():
    blocks = [bytearray(100_000) for _ in range(50)]
    together.wait()
    del blocks

together = threading.Barrier(8)
threads = [threading.Thread(target=work) for _ in range(8)]
[one.start() for one in threads]
[one.join() for one in threads]
c = ctypes.CDLL(None)
c.fopen.restype, c.malloc_info.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
c.fclose.argtypes = (ctypes.c_void_p,)
file = c.fopen(sys.argv[1].encode(), b"w")
c.malloc_info(0, file)
c.fclose(file)
"""


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


@pytest.mark.parametrize("word", ["csv", "parquet", "xlsx"])
def test_a_file_is_written_from_a_few_slices_however_long_it_is(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrow holds no more at the sixtieth slice than at the tenth, and what is written is sent."""
    monkeypatch.setattr(parquet_file, "ROWS_A_GROUP", 2_000)
    shop = build(tmp_path)
    table = formats.table_of(shop.plan("period=everything grain=interval"), Reader(shop.view))
    few = pa.Table.from_batches(list(table.batches))
    rows = pa.concat_tables([few] * (2_000 // few.num_rows)).unify_dictionaries()
    packed = pa.BufferOutputStream()
    with pa.ipc.new_stream(packed, rows.schema) as stream:
        stream.write_batch(rows.combine_chunks().to_batches()[0])
    slice_bytes = packed.getvalue().to_pybytes()
    held: list[int] = []
    sent: list[int] = []
    before = pa.total_allocated_bytes()

    def batches() -> Iterator[pa.RecordBatch]:
        for _ in range(BATCHES):
            held.append(pa.total_allocated_bytes() - before)
            copied = pa.allocate_buffer(len(slice_bytes))
            memoryview(copied).cast("B")[:] = slice_bytes
            yield pa.ipc.open_stream(copied).read_next_batch()

    long = replace(table, batches=batches())
    if word == "csv":
        chunks = csv_chunks(long)
    elif word == "parquet":
        chunks = parquet_file.parquet_chunks(long, {})
    else:
        chunks = excel_chunks(long, WORDS)
    half = 0
    for piece in chunks:
        sent.append(len(piece))
        if len(held) <= BATCHES // 2:
            half = sum(sent)
    assert len(held) == BATCHES
    assert max(held) < SLICES_HELD_MAX * len(slice_bytes)
    assert max(held[BATCHES // 2 :]) <= 1.2 * max(held[: BATCHES // 2])
    if word != "xlsx":  # which is put together in a file on the disk
        assert half > sum(sent) / 3


@pytest.mark.skipif(memory.mallopt_of_system() is None, reason="this C library has no such limits")
def test_threads_share_two_arenas_and_large_blocks_go_back_at_once(tmp_path: Path) -> None:
    """Eight threads that work at the same time leave two arenas; a megabyte is mapped by itself."""
    told = tmp_path / "malloc.xml"
    subprocess.run([sys.executable, "-c", ARENAS, str(told)], check=True)
    found = told.read_text(encoding="ascii")
    assert len(re.findall("<heap nr=", found)) <= memory.ARENAS_MAX
    mapped = re.search(r'<total type="mmap" count="\d+" size="(\d+)"', found)
    assert mapped
    assert int(mapped[1]) >= 2**20
