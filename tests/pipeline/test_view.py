"""What pages and commands are told about streams."""

import asyncio
import json
import threading
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.zones import Zone
from kilowatch.pipeline.rollups import roll_up
from kilowatch.pipeline.subscription import Hub
from tests.pipeline.pipeline_world import (
    DAY_MS,
    FOREVER,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    World,
    comparable,
    point,
    single,
)

YEAR_2030 = 1_893_456_000_000


def pushed(folder: Path, days: int = 5) -> World:
    """Return a world with a three-phase meter, a power and a gas dial, half of it flushed."""
    world = World(folder, [point(1), point(2), single(3, interval_s=3600)]).start()
    for number in range(days * 288):
        at_ms = START_MS + number * 5 * MINUTE_MS
        watts = {f"aP_{phase}": 1000.0 * phase + number for phase in (1, 2, 3)}
        volt_amperes = {f"apP_{phase}": 1250.0 * phase + number for phase in (1, 2, 3)}
        world.log.push(1, at_ms, watts | volt_amperes)
        world.log.push(2, at_ms + 1000, {"aP_1": float(number % 288)})
        if number % 12 == 0:
            world.log.push(3, at_ms, {"value": number / 12})
        if number == days * 144:
            world.catch_up()
            world.consumer.flush()
    return world.catch_up()


def test_every_granularity_is_made_of_the_same_intervals(tmp_path: Path) -> None:
    """Hours, days, weeks and months from roll-ups are what the intervals themselves give."""
    world = pushed(tmp_path)
    zone = Zone.of("Europe/Dublin")
    one = world.points.points[1]
    intervals = world.view.series(one, [4, 5], 0, YEAR_2030, "interval")
    for grain in (600, 900, 3600, "hour", 7200, 21_600, "day", "week", "month", "year"):
        found = world.view.series(one, [4, 5], 0, YEAR_2030, grain)
        expected = roll_up(intervals, grain, zone)
        assert found.start_ms.tolist() == expected.start_ms.tolist()
        assert found.count.tolist() == expected.count.tolist()
        for figure in ("mean", "low", "high", "covered_ms", "duration_ms"):
            assert np.allclose(getattr(found, figure), getattr(expected, figure), rtol=1e-12)
    for finer in (60, 300, "interval"):
        found = world.view.series(one, [4, 5], 0, YEAR_2030, finer)
        assert comparable(found) == comparable(intervals), "never finer than what there is"
    gas = world.points.points[3]
    assert comparable(world.view.series(gas, [0], 0, YEAR_2030, "hour")) == comparable(
        world.view.series(gas, [0], 0, YEAR_2030, "interval")
    )


def test_a_span_has_whole_buckets_that_start_in_it(tmp_path: Path) -> None:
    """Asking from half past eight gives hours from nine on, the last one to its end."""
    world = pushed(tmp_path)
    one = world.points.points[1]
    for day in (1, 4):  # stored and hot
        start = START_MS + day * DAY_MS
        rows = world.view.series(one, [5], start + 510 * MINUTE_MS, start + 631 * MINUTE_MS, "hour")
        assert (rows.start_ms - start).tolist() == [9 * HOUR_MS, 10 * HOUR_MS]
        assert rows.count.tolist() == [12, 12]
        assert len(world.view.series(one, [5], start + 1, start + HOUR_MS, "hour")) == 0


def test_the_power_factor_of_a_day_is_that_of_its_sums(tmp_path: Path) -> None:
    """Also when nothing but the power factor is asked for."""
    world = pushed(tmp_path)
    one = world.points.points[1]
    alone = world.view.series(one, [32], 0, YEAR_2030, "month")
    together = world.view.series(one, [4, 12, 32], 0, YEAR_2030, "month")
    p, s = (together.mean[together.channel == channel][0] for channel in (4, 12))
    assert alone.channel.tolist() == [32]
    assert alone.mean[0] == pytest.approx(p / s, rel=1e-12)


