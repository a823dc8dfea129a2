"""The platform's own e-mail: invitations, resets, startup packages, and alerts by mail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from kilowatch.model.errors import KilowatchError


@dataclass(frozen=True, slots=True)
class Message:
    """A mail to one person.

    Attributes:
        to: Address.
        subject: One line.
        text: Plain text, complete by itself.
        html: The same for readers that show it, or empty.
    """

    to: str
    subject: str
    text: str = field(repr=False)  # it may carry a link that opens an account
    html: str = field(default="", repr=False)


class Mailer(Protocol):
    """Delivers mails; blocks, so it is called in a thread."""

    @property
    def configured(self) -> bool:
        """Whether an operator has said through which server mail goes."""

    def send(self, message: Message) -> None:
        """Hand a mail to the server.

        Raises:
            KilowatchError: ``mail_not_configured``; ``mail_refused`` (a retry does not help) or
                ``mail_failed`` (it can).
        """


class NoMailer:
    """Stands where no operator has named a mail server."""

    configured = False

    def send(self, message: Message) -> None:
        """Refuse: there is no server to hand the mail to.

        Raises:
            KilowatchError: ``mail_not_configured``.
        """
        raise KilowatchError(
            "mail_not_configured",
            f"No mail server is set up, so {message.to} can't be written to.",
            status=409,
            remedy="Set mail_server and mail_from in kilowatch.toml.",
        )
