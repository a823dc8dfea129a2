"""Comments beside a chart: shared with colleagues, kept apart from everybody else."""

from __future__ import annotations

import csv
import io
import re
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch.catalog import Actor, people
from kilowatch.catalog.tables import AuditEntry, Organisation
from kilowatch.dashboard.app import DOORS
from tests.dashboard.conftest import Logged, Watched, form_token
from tests.dashboard.insight_world import furnish
from tests.dashboard.test_live import listening
from tests.dashboard.test_pages_in_chromium import barriers
from tests.dashboard.worlds import ADMIN, PASSWORD, STRANGER, VIEWER, World

ANALYST = "analyst@example.com"
HOURS = "from=1794000000000&to=1794300000000"


@pytest.fixture(scope="module")
def analyst(world: World, logged: Logged) -> TestClient:
    """Return the client of somebody who may comment and not manage."""
    with world.catalog.change(Actor("test")) as change:
        owner = change.session.scalars(select(Organisation).filter_by(name="Acme")).one()
        user, _ = people.add_user(change, ANALYST, name="A. Nalyst", password=PASSWORD)
        people.set_role(change, user, owner, "analyst")
    return logged(ANALYST)


def say(client: TestClient, world: World, path: str = "", **fields: str) -> Any:
    """Send the form."""
    number = world.point("main").id
    token = form_token(client, f"/breakdown/{number}") if path != "stranger" else ""
    usual = {
        "csrf": token,
        "start": "2026-11-08T09:15",
        "end": "",
        "text": "Chiller off",
        "event": "",
    }
    address = f"/breakdown/{number}/comments{path}"
    return client.post(address, data=usual | fields, headers={"accept": "application/json"})


def known(client: TestClient, world: World) -> list[dict[str, Any]]:
    """Return the comments on the main supply."""
    answer = client.get(f"/data/comments?point={world.point('main').id}&{HOURS}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["comments"]
    return found


def test_a_comment_is_there_for_every_colleague_and_says_who_and_when(
    world: World, analyst: TestClient, logged: Logged
) -> None:
    """Written on the site's clock; readers see it and can't touch it; strangers find nothing."""
    made = say(analyst, world, end="2026-11-08T11:00")
    assert made.status_code == 200, made.text
    viewer = logged(VIEWER)
    (found,) = known(viewer, world)
    at = datetime(2026, 11, 8, 9, 15, tzinfo=UTC).timestamp() * 1000
    assert (found["from"], found["to"]) == (at, at + 105 * 60_000)
    assert (found["author"], found["text"]) == ("A. Nalyst", "Chiller off")
    assert not found["may_edit"]
    assert not found["may_remove"]
    assert say(viewer, world).status_code == 403
    assert say(viewer, world, f"/{found['id']}/remove").status_code == 403
    stranger = logged(STRANGER)
    assert stranger.get(f"/data/comments?point={world.point('main').id}&{HOURS}").status_code == 404
    page = viewer.get(f"/breakdown/{world.point('main').id}").text
    assert "comment-text" not in page
    other = known_of(viewer, world, "hvac")
    assert other == []


def known_of(client: TestClient, world: World, name: str) -> list[dict[str, Any]]:
    """Return the comments on a data point."""
    found: list[dict[str, Any]] = client.get(
        f"/data/comments?point={world.point(name).id}&{HOURS}"
    ).json()["comments"]
    return found


def test_only_the_author_changes_it_and_a_manager_may_remove_it(
    world: World, analyst: TestClient, admin: TestClient
) -> None:
    """Nobody's words are put into another one's mouth; the history tells each step."""
    (mine,) = known(analyst, world)
    assert mine["may_edit"]
    changed = say(analyst, world, f"/{mine['id']}", text="Chiller off for service")
    assert changed.json()["text"] == "Chiller off for service"
    assert changed.json()["changed_ms"] == world.now[0]
    refused = say(admin, world, f"/{mine['id']}", text="no")
    assert refused.status_code == 409
    assert "only they can change it" in refused.json()["detail"]
    theirs = say(admin, world, text="Seen").json()
    assert say(analyst, world, f"/{theirs['id']}/remove").status_code == 409
    assert say(admin, world, f"/{mine['id']}/remove").status_code == 204
    assert [one["text"] for one in known(analyst, world)] == ["Seen"]
    with world.catalog.reading() as session:
        entries = session.scalars(select(AuditEntry).filter_by(subject="chart_comment")).all()
    said = {(one.actor, one.action) for one in entries}
    assert said == {
        (ANALYST, "created"),
        (ANALYST, "changed"),
        (ADMIN, "created"),
        (ADMIN, "removed"),
    }


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"text": "  "}, "needs words"),
        ({"text": "x" * 1001}, "1000"),
        ({"start": "soon"}, "no time"),
        ({"end": "2026-11-08T09:14"}, "before the beginning"),
    ],
)
def test_what_can_not_be_written_is_said(
    world: World, analyst: TestClient, fields: dict[str, str], word: str
) -> None:
    """One sentence says what is wrong; nothing is kept."""
    before = len(known(analyst, world))
    answer = say(analyst, world, **fields)
    assert answer.status_code == 400
    assert word in answer.json()["detail"]
    assert len(known(analyst, world)) == before


