"""Telling people, as one service: what ``cli`` starts and stops, and what the pages talk to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from kilowatch.catalog.database import Catalog, now_ms
from kilowatch.notify.addresses import Network
from kilowatch.notify.book import Book
from kilowatch.notify.carriers import Carriers, Outcome
from kilowatch.notify.courier import Courier
from kilowatch.notify.desk import Desk
from kilowatch.notify.engine import Engine
from kilowatch.notify.mail import Mailer
from kilowatch.notify.needs import Sources
from kilowatch.notify.sealing import Sealer

log = structlog.get_logger("notify")

PASS_S = 1.0


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """How telling people is set up.

    Attributes:
        path: Where alerts and deliveries are kept; None keeps them in memory.
        server_key: Keeps channels' addresses secret.
        networks: Private networks that messages may reach.
        url: Address of the dashboard for links, or empty.
    """

    path: Path | None
    server_key: bytes = field(repr=False)
    networks: tuple[Network, ...] = ()
    url: str = ""


class Notifier:
    """Follows what happens and tells people.

    Args:
        catalog: The registry, open.
        sources: What is watched.
        mailer: Sends e-mail.
        settings: How it is set up.
        clock: What time it is [ms since 1970, UTC].
        tell: Told each attempt to deliver: kind of channel and outcome.
    """

    def __init__(
        self,
        catalog: Catalog,
        sources: Sources,
        mailer: Mailer,
        settings: NotifySettings,
        clock: Callable[[], int] = now_ms,
        tell: Callable[[str, Outcome], None] = lambda _kind, _outcome: None,
    ) -> None:
        self._book = Book(settings.path)
        self.engine = Engine(catalog, self._book, sources, url=settings.url, clock=clock)
        carriers = Carriers(Sealer(settings.server_key), mailer, settings.networks)
        self.courier = Courier(
            self._book,
            lambda: self.engine.rules.channels,
            carriers,
            clock,
            url=settings.url,
            tell=tell,
        )
        self._wake = threading.Event()
        self.desk = Desk(self._book, self.engine, self.courier, carriers, clock, self._wake.set)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._follow, args=(watch,), name=name)
            for name, watch in (
                ("notify", self.engine.watch_once),
                ("notify values", self.engine.judge_values),
            )
        ]

    def start(self) -> None:
        """Begin to follow and to deliver, in threads."""
        self.courier.start()
        for thread in self._threads:
            thread.start()

    def changed(self, series: Iterable[int]) -> None:
        """Say that series have new readings; from any thread."""
        self.engine.changed(series)

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    def stop(self) -> None:
        """Stop and close; what waits is in the book."""
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self.courier.stop()
        self._book.close()

    def _follow(self, watch: Callable[[], bool]) -> None:
        while not self._stopping.is_set():
            try:
                if watch():
                    self.courier.wake()
                    self.desk.announce()
            except Exception:  # one broken rule must not end telling for good
                log.exception("notifications stopped for a moment; trying again")
            if watch == self.engine.watch_once:
                self._wake.wait(PASS_S)
                self._wake.clear()
            else:
                self._stopping.wait(PASS_S)
