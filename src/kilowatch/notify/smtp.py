"""Handing a mail to an operator's server over SMTP.

What the server says decides whether another attempt can help: its 4xx answers, a connection that
can't be made and one that breaks off can pass by themselves; a 5xx answer, a certificate that is
not trusted and a log-in that is not offered need somebody to change something.
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Literal

from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message

MailSecurity = Literal["starttls", "tls", "none"]
PORTS: dict[MailSecurity, int] = {"starttls": 587, "tls": 465, "none": 25}  # RFC 8314, 3.3
TIMEOUT_S = 15.0
_SAID_MAX = 300  # of what a server says; it is shown to a person


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where the platform's mail goes.

    Attributes:
        host: Name or address.
        sender: ``name@example.com`` or ``Name <name@example.com>``.
        port: 0 for the usual one of ``security``.
        security: TLS after a plain beginning, TLS from the first byte, or none.
        user: For log-in; empty for none.
        password: Its password.
        timeout_s: Longest wait for one answer of the server [s].
    """

    host: str
    sender: str
    port: int = 0
    security: MailSecurity = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = TIMEOUT_S


class SmtpMailer:
    """Sends mails through one server, each over a connection of its own.

    Args:
        server: Where mail goes.
        trust: Which certificates are believed; None for those that the system trusts.
    """

    configured = True

    def __init__(self, server: MailServer, trust: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._trust = trust or ssl.create_default_context()

    def send(self, message: Message) -> None:
        """Hand a mail to the server.

        Raises:
            KilowatchError: ``mail_refused``, when another attempt does not help; ``mail_failed``,
                when it can.
        """
        server = self._server
        try:
            with self._connected() as connection:
                if server.user:
                    connection.login(server.user, server.password)
                connection.send_message(
                    written(message, server.sender), parseaddr(server.sender)[1], [message.to]
                )
        except smtplib.SMTPRecipientsRefused as error:
            code, said = error.recipients[message.to]
            raise _answered(code, said, f"the address {message.to}") from error
        except smtplib.SMTPAuthenticationError as error:
            raise _answered(
                error.smtp_code, error.smtp_error, "mail_user and its password"
            ) from None
        except smtplib.SMTPSenderRefused as error:
            raise _answered(error.smtp_code, error.smtp_error, "mail_from") from error
        except smtplib.SMTPNotSupportedError as error:
            raise _refused(f"{server.host} can't do what is needed: {error}") from error
        except smtplib.SMTPResponseException as error:
            raise _answered(error.smtp_code, error.smtp_error, "the mail") from error
        except ssl.SSLCertVerificationError as error:
            raise _refused(
                f"The certificate of {server.host} is not trusted: {error.verify_message}",
                "Name the server as its certificate does, or trust its authority (SSL_CERT_FILE).",
            ) from error
        except UnicodeError:  # smtplib logs in with ASCII only
            raise _refused("mail_user and its password can only have ASCII characters") from None
        except (smtplib.SMTPException, OSError) as error:
            raise KilowatchError(
                "mail_failed",
                f"The mail server {server.host} can't be reached: {_reason(error)}.",
                status=503,
                remedy="Check mail_server, mail_port and mail_security; then try again.",
                retry_helps=True,
            ) from error

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        port = server.port or PORTS[server.security]
        # As whom we greet: without a name smtplib asks the network for ours, which can take long.
        own = parseaddr(server.sender)[1].rpartition("@")[2]
        if server.security == "tls":
            return smtplib.SMTP_SSL(
                server.host, port, own, timeout=server.timeout_s, context=self._trust
            )
        connection = smtplib.SMTP(server.host, port, own, timeout=server.timeout_s)
        try:
            if server.security == "starttls":
                connection.starttls(context=self._trust)
        except BaseException:
            connection.close()
            raise
        return connection


def written(message: Message, sender: str) -> EmailMessage:
    """Return a mail as it goes over the wire; a line break never becomes a header of its own.

    Raises:
        KilowatchError: ``mail_refused`` when the address is none.
    """
    plain = parseaddr(message.to)[1] == message.to and message.to.isprintable()
    if not plain or "@" not in message.to:
        raise _refused(f"{message.to!r} is not an e-mail address")
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = message.to
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = formatdate()
    mail["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail.set_content(message.text)
    if message.html:
        mail.add_alternative(message.html, subtype="html")
    return mail


def _answered(code: int, said: bytes | str, about: str) -> KilowatchError:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    answer = " ".join(text.split())[:_SAID_MAX]
    if 400 <= code < 500:
        return KilowatchError(
            "mail_failed",
            f"The mail server did not take {about} for now: {code} {answer}",
            status=503,
            remedy="Try again later.",
            retry_helps=True,
            data={"smtp_code": code},
        )
    return _refused(f"The mail server refused {about}: {code} {answer}", code=code)


def _refused(detail: str, remedy: str = "", *, code: int = 0) -> KilowatchError:
    return KilowatchError(
        "mail_refused",
        detail.rstrip(".") + ".",
        status=409,
        remedy=remedy or "Another attempt does not help until this is changed.",
        data={"smtp_code": code} if code else {},
    )


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "it does not answer in time"
    return str(getattr(error, "strerror", "") or error or type(error).__name__)
