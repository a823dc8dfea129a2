"""When a change in per cent says something, and when there was too little to measure it by."""

from __future__ import annotations

from typing import Final

ALMOST_NOTHING: Final = 9.0
"""Ten times as much: what it is measured by is so little that the amount says more than "+5383 %".
``static/js/numbers.js`` has the same."""


def tells(change: float | None) -> bool:
    """Return whether a relative change is one that a reader can do something with.

    Args:
        change: 0.1 is 10 % more; None where there was nothing to measure it by.

    Example:
        >>> tells(0.126), tells(-1.0), tells(53.83), tells(None)
        (True, True, False, False)
    """
    return change is not None and abs(change) < ALMOST_NOTHING
