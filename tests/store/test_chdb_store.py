import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.store import reads, schema
from kilowatch.store.chdb_store import ChdbStore
from kilowatch.store.engine import StoreSettings
from kilowatch.store.newest import newest_intervals
from kilowatch.store.store import StoredStream

NAN = float("nan")
FOREVER = 2**60


def readings(
    rows: list[tuple[int, int, int, dict[int, float]]],
) -> ReadingBlock:
    """Make readings from (series, at_ms, seq, values)."""
    ints = {
        name: np.array([row[place] for row in rows], np.int64)
        for place, name in enumerate(("series", "at_ms", "seq"))
    }
    channels = sorted({channel for row in rows for channel in row[3]})
    return ReadingBlock(
        **ints,
        offset_min=np.full(len(rows), 60),
        flags=np.full(len(rows), 4),
        available_ms=ints["at_ms"] + 250,
        values={c: np.array([row[3].get(c, NAN) for row in rows]) for c in channels},
    )


def intervals(rows: list[tuple[int, int, int, int, float, float]]) -> IntervalBlock:
    """Make interval rows from (series, channel, start_ms, version, mean, amount)."""
    series, channel, start, version = (
        np.array([row[place] for row in rows], np.int64) for place in range(4)
    )
    mean, amount = (np.array([row[place] for row in rows], np.float64) for place in (4, 5))
    filled = np.full(len(rows), 1)
    return IntervalBlock(
        series=series,
        channel=channel,
        start_ms=start,
        duration_ms=filled * 300_000,
        version=version,
        count=filled,
        mean=mean,
        low=mean - 1.5,
        high=mean,
        amount=amount,
        unallocated=np.where(np.isnan(amount), NAN, 0.0),
        covered_ms=filled * 300_000,
        quality=filled * 0,
    )


def ones(block: IntervalBlock) -> np.ndarray:
    """Return generation 1 for every row."""
    return np.ones(len(block), np.int64)


def same(first: ReadingBlock | IntervalBlock, second: ReadingBlock | IntervalBlock) -> bool:
    """Tell whether two blocks hold the same figures, unknown being equal to unknown."""
    for name in (field.name for field in fields(first)):
        one, other = getattr(first, name), getattr(second, name)
        if name == "share_ms" and isinstance(first, IntervalBlock):
            one, other = first.shares(), second.shares()  # type: ignore[union-attr]
        if isinstance(one, dict):
            if one.keys() != other.keys():
                return False
            if not all(np.array_equal(one[c], other[c], equal_nan=True) for c in one):
                return False
        elif not np.array_equal(one, other, equal_nan=True):
            return False
    return True


def test_what_was_pushed_comes_back_as_it_was(store: ChdbStore) -> None:
    """Every column of a reading survives, and what a packet did not carry is not a zero."""
    block = readings([(7, 1_000, 1, {5: 1.5, 25: 10.25}), (7, 2_000, 2, {5: -0.1})])
    store.write_readings(block)
    back = store.pages.readings([7], 0, FOREVER)
    assert same(back, block)
    assert np.isnan(back.values[25][1])
    assert sorted(back.values) == [5, 25], "a channel that no packet carried is not there at all"


def test_a_correction_to_unknown_is_not_the_old_figure(store: ChdbStore) -> None:
    """A 5 that was corrected to "not known" is shown as not known before the engine has merged."""
    store.write_readings(readings([(1, 1_000, 1, {0: 5.0})]))
    store.write_readings(readings([(1, 1_000, 2, {0: NAN}), (1, 2_000, 3, {0: 6.0})]))
    both = store.pages.readings([1], 0, FOREVER)
    assert both.seq.tolist() == [2, 3]
    assert np.isnan(both.values[0][0])
    limited = store.pages.first_readings(1, 0, FOREVER, 2)
    assert same(limited, both), "a superseded row does not count towards the limit"

    first, corrected = intervals([(1, 0, 0, 1, 5.0, 5.0)]), intervals([(1, 0, 0, 2, NAN, NAN)])
    store.write_intervals(first, ones(first))
    store.write_intervals(corrected, ones(corrected))
    back = store.pages.intervals({1: 1}, None, 0, FOREVER)
    assert same(back, corrected)
    store._engine.execute("SYSTEM START MERGES interval")
    store._engine.execute("OPTIMIZE TABLE interval FINAL")
    assert same(store.pages.intervals({1: 1}, None, 0, FOREVER), corrected)


