"""Finds the hours in which a stream takes more than it needs, and says of which kind that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kilowatch.insights.hours import Bools, Hours
from kilowatch.insights.waste import gate
from kilowatch.insights.waste.days import Days, Past, low_quantile
from kilowatch.insights.waste.habits import NIGHT
from kilowatch.insights.waste.opening import in_force
from kilowatch.insights.waste.reference import Reference, warmth
from kilowatch.insights.waste.signs import NAMES, REACH_DAYS, Signs, signs
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind
from kilowatch.model.site_facts import Opening

SMOOTH_DAYS = 7
"""Days over which the chance is averaged with that of the same hour."""
SMOOTH_H = 3
CREEP_DAYS = 7
"""Days over which a rise of the base shows by day and by night."""
LOOKBACK_H = (REACH_DAYS + SMOOTH_DAYS + CREEP_DAYS + 3) * 24
"""Hours that have to lead the way: with them, an hour's answer is the same in any batch."""
KINDS = tuple(EventKind)
BAND = 0.14
"""Dead band: chance below which a difference from the need is ordinary life. It is far below a
half because the chance is that of a rare thing; see docs/decisions/0021."""
ORDINARY, SMALL = 1.5, 0.08
"""An hour stands out where the last three hours, or this hour of three days, are further above the
need than this many reaches of the building, or by this share of the mean load if that is less."""
RISEN = 0.03
"""This hour of ten days, likewise: a base that creeps up stands out later [share of mean load]."""
_REACH = NAMES.index("reach")
LEAP, LEAP_H = 1.0, 3
"""An hour that stands further above the highest need than this many times what the highest and the
lowest lie apart (or the mean load, if that is more) is a leap, and waste only from the third on:
what leaps for an hour or two is a meter's fault more often than a use."""
ROOM = 2.0
"""Reaches of the building that an hour's waste may be more than what stands above the need. After a
weekend that was wasted, the gate goes on to expect as much of the next."""
TRIFLE = 0.02
"""Less than this is no waste [share of mean load]."""
CLOSED_DAY = 0.7
"""Part of the dead band that is enough on a holiday: it is over before it could be confirmed."""
NOISY = 0.8
"""Noise of working hours above which the dead band is widened in proportion [share of the mean
load]: heating by gas, mostly, whose hours are far from any need on ordinary days."""
WIDEST = 3.0
LEVEL = (-0.2, 0.1)
"""How far a building's own quiet hours of late move its need [share of the mean load]: down and up
no further than this, unless day and night stood higher for twelve weeks. Further down than up:
waste in a building that needs less than it did is seen above what it needs now."""
GROWN = 2.0
"""How much more than by day and by night at the least an hour's own level may have risen then: what
grows in proportion grows most where most is used."""
MILD_C = (7.0, 22.0)
"""Outdoor temperature at which a building should need neither much heating nor cooling [°C]:
between the usual base temperatures of 15.5 °C less the gains of a building in use, and 18 °C plus
what open windows and cool nights take away."""
MARGIN_C = 0.5
"""How far outside of what the reference period has seen the need is still believed [K]."""
EARLY_H = 3
"""Hours before opening in which a higher load is an early start and not the night's."""
BASE_NIGHTS, BASE_SHARE = 3, 0.9
"""Nights, today's the last, of whose hours this much was above: open hours after them that nobody
could judge, when it is hot or cold, are of the base that rose."""


