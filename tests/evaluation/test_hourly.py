"""Hours are made of whatever intervals a stream has, also where they change."""

from __future__ import annotations

import numpy as np
import pytest

from kilowatch.evaluation import remarks
from kilowatch.evaluation.hourly import by_hours
from kilowatch.evaluation.rows import Series
from kilowatch.model.blocks import Floats
from kilowatch.model.lengths import DAY_MS, HOUR_MS, MINUTE_MS
from kilowatch.model.zones import Zone

UTC, LONDON = Zone.of("UTC"), Zone.of("Europe/London")
BEGIN_MS = 1_550_000_000_000 // DAY_MS * DAY_MS  # 2019-02-12, six weeks before the clocks change


def _every(step_ms: int, days: int, begin_ms: int = BEGIN_MS) -> Series:
    at_ms = np.arange(begin_ms, begin_ms + days * DAY_MS, step_ms)
    return Series(at_ms, np.full(len(at_ms), step_ms / HOUR_MS))


def _joined(*parts: Series) -> Series:
    return Series(
        np.concatenate([one.start_ms for one in parts]),
        np.concatenate([one.values for one in parts]),
    )


@pytest.mark.parametrize("minutes", [5, 15, 30])
def test_a_change_of_resolution_moves_no_energy(minutes: int) -> None:
    """One kWh an hour stays that, before and after a meter is set to another interval."""
    fine, whole = minutes * MINUTE_MS, _every(HOUR_MS, 10)
    later = BEGIN_MS + 10 * DAY_MS
    for stream in (
        _joined(whole, _every(fine, 10, later)),
        _joined(_every(fine, 10), _every(HOUR_MS, 10, later)),
    ):
        hours, noticed = by_hours(stream, UTC, amount=True)
        assert hours.values.tolist() == [1.0] * 480
        assert noticed == [remarks.FINER]


def test_days_are_no_hours_and_are_left_out() -> None:
    """A day's energy at midnight would be a peak that never was, with summer time as without."""
    daily = Series(*_local_days(60))
    assert by_hours(daily, LONDON, amount=True)[1] == [remarks.TOO_COARSE]
    assert by_hours(_every(DAY_MS, 60), LONDON, amount=True)[1] == [remarks.TOO_COARSE]
    both = _joined(_every(HOUR_MS, 60), _every(DAY_MS, 20, BEGIN_MS + 60 * DAY_MS))
    hours, noticed = by_hours(both, UTC, amount=True)
    assert noticed == [remarks.COARSER]
    assert (len(hours.values), hours.values.max()) == (60 * 24, 1.0)


def _local_days(days: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats]:
    wall = BEGIN_MS + np.arange(days, dtype=np.int64) * DAY_MS
    return LONDON.wall_to_instant_ms(wall).at_ms, np.full(days, 24.0)


def test_gaps_change_no_interval() -> None:
    """A third of the hours lost here and there are gaps; what is left stays as it was."""
    whole = _every(HOUR_MS, 100)
    kept = np.random.default_rng(3).random(2400) < 0.4
    hours, noticed = by_hours(Series(whole.start_ms[kept], whole.values[kept]), UTC, amount=True)
    assert hours.start_ms.tolist() == whole.start_ms[kept].tolist()
    assert noticed == []


def test_a_clock_that_is_seconds_off_still_tells_hours() -> None:
    """23:59:52 is midnight; no hour is lost and none is doubled."""
    off = np.random.default_rng(4).integers(-20, 20, 240) * 1000
    whole = _every(HOUR_MS, 10)
    hours, _ = by_hours(Series(whole.start_ms + off, whole.values), UTC, amount=True)
    assert hours.start_ms.tolist() == whole.start_ms.tolist()
