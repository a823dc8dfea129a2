"""What somebody expected is use and no waste: its hours, later ones like it, at the supply too."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import numpy as np
import pytest

from kilowatch.dashboard.expected_waste import unexpected
from kilowatch.dashboard.waste_sums import KINDS
from kilowatch.model.insight import EventKind, InsightEvent, Verdict, WasteHours
from kilowatch.model.points import DataPoint
from kilowatch.model.verdicts import Lasts, Said
from tests.dashboard.fake_insights import event
from tests.dashboard.house import House, post
from tests.dashboard.insight_world import furnish
from tests.dashboard.mailbox import Mailbox
from tests.dashboard.worlds import build

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SATURDAY_MS = round(datetime(2026, 10, 16, 23, tzinfo=UTC).timestamp()) * 1000
"""Saturday 17 October 2026, 00:00 in Dublin; a week later the clock goes back an hour."""
PAGE = {"accept": "text/html"}


def point(number: int) -> DataPoint:
    """Return an electricity data point whose series is ten times its number."""
    return DataPoint(
        number, 10 * number, f"p{number}", f"Point {number}", 1, 1, "Europe/Dublin",
        "electrical", "electricity", "kWh", 3600, 1800.0, "register",
    )  # fmt: skip


def said(found: InsightEvent, lasts: Lasts, until_ms: int | None = None) -> Said:
    """Return that an event of the first data point was expected."""
    return Said(
        1, found.id, 1, found.kind, found.start_ms, found.end_ms, Verdict.EXPECTED, lasts,
        until_ms, "", "A. Lee", found.end_ms,
    )  # fmt: skip


def wasted(*rows: tuple[int, int, EventKind]) -> WasteHours:
    """Return an hour each, of a series, hours after the Saturday, of a kind."""
    return WasteHours(
        np.array([row[0] for row in rows], np.int64),
        np.array([SATURDAY_MS + row[1] * HOUR_MS for row in rows], np.int64),
        np.ones(len(rows)),
        np.array([KINDS.index(row[2]) for row in rows], np.int64),
    )


HOURS = wasted(
    (10, 3, EventKind.WEEKEND),
    (20, 3, EventKind.WEEKEND),
    (10, 7 * 24 + 3, EventKind.WEEKEND),
    (10, 14 * 24 + 24, EventKind.WEEKEND),  # the last of a Saturday after the clock went back
    (10, 14 * 24 + 25, EventKind.WEEKEND),
    (10, 7 * 24 + 3, EventKind.BASELOAD_CREEP),
    (10, -1, EventKind.WEEKEND),
    (30, 3, EventKind.WEEKEND),
    (20, 7 * 24 + 4, EventKind.WEEKEND),  # something else at the supply
    (10, 5, EventKind.WEEKEND),
)
POINTS = [point(1), point(2), point(3)]


@pytest.mark.parametrize(
    ("lasts", "until_h", "left"),
    [
        ("once", None, [0, 2, 1, 1, 1, 1, 1, 1, 1, 0]),
        ("until", 7 * 24 + 12, [0, 2, 0, 1, 1, 1, 1, 1, 1, 0]),
        ("until", 4, [0, 2, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("weekly", None, [0, 2, 0, 0, 1, 1, 1, 1, 1, 0]),
    ],
)
def test_hours_are_expected_as_long_as_was_said(
    lasts: Lasts, until_h: int | None, left: list[int]
) -> None:
    """Of one Saturday; until a date, also while the event goes on; or every Saturday by the clock.

    At the supply as much is taken away as was at the meter; what else ran there stays.
    """
    found = replace(event(10, EventKind.WEEKEND, SATURDAY_MS, 24), others=(20,))
    until_ms = None if until_h is None else SATURDAY_MS + until_h * HOUR_MS
    amounts = HOURS.amount.copy()
    amounts[1] = 3.0  # three at the supply, of which the meter's is one
    hours = replace(HOURS, amount=amounts)
    told = [said(found, lasts, until_ms)]
    assert unexpected(told, {found.id: found}, POINTS, hours).tolist() == left
    gone = unexpected(told, {found.id: None}, POINTS, hours)
    assert gone.tolist() == [3 if one == 2 else one for one in left]


def test_only_what_is_about_use_takes_waste_away() -> None:
    """That a voltage was to be expected says nothing of the weekend's ventilation."""
    found = event(10, EventKind.VOLTAGE, SATURDAY_MS, 24)
    told = [said(found, "weekly")]
    assert (unexpected(told, {found.id: found}, POINTS, HOURS) == HOURS.amount).all()


def test_the_page_of_waste_leaves_out_what_was_expected_and_says_so(tmp_path: object) -> None:
    """One answer to the event takes its energy out of the sum; taken back, it is waste again."""
    made = build(tmp_path, days=40)  # type: ignore[arg-type]
    house, found = House(made, Mailbox()), furnish(made, 40)
    client = house.log_in()
    place = f"/waste?place=s{made.sites['Office Dublin']}"
    before = unescape(client.get(place, headers=PAGE).text)
    assert "somebody called expected" not in before
    address = f"/event/{made.point('hvac').id}/{found['weekend'].id}"
    answer = post(client, address, f"{address}/say", verdict="expected", lasts="once")
    assert answer.status_code == 303
    after = unescape(client.get(place, headers=PAGE).text)
    assert "Left out: 48 hours that somebody called expected." in after
    assert "Use at the weekend" in before
    everywhere = unescape(client.get("/waste?place=all", headers=PAGE).text)
    there = re.search(
        r'What was called expected: <a href="([^"]+)">Office Dublin</a> \(48 h\)', everywhere
    )
    assert there, "of several sites each has its own list"
    assert "Use at the weekend" in client.get(there[1], headers=PAGE).text
    file = client.get(place.replace("/waste?", "/data/waste.csv?")).text
    assert "Use at the weekend" not in file
    assert "Use after hours" in file
    assert post(client, address, f"{address}/1/take-back").status_code == 303
    again = unescape(client.get(place, headers=PAGE).text)
    assert "somebody called expected" not in again
    assert "Use at the weekend" in again
    made.writer.close()
    made.log.close()
    made.catalog.close()
