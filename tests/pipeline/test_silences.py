"""Streams that fall silent are found when they are due; nobody is blamed for our own absence."""

from __future__ import annotations

import time
from pathlib import Path

import apsw
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from kilowatch.model.silences import Silence
from kilowatch.pipeline.silences import Silences
from tests.pipeline.pipeline_world import START_MS, point
from tests.pipeline.silence_world import MIN, H, Nights, S

FIVE = 5 * MIN  # registered in these tests, with 2.5 min of tolerance


def regular(nights: Nights, count: int, every_ms: int = FIVE, late_ms: int = 0) -> None:
    """Push some packets of stream 1, one an interval, and look all the time."""
    for _ in range(count):
        nights.push(1, late_ms)
        nights.wait(every_ms, 5 * S)


def test_a_silence_is_found_when_the_next_packet_is_due(tmp_path: Path) -> None:
    """Five minutes and two and a half of tolerance after the last packet, within two seconds."""
    nights = Nights(tmp_path, point(1))
    nights.push(1, credential=7)
    nights.wait(FIVE + 150 * S)
    assert not nights.open
    nights.wait(2 * S)
    due_ms = START_MS + FIVE + 150 * S
    ((number, silence),) = nights.feed()
    assert number > 0
    assert silence == Silence(1, 1, 1, 1, 7, START_MS, due_ms, silence.found_ms)
    assert due_ms <= silence.found_ms <= due_ms + 2 * S
    assert nights.silences.open() == [silence]


def test_pages_are_told_of_contact_as_silences_see_it(tmp_path: Path) -> None:
    """By arrivals, with their own allowance; a change is announced when it is found."""
    late_ms = 15 * H
    nights = Nights(tmp_path, point(1), point(2))
    one, two = nights.points.points[1], nights.points.points[2]
    assert nights.watch.contact(one) is None, "nothing was heard yet"
    assert nights.watch.silent() is None
    regular(nights, 4, late_ms=late_ms)
    contact = nights.watch.contact(one)
    assert contact is not None
    assert (contact.live, contact.silent) == (True, False)
    assert contact.heard_ms == nights.now_ms - FIVE
    assert contact.due_ms == contact.heard_ms + contact.allowed_ms == contact.heard_ms + 450 * S
    assert nights.changes == [{1}], "that it is live"
    other = nights.watch.contact(two)
    assert other is not None
    assert not other.live
    nights.accepting = None
    nights.wait(FIVE)
    contact = nights.watch.contact(one)
    assert contact is not None
    assert not contact.silent
    assert contact.due_ms > nights.now_ms, "while no packets are taken nobody is late for it"
    nights.accepting = START_MS
    nights.wait(S)
    contact = nights.watch.contact(one)
    assert contact is not None
    assert contact.silent
    assert contact.due_ms < nights.now_ms
    assert nights.watch.silent() == frozenset({1})
    nights.push(1, late_ms)
    nights.wait(S)
    assert nights.watch.silent() == frozenset()
    assert nights.changes == [{1}] * 3


def test_a_silence_ends_with_the_arrival_of_a_packet(tmp_path: Path) -> None:
    """The feed tells the end under a number of its own, and then there is no more to tell."""
    nights = Nights(tmp_path, point(1))
    nights.push(1)
    nights.wait(20 * MIN)
    back_ms = nights.now_ms
    nights.push(1, late_ms=10 * MIN)  # the gateway sends what it has kept
    nights.wait(MIN)
    (first, found), (second, ended) = nights.feed()
    assert second > first
    assert ended.ended_ms == back_ms
    assert ended.found_ms == found.found_ms
    assert not nights.open
    assert nights.silences.changes(second, 10) == []
    assert nights.silences.changes(first, 10) == [(second, ended)]


@pytest.mark.parametrize("late_ms", [0, 30 * S, H, 26 * H, -2 * H])
def test_a_stream_that_is_always_late_by_as_much_is_not_silent(
    tmp_path: Path, late_ms: int
) -> None:
    """An hour late every time, a day late, or a clock that is fast: packets come, all is well."""
    nights = Nights(tmp_path, point(1))
    regular(nights, 12, late_ms=late_ms)
    assert nights.told == []
    nights.wait(FIVE)
    assert nights.open == [1], "and when they stop, it is"


