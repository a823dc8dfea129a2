"""Compares references of waste under a plain dead band, and the platform's own finder.

python scripts/bench_waste.py --data DIR

Each reference says, from the year before alone or from what came before each hour, what a stream
needs; what is more than a dead band above it counts. The dead band is chosen on the tuned half of
the buildings (the highest sum of recall, precision and events with at most 4 % background, or the
least background), and the other half is reported. Labels are read by the scores alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from kilowatch.evaluation import waste as evaluation
from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.waste import REFERENCE_H
from kilowatch.evaluation.waste_scores import Judged, read_labels, score
from kilowatch.insights import towt
from kilowatch.insights.hours import WEEK_H, Hours
from kilowatch.insights.waste import learn
from kilowatch.insights.waste.days import Days, low_quantile
from kilowatch.insights.waste.finding import BAND
from kilowatch.insights.waste.reference import Reference, warmth
from kilowatch.insights.waste.signs import signs
from kilowatch.model.blocks import Floats

Need = Callable[[Hours, Hours], Floats]
"""Takes the reference period and all hours; returns the need, (streams, hours)."""
BANDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
TREES = {"objective": "quantile", "num_leaves": 31, "learning_rate": 0.1, "num_threads": 1,
         "min_data_in_leaf": 40, "verbose": -1, "deterministic": True, "seed": 1}  # fmt: skip


def bins(q: float) -> Need:
    """Quantiles of kind of day × hour × bins of temperature of 4 K."""

    def need(past: Hours, whole: Hours) -> Floats:
        out = np.full(whole.values.shape, np.nan)
        keys = [_key(hours) for hours in (past, whole)]
        for key in np.unique(keys[1]):
            here, there = keys[0] == key, keys[1] == key
            if here.sum() < 20:
                here = keys[0] // 100 == key // 100
            if here.any():
                out[:, there] = low_quantile(past.values[:, here].T, q)[:, None]
        return out

    return need


def _key(hours: Hours) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    days = Days.of(hours)
    kind = days.classes()[0][days.row] * 24 + days.hour
    air = warmth(hours)[0]
    return np.asarray(kind * 100 + np.nan_to_num(np.clip(air + 8, 0, 40) // 4).astype(np.int64))


def time_of_week(past: Hours, whole: Hours) -> Floats:
    """Time of week and temperature, least squares."""
    out = np.full(whole.values.shape, np.nan)
    for stream in range(whole.streams):
        weeks = [
            np.where(hours.holidays[stream], 6 * 24 + hours.hour_of_day, hours.hour_of_week)
            for hours in (past, whole)
        ]
        air = [warmth(hours)[stream] for hours in (past, whole)]
        if np.sum(~np.isnan(past.values[stream])) > 2000:
            model = towt.fit(weeks[0], air[0], past.values[stream], WEEK_H)
            out[stream] = model.predict(weeks[1], air[1])
    return out


def trees(q: float) -> Need:
    """Quantile LightGBM for each stream: hour of the week, temperature, season, holiday."""

    def columns(hours: Hours, stream: int) -> Floats:
        season = hours.day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
        return np.stack(
            [hours.hour_of_week, hours.hour_of_day, warmth(hours)[stream], season,
             hours.holidays[stream]], axis=1
        ).astype(np.float64)  # fmt: skip

    def need(past: Hours, whole: Hours) -> Floats:
        out = np.full(whole.values.shape, np.nan)
        for stream in range(whole.streams):
            known = ~np.isnan(past.values[stream])
            data = lightgbm.Dataset(columns(past, stream)[known], past.values[stream][known])
            model = lightgbm.train({**TREES, "alpha": q}, data, 60)
            out[stream] = model.predict(columns(whole, stream), num_threads=1)
        return out

    return need


def similar_days(q: float, count: int = 12) -> Need:
    """Quantile of the most similar days of the reference: kind of day, temperature, season."""

    def need(past: Hours, whole: Hours) -> Floats:
        before, after = Days.of(past), Days.of(whole)
        laid = before.lay(past.values)
        air = [np.nanmean(days.lay(warmth(hours))[0], axis=1)
               for days, hours in ((before, past), (after, whole))]  # fmt: skip
        kinds = before.classes()[0], after.classes()[0]
        out = np.full((whole.streams, after.count, 24), np.nan)
        for day in range(after.count):
            apart = np.abs(before.first + np.arange(before.count) - after.first - day) % 365
            season = np.minimum(apart, 365 - apart) / 30
            far = np.nan_to_num(np.abs(air[0] - air[1][day])) / 3 + season
            far = np.where(kinds[0] == kinds[1][day], far, 99)
            out[:, day] = low_quantile(laid[:, np.argsort(far)[:count]].transpose(1, 0, 2), q)
        return np.asarray(after.pick(out), np.float64)

    return need


def frozen(past: Hours, whole: Hours) -> Floats:
    """The platform's frozen need."""
    return learn(past).expected(whole)


