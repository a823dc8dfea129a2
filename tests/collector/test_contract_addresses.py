"""The push API's contract, addresses and transport."""

import gzip
import http.client
import json
import ssl

import pytest

from tests.collector.conftest import StartServer
from tests.collector.harness import (
    PATH,
    Server,
    answers,
    packet,
    request,
)

UTC = "/measurements/v2/unifiedjson_utc/"
PARTIAL = "/measurements/v2/unifiedjson_partial/"
ADDRESSES = (PATH, UTC, PARTIAL)


@answers("`POST /measurements/v2/unifiedjson/`")
def test_a_packet_with_local_time_is_taken(server: Server) -> None:
    """The ordinary way in: local time with its offset."""
    assert server.push(packet()).json == {"status": "accepted"}


@answers("`POST /measurements/v2/unifiedjson_utc/`")
@pytest.mark.parametrize("stamp", ["2024-06-01T10:00:00", "2024-06-01T10:00:00Z"])
def test_a_utc_packet_needs_no_offset_and_comes_back_as_it_was(server: Server, stamp: str) -> None:
    """Head-end systems keep UTC; what they see of their packet is what they sent."""
    sent = packet(at=stamp)
    assert server.push(sent, path=UTC).json == {"status": "accepted"}
    assert server.latest("oven").json == sent
    assert server.push(sent, path=PATH).status == (400 if stamp[-1] != "Z" else 200)


@answers("`POST /measurements/v2/unifiedjson_partial/`")
def test_parts_of_one_timestamp_become_one_measurement(server: Server) -> None:
    """A logger that reads its registers one by one still makes one reading."""
    assert server.push(packet(aP_1=1), path=PARTIAL).json == {"status": "accepted"}
    assert server.push(packet(aP_2=2), path=PARTIAL).json == {"status": "accepted"}
    assert server.push(packet(aP_1=3), path=PARTIAL).json == {"status": "accepted"}
    assert server.push(packet(aP_1=3), path=PARTIAL).json == {"status": "duplicate"}
    merged = server.latest("oven").json
    assert (merged["aP_1"], merged["aP_2"]) == (3, 2)
    older = packet(at="2024-06-01T11:00:00+02:00", aP_1=1)
    assert server.push(older, path=PARTIAL).json["status"] == "discarded"


def test_a_plain_packet_then_a_partial_one_merge_but_not_the_other_way(server: Server) -> None:
    """A partial packet adds to what is there; a plain one claims to be all of it."""
    assert server.push(packet(aP_1=1)).json["status"] == "accepted"
    assert server.push(packet(aP_2=2), path=PARTIAL).json["status"] == "accepted"
    assert server.push(packet(aP_1=9)).json["status"] == "discarded"


@answers("`GET /measurements/v2/unifiedjson/?stream=ID`")
def test_a_get_returns_the_packet_just_acknowledged_on_any_connection(server: Server) -> None:
    """A client checks what arrived right after its 200, byte for byte."""
    body = b'{ "id":"oven", "tsISO8601" : "2024-06-01T12:00+02",\n"aP_1":1e2}'
    with server.connect() as wire:
        headers = {"Authorization": server.authorization("partner")}
        assert wire.ask(request("POST", PATH, body, headers)).status == 200
        again = wire.ask(request("GET", f"{PATH}?stream=oven", headers=headers), "GET")
    assert again.status == 200
    assert again.headers["content-type"] == "application/json"
    assert again.body == body == server.latest("oven").body


def test_a_get_that_names_no_stream_says_how_to(shared: Server) -> None:
    """An integrator who forgot the parameter is told its name."""
    for query in ("", "?stream=", "?stream=a&stream=b"):
        reply = shared.push(body=b"", method="GET", path=PATH + query)
        assert (reply.status, reply.code) == (400, "stream_missing")
        assert "?stream=" in reply.json["remedy"]


@answers("another method on these", "405")
@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"])
def test_other_methods_are_refused_with_those_that_work(
    shared: Server, path: str, method: str
) -> None:
    """A wrong method is a wrong client, and the answer names the right ones."""
    reply = shared.push(body=b"", method=method, path=path, by=None)
    assert reply.status == 405
    assert reply.headers["allow"] == ("GET, POST" if path == PATH else "POST")
    assert (reply.body == b"") == (method == "HEAD")


