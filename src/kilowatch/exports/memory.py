"""Freed memory goes back to the system while a long file is written.

Allocators keep what was freed, each thread's its own: after an hour of slices a process holds many
times what any of them takes. Arrow's default one (mimalloc) gives back only what the calling thread
has freed, so that a server lets Arrow use the C library's, and bounds what that one keeps.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from typing import Any

import pyarrow as pa

BATCHES_A_TRIM = 16
"""Batches between two trims: some 800,000 rows, two seconds of one core, against 10 ms."""


ARENAS_MAX = 2
"""glibc gives each thread an arena of its own, up to eight a core: what one has freed is of no use
to the others. Of sixteen in the platform three held 50 to 75 MiB each, half of it free."""

MAPPED_BYTES = 512 * 1024
"""Blocks from here on are mapped, and given back as they are freed. Left to itself, glibc raises
its limit to the largest block that was ever freed, 32 MiB at most, and leaves holes in arenas."""

FREE_TOP_BYTES = 4 * 2**20  # of an arena's end: less would ask the system again and again

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Names of ``mallopt`` in glibc's ``malloc.h``."""


def bound_allocators() -> None:
    """Let Arrow use the C library's allocator, and that one keep little of what is freed.

    Called when a process starts: threads keep the arenas that they have.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = mallopt_of_system()
    if mallopt is not None:
        mallopt(_ARENA_MAX, ARENAS_MAX)
        mallopt(_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(_TRIM_THRESHOLD, FREE_TOP_BYTES)


def lean(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches, and give back now and then what those before have needed."""
    for number, batch in enumerate(batches, start=1):
        yield batch
        if number % BATCHES_A_TRIM == 0:
            give_back()


def give_back() -> None:
    """Return memory that is free but held: Arrow's, and the C library's where it can."""
    pa.default_memory_pool().release_unused()
    trim = trim_of_system()
    if trim is not None:
        trim(0)


@cache
def trim_of_system() -> Any:
    """Return glibc's ``malloc_trim``; None where the C library has none (macOS, musl)."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


@cache
def mallopt_of_system() -> Any:
    """Return glibc's ``mallopt``; None where the C library has none (macOS, musl)."""
    return getattr(ctypes.CDLL(None), "mallopt", None)
