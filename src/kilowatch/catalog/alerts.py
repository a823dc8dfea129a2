"""Alert rules and channels: adding, changing and removing them.

What a rule's terms mean is ``notify``'s business, which checks them before they come here; what
is looked at here is that everything belongs to the same organisation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.registry import check_name
from kilowatch.catalog.tables import AuditEntry, DataPoint, Site
from kilowatch.catalog.tables_alerts import (
    AlertChannel,
    AlertRule,
    AlertRuleChannel,
    ChannelKind,
    RuleKind,
)
from kilowatch.model.errors import KilowatchError

AT_ONCE, ESCALATED = 0, 1
"""Stages of a rule's channels."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a rule watches: one data point, a site, or (both None) the organisation."""

    site_id: int | None = None
    data_point_id: int | None = None


def add_channel(
    change: Change, organisation_id: int, name: str, kind: ChannelKind, shown: str, sealed: bytes
) -> AlertChannel:
    """Add a channel.

    Args:
        change: An open change.
        organisation_id: Whose it is.
        name: What people call it.
        kind: How it delivers.
        shown: What may be shown of its address.
        sealed: Its address and secrets, encrypted.

    Raises:
        KilowatchError: ``invalid_name`` or ``channel_exists``.
    """
    channel = AlertChannel(
        organisation_id=organisation_id,
        name=_free_name(change.session, organisation_id, name, None),
        kind=kind,
        shown=shown[:300],
        sealed=sealed,
        enabled=True,
        created_at_ms=change.now_ms,
    )
    change.session.add(channel)
    change.session.flush()
    return channel


def change_channel(
    change: Change,
    channel: AlertChannel,
    *,
    name: str,
    shown: str,
    sealed: bytes | None,
    enabled: bool,
) -> None:
    """Change a channel; without ``sealed`` its address stays as it is.

    Raises:
        KilowatchError: ``invalid_name`` or ``channel_exists``.
    """
    channel.name = _free_name(change.session, channel.organisation_id, name, channel.id)
    channel.enabled = enabled
    if sealed is not None:
        channel.shown, channel.sealed = shown[:300], sealed
    change.session.flush()


def remove_channel(change: Change, channel: AlertChannel) -> None:
    """Remove a channel; the rules that used it go on without it."""
    mine = select(AlertRuleChannel).where(AlertRuleChannel.channel_id == channel.id)
    for use in change.session.scalars(mine):
        change.session.delete(use)
    change.session.flush()
    change.session.delete(channel)
    change.session.flush()


def add_rule(
    change: Change,
    organisation_id: int,
    name: str,
    kind: RuleKind,
    watched: Watched,
    terms: dict[str, Any],
) -> AlertRule:
    """Add a rule, in force at once.

    Raises:
        KilowatchError: ``invalid_name``, or ``unknown_place`` when it watches what is not there.
    """
    _check_watched(change.session, organisation_id, watched)
    rule = AlertRule(
        organisation_id=organisation_id,
        site_id=watched.site_id,
        data_point_id=watched.data_point_id,
        name=check_name(name, "rule"),
        kind=kind,
        terms=terms,
        enabled=True,
        created_at_ms=change.now_ms,
    )
    change.session.add(rule)
    change.session.flush()
    return rule


USUAL_NAME = "What Sentinel finds"
"""What the usual rule is called."""


def add_usual_rule(change: Change, organisation_id: int) -> AlertRule:
    """Add the rule that an organisation begins with: every finding of all of its sites.

    On the bell and its page alone, and no more of them than a site's budget of attention lets
    through; a message goes to nobody before somebody chooses a channel. Its terms are the usual
    ones of ``notify.rules.Terms``, of which nothing is kept.
    """
    return add_rule(change, organisation_id, USUAL_NAME, "sentinel", Watched(), {})


def change_rule(
    change: Change, rule: AlertRule, *, name: str, watched: Watched, terms: dict[str, Any]
) -> None:
    """Change what a rule watches and when it tells; its kind stays.

    Raises:
        KilowatchError: as ``add_rule``.
    """
    _check_watched(change.session, rule.organisation_id, watched)
    rule.name = check_name(name, "rule")
    rule.site_id, rule.data_point_id = watched.site_id, watched.data_point_id
    rule.terms = terms
    change.session.flush()


