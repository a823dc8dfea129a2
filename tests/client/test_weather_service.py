"""An open weather service is asked like any website, and its hours are pushed like any packets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
from typer.testing import CliRunner

from kilowatch.cli import weather
from kilowatch.client import Pusher, Target
from kilowatch.client.weather_service import MetNorway, OpenMeteo, Place, WeatherService, bring
from kilowatch.model.errors import KilowatchError

DUBLIN = Place(53.34981234, -6.26031)
NOW = datetime(2026, 3, 2, 10, 20, tzinfo=UTC)


class Sky:
    """A weather service on the loopback address, which remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.agents: list[str] = []
        self.answer: tuple[int, Any, dict[str, str]] = (200, {}, {})
        sky = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                sky.asked.append({name: values[0] for name, values in query.items()})
                sky.agents.append(self.headers["user-agent"])
                status, said, headers = sky.answer
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/weather"

    def open_meteo(self, first: datetime, values: list[float | None]) -> None:
        """Answer as Open-Meteo does."""
        times = [int((first + timedelta(hours=n)).timestamp()) for n in range(len(values))]
        hourly = {"time": times, "temperature_2m": values}
        self.answer = (200, {"latitude": 53.3, "hourly": hourly}, {})

    def met_norway(self, first: datetime, values: list[float], expires: datetime) -> None:
        """Answer as MET Norway does."""
        series = [
            {
                "time": (first + timedelta(hours=n)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "data": {"instant": {"details": {"air_temperature": value}}},
            }
            for n, value in enumerate(values)
        ]
        headers = {"expires": format_datetime(expires, usegmt=True)}
        self.answer = (200, {"properties": {"timeseries": series}}, headers)


@pytest.fixture
def sky() -> Iterator[Sky]:
    """Run a weather service in a thread."""
    made = Sky()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(10)


def hours(service: WeatherService, since: datetime, now: datetime = NOW) -> list[tuple[str, float]]:
    """Ask a service once."""
    found = asyncio.run(service.hours(DUBLIN, since, now))
    return [(one.at.strftime("%d %H:%M"), one.temperature_c) for one in found]


def test_open_meteo_gives_the_hours_that_have_begun(sky: Sky) -> None:
    """No hour of the future, none that is there already, and an unknown one is left out."""
    sky.open_meteo(NOW.replace(hour=7, minute=0), [5.0, 6.0, None, 7.5, 8.0])
    since = NOW.replace(hour=7, minute=0)
    assert hours(OpenMeteo(sky.url), since) == [("02 08:00", 6.0), ("02 10:00", 7.5)]
    (asked,) = sky.asked
    assert (asked["latitude"], asked["longitude"]) == ("53.3498", "-6.2603")
    assert (asked["hourly"], asked["timezone"], asked["past_days"]) == (
        "temperature_2m",
        "GMT",
        "1",
    )
    hours(OpenMeteo(sky.url), NOW - timedelta(days=900))
    assert sky.asked[-1]["past_days"] == "92"


def test_met_norway_is_told_who_asks_and_not_asked_before_its_answer_expires(sky: Sky) -> None:
    """Its terms; and what was a forecast when it was asked is not pushed an hour later."""
    service = MetNorway("ann@example.com", sky.url)
    sky.met_norway(NOW.replace(minute=0), [7.0, 8.0], NOW + timedelta(minutes=50))
    since = NOW - timedelta(days=1)
    assert hours(service, since) == [("02 10:00", 7.0)]
    assert hours(service, since, NOW + timedelta(minutes=45)) == [("02 10:00", 7.0)]
    assert len(sky.asked) == 1
    assert sky.asked[0] == {"lat": "53.3498", "lon": "-6.2603"}
    assert sky.agents[0].endswith(" ann@example.com")
    sky.met_norway(NOW.replace(hour=11, minute=0), [9.0], NOW + timedelta(hours=2))
    assert hours(service, since, NOW + timedelta(hours=1)) == [("02 11:00", 9.0)]
    with pytest.raises(KilowatchError, match="who you are"):
        MetNorway(" ")


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (500, {}, "weather_unavailable"),
        (429, {}, "weather_unavailable"),
        (200, b"<html>", "weather_garbled"),
        (200, [1], "weather_garbled"),
        (200, {"hourly": {"time": [1], "temperature_2m": []}}, "weather_garbled"),
        (200, {"hourly": {"time": [1], "temperature_2m": [459.0]}}, "weather_garbled"),
        (200, b" " * 5_000_000, "weather_garbled"),
    ],
)
def test_a_service_that_is_away_or_has_changed_pushes_nothing(
    sky: Sky, status: int, said: Any, code: str
) -> None:
    """Each with a sentence, and whether trying again helps."""
    sky.answer = (status, said, {})
    with pytest.raises(KilowatchError) as refused:
        hours(OpenMeteo(sky.url), NOW - timedelta(hours=3))
    assert refused.value.code == code
    assert refused.value.retry_helps == (code == "weather_unavailable")


def test_a_service_that_does_not_answer_is_named() -> None:
    """Nobody listens at the discard port."""
    with pytest.raises(KilowatchError, match="does not answer"):
        hours(OpenMeteo("http://127.0.0.1:9/"), NOW - timedelta(hours=3))
    with pytest.raises(KilowatchError, match="no place on earth"):
        Place(91.0, 0.0)


def test_hours_go_on_after_the_latest_packet(sky: Sky, fake_server: Any) -> None:
    """A second run pushes only what is new, in order, through the push interface."""

    async def go() -> tuple[Any, Any, list[Any]]:
        async with fake_server().running() as server:
            target = Target.parse(server.url, "weather", "secret")
            async with Pusher(target) as pusher:
                sky.open_meteo(NOW.replace(hour=8, minute=0), [6.0, 6.5, 7.0])
                first = await bring(OpenMeteo(sky.url), DUBLIN, pusher, "out", NOW)
                sky.open_meteo(NOW.replace(hour=8, minute=0), [6.0, 6.5, 7.0, 8.0])
                later = NOW + timedelta(hours=1)
                second = await bring(OpenMeteo(sky.url), DUBLIN, pusher, "out", later)
            return first.counts, second.counts, server.stored["out"]

    first, second, stored = asyncio.run(go())
    assert (dict(first), dict(second)) == ({"accepted": 3}, {"accepted": 1})
    assert [one["tsISO8601"] for one in stored] == [
        f"2026-03-02T{hour:02}:00:00Z" for hour in (8, 9, 10, 11)
    ]


def test_the_command_asks_once_and_says_what_came_of_it(sky: Sky, fake_server: Any) -> None:
    """It is a client: it needs an address and a credential, and no data folder."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    sky.open_meteo(now - timedelta(hours=1), [6.0, 6.5])

    async def go() -> str:
        app = typer.Typer(pretty_exceptions_enable=False)
        weather.register(app)
        async with fake_server().running() as server:
            arguments = [
                "weather", "fetch", "--service", "open-meteo", "--latitude", "53.35",
                "--longitude", "-6.26", "--stream", "out", "--url", server.url, "--user", "w",
                "--service-url", sky.url,
            ]  # fmt: skip
            environment = {"KILOWATCH_PUSH_PASSWORD": "secret"}
            done = await asyncio.to_thread(
                CliRunner().invoke, _grouped(app), arguments, env=environment
            )
            assert done.exception is None, done.output
            assert len(server.stored["out"]) == 2
            return done.stdout

    assert "out: 2 accepted" in asyncio.run(go())


def _grouped(app: typer.Typer) -> typer.Typer:
    @app.callback()
    def _root() -> None:
        """Keep the name of the group in the command line."""

    return app
