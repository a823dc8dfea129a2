"""Tableau's extract (``.hyper``): by way of Parquet, which Tableau's own engine reads.

It needs the package ``tableauhyperapi`` (Apache-2.0, by Salesforce), which is an extra: it brings
an engine of 90 MB.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from kilowatch.exports.parquet_file import parquet_chunks
from kilowatch.exports.tables import Table
from kilowatch.model.errors import KilowatchError

CHUNK_BYTES = 256 * 1024
LOOK_S = 0.25  # between two looks at whether somebody still waits


def hyper_chunks(table: Table, about: Mapping[str, str]) -> Iterator[bytes]:
    """Yield nothing while the extract is made, then the extract piece by piece.

    Raises:
        KilowatchError: 500 ``tableau_failed``, with what its engine said.
    """
    with tempfile.TemporaryDirectory(prefix="kilowatch-export-") as folder:
        source, target = Path(folder) / "rows.parquet", Path(folder) / "export.hyper"
        with source.open("wb") as file:
            for piece in parquet_chunks(table, about):
                file.write(piece)
                yield b""
        yield from _converted(source, target)
        source.unlink()
        with target.open("rb") as made:
            while piece := made.read(CHUNK_BYTES):
                yield piece


def _converted(source: Path, target: Path) -> Iterator[bytes]:
    command = [sys.executable, "-m", "kilowatch.exports.hyper_child", str(source), str(target)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while True:
            try:
                _, said = child.communicate(timeout=LOOK_S)
                break
            except subprocess.TimeoutExpired:
                yield b""
    finally:
        child.kill()
        child.wait()
    if child.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise KilowatchError(
            "tableau_failed", f"Tableau's engine could not make the extract: {last[:300]}",
            status=500, remedy="Take Parquet or CSV, which Tableau reads as well.",
        )  # fmt: skip
