"""Sums of waste that are kept by day are those that its hours come to, whatever changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from kilowatch import catalog as catalogs
from kilowatch.catalog import data_points, feeders, prices, registry, tables, tables_sites, verdicts
from kilowatch.catalog.settings_check import Settings
from kilowatch.dashboard import waste_days
from kilowatch.dashboard.expected_waste import without_expected
from kilowatch.dashboard.insight_period import Stretch
from kilowatch.dashboard.registry import Registry
from kilowatch.dashboard.waste_days import Summed, WasteDays
from kilowatch.dashboard.waste_sums import KINDS, by_series, counted_once, wasted
from kilowatch.model.insight import EventKind, InsightEvent, Verdict, WasteChanges, WasteHours
from kilowatch.model.points import DataPoint
from kilowatch.model.verdicts import Lasts
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.records import Commit, Filed, WasteRow
from kilowatch.pipeline.insight.view import InsightView
from tests.pipeline.test_insight_settling import weekend

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
LAST = date(2026, 11, 8)  # the clocks went back on 25 October
POINTS = (
    ("main", "Dublin", "electricity"), ("hvac", "Dublin", "electricity"),
    ("light", "Dublin", "electricity"), ("gas", "Dublin", "gas"),
    ("hall", "Berlin", "electricity"), ("press", "Elsewhere", "electricity"),
)  # fmt: skip


def midnight_ms(day: date, zone: str) -> int:
    """Return a local midnight by the standard library alone."""
    return round(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) * 1000


@dataclass
class Estate:
    """Three sites of two organisations, an insights' file, and a way to ask both."""

    catalog: catalogs.Catalog
    registry: Registry
    file: InsightFile
    view: InsightView
    numbers: dict[str, int]
    days: WasteDays

    @property
    def points(self) -> dict[str, DataPoint]:
        """The data points by their short name, as the catalogue has them now."""
        directory = self.registry.directory(fresh=True)
        found = {name: directory.by_id(number) for name, number in self.numbers.items()}
        return {name: point for name, point in found.items() if point is not None}

    def write(self, name: str, day: date, seed: int) -> None:
        """Write the wasted hours of a data point's day, as the follower does."""
        self.file.commit(Commit(waste=[self.row(self.points[name], day, seed)]))

    def row(self, point: DataPoint, day: date, seed: int) -> WasteRow:
        """Return made-up wasted hours of a data point's day."""
        chance = np.random.default_rng(seed)
        start_ms = midnight_ms(day, point.zone)
        count = (midnight_ms(day + timedelta(1), point.zone) - start_ms) // HOUR_MS
        amounts = np.where(chance.random(count) < 0.6, chance.uniform(50, 900, count), 0.0)
        kinds = chance.choice([-1, KINDS.index(EventKind.WEEKEND), 14], count)
        return WasteRow(point.series, start_ms, amounts, kinds)

    def by_hours(self, points: list[DataPoint], days: Stretch) -> Summed:
        """Add up hour by hour, as a site's page and the file of hours do."""
        parts = [self.view.waste([p for p in points if p.zone == zone], *days.ms(zone))
                 for zone in sorted({p.zone for p in points})]  # fmt: skip
        every = WasteHours.concatenate(parts)
        hours, expected = without_expected(self.view, self.registry, points, every)
        once = counted_once(hours, points, self.registry.fed_by(points))
        found = wasted(once, points, self.registry.facts(), by_point=False)
        return Summed(found, expected, by_series(once))

    def check(self, *, names: str = "main hvac light gas hall", length: int = 30) -> Summed:
        """Compare what is kept with the hours, and return it."""
        known = self.points
        points = [known[name] for name in names.split()]
        days = Stretch(length, LAST, LAST, LAST)
        kept = self.days.of(self.view, self.registry, points, days)
        plain = self.by_hours(points, days)
        assert same(kept, plain)
        return kept


