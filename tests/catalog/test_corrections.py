"""Corrections: checked in a person's words, kept for ever, taken back without a trace."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import insert, select

from kilowatch import catalog
from kilowatch.catalog import corrections, data_points, registry
from kilowatch.catalog.corrections_check import Draft
from kilowatch.catalog.directory import load
from kilowatch.catalog.feeding import fed_by
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import AuditEntry, DataPoint
from kilowatch.catalog.tables_corrections import Correction as Row
from kilowatch.catalog.tables_corrections import RuleSet
from kilowatch.model.editing import NOTHING, Correction, Editing, Rules
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import PC

NOW_MS = 1_795_435_200_000  # of the registry's clock
HOUR_MS = 3_600_000
FROM_MS, TO_MS = NOW_MS - 5 * HOUR_MS, NOW_MS - 2 * HOUR_MS
EDIT = Draft("edit", FROM_MS, TO_MS, "pC", 4_000.0, comment="  read from the display ")


@dataclass
class Estate:
    """Two electrical meters and one of gas in one organisation, one meter in another."""

    organisation: int
    main: int
    sub: int
    gas: int
    elsewhere: int


@pytest.fixture
def estate(opened: catalog.Catalog, actor: catalog.Actor) -> Estate:
    """Register the meters."""
    with opened.change(actor) as change:
        made = []
        for name in ("Acme", "Other"):
            organisation = registry.add_organisation(change, name, country="IE")
            site = registry.add_site(change, organisation, "Office", zone="Europe/Dublin")
            electric = Settings("electrical", "electricity", 900)
            made += [
                data_points.register(change, site, "Main", electric),
                data_points.register(change, site, "Sub", electric),
                data_points.register(change, site, "Gas", Settings("single", "gas", 3600)),
            ]
        return Estate(made[0].organisation_id, made[0].id, made[1].id, made[2].id, made[3].id)


def editing_of(opened: catalog.Catalog, data_point_id: int) -> Editing:
    """Return what collector and pipeline see of a data point's rules and corrections."""
    point = load(opened, "development").by_id(data_point_id)
    assert point is not None
    return point.editing


def test_a_correction_reaches_the_pipeline_and_can_be_taken_back(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Added, it is in the next snapshot with its number; undone, it is not, and stays listed."""
    before = opened.revision()
    with opened.change(actor) as change:
        number = corrections.add(change, estate.main, EDIT).id
    assert opened.revision() > before
    assert editing_of(opened, estate.main) == Editing(
        corrections=(Correction(number, "edit", PC, FROM_MS, TO_MS, 4_000.0),)
    )
    assert editing_of(opened, estate.sub) == NOTHING
    later = catalog.Actor("bob@example.com", user_id=8)
    with opened.change(later) as change:
        corrections.undo(change, estate.main, number)
    assert editing_of(opened, estate.main) == NOTHING
    with opened.reading() as session:
        (listed,) = corrections.listing(session, estate.main)
        assert not corrections.listing(session, estate.main, undone=False)
    assert (listed.created_by, listed.undone_by) == ("ann@example.com", "bob@example.com")
    assert (listed.comment, listed.channel, listed.value) == (
        "read from the display", "pC", 4_000.0,
    )  # fmt: skip
    with opened.change(later) as change, pytest.raises(KilowatchError, match="already") as refused:
        corrections.undo(change, estate.main, number)
    assert refused.value.code == "already_undone"


def test_every_correction_is_in_the_history(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Who, when, what: the audit has both the correction and its undoing."""
    with opened.change(actor) as change:
        number = corrections.add(change, estate.main, EDIT).id
    with opened.change(actor) as change:
        corrections.undo(change, estate.main, number)
        corrections.set_rules(change, estate.main, Rules(demand_max=9_000.0))
    with opened.reading() as session:
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.subject.in_(["correction", "rule_set"]))
        ).all()
    assert sorted((e.subject, e.action) for e in entries) == [
        ("correction", "changed"), ("correction", "created"), ("rule_set", "created"),
    ]  # fmt: skip
    assert {e.actor for e in entries} == {"ann@example.com"}
    created = next(e for e in entries if e.subject == "correction" and e.action == "created")
    assert created.after["value"] == 4_000.0


