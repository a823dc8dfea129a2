"""Handing a message over, and telling what a refusal means: that trying again helps, or not.

E-mail goes through the platform's own ``Mailer`` and webhooks through httpx, since Apprise would
not tell a wrong password from a server that is busy. Everything else is Apprise's; of its answer
we read the HTTP status where its log has one. A reason never holds a channel's address.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import apprise
import httpx

from kilowatch.model.errors import KilowatchError
from kilowatch.notify.addresses import Network, resolve
from kilowatch.notify.mail import Mailer, Message
from kilowatch.notify.rules import Channel
from kilowatch.notify.sealing import Sealer

CONNECT_S = 5.0
ANSWER_S = 15.0  # chat services answer in 1 s; some SMS gateways take ten
HELPS_LATER = frozenset({408, 409, 423, 425, 429})
RETRY_AFTER_MAX_S = 3_600
REFUSED_SCHEMES = frozenset(
    {
        *("syslog", "dbus", "kde", "qt", "glib", "gio", "gnome", "macosx", "windows"),
        *("mailto", "mailtos", "deltachat", "deltachats", "acs", "amqp", "amqps"),
        *("irc", "ircs", "rsyslog", "growl", "snpp"),
    }
)
"""The first line reaches the server's own screen or log, and nobody else. The others connect to
whatever host a part of their URL names, past our look at the address; mail has its own channel."""

# Its lines may hold tokens; what we need of them is captured with each call.
logging.getLogger("apprise").propagate = False
logging.getLogger("apprise").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message as it goes out; ``key`` is the same for every attempt."""

    key: str
    title: str
    body: str
    facts: str = field(default="{}", repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt.

    Attributes:
        ok: The receiver took it.
        helps: If not: whether trying again can help.
        reason: One sentence, without secrets.
        after_s: When the receiver asked for it, how long to wait [s].
    """

    ok: bool
    helps: bool = False
    reason: str = ""
    after_s: float = 0.0


class Carriers:
    """Delivers through every kind of channel; blocks, so it is called in a thread.

    Args:
        sealer: Opens channels' addresses.
        mailer: Sends e-mail.
        networks: Private networks that messages may reach.
        answer_s: How long a receiver may take [s].
    """

    def __init__(
        self,
        sealer: Sealer,
        mailer: Mailer,
        networks: Sequence[Network] = (),
        *,
        answer_s: float = ANSWER_S,
    ) -> None:
        self.sealer = sealer
        self.mailer = mailer
        self.networks = tuple(networks)
        self._answer_s = answer_s

    def carry(self, channel: Channel, parcel: Parcel) -> Outcome:
        """Deliver a message; whatever goes wrong is an outcome."""
        try:
            config = self.sealer.open(channel.organisation_id, channel.sealed)
            if channel.kind == "email":
                return self._mail(config, parcel)
            if channel.kind == "webhook":
                return self._webhook(config, parcel)
            return self._apprise(config, parcel)
        except KilowatchError as error:
            reason = f"{error.detail} {error.remedy}".strip()
            return Outcome(ok=False, helps=error.retry_helps, reason=reason)

    def _mail(self, config: dict[str, Any], parcel: Parcel) -> Outcome:
        self.mailer.send(Message(config["to"], parcel.title, parcel.body))
        return Outcome(ok=True)

    def _webhook(self, config: dict[str, Any], parcel: Parcel) -> Outcome:
        url = httpx.URL(config["url"])
        address = resolve(url.host, self.networks)
        headers = {
            "host": url.netloc.decode("ascii"),
            "content-type": "application/json",
            "user-agent": "Kilowatch",
            "idempotency-key": parcel.key,
        }
        body = parcel.facts.encode()
        if config.get("secret"):
            mac = hmac.new(config["secret"].encode(), body, hashlib.sha256)
            headers["x-kilowatch-signature"] = f"sha256={mac.hexdigest()}"
        # To the address that was checked, not to what the name may mean a moment later.
        pinned = url.copy_with(host=address)
        timeout = httpx.Timeout(self._answer_s, connect=min(CONNECT_S, self._answer_s))
        try:
            with (
                httpx.Client(timeout=timeout, trust_env=False) as client,
                client.stream(
                    "POST",
                    pinned,
                    content=body,
                    headers=headers,
                    extensions={"sni_hostname": url.host},
                ) as answer,
            ):
                return _of_status(answer.status_code, answer.headers.get("retry-after", ""))
        except httpx.TimeoutException:
            reason = f"{url.host} gave no answer within {self._answer_s:g} s."
            return Outcome(ok=False, helps=True, reason=reason)
        except httpx.HTTPError as error:
            reason = scrubbed(f"{url.host} could not be reached: {error}.", config)
            return Outcome(ok=False, helps=True, reason=reason)

    def _apprise(self, config: dict[str, Any], parcel: Parcel) -> Outcome:
        service = service_of(config["url"])
        look_where(service, self.networks)
        sender = apprise.Apprise()
        sender.add(service)
        # Title and body as they are: nothing of ours is markdown or HTML.
        result = sender.notify(
            body=parcel.body,
            title=parcel.title,
            body_format=apprise.NotifyFormat.TEXT,
            timeout=self._answer_s,
        )
        if result:
            return Outcome(ok=True)
        if result.status == apprise.AppriseResultStatus.TIMEOUT:
            name = getattr(service, "service_name", "The service")
            reason = f"{name} gave no answer within {self._answer_s:g} s."
            return Outcome(ok=False, helps=True, reason=reason)
        said = " ".join(str(entry.message) for entry in result.logs())
        status = re.search(r"error=(\d{3})\b", said)
        reason = scrubbed(said, config) or "The service refused the message without a reason."
        if status is None:
            return Outcome(ok=False, helps=True, reason=reason)
        return Outcome(ok=False, helps=_helps(int(status[1])), reason=reason)


def service_of(url: str) -> Any:
    """Return Apprise's sender for a URL.

    Raises:
        KilowatchError: ``channel_address`` when Apprise does not understand it, or it is one of
            ``REFUSED_SCHEMES``.
    """
    scheme = url.partition(":")[0].strip().lower()
    service = None
    if scheme not in REFUSED_SCHEMES:
        # Apprise answers None for what it does not understand, and some plugins raise.
        try:
            service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        except (TypeError, ValueError, AttributeError):
            service = None
    if service is None:
        raise KilowatchError(
            "channel_address",
            "This is not the address of a service that can be used here.",
            remedy="Write it as Apprise does: the page lists examples.",
            data={"field": "address"},
        )
    service.redirects = False  # they could lead into the server's own network
    return service


def look_where(service: Any, networks: Sequence[Network]) -> None:
    """Look where a sender goes if its host is one's own, not the service's.

    Raises:
        KilowatchError: What ``addresses.resolve`` says.
    """
    templates: tuple[str, ...] = service.templates
    if any("{host}" in template for template in templates) and service.host:
        resolve(str(service.host), networks)


def scrubbed(text: str, config: dict[str, Any]) -> str:
    """Return a reason without anything that the channel keeps secret."""
    for secret in sorted(_secrets(config), key=len, reverse=True):
        text = text.replace(secret, "…")
    return re.sub(r"\s+", " ", text).strip()[:500]


def _secrets(config: dict[str, Any]) -> set[str]:
    found = set()
    for value in config.values():
        text = str(value)
        host = re.sub(r"^\w+://([^/@]*@)?", "", text).partition("/")[0].partition(":")[0]
        parts = re.split(r"[/:@?&=#,]+", text)
        pieces = {text, *parts, *(unquote(part) for part in parts)}
        found |= {piece for piece in pieces if len(piece) >= 6 and piece != host}
    return found


def _of_status(status: int, retry_after: str) -> Outcome:
    if 200 <= status < 300:
        return Outcome(ok=True)
    after_s = min(float(retry_after), RETRY_AFTER_MAX_S) if retry_after.isdecimal() else 0.0
    reason = f"The receiver answered {status}."
    if 300 <= status < 400:
        reason += " It points elsewhere: enter the address that it points to."
    return Outcome(ok=False, helps=_helps(status), reason=reason, after_s=after_s)


def _helps(status: int) -> bool:
    return status in HELPS_LATER or status >= 500
