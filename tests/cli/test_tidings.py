"""What is told of findings follows their history, also when that becomes another one."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from kilowatch.cli.directory_watch import DirectoryWatch
from kilowatch.cli.insight_process import Catalogued, Tidings
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.records import Commit, Filed, Kept
from kilowatch.pipeline.insight.view import InsightView
from tests.pipeline.insight_world import MONDAY_MS, meter
from tests.pipeline.test_insight_settling import weekend


@dataclass
class Registered:
    """Two meters, as the registry knows them; nothing costs anything."""

    points: dict[int, DataPoint]

    def now(self) -> Any:
        """Return the directory."""
        return self

    def by_series(self, series: int) -> DataPoint | None:
        """Return a data point."""
        return self.points.get(series)

    def facts(self) -> dict[int, Any]:
        """Return nothing about sites."""
        return {}


def test_a_notice_is_told_and_an_end_is_known_although_history_is_computed_again(
    tmp_path: Path,
) -> None:
    """Between the finding and the message its history was forgotten: it is told by its kind.

    When the new history has been looked at, an end that nobody gave notice of is known, with the
    names of other data points in a line of their own, and what is no more is known to be gone.
    """
    file = InsightFile(tmp_path / "insights.sqlite")
    one, other = meter(1), meter(2)
    registered = Registered({1: one, 2: other})
    view = InsightView(tmp_path / "insights.sqlite")
    tidings = Tidings(
        view, cast("DirectoryWatch", registered), cast("Catalogued", registered),
        lambda: MONDAY_MS + 400 * DAY_MS,
    )  # fmt: skip
    stays, goes = weekend(1, 3, others=(2,)), weekend(1, 5)
    looked = Kept("1", "Europe/Dublin", MONDAY_MS, goes.end_ms)
    filed = [Filed(event.id, event, told_ms=event.found_ms) for event in (stays, goes)]
    file.commit(Commit({1: (looked, b"")}, filed, [(stays.id, False), (goes.id, False)]))
    first = [tiding for _, tiding in tidings.changes(0, 10)]
    assert first[0].lines[1:] == (f"Seen at {other.name} too.",)
    assert first[0].title.endswith(" (2024)"), "a replay of last year is told with its year"
    assert " January 2024" in first[0].lines[0]
    assert other.name not in first[0].title + first[0].lines[0]
    file.forget([1])
    again = [tiding for _, tiding in tidings.changes(0, 10)]
    assert [tiding.event_id for tiding in again] == [stays.id, goes.id]
    assert all(tiding.title.startswith(f"{one.name}: ") and not tiding.lines for tiding in again)
    assert tidings.over([stays.id, goes.id]) == {}
    ended = replace(stays, open=False)
    file.commit(Commit({1: (looked, b"")}, [Filed(stays.id, ended, told_ms=stays.found_ms)]))
    over = tidings.over([stays.id, goes.id])
    assert over.keys() == {stays.id, goes.id}
    assert over[goes.id] is None
    told = over[stays.id]
    assert told is not None
    assert (told.over, told.lines[1:]) == (True, (f"Seen at {other.name} too.",))
    file.close()
    view.close()
