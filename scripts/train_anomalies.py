"""Teach the trees that tell faults from habits, with faults of our own in clean histories.

    python scripts/train_anomalies.py --data DIR --out src/kilowatch/insights/anomalies/faults.model

DIR is laid out as docs/reference/evaluation.md says. Only what lies before each stream's
``anomaly/faulted.parquet`` is read, and no label. Half of the buildings teach the trees that are
tried on the other half, which gives the rates of false alarms; then all of them teach the trees
that are shipped. The trees of the halves are written beside them as ``half-0.model`` and
``half-1.model`` where ``--halves DIR`` asks for it: ``bench_anomalies.py --halves DIR`` tries each
on the buildings that it was not taught with.

It takes a quarter of an hour of one processor. With ``--keep DIR`` what was measured is kept
there, round by round, and read instead of measured again: a run that was stopped goes on, and ends
with the same bytes.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from kilowatch.evaluation.folder import Folder, hours_of
from kilowatch.insights.anomalies import judging, scanning
from kilowatch.insights.anomalies.alarms import Group
from kilowatch.insights.anomalies.episodes import QUIET_H
from kilowatch.insights.anomalies.measures import NAMES, Moment
from kilowatch.insights.anomalies.synthesis import (
    CHANGES,
    Fault,
    inject,
    mixed,
    with_other_base,
)
from kilowatch.insights.hours import Bools, Hours
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone

WARM_H = 112 * 24
LENGTH_H = WARM_H + 364 * 24
LEAST_H = 300 * 24
"""Shorter histories teach nothing."""
FIRST_FAULT_H = 70 * 24
AFTER_H = 8 * 24
MONDAY_MS = 4 * DAY_MS
TREES = {
    "learning_rate": 0.11,
    "num_leaves": 31,
    "min_child_samples": 60,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_bin": 63,
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
    "seed": 1,
}
ROUNDS = 130
WHOLE_ROUNDS = 3
"""Of the hours that all rounds give, so many rounds' worth are learnt from, evenly spread. Twice
the rounds and every second hour cost the trees what one round and all hours do, and hold twice as
many faults."""
PLAIN_ROUNDS = 6
"""Rounds that put faults into the years as they were; further ones into made-up buildings."""
OFTEN = dict.fromkeys(CHANGES, 0.75) | {
    "level": 2.0, "night": 2.0, "weekend": 2.0, "drift": 1.5, "clock": 1.5, "phase": 1.5,
}  # fmt: skip
"""How often each form is drawn for made-up buildings: what lasts is harder to tell from habits."""
KIND_ROUNDS = 25
OTHER_SHARE = 0.2
"""How much a fault counts as none to the trees that look for another."""
LEVELS = np.arange(-4.0, 8.01, 0.25)
SHARES = {Group.SUDDEN: 0.35, Group.LASTING: 0.9}
"""Part of the budget that each group may use by itself. Together more than all of it: alarms of
both fall together, and a stream that raises many has its limit raised (``episodes.WARIER``)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A year of one stream's clean history with what comes before it, by its local clock.

    Attributes:
        building: Whose.
        values: Shape (LENGTH_H,); NaN before the stream began.
        holidays: Shape (LENGTH_H,).
        outdoor_c: Shape (LENGTH_H,) [°C].
        first: First hour at which a fault may be put in.
        era: Years with the same are of the same hours and the same weather.
    """

    building: str
    values: Floats
    holidays: Bools
    outdoor_c: Floats
    first: int
    era: tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Hours to learn from.

    Attributes:
        measures: Shape (n, len(NAMES)).
        kind: Index into ``judging.TOLD_APART``, −1 where nothing was put in, shape (n,).
        weight: Shape (n,).
        half: Which half of the buildings they are of, shape (n,).
    """

    measures: npt.NDArray[np.float32]
    kind: Ints
    weight: Floats
    half: Ints


