"""Reading a model that was kept; one that can't be used is as good as none."""

from __future__ import annotations

import structlog

from kilowatch.insights.forecasting import Model, WrongModelError

logger = structlog.get_logger("insights")


def usable(version: str, content: bytes) -> Model | None:
    """Return a model; None where it can't be used: similar days go on in its place.

    Args:
        version: Its name.
        content: What ``Model.to_bytes`` wrote.
    """
    try:
        # Another version's words, or a machine without the library that it was made with.
        import lightgbm  # noqa: F401, PLC0415

        return Model.from_bytes(content)
    except (WrongModelError, ImportError, OSError) as error:
        logger.warning("insights.model_unusable", version=version, reason=str(error))
        return None
