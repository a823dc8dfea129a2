"""A real mail server on this machine that keeps what the platform sends."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


class Inbox:
    """Keeps what the platform sends."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
        """Take a mail."""
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        return "250 taken"


@contextmanager
def mail_server() -> Iterator[tuple[Inbox, int]]:
    """Run a mail server on a free port."""
    kept = Inbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(kept, hostname="127.0.0.1", port=port, decode_data=False)
    controller.start()
    yield kept, port
    controller.stop()


def mail_settings(port: int) -> str:
    """Return the lines of ``kilowatch.toml`` that name the mail server."""
    return (
        f'mail_server = "127.0.0.1"\nmail_port = {port}\nmail_security = "none"\n'
        'mail_from = "Kilowatch <kilowatch@example.com>"\n'
    )


def text_of(mail: EmailMessage) -> str:
    """Return what a mail says."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
