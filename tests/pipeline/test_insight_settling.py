"""What belongs together is one event, and what deserves attention is told once."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.site_facts import DayRange, SiteFacts
from kilowatch.pipeline.insight import Knowledge
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.records import Commit, Filed, Kept, event_key
from kilowatch.pipeline.insight.settling import Settler
from kilowatch.pipeline.insight.subjects import Subject, subject_of
from kilowatch.pipeline.insight.view import InsightView
from tests.pipeline.insight_history import History
from tests.pipeline.insight_world import MONDAY_MS, WEEK_H, meter, office
from tests.pipeline.pipeline_world import DAY_MS

WALL_MS = 1_800_000_000_000


def weekend(series: int, week: int, **changes: object) -> InsightEvent:
    """Return a weekend at which something stayed on."""
    start_ms = MONDAY_MS + (7 * week + 5) * DAY_MS
    plain = InsightEvent(
        event_key(series, "weekend", start_ms), series, EventKind.WEEKEND, start_ms,
        start_ms + 2 * DAY_MS, open=True, found_ms=start_ms + 3 * HOUR_MS, amount=200_000.0,
        confidence=0.8,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


class Site:
    """A supply (1) with two submeters (2, 3), and what was settled of its events."""

    def __init__(self, folder: Path, budget: int = 3) -> None:
        self.file = InsightFile(folder / "insights.sqlite")
        self.view = InsightView(folder / "insights.sqlite")
        self.expected: set[str] = set()
        self.wall_ms = WALL_MS
        self.facts = {1: SiteFacts(1, "Europe/Dublin", "IE", "", "EUR", attention_per_week=budget)}
        subjects = [subject_of(meter(series)) for series in (1, 2, 3)]
        self.subjects: dict[int, Subject] = {one.series: one for one in subjects if one}
        self.settler = Settler(
            self.file, self.subjects, lambda _site: {1: None, 2: 1, 3: 1}, {},
            lambda event, _subject: event.id in self.expected, lambda: self.wall_ms,
        )  # fmt: skip

    def find(self, *events: InsightEvent, since_ms: int = 0) -> None:
        """Take in findings, durably."""
        settled = self.settler.settle(events, self.facts, dict.fromkeys(self.subjects, since_ms))
        self.file.commit(Commit(events=settled.events, notices=settled.notices))

    def forget(self, series: list[int]) -> None:
        """Begin streams anew, as the follower does."""
        settled = self.settler.settle_again(self.file.forget(series), self.facts)
        self.file.commit(Commit(events=settled.events))

    def told(self) -> list[tuple[str, bool]]:
        """Return what somebody is told, and whether it is an end."""
        return [(event_id, over) for _, event_id, over in self.view.notices(0, 100)]

    def shown(self) -> dict[int, tuple[InsightEvent, ...]]:
        """Return the events that a page shows."""
        points = [one.point for one in self.subjects.values()]
        return dict(self.view.events(points, 0, WALL_MS))


def test_one_cause_at_submeter_and_supply_is_one_event_and_is_told_once(tmp_path: Path) -> None:
    """The supply joins the submeter's event an hour later: no second message goes out."""
    site = Site(tmp_path)
    own = weekend(3, 8)
    site.find(own)
    supply = weekend(1, 8)
    site.find(replace(supply, found_ms=supply.found_ms + HOUR_MS))
    site.find(replace(own, amount=300_000.0, end_ms=own.end_ms + HOUR_MS))
    assert site.told() == [(own.id, False)]
    ((event,),) = site.shown().values()
    assert (event.id, event.others, event.amount) == (own.id, (1,), 300_000.0)
    site.find(replace(own, open=False), replace(supply, open=False))
    assert site.told() == [(own.id, False), (own.id, True)]


def test_a_finding_is_joined_to_one_of_a_stream_that_is_looked_at_at_another_time(
    tmp_path: Path,
) -> None:
    """A submeter uploads once a day; nobody was told of its finding, and the supply's joins it."""
    site = Site(tmp_path)
    own, supply = weekend(3, 8), weekend(1, 8)
    site.find(own, since_ms=10 * own.end_ms)
    later = replace(supply, found_ms=supply.found_ms + HOUR_MS)
    settled = site.settler.settle([later], site.facts, {1: 0})
    site.file.commit(Commit(events=settled.events, notices=settled.notices))
    assert site.told() == []
    ((event,),) = site.shown().values()
    assert (event.id, event.others) == (own.id, (1,))


