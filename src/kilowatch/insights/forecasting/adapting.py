"""Teaches an installation's own model: one that knows other buildings learns on with its own.

Its trees stay; its net learns on from where it stands. That takes a fifth of what a model takes
that begins from nothing, and keeps what other buildings have taught. Weeks that are held out say
whether it has become better, how much the net is to count, and how wide bands must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kilowatch.insights.forecasting.examples import drawn, held_out
from kilowatch.insights.forecasting.features import Singles
from kilowatch.insights.forecasting.model import Model
from kilowatch.insights.forecasting.teaching import AGAIN, FIRST, Lessons, go_on
from kilowatch.insights.forecasting.training import (
    best_share,
    judged,
    learnt_from,
    long_enough,
)
from kilowatch.insights.forecasting.windows import HISTORY_DAYS
from kilowatch.insights.hours import Hours
from kilowatch.model.lengths import DAY_MS

WINDOWS_MAX = 40_000
"""Stream-days that are learnt from, spread evenly over streams and time."""

NEW_DAYS_MIN = 7
"""The platform trains weekly."""

RECENT_DAYS = 365
"""What a model that knows its installation is reminded of, beside what is new."""

_MOVED = 0.25
"""How far it moves to the share and the edges that the few weeks held out ask for."""


def adapt(base: Model, groups: Sequence[Hours], *, seed: int = 1) -> Model:
    """Teach a model the streams of an installation.

    The shipped one learns from all of their time. One that they have taught before learns what is
    new since then, and is reminded of as many days of the year before.

    Args:
        base: What is known already.
        groups: Streams, those of one zone together; only what may be known.
        seed: Of the sample.

    Raises:
        TooLittleError: Fewer than ``STREAMS_MIN`` streams with ``DAYS_MIN`` days.
    """
    enough = long_enough(groups)
    new_days = None
    if not base.ships:
        to_ms = max(int(one.start_ms[-1]) for one in enough)
        new_days = max(-(-(to_ms - base.trained_on["to_ms"]) // DAY_MS), NEW_DAYS_MIN)
        recent_h = (RECENT_DAYS + HISTORY_DAYS) * 24
        enough = [one.hours(max(one.count - recent_h, 0), one.count) for one in enough]
    examples = drawn(enough, WINDOWS_MAX, WINDOWS_MAX, seed, new_days=new_days)
    held = held_out(examples.week)
    lessons = Lessons(examples.days, examples.target, examples.weight)
    pace = FIRST if base.ships else AGAIN
    net = go_on(base.net, lessons.take(~held), pace, seed=seed)
    model = replace(base, net=net, trained_on=learnt_from(examples, enough), ships=False)
    return _trusted(base, model, lessons.take(held), examples.columns[held[examples.of]])


def _trusted(base: Model, model: Model, apart: Lessons, columns: Singles) -> Model:
    """Say how far to trust a model, or the one before it, from what neither was taught with.

    Args:
        base: The one before.
        model: The one that has learnt on.
        apart: Days that were held out.
        columns: What trees see of their hours, shape (n, 24, len(NAMES)).
    """
    known = ~np.isnan(apart.target)
    if not known.any():
        return model
    target, weight = apart.target[known], np.repeat(apart.weight, known.sum(axis=1))
    by_trees, expected = base.by_trees(columns[known])
    tried = []
    # Half way is best where little was learnt from: what is common to both stays, chance goes.
    for one in (model.net, model.net.half_way(base.net), base.net):
        said = one.say(apart.days)[known]
        share, error = best_share(said, by_trees, target, weight)
        tried.append((error, share, one, said))
    _, share, net, said = min(tried, key=lambda one: one[0])
    moved = 1.0 if base.ships else _MOVED
    share = base.share + moved * (share - base.share)
    edges, quality = judged(target - share * said - (1 - share) * by_trees, expected, weight)
    edges = tuple(
        before + moved * (now - before) for before, now in zip(base.edges, edges, strict=True)
    )
    return replace(model, net=net, share=share, edges=edges, quality=quality)
