"""The platform stands still for a backup for as long as somebody listens, and no longer."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

import apsw
import httpx
import pytest
from starlette.applications import Starlette

from kilowatch.cli import backup_source, standing_still
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.listeners import listener, serve_all, take_path
from kilowatch.cli.standing_still import StandingStill
from kilowatch.cli.standstill import Standstill, copied
from kilowatch.model.errors import KilowatchError
from kilowatch.store import freezing
from tests.journeys.waiting import until


class Resting:
    """A pipeline that is at rest, or still opens; it notes what it is asked for."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self.opening = self.writing = False
        self.future: Future[None] = Future()
        self.asked: list[object] = []

    def between_writes(self, work: Callable[[], None]) -> Future[None]:
        """Do it at once."""
        if self.opening:
            raise KilowatchError("starting", "The store is still opening.", status=503)
        if self.writing:
            return self.future
        done: Future[None] = Future()
        work()
        done.set_result(None)
        return done

    def freeze(self) -> None:
        """Freeze an empty store."""
        self.asked.append("freeze")
        freezing.link_parts(self.folder.store)

    def keep_log(self, wanted: bool) -> None:
        """Note whether segments must stay."""
        self.asked.append(wanted)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """Return a data folder with a file of each sort."""
    made = DataFolder(tmp_path / "data")
    made.create()
    for path in (made.notify, made.silences, made.insights, made.pipeline):
        connection = apsw.Connection(str(path))
        connection.execute("PRAGMA journal_mode = WAL; CREATE TABLE there (one)")
        connection.close()
    return made


@pytest.fixture
def pipeline(folder: DataFolder) -> Iterator[Resting]:
    """Serve ``/backup`` of a pipeline on the folder's socket."""
    resting = Resting(folder)
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        still, stopping = StandingStill(folder, resting), asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopping.set))
        app = Starlette(routes=[still.route()])
        await serve_all([(listener(app), take_path(folder.control_socket))], stopping)
        await still.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    until(lambda: folder.control_socket.exists() and stop)
    yield resting
    stop[0]()
    thread.join(30)
    assert not thread.is_alive()


def client(folder: DataFolder) -> httpx.Client:
    """Return a client of the folder's platform."""
    transport = httpx.HTTPTransport(uds=str(folder.control_socket))
    return httpx.Client(transport=transport, base_url="http://kilowatch", timeout=30)


def test_files_stand_still_until_the_command_is_gone(folder: DataFolder, pipeline: Resting) -> None:
    """The log keeps what the frozen store lacks; when nobody listens any more all is let go of."""
    with client(folder) as one, one.stream("GET", "/backup") as answer:
        lines = answer.iter_lines()
        assert "held" in json.loads(next(lines))
        assert json.loads(next(lines)) == {"copied": True}
        assert sorted(copied(folder)) == [
            "insights.sqlite", "notify.sqlite", "pipeline.sqlite", "silences.sqlite",
        ]  # fmt: skip
        assert freezing.frozen(folder.store).exists()
        assert next(lines) == "", "a sign of life"
        assert pipeline.asked == [True, "freeze"], "in this order: nothing is dropped meanwhile"
    until(lambda: pipeline.asked[-1] is False)
    assert not folder.backup.exists()
    assert not freezing.frozen(folder.store).exists()
    with pytest.raises(KilowatchError) as refusal:
        copied(folder)
    assert refusal.value.code == "backup_broken"


def test_a_second_command_waits_for_the_first_to_be_cleared_up(
    folder: DataFolder, pipeline: Resting
) -> None:
    """Who comes after a killed one gets files of its own moment."""
    assert not pipeline.asked
    with client(folder) as one, one.stream("GET", "/backup") as first:
        lines = first.iter_lines()
        assert "held" in json.loads(next(lines))
        assert "copied" in json.loads(next(lines))
        with client(folder) as two, two.stream("GET", "/backup") as second:
            waiting = second.iter_lines()
            assert next(waiting) == "", "it waits"
            lines.close()  # type: ignore[attr-defined]
            first.close()
            said = next(line for line in waiting if line)
            assert "held" in json.loads(said)
            assert "copied" in json.loads(next(line for line in waiting if line))
            assert copied(folder)


def test_a_platform_that_still_opens_says_so(folder: DataFolder, pipeline: Resting) -> None:
    """The command tries again, and nothing is left behind meanwhile."""
    pipeline.opening = True
    with client(folder) as one:
        said = json.loads(one.get("/backup").text.strip())
    assert said["code"] == "starting"
    assert not folder.backup.exists()


def test_a_pipeline_that_does_not_come_to_rest_is_not_held_later(
    folder: DataFolder, pipeline: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would let go of what is frozen after the command has given up."""
    pipeline.writing = True
    monkeypatch.setattr(standing_still, "WAIT_S_MAX", 0.1)
    with client(folder) as one:
        said = json.loads(one.get("/backup").text.strip())
    assert said["code"] == "store_busy"
    assert pipeline.future.cancelled()
    assert pipeline.asked == [False], "the log is not kept"
    assert not folder.backup.exists()


def test_what_a_killed_platform_left_is_cleared_up_at_its_next_start(
    folder: DataFolder,
) -> None:
    """Frozen files hold on to room that merges have given back."""
    (freezing.frozen(folder.store) / "store").mkdir(parents=True)
    folder.backup.mkdir()
    StandingStill(folder, Resting(folder))
    assert not folder.backup.exists()
    assert not freezing.frozen(folder.store).exists()


def refuse(_what: object) -> None:
    """Be a disk that can only be read."""
    raise PermissionError(13, "Permission denied")


def test_what_cannot_be_cleared_up_is_no_reason_not_to_start(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next backup tries again; packets and pages do without."""
    monkeypatch.setattr(standing_still, "tidy", refuse)
    StandingStill(folder, Resting(folder))


def test_what_cannot_be_cleared_up_ends_all_the_same(
    folder: DataFolder, pipeline: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log drops old packets again, and the command is told that it is over."""
    monkeypatch.setattr(Standstill, "close", refuse)
    monkeypatch.setattr(standing_still, "STAND_S_MAX", 0.1)
    with client(folder) as one:
        said = [json.loads(line) for line in one.get("/backup").text.splitlines() if line]
    assert said[-1] == {"copied": True}
    assert pipeline.asked[-1] is False


def test_a_command_that_does_not_end_is_let_go_of(
    folder: DataFolder, pipeline: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that hangs must not keep the log from dropping packets until it is full."""
    monkeypatch.setattr(standing_still, "STAND_S_MAX", 0.1)
    with client(folder) as one, one.stream("GET", "/backup") as answer:
        assert json.loads([line for line in answer.iter_lines() if line][-1]) == {"copied": True}
        assert pipeline.asked == [True, "freeze", False]
        assert not freezing.frozen(folder.store).exists()
        with pytest.raises(KilowatchError) as refusal:
            copied(folder)
    assert refusal.value.code == "backup_broken"


def test_a_platform_that_gives_no_sign_of_life_is_not_waited_for(
    folder: DataFolder, pipeline: Resting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been stopped; the command gives back what says that a backup is made."""
    pipeline.writing = True
    monkeypatch.setattr(standing_still, "WAIT_S_MAX", 1.0)
    monkeypatch.setattr(backup_source, "SILENT_S_MAX", 0.2)
    with ExitStack() as stack, pytest.raises(KilowatchError) as refusal:
        backup_source._asked(folder, stack)
    assert refusal.value.code == "backup_broken"
