"""The global model: what all streams of an installation have taught, as bytes."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np

from kilowatch.insights.forecasting.features import NAMES, Singles
from kilowatch.insights.forecasting.net import Net
from kilowatch.model.blocks import Floats, Ints

_MAGIC = b"kwfc3\n"


class WrongModelError(ValueError):
    """Bytes are not a model, or one that describes hours in other words than this version."""


@dataclass(frozen=True)
class Model:
    """Trees and a net that say how the hours to come differ from similar days.

    Attributes:
        middle: LightGBM's text of the trees for the median [spreads above similar days].
        net: For the median too [spreads above similar days].
        share: How much the net counts; the trees have the rest.
        error: LightGBM's text of the trees for the size of the error [spreads].
        edges: Where 5, 25, 75 and 95 % lie [sizes of the error above the median], shape (4,).
        trained_on: Streams, hours and time that it was trained on.
        quality: How good it was on weeks that were held out.
        ships: Whether it came with the program, and no stream of the installation taught it.
    """

    middle: str = field(repr=False)
    net: Net = field(repr=False)
    share: float
    error: str = field(repr=False)
    edges: tuple[float, ...]
    trained_on: dict[str, int]
    quality: dict[str, float]
    ships: bool = False

    @cached_property
    def version(self) -> str:
        """Name of the model: equal for equal content."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:12]

    @cached_property
    def _trees(self) -> tuple[Any, Any]:
        # Here and not above: where its library can't be loaded, similar days must go on.
        import lightgbm  # noqa: PLC0415

        return lightgbm.Booster(model_str=self.middle), lightgbm.Booster(model_str=self.error)

    def expect(self, columns: Singles, cell: Ints) -> tuple[Floats, Floats]:
        """Return median and size of the error of some hours [spreads], each shape (n, hours).

        Args:
            columns: Shape (n, len(NAMES), days, 24).
            cell: Which hours, counted from the first of the days, shape (hours,).
        """
        n, count, days = columns.shape[:3]
        flat = columns.reshape(n, count, -1)[:, :, cell].transpose(0, 2, 1)
        hours = np.ascontiguousarray(flat.reshape(-1, count))
        middle, error = self.by_trees(hours)
        by_day = np.stack([self.net.expect(columns[:, :, day]) for day in range(days)], axis=1)
        net = by_day.reshape(n, -1)[:, cell]
        said = self.share * net + (1 - self.share) * middle.reshape(n, -1)
        return said, error.reshape(n, -1)

    def by_trees(self, hours: Singles) -> tuple[Floats, Floats]:
        """Return what the trees say of median and size of the error [spreads], each shape (hours,).

        Args:
            hours: Shape (hours, len(NAMES)).
        """
        middle, error = (np.asarray(one.predict(hours, num_threads=1)) for one in self._trees)
        return middle, np.maximum(error, 1e-3)

    def to_bytes(self) -> bytes:
        """Return the model as a file's content."""
        content: dict[str, Any] = {
            "names": list(NAMES), "middle": self.middle, "net": self.net.content(),
            "share": self.share, "error": self.error, "edges": list(self.edges),
            "trained_on": self.trained_on, "quality": self.quality, "ships": self.ships,
        }  # fmt: skip
        return _MAGIC + zlib.compress(json.dumps(content, sort_keys=True).encode(), 6)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what ``to_bytes`` wrote.

        Raises:
            WrongModelError: It is something else, or describes hours in other words.
        """
        if not content.startswith(_MAGIC):
            raise WrongModelError("not a forecasting model of this version: train again")
        try:
            read = json.loads(zlib.decompress(content[len(_MAGIC) :]))
        except (zlib.error, ValueError) as error:
            raise WrongModelError("a forecasting model that is damaged: train again") from error
        if tuple(read.pop("names")) != NAMES:
            raise WrongModelError("a model of another version: train again")
        return cls(**read | {"edges": tuple(read["edges"]), "net": Net.read(read["net"])})
