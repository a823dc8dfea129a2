"""Periods are made of whole local days of the site, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.dashboard import periods
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint

ZONES = ("Europe/Dublin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
HOUR_MS = 3_600_000


def point(interval_s: int = 300, zone: str = "Europe/Dublin") -> DataPoint:
    """Return a data point of which only interval and zone matter."""
    return DataPoint(
        id=1, series=1, stream_id="s", name="n", organisation_id=1, site_id=1, zone=zone,
        kind="electrical", utility="electricity", unit="Wh", interval_s=interval_s,
        tolerance_s=interval_s / 2, behaviour="register",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-09", 24)]
)
def test_a_day_has_as_many_hours_as_the_site_had(day: str, hours: int) -> None:
    """The day the clocks go forward has 23 hours, the day they go back 25."""
    found = periods.window({"date": day}, point(), date(2026, 1, 1))
    assert found.to_ms - found.from_ms == hours * HOUR_MS


@given(
    day=st.dates(date(1975, 1, 1), date(2099, 12, 31)),
    period=st.sampled_from(("day", "week", "month", "year")),
    zone=st.sampled_from(ZONES),
)
def test_neighbouring_periods_touch_and_do_not_overlap(day: date, period: str, zone: str) -> None:
    """The next period begins exactly where this one ends, and its previous one is this one."""
    where = point(zone=zone)
    now = periods.window({"period": period, "date": day.isoformat()}, where, day)
    assert now.first <= day <= now.last
    first, _ = now.step(1)
    after = periods.window({"period": period, "date": first.isoformat()}, where, day)
    assert after.from_ms == now.to_ms
    assert after.step(-1) == (now.first, now.last)


@given(
    first=st.dates(date(2020, 1, 1), date(2026, 12, 31)),
    days=st.integers(1, 400),
    zone=st.sampled_from(ZONES),
)
def test_the_offsets_that_a_browser_gets_give_the_local_clock(
    first: date, days: int, zone: str
) -> None:
    """At every moment of the period the browser reckons the same local time as the site's zone."""
    from_ms = periods.midnight_ms(first, zone)
    to_ms = periods.midnight_ms(first + timedelta(days), zone)
    pairs = periods.offsets(from_ms, to_ms, zone)
    assert pairs[0][0] == from_ms
    step = max((to_ms - from_ms) // 97, 1)
    for at_ms in range(from_ms, to_ms, step):
        offset = [minutes for since, minutes in pairs if since <= at_ms][-1]
        true = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone)).utcoffset()
        assert timedelta(minutes=offset) == true


@given(
    period=st.sampled_from(periods.PERIODS[:4]),
    interval_s=st.sampled_from((1, 10, 60, 300, 600, 900, 1800, 3600, 86_400, 7 * 86_400)),
)
def test_the_granularity_on_offer_is_readable(period: str, interval_s: int) -> None:
    """Never finer than what was measured, and never more buckets than anybody can read."""
    found = periods.window({"period": period}, point(interval_s), date(2026, 11, 9))
    assert found.grain in found.grains
    span_s = (found.to_ms - found.from_ms) / 1000
    for word in found.grains:
        asked = periods.asked_grain(word)
        if isinstance(asked, int):
            assert asked > interval_s
            assert span_s / asked <= periods.BUCKETS_OFFERED + 400
    if interval_s >= 300:
        lengths = {word: length for word, _, length in periods.GRAINS}
        assert span_s / lengths.get(found.grain, interval_s) <= 400


def test_a_custom_period_may_be_given_backwards() -> None:
    """Somebody who clicks the end first means the same days."""
    query = {"period": "custom", "date": "2026-11-09", "until": "2026-11-02"}
    found = periods.window(query, point(), date(2026, 11, 9))
    assert (found.first, found.last) == (date(2026, 11, 2), date(2026, 11, 9))
    assert found.step(1) == (date(2026, 11, 10), date(2026, 11, 17))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"period": "fortnight"}, "bad_period"),
        ({"date": "09.11.2026"}, "bad_date"),
        ({"date": "1970-01-01"}, "bad_date"),
        ({"grain": "soon"}, "bad_grain"),
        ({"period": "custom", "date": "2001-01-01", "until": "2026-01-01"}, "bad_date"),
    ],
)
def test_a_mistyped_address_is_explained(query: dict[str, str], code: str) -> None:
    """A link that was cut or edited gets a sentence and an example, not a wrong graph."""
    with pytest.raises(KilowatchError) as caught:
        periods.window(query, point(), date(2026, 11, 9))
    assert caught.value.code == code
    assert caught.value.status == 400
