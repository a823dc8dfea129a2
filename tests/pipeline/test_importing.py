"""A file of history: what it would do is told before it does it, and then it does just that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilowatch.client.history import HistoryDesk, PutIn
from kilowatch.client.source import read
from kilowatch.log import Origin
from kilowatch.model.blocks import COLUMNS, FLOAT_COLUMNS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.pipeline import importing
from kilowatch.pipeline.grids import PointGrid, effective_of
from kilowatch.pipeline.importing import Contradiction, apply, dry_run
from kilowatch.pipeline.intervals import intervals
from kilowatch.pipeline.rollups import roll_up
from tests.pipeline.gated_world import GatedWorld, Push
from tests.pipeline.interval_cases import Packets, data_point, streams
from tests.pipeline.pipeline_world import DAY_MS, HOUR_MS, START_MS

DIAL = data_point(1)
NOW_MS = START_MS + 400 * DAY_MS


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GatedWorld]:
    """A dial read every hour of ten days, of which the third and the fifth are missing."""
    made = GatedWorld(tmp_path / "world", [DIAL]).start()
    hours = [hour for hour in range(240) if hour // 24 not in (2, 4)]
    made.deliver([Push(1, START_MS + hour * HOUR_MS, {0: float(hour)}) for hour in hours])
    made.catch_up()
    yield made
    made.close()


class Desk(HistoryDesk):
    """The collector's desk, straight to a test's log."""

    def __init__(self, world: GatedWorld) -> None:
        super().__init__(Path())
        self.world = world

    def put_in(self, series: int, packets: Any, actor: str, reason: str = "", source: Any = "import"
    ) -> PutIn:  # fmt: skip
        """Put packets in."""
        pushes = []
        for body, form in packets:
            packet = self.world_packet(body, form)
            pushes.append(Push(series, packet.at_ms, packet.values, packet.offset_min, form))
        outcomes = self.world.deliver(pushes, Origin(source, actor, reason))
        return PutIn(backfilled=sum(one.status == "backfilled" for one in outcomes))

    @staticmethod
    def world_packet(body: bytes, form: Any) -> Any:
        """Decode a packet."""
        from kilowatch.wire import decode  # noqa: PLC0415 - a helper of this class alone

        return decode(body, form)


def file_of(folder: Path, rows: list[str], header: str = "id,ts,value") -> Path:
    """Write a CSV."""
    path = folder / "history.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def stamp(hour: float) -> str:
    """Return the time so many hours after the start."""
    moment = np.datetime64(START_MS + int(hour * HOUR_MS), "ms")
    return f"{moment}+00:00"


def test_a_dry_run_tells_every_line_and_the_days_before_and_after(
    world: GatedWorld, tmp_path: Path
) -> None:
    """New, identical, contradicting and invalid lines with their numbers; then it comes true."""
    rows = [f"stream-1,{stamp(hour)},{hour}" for hour in range(48, 72)]  # lines 2 to 25
    rows += [f"stream-1,{stamp(30)},30", f"stream-1,{stamp(50)},50"]  # 26, 27: known, and again
    rows += [f"stream-1,{stamp(31)},99", f"stream-1,{stamp(51)},7"]  # 28, 29: contradict
    rows += [f"stream-1,{stamp(52.5)},x", f"another,{stamp(53)},1", "stream-1,2024-13-01,4"]
    path = file_of(tmp_path, rows)
    before = world.shown()
    run = dry_run(world.view, DIAL, read(path), NOW_MS)
    assert (run.lines, run.new, run.identical, run.conflicting, run.invalid) == (31, 24, 2, 2, 3)
    assert [(one.line, one.code) for one in run.mistakes] == [
        (30, "not_a_packet"), (31, "another_stream"), (32, "invalid_timestamp"),
    ]  # fmt: skip
    assert run.conflicts == [
        Contradiction(29, START_MS + 51 * HOUR_MS, {0: 51.0}, {0: 7.0}, 5),
        Contradiction(28, START_MS + 31 * HOUR_MS, {0: 31.0}, {0: 99.0}),
    ]
    assert (run.first_ms, run.last_ms) == (START_MS + 48 * HOUR_MS, START_MS + 71 * HOUR_MS)
    assert world.shown() == before, "nothing was changed"
    assert run.before is not None
    assert run.after is not None
    days = {START_MS + day * DAY_MS for day in (1, 2, 3)}
    assert set(run.after.start_ms.tolist()) <= days, "only the days that change"
    third = run.after.take(run.after.start_ms == START_MS + 2 * DAY_MS)
    assert third.amount.tolist() == [24_000.0]
    held = [np.nansum(block.unallocated) for block in (run.before, run.after)]
    assert held[0] == pytest.approx(25_000.0)
    assert held[1] == 0.0
    apply(Desk(world), DIAL, read(path), NOW_MS, "ann", "the paper log")
    world.catch_up()
    shown = world.view.series(DIAL, [0], START_MS, START_MS + 10 * DAY_MS, "day")
    for start_ms, amount in zip(run.after.start_ms, run.after.amount, strict=True):
        assert amount == shown.amount[shown.start_ms == start_ms], "as was foretold"
    assert len(world.view.conflicts(DIAL)) == 2
    again = dry_run(world.view, DIAL, read(path), NOW_MS)
    assert (again.new, again.identical, again.before) == (0, 26, None)


def test_a_file_for_a_stream_without_data_is_all_new(tmp_path: Path) -> None:
    """The first history of a new meter has nothing before it."""
    world = GatedWorld(tmp_path / "empty", [DIAL]).start()
    path = file_of(tmp_path, [f"{stamp(hour)},{hour}" for hour in range(30)], "ts,value")
    run = dry_run(world.view, DIAL, read(path, "stream-1"), NOW_MS)
    assert (run.new, run.invalid) == (30, 0)
    assert run.before is not None
    assert run.after is not None
    assert (len(run.before), np.nansum(run.after.amount)) == (0, 29_000.0)
    world.close()


def test_long_files_stay_within_bounds(
    world: GatedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mistakes are counted beyond the first hundred, a file that is too long says what to do."""
    path = file_of(tmp_path, [f"stream-1,{stamp(hour)},x" for hour in range(150)])
    run = dry_run(world.view, DIAL, read(path), NOW_MS)
    assert (run.invalid, len(run.mistakes)) == (150, 100)
    monkeypatch.setattr("kilowatch.pipeline.importing.LINES_MAX", 100)
    with pytest.raises(KilowatchError, match="more than 100 lines"):
        dry_run(world.view, DIAL, read(path), NOW_MS)
    monkeypatch.setattr("kilowatch.pipeline.importing.LINES_MAX", 1000)
    monkeypatch.setattr("kilowatch.pipeline.importing.READINGS_MAX", 100)
    path = file_of(tmp_path, [f"stream-1,{stamp(50)},50"])
    run = dry_run(world.view, DIAL, read(path), NOW_MS)
    assert (run.new, run.before) == (1, None)


