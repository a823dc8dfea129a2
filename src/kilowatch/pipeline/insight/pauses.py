"""More than a year without data is passed over, and a stream begins anew behind it.

A packet of a meter whose clock stood at 1971, sent before all others, is followed by half a century
of nothing. Looked at hour by hour that took 650 s of one core, and what a stream needs had been
learnt from nothing, for good, by the time its data came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kilowatch.model.blocks import Ints
from kilowatch.model.calendar import Grain, grain_end_ms, grain_start_ms
from kilowatch.model.insight import InsightEvent
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight import states
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.records import Commit, Kept
from kilowatch.pipeline.insight.states import Remembered
from kilowatch.pipeline.insight.stepping import Step
from kilowatch.pipeline.insight.subjects import Subject
from kilowatch.pipeline.view import View

PAUSE_MS = 400 * DAY_MS
"""After such a pause nothing that is looked at or learnt from reaches back over it: training takes
400 days, what is always on 396, what a stream needs 365, forecasts and the detector 58."""
FOLLOWED_MS = 59 * DAY_MS
"""So much of a pause is looked at like any other time: forecasts go on for 58 days, voltage is
judged at the end of its week, and what went on comes to its end."""


@dataclass(frozen=True, slots=True)
class _Months:
    """Local months in which anything is known: of which basis, starts and ends [ms], rising."""

    basis: str
    start_ms: Ints
    end_ms: Ints


_NO_MONTHS = _Months("", np.empty(0, np.int64), np.empty(0, np.int64))


class Pauses:
    """Finds where the data of streams go on after more than a year without any.

    It is told by the data alone, so live and replayed streams begin anew on the same day.

    Args:
        view: The measurements.
        file: Where events are.
    """

    def __init__(self, view: View, file: InsightFile) -> None:
        self._view = view
        self._file = file
        self._known: dict[int, _Months] = {}

    def passed(
        self, step: Step, until_ms: Mapping[int, int], packed: Mapping[int, bytes]
    ) -> tuple[Commit, list[InsightEvent]]:
        """Return what moves where streams of a step begin anew, and the events that are over.

        Args:
            step: Whose hours would be looked at.
            until_ms: By series, where complete hours end [ms since 1970, UTC].
            packed: Their states, of those that have been looked at before.

        Returns:
            Without anything kept where no stream is in such a pause, or its end is not known yet.

        Raises:
            KilowatchError: 503 from the store.
        """
        commit, over = Commit(), []
        for subject, kept in zip(step.subjects, step.kept, strict=True):
            series = subject.series
            if until_ms[series] - kept.birth_ms <= PAUSE_MS or not _is_silent(packed.get(series)):
                continue
            anew_ms = self._goes_on_ms(subject, kept, step.zone, until_ms[series])
            if anew_ms is None:
                continue
            moved = replace(kept, birth_ms=anew_ms, cursor_ms=anew_ms)
            commit.kept[series] = (moved, states.encode(Remembered(states.LAYOUT)))
            commit.anew.append(series)
            over += [
                replace(one.event, id=one.key, open=False, others=())
                for one in self._file.events([series], 0)
                if one.event.open
            ]
        return commit, over

    def _goes_on_ms(self, subject: Subject, kept: Kept, zone: Zone, until_ms: int) -> int | None:
        """Return the local day on which data go on behind a pause; None outside of one [ms]."""
        months = self._months(subject, kept, zone, until_ms)
        after = int(np.searchsorted(months.end_ms, kept.cursor_ms, side="right"))
        if after == len(months.end_ms):
            return None
        ended_ms = int(months.end_ms[after - 1]) if after else kept.birth_ms
        if kept.cursor_ms - ended_ms < FOLLOWED_MS:
            return None
        span_ms = (int(months.start_ms[after]), min(int(months.end_ms[after]), until_ms))
        days_ms = self._starts_ms(subject, *span_ms, "day")
        if not len(days_ms):
            return None  # the month has data, but none yet in the days that are settled
        anew_ms = int(days_ms[0])
        if anew_ms - ended_ms <= PAUSE_MS or anew_ms <= kept.cursor_ms - DAY_MS:
            return None
        return anew_ms

    def _months(self, subject: Subject, kept: Kept, zone: Zone, until_ms: int) -> _Months:
        known = self._known.get(subject.series)
        if (
            known is not None
            and known.basis == kept.basis
            and (known.end_ms > kept.cursor_ms).any()
        ):
            return known  # what has come since lies behind these
        first_ms = int(grain_start_ms([kept.birth_ms], "month", zone)[0])
        start_ms = self._starts_ms(subject, first_ms, until_ms, "month")
        known = _Months(kept.basis, start_ms, grain_end_ms(start_ms, "month", zone))
        self._known[subject.series] = known
        return known

    def _starts_ms(self, subject: Subject, from_ms: int, until_ms: int, grain: Grain) -> Ints:
        """Return the starts of the months or days in which anything is known, rising [ms]."""
        block = self._view.series_many([subject.point], [subject.channel], from_ms, until_ms, grain)
        return np.unique(block.start_ms[block.covered_ms > 0])


def _is_silent(packed: bytes | None) -> bool:
    """Tell of a state whether nothing was expected of its day: nothing came for 58 days before."""
    one = None if packed is None else states.decode(packed)
    return one is not None and not np.isfinite(np.frombuffer(one.band)).any()
