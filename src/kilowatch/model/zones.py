"""Time zones as tables, so that a million instants are converted in one look-up.

The zones come from PyPI's ``tzdata``, not from the operating system: some systems lack
old names, and two machines must agree on what a local day is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from kilowatch.model.blocks import Ints
from kilowatch.model.lengths import DAY_MS

FIRST_DAY = -31  # the table of days begins on 1969-12-01, a month before the first instant
_LAST_DAY = 51_499  # 2111-01-01
_PROBE_S = 3 * 86_400
"""Offsets are probed every 3 days: no zone has two changes closer than 167 h (1970-2110)."""
_EVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class WallTimes:
    """What local times mean as instants; every array has shape (n,).

    Attributes:
        at_ms: The instant; the first of two when a local time occurs twice, and the
            instant of the clock change when it does not occur [ms].
        ambiguous: The local time occurs twice (autumn).
        nonexistent: The local time does not occur (spring).
    """

    at_ms: Ints
    ambiguous: npt.NDArray[np.bool_]
    nonexistent: npt.NDArray[np.bool_]


class Zone:
    """An IANA time zone from 1970 to 2110, as a table of segments of constant offset.

    Attributes:
        name: IANA name.
        segment_start_ms: Start of each segment, and a last element that is never reached,
            shape (segments + 1,) [ms]; a segment ends where the next one starts.
        segment_offset_ms: Local time minus UTC, shape (segments,) [ms].
    """

    def __init__(self, name: str) -> None:
        self.name = name
        starts, offsets = _of_several(name) if "|" in name else _changes(_zone_info(name))
        self.segment_start_ms: Ints = np.array([-_EVER, *starts, _EVER], np.int64)
        self.segment_offset_ms: Ints = np.array(offsets, np.int64)
        self._wall_end_ms = self.segment_start_ms[1:-1] + self.segment_offset_ms[:-1]

    @staticmethod
    @cache
    def of(name: str) -> Zone:
        """Return the zone of an IANA name; each is read once.

        A site that changed its zone has one name for all of them, with the instants of the
        changes between [ms]: ``Europe/Dublin|1772323200000|Europe/Berlin``. The change is
        like any other of its clocks.

        Raises:
            ValueError: No such time zone.
        """
        return Zone(name)

    def __repr__(self) -> str:
        return f"Zone({self.name!r})"

    def segment(self, at_ms: Ints) -> Ints:
        """Return the number of the segment of each instant, shape (n,)."""
        return np.searchsorted(self.segment_start_ms[1:-1], at_ms, side="right")

    def offsets_ms(self, at_ms: npt.ArrayLike) -> Ints:
        """Return local time minus UTC at each instant, shape (n,) [ms]."""
        return self.segment_offset_ms[self.segment(np.asarray(at_ms, np.int64))]

    def local_ms(self, at_ms: npt.ArrayLike) -> Ints:
        """Return the wall clock at each instant as if it were UTC, shape (n,) [ms]."""
        instants = np.asarray(at_ms, np.int64)
        return instants + self.offsets_ms(instants)

    def wall_to_instant_ms(self, local_ms: npt.ArrayLike) -> WallTimes:
        """Read wall-clock times, given as if they were UTC [ms], shape (n,).

        A time that does not exist becomes the instant of the clock change, so that
        rising local times never become falling instants.
        """
        local = np.asarray(local_ms, np.int64)
        segment = np.searchsorted(self._wall_end_ms, local, side="right")
        at_ms = local - self.segment_offset_ms[segment]
        start = self.segment_start_ms[segment]
        following = np.minimum(segment + 1, len(self.segment_offset_ms) - 1)
        again = local - self.segment_offset_ms[following] >= self.segment_start_ms[following]
        return WallTimes(np.maximum(at_ms, start), again & (following > segment), at_ms < start)

    @cached_property
    def day_starts_ms(self) -> Ints:
        """First instant of each local day from 1969-12-01 (``FIRST_DAY``) to 2111 [ms].

        Where midnight is skipped, the day starts at the clock change; a day that was
        skipped as a whole (Pacific/Apia, 2011-12-30) starts and ends with the next one.
        """
        days = np.arange(FIRST_DAY, _LAST_DAY + 1, dtype=np.int64)
        return self.wall_to_instant_ms(days * DAY_MS).at_ms

    def day_index(self, at_ms: npt.ArrayLike) -> Ints:
        """Return each instant's local day, counted from 1970-01-01, shape (n,)."""
        found = np.searchsorted(self.day_starts_ms, np.asarray(at_ms, np.int64), side="right")
        return found + (FIRST_DAY - 1)

    def dates(self, at_ms: npt.ArrayLike) -> npt.NDArray[np.datetime64]:
        """Return each instant's local date, shape (n,), as ``datetime64[D]``."""
        return self.day_index(at_ms).astype("datetime64[D]")

    def day_starts_within(self, from_ms: int, to_ms: int) -> Ints:
        """Return the starts of the local days that begin in ``[from_ms, to_ms)`` [ms]."""
        table = self.day_starts_ms
        return table[np.searchsorted(table, from_ms) : np.searchsorted(table, to_ms)]

    def segments_within(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, int, int]]:
        """Yield start, end and offset [ms] of each stretch of constant offset in a period."""
        first, last = self.segment(np.array([from_ms, to_ms - 1]))
        for segment in range(int(first), int(last) + 1):
            start = max(from_ms, int(self.segment_start_ms[segment]))
            end = min(to_ms, int(self.segment_start_ms[segment + 1]))
            yield start, end, int(self.segment_offset_ms[segment])


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return every name that ``Zone.of`` knows."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def _zone_info(name: str) -> ZoneInfo:
    if name not in zone_names():
        raise ValueError(f"{name!r} is not an IANA time zone such as 'Europe/Dublin'")
    path = files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with path.open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def fits_together(name: str) -> bool:
    """Say whether the zones of a site can follow each other as they do.

    Two changes of the clocks within hours of each other would make local times that occur
    three times.
    """
    zone = Zone.of(name)
    return bool((np.diff(zone._wall_end_ms) > 0).all())  # noqa: SLF001 - the same module


