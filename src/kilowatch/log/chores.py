"""What is written beside the packets, soon but not at once: loose counts and kept refusals."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kilowatch.log import kept
from kilowatch.log.ledger import Loose, write_loose

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from kilowatch.log.gate import Submission
    from kilowatch.log.kept import Refusal

_PROBE: Final = (
    "INSERT INTO meta(key, value) VALUES ('probe_ms', ?)"
    " ON CONFLICT(key) DO UPDATE SET value = excluded.value"
)
REFUSALS_MAX: Final = 1_000  # waiting to be kept; beyond that they are only counted


@dataclass(slots=True)
class Chores:
    """Counts and refusals since the last commit that took them along; any thread may add."""

    loose: dict[int, Loose] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    dismissals: list[tuple[int, Sequence[int] | None]] = field(default_factory=list)
    forget_before_ms: int = 0
    probe_ms: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __bool__(self) -> bool:
        due = self.forget_before_ms or self.probe_ms
        return bool(self.loose or self.refusals or self.dismissals or due)

    def count_duplicates(self, duplicates: Sequence[Submission]) -> None:
        """Count repeated packets."""
        with self._lock:
            for sent in duplicates:
                old = self.loose.get(sent.series, Loose())
                self.loose[sent.series] = old._replace(
                    duplicate=old.duplicate + 1, last_duplicate_ms=sent.received_ms
                )

    def refuse(self, series: int | None, refusal: Refusal) -> None:
        """Count a refused packet, and keep it if there is room."""
        with self._lock:
            if series is not None:
                old = self.loose.get(series, Loose())
                self.loose[series] = old._replace(
                    refused=old.refused + 1, last_refused_ms=refusal.received_ms
                )
            if len(self.refusals) < REFUSALS_MAX:
                self.refusals.append(refusal)

    def dismiss(self, series: int, ids: Sequence[int] | None) -> None:
        """Have kept packets deleted."""
        with self._lock:
            self.dismissals.append((series, ids))

    def forget(self, now_ms: int) -> None:
        """Have refused packets deleted that are too old at this time [ms since 1970]."""
        self.forget_before_ms = now_ms

    def probe(self, now_ms: int) -> None:
        """Have a sign of life written, so that a disk that takes no more is known when idle."""
        self.probe_ms = now_ms

    def take(self) -> Chores:
        """Return what is due and begin anew."""
        with self._lock:
            taken = Chores(
                self.loose, self.refusals, self.dismissals, self.forget_before_ms, self.probe_ms
            )
            self.loose, self.refusals, self.dismissals = {}, [], []
            self.forget_before_ms = self.probe_ms = 0
            return taken

    def put_back(self, taken: Chores) -> None:
        """Take again what could not be written."""
        with self._lock:
            for series, old in taken.loose.items():
                new = self.loose.get(series, Loose())
                self.loose[series] = Loose(
                    old.duplicate + new.duplicate,
                    old.refused + new.refused,
                    new.last_duplicate_ms or old.last_duplicate_ms,
                    new.last_refused_ms or old.last_refused_ms,
                )
            self.refusals = [*taken.refusals, *self.refusals][:REFUSALS_MAX]
            self.dismissals = [*taken.dismissals, *self.dismissals]
            self.forget_before_ms = self.forget_before_ms or taken.forget_before_ms

    def parts(self) -> list[Chores]:
        """Return the same work in its smallest parts, in the order in which it is written."""
        return [
            *(Chores(loose={series: loose}) for series, loose in self.loose.items()),
            *(Chores(refusals=[refusal]) for refusal in self.refusals),
            *(Chores(dismissals=[dismissal]) for dismissal in self.dismissals),
            *([Chores(forget_before_ms=self.forget_before_ms)] if self.forget_before_ms else []),
            *([Chores(probe_ms=self.probe_ms)] if self.probe_ms else []),
        ]

    def write(self, connection: apsw.Connection) -> None:
        """Write all of it, inside a transaction."""
        if self.loose:
            write_loose(connection, self.loose)
        if self.refusals:
            kept.keep_refusals(connection, self.refusals)
        for series, ids in self.dismissals:
            kept.dismiss(connection, series, ids)
        if self.forget_before_ms:
            kept.forget_refusals(connection, self.forget_before_ms)
        if self.probe_ms:
            connection.execute(_PROBE, (self.probe_ms,))
