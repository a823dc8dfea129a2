"""One request and its answer, from the last byte of the one to the first of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kilowatch.collector.authenticate import Access
    from kilowatch.collector.routes import Head
    from kilowatch.model.errors import KilowatchError
    from kilowatch.model.packet import Packet
    from kilowatch.model.points import DataPoint


class Connection(Protocol):
    """What a request needs of the connection that it came on."""

    def origin(self, head: Head | None) -> tuple[str, bool]:
        """Return a request's client address and whether it came over TLS."""

    def hold(self, exchange: Exchange) -> None:
        """Start nothing that follows this request until it is released."""

    def flush(self) -> None:
        """Write every answer whose turn has come."""

    def release(self, exchange: Exchange) -> None:
        """Go on with the requests behind one that had held them up."""


class Exchange:
    """A request that waits for its answer; answers leave in the order of their requests.

    Attributes:
        connection: Where it came from and where its answer goes.
        head: What its first part said; None if it was too broken to tell.
        body: Its body as received.
        received_ms: When its last byte came [ms since 1970, UTC].
        refusal: Why the connection ends with it, decided while it was still read.
        keep_alive: Whether the connection goes on after it.
        access: Whose it is, once known.
        packet: What its body said, once read.
        point: The data point meant, once known.
        looked_again: The directory was asked once more because of it.
        waiting: It waits for something before it can be served; what follows waits too.
        weight: What it counts for in the queue: one, and one for each KiB.
        reply: The bytes of its answer, once known.
    """

    __slots__ = (
        "access",
        "body",
        "connection",
        "head",
        "keep_alive",
        "looked_again",
        "packet",
        "point",
        "received_ms",
        "refusal",
        "reply",
        "waiting",
        "weight",
    )

    def __init__(
        self, connection: Connection, head: Head | None, body: bytes, received_ms: int
    ) -> None:
        self.connection = connection
        self.head = head
        self.body = body
        self.received_ms = received_ms
        self.keep_alive = head is not None and head.keep_alive
        self.refusal: KilowatchError | None = None
        self.access: Access | None = None
        self.packet: Packet | None = None
        self.point: DataPoint | None = None
        self.looked_again = False
        self.waiting = False
        self.weight = 0
        self.reply: bytes | None = None
