"""The platform's own mail, handed to a real SMTP server on this machine."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.collector.certificate import make_certificate
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message
from kilowatch.notify.smtp import MailServer, SmtpMailer, written

USER, PASSWORD = "platform", "a long mail password"
SENDER = "Kilowatch <kilowatch@example.com>"
HELLO = Message(
    "ann@example.com", "Your invitation", "Welcome.\nCome in: https://x/#a", "<p>Hi</p>"
)


class Inbox:
    """Keeps what a mail server was given, or answers as a test wants."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.to: list[str] = []
        self.from_: list[str] = []
        self.answer = "250 taken"
        self.answer_to_recipient = "250 all right"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: object, _session: object, envelope: Any, address: str, _options: object
    ) -> str:
        """Take a recipient, or refuse them."""
        if self.answer_to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer_to_recipient

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802
        """Take a mail, or refuse it."""
        if self.answer.startswith("250"):
            parsed = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(parsed, EmailMessage)
            self.mails.append(parsed)
            self.to += envelope.rcpt_tos
            self.from_.append(envelope.mail_from)
        return self.answer


def check(_server: object, _session: object, _envelope: object, _how: str, data: Any) -> AuthResult:
    """Let in who knows user name and password."""
    assert isinstance(data, LoginPassword)
    right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a mail server shows, and what a client that trusts it believes."""
    folder: Path = tmp_path_factory.mktemp("tls")
    make_certificate(folder / "cert.pem", folder / "key.pem", (), 2)
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return shown, ssl.create_default_context(cafile=str(folder / "cert.pem"))


Start = Callable[..., tuple[int, Inbox]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a way to start a mail server on a free port."""
    running: list[Controller] = []

    def begin(*, at_once: ssl.SSLContext | None = None, **options: Any) -> tuple[int, Inbox]:
        inbox = Inbox()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options.setdefault("decode_data", False)
        controller = Controller(
            inbox, hostname="127.0.0.1", port=port, ssl_context=at_once, **options
        )
        controller.start()
        running.append(controller)
        return port, inbox

    yield begin
    for controller in running:
        controller.stop()


def test_a_mail_arrives_as_it_was_written(start: Start) -> None:
    """Text and HTML, from and to whom, and marked so that no out-of-office answer comes back."""
    port, inbox = start()
    SmtpMailer(MailServer("127.0.0.1", SENDER, port, "none")).send(HELLO)
    (mail,) = inbox.mails
    assert (inbox.from_, inbox.to) == (["kilowatch@example.com"], ["ann@example.com"])
    assert mail["From"] == SENDER
    assert mail["Subject"] == "Your invitation"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.com>")
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n").strip() == HELLO.text
    assert html.get_content().strip() == HELLO.html


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_password_goes_over_tls_only_and_is_accepted(
    start: Start, tls: tuple[ssl.SSLContext, ssl.SSLContext], security: Any
) -> None:
    """The usual set-up of a company: TLS, user name and password."""
    shown, trusted = tls
    needed = {"authenticator": check, "auth_required": True}
    port, inbox = (
        start(at_once=shown, auth_require_tls=False, **needed)
        if security == "tls"
        else start(tls_context=shown, require_starttls=True, **needed)
    )
    server = MailServer("127.0.0.1", SENDER, port, security, USER, PASSWORD)
    SmtpMailer(server, trusted).send(HELLO)
    assert inbox.to == ["ann@example.com"]
    assert PASSWORD not in repr(server)