def enable_rule(change: Change, rule: AlertRule, *, enabled: bool) -> None:
    """Switch a rule on or off."""
    rule.enabled = enabled
    change.session.flush()


def remove_rule(change: Change, rule: AlertRule) -> None:
    """Remove a rule; what it told stays in the history."""
    mine = select(AlertRuleChannel).where(AlertRuleChannel.rule_id == rule.id)
    for use in change.session.scalars(mine):  # row by row, so that undo knows them
        change.session.delete(use)
    change.session.flush()
    change.session.delete(rule)
    change.session.flush()


def use_channels(
    change: Change, rule: AlertRule, at_once: Iterable[int], escalated: Iterable[int]
) -> None:
    """Say through which channels a rule tells, at once and when nobody acknowledged.

    Raises:
        KilowatchError: ``unknown_channel``, one is not this organisation's.
    """
    mine = {channel.id for channel in channels(change.session, rule.organisation_id)}
    wanted = {(number, AT_ONCE) for number in at_once}
    wanted |= {(number, ESCALATED) for number in escalated}
    if not {number for number, _ in wanted} <= mine:
        raise KilowatchError(
            "unknown_channel",
            "A channel that was chosen is not there any more.",
            remedy="Reload the page and choose again.",
            data={"field": "channels"},
        )
    used = select(AlertRuleChannel).where(AlertRuleChannel.rule_id == rule.id)
    for row in change.session.scalars(used):
        if (row.channel_id, row.stage) in wanted:
            wanted.discard((row.channel_id, row.stage))
        else:
            change.session.delete(row)
    for channel_id, stage in sorted(wanted):
        change.session.add(
            AlertRuleChannel(
                organisation_id=rule.organisation_id,
                rule_id=rule.id,
                channel_id=channel_id,
                stage=stage,
            )
        )
    change.session.flush()


def channels(session: Session, organisation_id: int | None = None) -> list[AlertChannel]:
    """Return the channels of one organisation, or all, by name."""
    statement = select(AlertChannel).order_by(AlertChannel.name, AlertChannel.id)
    if organisation_id is not None:
        statement = statement.where(AlertChannel.organisation_id == organisation_id)
    return list(session.scalars(statement))


def rules(session: Session, organisation_id: int | None = None) -> list[AlertRule]:
    """Return the rules of one organisation, or all, by name."""
    statement = select(AlertRule).order_by(AlertRule.name, AlertRule.id)
    if organisation_id is not None:
        statement = statement.where(AlertRule.organisation_id == organisation_id)
    return list(session.scalars(statement))


def uses(session: Session, rule_id: int | None = None) -> list[AlertRuleChannel]:
    """Return which channels one rule uses, or every rule."""
    statement = select(AlertRuleChannel).order_by(AlertRuleChannel.id)
    if rule_id is not None:
        statement = statement.where(AlertRuleChannel.rule_id == rule_id)
    return list(session.scalars(statement))


def state(session: Session) -> int:
    """Return a number that changes whenever a person changed anything in the catalogue."""
    return session.scalar(select(func.max(AuditEntry.id))) or 0


def _free_name(session: Session, organisation_id: int, name: str, own: int | None) -> str:
    clean = check_name(name, "channel")
    same = select(AlertChannel.id).where(
        AlertChannel.organisation_id == organisation_id, AlertChannel.name == clean
    )
    taken = session.scalar(same)
    if taken is not None and taken != own:
        raise KilowatchError(
            "channel_exists",
            f"There is a channel named {clean!r} already.",
            status=409,
            data={"field": "name"},
        )
    return clean


def _check_watched(session: Session, organisation_id: int, watched: Watched) -> None:
    assert watched.site_id is None or watched.data_point_id is None
    place: Site | DataPoint | None
    if watched.data_point_id is not None:
        place = session.get(DataPoint, watched.data_point_id)
    elif watched.site_id is not None:
        place = session.get(Site, watched.site_id)
    else:
        return
    if place is None or place.organisation_id != organisation_id:
        raise KilowatchError(
            "unknown_place",
            "What the rule should watch is not there.",
            remedy="Choose a site or a data point of this organisation.",
            data={"field": "watched"},
        )
