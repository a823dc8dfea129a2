"""From a packet's bytes to its commit, and the answer that rests on it."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from kilowatch import wire
from kilowatch.collector import refusals
from kilowatch.collector.answers import ACCEPTED, Answer, accepted, backfilled, discarded
from kilowatch.collector.routes import backfill_asked, stream_asked
from kilowatch.log import Submission
from kilowatch.log.records import kind_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form
from kilowatch.model.parameters import VALUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from kilowatch.collector.authenticate import Access
    from kilowatch.collector.exchange import Exchange
    from kilowatch.collector.replies import Replies
    from kilowatch.collector.settings import CollectorSettings
    from kilowatch.log import LogWriter, Outcome
    from kilowatch.model.points import DataPoint

    Step = Callable[[Exchange], None]

GZIP_WINDOW = 31  # zlib's number for a gzip header and the largest window


class Intake:
    """Takes packets of authenticated requests to the log.

    Args:
        settings: Limits.
        log_writer: The durable log.
        replies: Where answers go.
        look_again: Asks the directory once more for an exchange that names an unknown
            stream, and calls back; returns False when that was done already.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        log_writer: LogWriter,
        replies: Replies,
        look_again: Callable[[Exchange, Step], bool],
    ) -> None:
        self._settings = settings
        self._log = log_writer
        self._replies = replies
        self._look_again = look_again
        self.in_flight = 0
        self._full = False

    def receive(self, exchange: Exchange) -> None:
        """Read a packet, check that it may come, and hand it to the log."""
        head, access = exchange.head, exchange.access
        assert head is not None
        assert head.route is not None
        assert access is not None
        form = head.route.form
        try:
            if head.encoding:
                exchange.body = decompressed(
                    exchange.body, head.encoding, self._settings.body_bytes_max
                )
            body = exchange.body
            origin = backfill_asked(head.query) if head.query else None
            packet = wire.decode(body, form, exchange.received_ms)
            point = access.points.get(packet.stream_id)
            if point is None:
                point = self._point(exchange, access, packet.stream_id, self.receive)
                if point is None:
                    return
            exchange.point = point
            if (VALUE in packet.values) != (point.kind == "single"):
                raise refusals.kind_mismatch(packet.stream_id, point.kind)
            exchange.packet = packet
            weight = 1 + len(body) // 1024
            self._admit(access)
            submission = (
                point.series,
                packet,
                form,
                body,
                exchange.received_ms,
                access.credential.id,
                exchange,  # handed back as it is, in a batch
            )
            if origin is None:
                self._log.submit(*submission)  # type: ignore[arg-type]
            else:
                self._log.backfill(Submission(*submission, origin))  # type: ignore[arg-type]
        except KilowatchError as error:
            self._refuse(exchange, access, form, error)
            return
        exchange.weight = weight
        self.in_flight += weight
        access.tenant.in_flight += weight

    def _point(
        self, exchange: Exchange, access: Access, stream_id: str, step: Step
    ) -> DataPoint | None:
        """Return the data point that a stream id means to a credential.

        Returns:
            None if the directory is asked once more first, and ``step`` will be called.

        Raises:
            KilowatchError: ``stream_unknown``, ``stream_not_allowed`` or ``stream_computed``.
        """
        point = self._replies.directory.find(access.credential, stream_id)
        if point is not None and access.credential.allowed(point):
            if point.formula:
                exchange.point = point
                raise refusals.stream_computed(stream_id)
            access.points[stream_id] = point
            return point
        if self._look_again(exchange, step):
            return None
        if point is None:
            raise refusals.stream_unknown(stream_id)
        exchange.point = point
        raise refusals.stream_not_allowed(stream_id)

    def latest(self, exchange: Exchange) -> None:
        """Answer ``GET ?stream=ID`` with the latest packet, in the format it was pushed in."""
        head, access = exchange.head, exchange.access
        assert head is not None
        assert access is not None
        stream_id = stream_asked(head.query)
        try:
            if stream_id is None:
                raise refusals.stream_missing()
            point = self._point(exchange, access, stream_id, self.latest)
            if point is None:
                return
            exchange.point = point
            latest = self._log.head(point.series)
            if latest is None:
                raise refusals.no_data_yet(stream_id)
        except KilowatchError as error:
            self._replies.refuse(exchange, error)
            return
        # A client in use pushes ISO-8859-1; what we send is UTF-8, as JSON must be.
        body = wire.text_of(latest.entry.body).encode()
        self._replies.reply(exchange, Answer(200, body, code="latest"))

    def take_full(self) -> bool:
        """Return whether a packet met a full queue since the last call."""
        was_full, self._full = self._full, False
        return was_full

    def _admit(self, access: Access) -> None:
        """Let a packet into the queue, or refuse it.

        A tenant may have as much under way as is still free, so the busiest gets half of
        the queue, two get a third each, and there is always room for one who behaves.

        Source:
            A. Choudhury and E. Hahne, "Dynamic queue length thresholds for shared-memory
            packet switches", IEEE/ACM Transactions on Networking 6(2), 1998, with alpha = 1.

        Raises:
            KilowatchError: 503 ``overloaded``.
        """
        free = self._settings.in_flight_max - self.in_flight
        if access.tenant.in_flight < free:
            return
        self._full = self._full or free <= 0
        raise refusals.overloaded(
            "The server has as many packets under way as it can take."
            if free <= 0
            else "Your organisation has more packets under way than its share."
        )

    def _refuse(
        self, exchange: Exchange, access: Access, form: Form, error: KilowatchError
    ) -> None:
        credential = access.credential
        if exchange.point is None and (named := error.data.get("stream_id")):
            point = self._replies.directory.find(credential, str(named))
            if point is not None and credential.allowed(point):
                exchange.point = point
        self._replies.refuse(exchange, error)
        if error.status < 500:
            self._log.refuse(
                exchange.point.series if exchange.point else None,
                credential.organisation_id,
                code=error.code,
                detail=error.detail,
                body=exchange.body,
                received_ms=exchange.received_ms,
                credential_id=credential.id,
                flags=form,
            )

    def finish(self, exchange: Exchange, outcome: Outcome) -> None:
        """Answer a packet whose commit is done."""
        access, packet = exchange.access, exchange.packet
        assert access is not None
        assert packet is not None
        self.in_flight -= exchange.weight
        access.tenant.in_flight -= exchange.weight
        status = outcome.status
        if status == "accepted" and not packet.ignored:
            self._replies.reply(exchange, ACCEPTED)
        elif status == "failed":
            self._replies.refuse(exchange, refusals.not_durable())
        elif status == "discarded":
            self._replies.reply(exchange, discarded(_latest(outcome), packet.ignored))
        elif status == "backfilled":
            self._replies.reply(exchange, backfilled(packet.ignored))
        else:
            self._replies.reply(exchange, accepted(status, packet.ignored))


