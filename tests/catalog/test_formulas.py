"""Formulas in the registry: names become numbers, circles are refused, inputs are looked after."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from kilowatch import catalog
from kilowatch.catalog import (
    bulk,
    corrections,
    data_points,
    formula_use,
    formulas,
    registry,
    undoing,
)
from kilowatch.catalog.changes import Change
from kilowatch.catalog.corrections_check import Draft
from kilowatch.catalog.directory import load
from kilowatch.catalog.formulas import Wish
from kilowatch.catalog.rights import Person
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import AuditEntry, DataPoint, Site
from kilowatch.model.dated import ALWAYS_MS
from kilowatch.model.editing import Rules
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import points_in


@pytest.fixture
def site_id(opened: catalog.Catalog, actor: catalog.Actor) -> int:
    """Return a site with a main meter and a heat meter, beside another organisation's."""
    with opened.change(actor) as change:
        for name in ("Acme", "Bravo"):
            owner = registry.add_organisation(change, name, country="IE")
            site = registry.add_site(change, owner, f"{name} office", zone="Europe/Dublin")
            meter = Settings(kind="electrical", utility="electricity", interval_s=300)
            heat = Settings(kind="single", utility="heat", interval_s=900)
            data_points.register(change, site, f"{name} main", meter)
            data_points.register(change, site, f"{name} heat", heat)
        found = change.session.scalars(select(Site).order_by(Site.id)).first()
        assert found is not None
        return found.id


@pytest.fixture
def change(opened: catalog.Catalog, actor: catalog.Actor, site_id: int) -> Iterator[Change]:
    """Return an open change."""
    assert site_id
    with opened.change(actor) as one:
        yield one


def make(change: Change, name: str, text: str, interval_s: int | None = None) -> DataPoint:
    """Register a formula at the first site."""
    site = change.session.scalars(select(Site).order_by(Site.id)).first()
    assert site is not None
    names = formulas.names_of(change.session, site.organisation_id)
    return formulas.create(change, site, name, Wish(text, interval_s), names)


def refused(change: Change, name: str, text: str, interval_s: int | None = None) -> KilowatchError:
    """Return why a formula is refused."""
    with pytest.raises(KilowatchError) as error:
        make(change, name, text, interval_s)
    return error.value


def point(change: Change, name: str) -> DataPoint:
    """Return a data point by name."""
    return change.session.scalars(select(DataPoint).where(DataPoint.name == name)).one()


def rename(change: Change, one: DataPoint, text: str, name: str = "") -> None:
    """Give a formula another text."""
    names = formulas.names_of(change.session, one.organisation_id)
    formulas.change(change, one.id, name or one.name, Wish(text), names)


def test_a_formula_is_registered_with_what_follows_from_it(
    opened: catalog.Catalog, actor: catalog.Actor, site_id: int
) -> None:
    """Unit, behaviour, interval and utility follow; the pipeline sees numbers, people see names."""
    with opened.change(actor) as change:
        one = make(change, "All", "[Acme main].energy + [Acme heat]")
        per_area = make(change, "Per area", "[acme main].energy / 1200 m2", 3600)
        shown = [(p.unit, p.behaviour, p.interval_s, p.utility) for p in (one, per_area)]
    assert shown == [
        ("kWh", "amount", 900, "other"), ("kWh/m2", "amount", 3600, "other"),
    ]  # fmt: skip
    directory = load(opened, "development")
    found = directory.by_id(one.id)
    assert found is not None
    main, heat = (next(p for p in directory.points.values() if p.name == f"Acme {n}")
                  for n in ("main", "heat"))  # fmt: skip
    assert found.formula == f"#{main.id}.energy + #{heat.id}"
    assert points_in(found.formula) == (main.id, heat.id)
    with opened.change(actor) as change:
        settings = Settings(kind="single", utility="heat", interval_s=900, unit="kWh")
        data_points.change_settings(change, heat.id, "Boiler house", settings)
        names = formulas.names_of(change.session, one.organisation_id)
        assert names.with_names(found.formula) == "[Acme main].energy + [Boiler house]"
    again = load(opened, "development", directory)
    assert again.by_id(one.id) is found, "renaming an input changes nothing of the formula"
    assert site_id


def test_nobody_can_name_what_belongs_to_another_organisation(change: Change) -> None:
    """Neither by name nor by number: to a formula it is not there."""
    theirs = point(change, "Bravo heat")
    assert "There is no data point 'Bravo heat'" in str(refused(change, "A", "[Bravo heat] * 2"))
    assert refused(change, "A", f"#{theirs.id} * 2").code == "formula_name"