def pieces(folder: Folder) -> list[Piece]:
    """Cut the histories before each dataset's faulted time into years, latest first."""
    clean, faulted = folder.streams(), folder.faulted()
    begins = {folder.listed[key].dataset: int(one.start_ms[0]) for key, one in faulted.items()}
    groups: dict[tuple[str, str, str], list[str]] = {}
    for key in clean:
        one = folder.listed[key]
        groups.setdefault((one.dataset, one.zone, one.weather_id), []).append(key)
    found: list[Piece] = []
    for (dataset, zone, weather), keys in groups.items():
        hours = hours_of({key: clean[key] for key in keys}, zone, folder.temperature(weather))
        for row, key in enumerate(keys):
            era = (dataset, zone, weather)
            found += _years(hours, row, begins[dataset], folder.listed[key].building, era)
    return found


def _years(
    hours: Hours, row: int, until_ms: int, building: str, era: tuple[str, str, str]
) -> Iterator[Piece]:
    local = hours.local_ms // HOUR_MS
    monday = int(local[0]) // 168 * 168 + MONDAY_MS // HOUR_MS
    use = (local >= monday) & (hours.start_ms < until_ms)
    place = (local - monday)[use]
    count = int(place[-1]) + 1
    values, holidays = np.full(count, np.nan), np.zeros(count, np.bool_)
    outdoor = np.full(count, np.nan)
    values[place], holidays[place] = hours.values[row, use], hours.holidays[row, use]
    if hours.temperature_c is not None:
        outdoor[place] = hours.temperature_c[row, use]
    end = count // 168 * 168
    while end >= LEAST_H:
        begin = max(end - LENGTH_H, 0)
        pad = LENGTH_H - (end - begin)
        year = np.concatenate([np.full(pad, np.nan), values[begin:end]])
        if np.isfinite(year).mean() > 0.5:
            yield Piece(
                building,
                year,
                np.concatenate([np.zeros(pad, np.bool_), holidays[begin:end]]),
                np.concatenate([np.full(pad, np.nan), outdoor[begin:end]]),
                max(pad + FIRST_FAULT_H, WARM_H),
                (*era, end),
            )
        end -= 364 * 24


def half_of(building: str) -> int:
    """Return which half of the buildings one is of."""
    return zlib.crc32(building.encode()) % 2


def made_up(years: list[Piece], rng: np.random.Generator) -> list[Piece]:
    """Return years of buildings that do not exist, made of those that do.

    What was learnt of 60 buildings has to serve others. Half of the years have part of their base
    load taken away, or more of it added: nights, weekends and levels differ by another ratio then.
    And of every five years two are mixed with the same year of another building of their half.

    Args:
        years: As they were.
        rng: Chance.
    """
    found = []
    for one in years:
        values = one.values
        others = [
            other for other in years
            if other.era == one.era and other.building != one.building
            and half_of(other.building) == half_of(one.building)
        ]  # fmt: skip
        if others and rng.random() < 0.4:
            other = others[int(rng.integers(len(others)))]
            values = mixed(values, other.values, rng.uniform(0.25, 0.75))
        if rng.random() < 0.5:
            values = with_other_base(values, rng.uniform(-0.8, 1.5))
        found.append(replace(one, values=values))
    return found


def _troubled(
    years: list[Piece],
    rng: np.random.Generator,
    every_days: float,
    chances: dict[str, float] | None = None,
) -> tuple[Hours, list[list[Fault]]]:
    changed, faults = zip(
        *(
            inject(one.values, rng, first=one.first, every_days=every_days, chances=chances)
            for one in years
        ),
        strict=True,
    )
    hours = Hours(
        MONDAY_MS,
        np.stack(changed),
        Zone.of("UTC"),
        np.stack([one.holidays for one in years]),
        np.stack([one.outdoor_c for one in years]),
    )
    return hours, list(faults)


