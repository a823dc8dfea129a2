"""Figures taken along from a shell, while the platform runs and after it died, and brought back."""

from __future__ import annotations

import csv
import io
import re
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser
from python_calamine import CalamineWorkbook

from kilowatch import catalog
from kilowatch.catalog.tables import AuditEntry
from kilowatch.catalog.tables_exports import ExportLink
from tests.dashboard.conftest import form_token
from tests.dashboard.test_imports import columns, counts, finished
from tests.journeys.pages import Dashboard
from tests.journeys.pushing import client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until, until_stored

pytestmark = pytest.mark.journey

ALL = ("--period", "everything")
FIRST_MIN = 23 * 60  # the evening before the clocks go back in Dublin, 2026-10-25
PACKETS = 60


def export(server: Server, *arguments: str) -> bytes:
    """Run the command of the real program and return its standard output."""
    command = [sys.executable, "-m", "kilowatch", "export", *arguments, "--data", str(server.data)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def refused(server: Server, *arguments: str) -> str:
    """Return what the command says to the standard error when it writes nothing."""
    command = [sys.executable, "-m", "kilowatch", "export", *arguments, "--data", str(server.data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def rows(content: bytes) -> list[dict[str, str]]:
    """Return the rows of a CSV file by their headings."""
    return list(csv.DictReader(io.StringIO(content.decode())))


def totals(content: bytes) -> dict[str, float]:
    """Return amounts with what was counted across gaps, by parameter."""
    found: defaultdict[str, float] = defaultdict(float)
    for row in rows(content):
        found[row["parameter"]] += float(row["value"] or 0) + float(row["across_gap"] or 0)
    return dict(found)


def packet(stream: str, number: int) -> dict[str, Any]:
    """Return one reading of a meter; the clocks go back among them, and some never came."""
    minute = FIRST_MIN + 5 * number
    stamp = f"2026-10-{24 + minute // 1440}T{minute // 60 % 24:02}:{minute % 60:02}:00+00:00"
    return {
        "id": stream, "tsISO8601": stamp, "aP_1": 900.5 + number, "aP_2": 700.25,
        "pC_1": 50_000 + 80 * number, "pC_2": 30_000 + 60 * number,
    }  # fmt: skip


def push(package: dict[str, Any], data: Path, numbers: range) -> None:
    """Push readings, without those of an hour that the gateway slept through."""
    client, stream = client_of(package, data), package["streams"]["electricity"]
    for number in numbers:
        if not 30 <= number < 42:
            assert client.push(packet(stream, number)) == (200, {"status": "accepted"})
    client.close()


@dataclass(slots=True)
class Estate:
    """A running server with a meter's readings, and its administrator's session."""

    server: Server
    package: dict[str, Any]
    board: Dashboard


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Start the program, as talkative as it can be, and push 48 readings; killed at the end."""
    folder = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILOWATCH_LOG_LEVEL", "debug")
        server = Server(folder / "data", folder / "data.log").start()
    package = startup_package(server.data)
    assert "There is no data of what was chosen in this period." in refused(server, "there.csv")
    push(package, server.data, range(PACKETS))
    until_stored(server.data)
    board = Dashboard(
        package["dashboard_url"].rstrip("/"), package["dashboard_user"],
        package["dashboard_password"],
    )  # fmt: skip
    yield Estate(server, package, board)
    if server.process is not None and server.process.poll() is None:
        server.kill()


def made_link(estate: Estate, name: str) -> tuple[str, str]:
    """Make a link whose token may stand in the address; return its path and its token."""
    client: Any = estate.board.client
    number = re.findall(r"/organization/(\d+)", client.get("/tree").text)[0]
    answer = client.post(
        "/export/links",
        data={
            "csrf": form_token(client, "/export/links"), "name": name, "format": "csv",
            "days": "30", "in_address": "yes", "place": f"o{number}", "period": "everything",
            "current_password": estate.package["dashboard_password"],
        },
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    token = re.search(r"kwx_[\w-]{40,}", answer.text)
    path = re.search(r"/export/link/\d+", answer.text)
    assert token
    assert path
    return path[0], token[0]


def made_token(estate: Estate) -> str:
    """Make an API token on the account's page, where it is shown once."""
    client: Any = estate.board.client
    form = {
        "csrf": form_token(client, "/account/tokens"), "name": "Nightly", "access": "read",
        "days": "30", "current_password": estate.package["dashboard_password"],
    }  # fmt: skip
    answer = client.post("/account/tokens", data=form)
    found = re.search(r"kwt_[\w-]{40,}", answer.text)
    assert found, answer.text
    return found[0]


def test_a_program_reads_with_a_token_what_its_person_sees(estate: Estate) -> None:
    """The night the clocks went back, with an hour that never came: as Breakdown draws it.

    The token opens the API and no page, is in no log and no file, and closes with its revocation.
    """
    token = made_token(estate)
    api = httpx.Client(
        base_url=f"{estate.board.url}/api/v1", timeout=60,
        headers={"authorization": f"Bearer {token}"},
    )  # fmt: skip
    reference = estate.package["streams"]["electricity"]
    (meter,) = [one for one in api.get("/meters").json() if one["reference"] == reference]
    assert (meter["reading"], meter["process_sampling_rate_minutes"]) == ("cum", 5)
    path, night = f"/meters/{meter['id']}", {"month": "10", "year": "2026", "detailed": "true"}
    days = api.get(f"{path}/consumptions", params=night).json()
    drawn = estate.board.series(
        meter["id"], period="month", date="2026-10-15", grain="day", show="pC"
    )
    (channel,) = drawn["channels"]
    columns = zip(channel["start"], channel["amount"], channel["unallocated"], strict=True)
    page = {start[:10]: (known or 0.0) + (apart or 0.0) for start, known, apart in columns}
    told = {one["date"]: float(one["total_consumption"].split()[0]) for one in days}
    assert told == pytest.approx(page)
    assert sum(told.values()) == pytest.approx(drawn["statistics"][0]["total"])
    assert sum(told.values()) == 140 * (PACKETS - 1), "the registers moved by so much"
    last = days[-1]
    parts = sum(float(one.split()[0]) for one in last["consumption_by_time"].values())
    assert parts + float(last["unallocated"].split()[0]) == pytest.approx(told[last["date"]])
    period = {"from": "24/10/2026", "to": "25/10/2026"}
    rows_there = api.get(f"{path}/raw_data", params=period).json()
    lines = estate.board.series(
        meter["id"], period="custom", date="2026-10-24", until="2026-10-25", grain="interval",
        show="aP",
    )["channels"][0]  # fmt: skip
    assert [one["timestamp"] for one in rows_there] == lines["start"]
    assert [one["total"] for one in rows_there] == pytest.approx(lines["mean"])
    assert api.get(f"{path}/costs", params=night).json()[0]["total_cost"] is None
    assert api.get(f"{path}/forecast").json()["reason"]
    assert api.get("/events", params=period).json() == []
    assert api.post("/organizations", json={"organization": {"name": "x"}}).status_code == 405
    bare = httpx.Client(base_url=estate.board.url, headers={"authorization": token})
    assert bare.get("/api/v1/openapi.json").status_code == 200
    assert bare.get("/data/today").status_code == 401
    assert estate.board.client.get("/api/v1/meters").status_code == 401
    assert 'page="api_meters"' in bare.get("/metrics", headers={"authorization": ""}).text
    files = [one for one in estate.server.data.parent.rglob("*") if one.is_file()]
    assert len(files) > 5
    assert not [one for one in files if token.encode() in one.read_bytes()]
    page_of_it = estate.board.client.get("/account/tokens").text
    number = re.search(r'name="token" value="(\d+)"', page_of_it)
    assert number
    form = {"csrf": form_token(estate.board.client, "/account/tokens"), "token": number[1]}  # type: ignore[arg-type]
    estate.board.client.post("/account/tokens/revoke", data=form)
    assert api.get("/meters").status_code == 401


@pytest.mark.browser
def test_a_token_in_an_address_is_written_down_nowhere(estate: Estate, browser: Browser) -> None:
    """Not in a log, an error page, the history, a metric, a Referer, nor any file of the folder.

    The program has no access log to switch on; at ``debug`` it says all that it can. Requests that
    succeed, are refused, fail inside or are no HTTP at all carry the token in their address.
    """
    url, fresh = estate.board.url, httpx.Limits(max_keepalive_connections=0)
    tool = httpx.Client(base_url=url, timeout=60, limits=fresh)  # a failure ends a connection
    path, token = made_link(estate, "Monthly report")
    broken, other = made_link(estate, "To be broken")
    opened = catalog.open(estate.server.data / "catalog.sqlite")
    with opened.bookkeeping() as session:  # as no page writes it: the handler fails inside
        row = session.get(ExportLink, int(broken.rpartition("/")[2]))
        assert row is not None
        row.definition = {}
    secrets = [token, other, guess := f"kwx_{'a-wrong-token' * 4}"]
    page = {"accept": "text/html"}
    asked = [
        (200, tool.get(f"{path}?token={token}")),
        (200, tool.head(f"{path}?token={token}")),
        (200, tool.get(path, auth=("kilowatch", token))),
        (401, tool.get(f"{path}?token={guess}")),
        (401, tool.get(path, headers={"authorization": f"Bearer {guess}"})),
        (401, tool.get(f"{path}?token={other}", headers=page)),
        (401, tool.get(f"/export/link/999?token={token}")),
        (404, tool.get(f"/export/link/x{token}?token={token}", headers=page)),
        (405, tool.post(f"{path}?token={token}", headers=page)),
        (500, tool.get(f"{broken}?token={other}", headers=page)),
        (500, tool.get(f"{broken}?token={other}")),
        (500, tool.get(broken, auth=(other, ""))),
    ]
    for status, answer in asked:
        assert answer.status_code == status, (answer.request.url, answer.text)
        told = answer.text + repr(answer.headers)
        assert not any(secret in told for secret in secrets), (status, told)
        if answer.request.url.query:
            assert answer.headers["referrer-policy"] == "no-referrer"
    with socket.create_connection((tool.base_url.host, tool.base_url.port or 80)) as plain:
        plain.sendall(f"GET {path}?token={token} HTTX/9\r\n\r\n".encode())
        assert token.encode() not in plain.recv(4096)
    _asked_by_a_browser(browser, f"{url}{broken}?token={other}", other)
    for address in ("/admin/history", "/export/links", "/metrics", "/health/ready"):
        told = estate.board.client.get(address).text
        assert not any(secret in told for secret in secrets), address
    with opened.reading() as session:
        noted = [one.action for one in session.query(AuditEntry)]
    opened.close()
    assert noted.count("made an export link") == 2
    log = estate.server.output.read_text()
    assert "page failed" in log, "the log does speak of these requests"
    for file in [estate.server.output, *estate.server.data.rglob("*")]:
        if file.is_file():
            content = file.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), file


def _asked_by_a_browser(browser: Browser, address: str, token: str) -> None:
    """Open the page of a failure in Chromium: what it loads besides is not told the address."""
    page = browser.new_page()
    sent: list[dict[str, str]] = []
    page.on("request", lambda one: sent.append({**one.headers, "url": one.url}))
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 500
    page.wait_for_load_state()
    besides = [one for one in sent if one["url"] != address]
    assert besides, "a page of ours loads its style"
    assert not any(token in value for one in besides for value in one.values())
    page.close()


def test_figures_go_out_from_a_shell_and_come_back_the_same(estate: Estate, tmp_path: Path) -> None:
    """Every format of the running platform, the import of it, and the folder after a power cut."""
    server, package, board = estate.server, estate.package, estate.board
    hours = _every_format(server, board, tmp_path)
    said = refused(server, *ALL, "--parameter", "pQ")
    assert "None of the data points has the parameter 'pQ'." in said
    assert "They have: aP, pC" in said
    source = export(server, *ALL, "--grain", "source")
    assert len(rows(source)) == (PACKETS - 12) * 4
    _brought_back(server, board, package, source, totals(hours))

    push(package, server.data, range(PACKETS, PACKETS + 3))
    server.kill()  # the log has packets that the store has not
    stream = ("--data-point", package["streams"]["electricity"])
    last = export(server, *ALL, "--grain", "source", *stream, "--organization", "acme")
    assert last.startswith(source)
    assert len(rows(last)) == len(rows(source)) + 12
    again = export(server, *ALL, *stream, "--organization", "Acme")
    assert totals(again)["pC"] == pytest.approx(totals(hours)["pC"] + 3 * 0.14)


def _every_format(server: Server, board: Dashboard, folder: Path) -> bytes:
    """Take the hours along in each format; return them as CSV."""
    number = re.findall(r"/organization/(\d+)", board.client.get("/tree").text)[0]
    page = board.client.get(f"/export/file?place=o{number}&period=everything&grain=hour")
    assert page.status_code == 200
    hours = export(server, *ALL)
    assert hours == page.content, "a shell and the page give the same file"
    total = totals(hours)["pC"]
    assert total == pytest.approx((PACKETS - 1) * 0.14)
    said = kilowatch("export", str(folder / "hours.xlsx"), *ALL, data=server.data)
    assert not said, "what it says goes where no file goes"
    sheet = CalamineWorkbook.from_path(folder / "hours.xlsx").get_sheet_by_index(0).to_python()
    assert len(sheet) - 1 == len(rows(hours))
    notes = CalamineWorkbook.from_path(folder / "hours.xlsx").get_sheet_by_index(1).to_python()
    assert any("(command line)" in str(cell) for row in notes for cell in row)
    kilowatch("export", str(folder / "hours.parquet"), *ALL, data=server.data)
    table = pq.read_table(folder / "hours.parquet")
    energy = [row for row in table.to_pylist() if row["parameter"] == "pC"]
    known = sum((row["value"] or 0) + (row["across_gap"] or 0) for row in energy)
    assert known == pytest.approx(total)
    assert sorted(path.name for path in folder.glob("*hours*")) == ["hours.parquet", "hours.xlsx"]
    return hours


def _brought_back(
    server: Server,
    board: Dashboard,
    package: dict[str, Any],
    source: bytes,
    wanted: dict[str, float],
) -> None:
    """Import the readings into a twin of the meter, in another organisation."""
    other = startup_package(server.data, "Bcme")
    stream = package["streams"]["electricity"]
    kilowatch(
        "data-point", "add", "--organization", "Bcme", "--name", "Twin", "--stream-id", stream,
        data=server.data,
    )  # fmt: skip
    board = Dashboard(board.url, other["dashboard_user"], other["dashboard_password"])
    client: Any = board.client
    number = re.findall(r"/organization/(\d+)", client.get("/tree").text)[0]
    base = f"/organization/{number}/import"
    answer = client.post(
        base, data={"csrf": form_token(client, base)}, files={"file": ("readings.csv", source)}
    )
    address = str(answer.url.path)
    answer = client.post(address, data=columns(client, address))
    assert answer.status_code == 200, answer.text
    text = finished(client, address)
    assert counts(text)["new"] == PACKETS - 12, text
    form = {"csrf": form_token(client, address), "reason": "taken along"}
    client.post(f"{address}/apply", data=form)
    assert "The file is in the history." in finished(client, address)
    whose = ("--organization", "Bcme", "--data-point", "Twin")

    def there() -> bool:
        return totals(export(server, *ALL, *whose)) == wanted

    until(there, 60, "that the twin tells the same totals")
