"""The names that people may use in formulas, kept between two looks at the same page."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from threading import Lock

from kilowatch.catalog.directory import Directory
from kilowatch.model.formulas import Names, Placed

KEPT_MAX = 16  # people who write formulas at once; of 10,000 data points each is 5 MB


@dataclass(slots=True)
class NamesKept:
    """Names of data points, made once for a person while neither they nor rights change."""

    _kept: OrderedDict[Hashable, tuple[Directory, Names]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def of(
        self, directory: Directory, key: Hashable, make: Callable[[], Iterable[Placed]]
    ) -> Names:
        """Return the names of a key in a directory; ``make`` says which there are."""
        with self._lock:
            known = self._kept.get(key)
            if known is not None and known[0] is directory:
                return known[1]
        names = Names(make())
        with self._lock:
            self._kept[key] = (directory, names)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return names
