from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from kilowatch.client import Outcome, Pusher, PushStopped, Target, Trust
from kilowatch.client.answers import Answer
from kilowatch.collector import ensure_certificate
from kilowatch.model.errors import KilowatchError

PACKET = b'{"id":"a","tsISO8601":"2026-01-01T00:00:00.000+00:00","value":1}'


@pytest.mark.parametrize("trust", ["certificate", "insecure", "system"])
def test_a_self_signed_server_is_believed_only_when_it_is_named(
    fake_server: Any, tmp_path: Path, trust: str
) -> None:
    """A password is sent to nobody whose certificate has not been vouched for."""
    cert, key = ensure_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    trusts = {
        "certificate": Trust(cafile=cert),
        "insecure": Trust(insecure=True),
        "system": Trust(),
    }

    async def run() -> None:
        server = fake_server()
        listener = await asyncio.start_server(server._serve, "127.0.0.1", 0, ssl=context)
        port = listener.sockets[0].getsockname()[1]
        target = Target.parse(f"https://localhost:{port}", "u", "p", trusts[trust])
        async with Pusher(target) as pusher:
            if trust == "system":
                with pytest.raises(PushStopped, match="not trusted") as told:
                    await pusher.push("a", PACKET)
                assert "--cacert" in told.value.remedy
                assert server.requests == 0
            else:
                assert (await pusher.push("a", PACKET)).outcome is Outcome.ACCEPTED
        listener.close()

    asyncio.run(run())


def test_an_https_address_of_a_plain_server_is_told_at_once() -> None:
    """``--url localhost:8080`` means https: a run that tried for ever would look like an outage."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def run() -> None:
        listener = await asyncio.start_server(refuse, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        target = Target.parse(f"localhost:{port}", "u", "p")
        async with Pusher(target) as pusher:
            with pytest.raises(PushStopped, match="does not speak TLS") as told:
                await pusher.push("a", PACKET)
        assert "http://" in told.value.remedy
        listener.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("code", "wanted"), [("stream_unknown", "stream id"), ("path_unknown", "port"), ("", "port")]
)
def test_what_was_not_found_is_what_is_to_be_checked(code: str, wanted: str) -> None:
    """A 404 of the dashboard's port says nothing about the stream, which may well be there."""
    stopped = PushStopped(Answer(Outcome.BLOCKED, 404, code, "Not Found"), "a")
    assert wanted in stopped.remedy


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    """The wrong file is found at once and said in words."""
    path = tmp_path / "cert.pem"
    path.write_text("no certificate")
    with pytest.raises(KilowatchError, match="cannot be used"):
        Trust(cafile=path).context()
