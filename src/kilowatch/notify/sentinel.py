"""Findings of the insights as alerts: one finding, one alert, with the words that it brought.

Which findings deserve attention was decided before they come here (a site has a budget); a rule
says who is told, and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from kilowatch.notify.book import Alert, Book, Member, insert
from kilowatch.notify.names import Names
from kilowatch.notify.needs import InsightFeed, Points, Tiding
from kilowatch.notify.raising import CORRECTED, OVER, SWITCHED_OFF
from kilowatch.notify.rules import About, Rule, Rules

FEED = "insights"
KIND = "sentinel"


def take(
    tx: apsw.Connection, rules: Rules, names: Names, tidings: Sequence[Tiding], now_ms: int
) -> bool:
    """Take in findings in the order in which they changed; returns whether any alert did.

    Args:
        tx: A transaction of the book.
        rules: The rules in force.
        names: For the sites' time zones.
        tidings: What changed.
        now_ms: What time it is [ms since 1970, UTC].
    """
    changed = False
    for tiding in tidings:
        place = (tiding.organisation_id, tiding.site_id, tiding.data_point_id)
        for rule in rules.watching(*place, KIND):
            if _wants(rule.terms.about, tiding):
                changed |= _take(tx, rule, names, tiding, now_ms)
    return changed


def reconcile(tx: apsw.Connection, book: Book, rules: Rules, points: Points, now_ms: int) -> bool:
    """Let go of findings that a changed rule does not watch any more."""
    changed = False
    for alert in book.all(Alert, "WHERE kind = ? AND ended_ms IS NULL", KIND):
        rule = rules.by_id.get(alert.rule_id)
        if rule is None:
            continue  # its alerts are closed where they are looked at next
        members = book.all(Member, "WHERE alert_id = ?", alert.id)
        points_of = (points.by_id(member.data_point_id) for member in members)
        if not any(point is not None and rules.holds(rule, point) for point in points_of):
            end(tx, alert.id, now_ms, SWITCHED_OFF, closed=True)
            changed = True
    return changed


def settle(tx: apsw.Connection, book: Book, insights: InsightFeed, now_ms: int) -> bool:
    """End the alerts of findings that are over, or no more, without having said so.

    History that is computed again may end a finding, join it to another or not have it at all:
    nobody finds its end then. An alert would last, and remind people, for ever.
    """
    lasting = book.all(Alert, "WHERE kind = ? AND ended_ms IS NULL AND over = 0", KIND)
    over = insights.over({alert.subject for alert in lasting}) if lasting else {}
    changed = False
    for alert in lasting:
        tiding = over.get(alert.subject)
        if tiding is not None:
            _go_on(tx, alert.id, tiding, now_ms, told=alert.told_ms is not None)
            changed = True
        elif alert.subject in over:
            end(tx, alert.id, now_ms, CORRECTED, closed=True)
            changed = True
    return changed


def end(
    tx: apsw.Connection, alert_id: int, now_ms: int, why: str = OVER, *, closed: bool = False
) -> None:
    """Note that a finding is over; ``closed`` where nothing is left to say of it.

    Whoever has put it off is reminded of what is over all the same: nobody has answered it. Of what
    was never there, or what no rule watches, nobody is.
    """
    tx.execute(
        "UPDATE alert SET ended_ms = ?, ended_why = ?, closed_ms = ?,"
        " snoozed_ms = CASE WHEN ? THEN snoozed_ms END WHERE id = ?",
        (now_ms, why, now_ms if closed else None, why == OVER, alert_id),
    )
    tx.execute(
        "UPDATE member SET ended_ms = ? WHERE alert_id = ? AND ended_ms IS NULL",
        (now_ms, alert_id),
    )


def _wants(about: About, tiding: Tiding) -> bool:
    return about == "all" or (about == "waste") == tiding.is_waste


def _take(tx: apsw.Connection, rule: Rule, names: Names, tiding: Tiding, now_ms: int) -> bool:
    known: list[Any] = tx.execute(
        "SELECT id, told_ms, ended_ms FROM alert WHERE subject = ? AND rule_id = ?",
        (tiding.event_id, rule.id),
    ).fetchall()
    if not known:
        _open(tx, rule, names, tiding, now_ms)
        return True
    ((alert_id, told_ms, ended_ms),) = known
    if ended_ms is not None:
        return False
    _go_on(tx, alert_id, tiding, now_ms, told=told_ms is not None)
    return True


def _go_on(tx: apsw.Connection, alert_id: int, tiding: Tiding, now_ms: int, *, told: bool) -> None:
    tx.execute("UPDATE alert SET text = ? WHERE id = ?", (_text(tiding), alert_id))
    if not tiding.over:
        return
    if told:
        end(tx, alert_id, now_ms)
    else:  # it waits for quiet hours to end: it is news all the same
        tx.execute("UPDATE alert SET over = 1 WHERE id = ?", (alert_id,))


def _text(tiding: Tiding) -> str:
    return "\n".join((tiding.title, *tiding.lines))


def _open(tx: apsw.Connection, rule: Rule, names: Names, tiding: Tiding, now_ms: int) -> None:
    allowed = rule.allowed_from_ms(now_ms, names.zone(tiding.site_id))
    alert_id = insert(
        tx,
        "alert",
        [
            {
                "rule_id": rule.id,
                "rule_name": rule.name,
                "kind": KIND,
                "organisation_id": rule.organisation_id,
                "opened_ms": now_ms,
                "tell_ms": now_ms if allowed is None else allowed,
                "subject": tiding.event_id,
                "text": _text(tiding),
                "over": int(tiding.over),
            }
        ],
    )
    insert(
        tx,
        "member",
        [
            {
                "alert_id": alert_id,
                "data_point_id": tiding.data_point_id,
                "site_id": tiding.site_id,
                "since_ms": tiding.since_ms,
                "due_ms": tiding.since_ms,
                "noticed_ms": now_ms,
            }
        ],
    )
