"""What pages ask about alerts and deliveries, and what people do to them."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import msgspec

from kilowatch.notify.book import Alert, Attempt, Book, Delivery, Member
from kilowatch.notify.carriers import Carriers, Outcome, Parcel
from kilowatch.notify.courier import Courier
from kilowatch.notify.engine import Engine
from kilowatch.notify.rules import Channel, Rule, Terms

LISTED_MAX = 200
MEMBERS_MAX = 200  # data points of an alert that a page lists


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose eyes a page has.

    Attributes:
        whole: Organisations that the person may read as a whole.
        part: Organisations of which the person may read some data points.
        sees: Whether the person may read a data point, by its number.
    """

    whole: frozenset[int]
    part: frozenset[int]
    sees: Callable[[int], bool]

    @property
    def organisations(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(sorted(self.whole | self.part))


@dataclass(frozen=True, slots=True)
class Shown:
    """An alert as one person may see it: only with the data points that are theirs to read.

    Attributes:
        alert: The alert.
        members: The first of its data points that the person may read, those that last first.
        count: How many there are.
        title: One line about them.
        lines: A few lines more.
        whole: Whether the person may read every data point in it.
    """

    alert: Alert
    members: Sequence[Member]
    count: int
    title: str
    lines: Sequence[str]
    whole: bool

    @property
    def state(self) -> str:
        """``open``, ``acknowledged``, ``waiting`` (not told yet) or ``over``."""
        if self.alert.ended_ms is not None:
            return "over"
        if self.alert.acknowledged_ms is not None:
            return "acknowledged"
        return "open" if self.alert.told_ms is not None else "waiting"


class Desk:
    """Answers for pages; safe to call from several threads.

    Args:
        book: Where alerts are kept.
        engine: Knows rules and names.
        courier: Delivers trial messages.
        carriers: Seals channels' addresses.
        clock: What time it is [ms since 1970, UTC].
        wake: Lets the engine look at once.
    """

    def __init__(
        self,
        book: Book,
        engine: Engine,
        courier: Courier,
        carriers: Carriers,
        clock: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        self._book = book
        self._engine = engine
        self._courier = courier
        self.carriers = carriers
        self._clock = clock
        self._wake = wake
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call somebody, from any thread, whenever alerts changed."""
        self._listeners.append(listener)

    def announce(self) -> None:
        """Tell who listens that alerts changed."""
        for listener in self._listeners:
            listener()

    def rules_changed(self) -> None:
        """Take in rules and channels that a person just changed, at once."""
        self._engine.renew()
        self._engine.reconcile_soon()
        self._wake()

    def channels(self, organisation_id: int) -> list[Channel]:
        """Return an organisation's channels by name."""
        found = self._engine.rules_of_now().channels.values()
        mine = (channel for channel in found if channel.organisation_id == organisation_id)
        return sorted(mine, key=lambda channel: (channel.name, channel.id))

    def waiting(self, reader: Reader) -> int:
        """Return how many alerts last that nobody acknowledged, for the bell."""
        lasting = (
            "alert.ended_ms IS NULL AND alert.acknowledged_ms IS NULL "
            "AND alert.told_ms IS NOT NULL AND alert.organisation_id IN "
        )
        whole = self._book.number(
            f"SELECT count(*) FROM alert WHERE {lasting}({_marks(reader.whole)})", *reader.whole
        )
        if not reader.part:
            return whole
        rows = self._book.rows(
            "SELECT DISTINCT alert_id, data_point_id FROM member JOIN alert ON alert.id = alert_id "
            f"WHERE {lasting}({_marks(reader.part)})",
            *reader.part,
        )
        return whole + len({alert_id for alert_id, point_id in rows if reader.sees(point_id)})

    def alerts(self, reader: Reader, *, lasting: bool, limit: int = LISTED_MAX) -> list[Shown]:
        """Return alerts, newest first, as one person may see them.

        Args:
            reader: Who is looking.
            lasting: Those that last, else those that are over.
            limit: At most so many.
        """
        which = "ended_ms IS NULL" if lasting else "ended_ms IS NOT NULL"
        found = self._book.all(
            Alert,
            f"WHERE {which} AND organisation_id IN ({_marks(reader.organisations)}) "
            "ORDER BY id DESC LIMIT ?",
            *reader.organisations,
            limit,
        )
        shown = (self._shown(alert, reader) for alert in found)
        return [one for one in shown if one is not None]

    def alert(self, alert_id: int, reader: Reader) -> Shown | None:
        """Return one alert as a person may see it; None when nothing of it is theirs."""
        found = self._book.all(Alert, "WHERE id = ?", alert_id)
        return self._shown(found[0], reader) if found else None

    def has_member(self, alert_id: int, data_point_id: int) -> bool:
        """Tell whether an alert is about a data point."""
        where = "alert_id = ? AND data_point_id = ?"
        return bool(
            self._book.number(f"SELECT count(*) FROM member WHERE {where}", alert_id, data_point_id)
        )

    def told_silences(self, data_point_id: int) -> frozenset[int]:
        """Return the silences of a data point that last and that somebody was told about.

        Returns:
            The effective instants of the packets before them [ms since 1970, UTC].
        """
        rows = self._book.rows(
            "SELECT DISTINCT since_ms FROM member JOIN alert ON alert.id = alert_id "
            "WHERE data_point_id = ? AND member.ended_ms IS NULL AND alert.kind = 'offline' "
            "AND alert.told_ms IS NOT NULL",
            data_point_id,
        )
        return frozenset(since_ms for (since_ms,) in rows)

    def acknowledge(self, alert_id: int, who: str) -> None:
        """Note that somebody takes care: no more reminders, and nobody else is called."""
        with self._book.writing() as tx:
            tx.execute(
                "UPDATE alert SET acknowledged_ms = ?, acknowledged_by = ? "
                "WHERE id = ? AND acknowledged_ms IS NULL AND ended_ms IS NULL",
                (self._clock(), who, alert_id),
            )
            tx.execute("UPDATE alert SET snoozed_ms = NULL WHERE id = ?", (alert_id,))
        self.announce()

    def answered(self, subject: str, who: str, *, until_ms: int | None = None) -> None:
        """Note that somebody has answered a finding on its own page: it needs no other answer.

        Args:
            subject: The finding.
            who: What the person is called.
            until_ms: When it has been put off until: then whoever was told is reminded, and it
                waits for an answer again; None for an answer [ms since 1970, UTC].
        """
        with self._book.writing() as tx:
            tx.execute(
                "UPDATE alert SET acknowledged_ms = ?, acknowledged_by = ? "
                "WHERE subject = ? AND acknowledged_ms IS NULL AND ended_ms IS NULL",
                (self._clock(), who, subject),
            )
            tx.execute("UPDATE alert SET snoozed_ms = ? WHERE subject = ?", (until_ms, subject))
        self._engine.look_again()
        self.announce()

    def unanswered(self, subject: str) -> None:
        """Note that what was said of a finding was taken back: it waits for an answer again."""
        with self._book.writing() as tx:
            tx.execute(
                "UPDATE alert SET acknowledged_ms = NULL, acknowledged_by = '' "
                "WHERE subject = ? AND ended_ms IS NULL",
                (subject,),
            )
            tx.execute("UPDATE alert SET snoozed_ms = NULL WHERE subject = ?", (subject,))
        self._engine.look_again()
        self.announce()

    def history(
        self,
        organisation_ids: Sequence[int],
        *,
        state: str = "",
        channel_id: int | None = None,
        before_id: int | None = None,
        limit: int = LISTED_MAX,
    ) -> list[tuple[Delivery, list[Attempt]]]:
        """Return what went out to whom, newest first, with every attempt.

        Args:
            organisation_ids: Where.
            state: Only deliveries in this state.
            channel_id: Only those of this channel.
            before_id: Only those with a smaller number, to go on where another list ended.
            limit: So many at most.
        """
        where, values = f"organisation_id IN ({_marks(organisation_ids)})", list(organisation_ids)
        more: list[object] = []
        if state:
            where, more = f"{where} AND state = ?", [state]
        if channel_id is not None:
            where, more = f"{where} AND channel_id = ?", [*more, channel_id]
        if before_id is not None:
            where, more = f"{where} AND id < ?", [*more, before_id]
        found = self._book.all(
            Delivery, f"WHERE {where} ORDER BY id DESC LIMIT ?", *values, *more, limit
        )
        attempts: dict[int, list[Attempt]] = defaultdict(list)
        numbers = [delivery.id for delivery in found]
        for attempt in self._book.all(
            Attempt, f"WHERE delivery_id IN ({_marks(numbers)}) ORDER BY id", *numbers
        ):
            attempts[attempt.delivery_id].append(attempt)
        return [(delivery, attempts[delivery.id]) for delivery in found]

    def last_delivery(self, channel_ids: Sequence[int]) -> dict[int, Delivery]:
        """Return the last delivery through each channel that is done."""
        found = self._book.all(
            Delivery,
            "WHERE id IN (SELECT max(id) FROM delivery WHERE done_ms IS NOT NULL "
            f"AND channel_id IN ({_marks(channel_ids)}) GROUP BY channel_id)",
            *channel_ids,
        )
        return {delivery.channel_id: delivery for delivery in found}

    def test_channel(self, channel: Channel, who: str) -> Outcome:
        """Send a trial message through a channel and return what became of it."""
        return self._test(channel, "Test from Kilowatch", f"{who} tested this channel: it works.")

    def test_rule(self, rule: Rule, channel: Channel, who: str) -> Outcome:
        """Send, through one of its channels, what a rule would say."""
        body = f"{who} tested the rule {rule.name}: its messages come here."
        return self._test(channel, f"Test of {rule.name}", body)

    def _test(self, channel: Channel, title: str, body: str) -> Outcome:
        key = f"test-{channel.id}-{self._clock()}-{secrets.token_hex(4)}"  # two may test at once
        facts = {"event": "test", "delivery": key, "title": title, "text": body}
        parcel = Parcel(key, title, body, msgspec.json.encode(facts).decode())
        return self._courier.test(channel, parcel)

    def _shown(self, alert: Alert, reader: Reader) -> Shown | None:
        count = self._book.number("SELECT count(*) FROM member WHERE alert_id = ?", alert.id)
        whole = alert.organisation_id in reader.whole
        members = self._book.all(
            Member,
            "WHERE alert_id = ? ORDER BY ended_ms IS NOT NULL, since_ms, data_point_id LIMIT ?",
            alert.id,
            MEMBERS_MAX if whole else count,
        )
        mine = members if whole else [one for one in members if reader.sees(one.data_point_id)]
        if not mine:
            return None
        rule = self._engine.rules.by_id.get(alert.rule_id)
        over = alert.ended_ms is not None
        told = mine if over else [one for one in mine if one.ended_ms is None] or mine
        title, lines = alert.summary or alert.rule_name, [""]
        unknown = rule is None and alert.kind not in {
            "offline",
            "sentinel",
        }  # its terms went with the rule
        if not unknown and len(mine) < MEMBERS_MAX:
            terms = rule.terms if rule is not None else Terms()
            title, lines = self._engine.speaker.words_of(
                alert, terms, told, self._clock(), over=over
            )
        if alert.subject and not whole:
            # What is between what happened and where names data points that others may read.
            lines = [*lines[:-1][:1], *lines[-1:]]
        return Shown(
            alert,
            mine[:MEMBERS_MAX],
            count if whole else len(mine),
            title,
            lines,
            whole=whole or len(mine) == count,
        )


def _marks(values: Collection[object]) -> str:
    return ",".join("?" * len(values))
