"""Streams that are forecast together, and the midnights of the year at which they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.evaluation.folder import Folder, Listed, alike, hours_of
from kilowatch.insights.hours import Bools, Hours
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import DAY_MS

TEST_DAYS = 365
"""The last year is forecast: every season and every holiday once."""

AGAIN_DAYS = 7
"""The model of the year's beginning learns on each week with what is known by then, as the
platform's does."""

NO_DAY = "no day to forecast: its values end before that time, or are of one day"


@dataclass(frozen=True, slots=True)
class Group:
    """Streams of one data set that share zone and weather.

    Attributes:
        listed: Rows of ``streams.csv``.
        hours: Their hours.
        midnights: Index of the first hour of each local day, shape (days,).
        first: Row of ``midnights`` at which the year that is forecast begins.
    """

    listed: tuple[Listed, ...]
    hours: Hours
    midnights: Ints
    first: int

    @property
    def utilities(self) -> list[str]:
        """Utility of each stream."""
        return [one.utility for one in self.listed]

    def starts(self) -> list[int]:
        """Rows of ``midnights`` at which each week begins, and the end."""
        end = len(self.midnights)
        return [*range(self.first, end, AGAIN_DAYS), end]


def groups_of(folder: Folder) -> list[Group]:
    """Lay a folder's streams on grids; each data set ends, and is forecast, at its own time.

    Streams of which no day is forecast are put into ``folder.left_out``.
    """
    series = folder.streams()
    found: list[Group] = []
    for dataset in sorted({folder.listed[key].dataset for key in series}):
        members = [one for key, one in folder.listed.items() if key in series]
        members = [one for one in members if one.dataset == dataset]
        end_ms = max(int(series[one.stream_id].start_ms[-1]) for one in members)
        begin_ms = min(int(series[one.stream_id].start_ms[0]) for one in members)
        for zone, weather, names in alike(members, series):
            hours = hours_of(
                {name: series[name] for name in names}, zone, folder.temperature(weather)
            )
            listed = [folder.listed[name] for name in names]
            group = _group(listed, hours, begin_ms, end_ms)
            if group.first < len(group.midnights):
                found.append(group)
            else:
                folder.left_out.setdefault("streams", {}).update(dict.fromkeys(names, NO_DAY))
    return found


def _group(listed: list[Listed], hours: Hours, begin_ms: int, end_ms: int) -> Group:
    midnights = np.flatnonzero(np.diff(hours.day, prepend=hours.day[0] - 1))
    span_days = (end_ms - begin_ms) / DAY_MS
    days = TEST_DAYS if span_days >= 2 * TEST_DAYS - 7 else int(span_days / 2)
    last_day = int(hours.zone.local_ms(np.array([end_ms]))[0]) // DAY_MS
    first = int(np.searchsorted(hours.day[midnights], last_day + 1 - days))
    return Group(
        tuple(listed), hours, midnights, max(first, 1)
    )  # no hour is known before the first


def part_of(groups: Sequence[Group], part: int, parts: int) -> list[Bools]:
    """Return which streams of each group belong to one part of the buildings."""
    buildings = sorted({one.building for group in groups for one in group.listed})
    place = {name: index % parts for index, name in enumerate(buildings)}
    return [np.array([place[one.building] == part for one in group.listed]) for group in groups]


def joined(group: Group, days: Sequence[Floats]) -> tuple[Floats, Ints, Ints]:
    """Return all bands side by side, and the index of each hour and of its origin.

    Args:
        group: Whose.
        days: The band of each midnight of its year, shape (5, streams, up to 24).
    """
    origins = group.midnights[group.first :]
    lengths = [band.shape[2] for band in days]
    index = np.concatenate(
        [
            origin + np.arange(length)
            for origin, length in zip(origins.tolist(), lengths, strict=True)
        ]
    )
    return np.concatenate(list(days), axis=2), index, np.repeat(origins, lengths)