def test_a_wrong_password_is_not_tried_again(
    start: Start, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """Trying it for ever would lock the account; somebody has to correct the setting."""
    shown, trusted = tls
    port, inbox = start(tls_context=shown, authenticator=check, auth_required=True)
    server = MailServer("127.0.0.1", SENDER, port, "starttls", USER, "wrong")
    with pytest.raises(KilowatchError, match="mail_user") as refused:
        SmtpMailer(server, trusted).send(HELLO)
    assert (refused.value.code, refused.value.retry_helps) == ("mail_refused", False)
    assert not inbox.mails
    assert "wrong" not in str(refused.value)


def test_a_server_whose_certificate_is_not_trusted_gets_nothing(
    start: Start, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """An invitation link must not go to whoever stands in between."""
    port, inbox = start(tls_context=tls[0])
    with pytest.raises(KilowatchError, match="not trusted") as refused:
        SmtpMailer(MailServer("127.0.0.1", SENDER, port)).send(HELLO)
    assert (refused.value.code, refused.value.retry_helps) == ("mail_refused", False)
    assert not inbox.mails


def test_a_server_without_the_tls_that_is_asked_for_gets_nothing(start: Start) -> None:
    """A stripped STARTTLS is a fault, never a reason to go on in clear."""
    port, inbox = start()
    with pytest.raises(KilowatchError) as refused:
        SmtpMailer(MailServer("127.0.0.1", SENDER, port, "starttls", USER, PASSWORD)).send(HELLO)
    assert refused.value.code == "mail_refused"
    assert not inbox.mails


@pytest.mark.parametrize(
    ("where", "answer", "code", "retry_helps"),
    [
        ("answer_to_recipient", "550 no such user", "mail_refused", False),
        ("answer_to_recipient", "450 greylisted, come again", "mail_failed", True),
        ("answer", "552 too big", "mail_refused", False),
        ("answer", "451 disk full", "mail_failed", True),
    ],
)
def test_for_now_and_for_good_are_told_apart(
    start: Start, where: str, answer: str, code: str, retry_helps: bool
) -> None:
    """A mailbox that does not exist is not tried for days, a busy server is asked again."""
    port, inbox = start()
    setattr(inbox, where, answer)
    with pytest.raises(KilowatchError, match=answer) as refused:
        SmtpMailer(MailServer("127.0.0.1", SENDER, port, "none")).send(HELLO)
    assert (refused.value.code, refused.value.retry_helps) == (code, retry_helps)
    assert refused.value.data == {"smtp_code": int(answer[:3])}


def test_a_server_that_hangs_or_is_away_is_given_up(start: Start) -> None:
    """The platform waits its time and no longer, and says that another attempt can help."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        server = MailServer("127.0.0.1", SENDER, port, "none", timeout_s=0.2)
        with pytest.raises(KilowatchError, match="in time") as refused:
            SmtpMailer(server).send(HELLO)
    assert (refused.value.code, refused.value.retry_helps) == ("mail_failed", True)
    with pytest.raises(KilowatchError) as refused:
        SmtpMailer(server).send(HELLO)
    assert (refused.value.code, refused.value.retry_helps) == ("mail_failed", True)


def test_a_server_that_breaks_off_is_tried_again() -> None:
    """A mail server that restarts in the middle loses nothing of ours."""
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up() -> None:
            taken, _ = rude.accept()
            taken.sendall(b"220 hello\r\n")
            taken.recv(100)
            taken.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        server = MailServer("127.0.0.1", SENDER, rude.getsockname()[1], "none", timeout_s=5)
        with pytest.raises(KilowatchError) as refused:
            SmtpMailer(server).send(HELLO)
        thread.join()
    assert (refused.value.code, refused.value.retry_helps) == ("mail_failed", True)


@given(subject=st.text(max_size=60), text=st.text(alphabet="aé\n.:B", max_size=60))
def test_whatever_is_written_stays_in_its_place(subject: str, text: str) -> None:
    """The name of a site with a line break in it can't add a recipient to our mails."""
    subject = "".join(c for c in subject if not 0xD800 <= ord(c) <= 0xDFFF)
    mail = written(Message("ann@example.com", f"{subject}\r\nBcc: eve@example.org", text), SENDER)
    names = {name.lower() for name, _ in message_from_bytes(bytes(mail)).items()}
    assert "bcc" not in names
    assert {"from", "to", "subject", "date", "message-id"} <= names


@pytest.mark.parametrize("address", ["a@x.ie\r\nRCPT TO:<b@x.ie>", "A <a@x.ie>", "nobody", ""])
def test_only_one_plain_address_is_written_to(address: str) -> None:
    """What is no address is refused before a server is asked."""
    with pytest.raises(KilowatchError) as refused:
        written(Message(address, "x", "y"), SENDER)
    assert refused.value.code == "mail_refused"


def test_the_text_of_a_mail_is_not_in_logs() -> None:
    """It may hold a link that opens an account."""
    assert "https://x/#a" not in repr(HELLO)
