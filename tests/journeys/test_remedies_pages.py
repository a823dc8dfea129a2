"""What came too late, and a file of history, put in from the pages of the running program."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.journeys.pages import Dashboard
from tests.journeys.pushing import client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until, until_stored

pytestmark = pytest.mark.journey

LINES = 100_000


def logged_in(server: Server, package: dict[str, Any]) -> Dashboard:
    """Log the package's person in."""
    url = server.addresses["dashboard_http"]
    return Dashboard(url, package["dashboard_user"], package["dashboard_password"])


def point_of(pages: Dashboard, stream: str) -> int:
    """Return a data point's number."""
    found = re.search(
        rf'href="/admin/data-points/(\d+)"(?:(?!</tr>).)*?{stream}',
        pages.client.get("/admin/data-points", params={"q": stream}).text,
        re.DOTALL,
    )
    assert found, f"{stream} is not in the list"
    return int(found[1])


def csrf(pages: Dashboard, path: str) -> str:
    """Return the token of a page's forms."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', pages.client.get(path).text)
    assert found, path
    return found[1]


def day(pages: Dashboard, point: int, date: str) -> float:
    """Return what Breakdown shows for a day, in the canonical unit."""
    values = pages.column(point, "value", "amount", period="day", date=date, grain="day")
    return sum(values.values())


def columns(text: str, **changes: str) -> dict[str, str]:
    """Return the form of the columns as it is offered, then changed."""
    found = dict(re.findall(r'<input[^>]*? name="(\w+)"[^>]*? value="([^"]*)"', text))
    for name, options in re.findall(
        r'<select[^>]*? name="(\w+)"[^>]*>(.*?)</select>', text, re.DOTALL
    ):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return {**found, **changes}


def import_file(pages: Dashboard, base: str, content: str, stream: str) -> str:
    """Bring a file in, name its data point, and return the page of what it would do."""
    sent = {"csrf": csrf(pages, base)}
    answer = pages.client.post(base, data=sent, files={"file": ("h.csv", content.encode())})
    address = answer.url.path
    assert re.search(r"/import/\d+$", address), answer.text[:2000]
    pages.client.post(address, data=columns(answer.text, stream=stream))
    return finished(pages, address)


def finished(pages: Dashboard, address: str) -> str:
    """Return the page of a file, once it is worked through."""
    until(lambda: pages.client.get(f"{address}/progress").status_code == 204, 120, "the end of it")
    return str(pages.client.get(f"{address}/outcome").text)


def count(text: str, name: str) -> int:
    """Return a figure on top of the page."""
    found = re.search(rf'data-count="{name}">([\d,]+)<', text)
    assert found, text[:3000]
    return int(found[1].replace(",", ""))


def test_late_packets_and_a_file_are_put_in_and_a_contradiction_is_decided(
    server: Server,
) -> None:
    """Each click changes the day's total in the running program, and says who and why."""
    package = startup_package(server.data)
    flags = ["--name", "Boiler", "--unit", "m3", "--utility", "gas", "--interval", "1h",
             "--behaviour", "amount", "--stream-id", "boiler"]  # fmt: skip
    kilowatch("data-point", "add", *flags, data=server.data)
    client = client_of(package, server.data)

    def push(hour: int, value: float) -> str:
        stamp = f"2026-03-02T{hour:02}:00:00Z"
        status, said = client.push({"id": "boiler", "tsISO8601": stamp, "value": value})
        return str(said["status"]) if status == 200 else ""

    until(lambda: push(9, 1.0) in ("accepted", "latest"), what="the packet's acceptance")
    assert [push(12, 4.0), push(10, 2.0), push(11, 3.0)] == ["accepted", "discarded", "discarded"]
    until_stored(server.data)
    pages = logged_in(server, package)
    point = point_of(pages, "boiler")
    assert day(pages, point, "2026-03-02") == 5.0

    here = f"/attributes/{point}"
    number = re.search(r'name="kept" value="(\d+)"', pages.client.get(here).text)
    assert number
    form = {"csrf": csrf(pages, here), "kept": number[1], "which": "chosen", "reason": "was away"}
    said = pages.client.post(f"{here}/kept/backfill", data=form).text
    assert "1 packets were put into the history." in said
    assert "was away" in said
    until(lambda: day(pages, point, "2026-03-02") in (7.0, 8.0), what="the late packet's figure")
    pages.client.post(f"{here}/kept/backfill", data={"csrf": form["csrf"], "which": "all"})
    until(lambda: day(pages, point, "2026-03-02") == 10.0, what="both late packets' figures")
    assert "data-kept" not in pages.client.get(here).text

    organisation = re.search(r'href="(/organization/\d+)"', pages.client.get(here).text)
    assert organisation
    base = f"{organisation[1]}/import"
    rows = ["2026-03-01 09:00,20", "2026-03-01 10:00,30", "2026-03-02 10:00,2",
            "2026-03-02 11:00,9", "2026-03-02 12:00,x"]  # fmt: skip
    text = import_file(pages, base, "\n".join(["time,m3", *rows]), "boiler")
    assert [count(text, one) for one in ("new", "identical", "conflicting", "invalid")] == [
        2, 1, 1, 1,
    ]  # fmt: skip
    assert 'data-mistake="6"' in text
    told = re.search(r'data-day="2026-03-01".*?</tr>', text, re.DOTALL)
    assert told
    assert "50.000" in told[0]
    assert day(pages, point, "2026-03-01") == 0.0, "a look changes nothing"
    address = re.search(r'action="([^"]+)/apply"', text)
    assert address
    pages.client.post(f"{address[1]}/apply", data={"csrf": form["csrf"], "reason": "paper log"})
    assert "The file is in the history." in finished(pages, address[1])
    until(lambda: day(pages, point, "2026-03-01") == 50.0, what="the file's figures")
    assert day(pages, point, "2026-03-02") == 10.0, "a contradiction changes nothing by itself"

    _decide(pages, point, form["csrf"])
    page = pages.client.get(here).text
    for reason in ("was away", "paper log", "read on site"):
        assert reason in page, "who, when and why are told"


