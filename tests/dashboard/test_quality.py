"""Data quality: what a person sees of gaps, what they may do about them, and what is refused."""

from __future__ import annotations

import csv
import io
import re
import time
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from kilowatch.catalog import bulk, bulk_apply, bulk_plan, corrections, people, registry, sheets
from kilowatch.catalog.corrections_check import Draft
from kilowatch.catalog.tables import DataPoint as PointRow
from kilowatch.dashboard.quality_figures import percent
from kilowatch.model.findings import Finding
from tests.dashboard.fakes import HOUR_MS, Status
from tests.dashboard.house import PAGE, House, post
from tests.dashboard.quality_house import span, with_gaps
from tests.dashboard.quality_world import correct, hidden
from tests.dashboard.worlds import NOW_MS, PASSWORD, STRANGER, VIEWER

ANALYST = "analyst@example.com"


@pytest.fixture
def furnished(house: House) -> House:
    """Give the organisation gaps, findings, corrections, and an analyst."""
    with_gaps(house.world)
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        acme = registry.find_organisation(change.session, "Acme")
        user, _ = people.add_user(change, ANALYST, password=PASSWORD)
        people.set_role(change, user, acme, "analyst")
    return house


def ranked(text: str) -> list[str]:
    """Return the data points of the table in their order."""
    table = text[text.index('id="points"') :]
    return re.findall(r"</span></span>([^<]+)</a></th>", table)


def gap_line(text: str) -> list[str]:
    """Return the states of the gaps that a page lists."""
    return re.findall(r'data-gap="([a-z]+)"', text)


def test_the_calendar_shows_every_gap_of_what_a_person_may_read(furnished: House) -> None:
    """Each day in words, for who can't see shades; a click lists its gaps with their state."""
    client = furnished.log_in()
    text = client.get("/quality?year=2026", headers=PAGE).text
    assert "8 November 2026: 3 data points with 3 gaps, 14 h without data" in text
    assert "2 November 2026: no gap" in text
    day = client.get("/quality?year=2026&day=2026-11-09", headers=PAGE).text
    assert "Gaps of 9 November 2026" in day
    assert gap_line(day) == ["notified"], "the server room is silent, and people were told"
    assert "2 h 7 min" in day
    nothing = client.get("/quality?year=2026&day=2026-11-02", headers=PAGE).text
    assert "No gap on this day." in nothing
    other = furnished.log_in(STRANGER).get("/quality?year=2026&day=2026-11-08", headers=PAGE).text
    assert "Main supply" not in other
    assert "No gap in this year." in other


def test_the_table_ranks_by_lost_time_and_says_what_figures_rest_on(furnished: House) -> None:
    """Where most is missing comes first; a search and a site leave the others out."""
    client = furnished.log_in()
    text = client.get("/quality?year=2026&month=11", headers=PAGE).text
    assert ranked(text)[:3] == ["Refrigeration", "Gas boiler", "Main supply"]
    server = re.search(r"Server room</a>.*?</tr>", text, re.DOTALL)
    assert server is not None
    assert re.search(r">91\.\d %<", server[0]), "two hours of its first day are missing"
    assert "since 2026-11-08" in server[0], "what began in the period says so"
    found = client.get("/quality?year=2026&month=11&sort=findings", headers=PAGE).text
    assert ranked(found)[:2] == ["Gas boiler", "HVAC"]
    by_name = client.get("/quality?sort=name&q=dublin", headers=PAGE).text
    assert ranked(by_name) == sorted(ranked(by_name))
    assert "Refrigeration" not in ranked(by_name)
    site = furnished.world.sites["Supermarket Cork"]
    assert len(ranked(client.get(f"/quality?place=s{site}", headers=PAGE).text)) == 3
    empty = client.get("/quality?q=nothing+of+that+name", headers=PAGE)
    assert empty.status_code == 200
    for wrong in ("year=1800", "month=13", "day=yesterday", "year=x"):
        assert client.get(f"/quality?{wrong}", headers=PAGE).status_code == 400, wrong


