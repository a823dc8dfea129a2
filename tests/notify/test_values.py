"""Values and sums against limits: readings in a row, hours, units, money; and back again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import apsw
import numpy as np
import pytest

from kilowatch.catalog.alerts import Watched
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import AP, PC
from kilowatch.model.points import DataPoint
from kilowatch.notify.quantities import QUANTITIES, parse_limit, shown
from kilowatch.notify.raising import Raiser
from kilowatch.notify.rules import Rule, Rules, Terms
from kilowatch.notify.values import thresholds
from tests.notify.worlds import DAY_MS, HOUR_MS, NOW_MS, FakeView, Last, World
from tests.pipeline.pipeline_world import point as plain_point

INTERVAL_S = 300
OVER_50_KW: dict[str, Any] = {"quantity": "aP", "limit": 50_000.0, "unit": "W"}


def readings(world: World, *kilowatts: float, number: int = 0, gap: int = 0) -> None:
    """Let readings come in, one each interval."""
    for value in kilowatts:
        world.read(world.points[number], value * 1000)
        world.run()
        world.now += INTERVAL_S * 1000 * (1 + gap)
        world.run()


def test_a_value_past_the_limit_is_told_with_value_and_limit(world: World) -> None:
    """One sentence: what, how much, since when, what the limit is."""
    world.rule("threshold", channels=[world.channel()], **OVER_50_KW)
    readings(world, 40, 61.2)
    (mail,) = world.said()
    assert mail.title == "Main supply: active power above 50 kW (61.2 kW)"
    assert mail.body.startswith(
        "Active power of Main supply has been above 50 kW since 14:25 (61.2 kW)."
    )


def test_a_value_that_nobody_had_judged_before_a_crash_is_told_after_it(world: World) -> None:
    """The packet was stored, the platform killed, and the meter sends the next one tomorrow."""
    world.rule("threshold", channels=[world.channel()], **OVER_50_KW)
    world.run()
    world.read(world.points[0], 61_000.0)
    world.reopen()
    world.run(seconds=5)
    assert [one.what for one in world.said()] == ["opened"]
    world.reopen()
    world.run(seconds=5)
    assert len(world.said()) == 1


def test_a_value_is_judged_again_when_the_alert_could_not_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full when it was past the limit: it is told when there is room."""
    world.rule("threshold", channels=[world.channel()], **OVER_50_KW)
    world.rule("cumulated", channels=[world.channel("sum")], quantity="pC", limit=1_000.0,
               unit="Wh", period="day")  # fmt: skip
    world.run(seconds=120)

    def full(*_: object) -> None:
        raise apsw.FullError

    with monkeypatch.context() as disk:
        disk.setattr(Raiser, "verdicts", full)
        world.read(world.points[0], 61_000.0)
        world.read(world.points[1], float("nan"), channel=PC, amount=5_000.0)
        with pytest.raises(apsw.FullError):
            world.notifier.engine.judge_values()
    world.run(seconds=120)
    assert {alert.kind for alert in world.alerts()} == {"threshold", "cumulated"}
    assert len(world.said("opened")) == 2


def test_consecutive_readings_are_counted(world: World) -> None:
    """One spike is no alert when the rule asks for three readings in a row."""
    world.rule("threshold", channels=[world.channel()], consecutive=3, **OVER_50_KW)
    readings(world, 40, 60, 60, 40, 60, 60)
    assert not world.said()
    readings(world, 60)
    (mail,) = world.said()
    assert "3 readings in a row" in mail.body


def test_readings_with_a_hole_between_them_are_not_in_a_row(world: World) -> None:
    """Nobody knows what happened in the hole."""
    world.rule("threshold", channels=[world.channel()], consecutive=3, **OVER_50_KW)
    readings(world, 60, 60)
    world.now += 2 * INTERVAL_S * 1000
    readings(world, 60)
    assert not world.said()
    readings(world, 60, 60)
    assert len(world.said()) == 1


def test_it_is_over_after_as_many_good_readings(world: World) -> None:
    """A value that dances about the limit is one alert, not ten."""
    world.rule("threshold", channels=[world.channel()], consecutive=2, **OVER_50_KW)
    readings(world, 40, 60, 60, 40, 60, 40, 60, 60)
    assert [one.what for one in world.said()] == ["opened"]
    readings(world, 40, 40)
    assert [one.what for one in world.said()] == ["opened", "recovery"]
    assert world.said()[1].title == "Main supply: active power no longer above 50 kW"


def test_after_its_end_an_alert_cools_down(world: World) -> None:
    """A load that comes every quarter of an hour is told once an hour, each point by itself."""
    world.rule("threshold", channels=[world.channel()], cooldown_min=60, **OVER_50_KW)
    readings(world, 60, 40, 60, 40, 60, 40)
    assert [one.what for one in world.said()] == ["opened", "recovery"]
    readings(world, 60, number=1)
    assert [one.what for one in world.said()][2:] == ["opened"], "another data point is news"
    readings(world, *[60] * 6)
    assert len(world.alerts()) == 2, "still within the hour"
    readings(world, *[60] * 4)
    assert len(world.alerts()) == 3, "an hour after the end, what is past the limit is told"
    assert world.alerts()[-1].ended_ms is None


