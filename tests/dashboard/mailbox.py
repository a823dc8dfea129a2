"""A mail server's stand-in that keeps what it was given, or is out of order."""

from __future__ import annotations

import re

from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message


class Mailbox:
    """Keeps mails; ``broken`` lets every one of them fail."""

    configured = True

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.broken = False

    def send(self, message: Message) -> None:
        """Keep a mail.

        Raises:
            KilowatchError: ``mail_failed`` while out of order.
        """
        if self.broken:
            raise KilowatchError("mail_failed", "The mail server is away.", retry_helps=True)
        self.mails.append(message)

    def link(self, to: str) -> tuple[str, str]:
        """Return path and token of the link in the latest mail to somebody."""
        mail = next(mail for mail in reversed(self.mails) if mail.to == to)
        found = re.search(r"https?://[^/\s]+(/[^#\s]+)#(\S+)", mail.text)
        assert found, mail.text
        return found[1], found[2]

    def to(self, address: str) -> list[str]:
        """Return the subjects of the mails to somebody."""
        return [mail.subject for mail in self.mails if mail.to == address]
