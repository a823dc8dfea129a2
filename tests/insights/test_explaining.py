"""Events in sentences that a facility manager reads once."""

import math
from datetime import datetime
from typing import Any

import pytest

from kilowatch.insights.explaining import About, explain
from kilowatch.insights.variants import variant
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.site_facts import Price
from kilowatch.model.zones import Zone

DUBLIN = Zone.of("Europe/Dublin")
SATURDAY_MS = 1_726_268_400_000  # Sat 14 Sep 2024, 00:00 in Dublin
CONTRACT = Price(1, "electricity", 0.22, "kWh", "EUR", 0, None, "contract")


def event(kind: EventKind, hours: int = 48, **changes: object) -> InsightEvent:
    """Return an event that begins on a Saturday."""
    values: dict[str, object] = {
        "id": "e", "series": 1, "kind": kind, "start_ms": SATURDAY_MS,
        "end_ms": SATURDAY_MS + hours * HOUR_MS, "open": False, "found_ms": SATURDAY_MS,
        "amount": 214_000.0, "confidence": 0.9,
        "evidence": {"actual": 31_000.0, "expected": 9_000.0, "hours": 48},
    }  # fmt: skip
    return InsightEvent(**(values | changes))  # type: ignore[arg-type]


def about(**changes: object) -> About:
    """Return a supply with a price."""
    values: dict[str, object] = {
        "name": "Main supply", "utility": "electricity", "amount_unit": "Wh", "rate_unit": "W",
        "zone": DUBLIN, "price": CONTRACT,
    }  # fmt: skip
    return About(**(values | changes))  # type: ignore[arg-type]


def test_a_weekend_reads_as_people_would_say_it() -> None:
    """When, how much, what it cost at which price, which level, and what it looks like."""
    told = explain(event(EventKind.WEEKEND), about(others=("Ventilation", "Floor 2")))
    assert told.title == "Main supply: running over the weekend, 214 kWh more than needed"
    assert told.sentence == (
        "Saturday 14 to Sunday 15 September: 214 kWh more than a weekend needs, about 47 EUR at "
        "0.22 EUR/kWh (contract); 31 kW on average instead of 9 kW; it looks as if ventilation or "
        "lighting was not switched off; seen at Ventilation and Floor 2 too."
    )
    assert told.price == "0.22 EUR/kWh (contract)"


@pytest.mark.parametrize(
    ("today", "changes", "when", "title"),
    [
        ("2024-12-31", {}, "Saturday 14 to Sunday 15 September: ", "needed"),
        ("2026-01-02", {}, "Saturday 14 to Sunday 15 September 2024: ", "needed (2024)"),
        ("2026-01-02", {"hours": 5}, "Saturday 14 September 2024, 00:00 to 05:00: ", "(2024)"),
        ("2026-01-02", {"open": True, "hours": 60}, "Since Saturday 14 September 2024: ", "(2024)"),
        ("2025-01-02", {"hours": 2700}, "14 September 2024 to Saturday 4 January: ", "needed"),
        ("2026-01-02", {"hours": 2700}, "September 2024 to Saturday 4 January 2025: ", "(2025)"),
    ],
)
def test_another_year_than_this_one_is_named(
    today: str, changes: dict[str, Any], when: str, title: str
) -> None:
    """Saturday 14 September is the last one to everybody, unless a year is told."""
    now_ms = round(datetime.fromisoformat(f"{today}T12:00Z").timestamp() * 1000)
    told = explain(event(EventKind.WEEKEND, **changes), about(today_ms=now_ms))
    assert when in told.sentence
    assert told.title.endswith(title)


def test_what_a_roof_did_not_give_was_not_earned() -> None:
    """Less production is no saving, and the sentence does not read as a cost of energy."""
    fed_in = Price(2, "production", 0.2, "kWh", "EUR", 0, None, "fed in")
    told = explain(
        event(EventKind.DROPOUT, 8, amount=-90_000.0), about(utility="production", price=fed_in)
    )
    assert "90 kWh less than expected, about 18 EUR not earned at 0.2 EUR/kWh" in told.sentence


