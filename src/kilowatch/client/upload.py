"""Pushes a file: every stream in the order of its lines, all streams side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from kilowatch.client.answers import Answer, Outcome
from kilowatch.client.journal import Journal
from kilowatch.client.pusher import Pusher
from kilowatch.client.source import Line

AHEAD = 200
"""Lines of one stream that are read ahead: enough to keep it busy, and little memory."""

OnLine = Callable[[Line], None]


async def upload(
    lines: Iterable[Line], pusher: Pusher, journal: Journal, on_line: OnLine = lambda _: None
) -> None:
    """Push the lines that the journal does not have as finished, and keep their answers.

    Args:
        lines: Packets in the order of the file.
        pusher: Where to.
        journal: What is finished; its summary is the result.
        on_line: Called with each line that is finished, in this run or an earlier one.

    Raises:
        PushStopped: A person must mend something first; push again afterwards.
        KilowatchError: The file cannot be read.
    """
    lanes: dict[str, asyncio.Queue[Line | None]] = {}

    def finish(line: Line, answer: Answer) -> None:
        journal.add(line, answer)
        on_line(line)

    async def lane(stream_id: str, queue: asyncio.Queue[Line | None]) -> None:
        while (line := await queue.get()) is not None:
            if line.mistake:
                finish(line, Answer(Outcome.REFUSED, 0, "not_pushed", line.mistake))
            else:
                finish(line, await pusher.push(stream_id, line.body))

    try:
        async with asyncio.TaskGroup() as group:
            for line in lines:
                if journal.finished(line):
                    on_line(line)
                    continue
                queue = lanes.get(line.stream_id)
                if queue is None:
                    queue = lanes[line.stream_id] = asyncio.Queue(AHEAD)
                    group.create_task(lane(line.stream_id, queue))
                await queue.put(line)
            for queue in lanes.values():
                await queue.put(None)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
