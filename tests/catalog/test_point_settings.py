"""Settings that change from a date on, or that were always wrong; and both taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from kilowatch import catalog
from kilowatch.catalog import (
    data_points,
    feeding,
    meter_events,
    point_settings,
    registry,
    reshaping,
    site_zones,
)
from kilowatch.catalog.directory import load
from kilowatch.catalog.histories import electrical_limits
from kilowatch.catalog.reshaping import SiteDraft
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import AuditEntry, DataPoint
from kilowatch.catalog.tables_settings import PointSetting
from kilowatch.model.dated import NO_HISTORY
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint as Point


def at(text: str) -> int:
    """Return an instant [ms]."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


MARCH, JUNE = at("2026-03-01"), at("2026-06-01")


@pytest.fixture
def site_id(opened: catalog.Catalog, actor: catalog.Actor) -> int:
    """Return the number of a site with a gas dial in m³ and an electrical meter."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, acme, "Office", zone="Europe/Dublin")
        gas = Settings(kind="single", utility="gas", interval_s=3600)
        meter = Settings(kind="electrical", utility="electricity", interval_s=300)
        data_points.register(change, site, "Gas", gas, stream_id="gas")
        data_points.register(change, site, "Main", meter, stream_id="main")
        return site.id


Do = Callable[..., Any]


@pytest.fixture
def do(opened: catalog.Catalog, actor: catalog.Actor, site_id: int) -> Do:
    """Return a function that changes a data point in a transaction of its own."""
    assert site_id

    def change_it(stream: str, action: Do, *args: Any, **options: Any) -> Any:
        with opened.change(actor) as change:
            return action(change, row_of(change.session, stream), *args, **options)

    return change_it


def row_of(session: Any, stream: str) -> DataPoint:
    """Return a data point's row."""
    found: DataPoint | None = session.scalar(select(DataPoint).where(DataPoint.stream_id == stream))
    assert found is not None
    return found


def loaded(opened: catalog.Catalog, stream: str) -> Point:
    """Return a data point as the pipeline gets it."""
    found = load(opened, "development").points.values()
    return next(point for point in found if point.stream_id == stream)


def multipliers(point: Point) -> list[tuple[int, float]]:
    """Return from when on which multiplier holds."""
    return [(period.from_ms, period.multiplier) for period in point.history.periods]


def test_from_a_date_on_leaves_the_time_before_as_it_was(opened: catalog.Catalog, do: Do) -> None:
    """A transformer exchanged on 1 March counts from then; January keeps its figures."""
    do("gas", point_settings.change_from, {"multiplier": 40}, MARCH)
    point = loaded(opened, "gas")
    assert multipliers(point) == [(0, 1.0), (MARCH, 40.0)]
    do("gas", point_settings.change_from, {"multiplier": 60}, JUNE)
    do("gas", point_settings.change_from, {"multiplier": 30}, MARCH)
    assert multipliers(loaded(opened, "gas")) == [(0, 1.0), (MARCH, 30.0), (JUNE, 60.0)]


def test_for_all_time_drops_what_was_dated(opened: catalog.Catalog, do: Do) -> None:
    """It was never 40, from no date on: one multiplier for the whole history."""
    do("gas", point_settings.change_from, {"multiplier": 40.0, "stamp": "end"}, MARCH)
    do("gas", point_settings.change_always, {"multiplier": 10.0})
    point = loaded(opened, "gas")
    assert multipliers(point) == [(0, 10.0), (MARCH, 10.0)]
    assert [period.stamp for period in point.history.periods] == ["start", "end"]
    do("gas", point_settings.change_always, {"multiplier": 1.0, "stamp": "start"})
    assert loaded(opened, "gas").history == NO_HISTORY, "nothing is left but the columns"
    with opened.reading() as session:
        assert list(session.scalars(select(PointSetting))) == []