def test_a_finding_is_seen_when_its_cause_is_no_more(tmp_path: Path) -> None:
    """The submeter's readings were wrong and are corrected: the supply's finding stands alone.

    So do those of the supply and another submeter, which have one cause without it too; and what
    stood for a finding that is no more does not name its data point.
    """
    site = Site(tmp_path)
    root, middle, supply = (
        replace(weekend(series, 8), found_ms=weekend(series, 8).found_ms + hours * HOUR_MS)
        for hours, series in enumerate((3, 2, 1))
    )
    site.find(root, supply)
    site.forget([3])
    ((event,),) = site.shown().values()
    assert (event.id, event.others) == (supply.id, ())
    site.find(middle)
    site.find(root)
    assert {one.id for (one,) in site.shown().values()} == {root.id, middle.id}
    told = site.told()
    site.forget([3])
    ((event,),) = site.shown().values()
    assert (event.id, event.others) == (middle.id, (1,))
    site.forget([1])
    ((event,),) = site.shown().values()
    assert (event.id, event.others) == (middle.id, ())
    assert site.told() == told


def test_what_follows_after_six_hours_is_one_event_however_the_findings_came(
    tmp_path: Path,
) -> None:
    """A night goes on into the next: told twice, its energy would count twice, one of it for ever.

    At just the longest pause that still joins, the first night must be looked at again too.
    """
    first = weekend(2, 8, open=False)
    start_ms = first.end_ms + 6 * HOUR_MS
    second = weekend(
        2, 8, id=event_key(2, "weekend", start_ms), start_ms=start_ms, open=True,
        end_ms=start_ms + 9 * HOUR_MS, found_ms=start_ms + 3 * HOUR_MS,
    )  # fmt: skip
    site = Site(tmp_path)
    site.find(first)
    site.find(second)
    site.find(replace(second, open=False, end_ms=second.end_ms + HOUR_MS, amount=90_000.0))
    ((event,),) = site.shown().values()
    assert (event.start_ms, event.end_ms) == (first.start_ms, second.end_ms + HOUR_MS)
    assert not event.open
    assert event.amount == first.amount + 90_000.0


def test_a_meter_that_repeats_itself_again_within_a_week_is_told_of_once(tmp_path: Path) -> None:
    """Found one by one, days apart: it is the fault that was told, with all of its time."""
    site = Site(tmp_path)
    days = [
        weekend(
            3, 8, id=event_key(3, "stuck", day), kind=EventKind.STUCK, amount=0.0,
            start_ms=MONDAY_MS + day * DAY_MS, end_ms=MONDAY_MS + day * DAY_MS + 12 * HOUR_MS,
            found_ms=MONDAY_MS + (day + 1) * DAY_MS, open=False, evidence={"again": "day"},
        )
        for day in (60, 65, 71, 85)
    ]  # fmt: skip
    for one in days:
        site.find(one)
    shown = next(iter(site.shown().values()))
    assert {(one.start_ms, one.end_ms) for one in shown} == {
        (days[0].start_ms, days[2].end_ms), (days[3].start_ms, days[3].end_ms),
    }  # fmt: skip
    assert len([1 for event_id, over in site.told() if not over]) == 2


def test_a_budget_is_kept_and_spent_on_what_costs_most(tmp_path: Path) -> None:
    """After three findings in a week the fourth waits on the page; the next week it is told."""
    site = Site(tmp_path, budget=1)
    cheap = [weekend(2, week, amount=10.0 + week) for week in range(1, 6)]
    dear = weekend(3, 6, amount=900_000.0)
    for one in (*cheap[:1], weekend(3, 1, amount=500.0)):
        site.find(one)
    assert site.told() == [(cheap[0].id, False)]
    for one in (*cheap[1:], dear):
        site.wall_ms += 7 * DAY_MS
        site.find(one)
    assert (dear.id, False) in site.told()
    assert len(site.shown()[2]) == 5  # all of them wait on the page


def test_no_week_holds_more_than_its_budget_in_whatever_order_streams_catch_up(
    tmp_path: Path,
) -> None:
    """Of an installation that takes a history in, one meter is looked at before another."""
    site = Site(tmp_path, budget=1)
    late = weekend(2, 6)
    early = replace(weekend(3, 6), id="early", end_ms=late.end_ms - DAY_MS, amount=900_000.0)
    before = replace(weekend(3, 5), id="before", end_ms=late.end_ms - 7 * DAY_MS)
    for one in (late, early, before):
        site.find(one)
    assert site.told() == [(late.id, False), ("before", False)]


def test_nobody_is_told_of_history_or_of_what_is_expected(tmp_path: Path) -> None:
    """A message tells what is, not what was; and what somebody expects is no news."""
    site = Site(tmp_path)
    site.find(weekend(2, 1), since_ms=MONDAY_MS + 100 * DAY_MS)
    expected = weekend(3, 20)
    site.expected.add(expected.id)
    site.find(expected)
    assert site.told() == []
    assert len(site.shown()) == 2


