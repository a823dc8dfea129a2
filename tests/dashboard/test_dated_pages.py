"""Settings that were wrong, or that changed on a day: the forms keep the two apart."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from kilowatch.catalog import meter_events, point_settings
from kilowatch.catalog.tables import DataPoint, Site
from tests.dashboard.conftest import form_token
from tests.dashboard.quality_world import hidden
from tests.dashboard.worlds import World

PAGE = {"accept": "text/html"}
DUBLIN = ZoneInfo("Europe/Dublin")


def local_ms(text: str) -> int:
    """Return a local time of Dublin [ms since 1970, UTC]."""
    return round(datetime.fromisoformat(text).replace(tzinfo=DUBLIN).timestamp() * 1000)


def form(client: TestClient, path: str, **changes: str) -> dict[str, str]:
    """Return the form of a page as it is filled in, then changed."""
    page = client.get(path, headers=PAGE).text
    body = re.search(rf'<form class="card stack" method="post" action="{path}".*?</form>', page,
                     re.DOTALL)  # fmt: skip
    assert body, page
    text = body[0]
    found = dict(
        re.findall(
            r'<input type="(?:hidden|text|email)"[^>]*? name="(\w+)"[^>]*? value="([^"]*)"', text
        )
    )
    found |= dict(re.findall(r'name="(\w+)" value="([^"]*)" checked', text))
    for name, options in re.findall(
        r'<select[^>]* name="(\w+)"[^>]*>(.*?)</select>', text, re.DOTALL
    ):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return {"csrf": form_token(client, path), **found, **changes}


def periods(world: World, name: str) -> list[tuple[int | None, dict[str, object]]]:
    """Return a data point's settings by period."""
    with world.catalog.reading() as session:
        row = session.get(DataPoint, world.point(name).id)
        assert row is not None
        return [(at, dict(some)) for at, some in point_settings.settings_by_period(session, row)]


def test_a_form_that_is_sent_as_it_came_changes_nothing(world: World, admin: TestClient) -> None:
    """Looking at a data point and pressing Save dates nothing and sets no factor."""
    point = world.point("gas")
    path = f"/admin/data-points/{point.id}"
    before = periods(world, "gas")
    assert admin.post(path, data=form(admin, path)).status_code == 303
    assert periods(world, "gas") == before


def test_limits_of_electrical_events_are_in_the_form_and_its_history(
    world: World, admin: TestClient
) -> None:
    """Where a tariff asks for 0.95, whoever runs the site enters it; a gas meter is not asked."""
    point = world.point("main")
    path = f"/admin/data-points/{point.id}"
    assert 'name="least_power_factor"' in admin.get(path, headers=PAGE).text
    gas = admin.get(f"/admin/data-points/{world.point('gas').id}", headers=PAGE).text
    assert 'name="least_power_factor"' not in gas
    sent = form(admin, path, least_power_factor="0.95", when="from",
                **{"from": "2026-11-02T10:30"})  # fmt: skip
    answer = admin.post(path, data=sent)
    assert answer.status_code == 303, answer.text
    page = admin.get(answer.headers["location"], headers=PAGE).text
    assert re.search(r'name="least_power_factor"[^>]*value="0.95"', page)
    word = re.search(r'name="what" value="(setting-\d+)"', page)
    assert word
    assert (
        admin.post(f"{path}/undo", data={"csrf": sent["csrf"], "what": word[1]}).status_code == 303
    )
    page = admin.get(path, headers=PAGE).text
    assert not re.search(r'name="least_power_factor"[^>]*value="0.95"', page)
    wrong = admin.post(path, data=form(admin, path, lowest_voltage_percent="5"))
    assert wrong.status_code == 422
    assert "less than what most must keep" in wrong.text


def test_a_factor_from_a_date_on_leaves_what_was_before(world: World, admin: TestClient) -> None:
    """New transformers on the second of November: October stays; the panel tells both; undo."""
    point = world.point("main")
    path = f"/admin/data-points/{point.id}"
    sent = form(admin, path, ct_ratio="40", when="from", comment="200/5 A now",
                **{"from": "2026-11-02T10:30"})  # fmt: skip
    answer = admin.post(path, data=sent)
    assert answer.status_code == 303, answer.text
    at_ms = local_ms("2026-11-02T10:30")
    assert [(at, one["ct_ratio"]) for at, one in periods(world, "main")] == [
        (None, 1.0), (at_ms, 40.0),
    ]  # fmt: skip
    page = admin.get(answer.headers["location"], headers=PAGE).text
    assert "from 2026-11-02 10:30:00" in page
    assert "200/5 A now" in page
    assert 'name="ct_ratio" class="input"' in page
    assert re.search(r'name="ct_ratio"[^>]*value="40"', page)
    word = re.search(r'name="what" value="(setting-\d+)"', page)
    assert word
    undone = admin.post(f"{path}/undo", data={"csrf": sent["csrf"], "what": word[1]})
    assert undone.status_code == 303
    assert [at for at, _ in periods(world, "main")] == [None]
    assert (
        admin.post(f"{path}/undo", data={"csrf": sent["csrf"], "what": word[1]}).status_code == 404
    )


