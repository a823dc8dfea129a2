"""Which parameter a mistyped name means."""

from __future__ import annotations

import difflib

from kilowatch.model.parameters import WIRE_CHANNELS

_FOLDED = {known.casefold(): known for known in ("value", *WIRE_CHANNELS)}


def likely(name: str) -> str:
    """Return the parameter that a mistyped name most likely means, or an empty string.

    Example:
        >>> likely("AP-1"), likely("comment")
        ('aP_1', '')
    """
    plain = name.strip().casefold().replace("-", "_").replace(" ", "_")
    if plain in _FOLDED:
        return _FOLDED[plain]
    close = difflib.get_close_matches(plain, _FOLDED, n=1, cutoff=0.5)
    return _FOLDED[close[0]] if close else ""
