"""What is coming, made when somebody asks."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from kilowatch.insights.outlook import rest
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight import InsightView
from kilowatch.pipeline.insight.subjects import subject_of
from kilowatch.pipeline.insight.surroundings import Surroundings
from kilowatch.pipeline.rollups import roll_up
from kilowatch.pipeline.statistics import peak_demand
from tests.pipeline.insight_history import History
from tests.pipeline.insight_world import MONDAY_MS, WEEK_H, meter, office

NOW_H = 12 * WEEK_H + 2 * 24 + 10  # a Wednesday, 10:00


def followed(folder: Path, use: np.ndarray) -> tuple[History, InsightView]:
    """Return an office that was looked at up to a Wednesday morning."""
    history = History(folder, [meter(1)], {1: use})
    history.start()
    history.come_all(NOW_H)
    history.follow()
    points = history.points.points
    known = Surroundings(cast("Any", history.view), dict, lambda number: subject_of(points[number]))
    return history, InsightView(history.path, surroundings=known)


def test_an_outlook_knows_the_hours_to_come_and_the_end_of_day_week_and_month(
    tmp_path: Path,
) -> None:
    """On Wednesday at ten people read what the day, the week and the month will come to."""
    use = office(18, 3)
    history, view = followed(tmp_path, use)
    outlook = view.outlook(history.points.points[1])
    assert outlook is not None
    assert outlook.made_ms == MONDAY_MS + NOW_H * HOUR_MS
    assert len(outlook.hours.start_ms) == 48
    assert (outlook.hours.made_ms <= outlook.hours.start_ms).all()
    came = use[NOW_H : NOW_H + 48]
    assert np.abs(outlook.hours.rate[2] - came).mean() < 0.1 * came.mean()
    starts = {"day": 12 * WEEK_H + 48, "week": 12 * WEEK_H, "month": 60 * 24}  # the first of March
    ends = {"day": 12 * WEEK_H + 72, "week": 13 * WEEK_H - 1, "month": 91 * 24 - 1}  # clocks
    off = {"day": 0.05, "week": 0.02, "month": 0.01}
    assert [one.period for one in outlook.ends] == ["day", "week", "month"]
    for one in outlook.ends:
        first, last = starts[one.period], ends[one.period]
        assert one.end_ms == MONDAY_MS + last * HOUR_MS
        assert np.isclose(one.so_far, use[first:NOW_H].sum())
        whole = use[first:last].sum()
        assert one.amount[0] <= one.amount[1] <= one.amount[2]
        assert abs(one.amount[1] - whole) < off[one.period] * whole
        assert 28_000 < one.peak[1] < 36_000
    assert 0 < outlook.error < 3
    assert 0.5 < outlook.coverage <= 1


def test_an_hour_that_no_use_explains_is_no_reason_to_be_unsure(tmp_path: Path) -> None:
    """A value in another unit counts in the sum so far, and widens no band of what is to come."""
    use = office(18, 3)
    odd = use.copy()
    odd[NOW_H - 24 * 9] = 1e9
    tmp_path.joinpath("plain").mkdir()
    tmp_path.joinpath("odd").mkdir()
    plain, other = (
        view.outlook(history.points.points[1])
        for history, view in (followed(tmp_path / "plain", use), followed(tmp_path / "odd", odd))
    )
    assert plain is not None
    assert other is not None
    for one, same in zip(plain.ends, other.ends, strict=True):
        more = same.so_far - one.so_far
        assert np.isclose(more, 1e9 - use[NOW_H - 24 * 9] if one.period == "month" else 0.0)
        np.testing.assert_allclose(same.amount - more, one.amount, rtol=0.03)
    assert other.error == pytest.approx(plain.error, rel=0.1)


def test_hours_before_a_data_point_existed_are_not_missing(tmp_path: Path) -> None:
    """A meter that was installed in the middle of the month has lost nothing of its beginning."""
    use = office(18, 3)
    born = 10 * WEEK_H  # ten days after the first of March
    use[:born] = np.nan
    history = History(tmp_path, [meter(1)], {1: use})
    history.first_ms[1] = MONDAY_MS + born * HOUR_MS
    history.start()
    history.come_all(NOW_H)
    history.follow()
    points = history.points.points
    known = Surroundings(cast("Any", history.view), dict, lambda number: subject_of(points[number]))
    outlook = InsightView(history.path, surroundings=known).outlook(points[1])
    assert outlook is not None
    assert [one.missing_h for one in outlook.ends] == [0, 0, 0]


def test_a_gap_that_a_register_counted_across_is_in_the_sum_and_no_other_is_hidden(
    tmp_path: Path,
) -> None:
    """A month can't come to less than was counted of it; of what nobody counted the hours are told.

    The days are those of the sum: with them each has the price of its own date.
    """
    use = office(18, 3)
    first, end = NOW_H - 5 * 24, NOW_H - 3 * 24
    lost = use.copy()
    lost[first:end] = np.nan
    history, view = followed(tmp_path, lost)
    point = history.points.points[1]
    outlook = view.outlook(point)
    assert outlook is not None
    assert [one.missing_h for one in outlook.ends] == [0, 0, 48]
    read = history.view.series_many
    after_ms, counted = MONDAY_MS + end * HOUR_MS, float(use[first:end].sum())

    def register(*asked: Any) -> IntervalBlock:
        rows = read(*asked)
        return replace(rows, unallocated=np.where(rows.start_ms == after_ms, counted, np.nan))

    history.view.series_many = register  # type: ignore[assignment, method-assign]
    bridged = view.outlook(point)
    assert bridged is not None
    assert [one.missing_h for one in bridged.ends] == [0, 0, 0]
    for one, other in zip(bridged.ends, outlook.ends, strict=True):
        more = counted if one.period == "month" else 0.0
        assert np.isclose(one.so_far, other.so_far + more)
        np.testing.assert_allclose(one.amount, other.amount + more)
        assert np.isclose(one.daily.sum(), one.amount[1])
        assert one.days_ms[-1] < one.end_ms
    assert [len(one.days_ms) for one in bridged.ends] == [1, 7, 31]


def test_the_peak_so_far_is_that_of_the_demand_period_and_so_is_what_is_to_come(
    tmp_path: Path,
) -> None:
    """Quarter-hours stand above their hour: Forecast says what Breakdown calls peak demand."""
    use = office(18, 3)
    use[NOW_H - 24] = 39_000.0  # Tuesday's peak
    history, view = followed(tmp_path, use)
    point = history.points.points[1]
    hourly_only = view.outlook(point)
    assert hourly_only is not None
    read = history.view.series_many
    share = np.array([0.9, 0.9, 0.9, 1.3])

    def metered(points: Any, channels: Any, from_ms: int, to_ms: int, grain: Any) -> IntervalBlock:
        rows = read(points, channels, from_ms, to_ms, "hour")
        if grain != "interval":
            return roll_up(rows, grain, Zone.of(point.zone)) if grain != "hour" else rows
        rows = rows.take(np.repeat(np.arange(len(rows)), 4))
        quarter = np.tile(np.arange(4), len(rows) // 4)
        length = np.full(len(rows), 900_000)
        return replace(
            rows, start_ms=rows.start_ms + quarter * 900_000, duration_ms=length,
            covered_ms=length, amount=rows.amount * share[quarter] / 4,
        )  # fmt: skip

    history.view.series_many = metered  # type: ignore[assignment, method-assign]
    outlook = view.outlook(point)
    assert outlook is not None
    for one, by_hour in zip(outlook.ends, hourly_only.ends, strict=True):
        np.testing.assert_allclose(one.peak, 1.3 * by_hour.peak, rtol=1e-6)
        np.testing.assert_allclose(one.amount, by_hour.amount)
    week = outlook.ends[1]
    begin_ms = MONDAY_MS + 12 * WEEK_H * HOUR_MS
    rows = metered([point], [0], begin_ms, outlook.made_ms, "interval")
    most = peak_demand(rows, 900, Zone.of(point.zone))
    assert most is not None
    assert week.peak.tolist() == [most.demand] * 3, "it has been"


def test_nothing_is_said_before_there_is_anything_to_say_it_from(tmp_path: Path) -> None:
    """A data point without a day of data has no outlook, and nothing is made up for it."""
    history = History(tmp_path, [meter(1)], {1: office(1)})
    history.start()
    assert history.insights().outlook(history.points.points[1]) is None


def test_the_rest_of_a_period_has_a_band_that_holds_what_comes() -> None:
    """Of many weeks' ends guessed on their Wednesdays, about nine in ten lie inside the band."""
    inside = []
    for seed in range(40):
        chance = np.random.default_rng(seed)
        use = office(16, seed) * (1 + 0.05 * chance.standard_normal(16 * 7).repeat(24))
        past, came = use[: 14 * WEEK_H + 58], use[14 * WEEK_H + 58 : 15 * WEEK_H]
        weeks = [use[week * WEEK_H + 58 :][:48] for week in range(10, 14)]
        similar = np.median(weeks, axis=0)
        rate = np.stack([similar * (1 + off) for off in (-0.12, -0.05, 0.0, 0.05, 0.12)])
        low, _, high = rest(past, rate, len(came))
        inside.append(low <= came.sum() <= high)
    assert 0.75 <= np.mean(inside) <= 1.0
