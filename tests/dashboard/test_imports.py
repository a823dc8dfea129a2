"""A file of history on its page: named columns, a trial line by line, and then put in."""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from kilowatch.catalog import import_profiles, people, registry
from kilowatch.catalog.tables import AuditEntry
from kilowatch.catalog.tables_imports import HistoryFile, ImportProfile
from kilowatch.pipeline import importing
from tests.dashboard.conftest import Logged, form_token
from tests.dashboard.worlds import PASSWORD, STRANGER, VIEWER, World

PAGE = {"accept": "text/html"}
GERMAN = (
    "Datum;Uhrzeit;Zähler;Bemerkung\r\n"
    "01.11.2026;10:00;1.000,5;\r\n01.11.2026;10:30;1.001,5;\r\n01.11.2026;10:30;1.001,5;\r\n"
    "01.11.2026;10:30;7;\r\n01.11.2026;11:00;zehn;\r\n02.11.2026;10:00;1.030,5;\r\n"
)


@pytest.fixture
def base(world: World) -> str:
    """Return the address of the organisation's import."""
    return f"/organization/{world.point('gas').organisation_id}/import"


def upload(client: TestClient, base: str, content: bytes, **fields: str) -> str:
    """Upload a file and return the address of its columns."""
    sent = {"csrf": form_token(client, base), **fields}
    answer = client.post(base, data=sent, files={"file": ("history.csv", content)})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def columns(client: TestClient, address: str, **changes: str) -> dict[str, str]:
    """Return the form of the columns as it is offered, then changed."""
    text = client.get(address, headers=PAGE).text
    found = dict(re.findall(r'<input[^>]*? name="(\w+)"[^>]*? value="([^"]*)"', text))
    for name, options in re.findall(
        r'<select[^>]*? name="(\w+)"[^>]*>(.*?)</select>', text, re.DOTALL
    ):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return {**found, **changes}


def finished(client: TestClient, address: str) -> str:
    """Return the page of what a file would do, or did, once it is there."""
    end = time.monotonic() + 30
    while client.get(f"{address}/progress").status_code != 204:
        assert time.monotonic() < end
        time.sleep(0.02)
    return str(client.get(f"{address}/outcome", headers=PAGE).text)


def counts(text: str) -> dict[str, int]:
    """Return the figures on top of the page."""
    found = re.findall(r'data-count="(\w+)">([\d,]+)<', text)
    return {name: int(number.replace(",", "")) for name, number in found}


def test_a_file_is_understood_tried_and_put_in(world: World, admin: TestClient, base: str) -> None:
    """A German export: what each line would do is told first, then the same is done for good."""
    past, point = world.extra["past"], world.point("gas")
    before = len(past.asked)
    address = upload(admin, base, GERMAN.encode("cp1252"))
    page = admin.get(address, headers=PAGE).text
    assert "Read as Windows-1252" in page
    assert "Cells are separated by semicolons." in page
    sent = columns(admin, address, stream="Gas boiler")
    assert [sent[f"role_{n}"] for n in range(4)] == ["time", "time", "value", "ignore"]
    assert (sent["order"], sent["decimal"]) == ("day_first", ",")
    assert admin.post(address, data=sent).status_code == 303
    text = finished(admin, address)
    assert counts(text) == {"new": 3, "identical": 1, "conflicting": 1, "invalid": 1}
    assert re.search(r"data-mistake=\"6\".*?&#39;zehn&#39; is not a number", text, re.DOTALL)
    assert re.search(r'data-conflict-line="5".*?\(line 3\)', text, re.DOTALL)
    assert 'data-day="2026-11-01"' in text
    assert len(past.asked) == before, "nothing has been put in"
    form = {"csrf": sent["csrf"], "reason": "read from paper"}
    assert admin.post(f"{address}/apply", data=form).status_code == 303
    text = finished(admin, address)
    assert "The file is in the history." in text
    source, series, packets, actor, reason = past.asked[-1]
    assert (source, series, actor, reason) == (
        "import", point.series, "a.lee@example.com", "read from paper",
    )  # fmt: skip
    assert [json.loads(body)["value"] for body, _ in packets] == [1000.5, 1001.5, 1001.5, 7, 1030.5]
    assert json.loads(packets[0][0])["tsISO8601"] == "2026-11-01T10:00:00+00:00"
    with world.catalog.reading() as session:
        entry = session.query(AuditEntry).filter_by(action="imported").one()
        assert entry.after == {"file": "history.csv", "packets": 5, "reason": "read from paper"}
    again = admin.post(f"{address}/apply", data=form)
    assert again.status_code == 409, "once is enough: look at it first"
    assert admin.post(f"{address}/discard", data=form).status_code == 303
    assert admin.get(address, headers=PAGE).status_code == 404
    with world.catalog.reading() as session:
        assert not session.query(HistoryFile).filter_by(name="history.csv").count()


