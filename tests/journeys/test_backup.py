"""A backup of a server that is at work, and the server that comes out of it elsewhere."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from kilowatch import catalog
from kilowatch.catalog import point_settings
from kilowatch.catalog.tables import DataPoint
from kilowatch.log import LogReader
from tests.journeys.pages import Dashboard
from tests.journeys.pushing import client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until, until_stored

pytestmark = pytest.mark.journey

STREAMS = ("electricity", "gas")
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)


class Gateway(threading.Thread):
    """Pushes one stream's packets, now and then one of them twice, late, or as history.

    Args:
        package: Whose credential it has.
        server: Where it pushes.
        stream: Its stream.

    Attributes:
        acknowledged: Instants that were accepted, in order or as history.
        number: Of the next packet.
        going: Until it is told to stop.
    """

    def __init__(self, package: dict[str, Any], server: Server, stream: str) -> None:
        super().__init__(daemon=True)
        self.package, self.stream = package, stream
        self.client = client_of(package, server.data)
        self.acknowledged: list[str] = []
        self.number = 0
        self.going = True

    def run(self) -> None:
        """Push until told to stop."""
        while self.going or self.number % 10:  # no hole at the end
            number = self.number
            if number % 10 != 7:  # one in ten comes later, as history
                self.push(number)
            if number % 10 == 3:
                self.push(number)  # again: a duplicate
            if number % 10 == 9:
                self.push(number - 2)  # discarded, and kept
                self.push(number - 2, "?backfill=1&reason=late")
            self.number += 1
            time.sleep(0.02)
        self.client.close()

    def push(self, number: int, query: str = "") -> str:
        """Push the packet of a number; what was accepted is noted."""
        packet: dict[str, Any] = {
            "id": self.stream,
            "tsISO8601": at(number).isoformat(timespec="milliseconds"),
        }
        electric = self.stream == self.package["streams"]["electricity"]
        packet["pC_1" if electric else "value"] = 100.0 * number
        body = json.dumps(packet).encode()
        path = "/measurements/v2/unifiedjson/" + query
        status, answer = self.client.request("POST", path, body)
        assert status == 200, answer
        if answer["status"] == "accepted":
            self.acknowledged.append(at(number).strftime("%Y-%m-%dT%H:%M:%SZ"))
        said: str = answer["status"]
        return said


def at(number: int) -> datetime:
    """Return the instant of a stream's packet."""
    return FIRST + number * STEP


