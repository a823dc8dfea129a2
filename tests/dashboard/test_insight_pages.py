"""Sentinel and the page of an event: what stood out, what it rests on, what people say of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import prices, verdicts
from kilowatch.catalog.tables import Organisation
from kilowatch.dashboard import event_page
from kilowatch.dashboard.answered import state_of
from kilowatch.dashboard.event_quantity import quantity
from kilowatch.dashboard.hourly import NO_HOURS, hourly, in_short
from kilowatch.dashboard.insight_period import stretch
from kilowatch.dashboard.insight_rows import Shown
from kilowatch.dashboard.periods import local_day, midnight_ms
from kilowatch.dashboard.saved import saved_since
from kilowatch.dashboard.worth import NOTHING
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.insight import EventKind, Expected, InsightEvent, Verdict, WasteHours
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import AP, PC, RP
from kilowatch.model.points import DataPoint
from kilowatch.model.verdicts import Said
from tests.dashboard.fake_insights import event
from tests.dashboard.fakes import (
    DAY_MS,
    FakeView,
    electrical_rows,
    office,
    rows_of,
    starts_of,
)
from tests.dashboard.house import House, post
from tests.dashboard.insight_world import EXTRA_W, furnish
from tests.dashboard.mailbox import Mailbox
from tests.dashboard.worlds import ADMIN, VIEWER, World, build

PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def found(world: World) -> dict[str, InsightEvent]:
    """Let the module's world have events."""
    return furnish(world, 40)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[House, dict[str, InsightEvent]]]:
    """Build a world that a test may change, with events."""
    made = build(tmp_path, days=3)
    yield House(made, Mailbox()), furnish(made, 3)
    made.writer.close()
    made.log.close()
    made.catalog.close()


def page(client: TestClient, path: str) -> str:
    """Return a page's text."""
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 200, answer.text[:500]
    return unescape(answer.text)


def address(world: World, name: str, event: InsightEvent) -> str:
    """Return the address of an event's page."""
    return f"/event/{world.point(name).id}/{event.id}"


