"""What must hold when settings change on the way: the written rules, whatever the batches."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.model.blocks import ReadingBlock
from kilowatch.model.dated import MeterEvent
from kilowatch.pipeline.grids import PointGrid
from kilowatch.pipeline.growth import grow
from kilowatch.pipeline.state import Fall, Progress
from tests.pipeline.dated_cases import dated_streams, period_of, with_periods
from tests.pipeline.interval_cases import HOUR_MS, Packets, data_point, rows_by_key, same, streams
from tests.pipeline.interval_oracle import expected_rows
from tests.pipeline.test_intervals_properties import Rows, agree, slow

T0 = 1_740_787_200_000  # 2025-03-01T00:00Z
Falls = dict[int, list[Fall]]


def grown(
    several: list[Packets], cuts: list[int] | None = None
) -> tuple[Rows, Counter[str], Falls]:
    """Deliver streams in batches as the pipeline does; return rows, counts and falls."""
    everything = ReadingBlock.concatenate([packets.block() for packets in several])
    grids = {packets.point.series: PointGrid.of(packets.point) for packets in several}
    kept = ReadingBlock.empty()
    stored: Rows = {}
    counts: Counter[str] = Counter()
    progress = {packets.point.series: Progress() for packets in several}
    bounds = [*(cuts or []), int(everything.seq.max())]
    for first, last in zip([0, *bounds[:-1]], bounds, strict=True):
        new = everything.take((everything.seq > first) & (everything.seq <= last))
        block = ReadingBlock.concatenate([kept, new])
        block = block.take(np.lexsort((block.at_ms, block.series)))
        growth = grow(block, block.seq > first, grids, {})
        assert not growth.failures, growth.failures
        rows = rows_by_key(growth.intervals)
        assert all(row["version"] > first for row in rows.values())
        stored |= rows
        for series, grown_stream in growth.streams.items():
            fallen = growth.falls.get(series, ())
            progress[series].note_falls(fallen, grown_stream.anew_ms)
        counts["dropped"] += int((~growth.keep).sum())
        kept = block.take(growth.keep)
        grids = {
            series: PointGrid(
                grid.point,
                grid.zone,
                grid.clock,
                growth.streams[series].first_register_ms
                if series in growth.streams
                else grid.first_register_ms,
                growth.streams[series].first_export_ms
                if series in growth.streams
                else grid.first_export_ms,
            )
            for series, grid in grids.items()
        }
    return stored, counts, {series: one.falls for series, one in progress.items()}


def test_the_fast_rules_equal_the_slow_ones_when_settings_change() -> None:
    """Every figure is what the written rules give: factors, units, grids, exchanges, falls."""
    seen: Counter[str] = Counter()

    @settings(parent=slow, max_examples=700)
    @given(dated_streams(seen))
    def holds(packets: Packets) -> None:
        rows, _, _ = grown([packets])
        truth = expected_rows(packets)
        assert rows.keys() == truth.keys(), rows.keys() ^ truth.keys()
        for key, row in rows.items():
            assert agree(row, truth[key]), (key, row, truth[key])

    holds()
    often = {"periods": 300, "exchange": 100, "reset": 50, "roll_over": 50, "bad": 50}
    often |= {"moment packet": 200, "moment clock change": 50, "moment midnight": 50}
    often |= {"exchange in a gap": 5, "change of interval": 50, "change of ratio": 100}
    often |= {"change of unit": 50, "change of behaviour": 50, "gas": 5, "roll over": 20}
    rare = {edge: seen[edge] for edge, least in often.items() if seen[edge] < least}
    assert not rare, f"edges drawn too seldom: {rare} of {dict(seen)}"


@st.composite
def deliveries(draw: st.DrawFn, seen: Counter[str]) -> tuple[list[Packets], list[int]]:
    """Draw a stream with a history, with neighbours without, and where batches end."""
    drawn = [draw(dated_streams(seen, 1))]
    drawn += [
        draw(st.one_of(dated_streams(seen, series), streams(seen, series)))
        for series in range(2, draw(st.integers(1, 3)) + 1)
    ]
    owners = [index for index, packets in enumerate(drawn) for _ in packets.at_ms]
    owners = draw(st.permutations(owners))
    numbers: list[list[int]] = [[] for _ in drawn]
    for seq, owner in enumerate(owners, start=1):
        numbers[owner].append(seq)
    numbered = [packets.numbered(seq) for packets, seq in zip(drawn, numbers, strict=True)]
    cuts = draw(st.lists(st.integers(1, len(owners) - 1), max_size=12, unique=True))
    return numbered, sorted(cuts)


def test_any_cut_into_batches_gives_the_same_rows_when_settings_change() -> None:
    """Live packets, a restart and a recomputation give the same figures, to the last bit."""
    seen: Counter[str] = Counter()

    @settings(parent=slow, max_examples=700)
    @given(deliveries(seen))
    def holds(delivery: tuple[list[Packets], list[int]]) -> None:
        several, cuts = delivery
        stored, counts, falls = grown(several, cuts)
        at_once, _, falls_at_once = grown(several)
        assert falls == falls_at_once
        assert stored.keys() == at_once.keys(), stored.keys() ^ at_once.keys()
        for key, row in at_once.items():
            assert same(row, stored[key]), (row, stored[key])
        seen["dropped"] += counts["dropped"]
        seen["falls"] += any(falls.values())

    holds()
    assert seen["falls"] > 50
    assert seen["dropped"] > 1000, "the context must not be the whole history"
    assert seen["periods"] > 300


def test_an_exchange_that_nearer_packets_have_passed_by_is_still_in_its_interval() -> None:
    """The dial is silent while powers go on: its next figure completes the hour of the exchange."""
    minutes = {"18:30": 0.0, "19:05": 35.0, "20:20": None, "20:45": 55.0}
    at_ms = [T0 + int(at[:2]) * HOUR_MS + int(at[3:]) * 60_000 for at in minutes]
    values = [{4: 1.0} if figure is None else {25: figure} for figure in minutes.values()]
    exchanged = MeterEvent("exchange", T0 + 19 * HOUR_MS + 50 * 60_000, 25, 80.0, 0.0)
    point = data_point(kind="electrical", unit="Wh", tolerance_s=0.0)
    packets = Packets(with_periods(point, events=(exchanged,)), at_ms, values)
    at_once, _, _ = grown([packets])
    stored, _, _ = grown([packets], [1, 2, 3])
    assert stored.keys() == at_once.keys()
    assert all(same(row, stored[key]) for key, row in at_once.items())
    assert at_once[1, 25, T0 + 19 * HOUR_MS]["amount"] == 5.0 + 45.0 + 10.0


def test_an_exchange_that_is_told_ahead_counts_when_a_packet_has_come_after_it() -> None:
    """Until then nobody knows which packet is the last one before it, and what that will show."""
    figures = {"10:00": 100.0, "13:45": 90.0, "15:30": 5.0}
    at_ms = [T0 + int(at[:2]) * HOUR_MS + int(at[3:]) * 60_000 for at in figures]
    exchanged = MeterEvent("exchange", T0 + 14 * HOUR_MS + 30 * 60_000, None, 109.0, 0.0)
    point = with_periods(data_point(tolerance_s=5 * 3600.0), events=(exchanged,))
    packets = Packets(point, at_ms, [{0: figure} for figure in figures.values()])
    at_once, _, _ = grown([packets])
    for cuts in ([1], [1, 2], [2]):
        stored, _, _ = grown([packets], cuts)
        assert stored.keys() == at_once.keys()
        assert all(same(row, stored[key]) for key, row in at_once.items())
    known = {key[2]: row["amount"] for key, row in at_once.items() if row["amount"] > 0}
    assert sorted((start - T0) // HOUR_MS for start in known) == [13, 14, 15]
    assert sum(known.values()) == pytest.approx(19_000.0 + 5_000.0)
    ahead, _, _ = grown([Packets(point, at_ms[:2], packets.values[:2])])
    assert not any(row["amount"] > 0 for row in ahead.values())


@pytest.mark.parametrize("last", [None, 20.0])
def test_a_packet_before_what_was_told_ahead_may_make_a_gap_of_the_time_up_to_it(
    last: float | None,
) -> None:
    """Seven minutes are no gap, but one minute is allowed from a date on that lies between."""
    at_ms = [T0 + 60_000 * minute for minute in (0, 7, 10, 17, 24)]
    told = MeterEvent("exchange", T0 + 14 * 60_000, None, last, 0.0)
    own = data_point(interval_s=60, tolerance_s=0.0)
    early = period_of(own, interval_s=420)
    point = with_periods(own, early, period_of(own, T0 + 10 * 60_000), events=(told,))
    packets = Packets(point, at_ms, [{0: value} for value in (1.0, 8.0, 11.0, 3.0, 10.0)])
    at_once, _, _ = grown([packets])
    for cuts in ([1, 2], [2], [1, 2, 3, 4], [3]):
        stored, _, _ = grown([packets], cuts)
        assert stored.keys() == at_once.keys()
        assert all(same(row, stored[key]) for key, row in at_once.items())


@pytest.mark.parametrize("later_ms", [60_000, 1, 0])
def test_a_packet_without_the_register_is_enough_for_what_was_read_off_it(later_ms: int) -> None:
    """The new meter sends powers only: what the old one counted up to its exchange is there."""
    at_ms = [T0, T0 + 60_000, T0 + 120_000, T0 + 150_000 + later_ms, T0 + 300_000]
    values = [{25: 1.0, 5: 60.0}, {25: 2.0, 5: 60.0}, {5: 60.0}, {5: 60.0}, {5: 60.0}]
    told = MeterEvent("exchange", T0 + 150_000, 25, 4.5, 0.0)
    own = data_point(kind="electrical", unit="Wh", interval_s=60, tolerance_s=60.0)
    packets = Packets(with_periods(own, events=(told,)), at_ms, values)
    at_once, _, _ = grown([packets])
    for cut in range(1, len(at_ms)):
        stored, _, _ = grown([packets], [cut])
        assert stored.keys() == at_once.keys()
        assert all(same(row, stored[key]) for key, row in at_once.items())
    amounts = [row["amount"] for key, row in sorted(at_once.items()) if key[1] == 25]
    assert np.nansum(amounts) == pytest.approx(3.5)


def test_a_longer_silence_that_is_allowed_from_a_date_reaches_back_before_it() -> None:
    """Every 15 minutes from noon: a dial last read at 11:46 and then at 12:05 is no gap."""
    minutes = {"11:41": 0.0, "11:46": 5.0, "11:59": None, "12:05": 24.0}
    at_ms = [T0 + int(at[:2]) * HOUR_MS + int(at[3:]) * 60_000 for at in minutes]
    values = [{4: 1.0} if figure is None else {25: figure} for figure in minutes.values()]
    point = data_point(kind="electrical", unit="Wh")
    early = period_of(point, interval_s=300, tolerance_s=150.0)
    late = period_of(point, T0 + 12 * HOUR_MS, interval_s=900, tolerance_s=450.0)
    packets = Packets(with_periods(point, early, late), at_ms, values)
    at_once, _, _ = grown([packets])
    stored, _, _ = grown([packets], [1, 2, 3])
    assert stored.keys() == at_once.keys()
    assert all(same(row, stored[key]) for key, row in at_once.items())
    assert at_once[1, 25, at_ms[0] + 4 * 60_000]["amount"] == 1.0 + 4.0


def test_what_was_read_off_before_a_registers_first_packet_is_no_fall() -> None:
    """Two exchanges, and the register comes later: no dial of ours has fallen."""
    at_ms = [T0 + 60_000 * minute for minute in range(5)]
    told = (
        MeterEvent("exchange", T0, None, None, 12.25),
        MeterEvent("exchange", T0 + 60_000, None, 3.5, 0.0),
    )
    own = data_point(kind="electrical", unit="Wh", interval_s=60, tolerance_s=0.0)
    values = [{17: 230.0}] * 4 + [{53: 0.0}]
    packets = Packets(with_periods(own, events=told), at_ms, values)
    at_once, _, falls = grown([packets])
    assert falls == {1: []}
    for cut in range(1, len(at_ms)):
        stored, _, falls = grown([packets], [cut])
        assert falls == {1: []}
        assert stored.keys() == at_once.keys()
        assert all(same(row, stored[key]) for key, row in at_once.items())


def test_packets_after_a_registers_first_one_are_no_part_of_its_version() -> None:
    """Energy came from power until the register began; only what was before it is outranked."""
    at_ms = [T0 + 60_000 * minute for minute in range(15)]
    values = [{17: 230.0}] * 6 + [{5: 0.0}, {25: 0.0}] + [{17: 230.0}] * 7
    own = data_point(kind="electrical", unit="Wh", interval_s=300, tolerance_s=0.0)
    packets = Packets(own, at_ms, values)
    at_once, _, _ = grown([packets])
    assert at_once[1, 24, T0 + 300_000]["version"] == 8
    for cut in range(1, len(at_ms)):
        stored, _, _ = grown([packets], [cut])
        assert all(same(row, stored[key]) for key, row in at_once.items())


def test_where_everything_is_bad_there_is_nothing() -> None:
    """A stream whose readings are all marked as bad has no figures, and is no fault."""
    at_ms = [T0 + number * 3_600_000 for number in range(3)]
    point = with_periods(data_point(), events=(MeterEvent("bad", T0, until_ms=at_ms[-1]),))
    packets = Packets(point, at_ms, [{0: float(number)} for number in range(3)])
    rows, _, falls = grown([packets])
    assert rows == {}
    assert falls == {1: []}


@pytest.mark.parametrize("others", [(17,), (29,), (29, 33)])
def test_what_happened_to_one_register_takes_nothing_from_another(others: tuple[int, ...]) -> None:
    """The next packet finds what it needs of a register that nothing has happened to."""
    told = tuple(
        MeterEvent("exchange", T0 + 479_999 - 60_000 * number, channel, None, 0.0)
        for number, channel in enumerate(others)
    )
    own = data_point(kind="electrical", unit="Wh", interval_s=60, tolerance_s=30.0)
    point = with_periods(own, events=told)
    at_ms = [T0 + moment for moment in (0, 60_000, 360_000, 419_999, 479_999, 480_000, 540_000)]
    other, energy = {others[0]: 230.0}, {25: 0.0}
    values = [other, other, energy, energy, other, energy, other]
    packets = Packets(point, at_ms, values, list(range(1, len(at_ms) + 1)))
    at_once, _, _ = grown([packets])
    for cut in range(1, len(at_ms)):
        stored, _, _ = grown([packets], [cut])
        assert stored.keys() == at_once.keys()
        for key, row in at_once.items():
            assert same(row, stored[key]), (row, stored[key])
