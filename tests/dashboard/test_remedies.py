"""One click mends a wrong registration, and only the one that the person saw."""

from __future__ import annotations

import dataclasses
import re

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch.catalog import judgements, point_settings
from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.catalog.tables_settings import PointSetting
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


def remedied(setting: str, value: object) -> Finding:
    """Return a finding with a remedy."""
    remedy = {"setting": setting, "value": value}
    return Finding("x.y", "Something does not fit.", data={"mark": "1", "remedy": remedy})


@pytest.mark.parametrize(
    ("name", "setting", "value", "said"),
    [
        ("outdoor", "tolerance_s", 3600, "The tolerance is 1 h now."),
        ("gas", "behaviour", "register", "The behaviour is"),
        ("water", "unit", "L", "The unit is L now."),
        ("server", "clock", "wall", "The clock is"),
        ("server", "interval_s", 900, "The interval is 15 min now."),
    ],
)
def test_every_remedy_that_a_finding_names_is_applied(
    world: World, admin: TestClient, name: str, setting: str, value: object, said: str
) -> None:
    """What docs/reference/findings.md lists as a remedy is one click, for all time."""
    point = world.point(name)
    found(world, name, remedied(setting, value))
    sent = fields(admin.get(f"/attributes/{point.id}/panels").text)
    answer = admin.post(f"/attributes/{point.id}/remedy", data=sent)
    assert answer.status_code == 303, answer.text
    assert said in admin.get(answer.headers["location"]).text
    registered = world.app.state.rooms.registry.directory(fresh=True).by_id(point.id)
    assert getattr(registered, setting) == value
    found(world, name)


def test_a_remedy_keeps_what_was_dated_of_other_settings(world: World, admin: TestClient) -> None:
    """A transformer that was exchanged in March stays so when the interval is mended."""
    point = world.point("chiller")
    exchanged_ms = world.now[0] - 20 * 86_400_000
    with world.catalog.change(world.catalog_actor()) as change:
        row = change.session.get(Row, point.id)
        assert row is not None
        point_settings.change_from(change, row, {"ct_ratio": 40.0}, exchanged_ms)
    found(world, "chiller", WRONG_INTERVAL)
    sent = fields(admin.get(f"/attributes/{point.id}/panels").text)
    assert admin.post(f"/attributes/{point.id}/remedy", data=sent).status_code == 303
    with world.catalog.reading() as session:
        mine = select(PointSetting).where(PointSetting.data_point_id == point.id)
        dated = [(one.from_ms, one.fields) for one in session.scalars(mine)]
        row = session.get(Row, point.id)
        assert row is not None
        assert row.interval_s == 900
    assert dated == [(exchanged_ms, {"ct_ratio": 40.0})]
    found(world, "chiller")


def test_a_finding_is_dismissed_and_told_again(world: World, admin: TestClient) -> None:
    """Whoever knows better puts a finding away; it is in the history and can be taken back."""
    point = world.point("main")
    idle = Finding("phases.idle", "Phase 2 has shown zero for 3 days.", data={"mark": "2"})
    found(world, "main", idle)
    form = {"csrf": token(admin, point.id), "code": idle.code, "mark": "2"}
    other = admin.post(f"/attributes/{point.id}/finding/dismiss", data=form | {"mark": "3"})
    assert other.status_code == 409, "it says something else now"
    answer = admin.post(f"/attributes/{point.id}/finding/dismiss", data=form)
    assert answer.status_code == 303
    assert "comes back when it says something else" in admin.get(answer.headers["location"]).text
    with world.catalog.reading() as session:
        assert (point.id, idle.code, "2") in judgements.dismissed(session)
    found(world, "main")
    world.view.dismissed[point.series] = (idle,)
    text = admin.get(f"/attributes/{point.id}/panels").text
    assert "Dismissed: 1" in text
    assert 'data-finding="phases.idle"' not in text
    assert admin.post(f"/attributes/{point.id}/finding/restore", data=form).status_code == 303
    with world.catalog.reading() as session:
        assert (point.id, idle.code, "2") not in judgements.dismissed(session)
    world.view.dismissed.clear()


def test_an_unknown_name_is_told_once(world: World, admin: TestClient) -> None:
    """The notice has the likely name; the finding about the same name adds only its Dismiss."""
    point = world.point("main")
    names = Finding(
        "parameters.unknown", "Packets carry names …: aPower_1.",
        data={"mark": "aPower_1", "names": {"aPower_1": "aP_1"}},
    )  # fmt: skip
    status = dataclasses.replace(
        world.view.status(point), ignored={"aPower_1": 12}, findings=(names,)
    )
    world.view.statuses[point.series] = status
    text = admin.get(f"/attributes/{point.id}/panels").text
    assert 'data-ignored="aPower_1"' in text
    assert 'data-finding="parameters.unknown"' not in text
    assert text.count("/finding/dismiss") == 1
    world.view.statuses[point.series] = dataclasses.replace(status, findings=())
    world.view.dismissed[point.series] = (names,)
    assert 'data-ignored="aPower_1"' not in admin.get(f"/attributes/{point.id}/panels").text
    world.view.dismissed.clear()
    found(world, "main")


def test_a_finding_that_needs_figures_leads_to_them(world: World, admin: TestClient) -> None:
    """A register that fell is decided on the page of the data's quality, a zone on its site's."""
    point = world.point("main")
    found(
        world, "main", Finding("register.fell", "pC_1 fell.", 1, 25),
        Finding("interval.spike", "60 kW is much.", 1, 4),
        Finding("clock.does_not_fit", "Packets arrive 1 h before their time.", data={"mark": "4"}),
    )  # fmt: skip
    text = admin.get(f"/attributes/{point.id}/panels").text
    assert text.count(f'href="/quality/{point.id}"') == 2
    assert f'href="/admin/sites/{point.site_id}"' in text
    found(world, "main")


def token(client: TestClient, number: int) -> str:
    """Return the CSRF token of a page."""
    page = client.get(f"/attributes/{number}", headers={"accept": "text/html"}).text
    match = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert match
    return match[1]
