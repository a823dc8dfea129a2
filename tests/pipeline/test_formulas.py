"""Formulas in the pipeline: what they show is what they say of the final inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kilowatch.dashboard.drawn import means_of, read
from kilowatch.log.records import BACKFILLED
from kilowatch.model.blocks import IntervalBlock, Quality
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.dated import ALWAYS_MS, History
from kilowatch.model.editing import Correction, Editing
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline import Streams, following
from kilowatch.pipeline.following import inputs_of
from kilowatch.pipeline.rollups import mean_of
from tests.pipeline.pipeline_world import (
    FOREVER,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    KilledError,
    World,
    comparable,
    single,
)

QUARTER_MS = 15 * MINUTE_MS
VERSION = 4  # column of a row that tells when it was computed

DIAL = single(1, utility="electricity", unit="kWh", interval_s=900, tolerance_s=450.0)
PIECES = single(2, utility="production", unit="pcs", behaviour="amount", interval_s=900,
                tolerance_s=450.0)  # fmt: skip
OUTSIDE = single(3, utility="temperature", unit="°C", behaviour="gauge", interval_s=300)
CHILLER = single(4, utility="electricity", unit="kW", behaviour="rate", interval_s=900,
                 tolerance_s=450.0, zone="Asia/Kolkata")  # fmt: skip
INPUTS = (DIAL, PIECES, OUTSIDE, CHILLER)


def formula(
    series: int, text: str, unit: str, behaviour: str = "amount", **fields: object
) -> DataPoint:
    """Return a quarter-hourly formula."""
    return single(
        series, formula=text, unit=unit, behaviour=behaviour,
        **({"utility": "electricity", "interval_s": 900, "tolerance_s": 450.0} | fields),
    )  # fmt: skip


SUM = formula(11, "#1 + #4.energy", "kWh")
PER_PIECE = formula(12, "#1 / #2", "kWh/pcs", "gauge")
COLD = formula(13, "if #3 < 10 °C then #1 else 0", "kWh")
TWICE = formula(14, "2 * #11 - #13", "kWh", interval_s=3600)
POWER = formula(15, "#4 + #1 / 0.25 h", "kW", "rate")
SHARE = formula(16, "100 % * #4 / #15", "%", "gauge")
FORMULAS = (TWICE, SUM, PER_PIECE, COLD, POWER, SHARE)


def value_of(series: int, number: int) -> float:
    """Return what a stream says in its packet of a number."""
    if series == 1:
        return 100.0 + number * 2.5 + number % 3
    if series == 2:
        return float(number % 5)  # none, now and then
    return (20.0 if number % 7 < 3 else 4.0) if series == 3 else 8.0 + number % 4


def push(world: World, one: DataPoint, number: int, *, late: bool = False) -> None:
    """Append a packet, live or put into history."""
    at_ms = START_MS + number * one.interval_s * 1000 + (0 if one.behaviour == "amount" else 2000)
    world.log.push(one.series, at_ms, {"value": value_of(one.series, number)})
    if late:
        entry = world.log.entries[-1]
        world.log.entries[-1] = entry._replace(flags=entry.flags | BACKFILLED)


def shown(world: World, one: DataPoint, grain: str | int = "interval") -> dict[int, float]:
    """Return a data point's figures by start."""
    rows = world.view.series(one, [VALUE], 0, FOREVER, grain)  # type: ignore[arg-type]
    figures = rows.amount if one.behaviour in {"amount", "register"} else rows.mean
    return dict(zip(rows.start_ms.tolist(), figures.tolist(), strict=True))


