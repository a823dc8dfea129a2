"""Which part of a timestamp to believe, and how three live packets decide it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.model.calendar import Zone
from kilowatch.model.clock import (
    FOR_OFFSET,
    FOR_WALL,
    LIVE_MS,
    NO_EVIDENCE,
    NOT_ON_THE_WALL,
    ClockWitness,
    Decision,
    effective_ms,
    evidence,
    live_window_ms,
)

BERLIN, DUBLIN, NEW_YORK = (Zone.of(f) for f in ("Europe/Berlin", "Europe/Dublin", "US/Eastern"))
NUMERIC, ZULU = 0, 4
LOCAL_ZULU, UTC_FORM = 4, 5


def stamp(text: str) -> tuple[int, int, int]:
    """Return what a packet stamped so holds: pushed instant [ms], offset [min] and flags."""
    at = datetime.fromisoformat(text)
    offset = at.utcoffset()
    assert offset is not None
    flags = LOCAL_ZULU if text.endswith("Z") else NUMERIC
    return round(at.timestamp() * 1000), round(offset.total_seconds() / 60), flags


def shown(text: str, decision: Decision, zone: Zone) -> str:
    """Return the effective instant of a packet, in UTC."""
    at, offset, flags = (np.array([part]) for part in stamp(text))
    effective = int(effective_ms(at, offset, flags, decision, zone)[0])
    return datetime.fromtimestamp(effective / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def says(text: str, received: str, zone: Zone, window_ms: int = LIVE_MS) -> int:
    """Return what a packet says about its sender's clock."""
    at, offset, flags = (np.array([part]) for part in stamp(text))
    received_ms = np.array([stamp(received)[0]])
    return int(evidence(at, offset, flags, received_ms, window_ms, zone)[0])


@pytest.mark.parametrize(
    ("text", "decision", "instant"),
    [
        ("2025-07-01T12:00+00:00", "offset", "2025-07-01T12:00Z"),
        ("2025-07-01T12:00+00:00", "wall", "2025-07-01T10:00Z"),
        ("2025-07-01T12:00+00:00", "undecided", "2025-07-01T10:00Z"),
        ("2025-07-01T12:00+02:00", "undecided", "2025-07-01T10:00Z"),
        ("2025-07-01T12:00Z", "wall", "2025-07-01T12:00Z"),
        ("2025-07-01T12:00Z", "undecided", "2025-07-01T12:00Z"),
        # The hour that comes twice: the first of the two, unless a true offset tells them apart.
        ("2025-10-26T02:30+00:00", "wall", "2025-10-26T00:30Z"),
        ("2025-10-26T02:30+02:00", "wall", "2025-10-26T00:30Z"),
        ("2025-10-26T02:30+01:00", "wall", "2025-10-26T01:30Z"),
        # The hour that does not come: the instant of the clock change.
        ("2025-03-30T02:30+00:00", "wall", "2025-03-30T01:00Z"),
        # An offset that is not the site's: the wall clock counts.
        ("2025-07-01T12:00-05:00", "wall", "2025-07-01T10:00Z"),
    ],
)
def test_a_timestamp_means_what_the_clock_setting_says(
    text: str, decision: Decision, instant: str
) -> None:
    """A client that always sends +00:00 with local time is read on the site's wall clock."""
    assert shown(text, decision, BERLIN) == instant


def test_in_a_winter_without_offset_both_readings_are_the_same() -> None:
    """Dublin in January: there is nothing to decide and nothing to get wrong."""
    text = "2025-01-15T12:00+00:00"
    assert {shown(text, decision, DUBLIN) for decision in ("offset", "wall", "undecided")} == {
        "2025-01-15T12:00Z"
    }
    assert says(text, "2025-01-15T12:00:05Z", DUBLIN) == NO_EVIDENCE


