"""Delivering what was said: a thread for each channel that has something to send.

A channel that hangs holds up its own messages and nobody else's. What can help is tried again,
later and later, for a day; what can't is given up at once. What waits survives a restart: it is
in the book until it is delivered, so a message may arrive twice and never not at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import apsw
import msgspec
import structlog

from kilowatch.model.lengths import HOUR_MS
from kilowatch.notify.book import Book, Delivery, insert
from kilowatch.notify.carriers import Carriers, Outcome, Parcel
from kilowatch.notify.rules import Channel

log = structlog.get_logger("notify")

BACK_OFF_S = (10, 30, 120, 600, 1_800, 3_600)
GIVE_UP_MS = 24 * HOUR_MS
"""After a day nobody acts on the message any more; the page has the alert and the reason."""
HARD_S = 60.0
"""A carrier limits itself to less; past this its thread is left behind and the queue goes on."""
CHANNELS_MAX = 64  # channels that are busy at once; the others wait for the next second
BATCH_MAX = 500
_DUE = "(next_ms <= ? OR next_ms > ?)"
"""Nothing is put off for more than a day: what seems to be was written by a clock that was wrong,
as that of a machine without a battery is until it has heard the time."""
DIGEST_FROM = 5  # messages that wait for one channel travel as one: a storm is one message
DIGEST_LINES = 20
IDLE_S = 1.0


class Courier:
    """Delivers what waits in the book.

    Args:
        book: Where deliveries wait.
        channels: Returns the channels of now, by number.
        carriers: Delivers one message.
        clock: What time it is [ms since 1970, UTC].
        url: Address of the dashboard for links, or empty.
        hard_s: When a carrier that does not return is left behind [s].
        tell: Told each attempt's kind of channel, and what became of it; from any thread.
    """

    def __init__(
        self,
        book: Book,
        channels: Callable[[], Mapping[int, Channel]],
        carriers: Carriers,
        clock: Callable[[], int],
        *,
        url: str = "",
        hard_s: float = HARD_S,
        tell: Callable[[str, Outcome], None] = lambda _kind, _outcome: None,
    ) -> None:
        self._book = book
        self._channels = channels
        self._carriers = carriers
        self._clock = clock
        self._url = url.rstrip("/")
        self._hard_s = hard_s
        self._tell = tell
        self._busy: set[int] = set()
        self._not_before_ms: dict[int, int] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begin to deliver; what was cut off by a crash is sent again."""
        with self._book.writing() as tx:
            tx.execute(
                "UPDATE attempt SET outcome = 'cut off', "
                "reason = 'The platform stopped during the attempt.' WHERE outcome = 'started'"
            )
            tx.execute(
                "UPDATE delivery SET state = 'failed', done_ms = ?, "
                "reason = 'The platform stopped during the test.' WHERE state = 'testing'",
                (self._clock(),),
            )
        self._thread.start()

    def wake(self) -> None:
        """Say that something new waits."""
        self._wake.set()

    def stop(self, wait_s: float = 5.0) -> None:
        """Stop; what is not delivered waits in the book for the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(wait_s)
        end_s = time.monotonic() + wait_s
        while self._busy and time.monotonic() < end_s:
            time.sleep(0.02)  # what is on its way may still be noted as delivered

    def test(self, channel: Channel, parcel: Parcel) -> Outcome:
        """Deliver a trial message at once and once; it is in the history like any other."""
        now_ms = self._clock()
        with self._book.writing() as tx:
            number = insert(
                tx,
                "delivery",
                [
                    {
                        "key": parcel.key,
                        "organisation_id": channel.organisation_id,
                        "channel_id": channel.id,
                        "channel_name": channel.name,
                        "shown": channel.shown,
                        "what": "test",
                        "title": parcel.title,
                        "body": parcel.body,
                        "facts": parcel.facts,
                        "created_ms": now_ms,
                        "next_ms": now_ms,
                        "state": "testing",
                    }
                ],
            )
        outcome = self._attempt(channel, [number], parcel)
        self._finish([number], "sent" if outcome.ok else "failed", outcome.reason)
        return outcome

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(IDLE_S)
            self._wake.clear()
            try:
                self.dispatch()
            except Exception:
                log.exception("deliveries could not be read; trying again")

    def dispatch(self) -> None:
        """Start a thread for each channel that has something due and none at work."""
        now_ms = self._clock()
        due = f"SELECT DISTINCT channel_id FROM delivery WHERE state = 'pending' AND {_DUE}"
        for (channel_id,) in self._book.rows(due, now_ms, now_ms + GIVE_UP_MS):
            with self._lock:
                waits = now_ms < self._not_before_ms.get(channel_id, 0) <= now_ms + GIVE_UP_MS
                if waits or channel_id in self._busy or len(self._busy) >= CHANNELS_MAX:
                    continue
                self._busy.add(channel_id)
            threading.Thread(
                target=self._work, args=(channel_id,), name=f"channel {channel_id}", daemon=True
            ).start()

    def _work(self, channel_id: int) -> None:
        try:
            while not self._stopping.is_set() and self._deliver(channel_id):
                pass
        except apsw.ConnectionClosedError:
            log.info("stopped while a channel was busy; it goes on at the next start")
        except Exception:
            log.exception("a channel's messages could not be handled", channel=channel_id)
        finally:
            with self._lock:
                self._busy.discard(channel_id)

    def _deliver(self, channel_id: int) -> bool:
        """Deliver what is due for a channel; returns whether there may be more."""
        now_ms = self._clock()
        batch = self._book.all(
            Delivery,
            f"WHERE state = 'pending' AND channel_id = ? AND {_DUE} ORDER BY id LIMIT ?",
            channel_id,
            now_ms,
            now_ms + GIVE_UP_MS,
            BATCH_MAX,
        )
        if not batch:
            return False
        channel = self._channels().get(channel_id)
        if channel is None or not channel.enabled:
            why = "The channel was removed." if channel is None else "The channel is switched off."
            self._finish([one.id for one in batch], "dropped", why)
            return True
        if len(batch) < DIGEST_FROM:
            batch = batch[:1]
        outcome = self._attempt(channel, [one.id for one in batch], self._parcel(batch))
        if outcome.ok:
            self._finish([one.id for one in batch], "sent", "")
            return True
        if outcome.helps and self._clock() - batch[0].created_ms < GIVE_UP_MS:
            self._put_off(channel_id, batch, outcome)
            return False
        gave_up = "Given up after a day. " if outcome.helps else ""
        self._finish([one.id for one in batch], "failed", gave_up + outcome.reason)
        return True

    def _parcel(self, batch: Sequence[Delivery]) -> Parcel:
        if len(batch) == 1:
            one = batch[0]
            facts = msgspec.json.decode(one.facts) | {
                "delivery": one.key, "title": one.title, "text": one.body,
            }  # fmt: skip
            return Parcel(one.key, one.title, one.body, msgspec.json.encode(facts).decode())
        title = f"{len(batch)} notifications"
        lines = [f"- {one.title}" for one in batch[:DIGEST_LINES]]
        if len(batch) > DIGEST_LINES:
            lines.append(f"and {len(batch) - DIGEST_LINES} more")
        if self._url:
            lines += ["", f"{self._url}/notifications"]
        key = f"{batch[0].key}+{len(batch) - 1}"
        facts = {
            "event": "digest",
            "delivery": key,
            "title": title,
            "text": "\n".join(lines),
            "count": len(batch),
            "events": [msgspec.json.decode(one.facts) for one in batch[:DIGEST_LINES]],
        }
        return Parcel(key, title, "\n".join(lines), msgspec.json.encode(facts).decode())

    def _attempt(self, channel: Channel, numbers: list[int], parcel: Parcel) -> Outcome:
        started_ms = self._clock()
        with self._book.writing() as tx:
            insert(
                tx,
                "attempt",
                [
                    {"delivery_id": number, "started_ms": started_ms, "outcome": "started"}
                    for number in numbers
                ],
            )
        outcome = self._carry(channel, parcel)
        self._tell(channel.kind, outcome)
        with self._book.writing() as tx:
            tx.executemany(
                "UPDATE attempt SET outcome = ?, took_ms = ?, reason = ? "
                "WHERE delivery_id = ? AND outcome = 'started'",
                [
                    (
                        "sent" if outcome.ok else "failed",
                        self._clock() - started_ms,
                        outcome.reason,
                        number,
                    )
                    for number in numbers
                ],
            )
            tx.executemany(
                "UPDATE delivery SET tries = tries + 1 WHERE id = ?", [(n,) for n in numbers]
            )
        return outcome

    def _carry(self, channel: Channel, parcel: Parcel) -> Outcome:
        found: list[Outcome] = []

        def carry() -> None:
            try:
                found.append(self._carriers.carry(channel, parcel))
            except Exception as error:
                log.exception("a carrier failed", channel=channel.id)
                reason = f"A fault of ours ({type(error).__name__}); it is in the server's log."
                found.append(Outcome(ok=False, helps=True, reason=reason))

        thread = threading.Thread(target=carry, name=f"carrier {channel.id}", daemon=True)
        thread.start()
        thread.join(self._hard_s)
        if found:
            return found[0]
        reason = f"The channel hangs: nothing happened for {self._hard_s:g} s."
        return Outcome(ok=False, helps=True, reason=reason)

    def _put_off(self, channel_id: int, batch: Sequence[Delivery], outcome: Outcome) -> None:
        tries = batch[0].tries
        pause_s = max(BACK_OFF_S[min(tries, len(BACK_OFF_S) - 1)], outcome.after_s)
        next_ms = self._clock() + round(pause_s * 1000)
        with self._lock:
            self._not_before_ms[channel_id] = next_ms
        with self._book.writing() as tx:
            tx.executemany(
                "UPDATE delivery SET next_ms = ?, reason = ? WHERE id = ? AND state = 'pending'",
                [(next_ms, outcome.reason, one.id) for one in batch],
            )

    def _finish(self, numbers: Sequence[int], state: str, reason: str) -> None:
        with self._book.writing() as tx:
            tx.executemany(
                "UPDATE delivery SET state = ?, done_ms = ?, reason = ? "
                "WHERE id = ? AND (state IN ('pending', 'testing') OR ? = 'sent')",
                [(state, self._clock(), reason, number, state) for number in numbers],
            )
