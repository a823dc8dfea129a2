"""Years without data cost nothing, and change nothing of what is found behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.pipeline.insight import states
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.pauses import Pauses
from kilowatch.pipeline.insight.records import Commit, Filed, Kept, event_key
from kilowatch.pipeline.insight.states import Remembered
from kilowatch.pipeline.insight.stepping import Step
from kilowatch.pipeline.insight.subjects import subject_of
from tests.pipeline.insight_history import AllHours, History, Snapshot, assert_same
from tests.pipeline.insight_world import MONDAY_MS, WEEK_H, meter, office

STRAY, NEW = 1, 2
PAUSE_H = 1_000 * WEEK_H  # 19 years: from 1 January 2024 to 2 March 2043, a Monday as well
WEEKS = 11


def world(folder: Path) -> History:
    """Return a meter with one packet of long ago, and a new one that measures the same."""
    use = office(WEEKS, zone="UTC")
    use[9 * WEEK_H + 5 * 24 : 10 * WEEK_H] = 31_000.0  # a weekend that stayed on
    stray = np.full(PAUSE_H, np.nan)
    stray[9] = 9_000.0
    values = {
        STRAY: np.concatenate([stray, use]),
        NEW: np.concatenate([np.full(PAUSE_H, np.nan), use]),
    }
    history = History(folder, [meter(STRAY, zone="UTC"), meter(NEW, zone="UTC")], values)
    history.first_ms[NEW] = MONDAY_MS + PAUSE_H * HOUR_MS
    history.start()
    return history


def of(found: Snapshot, series: int) -> Snapshot:
    """Return what was found at a stream in 2043, under names that do not say which it is."""
    since_ms = MONDAY_MS + PAUSE_H * HOUR_MS
    return Snapshot(
        {f"{e[2]}{e[3]}": ("", 0, *e[2:11], 0) for e in found.events.values() if e[1] == series},
        {(0, at): band for (s, at), band in found.bands.items() if s == series and at >= since_ms},
        {(0, at): row for (s, at), row in found.waste.items() if s == series},
        {s - series: hours for s, hours in found.openings.items() if s == series},
        {s - series: told for s, told in found.standings.items() if s == series},
    )


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, Snapshot]:
    """Return the meters looked at in one go."""
    history = world(tmp_path_factory.mktemp("replayed"))
    history.come_all(PAUSE_H + WEEKS * WEEK_H)
    history.follow()
    return history, history.read()


def test_behind_years_without_data_a_meter_is_a_new_one(
    replayed: tuple[History, Snapshot],
) -> None:
    """One packet with a wrong date had what a place needs learnt from nothing, for good."""
    _, found = replayed
    old, new = of(found, STRAY), of(found, NEW)
    assert {"weekend", "missed_shutdown"} & {event[2] for event in new.events.values()}
    assert new.bands
    assert new.waste
    assert new.openings
    assert_same(old, new)


def test_years_without_data_are_not_looked_at_hour_by_hour(
    replayed: tuple[History, Snapshot],
) -> None:
    """Half a century had taken 650 s of one core; three months of any pause are looked at."""
    history, _ = replayed
    ordinary = 2 * WEEKS * WEEK_H
    assert history.follower.backlog.looked_at <= ordinary + 91 * 24
    assert history.follower.backlog.streams == 0


def test_live_a_meter_begins_anew_at_the_same_day(
    tmp_path: Path, replayed: tuple[History, Snapshot]
) -> None:
    """Also where packets without this quantity had moved the meter on through the pause."""
    history = world(tmp_path)
    begins = PAUSE_H + 10
    for hours in (10, 100 * 24, PAUSE_H, begins, begins + 1, begins + 40, PAUSE_H + 900):
        history.come(STRAY, hours)
        history.follow()
        history.kill()
        history.start()
    history.come_all(PAUSE_H + WEEKS * WEEK_H)
    history.follow()
    assert_same(of(history.read(), STRAY), of(replayed[1], STRAY))


def test_what_was_going_on_when_data_ended_is_over(tmp_path: Path) -> None:
    """Nobody is shown for ever that something began in 2024; its history stays."""
    history = world(tmp_path)
    history.come(STRAY, 900)
    history.follow()
    started = InsightEvent(
        event_key(STRAY, "stuck", MONDAY_MS), STRAY, EventKind.STUCK, MONDAY_MS,
        MONDAY_MS + DAY_MS, open=True, found_ms=MONDAY_MS + DAY_MS, amount=5.0, confidence=0.8,
    )  # fmt: skip
    history.follower._file.commit(Commit(events=[Filed(started.id, started, told_ms=1)]))
    history.come(STRAY, PAUSE_H + 30)
    history.follow()
    (event,) = history.follower._file.events([STRAY], 0)
    assert event.event == replace(started, open=False)
    assert [(one, over) for _, one, over in history.insights().notices(0, 9)] == [
        (started.id, True)
    ]


@pytest.mark.parametrize(
    ("pause_d", "looked_at_d", "anew"), [(390, 100, False), (435, 50, False), (435, 100, True)]
)
def test_a_pause_of_less_than_400_days_is_looked_at_like_any_other_time(
    tmp_path: Path, pause_d: int, looked_at_d: int, *, anew: bool
) -> None:
    """What is remembered reaches back over it; of a longer one so much that all is at rest."""
    hours = np.full((31 + pause_d + 2) * 24, np.nan)
    hours[: 31 * 24], hours[-48:] = 9_000.0, 9_000.0
    subject = subject_of(meter(STRAY, zone="UTC"))
    assert subject is not None
    cursor_ms = MONDAY_MS + (31 + looked_at_d) * DAY_MS
    kept = Kept("1", "UTC", MONDAY_MS, cursor_ms)
    silent = states.encode(Remembered(states.LAYOUT, band=np.full(120, np.nan).tobytes()))
    file = InsightFile(tmp_path / "insights.sqlite")
    file.commit(Commit(references={STRAY: b"need"}, openings={STRAY: b"week"}))
    pauses = Pauses(AllHours({STRAY: hours}), file)  # type: ignore[arg-type]
    step = Step([subject], [kept], cursor_ms, cursor_ms + DAY_MS)
    end_ms = MONDAY_MS + len(hours) * HOUR_MS
    commit, over = pauses.passed(step, {STRAY: end_ms}, {STRAY: silent})
    assert over == []
    begins_ms = end_ms - 2 * DAY_MS
    moved = replace(kept, birth_ms=begins_ms, cursor_ms=begins_ms)
    assert [one for one, _ in commit.kept.values()] == [moved] * anew
    file.commit(commit)
    assert file.references([STRAY]) == ({} if anew else {STRAY: b"need"})
    file.close()
