"""Broken communication becomes one notification, its reminders, and the news that it is over."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kilowatch import catalog as catalogs
from kilowatch.catalog import alerts, formulas
from kilowatch.catalog.alerts import Watched
from kilowatch.catalog.formulas import Wish
from kilowatch.catalog.tables import Site
from kilowatch.catalog.tables_alerts import AlertRule
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Silence
from kilowatch.notify import raising
from kilowatch.notify.speaking import UPDATE_EVERY_MS
from tests.notify.worlds import HOUR_MS, MIN_MS, World


def test_a_silent_data_point_is_told_with_time_gateway_and_link(world: World) -> None:
    """The message says what is silent, since when, which gateway sent last, and where to look."""
    world.rule(channels=[world.channel()])
    world.silent(world.points[0], last_ms=world.now - 2 * HOUR_MS - 6 * MIN_MS)
    world.run(seconds=5)
    (mail,) = world.said()
    assert mail.title == "No data from Main supply"
    assert mail.body.startswith(
        "No data from Main supply for 2 h 6 min. The last packet came at 12:16 from gateway A."
    )
    assert "Office Dublin, Acme" in mail.body
    assert f"https://energy.example/breakdown/{world.points[0].id}" in mail.body


def test_the_end_of_a_silence_is_told_although_rules_change_in_that_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person saves a rule as the meter speaks again: what lasts is as far as what was heard."""
    one = world.points[0]
    world.rule(channels=[world.channel()])
    world.silent(one)
    world.run(seconds=10)
    lasting, moments = world.feed.open, [one]

    def meanwhile() -> list[Silence]:
        if moments:
            world.again(moments.pop())
        return lasting()

    monkeypatch.setattr(world.feed, "open", meanwhile)
    world.rule(name="Another", channels=[])
    world.run(seconds=10)
    assert not moments
    assert [mail.what for mail in world.said()] == ["opened", "recovery"]


def test_from_the_due_time_to_the_message_it_takes_less_than_ten_seconds(world: World) -> None:
    """Found within a second or two, gathered for three: the rest is left for delivery."""
    world.rule(channels=[world.channel()])
    due_ms = world.now
    world.silent(world.points[0])
    while not world.said():
        world.run(seconds=1)
    assert world.now - due_ms <= 5_000


def test_a_gateway_with_500_streams_is_one_notification(tmp_path: Path) -> None:
    """Nobody gets five hundred messages because one box lost its power."""
    world = World(tmp_path, points=500)
    world.rule(channels=[world.channel()])
    for point in world.points:
        world.silent(point)
    world.run(seconds=10)
    (mail,) = world.said()
    assert mail.title == "No data from 500 data points at Office Dublin"
    assert "500 that gateway A sent, at Office Dublin" in mail.body
    assert "and 480 more" in mail.body
    assert mail.body.count("\n") < 40
    assert len(world.members()) == 500
    world.close()


def test_streams_that_are_found_a_moment_later_join_the_same_notification(world: World) -> None:
    """The timer does not find a gateway's streams in one instant."""
    world.rule(channels=[world.channel()])
    for point in world.points:
        world.silent(point)
        world.run(seconds=1)
    world.run(seconds=5)
    (mail,) = world.said()
    assert mail.title.startswith("No data from 3 data points")


def test_a_later_stream_of_the_same_outage_joins_and_is_told_in_one_update(world: World) -> None:
    """Those with long intervals are found silent when we have told already: no flood, no loss."""
    world.rule(channels=[world.channel()])
    first, *rest = world.points
    last_ms = world.now - first.gap_ms
    world.silent(first)
    world.run(seconds=10)
    world.run(seconds=300, step_s=60)
    for point in rest:
        world.silent(point, last_ms=last_ms - 1_000)
    world.run(seconds=60, step_s=10)
    assert len(world.said()) == 1
    assert len(world.alerts()) == 1
    world.run(seconds=UPDATE_EVERY_MS / 1000, step_s=60)
    update = world.said("update")
    assert [one.title for one in update] == ["More: No data from 3 data points at Office Dublin"]
    world.run(seconds=2 * UPDATE_EVERY_MS / 1000, step_s=60)
    assert len(world.said()) == 2, "an update is told once"