def test_the_interval_of_now_is_the_data_points_own(opened: catalog.Catalog, do: Do) -> None:
    """What waits for the next packet must know the present interval, not the first one."""
    do("main", point_settings.change_from, {"interval_s": 900}, MARCH)
    point = loaded(opened, "main")
    assert (point.interval_s, point.tolerance_s) == (900, 450.0)
    early, late = point.history.periods
    assert (early.interval_s, early.tolerance_s) == (300, 150.0), "half of its own interval"
    assert (late.interval_s, late.tolerance_s) == (900, 450.0)
    with opened.reading() as session:
        row = row_of(session, "main")
        assert point_settings.settings_at(session, row)["interval_s"] == 900
        assert point_settings.settings_at(session, row, MARCH - 1)["interval_s"] == 300
        assert point_settings.settings_at(session, row, MARCH)["interval_s"] == 900


def test_a_dated_change_can_be_taken_back(opened: catalog.Catalog, do: Do) -> None:
    """Undone, what was in force before goes on; the history keeps both steps."""
    before = loaded(opened, "main")
    rows = do("main", point_settings.change_from, {"interval_s": 900, "ct_ratio": 40.0}, MARCH)
    dated = next(row for row in rows if row.from_ms == MARCH)
    do("main", point_settings.undo, dated.id)
    assert loaded(opened, "main") == before
    with opened.reading() as session:
        steps = session.scalars(select(AuditEntry).where(AuditEntry.subject == "point_setting"))
        story = [(entry.action, entry.actor) for entry in steps]
    assert {action for action, _ in story} == {"created", "removed"}
    assert {actor for _, actor in story} == {"ann@example.com"}
    with pytest.raises(KilowatchError) as refused:
        do("main", point_settings.undo, dated.id)
    assert refused.value.code == "unknown_change"


@pytest.mark.parametrize(
    ("stream", "changes", "field"),
    [
        ("gas", {"multiplier": 0.0}, "multiplier"),
        ("gas", {"multiplier": float("nan")}, "multiplier"),
        ("gas", {"multiplier": True}, "multiplier"),
        ("gas", {"ct_ratio": 40.0}, "ct_ratio"),
        ("gas", {"calorific_kwh_per_m3": 39.0 * 3.6}, "calorific_kwh_per_m3"),
        ("gas", {"unit": "kWh"}, "unit"),
        ("gas", {"behaviour": "rate"}, "behaviour"),
        ("gas", {"behaviour": "amount", "register_max": 1e6}, "register_max"),
        ("gas", {"interval_s": 5 * 86_400}, "interval"),
        ("gas", {"tolerance_s": -1.0}, "tolerance"),
        ("gas", {"parent_id": 999}, "parent_id"),
        ("main", {"pulse_weight": 0.1}, "pulse_weight"),
        ("main", {"calorific_kwh_per_m3": 11.0}, "calorific_kwh_per_m3"),
        ("main", {"nominal_voltage_v": -230.0}, "nominal_voltage_v"),
        ("gas", {"nominal_voltage_v": 230.0}, "nominal_voltage_v"),
        ("gas", {"least_power_factor": 0.8}, "least_power_factor"),
        ("main", {"least_power_factor": 1.2}, "least_power_factor"),
        ("main", {"unbalance_percent": 0.0}, "unbalance_percent"),
        ("main", {"lowest_voltage_percent": 6.0}, "lowest_voltage_percent"),
        ("main", {"colour": "red"}, "colour"),
    ],
)
def test_what_no_meter_has_is_refused_by_name(
    opened: catalog.Catalog, do: Do, stream: str, changes: dict[str, Any], field: str
) -> None:
    """A form shows the message beside the field; nothing is changed, and preview says the same."""
    before = loaded(opened, stream)
    with pytest.raises(KilowatchError) as refused:
        do(stream, point_settings.change_from, changes, MARCH)
    assert refused.value.data["field"] == field
    assert loaded(opened, stream) == before
    with opened.reading() as session, pytest.raises(KilowatchError) as previewed:
        point_settings.preview(session, row_of(session, stream), changes, MARCH, now_ms=JUNE)
    assert previewed.value.data == refused.value.data
    assert loaded(opened, stream) == before


def test_a_date_that_is_still_to_come_is_refused(do: Do) -> None:
    """The platform does not act by itself at some later time; who changes it is told so."""
    for wrong, code in ((at("2027-01-01"), "future_date"), (5, "invalid_date")):
        with pytest.raises(KilowatchError) as refused:
            do("gas", point_settings.change_from, {"multiplier": 40.0}, wrong)
        assert (refused.value.code, refused.value.data["field"]) == (code, "from")


