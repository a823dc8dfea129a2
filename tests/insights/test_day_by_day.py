"""A day is compared with the last working day, as such days were for seven weeks."""

from __future__ import annotations

from functools import cache

import numpy as np

from kilowatch.insights.anomalies import start
from kilowatch.insights.anomalies.measures import Moment
from kilowatch.insights.anomalies.scanning import watch
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats
from kilowatch.model.zones import Zone

MONDAY_MS = 1_762_128_000_000  # 2025-11-03 00:00 in Dublin, a Monday; no clock changes until April
DAYS = 6 * 7
TUESDAY, SATURDAY, SUNDAY = DAYS - 6, DAYS - 2, DAYS - 1
HALVED_D = 33


def _demand() -> Floats:
    """Return closed on weekends; open on them; missed once; down to two thirds; two like the first.

    The last of them has a holiday.
    """
    rng = np.random.default_rng(3)
    hour, day = np.arange(DAYS * 24) % 24, np.arange(DAYS * 24) // 24
    busy = (hour >= 8) & (hour < 18)
    closed = np.where(busy & (day % 7 < 5), 9_000.0, 2_000.0)
    values = np.stack([closed, np.where(busy, 9_000.0, 2_000.0), *[closed] * 4])
    values = values * np.exp(0.05 * rng.standard_normal(values.shape))
    friday = slice((SATURDAY - 1) * 24, SATURDAY * 24)
    values[2, SATURDAY * 24 : SUNDAY * 24] = values[2, friday]
    values[3, HALVED_D * 24 :] *= 2 / 3
    return values


@cache
def _measured() -> tuple[Moment, ...]:
    values = _demand()
    shut = np.zeros(values.shape, np.bool_)
    shut[5, TUESDAY * 24 : (TUESDAY + 1) * 24] = True
    found: list[Moment] = []
    hours = Hours(MONDAY_MS, values, Zone.of("Europe/Dublin"), shut)
    watch(start(len(values)), hours, lambda _at, moment: found.append(moment))
    return tuple(found)


def test_a_saturday_like_its_friday_stands_out_where_saturdays_are_not_like_that() -> None:
    """By Saturday afternoon a building that was not shut down is ten habits away from its own."""
    moment = _measured()[SATURDAY * 24 + 15]
    closed, opened, missed = moment.get("day_sure")[:3]
    assert missed > 10
    assert abs(closed) < 3
    assert abs(opened) < 3
    assert moment.get("day_over")[2] > 0.5 > moment.get("day_over")[0]


def test_the_next_day_knows_how_this_one_was() -> None:
    """A quiet Sunday after a missed Saturday: it is still known, and it is no missed day itself."""
    moment = _measured()[SUNDAY * 24 + 15]
    assert moment.get("day_before")[2] > 10
    assert abs(moment.get("day_sure")[2]) < 3


def test_a_holiday_is_compared_as_a_sunday_is() -> None:
    """A closed Tuesday that is worked through differs from Sundays, not from Tuesdays."""
    worked, closed = _measured()[TUESDAY * 24 + 15].get("day_sure")[4:]
    assert abs(worked) < 3
    assert closed > 10


def test_a_lost_phase_is_off_evenly_and_a_missed_saturday_is_not() -> None:
    """One phase of three takes a third of each hour, day and night; people do not."""
    moment = _measured()[(HALVED_D + 3) * 24]
    assert moment.get("even_24h")[3] < -2
    assert abs(_measured()[SUNDAY * 24].get("even_24h")[2]) < 2


def test_nothing_is_compared_before_three_weeks_are_known() -> None:
    """A young stream has no habit: the measures are zero, not a guess."""
    moment = _measured()[15 * 24 + 12]
    assert (moment.get("day_sure") == 0).all()
    assert (moment.get("day_off") == 0).all()