def _decide(pages: Dashboard, point: int, token: str) -> None:
    """Take the offered values of the one contradiction there is, and see the day's total follow."""
    here = f"/attributes/{point}"
    until(lambda: "data-conflict" in pages.client.get(here).text, what="the contradiction")
    page = pages.client.get(here).text
    asked = dict(re.findall(r'name="(at|digest)" value="([-\d]+)"', page))
    decision = {"csrf": token, **asked, "take": "offered", "reason": "read on site"}
    said = pages.client.post(f"{here}/conflict", data=decision).text
    assert "the offered values count from now on (1)" in said
    assert "data-conflict" not in said
    until(lambda: day(pages, point, "2026-03-02") == 16.0, what="the decision's figure")


@pytest.mark.slow
def test_a_hundred_thousand_lines_keep_no_page_waiting(server: Server) -> None:
    """A year of five minutes is looked at and put in, while another page answers as ever."""
    package = startup_package(server.data)
    flags = ["--name", "Boiler", "--unit", "m3", "--utility", "gas", "--interval", "5m",
             "--behaviour", "amount", "--stream-id", "boiler"]  # fmt: skip
    kilowatch("data-point", "add", *flags, data=server.data)
    pages = logged_in(server, package)
    point = point_of(pages, "boiler")
    organisation = re.search(r'href="(/organization/\d+)"', pages.client.get("/tree").text) or (
        re.search(r'href="(/organization/\d+)"', pages.client.get(f"/attributes/{point}").text)
    )
    assert organisation
    base = f"{organisation[1]}/import"
    first_s = 1_735_689_600  # 2025-01-01T00:00:00Z
    rows = [f"{first_s + 300 * n},1" for n in range(LINES)]
    began = time.monotonic()
    answer = pages.client.post(
        base, data={"csrf": csrf(pages, base)},
        files={"file": ("h.csv", "\n".join(["time,m3", *rows]).encode())},
    )  # fmt: skip
    address = answer.url.path
    pages.client.post(address, data=columns(answer.text, stream="boiler"))
    worst_s = waiting(pages, address, point)
    looked_s = time.monotonic() - began
    text = str(pages.client.get(f"{address}/outcome").text)
    assert count(text, "new") == LINES
    began = time.monotonic()
    form = {"csrf": csrf(pages, base), "reason": "a year"}
    pages.client.post(f"{address}/apply", data=form)
    worst_s = max(worst_s, waiting(pages, address, point))
    put_in_s = time.monotonic() - began
    assert "The file is in the history." in pages.client.get(f"{address}/outcome").text
    took = f"looked {looked_s:.1f} s, put in {put_in_s:.1f} s, worst page {worst_s * 1000:.0f} ms"
    assert looked_s < 60, took
    assert put_in_s < 180, took
    assert worst_s < 2.0, took
    (server.data / "import-times.txt").write_text(took)
    until(lambda: day(pages, point, "2025-06-01") == 288.0, 120, "the file's figures")


def waiting(pages: Dashboard, address: str, point: int) -> float:
    """Open another page again and again until a file is worked through; return the slowest [s]."""
    worst_s = 0.0
    while pages.client.get(f"{address}/progress").status_code != 204:
        began = time.monotonic()
        assert pages.client.get(f"/attributes/{point}").status_code == 200
        worst_s = max(worst_s, time.monotonic() - began)
        time.sleep(0.1)
    return worst_s
