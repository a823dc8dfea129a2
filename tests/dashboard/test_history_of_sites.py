"""The history tells prices, calendars, hours and verdicts in sentences, and takes them back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import pytest

from kilowatch.catalog import Actor, prices, site_calendar, site_terms, verdicts
from kilowatch.catalog.prices import CarbonDraft, PriceDraft
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.catalog.verdicts import About
from kilowatch.model.insight import EventKind, Verdict
from kilowatch.model.opening import week_of_text
from tests.dashboard.access_world import Matrix
from tests.dashboard.estate_desk import Desk, matrix  # noqa: F401 - a fixture


@pytest.fixture
def desk(matrix: Matrix) -> Iterator[Desk]:  # noqa: F811 - the fixture
    """Return Acme's administrator at their desk; everything is put back afterwards."""
    yield Desk(matrix, "administrator")
    matrix.restore()


def test_each_change_is_a_sentence_with_a_button_that_takes_it_back(desk: Desk) -> None:
    """A price with its amount, days with their name, hours as people write them."""
    with desk.world.catalog.change(Actor("ann@example.com")) as change:
        whole = change.session.get_one(Organisation, desk.acme)
        site = change.session.get_one(Site, desk.office)
        draft = PriceDraft("electricity", 0.264, "Contract", date(2026, 1, 1))
        prices.set_price(change, whole, draft)
        gas = prices.set_price(change, whole, PriceDraft("gas", 0.9, "x", None, "m3"), site=site)
        prices.set_carbon(change, whole, CarbonDraft("gas", 0.2, "SEAI", "average"))
        site_calendar.add_days(change, site, "Closure", date(2026, 12, 24), opened=False)
        site_calendar.set_opening(change, site, week_of_text("Mon-Fri 07-19"), None)
        site_terms.set_attention(change, site, 5)
        about = About("e", desk.world.point("main").id, EventKind.WEEKEND, 1, 2)
        said = verdicts.give(change, about, Verdict.FAULT)
    with desk.world.catalog.change(Actor("ann@example.com")) as change:
        gas = prices.find_price(change.session, desk.acme, gas.id)
        site = change.session.get_one(Site, desk.office)
        whole = change.session.get_one(Organisation, desk.acme)
        prices.set_price(
            change, whole, PriceDraft("gas", 0.94, "x", None, "m3"), site=site, wrong=gas
        )
        site_terms.set_attention(change, site, 2)
        verdicts.take_back(change, said.id)
    home = f"/organization/{desk.acme}/history"
    page = desk.get(home)
    for sentence in (
        "set the price of Electricity at every site: 0.264/kWh from 2026-01-01 (Contract)",
        "corrected the price of Gas at Office Dublin: 0.94/m³ always (x)",
        "set the CO₂ factor of Gas at every site: 0.2 kg/kWh always (SEAI)",
        "added Closure to the calendar of Office Dublin: 2026-12-24 (Closed)",
        "set the opening hours of Office Dublin: Mon-Fri 07-19 always",
        "changed the findings told in a week of Office Dublin from 5 to 2",
        "said of an event at Main supply: a fault",
        "took back what was said of an event at Main supply: a fault",
    ):
        assert sentence in page, sentence
    found = re.search(r'findings told in a week.*?action="([^"]+/undo)"', page, re.DOTALL)
    assert found
    assert desk.post(found[1])
    with desk.world.catalog.reading() as session:
        terms = site_terms.terms(session, desk.office)
        assert terms is not None
        assert terms.attention_per_week == 5
