"""Guessing passwords is slow for the guesser and for nobody else."""

import threading
import time
from collections.abc import Callable

import pytest

from kilowatch import catalog
from kilowatch.catalog import people, secrets
from kilowatch.collector.throttle import (
    DELAY_S_MAX,
    DELAYED_MAX,
    DELAYED_PER_ADDRESS_MAX,
    FAILURES_MAX,
    FORGIVEN_AFTER_S,
    FREE_FAILURES,
    Throttle,
)
from tests.collector.harness import PATH, PERSON, Server, answers, basic, packet, request


@answers("repeated failures from one address")
def test_wrong_passwords_are_answered_later_and_later_and_right_ones_at_once(
    server: Server,
) -> None:
    """The fifth guess waits; the meter behind the same router does not."""
    wrong = {"Authorization": basic(server.registry["partner"][0], "wrong")}
    took = []
    for _ in range(FREE_FAILURES + 3):
        begun = time.monotonic()
        assert server.push(packet(), by=None, headers=wrong).status == 401
        took.append(time.monotonic() - begun)
        begun = time.monotonic()
        assert server.push(packet()).status == 200
        assert time.monotonic() - begun < 0.2 + min(took)
    assert took[FREE_FAILURES] > 0.2
    assert took[-1] > 0.9
    begun = time.monotonic()
    assert server.push(packet(), by="person").status == 200
    assert time.monotonic() - begun < 1.5


def test_delays_grow_end_and_are_forgiven() -> None:
    """From a quarter of a second to four, and back to nothing after some minutes of quiet."""
    throttle = Throttle()
    delays = [throttle.failed("10.0.0.1", 0.0) for _ in range(12)]
    assert delays == [0, 0, 0, 0.25, 0.5, 1, 2, 4, 4, 4, 4, 4]
    assert throttle.failed("10.0.0.2", 0.0) == 0
    assert throttle.failed("10.0.0.1", 3600.0) == 0
    assert DELAY_S_MAX <= 5


def test_a_gateway_that_was_wrong_all_night_is_soon_forgiven_once_it_is_mended() -> None:
    """Ten thousand wrong passwords do not cost the meter behind the same router a week."""
    throttle = Throttle()
    for second in range(10_000):
        if throttle.failed("10.0.0.1", float(second)):
            throttle.answered("10.0.0.1")
    quiet_s = FAILURES_MAX * FORGIVEN_AFTER_S
    assert quiet_s <= 600
    assert throttle.failed("10.0.0.1", 10_000.0) == DELAY_S_MAX
    throttle.answered("10.0.0.1")
    assert throttle.failed("10.0.0.1", 10_000.0 + quiet_s) == 0


def test_an_ipv6_network_counts_as_one_address() -> None:
    """Whoever has one IPv6 address has 2^64 of them."""
    throttle = Throttle()
    delays = [throttle.failed(f"2001:db8::{n}", 0.0) for n in range(5)]
    assert delays[-1]
    assert throttle.failed("2001:db8:0:1::1", 0.0) == 0


def test_waiting_answers_are_bounded_by_address_and_in_all() -> None:
    """Slowing down must not itself use up connections."""
    throttle = Throttle()
    delays = [throttle.failed("10.0.0.1", 0.0) for _ in range(50)]
    assert sum(1 for delay in delays if delay) == DELAYED_PER_ADDRESS_MAX
    assert delays[-1] is None
    for _ in range(DELAYED_PER_ADDRESS_MAX):
        throttle.answered("10.0.0.1")
    assert throttle.delayed == 0
    assert throttle.failed("10.0.0.1", 0.0)
    for n in range(40_000):
        throttle.failed(f"10.{n // 4 // 250 % 250}.{n // 4 % 250}.1", 0.0)
    assert throttle.delayed <= DELAYED_MAX


def test_passwords_beyond_the_bound_are_not_looked_at() -> None:
    """Many guesses at once get no further than sixteen; another address is not concerned."""
    throttle = Throttle()
    assert [throttle.may_guess("10.0.0.1", 0.0) for _ in range(50)].count(True) == (
        DELAYED_PER_ADDRESS_MAX
    )
    assert throttle.may_guess("10.0.0.2", 0.0)
    for _ in range(DELAYED_PER_ADDRESS_MAX):
        throttle.verified("10.0.0.1")
        throttle.failed("10.0.0.1", 0.0)
    assert throttle.delayed == DELAYED_PER_ADDRESS_MAX - FREE_FAILURES
    assert [throttle.may_guess("10.0.0.1", 0.0) for _ in range(50)].count(True) == FREE_FAILURES
    for n in range(DELAYED_MAX):
        throttle.may_guess(f"10.1.{n // 250}.{n % 250}", 0.0)
    assert throttle.may_guess("10.0.0.3", 0.0)  # an address that never failed


