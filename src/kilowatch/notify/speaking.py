"""When something is said about an alert: at first, more of it, again, to others, and at its end."""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from kilowatch.model.lengths import MINUTE_MS
from kilowatch.notify import sentinel
from kilowatch.notify.book import Alert, Book, Delivery, Member, insert
from kilowatch.notify.raising import OUTSIDE_HOURS, PERIOD_OVER, SWITCHED_OFF, Raiser
from kilowatch.notify.rules import Rule, Rules
from kilowatch.notify.texts import MORE, STILL, Said, Speaker, packed

UPDATE_EVERY_MS = 15 * MINUTE_MS
"""Streams that join an alert that was told are told too, but not one by one: a gateway with
intervals of 1, 5, 15 and 60 minutes takes an hour to be found silent as a whole."""
NEVER_MS = 1 << 62
LOOK_AGAIN_MS = 60 * MINUTE_MS  # a rule whose hours never leave room: it may be changed


@dataclass(slots=True)
class Speaking:
    """One pass over the alerts, within one transaction of the book.

    Attributes:
        tx: The transaction.
        book: The book that it belongs to.
        rules: The rules in force.
        speaker: Writes the messages.
        raiser: Ends alerts whose rule is gone.
        now_ms: What time it is [ms since 1970, UTC].
        next_ms: After the pass, when there is something to say next [ms since 1970, UTC].
        spoke: Whether a delivery was made.
    """

    tx: apsw.Connection
    book: Book
    rules: Rules
    speaker: Speaker
    raiser: Raiser
    now_ms: int
    next_ms: int = NEVER_MS
    spoke: bool = False

    def run(self) -> None:
        """Say what is due."""
        for alert in self.book.all(Alert, "WHERE snoozed_ms IS NOT NULL ORDER BY id"):
            self._put_off(alert)
        for alert in self.book.all(Alert, "WHERE closed_ms IS NULL ORDER BY id"):
            rule = self.rules.by_id.get(alert.rule_id)
            if rule is None:
                self._switched_off(alert)
            elif alert.ended_ms is not None:
                self._recover(alert, rule)
            elif alert.until_ms is not None and self.now_ms >= alert.until_ms:
                self.raiser.end_all(alert.id, PERIOD_OVER)
            elif self._outside_hours(alert, rule):
                self.raiser.end_all(alert.id, OUTSIDE_HOURS)
            elif alert.told_ms is None:
                self._open(alert, rule)
            else:
                self._go_on(alert, rule)

    def _later(self, at_ms: int) -> None:
        self.next_ms = min(self.next_ms, at_ms)

    def _members(self, alert: Alert, *, over: bool = False) -> list[Member]:
        lasting = "" if over else "AND ended_ms IS NULL "
        return self.book.all(
            Member, f"WHERE alert_id = ? {lasting}ORDER BY since_ms, data_point_id", alert.id
        )

    def _may_speak(self, alert: Alert, rule: Rule) -> bool:
        """Tell whether neither quiet hours nor the rule's own forbid it; else plan for later."""
        first = self.book.all(Member, "WHERE alert_id = ? ORDER BY id LIMIT 1", alert.id)
        zone = self.speaker.names.zone(first[0].site_id)
        allowed = rule.allowed_from_ms(self.now_ms, zone)
        if allowed == self.now_ms:
            return True
        self._later(self.now_ms + LOOK_AGAIN_MS if allowed is None else allowed)
        return False

    def _outside_hours(self, alert: Alert, rule: Rule) -> bool:
        if rule.kind != "threshold" or rule.terms.hours.always:
            return False
        first = self.book.all(Member, "WHERE alert_id = ? ORDER BY id LIMIT 1", alert.id)
        zone = self.speaker.names.zone(first[0].site_id)
        if not rule.terms.hours.holds(self.now_ms, zone):
            return True
        end_ms = rule.terms.hours.next_outside_ms(self.now_ms, zone)
        self._later(NEVER_MS if end_ms is None else end_ms)
        return False

    def _open(self, alert: Alert, rule: Rule) -> None:
        if alert.opened_ms <= self.now_ms < alert.tell_ms:  # opened later: the clock was wrong then
            self._later(alert.tell_ms)
        elif self._may_speak(alert, rule):
            said = self._say("opened", alert, rule, rule.channels)
            self.tx.execute(
                "UPDATE alert SET told_ms = ?, spoke_ms = ?, fresh = 0, summary = ? WHERE id = ?",
                (self.now_ms, self.now_ms, said.title, alert.id),
            )
            if alert.over:
                sentinel.end(self.tx, alert.id, self.now_ms, closed=True)
            self._later(self.now_ms)

    def _go_on(self, alert: Alert, rule: Rule) -> None:
        if alert.until_ms is not None:
            self._later(alert.until_ms)
        due = _due(alert, rule)
        what = min(due, key=lambda one: due[one], default="")
        if not what:
            return
        if self.now_ms < due[what]:
            self._later(due[what])
        elif self._may_speak(alert, rule):
            told = rule.channels
            if what == "escalation":
                told = rule.escalation
            elif alert.escalated_ms is not None:
                told = tuple(dict.fromkeys((*rule.channels, *rule.escalation)))
            said = self._say(what, alert, rule, told)
            if what == "escalation":
                statement = "UPDATE alert SET escalated_ms = ?, summary = ? WHERE id = ?"
                title = alert.summary
            else:
                statement = "UPDATE alert SET spoke_ms = ?, fresh = 0, summary = ? WHERE id = ?"
                title = said.title.removeprefix(STILL).removeprefix(MORE)
            self.tx.execute(statement, (self.now_ms, title, alert.id))
            self._later(self.now_ms)

    def _put_off(self, alert: Alert) -> None:
        """Remind of a finding that somebody has put off, once its day has come."""
        rule = self.rules.by_id.get(alert.rule_id)
        if rule is not None and not self._watches(rule, alert):
            rule = None  # its channels may be those of people who have nothing to do with it
        assert alert.snoozed_ms is not None
        if self.now_ms < alert.snoozed_ms:
            self._later(alert.snoozed_ms)
        elif rule is None or alert.told_ms is None or self._may_speak(alert, rule):
            if rule is not None and alert.told_ms is not None:
                self._say("reminder", alert, rule, rule.channels)
            # Told now: who was not called yet is, if nobody answers from here on.
            self.tx.execute(
                "UPDATE alert SET acknowledged_ms = NULL, acknowledged_by = '', spoke_ms = ?,"
                " told_ms = CASE WHEN told_ms IS NOT NULL THEN ? END"
                " WHERE id = ? AND ended_ms IS NULL",
                (self.now_ms, self.now_ms, alert.id),
            )
            self.tx.execute("UPDATE alert SET snoozed_ms = NULL WHERE id = ?", (alert.id,))
            self._later(self.now_ms)

    def _watches(self, rule: Rule, alert: Alert) -> bool:
        """Tell whether a rule, as it is now, looks at anything that an alert is about."""
        return any(
            rule
            in self.rules.watching(
                alert.organisation_id, one.site_id, one.data_point_id, alert.kind
            )
            for one in self._members(alert, over=True)
        )

    def _recover(self, alert: Alert, rule: Rule) -> None:
        if not rule.terms.recovery:
            self._close(alert)
        elif self._may_speak(alert, rule):
            told = "SELECT DISTINCT channel_id FROM delivery WHERE alert_id = ? AND state <> ?"
            channels = [row[0] for row in self.book.rows(told, alert.id, "failed")]
            self._drop(alert, "It was over before this could be delivered.")
            self._say("recovery", alert, rule, tuple(channels))
            self._close(alert)

    def _switched_off(self, alert: Alert) -> None:
        if alert.kind == "sentinel":
            sentinel.end(self.tx, alert.id, self.now_ms, SWITCHED_OFF, closed=True)
        self.raiser.end_all(alert.id, SWITCHED_OFF)
        self._drop(alert, "The rule was switched off or removed.")
        self._close(alert)

    def _close(self, alert: Alert) -> None:
        self.tx.execute("UPDATE alert SET closed_ms = ? WHERE id = ?", (self.now_ms, alert.id))

    def _drop(self, alert: Alert, reason: str) -> None:
        self.tx.execute(
            "UPDATE delivery SET state = 'dropped', reason = ?, done_ms = ? "
            "WHERE alert_id = ? AND state = 'pending'",
            (reason, self.now_ms, alert.id),
        )

    def _say(self, what: str, alert: Alert, rule: Rule, channels: tuple[int, ...]) -> Said:
        members = self._members(alert, over=what == "recovery" or alert.ended_ms is not None)
        said = self.speaker.say(what, alert, rule, members, self.now_ms)
        rows = [
            {
                "key": f"{alert.id}-{what}-{self.now_ms}-{channel.id}",
                "alert_id": alert.id,
                "organisation_id": alert.organisation_id,
                "channel_id": channel.id,
                "channel_name": channel.name,
                "shown": channel.shown,
                "what": what,
                "title": said.title,
                "body": said.body,
                "facts": packed(said.facts),
                "created_ms": self.now_ms,
                "next_ms": self.now_ms,
            }
            for number in channels
            if (channel := self.rules.channels.get(number)) is not None and channel.enabled
        ]
        insert(self.tx, Delivery.__name__.lower(), rows)
        self.spoke = self.spoke or bool(rows)
        return said


def _due(alert: Alert, rule: Rule) -> dict[str, int]:
    """Return what there is to say about an alert that was told, and when [ms since 1970, UTC]."""
    assert alert.told_ms is not None
    assert alert.spoke_ms is not None
    due = {}
    if alert.fresh:
        due["update"] = alert.spoke_ms + UPDATE_EVERY_MS
    if alert.acknowledged_ms is None:
        if rule.terms.escalate_min and alert.escalated_ms is None:
            due["escalation"] = alert.told_ms + rule.terms.escalate_min * MINUTE_MS
        if rule.terms.remind_min:
            due["reminder"] = alert.spoke_ms + rule.terms.remind_min * MINUTE_MS
    return due