def test_a_get_on_the_utc_and_partial_addresses_is_not_allowed(shared: Server) -> None:
    """There is one place to read from."""
    for path in (UTC, PARTIAL):
        reply = shared.push(body=b"", method="GET", path=f"{path}?stream=oven")
        assert (reply.status, reply.headers["allow"]) == (405, "POST")


@answers("another path under `/measurements/`", "404")
@pytest.mark.parametrize(
    "path",
    [
        "/measurements/",
        "/measurements/v1/unifiedjson/",
        "/measurements/v2/unifiedjson/more",
        "/measurements/v2/unifiedjsonx",
        "/measurements%2Fv2/unifiedjson/",
        "/measurements/v2/unifiedjson/../x",
    ],
)
def test_another_path_is_not_found(shared: Server, path: str) -> None:
    """A typing error in the address is told apart from one in the packet."""
    reply = shared.push(packet(), path=path)
    assert (reply.status, reply.code) == (404, "path_unknown")
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        PATH.rstrip("/"),
        f"/{PATH}",
        "/measurements//v2/unifiedjson//",
        "/measurements/v2/unified%6Ason/",
        f"http://localhost:8080{PATH}",
        f"{PATH}?ignored=1",
    ],
)
def test_every_spelling_of_an_address_works_without_a_redirect(shared: Server, path: str) -> None:
    """With and without slash, doubled, encoded or in full: a redirect would lose the body."""
    assert shared.push(packet("load-0"), path=path).status == 200


def test_the_address_without_a_slash_serves_all_three_forms(shared: Server) -> None:
    """Client libraries differ in whether they add it."""
    for path in ADDRESSES:
        assert shared.push(packet("load-1"), path=path.rstrip("/")).status == 200


def test_the_root_is_a_plain_page_for_people(shared: Server) -> None:
    """Somebody who opens the port in a browser learns what it is."""
    reply = shared.push(body=b"", method="GET", path="/", by=None)
    assert reply.status == 200
    assert b"push API" in reply.body
    assert shared.push(body=b"", method="GET", path="/favicon.ico", by=None).status == 404


# Transport


@answers("HTTPS")
def test_tls_is_at_least_1_2_and_speaks_http_1_1_only(shared: Server) -> None:
    """Old TLS is refused, and HTTP/2 is never promised."""
    context = ssl.create_default_context(cafile=str(shared.settings.tls_dir / "cert.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    port = shared.addresses.https_port
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.minimum_version = context.maximum_version = version
        client = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
        client.connect()
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        headers = {"Authorization": shared.authorization("partner")}
        client.request("POST", PATH, json.dumps(packet("load-2")), headers)
        assert client.getresponse().status == 200
        client.close()


def test_tls_1_1_is_refused(shared: Server) -> None:
    """A client that offers nothing better than TLS 1.1 gets no connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with shared.connect_raw(shared.addresses.https_port) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="localhost")


@answers("production environment", "403")
def test_production_answers_plain_http_with_403_and_nothing_else(start: StartServer) -> None:
    """Whatever comes over plain HTTP: the answer is why not, and where to go."""
    server = start(environment="production")
    asked = [
        request("GET", "/"),
        request("POST", PATH, b"{}", {"Authorization": server.authorization("production")}),
        request("POST", "/elsewhere", b"{}"),
        request("DELETE", PATH),
        request("POST", PATH, b"", {"Content-Length": "9999999"}),
        request("POST", PATH, b"", {"Content-Length": "10", "Expect": "100-continue"}),
        request("GET", "/", headers={"X-Forwarded-Proto": "https"}),
        request("GET", "/", headers={"Connection": "Upgrade", "Upgrade": "websocket"}),
        b"FROB / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
    ]
    for bytes_sent in asked:
        with server.connect() as wire:
            reply = wire.ask(bytes_sent)
            assert (reply.status, reply.code) == (403, "not_secure"), bytes_sent
            assert reply.json["https"] == server.addresses.push_https
            assert server.addresses.push_https in reply.json["remedy"]
            assert wire.closed()


def test_production_takes_packets_over_https(start: StartServer) -> None:
    """The same server, the right way."""
    server = start(environment="production")
    with server.connect(tls=True) as wire:
        headers = {"Authorization": server.authorization("production")}
        reply = wire.ask(request("POST", PATH, json.dumps(packet()).encode(), headers))
    assert reply.json == {"status": "accepted"}


@answers("behind a proxy")
def test_a_listed_proxy_says_what_was_secure_and_nobody_else_does(start: StartServer) -> None:
    """The operator's proxy is believed; a client that writes the header itself is not."""
    server = start(environment="production", trusted_proxies=("127.0.0.0/8",))
    cases = {"https": 200, "HTTPS": 200, "http": 403, "https, http": 403, "": 403, None: 403}
    for proto, status in cases.items():
        headers = {} if proto is None else {"X-Forwarded-Proto": proto}
        assert server.push(packet(), by="production", headers=headers).status == status, proto
    with server.connect(tls=True) as wire:
        headers = {
            "Authorization": server.authorization("production"),
            "X-Forwarded-Proto": "http",
        }
        assert wire.ask(request("POST", PATH, b"{}", headers)).status == 403


@answers("development environment")
def test_development_takes_plain_http_from_this_machine_only(start: StartServer) -> None:
    """A packet that crossed a network in the clear is refused in development too."""
    server = start()
    assert server.push(packet()).status == 200
    doorkeeper = server.collector.reception.doorkeeper
    assert doorkeeper.direct("127.0.0.1", tls=False)
    assert doorkeeper.direct("::1", tls=False)
    assert doorkeeper.direct("::ffff:127.0.0.1", tls=False)
    assert not doorkeeper.direct("192.168.1.20", tls=False)
    assert doorkeeper.direct("192.168.1.20", tls=True)


@answers("keep-alive")
def test_one_connection_serves_many_packets_and_may_rest_for_five_minutes(
    shared: Server,
) -> None:
    """A gateway that pushes every five minutes keeps its session."""
    assert shared.settings.idle_timeout_s >= 300
    with shared.connect() as wire:
        headers = {"Authorization": shared.authorization("partner")}
        for minute in range(20):
            body = json.dumps(packet("load-3", f"2024-06-01T12:{minute:02}:00Z")).encode()
            assert wire.ask(request("POST", PATH, body, headers)).json == {"status": "accepted"}


@answers("cookies", "`Content-Type`")
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "text/json"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "image/png; charset=nonsense"},
        {},
        {"Cookie": "JSESSIONID=0123456789abcdef"},
    ],
)
def test_content_type_and_cookies_never_matter(shared: Server, headers: dict[str, str]) -> None:
    """Clients in use send four content types for the same JSON."""
    assert shared.push(packet("load-4"), headers=headers).status == 200


