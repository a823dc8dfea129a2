"""Which registered stream a misspelt id may have meant, found in about a millisecond."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import OrderedDict
from itertools import islice

from kilowatch.catalog.directory import Directory

STREAMS_MAX = 5_000
"""Streams of an organisation that are looked at: sorting them takes 5 ms, once a revision."""
ORGANISATIONS_MAX = 16
ANSWERS_MAX = 1_000
"""Remembered, because a gateway repeats its mistake with each packet."""
WINDOW = 6
"""Neighbours compared on each side, by beginning and by end; each comparison takes 40 us."""
LENGTH_DIFFERENCE_MAX = 3
COMPARED_CHARACTERS_MAX = 64
"""Longer ids are not compared: its time grows with the square of the length."""

_Names = tuple[dict[str, str], list[str], list[str]]


class Neighbours:
    """Finds similar stream ids. Used on the event loop, so every step is bounded.

    One typing mistake leaves the beginning or the end of an id as it was. So the ids
    beside it in alphabetical order, read forwards or backwards, are all we compare.
    """

    def __init__(self) -> None:
        self._revision = -1
        self._names: OrderedDict[int, _Names] = OrderedDict()
        self._answers: OrderedDict[tuple[int, str], str | None] = OrderedDict()

    def nearest(self, stream_id: str, organisation_id: int, directory: Directory) -> str | None:
        """Return the organisation's stream whose id looks most like this one, if any does."""
        if directory.revision != self._revision:
            self._revision = directory.revision
            self._names.clear()
            self._answers.clear()
        asked = (organisation_id, stream_id)
        if asked not in self._answers:
            self._answers[asked] = self._find(stream_id, self._of(organisation_id, directory))
            if len(self._answers) > ANSWERS_MAX:
                self._answers.popitem(last=False)
        self._answers.move_to_end(asked)
        return self._answers[asked]

    def _of(self, organisation_id: int, directory: Directory) -> _Names:
        found = self._names.get(organisation_id)
        if found is None:
            own = (
                point.stream_id
                for point in directory.points.values()
                if point.organisation_id == organisation_id
            )
            plain = {name.casefold(): name for name in islice(own, STREAMS_MAX)}
            found = (plain, sorted(plain), sorted(name[::-1] for name in plain))
            self._names[organisation_id] = found
            if len(self._names) > ORGANISATIONS_MAX:
                self._names.popitem(last=False)
        self._names.move_to_end(organisation_id)
        return found

    def _find(self, stream_id: str, names: _Names) -> str | None:
        plain, forwards, backwards = names
        asked = stream_id.strip().casefold()
        if asked in plain:
            return plain[asked]
        if len(asked) > COMPARED_CHARACTERS_MAX:
            return None
        beside = dict.fromkeys(_window(forwards, asked))
        beside.update(dict.fromkeys(name[::-1] for name in _window(backwards, asked[::-1])))
        alike = [name for name in beside if abs(len(name) - len(asked)) <= LENGTH_DIFFERENCE_MAX]
        close = difflib.get_close_matches(asked, alike, n=1, cutoff=0.6)
        return plain[close[0]] if close else None


def _window(names: list[str], asked: str) -> list[str]:
    at = bisect_left(names, asked)
    return names[max(0, at - WINDOW) : at + WINDOW]
