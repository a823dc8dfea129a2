"""Rules and channels as they are held in memory: what to watch, when to tell, whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy.orm import Session

from kilowatch.catalog import alerts
from kilowatch.catalog.tables_alerts import AlertChannel, AlertRule
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.notify.quantities import QUANTITIES
from kilowatch.notify.schedule import EVERY_DAY, Hours

Period = Literal["day", "week", "month"]
About = Literal["all", "waste", "faults"]


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terms of a rule, as the catalogue keeps them.

    Attributes:
        quantity: What is compared; a key of ``quantities.QUANTITIES``.
        above: Whether it is too much, else too little.
        limit: What it is compared with [``unit``].
        unit: Canonical unit of the limit; a data point in another unit is not watched.
        consecutive: How many readings in a row must be past the limit, and back for the end.
        cooldown_min: Time after a told alert's end in which its data point raises no other [min].
        period: Since when a sum is counted, on the site's calendar.
        about: Which findings of the insights are told: all, waste, or faults of meters and supply.
        price_per_kwh: Price that turns energy into money; the limit is money then.
        currency: What the money is called.
        days: Days on which the rule holds; 0 is Monday.
        from_min: From when on those days [min after midnight, site's clock].
        to_min: Until when [min after midnight]; equal to ``from_min`` is the whole day.
        quiet_from_min: Start of the quiet hours, or None [min after midnight].
        quiet_to_min: Their end.
        wait_min: How much longer than the data point allows silence must last [min].
        remind_min: Time after which it is said again, 0 never [min].
        escalate_min: Time without acknowledgement after which others are told, 0 never [min].
        recovery: Whether the end is told too.
    """

    quantity: str = ""
    above: bool = True
    limit: float = 0.0
    unit: str = ""
    consecutive: int = 1
    cooldown_min: int = 0
    period: Period = "day"
    about: About = "all"
    price_per_kwh: float | None = None
    currency: str = ""
    days: tuple[int, ...] = EVERY_DAY
    from_min: int = 0
    to_min: int = 0
    quiet_from_min: int | None = None
    quiet_to_min: int | None = None
    wait_min: int = 0
    remind_min: int = 0
    escalate_min: int = 0
    recovery: bool = True

    @property
    def hours(self) -> Hours:
        """When the rule holds."""
        return Hours(self.days, self.from_min, self.to_min)

    @property
    def quiet(self) -> Hours | None:
        """When nobody is told."""
        if self.quiet_from_min is None or self.quiet_to_min is None:
            return None
        return Hours(EVERY_DAY, self.quiet_from_min, self.quiet_to_min)

    def columns(self) -> dict[str, Any]:
        """Return what the catalogue keeps: only what differs from the usual."""
        usual = msgspec.to_builtins(Terms())
        return {k: v for k, v in msgspec.to_builtins(self).items() if v != usual[k]}


class Rule(msgspec.Struct, frozen=True):
    """A rule in force.

    Attributes:
        id: The catalogue's number.
        organisation_id: Whose it is.
        site_id: The site that it watches, or None.
        data_point_id: The data point that it watches, or None.
        name: What people call it.
        kind: ``offline``, ``threshold``, ``cumulated`` or ``sentinel``.
        terms: When to tell.
        channels: Through which channels, at once.
        escalation: Through which, when nobody acknowledged.
    """

    id: int
    organisation_id: int
    site_id: int | None
    data_point_id: int | None
    name: str
    kind: str
    terms: Terms
    channels: tuple[int, ...] = ()
    escalation: tuple[int, ...] = ()

    def allowed_from_ms(self, at_ms: int, zone: Zone) -> int | None:
        """Return the first instant from ``at_ms`` on at which the rule may speak [ms].

        None when its hours and its quiet hours never leave room for each other.
        """
        quiet = self.terms.quiet
        hours = None if self.kind == "cumulated" or self.terms.hours.always else self.terms.hours
        for _ in range(32):  # each round leaves one window; two weeks have fewer
            moved: int | None = at_ms
            if quiet is not None:
                moved = quiet.next_outside_ms(at_ms, zone)
            if moved is not None and hours is not None:
                moved = hours.next_inside_ms(moved, zone)
            if moved is None or moved == at_ms:
                return moved
            at_ms = moved
        return None

    def fits(self, point: DataPoint) -> bool:
        """Tell whether a data point has the rule's quantity, in the rule's unit."""
        quantity = QUANTITIES.get(self.terms.quantity)
        if quantity is None or not quantity.channels(point):
            return False
        summed = self.kind == "cumulated"
        unit = quantity.unit(point, "amount" if summed else quantity.measure(point))
        if self.terms.price_per_kwh is not None:
            return unit == "Wh"
        return unit == self.terms.unit


