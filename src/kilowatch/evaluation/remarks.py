"""What was noticed of a folder's data, and which streams could not be judged: said, never dropped.

Bad data is a value: what is read goes on, and whoever reads the scores is told what it rests on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SHOWN = 5
"""Streams that are named in a printed line; scores.json names all of them."""

NOT_LISTED = "not in streams.csv: taken for streams by UTC, without weather"
TWICE_LISTED = "twice in streams.csv: the last row counts"
NO_ZONE = "time zone unknown: taken for UTC"
ELSEWHERE = "not in streams/<dataset>.parquet: read from another file of streams/"
LEFT_LYING = "in streams/, but not in streams.csv: not forecast"
OTHER_UNIT = "streams.csv says another unit than the file of values: the file's counts"
NO_UNIT = "unit unknown: values are taken as they stand, for amounts that add up"
NAIVE = "stamps without a UTC offset: taken for the local time of the stream's zone"
NAIVE_UTC = "stamps without a UTC offset, at hours that the local clock skips: taken for UTC"
COUNTED = "stamps are numbers: taken for {} since 1970 (UTC), by their size"
NO_STAMP = "rows without a stamp that can be read: left out"
FAR_OFF = "stamps more than 15 years away from the middle of the stream: left out"
REPEATED = "several rows for one stamp: the last one with a value counts"
INFINITE = "infinite values: taken for missing"
FINER = "intervals shorter than an hour, for all or a part of the time: brought to hours"
COARSER = "intervals longer than an hour, for a part of the time: left out"
MOVED = "hours that begin at different minutes: moved to the nearest of one grid"
NO_WEATHER = "weather file absent or not to be read: judged without temperature"
BAD_WEATHER = "temperatures below -80 or above 60 °C: taken for missing"

NO_HISTORY = "no values in streams/ before the faulted part: watched from its first hour on"
NO_ORIGINAL = (
    "untouched stream unknown for more than a tenth of the wasteful copy: no comparison there"
)
SHORT_REFERENCE = (
    "less than 330 of the 365 days before the wasteful copy are known: judged by those"
)
NO_ENERGY = "unit that is no energy: waste_kwh has the hour's value in that unit"

NO_ROWS = "no value in any file"
TOO_COARSE = "intervals longer than an hour: nothing can be said of its hours"
FAILED = "could not be judged"


class Remarks:
    """Each thing that was noticed, once, with the streams that it holds for."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, None]] = {}

    def add(self, what: str, stream_ids: Iterable[str]) -> None:
        """Remember that something holds for some streams."""
        for one in stream_ids:
            self._found.setdefault(what, {})[one] = None

    def holds(self, what: str, stream_id: str) -> bool:
        """Return whether something was noticed of a stream."""
        return stream_id in self._found.get(what, ())

    def told(self) -> dict[str, list[str]]:
        """Return stream ids by what holds for them."""
        return {what: sorted(streams) for what, streams in sorted(self._found.items())}


def by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """Return stream ids by why they are left out, from the reason of each."""
    found: dict[str, list[str]] = {}
    for stream, why in left_out.items():
        found.setdefault(why, []).append(stream)
    return found


def lines(found: Mapping[str, list[str]]) -> list[str]:
    """Return what holds for which streams, one line each, for a person."""
    return [f"{what}: {named(streams)}" for what, streams in found.items()]


def named(streams: list[str]) -> str:
    """Return how many streams, and the names of the first ones."""
    shown = ", ".join(streams[:SHOWN])
    more = f" and {len(streams) - SHOWN} more" if len(streams) > SHOWN else ""
    return f"{len(streams)} ({shown}{more})"


def plain(content: Any) -> Any:
    """Return scores as JSON has them: a number that is none (0 / 0) becomes null."""
    if isinstance(content, dict):
        return {str(key): plain(one) for key, one in content.items()}
    if isinstance(content, list | tuple):
        return [plain(one) for one in content]
    if isinstance(content, float) and not abs(content) < float("inf"):
        return None
    return content
