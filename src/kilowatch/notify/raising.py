"""From what was noticed to alerts: who joins which, and when an alert is over.

A gateway that fails makes all its streams silent, those with short intervals first. So an alert
gathers for a moment before anybody is told, and takes in later what fell silent in the same
outage: the same gateway or site, with a last packet from before the outage can have begun.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import apsw

from kilowatch.model.lengths import MINUTE_MS
from kilowatch.model.silences import Silence
from kilowatch.notify.book import Alert, Book, Member, insert
from kilowatch.notify.made_of import MadeOf
from kilowatch.notify.names import Names
from kilowatch.notify.needs import Points
from kilowatch.notify.rules import Rule, Rules
from kilowatch.notify.values import Verdict

GATHER_MS = 3_000
"""Time for a gateway's streams to be found silent together. It is part of the 10 s from the due
time to the message: the timer finds within 1 s, we look each second, delivery takes the rest."""

_LASTING = "closed_ms IS NULL AND ended_ms IS NULL AND kind <> 'sentinel'"
"""Alerts that are kept here; a finding has one of its own (``sentinel.py``)."""
OVER, BEFORE_TOLD, SWITCHED_OFF = "over", "before told", "switched off"
PERIOD_OVER, OUTSIDE_HOURS = "period over", "outside its hours"
CORRECTED, UNKNOWN = "corrected", "no longer known"


@dataclass(frozen=True, slots=True)
class News:
    """A data point for which a rule has begun to hold; attributes as ``book.Member``.

    Attributes:
        until_ms: End of the period that a sum is counted over, else None.
    """

    rule: Rule
    data_point_id: int
    site_id: int
    since_ms: int
    due_ms: int
    credential_id: int = 0
    value: float | None = None
    until_ms: int | None = None


@dataclass(slots=True)
class _Alive:
    """An alert that lasts: who is in it, and since when each gateway and site must be out."""

    id: int
    rule_id: int
    opened_ms: int
    told: bool
    until_ms: int | None
    lasting: set[int] = field(default_factory=set)
    out_since_ms: dict[tuple[str, int], int] = field(default_factory=dict)

    def take(self, data_point_id: int, credential_id: int, site_id: int, due_ms: int) -> None:
        """Note a member; an outage began before the first of its streams was due."""
        self.lasting.add(data_point_id)
        for key in (("gateway", credential_id), ("site", site_id)):
            self.out_since_ms[key] = min(due_ms, self.out_since_ms.get(key, due_ms))

    def same_outage(self, news: News) -> bool:
        """Tell whether a stream fell silent with those that are here."""
        keys = [("site", news.site_id)]
        if news.credential_id:
            keys.append(("gateway", news.credential_id))
        return any(news.since_ms <= self.out_since_ms.get(key, -1) for key in keys)


class Raiser:
    """Raises and ends alerts within one transaction of the book.

    Args:
        tx: The transaction.
        book: The book that it belongs to.
        rules: The rules in force.
        names: For the sites' time zones.
        now_ms: What time it is [ms since 1970, UTC].
    """

    def __init__(
        self, tx: apsw.Connection, book: Book, rules: Rules, names: Names, now_ms: int
    ) -> None:
        self._tx = tx
        self._rules = rules
        self._names = names
        self._now_ms = now_ms
        self._alive: dict[int, _Alive] = {}
        self._of_rule: dict[int, list[_Alive]] = defaultdict(list)
        self._lasting: dict[tuple[int, int], _Alive] = {}
        self._offline: set[int] = set()
        self._silent: dict[int, set[int]] = defaultdict(set)
        self._joined: dict[int, int] = defaultdict(int)
        self._ended: dict[tuple[int, int], int] | None = None
        self.changed = False
        for alert in book.all(Alert, f"WHERE {_LASTING}"):
            self._know(_alive(alert), alert.kind)
        members = "JOIN alert ON alert.id = alert_id AND alert.closed_ms IS NULL WHERE "
        for member in book.all(Member, f"{members} member.ended_ms IS NULL"):
            if (alive := self._alive.get(member.alert_id)) is not None:
                self._enter(alive, member)

    def _know(self, alive: _Alive, kind: str) -> None:
        self._alive[alive.id] = alive
        self._of_rule[alive.rule_id].append(alive)
        if kind == "offline":
            self._offline.add(alive.id)

    def _enter(self, alive: _Alive, member: Member | News) -> None:
        alive.take(member.data_point_id, member.credential_id, member.site_id, member.due_ms)
        self._lasting[alive.rule_id, member.data_point_id] = alive
        if alive.id in self._offline:
            self._silent[member.data_point_id].add(alive.rule_id)

    def silences(self, found: Iterable[Silence], made_of: MadeOf, still: Collection[int]) -> None:
        """Take in silences in the order in which they changed.

        Args:
            found: What changed.
            made_of: Which formulas fall silent with a data point.
            still: Data points that are silent now.
        """
        found = list(found)
        # After a time without us a silence may come with its end: nothing is left to tell.
        over = {(s.series, s.last_ms) for s in found if s.ended_ms is not None}
        for silence in found:
            if silence.ended_ms is not None:
                for one in (silence, *made_of.silences(silence, still)):
                    for rule_id in self._silent.pop(one.data_point_id, ()):
                        self.end(rule_id, one.data_point_id, silence.ended_ms)
            elif (silence.series, silence.last_ms) not in over:
                self.silence(silence)
                for one in made_of.silences(silence):
                    self.silence(one, by_itself=True)

    def silence(self, silence: Silence, *, by_itself: bool = False) -> None:
        """Take in a silence that lasts, once for each rule; of a formula ``by_itself``."""
        watching = self._rules.watching(
            silence.organisation_id, silence.site_id, silence.data_point_id, "offline",
            by_itself=by_itself,
        )  # fmt: skip
        for rule in watching:
            self.begin(
                News(
                    rule,
                    silence.data_point_id,
                    silence.site_id,
                    silence.last_ms,
                    silence.due_ms,
                    silence.credential_id,
                )
            )

    def reconcile(self, lasting: list[Silence], points: Points, made_of: MadeOf) -> None:
        """Bring the alerts in line with rules that changed, and with what is silent now.

        A rule that was just made holds for what is silent already; one that now watches something
        else, or another quantity, lets go of what it held.
        """
        silent = {silence.data_point_id for silence in lasting}
        for silence in lasting:
            self.silence(silence)
            for one in made_of.silences(silence):
                self.silence(one, by_itself=True)
                silent.add(one.data_point_id)
        for rule_id, data_point_id in list(self._lasting):
            rule, point = self._rules.by_id.get(rule_id), points.by_id(data_point_id)
            if rule is None:
                continue  # its alerts are closed where they are looked at next
            if point is None or not self._rules.holds(rule, point):
                self.end(rule_id, data_point_id, self._now_ms, SWITCHED_OFF)
            elif rule.kind == "offline" and data_point_id not in silent:
                # The list of silences was lost: to say that data is back would be a guess.
                self.end(rule_id, data_point_id, self._now_ms, UNKNOWN)

    def begin(self, news: News) -> None:
        """Let a data point join an alert of its rule, or open one; nothing if it is in one."""
        key = news.rule.id, news.data_point_id
        if key in self._lasting:
            return
        alive = self._fitting(news) or self._open(news)
        insert(
            self._tx,
            "member",
            [
                {
                    "alert_id": alive.id,
                    "data_point_id": news.data_point_id,
                    "site_id": news.site_id,
                    "credential_id": news.credential_id,
                    "since_ms": news.since_ms,
                    "due_ms": news.due_ms,
                    "noticed_ms": self._now_ms,
                    "value": news.value,
                }
            ],
        )
        self._enter(alive, news)
        self._joined[alive.id] += alive.told
        self.changed = True

    def end(self, rule_id: int, data_point_id: int, ended_ms: int, why: str = OVER) -> None:
        """Note that a data point's part in an alert is over; the last one ends the alert."""
        alive = self._lasting.pop((rule_id, data_point_id), None)
        if alive is None:
            return
        self._tx.execute(
            "UPDATE member SET ended_ms = ? WHERE alert_id = ? AND data_point_id = ? "
            "AND ended_ms IS NULL",
            (ended_ms, alive.id, data_point_id),
        )
        alive.lasting.discard(data_point_id)
        self.changed = True
        if not alive.lasting:
            self._close(alive, why)

    def verdicts(self, found: Iterable[Verdict]) -> None:
        """Take in what rules say about values and sums."""
        for verdict in found:
            rule, point = verdict.rule, verdict.point
            if not verdict.past:
                # A sum that is corrected downwards was wrong before: no news about the energy.
                why = OVER if verdict.until_ms is None else CORRECTED
                self.end(rule.id, point.id, self._now_ms, why)
                continue
            if self._cools_down(rule, point.id):
                continue  # past its time, the next packet that is past the limit tells
            since_ms = verdict.since_ms
            self.begin(
                News(
                    rule,
                    point.id,
                    point.site_id,
                    since_ms,
                    since_ms,
                    value=verdict.value,
                    until_ms=verdict.until_ms,
                )
            )

    def _cools_down(self, rule: Rule, data_point_id: int) -> bool:
        """Tell whether an alert that was told of this data point ended just now.

        Asked of the book once a pass, and only if a rule with a cool-down wants to begin one: of
        all that ended lately, which reads the alerts once (10,000 in some milliseconds).
        """
        cooldown_ms = rule.terms.cooldown_min * MINUTE_MS
        if not cooldown_ms or (rule.id, data_point_id) in self._lasting:
            return False
        if self._ended is None:
            longest = max(one.terms.cooldown_min for one in self._rules.by_id.values()) * MINUTE_MS
            self._ended = {
                (rule_id, point_id): ended_ms
                for rule_id, point_id, ended_ms in self._tx.execute(
                    "SELECT rule_id, data_point_id, MAX(member.ended_ms) FROM alert "
                    "JOIN member ON member.alert_id = alert.id WHERE kind = 'threshold' "
                    "AND told_ms IS NOT NULL AND member.ended_ms > ? GROUP BY 1, 2",
                    (self._now_ms - longest,),
                )
            }
        ended_ms = self._ended.get((rule.id, data_point_id))
        return ended_ms is not None and self._now_ms < ended_ms + cooldown_ms

    def end_all(self, alert_id: int, why: str) -> None:
        """End an alert with everybody in it."""
        alive = self._alive.get(alert_id)
        for data_point_id in list(alive.lasting) if alive else ():
            assert alive is not None
            self.end(alive.rule_id, data_point_id, self._now_ms, why)

    def finish(self) -> None:
        """Write how many joined alerts that were told already."""
        for alert_id, count in self._joined.items():
            if count:
                self._tx.execute(
                    "UPDATE alert SET fresh = fresh + ? WHERE id = ?", (count, alert_id)
                )

    def _fitting(self, news: News) -> _Alive | None:
        for alive in self._of_rule[news.rule.id]:
            if not alive.lasting or alive.until_ms != news.until_ms:
                continue
            if alive.told:
                if news.rule.kind == "offline" and alive.same_outage(news):
                    return alive
            elif not news.rule.terms.wait_min or self._now_ms - alive.opened_ms <= GATHER_MS:
                return alive
        return None

    def _open(self, news: News) -> _Alive:
        rule = news.rule
        tell_ms = self._now_ms + GATHER_MS + rule.terms.wait_min * MINUTE_MS
        allowed = rule.allowed_from_ms(tell_ms, self._names.zone(news.site_id))
        alert_id = insert(
            self._tx,
            "alert",
            [
                {
                    "rule_id": rule.id,
                    "rule_name": rule.name,
                    "kind": rule.kind,
                    "organisation_id": rule.organisation_id,
                    "opened_ms": self._now_ms,
                    "tell_ms": tell_ms if allowed is None else allowed,
                    "until_ms": news.until_ms,
                }
            ],
        )
        alive = _Alive(alert_id, rule.id, self._now_ms, told=False, until_ms=news.until_ms)
        self._know(alive, rule.kind)
        return alive

    def _close(self, alive: _Alive, why: str) -> None:
        quietly = not alive.told or why != OVER
        self._tx.execute(
            "UPDATE alert SET ended_ms = ?, ended_why = ?, closed_ms = ? WHERE id = ?",
            (
                self._now_ms,
                why if alive.told or why == SWITCHED_OFF else BEFORE_TOLD,
                self._now_ms if quietly else None,
                alive.id,
            ),
        )
        self._of_rule[alive.rule_id].remove(alive)
        del self._alive[alive.id]


def _alive(alert: Alert) -> _Alive:
    return _Alive(
        alert.id, alert.rule_id, alert.opened_ms, alert.told_ms is not None, alert.until_ms
    )