def test_a_table_with_a_column_for_each_meter(world: World, admin: TestClient, base: str) -> None:
    """Headers that are names of data points are found; each gets its own packets and totals."""
    rows = [
        f"2026-10-0{day} {hour:02}:00,{hour},{hour * 2}" for day in (1, 2) for hour in range(24)
    ]
    content = "\n".join(["time,Gas boiler,acme-water", *rows]).encode()
    address = upload(admin, base, content)
    assert admin.post(address, data=columns(admin, address)).status_code == 303
    text = finished(admin, address)
    assert counts(text)["new"] == 96
    assert re.findall(r'data-run="([\w-]+)"', text) == ["acme-gas", "acme-water"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"role_0": "ignore"}, "No column is the time."),
        ({"role_1": "ignore"}, "No column is a value."),
        ({}, "Say of which data point"),
        ({"stream": "Nobody"}, "There is no data point Nobody"),
        ({"stream": "werk-presse"}, "There is no data point werk-presse"),
        ({"stream": "acme-gas", "zone": "Mars/Phobos"}, "Mars/Phobos"),
        ({"stream": "acme-gas", "role_2": "value"}, "Two columns are the same value"),
    ],
)
def test_columns_that_make_no_packets_are_refused(
    admin: TestClient, base: str, changes: dict[str, str], says: str
) -> None:
    """The form comes back as it was, with a sentence; a foreign data point does not exist."""
    address = upload(admin, base, b"time,kWh,temp\n2026-10-01 10:00,1,20\n")
    sent = columns(admin, address, role_1="value") | changes
    answer = admin.post(address, data=sent, headers=PAGE)
    assert answer.status_code == 422
    assert says in answer.text


def test_a_saved_way_to_read_a_file_is_used_again(
    world: World, admin: TestClient, base: str
) -> None:
    """What was named once is named for the next file, also when its columns have moved."""
    address = upload(admin, base, b"when,reading\n2026-10-01 10:00,1\n")
    sent = columns(admin, address, stream="acme-gas", profile_name="Monthly gas")
    admin.post(address, data=sent)
    finished(admin, address)
    page = admin.get(base, headers=PAGE).text
    number = re.search(r'<option value="(\d+)">Monthly gas', page)
    assert number
    later = upload(admin, base, b"reading,note,when\n2,x,2026-11-01 10:00\n", profile=number[1])
    offered = columns(admin, later)
    assert [offered[f"role_{n}"] for n in range(3)] == ["value", "ignore", "time"]
    assert offered["stream"] == "acme-gas"
    path = f"{base}/profiles/{number[1]}/remove"
    assert admin.post(path, data={"csrf": sent["csrf"]}).status_code == 303
    with world.catalog.reading() as session:
        assert not session.query(ImportProfile).count()


def test_a_profile_too_many_is_refused_and_not_forgotten(
    admin: TestClient, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told nothing looks for it the month after; the file itself is not begun either."""
    monkeypatch.setattr(import_profiles, "PROFILES_MAX", 0)
    address = upload(admin, base, b"when,reading\n2026-10-01 10:00,1\n")
    sent = columns(admin, address, stream="acme-gas", profile_name="One too many")
    answer = admin.post(address, data=sent, headers=PAGE)
    assert answer.status_code == 422
    assert "0 profiles are kept already. Remove one" in answer.text
    assert 'value="One too many"' in answer.text
    assert admin.post(address, data=sent | {"profile_name": ""}).status_code == 303


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04\0\0"])
def test_what_is_no_table_is_said_at_once(admin: TestClient, base: str, content: bytes) -> None:
    """A workbook is answered with what to do instead."""
    sent = {"csrf": form_token(admin, base)}
    answer = admin.post(base, data=sent, files={"file": ("a.xlsx", content)}, headers=PAGE)
    assert answer.status_code == 422
    assert 'id="file-problem"' in answer.text


def test_a_file_is_only_its_owners(
    world: World, admin: TestClient, logged: Logged, base: str
) -> None:
    """Another person and another organisation find nothing; who may only read has no import."""
    address = upload(admin, base, b"time,value\n2026-10-01 10:00,1\n")
    assert logged(STRANGER).get(address, headers=PAGE).status_code == 404
    with world.catalog.change(world.catalog_actor()) as change:
        acme = registry.find_organisation(change.session, "Acme")
        colleague, _ = people.add_user(change, "b.ray@example.com", password=PASSWORD)
        people.set_role(change, colleague, acme, "administrator")
    other = logged("b.ray@example.com")
    assert other.get(base, headers=PAGE).status_code == 200
    for page in (address, f"{address}/outcome", f"{address}/progress"):
        assert other.get(page, headers=PAGE).status_code == 404
    assert logged(VIEWER).get(base, headers=PAGE).status_code == 403
    assert logged(VIEWER).get("/import", headers=PAGE).status_code == 403
    assert admin.get("/import").headers["location"] == base
    page = admin.get(f"/attributes/{world.point('gas').id}", headers=PAGE).text
    assert 'href="/import"' in page


def test_a_large_file_keeps_no_page_waiting(
    world: World, admin: TestClient, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a file is looked at, its page says how far, and every other page is there at once."""
    go, begun = threading.Event(), threading.Event()
    real = importing.dry_run

    def slow(*arguments: Any) -> Any:
        begun.set()
        assert go.wait(20)
        return real(*arguments)

    monkeypatch.setattr(importing, "dry_run", slow)
    address = upload(admin, base, b"time,value\n2026-10-01 10:00,1\n")
    sent = columns(admin, address, stream="acme-gas")
    admin.post(address, data=sent)
    assert begun.wait(10)
    page = admin.get(f"{address}/outcome", headers=PAGE).text
    assert "Looking at the file" in page
    assert admin.get(f"/attributes/{world.point('gas').id}", headers=PAGE).status_code == 200
    assert admin.post(f"{address}/apply", data={"csrf": sent["csrf"]}).status_code == 409
    go.set()
    assert counts(finished(admin, address))["new"] == 1


def test_a_fault_is_told_and_nothing_waits_for_ever(
    admin: TestClient, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong, the page says so."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(importing, "dry_run", broken)
    address = upload(admin, base, b"time,value\n2026-10-01 10:00,1\n")
    admin.post(address, data=columns(admin, address, stream="acme-gas"))
    assert "The file could not be looked at." in finished(admin, address)
