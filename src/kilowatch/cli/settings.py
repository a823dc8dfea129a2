"""Settings: flags, then ``KILOWATCH_…`` variables, then ``kilowatch.toml`` in the data folder.

Only the composition root reads the environment. A key that nobody knows is an error, so
that a typo can't silently leave a default in force.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from kilowatch.model.errors import KilowatchError

PREFIX = "KILOWATCH_"

NOT_SETTINGS = frozenset(
    {
        "KILOWATCH_VENV",
        "KILOWATCH_CHROMIUM",
        "KILOWATCH_TEST_SOURCE",
        "KILOWATCH_TEST_OUTPUT",
        "KILOWATCH_PUSH_PASSWORD",
        "KILOWATCH_PUSH_PASSWORD_FILE",
    }
)
"""Variables with our prefix that set up a developer's machine or a client, not a server."""


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"help": meaning}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an operator can set; one server is one environment."""

    environment: Literal["development", "production"] = _setting(
        "development", "Production refuses every request that is not secure."
    )
    host: str = _setting("127.0.0.1", "Address to listen on; 0.0.0.0 for all interfaces.")
    push_http_port: int = _setting(8080, "Port of the push API over HTTP; 0 takes a free one.")
    push_https_port: int = _setting(8443, "Port of the push API over HTTPS; 0 takes a free one.")
    dashboard_port: int = _setting(
        8000, "Port of the dashboard over HTTP, on the loopback address in development only."
    )
    dashboard_https_port: int = _setting(8444, "Port of the dashboard over HTTPS.")
    public_push_url: str = _setting(
        "", "Address of the push API as clients see it, where a proxy stands before it."
    )
    public_dashboard_url: str = _setting("", "Address of the dashboard as people see it.")
    trusted_proxies: tuple[str, ...] = _setting(
        (), "Networks (CIDR) of proxies whose X-Forwarded-Proto is believed."
    )
    tls_certificate: str = _setting(
        "", "PEM file with the certificate chain; without it, one is made at the first start."
    )
    tls_key: str = _setting("", "PEM file with the certificate's private key.")
    log_retention_days: float = _setting(
        7.0, "How long packets stay in the log after the pipeline has stored them [days]."
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "How much the program says on standard error."
    )
    secret_key: str = _setting(
        "",
        "Key of the digests of secrets, 64 hexadecimal digits; without it, the file secret.key.",
        secret=True,
    )
    mail_server: str = _setting(
        "", "Server through which the platform's own mail goes; without it, none is sent."
    )
    mail_port: int = _setting(0, "Its port; 0 for the usual one of mail_security.")
    mail_security: Literal["starttls", "tls", "none"] = _setting(
        "starttls", "TLS after a plain beginning (587), from the first byte (465), or none (25)."
    )
    mail_user: str = _setting("", "User name at the mail server; without it, no log-in.")
    mail_password: str = _setting("", "Password at the mail server.", secret=True)
    mail_from: str = _setting(
        "", "Sender: kilowatch@example.com, or with a name, Kilowatch <kilowatch@example.com>."
    )
    metrics_token: str = _setting(
        "", "What a monitoring system on another machine brings as bearer token for /metrics."
    )
    deadman_url: str = _setting(
        "", "Address of an outside monitor that is asked for while everything works."
    )
    deadman_interval_s: float = _setting(60.0, "How often it is asked for [s].")
    deadman_fail_url: str = _setting(
        "", "Address that is asked for instead while something does not work; empty: none is."
    )
    alert_networks: tuple[str, ...] = _setting(
        (), "Private networks (CIDR) that webhooks and other channels of alerts may reach."
    )

    @property
    def shown_host(self) -> str:
        """The host as it stands in addresses that people and clients on this machine use."""
        return "localhost" if self.host in ANY_ADDRESS else self.host


SECRET_KEY_BYTES = 32
ANY_ADDRESS = ("0.0.0.0", "::", "127.0.0.1", "::1")  # noqa: S104 - compared, not listened on
SECRETS = frozenset(
    {"secret_key", "metrics_token", "deadman_url", "deadman_fail_url", "mail_password"}
)
TOKEN_MIN = 16
DEADMAN_S_MIN = 5.0  # an outside monitor counts in minutes
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def load(folder: Path, flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Read the settings of one server.

    Args:
        folder: The data folder; its ``kilowatch.toml`` is read if it is there.
        flags: Values from the command line; None means not given.
        environ: Environment variables.

    Raises:
        KilowatchError: ``unknown_setting`` or ``wrong_setting``, naming key and source.
    """
    known = {f.name for f in dataclasses.fields(Settings)}
    values = _from_file(folder / "kilowatch.toml", known)
    values.update(_from_environ(environ, known))
    values.update({key: value for key, value in flags.items() if value is not None})
    try:
        settings = msgspec.convert(values, Settings, strict=False)
        _check(settings)
    except ValueError as error:
        said, choices = _named(str(error))
        raise KilowatchError(
            "wrong_setting",
            f"A setting has a value that it can't take: {said}.",
            remedy=f"It is one of: {', '.join(choices)}."
            if choices
            else "See docs/reference/settings.md for what each one takes.",
        ) from None
    return settings