def test_a_night_load_beside_lower_days_does_not_contradict_itself() -> None:
    """All hours together took less than expected: it is said of which hours the finding is."""
    evidence = {"actual": 8_500.0, "expected": 9_000.0, "hours": 48, "night_ratio": 1.254}
    low = event(EventKind.NIGHT_LOAD, amount=-23_400.0, evidence=evidence)
    assert explain(low, about()).sentence == (
        "Saturday 14 to Sunday 15 September: the nights took 25 % more than usual, the other hours "
        "less: in all 23.4 kWh less than expected; 8.5 kW on average instead of 9 kW; something "
        "runs at night that did not run before."
    )
    unknown = event(EventKind.MISSED_SHUTDOWN, amount=-23_400.0)
    assert "the day off took more than usual, the other hours less: in all 23.4 kWh less" in (
        explain(unknown, about()).sentence
    )


def test_every_figure_of_a_sentence_agrees_with_the_others() -> None:
    """Hours times their difference is the amount that is said of them, whatever was joined."""
    evidence = {"actual": 31_000.0, "expected": 9_000.0, "hours": 20}
    some = event(EventKind.WEEKEND, amount=440_000.0, evidence=evidence)
    assert "440 kWh more than a weekend needs, about 97 EUR" in explain(some, about()).sentence
    assert "31 kW on average instead of 9 kW, in 20 h;" in explain(some, about()).sentence
    parts = [
        {"kind": "weekend", "amount": 440_000.0}, {"kind": "night_load", "amount": 500_000.0},
        {"kind": "after_hours", "amount": 60_000.0},
    ]  # fmt: skip
    joined = event(EventKind.WEEKEND, amount=500_000.0, evidence=evidence | {"parts": parts})
    assert (
        "500 kWh more than needed, about 110 EUR at 0.22 EUR/kWh (contract); 440 kWh of it at "
        "weekends: 31 kW on average instead of 9 kW, in 20 h; it looks"
    ) in explain(joined, about()).sentence
    parts[2]["kind"] = "weekend"
    alike = event(EventKind.WEEKEND, amount=500_000.0, evidence=evidence | {"parts": parts})
    assert "500 kWh more than a weekend needs" in explain(alike, about()).sentence
    assert "; 440 kWh of it: 31 kW on average" in explain(alike, about()).sentence
    nights = event(EventKind.NIGHT_LOAD, evidence=evidence | {"hours": 48, "night_ratio": 1.254})
    assert "the nights took 25 % more than usual: in all 214 kWh more than expected, about 47" in (
        explain(nights, about()).sentence
    )
    nights.evidence["night_ratio"] = 54.83
    assert "the nights, when almost nothing is usual, took more: in all 214 kWh more than" in (
        explain(nights, about()).sentence
    )


def test_a_sentence_does_not_contradict_its_figures() -> None:
    """A third is not missing where more was used, and no register is reset where power is sold."""
    evidence = {"actual": 253e3, "expected": 335e3, "ratio": 253 / 335, "hours": 48}
    lost = explain(event(EventKind.PHASE_LOSS, amount=-3.9e6, evidence=evidence), about())
    assert "24 % of the load is missing: a part of the plant is off, or a phase" in lost.sentence
    assert lost.title == "Main supply: a part of the load is gone, as if a phase were lost"
    phase = explain(event(EventKind.PHASE_LOSS, evidence={"phase": 2}), about())
    assert phase.title == "Main supply: a phase is lost"
    more = explain(event(EventKind.PHASE_LOSS, evidence=evidence), about())
    assert "missing" not in more.sentence
    sold = {"actual": -24.9e3, "expected": -33.6e3, "hours": 48}
    net = explain(event(EventKind.NEGATIVE, evidence=sold), about())
    assert net.title == "Main supply: less was fed in than expected"
    assert "−24.9 kW on average instead of −33.6 kW." in net.sentence
    assert "register" not in net.sentence
    dip = explain(event(EventKind.SPIKE, 1, amount=-264_000.0), about())
    assert dip.title == "Main supply: a dip"
    assert "a gap in what was counted" in dip.sentence
    pause = {"actual": 11_300.0, "expected": 21_700.0, "hours": 16, "zero_h": 9}
    out = explain(event(EventKind.DROPOUT, 16, amount=-167e3, evidence=pause), about())
    assert "instead of 21.7 kW, nothing at all for 9 h of it;" in out.sentence
    assert explain(event(EventKind.DROPOUT), about()).title == "Main supply: some hours without use"
    assert "one such hour" not in explain(event(EventKind.SPIKE, 5), about()).sentence
    shift = {"actual": 31e3, "expected": 9e3, "hours": 48, "shift_h": 0}
    assert "0 h" not in explain(event(EventKind.CLOCK_SHIFT, evidence=shift), about()).sentence


