"""One click mends a wrong registration, and only the one that the person saw."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard.remedies import offer_of
from kilowatch.model.findings import Finding
from tests.dashboard.conftest import Logged
from tests.dashboard.fakes import Status
from tests.dashboard.worlds import VIEWER, World

WRONG_INTERVAL = Finding(
    "interval.differs",
    "Registered for 5 min, but packets come every 15 min.",
    data={"remedy": {"setting": "interval_s", "value": 900}},
)
NO_REMEDY = Finding("phases.missing", "Phase 3 has sent nothing for two days.")


def found(world: World, name: str, *findings: Finding) -> None:
    """Let the pipeline have found something about a data point."""
    point = world.point(name)
    world.view.statuses[point.series] = Status(point.series, findings=findings)


def fields(text: str) -> dict[str, str]:
    """Return what the remedy's form sends."""
    form = re.search(r'action="/attributes/\d+/remedy">(.*?)</form>', text, re.DOTALL)
    assert form, "the page offers no remedy"
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[1]))


def test_a_wrong_interval_is_mended_with_one_click(world: World, admin: TestClient) -> None:
    """The page says what was seen, the button says what it will do, and then it is so."""
    point = world.point("hvac")
    found(world, "hvac", WRONG_INTERVAL)
    text = admin.get(f"/attributes/{point.id}/panels").text
    assert "packets come every 15 min" in text
    assert "Change the interval to 15 min" in text
    answer = admin.post(f"/attributes/{point.id}/remedy", data=fields(text))
    assert answer.status_code == 303
    assert "The interval is 15 min now." in admin.get(answer.headers["location"]).text
    registered = world.app.state.rooms.registry.directory(fresh=True).by_id(point.id)
    assert (registered.interval_s, registered.tolerance_s) == (900, 450)
    assert registered.name == point.name


def test_a_remedy_for_something_that_has_moved_on_changes_nothing(
    world: World, admin: TestClient
) -> None:
    """Between looking and clicking the meter changed its mind: the old offer is void."""
    point = world.point("main")
    found(world, "main", WRONG_INTERVAL)
    sent = fields(admin.get(f"/attributes/{point.id}/panels").text)
    found(world, "main")
    assert admin.post(f"/attributes/{point.id}/remedy", data=sent).status_code == 409
    found(world, "main", WRONG_INTERVAL)
    forged = sent | {"value": "60"}
    assert admin.post(f"/attributes/{point.id}/remedy", data=forged).status_code == 409
    registered = world.app.state.rooms.registry.directory(fresh=True).by_id(point.id)
    assert registered.interval_s == point.interval_s
    found(world, "main")


def test_a_viewer_sees_what_is_wrong_but_gets_no_button(world: World, logged: Logged) -> None:
    """Who may not change settings is told all the same, and the address refuses them."""
    point = world.point("chiller")
    found(world, "chiller", WRONG_INTERVAL, NO_REMEDY)
    client = logged(VIEWER)
    text = client.get(f"/attributes/{point.id}/panels").text
    assert "packets come every 15 min" in text
    assert "Phase 3 has sent nothing" in text
    assert "/remedy" not in text
    assert client.post(f"/attributes/{point.id}/remedy", data={"csrf": "x"}).status_code == 403
    found(world, "chiller")


@pytest.mark.parametrize("remedy", [None, {}, {"setting": "zone", "value": 1}, {"setting": "id"}])
def test_a_remedy_that_no_button_can_apply_is_not_offered(remedy: object) -> None:
    """Only settings that can be changed one by one get a button."""
    assert not offer_of(Finding("x", "y", data={"remedy": remedy})).setting