def test_a_correction_of_another_data_point_is_not_there(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """A number guessed from elsewhere undoes nothing."""
    with opened.change(actor) as change:
        number = corrections.add(change, estate.main, EDIT).id
        for one, other in ((estate.elsewhere, number), (estate.main, number + 1)):
            with pytest.raises(KilowatchError) as refused:
                corrections.undo(change, one, other)
            assert (refused.value.code, refused.value.status) == ("unknown_correction", 404)


def test_comments_are_kept_and_change_no_figure(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """A note on a time range, next year's too, is for people only."""
    note = Draft("comment", FROM_MS, NOW_MS + 400 * 24 * HOUR_MS, comment="Refurbishment.")
    with opened.change(actor) as change:
        corrections.add(change, estate.gas, note)
    assert editing_of(opened, estate.gas) == NOTHING
    with opened.reading() as session:
        assert corrections.listing(session, estate.gas)[0].comment == "Refurbishment."


def test_a_sister_is_known_by_its_present_series(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """The pipeline reads the other meter's rows by its series."""
    fill = Draft("fill", FROM_MS, TO_MS, method="sister", sister_id=estate.sub)
    with opened.change(actor) as change:
        corrections.add(change, estate.main, fill)
    (correction,) = editing_of(opened, estate.main).corrections
    directory = load(opened, "development")
    sub = directory.by_id(estate.sub)
    assert sub is not None
    assert correction.sister == sub.series
    assert editing_of(opened, estate.main).sisters == {sub.series}


def test_a_preview_has_the_draft_that_was_not_written(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """What a person looks at before deciding is what the pipeline will get after."""
    with opened.change(actor) as change:
        first = corrections.add(change, estate.main, EDIT).id
    point = load(opened, "development").by_id(estate.main)
    assert point is not None
    fill = Draft("fill", FROM_MS, TO_MS, method="linear")
    with opened.reading() as session:
        proposed = corrections.with_draft(session, point, fill, NOW_MS)
    with opened.change(actor) as change:
        corrections.add(change, estate.main, fill)
    assert editing_of(opened, estate.main) == proposed
    assert corrections.without(proposed, first).corrections == proposed.corrections[1:]


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (replace(EDIT, to_ms=FROM_MS), "to"),
        (replace(EDIT, to_ms=NOW_MS + 25 * HOUR_MS), "to"),
        (replace(EDIT, from_ms=TO_MS - 93 * 24 * HOUR_MS), "to"),
        (replace(EDIT, channel="value"), "channel"),
        (replace(EDIT, channel="xyz"), "channel"),
        (replace(EDIT, channel=""), "channel"),
        (replace(EDIT, channel="pF_1"), "channel"),
        (replace(EDIT, value=None), "value"),
        (replace(EDIT, value=float("nan")), "value"),
        (replace(EDIT, kind="confirm"), "value"),
        (replace(EDIT, kind="smooth"), "kind"),  # type: ignore[arg-type]
        (replace(EDIT, method="linear"), "method"),
        (replace(EDIT, comment="x" * 1001), "comment"),
        (Draft("fill", FROM_MS, TO_MS), "method"),
        (Draft("fill", FROM_MS, TO_MS, method="spline"), "method"),  # type: ignore[arg-type]
        (Draft("fill", FROM_MS, TO_MS, method="sister"), "sister"),
        (Draft("fill", FROM_MS, TO_MS, method="sister", sister_id=999), "sister"),
        (Draft("fill", FROM_MS, TO_MS, method="linear", sister_id=2), "sister"),
        (Draft("comment", FROM_MS, TO_MS, comment="  "), "comment"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate, draft: Draft, field: str
) -> None:
    """The form shows each refusal beside the field that is wrong."""
    with opened.change(actor) as change, pytest.raises(KilowatchError) as refused:
        corrections.add(change, estate.main, draft)
    assert (refused.value.code, refused.value.data["field"]) == ("invalid_correction", field)
    assert refused.value.remedy


def test_a_sister_belongs_to_the_same_organisation_and_utility(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Nobody learns another organisation's figures by an estimate."""
    for sister_id in (estate.elsewhere, estate.main, estate.gas):
        draft = Draft("fill", FROM_MS, TO_MS, method="sister", sister_id=sister_id)
        with opened.change(actor) as change, pytest.raises(KilowatchError) as refused:
            corrections.add(change, estate.main, draft)
        assert refused.value.data["field"] == "sister"


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        (Rules(demand_max=0.0), "demand_max"),
        (Rules(demand_max=float("inf")), "demand_max"),
        (Rules(spike_factor=1.0), "spike_factor"),
        (Rules(zero_run_s=0), "zero_run_s"),
        (Rules(estimate_up_to_s=32 * 86_400), "estimate_up_to_s"),
        (Rules(sum_tolerance=1.5), "sum_tolerance"),
        (Rules(estimate_method="sister"), "estimate_method"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate, rules: Rules, field: str
) -> None:
    """A limit of nothing would make every interval questionable."""
    with opened.change(actor) as change, pytest.raises(KilowatchError) as refused:
        corrections.set_rules(change, estate.main, rules)
    assert (refused.value.code, refused.value.data["field"]) == ("invalid_rule", field)


def test_rules_are_set_changed_and_read_back(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Nobody has set any: the defaults. Set twice: the later ones."""
    with opened.reading() as session:
        assert corrections.rules_of(session, estate.main) == Rules()
    rules = Rules(zero_run_s=7200, negative=False, estimate_up_to_s=3600, estimate_method="profile")
    for some in (Rules(demand_max=5.0), rules):
        with opened.change(actor) as change:
            corrections.set_rules(change, estate.main, some)
    with opened.reading() as session:
        assert corrections.rules_of(session, estate.main) == rules
    assert editing_of(opened, estate.main).rules == rules


def test_a_data_point_does_not_collect_corrections_without_end(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Each is looked at whenever its range is shown; undone ones do not count."""
    row = {
        "organisation_id": estate.organisation, "data_point_id": estate.main, "kind": "accept",
        "from_ms": 0, "to_ms": 1, "comment": "", "created_at_ms": 0, "created_by": "",
        "undone_by": "",
    }  # fmt: skip
    with opened.change(actor) as change:
        change.session.execute(insert(Row), [row] * corrections.CORRECTIONS_MAX)
        with pytest.raises(KilowatchError) as refused:
            corrections.add(change, estate.main, EDIT)
        assert refused.value.code == "too_many_corrections"
        newest = corrections.listing(change.session, estate.main)[0].id
        corrections.undo(change, estate.main, newest)
        corrections.add(change, estate.main, EDIT)


def test_who_feeds_whom_is_said_or_follows_from_the_meters(
    opened: catalog.Catalog, actor: catalog.Actor
) -> None:
    """An appliance is part of its meter, a meter of the one above, past meters without figures."""
    electric = Settings("electrical", "electricity", 900)
    with opened.change(actor) as change:
        organisation = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, organisation, "Office", zone="Europe/Dublin")
        top = registry.add_meter(change, site, "Main")
        middle = registry.add_meter(change, site, "Floor", parent=top)
        low = registry.add_meter(change, site, "Room", parent=middle)
        circuit = registry.add_appliance(change, top, "Lift")

        def register(name: str, settings: Settings = electric, **place: object) -> DataPoint:
            return data_points.register(change, site, name, settings, **place)  # type: ignore[arg-type]

        main = register("main", meter=top)
        lift = register("lift", meter=top, appliance=circuit)
        room = register("room", meter=low)
        gas = register("gas", Settings("single", "gas", 3600), meter=low)
        warm = register("warm", Settings("single", "temperature", 900), meter=low)
        plug = register("plug", Settings("single", "electricity", 900), parent=room)
        found = fed_by(change.session, organisation.id)
        assert fed_by(change.session, organisation.id, site.id) == found
    assert found == {
        main.id: None, lift.id: main.id, room.id: main.id, gas.id: None, warm.id: None,
        plug.id: room.id,
    }  # fmt: skip


@pytest.mark.slow
def test_ten_thousand_data_points_with_rules_load_in_a_second(
    opened: catalog.Catalog, actor: catalog.Actor
) -> None:
    """An administrator sets rules for the whole estate; the pipeline sees them in time."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, acme, "Office", zone="Europe/Dublin")
        meter = registry.add_meter(change, site, "Meter")
        first = change.next_series(10_000)
        change.session.execute(
            insert(DataPoint),
            [
                {
                    "organisation_id": acme.id, "site_id": site.id, "meter_id": meter.id,
                    "stream_id": f"electricity-{series:016d}", "series": series,
                    "name": f"Circuit {series}", "kind": "electrical", "utility": "electricity",
                    "unit": "Wh", "interval_s": 300, "behaviour": "register",
                    "created_at_ms": change.now_ms,
                }
                for series in range(first, first + 10_000)
            ],
        )  # fmt: skip
        numbers = change.session.scalars(select(DataPoint.id)).all()
        rule = {"organisation_id": acme.id, "demand_max": 50_000.0, "estimate_method": "linear"}
        change.session.execute(
            insert(RuleSet), [rule | {"data_point_id": number} for number in numbers]
        )
    started = time.thread_time()
    directory = load(opened, "development")
    took_s = time.thread_time() - started
    assert all(point.editing.rules.demand_max == 50_000.0 for point in directory.points.values())
    assert took_s < 3.0
    started = time.thread_time()
    with opened.reading() as session:
        assert len(fed_by(session, acme.id)) == 10_000
    assert time.thread_time() - started < 1.0
