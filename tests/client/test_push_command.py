from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from kilowatch.cli import push as command
from kilowatch.model.errors import KilowatchError


@pytest.fixture
def server(fake_server: Any) -> Iterator[Any]:
    """Run a push server in a thread, as another program would."""
    fake, ready, stop = fake_server(), threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with fake.running():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield fake
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(10)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a small file with one mistake in it."""
    path = tmp_path / "month.csv"
    rows = [f"gas,2026-01-01T{hour:02d}:00:00+00:00,{hour}" for hour in range(24)]
    path.write_text("stream_id,ts,value\n" + "\n".join([*rows[:5], "gas,x,y", *rows[5:]]) + "\n")
    return path


def _run(*arguments: str, **environment: str) -> Any:
    app = typer.Typer(pretty_exceptions_enable=False)
    command.register(app)
    return CliRunner().invoke(app, list(arguments), env=environment)


def test_a_file_is_pushed_and_summed_up(server: Any, file: Path, tmp_path: Path) -> None:
    """One command, one line of result, and each refused line with its reason."""
    said = _run(str(file), "--url", server.url, "--user", "u",
                KILOWATCH_PUSH_PASSWORD="secret", XDG_CACHE_HOME=str(tmp_path))  # fmt: skip
    assert "24 accepted, 0 duplicate, 0 discarded, 1 refused" in said.output
    assert "line 7, gas: not_pushed: value is 'y', not a number" in said.output
    assert said.exit_code == 1
    assert [p["value"] for p in server.stored["gas"]] == list(range(24))


def test_the_same_command_again_pushes_nothing_twice(
    server: Any, file: Path, tmp_path: Path
) -> None:
    """Whoever is not sure whether it ran just runs it again."""
    for attempt in range(2):
        said = _run(str(file), "--url", server.url, "--user", "u",
                    KILOWATCH_PUSH_PASSWORD="secret", XDG_CACHE_HOME=str(tmp_path))  # fmt: skip
        assert ("going on after 25 packets" in said.output) is (attempt == 1)
    assert server.outcomes == {"accepted": 24}
    said = _run(str(file), "--url", server.url, "--user", "u", "--restart",
                KILOWATCH_PUSH_PASSWORD="secret", XDG_CACHE_HOME=str(tmp_path))  # fmt: skip
    assert "0 accepted, 1 duplicate, 23 discarded" in said.output


def test_the_password_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    """No password stands on a command line, where every user of the machine reads it."""
    path = tmp_path / "password"
    path.write_text("from file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(command.PASSWORD, "from environment")
        assert command.read_password(path, "u") == "from file"
        assert command.read_password(None, "u") == "from environment"
        patch.setenv(f"{command.PASSWORD}_FILE", str(path))
        assert command.read_password(None, "u") == "from file"
        patch.delenv(f"{command.PASSWORD}_FILE")
        patch.delenv(command.PASSWORD)
        patch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115, PTH123
        with pytest.raises(KilowatchError, match="No password"):
            command.read_password(None, "u")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A typing error in a name is said before anything is sent."""
    said = _run(str(tmp_path / "none.csv"), "--url", "http://localhost:1", "--user", "u",
                KILOWATCH_PUSH_PASSWORD="secret")  # fmt: skip
    assert isinstance(said.exception, KilowatchError)
    assert "none.csv" in said.exception.detail


def test_packets_of_many_streams_in_one_file_all_arrive(server: Any, tmp_path: Path) -> None:
    """A head-end system's export has all its meters in one file."""
    path = tmp_path / "all.ndjson"
    rows = [
        json.dumps({"id": f"s{s}", "tsISO8601": f"2026-01-01T{h:02d}:00:00+00:00", "value": h})
        for h in range(24)
        for s in range(40)
    ]
    path.write_text("\n".join(rows))
    said = _run(str(path), "--url", server.url, "--user", "u",
                KILOWATCH_PUSH_PASSWORD="secret", XDG_CACHE_HOME=str(tmp_path))  # fmt: skip
    assert "960 accepted" in said.output
    assert said.exit_code == 0


def test_history_is_pushed_after_an_ordinary_run_had_it_discarded(
    server: Any, file: Path, tmp_path: Path
) -> None:
    """The same file with one word more: what was discarded goes into history, with the reason."""
    environment = {"KILOWATCH_PUSH_PASSWORD": "secret", "XDG_CACHE_HOME": str(tmp_path)}
    newest = {"id": "gas", "tsISO8601": "2026-01-02T00:00:00+00:00", "value": 99}
    server.stored["gas"].append(newest)
    arguments = (str(file), "--url", server.url, "--user", "u")
    said = _run(*arguments, **environment)
    assert "0 accepted, 0 duplicate, 24 discarded, 1 refused" in said.output
    assert "--backfill" in said.output, "the way out is named"
    history = (*arguments, "--backfill", "--reason", "Zähler & gateway")
    said = _run(*history, **environment)
    assert "0 accepted, 24 backfilled, 0 duplicate, 0 discarded, 1 refused" in said.output
    assert [packet["value"] for packet in server.history] == list(range(24))
    query = "?backfill=1&reason=Z%C3%A4hler%20%26%20gateway"
    assert server.paths == {
        "/measurements/v2/unifiedjson/",
        f"/measurements/v2/unifiedjson/{query}",
    }
    said = _run(*history, **environment)
    assert "going on after 25 packets" in said.output
    assert len(server.history) == 24


@pytest.mark.parametrize(
    "flags", [["--reason", "why"], ["--backfill", "--reason", "x" * 201]], ids=["alone", "long"]
)
def test_a_reason_that_nobody_could_read_is_refused_before_anything_is_sent(
    file: Path, tmp_path: Path, flags: list[str]
) -> None:
    """A reason belongs to a backfill and has its bound."""
    said = _run(str(file), "--url", "https://localhost:1", "--user", "u", *flags,
                KILOWATCH_PUSH_PASSWORD="secret", XDG_CACHE_HOME=str(tmp_path))  # fmt: skip
    assert isinstance(said.exception, KilowatchError)
    assert said.exception.code == "bad_reason"
