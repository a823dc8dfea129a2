"""What the server's answers mean to whoever pushed.

The policy, in one table (docs/integrate/clients.md explains it to integrators):

=====================  ==========================================================
answer                 what we do
=====================  ==========================================================
200                    done: accepted, backfilled, duplicate or discarded, as the body says
408, 425, 429, 5xx,    push again, after ``Retry-After`` or a growing pause with
no answer              jitter, for as long as it takes
401, 403, 404, 405,    nothing is wrong with the packet: stop (or wait, when
3xx, other 2xx         unattended) until a person has mended credential or address
any other 4xx          the packet itself is refused: set it aside with the reason
                       and go on, so that one bad packet does not block the rest
=====================  ==========================================================
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import msgspec

from kilowatch.client.connection import Response
from kilowatch.model.errors import KilowatchError

RETRY_AFTER_S_MAX = 3600.0
"""We believe a ``Retry-After`` up to an hour: a typing error must not silence a meter."""

_LATER = frozenset({408, 425, 429})
_NOT_THE_PACKET = frozenset({401, 403, 404, 405, 407, 421, 426})


class Outcome(StrEnum):
    """What became of a packet."""

    ACCEPTED = "accepted"
    BACKFILLED = "backfilled"  # accepted into history
    DUPLICATE = "duplicate"
    DISCARDED = "discarded"
    REFUSED = "refused"  # set aside: the same packet can never succeed
    BLOCKED = "blocked"  # not yet: a person must mend credential, stream or address
    LATER = "later"  # not yet: the server cannot take it now

    @property
    def final(self) -> bool:
        """True when the packet needs no further push."""
        return self not in {Outcome.BLOCKED, Outcome.LATER}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the server.

    Attributes:
        outcome: What it means.
        status: HTTP status.
        code: Stable word of an error, or the reason of a discarded packet.
        detail: One sentence for a person.
        ignored: Parameters of the packet that are not in the contract.
        retry_after_s: How long the server asks us to wait [s], or None.
    """

    outcome: Outcome
    status: int
    code: str = ""
    detail: str = ""
    ignored: tuple[str, ...] = ()
    retry_after_s: float | None = None


_BY_CODE = {
    "stream_unknown": "Check the stream id, and that the data point is registered.",
    "certificate_not_trusted": "Name the server's own certificate (--cacert FILE), or give it a "
    "trusted one.",
    "no_tls": "Write http:// for a server on this machine, or name the port that speaks HTTPS.",
}
"""What a person does about it, where the status alone would send them to the wrong place."""


class PushStopped(KilowatchError):  # noqa: N818 - it is how a run ends, named for that
    """Pushing cannot go on until a person has mended something; nothing was skipped."""

    def __init__(self, answer: Answer, stream_id: str) -> None:
        remedy = {
            401: "Check the user name and the password.",
            403: "Check that the credential may push this stream, and that the address is https.",
        }.get(answer.status, "Check host, port and path: no push server answers so.")
        remedy = _BY_CODE.get(answer.code, remedy)
        super().__init__(
            answer.code or "stopped",
            f"Stream {stream_id}: {answer.detail or f'the server answered {answer.status}'}",
            status=answer.status,
            remedy=remedy,
            data={"stream_id": stream_id},
        )
        self.answer = answer


@dataclass(slots=True)
class Tally:
    """Counts by outcome, and the packets that were set aside."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[bytes, Answer]] = field(default_factory=list)

    def add(self, answer: Answer, body: bytes) -> None:
        """Count one final answer."""
        self.counts[answer.outcome.value] += 1
        if answer.outcome is Outcome.REFUSED:
            self.refused.append((body, answer))

    def merge(self, other: Tally) -> None:
        """Count another tally in."""
        self.counts.update(other.counts)
        self.refused.extend(other.refused)


_PLAIN = b'{"status":"accepted"}'
_ACCEPTED = Answer(Outcome.ACCEPTED, 200)


def judge(response: Response) -> Answer:
    """Say what a response means for its packet."""
    if response.status == 200:
        return _ACCEPTED if response.body == _PLAIN else _judge_200(response.body)
    said = _fields(response.body)
    status = response.status
    if status in _LATER or status >= 500:
        outcome = Outcome.LATER
    elif status in _NOT_THE_PACKET or status < 400:
        outcome = Outcome.BLOCKED
    else:
        outcome = Outcome.REFUSED
    detail = _text(said.get("detail")) or f"the server answered {status}"
    location = response.headers.get(b"location")
    if location and status < 400:
        detail = f"the server answered {status} and points to {location.decode('latin-1')}"
    return Answer(
        outcome,
        status,
        _text(said.get("code")),
        detail,
        retry_after_s=_retry_after_s(response.headers.get(b"retry-after")),
    )


def _judge_200(body: bytes) -> Answer:
    said = _fields(body)
    word = _text(said.get("status"))
    outcome = Outcome(word) if word in {Outcome.DUPLICATE, Outcome.DISCARDED} else Outcome.ACCEPTED
    if outcome is Outcome.ACCEPTED and said.get("backfilled") is True:
        outcome = Outcome.BACKFILLED
    ignored = said.get("ignored")
    names = tuple(str(name) for name in ignored) if isinstance(ignored, list) else ()
    reason, latest = _text(said.get("reason")), _text(said.get("latest"))
    detail = f"not after the latest packet of its stream ({latest})" if latest else reason
    return Answer(
        outcome, 200, reason, detail if outcome is Outcome.DISCARDED else "", ignored=names
    )


def _fields(body: bytes) -> dict[str, object]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _retry_after_s(header: bytes | None) -> float | None:
    """Read ``Retry-After``: seconds, or a date (RFC 9110, 10.2.3) [s]."""
    if header is None:
        return None
    text = header.decode("latin-1").strip()
    if text.isdigit():
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    left_s = (at.astimezone(UTC) - datetime.now(UTC)).total_seconds()
    return min(max(left_s, 0.0), RETRY_AFTER_S_MAX)