def test_water_runs_at_quiet_hours_and_nobody_opens_it() -> None:
    """A district has no opening hours, and water no plant."""
    night = event(EventKind.AFTER_HOURS, amount=3.2)
    told = explain(night, about(utility="water", amount_unit="m3", rate_unit="m3/h", price=None))
    assert told.title == "Main supply: running at quiet hours, 3.2 m³ more than needed"
    assert "3.2 m³ more than is needed at quiet hours" in told.sentence
    assert "a tap or a valve stayed open, or a pipe leaks" in told.sentence
    assert "opening" not in told.sentence


def test_little_water_is_told_in_litres_as_on_the_page_around_the_sentence() -> None:
    """50.8 L in a tile and 0.0508 m³ above it would have to be converted; gas stays gas."""
    drip = event(EventKind.SPIKE, 1, amount=0.0508, evidence={})
    water = about(utility="water", amount_unit="m3", rate_unit="m3/h", price=None)
    assert "50.8 L more" in explain(drip, water).sentence
    gas = about(utility="gas", amount_unit="m3", rate_unit="m3/h", price=None)
    assert "0.0508 m³ more" in explain(drip, gas).sentence


def test_no_weather_is_called_mild_that_nobody_knows() -> None:
    """Without an outdoor temperature open hours are just that, in a sentence and its parts."""
    high = event(EventKind.OVER_CONDITIONING)
    assert "than such weather needs" in explain(high, about()).sentence
    parts = [{"kind": "over_conditioning", "amount": 200e3}, {"kind": "weekend", "amount": 14e3}]
    joined = event(EventKind.OVER_CONDITIONING, evidence=high.evidence | {"parts": parts})
    for one, words in ((high, "than such hours need"), (joined, "of it in open hours")):
        told = explain(one, about(weather=False))
        assert words in told.sentence
        assert "mild" not in told.title + told.sentence
        assert "heating" not in told.title + told.sentence
    assert [variant(high, weather=known) for known in (True, False)] == ["", "open_hours"]


def told_as(kind: EventKind, hours: int, first_hour: int = 0, **evidence: float) -> str:
    """Return what an event of some hours of use is called."""
    start_ms = SATURDAY_MS + first_hour * HOUR_MS
    amount = -5e4 if evidence.get("ratio", 2.0) < 1 else 5e4
    found = event(
        kind, start_ms=start_ms, end_ms=start_ms + hours * HOUR_MS, amount=amount,
        evidence={"actual": 31e3, "expected": 30e3, "hours": hours} | evidence,
    )  # fmt: skip
    return variant(found, utility="electricity", zone=DUBLIN)


@pytest.mark.parametrize(
    ("kind", "hours", "first_hour", "evidence", "called"),
    [
        (EventKind.NIGHT_LOAD, 50, 0, {"night_ratio": 1.4, "ratio": 1.2}, ""),
        (EventKind.NIGHT_LOAD, 3, 3, {"night_ratio": 1.4, "ratio": 1.2}, ""),
        (EventKind.NIGHT_LOAD, 12, 8, {"night_ratio": 1.4, "ratio": 1.2}, "more"),
        (EventKind.NIGHT_LOAD, 50, 0, {"night_ratio": 1.01, "ratio": 1.17}, "more"),
        (EventKind.NIGHT_LOAD, 71, 0, {"night_ratio": 1.02, "ratio": 0.88}, "less"),
        (EventKind.MISSED_SHUTDOWN, 48, 0, {"ratio": 1.8}, ""),
        (EventKind.MISSED_SHUTDOWN, 31, 0, {"ratio": 1.14}, "more"),
        (EventKind.MISSED_SHUTDOWN, 1, 5, {"ratio": 1.8}, "more"),
        (EventKind.DRIFT, 24 * 9, 0, {"ratio": 1.1}, ""),
        (EventKind.DRIFT, 7, 12, {"ratio": 1.13}, "more"),
        (EventKind.CLOCK_SHIFT, 48, 0, {"ratio": 1.02, "shift_h": 1}, ""),
        (EventKind.CLOCK_SHIFT, 102, 0, {"ratio": 19.3, "shift_h": 1}, "more"),
        (EventKind.CLOCK_SHIFT, 34, 0, {"ratio": 0.5, "shift_h": 2}, "less"),
    ],
)
def test_an_event_is_called_what_its_own_figures_bear_out(
    kind: EventKind, hours: int, first_hour: int, evidence: dict[str, float], called: str
) -> None:
    """Who reads "the night load has risen" beside 08:00 to 20:00 believes nothing else either."""
    assert told_as(kind, hours, first_hour, **evidence) == called