def test_a_preview_shows_both_stories_and_whether_figures_change(
    opened: catalog.Catalog, do: Do
) -> None:
    """Before a history is computed again, a person sees what will hold when."""
    do("main", point_settings.change_from, {"ct_ratio": 40.0}, MARCH)
    with opened.reading() as session:
        row = row_of(session, "main")
        found = point_settings.preview(
            session, row, {"ct_ratio": 60.0}, JUNE, now_ms=at("2026-07-01")
        )
        assert [start for start, _ in found.before] == [None, MARCH]
        ratios = [(start, some["ct_ratio"]) for start, some in found.after]
        assert ratios == [(None, 1.0), (MARCH, 40.0), (JUNE, 60.0)]
        assert found.recomputes
        volts = point_settings.preview(
            session, row, {"nominal_voltage_v": 230.0}, None, now_ms=JUNE
        )
        assert not volts.recomputes
        same = point_settings.preview(session, row, {"ct_ratio": 40.0}, JUNE, now_ms=JUNE)
        assert same.before == same.after
    assert multipliers(loaded(opened, "main"))[-1][0] == MARCH, "nothing was written"


def test_limits_of_electrical_events_are_dated_and_taken_back_by_setting_none(
    opened: catalog.Catalog, do: Do
) -> None:
    """Insights ask what was set when; nothing is computed again for it."""
    do("main", point_settings.change_always, {"nominal_voltage_v": 240.0})
    do("main", point_settings.change_from, {"unbalance_percent": 50.0}, MARCH)
    do("main", point_settings.change_from, {"unbalance_percent": None}, JUNE)
    with opened.reading() as session:
        row = row_of(session, "main")
        assert electrical_limits(session)[row.id] == [
            (0, {"nominal_voltage_v": 240.0}),
            (MARCH, {"unbalance_percent": 50.0}),
            (JUNE, {"unbalance_percent": None}),
        ]
        found = point_settings.preview(
            session, row, {"least_power_factor": 0.95}, None, now_ms=at("2026-07-01")
        )
        assert not found.recomputes


def test_one_quantity_stays_one_quantity(do: Do) -> None:
    """A unit may change within energy; a gas meter never becomes an electricity meter."""
    with pytest.raises(KilowatchError) as refused:
        do("gas", point_settings.change_from, {"unit": "kWh"}, MARCH)
    assert "register another data point" in refused.value.remedy
    do("gas", point_settings.change_from, {"unit": "L"}, MARCH)


def test_units_are_spelled_as_they_are_known(opened: catalog.Catalog, do: Do) -> None:
    """What people type as m³ is stored as m3, for all time and from a date on."""
    do("gas", point_settings.change_always, {"unit": "ft³"})
    assert loaded(opened, "gas").unit == "ft3"
    do("gas", point_settings.change_from, {"unit": "m³"}, MARCH)
    assert [period.unit for period in loaded(opened, "gas").history.periods] == ["ft3", "m3"]


def test_the_parent_can_change_and_never_be_a_circle(opened: catalog.Catalog, do: Do) -> None:
    """A panel that is fed from elsewhere since March; figures of its own stay as they are."""
    with opened.reading() as session:
        gas, main = row_of(session, "gas").id, row_of(session, "main").id
    do("gas", point_settings.change_from, {"parent_id": main}, MARCH)
    assert loaded(opened, "gas").history == NO_HISTORY
    with opened.reading() as session:
        row = row_of(session, "gas")
        assert row.parent_id == main
        assert point_settings.settings_at(session, row, MARCH - 1)["parent_id"] is None
    with pytest.raises(KilowatchError) as refused:
        do("main", point_settings.change_always, {"parent_id": gas})
    assert refused.value.data["field"] == "parent_id"


