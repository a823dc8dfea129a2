"""A program that pushes into a log until it is killed, and tells what was acknowledged.

Arguments: the log's file and a seed. It writes one line for each acknowledged packet:
series, minute and outcome, after the outcome is known and never before.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from threading import Semaphore
from typing import Any

from kilowatch.log import LogReader, LogWriter, Outcome
from kilowatch.model.packet import Form
from kilowatch.wire import decode
from tests.log.pushing import RECEIVED_MS, Push, at_ms

STREAMS = 12
IN_FLIGHT = 40


def main(path: Path, seed: int) -> None:
    """Push for ever: each stream goes on where it is, with repeats and late packets."""
    chance = random.Random(seed)
    heads = {series: LogReader(path).head(series) for series in range(1, STREAMS + 1)}
    start = at_ms(0)
    minutes = {s: (h.entry.at_ms - start) // 60_000 if h else 0 for s, h in heads.items()}

    def answer(answers: list[tuple[Any, Outcome]]) -> None:
        lines = "".join(f"{push.series} {push.minute} {o.status}\n" for push, o in answers)
        os.write(1, lines.encode())
        for _ in answers:
            free.release()

    free = Semaphore(IN_FLIGHT)
    writer = LogWriter(path, on_done_batch=answer, segment_rows=500, upkeep_s=0.02)
    while True:
        free.acquire()
        series = chance.randrange(1, STREAMS + 1)
        step = chance.choice([1, 1, 1, 0, -1])
        minutes[series] += max(0, step)
        push = Push(series, minutes[series] + min(0, step), {"value": float(minutes[series])})
        packet = decode(push.body, Form.LOCAL)
        writer.submit(series, packet, Form.LOCAL, push.body, RECEIVED_MS, 7, push)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
