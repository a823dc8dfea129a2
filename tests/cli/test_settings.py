"""Settings come from flags, variables and the file, in that order, and a typo is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilowatch.cli.settings import load
from kilowatch.model.errors import KilowatchError


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(tmp_path: Path) -> None:
    """What an operator typed last counts, not what somebody left in a file."""
    (tmp_path / "kilowatch.toml").write_text(
        'push_http_port = 1\nhost = "file"\nlog_level = "error"'
    )
    environ = {"KILOWATCH_PUSH_HTTP_PORT": "2", "KILOWATCH_HOST": "variable", "PATH": "/bin"}
    settings = load(tmp_path, {"push_http_port": 3, "host": None}, environ)
    assert (settings.push_http_port, settings.host, settings.log_level) == (3, "variable", "error")
    assert settings.push_https_port == 8443


@pytest.mark.parametrize(
    ("toml", "environ", "named"),
    [
        ("push_port = 8080", {}, "push_port"),
        ("", {"KILOWATCH_PUSH_PORT": "8080"}, "KILOWATCH_PUSH_PORT"),
    ],
)
def test_a_setting_that_nobody_knows_is_an_error(
    tmp_path: Path, toml: str, environ: dict[str, str], named: str
) -> None:
    """A misspelt setting must not silently leave the default in force."""
    (tmp_path / "kilowatch.toml").write_text(toml)
    with pytest.raises(KilowatchError, match=named) as caught:
        load(tmp_path, {}, environ)
    assert caught.value.code == "unknown_setting"


@pytest.mark.parametrize(
    "environ",
    [
        {"KILOWATCH_ENVIRONMENT": "prod"},
        {"KILOWATCH_PUSH_HTTP_PORT": "eighty"},
        {"KILOWATCH_SECRET_KEY_FILE": "/nowhere/key"},
        {"KILOWATCH_METRICS_TOKEN": "short"},
        {"KILOWATCH_DEADMAN_URL": "hc-ping.com/uuid"},
        {"KILOWATCH_DEADMAN_URL": "https:///uuid"},
        {"KILOWATCH_DEADMAN_URL": "https://hc/1", "KILOWATCH_DEADMAN_INTERVAL_S": "1"},
        {"KILOWATCH_DEADMAN_FAIL_URL": "https://hc-ping.com/uuid/fail"},
        {"KILOWATCH_ALERT_NETWORKS": "10.0.0.0/8, our own network"},
    ],
)
def test_a_value_that_a_setting_cannot_take_is_named(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """The message says what is wrong; the server does not start with a guess."""
    with pytest.raises(KilowatchError) as caught:
        load(tmp_path, {}, environ)
    assert caught.value.code == "wrong_setting"


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    """Orchestrators mount secrets as files; they don't belong in a process list."""
    (tmp_path / "key").write_text("ab" * 32 + "\n")
    settings = load(tmp_path, {}, {"KILOWATCH_SECRET_KEY_FILE": str(tmp_path / "key")})
    assert settings.secret_key == "ab" * 32
    for name in ("metrics_token", "deadman_url"):
        (tmp_path / name).write_text("https://example.com/a-secret\n")
        environ = {f"KILOWATCH_{name.upper()}_FILE": str(tmp_path / name)}
        assert getattr(load(tmp_path, {}, environ), name) == "https://example.com/a-secret"


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    """A broken settings file stops the start and says where it is broken."""
    (tmp_path / "kilowatch.toml").write_text("host = ")
    with pytest.raises(KilowatchError, match="not valid TOML"):
        load(tmp_path, {}, {})


def test_proxies_are_a_list_in_a_variable_too(tmp_path: Path) -> None:
    """Two proxies are named with a comma between them."""
    settings = load(tmp_path, {}, {"KILOWATCH_TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.1/32"})
    assert settings.trusted_proxies == ("10.0.0.0/8", "127.0.0.1/32")


MAIL = 'mail_server = "mail.example.com"\n'


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (MAIL, "mail_from"),
        (MAIL + 'mail_from = "nobody"', "mail_from"),
        (MAIL + 'mail_from = "a@x.ie"\nmail_user = "a"', "go together"),
        (
            MAIL + 'mail_from = "a@x.ie"\nmail_user = "a"\nmail_password = "hush hush"\n'
            'mail_security = "none"',
            "in clear",
        ),
        (MAIL + 'mail_from = "a@x.ie"\nmail_security = "ssl"', "mail_security"),
    ],
)
def test_mail_settings_that_cannot_work_are_told_at_the_start(
    tmp_path: Path, toml: str, said: str
) -> None:
    """Not when the first invitation does not arrive; and the password is not repeated."""
    (tmp_path / "kilowatch.toml").write_text(toml)
    with pytest.raises(KilowatchError, match=said) as caught:
        load(tmp_path, {}, {})
    assert caught.value.code == "wrong_setting"
    assert "hush" not in str(caught.value)


def test_secrets_do_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    """A settings object in a log line or a traceback gives nothing away."""
    (tmp_path / "kilowatch.toml").write_text(
        MAIL + 'mail_from = "a@x.ie"\nmail_user = "a"\nmail_password = "hush hush"'
    )
    settings = load(tmp_path, {}, {"KILOWATCH_SECRET_KEY": "ab" * 32})
    assert settings.mail_password == "hush hush"
    assert "hush" not in repr(settings)
    assert "abab" not in repr(settings)


def test_a_word_that_a_setting_does_not_know_is_answered_with_those_that_it_knows(
    tmp_path: Path,
) -> None:
    """``--environment prod`` is a guess at a word that the answer can simply say."""
    with pytest.raises(KilowatchError, match="environment: invalid enum value 'prod'") as caught:
        load(tmp_path, {"environment": "prod"}, {})
    assert caught.value.remedy == "It is one of: development, production."
    with pytest.raises(KilowatchError, match="push_http_port") as caught:
        load(tmp_path, {"push_http_port": "many"}, {})
    assert "settings.md" in caught.value.remedy