@pytest.mark.parametrize(
    ("text", "received", "zone", "piece"),
    [
        # Berlin in summer: local time with +00:00 lies two hours in the future.
        ("2025-07-01T14:00+00:00", "2025-07-01T12:00:05Z", BERLIN, FOR_WALL),
        ("2025-07-01T12:00+00:00", "2025-07-01T12:00:05Z", BERLIN, FOR_OFFSET),
        # New York: local time with +00:00 would be four hours late.
        ("2025-07-01T08:00+00:00", "2025-07-01T12:00:05Z", NEW_YORK, FOR_WALL),
        ("2025-07-01T12:00+00:00", "2025-07-01T12:00:05Z", NEW_YORK, FOR_OFFSET),
        # A meter's clock may be two minutes fast, not three.
        ("2025-07-01T14:01:55+00:00", "2025-07-01T12:00Z", BERLIN, FOR_WALL),
        ("2025-07-01T14:03+00:00", "2025-07-01T12:00Z", BERLIN, NO_EVIDENCE),
        ("2025-07-01T12:01:55+00:00", "2025-07-01T12:00Z", BERLIN, FOR_OFFSET),
        ("2025-07-01T12:03+00:00", "2025-07-01T12:00Z", BERLIN, NO_EVIDENCE),
        # A quarter of an hour old is live, more is history.
        ("2025-07-01T13:45+00:00", "2025-07-01T12:00Z", BERLIN, FOR_WALL),
        ("2025-07-01T13:44+00:00", "2025-07-01T12:00Z", BERLIN, NO_EVIDENCE),
        ("2024-07-01T14:00+00:00", "2025-07-01T12:00Z", BERLIN, NO_EVIDENCE),
        # An offset of its own comes from a client that knows offsets, in history too …
        ("2024-07-01T14:00+02:00", "2025-07-01T12:00Z", BERLIN, FOR_OFFSET),
        ("2024-07-01T14:00-05:00", "2025-07-01T12:00Z", BERLIN, FOR_OFFSET),
        ("2024-07-01T14:00Z", "2025-07-01T12:00Z", BERLIN, FOR_OFFSET),
        # … unless the packet lies in the future and the wall clock explains it.
        ("2025-07-01T14:00+01:00", "2025-07-01T12:00:05Z", BERLIN, FOR_WALL),
        # No clock on a wall in Berlin showed this.
        ("2024-03-31T02:30+00:00", "2025-07-01T12:00Z", BERLIN, NOT_ON_THE_WALL),
    ],
)
def test_the_arrival_of_a_live_packet_tells_what_its_sender_means(
    text: str, received: str, zone: Zone, piece: int
) -> None:
    """A packet arrives from two minutes before its instant to a quarter of an hour after it."""
    assert says(text, received, zone) == piece


def test_an_hourly_meter_may_be_as_late_as_its_interval() -> None:
    """Where both readings could be live the packet says nothing: better undecided than wrong."""
    window = live_window_ms(5_400_000)
    assert says("2025-01-15T12:00+00:00", "2025-01-15T12:00:05Z", BERLIN, window) == NO_EVIDENCE
    assert says("2025-01-15T13:00+00:00", "2025-01-15T12:00:05Z", BERLIN, window) == FOR_WALL


def test_three_of_a_kind_in_a_row_decide_and_say_why() -> None:
    """One packet from a buffer must not move a whole history by an hour."""
    witness = ClockWitness().with_evidence([FOR_WALL, FOR_WALL, FOR_OFFSET, FOR_WALL, FOR_WALL])
    assert witness.decision == "undecided"
    decided = witness.with_evidence([NO_EVIDENCE, FOR_WALL])
    assert (decided.decision, decided.for_wall, decided.for_offset) == ("wall", 5, 1)
    assert "wall clock" in decided.reason


def test_a_local_time_that_does_not_exist_decides_alone() -> None:
    """Half past two on the last Sunday of March was never on a wall in Berlin."""
    witness = ClockWitness().with_evidence([NOT_ON_THE_WALL])
    assert witness.decision == "offset"
    assert "summer time" in witness.reason


def test_it_does_not_overrule_what_arrival_times_have_shown() -> None:
    """A meter without summer time, live on the wall clock: neither reading is right in March."""
    witness = ClockWitness().with_evidence([FOR_WALL, NOT_ON_THE_WALL])
    assert witness.decision == "undecided"


def test_a_decision_stays_and_what_speaks_against_it_is_counted() -> None:
    """A person may change the setting; the platform does not move history back and forth."""
    witness = ClockWitness().with_evidence([FOR_WALL] * 3 + [FOR_OFFSET] * 10)
    assert (witness.decision, witness.for_offset) == ("wall", 10)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([FOR_OFFSET, FOR_WALL, NO_EVIDENCE, NOT_ON_THE_WALL])), st.data())
def test_the_decision_depends_on_the_order_of_the_log_only(
    pieces: list[int], data: st.DataObject
) -> None:
    """A restart in the middle, or batches of another size, decide the same for the same reason."""
    cut = data.draw(st.integers(0, len(pieces)))
    halfway = ClockWitness().with_evidence(pieces[:cut])
    restored = ClockWitness(**asdict(halfway))
    assert restored.with_evidence(pieces[cut:]) == ClockWitness().with_evidence(pieces)
