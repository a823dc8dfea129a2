"""Any sequence of pushes, faults, crashes and restarts, against a model of a few lines."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from kilowatch.log import Entry, LogReader, Outcome, ledger
from kilowatch.log.records import BACKFILLED
from kilowatch.model.packet import Form
from kilowatch.wire import values_of
from tests.log.faults import FaultyDisk
from tests.log.pushing import RECEIVED_MS, Push, Pushing, at_ms, copy_as_after_a_crash
from tests.log.test_history import KEPT
from tests.log.test_history import backfill as put_in

NAMES = ("aP_1", "aP_2", "v_31")
VALUES = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from([0.0, 1.0, 2.5]), min_size=1, max_size=2
)
FORMS = st.sampled_from([Form.LOCAL, Form.UTC, Form.PARTIAL, Form.PARTIAL])
PUSHES = st.builds(Push, st.integers(1, 3), st.integers(0, 6), VALUES, FORMS)


@dataclass
class Stream:
    """What the model knows of a stream."""

    minute: int = -1
    values: dict[str, float] = field(default_factory=dict)
    entries: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    late: Counter[tuple[int, tuple[tuple[str, float], ...]]] = field(default_factory=Counter)
    duplicates: int = 0
    history: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    taken: int = 0

    def push(self, push: Push, *, backfill: bool = False) -> str:
        """Decide as the contract says, and remember."""
        if push.minute > self.minute:
            self._store(push.minute, push.values)
            return "accepted"
        if push.minute == self.minute:
            partial = push.form is Form.PARTIAL
            values = {**self.values, **push.values} if partial else push.values
            if values == self.values:
                self.duplicates += 1
                return "duplicate"
            if partial:
                self._store(push.minute, values)
                return "accepted"
        if backfill:
            self.history.append((push.minute, dict(push.values)))
            return "backfilled"
        self.late[push.minute, tuple(sorted(push.values.items()))] += 1
        return "discarded"

    def _store(self, minute: int, values: dict[str, float]) -> None:
        self.minute, self.values = minute, dict(values)
        self.entries.append((minute, dict(values)))


class LogMachine(RuleBasedStateMachine):
    """Pushes packets in any order and breaks whatever can break."""

    def __init__(self) -> None:
        super().__init__()
        # Streams' rows lag by a few packets and catch up one by one, as with 100,000 of them.
        self.small = pytest.MonkeyPatch()
        for name, value in (("TAIL_ROWS_MAX", 3), ("FLUSH_STREAMS", 1), ("FLUSH_SHARE", 0)):
            self.small.setattr(ledger, name, value)
        self.folder = Path(tempfile.mkdtemp(prefix="kilowatch-log-"))
        self.vfs = FaultyDisk()
        self.streams = {series: Stream() for series in (1, 2, 3)}
        self.path = self.folder / "0" / "log.sqlite"
        self.opened = 0
        self.first_seq = 1

    @initialize()
    def start(self) -> None:
        """Begin with an empty log."""
        self._open()

    def _open(self) -> None:
        self.log = Pushing(
            self.path, vfs=self.vfs.name, segment_rows=4, retention_ms=-1, upkeep_s=3_600.0
        )
        self.reader = LogReader(self.path)

    @rule(pushes=st.lists(PUSHES, min_size=1, max_size=5))
    def push(self, pushes: list[Push]) -> None:
        """Any packets, at once."""
        outcomes = self.log.push_all(pushes)
        assert [o.status for o in outcomes] == [self.streams[p.series].push(p) for p in pushes]
        self._check_outcomes(pushes, outcomes)

    @rule(push=PUSHES)
    def backfill(self, push: Push) -> None:
        """Put any packet into history that is not after the latest one."""
        if self.log.writer._ledger.connection is None:
            self.log.push_all([push])  # what opens the file again after a fault
            self.streams[push.series].push(push)
        stream = self.streams[push.series]
        outcome = put_in(self.log, push)
        assert outcome.status == stream.push(push, backfill=True)
        if outcome.status == "backfilled":  # what had been discarded of it waits no more
            stream.taken += stream.late.pop((push.minute, tuple(sorted(push.values.items()))), 0)

    @rule(series=st.integers(1, 3))
    def backfill_what_was_kept(self, series: int) -> None:
        """Put the first packet that was discarded into history: it leaves its list."""
        stream = self.streams[series]
        for one in self.log.writer.kept_of(series, None, 1):
            assert one.at_ms is not None
            names = {code: name for name, code in CHANNEL.items()}
            values = {names[c]: v for c, v in values_of(one.body, one.flags).values.items()}
            minute = (one.at_ms - at_ms(0)) // 60_000
            push = Push(series, minute, values, Form(one.flags & 3))
            outcome = put_in(self.log, push, KEPT, kept_id=one.id)
            if outcome.status == "failed":
                continue
            assert outcome.status == stream.push(push, backfill=True)
            stream.taken += stream.late.pop((minute, tuple(sorted(values.items()))))

    def _check_outcomes(self, pushes: list[Push], outcomes: list[Outcome]) -> None:
        for push, outcome in zip(pushes, outcomes, strict=True):
            assert outcome.latest_at_ms >= at_ms(push.minute)
            assert (outcome.reason == "not_chronological") == (outcome.status == "discarded")
        last = dict(zip((push.series for push in pushes), outcomes, strict=True))
        for series, outcome in last.items():
            assert outcome.latest_at_ms == at_ms(self.streams[series].minute)

    @rule(
        pushes=st.lists(PUSHES, min_size=1, max_size=3),
        fault=st.sampled_from(["full", "torn", "broken"]),
        after=st.integers(0, 3),
    )
    def push_on_a_disk_that_does_not_write(
        self, pushes: list[Push], fault: str, after: int
    ) -> None:
        """What failed left no trace: the model does not hear of it."""
        setattr(self.vfs.disk, fault, True)
        self.vfs.disk.after = after
        for push in pushes:
            (outcome,) = self.log.push_all([push])
            if outcome.status != "failed":
                assert outcome.status == self.streams[push.series].push(push)
        self.vfs.disk.heal()

    @rule(push=PUSHES)
    def push_on_a_disk_that_does_not_sync(self, push: Push) -> None:
        """After a failed sync a packet may be there or not, and its retry tells which."""
        before = self.streams[push.series]
        self.vfs.disk.unsynced = True
        outcomes = [self.log.push_all([push])[0].status for _ in range(3)]
        self.vfs.disk.heal()
        outcomes.append(self.log.push_all([push])[0].status)
        expected = before.push(push)
        if expected == "accepted" and outcomes[-1] == "duplicate":
            before.duplicates += 1
        elif expected == "discarded":  # each try that is in the log counts as one
            kept = sum(one.repeats for one in self.reader.kept(push.series, 1_000))
            missing = kept - sum(before.late.values())
            assert 0 <= missing <= len(outcomes)
            before.late[push.minute, tuple(sorted(push.values.items()))] += missing
        else:
            assert outcomes[-1] == expected
        before.duplicates += outcomes[:-1].count("duplicate")

    @rule()
    def restart(self) -> None:
        """Stop and start in good order: nothing changes."""
        self._close()
        self._open()
        for series, counters in self.reader.counters().items():
            assert counters.duplicate == self.streams[series].duplicates

    @rule()
    def crash(self) -> None:
        """Be killed: go on with the files as they are; counts of duplicates may lag."""
        self.opened += 1
        self.path = copy_as_after_a_crash(self.path, self.folder / str(self.opened))
        self._close()
        self._open()
        counters = self.reader.counters()
        for series, stream in self.streams.items():
            stored = counters[series].duplicate if series in counters else 0
            assert stored <= stream.duplicates
            stream.duplicates = stored

    @rule()
    def flush(self) -> None:
        """Bring the streams' rows up to date."""
        if self.log.writer._ledger.connection is not None:
            self.log.writer._ledger.flush()

    @precondition(lambda self: self.reader.last_seq() > 4)
    @rule(back=st.integers(0, 6))
    def drop_segments(self, back: int) -> None:
        """Old packets go; the latest of each stream and all counts stay."""
        ledger = self.log.writer._ledger
        if ledger.connection is not None:
            ledger.drop_segments(self.reader.last_seq() - back, RECEIVED_MS + 1)
            self.first_seq = max(self.first_seq, self.reader.first_seq())

    @invariant()
    def readers_see_what_the_model_says(self) -> None:
        """Entries, latest packets, counts and kept packets are those of the model."""
        entries = self.reader.read(0)
        if entries:
            assert entries[0].seq <= self.first_seq
            first = entries[0].seq
            assert [e.seq for e in entries] == list(range(first, first + len(entries)))
        total = sum(len(s.entries) + len(s.history) for s in self.streams.values())
        assert self.reader.last_seq() == total
        counters = self.reader.counters()
        for series, stream in self.streams.items():
            own = [entry for entry in entries if entry.series == series]
            mine = [_as_modelled(entry) for entry in own if not entry.flags & BACKFILLED]
            past = [_as_modelled(entry) for entry in own if entry.flags & BACKFILLED]
            assert mine == stream.entries[len(stream.entries) - len(mine) :]
            assert past == stream.history[len(stream.history) - len(past) :]
            late = sum(stream.late.values()) + stream.taken
            runs = self.reader.backfills(series, 1_000)
            assert sum(run.packets for run in runs) == len(stream.history)
            if series in counters:
                one = counters[series]
                counted = (one.accepted, one.discarded, one.backfilled)
                assert counted == (len(stream.entries), late, len(stream.history))
            else:
                assert not stream.entries
            head = self.reader.head(series)
            latest = self.log.writer.latest(series)
            if stream.entries:
                assert head is not None
                assert _as_modelled(head.entry) == stream.entries[-1]
                assert latest in (head.entry, None) or self.log.writer._ledger.connection is None
            else:
                assert head is None
                assert latest is None
            kept = {
                (
                    one.at_ms,
                    tuple(sorted(values_of(one.body, one.flags).values.items())),
                ): one.repeats
                for one in self.reader.kept(series, 1_000)
            }
            assert kept == {
                (at_ms(minute), tuple(sorted((CHANNEL[n], v) for n, v in values))): count
                for (minute, values), count in stream.late.items()
                if count
            }

    def _close(self) -> None:
        self.reader.close()
        self.log.close()

    def teardown(self) -> None:
        """Clean up."""
        self.small.undo()
        self.vfs.disk.heal()
        if hasattr(self, "log"):
            self._close()
        shutil.rmtree(self.folder)


CHANNEL = {"aP_1": 5, "aP_2": 6, "v_31": 31}
NAME = {channel: name for name, channel in CHANNEL.items()}


def _as_modelled(entry: Entry) -> tuple[int, dict[str, float]]:
    packet = values_of(entry.body, entry.flags)
    assert (packet.at_ms, packet.stream_id) == (entry.at_ms, f"stream-{entry.series}")
    values = {NAME[channel]: value for channel, value in packet.values.items()}
    return (entry.at_ms - at_ms(0)) // 60_000, values


LogMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, print_blob=True
)
TestLog = LogMachine.TestCase
TestLog.__doc__ = "Whatever happens in whatever order, promises 1 to 3 of the log hold."
