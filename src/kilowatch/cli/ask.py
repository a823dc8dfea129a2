"""Commands talk to the running server over Unix sockets in the data folder."""

from __future__ import annotations

from typing import Any

import httpx

from kilowatch.cli.folder import DataFolder, demo_beside
from kilowatch.model.errors import KilowatchError

TIMEOUT_S = 30.0


def ask(
    folder: DataFolder,
    path: str,
    *,
    collector: bool = False,
    parameters: dict[str, Any] | None = None,
    what: str = "server",
) -> dict[str, Any]:
    """Ask a process of the running server something.

    Args:
        folder: The server's data folder.
        path: Path of the question, for example ``/status``.
        collector: Whether the collector is asked, not the platform.
        parameters: Query parameters.
        what: What to call the process when it does not answer.

    Returns:
        The JSON object that it answered with.

    Raises:
        KilowatchError: ``not_running``, or the error that the process answered with.
    """
    socket = folder.collector_socket if collector else folder.control_socket
    transport = httpx.HTTPTransport(uds=str(socket))
    try:
        with httpx.Client(
            transport=transport, base_url="http://kilowatch", trust_env=False
        ) as client:
            answer = client.get(path, params=parameters, timeout=TIMEOUT_S)
    except httpx.TransportError:
        raise KilowatchError(
            "not_running",
            f"The {what} does not answer at {socket}.",
            remedy="Start it with `kilowatch serve`, or name its data folder with --data."
            + demo_beside(folder.root.absolute()),
        ) from None
    said: dict[str, Any] = answer.json()
    if answer.is_error:
        raise KilowatchError(
            said.get("code", "failed"),
            said.get("detail", answer.text),
            status=answer.status_code,
            remedy=said.get("remedy", ""),
        )
    return said
