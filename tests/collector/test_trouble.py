"""When the server can't or won't take a packet it says so, and what it accepted is safe."""

import asyncio
import functools
import gc
import json
import threading
import time
from typing import Any

import pytest
from sqlalchemy import text

from kilowatch import catalog
from kilowatch.catalog import directory as directories
from kilowatch.collector import refusals
from kilowatch.collector import server as servers
from kilowatch.collector.answers import RETRY_AFTER_S, problem
from kilowatch.collector.protocol import PushProtocol
from kilowatch.log import LogReader, LogWriter
from kilowatch.model.errors import KilowatchError
from tests.collector.conftest import StartServer
from tests.collector.harness import (
    PATH,
    Registry,
    Server,
    answers,
    basic,
    packet,
    request,
    settings_for,
)
from tests.log.faults import FaultyDisk


@answers("503")
def test_maintenance_answers_503_to_pushes_and_ends_by_itself(server: Server) -> None:
    """The operator puts a file there; clients keep their packets and come back."""
    headers = {"Authorization": server.authorization("partner")}
    with server.connect() as open_wire:
        body = json.dumps(packet()).encode()
        for _ in range(2):  # the second one is recognised without parsing
            assert open_wire.ask(request("POST", PATH, body, headers)).status == 200
        server.settings.maintenance_file.write_text("new disk\n")
        time.sleep(0.8)
        for reply in (
            open_wire.ask(request("POST", PATH, body, headers)),
            server.push(packet()),
            server.latest("oven"),
            server.push(packet(), by=None),
        ):
            assert (reply.status, reply.code) == (503, "maintenance")
            assert int(reply.headers["retry-after"]) == RETRY_AFTER_S["maintenance"]
            assert "new disk" in reply.json["detail"]
        server.settings.maintenance_file.unlink()
        time.sleep(0.8)
        assert open_wire.ask(request("POST", PATH, body, headers)).status == 200


