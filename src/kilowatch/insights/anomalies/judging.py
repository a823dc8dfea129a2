"""How unusual an hour is, by group of kinds, and which kind it is."""

from __future__ import annotations

import numpy as np

from kilowatch.insights.anomalies.alarms import Group
from kilowatch.insights.anomalies.measures import Moment
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind

KINDS = tuple(EventKind)


def scores(moment: Moment) -> Floats:
    """Return how unusual the hour is for each group of kinds, shape (streams, GROUPS).

    Each rule is a measure over the size that it reached once a month on untouched histories.
    """
    get = moment.get
    sudden = [
        get("rare_negative") / 4,
        get("rare_zero") / 12,
        get("rare_same") / 18,
        np.where(get("above") > 0.3, get("off") / 9, 0),
    ]
    shape = [
        np.where(
            (get("hours_today") >= 8) & (get("contrast") > 0.1),
            np.minimum(get("own_free_day") / 3, get("free_day") / 0.5),
            0,
        ),
        np.minimum(get("own_night_only") / 4, get("night_3") / 0.15),
        np.minimum(get("own_clock_gain") / 6, get("clock_gain") / 0.1),
    ]
    level = [
        np.minimum(np.abs(get("own_off_6h")) / 4, np.abs(get("ratio_6h")) / 0.25),
        np.minimum(np.abs(get("own_off_24h")) / 3.2, np.abs(get("ratio_24h")) / 0.2),
        np.minimum(np.abs(get("own_base_168h")) / 2.5, np.abs(get("base_168h")) / 0.2),
    ]
    found = np.stack([np.max(np.stack(one), axis=0) for one in (sudden, shape, level)], axis=1)
    return np.where(moment.known[:, None], np.nan_to_num(found, nan=0.0), 0.0)


def kinds(moment: Moment, rows: Bools, group: Group) -> list[EventKind]:
    """Say which kind of a group fits best, for some of the streams."""
    return [_kind(moment, int(row), group) for row in np.flatnonzero(rows)]


def _kind(moment: Moment, row: int, group: Group) -> EventKind:
    signs: tuple[tuple[EventKind, bool], ...]

    def get(name: str) -> float:
        return float(moment.get(name)[row])

    if group is Group.SUDDEN:
        signs = (
            (EventKind.NEGATIVE, get("negative") > 0),
            (EventKind.DROPOUT, get("run_zero") > 0),
            (EventKind.STUCK, get("rare_same") > 8),
            (EventKind.SPIKE, True),
        )
    elif group is Group.SHAPE:
        signs = (
            (EventKind.CLOCK_SHIFT, get("own_clock_gain") > 5 and get("clock_gain") > 0.08),
            (EventKind.MISSED_SHUTDOWN, get("free") > 0),
            (EventKind.NIGHT_LOAD, True),
        )
    else:
        ratio = get("ratio_6h")
        signs = (
            (EventKind.PHASE_LOSS, -0.55 < ratio < -0.3 or -1.3 < ratio < -0.95),
            (EventKind.LEVEL_SHIFT, abs(get("ratio_6h")) > 0.15 or abs(get("ratio_24h")) > 0.15),
            (EventKind.DRIFT, True),
        )
    return next(kind for kind, fits in signs if fits)
