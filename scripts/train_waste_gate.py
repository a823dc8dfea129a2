"""Trains the gate that tells waste from ordinary life, on waste and on life that are made up.

python scripts/train_waste_gate.py --data DIR --out DIR [--halves] [--until 2018] [--draws 3]

Each stream's years are judged against the year before, as they were and with waste of many shapes
put in (``evaluation/made_up_waste.py``); what was put in is what the gate has to find. Some of
the years are lived otherwise (``evaluation/made_up_life.py``), or judged against the year before
the last, since real buildings drift: what is above the need then is no waste. No label file is
read; years after ``--until`` are not used at all, and neither is the wasteful folder.
``--halves`` writes two more gates beside the one of all buildings, in the folders
``without-tuned`` and ``without-untouched``: for figures on buildings that a gate has never seen.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt

from kilowatch.evaluation.folder import Folder, Listed, hours_of, zones
from kilowatch.evaluation.made_up_life import live
from kilowatch.evaluation.made_up_waste import make_up
from kilowatch.evaluation.rows import Series
from kilowatch.evaluation.waste_scores import tuned
from kilowatch.insights.hours import Bools, Hours
from kilowatch.insights.waste.days import Days
from kilowatch.insights.waste.finding import above_need
from kilowatch.insights.waste.gate import NAMES_IN_MODEL
from kilowatch.insights.waste.reference import TINY, Reference, learn
from kilowatch.insights.waste.signs import REACH_DAYS, signs
from kilowatch.model.blocks import Floats

Signs = npt.NDArray[np.float32]
Halves = npt.NDArray[np.int8]
YEAR_H = 365 * 24
LEAD_H = (REACH_DAYS + 2) * 24
SEEN = 0.02
"""Made-up waste below this share of the mean load is not asked of the gate."""
SHARE_OF_ORDINARY = 0.1
SHARE_OF_WASTE = 0.4
"""Hours that are kept to learn from; the others only take time."""
ODDS = 2.0
"""Waste counts double: chances near the dead band are then told apart more finely."""
YEARS = (
    *((True, False, 1),) * 4, *((False, False, 1),) * 2, (True, True, 1), (False, True, 1),
    (True, False, 2), (False, False, 2),
)  # fmt: skip
"""How each year is gone through: waste put in or not, lived otherwise or not, and how many years
before it the need was learnt from. Where there is no year before the last, the last two are out."""
DRAWS = 3
"""Times that all streams are gone through, each with other waste made up: what a gate is good for
differs by chance from draw to draw (recall by 0.05), and less when it has seen more of them."""
PARAMETERS = {
    "learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 700, "feature_fraction": 0.4,
    "max_bin": 63, "seed": 1, "num_threads": 1, "deterministic": True, "verbose": -1,
}  # fmt: skip
ROUNDS = 160
FOLLOWED = (-0.1, 0.1), 1.0
"""How far the need follows a building where hours are picked to learn from (``finding.LEVEL`` and
``GROWN``): less far than where the gate is asked. A gate that was taught with a need that falls
further is no better (docs/decisions/0021)."""


class Lessons(NamedTuple):
    """Hours to learn from.

    Attributes:
        signs: Shape (n, len(NAMES)).
        put: Made-up waste, shape (n,) [share of scale].
        above: Whether the hour stands above the need, shape (n,): no other can be waste.
        half: Of which half of the buildings: 1 tuned, 0 untouched, 2 neither, shape (n,).
    """

    signs: Signs
    put: Signs
    above: Bools
    half: Halves

    @staticmethod
    def join(parts: Sequence[Lessons]) -> Lessons:
        """Put several together."""
        return Lessons(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def rows_of(hours: Hours, begin: int, half: Halves, seed: int) -> Iterator[Lessons]:
    """Yield the hours of the year from ``begin`` on that a gate can learn from, each of ``YEARS``.

    Hours without waste that do not stand above the need are left out.
    """
    rng = np.random.default_rng(seed)
    needs = {
        ago: learn(hours.hours(begin - ago * YEAR_H, begin - (ago - 1) * YEAR_H))
        for ago in (1, 2)
        if begin >= ago * YEAR_H
    }
    window = hours.hours(begin - LEAD_H, min(begin + YEAR_H, hours.count))
    for wasteful, otherwise, ago in YEARS:
        if ago in needs:
            put = make_up(window, needs[ago], LEAD_H, rng) if wasteful else None
            lived = live(window, needs[ago], rng) if otherwise else window.values
            yield _lessons(window, needs[ago], lived, put, half, rng)


def _lessons(
    window: Hours, reference: Reference, lived: Floats, put: Floats | None, half: Halves,
    rng: np.random.Generator,
) -> Lessons:  # fmt: skip
    """Return what can be learnt from a year that was lived so, with that waste in it."""
    waste = np.zeros(lived.shape) if put is None else put
    changed = Hours(window.first_ms, lived + waste, window.zone, window.holidays,
                    window.temperature_c)  # fmt: skip
    days = Days.of(changed)
    first = int(days.row[LEAD_H])
    seen = signs(reference, changed, days, first)
    wanted = days.lay(waste / np.maximum(reference.scale, TINY)[:, None])[:, first:]
    fit = np.isfinite(seen.over) & np.isfinite(wanted)
    fit &= rng.random(fit.shape) < np.where(wanted > 0, SHARE_OF_WASTE, SHARE_OF_ORDINARY)
    above = above_need(seen, *FOLLOWED) > 0
    fit &= (wanted > 0) | above
    whose = np.broadcast_to(half[:, None, None], fit.shape)[fit]
    return Lessons(seen.table[fit], wanted[fit].astype(np.float32), above[fit], whose)


def collect(folder: Folder, until: int, draws: int) -> Lessons:
    """Return the hours of all streams that may be learnt from."""
    streams = folder.streams()
    kept = [one for key, one in folder.listed.items() if key in streams and one.unit == "kWh"]
    found: list[Lessons] = []
    seed = 0
    for (zone, weather), ids in zones(kept).items():
        temperature = folder.temperature(weather)
        group = {key: streams[key] for key in ids}
        half = np.array([_half(folder.listed[key]) for key in ids], np.int8)
        first_ms = min(int(one.start_ms[0]) for one in group.values())
        end_ms = int(np.datetime64(f"{until + 1}-01-01", "ms").astype(np.int64))
        airs: list[Series | None] = [None] if temperature is None else [temperature, None]
        for air in airs:
            hours = hours_of(group, zone, air, from_ms=first_ms, to_ms=end_ms)
            begins = list(range(YEAR_H, hours.count - YEAR_H // 2, YEAR_H))
            if air is None and temperature is not None:
                begins = begins[-1:]  # a thermometer is missing elsewhere: learn without, too
            for begin in begins * draws:
                seed += 1
                found.extend(rows_of(hours, begin, half, seed))
                rows = sum(len(one.put) for one in found)
                print(zone, weather, air is not None, begin, rows, flush=True)
    return Lessons.join(found)


def _half(one: Listed) -> int:
    return int(tuned(one.building)) if one.weather_id else 2


def train(known: Lessons, out: Path) -> None:
    """Train both models and write them, packed."""
    names = list(NAMES_IN_MODEL)
    put = known.put[known.above]
    weight = np.where(put > 0, ODDS / SHARE_OF_WASTE, 1 / SHARE_OF_ORDINARY)
    data = lightgbm.Dataset(
        known.signs[known.above], (put > SEEN).astype(int), weight=weight, feature_name=names
    )
    chance = lightgbm.train({"objective": "binary", **PARAMETERS}, data, ROUNDS)
    some = known.put > 0
    size_of = np.minimum(known.put[some], 1.5)
    data = lightgbm.Dataset(known.signs[some], size_of, feature_name=names)
    size = lightgbm.train({"objective": "quantile", "alpha": 0.5, **PARAMETERS}, data, ROUNDS)
    out.mkdir(parents=True, exist_ok=True)
    for name, model in (("chance", chance), ("size", size)):
        text = model.model_to_string(num_iteration=-1, importance_type="gain")
        path = out / f"{name}.txt.gz"
        path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        print(path, path.stat().st_size, flush=True)


def main() -> None:
    """Train the gate of all buildings, and those of the halves if asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--halves", action="store_true", help="a gate without each half, too")
    parser.add_argument("--until", type=int, default=2018)
    parser.add_argument("--draws", type=int, default=DRAWS, help="times that waste is made up")
    chosen = parser.parse_args()
    known = collect(Folder(chosen.data), chosen.until, chosen.draws)
    train(known, chosen.out)
    for number, name in ((1, "without-tuned"), (0, "without-untouched")):
        if chosen.halves:
            kept = known.half != number
            train(Lessons(*(column[kept] for column in known)), chosen.out / name)


if __name__ == "__main__":
    main()
