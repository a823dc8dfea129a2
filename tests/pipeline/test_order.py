"""The theorem: in which order packets come changes no figure, once the rest is backfilled."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from itertools import zip_longest
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kilowatch.log import Origin
from tests.pipeline.gated_world import GatedWorld, Push
from tests.pipeline.interval_cases import Packets, streams

slow = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
PUSHED = Origin("push", "", "history of the month")
WAYS = ("in order", "reversed", "shuffled", "shuffled nearby", "interleaved halves", "one late")


def pushes_of(packets: Packets) -> list[Push]:
    """Return a drawn stream as packets to push."""
    series = packets.point.series
    pairs = zip(packets.at_ms, packets.values, strict=True)
    return [Push(series, at_ms, values) for at_ms, values in pairs]


def disordered(pushes: list[Push], way: str, chance: random.Random) -> list[Push]:
    """Return one stream's packets in another order, some of them more than once."""
    found = list(pushes)
    if way == "reversed":
        found.reverse()
    elif way == "shuffled":
        chance.shuffle(found)
    elif way == "shuffled nearby":
        places = {id(one): number + chance.uniform(0, 4) for number, one in enumerate(found)}
        found.sort(key=lambda one: places[id(one)])
    elif way == "interleaved halves":
        middle = len(found) // 2
        pairs = zip_longest(found[middle:], found[:middle])
        found = [one for pair in pairs for one in pair if one is not None]
    elif way == "one late":
        found.append(found.pop(chance.randrange(len(found))))
    assert len({one.at_ms for one in found}) == len(pushes)
    return [one for one in found for _ in range(chance.choice([1, 1, 1, 2, 3]))]


def merged(orders: list[list[Push]], chance: random.Random) -> list[Push]:
    """Interleave streams by chance, each in its own order."""
    queues = [list(order) for order in orders]
    found = []
    while any(queues):
        found.append(chance.choice([queue for queue in queues if queue]).pop(0))
    return found


def test_order_and_repetition_change_no_figure_once_the_rest_is_backfilled() -> None:
    """However packets arrive, hours, days and months end as if each had come once and in order.

    Registers, amounts, rates, gauges and electrical streams with partial channels, across both
    clock changes of nine time zones, gaps, roll-overs and resets; the pipeline is killed and
    started again in between, and part of the packets arrive only with the backfill.
    """
    seen: Counter[str] = Counter()
    several = st.one_of(
        streams(seen).map(lambda one: [one]),
        st.tuples(streams(seen, 1), streams(seen, 2)).map(list),
    )

    @settings(parent=slow, max_examples=200)
    @given(several, st.lists(st.sampled_from(WAYS), min_size=2, max_size=2), st.randoms())
    def holds(drawn: list[Packets], ways: list[str], chance: random.Random) -> None:
        with tempfile.TemporaryDirectory() as folder:
            expected = in_order(Path(folder) / "in order", drawn)
            found = out_of_order(Path(folder) / "any order", drawn, ways, chance, seen)
        for series, figures in expected.items():
            for grain, rows in figures.items():
                assert found[series][grain] == rows, (series, grain)

    holds()
    often = {"clock change": 50, "leap day": 10, "gap": 80, "several": 80, "roll over": 10}
    often |= {"reset": 20, "register": 15, "rate": 5, "gauge": 5, "amount": 5}
    often |= {"a parameter is missing": 50, "register comes later": 5, "two streams": 40}
    often |= {"discarded": 150, "duplicate": 80, "pushed as history": 80, "killed": 60}
    often |= dict.fromkeys(WAYS, 15)
    rare = {edge: seen[edge] for edge, least in often.items() if seen[edge] < least}
    assert not rare, f"edges drawn too seldom: {rare} of {dict(seen)}"


Shown = dict[int, dict[str | int, object]]


def in_order(folder: Path, drawn: list[Packets]) -> Shown:
    """Return the figures of packets that come once each and in order."""
    world = GatedWorld(folder, [packets.point for packets in drawn])
    world.start()
    for packets in drawn:
        outcomes = world.deliver(pushes_of(packets))
        assert {outcome.status for outcome in outcomes} == {"accepted"}
    world.catch_up()
    shown = shown_of(world, drawn)
    world.close()
    return shown


def out_of_order(
    folder: Path,
    drawn: list[Packets],
    ways: list[str],
    chance: random.Random,
    seen: Counter[str],
) -> Shown:
    """Deliver in any order with repetitions and restarts, then backfill what was discarded."""
    world = GatedWorld(folder, [packets.point for packets in drawn])
    world.start()
    orders, withheld = [], []
    for packets, way in zip(drawn, ways, strict=False):
        seen[way] += 1
        order = disordered(pushes_of(packets), way, chance)
        missing = {one.at_ms for one in order if chance.random() < 0.15}
        withheld += [one for one in order if one.at_ms in missing]
        orders.append([one for one in order if one.at_ms not in missing])
    seen["two streams"] += len(drawn) > 1
    delivery = merged(orders, chance)
    while delivery:
        size = chance.randint(1, 8)
        for outcome in world.deliver(delivery[:size]):
            seen[outcome.status] += 1
        delivery = delivery[size:]
        disturb(world, chance, seen)
    chance.shuffle(withheld)
    while withheld:
        size = chance.randint(1, 8)
        for outcome in world.deliver(withheld[:size], PUSHED):
            assert outcome.status != "discarded"
            seen["pushed as history"] += 1
        withheld = withheld[size:]
        disturb(world, chance, seen)
    for packets in drawn:
        series = packets.point.series
        ids = [one.id for one in world.writer.kept_of(series, None, 1000)]
        chance.shuffle(ids)
        for some in (ids[::2], ids[1::2]):
            world.backfill_discarded(series, some)
            disturb(world, chance, seen)
        assert world.writer.kept_of(series, None, 1) == []
    world.catch_up()
    shown = shown_of(world, drawn)
    world.consumer.flush()
    assert shown_of(world, drawn) == shown, "stored, it is the same"
    world.restart()
    world.catch_up()
    assert shown_of(world, drawn) == shown, "and after another start"
    world.close()
    return shown


def disturb(world: GatedWorld, chance: random.Random, seen: Counter[str]) -> None:
    """Let the pipeline go on, write, or die, by chance."""
    for what in chance.sample(("step", "catch up", "flush", "kill", "nothing", "nothing"), 2):
        if what == "step":
            world.consumer.step()
        elif what == "catch up":
            world.catch_up()
        elif what == "flush":
            world.consumer.flush()
        elif what == "kill":
            seen["killed"] += 1
            world.restart()


def shown_of(world: GatedWorld, drawn: list[Packets]) -> Shown:
    """Return everything that people can see of some streams."""
    found: Shown = {}
    for packets in drawn:
        point = packets.point
        status = world.view.status(point)
        assert status.packets == len(packets.at_ms), "each instant counts once"
        assert not status.findings
        extent, last = world.view.extent(point), world.view.last_values([point])
        found[point.series] = {
            **world.shown(point.series),
            "extent": extent,
            "last": last[point.series],
            "channels": world.view.channels(point),
        }
    return found