def test_what_was_always_wrong_is_wrong_in_every_year(world: World, admin: TestClient) -> None:
    """A multiplier that was typed wrongly is corrected for all time."""
    point = world.point("water")
    path = f"/admin/data-points/{point.id}"
    assert (
        admin.post(path, data=form(admin, path, multiplier="10", interval="30m")).status_code == 303
    )
    ((at, now),) = periods(world, "water")
    assert (at, now["multiplier"], now["interval_s"]) == (None, 10.0, 1800)


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"when": "from", "ct_ratio": "40"}, "from", "From when on"),
        ({"when": "from", "from": "2031-01-01T00:00", "ct_ratio": "40"}, "from", "still to come"),
        ({"ct_ratio": "forty"}, "ct_ratio", "is not a number"),
        ({"calorific_kwh_per_m3": "11.2"}, "calorific_kwh_per_m3", "turns a volume into energy"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(
    world: World, admin: TestClient, changes: dict[str, str], field: str, says: str
) -> None:
    """The form comes back with one sentence where it is wrong, and nothing has changed."""
    point = world.point("hvac")
    path = f"/admin/data-points/{point.id}"
    before = periods(world, "hvac")
    answer = admin.post(path, data=form(admin, path, **changes), headers=PAGE)
    assert answer.status_code == 422
    problem = re.search(rf'id="{field}-problem">([^<]*)', answer.text)
    assert problem, answer.text
    assert says in problem[1]
    assert periods(world, "hvac") == before


def test_what_happened_to_the_meter_is_recorded_in_one_place(
    world: World, admin: TestClient
) -> None:
    """The data point's page leads to the form of Data quality, filled in; undo is on both."""
    point = world.point("main")
    path = f"/admin/data-points/{point.id}"
    page = admin.get(path, headers=PAGE).text
    assert admin.get(f"{path}/meter", headers=PAGE).status_code == 404, "no second form"
    link = re.search(r'href="(/quality/\d+/meter\?kind=exchange&amp;from=([^"]+))"', page)
    assert link, page
    form_page = admin.get(link[1].replace("&amp;", "&"), headers=PAGE).text
    assert f'name="from" class="input" aria-describedby="from-hint" value="{link[2]}"' in form_page
    for name in ("multiplier", "ct_ratio", "vt_ratio", "register_max", "last_pC_1", "first_pC_1"):
        assert f'name="{name}"' in form_page
    assert 'name="pulse_weight"' not in form_page
    assert ">Active energy, imported, L1: last of the old meter" in form_page
    assert "pC_1:" not in form_page, "people do not call it so"
    sent = {
        "csrf": form_token(admin, path), "kind": "exchange", "from": "2026-11-05T09:00",
        "last_pC_1": "48211.5", "first_pC_1": "0", "multiplier": "2", "comment": "No. 17 for 9",
    }  # fmt: skip
    address = f"/quality/{point.id}/meter"
    for field, text in (("last_pC_1", "x"), ("multiplier", "two"), ("from", "")):
        wrong = admin.post(address, data={**sent, field: text}, headers=PAGE)
        assert wrong.status_code == 422
        assert f'id="{field}-problem"' in wrong.text
    seen = admin.post(address, data={**sent, "step": "preview"}, headers=PAGE)
    assert seen.status_code == 200, seen.text
    answer = admin.post(address, data={**hidden(seen.text), "step": "apply"})
    assert answer.status_code == 303, answer.text
    page = admin.get(path, headers=PAGE).text
    assert page.count("Meter exchanged</strong>") == 1, "one exchange, although of two rows"
    assert "No. 17 for 9" in page
    assert "· Active energy, imported, L1</p>" in page
    with world.catalog.reading() as session:
        row = session.get_one(DataPoint, point.id)
        found = meter_events.events(session, row)
        assert [(one.kind, one.channel, one.last, one.first) for one in found] == [
            ("exchange", "pC_1", 48211.5, 0.0), ("exchange", "", None, None),
        ]  # fmt: skip
    assert [one["multiplier"] for _, one in periods(world, "main")] == [1.0, 2.0]
    word = re.search(r'name="what" value="(event-\d+)"', page)
    assert word
    admin.post(f"{path}/undo", data={"csrf": sent["csrf"], "what": word[1]})
    with world.catalog.reading() as session:
        assert not meter_events.events(session, session.get_one(DataPoint, point.id))


def test_what_does_not_count_up_has_no_exchange(world: World, admin: TestClient) -> None:
    """A thermometer has no register: only bad readings are recorded there."""
    point = world.point("outdoor")
    page = admin.get(f"/admin/data-points/{point.id}", headers=PAGE).text
    assert f"/quality/{point.id}/meter?kind=bad" in page
    form_page = admin.get(f"/quality/{point.id}/meter?kind=exchange", headers=PAGE).text
    assert "kind=exchange" not in form_page
    assert 'name="kind" value="bad"' in form_page


def test_progress_is_shown_until_the_history_is_computed(world: World, admin: TestClient) -> None:
    """The page asks again while there is something to wait for, and then leaves it."""
    point = world.point("main")
    path = f"/admin/data-points/{point.id}/progress"
    status = world.view.status(point)
    world.view.statuses[point.series] = dataclasses.replace(status, recomputing=0.42)
    text = admin.get(f"{path}?left=3").text
    assert "42 %" in text
    assert f'hx-get="{path}?left=1"' in text
    world.view.statuses[point.series] = status
    assert f'hx-get="{path}?left=0"' in admin.get(f"{path}?left=1").text
    assert "hx-get" not in admin.get(f"{path}?left=0").text


def test_a_site_that_moved_keeps_its_old_days(world: World, admin: TestClient) -> None:
    """Another zone from a date on is dated; taken back, the site has its one zone again."""
    site_id = world.sites["Supermarket Cork"]
    path = f"/admin/sites/{site_id}"
    sent = form(admin, path, zone="Europe/Berlin", when="from", **{"from": "2026-11-03T00:00"})
    answer = admin.post(path, data=sent)
    assert answer.status_code == 303, answer.text
    page = admin.get(answer.headers["location"], headers=PAGE).text
    assert page.count("data-zone-since") == 2
    point = admin.get(f"/admin/data-points/{world.point('chiller').id}", headers=PAGE).text
    assert "Time zone of the site: Europe/Berlin" in point
    word = re.search(r'name="what" value="(zone-\d+)"', page)
    assert word
    undone = {"csrf": sent["csrf"], "what": word[1]}
    assert admin.post(f"{path}/zone/undo", data=undone).status_code == 303
    with world.catalog.reading() as session:
        assert session.get_one(Site, site_id).zone == "Europe/Dublin"
    assert "data-zone-since" not in admin.get(path, headers=PAGE).text


def test_what_feeds_a_data_point_since_a_day(world: World, admin: TestClient) -> None:
    """Wired anew on the second of November: October has the old tree; the panel tells; undo."""
    point, main = world.point("hvac"), world.point("main")
    path = f"/admin/data-points/{point.id}/move"
    other = world.point("server")
    assert admin.post(path, data=form(admin, path, parent=main.stream_id)).status_code == 303
    sent = form(admin, path, parent=other.stream_id, when="from", comment="new board",
                **{"from": "2026-11-02T10:30"})  # fmt: skip
    answer = admin.post(path, data=sent)
    assert answer.status_code == 303, answer.text
    at_ms = local_ms("2026-11-02T10:30")
    assert [(at, one["parent_id"]) for at, one in periods(world, "hvac")] == [
        (None, main.id), (at_ms, other.id),
    ]  # fmt: skip
    page = admin.get(answer.headers["location"], headers=PAGE).text
    assert re.search(
        r"from 2026-11-02 10:30.*?Fed by: <b>Server room</b>.*?new board", page, re.DOTALL
    )
    assert f"Fed by: <b>{main.name}</b>" in page
    again = form(admin, path)
    assert admin.post(path, data=again).status_code == 303
    assert len(periods(world, "hvac")) == 2, "sent as it came, nothing changes"
    word = re.search(r'name="what" value="(setting-\d+)"', page)
    assert word
    back = {"csrf": sent["csrf"], "what": word[1]}
    assert admin.post(f"/admin/data-points/{point.id}/undo", data=back).status_code == 303
    assert [at for at, _ in periods(world, "hvac")] == [None]
    always = form(admin, path, parent="", when="always")
    assert admin.post(path, data=always).status_code == 303
    assert [(at, one["parent_id"]) for at, one in periods(world, "hvac")] == [(None, None)]


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"when": "from"}, "from", "From when on"),
        ({"when": "from", "from": "2031-01-01T00:00"}, "from", "still to come"),
        ({"when": "from", "from": "2026-11-02T00:00", "site": "Supermarket Cork"},
         "from", "for all time"),
        ({"parent": "hvac"}, "parent", "would feed itself"),
    ],
)  # fmt: skip
def test_a_feeder_that_cannot_be_is_refused_beside_its_field(
    world: World, admin: TestClient, changes: dict[str, str], field: str, says: str
) -> None:
    """The page comes back as it was filled in, and nothing has moved."""
    point, other = world.point("hvac"), world.point("server")
    path = f"/admin/data-points/{point.id}/move"
    before = periods(world, "hvac")
    sent = form(admin, path, parent=other.stream_id)
    for name, value in changes.items():
        sent[name] = world.point(value).stream_id if value == "hvac" else value
    if "site" in changes:
        site_id = world.sites[changes["site"]]
        place = re.search(
            r'name="place" value="([^"]*)"',
            admin.get(f"{path}?site={site_id}", headers=PAGE).text,
        )
        assert place
        sent |= {"site": str(site_id), "place": place[1], "parent": ""}
    answer = admin.post(path, data=sent, headers=PAGE)
    assert answer.status_code == 422
    problem = re.search(rf'id="{field}-problem">([^<]*)', answer.text)
    assert problem, answer.text
    assert says in problem[1]
    assert periods(world, "hvac") == before
