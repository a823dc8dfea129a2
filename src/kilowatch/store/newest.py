"""Of rows with the same key, the newest: what makes replays and overlaps harmless.

The engine merges rows with an equal key some time later. Until then, and wherever rows of the
store meet rows still in memory, readers decide here, on whole rows: a NULL that corrects a 5
stays NULL, which an aggregate that skips NULL would undo.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock


def newest_intervals(block: IntervalBlock) -> IntervalBlock:
    """Return one row for each (series, channel, start), the one with the largest version.

    Args:
        block: Rows in any order, of any number of sources.

    Returns:
        Rows sorted by series, channel and start.
    """
    rows = _newest((block.series, block.channel, block.start_ms), block.version)
    return block if rows is None else block.take(rows)


def newest_readings(block: ReadingBlock) -> ReadingBlock:
    """Return one row for each (series, at), the one with the largest sequence number.

    Args:
        block: Rows in any order, of any number of sources.

    Returns:
        Rows sorted by series and instant.
    """
    rows = _newest((block.series, block.at_ms), block.seq)
    return block if rows is None else block.take(rows)


def _newest(keys: tuple[Ints, ...], version: Ints) -> Ints | None:
    """Return the rows to keep, in key order; None when that is all of them as they stand."""
    if len(version) < 2:
        return None
    if not _rises(keys).all():
        order = np.lexsort((version, *reversed(keys)))
        last = np.ones(len(order), np.bool_)
        last[:-1] = _rises(tuple(key[order] for key in keys))
        return np.asarray(order[last])
    return None


def _rises(keys: tuple[Ints, ...]) -> npt.NDArray[np.bool_]:
    """Say for each row but the last whether the next one's key is larger, shape (n - 1,)."""
    rises = np.zeros(len(keys[0]) - 1, np.bool_)
    for key in reversed(keys):
        before, after = key[:-1], key[1:]
        rises = (after > before) | ((after == before) & rises)
    return rises