def test_what_nobody_was_told_of_needs_no_cooling_down(world: World) -> None:
    """An alert that was over before it was told leaves the next one alone."""
    world.rule("threshold", channels=[world.channel()], cooldown_min=60, **OVER_50_KW)
    point, interval_ms = world.points[0], INTERVAL_S * 1000
    world.now = (world.now // interval_ms + 1) * interval_ms - 1_000
    world.read(point, 60_000)
    world.run()
    world.now += 1_500
    world.read(point, 40_000)
    world.run()
    assert [one.ended_why for one in world.alerts()] == ["before told"]
    world.now += interval_ms
    world.read(point, 60_000)
    world.run(seconds=5)
    assert [one.what for one in world.said()] == ["opened"]


def test_a_rule_holds_in_its_hours_only(world: World) -> None:
    """Power at night is a finding, the same power by day is work."""
    world.rule(
        "threshold", channels=[world.channel()], from_min=22 * 60, to_min=6 * 60, **OVER_50_KW
    )
    readings(world, 60, 60)
    assert not world.said()
    world.now += 8 * HOUR_MS  # 22:32
    readings(world, 60)
    assert len(world.said()) == 1
    world.run(seconds=8 * 3600, step_s=60)
    assert world.alerts()[0].ended_why == "outside its hours"
    assert len(world.said()) == 1, "the end of the night is no news"


def test_too_little_is_a_limit_too(world: World) -> None:
    """A freezer that warms up, a pump that stands still."""
    cold = next(point for point in world.others if point.kind == "single")
    world.rule(
        "threshold", channels=[world.channel()], watched=Watched(data_point_id=cold.id),
        quantity="temperature", above=False, limit=5.0, unit="°C",
    )  # fmt: skip
    world.read(cold, 4.2, channel=0)
    world.run(seconds=5)
    (mail,) = world.said()
    assert mail.title == "Cold room: temperature below 5 °C (4.2 °C)"


def test_the_phase_that_is_furthest_out_counts_for_voltages(world: World) -> None:
    """One phase above 253 V is too high, whatever the others have."""
    world.rule("threshold", channels=[world.channel()], quantity="v", limit=253.0, unit="V")
    for channel, volts in ((17, 231.0), (18, 255.0), (19, 230.0)):
        world.read(world.points[0], volts, channel=channel)
    world.run(seconds=5)
    (mail,) = world.said()
    assert "(255 V)" in mail.title


def test_half_an_interval_of_energy_is_no_reading(world: World) -> None:
    """Less than 5 kWh is not true just because the interval has only begun."""
    world.rule(
        "threshold", channels=[world.channel()], quantity="pC", above=False, limit=5_000.0,
        unit="Wh",
    )  # fmt: skip
    point, start = world.points[0], world.now // 300_000 * 300_000
    world.view.put(point, PC, start, amount=2_000.0, covered=0.5)
    world.notifier.changed({point.series})
    world.run(seconds=5)
    assert not world.said()
    world.view.put(point, PC, start + 300_000, amount=2_000.0)
    world.notifier.changed({point.series})
    world.run(seconds=5)
    assert len(world.said()) == 1


def test_history_that_is_put_in_later_raises_nothing(world: World) -> None:
    """A rule tells what is, not what was last month."""
    world.rule("threshold", channels=[world.channel()], **OVER_50_KW)
    point = world.points[0]
    world.view.put(point, AP, (world.now - 30 * DAY_MS) // 300_000 * 300_000, mean=90_000.0)
    world.notifier.changed({point.series})
    world.run(seconds=5)
    assert not world.alerts()


def test_what_measures_in_another_unit_is_not_watched(world: World) -> None:
    """A rule about 50 kW for the whole organisation leaves the thermometer alone."""
    world.rule("threshold", channels=[world.channel()], watched=Watched(), **OVER_50_KW)
    for one in (*world.points, *world.others):
        world.read(one, 60_000.0, channel=4 if one.kind == "electrical" else 0)
    world.run(seconds=5)
    assert len(world.members()) == 4
    assert len(world.said()) == 1, "all at once is one message"


def test_only_series_that_changed_are_read(world: World) -> None:
    """Ten thousand data points under a rule cost what the few that spoke cost."""
    world.rule("threshold", watched=Watched(), **OVER_50_KW)
    world.run()
    asked = world.view.asked
    world.run(seconds=30)
    assert world.view.asked == asked
    world.read(world.points[0], 1_000.0)
    world.run()
    assert world.view.asked == asked + 1


def test_a_store_that_is_busy_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alert is late then, and not lost."""
    world.rule("threshold", channels=[world.channel()], **OVER_50_KW)
    world.read(world.points[0], 60_000.0)

    def busy(*_arguments: object) -> None:
        raise KilowatchError("store_busy", "The store opens.", status=503, retry_helps=True)

    with monkeypatch.context() as patch:
        patch.setattr(world.view, "series_many", busy)
        world.run(seconds=5)
    assert not world.alerts()
    world.run(seconds=5)
    assert len(world.said()) == 1


def test_a_sum_so_far_is_told_once_in_its_period(world: World) -> None:
    """Energy of the local day; the next day counts anew, without a message that it is over."""
    world.rule(
        "cumulated", channels=[world.channel()], quantity="pC", limit=500_000.0, unit="Wh",
    )  # fmt: skip
    point = world.points[0]
    for _ in range(12):
        world.read(point, float("nan"), channel=PC, amount=50_000.0)
        world.run()
        world.now += 300_000
        world.run(seconds=5)
    (mail,) = world.said()
    assert mail.title == "Main supply has counted 550 kWh so far today, past the limit of 500 kWh"
    world.run(seconds=12 * 3600, step_s=300)
    assert world.alerts()[0].ended_why == "period over"
    assert len(world.said()) == 1
    for _ in range(11):
        world.read(point, float("nan"), channel=PC, amount=50_000.0)
        world.now += 300_000
        world.run(seconds=5)
    assert len(world.said()) == 2


def test_money_names_its_price(world: World) -> None:
    """A sum of money says which price it was counted at, and what is not in it."""
    world.rule(
        "cumulated", channels=[world.channel()], quantity="pC", limit=100.0, unit="",
        price_per_kwh=0.25, currency="€", period="month",
    )  # fmt: skip
    world.read(world.points[0], float("nan"), channel=PC, amount=420_000.0)
    world.run(seconds=5)
    (mail,) = world.said()
    assert mail.title == "Main supply has cost 105 € so far this month, past the limit of 100 €"
    assert "Counted at the rule's price of 0.25 € per kWh, without standing charges" in mail.body


@pytest.mark.parametrize(
    ("text", "usual", "expected"),
    [
        ("50 kW", "kW", (50_000.0, "W")), ("50", "kW", (50_000.0, "W")),
        ("1.2MWh", "kWh", (1_200_000.0, "Wh")), ("−18 °C", "°C", (-18.0, "°C")),
        ("1 200,5 m³", "m3", (1200.5, "m3")), ("68 °F", "°C", (20.0, "°C")),
        ("0.9", "", (0.9, "")), ("16 A", "A", (16.0, "A")),
    ],
)  # fmt: skip
def test_a_limit_is_read_as_people_write_it(
    text: str, usual: str, expected: tuple[float, str]
) -> None:
    """With its unit, or in the usual one."""
    value, unit = parse_limit(text, usual)
    assert value == pytest.approx(expected[0])
    assert unit == expected[1]


@pytest.mark.parametrize("text", ["", "a lot", "50 bananas", "kW 50", "1e400 kW", "nan W"])
def test_what_is_no_limit_is_said(text: str) -> None:
    """No rule is made that could never speak."""
    with pytest.raises(KilowatchError, match="Write it as 50 kW"):
        parse_limit(text, "kW")


def test_every_quantity_can_be_shown_in_its_usual_unit() -> None:
    """The form's hint is a text that the form accepts."""
    for quantity in QUANTITIES.values():
        value, unit = parse_limit(f"7 {quantity.usual}", quantity.usual)
        assert shown(value, unit).startswith("7")


def test_ten_thousand_streams_are_judged_in_the_time_between_their_packets() -> None:
    """One rule for everything, all streams at once: seconds, and they come every five minutes."""
    rules, view, points = _ten_thousand()
    began = time.perf_counter()
    found = list(thresholds(view, rules, points, NOW_MS))
    took_s = time.perf_counter() - began
    print(f"10,000 data points judged in {took_s:.2f} s")  # noqa: T201
    assert sum(verdict.past for verdict in found) == 5_000
    assert len(found) == 10_000
    assert view.asked == 1, "one question to the store"
    assert took_s < 10


def _ten_thousand() -> tuple[Rules, FakeView, list[DataPoint]]:
    points = [plain_point(number) for number in range(1, 10_001)]
    series = np.arange(1, 10_001)
    start = NOW_MS // 300_000 * 300_000
    same = {"channel": 4, "start_ms": start, "duration_ms": 300_000, "version": 1, "count": 1}
    ints = {name: np.full(len(series), value) for name, value in same.items()}
    watts = (1_000.0 + series).astype(np.float64)
    none = np.full(len(series), np.nan)
    block = IntervalBlock(
        series=series, **ints, mean=watts, low=watts, high=watts, amount=none, unallocated=none,
        covered_ms=np.full(len(series), 300_000), quality=np.zeros(len(series), np.int64),
    )  # fmt: skip

    class Prepared(FakeView):
        """Has the answer ready, so that only our own time is measured."""

        def series_many(self, *_arguments: object) -> IntervalBlock:
            self.asked += 1
            return block

        def last_values(self, points: Sequence[DataPoint]) -> dict[int, Last]:
            return {one.series: Last(start) for one in points}

    terms = Terms(quantity="aP", limit=6_000.0, unit="W")
    rule = Rule(1, points[0].organisation_id, None, None, "Rule", "threshold", terms)
    return Rules(1, [rule], []), Prepared(), points
