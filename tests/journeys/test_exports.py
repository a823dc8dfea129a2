"""Figures taken along from a shell, while the platform runs and after it died, and brought back."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook

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


def test_figures_go_out_from_a_shell_and_come_back_the_same(server: Server, tmp_path: Path) -> None:
    """Every format of the running platform, the import of it, and the folder after a power cut."""
    package = startup_package(server.data)
    assert "There is no data of what was chosen in this period." in refused(server, "there.csv")
    push(package, server.data, range(PACKETS))
    until_stored(server.data)
    board = Dashboard(
        package["dashboard_url"].rstrip("/"), package["dashboard_user"],
        package["dashboard_password"],
    )  # fmt: skip
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
