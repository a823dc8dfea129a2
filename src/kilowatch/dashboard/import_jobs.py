"""Looking at a file of history, and putting it in: away from the pages, one file at a time.

A large file takes seconds. Pages go on meanwhile: the work is done in one thread of its own, and
who waits for it asks how far it is. What was found is kept in memory; after a restart a file is
looked at again, which changes nothing.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from kilowatch.client.columns import Shape, lines
from kilowatch.client.history import PutIn
from kilowatch.client.source import Line
from kilowatch.dashboard.needs import Past, View
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import AP, PC, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.pipeline import importing
from kilowatch.pipeline.importing import DryRun, Mistake

_log = logging.getLogger(__name__)

JOBS_MAX = 50  # looked at and not yet thrown away; the oldest is looked at again when needed
SHOWN_MAX = 100
DAYS_SHOWN = 92
FILE_LINES_MAX = 1_000_000

State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with a file.

    Attributes:
        text: The file.
        shape: How it is read.
        points: The data points that the person manages, by stream id.
        streams: Stream id by what a file may call a data point.
        now_ms: The present [ms since 1970, UTC].
    """

    text: str
    shape: Shape
    points: Mapping[str, DataPoint]
    streams: Mapping[str, str]
    now_ms: int

    def read(self) -> Iterator[Line]:
        """Return the file's packets.

        Raises:
            KilowatchError: ``unreadable_file``.
        """
        zones = {stream: point.zone for stream, point in self.points.items()}
        return lines(self.text, self.shape, self.streams, zones)


@dataclass(frozen=True, slots=True)
class Day:
    """A local day as it is and as it would be; None where there is nothing."""

    start_ms: int
    before: float | None
    after: float | None


@dataclass(slots=True)
class PointRun:
    """What a file does to one data point.

    Attributes:
        point: The data point.
        run: What was found in the dry run.
        days: The days that change, of the quantity that tells most.
        channel: Which quantity that is.
        put_in: What became of its packets, once they were put in.
    """

    point: DataPoint
    run: DryRun
    days: list[Day] = field(default_factory=list)
    channel: int = VALUE
    put_in: PutIn | None = None


@dataclass(slots=True)
class Job:
    """A file that is looked at, or put in.

    Attributes:
        step: ``check`` or ``apply``.
        state: Whether it has begun, ended, or failed.
        done: Share of the work [0, 1].
        runs: By data point, by name.
        mistakes: Lines that belong to no data point, the first of them.
        lost: How many such lines there are.
        error: Why it failed.
        reason: Why the person puts the file in.
    """

    step: Literal["check", "apply"] = "check"
    state: State = "waiting"
    done: float = 0.0
    runs: list[PointRun] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    lost: int = 0
    error: str = ""
    reason: str = ""

    @property
    def ready(self) -> bool:
        """Whether it was looked at, so that it can be put in."""
        return self.step == "check" and self.state == "done"

    @property
    def finished(self) -> bool:
        """Whether nothing is under way."""
        return self.state in ("done", "failed")

    def count(self, name: str) -> int:
        """Return the sum of a figure of the dry run over all data points."""
        return sum(getattr(one.run, name) for one in self.runs)


class Jobs:
    """All files that are under way, by number; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="import")

    def of(self, number: int) -> Job | None:
        """Return a file's job."""
        with self._lock:
            return self._jobs.get(number)

    def forget(self, number: int) -> None:
        """Let go of a file that is not under way."""
        with self._lock:
            self._jobs.pop(number, None)

    def check(self, number: int, task: Task, view: View) -> Job:
        """Begin to look at a file."""
        job = Job()
        self._begin(number, job, lambda: _check(job, task, view))
        return job

    def apply(
        self,
        number: int,
        task: Task,
        past: Past,
        actor: str,
        reason: str,
        record: Callable[[DataPoint, PutIn], None],
    ) -> Job | None:
        """Begin to put a file in that was looked at; None where it was not, or is under way.

        Args:
            number: The file's.
            task: As for the look.
            past: Where packets are put in.
            actor: Who does it.
            reason: Why.
            record: Writes into the history what was put in.
        """
        with self._lock:
            job = self._jobs.get(number)
            if job is None or not job.ready:
                return None
            job.step, job.state, job.done, job.reason = "apply", "waiting", 0.0, reason
        self._begin(number, job, lambda: _apply(job, task, past, actor, record))
        return job

    def _begin(self, number: int, job: Job, work: Callable[[], None]) -> None:
        with self._lock:
            self._jobs[number] = job
            self._jobs.move_to_end(number)
            idle = [key for key, one in self._jobs.items() if one.finished]
            for key in idle[: max(0, len(self._jobs) - JOBS_MAX)]:
                del self._jobs[key]
        self._worker.submit(_guarded, job, work)