def test_an_older_figure_that_arrives_late_changes_nothing(store: ChdbStore) -> None:
    """A replay writes partial intervals again; the complete ones have the larger version."""
    complete, partial = intervals([(1, 5, 0, 9, 2.0, 1.0)]), intervals([(1, 5, 0, 4, 1.0, 0.5)])
    store.write_intervals(complete, ones(complete))
    store.write_intervals(partial, ones(partial))
    assert same(store.pages.intervals({1: 1}, [5], 0, FOREVER), complete)


def test_rows_of_an_earlier_grid_are_not_read(store: ChdbStore) -> None:
    """After an interval is changed from 5 to 15 minutes the 5-minute rows are still on disk."""
    block = intervals(
        [(1, 5, 0, 1, 1.0, NAN), (1, 5, 300_000, 2, 2.0, NAN), (2, 5, 0, 3, 3.0, NAN)]
    )
    store.write_intervals(block, np.array([1, 1, 4]))
    later = intervals([(1, 5, 0, 2, 1.5, NAN)])
    store.write_intervals(later, np.array([2]))
    assert store.pages.intervals({1: 2}, None, 0, FOREVER).mean.tolist() == [1.5]
    both = store.pages.intervals({1: 2, 2: 4}, None, 0, FOREVER)
    assert both.mean.tolist() == [1.5, 3.0], "each series is read on its own grid"
    assert len(store.pages.intervals({1: 3}, None, 0, FOREVER)) == 0


def test_hours_and_days_are_kept_apart(store: ChdbStore) -> None:
    """An hour and a day that begin at the same instant are two rows."""
    block = intervals([(1, 5, 0, 1, 1.0, 1.0)])
    store.write_rollups("hour", block, ones(block))
    store.write_rollups("day", intervals([(1, 5, 0, 1, 2.0, 24.0)]), ones(block))
    assert store.pages.rollups("hour", {1: 1}, [5], 0, FOREVER).amount.tolist() == [1.0]
    assert store.pages.rollups("day", {1: 1}, [5], 0, FOREVER).amount.tolist() == [24.0]
    assert store.pages.days(1, 1, 0, FOREVER).tolist() == [0]
    assert store.pages.days(1, 2, 0, FOREVER).tolist() == []


def test_each_stream_is_read_from_its_own_instant(store: ChdbStore) -> None:
    """The pipeline loads what a thousand streams need in one query, no more of each than that."""
    rows = [(s, at, s * 10 + at, {0: float(at)}) for s in (1, 2, 3) for at in (100, 200, 300)]
    store.write_readings(readings(rows))
    block = store.own.readings_since({1: 200, 2: 300})
    assert list(zip(block.series.tolist(), block.at_ms.tolist(), strict=True)) == [
        (1, 200), (1, 300), (2, 300),
    ]  # fmt: skip
    exact = store.own.readings_at({1: [100, 150], 3: [200, 300], 2: []})
    assert list(zip(exact.series.tolist(), exact.at_ms.tolist(), strict=True)) == [
        (1, 100), (3, 200), (3, 300),
    ]  # fmt: skip
    assert len(store.own.readings_since({})) == len(store.own.readings_at({})) == 0
    for single in (store.own.readings_since({1: 200}, single=True), block.take(slice(2))):
        assert single.seq.tolist() == [210, 310]
        assert {channel: v.tolist() for channel, v in single.values.items()} == {0: [200.0, 300.0]}
    there = store.own.instants_there({1: [100, 150, 300], 3: [200, 250], 2: [], 9: [100]})
    assert {series: sorted(some) for series, some in there.items()} == {1: [100, 300], 3: [200]}
    assert store.own.instants_there({}) == {}


