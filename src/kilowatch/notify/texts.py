"""The sentences that people get: short, concrete, in the site's own time, with a link."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from kilowatch.model.lengths import MINUTE_MS
from kilowatch.model.zones import Zone
from kilowatch.notify.book import Alert, Member
from kilowatch.notify.names import Names
from kilowatch.notify.needs import Points
from kilowatch.notify.quantities import QUANTITIES, digits, shown
from kilowatch.notify.rules import Rule, Terms

LISTED_MAX = 20  # lines of a message: more than a screen is a job for the page
FACTS_MAX = 100  # data points in a webhook's JSON
STILL, MORE = "Still: ", "More: "  # before the title of a reminder, and of an update
PUT_OFF = "Reminder: "  # and of what somebody has put off
_PERIODS = {"day": "today", "week": "this week", "month": "this month"}


@dataclass(frozen=True, slots=True)
class Said:
    """A message: one line, a few lines, and the same as data."""

    title: str
    body: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Writes messages.

    Attributes:
        points: The registered data points.
        names: What else is called what.
        url: Address of the dashboard, without a slash at the end; or empty.
    """

    points: Points
    names: Names
    url: str

    def say(
        self, what: str, alert: Alert, rule: Rule | None, members: Sequence[Member], now_ms: int
    ) -> Said:
        """Write a message about an alert.

        Args:
            what: As ``Delivery.what``.
            alert: What it is about.
            rule: The rule, or None when it is gone.
            members: Its data points; those that last, or for a recovery all.
            now_ms: What time it is [ms since 1970, UTC].
        """
        terms = rule.terms if rule else Terms()
        title, lines = self.words_of(alert, terms, members, now_ms, over=what == "recovery")
        if what == "reminder" and alert.snoozed_ms is not None:
            title = PUT_OFF + title
            lines = ["It was put off until today.", *lines]
        elif what == "reminder":
            title = STILL + title
        elif what == "update":
            title = MORE + title
        elif what == "escalation":
            title = f"Nobody answered: {title}"
            lines = [f"Nobody has acknowledged this for {terms.escalate_min} min.", *lines]
        link = self.link(members, alert.subject)
        lines += ["", f"Rule: {alert.rule_name}"]
        if link:
            lines.append(link)
        return Said(title, "\n".join(lines), self._facts(what, alert, members, title, link))

    def words_of(
        self, alert: Alert, terms: Terms, members: Sequence[Member], now_ms: int, *, over: bool
    ) -> tuple[str, list[str]]:
        """Return title and lines about an alert; a finding has brought its own."""
        if not alert.subject:
            return self.words(alert.kind, terms, members, now_ms, over=over)
        title, *lines = alert.text.split("\n")
        if over:
            title = f"Over: {title}"
        return title, [*lines, *(self._place(member) for member in members[:1])]

    def words(
        self, kind: str, terms: Terms, members: Sequence[Member], now_ms: int, *, over: bool = False
    ) -> tuple[str, list[str]]:
        """Return title and lines about some data points."""
        if not members:
            return "", []
        if len(members) == 1:
            return self._one(kind, terms, members[0], now_ms, over=over)
        return self._many(kind, terms, members, now_ms, over=over)

    def link(self, members: Sequence[Member], subject: str = "") -> str:
        """Return where to look; empty when nobody said where the dashboard is."""
        if not self.url:
            return ""
        if subject:
            return f"{self.url}/event/{members[0].data_point_id}/{subject}"
        if len(members) == 1:
            return f"{self.url}/breakdown/{members[0].data_point_id}"
        return f"{self.url}/notifications"

    def name(self, data_point_id: int) -> str:
        """Return a data point's name."""
        point = self.points.by_id(data_point_id)
        return point.name if point else f"data point {data_point_id}"

    def _one(
        self, kind: str, terms: Terms, member: Member, now_ms: int, *, over: bool
    ) -> tuple[str, list[str]]:
        name, place = self.name(member.data_point_id), self._place(member)
        zone = self.names.zone(member.site_id)
        since = clock(member.since_ms, zone, now_ms)  # as a person at the site reads it
        if kind == "offline":
            gateway = self.names.gateway(member.credential_id)
            by = f" from {gateway}" if gateway else ""
            if over:
                ended = member.ended_ms or now_ms
                lasted = span(ended - member.since_ms)
                line = f"It was silent from {since} to {clock(ended, zone, now_ms)} ({lasted})."
                return f"Data again from {name}", [f"Data again from {name}. {line}", place]
            line = f"No data from {name} for {span(now_ms - member.since_ms)}."
            point = self.points.by_id(member.data_point_id)
            if point is not None and point.formula:
                line += " It is computed from what is silent."
            return (
                f"No data from {name}",
                [f"{line} The last packet came at {since}{by}.", place],
            )
        if kind == "cumulated":
            sentence = self._sum(name, terms, member.value)
            return sentence[:-1], [f"{sentence} {self._price(terms)}".strip(), place]
        limit = limit_text(terms)
        what = QUANTITIES[terms.quantity].title if terms.quantity in QUANTITIES else terms.quantity
        if over:
            until = clock(member.ended_ms or now_ms, zone, now_ms)
            line = f"{what} of {name} is no longer {limit}. It was from {since} to {until}."
            return f"{name}: {what.lower()} no longer {limit}", [line, place]
        value = "" if member.value is None else f" ({shown(member.value, terms.unit)})"
        row = f", {terms.consecutive} readings in a row" if terms.consecutive > 1 else ""
        line = f"{what} of {name} has been {limit} since {since}{row}{value}."
        return f"{name}: {what.lower()} {limit}{value}", [line, place]

    def _many(
        self, kind: str, terms: Terms, members: Sequence[Member], now_ms: int, *, over: bool
    ) -> tuple[str, list[str]]:
        count = f"{len(members)} data points"
        where = self._where(members)
        zone = self.names.zone(members[0].site_id)
        if kind == "offline":
            title = f"{'Data again' if over else 'No data'} from {count}{where}"
            first_ms = min(member.since_ms for member in members)
            began = clock(first_ms, zone, now_ms)
            first = (
                f"{title}. The silence began at {began}."
                if over
                else f"{title}. The silence began at {began}, {span(now_ms - first_ms)} ago."
            )
            lines = [first, *self._by_gateway(members)]
        elif kind == "cumulated":
            title = (
                f"{count}{where} are past {limit_text(terms, bare=True)} {_PERIODS[terms.period]}"
            )
            lines = [f"{title}. {self._price(terms)}".strip()]
        else:
            what = QUANTITIES[terms.quantity].title.lower()
            still = "no longer " if over else ""
            title = f"{count}{where}: {what} {still}{limit_text(terms)}"
            lines = [f"{title}."]
        for member in members[:LISTED_MAX]:
            reading = "" if member.value is None else f": {amount_text(terms, member.value)}"
            since_text = clock(member.since_ms, self.names.zone(member.site_id), now_ms)
            lines.append(f"- {self.name(member.data_point_id)}{reading}, since {since_text}")
        if len(members) > LISTED_MAX:
            lines.append(f"and {len(members) - LISTED_MAX} more")
        return title, lines

    def _by_gateway(self, members: Sequence[Member]) -> list[str]:
        counted = Counter((member.credential_id, member.site_id) for member in members)
        lines = []
        for (credential_id, site_id), count in counted.most_common(LISTED_MAX):
            gateway = self.names.gateway(credential_id) or "an unknown gateway"
            lines.append(f"{count} that {gateway} sent, at {self.names.site(site_id)}")
        if len(counted) > LISTED_MAX:
            lines.append(f"and from {len(counted) - LISTED_MAX} more")
        return [*lines, ""]

    def _where(self, members: Sequence[Member]) -> str:
        sites = {member.site_id for member in members}
        if len(sites) == 1:
            return f" at {self.names.site(next(iter(sites)))}"
        return f" at {len(sites)} sites"

    def _place(self, member: Member) -> str:
        point = self.points.by_id(member.data_point_id)
        owner = self.names.organisation(point.organisation_id) if point else ""
        return ", ".join(part for part in (self.names.site(member.site_id), owner) if part)

    def _sum(self, name: str, terms: Terms, value: float | None) -> str:
        period = _PERIODS[terms.period]
        verb = "has cost" if terms.price_per_kwh is not None else "has counted"
        so_far = amount_text(terms, value or 0.0)
        limit = limit_text(terms, bare=True)
        return f"{name} {verb} {so_far} so far {period}, past the limit of {limit}."

    @staticmethod
    def _price(terms: Terms) -> str:
        if terms.price_per_kwh is None:
            return ""
        price = f"{terms.price_per_kwh:g} {terms.currency}".strip()
        return f"Counted at the rule's price of {price} per kWh, without standing charges or taxes."

    def _facts(
        self, what: str, alert: Alert, members: Sequence[Member], title: str, link: str
    ) -> dict[str, Any]:
        points = [
            {
                "id": member.data_point_id,
                "name": self.name(member.data_point_id),
                "site": self.names.site(member.site_id),
                "since": iso(member.since_ms),
                "ended": iso(member.ended_ms) if member.ended_ms else None,
                "value": member.value,
            }
            for member in members[:FACTS_MAX]
        ]
        return {
            "event": what,
            "alert": alert.id,
            "kind": alert.kind,
            "rule": {"id": alert.rule_id, "name": alert.rule_name},
            "organization": self.names.organisation(alert.organisation_id),
            "title": title,
            "url": link,
            "opened": iso(alert.opened_ms),
            "finding": alert.subject or None,
            "count": len(members),
            "data_points": points,
        }


