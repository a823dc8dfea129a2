"""The model that ships: what is said before an installation has taught its own.

``scripts/train_forecast.py`` makes it again from a folder of meter data; how, and how good it is
on buildings that it never saw, is told in docs/decisions/0019 and 0024.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from kilowatch.insights.forecasting.model import Model

FILE = "shipped.model"


@cache
def shipped() -> Model:
    """Return the model that came with the program.

    Raises:
        ImportError: LightGBM can't be loaded on this machine; or ``OSError``, as the system has it.
        WrongModelError: It describes hours in words of another version: a mistake of ours.
    """
    # Here and not above: where its library can't be loaded, similar days must go on.
    import lightgbm  # noqa: F401, PLC0415

    return Model.from_bytes(resources.files(__package__).joinpath(FILE).read_bytes())