def start_backup(file: Path, data: Path, *flags: str) -> subprocess.Popen[str]:
    """Start the command that makes a backup."""
    return subprocess.Popen(
        [sys.executable, "-m", "kilowatch", "backup", str(file), "--data", str(data), *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def refusal(*arguments: str, data: Path | None = None, limit: int | None = None) -> str:
    """Run a command that must fail, and return what it said."""
    command = [sys.executable, "-m", "kilowatch", *arguments]
    command += [] if data is None else ["--data", str(data)]
    if limit is not None:
        command = ["/bin/sh", "-c", f'ulimit -f {limit // 512}; exec "$@"', "sh", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where this module's servers are."""
    return tmp_path_factory.mktemp("backup")


@pytest.fixture(scope="module")
def running(place: Path) -> Iterator[tuple[Server, dict[str, Any]]]:
    """Return a server with one organisation and some packets, for all that only look at it."""
    server = Server(place / "data", place / "data.log").start()
    package = startup_package(server.data)
    gateway = Gateway(package, server, package["streams"]["electricity"])
    for number in range(40):
        gateway.push(number)
    yield server, package
    server.kill()


@pytest.mark.timeout(300)
def test_what_was_acknowledged_before_a_backup_under_load_is_there_elsewhere(
    server: Server, make_server: Any, tmp_path: Path
) -> None:
    """Nothing that was acknowledged is missing, nothing is there twice, and every total is equal.

    Packets come all the while, with duplicates, late ones and history, and a setting is changed
    from a date on. Clients then go on with the restored server, and repeat what it does not have.
    """
    package = startup_package(server.data)
    gateways = gateways_of(server, package)
    for gateway in gateways:
        gateway.start()
    until(
        lambda: stored_seq(server) > 0, 60, "a first flush: the store has a part, the log the rest"
    )
    before = {one.stream: list(one.acknowledged) for one in gateways}
    making = start_backup(tmp_path / "b.tar", server.data, "--json")
    set_multiplier(gateways[0].stream, server)
    said, complaints = making.communicate(timeout=60)
    assert making.returncode == 0, complaints
    told = json.loads(said)
    after = sum(len(one.acknowledged) for one in gateways)
    assert sum(map(len, before.values())) <= told["packets"] <= after
    assert 0 < told["stored_seq"] < told["log_seq"]
    assert (told["organisations"], told["people"], told["verified"]) == (1, 1, True)
    until(lambda: sum(len(one.acknowledged) for one in gateways) > after + 40, 30, "more load")
    for gateway in gateways:
        gateway.going = False
        gateway.join(30)
    original = whole(server, gateways)
    everything = instants(server)
    server.kill()
    shutil.rmtree(server.data)  # nothing of it may be needed

    elsewhere = make_server("elsewhere")
    kilowatch("restore", str(tmp_path / "b.tar"), data=elsewhere.data)
    elsewhere.start()
    until_stored(elsewhere.data)
    found = instants(elsewhere)
    for stream, acknowledged in before.items():
        assert set(acknowledged) <= set(found[stream]), "what was acknowledged is missing"
        assert set(found[stream]) <= set(everything[stream]), "a packet that nobody pushed"
        assert len(found[stream]) == len(set(found[stream])), "a packet is there twice"
    assert sum(map(len, found.values())) == told["packets"]
    assert told["packets"] < sum(map(len, everything.values())), "the backup is not of its time"

    Dashboard(
        elsewhere.addresses["dashboard_http"],
        package["dashboard_user"],
        package["dashboard_password"],
    )
    with ThreadPoolExecutor(len(STREAMS)) as pool:
        answers = sum(pool.map(lambda one: again(one, elsewhere), gateways), Counter[str]())
    missing = sum(map(len, everything.values())) - told["packets"]
    assert answers["accepted"] >= missing
    set_multiplier(gateways[0].stream, elsewhere)
    assert whole(elsewhere, gateways) == original
    assert instants(elsewhere) == everything, "repeated packets are not counted once"


def test_a_killed_backup_leaves_no_file_and_the_next_one_clears_up(
    running: tuple[Server, dict[str, Any]], tmp_path: Path
) -> None:
    """Kill -9 in the middle: nothing looks like a backup, and the server is as it was."""
    server, _ = running
    target = tmp_path / "b.tar"
    for _attempt in range(10):
        making = start_backup(target, server.data)
        while making.poll() is None and not list(tmp_path.glob(".*")):
            time.sleep(0.001)
        making.kill()
        making.communicate()
        if making.returncode == -signal.SIGKILL:
            break
        target.unlink()  # it was faster than we
    assert making.returncode == -signal.SIGKILL
    assert not target.exists()
    assert [path.name.startswith(".b.tar.") for path in tmp_path.iterdir()] == [True]
    frozen = server.data / "store" / "shadow" / "kilowatch"
    until(lambda: not frozen.exists() and not (server.data / "backup").exists(), 30, "clearing up")
    kilowatch("backup", str(target), data=server.data)
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]
    assert "40 accepted" in kilowatch("restore", "--check", str(target))


def test_a_full_disk_and_a_running_server_are_named(
    running: tuple[Server, dict[str, Any]], tmp_path: Path
) -> None:
    """No half file where there is no room, and nothing restored under a server at work."""
    server, _ = running
    small = refusal("backup", str(tmp_path / "b.tar"), data=server.data, limit=16_384)
    assert "can't be written: File too large" in small
    assert not list(tmp_path.iterdir())
    until(lambda: not (server.data / "backup").exists(), 30, "clearing up")
    kilowatch("backup", str(tmp_path / "b.tar"), data=server.data)
    assert "is running" in refusal("restore", str(tmp_path / "b.tar"), data=server.data)
    assert not list(server.data.parent.glob(".*"))


def again(gateway: Gateway, server: Server) -> Counter[str]:
    """Push all of a gateway's packets once more, in order, and those that are late as history."""
    gateway.client = client_of(gateway.package, server.data, server.addresses["push_https"])
    answers = Counter[str]()
    for number in range(gateway.number):
        if (answer := gateway.push(number)) == "discarded":
            answer = gateway.push(number, "?backfill=1")
        answers[answer] += 1
    gateway.client.close()
    return answers


def whole(server: Server, gateways: list[Gateway]) -> str:
    """Wait until late packets are in the figures of each hour, and return those as CSV."""
    electricity, gas = gateways
    expected = {  # kWh, of a transformer of 2:1, and m3
        electricity.stream: 0.2 * (electricity.number - 1),
        gas.stream: 100.0 * (gas.number - 1),
    }

    def energy() -> dict[str, float]:
        found = dict.fromkeys(expected, 0.0)
        for row in rows(server, "hour", "pC") + rows(server, "hour", "value"):
            found[row["stream_id"]] += float(row["value"] or 0)  # not known yet: history comes
        return found

    until(lambda: energy() == pytest.approx(expected), 30, "every packet's energy")
    return export(server, "hour", "pC") + export(server, "hour", "value")


def stored_seq(server: Server) -> int:
    """Return up to which packet figures are in the store; 0 before the pipeline has begun."""
    path = server.data / "pipeline.sqlite"
    if not path.exists():  # pages are served while the store opens
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        if not file.execute("SELECT 1 FROM sqlite_schema WHERE name = 'cursor'").fetchone():
            return 0
        found: int = file.execute("SELECT max(seq) FROM cursor").fetchone()[0] or 0
    return found


def set_multiplier(stream: str, server: Server) -> None:
    """Change a setting from a date on; nothing happens where it is so already."""
    opened = catalog.open(server.data / "catalog.sqlite")
    with opened.change(catalog.Actor("somebody")) as change:
        point = change.session.scalar(select(DataPoint).where(DataPoint.stream_id == stream))
        assert point is not None
        if not point_settings.history(change.session, point):
            change_from = point_settings.change_from
            change_from(change, point, {"multiplier": 2.0}, round(FIRST.timestamp() * 1000))
    opened.close()


def gateways_of(server: Server, package: dict[str, Any]) -> list[Gateway]:
    """Return who pushes the streams that a new integrator has."""
    return [Gateway(package, server, package["streams"][name]) for name in STREAMS]


def instants(server: Server) -> dict[str, list[str]]:
    """Return each stream's pushed instants, one for each reading that the server holds."""
    found: dict[str, list[str]] = {}
    for row in rows(server, "source", "pC"):  # of every parameter, as pushed
        found.setdefault(row["stream_id"], []).append(row["time_utc"])
    return found


def export(server: Server, grain: str, parameter: str) -> str:
    """Return what the running server holds, as CSV, asked as the command asks."""
    transport = httpx.HTTPTransport(uds=str(server.data / "control.sock"))
    with httpx.Client(transport=transport, base_url="http://kilowatch", timeout=60) as client:
        answer = client.get(
            "/export",
            params=[
                ("place", "o1"), ("period", "custom"), ("from", "2026-03-01"),
                ("until", "2026-06-30"), ("grain", grain), ("layout", "long"),
                ("parameter", parameter), ("zone", "UTC"), ("units", "kilo"), ("with", "none"),
                ("format", "csv"), ("actor", "test"),
            ],
        )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return answer.text


def rows(server: Server, grain: str, parameter: str) -> list[dict[str, str]]:
    """Return the rows of an export."""
    return list(csv.DictReader(io.StringIO(export(server, grain, parameter))))


def test_a_folder_at_rest_is_backed_up_with_what_was_not_stored_when_it_was_killed(
    running: tuple[Server, dict[str, Any]], tmp_path: Path
) -> None:
    """The last test here, for it ends the server: packets that only the log has are in it too."""
    server, package = running
    gateway = Gateway(package, server, package["streams"]["gas"])
    for number in range(30):
        gateway.push(number)
    server.kill()
    told = json.loads(kilowatch("backup", str(tmp_path / "b.tar"), "--json", data=server.data))
    assert (told["packets"], told["log_packets"]) == (70, 70)
    assert not (server.data / "backup").exists()
    kilowatch("restore", str(tmp_path / "b.tar"), data=tmp_path / "elsewhere")
    kept = LogReader(tmp_path / "elsewhere" / "log" / "log.sqlite").read(0)
    assert [entry.seq for entry in kept] == list(range(1, 71))
    assert kept == LogReader(server.data / "log" / "log.sqlite").read(0)
    again = refusal("restore", str(tmp_path / "b.tar"), data=tmp_path / "elsewhere")
    assert "is not empty" in again
