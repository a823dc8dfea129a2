"""Trains the gate that tells waste from ordinary life, on waste that is made up.

python scripts/train_waste_gate.py --data DIR --out DIR [--without tuned|untouched] [--until 2018]

Each stream's years are judged against the year before, as they were and with waste of many shapes
put in (``evaluation/made_up_waste.py``); what was put in is what the gate has to find. No label
file is read. ``--without`` leaves one half of the buildings out, for a figure on buildings never
seen; years after ``--until`` are not used at all, and neither is the wasteful folder.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import lightgbm
import numpy as np
import numpy.typing as npt

from kilowatch.evaluation.folder import Folder, Series, hours_of, zones
from kilowatch.evaluation.made_up_waste import make_up
from kilowatch.evaluation.waste import tuned
from kilowatch.insights.hours import Bools, Hours
from kilowatch.insights.waste.days import Days
from kilowatch.insights.waste.finding import above_need
from kilowatch.insights.waste.gate import NAMES_IN_MODEL
from kilowatch.insights.waste.reference import TINY, learn
from kilowatch.insights.waste.signs import REACH_DAYS, signs

Signs = npt.NDArray[np.float32]
YEAR_H = 365 * 24
LEAD_H = (REACH_DAYS + 2) * 24
SEEN = 0.02
"""Made-up waste below this share of the mean load is not asked of the gate."""
SHARE_OF_ORDINARY = 0.1
SHARE_OF_WASTE = 0.4
"""Hours that are kept to learn from; the others only take time."""
ODDS = 2.0
"""Waste counts double: chances near the dead band are then told apart more finely."""
COPIES = 4
DRAWS = 2
"""Times that all streams are gone through, each with other waste made up: what a gate is good for
differs by chance from draw to draw (recall by 0.05), and less when it has seen more of them."""
PARAMETERS = {
    "learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 700, "feature_fraction": 0.4,
    "max_bin": 63, "seed": 1, "num_threads": 1, "deterministic": True, "verbose": -1,
}  # fmt: skip
ROUNDS = 160


class Lessons(NamedTuple):
    """Hours to learn from.

    Attributes:
        signs: Shape (n, len(NAMES)).
        put: Made-up waste, shape (n,) [share of scale].
        above: Whether the hour stands above the need, shape (n,): no other can be waste.
    """

    signs: Signs
    put: Signs
    above: Bools

    @staticmethod
    def join(parts: Sequence[Lessons]) -> Lessons:
        """Put several together."""
        return Lessons(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def rows_of(hours: Hours, begin: int, seed: int) -> Lessons:
    """Return the hours of the year from ``begin`` on that a gate can learn from.

    The last copy is untouched: ordinary life has to be known as it is. Hours without waste that
    do not stand above the need are left out.
    """
    reference = learn(hours.hours(begin - YEAR_H, begin))
    window = hours.hours(begin - LEAD_H, min(begin + YEAR_H, hours.count))
    rng = np.random.default_rng(seed)
    found: list[Lessons] = []
    for copy in range(COPIES):
        put = make_up(window, reference, LEAD_H, rng)
        if copy == COPIES - 1:
            put[:] = 0
        changed = Hours(window.first_ms, window.values + put, window.zone, window.holidays,
                        window.temperature_c)  # fmt: skip
        days = Days.of(changed)
        first = int(days.row[LEAD_H])
        seen = signs(reference, changed, days, first)
        wanted = days.lay(put / np.maximum(reference.scale, TINY)[:, None])[:, first:]
        fit = np.isfinite(seen.over) & np.isfinite(wanted)
        part = np.where(wanted > 0, SHARE_OF_WASTE, SHARE_OF_ORDINARY)
        fit &= rng.random(fit.shape) < part
        above = above_need(seen) > 0
        fit &= (wanted > 0) | above
        found.append(Lessons(seen.table[fit], wanted[fit].astype(np.float32), above[fit]))
    return Lessons.join(found)


def collect(folder: Folder, without: str | None, until: int, draws: int) -> Lessons:
    """Return the hours of all streams that may be learnt from."""
    streams = folder.streams()
    kept = [
        one for key, one in folder.listed.items()
        if key in streams and one.unit == "kWh"
        and not (without and one.weather_id and tuned(one.building) == (without == "tuned"))
    ]  # fmt: skip
    found: list[Lessons] = []
    for (zone, weather), ids in zones(kept).items():
        temperature = folder.temperature(weather)
        group = {key: streams[key] for key in ids}
        first_ms = min(int(one.start_ms[0]) for one in group.values())
        end_ms = int(np.datetime64(f"{until + 1}-01-01", "ms").astype(np.int64))
        airs: list[Series | None] = [None] if temperature is None else [temperature, None]
        for air in airs:
            hours = hours_of(group, zone, air, from_ms=first_ms, to_ms=end_ms)
            begins = list(range(YEAR_H, hours.count - YEAR_H // 2, YEAR_H))
            if air is None and temperature is not None:
                begins = begins[-1:]  # a thermometer is missing elsewhere: learn without, too
            for begin in begins * draws:
                found.append(rows_of(hours, begin, len(found)))
                seen = found[-1].signs.shape
                print(zone, weather, air is not None, begin, seen, flush=True)
    return Lessons.join(found)


def main() -> None:
    """Train both models and write them, packed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without", choices=["tuned", "untouched"])
    parser.add_argument("--until", type=int, default=2018)
    parser.add_argument("--draws", type=int, default=DRAWS, help="times that waste is made up")
    chosen = parser.parse_args()
    known = collect(Folder(chosen.data), chosen.without, chosen.until, chosen.draws)
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
    for name, model in (("chance", chance), ("size", size)):
        text = model.model_to_string(num_iteration=-1, importance_type="gain")
        path = chosen.out / f"{name}.txt.gz"
        path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
