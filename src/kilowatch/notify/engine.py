"""Following what happens, second by second: silences, values and the clock become alerts.

One pass takes in what changed, in transactions that each leave the book whole: the cursor of the
silences moves with the alerts that they raised, and a message is written down in the same moment
as the fact that it was said. A crash between two passes loses nothing and repeats nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import structlog

from kilowatch.catalog import alerts
from kilowatch.catalog.database import Catalog
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS, HOUR_MS, MINUTE_MS
from kilowatch.model.points import DataPoint
from kilowatch.notify import sentinel
from kilowatch.notify.book import Book, forget, move_cursor
from kilowatch.notify.made_of import MadeOf
from kilowatch.notify.names import Names
from kilowatch.notify.needs import Sources
from kilowatch.notify.raising import Raiser
from kilowatch.notify.rules import Rules, load
from kilowatch.notify.speaking import Speaking
from kilowatch.notify.texts import Speaker
from kilowatch.notify.values import Verdict, sums, thresholds

log = structlog.get_logger("notify")

FEED_MAX = 2_000  # silences in one transaction
SUMS_EVERY_MS = MINUTE_MS  # a sum so far moves slowly, and costs more to read than a value
SETTLE_EVERY_MS = MINUTE_MS  # findings whose history became another one: nobody waits for those
KEPT_MS = 400 * DAY_MS  # a year of history, and the month before
TIDY_EVERY_MS = 6 * HOUR_MS


class Engine:
    """Turns what is noticed into alerts and deliveries.

    Args:
        catalog: The registry, open.
        book: Where alerts are kept.
        sources: What is watched.
        url: Address of the dashboard for links, or empty.
        clock: What time it is [ms since 1970, UTC].
    """

    def __init__(
        self,
        catalog: Catalog,
        book: Book,
        sources: Sources,
        *,
        url: str,
        clock: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._book = book
        self._points = sources.points
        self._feed = sources.feed
        self._made_of = MadeOf()
        self._view = sources.view
        self._insights = sources.insights
        self._url = url.rstrip("/")
        self._clock = clock
        self._names = Names(catalog)
        self._lock = threading.Lock()
        self._changed: set[int] = set()
        self._summed: set[int] = set()
        self._sums_ms = 0
        self._settled_ms = 0
        self._spoke_ms = 0
        self._next_ms = 0
        self._tidy_ms = 0
        self._reconcile = False
        self._judged = False
        self._anew = True
        self.rules = Rules(-1, [], [])

    @property
    def speaker(self) -> Speaker:
        """What writes messages, with the names of now."""
        return Speaker(self._points(), self._names, self._url)

    def changed(self, series: Iterable[int]) -> None:
        """Note that series have new readings; from any thread, never blocks for long."""
        with self._lock:
            self._changed.update(series)

    def run_once(self) -> bool:
        """Take in values and silences and say what is due; returns whether anything changed."""
        judged = self.judge_values()
        return self.watch_once() or judged

    def watch_once(self) -> bool:
        """Take in silences and say what is due; returns whether anything changed."""
        asked, self._reconcile = self._reconcile, False
        renewed = self.renew() or asked
        changed = self._take_silences(all_open=renewed)
        changed |= self._take_findings(renewed=renewed)
        now_ms = self._clock()
        judged, self._judged = self._judged, False
        set_back = now_ms < self._spoke_ms
        if changed or renewed or judged or set_back or now_ms >= self._next_ms:
            changed |= self._speak(now_ms)
        if set_back or now_ms >= self._tidy_ms:
            self._tidy_ms = now_ms + TIDY_EVERY_MS
            with self._book.writing() as tx:
                forget(tx, now_ms - KEPT_MS)
        return changed

    def renew(self) -> bool:
        """Read rules and channels again if anything in the catalogue changed."""
        with self._catalog.reading() as session:
            state = alerts.state(session)
            if state == self.rules.state:
                return False
            self.rules = load(session, state)
        self._names.forget()
        return True

    def rules_of_now(self) -> Rules:
        """Return rules and channels as they stand in the catalogue."""
        if self.renew():
            self._reconcile = True
        return self.rules

    def look_again(self) -> None:
        """Look in the next pass what is due: somebody has changed when."""
        self._next_ms = 0

    def reconcile_soon(self) -> None:
        """Bring the alerts in line with the rules in the next pass: a person changed some."""
        self._reconcile = True

    def _take_silences(self, *, all_open: bool) -> bool:
        changed = self._take_changes()
        if not all_open:
            return changed
        lasting = self._feed.open()
        while self._feed.changes(self._book.cursor(), 1):
            # What lasts is to be as far as what was taken in: the end of a silence between the
            # two would be told as nothing, and its beginning as no longer known.
            changed |= self._take_changes()
            lasting = self._feed.open()
        with self._book.writing() as tx:
            raiser = Raiser(tx, self._book, self.rules, self._names, self._clock())
            points = self._points()
            raiser.reconcile(lasting, points, self._made_of.of(points))
            raiser.finish()
        return changed | raiser.changed

    def _take_changes(self) -> bool:
        changed = False
        after = self._book.cursor()
        while found := self._feed.changes(after, FEED_MAX):
            after = found[-1][0]
            with self._book.writing() as tx:
                raiser = Raiser(tx, self._book, self.rules, self._names, self._clock())
                still = {one.data_point_id for one in self._feed.open()}
                raiser.silences((one for _, one in found), self._made_of.of(self._points()), still)
                raiser.finish()
                move_cursor(tx, after)
            changed |= raiser.changed
        return changed

    def _take_findings(self, *, renewed: bool) -> bool:
        changed = False
        if renewed:
            with self._book.writing() as tx:
                changed = sentinel.reconcile(
                    tx, self._book, self.rules, self._points(), self._clock()
                )
        if self._insights is None:
            return changed
        after = self._book.cursor(sentinel.FEED)
        while found := self._insights.changes(after, FEED_MAX):
            after = found[-1][0]
            with self._book.writing() as tx:
                tidings = [tiding for _, tiding in found]
                changed |= sentinel.take(tx, self.rules, self._names, tidings, self._clock())
                move_cursor(tx, after, sentinel.FEED)
        now_ms = self._clock()
        if not 0 <= now_ms - self._settled_ms < SETTLE_EVERY_MS:  # a clock may be set back
            self._settled_ms = now_ms
            with self._book.writing() as tx:
                changed |= sentinel.settle(tx, self._book, self._insights, now_ms)
        return changed

    def judge_values(self) -> bool:
        """Compare what changed with the limits; returns whether an alert began or ended.

        It waits for the store, so it has a thread of its own: a store that is slow must not hold
        up the news that a meter is silent.
        """
        rules = self.rules_of_now()
        with self._lock:
            series, self._changed = self._changed, set()
            if self._anew:  # what came before a crash was stored, and maybe not judged
                series.update(self._points().points)
                self._anew = False
        if not rules.watch_values:
            return False
        try:
            return self._judge_series(rules, series)
        except KilowatchError as error:  # the store opens, or is busy: the next pass asks again
            log.debug("values could not be read", reason=error.detail)
            self.changed(series)
            return False
        except BaseException:  # a full disk: what was not judged is judged when there is room
            self.changed(series)
            raise

    def _judge_series(self, rules: Rules, series: set[int]) -> bool:
        points = self._known(series)
        self._summed.update(series)
        now_ms = self._clock()
        verdicts = list(thresholds(self._view, rules, points, now_ms))
        if 0 <= now_ms - self._sums_ms < SUMS_EVERY_MS:
            return self._judge(rules, verdicts)
        verdicts += sums(self._view, rules, self._known(self._summed), now_ms)
        judged = self._judge(rules, verdicts)
        self._sums_ms = now_ms
        self._summed.clear()
        return judged

    def _judge(self, rules: Rules, verdicts: list[Verdict]) -> bool:
        if not verdicts:
            return False
        with self._book.writing() as tx:
            raiser = Raiser(tx, self._book, rules, self._names, self._clock())
            raiser.verdicts(verdicts)
            raiser.finish()
        if raiser.changed:
            self._judged = True
        return raiser.changed

    def _known(self, series: Iterable[int]) -> list[DataPoint]:
        points = self._points()
        found = (points.by_series(one) for one in series)
        return [point for point in found if point is not None]

    def _speak(self, now_ms: int) -> bool:
        with self._book.writing() as tx:
            raiser = Raiser(tx, self._book, self.rules, self._names, now_ms)
            speaking = Speaking(tx, self._book, self.rules, self.speaker, raiser, now_ms)
            speaking.run()
            raiser.finish()
        self._spoke_ms, self._next_ms = now_ms, speaking.next_ms
        return speaking.spoke or raiser.changed