def rolling(weeks: int) -> Need:
    """The frozen need moved by the median of the last weeks, of every hour alike."""

    def need(past: Hours, whole: Hours) -> Floats:
        expected = learn(past).expected(whole)
        day = Days.of(whole)
        over = np.nanmedian(day.lay(whole.values - expected), axis=2)
        level = np.zeros(over.shape)
        for row in range(1, day.count):
            level[:, row] = np.nanmedian(over[:, max(0, row - 7 * weeks) : row], axis=1)
        return expected + np.nan_to_num(level)[:, day.row]

    return need


def own_quiet(past: Hours, whole: Hours) -> Floats:
    """The frozen need moved by the 30th percentile of each hour's last eleven weeks."""
    reference: Reference = learn(past)
    days = Days.of(whole)
    usual = np.clip(np.nan_to_num(signs(reference, whole, days, 0).usual), -0.1, 0.2)
    moved = np.asarray(days.pick(usual), np.float64) * reference.scale[:, None]
    return np.asarray(reference.expected(whole) + moved)


FAMILIES: dict[str, Need] = {
    "hour and temperature bins, P50": bins(0.5),
    "hour and temperature bins, P75": bins(0.75),
    "TOWT": time_of_week,
    "LightGBM P50": trees(0.5),
    "LightGBM P75": trees(0.75),
    "12 similar days, P50": similar_days(0.5),
    "12 similar days, P75": similar_days(0.75),
    "frozen need": frozen,
    "frozen need, level of 4 weeks": rolling(4),
    "frozen need, level of 12 weeks": rolling(12),
    "frozen need, own quiet": own_quiet,
}


def judged_by(folder: Folder, need: Need) -> dict[float, dict[str, Judged]]:
    """Return what each dead band finds."""
    found: dict[float, dict[str, Judged]] = {band: {} for band in BANDS}

    def judge(whole: Hours, group: list[str], wasteful: Hours) -> None:
        past = whole.hours(0, REFERENCE_H)
        known = np.sum(~np.isnan(past.values), axis=1)
        scale = (np.nansum(past.values, axis=1) / np.maximum(known, 1))[:, None]
        part = slice(REFERENCE_H, None)
        over = [hours.values - need(past, hours) for hours in (whole, wasteful)]
        for band in BANDS:
            plain, more = (np.where(one > band * scale, one, 0.0) for one in over)
            for row, key in enumerate(group):
                found[band][key] = Judged(
                    whole.start_ms[part], whole.values[row, part], plain[row, part],
                    more[row, part],
                )  # fmt: skip

    for whole, group, wasteful in evaluation.pairs(folder):
        judge(whole, group, wasteful)
    return found


def line(name: str, scores: dict[str, float], extra: str) -> None:
    """Print one row of the table."""
    keys = ("kwh_recall", "kwh_precision", "events_half_found", "background_share")
    cells = [f"{scores[key]:.3f}" for key in keys]
    print(f"| {name} | {extra} | {' | '.join(cells)} |", flush=True)


def worth(scored: dict[str, Any]) -> float:
    """Return how good a dead band is on the half that it is chosen on."""
    one = scored["by_group"]["tuned"]
    if one["background_share"] > 0.04:
        return -float(one["background_share"])
    return float(one["kwh_recall"] + one["kwh_precision"] + one["events_half_found"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    folder = Folder(parser.parse_args().data)
    labels = read_labels(folder)
    print("| reference | dead band | kWh recall | kWh precision | events | background |")
    for name, need in FAMILIES.items():
        judged = judged_by(folder, need)
        scored = {band: score(folder, found, labels) for band, found in judged.items()}
        best = max(BANDS, key=lambda band: worth(scored[band]))
        line(name, scored[best]["by_group"]["untouched"], f"{best:.2f} of the mean load")
    found: dict[str, Judged] = {}
    for whole, group, wasteful in evaluation.pairs(folder):
        found |= evaluation.judge(whole, group, wasteful)
    line("the platform", score(folder, found, labels)["by_group"]["untouched"], f"chance {BAND}")


if __name__ == "__main__":
    main()
