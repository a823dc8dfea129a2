"""The theorem once more, with everything at once: dated settings, events, rules, corrections."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kilowatch.log.records import BACKFILLED
from kilowatch.model.dated import NO_HISTORY
from kilowatch.model.editing import NOTHING, Correction, CorrectionKind, Editing, Method, Rules
from kilowatch.model.parameters import AP, PC, VALUE, channel_name
from kilowatch.model.points import DataPoint
from tests.pipeline.dated_cases import dated_streams, moments
from tests.pipeline.gated_world import GRAINS, VERSION
from tests.pipeline.interval_cases import Packets
from tests.pipeline.pipeline_world import FOREVER, World

KINDS: tuple[CorrectionKind, ...] = ("fill", "fill", "spread", "edit", "accept", "confirm")
METHODS: tuple[Method, ...] = ("linear", "profile")
FROM_FIGURES = ("register.", "interval.negative", "interval.spike", "interval.zero", "interval.dem")


@dataclass(frozen=True, slots=True)
class Case:
    """A drawn stream, and which of its packets come live; the others are put in later."""

    packets: Packets
    late: frozenset[int]

    @property
    def point(self) -> DataPoint:
        """The data point."""
        return self.packets.point

    def live(self) -> list[int]:
        """Return the numbers of the packets that come in order."""
        return [number for number in range(len(self.packets.at_ms)) if number not in self.late]


@st.composite
def editings(draw: st.DrawFn, packets: Packets, seen: Counter[str], sister: int | None) -> Editing:
    """Draw rules and corrections at the edges of a stream: its packets, its periods, midnight."""
    point = packets.point
    intervals_s = [point.interval_s, *(one.interval_s for one in point.history.periods)]
    shortest_s = min(intervals_s)
    rules = Rules(
        demand_max=draw(st.sampled_from([None, 5_000.0])),
        spike_factor=draw(st.sampled_from([None, 3.0])),
        zero_run_s=draw(st.sampled_from([None, 2 * shortest_s])),
        negative=draw(st.sampled_from([None, True])),
        estimate_up_to_s=draw(st.sampled_from([None, 3 * shortest_s, 12 * shortest_s])),
        estimate_method=draw(st.sampled_from(["linear", "profile"])),
    )
    corrections = []
    channels = [VALUE] if point.kind == "single" else [PC, PC, PC + 1, PC + 2, AP, AP + 1, AP + 3]
    for number in range(draw(st.integers(0, 3))):
        from_ms = draw(moments(packets, seen))
        kind = draw(st.sampled_from(KINDS))
        channel = draw(st.sampled_from(channels))
        seen["of a phase"] += channel % 4 > 0
        method: Method | None = draw(st.sampled_from(METHODS))
        if kind == "spread":
            method = draw(st.sampled_from([None, *METHODS]))
        of_sister = sister if kind == "fill" and draw(st.integers(0, 2)) == 0 else None
        seen[kind] += 1
        seen["sister"] += of_sister is not None
        corrections.append(
            Correction(
                number + 1,
                kind,
                channel if kind == "edit" else draw(st.sampled_from([channel, None])),
                from_ms,
                from_ms + draw(st.integers(1, 30)) * shortest_s * 1000,
                value=123.5 if kind == "edit" else None,
                method=None
                if kind not in {"fill", "spread"}
                else "sister"
                if of_sister
                else method,
                sister=of_sister,
            )
        )
    return Editing(rules, tuple(corrections))


@st.composite
def cases(draw: st.DrawFn, seen: Counter[str], series: int, sister: int | None = None) -> Case:
    """Draw a stream with everything that can be registered of it."""
    packets = draw(dated_streams(seen, series))
    editing = draw(editings(packets, seen, sister))
    point = replace(packets.point, clock="offset", editing=editing)
    late = draw(st.sets(st.integers(0, len(packets.at_ms) - 1), max_size=6))
    seen["late"] += bool(late)
    seen["edited and dated"] += bool(editing.corrections and point.history.periods)
    return Case(replace(packets, point=point), frozenset(late))


def push(world: World, case: Case, number: int, *, late: bool = False) -> None:
    """Append a packet to the log, live or put into history."""
    packets = case.packets
    values = {channel_name(one): value for one, value in packets.values[number].items()}
    world.log.push(case.point.series, packets.at_ms[number], values)
    if late:
        entry = world.log.entries[-1]
        world.log.entries[-1] = entry._replace(flags=entry.flags | BACKFILLED)


def seen_by_people(world: World, drawn: Iterable[Case]) -> dict[int, dict[str | int, object]]:
    """Return figures, gaps and findings of figures, without when they were computed."""
    found: dict[int, dict[str | int, object]] = {}
    for case in drawn:
        one = world.points.points[case.point.series]
        told = world.view.findings([one]).get(one.series, ())
        assert "stream.failed" not in {finding.code for finding in told}
        assert "editing.failed" not in {finding.code for finding in told}
        found[one.series] = {
            grain: [
                row[:VERSION] + row[VERSION + 1 :] for row in world.everything(one.series, grain)
            ]
            for grain in GRAINS
        }
        found[one.series] |= {
            "gaps": world.view.gaps(one, 0, FOREVER),
            "findings": [one for one in told if one.code.startswith(FROM_FIGURES)],
            "packets": world.view.status(one).packets,
        }
    return found


def expected(folder: Path, drawn: list[Case]) -> dict[int, dict[str | int, object]]:
    """Return what people see when everything comes once and in order, under the last settings."""
    folder.mkdir()
    world = World(folder, [case.point for case in drawn])
    world.start()
    for case in drawn:
        for number in range(len(case.packets.at_ms)):
            push(world, case, number)
    world.catch_up().consumer.flush()
    world.catch_up().consumer.flush()
    shown = seen_by_people(world, drawn)
    world.kill()
    return shown


def disturb(world: World, chance: random.Random, seen: Counter[str]) -> None:
    """Let the pipeline go on, write, or die, by chance."""
    what = chance.choice(("step", "catch up", "flush", "kill", "nothing", "nothing"))
    if what == "step":
        world.consumer.step()
    elif what == "catch up":
        world.catch_up()
    elif what == "flush":
        world.consumer.flush()
    elif what == "kill":
        seen["killed"] += 1
        world.kill()
        world.start()


def in_any_order(
    folder: Path, drawn: list[Case], chance: random.Random, seen: Counter[str]
) -> dict[int, dict[str | int, object]]:
    """Deliver live packets and history mixed, change settings on the way, and die in between."""
    folder.mkdir()
    plain = [replace(case.point, history=NO_HISTORY, editing=NOTHING) for case in drawn]
    world = World(folder, plain)
    world.start(slice_rows=chance.choice([3, 50]))
    queues: list[list[tuple[str, Case, int]]] = []
    for case in drawn:
        queues.append([("live", case, number) for number in case.live()])
        late = [("late", case, number) for number in case.late]
        chance.shuffle(late)
        queues.append(late)
        queues.append([("history", case, 0), ("editing", case, 0)])
    while any(queues):
        what, case, number = chance.choice([queue for queue in queues if queue]).pop(0)
        series = case.point.series
        if what == "history":
            world.points.change(series, history=case.point.history)
        elif what == "editing":
            world.points.change(series, editing=case.point.editing)
        else:
            push(world, case, number, late=what == "late")
        disturb(world, chance, seen)
    world.catch_up()
    world.consumer.flush()
    world.catch_up().consumer.flush()
    shown = seen_by_people(world, drawn)
    generations = [world.streams.states[case.point.series].progress.generation for case in drawn]
    world.kill()
    world.start()
    world.catch_up().consumer.flush()
    assert seen_by_people(world, drawn) == shown, "and after another start"
    again = [world.streams.states[case.point.series].progress.generation for case in drawn]
    assert again == generations, "once is enough"
    world.kill()
    return shown


def test_whatever_is_registered_the_order_and_the_cut_change_nothing() -> None:
    """Periods, exchanges, bad readings, rules, corrections and sisters; live and put in later.

    However the packets are cut into batches, whichever come as history, whenever the settings
    are changed and the pipeline dies: intervals, hours, days, months, gaps and findings are
    those of packets that came once and in order.
    """
    seen: Counter[str] = Counter()
    several = st.one_of(
        cases(seen, 1).map(lambda one: [one]),
        st.tuples(cases(seen, 1, 2), cases(seen, 2, 1)).map(list),
    )

    @settings(
        max_examples=120,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[phase for phase in Phase if phase is not Phase.explain],
    )
    @given(several, st.randoms())
    def holds(drawn: list[Case], chance: random.Random) -> None:
        with tempfile.TemporaryDirectory() as folder:
            wanted = expected(Path(folder) / "in order", drawn)
            found = in_any_order(Path(folder) / "any order", drawn, chance, seen)
        for series, shown in wanted.items():
            for what, figures in shown.items():
                assert found[series][what] == figures, (series, what)
            seen["gaps"] += bool(shown["gaps"])
            seen["findings"] += bool(shown["findings"])

    holds()
    often = {"periods": 80, "exchange": 30, "reset": 15, "roll_over": 15, "bad": 15, "late": 60}
    often |= {"fill": 40, "spread": 8, "edit": 10, "accept": 10, "confirm": 8, "sister": 5}
    often |= {"killed": 100, "gaps": 50, "findings": 30, "edited and dated": 50, "of a phase": 20}
    # Chance alone must not fail a run: a quarter of what is usual is too seldom.
    rare = {edge: seen[edge] for edge, usual in often.items() if 4 * seen[edge] < usual}
    assert not rare, f"edges drawn too seldom: {rare} of {dict(seen)}"
