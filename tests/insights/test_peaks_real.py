"""The peak demand that a day, a week and a month will come to, on real meters.

Docs/reference/evaluation.md has the figures of ``EVERY_D = 13``.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.forecast_groups import groups_of
from kilowatch.insights.bounds import ABSURD, bounded
from kilowatch.insights.forecasting import predict, shipped
from kilowatch.insights.hours import WEEK_H
from kilowatch.insights.outlook import highest
from kilowatch.model.blocks import Floats
from kilowatch.model.calendar import Grain, grain_end_ms, grain_start_ms
from kilowatch.model.lengths import HOUR_MS

EVERY_D = 41
PAST_H = 14 * WEEK_H
PERIODS: tuple[Grain, ...] = ("day", "week", "month")


@pytest.fixture(scope="module")
def inside(shared_data: Path) -> dict[str, Floats]:
    """Return of each period whether the peak lay in its band, by looking at it at any hour."""
    chance, model = np.random.default_rng(3), shipped()
    found = defaultdict(list)
    for group in groups_of(Folder(shared_data)):
        hours = group.hours
        for day in group.midnights[group.first : -32 : EVERY_D].tolist():
            now = day + int(chance.integers(0, 24))
            part = hours.hours(now - PAST_H, now + 49)
            past = now - max(now - PAST_H, 0)
            rate = predict(model, part, past, 48, utility=group.utilities).rate
            sound = bounded(part.values[:, :past], ABSURD)
            now_ms = int(hours.start_ms[now])
            for period in PERIODS:
                start, end = (
                    (int(at([now_ms], period, hours.zone)[0]) - hours.first_ms) // HOUR_MS
                    for at in (grain_start_ms, grain_end_ms)
                )
                whole = hours.values[:, start : max(end, now + 1)]
                known = np.isfinite(whole[:, now - start :]).mean(axis=1) > 0.95
                known &= np.isfinite(rate[2]).any(axis=1)
                for row in np.flatnonzero(known).tolist():
                    been = whole[row, : now - start]
                    most = been[np.isfinite(been)].max(initial=-np.inf)
                    count = whole.shape[1] - (now - start)
                    low, _, high = np.fmax(highest(sound[row], rate[:, row], count), most)
                    found[period].append(low <= np.nanmax(whole[row]) <= high)
    return {str(period): np.array(each) for period, each in found.items()}


@pytest.mark.parametrize(("period", "least"), [("day", 0.9), ("week", 0.9), ("month", 0.85)])
def test_nine_peaks_of_ten_lie_in_their_band(
    inside: dict[str, Floats], period: str, least: float
) -> None:
    """Of the peaks of days, weeks and months, guessed at any hour of them, by the shipped model."""
    assert len(inside[period]) > 500
    assert least <= inside[period].mean() <= 0.98
