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


def test_nothing_is_judged_that_is_not_there(
    opened: catalog.Catalog, actor: catalog.Actor, data_point_id: int
) -> None:
    """A data point that was never registered has no findings."""
    with (
        opened.change(actor) as change,
        pytest.raises(KilowatchError, match="no such data point"),
    ):
        judgements.dismiss(change, data_point_id + 1, "interval.longer", "900")
