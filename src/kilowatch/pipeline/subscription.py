"""Tell pages which streams have changed, a few times a second at most."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterable
from typing import Self

COALESCE_S = 0.25  # a page redrawn four times a second looks live


class Subscription:
    """An asynchronous iterator over sets of series that have changed.

    Args:
        hub: Whom to tell when it is closed.
        loop: The event loop that iterates.
        series: What is watched; None is everything.
    """

    def __init__(
        self, hub: Hub, loop: asyncio.AbstractEventLoop, series: Collection[int] | None
    ) -> None:
        self._hub = hub
        self._loop = loop
        self._watched = None if series is None else frozenset(series)
        self._changed: set[int] = set()
        self._lock = threading.Lock()
        self._event = asyncio.Event()
        self._closed = False

    def watch(self, series: Collection[int] | None) -> None:
        """Change what is watched; None is everything."""
        self._watched = None if series is None else frozenset(series)

    def tell(self, series: frozenset[int]) -> None:
        """Note that some series have changed; from any thread, never blocks."""
        watched = self._watched
        mine = series if watched is None else series & watched
        if not mine or self._closed:
            return
        with self._lock:
            first = not self._changed
            self._changed |= mine
        if first:
            self._wake()

    def close(self) -> None:
        """End the iteration; from any thread, and as often as one likes."""
        if not self._closed:
            self._closed = True
            self._hub.leave(self)
            self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the loop is closed, and with it whoever iterated
            self._hub.leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> frozenset[int]:
        while not self._closed:
            await self._event.wait()
            if not self._closed:
                await asyncio.sleep(COALESCE_S)
            self._event.clear()
            with self._lock:
                changed, self._changed = frozenset(self._changed), set()
            if changed and not self._closed:
                return changed
        raise StopAsyncIteration


class Hub:
    """All subscriptions of the process; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()

    def join(self, loop: asyncio.AbstractEventLoop, series: Collection[int] | None) -> Subscription:
        """Return a new subscription to some series, or to all."""
        subscription = Subscription(self, loop, series)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        with self._lock:
            rest = [one for one in self._subscriptions if one is not subscription]
            self._subscriptions = tuple(rest)

    def publish(self, series: Iterable[int]) -> None:
        """Tell everybody who watches one of these series."""
        subscriptions = self._subscriptions
        if subscriptions:
            changed = frozenset(series)
            for subscription in subscriptions:
                subscription.tell(changed)

    def close(self) -> None:
        """End every subscription, so that a shutdown does not wait for open pages."""
        for subscription in self._subscriptions:
            subscription.close()