def test_a_form_that_changes_settings_means_all_time(opened: catalog.Catalog, do: Do) -> None:
    """The older form has no date: it changes the whole history, and only what was changed in it."""
    do("main", point_settings.change_from, {"interval_s": 900, "stamp": "end"}, MARCH)
    with opened.reading() as session:
        row = row_of(session, "main")
        number = row.id
    now = Settings(
        kind="electrical", utility="electricity", interval_s=600, behaviour="register", stamp="end"
    )
    do("main", lambda change, _: data_points.change_settings(change, number, "Main", now))
    periods = loaded(opened, "main").history.periods
    assert [(one.interval_s, one.stamp) for one in periods] == [(600, "start"), (600, "end")]


def test_a_meter_exchange_is_recorded_with_what_it_changes(opened: catalog.Catalog, do: Do) -> None:
    """The old dial's last figure, the new one's first, and the new transformer, in one step."""
    do(
        "main", meter_events.exchange, MARCH, {"pC_1": (5000.0, 0.0)},
        settings={"ct_ratio": 60.0}, comment="Meter 4711",
    )  # fmt: skip
    point = loaded(opened, "main")
    named, others = point.history.events
    assert (named.channel, named.last, named.first) == (25, 5000.0, 0.0)
    assert (others.channel, others.last, others.first) == (None, None, None)
    assert [(one.from_ms, one.ct_ratio) for one in point.history.periods] == [
        (0, 1.0), (MARCH, 60.0),
    ]  # fmt: skip
    with opened.reading() as session:
        rows = meter_events.events(session, row_of(session, "main"))
    with pytest.raises(KilowatchError) as refused:
        do("main", meter_events.exchange, MARCH, {"pC_1": (1.0, 0.0)})
    assert refused.value.code == "event_exists"
    do("main", meter_events.undo, rows[0].id)
    assert loaded(opened, "main").history.events == ()


def test_decisions_of_a_finding_are_recorded_as_they_are_offered(
    opened: catalog.Catalog, do: Do
) -> None:
    """A page posts back one of the decisions that it was given."""
    offered: list[dict[str, Any]] = [
        {"kind": "roll_over", "channel": "value", "at_ms": MARCH, "width": 1e6},
        {"kind": "reset", "channel": "value", "at_ms": MARCH + 1, "first": 0.0},
        {"kind": "exchange", "channel": "value", "at_ms": MARCH + 2, "last": 9.0, "first": 1.0},
        {"kind": "bad", "channel": "value", "at_ms": MARCH + 3, "reading": 7.0},
    ]
    for decision in offered:
        do("gas", meter_events.decide, decision)
    kinds = [event.kind for event in loaded(opened, "gas").history.events]
    assert kinds == ["roll_over", "reset", "exchange", "bad"]
    wrong: list[Mapping[str, Any]] = [
        {"kind": "guess", "at_ms": MARCH},
        {"kind": "roll_over", "at_ms": MARCH + 9, "channel": "value"},
        {"kind": "reset", "at_ms": MARCH + 9, "channel": "pC_1"},
        {"kind": "bad", "at_ms": MARCH + 9, "until_ms": MARCH},
        {"kind": "bad", "at_ms": at("2027-01-01")},
        {"kind": "exchange", "at_ms": MARCH + 1, "channel": "value", "first": 0.0},
    ]
    for refused in wrong:
        with pytest.raises(KilowatchError):
            do("gas", meter_events.decide, refused)
    assert len(loaded(opened, "gas").history.events) == 4


def test_a_site_moves_from_a_date_on_or_was_always_elsewhere(
    opened: catalog.Catalog, actor: catalog.Actor, site_id: int
) -> None:
    """All its data points get the zones over time; a wrong zone is corrected for all of it."""
    assert site_id
    with opened.change(actor) as change:
        site = registry.sites(change.session, 1)[0]
        site_zones.change_zone_from(change, site, "Europe/Berlin", MARCH)
    point = loaded(opened, "main")
    assert point.zone == "Europe/Berlin"
    assert point.history.zones == ((0, "Europe/Dublin"), (MARCH, "Europe/Berlin"))
    with opened.change(actor) as change:
        site = registry.sites(change.session, 1)[0]
        dated = site_zones.zones(change.session, site)[-1]
        site_zones.undo_zone(change, site, dated.id)
    assert (loaded(opened, "main").zone, loaded(opened, "main").history) == (
        "Europe/Dublin", NO_HISTORY,
    )  # fmt: skip
    with opened.change(actor) as change:
        site = registry.sites(change.session, 1)[0]
        site_zones.change_zone_from(change, site, "Asia/Kathmandu", JUNE)
        reshaping.change_site(change, site, SiteDraft("Office", "Europe/Paris", "FR"))
    assert (loaded(opened, "main").zone, loaded(opened, "main").history) == (
        "Europe/Paris", NO_HISTORY,
    )  # fmt: skip


