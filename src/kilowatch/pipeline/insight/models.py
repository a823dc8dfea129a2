"""Which model speaks: the installation's, and where it can't, the one that ships."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import structlog

from kilowatch.insights.forecasting import (
    Forecast,
    Model,
    Track,
    WrongModelError,
    predict,
    shipped,
)
from kilowatch.insights.forecasting.training import DAYS_MIN
from kilowatch.insights.hours import Bools, Hours
from kilowatch.model.lengths import DAY_MS

logger = structlog.get_logger("insights")


def is_new(birth_ms: int, at_ms: int) -> bool:
    """Whether a stream is too young to have taught the installation's model."""
    return at_ms - birth_ms < DAYS_MIN * DAY_MS


def forecast(
    model: Model | None,
    hours: Hours,
    origin: int,
    horizon: int,
    *,
    track: Track,
    utilities: Sequence[str],
    new: Bools,
) -> tuple[Forecast, list[str]]:
    """Forecast some streams, each by the model that knows more of it.

    An installation's model knows its own streams better than the shipped one does, and others
    worse: a stream that has not taught it yet is told by the shipped one.

    Args:
        model: The installation's, or the one that ships.
        hours: See ``predict``; as ``horizon`` and ``track``.
        origin: Index of the first hour that is not known yet.
        horizon: Hours to forecast.
        track: What their forecasts have taught.
        utilities: Of each stream.
        new: Which streams have not taught the model, shape (streams,).

    Returns:
        The forecast, and of each stream the version of the model that made it; empty without one.
    """
    said = predict(model, hours, origin, horizon, track=track, utility=utilities)
    versions = ["" if model is None else model.version] * hours.streams
    stand_in = standing_in()
    if model is None or model.ships or stand_in is None or not new.any():
        return said, versions
    rows = np.flatnonzero(new).tolist()
    theirs = predict(
        stand_in, hours.only(np.array(rows)), origin, horizon, track=track.take(np.array(rows)),
        utility=[utilities[row] for row in rows],
    )  # fmt: skip
    rate, spread, source = said.rate.copy(), said.spread.copy(), list(said.source)
    rate[:, rows], spread[rows] = theirs.rate, theirs.spread
    for row, one in zip(rows, theirs.source, strict=True):
        source[row], versions[row] = one, stand_in.version
    return replace(said, rate=rate, spread=spread, source=tuple(source)), versions


def usable(version: str, content: bytes) -> Model | None:
    """Return a model; where it can't be used, the one that ships, and without that None.

    Args:
        version: Its name.
        content: What ``Model.to_bytes`` wrote.
    """
    stand_in = standing_in()
    if stand_in is None:
        return None
    try:
        return Model.from_bytes(content)
    except WrongModelError as error:  # another version's words
        logger.warning("insights.model_unusable", version=version, reason=str(error))
        return stand_in


@cache
def standing_in() -> Model | None:
    """Return the model that ships; None where it can't be used: similar days go on in its place."""
    try:
        return shipped()
    except (WrongModelError, ImportError, OSError) as error:  # a machine without LightGBM
        logger.warning("insights.model_unusable", version="shipped", reason=str(error))
        return None