def test_the_store_knows_what_it_has_of_every_stream(store: ChdbStore) -> None:
    """From this the pipeline finds its way back when its own file is gone."""
    assert store.own.streams() == {}
    store.write_readings(readings([(1, 100, 1, {0: 1.0}), (1, 200, 2, {0: 2.0})]))
    store.write_readings(readings([(1, 200, 3, {0: 2.5}), (4, 50, 9, {0: 2.0})]))
    block = intervals([(1, 5, 0, 1, 1.0, NAN), (1, 5, 1, 1, 1.0, NAN)])
    store.write_intervals(block, np.array([1, 3]))
    found = store.own.streams()
    assert found == {1: StoredStream(2, 200, 3, 3), 4: StoredStream(1, 50, 9, 0)}


@pytest.mark.parametrize("limit", [1, 2, 7, 29, 30, 31, 1000])
def test_the_first_readings_are_the_first_whatever_was_superseded(
    store: ChdbStore, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """A recomputation goes through the readings in slices, and none is skipped or old."""
    monkeypatch.setattr(reads, "_SUPERSEDED", 1)
    seq = 0
    for version in range(5):
        rows = []
        for at in range(30):
            if at % 5 <= version or at == 17:
                seq += 1
                rows.append((1, at, seq, {0: float(version)}))
        store.write_readings(readings(rows))
    store.write_readings(readings([(2, 0, 1, {0: 9.0})]))
    everything = store.pages.readings([1], 0, FOREVER)
    found = store.pages.first_readings(1, 0, FOREVER, limit)
    assert same(found, everything.take(slice(limit)))
    assert (found.values[0] == 4.0).all()


def test_each_stream_is_read_between_its_own_instants(store: ChdbStore) -> None:
    """Closing an hour of many streams at once reads no more of each than is missing."""
    block = intervals([(s, 5, at, 1, float(at), NAN) for s in (1, 2) for at in (100, 200, 300)])
    store.write_intervals(block, ones(block))
    found = store.own.intervals({1: 1, 2: 1}, None, {1: 200, 2: 100}, {1: 400, 2: 300})
    assert list(zip(found.series.tolist(), found.start_ms.tolist(), strict=True)) == [
        (1, 200), (1, 300), (2, 100), (2, 200),
    ]  # fmt: skip


def test_a_mean_without_known_extremes_stays_without(store: ChdbStore) -> None:
    """Extremes equal to the mean take no room on disk; that must not invent any."""
    block = intervals([(1, 5, 0, 1, 2.0, NAN), (1, 5, 1, 1, NAN, 3.0), (1, 5, 2, 1, 4.0, NAN)])
    block.low = np.array([2.0, 1.0, NAN])
    block.high = np.array([NAN, 9.0, 4.5])
    store.write_intervals(block, ones(block))
    assert same(store.pages.intervals({1: 1}, None, 0, FOREVER), block)


def test_what_was_written_survives_the_death_of_the_process(folder: Path) -> None:
    """A write that returned is there after kill -9, and the folder opens again at once."""
    program = (
        "import sys, time; from pathlib import Path; import numpy as np\n"
        "from kilowatch.store.chdb_store import ChdbStore\n"
        "from kilowatch.model.blocks import ReadingBlock\n"
        "store = ChdbStore(Path(sys.argv[1])); n = np.arange(1000, dtype=np.int64)\n"
        "store.write_readings(ReadingBlock(n * 0 + 1, n, n * 0, n * 0, n, n, {0: n * 0.5}))\n"
        "print('written', flush=True); time.sleep(60)\n"
    )
    arguments = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        with pytest.raises(KilowatchError, match=f"process number {child.pid}") as refusal:
            ChdbStore(folder)
        assert refusal.value.code == "store_locked"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    store = ChdbStore(folder)
    try:
        assert store.pages.readings([1], 0, FOREVER).values[0].sum() == sum(range(1000)) * 0.5
    finally:
        store.close()


def test_tables_of_a_later_release_are_refused(folder: Path) -> None:
    """Going back to an old program says so instead of misreading the data."""
    store = ChdbStore(folder)
    store._engine.execute(f"INSERT INTO schema_version VALUES ({len(schema.MIGRATIONS) + 1})")
    store.close()
    with pytest.raises(KilowatchError, match="Start the Kilowatch release") as refusal:
        ChdbStore(folder)
    assert refusal.value.code == "store_newer"


def test_tables_move_forward_when_the_program_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of the first version gets what later versions add, once, and keeps its data."""
    store = ChdbStore(folder)
    store.write_readings(readings([(1, 1_000, 1, {0: 5.0})]))
    store.close()
    added = ("ALTER TABLE reading ADD COLUMN IF NOT EXISTS later Nullable(Float64)",)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, added))
    for _ in range(2):
        store = ChdbStore(folder)
        versions = store._engine.query("SELECT version FROM schema_version ORDER BY version")
        numbers = list(range(1, len(schema.MIGRATIONS) + 1))
        assert versions.column("version").to_pylist() == numbers
        assert store.pages.readings([1], 0, FOREVER).values[0].tolist() == [5.0]
        assert "later" in store._engine.query("SELECT * FROM reading").column_names
        store.close()


def test_roll_ups_keep_the_time_of_each_quality(store: ChdbStore) -> None:
    """A day that is derived for 3 h, edited for 2 and estimated for 1 is read back as that."""
    block = intervals([(1, 24, 0, 5, 1.0, 1.0), (1, 24, 86_400_000, 6, 1.0, 1.0)])
    block.duration_ms[:] = block.covered_ms[:] = 86_400_000
    block.quality[:] = [4, 0]
    block.share_ms = np.array([[10_800_000, 7_200_000, 3_600_000, 60_000], [0, 0, 0, 0]])
    store.write_rollups("day", block, ones(block))
    back = store.pages.rollups("day", {1: 1}, None, 0, FOREVER)
    assert same(back, block)
    assert back.shares().tolist() == block.share_ms.tolist()


def test_days_and_the_hours_after_them_are_one_question(store: ChdbStore) -> None:
    """Each stream has its days up to an instant of its own, and its hours from there."""
    day_ms, hour_ms = 86_400_000, 3_600_000
    days = intervals([(s, 5, n * day_ms, 1, 1.0, n + 0.5) for s in (1, 2) for n in range(4)])
    hours = intervals([(s, 5, n * hour_ms, 1, 1.0, n + 0.25) for s in (1, 2) for n in range(96)])
    store.write_rollups("day", days, ones(days))
    store.write_rollups("hour", hours, ones(hours))
    newer = intervals([(1, 5, day_ms, 2, 1.0, 9.0)])
    store.write_rollups("day", newer, ones(newer))
    grids = {1: 1, 2: 1}
    for middle, until in (
        ({1: 2 * day_ms, 2: 3 * day_ms}, {1: 2 * day_ms + 7 * hour_ms, 2: 3 * day_ms}),
        (2 * day_ms, 4 * day_ms),
        ({1: day_ms, 2: day_ms}, {1: 5 * day_ms, 2: 30 * hour_ms}),
    ):
        for channels in ([5], None, [6]):
            own = store.pages.days_then_hours(grids, channels, day_ms, middle, until)
            apart = (
                store.pages.rollups("day", grids, channels, day_ms, middle),
                store.pages.rollups("hour", grids, channels, middle, until),
            )
            for mine, theirs in zip(own, apart, strict=True):
                assert same(mine, theirs)
                assert bool(len(mine)) is bool(len(theirs))
    assert not any(map(len, store.pages.days_then_hours({}, None, 0, 1, 2)))


def test_roll_ups_of_the_first_version_read_as_far_as_they_knew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old folder's derived days stay derived throughout; more than that they did not know."""
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
    old = ChdbStore(folder)
    columns = "series, generation, grain, channel, start, duration, version, covered, quality"
    old._engine.execute(
        f"INSERT INTO rollup ({columns}) VALUES (1, 1, 2, 24, 0, 86400000, 1, 80000000, 1), "
        "(1, 1, 2, 24, 86400000, 86400000, 1, 70000000, 4), "
        "(1, 1, 2, 24, 172800000, 86400000, 1, 60000000, 0)"
    )
    old.close()
    monkeypatch.undo()
    store = ChdbStore(folder)
    days = store.pages.rollups("day", {1: 1}, None, 0, FOREVER)
    assert days.shares().tolist() == [[80_000_000, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert days.quality.tolist() == [1, 4, 0]
    store.write_rollups("day", days, ones(days))
    assert same(store.pages.rollups("day", {1: 1}, None, 0, FOREVER), days)
    store.close()


def test_a_slow_query_ends_at_its_limit_and_stops_nobody(folder: Path) -> None:
    """A page that asks for too much gets an answer that says so, while others go on."""
    limits = StoreSettings(readers=2, query_s_max=5.0, query_bytes_max=50_000_000)
    store = ChdbStore(folder, limits)
    block = intervals([(1, 5, 0, 1, 1.0, 1.0)])
    refused: list[KilowatchError] = []

    def ask_too_much() -> None:
        try:
            store._engine.query("SELECT count() FROM numbers(100000000000) WHERE number % 7 = 9")
        except KilowatchError as error:
            refused.append(error)

    slow = threading.Thread(target=ask_too_much)
    slow.start()
    time.sleep(0.1)
    store.write_intervals(block, ones(block))
    assert len(store.pages.intervals({1: 1}, None, 0, FOREVER)) == 1
    assert slow.is_alive(), "both came and went while the slow query was running"
    slow.join()
    assert [(error.code, error.retry_helps) for error in refused] == [("store_busy", True)]
    with pytest.raises(KilowatchError) as greedy:
        store._engine.query("SELECT groupArray(number) FROM numbers(100000000)")
    assert greedy.value.code == "store_busy"
    store.close()
    store.close()


def test_a_store_that_is_closed_refuses_at_once(folder: Path) -> None:
    """A stop is not held up by an export that would wait ten seconds for each half of a slice.

    Who waits for a connection when it is closed is told too, and everybody after that.
    """
    store = ChdbStore(folder, StoreSettings(readers=1, query_s_max=60.0))
    refused: list[str] = []

    def ask() -> None:
        try:
            store.pages.intervals({1: 1}, None, 0, FOREVER)
        except KilowatchError as error:
            refused.append(error.code)

    with store._engine._borrow(store._engine._pages):
        waiting = [threading.Thread(target=ask) for _ in range(2)]
        for one in waiting:
            one.start()
        closing = threading.Thread(target=store.close)
        closing.start()
    for one in (closing, *waiting):
        one.join()
    ask()
    ask()
    assert refused[-2:] == ["store_closed"] * 2
    assert set(refused) == {"store_closed"}
    with pytest.raises(KilowatchError, match="the platform is stopping"):
        store.own.intervals({1: 1}, None, 0, FOREVER)


def test_rows_are_found_however_large_their_numbers_are() -> None:
    """Series with huge numbers over a century of instants sort right all the same."""
    rows = [
        (series, channel, start, 1, 1.0, NAN)
        for start in (2**42, 0, 5)
        for channel in (255, 0)
        for series in (2**31, 7, 2**20 + 1, 7)
    ]
    rows += [(number + 10, 3, 2**42 - number, 1, 1.0, NAN) for number in range(5000)]
    found = newest_intervals(intervals(rows))
    keys = list(
        zip(found.series.tolist(), found.channel.tolist(), found.start_ms.tolist(), strict=True)
    )
    assert keys == sorted({row[:3] for row in rows})


rows_of_any_kind = st.lists(
    st.tuples(
        st.integers(1, 3), st.sampled_from([0, 5, 24]), st.integers(0, 4), st.integers(1, 50)
    ),
    max_size=40,
)


@given(rows_of_any_kind, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_order_and_repetition_of_rows_do_not_matter(
    keys: list[tuple[int, int, int, int]], random: Random
) -> None:
    """However parts lie on disk, the newest row of each interval is the one that is shown."""
    expected: dict[tuple[int, int, int], int] = {}
    for series, channel, start, version in keys:
        key = (series, channel, start)
        expected[key] = max(version, expected.get(key, 0))
    twice = keys + keys
    random.shuffle(twice)
    block = intervals([(*key, float(key[3]), NAN) for key in twice]) if twice else None
    found = newest_intervals(block or IntervalBlock.empty())
    assert list(
        zip(found.series.tolist(), found.channel.tolist(), found.start_ms.tolist(), strict=True)
    ) == sorted(expected)
    assert found.version.tolist() == [expected[key] for key in sorted(expected)]
    assert np.array_equal(found.mean, found.version)