def waste(
    reference: Reference,
    hours: Hours,
    band: float = BAND,
    first: int = 0,
    set_hours: Sequence[Sequence[Opening]] | None = None,
) -> tuple[Floats, Ints]:
    """Say for each hour how much more a stream took than it needed, and of which kind that is.

    Waste is what was used above the need, where the signs say that this is not ordinary life. The
    need is the frozen reference, moved by how far the same hour has been from it lately at its
    quiet (30th percentile of eleven weeks), so that a building that took on tenants is not
    wasteful for ever; see ``LEVEL``. What is said of an hour rests on it and on what came before.

    Args:
        reference: What the streams need.
        hours: Hours to judge; ``LOOKBACK_H`` before the first that is asked for, or as many as
            there are since the stream began.
        band: Dead band.
        first: Index of the first hour that is asked for.
        set_hours: Opening hours that people have set, as ``opening.in_force`` takes them.

    Returns:
        Waste, shape (streams, hours) [W or m³/h], 0 where there is none and before ``first``,
        and the kind: index into ``list(EventKind)`` or −1.

    Raises:
        ValueError: ``reference`` has other streams than ``hours``.
    """
    if reference.streams != hours.streams:
        raise ValueError(f"{reference.streams} streams in the reference, {hours.streams} in hours")
    days = Days.of(hours)
    start = int(days.row[first]) - SMOOTH_DAYS - CREEP_DAYS
    seen = signs(reference, hours, days, max(start, 0))
    chance = gate.chance(seen.table)
    chance[np.isnan(seen.over) | _unheard_of(reference, hours, days)[:, seen.days]] = 0.0
    limit = np.where(days.closed[:, seen.days, None], band * CLOSED_DAY, band)
    limit = limit * _noisy(reference)[:, None, None]
    likely = (_smooth(days, seen.days, chance) > limit) & _stands_out(seen)
    likely &= ~_leaps(reference, hours, days)[:, seen.days]
    above = np.zeros(likely.shape)
    asked = seen.table[likely]
    reach = asked[:, _REACH].astype(np.float64)
    above[likely] = _amount(above_need(seen)[likely], gate.size(asked), reach)
    flagged = above > 0
    week, _ = in_force(reference.opening, hours, days, set_hours)
    kinds = _kinds(week, hours, days)[:, seen.days]
    _whole_nights(kinds, flagged)
    creep = _everywhere(flagged)
    creep |= (kinds < 0) & _since_the_night(flagged)
    kinds = np.where(creep, KINDS.index(EventKind.BASELOAD_CREEP), kinds)
    share = np.zeros((hours.streams, days.count, 24))
    flagged &= kinds >= 0  # open hours when it is hot or cold: nobody can say what was wasted
    share[:, seen.days] = np.where(flagged, above, 0.0)
    kind = np.full(share.shape, -1)
    kind[:, seen.days] = np.where(flagged, kinds, -1)
    rate = np.asarray(days.pick(share), np.float64) * reference.scale[:, None]
    rate = np.minimum(rate, np.maximum(np.nan_to_num(hours.values), 0.0))
    rate[:, :first] = 0.0
    return rate, np.where(rate > 0, np.asarray(days.pick(kind), np.int64), -1)


def _noisy(reference: Reference) -> Floats:
    """Return by how much a stream's dead band is widened for its noise, shape (streams,)."""
    usual = low_quantile(reference.noise[:, 0].T, 0.5)
    return np.clip(np.nan_to_num(usual) / NOISY, 1.0, WIDEST)


def _unheard_of(reference: Reference, hours: Hours, days: Days) -> Bools:
    """Return where it is hotter or colder than it ever was in the reference period.

    What a building needs then nobody has seen: the need is interpolated, never extrapolated, so
    that the cooling of a record summer is not called waste.
    """
    warm = days.lay(warmth(hours))
    low, high = reference.seen_c[:, 0, None, None], reference.seen_c[:, 1, None, None]
    return np.asarray((warm < low - MARGIN_C) | (warm > high + MARGIN_C))


def _leaps(reference: Reference, hours: Hours, days: Days) -> Bools:
    """Return the first hours in which a load is beyond all that the building has needed."""
    need = reference.need.reshape(reference.streams, -1)
    highest, lowest = np.fmax.reduce(need, axis=1), np.fmin.reduce(need, axis=1)
    apart = np.maximum(highest - lowest, reference.scale)
    line = days.lay(hours.values).reshape(hours.streams, -1)
    beyond = line > (highest + LEAP * apart)[:, None]
    before = np.ones_like(beyond)
    for back in range(1, LEAP_H):
        before[:, back:] &= beyond[:, :-back]
        before[:, :back] = False
    return np.asarray(beyond & ~before).reshape(hours.streams, days.count, 24)


def _stands_out(seen: Signs) -> Bools:
    """Return which hours are more than the chance of one: what any quiet building has each week.

    The gate has learnt from few buildings so steady that a twentieth is far from their need.
    """
    three, ten, hours, reach = (
        seen.table[..., NAMES.index(name)] for name in ("three", "ten", "last_3_h", "reach")
    )
    near = np.fmax(three, hours) > np.minimum(ORDINARY * reach, SMALL)
    return np.asarray(near | (ten > RISEN))


def above_need(seen: Signs, bounds: tuple[float, float] = LEVEL, grown: float = GROWN) -> Floats:
    """Return what stands above the need, moved by the level of late.

    Args:
        seen: Signs of the hours.
        bounds: See ``LEVEL``.
        grown: See ``GROWN``.

    Returns:
        Shape (streams, days, 24), 0 where nothing does [share of scale].
    """
    most = np.maximum(bounds[1], grown * seen.level)[:, :, None]
    level = np.clip(np.nan_to_num(seen.usual), bounds[0], most)
    return np.maximum(np.nan_to_num(seen.over - level), 0.0)


