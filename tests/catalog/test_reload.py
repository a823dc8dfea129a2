"""A change of one data point costs the memory of one, however many there are."""

from __future__ import annotations

from kilowatch import catalog
from kilowatch.catalog import data_points, registry, reshaping
from kilowatch.catalog.directory import load
from kilowatch.catalog.reshaping import SiteDraft
from kilowatch.catalog.settings_check import Settings

GAS = Settings("single", "gas", 300)


def test_data_points_that_did_not_change_are_taken_over(
    opened: catalog.Catalog, actor: catalog.Actor
) -> None:
    """A hundred thousand meters are not held twice in memory because one was renamed."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, acme, "Office", zone="Europe/Dublin")
        points = [data_points.register(change, site, f"Gas {n}", GAS) for n in range(5)]
    before = load(opened, "development")
    with opened.change(actor) as change:
        data_points.change_settings(change, points[0].id, "Kitchen", GAS)
        data_points.register(change, site, "New", GAS)
    after = load(opened, "development", before)
    assert {point.name for point in after.points.values()} == {
        "Kitchen", "Gas 1", "Gas 2", "Gas 3", "Gas 4", "New",
    }  # fmt: skip
    same = [series for series, point in after.points.items() if before.points.get(series) is point]
    assert same == [point.series for point in points[1:]]
    assert after.by_id(points[1].id) is before.by_id(points[1].id)


def test_a_site_in_another_zone_changes_all_of_its_data_points(
    opened: catalog.Catalog, actor: catalog.Actor
) -> None:
    """What is taken over is compared in full: local days must not stay where they were."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, acme, "Office", zone="Europe/Dublin")
        point = data_points.register(change, site, "Gas", GAS)
    before = load(opened, "development")
    with opened.change(actor) as change:
        reshaping.change_site(change, site, SiteDraft("Office", "Europe/Berlin", "DE"))
    after = load(opened, "development", before)
    assert (before.points[point.series].zone, after.points[point.series].zone) == (
        "Europe/Dublin", "Europe/Berlin",
    )  # fmt: skip
