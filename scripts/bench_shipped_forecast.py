"""How good the shipped forecasting model is on buildings that it never saw.

python scripts/bench_shipped_forecast.py --data DIR --sisters FILE FILE FILE [--streams 30]

The model that ships has seen the buildings of the folder that it was taught with, so
``kilowatch evaluate`` flatters it there. Sister models are taught without a third of the buildings
each, and without the year that is forecast (``train_forecast.py --fold 0 --before-the-year``
and so on); each third is an installation of its own, that goes out from the sister that did not
see it. ``--streams`` makes installations of so many streams, drawn by chance from each third.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.forecast_groups import Group, groups_of, part_of
from kilowatch.evaluation.forecast_scores import scores, summary
from kilowatch.evaluation.forecasts import Cost, never_seen, with_history
from kilowatch.insights.forecasting import Model
from kilowatch.insights.hours import Bools


def installation(groups: Sequence[Group], chosen: Sequence[Bools]) -> list[Group]:
    """Return some of the streams as if there were no others."""
    found = []
    for group, own in zip(groups, chosen, strict=True):
        if own.any():
            listed = tuple(one for one, it in zip(group.listed, own, strict=True) if it)
            found.append(Group(listed, group.hours.only(own), group.midnights, group.first))
    return found


def drawn(chosen: Sequence[Bools], streams: int, seed: int) -> list[Bools]:
    """Return which streams are kept if there are to be fewer."""
    flat = np.flatnonzero(np.concatenate(chosen))
    kept = np.zeros(sum(len(one) for one in chosen), np.bool_)
    kept[np.random.default_rng(seed).permutation(flat)[:streams]] = True
    return np.split(kept, np.cumsum([len(one) for one in chosen])[:-1])


def main() -> None:
    """Print the scores."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--sisters", type=Path, nargs="+", required=True)
    asked.add_argument("--streams", type=int, default=0)
    asked.add_argument("--only", choices=("history", "unseen"))
    given = asked.parse_args()
    groups = groups_of(Folder(given.data))
    known: list[dict[str, Any]] = []
    unseen: list[dict[str, Any]] = []
    cost = Cost()
    for fold, path in enumerate(given.sisters):
        sister = Model.from_bytes(path.read_bytes())
        chosen = part_of(groups, fold, len(given.sisters))
        if given.streams:
            chosen = drawn(chosen, given.streams, fold)
        part = installation(groups, chosen)
        if given.only != "unseen":
            known += scores(part, with_history(part, sister, cost))["by_stream"].values()
            print(f"{fold}: with history {summary(known)}", flush=True)
        if given.only != "history":
            unseen += scores(part, never_seen(part, sister, cost))["by_stream"].values()
            print(f"{fold}: never seen {summary(unseen)}", flush=True)
    for name, found in (("with history", known), ("never seen", unseen)):
        for by in ("dataset", "utility"):
            for kind in sorted({one[by] for one in found}):
                some = summary([one for one in found if one[by] == kind])
                print(f"{name}, {kind}: {some['streams']}, {some['mase_median']:.3f}")
    print(
        f"trainings {1000 * cost.train_s / max(cost.trained_streams, 1):.1f} ms a stream, "
        f"each week's {1000 * cost.again_s / max(cost.again_streams, 1):.1f}; forecasts "
        f"{1000 * cost.predict_s / cost.stream_days:.3f} ms a stream-day"
    )


if __name__ == "__main__":
    main()
