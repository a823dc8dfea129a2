"""What was saved is what would have been used in the same weather, less what was used."""

from __future__ import annotations

import csv
import gzip
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.insights import towt
from kilowatch.insights.degree_days import degree_days
from kilowatch.insights.hours import Hours
from kilowatch.insights.load_shape import load_shape, percentile
from kilowatch.insights.savings import fraction_uncertain, savings
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone
from tests.insights.waste_world import YEAR_H, index, office, with_values

CHANGE = YEAR_H


def test_a_known_saving_is_found_whatever_the_weather() -> None:
    """Nine kW less for twelve nights a week later: the sum is known to the kWh."""
    hours = office(64)
    values = hours.values.copy()
    night = (hours.hour_of_day < 5) & (np.arange(hours.count) >= CHANGE)
    values[:, night] -= 9_000
    first, second = savings(with_values(hours, values), CHANGE)
    assert first is not None
    assert second is not None
    real = 9_000.0 * night.sum()
    assert first.saved == pytest.approx(real, abs=first.uncertainty + 0.01 * first.would_have)
    assert first.sure
    assert first.with_temperature
    assert first.r2 > 0.95


WASTED_W = 10_000.0


def _ended(weeks: float, *, after_d: int = 30, still: float = 0.0) -> tuple[Hours, int, int]:
    """Return an office in which 10 kW ran on for some weeks, and when that began and ended."""
    hours = office(70 + round(weeks), streams=1)
    change = hours.count - after_d * 24
    begin = change - round(weeks * 168)
    values = hours.values.copy()
    values[:, begin:change] += WASTED_W
    values[:, change:] += still * WASTED_W
    return with_values(hours, values), change, begin


@pytest.mark.parametrize("weeks", [1, 3, 8, 26, 52])
def test_the_end_of_waste_is_worth_the_waste_however_long_it_lasted(weeks: int) -> None:
    """Ten kilowatts less for thirty days are 7,200 kWh, after a week of it as after a year."""
    hours, change, begin = _ended(weeks)
    found = savings(hours, change, begin)[0]
    assert found is not None
    real = WASTED_W * 24 * 30
    assert found.saved == pytest.approx(real, rel=0.25)
    assert abs(found.saved - real) < found.uncertainty < 0.25 * real
    assert found.sure
    assert found.week_h == 168
    assert found.daily.sum() == pytest.approx(found.saved)
    alike = savings(hours, change)[0]
    assert alike is not None
    if weeks == 1:
        assert alike.saved < 0.1 * real, "a year before the change is mostly normal time"


@pytest.mark.parametrize("weeks", [1, 8, 52])
def test_what_goes_on_has_saved_nothing(weeks: int) -> None:
    """Somebody said that it is mended: it runs as before, and nobody is sure of a saving."""
    hours, change, begin = _ended(weeks, still=1.0)
    found = savings(hours, change, begin)[0]
    assert found is not None
    assert abs(found.saved) < 0.03 * WASTED_W * 24 * 30
    assert not found.sure
    half = savings(*_ended(weeks, still=0.5))[0]
    assert half is not None
    assert half.saved == pytest.approx(0.5 * WASTED_W * 24 * 30, rel=0.25)


def test_a_weekend_that_ended_is_compared_with_weekends() -> None:
    """What workdays do afterwards is no saving of a weekend's; two days of five are like it."""
    hours = office(70, streams=1)
    change = hours.count - 28 * 24
    values = hours.values.copy()
    values[:, change - 48 : change] += WASTED_W
    values[:, change:] += 3_000.0 * (hours.weekday[change:] < 5)
    found = savings(with_values(hours, values), change, change - 48)[0]
    assert found is not None
    assert found.week_h == 48
    assert found.hours == 4 * 48
    assert found.saved == pytest.approx(WASTED_W * 4 * 48, rel=0.1)