def lessons(years: list[Piece], seed: int) -> Lessons:
    """Put faults into the years, measure them and keep a part of the hours."""
    rng = np.random.default_rng(seed)
    if seed > PLAIN_ROUNDS:
        years = made_up(years, rng)
    hours, faults = _troubled(years, rng, 26.0, OFTEN if seed > PLAIN_ROUNDS else None)
    kind = np.full(hours.values.shape, -1, np.int64)
    weight = np.ones(hours.values.shape)
    for row, own in enumerate(faults):
        for one in own:
            part = slice(one.first, one.last)
            after = slice(one.last, one.last + AFTER_H)
            weight[row, after] = np.where(kind[row, after] < 0, 0.25, weight[row, after])
            kind[row, part] = judging.TOLD_APART.index(one.kind)
            weight[row, part] = 1 / np.sqrt(one.last - one.first)
    first = np.array([one.first for one in years])
    half = np.array([half_of(one.building) for one in years])
    kept: list[tuple[npt.NDArray[np.float32], Ints, Floats, Ints]] = []

    def told(at: int, moment: Moment) -> None:
        if at < WARM_H:
            return
        chance = rng.random(len(years))
        wanted = np.where(
            kind[:, at] < 0, chance < 1 / 12, (chance < 1 / 4) | (weight[:, at] > 0.25)
        )
        rows = np.flatnonzero(wanted & moment.known & (at >= first))
        kept.append((moment.columns.T[rows], kind[rows, at], weight[rows, at], half[rows]))

    scanning.watch(scanning.start(len(years)), hours, told)
    return Lessons(*(np.concatenate(part) for part in zip(*kept, strict=True)))


def kept(years: list[Piece], seed: int, folder: Path | None) -> Lessons:
    """Return a round's lessons, from a folder if they are there, and leave them there."""
    if folder is None:
        return lessons(years, seed)
    path = folder / f"les{seed}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, **vars_of(lessons(years, seed)))
    with np.load(path) as arrays:
        return Lessons(**dict(arrays))


def vars_of(known: Lessons) -> dict[str, Any]:
    """Return the arrays by their names."""
    return {one.name: getattr(known, one.name) for one in fields(known)}


def thinned(known: Lessons, seed: int, every: int) -> Lessons:
    """Keep each ``every``-th hour: neighbours say the same, other rounds something else."""
    return Lessons(**{name: one[seed % every :: every] for name, one in vars_of(known).items()})


def joined(parts: list[Lessons]) -> Lessons:
    """Put rounds together."""
    every = [vars_of(one) for one in parts]
    return Lessons(**{name: np.concatenate([one[name] for one in every]) for name in every[0]})


def teach(known: Lessons, rows: Bools) -> list[str]:
    """Return the trees of each group as text."""
    kind, weight = known.kind[rows], known.weight[rows]
    data = lightgbm.Dataset(known.measures[rows])
    heads = []
    for wanted in judging.HEADS:
        own = np.isin(kind, [judging.TOLD_APART.index(one) for one in wanted])
        part = np.where(kind < 0, weight, np.where(own, 3 * weight, OTHER_SHARE * weight))
        data.set_label(own.astype(np.int64)).set_weight(part)
        heads.append(lightgbm.train({**TREES, "objective": "binary"}, data, ROUNDS))
    return [one.model_to_string() for one in heads]


def teach_kinds(known: Lessons, rows: Bools) -> str:
    """Return the trees that tell the kinds apart as text; each kind counts alike.

    Nobody knows which is commoner, and what is taught more often would be called more often.
    """
    use = rows & (known.kind >= 0)
    kind, weight = known.kind[use], known.weight[use]
    total = np.bincount(kind, weight, len(judging.TOLD_APART))
    weight *= len(kind) / len(total) / total[kind]
    data = lightgbm.Dataset(known.measures[use], kind, weight=weight)
    several = {**TREES, "objective": "multiclass", "num_leaves": 15}
    several["num_class"] = len(judging.TOLD_APART)
    text: str = lightgbm.train(several, data, KIND_ROUNDS).model_to_string()
    return text