def test_the_days_of_a_long_file_are_those_of_all_its_readings_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever slices they are computed in, to the bit: a phase with gaps, falls and clock changes.

    At once, 100,000 packets of 18 parameters took 900 MB.
    """
    seen: Counter[str] = Counter()

    @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
    @given(streams(seen, 1, clock="offset"), st.sampled_from([1, 2, 3, 5]))
    def holds(packets: Packets, size: int) -> None:
        readings, grid = packets.block(), PointGrid.of(packets.point)
        grids = {1: grid}
        whole = roll_up(intervals(readings, effective_of(readings, grids), grids), "day", grid.zone)
        monkeypatch.setattr(importing, "READINGS_A_SLICE", size)
        sliced = importing._rolled(readings, grid)
        assert len(sliced) == len(whole)
        for name in COLUMNS:
            assert np.array_equal(
                getattr(sliced, name), getattr(whole, name), equal_nan=name in FLOAT_COLUMNS
            ), name

    holds()
    assert min(seen[edge] for edge in ("gap", "clock change", "register", "reset")) > 3, seen


def test_an_electrical_line_is_not_for_a_single_value(world: GatedWorld, tmp_path: Path) -> None:
    """A file for the wrong data point is told line by line, and changes nothing."""
    path = file_of(tmp_path, [f"stream-1,{stamp(50)},5,{stamp(1)}"], "id,ts,aP_1,note")
    meter: DataPoint = DIAL
    run = dry_run(world.view, meter, read(path), NOW_MS)
    assert [one.code for one in run.mistakes] == ["not_a_packet"]
    path = file_of(tmp_path, [f"stream-1,{stamp(50)},5"], "id,ts,aP_1")
    run = dry_run(world.view, meter, read(path), NOW_MS)
    assert [one.code for one in run.mistakes] == ["kind_mismatch"]
