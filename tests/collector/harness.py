"""A real push server on loopback ports with a registry, and a client that reads bytes."""

import asyncio
import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from kilowatch import catalog
from kilowatch.catalog import credentials, data_points, going_live, people, registry
from kilowatch.catalog.credentials import Issued, Target
from kilowatch.catalog.settings_check import Settings
from kilowatch.collector import Addresses, CollectorSettings, new_event_loop
from kilowatch.collector.server import Collector

KEY = bytes(range(32))
PATH = "/measurements/v2/unifiedjson/"
PERSON, PASSWORD = "ada@example.com", "correct horse battery staple"
Test = TypeVar("Test", bound=Callable[..., None])
ROWS_SHOWN: set[str] = set()
STAMP = "2024-06-01T12:00:00.000+02:00"


@dataclass
class Registry:
    """Who may push in the tests: usernames and secrets by what they are for."""

    folder: Path
    catalog: catalog.Catalog
    secrets: dict[str, tuple[str, str]] = field(default_factory=dict)

    def keep(self, name: str, issued: Issued) -> None:
        """Remember a credential under a plain name."""
        self.secrets[name] = (issued.credential.username, issued.secret)

    def __getitem__(self, name: str) -> tuple[str, str]:
        return self.secrets[name]


def make_registry(folder: Path) -> Registry:
    """Register two organisations, their streams and a credential for each scope."""
    made = Registry(folder, catalog.open(folder / "catalog.sqlite"))
    electrical = Settings("electrical", "electricity", 300, reading="cum")
    gas = Settings("single", "gas", 300, unit="m3", reading="cum")
    with made.catalog.change(catalog.Actor.shell()) as change:
        bakery = registry.add_organisation(change, "Bakery", country="IE")
        shop = registry.add_site(change, bakery, "Shop", zone="Europe/Dublin", country="IE")
        mill = registry.add_site(change, bakery, "Mill", zone="Europe/Berlin", country="DE")
        oven = data_points.register(change, shop, "Oven", electrical, stream_id="oven")
        data_points.register(change, shop, "Gas", gas, stream_id="gas")
        data_points.register(change, shop, "Quiet", gas, stream_id="quiet")
        data_points.register(change, mill, "Mill", electrical, stream_id="mill")
        for number in range(40):
            name = f"load-{number}"
            data_points.register(change, shop, name, electrical, stream_id=name)
        brewery = registry.add_organisation(change, "Brewery", country="DE")
        cellar = registry.add_site(change, brewery, "Cellar", zone="Europe/Berlin", country="DE")
        data_points.register(change, cellar, "Kettle", electrical, stream_id="kettle")
        data_points.register(change, cellar, "Oven", electrical, stream_id="oven-of-brewery")
        user, _ = people.add_user(change, PERSON, password=PASSWORD)
        people.set_role(change, user, bakery, "end user")
        people.grant(change, user, oven)
        targets = {
            "partner": Target(bakery),
            "site": Target(bakery, shop),
            "meter": Target(bakery, oven),
            "user": Target(bakery, user),
            "brewery": Target(brewery),
        }
        for name, target in targets.items():
            made.keep(name, credentials.issue(change, KEY, target, environment="development"))
        made.keep(
            "revocable",
            credentials.issue(change, KEY, Target(bakery), environment="development"),
        )
        went = going_live.go_live(change, KEY, bakery)
        made.keep("production", went.issued[made["partner"][0]])
    made.secrets["person"] = (PERSON, PASSWORD)
    return made