Step = tuple[str, int, Any]
Truth = dict[str, dict[int, Any]]

VALUES: dict[str, list[Any]] = {
    "multiplier": [1.0, 2.0, 40.0],
    "interval_s": [300, 900],
    "stamp": ["start", "end"],
}


def in_force(story: dict[int, Any], at_ms: int) -> Any:
    """Return the value at an instant of what changed when."""
    return story[max(start for start in story if start <= at_ms)]


def follow(change: catalog.Change, truth: Truth, step: Step) -> None:
    """Make one change of the main meter, in the catalogue and in the simple truth."""
    name, number, when = step
    value = VALUES[name][number % len(VALUES[name])]
    row = row_of(change.session, "main")
    dated = [one for one in point_settings.history(change.session, row) if one.from_ms]
    if when == "undo":
        for gone in dated[number % 3 : number % 3 + 1]:
            for story in truth.values():
                story.pop(gone.from_ms or 0, None)
            point_settings.undo(change, row, gone.id)
    elif when is None:
        point_settings.change_always(change, row, {name: value})
        truth[name] = {0: value}
    else:
        point_settings.change_from(change, row, {name: value}, when)
        if when in truth[name] or in_force(truth[name], when) != value:
            truth[name][when] = value


def test_any_run_of_changes_leaves_one_true_story(
    opened: catalog.Catalog, actor: catalog.Actor, site_id: int
) -> None:
    """However often settings are changed, dated, corrected and undone: columns hold the present."""
    assert site_id
    plain = {"multiplier": 1.0, "interval_s": 300, "stamp": "start"}
    whens = st.sampled_from([None, MARCH, MARCH + 1, JUNE, "undo"])
    steps = st.tuples(st.sampled_from(sorted(VALUES)), st.integers(0, 2), whens)

    @settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.lists(steps, max_size=8))
    def holds(drawn: list[Step]) -> None:
        truth: Truth = {name: {0: value} for name, value in plain.items()}
        with opened.change(actor) as change:
            point_settings.change_always(change, row_of(change.session, "main"), plain)
        for step in drawn:
            with opened.change(actor) as change:
                follow(change, truth, step)
        with opened.reading() as session:
            row = row_of(session, "main")
            for at_ms in (MARCH - 1, MARCH, MARCH + 1, JUNE):
                found = point_settings.settings_at(session, row, at_ms)
                wanted = {name: in_force(story, at_ms) for name, story in truth.items()}
                assert {name: found[name] for name in truth} == wanted
            assert row.interval_s == in_force(truth["interval_s"], JUNE)
            assert row.stamp == in_force(truth["stamp"], JUNE)
        for period in loaded(opened, "main").history.periods:
            wanted = {name: in_force(story, period.from_ms) for name, story in truth.items()}
            assert {name: getattr(period, name) for name in truth} == wanted

    holds()


def test_who_fed_whom_in_the_past_is_known(opened: catalog.Catalog, do: Do) -> None:
    """Moved below the main meter in March and away in June: three trees, the last is today's."""
    with opened.reading() as session:
        main, gas = row_of(session, "main"), row_of(session, "gas")
        numbers, organisation = (main.id, gas.id), main.organisation_id
    do("gas", point_settings.change_from, {"parent_id": numbers[0]}, MARCH)
    do("gas", point_settings.change_from, {"parent_id": None}, JUNE)
    with opened.reading() as session:
        found = feeding.fed_by_over_time(session, organisation)
        now = feeding.fed_by(session, organisation)
    assert [(from_ms, by[numbers[1]]) for from_ms, by in found] == [
        (0, None), (MARCH, numbers[0]), (JUNE, None),
    ]  # fmt: skip
    assert found[-1][1] == now
    assert found[0][1].keys() == now.keys()