@answers("`Content-Encoding: gzip`")
def test_a_compressed_packet_is_understood_and_returned_plain(shared: Server) -> None:
    """Gateways on metered mobile data compress."""
    sent = packet("load-5", aP_1=7)
    body = gzip.compress(json.dumps(sent).encode())
    for encoding in ("gzip", "GZIP", "x-gzip"):
        reply = shared.push(body=body, headers={"Content-Encoding": encoding})
        assert reply.status == 200
    assert shared.latest("load-5").json == sent
    broken = shared.push(body=body[:-6], headers={"Content-Encoding": "gzip"})
    assert (broken.status, broken.code) == (400, "gzip_broken")
    unknown = shared.push(body=body, headers={"Content-Encoding": "br"})
    assert (unknown.status, unknown.code) == (400, "encoding_unknown")


@answers("body over 64 KiB", "413")
def test_a_body_over_64_kib_is_refused_before_and_after_decompression(shared: Server) -> None:
    """A few KiB of gzip can hold gigabytes: it is stopped at 64 KiB."""
    padded = json.dumps(packet("load-6")).encode()
    padded += b" " * (65_536 - len(padded))
    assert shared.push(body=padded).status == 200
    assert shared.push(body=padded + b" ").status == 413
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 65_536
    reply = shared.push(body=bomb, headers={"Content-Encoding": "gzip"})
    assert (reply.status, reply.code) == (413, "body_too_large")
    chunks = b"".join(b"4000\r\n" + b" " * 0x4000 + b"\r\n" for _ in range(5))
    chunked = shared.push(body=chunks, headers={"Transfer-Encoding": "chunked"})
    assert chunked.status == 413


@answers("UTF-8")
def test_a_body_that_is_not_utf_8_is_read_as_iso_8859_1(shared: Server) -> None:
    """A client in use sends ISO-8859-1; its packet comes back as proper JSON."""
    body = '{"id":"load-7","tsISO8601":"2024-06-01T12:00Z","aP_1":1,"Zähler":2}'.encode("latin-1")
    reply = shared.push(body=body)
    assert reply.json == {"status": "accepted", "ignored": ["Zähler"]}
    assert shared.latest("load-7").json["Zähler"] == 2