def test_each_gap_says_where_it_stands(furnished: House) -> None:
    """Found, filled, accepted, open: read off the corrections that figures rest on."""
    client = furnished.log_in()
    number = furnished.world.point("main").id
    text = client.get(f"/quality/{number}", headers=PAGE).text
    assert gap_line(text) == ["found", "found", "accepted", "filled"]
    assert "Power cut in the whole street." in text
    server = furnished.world.point("server").id
    assert gap_line(client.get(f"/quality/{server}", headers=PAGE).text) == ["notified"]


def test_the_table_of_the_page_is_a_file(furnished: House) -> None:
    """Every data point in the page's order with the page's figures; a file for who may export."""
    client = furnished.log_in()
    page = client.get("/quality?year=2026&month=11", headers=PAGE).text
    assert "/data/quality.csv?year=2026&amp;month=11" in page
    text = client.get("/data/quality.csv?year=2026&month=11").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["data point"] for row in rows] == ranked(page)
    server = next(row for row in rows if row["data point"] == "Server room")
    assert 91.0 <= float(server["complete [%]"]) < 92.0
    assert (server["first day"], server["last day"]) == ("2026-11-01", "2026-11-30")
    assert server["data since"] == "2026-11-08"
    of_page = re.findall(r'data-label="Complete">([\d.]+ %|–)', page.partition('id="points"')[2])
    of_file = [percent(float(c) / 100 if (c := row["complete [%]"]) else None) for row in rows]
    assert of_page == of_file
    for row in rows:
        assert float(row["without data [s]"] or 0) >= 0
        assert row["complete [%]"] or not row["estimated [%]"], "nothing is not zero"
    some = client.get("/data/quality.csv?sort=name&q=dublin").text
    assert "Refrigeration" not in some
    viewer = furnished.log_in(VIEWER)
    assert viewer.get("/data/quality.csv").status_code == 403
    assert "quality.csv" not in viewer.get("/quality", headers=PAGE).text
    assert "Main supply" not in furnished.log_in(STRANGER).get("/data/quality.csv").text


def test_the_gaps_of_the_page_are_a_file(furnished: House) -> None:
    """Every gap of the year or the day, local with its offset; a viewer takes nothing along."""
    client = furnished.log_in()
    answer = client.get("/data/gaps.csv?year=2026")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    here = [row for row in rows if row["data point"] == "Main supply"]
    assert [row["state"] for row in here] == ["Filled", "Accepted", "Found", "Found"]
    for row in rows:
        begin = datetime.fromisoformat(row["last packet before"])
        if row["first packet after"]:
            end = datetime.fromisoformat(row["first packet after"])
            assert 0 < float(row["without data [s]"]) <= (end - begin).total_seconds()
    day = client.get("/data/gaps.csv?year=2026&day=2026-11-09").text.splitlines()
    assert len(day) == 2
    assert "Server room" in day[1]
    assert "/data/gaps.csv?year=2026" in client.get("/quality?year=2026", headers=PAGE).text
    assert furnished.log_in(VIEWER).get("/data/gaps.csv?year=2026").status_code == 403
    stranger = furnished.log_in(STRANGER).get("/data/gaps.csv?year=2026").text
    assert "Main supply" not in stranger
    assert client.get("/data/gaps.csv?year=1800").status_code == 400