def limit_text(terms: Terms, *, bare: bool = False) -> str:
    """Return the limit as people read it: ``above 50 kW``, or bare ``50 kW``."""
    text = amount_text(terms, terms.limit)
    return text if bare else f"{'above' if terms.above else 'below'} {text}"


def amount_text(terms: Terms, value: float) -> str:
    """Return a value of a rule with its unit, or as money."""
    if terms.price_per_kwh is not None:
        return f"{digits(value)} {terms.currency}".strip()
    return shown(value, terms.unit)


def clock(at_ms: int, zone: Zone, now_ms: int) -> str:
    """Return an instant on a site's clock: ``09:15``, with the date unless it is today's."""
    there = _wall(at_ms, zone)
    text = f"{there:%H:%M}"
    if there.date() == _wall(now_ms, zone).date():
        return text
    return f"{text} on {there:%a} {there.day} {there:%b %Y}"


def span(ms: int) -> str:
    """Return a length of time: ``40 s``, ``25 min``, ``2 h 5 min``, ``3 d 4 h``.

    Example:
        >>> span(7_500_000), span(40_000), span(273_600_000)
        ('2 h 5 min', '40 s', '3 d 4 h')
    """
    minutes = max(0, ms) // MINUTE_MS
    if minutes < 1:
        return f"{max(0, ms) // 1000} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def iso(at_ms: int) -> str:
    """Return an instant as programs read it, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


def packed(facts: dict[str, Any]) -> str:
    """Return facts as JSON."""
    return msgspec.json.encode(facts).decode()


def _wall(at_ms: int, zone: Zone) -> datetime:
    return datetime.fromtimestamp(int(zone.local_ms([at_ms])[0]) / 1000, UTC)