def test_a_stream_that_went_on_for_a_while_is_another_outage(world: World) -> None:
    """A second meter that fails an hour later is news, though the first is still silent."""
    world.rule(channels=[world.channel()])
    world.silent(world.points[0])
    world.run(seconds=10)
    world.run(seconds=3600, step_s=60)
    world.silent(world.points[1])
    world.run(seconds=10)
    assert [one.what for one in world.said()] == ["opened", "opened"]
    assert world.said()[1].title == "No data from Circuit 1"


def test_when_data_comes_back_that_is_told_once(world: World) -> None:
    """The end has its own message, with how long the silence lasted."""
    world.rule(channels=[world.channel()])
    world.silent(world.points[0])
    world.run(seconds=10)
    world.run(seconds=3600, step_s=60)
    world.again(world.points[0])
    world.run(seconds=10)
    (over,) = world.said("recovery")
    assert over.title == "Data again from Main supply"
    assert "It was silent from 14:14 to 15:22 (1 h 7 min)." in over.body
    assert world.alerts()[0].closed_ms is not None
    world.run(seconds=60)
    assert len(world.said()) == 2


def test_a_group_is_over_when_its_last_data_point_is(world: World) -> None:
    """Half a gateway is no recovery."""
    world.rule(channels=[world.channel()])
    for point in world.points:
        world.silent(point)
    world.run(seconds=10)
    for point in world.points[:2]:
        world.again(point)
    world.run(seconds=60)
    assert not world.said("recovery")
    world.again(world.points[2])
    world.run(seconds=5)
    (over,) = world.said("recovery")
    assert over.title == "Data again from 3 data points at Office Dublin"


def test_what_is_over_before_it_was_told_is_not_told(world: World) -> None:
    """A packet that was two seconds too late wakes nobody."""
    world.rule(channels=[world.channel()])
    world.silent(world.points[0])
    world.run()
    world.again(world.points[0])
    world.run(seconds=60)
    assert not world.said()
    assert world.alerts()[0].ended_why == raising.BEFORE_TOLD


def test_a_silence_and_its_end_that_come_together_raise_nothing(world: World) -> None:
    """After a time in which we were down, what is over already leaves no trace."""
    world.rule(channels=[world.channel()])
    world.silent(world.points[0])
    world.again(world.points[0])
    world.run(seconds=60)
    assert not world.alerts()


def test_a_rule_can_wait_longer_than_the_data_point_does(world: World) -> None:
    """Told when it is gone for an hour: a shorter silence is never told."""
    world.rule(channels=[world.channel()], wait_min=60)
    world.silent(world.points[0])
    world.run(seconds=1800, step_s=60)
    world.silent(world.points[1])
    world.run(seconds=1740, step_s=60)
    world.again(world.points[1])
    assert not world.said()
    world.run(seconds=120, step_s=10)
    (mail,) = world.said()
    assert mail.title == "No data from Main supply"
    world.run(seconds=3600, step_s=60)
    assert len(world.said()) == 1, "the one that came back in time"


def test_a_new_rule_holds_for_what_is_silent_already(world: World) -> None:
    """Who makes the rule after the failure hears of the failure."""
    world.silent(world.points[0])
    world.run(seconds=60)
    world.rule(channels=[world.channel()])
    world.run(seconds=5)
    assert [one.title for one in world.said()] == ["No data from Main supply"]


@pytest.mark.parametrize("watched", ["point", "site", "organisation"])
def test_a_rule_watches_a_data_point_a_site_or_everything(world: World, watched: str) -> None:
    """What is not watched is not told."""
    places = {
        "point": Watched(data_point_id=world.points[0].id),
        "site": Watched(site_id=world.site_id),
        "organisation": Watched(),
    }
    world.rule(channels=[world.channel()], watched=places[watched])
    for point in (*world.points, *world.others):
        world.silent(point)
    world.run(seconds=5)
    expected = {"point": 1, "site": 3, "organisation": 5}
    assert len(world.members()) == expected[watched]
    assert len(world.said()) == 1


def test_reminders_come_until_somebody_acknowledges(world: World) -> None:
    """Every hour, as long as nobody takes care."""
    world.rule(channels=[world.channel()], remind_min=60)
    world.silent(world.points[0])
    world.run(seconds=10)
    world.run(seconds=2 * 3600 + 60, step_s=60)
    reminders = world.said("reminder")
    assert [one.title for one in reminders] == ["Still: No data from Main supply"] * 2
    world.notifier.desk.acknowledge(world.alerts()[0].id, "A. Lee")
    world.run(seconds=4 * 3600, step_s=60)
    assert len(world.said("reminder")) == 2


