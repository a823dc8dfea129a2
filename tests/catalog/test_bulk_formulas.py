"""Formulas in the table of data points: taken to another organisation, and wrong ones told."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from kilowatch import catalog
from kilowatch.catalog import (
    bulk,
    bulk_apply,
    bulk_plan,
    data_points,
    formula_use,
    formulas,
    registry,
    undoing,
)
from kilowatch.catalog.bulk import Plan
from kilowatch.catalog.formulas import Wish
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import AuditEntry, DataPoint, Organisation, Site
from kilowatch.model.errors import KilowatchError

MAY_MS, JUNE_MS = 1_777_593_600_000, 1_780_272_000_000
HEAD = "stream_id,name,site,utility,unit,interval,formula\n"


class Desk:
    """Acme with meters and formulas, and Copy with the same sites and nothing in them."""

    def __init__(self, opened: catalog.Catalog, actor: catalog.Actor) -> None:
        self.opened, self.actor = opened, actor
        with opened.change(actor) as change:
            for name in ("Acme", "Copy"):
                owner = registry.add_organisation(change, name, country="IE")
                for site in ("Office", "Plant"):
                    registry.add_site(change, owner, site, zone="Europe/Dublin")
            acme = self.organisation(change)
            office, plant = registry.sites(change.session, acme.id)
            power, heat = (
                Settings("electrical", "electricity", 300),
                Settings("single", "heat", 900),
            )
            data_points.register(change, office, "Main", power, stream_id="main")
            data_points.register(change, plant, "Main", power, stream_id="plant-main")
            data_points.register(change, plant, "Heat; [boiler]", heat, stream_id="heat")
            self.formula(change, office, "All", "[Office / Main].energy + [Plant / Main].energy")
            self.formula(change, office, "Share", "-100 % * [All] / [Plant / Main].energy", 3600)
            self.formula(change, plant, "Warm", "2 * [Heat; [boiler]]]")
            names = formulas.names_of(change.session, acme.id)
            number = change.session.scalars(select(DataPoint).filter_by(name="Warm")).one().id
            for text, at_ms in (("3 * [Heat; [boiler]]]", MAY_MS), ("[Heat; [boiler]]]", JUNE_MS)):
                formulas.change(change, number, "Warm", Wish(text), names, from_ms=at_ms)

    @staticmethod
    def organisation(change: catalog.Change, name: str = "Acme") -> Organisation:
        """Return an organisation."""
        return registry.find_organisation(change.session, name)

    @staticmethod
    def formula(
        change: catalog.Change, site: Site, name: str, text: str, interval_s: int | None = None
    ) -> None:
        """Register a formula."""
        names = formulas.names_of(change.session, site.organisation_id)
        formulas.create(change, site, name, Wish(text, interval_s), names, stream_id=name.lower())

    def export(self, name: str = "Acme", separator: str = ",") -> bytes:
        """Return every data point of an organisation."""
        with self.opened.change(self.actor) as change:
            return bulk.export(change.session, self.organisation(change, name).id, separator)

    def plan(self, text: str | bytes, name: str = "Acme") -> Plan:
        """Return what a file would do."""
        sheet = bulk.read(text.encode() if isinstance(text, str) else text)
        with self.opened.change(self.actor) as change:
            owner = self.organisation(change, name).id
            return bulk_plan.plan(change.session, owner, sheet, self.opened.clock())

    def apply(self, text: str | bytes, name: str = "Acme") -> None:
        """Look at a file, then apply it."""
        content = text.encode() if isinstance(text, str) else text
        digest = self.plan(content, name).digest
        with self.opened.change(self.actor) as change:
            owner = self.organisation(change, name).id
            bulk_apply.apply(change, owner, bulk.read(content), digest)

    def told(self, name: str) -> dict[str, tuple[object, ...]]:
        """Return an organisation's formulas with names, and what follows from them."""
        with self.opened.change(self.actor) as change:
            session, owner = change.session, self.organisation(change, name).id
            names = formulas.names_of(session, owner)
            found: dict[str, tuple[object, ...]] = {}
            for number, some in formula_use.formulas_of(session, owner).items():
                row = session.get_one(DataPoint, number)
                texts = tuple((at, names.with_names(text)) for at, text in some)
                found[row.stream_id] = (
                    texts, row.unit, row.behaviour, row.interval_s, row.utility, row.name,
                )  # fmt: skip
            return found

    def problems(self, text: str) -> str:
        """Return why lines are refused."""
        return "; ".join(
            f"{one.line} {p.column}: {p.text}"
            for one in self.plan(text).lines
            for p in one.problems
        )


@pytest.fixture
def desk(opened: catalog.Catalog, actor: catalog.Actor) -> Desk:
    """Return a desk."""
    return Desk(opened, actor)


@pytest.mark.parametrize("separator", [",", ";"])
def test_an_export_makes_the_same_formulas_in_another_organisation(
    desk: Desk, separator: str
) -> None:
    """Meters and what is computed from them, with what held when, in one file."""
    table = desk.export(separator=separator)
    assert desk.plan(table).counts == {"create": 0, "change": 0, "same": 6, "refuse": 0}
    desk.apply(table, "Copy")
    told = desk.told("Acme")
    assert desk.told("Copy") == told
    assert [text for _, text in told["warm"][0]] == [  # type: ignore[attr-defined]
        "2 * [Heat; [boiler]]]", "3 * [Heat; [boiler]]]", "[Heat; [boiler]]]",
    ]  # fmt: skip
    assert desk.plan(table, "Copy").counts["same"] == 6
    turned = table.decode("utf-8-sig").splitlines()
    both = "\r\n".join([turned[0], *reversed(turned[1:4])])
    assert desk.plan(both).counts["refuse"] == 0, "an order of lines means nothing"


