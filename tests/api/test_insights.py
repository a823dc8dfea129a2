"""Events, bands, forecasts and waste beside the files that the pages give of the same."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import people, verdicts
from kilowatch.catalog.tables import Organisation, User
from kilowatch.model.insight import EventKind, InsightEvent, Verdict
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from tests.api.api_world import PARTIAL, PLANNED, Served, serve
from tests.dashboard.conftest import form_token
from tests.dashboard.fake_insights import event
from tests.dashboard.insight_world import furnish
from tests.dashboard.worlds import ADMIN, END_USER, PASSWORD, STRANGER

PERIOD = "from=2026-10-10&to=2026-11-09"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the usual world with a wasted weekend and more."""
    made = serve(tmp_path_factory.mktemp("insights"))
    made.world.extra["events"] = furnish(made.world)
    yield made
    made.world.writer.close()
    made.world.log.close()
    made.world.catalog.close()


@pytest.fixture(scope="module")
def pages(world: Served) -> TestClient:
    """Return an administrator's browser."""
    client = TestClient(world.world.app)
    sent = {"csrf": form_token(client), "email": ADMIN, "password": PASSWORD}
    assert client.post("/login", data=sent, follow_redirects=False).status_code == 303
    return client


@pytest.fixture(scope="module")
def events(world: Served) -> dict[str, InsightEvent]:
    """Return what happened, by short name."""
    found: dict[str, InsightEvent] = world.world.extra["events"]
    return found


def file(pages: TestClient, address: str) -> list[dict[str, str]]:
    """Return a file of a page by the titles of its columns."""
    answer = pages.get(address)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def number(text: str) -> float | None:
    """Return a figure of a file."""
    return float(text) if text else None


def test_events_are_those_of_sentinel_in_the_same_words(world: Served, pages: TestClient) -> None:
    """Begin, end, amount, cost with its price, confidence, state and sentence."""
    site = world.world.sites["Office Dublin"]
    told = world.get(f"/events?site_id={site}&{PERIOD}").json()
    page = file(pages, f"/data/sentinel.csv?place=s{site}&days=31&sort=time")
    assert len(told) == len(page) == 5
    for one, row in zip(told, reversed(page), strict=True):
        assert (one["start"], one["end"], one["sentence"]) == (
            row["start"], row["end"], row["sentence"],
        )  # fmt: skip
        assert one["amount"] == number(row["amount"])
        assert one["cost"] == pytest.approx(number(row["cost"]))
        assert (one["price"] or "") == (row["price"] if row["cost"] else "")
        assert one["confidence"] == float(row["confidence"])
        assert one["state"] == row["state"].casefold()
        assert one["ongoing"] == bool(row["going on"])
        assert one["title"].startswith(f"{row['data point']}: ")


def test_events_are_filtered_by_place_kind_and_time(
    world: Served, events: dict[str, InsightEvent]
) -> None:
    """A client asks for what it needs, in order of time."""

    def ids(query: str, who: str = ADMIN) -> list[str]:
        return [one["id"] for one in world.get(f"/events?{PERIOD}&{query}", who).json()]

    everything = ids("")
    assert len(everything) == 6
    assert set(everything) == {one.id for one in events.values()}
    starts = [one["start"] for one in world.get(f"/events?{PERIOD}").json()]
    assert starts == sorted(starts)
    assert ids("kind=weekend") == [events["weekend"].id]
    assert ids(f"meter_id={world.point('gas')}") == [events["drop"].id]
    assert ids(f"site_id={world.world.sites['Supermarket Cork']}") == [events["after_hours"].id]
    assert ids("", END_USER) == [events["after_hours"].id]
    assert ids("", STRANGER) == []
    later = world.get("/events?from=2026-11-08 12:00:00&to=09/11/2026").json()
    assert [one["kind"] for one in later] == ["weekend"], "what touches the period"
    paged = world.get(f"/events?{PERIOD}&per_page=4&page=2")
    assert [one["id"] for one in paged.json()] == everything[4:]
    assert world.get("/events?from=2026-01-01&to=2026-11-09").status_code == 422
    assert world.get(f"/events?{PERIOD}&kind=party").status_code == 400