def test_others_are_called_when_nobody_acknowledges(world: World) -> None:
    """After half an hour the on-call phone rings too, once; and it hears of the end."""
    desk, phone = world.channel("desk"), world.channel("phone")
    world.rule(channels=[desk], escalated=[phone], escalate_min=30)
    world.silent(world.points[0])
    world.run(seconds=1780, step_s=10)
    assert not world.said("escalation")
    world.run(seconds=3600, step_s=30)
    (call,) = world.said("escalation")
    assert (call.channel_id, call.title) == (phone, "Nobody answered: No data from Main supply")
    assert "Nobody has acknowledged this for 30 min." in call.body
    world.again(world.points[0])
    world.run(seconds=5)
    assert {one.channel_id for one in world.said("recovery")} == {desk, phone}


def test_an_acknowledged_alert_is_not_escalated(world: World) -> None:
    """Somebody takes care: nobody else is woken."""
    world.rule(
        channels=[world.channel("desk")], escalated=[world.channel("phone")], escalate_min=30
    )
    world.silent(world.points[0])
    world.run(seconds=10)
    world.notifier.desk.acknowledge(world.alerts()[0].id, "A. Lee")
    world.run(seconds=3600, step_s=60)
    assert not world.said("escalation")
    assert world.alerts()[0].acknowledged_by == "A. Lee"


def test_a_rule_that_is_switched_off_falls_silent(world: World) -> None:
    """Its alert is closed, what waits for delivery is dropped, and nothing more is said."""
    number = world.rule(channels=[world.channel()], remind_min=10)
    world.silent(world.points[0])
    world.run(seconds=10)
    with world.catalog.change(catalogs.Actor("test")) as change:
        row = change.session.get(AlertRule, number)
        assert row is not None
        alerts.enable_rule(change, row, enabled=False)
    world.run(seconds=3600, step_s=60)
    assert [one.state for one in world.said()] == ["dropped"]
    assert world.alerts()[0].ended_why == raising.SWITCHED_OFF


def test_a_rule_that_watches_another_site_lets_go(world: World) -> None:
    """What it held open there is closed, quietly."""
    number = world.rule(channels=[world.channel()])
    world.silent(world.points[0])
    world.run(seconds=10)
    with world.catalog.change(catalogs.Actor("test")) as change:
        row = change.session.get(AlertRule, number)
        assert row is not None
        alerts.change_rule(
            change, row, name="Rule", watched=Watched(site_id=world.other_site_id), terms={}
        )
    world.run(seconds=10)
    assert world.alerts()[0].ended_ms is not None
    assert not world.said("recovery")


def test_a_lost_list_of_silences_is_no_news_that_data_is_back(world: World) -> None:
    """What nobody knows is not told; what is found silent anew is."""
    world.rule(channels=[world.channel()])
    world.silent(world.points[0])
    world.run(seconds=10)
    world.feed._lasting.clear()
    world.reopen()
    world.run(seconds=10)
    assert world.alerts()[0].ended_why == raising.UNKNOWN
    assert [one.what for one in world.said()] == ["opened"]