def test_several_data_points_in_one_question(tmp_path: Path) -> None:
    """A site's meters come in one answer, each with its own interval."""
    world = pushed(tmp_path)
    points = list(world.points.points.values())
    for grain in ("interval", "hour", "day", "month"):
        together = world.view.series_many(points, [0, 5], 0, YEAR_2030, grain)
        apart = [world.view.series(one, [0, 5], 0, YEAR_2030, grain) for one in points]
        assert comparable(together) == comparable(IntervalBlock.concatenate(apart))
    assert len(world.view.series_many([], [5], 0, YEAR_2030, "day")) == 0
    stranger = point(99)
    assert len(world.view.series(stranger, [5], 0, YEAR_2030, "day")) == 0
    assert world.view.channels(stranger) == []
    assert world.view.extent(stranger) is None
    assert world.view.days_with_data(stranger, 0, YEAR_2030) == []


@pytest.mark.parametrize("grain", ["hours", 0, -5, None])
def test_an_unknown_granularity_is_refused(tmp_path: Path, grain: object) -> None:
    """A typo in a link gets an answer that names the right words."""
    world = pushed(tmp_path, 1)
    with pytest.raises(KilowatchError, match="is not a granularity") as refusal:
        world.view.series(world.points.points[1], [5], 0, 1, grain)  # type: ignore[arg-type]
    assert (refusal.value.code, refusal.value.status) == ("bad_grain", 400)


def test_days_with_data_are_local_days(tmp_path: Path) -> None:
    """The calendar of a site east of Greenwich marks its own days, stored or not."""
    world = World(tmp_path, [point(1, zone="Pacific/Auckland", clock="offset")]).start()
    one = world.points.points[1]
    for hour in (0, 1, 30, 100):
        world.log.push(1, START_MS + hour * HOUR_MS, {"aP_1": 1.0})
    world.catch_up()
    # Midnight UTC is 13:00 in Auckland: 1 March, 1 March, 2 March at 19:00, 5 March at 17:00.
    expected = [date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 5)]
    assert world.view.days_with_data(one, 0, YEAR_2030) == expected
    world.consumer.flush()
    assert world.view.days_with_data(one, 0, YEAR_2030) == expected
    assert world.view.days_with_data(one, START_MS, YEAR_2030) == expected[1:]


def test_the_last_values_of_10_000_streams_come_from_memory(tmp_path: Path) -> None:
    """The tree shows what every meter said last, and again right after a restart."""
    world = World(tmp_path, [point(series) for series in range(1, 10_001)]).start()
    for series in range(1, 10_001):
        values = {"aP_1": 10.0, "aP_3": series} if series % 2 else {"v_1": 230.5}
        world.log.push(series, START_MS, values)
    world.catch_up()
    points = list(world.points.points.values())
    began = time.thread_time()
    found = world.view.last_values(points)
    assert time.thread_time() - began < 0.5
    assert len(found) == 10_000
    assert (found[7].channel, found[7].value, found[7].unit) == (4, 17.0, "W")
    assert (found[8].channel, found[8].value, found[8].unit) == (17, 230.5, "V")
    world.consumer.flush()
    world.kill()
    world.start()
    assert world.view.last_values(points) == found


def test_an_interval_can_be_explained(tmp_path: Path) -> None:
    """From a figure to its readings, their sequence numbers and the settings that applied."""
    world = World(tmp_path, [single(1, unit="kWh", utility="electricity")]).start()
    for number in range(10):
        world.log.push(1, START_MS + number * 150_000 + 1, {"value": 5.0 + number})
    world.catch_up()
    one = world.points.points[1]
    story = world.view.explain(one, START_MS + 7 * MINUTE_MS)
    assert json.loads(json.dumps(story)) == story
    assert (story["start_ms"], story["end_ms"]) == (START_MS + 300_000, START_MS + 600_000)
    assert story["settings"]["unit"] == "kWh"
    assert story["settings"]["interval_s"] == 300
    assert "shown as sent" in story["clock_reason"]
    (row,) = story["intervals"]
    assert row["channel"] == "value"
    assert row["amount"] == pytest.approx(2000.0)
    assert row["mean"] is None
    assert row["amount_unit"] == "Wh"
    assert row["quality"] == "valid"
    readings = story["readings"]
    assert [reading["seq"] for reading in readings] == [2, 3, 4, 5]
    assert [reading["inside"] for reading in readings] == [False, True, True, False]
    assert readings[1]["values"] == {"value": 7.0}
    nothing = world.view.explain(point(7), START_MS)
    assert (nothing["intervals"], nothing["readings"]) == ([], [])
    assert "No packet" in nothing["text"]
    empty = world.view.explain(one, START_MS + 5 * DAY_MS)
    assert (empty["intervals"], empty["readings"]) == ([], [])