class Channel(msgspec.Struct, frozen=True):
    """A channel in force; its address stays sealed until something is delivered."""

    id: int
    organisation_id: int
    name: str
    kind: str
    shown: str
    sealed: bytes
    enabled: bool


class Rules:
    """Every rule in force and every channel, at one state of the catalogue; immutable.

    Args:
        state: The state's number (``catalog.alerts.state``).
        rules: Rules that are switched on.
        channels: All channels.
    """

    def __init__(self, state: int, rules: Sequence[Rule], channels: Sequence[Channel]) -> None:
        self.state = state
        self.by_id = {rule.id: rule for rule in rules}
        self.channels = {channel.id: channel for channel in channels}
        self._of_point: dict[int, list[Rule]] = defaultdict(list)
        self._of_site: dict[int, list[Rule]] = defaultdict(list)
        self._of_organisation: dict[int, list[Rule]] = defaultdict(list)
        for rule in rules:
            if rule.data_point_id is not None:
                self._of_point[rule.data_point_id].append(rule)
            elif rule.site_id is not None:
                self._of_site[rule.site_id].append(rule)
            else:
                self._of_organisation[rule.organisation_id].append(rule)
        self.watch_values = any(rule.kind in {"threshold", "cumulated"} for rule in rules)

    def watching(
        self,
        organisation_id: int,
        site_id: int,
        data_point_id: int,
        kind: str,
        *,
        by_itself: bool = False,
    ) -> list[Rule]:
        """Return the rules of a kind that watch a data point; ``by_itself`` only its own."""
        own = self._of_point.get(data_point_id, [])
        every = (
            own,
            self._of_site.get(site_id, []),
            self._of_organisation.get(organisation_id, []),
        )
        return [
            rule
            for found in ((own,) if by_itself else every)
            for rule in found
            if rule.kind == kind and rule.organisation_id == organisation_id
        ]

    def watching_point(self, point: DataPoint, kind: str) -> list[Rule]:
        """Return the rules of a kind that watch a data point."""
        return self.watching(point.organisation_id, point.site_id, point.id, kind)

    def holds(self, rule: Rule, point: DataPoint) -> bool:
        """Tell whether a rule watches a data point, and the data point has what it compares."""
        if rule not in self.watching_point(point, rule.kind):
            return False
        if rule.kind == "offline" and point.formula:
            return rule.data_point_id == point.id
        return rule.kind in {"offline", "sentinel"} or rule.fits(point)


def load(session: Session, state: int) -> Rules:
    """Read rules and channels; a rule whose terms a newer version wrote is left out."""
    uses: dict[tuple[int, int], list[int]] = defaultdict(list)
    for use in alerts.uses(session):
        uses[use.rule_id, use.stage].append(use.channel_id)
    rules = [
        Rule(
            row.id,
            row.organisation_id,
            row.site_id,
            row.data_point_id,
            row.name,
            row.kind,
            terms,
            tuple(uses[row.id, alerts.AT_ONCE]),
            tuple(uses[row.id, alerts.ESCALATED]),
        )
        for row in alerts.rules(session)
        if row.enabled and (terms := terms_of(row)) is not None
    ]
    return Rules(state, rules, [channel_of(row) for row in alerts.channels(session)])


def terms_of(row: AlertRule) -> Terms | None:
    """Return a rule's terms; None when this version does not understand them."""
    try:
        return msgspec.convert(row.terms, Terms)
    except msgspec.ValidationError:
        return None


def channel_of(row: AlertChannel) -> Channel:
    """Return a channel as it is held in memory."""
    return Channel(
        row.id, row.organisation_id, row.name, row.kind, row.shown, row.sealed, row.enabled
    )
