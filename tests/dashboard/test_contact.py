"""Whether a data point is late: the same judgement in the tree, on its page and in the silences."""

from __future__ import annotations

from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Contact
from tests.dashboard.fakes import FakeView, Last
from tests.pipeline.interval_cases import data_point

MIN = 60_000
NOW_MS = 1_700_000_000_000
SETTINGS = DashboardSettings("development", b"0" * 32, "https://localhost:8443")
POINT = data_point(1, interval_s=900, tolerance_s=450.0)


def judged(view: FakeView, point: DataPoint = POINT) -> Judge:
    """Return a judge of the present moment."""
    return Judge(view, SETTINGS, NOW_MS)


def spoke(stamp_ago_min: int, contact: Contact | None) -> FakeView:
    """Return a view of a data point whose last packet is for so long ago."""
    view = FakeView()
    view.lasts[1] = Last(NOW_MS - stamp_ago_min * MIN, 0, 5.0, "kWh")
    if contact is not None:
        view.contacts[1] = contact
    return view


def heard(ago_min: int, *, silent: bool = False, live: bool = True) -> Contact:
    """Return that a packet came so long ago; it may be quiet for 22 min 30 s."""
    came_ms = NOW_MS - ago_min * MIN
    return Contact(live, came_ms, came_ms + 1_350_000, 1_350_000, silent)


def test_what_comes_late_all_the_time_is_not_late() -> None:
    """A packet two minutes ago is a packet two minutes ago, also when it is for 15 hours before."""
    view = spoke(15 * 60, heard(2))
    fresh = judged(view).of([POINT])[1]
    assert (fresh.state, fresh.lags) == ("fresh", True)
    assert fresh.came_ms == NOW_MS - 2 * MIN
    assert fresh.stamp_ms == NOW_MS - 900 * MIN
    assert judged(view).stamp(POINT, fresh) == "07:13", "Dublin, the same day"
    before = spoke(24 * 60, heard(2))
    fresh = judged(before).of([POINT])[1]
    assert judged(before).stamp(POINT, fresh) == "2023-11-13 22:13"
    assert judged(view).late([POINT]) == 0


def test_who_is_silent_is_late_whatever_its_last_packet_says() -> None:
    """A last packet stamped an hour ahead keeps the tree green no longer than silences do."""
    view = spoke(-60, heard(30, silent=True))
    fresh = judged(view).of([POINT])[1]
    assert fresh.state == "late"
    assert fresh.late_after_ms == 1_350_000
    assert judged(view).late([POINT]) == 1, "and the number beside a closed site agrees"


def test_an_import_that_has_ended_is_late_for_nothing() -> None:
    """Nobody who only ever had history put in is expected to send."""
    view = spoke(3 * 24 * 60, heard(0, live=False))
    fresh = judged(view).of([POINT])[1]
    assert (fresh.state, fresh.late_after_ms) == ("history", None)
    assert judged(view).late([POINT]) == 0


def test_while_nobody_listens_the_packets_own_time_has_to_do() -> None:
    """In the first moments after a start nothing was heard yet."""
    assert judged(spoke(22, None)).of([POINT])[1].state == "fresh"
    late = spoke(23, None)
    assert judged(late).of([POINT])[1].state == "late"
    assert judged(late).late([POINT]) == 1
    assert judged(FakeView()).of([POINT])[1].state == "never"