def test_circles_are_refused_also_by_way_of_others(change: Change) -> None:
    """A is made of B, B of C: C of A would never end."""
    one = make(change, "One", "[Acme heat] * 2")
    make(change, "Two", "[One] * 2")
    make(change, "Three", "[Two] + [Acme heat]")
    for text in ("[One] * 2", "[Two] * 2", "[Three] - [Acme heat]"):
        with pytest.raises(KilowatchError) as error:
            rename(change, one, text)
        assert error.value.code == "formula_circle"
    for number in range(4, 11):
        make(change, f"N{number}", f"[{'Three' if number == 4 else f'N{number - 1}'}] * 2")
    assert refused(change, "N11", "[N10] * 2").code == "formula_chain"


def test_two_who_close_a_circle_at_once_do_not(
    opened: catalog.Catalog, actor: catalog.Actor, site_id: int
) -> None:
    """One of them waits, and is refused then."""
    with opened.change(actor) as change:
        make(change, "One", "[Acme heat] * 2")
        make(change, "Two", "[Acme heat] * 3")
    refusals: list[str] = []

    def turn(mine: str, other: str) -> None:
        try:
            with opened.change(actor) as change:
                rename(change, point(change, mine), f"[{other}] * 2")
        except KilowatchError as error:
            refusals.append(error.code)

    pairs = (("One", "Two"), ("Two", "One"))
    threads = [threading.Thread(target=turn, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refusals == ["formula_circle"]
    assert site_id


def test_an_input_can_not_become_what_its_formulas_can_not_use(change: Change) -> None:
    """A heat meter that turns into a thermometer is refused, with the names of who needs it."""
    one = make(change, "One", "[Acme heat] + [Acme main].energy")
    heat = point(change, "Acme heat")
    hot = Settings(kind="single", utility="heat", interval_s=900, unit="°C", behaviour="gauge")
    with pytest.raises(KilowatchError) as error:
        data_points.change_settings(change, heat.id, "Acme heat", hot)
    assert error.value.code == "used_by_formulas"
    assert "Acme heat is used by One, which" in error.value.detail
    assert one.name == "One"


def test_an_input_can_not_become_slower_than_its_formulas(change: Change) -> None:
    """A formula of quarters of an hour has no figure for them once its meter has hours."""
    make(change, "One", "[Acme heat] + [Acme main].energy")
    slow = Settings(kind="single", utility="heat", interval_s=3600, unit="kWh")
    with pytest.raises(KilowatchError, match="intervals would be shorter"):
        data_points.change_settings(change, point(change, "Acme heat").id, "Acme heat", slow)


def test_what_is_computed_is_corrected_where_it_comes_from(change: Change) -> None:
    """A formula has no settings, rules and corrections of its own; a comment it may have."""
    one = make(change, "One", "[Acme heat] * 2")
    plain = Settings(kind="single", utility="heat", interval_s=900, unit="kWh")
    draft = Draft("edit", 1_795_000_000_000, 1_795_000_900_000, value=1.0)
    for act in (
        lambda: data_points.change_settings(change, one.id, "One", plain),
        lambda: corrections.add(change, one.id, draft),
        lambda: corrections.set_rules(change, one.id, Rules()),
    ):
        with pytest.raises(KilowatchError) as error:
            act()
        assert error.value.code == "computed"
    assert refused(change, "Fast", "[Acme heat] * 2", 300).data["field"] == "interval"
    table = bulk.export(change.session, one.organisation_id).decode()
    assert f",{one.stream_id}," not in table
    assert table.splitlines()[-1].endswith(",[Acme heat] * 2"), "a table says what is computed"
    users = formula_use.users_of(change.session, point(change, "Acme heat").id, one.organisation_id)
    assert [user.name for user in users] == ["One"]


def test_a_change_is_in_the_history_and_can_be_taken_back(
    opened: catalog.Catalog, actor: catalog.Actor, site_id: int
) -> None:
    """Undoing brings the text back, and with it unit and interval."""
    with opened.change(actor) as change:
        one = make(change, "One", "[Acme heat] * 2")
        number, kept = one.id, formula_use.formula_of(change.session, one.id).text  # type: ignore[union-attr]
    with opened.change(actor) as change:
        rename(change, point(change, "One"), "[Acme heat] / 100 m2", "Heat by area")
    with opened.change(actor) as change:
        entry = change.session.scalars(
            select(AuditEntry).where(AuditEntry.subject == "formula").order_by(AuditEntry.id.desc())
        ).first()
        assert entry is not None
        assert entry.action == "changed"
        assert undoing.why_not(change.session, entry) == ""
        undoing.take_back(change, Person(1, "a@b.ie", "A"), entry)
    with opened.reading() as session:
        row = session.get_one(DataPoint, number)
        found = formula_use.formula_of(session, number)
        assert found is not None
        assert (found.text, row.unit, row.name) == (kept, "kWh", "Heat by area")
    assert site_id


MAY_MS, JUNE_MS = 1_777_593_600_000, 1_780_272_000_000


def change_from(change: Change, one: DataPoint, text: str, from_ms: int) -> None:
    """Give a formula another text from an instant on."""
    names = formulas.names_of(change.session, one.organisation_id)
    formulas.change(change, one.id, one.name, Wish(text), names, from_ms=from_ms)


def test_a_formula_changes_from_a_date_on_and_the_pipeline_is_told_when(
    opened: catalog.Catalog, actor: catalog.Actor, site_id: int
) -> None:
    """Since May the annexe counts too, since June it does not: each day has its own formula."""
    assert site_id
    with opened.change(actor) as change:
        one, heat = make(change, "One", "[Acme heat] * 2"), point(change, "Acme heat")
        change_from(change, one, "[Acme heat] * 3", JUNE_MS)
        change_from(change, one, "[Acme heat] * 4", MAY_MS)
        change_from(change, one, "[Acme heat] * 4", MAY_MS)
    story = (
        (ALWAYS_MS, f"#{heat.id} * 2"),
        (MAY_MS, f"#{heat.id} * 4"),
        (JUNE_MS, f"#{heat.id} * 3"),
    )
    directory = load(opened, "development")
    found = directory.by_id(one.id)
    assert found is not None
    assert (found.formulas, found.formula) == (story, f"#{heat.id} * 3")
    with opened.change(actor) as change:
        first, _ = formula_use.periods_of(change.session, one.id)
        formulas.take_back(change, one.id, first.id)
    again = load(opened, "development", directory).by_id(one.id)
    assert again is not None
    assert again.formulas == (story[0], story[2])
    with opened.change(actor) as change:
        rename(change, point(change, "One"), "[Acme heat] * 5")
        assert not formula_use.periods_of(change.session, one.id), "for all time drops dates"
    final = load(opened, "development").by_id(one.id)
    assert final is not None
    assert final.formulas == ((ALWAYS_MS, f"#{heat.id} * 5"),)


def test_what_follows_a_formula_must_measure_the_same(change: Change) -> None:
    """Energy, and from May on energy by area: that is another data point, and so says the page."""
    one = make(change, "One", "[Acme heat] * 2")
    share = make(change, "Share", "[Acme heat] / [Acme main].energy")
    now_ms = change.now_ms
    for point_, text, from_ms, code in (
        (one, "[Acme heat] / 100 m2", MAY_MS, "formula_changes_kind"),
        (one, "[Acme heat] / 1 h", MAY_MS, "formula_changes_kind"),
        (share, "if [Acme heat] > 1 kWh then 1 else 0", MAY_MS, "formula_changes_kind"),
        (one, "[Acme heat]", now_ms + 1, "future_date"),
        (one, "[Acme heat]", 1, "invalid_date"),
        (one, "[One] * 2", MAY_MS, "formula_circle"),
    ):
        with pytest.raises(KilowatchError) as error:
            change_from(change, point_, text, from_ms)
        assert error.value.code == code, text
    with pytest.raises(KilowatchError, match="no dated formula"):
        formulas.take_back(change, one.id, 99)


def test_an_earlier_formula_is_looked_after_too(change: Change) -> None:
    """What was computed from a meter until May still needs it: a circle, a unit, an interval."""
    one = make(change, "One", "[Acme heat] * 2")
    change_from(change, one, "[Acme main].energy", MAY_MS)
    two = make(change, "Two", "[One] * 2")
    heat = point(change, "Acme heat")
    assert [
        u.name for u in formula_use.users_of(change.session, heat.id, heat.organisation_id)
    ] == ["One"]
    cubic = Settings(kind="single", utility="heat", interval_s=900, unit="m3")
    with pytest.raises(KilowatchError, match="Acme heat is used by One"):
        data_points.change_settings(change, heat.id, "Acme heat", cubic)
    names = formulas.names_of(change.session, one.organisation_id)
    wish = Wish("[Acme main].energy * 2", 300)
    with pytest.raises(KilowatchError, match="Acme heat has a figure every 15 min"):
        formulas.change(change, one.id, "One", wish, names, from_ms=JUNE_MS)
    with pytest.raises(KilowatchError) as error:
        change_from(change, one, "[Two]", JUNE_MS)
    assert error.value.code == "formula_circle"
    assert two.name == "Two"