def test_an_event_names_only_what_the_token_sees(
    world: Served, events: dict[str, InsightEvent]
) -> None:
    """The weekend was seen at the supply too: who sees the ventilation alone is not told."""
    (full,) = world.get(f"/events?{PERIOD}&kind=weekend").json()
    assert full["also_at"] == [world.point("main")]
    assert "Main supply" in full["sentence"]
    (part,) = world.get(f"/events?{PERIOD}", PARTIAL).json()
    assert part["id"] == full["id"]
    assert part["also_at"] == []
    assert "Main supply" not in part["sentence"] + part["title"]


def test_what_people_said_of_an_event_is_told_and_expected_waste_is_none(
    world: Served, pages: TestClient, events: dict[str, InsightEvent]
) -> None:
    """An answer on the page is the event's state, and its hours are no waste any more."""
    event, point = events["after_hours"], world.world.point("chiller")
    address = f"/meters/{point.id}/waste?{PERIOD}"
    before = {one["date"]: one["wasted"] for one in world.get(address).json()["days"]}
    about = verdicts.About(event.id, point.id, event.kind, event.start_ms, event.end_ms)
    waste = events["weekend"]
    hvac = world.world.point("hvac")
    other = verdicts.About(waste.id, hvac.id, waste.kind, waste.start_ms, waste.end_ms)
    with world.world.catalog.change(catalogs.Actor("test")) as change:
        said = verdicts.give(change, about, Verdict.ACKNOWLEDGED)
        gone = verdicts.give(change, other, Verdict.EXPECTED)
    states = {one["id"]: one["state"] for one in world.get(f"/events?{PERIOD}").json()}
    assert states[event.id] == "acknowledged"
    assert states[waste.id] == "expected"
    assert world.get(f"/meters/{hvac.id}/waste?{PERIOD}").json()["days"] == []
    after = {one["date"]: one["wasted"] for one in world.get(address).json()["days"]}
    assert after == before, "acknowledged waste is waste"
    with world.world.catalog.change(catalogs.Actor("test")) as change:
        for one in (said, gone):
            verdicts.take_back(change, one.id)
    assert world.get(f"/meters/{hvac.id}/waste?{PERIOD}").json()["days"]


@pytest.mark.parametrize("name", ["hvac", "main", "chiller"])
def test_waste_by_day_is_that_of_the_page(world: Served, pages: TestClient, name: str) -> None:
    """By day and kind, with the cost at that day's price."""
    point = world.world.point(name)
    told = world.get(f"/meters/{point.id}/waste?{PERIOD}").json()
    assert told["unit"] == "Wh"
    page: dict[str, float] = defaultdict(float)
    money: dict[str, float] = defaultdict(float)
    for row in file(pages, f"/data/waste.csv?place=s{point.site_id}&days=31"):
        if row["data point"] == point.name:
            page[row["day"]] += float(row["amount"])
            money[row["day"]] += float(row["cost"])
    assert page
    assert {one["date"]: one["wasted"] for one in told["days"]} == pytest.approx(dict(page))
    assert {one["date"]: one["cost"] for one in told["days"]} == pytest.approx(dict(money))
    for one in told["days"]:
        assert sum(one["by_kind"].values()) == pytest.approx(one["wasted"])
        assert (one["currency"], one["price"]) == ("EUR", "0.2187 EUR/kWh (contract 2026)")


