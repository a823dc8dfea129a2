"""Changing and removing places: what is measured is never lost, and refusals say what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from kilowatch import catalog
from kilowatch.catalog import (
    credentials,
    data_points,
    people,
    point_settings,
    registry,
    removing,
    reshaping,
)
from kilowatch.catalog.changes import Change
from kilowatch.catalog.credentials import Target
from kilowatch.catalog.reshaping import SiteDraft
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import (
    AuditEntry,
    Credential,
    DataPoint,
    Grant,
    Meter,
    Organisation,
    Site,
)
from kilowatch.model.errors import KilowatchError

POWER = Settings("electrical", "electricity", 300)


class Estate:
    """An organisation with two sites and a chain of meters."""

    def __init__(self, change: Change) -> None:
        self.acme = registry.add_organisation(change, "Acme", country="IE")
        self.office = registry.add_site(change, self.acme, "Office", zone="Europe/Dublin")
        self.plant = registry.add_site(change, self.acme, "Plant", zone="Europe/Berlin")
        self.main = registry.add_meter(change, self.office, "Main")
        self.floor = registry.add_meter(change, self.office, "Floor", parent=self.main)
        self.desk = registry.add_meter(change, self.office, "Desk", parent=self.floor)
        self.light = registry.add_appliance(change, self.floor, "Light")
        self.point = data_points.register(
            change, self.office, "Floor", POWER, meter=self.floor, appliance=self.light
        )


@pytest.fixture
def estate(opened: catalog.Catalog, actor: catalog.Actor) -> Estate:
    """Return a new estate."""
    with opened.change(actor) as change:
        return Estate(change)


def refused(call: object, *args: object, **options: object) -> KilowatchError:
    """Return why a change is refused."""
    with pytest.raises(KilowatchError) as caught:
        call(*args, **options)  # type: ignore[operator]
    return caught.value


def test_an_organisation_is_renamed_but_never_like_another(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Two customers with one name could not be told apart in any list."""
    with opened.change(actor) as change:
        registry.add_organisation(change, "Beta", country="DE")
        again = refused(
            reshaping.change_organisation, change, estate.acme, name=" beta ", country="IE"
        )
        assert (again.code, again.data["field"]) == ("organisation_exists", "name")
    with opened.change(actor) as change:
        reshaping.change_organisation(change, estate.acme, name="ACME", country="gb")
    with opened.reading() as session:
        stored = registry.find_organisation(session, "acme")
        assert (stored.id, stored.name, stored.country) == (estate.acme.id, "ACME", "GB")


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        (SiteDraft("", "Europe/Dublin", "IE"), "name"),
        (SiteDraft("plant", "Europe/Dublin", "IE"), "name"),
        (SiteDraft("Office", "Europe/Atlantis", "IE"), "zone"),
        (SiteDraft("Office", "Europe/Dublin", "Eire"), "country"),
        (SiteDraft("Office", "Europe/Dublin", "IE", area_m2=0), "area_m2"),
        (SiteDraft("Office", "Europe/Dublin", "IE", area_m2=float("nan")), "area_m2"),
        (SiteDraft("Office", "Europe/Dublin", "IE", area_m2=1e9), "area_m2"),
        (SiteDraft("Office", "Europe/Dublin", "IE", contact_email="ann"), "contact_email"),
        (SiteDraft("Office", "Europe/Dublin", "IE", city="C" * 101), "city"),
    ],
)
def test_a_fact_that_cannot_be_true_is_refused_beside_its_field(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate, facts: SiteDraft, field: str
) -> None:
    """An area in square centimetres would spoil every figure per square metre."""
    with opened.change(actor) as change:
        assert refused(reshaping.change_site, change, estate.office, facts).data["field"] == field


