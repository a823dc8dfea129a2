"""What lies beside a site's stack: another period, another place, peak demand, events, comments."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch.catalog import Actor
from kilowatch.catalog.feeders import set_feeder
from kilowatch.catalog.tables import DataPoint, Site
from kilowatch.dashboard import level_side
from kilowatch.dashboard.level_beside import together
from kilowatch.dashboard.periods import midnight_ms
from kilowatch.model.insight import Expected
from kilowatch.model.parameters import PC
from tests.dashboard.conftest import Logged, Watched
from tests.dashboard.fakes import HOUR_MS
from tests.dashboard.house import House, post
from tests.dashboard.insight_world import furnish
from tests.dashboard.mailbox import Mailbox
from tests.dashboard.test_level import ask, wire
from tests.dashboard.test_pages_in_chromium import barriers
from tests.dashboard.worlds import ADMIN, END_USER, STRANGER, VIEWER, World

ZONE = "Europe/Dublin"


@pytest.fixture(scope="module")
def wired(world: World) -> World:
    """Return a world with submeters, prices and what insights have found."""
    wire(world, priced=False)
    furnish(world, 40)
    return world


def counted(world: World, names: tuple[str, ...], first: date, days: int) -> float:
    """Add up single intervals over local days [Wh]."""
    from_ms, to_ms = midnight_ms(first, ZONE), midnight_ms(first + timedelta(days), ZONE)
    found = 0.0
    for name in names:
        rows = world.view.rows[world.point(name).series]
        inside = (rows.channel == PC) & (rows.start_ms >= from_ms) & (rows.start_ms < to_ms)
        found += float(np.nansum(rows.amount[inside]) + np.nansum(rows.unallocated[inside]))
    return found


def test_a_week_over_the_clock_change_lies_beside_the_week_before(
    wired: World, admin: TestClient
) -> None:
    """169 hours against 168: totals of the days, each drawn at its own clock time."""
    query = "period=week&date=2026-10-20&grain=hour&compare=previous"
    found = ask(admin, wired, query)
    other = found["compare"]
    assert (other["window"]["first"], other["window"]["last"]) == ("2026-10-12", "2026-10-18")
    (entry,) = other["summary"]
    then = counted(wired, ("main",), date(2026, 10, 12), 7)
    assert entry["total"] == pytest.approx(then, rel=1e-9)
    now = counted(wired, ("main",), date(2026, 10, 19), 7)
    change = found["summary"][0]["change"]
    assert change["difference"] == pytest.approx(now - then, rel=1e-9)
    (whole,) = [one for one in found["statistics"] if one["channel"] == "total"]
    assert whole["change"]["share"] == pytest.approx(now / then - 1)
    hvac, _, rest, _ = found["statistics"]
    for entry, names in ((hvac, ("hvac",)), (rest, ("hvac", "server"))):
        was = counted(wired, names, date(2026, 10, 12), 7)
        assert entry["change"]["value"] == pytest.approx(was if entry is hvac else then - was)
    (channel,) = other["channels"]
    assert channel["beside"] == "total"
    clock = ZoneInfo(ZONE)
    for both in zip(channel["start_ms"], channel["own_start_ms"], strict=True):
        at, own = (datetime.fromtimestamp(ms / 1000, UTC).astimezone(clock) for ms in both)
        assert (at.hour, at.weekday()) == (own.hour, own.weekday())


def test_a_running_day_compares_each_band_until_the_same_time(
    wired: World, admin: TestClient
) -> None:
    """At 14:22 on Monday with Sunday until 14:20, in money."""
    found = ask(admin, wired, "period=day&compare=previous&worth=money")
    until = found["compare"]["window"]["until_ms"]
    rows = wired.view.rows[wired.point("hvac").series]
    inside = (rows.channel == PC) & (rows.start_ms >= found["compare"]["window"]["from_ms"])
    inside &= rows.start_ms + rows.duration_ms <= until
    then = float(np.nansum(rows.amount[inside])) / 1000 * 0.2187
    assert found["statistics"][0]["change"]["value"] == pytest.approx(then, rel=1e-9)
    assert found["compare"]["demand"]["peak_ms"] < until, "the peak of the same hours"


def test_another_site_or_data_point_lies_beside_the_total(wired: World, admin: TestClient) -> None:
    """A site by its total, its own stack and its peak, a data point by its own, in money."""
    cork = wired.sites["Supermarket Cork"]
    found = ask(admin, wired, f"date=2026-11-06&compare=s{cork}")
    assert found["compare"]["point"]["name"] == "Supermarket Cork"
    assert found["state"]["compare"] == f"s{cork}"
    chiller = counted(wired, ("chiller",), date(2026, 11, 6), 1)
    assert found["compare"]["summary"][0]["total"] == pytest.approx(chiller, rel=1e-9)
    other = found["compare"]
    (own, *bands), total = other["channels"], other["total"]
    assert (own["beside"], [one["beside"] for one in bands]) == ("total", [None] * len(bands))
    assert {one["parameter"] for one in bands} == {other["parameters_shown"][0]["name"]}
    assert sum(total["amount"]) == pytest.approx(chiller, rel=1e-9)
    *parts, whole = other["bands"]
    assert sum(one["total"] or 0 for one in parts) == pytest.approx(whole["total"])
    assert parts[0]["href"] == f"/breakdown/{wired.point('chiller').id}"
    assert other["demand"] is None, "one of its mains never sent anything"
    site = wired.sites["Office Dublin"]
    there = admin.get(f"/breakdown/site/{cork}/series?date=2026-11-06&compare=s{site}").json()
    peak, at = peak_of(wired, ("main",), date(2026, 11, 6))
    assert there["compare"]["demand"]["peak"] == pytest.approx(peak, rel=1e-9)
    assert there["compare"]["demand"]["peak_ms"] == at
    assert len(there["compare"]["bands"]) == len(found["statistics"])
    text = admin.get(f"/breakdown/site/{site}/series.csv?date=2026-11-06&compare=s{cork}").text
    assert f"Supermarket Cork: {parts[0]['parameter_title']} [Wh]" in text.splitlines()[0]
    hvac = wired.point("hvac").id
    found = ask(admin, wired, f"date=2026-11-06&compare=p{hvac}&worth=money")
    assert "bands" not in found["compare"]
    change = found["demand"]["change"]
    assert change["value"] == pytest.approx(peak_of(wired, ("hvac",), date(2026, 11, 6))[0])
    assert change["difference"] == pytest.approx(found["demand"]["peak"] - change["value"])
    wanted = counted(wired, ("hvac",), date(2026, 11, 6), 1) / 1000 * 0.2187
    assert found["compare"]["summary"][0]["total"] == pytest.approx(wanted, rel=1e-9)
    assert found["compare"]["statistics"][0]["unit"] == "EUR"


def test_nobody_compares_with_what_is_not_theirs(wired: World, logged: Logged) -> None:
    """A site of another organisation is not there, neither in the answer nor among the offers."""
    site = wired.sites["Office Dublin"]
    admin = logged(ADMIN)
    with wired.catalog.reading() as session:
        theirs = session.scalars(select(Site.id).where(Site.id.not_in(wired.sites.values()))).one()
    for word in (f"s{theirs}", "s99999", f"p{10**9}"):
        assert admin.get(f"/breakdown/site/{site}/series?compare={word}").status_code == 404
    assert admin.get(f"/breakdown/site/{site}/series?compare=x1").status_code == 400
    offered = admin.get(f"/breakdown/site/{site}/others?q=").json()["points"]
    assert offered[0] == {"id": f"s{wired.sites['Supermarket Cork']}", "label": "Supermarket Cork"}
    assert all("Werk" not in one["label"] for one in offered)
    some = admin.get(f"/breakdown/site/{site}/others?q=server dublin").json()["points"]
    assert [one["id"] for one in some] == [f"p{wired.point('server').id}"]
    for email in (END_USER, STRANGER):
        for path in ("others?q=", "comments?from=1&to=2", "overlays?from=1&to=2"):
            assert logged(email).get(f"/breakdown/site/{site}/{path}").status_code == 404


def peak_of(world: World, names: tuple[str, ...], day: date) -> tuple[float, int]:
    """Return the highest quarter of an hour of what some data points counted together [W, ms]."""
    from_ms, to_ms = midnight_ms(day, ZONE), midnight_ms(day + timedelta(1), ZONE)
    sums: dict[int, float] = defaultdict(float)
    known: dict[int, float] = defaultdict(float)
    for name in names:
        rows = world.view.rows[world.point(name).series]
        inside = (rows.channel == PC) & (rows.start_ms >= from_ms) & (rows.start_ms < to_ms)
        for start, amount, covered in zip(
            rows.start_ms[inside].tolist(), rows.amount[inside].tolist(),
            rows.covered_ms[inside].tolist(), strict=True,
        ):  # fmt: skip
            if math.isfinite(amount):
                sums[start - start % 900_000] += amount
                known[start - start % 900_000] += covered / len(names)
    full = {at: amount for at, amount in sums.items() if known[at] >= 0.9 * 900_000}
    at = max(full, key=lambda one: full[one])
    return full[at] * 4, at


def test_peak_demand_of_a_site_is_that_of_its_main(wired: World, admin: TestClient) -> None:
    """The highest quarter of an hour, with its time; on a day of 25 hours and on one with a gap."""
    for day in (date(2026, 10, 25), date(2026, 11, 8)):
        found = ask(admin, wired, f"date={day}")["demand"]
        peak, at = peak_of(wired, ("main",), day)
        assert found["peak"] == pytest.approx(peak, rel=1e-9)
        assert found["peak_ms"] == at
        assert found["power_factor"], "one main: its power factor is that of the site"
    assert ask(admin, wired, "date=2026-11-08")["demand"]["complete"] < 1


def test_peak_demand_of_several_mains_is_that_of_their_sum(
    live_world: World,
) -> None:
    """Two supplies peak together, not each for itself; there is no power factor of a sum."""
    with live_world.catalog.change(Actor("test")) as change:
        row = change.session.get_one(DataPoint, live_world.point("server").id)
        set_feeder(change, row, live_world.point("main").id)
        free = change.session.get_one(DataPoint, live_world.point("hvac").id)
        set_feeder(change, free, None)
    client = House(live_world, Mailbox()).log_in()
    day = date(2026, 11, 6)
    found = ask(client, live_world, f"date={day}")
    peak, at = peak_of(live_world, ("main", "hvac"), day)
    assert found["demand"]["peak"] == pytest.approx(peak, rel=1e-6)
    assert found["demand"]["peak_ms"] == at
    assert found["demand"]["power_factor"] is None
    assert {one["name"] for one in found["summary"][0]["parts"]} == {"Main supply", "HVAC"}


def test_a_slow_submeter_makes_no_longer_demand_period(wired: World, admin: TestClient) -> None:
    """Bars are as long as the slowest submeter's intervals; peak demand is the main's own."""
    with wired.catalog.change(Actor("test")) as change:
        row = change.session.get_one(DataPoint, wired.point("server").id)
        row.interval_s, was = 3600, row.interval_s
    wired.app.state.rooms.registry.directory(fresh=True)
    try:
        found = ask(admin, wired, "date=2026-11-06")
        peak, at = peak_of(wired, ("main",), date(2026, 11, 6))
        assert found["point"]["interval_s"] == 3600
        assert found["demand"]["period_s"] == 900
        assert found["demand"]["peak"] == pytest.approx(peak, rel=1e-9)
        assert found["demand"]["peak_ms"] == at
    finally:
        with wired.catalog.change(Actor("test")) as change:
            change.session.get_one(DataPoint, wired.point("server").id).interval_s = was
        wired.app.state.rooms.registry.directory(fresh=True)


def test_peak_demand_of_too_many_intervals_is_left_out_and_said(
    wired: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page does not keep anybody waiting for a million intervals; it says what to do."""
    monkeypatch.setattr(level_side, "DEMAND_ROWS_MAX", 288 * 7)
    week = ask(admin, wired, "period=week&date=2026-10-26")
    assert week["demand"]
    assert not week["notes"]["demand_too_long"]
    long = ask(admin, wired, "period=custom&date=2026-10-26&until=2026-11-02")
    assert long["demand"] is None
    assert long["notes"]["demand_too_long"]