@pytest.mark.parametrize("fault", ["full", "broken", "unsynced"])
def test_a_full_disk_answers_503_and_the_packet_counts_once_later(
    start: StartServer, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The client keeps what could not be made durable; nothing is lost or counted twice."""
    faulty = FaultyDisk()
    monkeypatch.setattr(servers, "LogWriter", functools.partial(LogWriter, vfs=faulty.name))
    server = start()
    assert server.push(packet("load-0")).status == 200
    setattr(faulty.disk, fault, True)
    for _ in range(2):
        reply = server.push(packet("load-1"))
        assert (reply.status, reply.code) == (503, "not_durable")
        assert reply.headers["retry-after"]
    assert server.latest("load-0").status == 200
    faulty.disk.heal()
    ends = time.monotonic() + 20
    while (reply := server.push(packet("load-1"))).status == 503 and time.monotonic() < ends:
        time.sleep(0.1)
    # What was written but not synced may turn out to be there: then the retry is a duplicate.
    assert reply.json["status"] in {"accepted", "duplicate" if fault == "unsynced" else "accepted"}
    server.stop()
    assert len(LogReader(server.settings.log_path).read(0)) == 2


@answers("500")
def test_a_fault_of_ours_is_a_500_and_the_next_packet_is_served(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug met by one packet does not stop the others, and tells nobody our insides."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    with monkeypatch.context() as patch:
        patch.setattr(server.collector.log, "submit", broken)
        reply = server.push(packet())
        assert (reply.status, reply.code) == (500, "server_fault")
        assert b"secret detail" not in reply.body
        assert reply.headers["connection"] == "close"
    assert server.push(packet()).status == 200
    assert server.collector.reception.intake.in_flight == 0


def test_a_tenant_at_twenty_times_its_share_does_not_starve_the_others(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the disk hangs, the busiest tenant fills half of the queue and no more."""
    server = start(in_flight_max=64)
    held: list[Any] = []
    submit = server.collector.log.submit
    monkeypatch.setattr(server.collector.log, "submit", lambda *packet: held.append(packet))
    wires = [server.connect() for _ in range(80)]
    for number, wire in enumerate(wires):
        body = json.dumps(packet(f"load-{number % 40}")).encode()
        headers = {"Authorization": server.authorization("partner")}
        wire.send(request("POST", PATH, body, headers))
    refused = []
    for wire in wires[32:]:
        reply = wire.reply()
        refused.append(
            (reply.status, reply.code, "your organisation" in reply.body.decode().lower())
        )
    assert refused == [(503, "overloaded", True)] * 48
    with server.connect() as other:
        headers = {"Authorization": server.authorization("brewery")}
        other.send(request("POST", PATH, json.dumps(packet("kettle")).encode(), headers))
        time.sleep(0.5)
        assert len(held) == 33
        monkeypatch.setattr(server.collector.log, "submit", submit)
        server.on_loop(lambda: [submit(*one) for one in held])
        assert other.reply().json == {"status": "accepted"}
    answered = [wire.reply() for wire in wires[:32]]
    assert {reply.status for reply in answered} == {200}
    assert server.collector.reception.intake.in_flight == 0
    for wire in wires:
        wire.__exit__()


def test_large_packets_count_for_more_in_the_queue(start: StartServer) -> None:
    """Memory is bounded in bytes and not only in packets."""
    server = start(in_flight_max=40)
    padded = json.dumps(packet()).encode() + b" " * 60_000
    reply = server.push(body=padded)
    assert reply.status == 200  # one packet is always let in
    assert server.collector.reception.intake.in_flight == 0


def test_a_shutdown_answers_what_is_under_way(server: Server) -> None:
    """A client whose packet was taken hears so, even if the server stops meanwhile."""
    headers = {"Authorization": server.authorization("partner")}
    idle = server.connect()
    wires = [server.connect() for _ in range(20)]
    for number, wire in enumerate(wires):
        body = json.dumps(packet(f"load-{number}")).encode()
        wire.send(request("POST", PATH, body, headers))
    half = server.connect()
    body = json.dumps(packet("load-30")).encode()
    data = request("POST", PATH, body, headers)
    half.send(data[:-10])
    time.sleep(0.3)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    time.sleep(0.2)
    assert idle.closed()
    late = half.ask(data[-10:])
    assert (late.status, late.headers["connection"]) == (200, "close")
    for wire in wires:
        assert wire.reply().json == {"status": "accepted"}
        assert wire.closed()
    stopping.join()
    assert len(LogReader(server.settings.log_path).read(0)) == 21


def test_ports_and_socket_are_free_after_a_stop(start: StartServer) -> None:
    """A restart takes the same ports at once."""
    first = start()
    ports = (first.addresses.http_port, first.addresses.https_port)
    assert first.push(packet()).status == 200
    first.stop()
    assert not first.settings.control_socket.exists()
    second = start(http_port=ports[0], https_port=ports[1])
    assert second.push(packet()).json == {"status": "duplicate"}


@pytest.mark.parametrize(
    ("flag", "setting"), [("--push-http-port", "http_port"), ("--push-https-port", "https_port")]
)
def test_a_port_that_is_taken_is_named_with_its_flag(
    server: Server,
    template: Registry,
    tmp_path_factory: pytest.TempPathFactory,
    start: StartServer,
    flag: str,
    setting: str,
) -> None:
    """Whoever starts a second server learns which port and what to type."""
    taken = server.addresses.http_port
    folder = tmp_path_factory.mktemp("second")
    with pytest.raises(KilowatchError) as refused:
        start(**{setting: taken, "log_path": folder / "log.sqlite",
                 "control_socket": folder / "c.sock"})  # fmt: skip
    assert refused.value.code == "port_taken"
    assert str(taken) in refused.value.detail
    assert flag in refused.value.remedy


def test_it_runs_on_plain_asyncio_too(registered: Registry) -> None:
    """Where uvloop does not exist the server is slower, not different."""

    async def one_packet() -> bytes:
        collector = servers.Collector(
            settings_for(registered.folder), registered.catalog, asyncio.get_running_loop()
        )
        await collector.start()
        port = collector.addresses.http_port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        headers = {"Authorization": basic(*registered["partner"])}
        writer.write(request("POST", PATH, json.dumps(packet()).encode(), headers))
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
        writer.close()
        await collector.close()
        return answer

    assert asyncio.run(one_packet()).startswith(b"HTTP/1.1 200 OK")


def test_a_catalogue_that_cannot_be_read_does_not_stop_the_packets(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry's disk may hang; meters that are known go on pushing."""

    def unreadable(_self: catalog.Catalog) -> int:
        raise OSError("the disk hangs")

    monkeypatch.setattr(catalog.Catalog, "revision", unreadable)
    time.sleep(0.4)
    assert server.push(packet()).status == 200
    assert server.push(packet("unheard-of")).status == 404


def test_last_use_of_a_credential_reaches_the_registry(server: Server) -> None:
    """An administrator sees which credentials are still in use before revoking one."""
    server.push(packet())
    server.stop()
    with server.registry.catalog.reading() as session:
        name = server.registry["partner"][0]
        used, address = session.execute(
            text("SELECT last_used_ms, last_used_address FROM credential WHERE username = :name"),
            {"name": name},
        ).one()
    assert abs(used - time.time() * 1000) < 60_000
    assert address == "127.0.0.1", "from where, so that a stranger's use is noticed"


def test_every_503_says_when_to_come_back() -> None:
    """A client that knows how long to wait does not hammer."""
    for error in (
        refusals.overloaded("x"),
        refusals.maintenance(""),
        refusals.not_durable(),
        KilowatchError("log_closed", "x", status=503),
    ):
        answer = problem(error)
        assert b"retry-after: " in answer.headers
        assert json.loads(answer.body)["status"] == 503


def test_the_directory_is_only_loaded_when_its_revision_changes(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 100,000 streams a load takes a second: it must not happen four times a second."""
    loads: list[int] = []

    def load(*_: object) -> None:
        loads.append(1)

    monkeypatch.setattr(directories, "load", load)
    time.sleep(0.8)
    assert not loads


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_ended_leaves_nothing_behind(server: Server, tls: bool) -> None:
    """Clients that open a connection for each packet must not fill the memory until a sweep."""

    def alive() -> int:
        return sum(isinstance(thing, PushProtocol) for thing in gc.get_objects())

    headers = {"Authorization": server.authorization("partner")}
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            with server.connect(tls=tls) as wire:
                body = json.dumps(packet()).encode()
                assert wire.ask(request("POST", PATH, body, headers)).status == 200
                assert wire.ask(request("GET", "/", headers=headers), "GET").status == 200
        ends = time.monotonic() + 5
        while server.collector.connections and time.monotonic() < ends:
            time.sleep(0.01)
        assert alive() <= 2
    finally:
        gc.enable()


def test_a_fault_in_what_is_done_every_second_does_not_end_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad moment must not leave a server without timeouts and with yesterday's date."""
    turns: list[int] = []
    again = threading.Event()
    tick = server.collector.reception.tick

    def faulty() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise OSError("too many open files")
        tick()
        again.set()

    monkeypatch.setattr(server.collector.reception, "tick", faulty)
    assert again.wait(5)
    assert server.push(packet()).status == 200


@pytest.mark.parametrize("name", [r"x\ud800", r"\udfff"])
def test_half_a_character_in_a_packet_is_answered_400(server: Server, name: str) -> None:
    """JSON can write half of a surrogate pair, UTF-8 can't: that is no fault of the server."""
    body = f'{{"id":"oven","tsISO8601":"2024-06-01T12:00Z","value":1,"{name}":NaN}}'
    answer = server.push(body=body.encode())
    assert (answer.status, answer.code) == (400, "not_a_number")
    assert answer.json["parameter"] == name
    said = problem(KilowatchError("x", "half: \ud800", data={"\udc00": ["\ud800"]}))
    assert json.loads(said.body)["detail"] == "half: \ud800"