def test_what_is_only_more_or_less_guesses_nothing() -> None:
    """No wear and no dirt in a drift of seven hours; and means that read alike are one."""
    found = {"actual": 23_481.0, "expected": 23_458.0, "ratio": 1.001}
    told = explain(event(EventKind.DRIFT, 7, amount=853.0, evidence=found), about())
    assert told.title == "Main supply: more than usual"
    assert told.sentence.endswith("; 23.5 kW on average, hardly other than expected.")


def test_nobody_switched_the_sun_off() -> None:
    """Panels that made more on a Saturday were not left on; it may have been the weather."""
    for kind, amount, title in (
        (EventKind.MISSED_SHUTDOWN, 19e3, "more was produced than usual"),
        (EventKind.DRIFT, -19e3, "less was produced than usual"),
        (EventKind.CLOCK_SHIFT, -17e3, "less was produced than usual"),
    ):
        told = explain(event(kind, amount=amount), about(utility="production", price=None))
        assert told.title == f"Main supply: {title}"
        assert "sun or wind may be all of it" in told.sentence


def test_lights_neither_heat_nor_cool() -> None:
    """Mild weather is only named where what the data point needs goes by the temperature."""
    high = event(EventKind.OVER_CONDITIONING)
    for weather_range, called in ((1.2, "steady_hours"), (1.8, "")):
        one = event(
            EventKind.OVER_CONDITIONING, evidence=high.evidence | {"weather_range": weather_range}
        )
        assert variant(one, weather=True) == called
        assert variant(one, weather=False) == "open_hours"
    told = explain(
        event(EventKind.OVER_CONDITIONING, evidence=high.evidence | {"weather_range": 1.2}), about()
    )
    assert "more than such hours need" in told.sentence
    assert told.sentence.endswith("; something was added or runs longer.")


def test_a_base_that_is_higher_by_day_alone_has_not_crept_up() -> None:
    """Who reads of a base load looks at the nights: they have to be above as well."""
    high = event(EventKind.BASELOAD_CREEP).evidence | {"hours": 48}
    for nights, called in ((0, "by_day"), (4, "by_day"), (10, "")):
        one = event(EventKind.BASELOAD_CREEP, evidence=high | {"night_hours": nights})
        assert variant(one) == called
    assert variant(event(EventKind.BASELOAD_CREEP, evidence=high)) == "", "as it was found before"
    told = explain(
        event(EventKind.BASELOAD_CREEP, evidence=high | {"night_hours": 0}), about(price=None)
    )
    assert told.title.startswith("Main supply: more than usual by day")
    assert "more than such hours need" in told.sentence
    assert told.sentence.endswith("; the nights are as they were: something was added by day,"
                                  " or runs longer.")  # fmt: skip


def test_a_voltage_says_how_sure_it_is() -> None:
    """Quarter-hour means indicate; a meter of the site with ten-minute means proves."""
    told = {"phase": 1, "lowest_v": 199.0, "highest_v": 231.0}
    for known, part in (
        ({}, "231 V; ask"),
        ({"indicative": True}, "V, indicative, since its means are longer than ten minutes; ask"),
        (
            {"indicative": False, "proved_elsewhere": True},
            "V, proved by another meter, whose means are of ten minutes or less; ask",
        ),
    ):
        one = event(EventKind.VOLTAGE, amount=float("nan"), evidence=told | known)
        assert part in explain(one, about(price=None)).sentence