def test_expected_hours_of_several_mains_are_added_where_all_are_known() -> None:
    """Middles add up; bands do not, and an hour that one lacks is in no sum."""

    def hours(starts: list[int], rate: float) -> Expected:
        at = np.array(starts, np.int64) * HOUR_MS
        return Expected(at, at, np.full((5, len(at)), rate), ("model",) * len(at))

    both = together([hours([1, 2, 3], 10.0), hours([2, 3, 4], 5.0)])
    assert (both.start_ms // HOUR_MS).tolist() == [2, 3]
    assert both.rate[2].tolist() == [15.0, 15.0]
    assert np.isnan(both.rate[[0, 1, 3, 4]]).all()
    alone = hours([1], 10.0)
    assert together([alone]) is alone


def test_events_and_what_was_expected_lie_over_the_stack(wired: World, admin: TestClient) -> None:
    """Those of every submeter, with its name; the expectation is the main's."""
    site = wired.sites["Office Dublin"]
    span = f"from={wired.now[0] - 20 * 24 * HOUR_MS}&to={wired.now[0]}"
    found = admin.get(f"/breakdown/site/{site}/overlays?{span}").json()
    assert found["parameters"] == ["total"]
    assert any(one["title"].endswith(", HVAC") for one in found["events"])
    assert any(one["title"].endswith(", Main supply") for one in found["events"])
    own = admin.get(f"/data/overlays?point={wired.point('main').id}&{span}").json()
    assert found["expected"] == own["expected"]


def test_comments_of_a_site_are_those_of_its_data_points(wired: World, logged: Logged) -> None:
    """Each with what it is about; written at a data point, read at the site and in the file."""
    site, hvac = wired.sites["Office Dublin"], wired.point("hvac")
    client = logged(ADMIN)
    said = post(
        client, f"/breakdown/{hvac.id}", f"/breakdown/{hvac.id}/comments",
        start="2026-11-06T09:00", end="", text="fan was on", event="",
    )  # fmt: skip
    assert said.status_code == 200, said.text
    day = midnight_ms(date(2026, 11, 6), ZONE)
    asked = f"/breakdown/site/{site}/comments?from={day}&to={day + 24 * HOUR_MS}"
    (found,) = client.get(asked).json()["comments"]
    assert found["point"] == {"id": hvac.id, "name": "HVAC"}
    assert client.get(f"{asked}&utility=gas").json()["comments"] == []
    body = logged(VIEWER).get(asked).json()
    assert (len(body["comments"]), body["may_comment"], body["points"]) == (1, False, [])
    text = client.get(f"/breakdown/site/{site}/series.csv?date=2026-11-06&grain=hour").text
    assert "HVAC: fan was on" in text


@pytest.mark.browser
def test_a_site_is_compared_commented_and_laid_over(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """The choice, the other line's figures, peak demand, a comment, told to who looks on."""
    wire(live_world, priced=False)
    furnish(live_world, 40)
    site = live_world.sites["Office Dublin"]
    page = watched.open(f"/breakdown/site/{site}?period=month&date=2026-11-01")
    expect(page.locator("#tiles")).to_contain_text("Peak demand")
    expect(page.locator("[data-figure=power_factor]")).to_be_visible()
    page.locator("#compare").select_option("previous")
    said = page.locator("[data-compare] [data-said]")
    expect(said).to_contain_text("27 Sept – 26 Oct 2026")
    expect(page.locator("#statistics tbody tr").last).to_contain_text("then")
    expect(page.locator("[data-figure=peak]")).to_contain_text("then")
    expect(page.locator("#overlay-events")).to_contain_text("HVAC")
    page.locator("#compare").select_option("point")
    which = page.locator("#compare-point")
    expect(which).to_be_focused()
    offered = page.locator("#compare-points option[value='Supermarket Cork']")
    expect(offered).to_be_attached()
    which.fill("Supermarket Cork")
    expect(page.locator("#tiles")).to_contain_text("vs Supermarket Cork")
    expect(page.locator("#statistics .of-other tbody tr")).to_have_count(3)
    page.locator("[data-add]").click()
    text = page.locator("#comment-text")
    expect(text).to_be_focused()
    text.fill("new tenant moved in")
    page.locator("#comment-point").select_option(label="Server room")
    page.get_by_role("button", name="Save").click()
    first = page.locator("#comments li").first
    expect(first).to_contain_text("Server room")
    expect(first).to_contain_text("new tenant moved in")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert not barriers(watched, axe_source)
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector("#breakdown[data-ready]")
    expect(other.locator("#comments li")).to_have_count(1)
    expect(other.locator("html")).to_have_attribute("data-live", "on")
    page.locator("#comments li").get_by_text("Remove").click()
    page.locator("#comments li").get_by_text("Really").click()
    expect(other.locator("#comments li")).to_have_count(0)
    other.close()
