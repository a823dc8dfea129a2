"""Teaches the forecasting model that ships, from a folder of meter data.

python scripts/train_forecast.py --data DIR --out FILE [--fold 0 --of 3] [--before-the-year]

All days of all streams are learnt from, two fifths of them once more: from other hours, from the
day before, or as if the stream were new. ``--fold`` leaves out a part of the buildings, and
``--before-the-year`` the year that ``kilowatch evaluate`` forecasts: so are made the sister models
that honest figures rest on (``scripts/bench_shipped_forecast.py``). The same folder gives the same
bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.forecast_groups import Group, groups_of, part_of
from kilowatch.insights.forecasting import Model, train
from kilowatch.insights.hours import Bools

WINDOWS_MAX, TREES_MAX = 1_000_000, 45_000
"""All days for the net, of which the trees see a part: more do not help them."""


def taught(groups: Sequence[Group], out: Sequence[Bools], *, whole: bool) -> Model:
    """Return a model that ships.

    Args:
        groups: Streams.
        out: Which streams of each group it must not see.
        whole: Whether it may see the last year, which is forecast.
    """
    past = []
    for group, away in zip(groups, out, strict=True):
        end = group.hours.count if whole else int(group.midnights[group.first])
        if not away.all():
            past.append(group.hours.hours(0, end).only(~away))
    model = train(past, windows_max=WINDOWS_MAX, trees_max=TREES_MAX, thorough=True)
    return replace(model, ships=True)


def main() -> None:
    """Write a model."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--out", type=Path, required=True)
    asked.add_argument("--fold", type=int)
    asked.add_argument("--of", type=int, default=3)
    asked.add_argument("--before-the-year", action="store_true")
    given = asked.parse_args()
    groups = groups_of(Folder(given.data))
    fold = -1 if given.fold is None else given.fold
    model = taught(groups, part_of(groups, fold, given.of), whole=not given.before_the_year)
    given.out.write_bytes(model.to_bytes())
    print(f"{model.version}: {model.trained_on} {model.quality}, net {model.share:g}")


if __name__ == "__main__":
    main()