@pytest.mark.parametrize("where", ["feed", "speaking"])
def test_a_crash_neither_loses_nor_doubles_an_alert(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whatever is cut off, the next start has the alert exactly once, and tells it once."""
    world.rule(channels=[world.channel()])
    world.run()
    for point in world.points:
        world.silent(point)
    broken = (
        "kilowatch.notify.engine.move_cursor" if where == "feed"
        else "kilowatch.notify.speaking.Speaking._later"
    )  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(broken, _power_cut)
        for _ in range(3):
            world.now += 2_000
            with pytest.raises(KeyboardInterrupt):
                world.run()
            world.reopen()
    world.run(seconds=10)
    assert len(world.alerts()) == 1
    assert len(world.members()) == 3
    assert len(world.said()) == 1
    assert world.book.cursor() == 3
    world.reopen()
    world.run(seconds=60)
    assert len(world.said()) == 1, "nor after another start"


def _power_cut(*_arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_ten_thousand_silences_at_once_are_told_within_ten_seconds(tmp_path: Path) -> None:
    """When everything fails at the same moment there is one message, in time."""
    world = World(tmp_path, points=10_000)
    world.rule(channels=[world.channel()])
    world.run()
    for point in world.points:
        world.silent(point)
    began = time.perf_counter()
    world.run()
    taken_in_s = time.perf_counter() - began
    world.now += 3_000
    began = time.perf_counter()
    world.run()
    said_s = time.perf_counter() - began
    assert len(world.said()) == 1
    assert len(world.said()[0].body) < 4_000
    assert len(world.said()[0].facts) < 50_000
    print(f"10,000 silences: taken in {taken_in_s:.2f} s, told {said_s:.2f} s")  # noqa: T201
    assert 1 + taken_in_s + raising.GATHER_MS / 1000 + 1 + said_s < 8
    for point in world.points:
        world.again(point)
    world.run(seconds=2)
    assert len(world.said()) == 2
    world.close()


def computed(world: World, name: str, text: str) -> DataPoint:
    """Register a formula at the first site."""
    with world.catalog.change(catalogs.Actor("test")) as change:
        site = change.session.get_one(Site, world.site_id)
        names = formulas.names_of(change.session, world.organisation_id)
        number = formulas.create(change, site, name, Wish(text), names).id
    world.directory = catalogs.directory.load(world.catalog, "development", world.directory)
    found = world.directory.by_id(number)
    assert found is not None
    return found


def test_a_formula_is_silent_while_one_of_its_inputs_is(world: World) -> None:
    """Whoever watches the sum hears that a part is missing, once, and that both are there again."""
    total = computed(world, "Both", "[Main supply].energy + [Circuit 1].energy")
    twice = computed(world, "Twice", "2 * [Both]")
    channel = world.channel()
    for point in (total, twice):
        world.rule(watched=Watched(data_point_id=point.id), channels=[channel], name=point.name)
    main, circuit = world.points[:2]
    world.silent(main, last_ms=world.now - 2 * HOUR_MS)
    world.run(seconds=5)
    assert [mail.title for mail in world.said()] == ["No data from Both", "No data from Twice"]
    assert world.said()[0].body.startswith(
        "No data from Both for 2 h. It is computed from what is silent. The last packet came at"
    )
    world.silent(circuit)
    world.run(seconds=5)
    world.again(main)
    world.run(seconds=5)
    assert len(world.said()) == 2, "the circuit is silent still"
    world.reopen()
    world.again(circuit)
    world.run(seconds=5)
    assert [mail.title for mail in world.said("recovery")] == [
        "Data again from Both", "Data again from Twice",
    ]  # fmt: skip


def test_a_rule_for_a_site_tells_of_its_meters_and_not_of_formulas_too(world: World) -> None:
    """One meter is one line of the message, however many formulas are made of it."""
    total = computed(world, "Both", "[Main supply].energy + [Circuit 1].energy")
    world.rule(channels=[world.channel()])
    world.silent(world.points[0])
    world.run(seconds=5)
    (mail,) = world.said()
    assert mail.title == "No data from Main supply"
    assert [one.data_point_id for one in world.members()] == [world.points[0].id]
    world.rule(watched=Watched(data_point_id=total.id), channels=[world.channel("later")])
    world.run(seconds=5)
    assert len(world.said()) == 2, "a rule that is made now holds for what is silent already"


def test_a_formula_that_needs_the_silent_meter_no_more_is_let_go(world: World) -> None:
    """From a date on the sum is made of another circuit: the old one may be dismantled."""
    total = computed(world, "Both", "[Main supply].energy + [Circuit 1].energy")
    world.rule(watched=Watched(data_point_id=total.id), channels=[world.channel()])
    world.silent(world.points[1])
    world.run(seconds=5)
    assert len(world.said()) == 1
    with world.catalog.change(catalogs.Actor("test")) as change:
        names = formulas.names_of(change.session, world.organisation_id)
        wish = Wish("[Main supply].energy + [Circuit 2].energy")
        formulas.change(change, total.id, "Both", wish, names, from_ms=world.now - HOUR_MS)
    world.directory = catalogs.directory.load(world.catalog, "development", world.directory)
    world.run(seconds=5)
    (alert,) = world.alerts()
    assert alert.ended_why == raising.UNKNOWN