def _latest(outcome: Outcome) -> str:
    kind = kind_of(outcome.latest_flags)
    return wire.format_timestamp(outcome.latest_at_ms, outcome.latest_offset_min, kind)


def decompressed(body: bytes, encoding: bytes, limit: int) -> bytes:
    """Return the body as it was before its ``Content-Encoding``.

    A few KiB of gzip can hold gigabytes of zeros: we stop one byte after the limit.

    Args:
        body: As received.
        encoding: Value of ``Content-Encoding``, in lower case.
        limit: Largest result [bytes].

    Raises:
        KilowatchError: ``encoding_unknown``, ``gzip_broken`` or 413 ``body_too_large``.
    """
    if encoding == b"identity":
        return body
    if encoding not in (b"gzip", b"x-gzip"):
        raise refusals.encoding_unknown(encoding.decode("latin-1"))
    plain, rest = b"", body
    try:
        while rest:  # a gzip file may have several members
            stream = zlib.decompressobj(GZIP_WINDOW)
            plain += stream.decompress(rest, limit + 1 - len(plain))
            if len(plain) > limit:
                raise refusals.body_too_large(limit)
            if not stream.eof:
                raise refusals.gzip_broken()
            rest = stream.unused_data
    except zlib.error:
        raise refusals.gzip_broken() from None
    return plain