def test_amounts_may_be_stamped_at_either_end(tmp_path: Path) -> None:
    """An hourly amount stamped at the start comes an hour after its stamp, and is on time."""
    nights = Nights(tmp_path, point(1, interval_s=3600, tolerance_s=600.0))
    regular(nights, 5, every_ms=H, late_ms=H)
    assert nights.told == []


def test_pushing_every_15_minutes_what_is_registered_for_5_is_no_silence(tmp_path: Path) -> None:
    """After three regular packets the rhythm is known: the mismatch is told, no alarm any more."""
    nights = Nights(tmp_path, point(1))
    regular(nights, 2, every_ms=15 * MIN)
    assert nights.told == [(1, False), (1, True), (1, False)], "nobody can know yet"
    regular(nights, 10, every_ms=15 * MIN)
    assert nights.told == [(1, False), (1, True), (1, False), (1, True)]
    nights.wait(8 * MIN)
    assert nights.open == [1], "23 minutes are too long for that rhythm as well"


def test_uploads_of_an_hours_packets_at_once_are_a_rhythm_too(tmp_path: Path) -> None:
    """A logger on batteries that dials in every hour is silent only if it misses its hour."""
    nights = Nights(tmp_path, point(1))
    for _ in range(8):
        for late_ms in range(55 * MIN, -1, -FIVE):
            nights.push(1, late_ms)
        nights.wait(H, 5 * S)
    assert nights.told == [(1, False), (1, True)] * 2
    nights.wait(H)
    assert nights.open == [1]


def test_one_long_pause_is_no_rhythm(tmp_path: Path) -> None:
    """After an outage of three hours the next silence is found as soon as ever."""
    nights = Nights(tmp_path, point(1))
    regular(nights, 5)
    nights.wait(3 * H, 30 * S)
    regular(nights, 3)
    assert nights.told == [(1, False), (1, True)]
    nights.wait(150 * S + 1 * S)
    assert nights.open == [1]


def test_an_irregular_stream_has_its_whole_interval(tmp_path: Path) -> None:
    """What is sent on change only is registered with its longest silence, here a day."""
    nights = Nights(tmp_path, point(1, interval_s=86_400, tolerance_s=0.0))
    for pause_ms in (H, 3 * MIN, 22 * H, S, 14 * H, 24 * H):
        nights.push(1)
        nights.wait(pause_ms, MIN)
    assert nights.told == []
    nights.wait(H + 2 * S, MIN)
    assert nights.open == [1], "a day may have 25 hours, but no more"


@pytest.mark.parametrize("pause_ms", [100, 4 * MIN])
def test_history_is_not_silent(tmp_path: Path, pause_ms: int) -> None:
    """A year that is being imported ends without an alarm; live data after it counts again."""
    nights = Nights(tmp_path, point(1))
    for hour in range(100, 0, -1):
        nights.push(1, late_ms=hour * 24 * H)
        nights.wait(pause_ms, pause_ms)
    nights.wait(H, 30 * S)
    assert nights.told == []
    nights.push(1)
    nights.wait(8 * MIN)
    assert nights.open == [1]


def test_backfilled_packets_neither_end_nor_postpone_a_silence(tmp_path: Path) -> None:
    """What a person puts in from the past says nothing of the gateway."""
    nights = Nights(tmp_path, point(1))
    nights.push(1)
    nights.wait(5 * MIN)
    nights.push(1, late_ms=2 * H)
    nights.wait(150 * S + 2 * S)
    assert nights.open == [1]
    nights.push(1, late_ms=3 * H)
    nights.wait(MIN)
    assert nights.open == [1]


def test_no_alarm_for_the_time_in_which_no_packet_could_come(tmp_path: Path) -> None:
    """Maintenance of two hours: silence counts from its end, as if a packet had come then."""
    nights = Nights(tmp_path, point(1), point(2))
    nights.push(2)
    nights.wait(20 * MIN)
    assert nights.open == [2], "silent before, and it stays so"
    nights.push(1)
    nights.accepting = None
    nights.wait(2 * H, 10 * S)
    assert nights.told == [(2, False)]
    nights.accepting = nights.now_ms
    nights.wait(7 * MIN)
    assert nights.told == [(2, False)]
    due_ms = nights.accepting + FIVE + 150 * S
    nights.wait(40 * S)
    assert nights.open == [1, 2]
    assert nights.silences.open()[0].due_ms == due_ms
    assert nights.told == [(2, False), (1, False)], "and the old one is not told again"


