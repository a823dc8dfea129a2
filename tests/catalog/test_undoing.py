"""Every kind of change in the history has a decision: a way back that works, or a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from kilowatch.catalog import (
    alerts,
    comments,
    corrections,
    data_points,
    giving,
    groups,
    history,
    judgements,
    meter_events,
    people,
    plans,
    point_settings,
    prices,
    registry,
    removing,
    site_calendar,
    site_terms,
    undoing,
    verdicts,
)
from kilowatch.catalog.changes import RECORDED
from kilowatch.catalog.corrections_check import Draft
from kilowatch.catalog.prices import CarbonDraft, PriceDraft
from kilowatch.catalog.tables import Appliance, AuditEntry, DataPoint, Meter, Site, Table, User
from kilowatch.catalog.tables_alerts import AlertChannel, AlertRule
from kilowatch.catalog.tables_comments import ChartComment
from kilowatch.catalog.tables_corrections import Correction, RuleSet
from kilowatch.catalog.tables_imports import ImportProfile
from kilowatch.catalog.tables_people import Group, Invitation, Plan
from kilowatch.catalog.tables_sites import (
    EventVerdict,
    SiteDays,
    SiteOpening,
    SiteTerms,
    UtilityCarbon,
    UtilityPrice,
)
from kilowatch.catalog.verdicts import About
from kilowatch.dashboard.words import catalogue
from kilowatch.model.editing import Rules
from kilowatch.model.errors import KilowatchError
from kilowatch.model.insight import EventKind
from tests.catalog.deeds import (
    DAY_MS,
    POWER,
    SLOWER,
    Desk,
    ago,
    change_site,
    channels,
    close_tom,
    dated_formula,
    dated_formula_away,
    exchange_back,
    grant,
    invite,
    moved,
    other_formula,
    rename,
    renamed_organisation,
    setting,
    shop_zone,
    shop_zone_away,
    tom_in,
    withdraw,
)
from tests.catalog.people_world import World, build

CASES: list[tuple[str, str, Callable[[Desk], object]]] = [
    ("changed", "organisation", renamed_organisation),
    ("changed", "organisation", lambda d: setattr(d.acme, "second_factor_required", True)),
    ("changed", "formula", other_formula),
    ("created", "formula_period", dated_formula(5, "* 4")),
    ("changed", "formula_period", dated_formula(20, "* 4")),
    ("removed", "formula_period", dated_formula_away),
    ("created", "site", lambda d: registry.add_site(d.change, d.acme, "New", zone="UTC")),
    ("changed", "site", change_site(name="Elsewhere", city="Dublin", zone="Europe/Rome")),
    ("created", "site_zone", shop_zone("Europe/Rome", 5)),
    ("changed", "site_zone", shop_zone("Europe/Rome", 20)),
    ("removed", "site_zone", shop_zone_away),
    ("created", "meter", lambda d: registry.add_meter(d.change, d.office, "New")),
    ("changed", "meter", lambda d: setattr(d.one(Meter, name="Free"), "parent_id", None)),
    ("removed", "meter", lambda d: removing.remove_meter(d.change, d.one(Meter, name="Free"))),
    (
        "created", "appliance",
        lambda d: registry.add_appliance(d.change, d.one(Meter, name="Top"), "New"),
    ),
    ("changed", "appliance", rename(Appliance)),
    ("removed", "appliance", lambda d: d.session.delete(d.one(Appliance))),
    ("changed", "data_point", moved),
    ("changed", "data_point", lambda d: data_points.change_settings(
        d.change, d.one(DataPoint, stream_id="feeder").id, "Supply", SLOWER)),
    ("created", "point_setting", setting(5, multiplier=3.0, stamp="end")),
    ("created", "point_setting", lambda d: point_settings.change_always(
        d.change, d.one(DataPoint, stream_id="feeder"), {"ct_ratio": 40.0})),
    ("changed", "point_setting", setting(20, multiplier=3.0, register_max=1e6)),
    ("removed", "point_setting", lambda d: point_settings.undo(
        d.change, d.gas, point_settings.history(d.session, d.gas)[-1].id)),
    ("created", "meter_event", lambda d: meter_events.roll_over(
        d.change, d.gas, ago(d, 3), width=1e6)),
    ("removed", "meter_event", exchange_back),
    ("created", "rule_set", lambda d: corrections.set_rules(
        d.change, d.one(DataPoint, stream_id="till").id, Rules(spike_factor=3.0))),
    ("changed", "rule_set", lambda d: corrections.set_rules(
        d.change, d.gas.id, Rules(demand_max=3.0))),
    # The country's own, in so many words: there are prices, and their figures stay what they are.
    ("changed", "organisation", lambda d: setattr(d.acme, "currency", "EUR")),
    ("created", "site_terms", lambda d: site_terms.set_attention(
        d.change, d.one(Site, name="Shop"), 5)),
    ("changed", "site_terms", lambda d: site_terms.set_attention(d.change, d.office, 7)),
    ("removed", "site_terms", lambda d: d.session.delete(d.one(SiteTerms))),
    ("created", "utility_price", lambda d: prices.set_price(
        d.change, d.acme, PriceDraft("gas", 0.1, "New"), site=d.office)),
    ("changed", "utility_price", lambda d: prices.set_price(
        d.change, d.acme, PriceDraft("gas", 0.2, "Other"), wrong=d.one(UtilityPrice))),
    ("removed", "utility_price", lambda d: prices.remove(d.change, d.one(UtilityPrice))),
    ("created", "utility_carbon", lambda d: prices.set_carbon(
        d.change, d.acme, CarbonDraft("gas", 0.1, "New", "average"), site=d.office)),
    ("changed", "utility_carbon", lambda d: prices.set_carbon(
        d.change, d.acme, CarbonDraft("gas", 0.3, "Other", "average"),
        wrong=d.one(UtilityCarbon))),
    ("removed", "utility_carbon", lambda d: prices.remove(d.change, d.one(UtilityCarbon))),
    ("created", "site_days", lambda d: site_calendar.add_days(
        d.change, d.office, "Fair", date(2026, 7, 1), opened=True)),
    ("removed", "site_days", lambda d: site_calendar.remove_days(
        d.change, d.office, d.one(SiteDays).id)),
    ("created", "site_opening", lambda d: site_calendar.set_opening(
        d.change, d.office, None, date(2026, 7, 1))),
    ("changed", "site_opening", lambda d: site_calendar.set_opening(
        d.change, d.office, (True,) * 168, None)),
    ("removed", "site_opening", lambda d: site_calendar.remove_opening(
        d.change, d.office, d.one(SiteOpening).id)),
    ("created", "chart_comment", lambda d: comments.add(d.change, d.gas.id, (5, 9), "new")),
    ("changed", "chart_comment", lambda d: comments.edit(
        d.change, d.gas.id, d.one(ChartComment).id, (1, 2), "other words")),
    ("removed", "chart_comment", lambda d: comments.remove(
        d.change, d.gas.id, d.one(ChartComment).id, manages=True)),
    ("created", "dismissed_finding", lambda d: judgements.dismiss(d.change, d.gas.id, "x", "m")),
    ("removed", "dismissed_finding", lambda d: judgements.restore(
        d.change, d.gas.id, "old", "mark")),
    ("created", "import_profile", lambda d: d.session.add(ImportProfile(
        organisation_id=d.acme.id, name="New", shape={"a": 1}, created_at_ms=1))),
    ("changed", "import_profile", rename(ImportProfile)),
    ("removed", "import_profile", lambda d: d.session.delete(d.one(ImportProfile))),
    ("created", "alert_channel", lambda d: alerts.add_channel(
        d.change, d.acme.id, "New", "email", "x@", b"sealed")),
    ("changed", "alert_channel", rename(AlertChannel, name="Mail")),
    ("created", "alert_rule", lambda d: alerts.add_rule(
        d.change, d.acme.id, "New", "offline", alerts.Watched(site_id=d.office.id), {})),
    ("changed", "alert_rule", lambda d: alerts.change_rule(
        d.change, d.one(AlertRule), name="Other", watched=alerts.Watched(data_point_id=d.gas.id),
        terms={"b": [2]})),
    ("removed", "alert_rule", lambda d: alerts.remove_rule(d.change, d.one(AlertRule))),
    ("created", "alert_rule_channel", channels("Mail", "Spare")),
    ("removed", "alert_rule_channel", channels()),
    ("created", "plan", lambda d: plans.add(d.change, d.acme.id, "New", ["breakdown"])),
    ("changed", "plan", lambda d: plans.alter(d.change, d.one(Plan, name="Readers"), "R", [])),
    ("removed", "plan", lambda d: plans.remove(d.change, d.one(Plan, name="Readers"))),
    ("created", "user_group", lambda d: groups.add(d.change, d.acme.id, "New")),
    ("changed", "user_group", lambda d: groups.rename(d.change, d.one(Group), "Other")),
    ("created", "group_member", lambda d: groups.add_member(
        d.change, d.one(Group), d.one(User, email="vera@example.com"))),
    ("removed", "group_member", lambda d: groups.remove_member(
        d.change, d.one(Group), d.one(User, email="tom@example.com").id)),
    ("created", "group_place", lambda d: groups.add_place(d.change, d.one(Group), d.office)),
    ("removed", "group_place", lambda d: groups.remove_place(
        d.change, d.one(Group), d.one(Site, name="Shop"))),
    ("created", "grant_of_access", grant),
    ("removed", "grant_of_access", withdraw),
    ("created", "membership", lambda d: tom_in(d, leave=False)),
    ("changed", "membership", lambda d: people.set_role(
        d.change, d.one(User, email="vera@example.com"), d.acme, "analyst")),
    ("changed", "user", close_tom),
]  # fmt: skip
"""What an undo brings back to the letter."""

OTHERWISE: list[tuple[str, str, Callable[[Desk], object], Callable[[Desk], object]]] = [
    ("removed", "site", lambda d: removing.remove_site(
        d.change, registry.add_site(d.change, d.acme, "Short", zone="UTC")),
     lambda d: d.one(Site, name="Short")),
    ("removed", "user_group", lambda d: groups.remove(d.change, d.one(Group)),
     lambda d: d.one(Group, name="Staff")),
    ("removed", "rule_set", lambda d: d.session.delete(d.one(RuleSet)),
     lambda d: d.one(RuleSet, spike_factor=5.0)),
    ("removed", "membership", lambda d: tom_in(d, leave=True),
     lambda d: giving.organisations_of(d.session, d.one(User, email="tom@example.com").id)[0]),
    ("created", "invitation", invite,
     lambda d: d.one(Invitation).withdrawn_at_ms),
    ("created", "event_verdict", lambda d: verdicts.give(
        d.change, About("e", d.gas.id, EventKind.WEEKEND, 0, DAY_MS), None, comment="seen"),
     lambda d: d.one(EventVerdict).undone_at_ms),
    ("created", "correction", lambda d: corrections.add(
        d.change, d.gas.id, Draft("comment", 0, DAY_MS, comment="new")),
     lambda d: d.one(Correction, comment="new").undone_at_ms),
    ("changed", "correction", lambda d: corrections.undo(
        d.change, d.gas.id, d.one(Correction).id),
     lambda d: d.one(Correction).undone_at_ms is None),
]  # fmt: skip
"""What an undo brings back in another way, or only in part, and what must be true then."""


def one_of_everything(world: World) -> None:
    """Let Ann add one of everything."""
    with world.catalog.change(world.actor("ann")) as change:
        Desk(change, world).furnish()


@pytest.fixture
def folks(tmp_path: Path) -> Iterator[World]:
    """Return Acme with one of everything."""
    world = build(tmp_path, one_of_everything)
    world.wait(1000)
    yield world
    world.catalog.close()


@dataclass
class Snapshot:
    """Everything that the history watches, without when it was written."""

    rows: dict[str, list[dict[str, Any]]]

    @classmethod
    def of(cls, folks: World) -> Snapshot:
        """Read it."""
        found: dict[str, list[dict[str, Any]]] = {}
        with folks.catalog.reading() as session:
            for table in audited():
                numbered = table.__table__.dialect_kwargs.get("sqlite_autoincrement")
                numbered = numbered and table.__tablename__ not in ("point_setting", "site_zone")
                without = {"created_at_ms", *(() if numbered else ("id",))}
                found[table.__tablename__] = sorted(
                    (
                        {
                            name: getattr(row, name)
                            for name in table.__mapper__.columns.keys()  # noqa: SIM118
                            if name not in without
                        }
                        for row in session.scalars(select(table))
                    ),
                    key=repr,
                )
        return cls(found)


def audited() -> list[type[Any]]:
    """Return every table whose changes are in the history."""
    return [m.class_ for m in Table.registry.mappers if m.class_.audited]


def act(folks: World, work: Callable[[Desk], object], action: str, subject: str) -> AuditEntry:
    """Make a change, and return its first entry of a kind."""
    with folks.catalog.change(folks.actor("ann")) as change:
        work(Desk(change, folks))
    with folks.catalog.reading() as session:
        mine = select(AuditEntry).where(
            AuditEntry.at_ms == folks.now[0],
            AuditEntry.action == action,
            AuditEntry.subject == subject,
        )
        entries = list(session.scalars(mine.order_by(AuditEntry.id)))
        assert entries, f"the change makes no entry {action} {subject}"
        chosen = next((e for e in entries if not undoing.why_not(session, e)), entries[0])
    folks.wait(1000)
    return chosen


def undo(folks: World, entry: AuditEntry) -> None:
    """Take a change back as Ann."""
    who = folks.person("ann")
    acme = folks.organisations["Acme"].id
    with folks.catalog.change(folks.actor("ann")) as change:
        history.undo(change, who, history.find(change.session, acme, entry.id))
    folks.wait(1000)


@pytest.mark.parametrize(
    ("action", "subject", "work"), CASES, ids=[f"{a}-{s}-{n}" for n, (a, s, _) in enumerate(CASES)]
)
def test_what_is_taken_back_is_as_it_was(
    folks: World, action: str, subject: str, work: Callable[[Desk], object]
) -> None:
    """Every row of the catalogue has its old values, and the page says who undid what."""
    before = Snapshot.of(folks)
    entry = act(folks, work, action, subject)
    assert Snapshot.of(folks).rows != before.rows
    undo(folks, entry)
    assert Snapshot.of(folks).rows == before.rows
    with folks.catalog.reading() as session:
        assert entry.id in history.undone_by(session, [entry.id])
        assert undoing.why_not(session, entry), "not twice"


@pytest.mark.parametrize(
    ("action", "subject", "work", "then"), OTHERWISE, ids=[f"{a}-{s}" for a, s, _, _ in OTHERWISE]
)
def test_what_comes_back_in_another_way_is_there(
    folks: World,
    action: str,
    subject: str,
    work: Callable[[Desk], object],
    then: Callable[[Desk], object],
) -> None:
    """A correction is undone and kept, an invitation withdrawn; members come back one by one."""
    undo(folks, act(folks, work, action, subject))
    with folks.catalog.change(folks.actor("ann")) as change:
        assert then(Desk(change, folks))


def test_every_kind_of_change_has_a_decision_and_every_decision_is_tried() -> None:
    """Whoever adds a table, or an action that is recorded, decides about undo here."""
    kinds = {(a, t.__tablename__) for t in audited() for a in ("created", "changed", "removed")}
    assert set(undoing.DECISIONS) == kinds | RECORDED
    ways = {kind for kind, one in undoing.DECISIONS.items() if not isinstance(one, str)}
    tried = {(a, s) for a, s, _ in CASES} | {(a, s) for a, s, _, _ in OTHERWISE}
    assert tried == ways


def test_every_reason_and_every_recorded_action_has_its_words() -> None:
    """No page shows a key, or an action as the program spells it."""
    reasons = {one for one in undoing.DECISIONS.values() if isinstance(one, str)}
    reasons |= {"changed_since", "in_use", "belongs_to_gone", "dated_beside", "by_hand", "secret",
                "went_live", "own_account"}  # fmt: skip
    assert {f"history.why.{one}" for one in reasons} == {
        key for key in catalogue() if key.startswith("history.why.")
    }
    assert {f"history.{action}.{subject}" for action, subject in RECORDED} <= set(catalogue())
    assert {f"history.subject.{table.__tablename__}" for table in audited()} <= set(catalogue())


@pytest.mark.parametrize(
    ("action", "subject", "work", "word"),
    [
        ("created", "meter", lambda d: data_points.register(
            d.change, d.office, "New", POWER), "in_use"),
        ("created", "plan", lambda d: people.set_role(
            d.change, d.one(User, email="vera@example.com"), d.acme, "viewer").__setattr__(
            "plan_id", plans.add(d.change, d.acme.id, "New", []).id), "in_use"),
        ("changed", "data_point", setting(5, interval_s=900), "dated_beside"),
        ("changed", "site", shop_zone("Europe/Rome", 5), "dated_beside"),
        ("changed", "alert_channel", lambda d: alerts.change_channel(
            d.change, d.one(AlertChannel, name="Mail"), name="Mail", shown="x@", sealed=b"new",
            enabled=True), "secret"),
        ("removed", "alert_channel", lambda d: alerts.remove_channel(
            d.change, d.one(AlertChannel, name="Spare")), "secret"),
        ("changed", "user", lambda d: setattr(
            d.one(User, email="tom@example.com"), "locale", "de"), "own_account"),
        ("created", "data_point", lambda d: data_points.register(
            d.change, d.office, "New", POWER), "measured"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_back_says_why(
    folks: World, action: str, subject: str, work: Callable[[Desk], object], word: str
) -> None:
    """And trying it all the same changes nothing."""
    entry = act(folks, work, action, subject)
    with folks.catalog.reading() as session:
        assert undoing.why_not(session, entry) == word
    before = Snapshot.of(folks)
    with pytest.raises(KilowatchError) as refused:
        undo(folks, entry)
    assert refused.value.code == "cannot_undo"
    assert Snapshot.of(folks).rows == before.rows


def test_a_dated_setting_and_its_undo_go_back_and_forth(folks: World) -> None:
    """Undo of an undo: the change holds again, from the same date on."""
    before = Snapshot.of(folks)
    entry = act(folks, setting(5, multiplier=3.0, interval_s=900), "created", "point_setting")
    changed = Snapshot.of(folks)
    undo(folks, entry)
    assert Snapshot.of(folks).rows == before.rows
    with folks.catalog.reading() as session:
        back = session.scalars(
            select(AuditEntry).where(
                AuditEntry.undoes_id == entry.id, AuditEntry.subject == "point_setting"
            )
        ).one()
    undo(folks, back)
    rows = [
        {k: v for k, v in one.items() if k != "id"}
        for one in Snapshot.of(folks).rows["point_setting"]
    ]
    assert rows == [
        {k: v for k, v in one.items() if k != "id"} for one in changed.rows["point_setting"]
    ]
