"""Every answer of the push API as bytes: acknowledgements and RFC 9457 problems."""

from __future__ import annotations

import http
import json
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import msgspec

from kilowatch.model.errors import KilowatchError

JSON = b"application/json"
PROBLEM = b"application/problem+json"
CHALLENGE = b'Basic realm="Kilowatch", charset="UTF-8"'
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

RETRY_AFTER_S = {"maintenance": 30, "overloaded": 2, "not_durable": 10}
"""How long a client should wait before it tries again, by code [s]: an operator's work
takes minutes, a queue drains in a second or two, a full disk needs a person."""

TITLES = {
    "credentials_missing": "Credentials are missing",
    "credentials_wrong": "Credentials are wrong",
    "not_secure": "The request was not secure",
    "stream_not_allowed": "This credential may not use the stream",
    "stream_computed": "The stream is computed by a formula",
    "stream_unknown": "No such stream",
    "no_data_yet": "The stream has not received a packet yet",
    "path_unknown": "No such address",
    "method_not_allowed": "Method not allowed",
    "body_too_large": "The body is too large",
    "malformed_request": "The request is not well-formed HTTP",
    "maintenance": "Offline for maintenance",
    "overloaded": "Overloaded",
    "not_durable": "The packet could not be made durable",
    "server_fault": "A fault of the server",
    "kind_mismatch": "The packet does not fit the data point",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer but for the date and the connection's fate.

    Attributes:
        status: HTTP status.
        body: JSON text.
        content_type: Of the body.
        headers: More header lines, each ending in CRLF.
        code: Stable word: a problem's code, or ``accepted``, ``duplicate``, ``discarded``,
            ``backfilled``.
        closes: The connection can't be used after it.
    """

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: bytes = b""
    code: str = ""
    closes: bool = False


ACCEPTED = Answer(200, b'{"status":"accepted"}', code="accepted")
DUPLICATE = Answer(200, b'{"status":"duplicate"}', code="duplicate")


def accepted(status: str, ignored: tuple[str, ...]) -> Answer:
    """Return the answer to a packet that counted, or had counted before.

    Args:
        status: ``accepted`` or ``duplicate``.
        ignored: Parameters that the contract does not know: named, so that a typo can't
            lose data silently.
    """
    if not ignored:
        return ACCEPTED if status == "accepted" else DUPLICATE
    body = msgspec.json.encode({"status": status, "ignored": list(ignored)})
    return Answer(200, body, code=status)


def backfilled(ignored: tuple[str, ...]) -> Answer:
    """Return the answer to a packet that went into history, as its sender had asked for."""
    said: dict[str, Any] = {"status": "accepted", "backfilled": True}
    if ignored:
        said["ignored"] = list(ignored)
    return Answer(200, msgspec.json.encode(said), code="backfilled")


def discarded(latest: str, ignored: tuple[str, ...]) -> Answer:
    """Return the answer to a packet that is not after its stream's latest one.

    Never an error status: clients in use retry a refused packet for ever.

    Args:
        latest: Timestamp of the stream's latest packet, as the contract writes them.
        ignored: Parameters that the contract does not know.
    """
    said: dict[str, Any] = {
        "status": "discarded",
        "reason": "not_chronological",
        "latest": latest,
    }
    if ignored:
        said["ignored"] = list(ignored)
    return Answer(200, msgspec.json.encode(said), code="discarded")


def problem(error: KilowatchError, *, closes: bool = False, allow: str = "") -> Answer:
    """Return an error as problem details with a stable ``code``.

    Args:
        error: What went wrong.
        closes: Whether the connection is closed after it.
        allow: Value of ``Allow`` for a 405.
    """
    said = error.problem(TITLES.get(error.code, ""))
    headers = b""
    if error.status == 401:
        headers = b"www-authenticate: " + CHALLENGE + b"\r\n"
    elif error.status == 405:
        headers = b"allow: " + allow.encode() + b"\r\n"
    elif error.status == 503:
        headers = b"retry-after: %d\r\n" % RETRY_AFTER_S.get(error.code, 5)
    return Answer(error.status, _encoded(said), PROBLEM, headers, error.code, closes=closes)


def _encoded(said: dict[str, Any]) -> bytes:
    """Return JSON whatever a client's text brought along; half a surrogate pair is escaped."""
    try:
        return msgspec.json.encode(said)
    except UnicodeEncodeError:
        return json.dumps(said).encode()


class Writer:
    """Turns answers into bytes; keeps the parts that are the same for a second.

    Args:
        now_s: Seconds since 1970, for the ``Date`` header; call ``tick`` every second.
    """

    def __init__(self, now_s: float) -> None:
        self._date = b""
        self.accepted = b""
        self.duplicate = b""
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Renew what depends on the time of day."""
        self._date = b"date: " + formatdate(now_s, usegmt=True).encode() + b"\r\n"
        self.accepted = self.whole(ACCEPTED)
        self.duplicate = self.whole(DUPLICATE)

    def whole(
        self,
        answer: Answer,
        *,
        close: bool = False,
        http10: bool = False,
        without_body: bool = False,
    ) -> bytes:
        """Return an answer as it goes on the wire.

        Args:
            answer: What to say.
            close: Whether the connection ends with it.
            http10: The client speaks HTTP/1.0, where keeping a connection must be said.
            without_body: The request was a HEAD.
        """
        connection = b""
        if close:
            connection = b"connection: close\r\n"
        elif http10:
            connection = b"connection: keep-alive\r\n"
        return b"HTTP/1.1 %d %s\r\n%scontent-type: %s\r\ncontent-length: %d\r\n%s%s\r\n%s" % (
            answer.status,
            PHRASES[answer.status],
            self._date,
            answer.content_type,
            len(answer.body),
            answer.headers,
            connection,
            b"" if without_body else answer.body,
        )


PHRASES = {status.value: status.phrase.encode() for status in http.HTTPStatus}
