"""Push packets into a log and wait for their outcomes, as the collector does."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from kilowatch.log import LogWriter, Outcome
from kilowatch.model.packet import Form
from kilowatch.wire import decode

START = datetime(2026, 3, 29, 12, tzinfo=UTC)
RECEIVED_MS = 1_774_785_600_000


class Push(NamedTuple):
    """A packet to push: ``minute`` after noon, values by parameter."""

    series: int
    minute: int
    values: dict[str, float]
    form: Form = Form.LOCAL

    @property
    def body(self) -> bytes:
        """The packet as a client writes it."""
        stamp = (START + timedelta(minutes=self.minute)).isoformat()
        values = "".join(f',"{name}":{value!r}' for name, value in self.values.items())
        return f'{{"id":"stream-{self.series}","tsISO8601":"{stamp}"{values}}}'.encode()


def at_ms(minute: int) -> int:
    """Return the instant of a minute after noon [ms since 1970]."""
    return int(START.timestamp() * 1000) + minute * 60_000


class Pushing:
    """A writer whose pushes can be waited for.

    Args:
        path: The log's file.
        **settings: For ``LogWriter``.
    """

    def __init__(self, path: Path, **settings: Any) -> None:
        self.path = path
        self.commits: list[int] = []
        self.batches: list[int] = []
        settings.setdefault("upkeep_s", 0.05)
        settings.setdefault("clock", lambda: RECEIVED_MS / 1000)
        self.writer = LogWriter(
            path, on_commit=self.commits.append, on_done_batch=self._done, **settings
        )

    def _done(self, answers: list[tuple[Any, Outcome]]) -> None:
        self.batches.append(len(answers))
        for done, outcome in answers:
            done(outcome)

    def submit(self, pushes: Iterable[Push]) -> list[Outcome | threading.Event]:
        """Submit without waiting; each place holds an event and later its outcome."""
        places: list[Any] = []
        for push in pushes:
            event = threading.Event()
            number = len(places)
            places.append(event)

            def done(outcome: Outcome, number: int = number, event: Any = event) -> None:
                places[number] = outcome
                event.set()

            self.writer.submit(
                push.series,
                decode(push.body, push.form),
                push.form,
                push.body,
                RECEIVED_MS,
                7,
                done,
            )
        return places

    def push_all(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Submit all of them at once and wait for every outcome."""
        places = self.submit(pushes)
        return [wait(places, number) for number in range(len(places))]

    def push(self, series: int, minute: int, form: Form = Form.LOCAL, **values: float) -> Outcome:
        """Push one packet and wait for its outcome."""
        return self.push_all([Push(series, minute, values or {"value": 1.0}, form)])[0]

    def settle(self) -> None:
        """Wait until what was asked for beside packets is written."""
        for _ in range(500):
            status = self.writer.status()
            if not status["upkeep_due"] and not status["waiting"]:
                return
            time.sleep(0.02)
        raise AssertionError(self.writer.status())

    def close(self) -> None:
        """Close the writer."""
        self.writer.close()


def copy_as_after_a_crash(log: Path, folder: Path) -> Path:
    """Copy a log as ``kill -9`` leaves it: the file and its write-ahead log, nothing closed."""
    folder.mkdir(parents=True)
    for name in (log.name, log.name + "-wal"):
        shutil.copy(log.with_name(name), folder / name)
    return folder / log.name


def wait(places: list[Any], number: int) -> Outcome:
    """Wait for the outcome of a submitted packet."""
    place = places[number]
    if isinstance(place, threading.Event):
        assert place.wait(20), "no outcome after 20 s"
    outcome = places[number]
    assert isinstance(outcome, Outcome)
    return outcome
