"""Opens a stopped server's store in a process of its own and returns what it really holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

READ = """
import sys
from pathlib import Path
import numpy as np
from kilowatch import catalog
from kilowatch.catalog import directory
from kilowatch.model.blocks import IntervalBlock
from kilowatch.store import ChdbStore

data, out = Path(sys.argv[1]), sys.argv[2]
registered = catalog.open(data / "catalog.sqlite")
points = directory.load(registered, "development").points
store = ChdbStore(data / "store")
columns = {}
for series, point in points.items():
    readings = store.own.readings([series], -(2**60), 2**60)
    columns[f"{point.stream_id}/at_ms"] = readings.at_ms
    columns[f"{point.stream_id}/seq"] = readings.seq
    rows = store.own.intervals({series: 1}, None, -(2**60), 2**60)
    for name in ("channel", "start_ms", "duration_ms", "count", "amount", "unallocated"):
        columns[f"{point.stream_id}/interval/{name}"] = getattr(rows, name)
np.savez(out, **columns)
store.close()
"""


def stored(data: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Return the store's columns by ``stream/column``; the server must have stopped."""
    out = data.parent / "stored.npz"
    done = subprocess.run(
        [sys.executable, "-c", READ, str(data), str(out)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(out) as columns:
        return {name: columns[name] for name in columns}