def test_the_band_and_the_forecast_are_those_of_the_file(world: Served, pages: TestClient) -> None:
    """Five lines for each hour, before and after now."""
    point = world.world.point("main")
    days = "from=2026-11-07&to=2026-11-09"
    band = world.get(f"/meters/{point.id}/expected?{days}").json()
    ahead = world.get(f"/meters/{point.id}/forecast").json()
    page = file(pages, f"/data/hours.csv?point={point.id}&date=2026-11-07&until=2026-11-09&ahead=1")
    rows = {row["start"]: row for row in page if row["95 % [W]"]}
    names = {"low": "5", "q25": "25", "mid": "50", "q75": "75", "high": "95"}
    assert band["unit"] == ahead["rate_unit"] == "W"
    assert len(ahead["hours"]) == 48
    for hour in (*band["hours"], *ahead["hours"]):
        row = rows.pop(hour["timestamp"], None)
        if row is not None:
            told = {name: hour[name] for name in names}
            assert told == pytest.approx({n: float(row[f"{p} % [W]"]) for n, p in names.items()})
    assert not rows, "every hour of the file is answered"
    assert [one["period"] for one in ahead["ends"]] == ["day", "week", "month"]
    assert ahead["ends"][0]["end"] == "2026-11-10T00:00:00+00:00"
    for end in ahead["ends"]:
        assert end["so_far"] <= end["low"] <= end["mid"] <= end["high"]
    assert (ahead["unit"], ahead["error"]) == ("Wh", 0.71)
    assert "reason" not in ahead


def test_what_cannot_be_told_yet_says_why(world: Served) -> None:
    """A meter without history has no forecast, and a temperature no waste."""
    told = world.get(f"/meters/{world.point('new')}/forecast").json()
    assert (told["made"], told["hours"], told["ends"]) == (None, [], [])
    assert "too little history" in told["reason"]
    outdoor = world.get(f"/meters/{world.point('outdoor')}/forecast").json()
    assert (outdoor["unit"], outdoor["rate_unit"], outdoor["ends"]) == ("", "°C", [])
    refused = world.get(f"/meters/{world.point('outdoor')}/waste?{PERIOD}")
    assert (refused.status_code, refused.json()["code"]) == (422, "nothing_to_count")


def test_waste_that_has_paused_for_a_day_is_not_going_on(own: Served) -> None:
    """As on the page: nobody calls that going on, though more of it would be the same event."""
    point, now_ms = own.world.point("hvac"), own.world.now[0]
    for hours, name in ((60, EventKind.WEEKEND), (60, EventKind.NIGHT_LOAD)):
        begin = now_ms - hours * HOUR_MS
        own.world.extra["insights"].put(event(point.series, name, begin, 30, open=True))
    told = {one["kind"]: one["ongoing"] for one in own.get(f"/events?{PERIOD}").json()}
    assert told == {"weekend": False, "night_load": True}


def test_events_of_an_organisation_without_the_tool_are_left_out(own: Served) -> None:
    """Who belongs to two organisations gets those of the one whose plan has Sentinel."""
    point = own.world.point("hvac")
    begin = own.world.now[0] - 5 * HOUR_MS
    own.world.extra["insights"].put(event(point.series, EventKind.SPIKE, begin, 2))
    with own.world.catalog.change(catalogs.Actor("test")) as change:
        owner = change.session.scalars(select(Organisation).filter_by(name="Elsewhere")).one()
        user = change.session.get(User, own.world.extra["users"][PLANNED])
        assert user is not None
        people.set_role(change, user, owner, "viewer")
    both = own.get(f"/events?{PERIOD}", PLANNED)
    assert (both.status_code, both.json()) == (200, [])
    site = own.world.sites["Office Dublin"]
    assert own.get(f"/events?{PERIOD}&site_id={site}", PLANNED).status_code == 403
    assert len(own.get(f"/events?{PERIOD}").json()) == 1


def test_an_event_like_one_that_is_expected_every_week_is_expected(own: Served) -> None:
    """What a person has taught the platform holds over the API as on the page."""
    point = own.world.point("hvac")
    first = own.world.now[0] - 9 * DAY_MS
    found = [event(point.series, EventKind.WEEKEND, first + n * 7 * DAY_MS, 6) for n in range(2)]
    own.world.extra["insights"].put(*found)
    one = found[0]
    about = verdicts.About(one.id, point.id, one.kind, one.start_ms, one.end_ms)
    assert [e["state"] for e in own.get(f"/events?{PERIOD}").json()] == ["open", "open"]
    with own.world.catalog.change(catalogs.Actor("test")) as change:
        verdicts.give(change, about, Verdict.EXPECTED, lasts="weekly")
    assert [e["state"] for e in own.get(f"/events?{PERIOD}").json()] == ["expected", "expected"]
