"""Quiet hours and a rule's own hours, on the site's clock, also when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.model.zones import Zone
from kilowatch.notify.rules import Rule, Terms
from kilowatch.notify.schedule import Hours
from tests.notify.worlds import MIN_MS, World

DUBLIN = Zone.of("Europe/Dublin")
ZONES = ("Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")


def at(text: str, zone: str = "Europe/Dublin") -> int:
    """Return an instant written on a zone's clock [ms]."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts() -> None:
    """Friday's night shift ends on Saturday morning."""
    nights = Hours((4,), 22 * 60, 6 * 60)  # Friday
    assert nights.holds(at("2026-11-13T23:00"), DUBLIN)
    assert nights.holds(at("2026-11-14T05:59"), DUBLIN)
    assert not nights.holds(at("2026-11-14T06:00"), DUBLIN)
    assert not nights.holds(at("2026-11-14T23:00"), DUBLIN)
    assert not nights.holds(at("2026-11-13T05:00"), DUBLIN)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 7), ("2026-10-25", 9), ("2026-06-01", 8)]
)
def test_a_night_is_an_hour_shorter_or_longer_when_the_clocks_change(day: str, hours: int) -> None:
    """Quiet from 22 to 6 by the clock on the wall, whatever the clock does in between."""
    quiet = Hours(from_min=22 * 60, to_min=6 * 60)
    evening = at(f"{day}T06:00") - hours * 3_600_000
    assert quiet.holds(evening, DUBLIN)
    assert not quiet.holds(evening - 1, DUBLIN)
    assert quiet.next_outside_ms(evening, DUBLIN) == at(f"{day}T06:00")


def test_quiet_hours_that_end_in_the_missing_hour_end_when_the_clock_jumps() -> None:
    """01:30 does not exist on that night: it is 02:00 at once, and the message goes out."""
    quiet = Hours(from_min=23 * 60, to_min=90)
    assert quiet.next_outside_ms(at("2026-03-29T00:30"), DUBLIN) == at("2026-03-29T02:00")


@given(
    zone=st.sampled_from(ZONES),
    when=st.integers(1_767_225_600, 1_830_297_600),  # 2026 and 2027 [s]
    from_min=st.integers(0, 1439),
    to_min=st.integers(0, 1439),
    days=st.sets(st.integers(0, 6), min_size=1),
)
def test_the_wall_clock_decides(
    zone: str, when: int, from_min: int, to_min: int, days: set[int]
) -> None:
    """Inside or outside is what a person reads off the clock there; only a jump may differ."""
    hours = Hours(tuple(sorted(days)), from_min, to_min)
    there = datetime.fromtimestamp(when, UTC).astimezone(ZoneInfo(zone))
    minute, today = there.hour * 60 + there.minute, there.weekday()
    yesterday = (today - 1) % 7
    if from_min < to_min:
        expected = today in days and from_min <= minute < to_min
    else:
        expected = (today in days and minute >= from_min) or (yesterday in days and minute < to_min)
    near = {
        datetime.fromtimestamp(when + shift, UTC).astimezone(ZoneInfo(zone)).utcoffset()
        for shift in (-86_400, -7_200, 0, 7_200, 86_400)
    }
    if len(near) == 1:
        assert hours.holds(when * 1000, Zone.of(zone)) == expected
    inside = hours.next_inside_ms(when * 1000, Zone.of(zone))
    assert inside is not None
    assert hours.holds(inside, Zone.of(zone))
    outside = hours.next_outside_ms(when * 1000, Zone.of(zone))
    assert (outside is None) == hours.always
    if outside is not None:
        assert not hours.holds(outside, Zone.of(zone))


def test_a_rule_whose_hours_are_all_quiet_never_speaks() -> None:
    """It is said so, and the program does not look for ever."""
    terms = Terms(from_min=60, to_min=120, quiet_from_min=0, quiet_to_min=180)
    rule = Rule(1, 1, None, None, "Never", "offline", terms)
    assert rule.allowed_from_ms(at("2026-11-09T12:00"), DUBLIN) is None


@pytest.mark.parametrize("night", ["2026-03-28", "2026-10-24", "2026-11-10"])
def test_an_alert_of_the_night_is_told_when_the_quiet_hours_end(world: World, night: str) -> None:
    """At six by the site's clock, one message for everything that is silent by then."""
    world.rule(channels=[world.channel()], quiet_from_min=22 * 60, quiet_to_min=6 * 60)
    world.now = at(f"{night}T23:30")
    world.silent(world.points[0])
    world.run(seconds=5400, step_s=60)
    world.silent(world.points[1])
    assert world.alerts()[0].tell_ms == world.alerts()[0].tell_ms // MIN_MS * MIN_MS
    world.run(seconds=10 * 3600, step_s=60)
    (mail,) = world.said()
    assert mail.title == "No data from 2 data points at Office Dublin"
    there = datetime.fromtimestamp(mail.created_ms / 1000, UTC).astimezone(
        ZoneInfo("Europe/Dublin")
    )
    assert f"{there:%H:%M}" == "06:00"


def test_what_is_over_by_the_morning_is_not_told(world: World) -> None:
    """Nobody reads at six about a gap that ended at two; the page has it."""
    world.rule(channels=[world.channel()], quiet_from_min=22 * 60, quiet_to_min=6 * 60)
    world.now = at("2026-11-10T23:30")
    world.silent(world.points[0])
    world.run(seconds=7200, step_s=60)
    world.again(world.points[0])
    world.run(seconds=8 * 3600, step_s=60)
    assert not world.said()
    assert world.alerts()[0].ended_why == "before told"


def test_the_end_and_the_reminder_wait_for_the_morning_too(world: World) -> None:
    """Quiet hours are quiet, whatever there is to say."""
    world.rule(
        channels=[world.channel()], remind_min=60, quiet_from_min=22 * 60, quiet_to_min=6 * 60
    )
    world.now = at("2026-11-10T21:30")
    world.silent(world.points[0])
    world.run(seconds=10)
    world.run(seconds=6 * 3600, step_s=60)
    world.again(world.points[0])
    world.run(seconds=4 * 3600, step_s=60)
    assert [one.what for one in world.said()] == ["opened", "recovery"]
    there = datetime.fromtimestamp(world.said()[1].created_ms / 1000, UTC)
    assert f"{there:%H:%M}" == "06:00"


def test_a_rule_for_working_days_waits_for_monday(world: World) -> None:
    """A silence that began on Saturday is told on Monday at eight, if it still lasts."""
    world.rule(channels=[world.channel()], days=(0, 1, 2, 3, 4), from_min=480, to_min=1080)
    world.now = at("2026-11-14T12:00")
    world.silent(world.points[0])
    world.run(seconds=48 * 3600, step_s=300)
    (mail,) = world.said()
    assert abs(mail.created_ms - at("2026-11-16T08:00")) <= 300_000