def test_of_hours_that_no_use_explains_no_saving_is_told() -> None:
    """Nobody knows what it took, so nothing is like it: no saving of 0, give or take NaN."""
    hours = office(70, streams=1)
    change = hours.count - 28 * 24
    values = hours.values.copy()
    values[:, change - 3 : change] *= 1e6
    assert savings(with_values(hours, values), change, change - 3) == [None]


def test_waste_that_goes_by_the_weather_is_worth_what_the_weather_asks_for() -> None:
    """A valve that leaks heat in proportion to the cold, mended in spring: little is saved then."""
    hours = office(70, streams=1)
    assert hours.temperature_c is not None
    change = index(hours, 64, 0, 0)  # the end of March
    begin = index(hours, 44, 0, 0)
    leak = 1_000.0 * np.maximum(16 - hours.temperature_c, 0.0)
    values = hours.values.copy()
    values[:, begin:change] += leak[:, begin:change]
    found = savings(with_values(hours, values), change, begin)[0]
    assert found is not None
    real = float(leak[:, change:].sum())
    assert found.saved == pytest.approx(real, rel=0.25)
    assert abs(found.saved - real) < found.uncertainty


def test_without_time_before_it_its_own_weeks_are_compared_with() -> None:
    """A meter that was installed when it ran already: four weeks are enough, three are not."""
    hours, change, begin = _ended(8)
    late = hours.hours(begin - 100, hours.count)
    found = savings(late, change - begin + 100, 100)[0]
    assert found is not None
    assert found.saved == pytest.approx(WASTED_W * 24 * 30, rel=0.25)
    hours, change, begin = _ended(3)
    late = hours.hours(begin - 100, hours.count)
    assert savings(late, change - begin + 100, 100) == [None]


def test_nothing_done_is_nothing_saved() -> None:
    """Without a change the difference lies inside its own uncertainty, nearly."""
    untouched = savings(office(64), CHANGE)[0]
    assert untouched is not None
    assert abs(untouched.saved) < 0.01 * untouched.would_have


def test_an_hour_that_no_use_explains_moves_no_saving() -> None:
    """A spike and a register that was set back, before the change and after it."""
    hours = office(64)
    plain = savings(hours, CHANGE)[0]
    values = hours.values.copy()
    values[0, [CHANGE - 2000, CHANGE + 300]] = 5e8
    values[0, [CHANGE - 1000, CHANGE + 200]] = -3e9
    odd = savings(with_values(hours, values), CHANGE)[0]
    assert plain is not None
    assert odd is not None
    assert odd.would_have == pytest.approx(plain.would_have, rel=2e-3)
    assert odd.used == pytest.approx(plain.used, rel=2e-3)
    assert odd.uncertainty == pytest.approx(plain.uncertainty, rel=0.02)


def test_too_little_before_or_after_says_nothing() -> None:
    """Four weeks before and one after are the least."""
    hours = office(64)
    assert savings(hours, 27 * 24) == [None, None]
    assert savings(hours, hours.count - 100) == [None, None]
    cold = savings(office(64, warm=False), CHANGE)[0]
    assert cold is not None
    assert not cold.with_temperature


def test_the_model_agrees_with_nmecr_on_its_own_building(shared_data: Path) -> None:
    """R² within 0.002, CV(RMSE) within 0.1 points, the saving within 2 % of another program's."""
    path = shared_data / "mv" / "nmecr_daily_building.csv"
    with path.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    days = [date.fromisoformat(row["date"]) for row in rows]
    load = np.array([float(row["eload_kwh"] or "nan") for row in rows])
    outdoor = (np.array([float(row["temp_f"] or "nan") for row in rows]) - 32) / 1.8
    weekday = np.array([day.weekday() for day in days])
    before = np.array([date(2012, 3, 1) <= day <= date(2013, 2, 28) for day in days])
    after = np.array([date(2014, 3, 1) <= day <= date(2015, 2, 28) for day in days])
    model = towt.fit(weekday[before], outdoor[before], load[before], 7)
    assert model.r2 == pytest.approx(0.896473, abs=0.002)
    assert model.cv_rmse == pytest.approx(0.0677, abs=0.001)
    saved = np.nansum(model.predict(weekday[after], outdoor[after]) - load[after])
    assert saved == pytest.approx(408_141.594, rel=0.02)
    share = fraction_uncertain(model.cv_rmse, model.lag_1, model.count, int(after.sum()))
    assert share * 5_509_903 / 408_141.594 == pytest.approx(0.262, abs=0.05)


