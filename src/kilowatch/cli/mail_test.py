"""``kilowatch mail-test``: send one mail with the server's settings, and say what came of it."""

from __future__ import annotations

from typing import Annotated

import typer

from kilowatch.catalog.people import check_email
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import Server, paper
from kilowatch.cli.settings import Settings
from kilowatch.notify.mail import Mailer, Message, NoMailer
from kilowatch.notify.smtp import MailServer, SmtpMailer


def mailer_of(settings: Settings) -> Mailer:
    """Return what sends mail with these settings; where no server is named, what refuses to."""
    if not settings.mail_server:
        return NoMailer()
    return SmtpMailer(
        MailServer(
            settings.mail_server,
            settings.mail_from,
            settings.mail_port,
            settings.mail_security,
            settings.mail_user,
            settings.mail_password,
        )
    )


def mail_test(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Who gets the mail.")],
    data: Data = DEFAULT,
) -> None:
    """Send a mail to ADDRESS as the server would, to see whether its settings work."""
    server = Server.of(data)
    to = check_email(address)
    mailer_of(server.settings).send(
        Message(
            to,
            "Kilowatch can send mail",
            f"This is a test of the mail settings of Kilowatch at {server.dashboard}\n"
            "Nothing has to be done.\n",
        )
    )
    paper().print(f"The mail server took a mail to {to}. See whether it arrives.", markup=False)


def register(app: typer.Typer) -> None:
    """Add ``kilowatch mail-test`` to the command line."""
    app.command()(mail_test)