def _named(said: str) -> tuple[str, tuple[str, ...]]:
    """Put the setting before what is wrong with it, and say what it can be."""
    what, _, place = said.partition(" - at `$.")
    name = place.rstrip("`")
    if not name:
        return said, ()
    kind = get_type_hints(Settings).get(name)
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    return f"{name}: {what[:1].lower()}{what[1:]}", choices


def _check(settings: Settings) -> None:
    if len(bytes.fromhex(settings.secret_key)) not in (0, SECRET_KEY_BYTES):
        raise ValueError(f"secret_key must have {2 * SECRET_KEY_BYTES} hexadecimal digits")
    for network in settings.alert_networks:
        ipaddress.ip_network(network, strict=False)
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        raise ValueError("tls_certificate and tls_key go together")
    if 0 < len(settings.metrics_token) < TOKEN_MIN:
        raise ValueError(f"metrics_token must have {TOKEN_MIN} characters or more")
    for name in ("deadman_url", "deadman_fail_url"):
        url = getattr(settings, name)
        if url and not (url.startswith(("http://", "https://")) and urlsplit(url).hostname):
            raise ValueError(f"{name} must be an address that begins with http:// or https://")
    if settings.deadman_interval_s < DEADMAN_S_MIN:
        raise ValueError(f"deadman_interval_s must be {DEADMAN_S_MIN:.0f} or more")
    if settings.deadman_fail_url and not settings.deadman_url:
        raise ValueError("deadman_fail_url needs a deadman_url")
    _check_mail(settings)


def _check_mail(settings: Settings) -> None:
    if not settings.mail_server:
        return
    sender = parseaddr(settings.mail_from)[1]
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", sender):
        raise ValueError("mail_server needs mail_from, the sender's address")
    if bool(settings.mail_user) != bool(settings.mail_password):
        raise ValueError("mail_user and mail_password go together")
    if (
        settings.mail_password
        and settings.mail_security == "none"
        and settings.mail_server not in THIS_MACHINE
    ):
        raise ValueError("mail_password would cross the network in clear with mail_security none")


def _unknown(key: str, source: str) -> KilowatchError:
    return KilowatchError(
        "unknown_setting",
        f"{source} sets {key!r}, which is not a setting.",
        remedy="Correct the name or remove it; docs/reference/settings.md lists them all.",
    )


def _from_file(path: Path, known: set[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KilowatchError("wrong_setting", f"{path} is not valid TOML: {error}.") from None
    for key in values:
        if key not in known:
            raise _unknown(key, str(path))
    return values


def _from_environ(environ: Mapping[str, str], known: set[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        if (
            not variable.startswith(PREFIX)
            or variable in NOT_SETTINGS
            or variable == "KILOWATCH_DATA"
        ):
            continue
        key = variable.removeprefix(PREFIX).lower()
        if key.endswith("_file") and key.removesuffix("_file") in SECRETS:
            values[key.removesuffix("_file")] = _secret_from(Path(text), variable)
        elif key not in known:
            raise _unknown(variable, "The environment")
        elif key in ("trusted_proxies", "alert_networks"):
            values[key] = [part.strip() for part in text.split(",") if part.strip()]
        else:
            values[key] = text
    return values


def _secret_from(path: Path, variable: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise KilowatchError(
            "wrong_setting", f"{variable} names {path}, which can't be read: {error.strerror}."
        ) from None