def test_guesses_beyond_the_bound_are_answered_503_and_right_ones_as_ever(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guesser who opens a hundred connections learns nothing sooner than with one."""
    assert server.push(packet(), by="person").status == 200
    throttle = server.collector.reception.throttle

    def crowd() -> None:
        for _ in range(DELAYED_PER_ADDRESS_MAX + FREE_FAILURES):
            throttle.failed("127.0.0.1", server.loop.time())

    server.on_loop(crowd)
    looked_at: list[str] = []
    monkeypatch.setattr(secrets, "verify_password", lambda _, password: looked_at.append(password))
    for username in (PERSON, "nobody@example.com", server.registry["partner"][0]):
        wrong = {"Authorization": basic(username, "wrong")}
        answer = server.push(packet(), by=None, headers=wrong)
        assert (answer.status, answer.code) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["connection"] == "close"
    assert looked_at == []
    monkeypatch.undo()
    assert server.push(packet()).status == 200
    assert server.push(packet(), by="person").status == 200

    def expire() -> None:
        authenticator = server.collector.reception.authenticator
        authenticator._known.clear()
        for digest, (stored, _) in list(authenticator._verified.items()):
            authenticator._verified[digest] = (stored, server.loop.time() - 1.0)

    server.on_loop(expire)  # right a minute ago: verified again, and no guess
    assert server.push(packet(), by="person").status == 200


def test_a_challenge_is_not_a_guess(server: Server) -> None:
    """Clients that always wait for the 401 are not slowed down."""
    begun = time.monotonic()
    for _ in range(30):
        assert server.push(packet(), by=None).status == 401
    assert server.collector.reception.throttle.delayed == 0
    assert time.monotonic() - begun < 10
    begun = time.monotonic()
    wrong = {"Authorization": basic("x", "wrong")}
    assert server.push(packet(), by=None, headers=wrong).status == 401
    assert time.monotonic() - begun < 2


def test_a_persons_password_is_verified_once_and_then_remembered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Argon2id costs 20 ms: not for each packet, and once for many at the same time."""
    calls = []
    verify: Callable[[str | None, str], bool] = secrets.verify_password

    def counted(stored: str | None, password: str) -> bool:
        calls.append(1)
        return verify(stored, password)

    monkeypatch.setattr(secrets, "verify_password", counted)
    threads = [
        threading.Thread(target=server.push, args=(packet(),), kwargs={"by": "person"})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(5):
        assert server.push(packet(), by="person").status == 200
    assert 1 <= len(calls) <= 3


def test_a_changed_password_ends_the_old_one_within_a_second(server: Server) -> None:
    """What is remembered is bound to the password that was verified."""
    headers = {"Authorization": server.authorization("person")}
    body = b'{"id":"oven","tsISO8601":"2024-06-01T12:00Z","aP_1":1}'
    with server.connect() as wire:
        for _ in range(3):
            assert wire.ask(request("POST", PATH, body, headers)).status == 200
        with server.registry.catalog.change(catalog.Actor.shell()) as change:
            person = people.find_by_email(change.session, PERSON)
            assert person is not None
            people.set_password(change, person.id, "another long password")
        time.sleep(0.9)
        assert wire.ask(request("POST", PATH, body, headers)).status == 401


def test_packets_behind_a_password_check_keep_their_order(server: Server) -> None:
    """Pipelined packets of one stream are stored in the order they were sent."""
    headers = {"Authorization": server.authorization("person")}
    bodies = [
        f'{{"id":"oven","tsISO8601":"2024-06-01T12:{n:02}Z","aP_1":1}}'.encode() for n in range(20)
    ]
    with server.connect() as wire:
        wire.send(b"".join(request("POST", PATH, body, headers) for body in bodies))
        assert [wire.reply().json["status"] for _ in bodies] == ["accepted"] * 20


def test_no_password_stays_in_the_servers_memory_of_requests(server: Server) -> None:
    """What is remembered of a request is a keyed digest, and the live view has no secret."""
    secret = server.registry["partner"][1]
    for _ in range(3):
        server.push(packet())
    server.push(packet(), by=None, headers={"Authorization": basic("someone", secret)})
    reception = server.collector.reception
    seen = repr((reception.heads.__dict__, reception.authenticator.__dict__, reception.live.recent))
    header = server.authorization("partner")
    assert secret not in seen
    assert header.split()[1] not in seen
