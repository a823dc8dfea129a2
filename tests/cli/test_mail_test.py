"""``kilowatch mail-test`` tries the mail settings before an invitation depends on them."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from kilowatch.cli import mail_test
from kilowatch.cli.settings import Settings
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message, NoMailer
from kilowatch.notify.smtp import MailServer, SmtpMailer


def run(folder: Path, address: str) -> object:
    """Run the command; returns what it refused with, or what it printed."""
    app = typer.Typer(pretty_exceptions_enable=False)
    mail_test.register(app)
    done = CliRunner().invoke(app, [address, "--data", str(folder)])
    return done.exception or done.stdout


def test_without_a_mail_server_it_says_which_settings_are_missing(tmp_path: Path) -> None:
    """An operator learns what to write into the file."""
    refused = run(tmp_path, "ann@example.com")
    assert isinstance(refused, KilowatchError)
    assert refused.code == "mail_not_configured"
    assert "mail_server" in refused.remedy


def test_it_hands_one_mail_to_the_server_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sender, server and port are those that the platform itself would use."""
    (tmp_path / "kilowatch.toml").write_text(
        'mail_server = "mail.example.com"\nmail_from = "kw@example.com"\nmail_security = "none"'
    )
    sent: list[tuple[MailServer, Message]] = []
    monkeypatch.setattr(SmtpMailer, "send", lambda own, mail: sent.append((own._server, mail)))
    assert "took a mail to ann@example.com" in str(run(tmp_path, " Ann@example.com"))
    ((server, mail),) = sent
    assert (server.host, server.sender, server.security) == (
        "mail.example.com", "kw@example.com", "none",
    )  # fmt: skip
    assert mail.to == "ann@example.com"


def test_the_platform_has_a_mailer_exactly_when_a_server_is_named() -> None:
    """Pages ask the mailer whether it can send, and offer a link to copy where it can't."""
    assert isinstance(mail_test.mailer_of(Settings()), NoMailer)
    named = Settings(mail_server="mail.example.com", mail_from="kw@example.com")
    assert isinstance(mail_test.mailer_of(named), SmtpMailer)
