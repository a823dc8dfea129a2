"""Reading a model that was kept; where it can't be used, the one that ships stands in for it."""

from __future__ import annotations

from functools import cache

import structlog

from kilowatch.insights.forecasting import Model, WrongModelError, shipped

logger = structlog.get_logger("insights")


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