def test_a_line_changes_a_formula_and_what_is_made_of_it_follows(desk: Desk) -> None:
    """The plan shows the text before and after; the history has it, and undoes it."""
    changed = HEAD + (
        "all,All,Office,,,,[Office / Main].energy\n"
        'warm,Warm,Plant,,,,"[Heat; [boiler]]]\nfrom 2026-06-01: 5 * [Heat; [boiler]]]"\n'
        ",Per area,Office,,,1h,[All] / 100 m2\n"
        ",Fresh meter,Plant,heat,kWh,15m,\n"
        ",Twice,Plant,,,,2 * [Fresh meter]\n"
    )
    plan = desk.plan(changed)
    assert not plan.refused, desk.problems(changed)
    assert plan.lines[0].differences == {
        "formula": ("[Office / Main].energy + [Plant / Main].energy", "[Office / Main].energy")
    }
    desk.apply(changed)
    told = {name: [text for _, text in one[0]] for name, one in desk.told("Acme").items()}  # type: ignore[attr-defined]
    assert told["all"] == ["[Office / Main].energy"]
    assert told["warm"] == ["[Heat; [boiler]]]", "5 * [Heat; [boiler]]]"]
    units = {one[5]: one[1:4] for one in desk.told("Acme").values()}
    assert units["Per area"] == ("kWh/m2", "amount", 3600)
    assert units["Twice"] == ("kWh", "amount", 900)
    with desk.opened.reading() as session:
        entries = session.scalars(select(AuditEntry).filter_by(action="changed", subject="formula"))
        assert all(undoing.why_not(session, one) == "" for one in entries)


def test_lines_that_make_no_sense_say_where_and_why(desk: Desk) -> None:
    """A person sees every one of them at once, at its line and column; nothing is changed."""
    lines = (
        ("main,Main,Office,,,,[Plant / Main].energy", "formula: Main receives packets"),
        (",A,Office,,,,[Main].energy", "formula: 2 data points are called 'Main'. Write which one"),
        (",B,Office,,,,[Nobody].energy", "formula: There is no data point 'Nobody'"),
        (",C,Office,,m3,,[All] * 2", "unit: The formula gives kWh, and not m3."),
        (",D,Office,,,1m,[All] * 2", "interval: All has a figure every 5 min"),
        (",E,Office,,,,[F] * 2", "formula: It would be computed from itself"),
        (",F,Office,,,,[E] * 2", "formula: It would be computed from itself"),
        (",G,Nowhere,,,,[All] * 2", "site: There is no site named 'Nowhere'"),
        (",H,Office,,,,[G] * 2", "formula: There is no data point 'G'"),
        (",I,Office,wind,,,[All] * 2", "utility:"),
        (",J,Office,,,,[I] * 2", "formula: It is made of I, which is refused (line 11)"),
        (',K,Office,,,,"[All]\nfrom tomorrow: [All]"', "formula: 'tomorrow' is not a date."),
        (',L,Office,,,,"from 2026-01-01: [All]"', "formula: It does not say what holds before"),
        (',M,Office,,,,"[All]\nfrom 2026-01-01: [All] / 1 h"', "formula: Over time it would give"),
        (',N,Office,,,,"[All]\nfrom 2100-01-01: 2 * [All]"', "formula: A setting cannot change"),
        (',O,Office,,,,"[All]\nfrom 2026-02-01: 2 * [All]\nfrom 2026-01-01: [All]"',
         "formula: Its dates do not rise."),
        (",P,Office,,,,[All] +", "formula:"),
    )  # fmt: skip
    found = desk.problems(HEAD + "\n".join(line for line, _ in lines))
    for line, why in lines:
        assert why in found, line
    with pytest.raises(KilowatchError, match="Lines that are wrong: 17"):
        desk.apply(HEAD + "\n".join(line for line, _ in lines))
    factors = "name,site,formula,ct_ratio,tolerance\nQ,Office,[All] * 2,40,\nR,Office,[All] * 2,,5m"
    assert "ct_ratio: A formula has no ct ratio" in desk.problems(factors)
    assert "tolerance: A formula has no tolerance" in desk.problems(factors)


def test_a_meter_that_formulas_need_is_not_turned_into_something_else(desk: Desk) -> None:
    """Also by a table: heat in m³ can't be taken thrice as kWh; with its formula it can."""
    heat = "heat,Heat; [boiler],Plant,heat,m3,15m,\n"
    found = desk.problems(HEAD + heat)
    assert "unit: Heat; [boiler] is used by the formula Warm" in found
    assert "it would give m3" in found
    both = HEAD + heat + "warm,Warm,Plant,,,,[Heat; [boiler]]] * 4\n"
    assert desk.problems(both) == ""
    desk.apply(both)
    assert desk.told("Acme")["warm"][1:3] == ("m3", "amount")
