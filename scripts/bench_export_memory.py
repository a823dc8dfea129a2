"""Measure whether the memory of an export grows with its length.

    .venv/bin/python scripts/estate.py DIR          # once
    .venv/bin/python scripts/bench_export_memory.py DIR [--formats csv,parquet] [--sites N]

Opens the folder as ``kilowatch export`` does where no server runs, and writes every interval of
every data point, which is counted and thrown away. The process is looked at five times a second:
the table says the most it held until a twentieth, a fifth, and all of the file was written, in one
run. *Anonymous* memory is what it has allocated, in whichever of its allocators; the rest of the
resident set is pages of files (libraries, mostly), which the system takes back as it likes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kilowatch import __version__
from kilowatch.cli import at_rest
from kilowatch.cli.registration import Server
from kilowatch.exports.definition import Definition

LOOK_S = 0.2
SHARES = (20, 5, 1)


@dataclass
class Held:
    """What a process held while a file grew.

    Attributes:
        pid: The process.
        size: How much of the file there is [bytes]; whoever writes it counts.
        idle: Anonymous memory and resident set before [MiB].
        looks: Size, anonymous memory and resident set at each look [bytes, MiB, MiB].
    """

    pid: int
    size: int = 0
    idle: tuple[float, float] = (0.0, 0.0)
    looks: list[tuple[int, float, float]] = field(default_factory=list)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look until the block ends."""
        self.idle = held_mib(self.pid)
        over = threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_S):
                self.looks.append((self.size, *held_mib(self.pid)))

        looking = threading.Thread(target=watch, daemon=True)
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()

    def lines(self, title: str) -> list[str]:
        """Return a row of the table for each share of the file."""
        found = []
        for share in SHARES:
            until = [one for one in self.looks if one[0] <= self.size / share]
            anonymous, resident = (max((one[n] for one in until), default=0.0) for n in (1, 2))
            found.append(
                f"| {title} | {'all' if share == 1 else f'1/{share}'} "
                f"| {self.size / share / 2**20:,.0f} | {self.idle[0]:,.0f} | {anonymous:,.0f} "
                f"| {self.idle[1]:,.0f} | {resident:,.0f} |"
            )
        return found


HEAD = (
    "| format | of the file | MiB written | anonymous before | most anonymous MiB "
    "| resident before | most resident MiB |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |"
)


def held_mib(pid: int) -> tuple[float, float]:
    """Return a process's anonymous memory and its resident set [MiB]."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB\nRssAnon:\s+(\d+) kB", status)
    assert found
    return int(found[2]) / 1024, int(found[1]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--formats", default="csv,parquet")
    parser.add_argument("--sites", type=int, default=0, help="only so many sites of the estate")
    wanted = parser.parse_args()
    load = os.getloadavg()[0]
    places = tuple(f"s{number}" for number in range(1, wanted.sites + 1)) or ("o1",)
    asked = Definition(places=places, period="everything", grain="interval")
    lines, told = [HEAD], []
    for word in wanted.formats.split(","):
        held = Held(os.getpid())
        rows, began_s, cpu_s = 0, time.monotonic(), time.process_time()
        with (
            at_rest.file(Server.of(wanted.folder), asked, word, "bench") as (pieces, _),
            held.watched(),
        ):
            for piece in pieces:
                held.size += len(piece)
                rows += piece.count(b"\n") if word == "csv" else 0
        cpu_s = time.process_time() - cpu_s
        lines += held.lines(word)
        counted = f"{rows - 1:,} rows, " if word == "csv" else ""
        told.append(
            f"{word}: {counted}{held.size / 2**20:,.0f} MiB, {time.monotonic() - began_s:,.0f} s, "
            f"{cpu_s:,.0f} s of processor time."
        )
        print("\n".join((*lines[-len(SHARES) :], told[-1])), file=sys.stderr, flush=True)
    print(
        f"Kilowatch {__version__}, {dt.datetime.now(dt.UTC).date()}: {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, load average {load:.1f} before the run.\n"
    )
    print("\n".join((*lines, "", *told)))


if __name__ == "__main__":
    main()
