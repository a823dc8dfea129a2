"""The tree of a large estate: near branches are drawn, far ones are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kilowatch.catalog.tree import Leaf, MeterNode, OrganisationNode, SiteNode
from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.dashboard.treeview import Branching, branches
from kilowatch.model.points import DataPoint
from tests.dashboard.fakes import Last

SITES, ON_A_SITE = 20, 10
NOW_MS = 1_000_000_000
SETTINGS = DashboardSettings(environment="development", server_key=b"", push_url="")


@dataclass
class Estate:
    """Two hundred data points, every third of them late."""

    drawn: list[int] = field(default_factory=list)

    def by_id(self, number: int) -> DataPoint | None:
        """Return a data point."""
        return DataPoint(
            id=number, series=number, stream_id=f"s-{number}", name=f"P {number}",
            organisation_id=1, site_id=number // ON_A_SITE, zone="UTC", kind="single",
            utility="gas", unit="m3", interval_s=300, tolerance_s=150.0, behaviour="register",
        )  # fmt: skip

    @property
    def streams(self) -> Estate:
        """Return what looks data points up."""
        return self

    def organisations(self) -> list[OrganisationNode]:
        """Return the whole tree."""
        sites = []
        for site in range(SITES):
            numbers = range(site * ON_A_SITE, (site + 1) * ON_A_SITE)
            leaves = [Leaf(n, f"s-{n}", f"P {n}", "gas", "m3", None) for n in numbers]
            meters = [MeterNode(leaf.id, leaf.name, None, [leaf]) for leaf in leaves]
            sites.append(SiteNode(site, f"Site {site}", "UTC", meters))
        return [OrganisationNode(1, "Estate", live=False, demo=False, sites=sites)]

    def seen_ms(self, series: int) -> int:
        """Return when a stream said something last."""
        return NOW_MS - (3_600_000 if series % 3 == 0 else 0)

    def last_seen(self, series: Sequence[int]) -> dict[int, int]:
        """Return when streams said something last."""
        return {one: self.seen_ms(one) for one in series}

    def contact(self, _point: DataPoint) -> None:
        """Return nothing: nobody listens for silences."""

    def silent_now(self) -> None:
        """Likewise."""

    def last_of(self, points: Sequence[DataPoint]) -> dict[int, Any]:
        """Return last values, and note for whom."""
        self.drawn += [point.series for point in points]
        return {p.series: Last(self.seen_ms(p.series), 0, 1.0, "m3") for p in points}

    def tree(self, **wanted: str) -> list[dict[str, Any]]:
        """Return the tree as it is drawn."""
        judge = Judge(self, SETTINGS, NOW_MS)  # type: ignore[arg-type]
        branching = Branching(**wanted)
        return branches(self.organisations(), self, self.last_of, judge, branching)  # type: ignore[arg-type]


def test_far_sites_are_counted_and_only_the_near_one_is_drawn() -> None:
    """Ten thousand last values are not put into words for a tree that shows fifty of them."""
    estate = Estate()
    (organisation,) = estate.tree(current="point-57")
    near = organisation["children"][5]
    assert near["open"]
    assert not near["lazy"]
    assert [leaf["id"] for leaf in near["children"] if leaf["current"]] == [57]
    assert sorted(estate.drawn) == list(range(50, 60))
    for number, site in enumerate(organisation["children"]):
        late = sum(n % 3 == 0 for n in range(number * ON_A_SITE, (number + 1) * ON_A_SITE))
        assert site["late"] == late
        assert site["lazy"] == (number != 5)


def test_what_is_counted_late_is_drawn_late() -> None:
    """The number beside a closed site is what somebody sees who opens it."""
    estate = Estate()
    (organisation,) = estate.tree()
    for number, site in enumerate(organisation["children"]):
        inside = Estate().tree(branch=f"site-{number}")
        assert sum(leaf["state"] == "late" for leaf in inside) == site["late"]
        assert len(inside) == ON_A_SITE


def test_an_opened_branch_looks_at_no_other_site() -> None:
    """Opening one site of a hundred costs what that site costs."""
    estate = Estate()
    estate.tree(branch="site-7")
    assert sorted(estate.drawn) == list(range(70, 80))
    assert estate.tree(branch="site-99") == []


def test_a_site_keeps_the_settings_of_its_data_points_until_they_change() -> None:
    """Ten thousand are not looked up anew for each page; other settings are another snapshot."""
    estate: Any = Estate()
    site = estate.organisations()[0].sites[0]
    kept = site.points(estate)
    assert [point.id for point in kept] == list(range(ON_A_SITE))
    assert site.points(estate) is kept
    later: Any = Estate()
    assert site.points(later) is not kept
    assert site.points(later) == kept
