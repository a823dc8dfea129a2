"""Whether Tableau's own package is there; it is an extra (``kilowatch[tableau]``)."""

from __future__ import annotations

import importlib.util

from kilowatch.model.errors import KilowatchError

INSTALL = "pip install 'kilowatch[tableau]'"


def available() -> bool:
    """Tell whether Tableau's package is installed."""
    return importlib.util.find_spec("tableauhyperapi") is not None


def missing() -> KilowatchError:
    """Return the answer where the package is missing."""
    return KilowatchError(
        "tableau_missing",
        "Tableau's package is not installed on this server.",
        remedy=f"Install it where Kilowatch runs: {INSTALL}",
    )