class Server:
    """A collector in a thread of its own, and a client's view of it."""

    def __init__(self, registry: Registry, settings: CollectorSettings) -> None:
        self.registry = registry
        self.settings = settings
        self.addresses = Addresses("", "", 0, 0)
        self.collector: Collector
        self.loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        if self._fault:
            raise self._fault

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            self.collector = Collector(self.settings, self.registry.catalog, self.loop)
            await self.collector.start()
            self.addresses = self.collector.addresses
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._fault = error
            await self.collector.close()
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        await self.collector.close()

    def stop(self) -> None:
        """Stop as the real server does."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def on_loop(self, work: Callable[[], Any]) -> Any:
        """Run something where the server runs."""

        async def call() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    @property
    def port(self) -> int:
        """Port of plain HTTP."""
        return self.addresses.http_port

    def connect(self, *, tls: bool = False, timeout: float = 10) -> "Wire":
        """Open a connection."""
        port = self.addresses.https_port if tls else self.port
        raw = self.connect_raw(port, timeout)
        if not tls:
            return Wire(raw)
        context = ssl.create_default_context(cafile=str(self.settings.tls_dir / "cert.pem"))
        return Wire(context.wrap_socket(raw, server_hostname="localhost"))

    def connect_raw(self, port: int, timeout: float = 10) -> socket.socket:
        """Open a TCP connection to a port of this machine."""
        raw = socket.create_connection(("127.0.0.1", port), timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return raw

    def authorization(self, name: str) -> str:
        """Return the header's value for a credential of the registry."""
        return basic(*self.registry[name])

    def push(
        self,
        packet: Any = None,
        *,
        by: str | None = "partner",
        path: str = PATH,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        method: str = "POST",
    ) -> "Reply":
        """Push one packet over a new connection."""
        sent = dict(headers or {})
        if by is not None:
            sent["Authorization"] = self.authorization(by)
        payload = body if body is not None else json.dumps(packet).encode()
        with self.connect() as wire:
            return wire.ask(request(method, path, payload, sent), method)

    def latest(self, stream: str, *, by: str | None = "partner") -> "Reply":
        """Ask for a stream's latest packet."""
        return self.push(body=b"", method="GET", path=f"{PATH}?stream={stream}", by=by)


@dataclass
class Reply:
    """One answer as a client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """A problem's stable word."""
        return str(self.json["code"])


class Wire:
    """A connection, read answer by answer."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def line(self) -> bytes:
        """Read one line."""
        return self._file.readline()

    def reply(self, method: str = "POST") -> Reply:
        """Read one answer."""
        status_line = self.line()
        assert status_line.startswith(b"HTTP/1.1 "), status_line
        headers = {}
        while (line := self.line()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        status = int(status_line.split()[1])
        length = int(headers.get("content-length", "0"))
        body = b"" if method == "HEAD" or status == 100 else self._file.read(length)
        return Reply(status, headers, body)

    def ask(self, data: bytes, method: str = "POST") -> Reply:
        """Send one request and read its answer."""
        self.send(data)
        return self.reply(method)

    def closed(self) -> bool:
        """Tell whether the server ended the connection, and sent nothing more."""
        try:
            return self._file.read(1) == b""
        except (ConnectionResetError, ssl.SSLError):
            return True


def basic(username: str, password: str, encoding: str = "utf-8") -> str:
    """Return an Authorization header's value."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode(encoding)).decode()


def request(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """Return a request's bytes."""
    sent = {"Host": "localhost", **(headers or {})}
    if method == "POST" and not {"Content-Length", "Transfer-Encoding"} & set(sent):
        sent["Content-Length"] = str(len(body))
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in sent.items())
    return head.encode("latin-1") + b"\r\n" + body


def packet(stream: str = "oven", at: str = STAMP, **values: Any) -> dict[str, Any]:
    """Return a packet; an electrical one unless told otherwise."""
    return {"id": stream, "tsISO8601": at, **(values or {"aP_1": 230.5})}


def settings_for(folder: Path) -> CollectorSettings:
    """Return a development server's settings, on free ports."""
    return CollectorSettings(
        environment="development",
        server_key=KEY,
        log_path=folder / "log" / "log.sqlite",
        control_socket=folder / "collector.sock",
        maintenance_file=folder / "maintenance",
        tls_dir=folder / "tls",
        http_port=0,
        https_port=0,
    )


def answers(*rows: str) -> Callable[[Test], Test]:
    """Say which rows of the tables in docs/integrate/push-api.md a test shows.

    ``test_contract_complete.py`` fails for a row that no test claims.
    """

    def claim(test: Test) -> Test:
        ROWS_SHOWN.update(rows)
        return test

    return claim
