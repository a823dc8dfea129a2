"""What a person corrects is what was previewed, in every total, and undoing leaves no trace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kilowatch.model.parameters import CHANNEL_BY_NAME, PC
from tests.dashboard.house import PAGE, House, post
from tests.dashboard.quality_world import (
    DAY_MS,
    GAP,
    MIDNIGHT_MS,
    QUARTER_MS,
    Measured,
    administrator,
    correct,
    days,
    measured,
)

DAY = "2026-11-08"
SPAN = {"from": "2026-11-08T10:00:00", "to": "2026-11-08T14:00:00"}


@pytest.fixture
def made(house: House, tmp_path: Path) -> Measured:
    """Build a house whose figures come from packets."""
    return measured(house, tmp_path / "pipeline")


def gap_states(text: str) -> list[str]:
    """Return the states of the gaps on a page."""
    return re.findall(r'data-gap="([a-z]+)"', text)


@pytest.mark.parametrize("method", ["linear", "profile", "sister"])
def test_a_gap_is_filled_as_previewed_and_undone_to_the_bit(made: Measured, method: str) -> None:
    """Four hours without packets: found, filled, every total as promised, and back again."""
    client = administrator(made.house)
    number = made.point("main").id
    path = f"/quality/{number}/correct"
    before = made.figures("main")
    shown = client.get(f"/quality/{number}?day={DAY}", headers=PAGE).text
    assert gap_states(shown) == ["found"]
    assert f"kind=fill&amp;from_ms={GAP[0]}&amp;to_ms={GAP[1]}" in shown

    sister = {"sister": str(made.point("hvac").id)} if method == "sister" else {}
    preview, applied = correct(
        client, path, kind="fill", method=method, comment="router replaced", **SPAN, **sister
    )
    promised = days(preview.text)
    assert applied.status_code == 303, applied.text
    assert applied.headers["location"].endswith("year=2026&month=11&applied=fill")
    assert made.figures("main") == before, "nothing changes until it was computed"
    settling = client.get(f"/quality/{number}/panels", headers=PAGE).text
    assert "data-settling" in settling
    made.catch_up()
    assert "data-settling" not in client.get(f"/quality/{number}/panels", headers=PAGE).text

    assert promised[DAY, "pC"][0] == promised[DAY, "pC"][1], "what a register counted stays"
    for (day, name), (_, after) in promised.items():
        if name in {"pC", "pC_1"}:
            assert day == DAY
            assert made.total("main", CHANNEL_BY_NAME[name]) == after
    rows = made.pipeline.view.series(made.point("main"), [PC], *GAP, "interval")
    assert len(rows) == 16
    # The profile knows that nothing changes between ten and six; so does the other meter.
    assert rows.amount.tolist() == pytest.approx([1_750.0] * 16)

    shown = client.get(f"/quality/{number}?day={DAY}", headers=PAGE).text
    assert gap_states(shown) == ["filled"]
    assert "router replaced" in shown
    assert "a.lee@example.com" in shown
    numbers = re.findall(r'name="number" value="(\d+)"', shown)
    preview, applied = correct(client, f"{path}/undo", number=numbers[0])
    assert days(preview.text)[DAY, "pC"] == tuple(reversed(promised[DAY, "pC"]))
    assert applied.status_code == 303
    made.catch_up()
    assert made.figures("main") == before
    shown = client.get(f"/quality/{number}?day={DAY}", headers=PAGE).text
    assert gap_states(shown) == ["found"]
    assert "Undone by a.lee@example.com" in shown


def test_an_edit_is_in_every_total(made: Measured) -> None:
    """Two quarters of an hour get 2 kWh each: interval, hour, day and month know it."""
    client = administrator(made.house)
    number = made.point("main").id
    day_before = made.total("main", PC)
    edit = {"from": "2026-11-08T02:00", "to": "2026-11-08T02:30", "channel": "pC", "value": "2"}
    preview, applied = correct(
        client, f"/quality/{number}/correct", kind="edit", comment="test run", **edit
    )
    assert applied.status_code == 303, applied.text
    made.catch_up()
    after = made.total("main", PC)
    assert days(preview.text) == {(DAY, "pC"): (day_before, after)}
    assert after == pytest.approx(day_before + 2 * (2_000 - 1_000))
    page = client.get(f"/quality/{number}?month=11", headers=PAGE).text
    line = re.search(r">2026-11-08</a>.*?</tr>", page, re.DOTALL)
    assert line is not None
    figure = re.search(r'<data value="([0-9.]+)" data-unit="Wh"', line[0])
    assert figure is not None
    assert float(figure[1]) == after
    assert ">2.5 %<" in line[0], "half an hour of the twenty that are known"
    rows = made.pipeline.view.series(
        made.point("main"), [PC], MIDNIGHT_MS + 8 * QUARTER_MS, MIDNIGHT_MS + 10 * QUARTER_MS,
        "interval",
    )  # fmt: skip
    assert rows.amount.tolist() == [2_000.0, 2_000.0]


def test_a_bad_reading_is_left_out_as_previewed(made: Measured) -> None:
    """A meter that showed nonsense once: the finding leads to the form, and the day is right."""
    world, pipeline = made.house.world, made.pipeline
    series = world.point("hvac").series
    right = made.total("hvac", PC, MIDNIGHT_MS)
    dial = 5_000.0 + 1_000.0
    last_ms = MIDNIGHT_MS + DAY_MS
    rows = pipeline.view.readings(made.point("hvac"), last_ms, last_ms + 1)
    dial = float(rows.values[CHANNEL_BY_NAME["pC_1"]][0])
    for place, figure in ((1, dial + 250), (2, 12.0), (3, dial + 750), (4, dial + 1_000)):
        pipeline.log.push(series, last_ms + place * QUARTER_MS, {"pC_1": figure})
    made.catch_up()
    client = administrator(made.house)
    number = made.point("hvac").id
    shown = client.get(f"/quality/{number}", headers=PAGE).text
    assert 'data-finding="register.fell"' in shown
    at_ms = last_ms + 2 * QUARTER_MS
    link = re.search(rf'href="(/quality/{number}/meter\?kind=bad&amp;[^"]*at_ms={at_ms})"', shown)
    assert link is not None
    form = client.get(link[1].replace("&amp;", "&"), headers=PAGE).text
    fields = dict(re.findall(r'name="(from|from_ms|kind)"[^>]*? value="([^"]*)"', form))
    assert fields["from_ms"] == str(at_ms)
    preview, applied = correct(
        client, f"/quality/{number}/meter", comment="display test", channel="pC_1",
        **fields | {"kind": "bad", "from": "2026-11-09T00:30:00"},
    )  # fmt: skip
    assert applied.status_code == 303, applied.text
    before = made.figures("hvac")
    made.catch_up()
    assert made.figures("hvac") != before
    assert days(preview.text)["2026-11-09", "pC"][1] == made.total("hvac", PC, last_ms)
    assert made.total("hvac", PC, last_ms) == 1_000.0
    assert made.total("hvac", PC) == right
    shown = client.get(f"/quality/{number}", headers=PAGE).text
    assert 'data-finding="register.fell"' not in shown
    numbers = re.findall(r'/meter/undo">.*?name="number" value="(\d+)"', shown, re.DOTALL)
    _, undone = correct(client, f"/quality/{number}/meter/undo", number=numbers[0])
    assert undone.status_code == 303, undone.text
    made.catch_up()
    assert made.figures("hvac") == before


def test_an_exchange_with_another_factor_is_previewed_as_it_will_be(made: Measured) -> None:
    """A new meter at noon whose figures are multiplied with 40: the day after is what was shown."""
    client = administrator(made.house)
    number = made.point("hvac").id
    noon_ms = MIDNIGHT_MS + DAY_MS // 2
    at_noon = made.pipeline.view.readings(made.point("hvac"), noon_ms, noon_ms + 1)
    dial = repr(float(at_noon.values[CHANNEL_BY_NAME["pC_1"]][0]))
    before = made.total("hvac", PC)
    untouched = made.figures("hvac")
    preview, applied = correct(
        client, f"/quality/{number}/meter", kind="exchange", comment="40 for 1", multiplier="40",
        last_pC_1=dial, first_pC_1=dial, **{"from": "2026-11-08T12:00:00"},
    )  # fmt: skip
    assert applied.status_code == 303, applied.text
    made.catch_up()
    after = made.total("hvac", PC)
    assert days(preview.text)[DAY, "pC"] == (before, after)
    afternoon = 23 * 437.5 + 25 * 250.0  # quarters of an hour that end at 12:15 to 24:00
    assert after == pytest.approx(before + 39 * afternoon)
    history = client.get(f"/admin/data-points/{number}", headers=PAGE).text
    for word in re.findall(r'name="what" value="((?:event|setting)-\d+)"', history):
        path = f"/admin/data-points/{number}"
        assert post(client, path, f"{path}/undo", what=word).status_code == 303
    made.catch_up()
    assert made.figures("hvac") == untouched


def test_rules_are_tried_before_they_are_set(made: Measured) -> None:
    """A limit of 5 kW makes the working hours questionable; confirming makes them valid again."""
    client = administrator(made.house)
    number = made.point("hvac").id
    rules = f"/quality/{number}/rules"
    tried = post(client, rules, rules, step="preview", demand_max="1.5", estimate_method="linear")
    told = re.search(
        r"([0-9,]+) intervals? would be different: ([0-9,]+) intervals? quest", tried.text
    )
    assert told is not None
    assert told[1] == told[2] == f"{15 * 40:,}", "ten hours on each of fifteen days"
    assert made.point("hvac").editing.rules.demand_max is None
    done = post(client, rules, rules, step="apply", demand_max="1.5", estimate_method="linear")
    assert done.status_code == 303, done.text
    assert made.point("hvac").editing.rules.demand_max == 1_500.0
    made.catch_up()
    shown = client.get(f"/quality/{number}?month=11", headers=PAGE).text
    assert 'data-finding="interval.demand_implausible"' in shown
    confirm = {"from": "2026-11-08T00:00:00", "to": "2026-11-09T00:00:00"}
    preview, applied = correct(client, f"/quality/{number}/judge", kind="confirm", **confirm)
    assert applied.status_code == 303, applied.text
    assert "questionable" in preview.text
    made.catch_up()
    rows = made.pipeline.view.series(
        made.point("hvac"), [PC], MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS, "day"
    )
    assert rows.shares().sum() == 0


def test_what_would_fill_nothing_is_not_kept(made: Measured) -> None:
    """A gap never looks filled when no figure was: the form says why instead."""
    client = administrator(made.house)
    number = made.point("main").id
    path = f"/quality/{number}/correct"
    whole = {"from": "2026-11-07T02:00", "to": "2026-11-07T04:00"}
    refused = post(client, path, path, kind="fill", method="linear", comment="why", **whole)
    assert refused.status_code == 422
    assert "Nothing would be filled" in refused.text
    assert made.point("main").editing.corrections == ()


def test_what_changed_since_the_preview_is_shown_again(made: Measured) -> None:
    """What is applied is what the person saw, else they are asked once more."""
    client = administrator(made.house)
    number = made.point("main").id
    path = f"/quality/{number}/correct"
    fields = {"kind": "edit", "channel": "pC", "value": "2", "comment": "x"}
    span = {"from": "2026-11-08T02:00", "to": "2026-11-08T02:30"}
    asked = post(client, path, path, step="apply", mark="another", **fields, **span)
    assert asked.status_code == 200
    assert "have changed since you looked" in asked.text
    assert made.point("main").editing.corrections == ()