def test_a_site_gets_the_country_of_its_time_zone(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Holidays and prices follow the country: it is right without being asked for."""
    facts = SiteDraft("Lager", "Europe/Vienna", "", city="Wien", area_m2=1250.5)
    with opened.change(actor) as change:
        site = reshaping.add_site(change, estate.acme, facts)
    assert (site.country, site.city, site.area_m2) == ("AT", "Wien", 1250.5)


def test_no_meter_feeds_itself_however_long_the_way(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """A ring of meters would make every total of the tree meaningless."""
    with opened.change(actor) as change:
        for parent in (estate.main, estate.floor, estate.desk):
            error = refused(reshaping.change_meter, change, estate.main, name="Main", parent=parent)
            assert (error.code, error.data["field"]) == ("feeds_itself", "parent")
        abroad = registry.add_meter(change, estate.plant, "Abroad")
        error = refused(reshaping.change_meter, change, estate.desk, name="Desk", parent=abroad)
        assert error.code == "other_site"
        moved = reshaping.change_meter(change, estate.desk, name="Desks", parent=estate.main)
        assert (moved.name, moved.parent_id) == ("Desks", estate.main.id)


def test_what_holds_a_data_point_is_not_removed(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Years of measurements do not disappear with a click: each refusal says what is in the way."""
    calls = (
        (removing.remove_appliance, estate.light),
        (removing.remove_meter, estate.floor),
        (removing.remove_site, estate.office),
        (removing.remove_organisation, estate.acme),
    )
    for call, place in calls:
        with opened.change(actor) as change:
            error = refused(call, change, place)
            assert error.code == "not_empty"
            assert error.remedy
    with opened.reading() as session:
        assert session.get(DataPoint, estate.point.id) is not None


def test_a_meter_that_goes_hands_its_place_to_its_feeder(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """The desk stays below the main supply when the floor's meter is taken out."""
    with opened.change(actor) as change:
        reshaping.move_data_point(change, estate.point, estate.main, None, None)
        removing.remove_meter(change, estate.floor)
    with opened.reading() as session:
        assert session.get(Meter, estate.floor.id) is None
        desk = session.get(Meter, estate.desk.id)
        assert desk is not None
        assert desk.parent_id == estate.main.id
        removed = session.scalars(
            select(AuditEntry.before).where(
                AuditEntry.action == "removed", AuditEntry.subject == "meter"
            )
        ).one()
        assert removed["name"] == "Floor"


def test_an_empty_site_goes_with_what_was_granted_but_not_under_a_credential(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor, estate: Estate
) -> None:
    """A gateway that still pushes somewhere is stopped on purpose, not by the way."""
    with opened.change(actor) as change:
        person, _ = people.add_user(change, "tenant@example.com")
        people.set_role(change, person, estate.acme, "end user")
        people.grant(change, person, estate.plant)
        issued = credentials.issue(
            change, key, Target(estate.acme, estate.plant), environment="development"
        )
        error = refused(removing.remove_site, change, estate.plant)
        assert error.code == "still_used"
    with opened.change(actor) as change:
        credentials.revoke(change, issued.credential.username)
        removing.remove_site(change, estate.plant)
    with opened.reading() as session:
        assert session.get(Site, estate.plant.id) is None
        assert not session.scalars(select(Grant)).all()
        kept = session.get(Credential, issued.credential.id)
        assert kept is not None, "the log keeps its number"
        assert kept.revoked_at_ms is not None


def test_an_organisation_without_sites_can_go(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor, estate: Estate
) -> None:
    """A customer that was created by mistake leaves nothing behind but its history."""
    with opened.change(actor) as change:
        wrong = registry.add_organisation(change, "Wrong", country="IE")
        person, _ = people.add_user(change, "w@example.com")
        people.set_role(change, person, wrong, "administrator")
        credentials.issue(change, key, Target(wrong), environment="development")
    with opened.change(actor) as change:
        removing.remove_organisation(change, wrong)
    with opened.reading() as session:
        assert session.get(Organisation, wrong.id) is None
        assert [o.name for o in registry.organisations(session)] == ["Acme"]


def test_a_moved_data_point_keeps_its_stream_and_takes_the_new_sites_clock(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """The gateway notices nothing; the figures are computed on the new site's local days."""
    with opened.change(actor) as change:
        fed = data_points.register(change, estate.office, "Lamp", POWER, parent=estate.point)
        there = registry.add_meter(change, estate.plant, "Hall")
        reshaping.move_data_point(change, estate.point, there, None, None)
    directory = catalog.directory.load(opened, "development")
    moved = directory.by_id(estate.point.id)
    assert moved is not None
    assert (moved.zone, moved.stream_id, moved.series) == (
        "Europe/Berlin", estate.point.stream_id, estate.point.series,
    )  # fmt: skip
    with opened.reading() as session:
        left = session.get(DataPoint, fed.id)
        assert left is not None
        assert left.parent_id is None, "nothing on another site feeds it"


def test_a_data_point_moves_only_where_it_can_be(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Not to another company, not onto an appliance of another meter, not below itself."""
    with opened.change(actor) as change:
        beta = registry.add_organisation(change, "Beta", country="DE")
        werk = registry.add_site(change, beta, "Werk", zone="Europe/Berlin")
        theirs = registry.add_meter(change, werk, "Haupt")
        fed = data_points.register(change, estate.office, "Lamp", POWER, parent=estate.point)
        abroad = data_points.register(change, estate.plant, "Press", POWER)
        point, main = estate.point, estate.main
        for meter, appliance, parent, code in (
            (theirs, None, None, "other_organisation"),
            (main, estate.light, None, "other_meter"),
            (main, None, fed, "feeds_itself"),
            (main, None, point, "feeds_itself"),
            (main, None, abroad, "other_site"),
        ):
            error = refused(reshaping.move_data_point, change, point, meter, appliance, parent)
            assert error.code == code


def test_what_feeds_a_data_point_changes_from_a_date_on_and_goes_on_a_move(
    opened: catalog.Catalog, actor: catalog.Actor, estate: Estate
) -> None:
    """Rewired on the first of the month; moved to another site, nothing of the old one is left."""
    with opened.change(actor) as change:
        point = change.session.get_one(DataPoint, estate.point.id)
        now_ms = change.now_ms
        supply = data_points.register(change, estate.office, "Supply", POWER)
        below = data_points.register(change, estate.office, "Lamp", POWER, parent=point)
        at_ms = now_ms - 30 * 86_400_000
        place = (point, estate.floor, estate.light)
        reshaping.move_data_point(change, *place, supply, at_ms, comment="new feed")
        assert point.parent_id == supply.id
        ring = refused(reshaping.move_data_point, change, supply, estate.main, None, below)
        assert (ring.code, ring.data["field"]) == ("feeds_itself", "parent")
        reshaping.move_data_point(change, supply, estate.main, None, None)
    with opened.change(actor) as change:
        supply, below = (change.session.get_one(DataPoint, one.id) for one in (supply, below))
        before = refused(
            reshaping.move_data_point, change, supply, estate.main, None, below, at_ms - 1
        )
        assert before.code == "feeds_itself", "it would, from that date on"
    with opened.change(actor) as change:
        point, below = (change.session.get_one(DataPoint, one.id) for one in (point, below))
        reshaping.move_data_point(change, below, estate.floor, None, supply, now_ms)
        dated = refused(
            reshaping.move_data_point, change, point, _plant_meter(change, estate), None, None, 1
        )
        assert (dated.code, dated.data["field"]) == ("moves_for_all_time", "from")
    with opened.change(actor) as change:
        point, below = (change.session.get_one(DataPoint, one.id) for one in (point, below))
        reshaping.move_data_point(change, point, _plant_meter(change, estate), None, None)
        stories = [
            [(at, some["parent_id"]) for at, some in point_settings.settings_by_period(s, row)]
            for s, row in ((change.session, point), (change.session, below))
        ]
        assert stories == [[(None, None)], [(None, None), (now_ms, supply.id)]]
        for row in (point, below):
            data_points.change_settings(change, row.id, row.name, replace(POWER, interval_s=600))


def _plant_meter(change: Change, estate: Estate) -> Meter:
    return registry.add_meter(change, estate.plant, "Moved here")
