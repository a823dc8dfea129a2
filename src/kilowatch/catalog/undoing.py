"""Which changes of the history can be taken back and how, and why the others cannot.

Every kind of change has a decision here: a way back (``undoing_ways.py``), or the word for why
there is none, which the page shows. A kind without a decision fails a test before anybody meets it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import (
    alerts,
    corrections,
    formulas,
    giving,
    groups,
    invitations,
    meter_events,
    plans,
    prices,
    removing,
    reshaping,
    verdicts,
)
from kilowatch.catalog.changes import Change
from kilowatch.catalog.history_of_sites import check_price, in_the_way
from kilowatch.catalog.rights import Person
from kilowatch.catalog.tables import (
    Appliance,
    AuditEntry,
    DataPoint,
    Grant,
    Membership,
    Meter,
    Organisation,
    Site,
    User,
)
from kilowatch.catalog.tables_alerts import AlertChannel, AlertRule, AlertRuleChannel
from kilowatch.catalog.tables_comments import ChartComment
from kilowatch.catalog.tables_corrections import Correction, RuleSet
from kilowatch.catalog.tables_findings import DismissedFinding
from kilowatch.catalog.tables_formulas import Formula
from kilowatch.catalog.tables_imports import ImportProfile
from kilowatch.catalog.tables_people import Group, GroupMember, GroupPlace, Invitation, Plan
from kilowatch.catalog.tables_settings import RecordedEvent
from kilowatch.catalog.tables_sites import (
    EventVerdict,
    SiteDays,
    SiteOpening,
    SiteTerms,
    UtilityCarbon,
    UtilityPrice,
)
from kilowatch.catalog.undoing_dated import DataPointBack, FormulaBack, SettingBack, ZoneBack
from kilowatch.catalog.undoing_ways import AccountBack, BringBack, SetBack, TakeAway, Way
from kilowatch.model.editing import Rules

Kind = tuple[str, str]
"""Action and subject of an entry."""


def _meter_back(change: Change, _who: Person, meter: Meter, before: dict[str, Any]) -> None:
    parent_id = before.get("parent_id", meter.parent_id)
    parent = change.session.get(Meter, parent_id) if parent_id is not None else None
    reshaping.change_meter(change, meter, name=before.get("name", meter.name), parent=parent)


def _site_back(change: Change, _who: Person, site: Site, before: dict[str, Any]) -> None:
    facts = {name: getattr(site, name) for name in reshaping.SiteDraft.__slots__}
    reshaping.change_site(change, site, reshaping.SiteDraft(**(facts | before)))


def _organisation_back(
    change: Change, _who: Person, row: Organisation, before: dict[str, Any]
) -> None:
    if "second_factor_required" in before:
        row.second_factor_required = before["second_factor_required"]
    name, country = before.get("name", row.name), before.get("country", row.country)
    reshaping.change_organisation(change, row, name=name, country=country)
    if "currency" in before:
        prices.currency_back(change, row, before["currency"] or "")


def _given(change: Change, who: Person, row: Membership) -> None:
    giving.check_role(who, row.organisation_id, row.role, whole=row.whole_organisation)
    plan = plans.find(change.session, row.organisation_id, row.plan_id)
    giving.check_tools(who, row.organisation_id, plans.tools_of(plan))


def _planned(_change: Change, who: Person, row: Plan) -> None:
    giving.check_tools(who, row.organisation_id, plans.tools_of(row))


def _placed(change: Change, who: Person, row: Grant | GroupPlace) -> None:
    place = (
        change.session.get(Site, row.site_id)
        if row.site_id is not None
        else change.session.get(DataPoint, row.data_point_id or 0)
    )
    giving.check_places(who, [place] if place is not None else [])


def _joined(change: Change, who: Person, row: GroupMember) -> None:
    for place in groups.places(change.session, row.group_id):
        _placed(change, who, place)


def _member(session: Session, columns: dict[str, Any], organisation_id: int) -> str:
    """Return a word where the person whom a row speaks of has no role here any more."""
    here = {"user_id": columns.get("user_id"), "organisation_id": organisation_id}
    there = session.scalar(select(Membership.id).filter_by(**here)) is not None
    return "" if there else "belongs_to_gone"


def _leave(change: Change, _who: Person, row: Membership) -> None:
    user = change.session.get_one(User, row.user_id)
    owner = change.session.get_one(Organisation, row.organisation_id)
    giving.remove(change, user, owner)


def _event_away(change: Change, _who: Person, row: RecordedEvent) -> None:
    meter_events.undo(change, change.session.get_one(DataPoint, row.data_point_id), row.id)


def _delete(change: Change, _who: Person, row: Any) -> None:
    change.session.delete(row)


def _of_sites(
    table: type[Any],
    columns: set[str],
    check: Callable[[Change, Person, Any], object] | None = None,
) -> dict[Kind, Way | str]:
    """Return the decisions about a table of facts of sites, which come and go as rows."""
    subject = table.__tablename__
    changed = SetBack(table, frozenset(columns), check=check) if columns else "by_hand"
    return {
        ("created", subject): TakeAway(table, _delete),
        ("changed", subject): changed,
        ("removed", subject): BringBack(table, needs=in_the_way(table)),
    }


_SITE_FACTS = frozenset(reshaping.SiteDraft.__slots__)
_RULES = frozenset(one.name for one in fields(Rules))

DECISIONS: dict[Kind, Way | str] = {
    ("created", "organisation"): "own_page",
    ("changed", "organisation"): SetBack(
        Organisation,
        frozenset({"name", "name_key", "country", "currency", "second_factor_required"}),
        _organisation_back,
    ),
    ("removed", "organisation"): "gone",
    ("created", "site"): TakeAway(
        Site,
        lambda change, _, row: removing.remove_site(change, row),
        used_by=((Meter, "site_id"),),
    ),
    ("changed", "site"): ZoneBack.of_site(SetBack(Site, _SITE_FACTS, _site_back)),
    ("removed", "site"): BringBack(Site),
    ("created", "site_zone"): ZoneBack(),
    ("changed", "site_zone"): ZoneBack(),
    ("removed", "site_zone"): ZoneBack(),
    ("created", "meter"): TakeAway(
        Meter,
        lambda change, _, row: removing.remove_meter(change, row),
        used_by=((DataPoint, "meter_id"),),
    ),
    ("changed", "meter"): SetBack(Meter, frozenset({"name", "parent_id"}), _meter_back),
    ("removed", "meter"): BringBack(Meter, with_=("appliance", "meter_id")),
    ("created", "appliance"): TakeAway(
        Appliance,
        lambda change, _, row: removing.remove_appliance(change, row),
        used_by=((DataPoint, "appliance_id"),),
    ),
    ("changed", "appliance"): SetBack(Appliance, frozenset({"name"})),
    ("removed", "appliance"): BringBack(Appliance),
    ("created", "data_point"): "measured",
    ("changed", "data_point"): DataPointBack(),
    ("removed", "data_point"): "measured",
    ("created", "point_setting"): SettingBack(),
    ("changed", "point_setting"): SettingBack(),
    ("removed", "point_setting"): SettingBack(),
    ("created", "meter_event"): TakeAway(RecordedEvent, _event_away),
    ("changed", "meter_event"): "by_hand",
    ("removed", "meter_event"): BringBack(RecordedEvent, same=("data_point_id", "kind", "at_ms")),
    ("created", "correction"): TakeAway(
        Correction, lambda change, _, row: corrections.undo(change, row.data_point_id, row.id)
    ),
    ("changed", "correction"): SetBack(Correction, frozenset({"undone_at_ms", "undone_by"})),
    ("removed", "correction"): "gone",
    ("created", "rule_set"): TakeAway(RuleSet, _delete),
    ("changed", "rule_set"): SetBack(RuleSet, _RULES),
    ("removed", "rule_set"): BringBack(RuleSet),
    **_of_sites(
        SiteTerms,
        {
            "temperature_point_id",
            "heating_base_c",
            "cooling_base_c",
            "attention_per_week",
            "demand_period_s",
        },
    ),
    **_of_sites(UtilityPrice, {"per_unit", "per", "label", "from_day"}, check_price),
    **_of_sites(UtilityCarbon, {"kg_per_unit", "per", "basis", "source", "from_day"}, check_price),
    **_of_sites(SiteOpening, {"hours"}),
    **_of_sites(SiteDays, set()),
    ("created", "event_verdict"): TakeAway(
        EventVerdict, lambda change, _, row: verdicts.take_back(change, row.id)
    ),
    ("changed", "event_verdict"): "by_hand",
    ("removed", "event_verdict"): "gone",
    ("created", "chart_comment"): TakeAway(ChartComment, _delete),
    ("changed", "chart_comment"): SetBack(
        ChartComment, frozenset({"text", "start_ms", "end_ms", "changed_at_ms"})
    ),
    ("removed", "chart_comment"): BringBack(ChartComment),
    ("created", "dismissed_finding"): TakeAway(DismissedFinding, _delete),
    ("changed", "dismissed_finding"): "by_hand",
    ("removed", "dismissed_finding"): BringBack(DismissedFinding),
    ("created", "import_profile"): TakeAway(ImportProfile, _delete),
    ("changed", "import_profile"): SetBack(ImportProfile, frozenset({"name", "shape"})),
    ("removed", "import_profile"): BringBack(ImportProfile),
    ("created", "formula"): "measured",
    ("changed", "formula"): SetBack(
        Formula,
        frozenset({"text"}),
        lambda change, _who, row, before: formulas.set_back(change, row, before["text"]),
    ),
    ("removed", "formula"): "measured",
    ("created", "formula_period"): FormulaBack(),
    ("changed", "formula_period"): FormulaBack(),
    ("removed", "formula_period"): FormulaBack(),
    ("created", "alert_channel"): TakeAway(
        AlertChannel,
        lambda change, _, row: alerts.remove_channel(change, row),
        used_by=((AlertRuleChannel, "channel_id"),),
    ),
    ("changed", "alert_channel"): SetBack(AlertChannel, frozenset({"name", "enabled"})),
    ("removed", "alert_channel"): "secret",
    ("created", "alert_rule"): TakeAway(
        AlertRule, lambda change, _, row: alerts.remove_rule(change, row)
    ),
    ("changed", "alert_rule"): SetBack(
        AlertRule, frozenset({"name", "site_id", "data_point_id", "terms", "enabled"})
    ),
    ("removed", "alert_rule"): BringBack(AlertRule, with_=("alert_rule_channel", "rule_id")),
    ("created", "alert_rule_channel"): TakeAway(AlertRuleChannel, _delete),
    ("changed", "alert_rule_channel"): "by_hand",
    ("removed", "alert_rule_channel"): BringBack(AlertRuleChannel),
    ("created", "plan"): TakeAway(
        Plan,
        lambda change, _, row: plans.remove(change, row),
        used_by=((Membership, "plan_id"), (Invitation, "plan_id")),
    ),
    ("changed", "plan"): SetBack(Plan, frozenset({"name", "tools"}), check=_planned),
    ("removed", "plan"): BringBack(Plan, check=_planned),
    ("created", "user_group"): TakeAway(
        Group,
        lambda change, _, row: groups.remove(change, row),
        used_by=((GroupMember, "group_id"), (GroupPlace, "group_id")),
    ),
    ("changed", "user_group"): SetBack(Group, frozenset({"name"})),
    ("removed", "user_group"): BringBack(Group),
    ("created", "group_member"): TakeAway(GroupMember, _delete),
    ("changed", "group_member"): "by_hand",
    ("removed", "group_member"): BringBack(GroupMember, check=_joined, needs=_member),
    ("created", "group_place"): TakeAway(GroupPlace, _delete),
    ("changed", "group_place"): "by_hand",
    ("removed", "group_place"): BringBack(GroupPlace, check=_placed),
    ("created", "grant_of_access"): TakeAway(Grant, _delete),
    ("changed", "grant_of_access"): "by_hand",
    ("removed", "grant_of_access"): BringBack(Grant, check=_placed, needs=_member),
    ("created", "membership"): TakeAway(Membership, _leave),
    ("changed", "membership"): SetBack(
        Membership, frozenset({"role", "whole_organisation", "plan_id"}), check=_given
    ),
    ("removed", "membership"): BringBack(Membership, check=_given),
    ("created", "invitation"): TakeAway(
        Invitation, lambda change, _, row: invitations.withdraw(change, row)
    ),
    ("changed", "invitation"): "invite_again",
    ("removed", "invitation"): "gone",
    ("created", "user"): "account",
    ("changed", "user"): AccountBack(),
    ("removed", "user"): "account",
    ("created", "credential"): "revoke",
    ("changed", "credential"): "revoked",
    ("removed", "credential"): "gone",
    ("created", "package_link"): "handed_out",
    ("changed", "package_link"): "handed_out",
    ("removed", "package_link"): "gone",
    ("applied a table", "data_point"): "line_by_line",
    ("imported", "data_point"): "in_history",
    ("backfilled", "data_point"): "in_history",
    ("decided for the stored values", "data_point"): "in_history",
    ("decided for the offered values", "data_point"): "in_history",
    ("dismissed", "data_point"): "deleted",
    ("logged in", "user"): "happened",
    ("mistyped the password", "user"): "happened",
    ("ended a session", "user"): "happened",
    ("ended the other sessions", "user"): "happened",
    ("asked for another address", "user"): "happened",
    ("asked for a new password", "user"): "happened",
    ("sent a link for a new password", "user"): "happened",
    ("set a new password by mail", "user"): "secret",
    ("made an API token", "user"): "secret",
    ("revoked an API token", "user"): "secret",
    ("made an export link", "user"): "secret",
    ("revoked an export link", "user"): "secret",
    ("set up a second factor", "user"): "secret",
    ("removed the second factor", "user"): "secret",
    ("made recovery codes", "user"): "secret",
    ("used a recovery code", "user"): "secret",
    ("restored from a backup", "organisation"): "happened",
}


def why_not(session: Session, entry: AuditEntry) -> str:
    """Return the word for why an entry cannot be taken back; empty if it can.

    Its words are in the pages' catalogue as ``history.why.<word>``.
    """
    decision = DECISIONS.get((entry.action, entry.subject), "by_hand")
    return decision if isinstance(decision, str) else decision.why_not(session, entry)


def take_back(change: Change, who: Person, entry: AuditEntry) -> None:
    """Take back what an entry made; ``why_not`` said that it can be.

    Raises:
        KilowatchError: What the same change by hand would be refused for.
    """
    decision = DECISIONS[entry.action, entry.subject]
    assert not isinstance(decision, str)
    decision.take_back(change, who, entry)
