"""The push API's contract, who may push what."""

import json
import time
from typing import Any

import httpx
import pytest

from kilowatch import catalog
from kilowatch.catalog import credentials, data_points, formulas, people, registry
from kilowatch.catalog.credentials import Target
from kilowatch.catalog.formulas import Wish
from kilowatch.catalog.settings_check import Settings
from tests.collector.harness import (
    KEY,
    PATH,
    PERSON,
    Server,
    answers,
    basic,
    packet,
    request,
)


@answers("no `Authorization` header, or one that is not Basic", "401")
def test_a_client_that_waits_for_the_challenge_gets_one_every_time(shared: Server) -> None:
    """Some clients send credentials only after a 401, and again on every connection."""
    auth = httpx.BasicAuth(*shared.registry["partner"])
    url = f"http://127.0.0.1:{shared.port}{PATH}"
    for _ in range(8):
        with httpx.Client() as client:
            first = client.post(url, json=packet("load-8"))
            assert first.status_code == 401
            challenge = first.headers["www-authenticate"]
            assert challenge == 'Basic realm="Kilowatch", charset="UTF-8"'
            begun = time.monotonic()
            assert client.post(url, json=packet("load-8"), auth=auth).status_code == 200
            assert time.monotonic() - begun < 1
    bearer = shared.push(packet(), by=None, headers={"Authorization": "Bearer abc"})
    assert (bearer.status, bearer.code) == (401, "credentials_missing")
    assert "not HTTP Basic" in bearer.json["detail"]
    for value in ("Basic", "Basic a3c6YQ", "Basic @@@@", "Basic abcd"):  # no padding, no base64
        unread = shared.push(packet(), by=None, headers={"Authorization": value})
        assert (unread.status, unread.code) == (401, "credentials_missing")
        assert "can't be read" in unread.json["detail"], value  # it is not missing


def test_the_challenge_comes_also_when_the_client_closes(shared: Server) -> None:
    """New-connection clients say Connection: close and still need the challenge."""
    with shared.connect() as wire:
        reply = wire.ask(request("POST", PATH, b"{}", {"Connection": "close"}))
        assert reply.status == 401
        assert reply.headers["connection"] == "close"
        assert "charset" in reply.headers["www-authenticate"]
        assert wire.closed()


@answers("wrong user name or password")
@pytest.mark.parametrize(
    ("username", "password"),
    [(None, "wrong"), ("nobody", None), ("nobody@example.com", "x"), (PERSON, "wrong"), ("", "")],
)
def test_a_wrong_half_is_not_told_from_the_other(
    server: Server, username: str | None, password: str | None
) -> None:
    """Whoever guesses learns nothing from the answer."""
    right_name, right_password = server.registry["partner"]
    tried = basic(right_name if username is None else username, password or right_password)
    reply = server.push(packet(), by=None, headers={"Authorization": tried})
    assert (reply.status, reply.code) == (401, "credentials_wrong")
    assert reply.headers["www-authenticate"].startswith("Basic")


@answers("a credential that was revoked")
def test_a_revoked_credential_stops_within_a_second(server: Server) -> None:
    """A stolen gateway is cut off while its connection is still open."""
    headers = {"Authorization": server.authorization("revocable")}
    with server.connect() as wire:
        body = json.dumps(packet()).encode()
        assert wire.ask(request("POST", PATH, body, headers)).status == 200
        assert wire.ask(request("POST", PATH, body, headers)).status == 200
        with server.registry.catalog.change(catalog.Actor.shell()) as change:
            credentials.revoke(change, server.registry["revocable"][0])
        time.sleep(0.9)
        assert wire.ask(request("POST", PATH, body, headers)).status == 401


@answers("a credential of the other environment")
def test_a_production_credential_does_not_open_development(server: Server) -> None:
    """Test packets must not end up among real ones because of a copied password."""
    reply = server.push(packet(), by="production")
    assert (reply.status, reply.code) == (401, "credentials_wrong")


