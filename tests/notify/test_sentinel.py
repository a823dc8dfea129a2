"""Findings of the insights are told once each, with their own words."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kilowatch.catalog import alerts
from kilowatch.model.points import DataPoint
from kilowatch.notify.book import Book
from kilowatch.notify.desk import Reader
from kilowatch.notify.needs import Sources, Tiding
from kilowatch.notify.service import Notifier, NotifySettings
from tests.notify.worlds import HOUR_MS, KEY, FakeFindings, World


class Watched(World):
    """A world with findings."""

    def open(self) -> None:
        """Start the service with something that finds."""
        if not hasattr(self, "insights"):
            self.insights = FakeFindings()
        sources = Sources(lambda: self.directory, self.feed, self.view, self.insights)
        kept = NotifySettings(self.folder / "notify.sqlite", KEY, (), "https://energy.example")
        self.notifier = Notifier(self.catalog, sources, self.mailer, kept, lambda: self.now)
        self.book = self.notifier._book


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Watched]:
    """An office with two meters that insights look at."""
    world = Watched(tmp_path)
    yield world
    world.close()


def weekend(point: DataPoint, event_id: str = "e1", **changes: object) -> Tiding:
    """Return a finding about a weekend."""
    plain = Tiding(
        event_id,
        point.organisation_id,
        point.site_id,
        point.id,
        is_waste=True,
        over=False,
        since_ms=1,
        title=f"{point.name}: 214 kWh more than a normal weekend",
        lines=("About 47 EUR at 0.22 EUR/kWh (contract).",),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_a_finding_is_told_once_with_its_own_words_and_a_link_and_its_end_is_told_too(
    world: Watched,
) -> None:
    """People read what happened and what it cost, go to its page, and hear when it is over."""
    world.rule("sentinel", channels=[world.channel()])
    world.run()
    found = world.insights.tell(weekend(world.points[0]))
    world.insights.tell(replace(found, title="Main supply: 230 kWh more than a normal weekend"))
    world.run(seconds=120)
    (opened,) = world.said()
    assert opened.title == "Main supply: 230 kWh more than a normal weekend"
    assert "0.22 EUR/kWh" in opened.body
    assert f"https://energy.example/event/{world.points[0].id}/e1" in opened.body
    world.insights.tell(replace(found, over=True))
    world.insights.tell(replace(found, over=True))
    world.run(seconds=120)
    assert [one.what for one in world.said()] == ["opened", "recovery"]
    assert world.said("recovery")[0].title.startswith("Over: Main supply")


def test_two_findings_at_one_meter_are_two_alerts_and_a_restart_repeats_neither(
    world: Watched,
) -> None:
    """What has two causes is told twice, and no crash makes it three times."""
    world.rule("sentinel", channels=[world.channel()])
    world.run()
    world.insights.tell(weekend(world.points[0], "e1"))
    world.insights.tell(weekend(world.points[0], "e2", title="Night load is higher"))
    world.run()
    world.reopen()
    world.run(seconds=5)
    assert sorted(one.title for one in world.said()) == [
        "Main supply: 214 kWh more than a normal weekend",
        "Night load is higher",
    ]


def test_what_was_over_before_it_could_be_told_is_told_once(world: Watched) -> None:
    """A weekend that is found on Monday morning is news although it is over."""
    world.rule("sentinel", channels=[world.channel()])
    world.run()
    found = world.insights.tell(weekend(world.points[0]))
    world.insights.tell(replace(found, over=True))
    world.run(seconds=60)
    assert [one.what for one in world.said()] == ["opened"]
    assert world.alerts()[0].closed_ms is not None


def test_a_finding_that_is_no_more_or_over_in_a_history_computed_again_reminds_nobody(
    world: Watched,
) -> None:
    """Readings were corrected: one finding ended earlier, one never was, and one is left."""
    world.rule("sentinel", channels=[world.channel()], remind_min=60)
    world.run()
    for name in ("ended", "none", "left"):
        world.insights.tell(weekend(world.points[0], name, title=name))
    world.run(seconds=120)
    ended = weekend(world.points[0], "ended", title="ended, 12 kWh in all", over=True)
    world.insights.ended = {"ended": ended, "none": None}
    world.run(seconds=120)
    assert [one.title for one in world.said("recovery")] == ["Over: ended, 12 kWh in all"]
    assert {one.subject: one.ended_why for one in world.alerts()} == {
        "ended": "over", "none": "corrected", "left": "",
    }  # fmt: skip
    world.run(seconds=2 * HOUR_MS / 1000, step_s=60)
    assert {one.title for one in world.said("reminder")} == {"Still: left"}
    world.insights.tell(weekend(world.points[0], "none", over=True))  # and no word of it comes late
    world.run(seconds=120)
    assert len(world.said("recovery")) == 1


def test_a_finding_names_no_data_point_to_somebody_who_may_not_read_it(world: Watched) -> None:
    """Who was granted one meter reads what happened there, and not what the others are called."""
    world.rule("sentinel", channels=[world.channel()])
    world.run()
    mine, other = world.points[:2]
    sentence = "Saturday 14 March: 214 kWh more than normal."
    world.insights.tell(weekend(mine, lines=(sentence, f"Seen at {other.name} too.")))
    world.run(seconds=120)
    assert f"{sentence}\nSeen at {other.name} too." in world.said("opened")[0].body
    organisation = frozenset({mine.organisation_id})
    tenant = Reader(frozenset(), organisation, lambda point_id: point_id == mine.id)
    (shown,) = world.notifier.desk.alerts(tenant, lasting=True)
    assert shown.lines[0] == sentence
    assert other.name not in "\n".join((shown.title, *shown.lines))
    manager = Reader(organisation, frozenset(), lambda _point_id: True)
    (shown,) = world.notifier.desk.alerts(manager, lasting=True)
    assert f"Seen at {other.name} too." in shown.lines


def test_a_rule_takes_only_what_it_is_about_and_keeps_its_quiet_hours(world: Watched) -> None:
    """Who wants waste hears nothing of meters, and nobody is woken for either."""
    channels = [world.channel()]  # it is 14:22 in Dublin
    world.rule("sentinel", channels=channels, about="waste", quiet_from_min=840, quiet_to_min=900)
    world.run()
    world.insights.tell(weekend(world.points[0], "e1"))
    world.insights.tell(weekend(world.points[1], "e2", is_waste=False))
    world.run(seconds=600, step_s=60)
    assert world.said() == []
    world.run(seconds=HOUR_MS / 1000, step_s=60)
    assert [one.what for one in world.said()] == ["opened"]
    assert len(world.alerts()) == 1


def put_off(world: Watched, hours: int) -> None:
    """Say of a finding that somebody will look at it later."""
    world.notifier.desk.answered("e1", "A. Lee", until_ms=world.now + hours * HOUR_MS)


def test_what_was_put_off_is_reminded_of_once_and_waits_again(world: Watched) -> None:
    """Who asks to be reminded is: on that day a message goes out, and the bell counts it."""
    world.rule("sentinel", channels=[world.channel()])
    world.run()
    world.insights.tell(weekend(world.points[0]))
    world.run(seconds=5)
    reader = Reader(frozenset({world.organisation_id}), frozenset(), lambda _point: True)
    assert world.notifier.desk.waiting(reader) == 1
    put_off(world, 24)
    assert world.notifier.desk.waiting(reader) == 0
    world.run(seconds=23.9 * 3600, step_s=600)
    assert [one.what for one in world.said()] == ["opened"]
    world.run(seconds=48 * 3600, step_s=600)
    (reminder,) = world.said("reminder")
    assert reminder.title == "Reminder: Main supply: 214 kWh more than a normal weekend"
    assert reminder.body.startswith("It was put off until today.")
    assert f"https://energy.example/event/{world.points[0].id}/e1" in reminder.body
    assert world.notifier.desk.waiting(reader) == 1


def test_a_reminder_that_was_due_while_nothing_ran_is_sent_at_the_next_start(
    world: Watched,
) -> None:
    """The server was off on that morning; it is a day late, not forgotten, and not sent twice."""
    world.rule("sentinel", channels=[world.channel()], escalate_min=30)
    world.run()
    found = world.insights.tell(weekend(world.points[0]))
    world.run(seconds=5)
    put_off(world, 24)
    world.insights.tell(replace(found, over=True))
    world.run(seconds=60)
    assert [one.what for one in world.said()] == ["opened", "recovery"]
    world.now += 48 * HOUR_MS
    world.reopen()
    world.run(seconds=5)
    assert [one.what for one in world.said()] == ["opened", "recovery", "reminder"]
    world.reopen()
    world.run(seconds=3600, step_s=60)
    assert len(world.said()) == 3, "it is over: nobody else is called"
    (alert,) = world.alerts()
    assert (alert.acknowledged_by, alert.snoozed_ms) == ("A. Lee", None), "its story stays"


def test_a_rule_that_looks_elsewhere_by_then_reminds_nobody(world: Watched) -> None:
    """Its channels may be those of people who have nothing to do with the place."""
    rule = world.rule("sentinel", channels=[world.channel()])
    world.run()
    found = world.insights.tell(weekend(world.points[0]))
    world.run(seconds=5)
    world.insights.tell(replace(found, over=True))
    world.run(seconds=60)
    put_off(world, 24)
    world.watch(rule, alerts.Watched(data_point_id=world.points[1].id))
    world.run(seconds=48 * 3600, step_s=600)
    assert [one.what for one in world.said()] == ["opened", "recovery"]


def test_whoever_answers_before_the_day_comes_is_not_reminded(world: Watched) -> None:
    """An answer, a taken back one, and a finding that was none are no reminders."""
    world.rule("sentinel", channels=[world.channel()])
    world.run()
    world.insights.tell(weekend(world.points[0]))
    world.run(seconds=5)
    put_off(world, 24)
    world.notifier.desk.answered("e1", "A. Lee")
    world.run(seconds=30 * 3600, step_s=600)
    put_off(world, 24)
    world.notifier.desk.unanswered("e1")
    assert world.alerts()[0].acknowledged_ms is None, "it waits again at once"
    world.run(seconds=30 * 3600, step_s=600)
    put_off(world, 24)
    world.insights.ended = {"e1": None}
    world.run(seconds=30 * 3600, step_s=600)
    assert [one.what for one in world.said()] == ["opened"]


def test_a_book_of_the_version_before_findings_is_brought_up_to_date(tmp_path: Path) -> None:
    """An update keeps the alerts that are open and learns to hold findings."""
    path = tmp_path / "notify.sqlite"
    Book(path).close()
    with sqlite3.connect(path) as plain:
        plain.execute("DROP INDEX alert_subject")
        plain.execute("DROP INDEX alert_snoozed")
        for column in ("subject", "text", "over", "snoozed_ms"):
            plain.execute(f"ALTER TABLE alert DROP COLUMN {column}")
        plain.execute("PRAGMA user_version = 1")
    plain.close()
    book = Book(path)
    assert book.rows("SELECT subject, text, over FROM alert") == []
    book.close()


def test_a_book_that_names_others_in_a_sentence_is_brought_up_to_date(tmp_path: Path) -> None:
    """Old alerts tell whoever was granted one meter nothing of the others either."""
    path = tmp_path / "notify.sqlite"
    Book(path).close()
    with sqlite3.connect(path) as plain:
        plain.execute(
            "INSERT INTO alert(rule_id, rule_name, kind, organisation_id, opened_ms, tell_ms, text)"
            " VALUES (1, 'Found', 'sentinel', 1, 1, 1, ?)",
            ("Main: a weekend\nSaturday: 2 kWh more; seen at Cold room too.",),
        )
        plain.execute("DROP INDEX alert_snoozed")
        plain.execute("ALTER TABLE alert DROP COLUMN snoozed_ms")
        plain.execute("PRAGMA user_version = 2")
    plain.close()
    book = Book(path)
    ((text,),) = book.rows("SELECT text FROM alert")
    assert text == "Main: a weekend\nSaturday: 2 kWh more.\nSeen at Cold room too."
    book.close()