def test_a_finding_leads_to_what_can_be_decided(furnished: House) -> None:
    """A dial that fell: four decisions with the figures filled in, as the finding has them."""
    client = furnished.log_in()
    gas, hvac = furnished.world.point("gas"), furnished.world.point("hvac")
    text = client.get(f"/quality/{gas.id}", headers=PAGE).text
    links = re.findall(r'href="(/quality/\d+/meter\?kind=(\w+)[^"]*)"', text)
    kinds = [kind for _, kind in links]
    assert kinds[:4] == ["roll_over", "reset", "exchange", "bad"]
    form = client.get(links[0][0].replace("&amp;", "&"), headers=PAGE).text
    assert re.search(r'id="width"[^>]*value="100000', form)
    form = client.get(links[2][0].replace("&amp;", "&"), headers=PAGE).text
    assert re.search(r'id="last_value"[^>]*value="99812', form)
    assert re.search(r'id="first_value"[^>]*value="31', form)
    shown = client.get(f"/quality/{hvac.id}", headers=PAGE).text
    assert "kind=confirm" in shown
    sums = Finding("meter.sum_exceeded", "They counted more.", gas.id, data={"until_ms": 5})
    furnished.world.view.sums[hvac.id] = (sums,)
    assert "They counted more." not in client.get(f"/quality/{hvac.id}", headers=PAGE).text
    with furnished.world.catalog.change(furnished.world.catalog_actor()) as change:
        row = change.session.get(PointRow, furnished.world.point("server").id)
        assert row is not None
        row.parent_id = hvac.id
    assert "They counted more." in client.get(f"/quality/{hvac.id}", headers=PAGE).text


def test_an_analyst_acts_on_findings_and_changes_no_figure(furnished: House) -> None:
    """Accept, confirm and comment are theirs; fills, edits and records are a manager's."""
    client = furnished.log_in(ANALYST)
    point = furnished.world.point("main")
    text = client.get(f"/quality/{point.id}", headers=PAGE).text
    assert "kind=accept" in text
    assert "kind=fill" not in text
    assert "/meter?" not in text
    assert f"/quality/{point.id}/rules" not in text
    assert client.get(f"/quality/{point.id}/correct", headers=PAGE).status_code == 403
    begin, end = span(furnished.world, 3, 0.5)
    page = f"/quality/{point.id}/judge?kind=accept&from_ms={begin}&to_ms={end}"
    form = client.get(page, headers=PAGE).text
    sent = dict(re.findall(r'name="(from|from_ms|to|to_ms)"[^>]*value="([^"]*)"', form))
    _, applied = correct(client, f"/quality/{point.id}/judge", kind="accept", **sent)
    assert applied.status_code == 303, applied.text
    text = client.get(f"/quality/{point.id}", headers=PAGE).text
    assert gap_line(text) == ["found", "accepted", "accepted", "filled"]
    fills = re.findall(r'/correct/undo">.*?name="number" value="(\d+)"', text, re.DOTALL)
    assert fills == [], "the fill of an administrator is not theirs to take back"
    refused = post(
        client, f"/quality/{point.id}/judge", f"/quality/{point.id}/judge/undo", number="1"
    )
    assert refused.status_code == 403, "not by another door either"
    mine = re.findall(r'/judge/undo">.*?name="number" value="(\d+)"', text, re.DOTALL)
    _, undone = correct(client, f"/quality/{point.id}/judge/undo", number=mine[0])
    assert undone.status_code == 303
    text = client.get(f"/quality/{point.id}", headers=PAGE).text
    assert gap_line(text) == ["found", "found", "accepted", "filled"]


def test_a_viewer_reads(furnished: House) -> None:
    """All of it, and no button."""
    client = furnished.log_in(VIEWER)
    point = furnished.world.point("main")
    text = client.get(f"/quality/{point.id}", headers=PAGE).text
    assert gap_line(text) == ["found", "found", "accepted", "filled"]
    assert "kind=" not in text
    assert "/undo" not in text