def same(one: Summed, other: Summed) -> bool:
    """Compare every figure; sums in another order may differ in the last of 15 digits."""
    close: Callable[..., bool] = lambda a, b: math.isclose(a, b, rel_tol=1e-12)  # noqa: E731
    mine, theirs = one.found, other.found
    assert (mine.hours, one.expected) == (theirs.hours, other.expected)
    assert mine.days.keys() == theirs.days.keys()
    assert all(close(mine.days[day], theirs.days[day]) for day in mine.days)
    np.testing.assert_allclose(mine.week, theirs.week, rtol=1e-12)
    assert list(one.by_series) == list(other.by_series)
    assert all(close(one.by_series[key], other.by_series[key]) for key in one.by_series)
    assert len(mine.portions) == len(theirs.portions)
    for a, b in zip(mine.portions, theirs.portions, strict=True):
        assert (a.point.id, a.kind, a.worth.price, a.worth.factor) == (
            b.point.id, b.kind, b.worth.price, b.worth.factor,
        )  # fmt: skip
        assert close(a.amount, b.amount)
        assert a.worth.money is None or close(a.worth.money, b.worth.money)
    return True


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    """Register three sites and write sixty days of waste."""
    catalog = catalogs.open(tmp_path / "catalog.sqlite")
    with catalog.change(catalogs.Actor("test")) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        other = registry.add_organisation(change, "Elsewhere", country="DE")
        sites = {
            "Dublin": registry.add_site(change, acme, "Dublin", zone="Europe/Dublin"),
            "Berlin": registry.add_site(change, acme, "Berlin", zone="Europe/Berlin"),
            "Elsewhere": registry.add_site(change, other, "Werk", zone="Europe/Berlin"),
        }
        numbers = {
            name: data_points.register(
                change, sites[site], name, Settings("single", utility, 3600),  # type: ignore[arg-type]
                stream_id=name,
            ).id
            for name, site, utility in POINTS
        }  # fmt: skip
        for name in ("hvac", "light"):
            row = change.session.get(tables.DataPoint, numbers[name])
            assert row is not None
            feeders.set_feeder(change, row, numbers["main"])
        prices.set_price(change, acme, prices.PriceDraft("electricity", 0.2, "contract"))
        carbon = prices.CarbonDraft("electricity", 0.25, "SEAI", "average")
        prices.set_carbon(change, acme, carbon)
    file = InsightFile(tmp_path / "insights.sqlite")
    view = InsightView(tmp_path / "insights.sqlite")
    made = Estate(catalog, Registry(catalog, "development"), file, view, numbers, WasteDays())
    rows = [
        made.row(point, LAST - timedelta(back), 1_000 * point.id + back)
        for point in made.points.values()
        for back in range(60)
    ]
    file.commit(Commit(waste=rows))
    yield made
    view.close()
    file.close()
    catalog.close()


def saturday(estate: Estate, name: str, **changes: object) -> InsightEvent:
    """File a weekend's event of a data point."""
    point = estate.points[name]
    begin_ms = midnight_ms(date(2026, 10, 17), point.zone)
    found = replace(
        weekend(point.series, 1), start_ms=begin_ms, end_ms=begin_ms + 2 * DAY_MS, **changes  # type: ignore[arg-type]
    )  # fmt: skip
    estate.file.commit(Commit(events=[Filed("weekend", found)]))
    return found


def expect(estate: Estate, name: str, event: InsightEvent, lasts: Lasts) -> int:
    """Say that an event is expected; returns the number of what was said."""
    with estate.catalog.change(catalogs.Actor("A. Lee")) as change:
        about = verdicts.About(
            event.id, estate.numbers[name], event.kind, event.start_ms, event.end_ms
        )
        return verdicts.give(change, about, Verdict.EXPECTED, lasts=lasts).id


def test_what_is_kept_follows_every_change_of_the_hours(estate: Estate) -> None:
    """A day computed again, a day that is new, a stream begun anew: the next look has it."""
    before = estate.check().found
    assert len(before.days) == 30
    assert before.hours > 1_500
    for changed in range(3):
        estate.write("hvac", LAST - timedelta(7 * changed), 77 + changed)
        found = estate.check().found
        assert found.days != before.days
        assert found.days.keys() == before.days.keys()
        before = found
    estate.file.forget([estate.points["light"].series])
    assert estate.points["light"].series not in estate.check().by_series
    estate.write("light", LAST, 5)
    assert estate.points["light"].series in estate.check().by_series
    for length in (7, 365, 30, 90):
        estate.check(length=length)


