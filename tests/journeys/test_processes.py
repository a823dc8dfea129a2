"""The program's processes: one parent, two children, and none of them outlives the others."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.journeys.pushing import client_of, startup_package
from tests.journeys.server import Server, wait_until_gone
from tests.journeys.waiting import status, until, until_stored

pytestmark = pytest.mark.journey


def _electricity(package: dict[str, dict[str, str]], minute: int) -> dict[str, object]:
    stamp = f"2026-03-02T10:{minute:02d}:00+00:00"
    return {"id": package["streams"]["electricity"], "tsISO8601": stamp, "pC_1": 1000.0 + minute}


def test_ctrl_c_stops_everything_cleanly(server: Server) -> None:
    """Ctrl-C ends the program within seconds, and leaves no process behind."""
    pids = server.pids()
    assert server.stop() == 0
    wait_until_gone(pids.values())
    told = server.output.read_text()
    assert told.index("Kilowatch is starting") < told.index("is serving") < told.index("Stopping:")


def test_a_killed_parent_leaves_no_children(server: Server) -> None:
    """After kill -9 of the parent the ports and the store are free for the next start."""
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    wait_until_gone(server.pids().values())
    server.start()
    assert server.stop() == 0


def test_packets_are_accepted_while_the_platform_is_away_and_shown_when_it_is_back(
    server: Server,
) -> None:
    """A crash of the pages takes no packet down with it."""
    package = startup_package(server.data)
    client = client_of(package, server.data)
    assert client.push(_electricity(package, 0))[0] == 200
    os.kill(server.pids()["platform"], signal.SIGKILL)
    assert client.push(_electricity(package, 5)) == (200, {"status": "accepted"})
    server.refresh(until_other="platform")
    until_stored(server.data)
    assert status(server.data)["platform"]["packets"]["accepted"] == 2


def test_a_killed_collector_comes_back_on_its_ports(server: Server) -> None:
    """Clients that retry find the push API again at the same address."""
    package = startup_package(server.data)
    client = client_of(package, server.data)
    assert client.push(_electricity(package, 0))[0] == 200
    os.kill(server.pids()["collector"], signal.SIGKILL)

    def accepted() -> bool:
        with suppress(OSError):
            return client.push(_electricity(package, 5))[0] == 200
        return False

    until(accepted)


def test_a_taken_port_is_named_with_the_flag_that_changes_it(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    """The first thing that goes wrong on a newcomer's machine has a way out in its message."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for position, flag in ((0, "--push-http-port"), (2, "--dashboard-port")):
            server = make_server(f"taken-{position}")
            ports = [0, 0, 0, 0]
            ports[position] = port
            with pytest.raises(AssertionError, match=flag) as caught:
                server.start(tuple(ports))  # type: ignore[arg-type]
            assert str(port) in str(caught.value)
            if position == 0:  # it never ran, so nothing may say later that it did not end well
                assert not (server.data / "collector.up.json").exists()


def test_a_second_server_on_the_same_folder_is_refused(
    server: Server, make_server: Callable[..., Server]
) -> None:
    """Two writers on one log would be two truths; the second says so and leaves the first be."""
    second = make_server()
    with pytest.raises(AssertionError, match="already"):
        second.start()
    assert server.process is not None
    assert server.process.poll() is None


def test_collector_and_platform_run_each_from_a_command_of_its_own(
    make_server: Callable[..., Server],
) -> None:
    """The first step to several machines: one folder, two commands, the same data."""
    collector = make_server("data", "--only", "collector").start()
    package = startup_package(collector.data)
    assert client_of(package, collector.data).push(_electricity(package, 0))[0] == 200
    pushing = dict(collector.addresses)
    platform = make_server("data", "--only", "platform").start()
    until_stored(platform.data)
    assert platform.addresses["push_https"] == pushing["push_https"]
    assert platform.stop() == 0
    assert collector.stop() == 0


def test_what_a_server_keeps_is_for_its_own_user_only(server: Server) -> None:
    """Nobody else on the machine reads packets, keys or last values."""
    package = startup_package(server.data)
    assert client_of(package, server.data).push(_electricity(package, 0))[0] == 200
    until_stored(server.data)
    assert server.data.stat().st_mode & 0o077 == 0
    kept = [path for path in server.data.iterdir() if path.is_file()]
    assert {path.name for path in kept} >= {"secret.key", "catalog.sqlite", "pipeline.sqlite"}
    readable = [path.name for path in kept if path.stat().st_mode & 0o077]
    assert not readable, "these files can be read by others"