@pytest.mark.parametrize(
    ("group", "fields", "said"),
    [
        ("correct", {"kind": "fill", "method": "linear"}, "Say why"),
        ("correct", {"kind": "fill", "comment": "x"}, "Choose a method."),
        ("correct", {"kind": "fill", "method": "sister", "comment": "x"}, "Choose the meter"),
        ("correct", {"kind": "edit", "channel": "pC", "comment": "x"}, "Give a figure."),
        ("correct", {"kind": "edit", "value": "1,5", "channel": "pC", "comment": "x"}, "a number"),
        ("correct", {"kind": "edit", "value": "1", "channel": "pF", "comment": "x"}, "A power f"),
        ("correct", {"kind": "edit", "value": "1", "comment": "x"}, "Choose a parameter."),
        ("correct", {"kind": "edit", "from": "soon", "comment": "x"}, "not a date and a time"),
        ("correct", {"kind": "fill", "to": "", "comment": "x"}, "Give a date and a time."),
        ("correct", {"kind": "bad", "comment": "x"}, "Choose what to do."),
        ("judge", {"kind": "comment"}, "Say why"),
        ("judge", {"kind": "accept", "to": "2026-11-08T09:00"}, "ends before it begins"),
        ("judge", {"kind": "confirm"}, "no interval in this range is questionable"),
        ("meter", {"kind": "roll_over", "comment": "x"}, "Give a figure."),
        ("meter", {"kind": "reset", "first": "0", "comment": "x", "from": "2030-01-01T00:00"},
         "has happened"),
    ],
)  # fmt: skip
def test_a_form_says_what_is_wrong_and_keeps_what_was_typed(
    house: House, group: str, fields: dict[str, str], said: str
) -> None:
    """Beside its field, in a sentence; nothing is kept of it."""
    client = house.log_in()
    path = f"/quality/{house.world.point('main').id}/{group}"
    sent = {"from": "2026-11-08T10:00", "to": "2026-11-08T11:00", **fields}
    answer = post(client, path, path, step="preview", **sent)
    assert answer.status_code == 422, answer.text
    assert said in answer.text
    if "comment" in fields:
        assert ">x</textarea>" in answer.text
    directory = house.world.app.state.rooms.registry.directory(fresh=True)
    assert directory.by_id(house.world.point("main").id).editing.corrections == ()


def test_an_hour_that_comes_twice_is_wholly_meant(house: House) -> None:
    """From 01:00 to 02:00 on the night when clocks go back is two hours; a link's instant stays."""
    client, view = house.log_in(), house.world.view
    path = f"/quality/{house.world.point('main').id}/judge"
    night = {"from": "2026-10-25T01:00", "to": "2026-10-25T01:59:59"}
    post(client, path, path, step="preview", kind="accept", **night)
    _, _, from_ms, to_ms = view.previewed[-1]
    assert to_ms - from_ms == 2 * HOUR_MS - 1_000
    exact = {"from_ms": str(to_ms - HOUR_MS + 7), "from": "2026-10-25T00:59:59"}
    second = {"from_ms": str(from_ms + HOUR_MS + 7), "from": "2026-10-25T01:00"}
    for sent, begin in ((exact, from_ms - 1_000), (second, from_ms + HOUR_MS + 7)):
        post(client, path, path, step="preview", kind="accept", **{**night, **sent})
        assert view.previewed[-1][2] == begin


def test_the_shape_of_a_meter_that_is_not_theirs_is_not_taken(house: House) -> None:
    """Another company's meter is refused like one that does not exist."""
    client = house.log_in()
    path = f"/quality/{house.world.point('main').id}/correct"
    directory = house.world.app.state.rooms.registry.directory()
    theirs = next(p.id for p in directory.points.values() if p.name == "Presse")
    for number in (theirs, 999_999):
        answer = post(
            client, path, path, step="preview", kind="fill", method="sister", sister=str(number),
            comment="x", **{"from": "2026-11-08T10:00", "to": "2026-11-08T11:00"},
        )  # fmt: skip
        assert answer.status_code == 422
        assert "Choose the meter whose shape is taken." in answer.text
    form = client.get(f"{path}?kind=fill", headers=PAGE).text
    assert "HVAC (acme-hvac)" in form
    assert "Presse" not in form
    assert "Gas boiler (" not in form, "of another unit"