def test_a_comment_can_speak_of_an_event(world: World, analyst: TestClient) -> None:
    """It names the event with a link; an event of another data point is none."""
    event = furnish(world, 40)["weekend"]
    number = world.point("hvac").id
    form = {"csrf": form_token(analyst, f"/breakdown/{number}"), "start": "2026-11-08T02:00",
            "end": "", "text": "We know", "event": event.id}  # fmt: skip
    made = analyst.post(f"/breakdown/{number}/comments", data=form).json()
    assert made["event"]["href"].endswith(event.id)
    assert say(analyst, world, event=event.id).json()["event"] is None


def test_the_file_has_the_comments_of_its_rows(world: World, admin: TestClient) -> None:
    """A row that a comment touches has its words; a formula in them is only words."""
    say(admin, world, text="=1+1", start="2026-11-06T10:30")
    number = world.point("main").id
    text = admin.get(f"/data/series.csv?point={number}&date=2026-11-06&grain=hour&show=pC").text
    head, *rows = list(csv.reader(io.StringIO(text)))
    at = head.index("comments")
    told = {row[0][11:13]: row[at] for row in rows if row[at]}
    assert told == {"10": f"{ADMIN}: =1+1"}


def test_a_colleagues_open_page_is_told_within_a_second(live_world: World) -> None:
    """Who looks at the data point hears of a comment; who looks at another one does not."""
    main, hvac = live_world.point("main"), live_world.point("hvac")
    with (
        listening(live_world, VIEWER, f"point={main.id}") as heard,
        listening(live_world, VIEWER, f"point={hvac.id}") as elsewhere,
        httpx.Client(base_url=live_world.url) as client,
    ):
        token = form_token(client)  # type: ignore[arg-type]
        client.post("/login", data={"csrf": token, "email": ADMIN, "password": PASSWORD})
        token = form_token(client, f"/breakdown/{main.id}")  # type: ignore[arg-type]
        form = {"csrf": token, "start": "2026-11-01T10:00", "end": "", "text": "Live", "event": ""}
        began = time.monotonic()
        assert client.post(f"/breakdown/{main.id}/comments", data=form).status_code == 200
        heard.wait("comments")
        assert time.monotonic() - began < 1.5
        assert "comments" not in [kind for kind, _ in elsewhere.events]


@pytest.mark.browser
def test_a_comment_is_written_by_keyboard_and_stands_in_list_graph_and_table(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """Add, change, remove, without a mouse; its mark is on the time axis and in the table."""
    number = live_world.point("main").id
    page = watched.open(f"/breakdown/{number}?date=2026-11-06&grain=hour")
    page.wait_for_selector("#breakdown[data-laid]")
    expect(page.locator("#comments [data-none]")).to_contain_text("Nobody has commented")
    page.get_by_role("button", name="Comment", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#comment-text")).to_be_focused()
    page.keyboard.type("Lunch was late")
    page.locator("#comment-start").fill("2026-11-06T13:00")
    page.get_by_role("button", name="Save").press("Enter")
    item = page.locator("#comments li")
    expect(item).to_contain_text(re.compile(r"A\. Lee.*6 Nov 2026, 13:00"))
    marks = (
        "() => echarts.getInstanceByDom(document.getElementById('chart')).getOption()"
        ".series.filter((one) => one.z === 6 && one.type === 'custom').length"
    )
    page.wait_for_function(f"() => ({marks})() > 0")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        assert not barriers(watched, axe_source)
    page.get_by_text("Table", exact=True).click()
    expect(page.locator("#table td[data-key=marks]").nth(13)).to_contain_text("Lunch was late")
    page.locator("input[name=overlay][value=comment]").uncheck()
    page.wait_for_function("() => location.search.includes('over=')")
    expect(page.locator("#table td[data-key=marks]")).to_have_count(0)
    item.get_by_role("button", name=re.compile("Change the comment")).click()
    page.locator("#comment-text").fill("Lunch was on time")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save").click()
    expect(item).to_contain_text("Lunch was on time")
    remove = item.get_by_role("button", name=re.compile("Remove the comment"))
    remove.click()
    expect(remove).to_have_text("Really remove?")
    remove.click()
    expect(page.locator("#comments li")).to_have_count(0)


def test_comments_have_doors_of_their_own() -> None:
    """Writing is for those who analyse: a door for each form says so."""
    found = {door.path: door.access.name for door in DOORS if "/comments" in door.path}
    assert set(found.values()) == {"READ_POINT", "READ_SITE", "COMMENT_POINT"}