def test_sentinel_ranks_events_by_money_and_names_the_price(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """The weekend cost most, so it stands first; no euro is shown without its contract."""
    text = page(admin, f"/sentinel?place=s{world.sites['Office Dublin']}")
    order = [text.index(f'id="event-{found[name].id}"') for name in ("weekend", "night", "spike")]
    assert order == sorted(order)
    cost = 48 * EXTRA_W / 1000 * 0.2187
    assert f'data value="{cost!r}" data-currency="EUR"' in text or f"{cost:.3g} EUR" in text
    assert "0.2187 EUR/kWh (contract 2026)" in text
    assert "0.2548 kg/kWh (location-based, SEAI 2024)" in text


@pytest.mark.parametrize(
    ("query", "shown", "gone"),
    [
        ("kind=waste", ["weekend"], ["spike", "night"]),
        ("kind=anomaly", ["spike", "night", "drop"], ["weekend"]),
        ("kind=spike", ["spike"], ["weekend", "night"]),
        ("state=resolved", [], ["weekend", "spike", "night"]),
        ("days=7", ["weekend", "spike"], ["voltage"]),
    ],
)
def test_what_is_looked_at_stands_in_the_address(
    world: World,
    found: dict[str, InsightEvent],
    admin: TestClient,
    query: str,
    shown: list[str],
    gone: list[str],
) -> None:
    """Kind, state and period are in the link, so that a colleague sees the same."""
    text = page(admin, f"/sentinel?place=s{world.sites['Office Dublin']}&{query}")
    for name in shown:
        assert f'id="event-{found[name].id}"' in text
    for name in gone:
        assert f'id="event-{found[name].id}"' not in text


def test_sentinel_opens_with_a_site_that_has_data(
    found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Nobody lands on an empty site while another one has something to show."""
    assert found
    assert "Office Dublin · " in page(admin, "/sentinel")


def test_circuits_answer_what_was_used_and_expected_hour_by_hour(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """On the wasted weekend the line lies above the band by what was added."""
    assert found
    point = world.point("hvac")
    answer = admin.get(f"/data/circuits?points={point.id},{world.points['main'].id}&days=7")
    assert answer.status_code == 200
    first = answer.json()["circuits"][0]
    assert (first["id"], first["unit"]) == (point.id, "W")
    mark = next(one for one in first["marks"] if one["tone"] == "waste")
    high = dict(zip(first["band"]["start"], first["band"]["high"], strict=True))
    used = dict(zip(first["actual"]["start"], first["actual"]["value"], strict=True))
    during = [at for at in used if mark["from"] <= at < mark["to"]]
    assert len(during) == 48
    assert all(used[at] > high[at] + EXTRA_W / 2 for at in during if at in high)


def test_circuits_of_others_are_not_answered(world: World, logged: Any) -> None:
    """Numbers of somebody else's data points give nothing, and no error that would tell."""
    from tests.dashboard.worlds import STRANGER  # noqa: PLC0415

    client = logged(STRANGER)
    assert client.get(f"/data/circuits?points={world.point('main').id}").json() == {"circuits": []}


def test_an_event_shows_its_cost_with_price_and_factor(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Energy, money, CO2 and confidence stand side by side, each with what it rests on."""
    text = page(admin, address(world, "hvac", found["weekend"]))
    assert "Use at the weekend" in text
    assert "0.2187 EUR/kWh (contract 2026)" in text
    assert "94 %" in text
    assert "Sat 7 Nov 2026, 00:00" in text
    assert "until Sun 8 Nov 2026, 24:00" in text
    assert "The same was seen at" in text


def test_an_event_without_an_amount_claims_none(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Voltage costs nothing: no zero euros, and Breakdown opens with the voltages."""
    text = page(admin, address(world, "main", found["voltage"]))
    assert "data-currency" not in text
    assert "&show=v" in text


def test_a_register_that_was_set_back_saved_nobody_anything(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """24,774 m³ less are no saving of 52,025 euros, and do not stand first for it."""
    back = event(world.point("main").series, EventKind.NEGATIVE, found["spike"].start_ms, 2,
                 amount=-9e9, evidence={"actual": -4.5e9, "expected": 12e3})  # fmt: skip
    insights = world.extra["insights"]
    insights.put(back)
    sold = replace(back, id="sold", evidence={"actual": -25e3, "expected": -34e3})
    dip = replace(back, id="dip", kind=EventKind.SPIKE)
    insights.put(sold, dip)
    text, home = page(admin, address(world, "main", back)), page(admin, "/")
    for one, name in ((sold, "Unusual feed-in"), (dip, "Dip")):
        assert f"{name}</h1>" in page(admin, address(world, "main", one))
        insights.found[back.series].remove(one)
    insights.found[back.series].remove(back)
    assert "data-currency" not in text
    assert "a register was reset" in text
    assert "9 GWh" not in text
    assert home.index(f'id="event-{found["weekend"].id}"') < home.index(f'id="event-{back.id}"')


def test_an_electrical_event_is_seen_by_its_own_quantity(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Three voltages as hours with their extremes, as the store has them, and the limits."""
    event = found["voltage"]
    answer = admin.get(f"{address(world, 'main', event)}/data").json()
    own, point = answer["quantity"], world.point("main")
    assert answer["day"] is None
    assert [one["value"] for one in own["limits"]] == pytest.approx([207.0, 253.0])
    assert [(one["name"], one["phase"]) for one in own["lines"]] == [
        ("L1", 1),
        ("L2", 2),
        ("L3", 3),
    ]
    assert own["step_ms"] == 3_600_000, "21 days of 5 minutes are too many to draw"
    rows = world.view.series_many([point], [17], own["from_ms"], own["to_ms"], "hour")
    first = own["lines"][0]
    assert first["start"] == rows.start_ms.tolist()
    for name, column in (("value", rows.mean), ("low", rows.low), ("high", rows.high)):
        assert first[name] == pytest.approx(column.tolist())
    assert admin.get(f"{address(world, 'hvac', found['weekend'])}/data").json()["quantity"] is None


def test_factor_and_sum_are_of_intervals_that_are_known_on_both_sides(world: World) -> None:
    """3 kW and 4 kvar are 0.6; a sum of phases is there where each of them is."""
    point, at_ms = world.point("main"), 1_793_491_200_000
    starts = starts_of(point, at_ms, at_ms + 15 * 60_000)
    means = {AP: [3000.0, 3000.0, 0.0], RP: [4000.0, 0.0], AP + 1: [1000.0],
             AP + 2: [1000.0, 1100.0], AP + 3: [1000.0, 1100.0, 1200.0]}  # fmt: skip
    view = FakeView()
    view.put(point, IntervalBlock.concatenate([
        rows_of(point, code, starts[: len(some)], mean=np.array(some))
        for code, some in means.items()
    ] + [rows_of(point, PC + 1, starts[:3], amount=np.array([500.0, 250.0, 100.0]))]))  # fmt: skip

    def drawn(kind: EventKind, **told: object) -> dict[str, Any]:
        one = event(point.series, kind, at_ms, 1, amount=float("nan"), evidence=told)
        answer = quantity(view, point, one, (at_ms, at_ms + DAY_MS), at_ms, [])
        assert answer is not None
        assert answer["step_ms"] == 300_000
        return answer

    factor = drawn(EventKind.POWER_FACTOR)
    assert factor["lines"][0]["value"] == pytest.approx([0.6, 1.0])
    assert [one["value"] for one in factor["limits"]] == [0.9]
    lines = drawn(EventKind.PHASE_SUM, registers=[1], phases=[1, 2, 3])["lines"]
    assert [one["value"] for one in lines] == [[6000.0, 3000.0, 1200.0], [3000.0]]
    lines = drawn(EventKind.PHASE_SUM, turned=True, phase=2)["lines"]
    assert [one["phase"] for one in lines] == [1, 2, 3], "each phase, no register"
    lost = event(point.series, EventKind.PHASE_LOSS, at_ms, 1, amount=float("nan"))
    assert quantity(view, point, lost, (at_ms, at_ms + DAY_MS), at_ms, []) is None, "no currents"


def test_an_event_is_seen_by_its_hours_and_beside_normal_days(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Two days before and after are shown, and the day beside the same weekday of earlier weeks."""
    event = found["weekend"]
    answer = admin.get(f"{address(world, 'hvac', event)}/data").json()
    near, day = answer["near"], answer["day"]
    assert near["from_ms"] == event.start_ms - 2 * DAY_MS
    assert [one["id"] for one in near["marks"] if one["strong"]] == [event.id]
    assert day is not None
    extra = [
        used - normal
        for used, normal in zip(day["actual"]["value"], day["normal"]["mid"], strict=True)
    ]
    assert sum(extra) / 24 == pytest.approx(EXTRA_W, rel=0.05)


def test_a_data_point_that_has_stopped_is_not_said_to_learn(
    world: World,
    found: dict[str, InsightEvent],
    admin: TestClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Years after its last packet nobody waits for its first day of data."""
    assert found
    point, now_ms = world.point("hvac"), world.now[0]
    rows = world.view.rows[point.series]
    insights, pages = world.extra["insights"], []
    was = insights.expected

    def expected(one: DataPoint, from_ms: int, to_ms: int) -> Expected:
        found: Expected = was(one, *((0, 0) if one.id == point.id else (from_ms, to_ms)))
        return found

    monkeypatch.setattr(insights, "expected", expected)
    for keep in (rows.start_ms < now_ms - 20 * DAY_MS, rows.start_ms >= now_ms - DAY_MS // 2):
        world.view.rows[point.series] = rows.take(keep)
        try:
            query = f"place=s{world.sites['Office Dublin']}&days=7"
            pages.append(admin.get(f"/sentinel?{query}", headers={"accept": "text/html"}).text)
        finally:
            world.view.rows[point.series] = rows
    stopped, new = pages
    ended = "The data of 1 data points (HVAC) ended before these days"
    assert ended in stopped
    assert "Nothing is expected yet of" not in stopped
    assert ended not in new
    assert "Nothing is expected yet of 1 data points (HVAC)" in new


def test_waste_is_drawn_over_what_was_needed_and_not_over_a_forecast_that_has_learnt_it(
    world: World,
    found: dict[str, InsightEvent],
    admin: TestClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is coloured adds up to the kilowatt-hours of the event, hour by hour."""
    event = found["weekend"]
    near = admin.get(f"{address(world, 'hvac', event)}/data").json()["near"]
    assert near["band"] is None
    counted = dict(zip(near["counted"]["start"], near["counted"]["value"], strict=True))
    assert sum(counted.values()) == pytest.approx(event.amount)
    used = dict(zip(near["actual"]["start"], near["actual"]["value"], strict=True))
    need = dict(zip(near["need"]["start"], near["need"]["value"], strict=True))
    for at_ms, some in counted.items():
        assert used[at_ms] - need[at_ms] == pytest.approx(some)
    spike = admin.get(f"{address(world, 'main', found['spike'])}/data").json()["near"]
    assert spike["band"] is not None
    assert "need" not in spike, "what is out of the ordinary is told from what was expected"
    monkeypatch.setattr(world.extra["insights"], "knows_need", False)
    near = admin.get(f"{address(world, 'hvac', event)}/data").json()["near"]
    assert near["band"] is not None, "an old file has not kept it"
    assert "need" not in near


def test_waste_is_shown_on_the_day_and_in_the_hours_in_which_most_of_it_was(
    world: World,
    found: dict[str, InsightEvent],
    admin: TestClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A base that crept up is no busy Saturday: its own day is shown, its own hours are marked."""
    weekend, kinds = found["weekend"], list(EventKind)
    sunday = weekend.start_ms + DAY_MS
    at_ms = [weekend.start_ms, sunday + 2 * HOUR_MS, sunday + 3 * HOUR_MS, sunday + 9 * HOUR_MS]
    rows = [(weekend.series, at, 5e3, EventKind.WEEKEND) for at in at_ms]
    rows.append((weekend.series, weekend.start_ms + 5 * HOUR_MS, 9e4, EventKind.AFTER_HOURS))
    series, start_ms, amount, kind = zip(*rows, strict=True)
    wasted = WasteHours(
        np.array(series), np.array(start_ms), np.array(amount),
        np.array([kinds.index(one) for one in kind]),
    )  # fmt: skip
    monkeypatch.setattr(world.extra["insights"], "wasted", wasted)
    day = admin.get(f"{address(world, 'hvac', weekend)}/data").json()["day"]
    assert day["today"].startswith("Sunday")
    assert day["marks"][0]["spans"] == [[2 * HOUR_MS, 4 * HOUR_MS], [9 * HOUR_MS, 10 * HOUR_MS]]


def test_an_event_opens_only_at_its_own_data_point(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Another number in the address is not there, rather than a page that mixes two meters."""
    wrong = f"/event/{world.point('gas').id}/{found['weekend'].id}"
    for path in (wrong, f"{wrong}/data", f"/event/{world.point('hvac').id}/nothing"):
        assert admin.get(path, headers=PAGE).status_code == 404


def test_saying_something_changes_the_state_and_can_be_taken_back(
    own: tuple[House, dict[str, InsightEvent]],
) -> None:
    """Acknowledge, comment, take back: the story keeps all of it, with who and when."""
    house, found = own
    client = house.log_in(ADMIN)
    path = address(house.world, "hvac", found["weekend"])
    answer = post(client, path, f"{path}/say", verdict="fault", comment="belt is worn")
    assert answer.status_code == 303
    text = page(client, answer.headers["location"])
    assert 'data-state="fault"' in text
    assert "A fault" in text
    assert "belt is worn" in text
    with house.world.catalog.reading() as session:
        (said,) = verdicts.story(
            session, house.world.point("hvac").organisation_id, found["weekend"].id
        )
    assert (said.verdict, said.who) == (Verdict.FAULT, ADMIN)
    answer = post(client, path, f"{path}/{said.id}/take-back")
    assert answer.status_code == 303
    text = page(client, path)
    assert 'data-state="open"' in text
    assert "taken back by" in text


def test_what_was_expected_says_for_how_long(own: tuple[House, dict[str, InsightEvent]]) -> None:
    """Every week, or until a date that lies ahead; a date that does not is answered in words."""
    house, found = own
    client = house.log_in(ADMIN)
    event = found["weekend"]
    path = address(house.world, "hvac", event)
    wrong = post(client, path, f"{path}/say", verdict="expected", lasts="until", until="")
    assert wrong.status_code == 422
    assert "Until when?" in wrong.text
    done = post(client, path, f"{path}/say", verdict="expected", lasts="weekly")
    assert done.status_code == 303
    with house.world.catalog.reading() as session:
        said = verdicts.of_events(session, house.world.point("hvac").organisation_id)[event.id]
    assert (said.verdict, said.lasts) == (Verdict.EXPECTED, "weekly")
    assert 'data-state="expected"' in page(client, path)
    week = 7 * DAY_MS
    later = replace(
        event, id="like-it", start_ms=event.start_ms + week, end_ms=event.end_ms + week,
        kind=EventKind.MISSED_SHUTDOWN,
    )  # fmt: skip
    other = replace(later, id="unlike-it", kind=EventKind.VOLTAGE)
    house.world.extra["insights"].put(later, other)
    house.world.now[0] += week
    again = house.log_in(ADMIN)
    home = page(again, "/")
    assert 'id="event-like-it"' not in home, "the next weekend waits for nobody"
    assert 'id="event-unlike-it"' in home
    like = page(again, address(house.world, "hvac", later))
    assert 'data-state="expected"' in like
    assert f'href="{path}"' in like, "and says why"


def test_a_snooze_ends(own: tuple[House, dict[str, InsightEvent]]) -> None:
    """What is to be remembered later comes back as open when its day has come."""
    house, found = own
    client = house.log_in(ADMIN)
    month = 30 * DAY_MS
    old = replace(
        found["weekend"], id="old-one", start_ms=found["weekend"].start_ms - month,
        end_ms=found["weekend"].end_ms - month,
    )  # fmt: skip
    house.world.extra["insights"].put(old)
    path = address(house.world, "hvac", old)
    until = "2026-11-16"
    assert (
        post(client, path, f"{path}/say", verdict="snoozed", snooze_until=until).status_code == 303
    )
    assert 'data-state="snoozed"' in page(client, path)
    row = 'id="event-old-one"'
    assert row not in page(client, "/")
    house.world.now[0] += 8 * DAY_MS
    again = house.log_in(ADMIN)
    assert 'data-state="open"' in page(again, path)
    assert row in page(again, "/"), "what was put off waits, however old it is by now"
    house.world.now[0] += 7 * DAY_MS
    assert row not in page(house.log_in(ADMIN), "/"), "and for no longer than what is new"


def test_a_viewer_reads_an_event_and_is_told_who_may_answer(
    world: World, found: dict[str, InsightEvent], logged: Any
) -> None:
    """No button that would only be refused."""
    text = page(logged(VIEWER), address(world, "hvac", found["weekend"]))
    assert "An analyst or a manager can answer them." in text
    assert 'name="verdict"' not in text


def test_where_nobody_looks_the_pages_say_so_and_are_not_in_the_menu(tmp_path: Path) -> None:
    """A dashboard without insights has no dead links, and its pages a sentence and a next step."""
    made = build(tmp_path, days=1)
    made.app.state.rooms = replace(made.app.state.rooms, insights=None)
    client = House(made, Mailbox()).log_in(ADMIN)
    text = page(client, "/sentinel")
    assert "Insights are not running here." in text
    assert 'href="/sentinel"' not in text
    made.writer.close()
    made.log.close()
    made.catalog.close()


def test_an_hour_that_is_hardly_covered_is_not_drawn(world: World) -> None:
    """A mean over ten minutes is no mean of an hour: better a hole than a wrong step."""
    point = world.point("main")
    gap_from = world.now[0] - 30 * HOUR_MS
    hours = hourly(world.view, [point], gap_from - DAY_MS, gap_from + DAY_MS)[point.series]
    inside = (hours.start_ms > gap_from) & (hours.start_ms < gap_from + 2 * HOUR_MS)
    assert not inside.any()
    assert hourly(world.view, [point], 0, 0).get(point.series, NO_HOURS) is NO_HOURS


def test_days_end_where_the_data_ends(world: World) -> None:
    """A history that was put in is shown with its own last days, and the page says so."""
    point = world.point("server")
    late = world.now[0] + 40 * DAY_MS
    days = stretch({}, world.view, [point], late)
    assert days.stale
    assert days.last.isoformat() == "2026-11-09"
    assert not stretch({}, world.view, [point], world.now[0]).stale


def test_a_comment_alone_leaves_an_event_open() -> None:
    """Only an answer is an answer."""
    said = Said(1, "e", 1, EventKind.SPIKE, 0, 1, None, "once", None, "hm", "a", 0)
    assert state_of(said, 5) == "open"
    assert state_of(replace(said, verdict=Verdict.ACKNOWLEDGED), 5) == "acknowledged"


def test_a_chart_of_a_month_counts_the_events_of_that_month(
    own: tuple[House, dict[str, InsightEvent]],
) -> None:
    """Of a year the charts show the last 31 days: a badge of 25 beside two marks misleads."""
    house, _ = own
    world, point = house.world, house.world.point("gas")
    for days in (2, 40, 80):
        start_ms = world.now[0] - days * DAY_MS
        world.extra["insights"].put(event(point.series, EventKind.SPIKE, start_ms, 2, amount=9e3))
    text = page(house.log_in(ADMIN), f"/sentinel?place=s{point.site_id}&days=90")
    (card,) = re.findall(rf'data-circuit="{point.id}">.*?</header>', text, re.DOTALL)
    assert "Events: 2" in card, "the drop-out of the world, and one of three"


def test_waste_that_paused_for_a_day_is_not_called_going_on(
    own: tuple[House, dict[str, InsightEvent]],
) -> None:
    """A holiday that ended on Thursday may be followed by more, but it goes on no longer."""
    house, _ = own
    world, point = house.world, house.world.point("hvac")
    last = world.view.last_seen([point.series])[point.series]
    client = house.log_in(ADMIN)
    told = {}
    for name, kind, pause in (
        ("over", EventKind.HOLIDAY, 25), ("still", EventKind.HOLIDAY, 20),
        ("volts", EventKind.VOLTAGE, 99),
    ):  # fmt: skip
        end_ms = last - pause * HOUR_MS
        one = event(point.series, kind, end_ms - 60 * HOUR_MS, 60, amount=9e4, open=True)
        one = replace(one, id=name)
        world.extra["insights"].put(one)
        told[name] = "going on</span>" in page(client, address(world, "hvac", one))
    assert told == {"over": False, "still": True, "volts": True}
    begun = replace(one, id="year", start_ms=one.end_ms - 360 * DAY_MS)
    world.extra["insights"].put(begun)
    long = page(client, address(world, "hvac", begun))
    assert "It began before; drawn from" in long
    assert "every week, at any time" in long, "a year has every hour of the week"
    assert "every week at this time" not in long
    assert "every week at this time" in page(client, address(world, "hvac", one))
    assert "It began before" not in page(client, address(world, "hvac", one))


def test_what_a_roof_gave_is_produced_and_earned(
    own: tuple[House, dict[str, InsightEvent]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sun is not used, and a cost below zero is money that came in."""
    house, _ = own
    world, point = house.world, house.world.point("hvac")
    client = house.log_in(ADMIN)
    one = event(point.series, EventKind.SPIKE, world.now[0] - DAY_MS, 2, amount=6e3)
    world.extra["insights"].put(one)
    bought = page(client, address(world, "hvac", one))
    assert "More used" in bought
    roof = replace(point, utility="production")
    monkeypatch.setattr(event_page, "point_of", lambda _request: roof)
    given = page(client, address(world, "hvac", one))
    assert "More produced" in given
    assert "What was produced, over what was expected" in given
    assert "More used" not in given


def test_a_title_says_no_more_than_was_seen(world: World) -> None:
    """A phase is lost where its current is gone, and weather is mild where somebody measures it."""
    point = world.point("main")
    lost = event(point.series, EventKind.PHASE_LOSS, 0, 24, amount=-5e4)
    seen = replace(lost, evidence={"phase": 2})
    high = event(point.series, EventKind.OVER_CONDITIONING, 0, 24)
    titles = {
        (one.title, one.about[:12])
        for one in (
            *(Shown(of, point, "", NOTHING, None, "open") for of in (lost, seen, high)),
            Shown(high, point, "", NOTHING, None, "open", weather=False),
        )
    }
    assert titles == {
        ("Part of the load is gone", "A steady sha"), ("Loss of a phase", "One phase is"),
        ("Heating or cooling in mild weather", "More in open"),
        ("Higher use in open hours", "More than th"),
    }  # fmt: skip


def test_every_word_of_the_glossary_has_a_place(admin: TestClient) -> None:
    """A link from a page leads to the very word."""
    text = page(admin, "/glossary")
    for kind in EventKind:
        assert f'id="{kind}"' in text


def test_what_was_resolved_shows_what_is_saved_since(tmp_path: Path) -> None:
    """Ventilation that ran on until two weeks ago: what it no longer takes, and its money."""
    made = build(tmp_path, days=70)
    furnish(made, 70)
    insights, point = made.extra["insights"], made.point("hvac")
    now_ms = made.now[0]
    mended = (now_ms - 14 * DAY_MS) // HOUR_MS * HOUR_MS
    began = mended - 7 * DAY_MS
    starts = starts_of(point, now_ms - 70 * DAY_MS, now_ms - 240_000)
    watts = office(starts, point.zone, 2) * 0.36
    watts += EXTRA_W * ((starts >= began) & (starts < mended))
    made.view.put(point, electrical_rows(point, starts, watts))
    found = event(point.series, EventKind.LEVEL_SHIFT, began, 7 * 24)
    insights.put(found)
    insights.wasted = None
    house = House(made, Mailbox())
    client = house.log_in(ADMIN)
    path = address(made, "hvac", found)
    assert "Saved so far" not in page(client, f"{path}/saved")
    assert post(client, path, f"{path}/say", verdict="resolved").status_code == 303
    text = page(client, f"{path}/saved")
    assert "Saved so far" in text
    assert "0.2187 EUR/kWh (contract 2026)" in text
    amount = float(text.split('class="figure-of"><data value="')[1].split('"')[0])
    assert amount == pytest.approx(14 * 24 * EXTRA_W, rel=0.1)
    assert "Money saved" in text, "a saving is no cost"
    assert "in 14 days since" in text
    assert re.search(r"comparison is typically off by [1-9] % of a day's use\.", text)
    assert "coarse" not in text
    lost = (starts >= mended + 4 * DAY_MS) & (starts < mended + 7 * DAY_MS)
    made.view.put(point, electrical_rows(point, starts[~lost], watts[~lost]))
    rooms, day = made.app.state.rooms, local_day(mended + 10 * DAY_MS, point.zone)
    with made.catalog.change(catalogs.Actor("test")) as change:
        owner = change.session.scalars(select(Organisation).filter_by(name="Acme")).one()
        prices.set_price(change, owner, prices.PriceDraft("electricity", 0.4, "new", from_day=day))
    later = saved_since(rooms, point, found, mended)
    assert later is not None
    since = np.searchsorted(later.saving.days_ms, midnight_ms(day, point.zone))
    before, after = (later.saving.daily[part].sum() for part in (slice(since), slice(since, None)))
    assert before > after > 0, "ten days of which three are unknown, and four"
    assert later.worth.money == pytest.approx((0.2187 * before + 0.4 * after) / 1000)
    coarse = replace(later, saving=replace(later.saving, cv_rmse=0.41))
    assert (coarse.fit, coarse.coarse) == ("41 %", True)
    assert replace(later, saving=replace(later.saving, cv_rmse=math.nan)).fit == ""
    assert "in 11 of 14 days since" in page(client, f"{path}/saved")
    made.writer.close()
    made.log.close()
    made.catalog.close()


def test_saved_gas_is_in_cubic_metres_however_little_it_is(tmp_path: Path) -> None:
    """0.4 m³ are not 400 litres, here as on all other pages."""
    made = build(tmp_path, days=70)
    furnish(made, 70)
    point, mended = made.point("gas"), (made.now[0] - 14 * DAY_MS) // HOUR_MS * HOUR_MS
    found = event(point.series, EventKind.LEVEL_SHIFT, mended - 7 * DAY_MS, 7 * 24)
    made.extra["insights"].put(found)
    made.extra["insights"].wasted = None
    client = House(made, Mailbox()).log_in(ADMIN)
    path = address(made, "gas", found)
    assert post(client, path, f"{path}/say", verdict="resolved").status_code == 303
    text = page(client, f"{path}/saved")
    amounts = re.findall(r'<data [^>]*data-unit="m3"[^>]*>', text)
    assert len(amounts) == 4
    assert all('data-like="1.0"' in one for one in amounts)
    made.writer.close()
    made.log.close()
    made.catalog.close()


def test_what_else_was_found_is_another_story_and_named(tmp_path: Path) -> None:
    """What crept up after a repair is no failed repair: it is left out, and leads to its page."""
    made = build(tmp_path, days=70)
    furnish(made, 70)
    insights, point = made.extra["insights"], made.point("hvac")
    now_ms = made.now[0]
    mended = (now_ms - 14 * DAY_MS) // HOUR_MS * HOUR_MS
    began, crept = mended - 7 * DAY_MS, mended + DAY_MS + np.arange(8 * 24) * HOUR_MS
    starts = starts_of(point, now_ms - 70 * DAY_MS, now_ms - 240_000)
    watts = office(starts, point.zone, 2) * 0.36
    watts += EXTRA_W * ((starts >= began) & (starts < mended))
    watts += 9e3 * ((starts >= crept[0]) & (starts < crept[-1] + HOUR_MS))
    made.view.put(point, electrical_rows(point, starts, watts))
    found = event(point.series, EventKind.LEVEL_SHIFT, began, 7 * 24)
    creep = event(point.series, EventKind.BASELOAD_CREEP, int(crept[0]), 8 * 24)
    insights.found[point.series] = [found, creep]
    number = list(EventKind).index(EventKind.BASELOAD_CREEP)
    each = np.ones(len(crept))
    insights.wasted = WasteHours(
        np.full(len(crept), point.series), crept, 9e3 * each, np.full(len(crept), number)
    )
    client = House(made, Mailbox()).log_in(ADMIN)
    path = address(made, "hvac", found)
    assert post(client, path, f"{path}/say", verdict="resolved").status_code == 303
    text = page(client, f"{path}/saved")
    amount = float(text.split('class="figure-of"><data value="')[1].split('"')[0])
    assert amount == pytest.approx(14 * 24 * EXTRA_W, rel=0.1)
    assert "Left out, as another story" in text
    assert "1.73 MWh" in text
    assert address(made, "hvac", creep) in text
    made.writer.close()
    made.log.close()
    made.catalog.close()


@pytest.mark.parametrize(("kind", "hours"), [("spike", 3), ("level", 30)])
def test_what_passed_by_itself_or_is_not_known_has_saved_nothing(
    tmp_path: Path, kind: str, hours: int
) -> None:
    """Nobody says that three odd hours would have come again each workday, or gives NaN a unit."""
    made = build(tmp_path, days=70)
    furnish(made, 70)
    point = made.point("hvac")
    now_ms = made.now[0]
    over = (now_ms - 30 * DAY_MS) // HOUR_MS * HOUR_MS
    began = over - hours * HOUR_MS
    starts = starts_of(point, now_ms - 70 * DAY_MS, now_ms - 240_000)
    load = office(starts, point.zone, 2) * 0.36
    own = (starts >= began) & (starts < over)
    load += EXTRA_W * own
    if kind != "spike":
        starts, load = starts[~own], load[~own]
    made.view.put(point, electrical_rows(point, starts, load))
    which = EventKind.SPIKE if kind == "spike" else EventKind.LEVEL_SHIFT
    found = event(point.series, which, began, hours)
    made.extra["insights"].put(found)
    made.extra["insights"].wasted = None
    client = House(made, Mailbox()).log_in(ADMIN)
    path = address(made, "hvac", found)
    assert post(client, path, f"{path}/say", verdict="resolved").status_code == 303
    text = page(client, f"{path}/saved")
    assert "Saved so far" in text
    assert "give or take" not in text
    by_itself = "It was over by itself within a day"
    assert (by_itself in text) == (kind == "spike")
    assert ("nothing plausible is known of its own hours" in text) == (kind != "spike")
    assert saved_since(made.app.state.rooms, point, found, over) is None
    made.writer.close()
    made.log.close()
    made.catalog.close()


def test_a_saving_is_not_claimed_before_there_is_enough_to_compare(
    own: tuple[House, dict[str, InsightEvent]],
) -> None:
    """Three days of data say nothing about what a year would have taken."""
    house, found = own
    client = house.log_in(ADMIN)
    path = address(house.world, "hvac", found["weekend"])
    assert post(client, path, f"{path}/say", verdict="resolved").status_code == 303
    assert "is known after seven days of data" in page(client, f"{path}/saved")


@given(st.lists(st.floats(width=32, allow_subnormal=False), min_size=1, max_size=40))
@settings(max_examples=60)
def test_a_band_is_sent_in_as_few_digits_as_it_was_kept_with(numbers: list[float]) -> None:
    """Nine digits are all that single precision has: nothing is lost, and half need not be sent."""
    kept = np.array(numbers, np.float32)
    sent = in_short(kept.astype(np.float64))
    np.testing.assert_array_equal(sent.astype(np.float32), kept)
    for one in sent[(np.abs(sent) > 1e-9) & (np.abs(sent) < 1e15)].tolist():
        assert len(repr(abs(one)).replace(".", "").partition("e")[0].strip("0")) <= 9, one
