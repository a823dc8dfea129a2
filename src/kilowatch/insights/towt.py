"""Time of week and temperature: the common model of measurement and verification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints

SEGMENTS = 6
"""Straight pieces that the answer to temperature has, as in the source."""
OCCUPIED_SHARE = 0.65
"""A time of the week is occupied where the load is above a temperature-only fit this often."""
BALANCE_C = (10.0, 18.3)
"""Balance points of the temperature-only fit, as in the source (50 and 65 °F) [°C]."""
RIDGE = 1e-6


@dataclass(frozen=True)
class Towt:
    """A fitted model of one load.

    Attributes:
        knots: Temperatures at which the slope may change [°C], empty without temperature.
        occupied: Which slots of the week are occupied, shape (slots,).
        weights: Coefficients: one for each slot, then the temperature pieces of occupied and of
            unoccupied time.
        count: Values that it was fitted to.
        r2: Share of the variance that it explains.
        cv_rmse: Root mean square error over the mean.
        lag_1: Autocorrelation of its errors from one value to the next.
    """

    knots: Floats
    occupied: Bools
    weights: Floats
    count: int
    r2: float
    cv_rmse: float
    lag_1: float

    @property
    def parameters(self) -> int:
        """Number of coefficients."""
        return len(self.weights)

    def predict(self, slot: Ints, temperature_c: Floats) -> Floats:
        """Return the load that would be usual, shape (n,); NaN without a temperature it needs."""
        return _design(slot, temperature_c, self.knots, self.occupied) @ self.weights


def fit(slot: Ints, temperature_c: Floats, load: Floats, slots: int) -> Towt:
    """Fit one load to time of week and temperature.

    Each slot of the week has its own level; the load's answer to temperature is made of straight
    pieces, others for occupied than for unoccupied time. Values that are not known are left out;
    where less than half of the temperatures is known, the model has time of week only.

    Args:
        slot: Slot of the week of each value, shape (n,): 0 to 167 for hours, 0 to 6 for days.
        temperature_c: Outdoor temperature, shape (n,) [°C]; NaN where it is not known.
        load: Shape (n,) [any unit].
        slots: Number of slots.

    Raises:
        ValueError: Fewer values than coefficients.

    Source:
        J. L. Mathieu et al., "Quantifying changes in building electricity use, with application
        to demand response", IEEE Transactions on Smart Grid 2 (2011), LBNL-4944E.
    """
    measured = ~np.isnan(load)
    warm = measured & ~np.isnan(temperature_c)
    with_temperature = warm.sum() >= 0.5 * max(int(measured.sum()), 1)
    used = warm if with_temperature else measured
    slot, temperature_c, load = slot[used], temperature_c[used], load[used]
    knots: Floats = np.empty(0)
    if with_temperature and len(load):
        low, high = np.quantile(temperature_c, [0.01, 0.99])
        middle = np.array([float(np.median(temperature_c))])
        pieces = np.linspace(float(low), float(high), SEGMENTS + 1)[1:-1]
        knots = np.asarray(pieces if high - low > 5 else middle, np.float64)
    occupied = _occupied(slot, temperature_c, load, slots) if len(knots) else np.ones(slots, bool)
    design = _design(slot, temperature_c, knots, occupied)
    if len(load) <= design.shape[1]:
        raise ValueError(f"{len(load)} values are too few for {design.shape[1]} coefficients")
    normal = design.T @ design
    normal[np.diag_indices_from(normal)] += RIDGE * max(float(np.trace(normal)) / len(normal), 1)
    weights = np.asarray(np.linalg.solve(normal, design.T @ load), np.float64)
    error = load - design @ weights
    spread = float(np.sum((load - load.mean()) ** 2))
    freedom = len(load) - np.linalg.matrix_rank(design)
    rmse = float(np.sqrt(np.sum(error**2) / max(freedom, 1)))
    lag = float(np.corrcoef(error[:-1], error[1:])[0, 1]) if spread > 0 and error.std() > 0 else 0.0
    mean = float(load.mean())
    r2 = 1 - float(np.sum(error**2)) / spread if spread > 0 else 1.0
    return Towt(knots, occupied, weights, len(load), r2, rmse / mean if mean else np.nan, lag)


def _occupied(slot: Ints, temperature_c: Floats, load: Floats, slots: int) -> Bools:
    simple = np.stack(
        [
            np.ones(len(load)),
            np.minimum(temperature_c - BALANCE_C[0], 0),
            np.maximum(temperature_c - BALANCE_C[1], 0),
        ],
        axis=1,
    )
    line, *_ = np.linalg.lstsq(simple, load, rcond=None)
    above = load > simple @ line
    count = np.maximum(np.bincount(slot, minlength=slots), 1)
    return np.asarray(np.bincount(slot, weights=above, minlength=slots) / count > OCCUPIED_SHARE)


def _design(slot: Ints, temperature_c: Floats, knots: Floats, occupied: Bools) -> Floats:
    week = np.zeros((len(slot), len(occupied)))
    week[np.arange(len(slot)), slot] = 1
    if not len(knots):
        return week
    edges = np.concatenate([[-np.inf], knots, [np.inf]])
    start = np.where(np.isinf(edges[:-1]), knots[0], edges[:-1])
    pieces = np.clip(temperature_c[:, None], edges[:-1], edges[1:]) - start
    used = occupied[slot][:, None]
    parts = [week, np.where(used, pieces, 0.0)]
    if not occupied.all() and occupied.any():
        parts.append(np.where(used, 0.0, pieces))
    elif not occupied.any():
        parts[1] = pieces
    return np.concatenate(parts, axis=1)