def test_no_alarm_after_everything_was_down(tmp_path: Path) -> None:
    """A power cut of a night: all streams get an interval and their tolerance to come back."""
    nights = Nights(tmp_path, *(point(number) for number in range(1, 51)))
    for number in range(1, 51):
        nights.push(number)
    nights.wait(10 * S)
    nights.watch.save()
    nights.kill()
    nights.now_ms += 9 * H
    nights.accepting = nights.now_ms
    nights.start()
    for number in range(1, 41):
        nights.wait(5 * S)
        nights.push(number, late_ms=9 * H)
    nights.wait(252 * S)
    assert nights.told == [(number, False) for number in range(41, 51)]


def test_a_restart_of_the_platform_alone_delays_nothing(tmp_path: Path) -> None:
    """The collector took packets all the time: who was due meanwhile is found at once."""
    nights = Nights(tmp_path, point(1), point(2))
    nights.push(1)
    nights.push(2)
    nights.wait(MIN)
    nights.kill()
    nights.now_ms += 5 * MIN
    nights.push(2)
    nights.now_ms += 5 * MIN
    nights.start()
    nights.wait(1 * S)
    assert nights.told == [(1, False)], "stream 2 is in the log, whatever was processed"


def test_a_machine_that_slept_blames_nobody(tmp_path: Path) -> None:
    """After a clock jump of a day the collector counts from now, and so do we."""
    nights = Nights(tmp_path, point(1))
    nights.push(1)
    nights.wait(MIN)
    nights.now_ms += 24 * H
    nights.accepting = nights.now_ms
    nights.wait(7 * MIN)
    assert nights.told == []


def test_a_clock_that_is_set_back_does_not_blind_us(tmp_path: Path) -> None:
    """A packet from "tomorrow" must not keep a silence from being found until then."""
    nights = Nights(tmp_path, point(1))
    nights.push(1)
    nights.wait(MIN)
    nights.now_ms -= 24 * H
    nights.accepting = nights.now_ms
    nights.wait(8 * MIN)
    assert nights.open == [1]


def test_changed_intervals_count_at_once(tmp_path: Path) -> None:
    """Who registers 15 minutes in place of 5 is not told of a silence that is none."""
    nights = Nights(tmp_path, point(1))
    nights.push(1)
    nights.wait(8 * MIN)
    assert nights.open == [1]
    nights.points.points = dict(nights.points.points)
    nights.points.change(1, interval_s=900, tolerance_s=450.0)
    nights.wait(S)
    assert nights.told == [(1, False), (1, True)]
    nights.wait(14 * MIN + 30 * S)
    assert nights.open == [1]
    del nights.points.points[1]
    nights.points.points = dict(nights.points.points)
    nights.wait(S)
    assert nights.open == [], "a data point that is gone is not silent"


def test_a_full_disk_only_delays_what_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written is found, or ended, again when there is room."""
    nights = Nights(tmp_path, point(1))
    nights.push(1)

    def full(*_: object) -> None:
        raise apsw.FullError("disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Silences, "_tell", full)
        with pytest.raises(apsw.FullError):
            nights.wait(8 * MIN)
    nights.wait(S)
    assert nights.told == [(1, False)]
    nights.push(1)
    with monkeypatch.context() as patched:
        patched.setattr(Silences, "_tell", full)
        with pytest.raises(apsw.FullError):
            nights.wait(S)
    nights.wait(S)
    assert nights.told == [(1, False), (1, True)]


@pytest.mark.parametrize("lost", ["nothing", "segments", "the file"])
def test_the_watch_begins_where_the_log_allows(tmp_path: Path, lost: str) -> None:
    """Old packets may be gone from the log, and our own file too: each stream's last is there."""
    nights = Nights(tmp_path, point(1), point(2))
    nights.push(1)
    nights.wait(10 * S)
    nights.watch.save()
    nights.kill()
    nights.push(2)
    nights.push(1, late_ms=-1)
    if lost == "segments":
        nights.log.dropped = 2
    elif lost == "the file":
        nights.path.unlink()
    nights.start()
    nights.wait(8 * MIN)
    assert nights.open == [1, 2]


def test_numbers_are_never_given_twice_even_when_the_file_is_gone(tmp_path: Path) -> None:
    """Whoever has read up to a number would miss what is told under a smaller one."""
    nights = Nights(tmp_path, point(1))
    nights.push(1)
    nights.wait(8 * MIN)
    first = nights.silences.last_number()
    nights.kill()
    nights.path.unlink()
    nights.start()
    nights.wait(S)
    assert [number > first for number, _ in nights.feed()] == [True]


