from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from kilowatch.client import Outcome, Pusher, PushStopped, Target, Trust
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


def test_a_certificate_file_that_is_none_is_named(tmp_path: Path) -> None:
    """The wrong file is found at once and said in words."""
    path = tmp_path / "cert.pem"
    path.write_text("no certificate")
    with pytest.raises(KilowatchError, match="cannot be used"):
        Trust(cafile=path).context()
