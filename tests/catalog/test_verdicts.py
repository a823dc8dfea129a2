"""What people say of events: the last that stands counts, and nothing of it is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kilowatch.catalog import verdicts
from kilowatch.catalog.changes import Change
from kilowatch.catalog.verdicts import About
from kilowatch.model.errors import KilowatchError
from kilowatch.model.insight import EventKind, Verdict
from kilowatch.model.verdicts import Said
from tests.catalog.people_world import START_MS, World
from tests.catalog.test_history import do, undo

HOUR_MS = 3_600_000


@pytest.fixture
def about(folks: World) -> About:
    """Return an event at the main meter: it began half a year ago."""
    start = START_MS - 180 * 24 * HOUR_MS
    main = folks.points["main"].id
    return About("main-weekend-1", main, EventKind.WEEKEND, start, start + 10 * HOUR_MS)


def standing(folks: World) -> dict[str, Said]:
    """Read the verdicts that count in Acme."""
    with folks.catalog.reading() as session:
        return dict(verdicts.of_events(session, folks.organisations["Acme"].id))


def test_the_last_verdict_counts_and_what_was_before_comes_back(folks: World, about: About) -> None:
    """Who said what and when stays, also of what was taken back."""
    do(folks, lambda change: verdicts.give(change, about, Verdict.ACKNOWLEDGED, comment="I look"))
    entry = do(folks, lambda change: verdicts.give(change, about, Verdict.FAULT), "vera")
    revision = folks.catalog.revision()
    assert standing(folks)[about.event_id].verdict is Verdict.FAULT
    fault = standing(folks)[about.event_id].id
    with folks.catalog.change(folks.actor("ann")) as change:
        verdicts.take_back(change, fault, event_id=about.event_id)
    assert folks.catalog.revision() > revision, "insights are told"
    now = standing(folks)[about.event_id]
    assert (now.verdict, now.who, now.comment) == (
        Verdict.ACKNOWLEDGED, "ann@example.com", "I look",
    )  # fmt: skip
    with folks.catalog.reading() as session:
        story = verdicts.story(session, folks.organisations["Acme"].id, about.event_id)
        assert verdicts.story(session, folks.organisations["Elsewhere"].id, about.event_id) == []
    assert [one.taken_back_by for one in story] == ["", "ann@example.com"]
    assert entry.after["verdict"] == "fault"


def test_a_verdict_is_taken_back_once(folks: World, about: About) -> None:
    """Twice is told; another event's is not there; the history can do it too."""
    entry = do(folks, lambda change: verdicts.give(change, about, Verdict.RESOLVED))
    number = entry.subject_id
    assert number is not None
    with folks.catalog.change(folks.actor("ann")) as change, pytest.raises(KilowatchError) as other:
        verdicts.take_back(change, number, event_id="another")
    assert other.value.status == 404
    undo(folks, entry)
    assert standing(folks) == {}
    with folks.catalog.change(folks.actor("ann")) as change, pytest.raises(KilowatchError) as twice:
        verdicts.take_back(change, number)
    assert twice.value.code == "already_undone"


def test_a_comment_alone_decides_nothing(folks: World, about: About) -> None:
    """People may talk about an event without an answer to it; an empty word is refused."""
    do(folks, lambda change: verdicts.give(change, about, None, comment="seen this before?"))
    assert standing(folks) == {}
    with folks.catalog.change(folks.actor("ann")) as change, pytest.raises(KilowatchError) as empty:
        verdicts.give(change, about, None, comment="  ")
    assert empty.value.code == "says_nothing"


def test_what_is_expected_for_longer_teaches(folks: World, about: About) -> None:
    """Until a date of the data's own time, also when that is past on the wall clock."""
    until = about.end_ms + 30 * 24 * HOUR_MS
    assert until < START_MS

    def expect(change: Change) -> Said:
        return verdicts.give(change, about, Verdict.EXPECTED, lasts="until", until_ms=until)

    do(folks, expect)
    do(
        folks,
        lambda change: verdicts.give(
            change, About("other", about.data_point_id, about.kind, 1, 2), Verdict.EXPECTED
        ),
    )
    with folks.catalog.reading() as session:
        teaching = verdicts.teaching(session)
    assert [said.event_id for said in teaching[about.data_point_id]] == [about.event_id]


@pytest.mark.parametrize(
    ("verdict", "options", "field"),
    [
        (Verdict.SNOOZED, {}, "until"),
        (Verdict.SNOOZED, {"until_ms": START_MS}, "until"),
        (Verdict.SNOOZED, {"until_ms": START_MS + 400 * 24 * HOUR_MS}, "until"),
        (Verdict.EXPECTED, {"lasts": "until"}, "until"),
        (Verdict.EXPECTED, {"lasts": "for ever"}, "lasts"),
        (Verdict.FAULT, {"lasts": "weekly"}, "lasts"),
        (Verdict.FAULT, {"comment": "x" * 1001}, "comment"),
    ],
)
def test_what_makes_no_sense_is_refused(
    folks: World, about: About, verdict: Verdict, options: dict[str, object], field: str
) -> None:
    """A snooze without an end, a fault that is expected every week, a novel."""
    with folks.catalog.change(folks.actor("ann")) as change, pytest.raises(KilowatchError) as error:
        verdicts.give(change, about, verdict, **options)  # type: ignore[arg-type]
    assert error.value.data["field"] == field


def test_what_people_said_is_counted_by_site_and_kind(folks: World, about: About) -> None:
    """Once for each event, by the verdict that counts now; not what was taken back."""
    other = replace(about, event_id="main-weekend-2", start_ms=about.end_ms + 48 * HOUR_MS)
    third = replace(about, event_id="main-night-1", kind=EventKind.NIGHT_LOAD)
    do(folks, lambda change: verdicts.give(change, about, Verdict.ACKNOWLEDGED))
    do(folks, lambda change: verdicts.give(change, about, Verdict.FAULT))
    do(folks, lambda change: verdicts.give(change, about, None, comment="the valve"))
    do(folks, lambda change: verdicts.give(change, other, Verdict.FAULT))
    gone = do(folks, lambda change: verdicts.give(change, third, Verdict.EXPECTED))
    site = folks.points["main"].site_id

    def counted(*span: int) -> dict[tuple[int, EventKind, Verdict], int]:
        with folks.catalog.reading() as session:
            return dict(verdicts.counted(session, *span))

    weekend = (site, EventKind.WEEKEND, Verdict.FAULT)
    night = (site, EventKind.NIGHT_LOAD, Verdict.EXPECTED)
    assert counted() == {weekend: 2, night: 1}
    assert counted(about.start_ms + 1) == {weekend: 1}
    assert counted(about.start_ms, other.start_ms) == {weekend: 1, night: 1}
    undo(folks, gone)
    assert counted() == {weekend: 2}
