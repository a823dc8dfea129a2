"""What became of findings is counted where they are listed."""

from __future__ import annotations

import csv
import io
from html import unescape

import pytest
from sqlalchemy import delete
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import verdicts
from kilowatch.catalog.tables_sites import EventVerdict
from kilowatch.catalog.verdicts import About
from kilowatch.dashboard.answered import STATES
from kilowatch.model.insight import InsightEvent, Verdict
from tests.dashboard.insight_world import furnish
from tests.dashboard.worlds import World

SAID = {
    "weekend": Verdict.FAULT,
    "spike": Verdict.RESOLVED,
    "night": Verdict.EXPECTED,
    "voltage": Verdict.ACKNOWLEDGED,
}


@pytest.fixture(scope="module")
def found(world: World) -> dict[str, InsightEvent]:
    """Let the module's world have events."""
    return furnish(world, 40)


def say(world: World, event: InsightEvent, verdict: Verdict) -> None:
    """Let somebody answer."""
    number = next(one.id for one in world.points.values() if one.series == event.series)
    about = About(event.id, number, event.kind, event.start_ms, event.end_ms)
    with world.catalog.change(catalogs.Actor("test")) as change:
        verdicts.give(change, about, verdict)


def page(client: TestClient, path: str) -> str:
    """Return a page's text."""
    answer = client.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text[:500]
    return unescape(answer.text)


def test_sentinel_says_how_many_were_answered_and_right(
    world: World, found: dict[str, InsightEvent], admin: TestClient
) -> None:
    """Before anybody has said anything, and after; the file has the same by site and kind."""
    site = world.sites["Office Dublin"]
    path = f"/sentinel?place=s{site}&days=90"
    mine = {point.series for point in world.points.values() if point.site_id == site}
    here = [one for one in found.values() if one.series in mine]
    assert f"None of {len(here)} findings in these days has been answered" in page(admin, path)
    for name, verdict in SAID.items():
        say(world, found[name], verdict)
    text = page(admin, path)
    assert (
        f"Of {len(here)} findings in these days 4 were answered. Faults or mended: 2; expected: 1;"
        " seen or put off: 1." in text
    )
    assert "judged, 67 % were right" in text
    answer = admin.get(f"/data/answers.csv?place=s{site}&days=90")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sum(int(row["found"]) for row in rows) == len(here)
    weekend = next(row for row in rows if row["kind"] == "Use at the weekend")
    assert (weekend["site"], weekend["found"], weekend["fault"]) == ("Office Dublin", "1", "1")
    assert weekend["faults, of faults and expected"] == "100 %"
    everywhere = list(csv.DictReader(io.StringIO(admin.get("/data/answers.csv?days=90").text)))
    assert {row["site"] for row in everywhere} >= {"Office Dublin"}
    assert len(everywhere) >= len(rows)
    filtered = page(admin, path + "&kind=spike")
    assert f"Of {len(here)} findings" in filtered, "a filter of the list is none of the count"
    with world.catalog.change(catalogs.Actor("test")) as change:
        change.session.execute(delete(EventVerdict))
    assert len(STATES) == 6
