"""Where a request to the push API is met: may it come, whose is it, and who deals with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from kilowatch.catalog.credentials import Use
from kilowatch.collector import refusals
from kilowatch.collector.answers import Writer
from kilowatch.collector.authenticate import Access, Authenticator, Verdict
from kilowatch.collector.exchange import Exchange
from kilowatch.collector.heads import Heads
from kilowatch.collector.intake import Intake
from kilowatch.collector.live import LiveView
from kilowatch.collector.replies import Replies
from kilowatch.collector.routes import Head
from kilowatch.collector.secure import Doorkeeper
from kilowatch.collector.throttle import Throttle
from kilowatch.collector.watch import Watch

if TYPE_CHECKING:
    from kilowatch.catalog.database import Catalog
    from kilowatch.catalog.directory import Directory
    from kilowatch.collector.settings import CollectorSettings
    from kilowatch.log import LogWriter
    from kilowatch.model.errors import KilowatchError

log = structlog.get_logger(__name__)

Step = Callable[[Exchange], None]


class Reception:
    """Meets every request to the push API.

    Args:
        settings: The collector's.
        catalog: Where the directory comes from.
        directory: The first snapshot of it.
        log_writer: The durable log.
        loop: The event loop that connections run on.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        catalog: Catalog,
        directory: Directory,
        log_writer: LogWriter,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.push_url = settings.public_url
        self.push_url_plain = ""  # while no port takes packets without TLS
        self.doorkeeper = Doorkeeper(settings.environment, settings.trusted_proxies)
        self.directory = directory
        self.watch = Watch(settings, catalog, directory, self._swap)
        self.live = LiveView(settings.environment, lambda: self.directory, self._push_url)
        self.replies = Replies(Writer(time.time()), self.live, directory)
        self.authenticator = Authenticator(settings, directory, loop.time)
        self.throttle = Throttle()
        self.heads = Heads()
        self.intake = Intake(settings, log_writer, self.replies, self._look_again)
        self.now_s = loop.time()
        self.used: dict[int, Use] = {}

    def tick(self) -> None:
        """Move the coarse clock and the ``Date`` header; called once a second."""
        self.now_s = self.loop.time()
        self.replies.writer.tick(time.time())
        self.authenticator.forget_old()

    def _push_url(self, tls: bool) -> str:  # noqa: FBT001 - as the live view calls it
        """Return where an example pushes: where its sender did, if that is taken."""
        return self.push_url if tls or not self.push_url_plain else self.push_url_plain

    def not_secure(self) -> KilowatchError:
        """Return the 403 for a request that could be read on its way."""
        return self.doorkeeper.refusal(self.push_url)

    def refuses_unread(self, head: Head) -> bool:
        """Tell whether a body that the client offers (``Expect``) can't change the answer."""
        route = head.route
        return route is not None and (
            head.method not in route.methods
            or self.watch.maintenance is not None
            or self.authenticator.authenticate(head.authorization) is Verdict.MISSING
        )

    def handle(self, exchange: Exchange) -> None:
        """Answer a request, now or when its commit is done."""
        self._take(exchange, self._handle)

    def handle_known(self, exchange: Exchange, access: Access) -> None:
        """Answer a request whose head was served before.

        Args:
            exchange: A packet.
            access: What that head was worth then, in the directory that is still in force.
        """
        exchange.access = access
        if self.watch.maintenance is not None:
            self._take(exchange, self._handle)
        elif self.now_s - access.used_s > self.settings.last_used_pause_s:
            self._take(exchange, self._serve)
        else:
            self._take(exchange, self.intake.receive)

    def _take(self, exchange: Exchange, step: Step) -> None:
        try:
            step(exchange)
        except Exception:
            log.exception("fault while answering a request")
            exchange.keep_alive = exchange.waiting = False
            self.replies.refuse(exchange, refusals.server_fault())

    def _handle(self, exchange: Exchange) -> None:
        head = exchange.head
        if exchange.refusal is not None or head is None or head.route is None:
            self.replies.refuse(exchange, exchange.refusal or refusals.server_fault())
        elif head.method not in head.route.methods:
            error = refusals.method_not_allowed(head.method, head.route.path)
            self.replies.refuse(exchange, error)
        elif self.watch.maintenance is not None:
            self.replies.refuse(exchange, refusals.maintenance(self.watch.maintenance))
        else:
            self._identify(exchange)

    def _identify(self, exchange: Exchange) -> None:
        head = exchange.head
        assert head is not None
        found = self.authenticator.authenticate(head.authorization)
        if isinstance(found, Access):
            exchange.access = found
            self._serve(exchange)
        elif found is Verdict.MISSING:
            self.replies.refuse(exchange, refusals.credentials_missing(head.authorization))
        elif found is Verdict.BUSY:
            error = refusals.overloaded("Too many passwords wait to be verified.")
            self.replies.refuse(exchange, error)
        elif found is Verdict.ASK_AGAIN:
            self._verify_slowly(exchange, head, lambda: None)
        elif found is Verdict.ASK_ARGON2:
            address, _ = exchange.connection.origin(head)
            if self.throttle.may_guess(address, self.loop.time()):
                self._verify_slowly(exchange, head, lambda: self.throttle.verified(address))
            else:
                self._refuse_unverified(exchange)
        elif not self._look_again(exchange, self._identify):
            self._refuse_credentials(exchange, head)

    def _serve(self, exchange: Exchange) -> None:
        access, head = exchange.access, exchange.head
        assert access is not None
        assert head is not None
        if self.now_s - access.used_s > self.settings.last_used_pause_s:
            access.used_s = self.now_s
            address, _ = exchange.connection.origin(head)  # once a minute, not on every packet
            self.used[access.credential.id] = Use(exchange.received_ms, address)
        if head.method == "GET":
            self.intake.latest(exchange)
        else:
            self.intake.receive(exchange)

    def _verify_slowly(self, exchange: Exchange, head: Head, verified: Callable[[], None]) -> None:
        header = head.authorization
        assert header is not None

        def go_on(step: Exchange) -> None:
            verified()
            found = self.authenticator.authenticate(header)
            if isinstance(found, Access):
                step.access = found
                self._serve(step)
            elif not self._look_again(step, self._identify):
                self._refuse_credentials(step, head)

        self._wait(exchange)
        self.authenticator.verify_slowly(header, lambda: self._go_on(exchange, go_on))

    def _refuse_credentials(self, exchange: Exchange, head: Head) -> None:
        address, _ = exchange.connection.origin(head)
        delay_s = self.throttle.failed(address, self.loop.time())
        if delay_s is None:
            self._refuse_unverified(exchange)
            return
        if not delay_s:
            self.replies.refuse(exchange, refusals.credentials_wrong())
            return

        def at_last(step: Exchange) -> None:
            self.throttle.answered(address)
            self.replies.refuse(step, refusals.credentials_wrong())

        self._wait(exchange)
        self.loop.call_later(delay_s, self._go_on, exchange, at_last)

    def _refuse_unverified(self, exchange: Exchange) -> None:
        exchange.keep_alive = False
        error = refusals.overloaded("Too many wrong passwords came from this address.")
        self.replies.refuse(exchange, error)

    # Requests that wait for something hold up what follows on their connection, so that
    # packets of a stream are never stored in another order than they came in.

    def _wait(self, exchange: Exchange) -> None:
        exchange.waiting = True
        exchange.connection.hold(exchange)

    def _go_on(self, exchange: Exchange, step: Step) -> None:
        exchange.waiting = False
        self._take(exchange, step)
        if not exchange.waiting:
            exchange.connection.release(exchange)

    def _look_again(self, exchange: Exchange, step: Step) -> bool:
        """Ask the directory once more before saying that something is not there."""
        if exchange.looked_again:
            return False
        exchange.looked_again = True
        self._wait(exchange)
        self.watch.soon().add_done_callback(lambda _: self._go_on(exchange, step))
        return True

    def _swap(self, directory: Directory) -> None:
        self.directory = directory
        self.replies.directory = directory
        self.authenticator.swap(directory)
        self.heads.forget()

    async def report_use(self) -> None:
        """Write to the catalogue when and from where credentials were last used."""
        used, self.used = self.used, {}
        if used:
            await self.watch.report(used)

    def close(self) -> None:
        """Stop threads."""
        self.authenticator.close()
        self.watch.close()
