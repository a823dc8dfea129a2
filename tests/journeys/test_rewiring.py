"""A submeter that was wired anew: the page, the catalogue and the sums along the tree agree."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.journeys.pages import Dashboard
from tests.journeys.pushing import client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.test_remedies_pages import columns, csrf, logged_in, point_of
from tests.journeys.waiting import until_stored

pytestmark = pytest.mark.journey

DAYS = 6
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
MONTH = {"year": "2026", "month": "3"}


def counted_too_much(pages: Dashboard, main: int) -> tuple[int, int] | None:
    """Return what submeters and main counted on the days that do not add up [kWh]; or None."""
    text = pages.client.get(f"/quality/{main}", params=MONTH).text
    assert "Data quality" in text
    found = re.findall(r"counted ([\d,]+) kWh together, it only ([\d,]+) kWh", text)
    assert len(found) <= 1, "days in a row are one finding"
    figures = [int(figure.replace(",", "")) for figure in found[0]] if found else []
    return (figures[0], figures[1]) if figures else None


def test_a_feeder_from_a_date_on_leaves_the_days_before_as_they_were(server: Server) -> None:
    """A lift of 12 kWh an hour below a main of 10: wrong on each day it was fed, no other."""
    package = startup_package(server.data, "Acme", "--timezone", "UTC")
    for name in ("Main", "Lift"):
        flags = ["--name", name, "--stream-id", name.lower(), "--unit", "kWh"]
        flags += ["--behaviour", "amount", "--interval", "1h"]
        kilowatch("data-point", "add", *flags, data=server.data)
    client = client_of(package, server.data)
    for hour in range(DAYS * 24):
        at = (FIRST + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for stream, value in (("main", 10.0), ("lift", 12.0)):
            status, answer = client.push({"id": stream, "tsISO8601": at, "value": value})
            assert status == 200, answer
    until_stored(server.data)
    pages = logged_in(server, package)
    main, lift = point_of(pages, "main"), point_of(pages, "lift")
    path = f"/admin/data-points/{lift}/move"

    def move(**changes: str) -> None:
        text = pages.client.get(path).text
        place = re.search(r'name="place" value="([^"]*)" checked', text)
        assert place
        sent = columns(text[text.index("card stack") :], csrf=csrf(pages, path), **changes)
        answer = pages.client.post(path, data=sent | {"place": place[1]})
        assert "Moved." in answer.text, answer.text

    assert counted_too_much(pages, main) is None
    move(parent="main", when="from", **{"from": "2026-03-05T00:00"})
    assert counted_too_much(pages, main) == (3 * 24 * 12, 3 * 24 * 10)
    move(parent="", when="always")
    assert counted_too_much(pages, main) is None
    move(parent="main", when="always")
    assert counted_too_much(pages, main) == (6 * 24 * 12, 6 * 24 * 10)
    ended = ["--feeder", "none", "--from", "2026-03-04T00:00", "--organization", "Acme"]
    kilowatch("data-point", "set", "lift", *ended, data=server.data)
    assert counted_too_much(pages, main) == (2 * 24 * 12, 2 * 24 * 10), "no longer, said in a shell"
