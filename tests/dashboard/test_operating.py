"""Health and metrics: a stranger learns whether it works, this machine and the token learn why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from starlette.testclient import TestClient

from kilowatch.health import Check, Facts, Report
from kilowatch.model.durations import Durations
from tests.dashboard.worlds import World

TOKEN = "a token of sixteen or more"
SECRET_DETAIL = "The log can't be written: disk /dev/vda is full."
RUNS = {"platform": {"away_s": 90.0}}


@dataclass
class Health:
    """A platform whose log fails, or not."""

    state: str = "failing"
    looked: int = 0
    page_times: dict[str, Durations] = field(default_factory=dict)

    async def report(self) -> Report:
        """Return one check."""
        self.looked += 1
        facts = Facts({}, {"runs": RUNS}, maintenance=False, now_ms=0)
        return Report((Check("log", self.state, SECRET_DETAIL),), facts)  # type: ignore[arg-type]

    async def metrics(self) -> bytes:
        """Return one number."""
        return b"kilowatch_up 1\n"


@pytest.fixture
def health(world: World) -> Iterator[Health]:
    """Put a platform under the pages that fails or not."""
    before = world.app.state.rooms
    made = Health()
    world.app.state.rooms = replace(before, health=made)
    yield made
    world.app.state.rooms = before


def with_token(world: World, token: str = TOKEN) -> None:
    """Let the operator set a token."""
    rooms = world.app.state.rooms
    settings = replace(rooms.settings, metrics_token=token)
    world.app.state.rooms = replace(rooms, settings=settings)


def caller(world: World, address: str = "127.0.0.1", host: str = "localhost") -> TestClient:
    """Return a client that calls from an address, by a name."""
    return TestClient(world.app, base_url=f"http://{host}", client=(address, 4711))


@pytest.mark.parametrize(
    ("address", "host", "headers"),
    [
        ("192.0.2.7", "kilowatch.example.com", {}),
        ("192.0.2.7", "localhost", {}),
        ("127.0.0.1", "localhost", {"X-Forwarded-For": "192.0.2.7"}),
        ("127.0.0.1", "localhost", {"Forwarded": "for=192.0.2.7"}),
        ("127.0.0.1", "localhost", {"X-Real-IP": "192.0.2.7"}),
        ("127.0.0.1", "localhost", {"Via": "1.1 proxy"}),
        ("127.0.0.1", "rebound.example.com", {}),
        ("::ffff:192.0.2.7", "localhost", {}),
        ("192.0.2.7", "localhost", {"Authorization": f"Bearer {TOKEN}x"}),
        ("192.0.2.7", "localhost", {"Authorization": "Bearer "}),
        ("192.0.2.7", "localhost", {"Authorization": f"Basic {TOKEN}"}),
    ],
)
@pytest.mark.parametrize("token", ["", TOKEN])
def test_a_stranger_learns_whether_it_works_and_no_more(
    world: World, health: Health, address: str, host: str, headers: dict[str, str], token: str
) -> None:
    """Somebody on the internet, a proxy's user or a web page finds nothing here to aim at."""
    with_token(world, token)
    client = caller(world, address, host)
    answer = client.get("/health/ready", headers=headers)
    assert answer.status_code == 503
    assert answer.json() == {"status": "failing"}
    refused = client.get("/metrics", headers=headers)
    assert refused.status_code == (401 if token else 403)
    assert "kilowatch_" not in refused.text
    health.state = "ok"
    well = client.get("/health/ready", headers=headers)
    assert (well.status_code, well.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("address", "host", "headers"),
    [
        ("127.0.0.1", "localhost", {}),
        ("127.0.0.1", "127.0.0.1:8000", {}),
        ("::1", "[::1]:8000", {}),
        ("192.0.2.7", "kilowatch.example.com", {"Authorization": f"Bearer {TOKEN}"}),
        ("127.0.0.1", "x", {"X-Forwarded-For": "9.9.9.9", "Authorization": f"bearer {TOKEN}"}),
    ],
)
def test_this_machine_and_who_brings_the_token_learn_the_reason(
    world: World, health: Health, address: str, host: str, headers: dict[str, str]
) -> None:
    """The monitoring system can say in its alarm what the matter is."""
    with_token(world)
    client = caller(world, address, host)
    answer = client.get("/health/ready", headers=headers)
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "failing",
        "checks": {"log": {"state": "failing", "detail": SECRET_DETAIL}},
        "runs": RUNS,
    }
    told = client.get("/metrics", headers=headers)
    assert told.text == "kilowatch_up 1\n"
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_a_warning_keeps_the_server_in_its_load_balancer(world: World, health: Health) -> None:
    """A certificate that expires in two weeks is no reason to serve nobody."""
    health.state = "warning"
    answer = caller(world, "192.0.2.7").get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "warning"})


def test_liveness_looks_at_nothing(world: World, health: Health) -> None:
    """A supervisor must not kill a process because its disk is full: it asks only if it answers."""
    answer = caller(world, "192.0.2.7").get("/health")
    assert (answer.status_code, answer.json(), health.looked) == (200, {"status": "ok"}, 0)


def test_pages_are_timed_by_their_handler_and_never_by_their_address(world: World) -> None:
    """Ten thousand data points are one line in the monitoring system, and so is what is unknown."""
    times = world.app.state.rooms.health.page_times
    client = caller(world)
    before = set(times)
    client.get("/login")
    for number in range(5):
        client.get(f"/breakdown/{number}")
        client.get(f"/no-such-page-{number}")
    assert set(times) - before <= {"log_in_page", "breakdown", "other"}
    assert sum(times["breakdown"].told()["counts"]) >= 5
    assert sum(times["other"].told()["counts"]) >= 5