def _guarded(job: Job, work: Callable[[], None]) -> None:
    job.state = "running"
    try:
        work()
    except KilowatchError as error:
        job.error = f"{error.detail} {error.remedy}".strip()
        job.state = "failed"
    except Exception:  # noqa: BLE001 - whatever it is, the page must not wait for ever
        _log.exception("a file of history could not be worked through")
        job.error = "It could not be worked through; the server's log has the reason."
        job.state = "failed"
    else:
        job.done, job.state = 1.0, "done"


def _check(job: Job, task: Task, view: View) -> None:
    by_stream: dict[str, list[Line]] = {}
    for count, line in enumerate(task.read()):
        if count >= FILE_LINES_MAX:
            raise KilowatchError(
                "too_many_lines",
                f"The file has more than {FILE_LINES_MAX:,} values.",
                remedy="Split it.",
            )
        if line.stream_id in task.points:
            by_stream.setdefault(line.stream_id, []).append(line)
            continue
        job.lost += 1
        if len(job.mistakes) < SHOWN_MAX:
            said = line.mistake or f"There is no data point {line.stream_id!r} here."
            job.mistakes.append(Mistake(line.number, "no_data_point", said))
    total, passed = sum(map(len, by_stream.values())) or 1, 0
    for stream, own in by_stream.items():
        point = task.points[stream]
        counted = _counting(own, job, passed, total)
        run = importing.dry_run(view, point, counted, task.now_ms)
        channel = _telling(run)
        job.runs.append(PointRun(point, run, _days(run, channel), channel))
        passed += len(own)
    job.runs.sort(key=lambda one: one.point.name.casefold())


def _apply(
    job: Job,
    task: Task,
    past: Past,
    actor: str,
    record: Callable[[DataPoint, PutIn], None],
) -> None:
    wanted = {one.point.stream_id: one for one in job.runs if one.run.new or one.run.conflicting}
    by_stream: dict[str, list[Line]] = {stream: [] for stream in wanted}
    for line in task.read():
        if line.stream_id in by_stream:
            by_stream[line.stream_id].append(line)
    total, passed = sum(map(len, by_stream.values())) or 1, 0
    for stream, own in by_stream.items():
        one = wanted[stream]
        counted = _counting(own, job, passed, total)
        one.put_in = importing.apply(past, one.point, counted, task.now_ms, actor, job.reason)
        record(one.point, one.put_in)
        passed += len(own)


def _counting(own: Iterable[Line], job: Job, passed: int, total: int) -> Iterator[Line]:
    for number, line in enumerate(own, start=passed + 1):
        if not number % 500:
            job.done = number / total
        yield line


def _telling(run: DryRun) -> int:
    """Return the quantity by which days are compared: the value, else energy, else power."""
    block = run.after if run.after is not None and len(run.after) else run.before
    if block is None or not len(block):
        return VALUE
    there = set(np.unique(block.channel).tolist())
    return next((channel for channel in (VALUE, PC, AP) if channel in there), min(there))


def _days(run: DryRun, channel: int) -> list[Day]:
    before, after = (_figures(block, channel) for block in (run.before, run.after))
    starts = sorted({*before, *after})
    return [Day(start, before.get(start), after.get(start)) for start in starts[:DAYS_SHOWN]]


def _figures(block: IntervalBlock | None, channel: int) -> dict[int, float | None]:
    """Return amounts by day, or means of what has no amount."""
    if block is None:
        return {}
    own = block.take(block.channel == channel)
    figures: dict[int, float | None] = {}
    for start_ms, amount, mean in zip(
        own.start_ms.tolist(), own.amount.tolist(), own.mean.tolist(), strict=True
    ):
        figure = mean if math.isnan(amount) else amount
        figures[start_ms] = None if math.isnan(figure) else figure
    return figures
