"""What was true when: periods, factors, and a site whose time zone changed."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from kilowatch.model.calendar import Zone, buckets
from kilowatch.model.dated import ALWAYS_MS, NO_HISTORY, History, MeterEvent, Period
from kilowatch.model.zones import fits_together

HOUR_MS = 3_600_000


def at(text: str) -> int:
    """Return an instant [ms]."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


MOVED = at("2026-02-02T12:00")
SITE = History(zones=((ALWAYS_MS, "Europe/Dublin"), (MOVED, "Europe/Berlin"))).zone_name("x")


def period(**settings: object) -> Period:
    """Return a period of an hourly dial in kWh."""
    plain = {"unit": "kWh", "interval_s": 3600, "tolerance_s": 1800.0, "behaviour": "register"}
    return Period(**({"from_ms": 0} | plain | settings))  # type: ignore[arg-type]


def test_a_site_that_moved_has_the_clock_of_each_place() -> None:
    """Dublin's wall shows UTC in winter until the move, Berlin's an hour more from then on."""
    zone = Zone.of(SITE)
    instants = [MOVED - 1, MOVED, at("2026-07-01"), at("2025-07-01")]
    assert (zone.offsets_ms(instants) // HOUR_MS).tolist() == [0, 1, 2, 1]
    before = [at("2025-03-30T01:00"), at("2025-10-26T01:00")]
    dublin, berlin = Zone.of("Europe/Dublin"), Zone.of("Europe/Berlin")
    assert zone.offsets_ms(before).tolist() == dublin.offsets_ms(before).tolist()
    after = np.arange(MOVED, at("2030-01-01"), 7 * HOUR_MS)
    assert (zone.offsets_ms(after) == berlin.offsets_ms(after)).all()


def test_the_day_of_the_move_is_as_long_as_it_was() -> None:
    """It began at midnight in Dublin and ended at midnight in Berlin: 23 hours."""
    day = buckets(np.array([MOVED]), 86_400, Zone.of(SITE))
    assert (day.start_ms[0], day.end_ms[0]) == (at("2026-02-02"), at("2026-02-02T23:00"))
    cut = buckets(np.array([MOVED - 1, MOVED]), 7_200, Zone.of(SITE))
    assert cut.end_ms[0] == cut.start_ms[1] == MOVED, "the move starts a new interval"


def test_moves_near_a_change_of_the_clocks_do_not_fit() -> None:
    """A local time that comes three times can't be told apart."""
    assert fits_together(SITE)
    near = at("2025-10-26T01:30")
    assert not fits_together(f"Europe/Berlin|{near}|America/Los_Angeles")
    same = f"Europe/Berlin|{MOVED}|Europe/Paris"
    assert fits_together(same), "two names of the same clock"


@pytest.mark.parametrize(
    ("kind", "unit", "scale"),
    [
        ("electrical", "Wh", 3 * 40 * 2),
        ("single", "kWh", 3 * 40 * 2 * 0.5),
        ("single", "kW", 3 * 40 * 2 * 0.5),
        ("single", "A", 3 * 40 * 0.5),
        ("single", "V", 3 * 2 * 0.5),
        ("single", "m3", 3 * 0.5),
        ("single", "°C", 3 * 0.5),
    ],
)
def test_each_ratio_applies_to_what_passes_through_it(kind: str, unit: str, scale: float) -> None:
    """A volume does not pass through a current transformer."""
    behaviour = "register" if unit in {"Wh", "kWh", "m3"} else "gauge"
    one = period(
        unit=unit, behaviour=behaviour, multiplier=3.0, ct_ratio=40.0, vt_ratio=2.0,
        pulse_weight=0.5,
    )  # fmt: skip
    assert one.scale(kind) == scale


def test_the_settings_of_an_instant_are_those_of_its_period() -> None:
    """From the very instant on, and not a millisecond before."""
    history = History((period(), period(from_ms=MOVED, multiplier=2.0)))
    found = [history.at(at_ms) for at_ms in (ALWAYS_MS, MOVED - 1, MOVED)]
    assert [one.multiplier for one in found if one is not None] == [1.0, 1.0, 2.0]
    assert NO_HISTORY.at(MOVED) is None
    assert not NO_HISTORY


def test_a_history_survives_being_stored() -> None:
    """What the pipeline computed with is compared with what is set: it must come back the same."""
    events = (MeterEvent("exchange", MOVED, 25, 9.5, 0.0), MeterEvent("bad", 5, until_ms=7))
    history = History((period(), period(from_ms=MOVED, calorific_kwh_per_m3=11.0)), events)
    packed = msgspec.msgpack.encode(history.plain())
    stored = msgspec.msgpack.decode(packed)
    assert stored == history.plain()
    assert History.of_plain(stored) == history
    assert History.of_plain(None) is NO_HISTORY
