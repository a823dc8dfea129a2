"""What a building needs at a time of the week and a temperature, learnt from a quiet past."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from kilowatch.insights.hours import Bools, Hours
from kilowatch.insights.waste.days import Days, low_quantile
from kilowatch.insights.waste.habits import MIDDAY, habits
from kilowatch.insights.waste.opening import opening_hours
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import HOUR_MS

Halves = npt.NDArray[np.float16]
CLASSES = 3
TEMPERATURES: Floats = np.linspace(-4.0, 32.0, 10)
"""Outdoor temperatures at which the need is kept [°C]; between them it is interpolated."""
TEMPERATURE_WIDTH = 2.5
"""Days this far from a temperature still speak for it [K, standard deviation]."""
SEASONS: Floats = np.linspace(0.0, 9 * 36.525, 10)
"""Days of the year at which the need is kept where no temperature is known."""
SEASON_WIDTH = 25.0
"""Days this far from a season still speak for it [days, standard deviation]."""
NEAR_C = 2.0
"""A node so near to a temperature that was seen rests on it [K]: half of what nodes are apart."""
FAINT = 1e-4
"""Weight of days that are far from everything: they count where there is nothing nearer."""
PEAK_RANK = 0.95
HIGH_RANK = 0.85
"""Rank of the ordinary high hours of a period: one in seven of its kind stands above them."""
TINY = 1e-12
MOST_REACH = 1000.0
"""Half precision ends at 65,504; a stream that stood still has almost no scale."""
MIN_DAYS = 28
"""A reference of less than this many days is none: the need stays unknown."""
VERSION = "waste-3"
BELOW_ZERO, BELOW_SHARE = 0.05, 0.01
"""A need lies below zero where it is by more than this part of what it spans, at this share of its
nodes: a current transformer that reads a few watts below nothing at night feeds nothing in."""


@dataclass(frozen=True)
class Reference:
    """What some streams need; frozen: no later hour changes it.

    Attributes:
        from_ms: Start of the reference period [ms since 1970, UTC].
        to_ms: End of the reference period [ms since 1970, UTC].
        need: Shape (streams, classes, 24, nodes + 1) [W or m³/h]: median need at each
            temperature (or season), and at the end whatever the temperature; NaN where the
            period has too few days.
        reach: How far above the need ordinary high hours stood (``HIGH_RANK``), at the same nodes,
            same shape, half precision [share of scale].
        by_temperature: Whether the nodes are ``TEMPERATURES``, else ``SEASONS``, shape (streams,).
        scale: Mean load of the period with its highest 5 % cut off, shape (streams,) [W or m³/h].
        noise: How far hours were from the need, 90th percentile, on working and on closed days,
            shape (streams, 2, 24) [share of scale].
        spread: Standard deviation of a week's mean distance from the need, of whole days, nights
            and middays, shape (streams, 3) [share of scale].
        season: Mean distance from the need in each week of the year, likewise, shape
            (streams, 53, 3) [share of scale]: terms and holiday seasons that temperature does not
            explain.
        seen_c: Lowest and highest mean outdoor temperature of 24 hours in the period, shape
            (streams, 2) [°C]; infinite where none is known.
        opening: When the building is in use as learnt from its load, shape (streams, 168); what
            people set is laid over it, see ``opening.in_force``.
    """

    from_ms: int
    to_ms: int
    need: Floats
    reach: Halves
    by_temperature: Bools
    scale: Floats
    noise: Floats
    spread: Floats
    season: Floats
    seen_c: Floats
    opening: Bools

    @property
    def streams(self) -> int:
        """Number of streams."""
        return len(self.scale)

    @property
    def feeds_in(self) -> Bools:
        """Whether what comes through is less than nothing at times, shape (streams,).

        Such a meter counts use less production: what it stands at is no need, and what is above it
        may be a cloud.
        """
        need = self.need.reshape(self.streams, -1)
        span = np.fmax.reduce(need, axis=1) - np.fmin.reduce(need, axis=1)
        below = np.sum(need < -BELOW_ZERO * span[:, None], axis=1)
        return np.asarray(below > BELOW_SHARE * np.sum(~np.isnan(need), axis=1))

    @property
    def weather_range(self) -> Floats:
        """Times by which the need of open hours differs between temperatures, shape (streams,).

        Of working days from 9 to 17, between the nodes that were seen; infinite where it falls to
        nothing, NaN where no temperature is known.
        """
        lowest, highest = self.seen_c[:, :1] - NEAR_C, self.seen_c[:, 1:] + NEAR_C
        told: Bools = self.by_temperature & np.isfinite(self.seen_c).all(axis=1)
        seen = (lowest <= TEMPERATURES) & (highest >= TEMPERATURES) & told[:, None]
        midday = self.need[:, 0, MIDDAY, :-1]
        known = ~np.isnan(midday)
        total = np.where(known, midday, 0.0).sum(axis=1)
        line = np.where(seen & known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
        low, high = np.fmin.reduce(line, axis=1), np.fmax.reduce(line, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(low > 0, high / low, np.where(high > 0, np.inf, np.nan))

    @property
    def version(self) -> str:
        """What made it, and from when to when it looked."""
        return f"{VERSION}:{self.from_ms}:{self.to_ms}"

    def take(self, streams: Ints | Bools | slice) -> Self:
        """Return the reference of some of the streams."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)[2:]}
        return replace(self, **{name: array[streams] for name, array in arrays.items()})

    def to_bytes(self) -> bytes:
        """Return it as bytes that ``from_bytes`` reads; nothing but numbers."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{f.name: getattr(self, f.name) for f in fields(self)})
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """Read what ``to_bytes`` wrote.

        Raises:
            ValueError: The bytes hold something else.
        """
        try:
            with np.load(io.BytesIO(raw), allow_pickle=False) as read:
                parts = {f.name: read[f.name] for f in fields(cls)}
        except (KeyError, OSError, EOFError, ValueError) as error:
            raise ValueError("these bytes hold no waste reference; have it learnt again") from error
        parts["from_ms"], parts["to_ms"] = int(parts["from_ms"]), int(parts["to_ms"])
        return cls(**parts)

    def share(self, hours: Hours, days: Days) -> Floats:
        """Return by day and hour how far the load is from the need [share of scale]."""
        over = hours.values - self.expected(hours)
        return days.lay(over / np.maximum(self.scale, TINY)[:, None])

    def expected(self, hours: Hours) -> Floats:
        """Return what the streams need in some hours, shape (streams, hours) [W or m³/h].

        The temperature that counts is the mean of the last 24 hours: walls and water are slow.
        """
        return self._read(self.need, hours)

    def reaching(self, hours: Hours) -> Floats:
        """Return how far above the need ordinary high hours stand in some hours.

        Returns:
            Shape (streams, hours) [share of scale], half precision.
        """
        return self._read(self.reach, hours)

    def _read(self, table: Floats | Halves, hours: Hours) -> Floats:
        """Read a table by kind of day, hour and temperature (or season), between its nodes."""
        days = Days.of(hours)
        lines = days.classes()[:, days.row], days.hour
        rows = np.arange(self.streams)[:, None]
        out: Floats = table[rows, lines[0], lines[1][None], -1].astype(np.float64)
        for flag, nodes, where, period in _axes(hours):
            streams = np.flatnonzero(self.by_temperature == flag)
            if not len(streams):
                continue
            at = where[streams]
            left, share = _between(at, nodes, period)
            right = (left + 1) % len(nodes)
            which = streams[:, None], lines[0][streams], lines[1][None]
            value = (1 - share) * table[(*which, left)] + share * table[(*which, right)]
            out[streams] = np.where(np.isnan(at), out[streams], value)
        return out


def learn(hours: Hours) -> Reference:
    """Learn what streams need from a reference period.

    Medians, weighted by how near a day is in temperature (or, without one, in season), so that a
    few bad days of the period do not count. The period is the caller's choice: by rule the
    last year before a data point is first judged; a person, or the platform after a change
    that a person called expected, has it learnt again from a later one. It must never follow the
    present by itself: that learns the waste.

    Args:
        hours: The reference period; 28 days at least, best 365.
    """
    days = Days.of(hours)
    laid = days.lay(hours.values)
    with_temperature = warmth(hours)
    known = np.mean(~np.isnan(with_temperature), axis=1) > 0.5
    need = np.full((hours.streams, CLASSES, 24, len(TEMPERATURES) + 1), np.nan)
    upper = need.copy()
    assert len(TEMPERATURES) == len(SEASONS)
    for flag, nodes, where, period in _axes(hours):
        at = days.lay(where)
        for streams, classes in days.groups():
            chosen = streams[known[streams] == flag]
            for kind in range(CLASSES if len(chosen) else 0):
                rows = classes == kind
                if not rows.any():
                    rows = classes >= 0  # a period without one: as on any day
                sample = laid[np.ix_(chosen, np.flatnonzero(rows))]
                place = at[np.ix_(chosen, np.flatnonzero(rows))]
                read = _quantiles(sample, place, nodes, period)
                need[chosen, kind], upper[chosen, kind] = read
    seen = np.sum(~np.isnan(hours.values), axis=1)
    need[seen < MIN_DAYS * 24] = np.nan
    high = low_quantile(hours.values.T, PEAK_RANK)
    scale = np.nansum(np.minimum(hours.values, high[:, None]), axis=1) / np.maximum(seen, 1)
    ends = hours.first_ms, hours.first_ms + hours.count * HOUR_MS
    reach = (upper - need) / np.maximum(np.abs(scale), TINY)[:, None, None, None]
    rough = Reference(
        *ends, need, np.clip(reach, 0, MOST_REACH).astype(np.float16), known, np.abs(scale),
        np.empty((hours.streams, 2, 24)), np.empty((hours.streams, 3)),
        np.empty((hours.streams, 53, 3)), _range(with_temperature), opening_hours(hours),
    )  # fmt: skip
    noise, spread, season = habits(days, rough.share(hours, days))
    return replace(rough, noise=noise, spread=spread, season=season)


def _range(warm: Floats) -> Floats:
    """Return the lowest and the highest of each row, infinite where there is none."""
    none = np.isnan(warm).all(axis=1)
    low = np.where(none, -np.inf, np.min(np.where(np.isnan(warm), np.inf, warm), axis=1))
    high = np.where(none, np.inf, np.max(np.where(np.isnan(warm), -np.inf, warm), axis=1))
    return np.stack([low, high], axis=1)


def _quantiles(
    sample: Floats, place: Floats, nodes: Floats, period: float | None
) -> tuple[Floats, Floats]:
    """Return weighted medians and high ranks at each node and over all.

    Returns:
        Medians and ``HIGH_RANK``, each of shape (streams, 24, nodes + 1).
    """
    order = np.argsort(sample, axis=1, kind="stable")
    ordered = np.take_along_axis(sample, order, 1)
    there = np.take_along_axis(place, order, 1)
    known = ~np.isnan(ordered)
    out = np.full((2, len(sample), 24, len(nodes) + 1), np.nan)
    for number in range(len(nodes) + 1):
        if number < len(nodes):
            away = there - nodes[number]
            if period is not None:
                away = (away + period / 2) % period - period / 2
            width = TEMPERATURE_WIDTH if period is None else SEASON_WIDTH
            weight = np.where(np.isnan(away), 0.0, np.exp(-0.5 * (away / width) ** 2)) + FAINT
        else:
            weight = np.ones_like(there)
        total = np.cumsum(np.where(known, weight, 0.0), axis=1)
        for row, rank in enumerate((0.5, HIGH_RANK)):
            place_of = np.argmax(total >= total[:, -1:] * rank, axis=1)
            value = np.take_along_axis(ordered, place_of[:, None], 1)[:, 0]
            out[row, :, :, number] = np.where(total[:, -1] > 0, value, np.nan)
    return out[0], out[1]


def _axes(hours: Hours) -> tuple[tuple[bool, Floats, Floats, float | None], ...]:
    """Return for temperature and season: flag, nodes, where each hour is on it, its period."""
    day = hours.day.astype("datetime64[D]")
    of_year = (day - day.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.float64)
    season: Floats = np.broadcast_to(of_year, hours.values.shape)
    return (
        (True, TEMPERATURES, warmth(hours), None),
        (False, SEASONS, season, 365.25),
    )


def warmth(hours: Hours) -> Floats:
    """Return the mean temperature of each hour and the 23 before it, shape (streams, hours)."""
    if hours.temperature_c is None:
        return np.full(hours.values.shape, np.nan)
    count = np.zeros(hours.values.shape)
    total = np.zeros(hours.values.shape)
    for back in range(24):
        part = hours.temperature_c[:, : hours.count - back]
        total[:, back:] += np.nan_to_num(part)
        count[:, back:] += ~np.isnan(part)
    return np.where(count >= 12, total / np.maximum(count, 1), np.nan)


def _between(at: Floats, nodes: Floats, period: float | None) -> tuple[Ints, Floats]:
    """Return the node below each place and how far it is to the next."""
    step = nodes[1] - nodes[0]
    position = (np.nan_to_num(at) - nodes[0]) / step
    if period is None:
        position = np.clip(position, 0, len(nodes) - 1)
    left = np.floor(position).astype(np.int64)
    last = len(nodes) - (2 if period is None else 1)
    left = np.minimum(left, last)
    return left, position - left