def _of_several(name: str) -> tuple[list[int], list[int]]:
    parts = name.split("|")
    bounds = [-_EVER, *map(int, parts[1::2]), _EVER]
    starts: list[int] = []
    offsets: list[int] = []
    for zone, begin, end in zip(map(Zone.of, parts[::2]), bounds[:-1], bounds[1:], strict=True):
        first = int(zone.segment(np.array([begin]))[0]) if offsets else 0
        for segment in range(first, len(zone.segment_offset_ms)):
            start = max(int(zone.segment_start_ms[segment]), begin)
            offset = int(zone.segment_offset_ms[segment])
            if start >= end:
                break
            if not offsets:
                offsets.append(offset)
            elif offset != offsets[-1]:
                starts.append(start)
                offsets.append(offset)
    return starts, offsets


def _changes(zone: ZoneInfo) -> tuple[list[int], list[int]]:
    """Find every change of offset: probe in steps, then halve the step that has one [ms]."""

    def offset_ms(at_s: int) -> int:
        offset = datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
        assert offset is not None
        return round(offset.total_seconds() * 1000)

    first_s, last_s = FIRST_DAY * 86_400, _LAST_DAY * 86_400
    starts: list[int] = []
    offsets = [offset_ms(first_s)]
    for probe_s in range(first_s + _PROBE_S, last_s, _PROBE_S):
        if (after := offset_ms(probe_s)) == offsets[-1]:
            continue
        before_s, after_s = probe_s - _PROBE_S, probe_s
        while after_s - before_s > 1:
            middle_s = (before_s + after_s) // 2
            if offset_ms(middle_s) == after:
                after_s = middle_s
            else:
                before_s = middle_s
        starts.append(after_s * 1000)
        offsets.append(after)
    return starts, offsets