def test_only_what_has_changed_is_read_again(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look where nothing happened reads no hours; where one day changed, those of its site."""
    estate.check()
    asked: list[tuple[int, int]] = []
    waste = estate.view.waste

    def counting(points: list[DataPoint], from_ms: int, to_ms: int) -> WasteHours:
        asked.append((len(points), (to_ms - from_ms) // DAY_MS))
        return waste(points, from_ms, to_ms)

    monkeypatch.setattr(estate.view, "waste", counting)
    points, days = list(estate.points.values())[:5], Stretch(30, LAST, LAST, LAST)
    estate.days.of(estate.view, estate.registry, points, days)
    assert asked == []
    estate.write("hall", LAST - timedelta(3), 9)
    estate.days.of(estate.view, estate.registry, points, days)
    assert asked == [(1, 2)]  # the day, and the next one: a row may begin within its day


def test_the_same_question_is_added_up_once_until_something_changes(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer is given again, to the same question alone, and never past a change."""
    points, days = list(estate.points.values())[:5], Stretch(30, LAST, LAST, LAST)

    def ask(some: list[DataPoint], stretch: Stretch) -> Summed:
        return estate.days.of(estate.view, estate.registry, some, stretch)

    first = ask(points, days)
    assert ask(list(points), days) is first
    others = [ask(points[:count], days) for count in (2, 3, 4)]
    assert [ask(points[:count], days) for count in (2, 3, 4)] == others
    assert ask(points, days) is first  # four are kept, the oldest is let go of
    assert ask(points[:1], days).found.hours < others[0].found.hours < others[1].found.hours
    assert ask(points, Stretch(29, LAST, LAST, LAST)).found.hours < first.found.hours
    assert len(estate.days._answers) == 4
    estate.write("press", LAST, 4)  # of nobody's question: still, all of them are asked anew
    again = ask(points, days)
    assert again is not first
    assert same(again, first)


def test_what_is_expected_leaves_the_sums_and_comes_back(estate: Estate) -> None:
    """An answer is in the next look, at the supply too; taken back, everything is as it was."""
    before = estate.check()
    found = saturday(estate, "hvac", others=(estate.points["main"].series,))
    said = expect(estate, "hvac", found, "weekly")
    after = estate.check()
    assert sum(after.expected.values()) > 48
    assert sum(after.found.days.values()) < sum(before.found.days.values())
    estate.write("hvac", LAST - timedelta(1), 3)  # an expected weekend is computed again
    estate.check()
    with estate.catalog.change(catalogs.Actor("A. Lee")) as change:
        verdicts.take_back(change, said)
    assert not estate.check().expected


def test_a_finding_that_moves_takes_its_answer_along(estate: Estate) -> None:
    """The hours of the event are expected: when it is found to be longer, those too."""
    found = saturday(estate, "main")
    expect(estate, "main", found, "once")
    two_days = sum(estate.check().expected.values())
    longer = replace(found, end_ms=found.end_ms + 3 * DAY_MS)
    estate.file.commit(Commit(events=[Filed("weekend", longer)]))
    assert sum(estate.check().expected.values()) > two_days


def test_a_change_of_price_splits_the_days_where_it_begins(estate: Estate) -> None:
    """Each hour at the price of its time, computed here by a plain loop over the hours."""
    first = estate.check().found.total.money["EUR"]
    with estate.catalog.change(catalogs.Actor("test")) as change:
        site = change.session.get(tables.Site, estate.points["main"].site_id)
        acme = change.session.get(tables.Organisation, estate.points["main"].organisation_id)
        assert site is not None
        assert acme is not None
        for day, per_unit in ((None, 0.2), (date(2026, 10, 20), 0.4)):
            draft = prices.PriceDraft("electricity", per_unit, "Dublin", day)
            prices.set_price(change, acme, draft, site=site)
    found = estate.check().found
    points, days = list(estate.points.values())[:5], Stretch(30, LAST, LAST, LAST)
    begin_ms, money = midnight_ms(date(2026, 10, 20), "Europe/Dublin"), 0.0
    for zone in ("Europe/Dublin", "Europe/Berlin"):
        some = [p for p in points if p.zone == zone and p.utility == "electricity"]
        hours = estate.view.waste(some, *days.ms(zone))
        once = counted_once(hours, some, estate.registry.fed_by(some))
        for at_ms, amount in zip(once.start_ms.tolist(), once.amount.tolist(), strict=True):
            late = zone == "Europe/Dublin" and at_ms >= begin_ms
            money += amount / 1000 * (0.4 if late else 0.2)
    assert found.total.money["EUR"] == pytest.approx(money, rel=1e-12)
    assert money > first
    assert len(found.total.prices) == 3  # of the organisation, and two of the site
    with estate.catalog.change(catalogs.Actor("test")) as change:
        dear = next(one for one in found.total.prices if one.per_unit == 0.4)
        row = change.session.get(tables_sites.UtilityPrice, dear.id)
        assert row is not None
        prices.remove(change, row)
    assert len(estate.check().found.total.prices) == 2


def test_a_price_from_within_a_day_is_counted_by_hours(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site that moved to another clock can have one: its days can't be told apart by price."""
    estate.check()
    facts, site = dict(estate.registry.facts()), estate.points["main"].site_id
    odd = replace(
        facts[site].prices[0],
        from_ms=round(datetime(2026, 10, 20, 5, tzinfo=UTC).timestamp()) * 1000, per_unit=0.7,
    )  # fmt: skip
    facts[site] = replace(facts[site], prices=(odd, *facts[site].prices))
    monkeypatch.setattr(estate.registry, "facts", lambda: facts)
    assert len(estate.check().found.total.prices) == 2


def test_who_feeds_whom_counts_as_it_is_now(estate: Estate) -> None:
    """A submeter that is taken off the supply counts beside it."""
    before = estate.check().found
    with estate.catalog.change(catalogs.Actor("test")) as change:
        row = change.session.get(tables.DataPoint, estate.numbers["hvac"])
        assert row is not None
        feeders.set_feeder(change, row, None)
    after = estate.check().found
    assert sum(after.days.values()) > sum(before.days.values())


def test_nobody_sees_the_waste_of_data_points_that_are_not_theirs(estate: Estate) -> None:
    """What one person's answer left behind is in nobody else's."""
    everything = estate.check(names="main hvac light gas hall press")
    press, series = estate.points["press"].series, [p.series for p in estate.points.values()]
    assert set(everything.by_series) == set(series)
    assert set(estate.check(names="press").by_series) == {press}
    assert press not in estate.check().by_series
    some = estate.check(names="hvac hall")  # without the supply the submeter counts alone
    assert set(some.by_series) == {estate.points[name].series for name in ("hvac", "hall")}
    assert {one.point.site_id for one in some.found.portions} == {
        estate.points[name].site_id for name in ("hvac", "hall")
    }


def test_what_takes_too_much_room_is_not_kept(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year of a large estate may be more than is kept: it is added up again, and is right."""
    monkeypatch.setattr(waste_days, "KEPT_BYTES", 60_000)
    monkeypatch.setattr(waste_days, "READ_DAYS", 5)
    monkeypatch.setattr(waste_days, "READ_POINTS", 1)
    for length in (30, 365, 30):
        estate.check(length=length)
        assert sum(one.size for one in estate.days._kept.values()) <= 60_000


def test_many_changes_at_once_are_everything(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A history that is worked through is not told row by row; no change is lost for it."""
    estate.check()
    monkeypatch.setattr("kilowatch.pipeline.insight.view.CHANGES_MAX", 2)
    asked = estate.view.waste_changes(0)
    assert isinstance(asked, WasteChanges)
    assert asked.everything
    for back in range(4):
        estate.write("gas", LAST - timedelta(back), back)
    estate.check()
    assert not estate.view.waste_changes(estate.days._revision).everything
