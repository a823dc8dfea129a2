"""Answers on their way out: bytes for the client, an event for the live view, a count."""

from __future__ import annotations

from collections import Counter

from kilowatch.catalog.directory import Directory
from kilowatch.collector.answers import ACCEPTED, DUPLICATE, Answer, Writer, problem
from kilowatch.collector.authenticate import read_basic
from kilowatch.collector.exchange import Exchange
from kilowatch.collector.live import EXCERPT_BYTES_MAX, LiveView, Refused, stream_in
from kilowatch.model.errors import KilowatchError


class Replies:
    """Gives exchanges their answers.

    Args:
        writer: Makes bytes of answers.
        live: The live view of requests.
        directory: The first snapshot, for telling whose refusal it is.
    """

    def __init__(self, writer: Writer, live: LiveView, directory: Directory) -> None:
        self.writer = writer
        self.live = live
        self.directory = directory
        self.counts: Counter[str] = Counter()

    def reply(self, exchange: Exchange, answer: Answer, refused: Refused | None = None) -> None:
        """Answer a request; the bytes leave when its turn comes."""
        head = exchange.head
        if answer.closes:
            exchange.keep_alive = False
        plain = exchange.keep_alive and head is not None and not head.http10
        if plain and answer is ACCEPTED:
            exchange.reply = self.writer.accepted
        elif plain and answer is DUPLICATE:
            exchange.reply = self.writer.duplicate
        else:
            exchange.reply = self.writer.whole(
                answer,
                close=not exchange.keep_alive,
                http10=head is not None and head.http10,
                without_body=head is not None and head.method == "HEAD",
            )
        self.counts[answer.code] += 1
        access = exchange.access
        remote, secure = exchange.connection.origin(head)
        self.live.add(
            (
                exchange.received_ms,
                answer,
                head.method if head else "",
                head.path if head else "",
                remote,
                secure,
                len(exchange.body),
                access.credential.username if access else refused.username if refused else "",
                exchange.point,
                refused,
            )
        )
        exchange.connection.flush()

    def refuse(self, exchange: Exchange, error: KilowatchError) -> None:
        """Answer a request with what was wrong about it."""
        head, point = exchange.head, exchange.point
        username = ""
        if exchange.access is not None:
            username = exchange.access.credential.username
        elif head is not None and head.authorization is not None:
            username = (read_basic(head.authorization) or ("", ""))[0][:200]
        organisation_id = point.organisation_id if point else self._whose(exchange, username)
        refused = Refused(error, username, exchange.body[:EXCERPT_BYTES_MAX], organisation_id)
        allow = head.route.allow if head is not None and head.route else "GET, POST"
        self.reply(exchange, problem(error, allow=allow), refused)

    def _whose(self, exchange: Exchange, username: str) -> int | None:
        """Return whose integrator should see a refusal, None if nobody can tell.

        By the user name if there is such a credential, else by the stream if exactly one
        organisation has it.
        """
        if exchange.access is not None:
            return exchange.access.credential.organisation_id
        record = self.directory.credential(username)
        if record is not None:
            return record.organisation_id
        if known := self.directory.refused.get(username):
            return known.organisation_id
        stream_id = stream_in(exchange.body)
        owners = self.directory.organisations_with_stream(stream_id) if stream_id else ()
        return owners[0] if len(owners) == 1 else None
