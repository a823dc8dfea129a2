"""What a page of Breakdown knows before its numbers come."""

from __future__ import annotations

from datetime import date

import pytest

from kilowatch.dashboard.first_view import FirstView, first_view
from kilowatch.dashboard.periods import midnight_ms
from tests.dashboard.test_periods import point

NOON = midnight_ms(date(2026, 11, 9), "Europe/Dublin") + 12 * 3_600_000
ASK = "/data/series?point=1&"


@pytest.mark.parametrize(
    ("query", "last_ms", "days"),
    [
        ({}, NOON, ("day", "2026-11-09", "2026-11-09")),
        ({}, NOON - 3 * 86_400_000, ("day", "2026-11-06", "2026-11-06")),
        ({}, NOON + 3 * 86_400_000, ("day", "2026-11-09", "2026-11-09")),
        ({}, None, ("day", "2026-11-09", "2026-11-09")),
        ({"period": "week"}, NOON, ("week", "2026-11-09", "2026-11-15")),
        ({"period": "year", "date": "2025-05-05"}, NOON, ("year", "2025-01-01", "2025-12-31")),
        ({"period": "decade"}, NOON, ("", "", "")),
        ({"date": "yesterday"}, NOON, ("", "", "")),
    ],
)
def test_the_days_are_those_of_the_numbers(
    query: dict[str, str], last_ms: int | None, days: tuple[str, str, str]
) -> None:
    """The day of the newest packet, or what the address says; nothing where it can't be read."""
    found = first_view(ASK, query, point(), last_ms, NOON)
    assert (found.period, found.first, found.last) == days


def test_the_question_is_the_one_that_the_scripts_ask() -> None:
    """In their order, without what only draws, written as they write it."""
    query = {"view": "table", "show": "aP,pC", "period": "day", "over": "waste", "grain": ""}
    assert first_view(ASK, query, None, None, NOON) == FirstView(f"{ASK}period=day&show=aP%2CpC")


def test_words_that_may_be_written_otherwise_are_not_asked() -> None:
    """A question that nobody picks up is work for nothing."""
    assert first_view(ASK, {"compare": "a b"}, None, None, NOON).asks == ""