def test_a_finding_keeps_its_name_when_history_is_computed_again(tmp_path: Path) -> None:
    """What a person said of an event stays with it, although it begins an hour later now."""
    site = Site(tmp_path)
    before = weekend(2, 3)
    site.find(before)
    site.file.forget([2])
    assert site.shown() == {}
    start_ms = before.start_ms + HOUR_MS
    again = replace(before, id=event_key(2, "weekend", start_ms), start_ms=start_ms)
    site.find(again)
    site.find(replace(again, amount=220_000.0, open=False))
    ((event,),) = site.shown().values()
    assert (event.id, event.start_ms, event.amount) == (before.id, start_ms, 220_000.0)
    assert site.told() == [(before.id, False), (before.id, True)]  # found anew, told once


def test_what_was_one_finding_and_is_several_now_loses_none(tmp_path: Path) -> None:
    """Each has a name of its own, in whichever order they come, and the first keeps the old one."""
    long = weekend(2, 3, end_ms=MONDAY_MS + 40 * DAY_MS)
    parts = [replace(long, end_ms=long.start_ms + DAY_MS, open=False)]
    for days in (7, 14):
        start_ms = long.start_ms + days * DAY_MS
        key = event_key(2, "weekend", start_ms)
        parts.append(replace(long, id=key, start_ms=start_ms, end_ms=start_ms + DAY_MS, open=False))
    for number, batches in enumerate(
        ([parts], [parts[::-1]], [[one] for one in parts], [[one] for one in parts[::-1]])
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        site = Site(folder)
        site.find(long)
        site.file.forget([2])
        for batch in batches:
            site.find(*batch)
        events = site.shown()[2]
        assert [one.start_ms for one in events] == [one.start_ms for one in parts]
        names = [one.id for one in events]
        assert long.id in names
        assert len(set(names)) == 3
        if len(batches) == 1:
            assert names[0] == long.id
        site.file.close()


def test_a_finding_is_no_more_once_its_history_was_looked_at_as_far_as_before(
    tmp_path: Path,
) -> None:
    """Until then it may come again; a kill meanwhile does not make news of the whole history."""
    site = Site(tmp_path)
    kept, again = weekend(2, 3), weekend(2, 5)
    kept_until_ms = again.end_ms
    looked = Kept("1", "Europe/Dublin", MONDAY_MS, kept_until_ms)
    site.find(kept, again)
    site.file.commit(Commit(kept={2: (looked, b"")}))
    ids = {kept.id, again.id}
    site.file.forget([2])
    site.file.forget([2])  # once more before anything was looked at: it stays known how far it was
    assert site.view.gone(ids) == set()
    former = site.view.former(kept.id)
    assert former is not None
    assert (former.kind, former.start_ms, former.series) == (kept.kind, kept.start_ms, 2)
    site.file.close()
    opened = InsightFile(tmp_path / "insights.sqlite")
    assert opened.quiet_ms(2) == kept_until_ms
    half = replace(looked, cursor_ms=kept.end_ms, quiet_ms=kept_until_ms)
    opened.commit(Commit(kept={2: (half, b"")}, events=[Filed(kept.id, kept)]))
    assert site.view.gone(ids) == set()
    opened.commit(Commit(kept={2: (replace(half, cursor_ms=kept_until_ms), b"")}))
    assert site.view.gone(ids) == {again.id}
    opened.close()


def test_a_changed_calendar_makes_the_past_anew_and_a_coming_holiday_does_not(
    tmp_path: Path,
) -> None:
    """Opening hours that were always otherwise change what is waste; a day off to come does not."""
    facts = {1: SiteFacts(1, "Europe/Dublin", "IE", "", "EUR")}
    now = facts
    history = History(tmp_path, [meter(1)], {1: office(12)}, knowledge=Knowledge(facts=lambda: now))
    history.start()
    history.come_all(11 * WEEK_H)
    history.follow()
    read = history.view.read
    coming = DayRange(date(2024, 12, 27), date(2024, 12, 27), "Quiet day")
    now = {1: replace(facts[1], closed_days=(coming,))}
    history.follow()
    assert history.view.read == read
    past = DayRange(date(2024, 2, 1), date(2024, 2, 2), "Stocktaking")
    now = {1: replace(facts[1], closed_days=(coming, past))}
    history.follow()
    assert history.view.read > read  # looked at again
    kept = history.follower._kept[1]
    assert kept.cursor_ms == MONDAY_MS + 11 * WEEK_H * HOUR_MS
    assert kept.quiet_ms == kept.cursor_ms  # and nobody is told again


def test_an_event_is_filed_with_every_kind_of_number(tmp_path: Path) -> None:
    """Amounts that a kind does not have, and numbers of NumPy, come back as they went in."""
    file = InsightFile(tmp_path / "insights.sqlite")
    event = weekend(1, 1, amount=float("nan"), evidence={"z": np.float64(1.5), "n": np.int64(3)})
    file.commit(Commit(events=[Filed("k", event)]))
    ((found,),) = InsightView(tmp_path / "insights.sqlite").events([meter(1)], 0, WALL_MS).values()
    assert np.isnan(found.amount)
    assert found.evidence == {"z": 1.5, "n": 3}