def test_the_saving_agrees_with_opendsm_on_its_hourly_sample(shared_data: Path) -> None:
    """Adjusted baseline within 3 % of opendsm 1.2.7; both know that a tenth was saved."""
    folder = shared_data / "mv"

    def read(name: str) -> dict[int, float]:
        with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
            rows = list(csv.reader(lines))[1:]
        return {
            round(datetime.fromisoformat(at).timestamp() * 1000): float(value)
            for at, value in rows
            if value
        }

    meter = read("il-electricity-cdd-hdd-hourly.csv.gz")
    warm = {at: (value - 32) / 1.8 for at, value in read("il-tempF.csv.gz").items()}
    first = min(meter)
    count = (max(meter) - first) // HOUR_MS + 1
    grid = [first + number * HOUR_MS for number in range(count)]
    zone = Zone.of("America/Chicago")
    load = np.array([[meter.get(at, np.nan) for at in grid]])
    outdoor = np.array([[warm.get(at, np.nan) for at in grid]])

    def index(day: str) -> int:
        return (round(datetime.fromisoformat(day).timestamp() * 1000) - first) // HOUR_MS

    gap, end = index("2016-12-26T00:00-06:00"), index("2017-01-04T00:00-06:00")
    load[:, gap:end] = np.nan
    hours = Hours(first, load, zone, load > np.inf, outdoor).hours(0, end + YEAR_H + 24)
    saving = savings(hours, end)[0]
    assert saving is not None
    assert saving.would_have == pytest.approx(10_225.5, rel=0.03)
    assert saving.used == pytest.approx(9_124.0, rel=0.01)
    assert saving.saved / saving.would_have == pytest.approx(0.1077, abs=0.03)


def test_a_day_can_need_both_heating_and_cooling() -> None:
    """Twelve hours at 5.5 °C and twelve at 28 °C: five degree days each; the mean has none."""
    values = np.zeros((1, 48))
    outdoor = np.array([[*[5.5] * 12, *[28.0] * 12, *[np.nan] * 10, *[10.5] * 14]])
    hours = Hours(1_704_067_200_000, values, Zone.of("UTC"), values > 0, outdoor)
    found = degree_days(hours, 15.5, 18.0)
    assert found.heating[0].tolist()[0] == pytest.approx(5.0)
    assert found.cooling[0].tolist()[0] == pytest.approx(5.0)
    assert np.isnan(found.heating[0, 1])  # ten hours are missing
    blind = Hours(hours.first_ms, values, hours.zone, values > 0)
    assert np.isnan(degree_days(blind, 15.5, 18.0).cooling).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50), st.floats(0, 100))
def test_percentiles_are_those_of_numpy(values: list[float], rank: float) -> None:
    """The same number as everybody's percentile, with unknown hours left out."""
    padded = np.array([[np.nan, *values, np.nan]])
    assert percentile(padded, rank)[0] == pytest.approx(np.percentile(values, rank), abs=1e-6)


def test_a_load_shape_says_what_the_office_was_built_of() -> None:
    """Ten kW always, forty at most and twelve hours of it on five days of seven."""
    hours = office(8, streams=1, warm=False).hours(0, 28 * 24)
    shape = load_shape(hours)
    assert shape.near_base[0] == pytest.approx(9_400, abs=300)
    assert 40_000 < shape.near_peak[0] < 45_000
    assert shape.high_h[0] == pytest.approx(12 * 5 / 7, abs=0.2)
    assert 0.4 < shape.load_factor[0] < 0.6
    nothing = load_shape(with_values(hours, np.full(hours.values.shape, np.nan)))
    assert np.isnan([nothing.near_base[0], nothing.load_factor[0], nothing.high_h[0]]).all()