def test_a_correction_names_another_meter_only_to_who_may_read_that_one(house: House) -> None:
    """Who was granted one meter sees that its gap was filled from another, and not from which."""
    main, hvac = house.world.point("main"), house.world.point("hvac")
    start = NOW_MS - 48 * HOUR_MS
    draft = Draft(
        "fill", start, start + HOUR_MS, "pC", method="sister", sister_id=hvac.id, comment="x"
    )
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        corrections.add(change, main.id, draft)
        tenant, _ = people.add_user(change, ANALYST, password=PASSWORD)
        acme = registry.find_organisation(change.session, "Acme")
        people.set_role(change, tenant, acme, "analyst", whole=False)
        row = change.session.get(PointRow, main.id)
        assert row is not None
        people.grant(change, tenant, row)
    path = f"/quality/{main.id}"
    all_of_it = house.log_in().get(path, headers=PAGE).text
    assert "Filled: From another meter HVAC" in all_of_it
    theirs = house.log_in(ANALYST).get(path, headers=PAGE).text
    assert "Filled: From another meter" in theirs
    assert "HVAC" not in theirs


def test_what_is_undone_already_is_gone(furnished: House) -> None:
    """Two people press the same button: the second one is told."""
    client = furnished.log_in()
    path = f"/quality/{furnished.world.point('main').id}/correct"
    preview = post(client, path, f"{path}/undo", number="1")
    assert preview.status_code == 200
    sent: dict[str, Any] = {**hidden(preview.text), "step": "apply"}
    assert client.post(f"{path}/undo", data=sent, headers=PAGE).status_code == 303
    assert client.post(f"{path}/undo", data=sent, headers=PAGE).status_code == 404
    other = f"/quality/{furnished.world.point('hvac').id}/correct/undo"
    assert post(client, path, other, number="2").status_code == 404
    assert post(client, path, f"{path}/undo").status_code == 400


def test_while_figures_are_computed_the_page_says_how_far_they_are(house: House) -> None:
    """Progress is on the page until it is done."""
    client = house.log_in()
    point = house.world.point("main")
    assert "data-settling" not in client.get(f"/quality/{point.id}/panels", headers=PAGE).text
    house.world.view.statuses[point.series] = Status(point.series, recomputing=0.4)
    text = client.get(f"/quality/{point.id}/panels", headers=PAGE).text
    assert "data-settling" in text
    assert 'value="40"' in text


def test_ten_thousand_data_points_are_a_glance(house: House) -> None:
    """Sixty gaps each over a year: the page takes less than a second or two of processor time."""
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        acme = registry.find_organisation(change.session, "Acme")
        lines = [(f"many-{number}", f"Point {number}", "Office Dublin") for number in range(10_000)]
        sheet = bulk.read(sheets.write(("stream_id", "name", "site"), lines))
        digest = bulk_plan.plan(change.session, acme.id, sheet, house.world.now[0]).digest
        bulk_apply.apply(change, acme.id, sheet, digest)
    client = house.log_in()
    directory = house.world.app.state.rooms.registry.directory(fresh=True)
    random = np.random.default_rng(3)
    year_ms = house.world.now[0] - 300 * 24 * HOUR_MS
    for point in directory.points.values():
        begins = np.sort(random.integers(0, 280 * 24, 60)) * HOUR_MS + year_ms
        rows = [begins, begins + HOUR_MS, np.ones(60, np.int64), np.full(60, HOUR_MS)]
        house.world.view.gaps[point.series] = np.stack(rows, axis=1).astype(np.int64)
    client.get("/quality", headers=PAGE)
    began = time.process_time()
    answer = client.get("/quality?year=2026&day=2026-06-01&sort=lost&page=7", headers=PAGE)
    taken_s = time.process_time() - began
    assert answer.status_code == 200
    assert "10,009 data points" in answer.text
    assert len(ranked(answer.text)) == 50
    assert "Gaps of 1 June 2026" in answer.text
    assert len(answer.content) < 600_000
    assert taken_s < 5, "0.2 s on the machine that it was written on"