def test_readings_come_as_they_were_pushed(tmp_path: Path) -> None:
    """The source layer: units, offsets and receipt times untouched, hot and stored alike."""
    world = World(tmp_path, [point(1)]).start()
    one = world.points.points[1]
    for number in range(20):
        world.log.push(1, START_MS + number, {"aP_1": float(number)}, offset_min=-210)
        if number == 10:
            world.catch_up()
            world.consumer.flush()
    world.catch_up()
    found = world.view.readings(one, START_MS + 5, START_MS + 18, 10)
    assert (found.at_ms - START_MS).tolist() == list(range(5, 15))
    assert set(found.offset_min.tolist()) == {-210}
    assert (found.available_ms - found.at_ms).tolist() == [700] * 10
    assert len(world.view.readings(one, 0, START_MS)) == 0


def test_pages_hear_of_changes_a_few_times_a_second() -> None:
    """A thousand packets are one redraw; a page hears of its own streams only."""
    hub = Hub()

    async def listen() -> list[frozenset[int]]:
        loop = asyncio.get_running_loop()
        mine = hub.join(loop, {1, 2})
        everything = hub.join(loop, None)

        def tell() -> None:
            for number in range(1000):
                hub.publish({number % 4})

        threading.Thread(target=tell).start()
        heard = [await anext(mine), await anext(everything)]
        hub.publish({3})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(mine), 0.4)
        mine.watch({3})
        hub.publish({3})
        heard.append(await asyncio.wait_for(anext(mine), 2))
        hub.close()
        with pytest.raises(StopAsyncIteration):
            await anext(mine)
        mine.close()
        hub.publish({3})
        return heard

    heard = asyncio.run(listen())
    assert heard[0] == {1, 2}
    assert heard[1] >= {1, 2, 3}
    assert heard[2] == {3}


def test_a_closed_page_is_forgotten() -> None:
    """A browser that went away, loop and all, costs nothing any more."""
    hub = Hub()

    async def leave() -> None:
        hub.join(asyncio.get_running_loop(), None)

    asyncio.run(leave())
    hub.publish({1})
    assert hub._subscriptions == ()


def test_a_waiting_page_ends_when_it_is_closed() -> None:
    """A shutdown must not wait for pages that wait for packets."""
    hub = Hub()

    async def wait() -> str:
        subscription = hub.join(asyncio.get_running_loop(), None)
        threading.Timer(0.1, subscription.close).start()
        return await anext(subscription, "ended")  # type: ignore[arg-type]

    assert asyncio.run(asyncio.wait_for(wait(), 5)) == "ended"


def test_readers_and_the_consumer_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    """While packets stream in and blocks are flushed, every answer is a state that has been."""
    world = World(tmp_path, [point(1)]).start()
    one = world.points.points[1]
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        seen = 0
        while not done.is_set():
            rows = world.view.series(one, [5], 0, YEAR_2030, 300)
            hours = world.view.series(one, [5], 0, YEAR_2030, "hour")
            if rows.mean.tolist() != [float(number) for number in range(len(rows))]:
                wrong.append("a row is missing or doubled")
            if len(rows) < seen or hours.count.sum() < len(rows):
                wrong.append("something that was shown has gone")
            seen = len(rows)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(400):
        world.log.push(1, START_MS + number * 5 * MINUTE_MS, {"aP_1": float(number)})
        world.consumer.step()
        if number % 23 == 0:
            world.consumer.flush()
    done.set()
    reader.join()
    assert wrong == []


def test_many_small_batches_are_joined_in_memory(tmp_path: Path) -> None:
    """A stream of single packets does not make every read slower."""
    world = World(tmp_path, [point(1), point(2)]).start()
    for number in range(200):
        world.log.push(1 + number % 2, START_MS + number * MINUTE_MS, {"aP_1": float(number)})
        world.consumer.step()
    assert len(world.streams.hot._batches) <= 40
    assert len(world.view.readings(world.points.points[1], 0, FOREVER)) == 100
    straight = World(tmp_path / "straight", [point(1), point(2)])
    straight.folder.mkdir()
    straight.log = world.log
    straight.start().catch_up()
    assert world.everything(1) == straight.everything(1)
    world.consumer.flush()
    assert world.everything(1) == straight.everything(1)