ALLOWED = {
    "partner": {"oven": 200, "gas": 200, "mill": 200, "kettle": 404, "nothing": 404},
    "site": {"oven": 200, "gas": 200, "mill": 403, "kettle": 404, "nothing": 404},
    "meter": {"oven": 200, "gas": 403, "mill": 403, "kettle": 404, "nothing": 404},
    "user": {"oven": 200, "gas": 403, "mill": 403, "kettle": 404, "nothing": 404},
    "person": {"oven": 200, "gas": 403, "mill": 403, "kettle": 404, "nothing": 404},
    "brewery": {"oven": 404, "gas": 404, "mill": 404, "kettle": 200, "nothing": 404},
}


@answers(
    "scope meter",
    "scope user",
    "scope site",
    "scope partner",
    "a person's e-mail address and password",
    "a stream of the same organisation outside the scope",
    "a stream that is not registered, or of another organisation",
)
@pytest.mark.parametrize("by", list(ALLOWED))
def test_each_scope_reaches_its_streams_and_no_others(shared: Server, by: str) -> None:
    """Outside the scope 403; not there, or somebody else's, 404: the two look the same."""
    codes = {403: "stream_not_allowed", 404: "stream_unknown"}
    for stream, status in ALLOWED[by].items():
        values: dict[str, Any] = {"value": 1} if stream == "gas" else {"aP_1": 1}
        reply = shared.push(packet(stream, **values), by=by)
        assert reply.status == status, (by, stream, reply.body)
        asked = shared.latest(stream, by=by)
        assert asked.status == status, (by, stream, asked.body)
        if status != 200:
            assert reply.code == asked.code == codes[status]


def test_another_organisations_stream_looks_exactly_like_none(shared: Server) -> None:
    """Not one byte of the answer tells that the stream exists elsewhere."""
    theirs = shared.push(packet("kettle")).body.replace(b"kettle", b"NAME")
    nobodys = shared.push(packet("neither")).body.replace(b"neither", b"NAME")
    assert theirs == nobodys


def test_credentials_in_iso_8859_1_are_understood(server: Server) -> None:
    """A password with an umlaut works from an old client as from a new one."""
    with server.registry.catalog.change(catalog.Actor.shell()) as change:
        user, _ = people.add_user(change, "zoe@example.com", password="Mühlenweg siebzehn")
        organisation = registry.find_organisation(change.session, "Bakery")
        people.set_role(change, user, organisation, "administrator")
    for encoding in ("utf-8", "latin-1"):
        header = basic("zoe@example.com", "Mühlenweg siebzehn", encoding)
        reply = server.push(packet(), by=None, headers={"Authorization": header})
        assert reply.status == 200, encoding


def test_what_was_registered_a_moment_ago_works_at_once(server: Server) -> None:
    """An integrator registers a stream and pushes in the same second."""
    assert server.push(packet("fresh")).status == 404
    time.sleep(0.3)
    with server.registry.catalog.change(catalog.Actor.shell()) as change:
        organisation = registry.find_organisation(change.session, "Bakery")
        site = registry.find_site(change.session, organisation, "Shop")
        settings = Settings("electrical", "electricity", 300, reading="cum")
        data_points.register(change, site, "Fresh", settings, stream_id="fresh")
        names = formulas.names_of(change.session, organisation.id)
        wish = Wish("2 * [Fresh].energy")
        formulas.create(change, site, "Twice", wish, names, stream_id="twice")
        issued = credentials.issue(change, KEY, Target(organisation), environment="development")
        server.registry.keep("fresh", issued)
    assert server.push(packet("fresh"), by="fresh").json == {"status": "accepted"}
    computed = server.push(packet("twice", value=1), by="fresh")
    assert (computed.status, computed.code) == (403, "stream_computed"), (
        "a formula takes no packets"
    )
