"""What must hold for every stream, drawn at the edges: clock changes, gaps, falling dials."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from kilowatch.model.blocks import IntervalBlock, Quality, ReadingBlock
from kilowatch.pipeline.carry import carry
from kilowatch.pipeline.grids import PointGrid, effective_of
from kilowatch.pipeline.intervals import intervals
from tests.pipeline.interval_cases import (
    Packets,
    Row,
    rows_by_key,
    same,
    single_streams,
    streams,
)
from tests.pipeline.interval_oracle import expected_rows

PHASES_OF_TESTING = [p for p in Phase if p is not Phase.explain]
FIGURES = ("mean", "low", "high", "amount", "unallocated")
COUNTS = ("duration_ms", "count", "covered_ms", "quality", "version")
slow = settings(deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES_OF_TESTING)

Rows = dict[tuple[int, int, int], Row]


def computed(several: list[Packets]) -> Rows:
    """Return the interval rows of whole streams, computed at once."""
    readings = ReadingBlock.concatenate([packets.block() for packets in several])
    points = {packets.point.series: PointGrid.of(packets.point) for packets in several}
    return rows_by_key(intervals(readings, effective_of(readings, points), points))


def agree(row: Row, truth: dict[str, Any]) -> bool:
    """Tell whether a row equals the slow computation: counts exactly, figures to 1e-9."""
    if any(row[name] != truth[name] for name in COUNTS):
        return False
    return all(
        np.isnan(row[name])
        if truth[name] is None
        else row[name] == pytest.approx(float(truth[name]), rel=1e-9, abs=1e-7)
        for name in FIGURES
    )


def test_the_fast_rules_equal_the_slow_ones() -> None:
    """Every figure of every interval is what the written rules give, packet by packet."""
    seen: Counter[str] = Counter()

    @settings(parent=slow, max_examples=500)
    @given(streams(seen))
    def holds(packets: Packets) -> None:
        rows, truth = computed([packets]), expected_rows(packets)
        assert rows.keys() == truth.keys()
        for key, row in rows.items():
            assert agree(row, truth[key]), (key, row, truth[key])
        seen["questionable"] += any(r["quality"] == Quality.QUESTIONABLE for r in rows.values())
        seen["derived"] += any(r["quality"] == Quality.DERIVED for r in rows.values())
        seen["unallocated"] += any(r["unallocated"] > 0 for r in rows.values())
        seen["several in one"] += any(r["count"] > 1 for r in rows.values())

    holds()
    often = {"clock change": 100, "leap day": 20, "gap": 200, "longest silence": 200}
    often |= {"boundary": 200, "before boundary": 200, "several": 200, "roll over": 20}
    often |= {"fall": 50, "reset": 50, "questionable": 40, "unallocated": 30}
    often |= {"several in one": 50, "derived": 10, "a parameter is missing": 100}
    often |= {"energy from power": 10, "register comes later": 10, "register": 20, "gauge": 5}
    rare = {edge: seen[edge] for edge, least in often.items() if seen[edge] < least}
    assert not rare, f"edges drawn too seldom: {rare} of {dict(seen)}"


def delivered(several: list[Packets], cuts: list[int]) -> tuple[Rows, Counter[str]]:
    """Deliver streams in batches, with only the carried context, and keep the newest rows."""
    everything = ReadingBlock.concatenate([packets.block() for packets in several])
    points = {packets.point.series: PointGrid.of(packets.point) for packets in several}
    kept = ReadingBlock.empty()
    stored: Rows = {}
    counts: Counter[str] = Counter()
    for first, last in zip([0, *cuts], [*cuts, len(everything)], strict=True):
        new = everything.take((everything.seq > first) & (everything.seq <= last))
        if not len(new):
            continue
        block = ReadingBlock.concatenate([kept, new])
        block = block.take(np.lexsort((block.at_ms, block.series)))
        effective = effective_of(block, points)
        rows = rows_by_key(intervals(block, effective, points, fresh=block.seq > first))
        for key, row in rows.items():
            assert row["version"] >= stored.get(key, row)["version"]
            assert row["version"] > first
        stored |= rows
        context = carry(block, effective, points)
        kept = block.take(context.keep)
        counts["dropped"] += int((~context.keep).sum())
        points = {
            series: PointGrid(
                grid.point,
                grid.zone,
                grid.clock,
                context.first_register_ms.get(series, grid.first_register_ms),
                context.first_export_ms.get(series, grid.first_export_ms),
            )
            for series, grid in points.items()
        }
    return stored, counts


@st.composite
def deliveries(draw: st.DrawFn, seen: Counter[str]) -> tuple[list[Packets], list[int]]:
    """Draw one to three streams, their packets interleaved in the log, and where batches end."""
    drawn = [draw(streams(seen, series)) for series in range(1, draw(st.integers(1, 3)) + 1)]
    owners = [index for index, packets in enumerate(drawn) for _ in packets.at_ms]
    owners = draw(st.permutations(owners))
    numbers: list[list[int]] = [[] for _ in drawn]
    for seq, owner in enumerate(owners, start=1):
        numbers[owner].append(seq)
    numbered = [packets.numbered(seq) for packets, seq in zip(drawn, numbers, strict=True)]
    cuts = draw(st.lists(st.integers(1, len(owners)), max_size=12, unique=True))
    return numbered, sorted(cuts)


def test_any_cut_into_batches_gives_the_same_rows_bit_for_bit() -> None:
    """A restart, a burst or a replay from any point changes no figure: not in the last digit."""
    seen: Counter[str] = Counter()

    @settings(parent=slow, max_examples=400)
    @given(deliveries(seen))
    def holds(delivery: tuple[list[Packets], list[int]]) -> None:
        several, cuts = delivery
        stored, counts = delivered(several, cuts)
        at_once = computed(several)
        assert stored.keys() == at_once.keys()
        for key, row in at_once.items():
            assert same(row, stored[key]), (row, stored[key])
        event(f"{min(len(cuts), 5)} cuts")
        seen["cuts"] += len(cuts)
        seen["dropped"] += counts["dropped"]

    holds()
    assert seen["cuts"] > 400
    assert seen["dropped"] > 1000, "the context must not be the whole history"
    often = {"clock change": 100, "gap": 200, "roll over": 20, "fall": 50, "several": 200}
    often |= {"register comes later": 10, "a parameter is missing": 100}
    assert not [edge for edge, least in often.items() if seen[edge] < least], dict(seen)


def test_recomputing_from_a_moment_gives_the_rows_of_the_whole_history() -> None:
    """A correction recomputes what depends on it, and nothing else changes."""
    seen: Counter[str] = Counter()

    @settings(parent=slow, max_examples=300)
    @given(streams(seen), st.data())
    def holds(packets: Packets, data: st.DataObject) -> None:
        readings, point = packets.block(), packets.point
        points = {point.series: PointGrid.of(point)}
        whole = computed([packets])
        row = data.draw(st.integers(0, len(readings) - 1))
        halfway = readings.take(slice(0, row + 1))
        context = carry(halfway, effective_of(halfway, points), points)
        since = context.since_ms[point.series]
        keep = np.concatenate([context.keep, np.ones(len(readings) - row - 1, np.bool_)])
        later = {
            point.series: PointGrid(
                point,
                points[point.series].zone,
                "offset",
                context.first_register_ms[point.series],
                context.first_export_ms.get(point.series),
            )
        }
        window = readings.take(keep)
        found = rows_by_key(
            intervals(window, effective_of(window, later), later, since_ms={point.series: since})
        )
        wanted = {key: row for key, row in whole.items() if key[2] >= since}
        assert found.keys() == wanted.keys()
        assert all(same(row, wanted[key]) for key, row in found.items())
        seen["shorter"] += bool(len(wanted) < len(whole))
        seen["context"] += not keep.all()

    holds()
    assert seen["shorter"] > 50
    assert seen["context"] > 50


def test_a_dial_is_conserved() -> None:
    """What the intervals hold and what is unallocated is last minus first: nothing twice."""
    seen: Counter[str] = Counter()

    @settings(parent=slow, max_examples=400)
    @given(single_streams(seen, behaviour="register", register_max=None, falls=False))
    def holds(packets: Packets) -> None:
        rows = computed([packets]).values()
        first, last = (Fraction(packets.values[i][0]) * 1000 for i in (0, -1))
        counted = np.nansum([row["amount"] for row in rows])
        unallocated = sum(row["unallocated"] for row in rows)
        assert counted + unallocated == pytest.approx(float(last - first), rel=1e-12, abs=0)
        covered = sum(row["covered_ms"] for row in rows)
        steps = np.diff(packets.at_ms)
        grid = PointGrid.of(packets.point)
        assert covered == steps[steps <= grid._columns[1]].sum()
        assert all(row["covered_ms"] <= row["duration_ms"] for row in rows)
        seen["a billion on the dial"] += first > 1e9
        seen["unallocated"] += unallocated > 0

    holds()
    assert seen["a billion on the dial"] > 30
    assert seen["unallocated"] > 50


def test_any_run_of_intervals_is_the_difference_of_the_dial_at_its_ends() -> None:
    """Three o'clock to five o'clock is the dial at five minus the dial at three."""
    seen: Counter[str] = Counter()

    @settings(parent=slow, max_examples=300)
    @given(single_streams(seen, behaviour="register", register_max=None, falls=False), st.data())
    def holds(packets: Packets, data: st.DataObject) -> None:
        rows = sorted(computed([packets]).values(), key=lambda row: row["start_ms"])
        full = [row for row in rows if row["covered_ms"] == row["duration_ms"]]
        if not full:
            return
        first = last = data.draw(st.integers(0, len(full) - 1))
        end = full[first]["start_ms"] + full[first]["duration_ms"]
        while last + 1 < len(full) and full[last + 1]["start_ms"] == end:
            last += 1
            end += full[last]["duration_ms"]
        ends = (full[first]["start_ms"], end)
        figures = [values[0] * 1000 for values in packets.values]
        at_ends = np.interp(ends, packets.at_ms, figures)
        counted = sum(row["amount"] for row in full[first : last + 1])
        # The dial's own figure has 16 digits: that is how well its difference is known here.
        assert counted == pytest.approx(at_ends[1] - at_ends[0], rel=1e-9, abs=1e-15 * figures[-1])
        seen["runs"] += last > first

    holds()
    assert seen["runs"] > 50
    assert seen["clock change"] > 50


def test_a_hole_stays_a_hole() -> None:
    """No interval is invented: each row has a packet in it, or a part of a dial's step."""
    seen: Counter[str] = Counter()

    @settings(parent=slow, max_examples=200)
    @given(streams(seen))
    def holds(packets: Packets) -> None:
        rows = computed([packets]).values()
        for row in rows:
            marked = row["unallocated"] > 0 or row["quality"] == Quality.QUESTIONABLE
            assert row["count"] > 0 or row["covered_ms"] > 0 or marked
            assert not np.isinf([row[name] for name in FIGURES]).any()
            one_dial = row["channel"] % 4 or packets.point.kind == "single"
            if row["covered_ms"] == 0 and one_dial:
                assert np.isnan(row["amount"])

    holds()
    assert seen["gap"] > 50


def test_no_readings_make_no_rows() -> None:
    """An empty batch is no fault."""
    empty = intervals(ReadingBlock.empty(), np.empty(0, np.int64), {})
    assert len(empty) == 0
    assert isinstance(empty, IntervalBlock)
    assert not len(carry(ReadingBlock.empty(), np.empty(0, np.int64), {}).keep)
