"""A real mail server and a real webhook receiver on this machine, which answer as a test says."""

from __future__ import annotations

import json
import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message


class Inbox:
    """Takes mails, or answers what ``answers`` says, one for each mail."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.answers: list[str] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        if self.answers:
            answer = self.answers.pop(0)
            if not answer.startswith("2"):
                return answer
        mail = message_from_bytes(envelope.content)
        text = mail.get_payload(decode=True)
        assert isinstance(text, bytes)
        self.mails.append(
            (list(envelope.rcpt_tos), f"Subject: {mail['Subject']}\n\n{text.decode()}")
        )
        return "250 Message accepted for delivery"


class SmtpMailer:
    """Hands mails to a server on this machine and says what its refusals mean."""

    configured = True

    def __init__(self, port: int) -> None:
        self._port = port

    def send(self, message: Message) -> None:
        """Send a mail."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "kw@acme.example", message.to, message.subject
        mail.set_content(message.text)
        try:
            with smtplib.SMTP("127.0.0.1", self._port, timeout=10) as server:
                server.send_message(mail)
        except smtplib.SMTPResponseException as error:
            permanent = error.smtp_code >= 500
            raise KilowatchError(
                "mail_refused" if permanent else "mail_failed",
                f"The mail server answered {error.smtp_code}.",
                retry_helps=not permanent,
            ) from error
        except OSError as error:
            raise KilowatchError(
                "mail_failed", "The mail server can't be reached.", retry_helps=True
            ) from error


@contextmanager
def mail_server() -> Iterator[tuple[Inbox, SmtpMailer]]:
    """Run a mail server on a free port."""
    inbox = Inbox()
    with _free_port() as port:
        controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield inbox, SmtpMailer(port)
    finally:
        controller.stop()


@contextmanager
def _free_port() -> Iterator[int]:
    import socket  # noqa: PLC0415 - for this one look

    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


class Hook:
    """A webhook receiver: what came, and what to answer."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.hang = threading.Event()
        self.hangs = False
        self.port = server.server_address[1]

    @property
    def url(self) -> str:
        """Where it listens; with a token that must never be shown."""
        return f"http://127.0.0.1:{self.port}/hook/s3cr3t-t0ken"


@contextmanager
def webhook() -> Iterator[Hook]:
    """Run a webhook receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if hook.hangs:
                hook.hang.wait(60)
            status, headers = hook.answers.pop(0) if hook.answers else (204, {})
            if 200 <= status < 300:
                hook.received.append(json.loads(body))
                hook.headers.append(
                    {k.lower(): v for k, v in self.headers.items()} | {"": body.decode()}
                )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook = Hook(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.hang.set()
        server.shutdown()
        server.server_close()