def _amount(above: Floats, size: Floats, reach: Floats) -> Floats:
    """Return how much of hours would be waste, same shape [share of scale].

    Where the gate takes the waste to be larger than what stands above the need, the hour was on
    its low side: the truth lies between the two. Of a building so steady that no hour is on its low
    side by as much, that is what stands above; where nothing does, nothing was wasted.
    """
    found = np.maximum(above, np.maximum(size + above, 0.0) / 2)
    found = np.minimum(found, above + ROOM * np.nan_to_num(reach, nan=np.inf))
    return np.where(found > TRIFLE, found, 0.0)


def _smooth(days: Days, asked: Ints, chance: Floats) -> Floats:
    """Average the chance with that of the hours before and of the same hour of days before."""
    line = chance.reshape(len(chance), -1)
    total = np.zeros(line.shape)
    for back in range(SMOOTH_H):
        total[:, back:] += line[:, : line.shape[1] - back]
    lately = (total / SMOOTH_H).reshape(chance.shape)
    alike = np.empty(chance.shape)
    for some, classes in days.groups():
        for shut in (False, True):
            rows = np.flatnonzero((classes[asked] > 0) == shut)
            if len(rows):
                past = Past.of(rows, rows, SMOOTH_DAYS - 1, today=True)
                alike[np.ix_(some, rows)] = past.mean(chance[some], 0, 3)
    return (chance + lately + alike) / 3


def _kinds(week: Bools, hours: Hours, days: Days) -> Ints:
    """Return the kind that an hour would be of, shape (streams, days, 24).

    Args:
        week: Opening hours by day, shape (streams, days, 24).
        hours: The hours.
        days: Their days.
    """
    is_open = week & ~days.closed[:, :, None]
    soon = np.zeros_like(is_open)
    for ahead in range(1, EARLY_H + 1):
        soon[:, :, :-ahead] |= is_open[:, :, ahead:]
    lived = week.any(axis=2) & ~days.closed
    mild = np.ones(is_open.shape, np.bool_)
    if hours.temperature_c is not None:
        warmth = days.lay(hours.temperature_c)
        mild = np.isnan(warmth) | ((warmth >= MILD_C[0]) & (warmth <= MILD_C[1]))
    number = {kind: KINDS.index(kind) for kind in KINDS}
    kinds = np.select(
        [
            is_open & mild,
            is_open,
            days.closed[:, :, None] & np.ones(24, np.bool_),
            ~lived[:, :, None] & np.ones(24, np.bool_),
            soon,
        ],
        [
            number[EventKind.OVER_CONDITIONING],
            -1,
            number[EventKind.HOLIDAY],
            number[EventKind.WEEKEND],
            number[EventKind.EARLY_START],
        ],
        number[EventKind.AFTER_HOURS],
    )
    return np.asarray(kinds, np.int64)


def _whole_nights(kinds: Ints, flagged: Bools) -> None:
    """Call hours before opening after hours, in place, where the load was up before them."""
    night, early = KINDS.index(EventKind.AFTER_HOURS), KINDS.index(EventKind.EARLY_START)
    for hour in range(1, 24):
        before = flagged[:, :, hour - 1] & (kinds[:, :, hour - 1] == night)
        kinds[:, :, hour][before & (kinds[:, :, hour] == early)] = night


def _everywhere(flagged: Bools) -> Bools:
    """Return on which days so much of day and night was above that it is the base that rose."""
    share = np.zeros(flagged.shape[:2])  # of the days before: today is not over
    for back in range(1, CREEP_DAYS + 1):
        share[:, back:] += flagged[:, : flagged.shape[1] - back].mean(axis=2)
    return np.repeat((share / CREEP_DAYS > 0.6)[:, :, None], 24, axis=2)


def _since_the_night(flagged: Bools) -> Bools:
    """Return which hours of the day follow on nights that were above throughout."""
    night = flagged[:, :, NIGHT].mean(axis=2)
    total = np.zeros(night.shape)
    for back in range(BASE_NIGHTS):
        total[:, back:] += night[:, : night.shape[1] - back]
    up = np.repeat((total / BASE_NIGHTS > BASE_SHARE)[:, :, None], 24, axis=2)
    up[:, :, : NIGHT.stop] = False  # tonight is not over
    return up
