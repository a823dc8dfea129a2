"""What people decide about findings and gaps stays, can be taken back, and is in the history."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from kilowatch import catalog
from kilowatch.catalog import data_points, judgements, registry
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import AuditEntry
from kilowatch.model.errors import KilowatchError

GAS = Settings("single", "gas", 300)


@pytest.fixture
def data_point_id(opened: catalog.Catalog, actor: catalog.Actor) -> int:
    """Register a data point."""
    with opened.change(actor) as change:
        organisation = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, organisation, "Office", zone="Europe/Dublin")
        return data_points.register(change, site, "Boiler", GAS).id


def test_a_dismissed_finding_stays_dismissed_until_it_says_something_else(
    opened: catalog.Catalog, actor: catalog.Actor, data_point_id: int
) -> None:
    """Twice is once; another mark is another finding; undo brings it back."""
    for _ in range(2):
        with opened.change(actor) as change:
            judgements.dismiss(change, data_point_id, "interval.longer", "900", "on purpose")
    with opened.reading() as session:
        assert judgements.dismissed(session) == {(data_point_id, "interval.longer", "900")}
    with opened.change(actor) as change:
        assert judgements.restore(change, data_point_id, "interval.longer", "900")
        assert not judgements.restore(change, data_point_id, "interval.longer", "3600")
    with opened.reading() as session:
        assert judgements.dismissed(session) == frozenset()
        told = [
            (entry.action, entry.actor)
            for entry in session.scalars(
                select(AuditEntry).where(AuditEntry.subject == "dismissed_finding")
            )
        ]
    assert told == [("created", actor.name), ("removed", actor.name)]


def test_an_accepted_gap_belongs_to_its_organisation(
    opened: catalog.Catalog, actor: catalog.Actor, data_point_id: int
) -> None:
    """Who accepted it, when and why is kept; nobody else's page shows it."""
    with opened.change(actor) as change:
        row = judgements.accept_gap(change, data_point_id, 1_000, 9_000, "power cut")
        again = judgements.accept_gap(change, data_point_id, 1_000, 9_000)
        assert again is row
        organisation_id = row.organisation_id
    with opened.reading() as session:
        mine = judgements.accepted_gaps(session, organisation_id)
        assert mine == {(data_point_id, 1_000, 9_000)}
        assert judgements.accepted_gaps(session, organisation_id + 1) == frozenset()
    with opened.change(actor) as change:
        assert judgements.reopen_gap(change, data_point_id, 1_000, 9_000)


def test_nothing_is_judged_that_is_not_there(
    opened: catalog.Catalog, actor: catalog.Actor, data_point_id: int
) -> None:
    """A data point that was never registered has no gaps."""
    with opened.change(actor) as change:
        with pytest.raises(KilowatchError, match="no such data point"):
            judgements.dismiss(change, data_point_id + 1, "interval.longer", "900")
        with pytest.raises(KilowatchError, match="ends after"):
            judgements.accept_gap(change, data_point_id, 9_000, 9_000)
