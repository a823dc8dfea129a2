"""Forms for channels: what each service asks for, and the address that comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from kilowatch.catalog.people import check_email
from kilowatch.catalog.tables_alerts import ChannelKind
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.addresses import Network, resolve
from kilowatch.notify.carriers import look_where, service_of

URL_MAX = 2_000
_PHONE = re.compile(r"\+[1-9]\d{6,14}")  # E.164


@dataclass(frozen=True, slots=True)
class Address:
    """Where a channel leads.

    Attributes:
        kind: How it delivers.
        shown: What may be shown of it.
        config: All of it; to be sealed.
    """

    kind: ChannelKind
    shown: str
    config: dict[str, Any] = field(repr=False)


SERVICES: dict[str, tuple[str, ...]] = {
    "email": ("to",),
    "webhook": ("url", "secret"),
    "slack": ("url",),
    "teams": ("url",),
    "discord": ("url",),
    "gchat": ("url",),
    "telegram": ("token", "chat"),
    "sms": ("account", "token", "sender", "phone"),
    "apprise": ("url",),
}
"""The fields of each service's form."""

OPTIONAL = frozenset({"secret"})
_PASTED = {
    "slack": ("slack", "Slack"),
    "teams": ("workflow", "Microsoft Teams"),
    "discord": ("discord", "Discord"),
    "gchat": ("gchat", "Google Chat"),
}
"""Services whose own webhook address Apprise understands as it is: its scheme, its name."""


def address_of(service: str, values: Mapping[str, str], networks: Sequence[Network]) -> Address:
    """Return where a filled-in form leads, having looked whether that may be.

    Args:
        service: A key of ``SERVICES``.
        values: By field; more than the service needs is ignored.
        networks: Private networks that may be reached.

    Raises:
        KilowatchError: ``channel_address`` and the like, with ``data["field"]``.
    """
    if service not in SERVICES:
        raise _wrong("service", "Choose how this channel delivers.")
    given = {name: values.get(name, "").strip()[:URL_MAX] for name in SERVICES[service]}
    for name, text in given.items():
        if not text and name not in OPTIONAL:
            raise _wrong(name, "This is needed.")
    try:
        return _address(service, given, networks)
    except KilowatchError as error:
        if error.data.get("field") == "address":
            error.data["field"] = "url" if "url" in given else SERVICES[service][0]
        raise


def _address(service: str, given: dict[str, str], networks: Sequence[Network]) -> Address:
    if service == "email":
        try:
            to = check_email(given["to"])
        except KilowatchError as error:
            raise _wrong("to", error.detail, error.remedy) from None
        return Address("email", to, {"service": service, "to": to})
    if service == "webhook":
        return _webhook(given, networks)
    if service == "telegram":
        url = f"tgram://{quote(given['token'], safe=':')}/{quote(given['chat'], safe='')}/"
        return _by_apprise(service, url, "Telegram", networks)
    if service == "sms":
        for name in ("sender", "phone"):
            if not _PHONE.fullmatch(re.sub(r"[\s()-]", "", given[name])):
                raise _wrong(
                    name,
                    "This is no telephone number.",
                    "Write it with its country: +353 1 2345678.",
                )
        phone, sender = (re.sub(r"[^\d]", "", given[name]) for name in ("phone", "sender"))
        account, token = quote(given["account"], safe=""), quote(given["token"], safe="")
        url = f"twilio://{account}:{token}@+{sender}/+{phone}"
        return _by_apprise(service, url, f"SMS to …{phone[-4:]}", networks)
    if service in _PASTED:
        return _pasted(service, given["url"], networks)
    found = service_of(given["url"])
    return _by_apprise(service, given["url"], str(found.service_name), networks)


def _webhook(given: dict[str, str], networks: Sequence[Network]) -> Address:
    try:
        url = httpx.URL(given["url"])
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise _wrong("url", "This is no web address.", "Begin with https://.")
    if url.userinfo:
        raise _wrong(
            "url",
            "A password in the address would not be sent.",
            "Use the field for the secret: the receiver checks the signature.",
        )
    _look(lambda: resolve(url.host, networks))
    port = f":{url.port}" if url.port else ""
    return Address("webhook", f"{url.scheme}://{url.host}{port}/…", {"service": "webhook"} | given)


def _pasted(service: str, url: str, networks: Sequence[Network]) -> Address:
    scheme, name = _PASTED[service]
    found = service_of(url)
    protocols = found.secure_protocol
    if scheme not in ((protocols,) if isinstance(protocols, str) else tuple(protocols or ())):
        raise _wrong("url", f"This is not a webhook address of {name}.", "Copy it from there.")
    return _by_apprise(service, url, name, networks)


def _by_apprise(service: str, url: str, shown: str, networks: Sequence[Network]) -> Address:
    sender = service_of(url)
    _look(lambda: look_where(sender, networks))
    return Address("apprise", shown, {"service": service, "url": url})


def _look(look: Callable[[], object]) -> None:
    """Look where an address leads; a name that has no address just now is no reason to refuse."""
    try:
        look()
    except KilowatchError as error:
        if not error.retry_helps:
            raise


def _wrong(name: str, detail: str, remedy: str = "") -> KilowatchError:
    return KilowatchError("channel_address", detail, remedy=remedy, data={"field": name})