def without_history(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return rows without when they were computed."""
    return [row[:VERSION] + row[VERSION + 1 :] for row in rows]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world with four meters and six formulas, three hours in."""
    one = World(tmp_path, [*FORMULAS, *INPUTS]).start()
    for point in INPUTS:
        for number in range(3 * 3600 // point.interval_s + 1):
            push(one, point, number)
    one.catch_up()
    yield one
    one.kill()


def test_a_formula_gives_each_interval_what_it_says(world: World) -> None:
    """Energy per piece of a quarter of an hour is its energy by its pieces; by none is nothing."""
    check_against_inputs(world)
    energy, per_piece = shown(world, DIAL), shown(world, PER_PIECE)
    assert START_MS not in per_piece, "no piece was made in the first quarter of an hour"
    rate, chiller = shown(world, POWER), shown(world, CHILLER)
    at = START_MS + 4 * QUARTER_MS
    assert rate[at] == pytest.approx(chiller[at] + energy[at] * 4)
    rows = world.view.series(POWER, [VALUE], at, at + 1, "interval")
    assert rows.amount.tolist() == pytest.approx([rate[at] / 4]), "a rate has its energy beside it"


def test_hours_divide_sums_and_do_not_average_quotients(world: World) -> None:
    """What was used while nothing was made belongs to the pieces of that hour all the same."""
    energy, pieces = shown(world, DIAL, "hour"), shown(world, PIECES, "hour")
    per_piece = shown(world, PER_PIECE, "hour")
    for at in (START_MS + HOUR_MS, START_MS + 2 * HOUR_MS):
        assert per_piece[at] == pytest.approx(energy[at] / 1000 / pieces[at])
    mean = np.mean([v for at, v in shown(world, PER_PIECE).items() if at < START_MS + HOUR_MS])
    assert per_piece[START_MS] != pytest.approx(mean)
    share, power = (shown(world, one, "hour") for one in (SHARE, POWER))
    at = START_MS + HOUR_MS  # an hour of Dublin's clock; in Kolkata it begins half an hour later
    chiller = [v for key, v in shown(world, CHILLER).items() if at <= key < at + HOUR_MS]
    assert share[at] == pytest.approx(100 * np.mean(chiller) / power[at])


def test_rows_to_average_hold_what_a_quotient_is_made_of(world: World) -> None:
    """Readers see the value alone; whoever makes a mean of several days divides their sums."""
    span = (START_MS - 48 * HOUR_MS, START_MS + 72 * HOUR_MS)
    days = world.view.to_average([PER_PIECE], [VALUE], *span)
    seen = world.view.series(PER_PIECE, [VALUE], *span, "day")
    assert len(days) == len(seen) >= 1
    assert days.mean.tolist() == seen.mean.tolist()
    assert not np.isfinite(seen.unallocated).any()
    assert mean_of(days) == pytest.approx(days.amount.sum() / days.unallocated.sum())
    power = world.view.to_average([POWER], [VALUE], *span)
    hours = world.view.series(POWER, [VALUE], *span, "hour")
    assert mean_of(power) == pytest.approx(mean_of(hours))


def test_a_mean_of_a_period_and_its_cut_weeks_divide_sums(world: World) -> None:
    """Breakdown's figures, its weeks and the exports' say what the quotient of the sums is."""
    span = (START_MS - 24 * HOUR_MS, START_MS + 48 * HOUR_MS)
    begin, end = (int(grain_start_ms([at], "day", Zone.of(PER_PIECE.zone))[0]) for at in span)
    hours = world.view.to_average([PER_PIECE], [VALUE], begin, end, "hour")
    wanted = np.nansum(hours.amount) / np.nansum(hours.unallocated)
    assert means_of(world.view, PER_PIECE, [VALUE], begin, end)[VALUE] == pytest.approx(wanted)
    shown_hours = world.view.series(PER_PIECE, [VALUE], begin, end, "hour")
    assert mean_of(shown_hours) != pytest.approx(wanted, rel=1e-3), "the hours differ in pieces"
    weeks = read(world.view, PER_PIECE, [VALUE], (begin, end), "month")[VALUE]
    assert weeks.mean.tolist() == pytest.approx([wanted])
    assert not np.isfinite(weeks.amount).any()
    cut = world.view.cut_many([PER_PIECE], [VALUE], begin, end, "month")
    assert cut.mean.tolist() == weeks.mean.tolist()
    assert means_of(world.view, DIAL, [VALUE], begin, end) == {}
    part = means_of(world.view, PER_PIECE, [VALUE], begin, START_MS + HOUR_MS)[VALUE]
    early = hours.take(hours.start_ms < START_MS + HOUR_MS)
    assert part == pytest.approx(np.nansum(early.amount) / np.nansum(early.unallocated))


def test_what_was_used_while_nothing_was_made_counts_in_hours_that_are_closed_later(
    tmp_path: Path,
) -> None:
    """One quarter is lost, in the next no piece is made, two follow: the hour has all three."""
    one = World(tmp_path, [PER_PIECE, DIAL, PIECES]).start()
    for number in range(13):
        push(one, DIAL, number)
    for numbers in (range(4), range(5, 6), range(6, 13)):
        for number in numbers:
            push(one, PIECES, number)
        one.catch_up().consumer.flush()
    energy, hour = shown(one, DIAL), START_MS + HOUR_MS
    used = sum(energy[hour + n * QUARTER_MS] for n in (1, 2, 3)) / 1000
    made = sum(value_of(2, number) for number in (5, 6, 7))
    assert shown(one, PER_PIECE, "hour")[hour] == pytest.approx(used / made)
    one.kill()


def test_a_formula_of_formulas_in_longer_intervals_adds_up(world: World) -> None:
    """An hourly formula of quarter-hourly ones is theirs added up; a torn hour has no figure."""
    total, cold, twice = (shown(world, one) for one in (SUM, COLD, TWICE))
    hour = START_MS + HOUR_MS
    wanted = sum(2 * total[hour + n * QUARTER_MS] - cold[hour + n * QUARTER_MS] for n in range(4))
    assert twice[hour] == pytest.approx(wanted)
    assert max(twice) < START_MS + 3 * HOUR_MS, "the running hour waits for its last quarter"


def test_a_formula_is_worth_what_its_worst_input_is(world: World) -> None:
    """An estimated quarter of an hour makes the sum estimated, and its completeness follows."""
    at = START_MS + 4 * QUARTER_MS
    edit = Correction(1, "edit", None, at, at + QUARTER_MS, value=7000.0)
    world.points.change(1, editing=Editing(corrections=(edit,)))
    world.catch_up()
    rows = world.view.series(SUM, [VALUE], at, at + 2 * QUARTER_MS, "interval")
    assert rows.quality.tolist() == [Quality.EDITED, Quality.VALID]
    chiller = world.view.series(CHILLER, [VALUE], at, at + 1, "interval")
    assert rows.amount[0] == 7000 + chiller.amount[0], "history is computed again"
    assert rows.covered_ms.tolist() == [QUARTER_MS] * 2
    world.points.change(1, editing=Editing())
    world.catch_up()
    rows = world.view.series(SUM, [VALUE], at, at + 2 * QUARTER_MS, "interval")
    assert rows.quality.tolist() == [Quality.VALID] * 2, "and as before once it is taken back"


def test_an_interval_of_a_formula_explains_itself_and_adds_nothing_to_a_tree(
    world: World,
) -> None:
    """Each input with its figure, or why there is no result; a site's total does not know it."""
    at = START_MS + 4 * QUARTER_MS
    told = world.view.explain(PER_PIECE, at)["formula"]
    energy, pieces = (one["value"] for one in told["inputs"])
    assert told["value"] == pytest.approx(energy / pieces)
    assert world.view.explain(PER_PIECE, START_MS)["formula"]["why"] == "incomplete"
    assert world.view.explain(PER_PIECE, START_MS + 5 * QUARTER_MS)["formula"]["why"] == (
        "divided_by_zero"
    )
    tree = world.view.tree([DIAL, SUM, COLD], {}, START_MS, START_MS + 3 * HOUR_MS, "hour")
    alone = world.view.tree([DIAL], {}, START_MS, START_MS + 3 * HOUR_MS, "hour")
    assert tree.points.keys() == {DIAL.id}
    assert tree.points[DIAL.id].amount.tolist() == alone.points[DIAL.id].amount.tolist()


def test_another_text_computes_the_history_anew_with_progress(world: World) -> None:
    """While a formula's history is computed, pages show the one before and say how far it is."""
    before = shown(world, SUM)
    world.points.change(11, formula="#1 - #4.energy")
    world.consumer.step()
    assert world.view.recomputing([SUM]).total == 1
    world.catch_up()
    point = world.points.points[11]
    assert world.view.is_current(point)
    energy, chiller = (
        shown(world, DIAL),
        world.view.series(CHILLER, [VALUE], 0, FOREVER, "interval"),
    )
    after = shown(world, point)
    at = START_MS + QUARTER_MS
    other = float(chiller.amount[chiller.start_ms == at][0])
    assert (before[at], after[at]) == pytest.approx((energy[at] + other, energy[at] - other))


def test_a_formula_that_no_longer_makes_sense_says_so_and_its_neighbours_go_on(
    world: World,
) -> None:
    """Whoever turns a meter of kWh into one of °C is told at the formulas that need it."""
    world.points.change(2, unit="kWh")
    push(world, DIAL, 13)
    push(world, CHILLER, 13)
    world.catch_up()
    found = world.view.findings([PER_PIECE])[12]
    assert [one.code for one in found] == ["formula.stopped"]
    assert "registered as kWh/pcs" in found[0].text
    assert START_MS + 12 * QUARTER_MS in shown(world, SUM)


def test_a_circle_stops_and_takes_nobody_with_it(tmp_path: Path) -> None:
    """The catalogue refuses circles; a pipeline that meets one all the same does not turn in it."""
    loop = [formula(21, "#22 + #1", "kWh"), formula(22, "#21 * 2", "kWh")]
    one = World(tmp_path, [DIAL, SUM, CHILLER, *loop]).start()
    for number in range(4):
        push(one, DIAL, number)
        push(one, CHILLER, number)
    one.catch_up()
    assert shown(one, SUM)
    assert not shown(one, loop[0])
    one.kill()


def dated(*later: tuple[int, str]) -> History:
    """Return the history of ``SUM`` that says other formulas from instants on."""
    return History(formulas=((ALWAYS_MS, SUM.formula), *later))


def change_sum(world: World, *later: tuple[int, str]) -> None:
    """Let ``SUM`` be another formula from instants on, as an administrator does."""
    history = dated(*later) if later else History()
    world.points.change(11, history=history, formula=history.formulas[-1][1] if later else "")
    if not later:
        world.points.change(11, formula=SUM.formula)


def test_a_formula_that_changes_on_a_day_is_the_old_one_before_and_the_new_one_from_then_on(
    world: World,
) -> None:
    """The annexe is metered since half past one: until then it is half of the main meter's."""
    before = shown(world, SUM)
    at = START_MS + 6 * QUARTER_MS
    change_sum(world, (at, "#1 / 2"))
    assert not world.view.is_current(world.points.points[11])
    world.catch_up()
    assert world.view.is_current(world.points.points[11])
    energy, after = shown(world, DIAL), shown(world, SUM)
    assert {start: v for start, v in after.items() if start < at} == {
        start: v for start, v in before.items() if start < at
    }
    late = {start: v for start, v in after.items() if start >= at}
    whole = [at + n * QUARTER_MS for n in range(6)]  # the dial has two seconds of the next one
    assert late == pytest.approx({start: energy[start] / 2 for start in whole})
    texts = [world.view.explain(SUM, one)["formula"] for one in (at - 1, at)]
    assert [told["text"] for told in texts] == [SUM.formula, "#1 / 2"]
    assert [len(told["inputs"]) for told in texts] == [2, 1]
    twice, cold = shown(world, TWICE), shown(world, COLD)
    hour = START_MS + HOUR_MS  # two quarters of the old formula, two of the new one
    wanted = sum(2 * after[hour + n * QUARTER_MS] - cold[hour + n * QUARTER_MS] for n in range(4))
    assert twice[hour] == pytest.approx(wanted), "what is made of it follows"
    world.consumer.flush()
    world.kill()
    world.start().consumer.step()
    assert world.view.recomputing([SUM]).total == 0, "a start finds that everything fits"
    for number in (13, 14):
        push(world, DIAL, number)  # the chiller is silent, and is not needed any more
    world.catch_up()
    live = shown(world, SUM)
    assert live[START_MS + 13 * QUARTER_MS] == shown(world, DIAL)[START_MS + 13 * QUARTER_MS] / 2
    change_sum(world)
    world.catch_up()
    assert {s: v for s, v in shown(world, SUM).items() if s in before} == before, "taken back"


def test_a_date_within_an_interval_begins_with_the_next_one(world: World) -> None:
    """A quarter of an hour is of one formula: nobody knows how much of it came after ten past."""
    at = START_MS + 4 * QUARTER_MS
    change_sum(world, (at + 10 * MINUTE_MS, "#1"), (at + 2 * QUARTER_MS + 1, "2 * #1"),
               (at + 2 * QUARTER_MS + 2, "3 * #1"))  # fmt: skip
    world.catch_up()
    energy, chiller = (world.view.series(one, [VALUE], at, FOREVER, "interval").amount
                       for one in (DIAL, CHILLER))  # fmt: skip
    found = world.view.series(SUM, [VALUE], at, at + 4 * QUARTER_MS, "interval").amount.tolist()
    wanted = [energy[0] + chiller[0], energy[1], energy[2], 3 * energy[3]]
    assert found == pytest.approx(wanted)


def test_what_can_not_follow_a_formula_stops_it_with_the_reason(world: World) -> None:
    """Kilowatt-hours, and from a day on kWh for a piece: no page could add that up."""
    change_sum(world, (START_MS + HOUR_MS, "#1 / #2"))
    world.catch_up()
    (finding,) = world.view.findings([SUM])[11]
    assert "It would give kWh/pcs" in finding.text


def final(
    folder: Path, packets: list[tuple[DataPoint, int]], editing: Editing, history: History
) -> World:
    """Return a world into which everything came in order, once, under the final settings."""
    points = [replace(one, editing=editing) if one is DIAL else one for one in INPUTS]
    text = history.formulas[-1][1]
    formulas = [replace(f, history=history, formula=text) if f is SUM else f for f in FORMULAS]
    one = World(folder, [*points, *formulas]).start()
    for point, number in sorted(packets, key=lambda pair: pair[1] * pair[0].interval_s):
        push(one, point, number)
    one.catch_up().consumer.flush()
    return one


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.generate),
)
@given(st.data())
def test_whatever_came_when_a_formula_is_that_of_its_final_inputs(data: st.DataObject) -> None:
    """Late packets, corrections, crashes at any write, any order: the figures end the same."""
    draw = data.draw
    hours = draw(st.integers(2, 14), "hours")
    queues = {one.series: list(range(hours * 3600 // one.interval_s)) for one in INPUTS}
    pairs = st.sets(st.tuples(st.integers(1, 4), st.integers(0, hours * 4 - 1)), max_size=6)
    for series, number in draw(pairs, "lost"):
        queues[series].remove(number)
    held = {(one, number) for one, number in draw(pairs, "late") if number in queues[one]}
    packets = [(one, number) for one in INPUTS for number in queues[one.series]]
    at = START_MS + draw(st.integers(0, hours * 4)) * QUARTER_MS
    turn = START_MS + draw(st.integers(1, hours * 4), "turn") * QUARTER_MS
    later = ((turn, "#1 - 2 * #4.energy"), (turn + 7 * QUARTER_MS, "#1 + #13"))
    editing = Editing(corrections=(Correction(1, "edit", None, at, at + QUARTER_MS, value=5000.0),))
    with TemporaryDirectory() as folder, TemporaryDirectory() as other:
        world = World(Path(folder), [*FORMULAS, *INPUTS]).start(
            batch_rows=draw(st.sampled_from([3, 40, 5000])),
            flush_rows=draw(st.sampled_from([20, 400])),
        )
        deliver(draw, world, queues, held, (editing, later))
        for series, number in sorted(held):
            push(world, INPUTS[series - 1], number, late=True)
            moved_on(world, draw(st.sampled_from(["step", "kill"])), draw(st.integers(0, 9)))
        world.points.change(1, editing=editing)
        change_sum(world, *later)
        for wait_s in (100.0, 10_000.0):  # a stream rests nine times as long as it was computed
            world.time_s += wait_s
            world.catch_up()
        if draw(st.booleans(), "flush"):
            world.consumer.flush()
        wanted = final(Path(other), packets, editing, dated(*later))
        for point in FORMULAS:
            for grain in ("interval", "hour", "day"):
                found = without_history(world.everything(point.series, grain))
                assert found == without_history(wanted.everything(point.series, grain)), point
        check_against_inputs(world, turn)
        world.kill()
        wanted.kill()


def deliver(
    draw: Callable[..., Any],
    world: World,
    queues: dict[int, list[int]],
    held: set[tuple[int, int]],
    changes: tuple[Editing, tuple[tuple[int, str], ...]],
) -> None:
    """Push packets of any stream next, some or many, while other things happen."""
    while any(queues.values()):
        series = draw(st.sampled_from([one for one, queue in queues.items() if queue]))
        count = draw(st.sampled_from([1, 4, 60]))
        for number in queues[series][:count]:
            if (series, number) not in held:
                push(world, INPUTS[series - 1], number)
        queues[series] = queues[series][count:]
        happens = draw(
            st.sampled_from(["step", "step", "kill", "correct", "date", "undo", "flush", "nothing"])
        )
        world.time_s += draw(st.sampled_from([0.1, 1.0, 20.0]))
        if happens == "correct":
            world.points.change(1, editing=changes[0])
        elif happens == "date":
            change_sum(world, *changes[1][: draw(st.sampled_from([1, 2]))])
        elif happens == "undo":
            change_sum(world)
        moved_on(world, happens, draw(st.integers(0, 12)))


def moved_on(world: World, happens: str, steps: int) -> None:
    """Let the pipeline go on, or die at a write and start again."""
    if happens == "step":
        world.consumer.step()
    elif happens == "flush":
        world.consumer.step()
        world.consumer.flush()
    elif happens == "kill":
        world.store.steps_left = steps
        with suppress(KilledError):
            world.consumer.step()
            world.consumer.flush()
        world.store.steps_left = None
        world.kill()
        world.start()


def check_against_inputs(world: World, until_ms: int = FOREVER) -> None:
    """Compare two formulas with their inputs, one interval after the other.

    Args:
        world: The world.
        until_ms: When the sum became another formula [ms].
    """

    def known(one: DataPoint) -> dict[int, float]:
        rows: IntervalBlock = world.view.series(one, [VALUE], 0, FOREVER, "interval")
        whole = rows.take((rows.covered_ms >= rows.duration_ms) & ~np.isnan(rows.amount))
        return dict(zip(whole.start_ms.tolist(), whole.amount.tolist(), strict=True))

    point = world.points.points[1]
    dial, pieces, chiller = known(point), known(PIECES), known(CHILLER)
    wanted = {at: dial[at] + chiller[at] for at in dial if at in chiller and at < until_ms}
    found = {at: value for at, value in shown(world, SUM).items() if at < until_ms}
    assert found == pytest.approx(wanted)
    per_piece = {at: dial[at] / 1000 / pieces[at] for at in dial if pieces.get(at)}
    assert shown(world, PER_PIECE) == pytest.approx(per_piece)


def test_old_history_of_one_input_and_the_present_of_another_lie_far_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A meter whose last years are put in while others send costs those days, not the years."""
    spans: list[int] = []

    def noted(streams: Streams, some: Any, from_ms: int, to_ms: int) -> IntervalBlock:
        if to_ms < FOREVER:  # a history that is computed anew reads to its end
            spans.append(to_ms - from_ms)
        return inputs_of(streams, some, from_ms, to_ms)

    one = World(tmp_path, [SUM, DIAL, CHILLER]).start()
    one.catch_up()
    year = 365 * 96
    monkeypatch.setattr(following, "inputs_of", noted)
    for number in range(8):
        push(one, DIAL, number)
        push(one, CHILLER, year + number)
        one.consumer.step()
    one.catch_up()
    assert spans
    assert max(spans) < 2 * 24 * HOUR_MS
    for number in range(8):
        push(one, CHILLER, number, late=True)
    one.time_s += 100
    one.catch_up()
    assert set(shown(one, SUM)) == {START_MS + n * QUARTER_MS for n in range(1, 7)}
    one.kill()


def test_a_store_that_can_not_be_read_delays_formulas_and_loses_nothing(world: World) -> None:
    """A full disk or a slow engine is waited for; what was to be computed then is."""
    read = world.store.intervals
    world.store.intervals = broken  # type: ignore[method-assign, assignment]
    push(world, DIAL, 13)
    push(world, CHILLER, 13)
    world.time_s += 1
    world.consumer.step()
    world.store.intervals = read  # type: ignore[method-assign]
    world.time_s += 100
    world.catch_up()
    assert START_MS + 12 * QUARTER_MS in shown(world, SUM)


def broken(*_args: object) -> IntervalBlock:
    """Fail as a store that does not answer."""
    raise KilowatchError("store_failed", "It does not answer.", status=503)


def test_a_lost_state_file_computes_every_formula_anew(world: World) -> None:
    """Whoever deletes the pipeline's own file loses no figure, of formulas neither."""
    world.consumer.flush()
    before = {one.series: comparable_rows(world, one) for one in FORMULAS}
    world.kill()
    for file in world.folder.glob("pipeline.sqlite*"):
        file.unlink()
    world.start().catch_up()
    assert {one.series: comparable_rows(world, one) for one in FORMULAS} == before


def comparable_rows(world: World, one: DataPoint) -> list[tuple[object, ...]]:
    """Return a data point's rows without when they were computed."""
    return without_history(comparable(world.view.series(one, [VALUE], 0, FOREVER, "interval")))
