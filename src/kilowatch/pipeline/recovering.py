"""Find the pipeline's state again in the store, when its own file is gone.

Whoever deletes that file gets every figure computed again from the readings; nothing is lost but
the counts of unknown parameter names, and the conflicts that wait for a person.
"""

from __future__ import annotations

from kilowatch.pipeline.state import Progress, StreamState
from kilowatch.pipeline.state_file import StateFile
from kilowatch.store.store import Reads


def recovered(reads: Reads, file: StateFile) -> dict[int, StreamState]:
    """Return a state for every stream that the store knows; its figures have to be made again.

    Packets that the log still holds are counted once: up to its last stored one each stream
    ignores them.

    Args:
        reads: The store.
        file: The new file; generations that the store has seen are noted in it.
    """
    states = {}
    for series, stored in reads.streams().items():
        file.note_generation(series, max(stored.generation, 1) + 1)
        states[series] = StreamState(
            progress=Progress(generation=stored.generation + 1),
            seq=stored.seq,
            packets=stored.packets,
            at_ms=stored.at_ms,
            stale="the pipeline's own file was gone",
        )
    return states