def test_what_lasts_is_never_behind_the_feed_that_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever compares the two at any moment must not take a beginning for an end."""
    silences = Silences(tmp_path / "silences.sqlite", START_MS)
    moments = []

    class Look:
        """Looks at both whenever the lock is let go of."""

        lock = silences._lock

        def __enter__(self) -> None:
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            self.lock.release()
            ((told,),) = silences._connection.execute(
                "SELECT count(*) - 2 * count(ended_ms) FROM change"
            )
            moments.append((told, len(silences._open)))

    monkeypatch.setattr(silences, "_lock", Look())
    silence = Silence(1, 1, 1, 1, 1, START_MS, START_MS + FIVE, START_MS + FIVE)
    silences.found([(silence, 1)])
    silences.ended({1: START_MS + 2 * FIVE})
    monkeypatch.undo()
    silences.close()
    assert moments == [(1, 1), (0, 0)]


def test_a_broken_file_is_put_aside_and_what_lasts_is_found_again(tmp_path: Path) -> None:
    """A damaged list of silences stops neither the pages nor the finding of silences."""
    nights = Nights(tmp_path, point(1))
    nights.push(1)
    nights.wait(8 * MIN)
    first = nights.silences.last_number()
    nights.watch.save()
    nights.kill()
    nights.path.write_bytes(b"no database" * 1_000)
    nights.start()
    nights.wait(S)
    assert nights.open == [1]
    assert nights.silences.last_number() > first
    assert [one.name for one in tmp_path.glob("*broken*")] != []


def test_packets_that_are_heard_again_after_a_crash_end_nothing(tmp_path: Path) -> None:
    """A restart reads some seconds of the log once more: what was silent after them still is."""
    nights = Nights(tmp_path, point(1))
    nights.kill()
    nights.start(save_ms=10 * H)
    nights.wait(S)
    nights.push(1)
    nights.wait(8 * MIN)
    assert nights.told == [(1, False)]
    nights.kill()
    nights.start()
    nights.wait(MIN)
    assert nights.told == [(1, False)]
    assert nights.open == [1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["push 1", "push 2", "late 1", "wait", "kill", "save", "down"]),
            st.integers(1, 900),
        ),
        max_size=25,
    )
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_killed_the_feed_tells_each_silence_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """With kill -9 at any moment the feed says the same as without, and found and ended alternate.

    The run without a kill is the expectation: same packets, same clock.
    """
    runs = []
    for kills in (True, False):
        nights = Nights(tmp_path_factory.mktemp("nights"), point(1), point(2))
        for what, seconds in steps:
            if what.startswith("push"):
                nights.push(int(what[-1]))
            elif what == "late 1":
                nights.push(1, late_ms=seconds * S)
            elif what == "down":
                nights.accepting = None
                nights.wait(seconds * S, MIN)
                nights.accepting = nights.now_ms
            elif what == "save" and kills:
                nights.watch.save()
            elif what == "kill" and kills:
                nights.kill()
                nights.start()
            nights.wait(seconds * S, 20 * S)
        for series in (1, 2):
            ends = [ended for one, ended in nights.told if one == series]
            assert ends == [bool(place % 2) for place in range(len(ends))]
        runs.append([one for _, one in nights.feed()])
        numbers = [number for number, _ in nights.feed()]
        assert numbers == sorted(set(numbers))
        nights.kill()
    assert runs[0] == runs[1]


def test_ten_thousand_streams_that_fall_silent_at_once_are_found_in_one_look(
    tmp_path: Path,
) -> None:
    """A data centre's power cut: all are told within ten seconds; here it takes about one."""
    count = 10_000
    nights = Nights(tmp_path, *(point(number) for number in range(1, count + 1)))
    for number in range(1, count + 1):
        nights.push(number)
    nights.watch.tick()
    nights.now_ms += FIVE + 151 * S
    began = time.thread_time()
    nights.watch.tick()
    found_s = time.thread_time() - began
    assert len(nights.open) == count
    assert len(nights.silences.changes(0, 20_000)) == count
    began = time.thread_time()
    nights.watch.tick()
    quiet_s = time.thread_time() - began
    assert found_s < 5
    assert quiet_s < 0.5