def test_values_that_come_again_are_told_as_that() -> None:
    """A day that is sent twice does not "not move": the sentence says what the meter did."""
    told = {"actual": 31e3, "expected": 30e3, "hours": 24, "again": "day"}
    again = explain(event(EventKind.STUCK, 24, amount=24e3, evidence=told), about())
    assert again.title == "Main supply: the values of the day before come again"
    assert again.sentence.endswith("sends what it has, and nothing is measured.")
    held = explain(
        event(EventKind.STUCK, 24, amount=24e3, evidence=told | {"again": "twice"}), about()
    )
    assert held.title == "Main supply: each value comes more than once"


def test_numbers_and_times_are_written_as_on_the_pages() -> None:
    """24,774 m³ and not 24774; and what ends at midnight ends at 24:00 of its own day."""
    water = about(utility="water", amount_unit="m3", rate_unit="m3/h", price=None)
    told = explain(event(EventKind.DROPOUT, 0, end_ms=SATURDAY_MS + 24 * HOUR_MS,
                         start_ms=SATURDAY_MS + 13 * HOUR_MS, amount=-24_774.0), water)  # fmt: skip
    assert told.sentence.startswith("Saturday 14 September, 13:00 to 24:00: 24,774 m³ less")


def test_what_began_in_another_year_names_the_year() -> None:
    """A bare "Since Thursday 27 November" is read as of this year; 8,730 h are read by nobody."""
    evidence = {"power_factor": 0.87, "limit": 0.9, "hours": 8730.0}
    nothing = float("nan")
    lasting = event(
        EventKind.POWER_FACTOR, hours=8730, open=True, amount=nothing, evidence=evidence
    )
    assert explain(lasting, about()).sentence == (
        "Since Saturday 14 September 2024: 0.87 on average, below 0.90, for 364 days; "
        "compensation is missing or broken."
    )
    over = event(EventKind.WEEKEND, hours=120 * 24)
    assert explain(over, about()).sentence.startswith(
        "Saturday 14 September 2024 to Saturday 11 January: "
    )
    short = event(EventKind.POWER_FACTOR, amount=nothing, evidence=evidence | {"hours": 12.0})
    assert "for 12 h" in explain(short, about()).sentence


def test_no_money_is_said_without_a_price() -> None:
    """Where nobody has said what energy costs, nothing is made up."""
    told = explain(event(EventKind.NIGHT_LOAD), about(price=None))
    assert "EUR" not in told.sentence
    assert "214 kWh more than normal nights" in told.sentence


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_has_words_with_and_without_numbers(kind: EventKind) -> None:
    """No event of any kind leaves a reader with an empty sentence or with the word nan."""
    for one in (
        event(kind, hours=3),
        event(kind, amount=-214_000.0, open=True),
        event(kind, amount=float("nan"), evidence={}),
    ):
        told = explain(one, about())
        assert "nan" not in told.sentence.split()
        assert len(told.sentence) > 25
        assert told.title.startswith("Main supply: ")


def test_a_voltage_names_its_phases_what_they_were_and_what_no_mean_may_be() -> None:
    """Who reads it can take it to the network operator as it stands."""
    hour = {
        "phase": 2, "phases": [2], "nominal_v": 230.0, "lowest_v": 275.0, "highest_v": 275.0,
        "least_v": 195.5, "most_v": 253.0, "hours": 1.0,
    }  # fmt: skip
    told = explain(event(EventKind.VOLTAGE, amount=math.nan, evidence=hour), about())
    assert "phase 2 at 275 V where no mean may be above 253 V, for 1 h" in told.sentence
    week = hour | {"phases": [1, 2], "lowest_v": 190.0, "share_inside": 0.5, "share_asked": 0.95}
    told = explain(event(EventKind.VOLTAGE, amount=math.nan, evidence=week), about())
    assert "phases 1 and 2 between 190 V and 275 V where no mean may be above 253 V or" in (
        told.sentence
    )
    assert "50 % of the means near 230 V where EN 50160 asks for 95 %" in told.sentence