def rates(years: list[Piece], halves: list[list[str]], seed: int) -> Floats:
    """Return log10 of false alarms a stream and month by group and level.

    Each half is judged by the trees of the other; faults are put in as in life, and their time
    and the eight days after it are left out.
    """
    rng = np.random.default_rng(seed)
    hours, faults = _troubled(years, rng, 60.0)
    clean = np.ones(hours.values.shape, np.bool_)
    for row, own in enumerate(faults):
        clean[row, : years[row].first] = False
        for one in own:
            clean[row, one.first : one.last + AFTER_H] = False
    trees = [tuple(lightgbm.Booster(model_str=one) for one in texts) for texts in halves]
    half = np.array([half_of(one.building) for one in years])
    raw = np.full((len(Group), len(years), LENGTH_H - WARM_H), -9.0, np.float32)

    def told(at: int, moment: Moment) -> None:
        if at < WARM_H:
            return
        for which in (0, 1):
            rows = np.flatnonzero((half == which) & moment.known)
            if len(rows):
                part = judging.raw_scores(moment.columns.T[rows], trees[1 - which])
                raw[:, rows, at - WARM_H] = part.T

    scanning.watch(scanning.start(len(years)), hours, told)
    clean = clean[:, WARM_H:]
    months = clean.sum() / 24 / 30.4375
    found = np.empty((len(Group), len(LEVELS)))
    for group in Group:
        for place, level in enumerate(LEVELS):
            count = sum(
                _onsets(raw[group, row], level, QUIET_H[group], clean[row])
                for row in range(len(years))
            )
            found[group, place] = np.log10(max(count, 0.5) / months)
    # Low levels run together into few long alarms: a lower limit never tells more rarely.
    return np.maximum.accumulate(found[:, ::-1], axis=1)[:, ::-1]


def _onsets(raw: Floats, level: float, quiet_h: int, clean: Bools) -> int:
    at = np.flatnonzero(raw >= level)
    if not len(at):
        return 0
    first = at[np.concatenate([[True], np.diff(at) > quiet_h])]
    return int(clean[first].sum())


def main() -> None:
    """Read, teach, measure, write."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--out", type=Path, required=True)
    asked.add_argument("--rounds", type=int, default=12, help="times that faults are put in")
    asked.add_argument("--keep", type=Path, default=None, help="folder for what was measured")
    asked.add_argument("--halves", type=Path, default=None, help="folder for the halves' trees")
    given = asked.parse_args()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    years = pieces(Folder(given.data))
    say(f"{len(years)} years of clean history")
    parts = []
    every = max(given.rounds // WHOLE_ROUNDS, 1)
    for seed in range(1, given.rounds + 1):
        parts.append(thinned(kept(years, seed, given.keep), seed, every))
        say(f"{len(parts[-1].kind)} hours to learn from")
    known = joined(parts)
    say(f"{len(known.kind)} hours, {np.mean(known.kind >= 0):.0%} of them in a fault")
    taught = []
    for half in (0, 1):
        taught.append(teach(known, known.half == half))
        say(f"half {half} is taught")
    rate = rates(years, taught, seed=101)
    say("rates are known")
    every_row = np.ones(len(known.kind), np.bool_)
    whole = teach(known, every_row), teach_kinds(known, every_row)
    given.out.write_bytes(_packed(*whole, rate))
    say(f"{given.out}: {given.out.stat().st_size / 1024:.0f} kB, {len(NAMES)} measures")
    if given.halves is not None:
        given.halves.mkdir(parents=True, exist_ok=True)
        for half, part in enumerate(taught):
            kinds = teach_kinds(known, known.half == half)
            (given.halves / f"half-{half}.model").write_bytes(_packed(part, kinds, rate))


def _packed(heads: list[str], kinds: str, rate: Floats) -> bytes:
    about = {
        "version": f"faults-2-{zlib.crc32(''.join(heads).encode()):08x}",
        "levels": LEVELS.tolist(),
        "rates": np.round(rate, 4).tolist(),
        "shares": [SHARES[group] for group in Group],
    }
    return judging.pack(heads, kinds, about)


if __name__ == "__main__":
    main()
