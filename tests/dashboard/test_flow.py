"""Energy flows: every part is accounted for, whatever the meters say."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import tables
from kilowatch.dashboard.flow import kinds_of
from kilowatch.dashboard.flow_sums import SITES_SHOWN, Flow, SiteTree, flow_of
from kilowatch.model.blocks import Floats
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_rollups import Sums, tree_roll_up
from tests.dashboard.conftest import Logged
from tests.dashboard.fakes import DAY_MS, rows_of
from tests.dashboard.test_waste_and_forecast import MONDAY_MS, point
from tests.dashboard.worlds import STRANGER, VIEWER, World

Amounts = dict[int, list[float]]
DAYS = 3


def site(
    amounts: Amounts,
    fed_by: Any,
    *,
    exports: dict[int, float] | None = None,
    produced: list[tuple[DataPoint, float]] | None = None,
    number: int = 1,
) -> SiteTree:
    """Return a site whose data points counted so much a day; NaN is a day without data."""
    points = [point(one, number) for one in amounts]

    def rows(some: Any, _channels: Any) -> Any:
        from kilowatch.model.blocks import IntervalBlock  # noqa: PLC0415

        parts = []
        for one in sorted(some, key=lambda own: own.series):
            values = np.array(amounts[one.id])
            known = np.flatnonzero(np.isfinite(values))
            starts = MONDAY_MS + known * DAY_MS
            part = rows_of(one, 24, starts, amount=values[known])
            part.duration_ms[:] = part.covered_ms[:] = DAY_MS
            parts.append(part)
        return IntervalBlock.concatenate(parts)

    period = MONDAY_MS, MONDAY_MS + DAYS * DAY_MS
    tree = tree_roll_up(rows, points, fed_by, period, "day", MONDAY_MS + 90 * DAY_MS)
    sums = [
        (own, Sums(np.array([amount, 0.0, 0.0]), np.zeros(3), np.ones(3), np.zeros((3, 4))))
        for own, amount in produced or []
    ]
    return SiteTree(
        number, f"Site {number}", {p.id: p for p in points}, tree,
        np.full(DAYS, float(DAY_MS)), exports or {}, sums,
    )  # fmt: skip


def balance(flow: Flow) -> dict[str, float]:
    """Return inflow less outflow of every node that has both."""
    into: dict[str, float] = defaultdict(float)
    out: dict[str, float] = defaultdict(float)
    for link in flow.links:
        out[link.source] += link.amount
        into[link.target] += link.amount
    return {key: into[key] - out[key] for key in into.keys() & out.keys()}


def amounts_of(flow: Flow) -> dict[str, float]:
    """Return what goes through each node."""
    return {node.key: node.amount for node in flow.nodes}


def test_a_main_is_its_submeters_and_what_they_do_not_see() -> None:
    """100 a day at the main, 30 and 50 below: 20 a day are unmetered, and counted once."""
    flow = flow_of([site({1: [100.0] * 3, 2: [30.0] * 3, 3: [50.0] * 3}, {1: None, 2: 1, 3: 1})],
                   apart=False)  # fmt: skip
    assert amounts_of(flow) == {
        "supply": 300.0, "p1": 300.0, "p3": 150.0, "p2": 90.0, "p1-unmetered": 60.0,
    }  # fmt: skip
    assert (flow.supplied, flow.used, flow.unmetered, flow.complete) == (300.0, 300.0, 60.0, 1.0)
    assert not flow.surplus
    assert [link.target for link in flow.links] == ["p1", "p3", "p2", "p1-unmetered"]


def test_submeters_that_count_more_than_their_main_are_told() -> None:
    """Nothing is scaled down: the surplus comes in from the side, and a finding names both."""
    flow = flow_of([site({1: [100.0] * 3, 2: [80.0] * 3, 3: [50.0] * 3}, {1: None, 2: 1, 3: 1})],
                   apart=False)  # fmt: skip
    found = amounts_of(flow)
    assert found["p1-excess"] == pytest.approx(90.0)
    assert flow.unmetered == 0
    (one,) = flow.surplus
    assert (one.point, one.own, one.below) == (1, 300.0, 390.0)
    assert all(abs(rest) < 1e-6 for rest in balance(flow).values())


def test_a_day_without_the_submeter_is_not_called_unmetered() -> None:
    """What the main counted meanwhile is a part of its own; completeness says why."""
    flow = flow_of([site({1: [100.0] * 3, 2: [80.0, math.nan, 80.0]}, {1: None, 2: 1})],
                   apart=False)  # fmt: skip
    found = amounts_of(flow)
    assert (found["p1-unmetered"], found["p1-unknown"]) == (40.0, 100.0)
    assert next(n for n in flow.nodes if n.key == "p2").complete == pytest.approx(2 / 3)


def test_a_day_without_the_main_comes_in_from_the_side() -> None:
    """Submeters that counted while the main was silent are no error of theirs: no finding."""
    flow = flow_of([site({1: [100.0, math.nan, 100.0], 2: [80.0] * 3}, {1: None, 2: 1})],
                   apart=False)  # fmt: skip
    found = amounts_of(flow)
    assert (found["p1-unmetered"], found["p1-late"]) == (40.0, 80.0)
    assert not flow.surplus
    assert flow.complete == pytest.approx(2 / 3)


def test_own_production_and_export_meet_at_the_main() -> None:
    """Imports 60, solar 50, exports 20, kitchen 70: used are 90, and 20 are unmetered."""
    solar = replace(point(9), utility="production", kind="single", name="Solar")
    own = site({1: [60.0, 0.0, 0.0], 2: [70.0, 0.0, 0.0]}, {1: None, 2: 1},
               exports={1: 20.0}, produced=[(solar, 50.0)])  # fmt: skip
    flow = flow_of([own], apart=False)
    assert amounts_of(flow) == {
        "supply": 60.0, "p1": 110.0, "p9": 50.0, "p1-export": 20.0, "p2": 70.0,
        "p1-unmetered": 20.0,
    }  # fmt: skip
    assert (flow.used, flow.produced, flow.exported) == (90.0, 50.0, 20.0)
    assert all(abs(rest) < 1e-6 for rest in balance(flow).values())


def test_a_submeter_that_moved_hangs_below_both_mains() -> None:
    """From the second day on it is fed by the other one: once in the table, fed twice."""
    fed = [(0, {1: None, 2: None, 3: 1}), (MONDAY_MS + DAY_MS, {1: None, 2: None, 3: 2})]
    flow = flow_of([site({1: [100.0] * 3, 2: [90.0] * 3, 3: [10.0] * 3}, fed)], apart=False)
    into = {link.source: link.amount for link in flow.links if link.target == "p3"}
    assert into == {"p1": 10.0, "p2": 20.0}
    assert [node.amount for node in flow.nodes if node.key == "p3"] == [30.0]


def test_sites_stand_between_the_supply_and_their_meters() -> None:
    """Of an organisation; of hundreds the smallest are one node, and nothing is lost."""
    sites = [site({n * 10: [float(n)] * 3}, {n * 10: None}, number=n) for n in range(1, 61)]
    flow = flow_of(sites, apart=True, below=False)
    kinds = [node.kind for node in flow.nodes]
    assert (kinds.count("site"), kinds.count("others")) == (SITES_SHOWN, 1)
    others = next(node for node in flow.nodes if node.kind == "others")
    assert (others.members, others.amount) == (20, 3.0 * sum(range(1, 21)))
    assert flow.supplied == sum(link.amount for link in flow.links) == 3.0 * sum(range(1, 61))
    deep = flow_of(sites[:2], apart=True)
    assert [node.depth for node in deep.nodes] == [0, 1, 2, 1, 2]


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(st.integers(2, 6), st.integers(1, 6), max_size=5),
    st.lists(st.lists(st.one_of(st.floats(0, 1e6), st.just(math.nan)), min_size=3, max_size=3),
             min_size=6, max_size=6),
    st.floats(0, 1e5),
)  # fmt: skip
def test_nothing_appears_or_disappears_on_the_way(
    feeding: dict[int, int], values: list[list[float]], solar_wh: float
) -> None:
    """Whatever the tree, circles included, and whatever is missing: in is out at every node."""
    amounts = dict(zip(range(1, 7), values, strict=True))
    solar = replace(point(9), utility="production")
    fed = {number: feeding.get(number) for number in amounts}
    produced = [(solar, solar_wh)] if solar_wh else []
    flow = flow_of([site(amounts, fed, produced=produced)], apart=False)
    scale = max((link.amount for link in flow.links), default=1.0) or 1.0
    for rest in balance(flow).values():
        assert abs(rest) <= 1e-6 * scale
    assert all(link.amount > 0 for link in flow.links)
    keys = [node.key for node in flow.nodes]
    assert len(keys) == len(set(keys))
    assert {link.source for link in flow.links} | {link.target for link in flow.links} <= set(keys)


def test_utilities_stand_in_their_usual_order() -> None:
    """Electricity first; production is a part of it and not a choice beside it."""
    gas = replace(point(2), utility="gas", kind="single", unit="m3", behaviour="register")
    solar = replace(point(3), utility="production", kind="single")
    assert kinds_of([gas, solar, point(1)]) == ["electricity:Wh", "gas:m3"]
    assert kinds_of([solar]) == ["production:Wh"]


@pytest.fixture(scope="module")
def fed(world: World) -> World:
    """Let the main supply feed ventilation and the server room."""
    with world.catalog.change(catalogs.Actor("test")) as change:
        for name in ("hvac", "server"):
            row = change.session.get(tables.DataPoint, world.point(name).id)
            assert row is not None
            row.parent_id = world.point("main").id
    return world


def total(world: World, name: str, month: tuple[int, int]) -> float:
    """Return what a data point counted between two instants, interval by interval [Wh]."""
    rows = world.view.rows[world.point(name).series]
    inside = (rows.channel == 24) & (rows.start_ms >= month[0]) & (rows.start_ms < month[1])
    parts: Floats = np.concatenate([rows.amount[inside], rows.unallocated[inside]])
    return float(parts[np.isfinite(parts)].sum())


def test_the_answer_agrees_with_the_intervals(fed: World, admin: TestClient) -> None:
    """October in Dublin, 745 hours: main, submeters and what they do not see, by hand."""
    place = f"s{fed.sites['Office Dublin']}"
    query = f"place={place}&utility=electricity:Wh&period=month&date=2026-10-05"
    answer = admin.get(f"/data/flow?{query}").json()
    october = (1_790_809_200_000, 1_793_491_200_000)  # 1 Oct 00:00 +01:00 to 1 Nov 00:00 +00:00
    assert (october[1] - october[0]) / 3_600_000 == 745
    main, hvac, server = (total(fed, name, october) for name in ("main", "hvac", "server"))
    found = {node["key"]: node["amount"] for node in answer["nodes"]}
    keys = {name: f"p{fed.point(name).id}" for name in ("main", "hvac", "server")}
    assert found["supply"] == pytest.approx(main)
    assert found[keys["hvac"]] == pytest.approx(hvac)
    assert found[keys["server"]] == pytest.approx(server)
    assert answer["unmetered"] == pytest.approx(main - hvac - server)
    assert answer["unit"] == "Wh"
    file = admin.get(f"/data/flow.csv?{query}")
    rows = list(csv.reader(io.StringIO(file.text)))
    assert rows[0] == ["Part", "Kind", "From", "Amount [Wh]", "Known"]
    assert next(row for row in rows if row[0] == "HVAC")[1:3] == ["Meter", "Main supply"]
    assert float(next(row[3] for row in rows if row[0] == "HVAC")) == pytest.approx(hvac)


def test_another_organisations_flow_is_not_there(fed: World, logged: Logged) -> None:
    """Who names a site that is not theirs sees their own; a viewer takes no file along."""
    place = f"s{fed.sites['Office Dublin']}"
    stranger = logged(STRANGER)
    answer = stranger.get(f"/data/flow?place={place}").json()
    assert "Main supply" not in str(answer)
    assert "Acme" not in stranger.get(f"/flow?place={place}", headers={"accept": "text/html"}).text
    assert logged(VIEWER).get(f"/data/flow.csv?place={place}").status_code == 403
    organisation = select(tables.Organisation.id).where(tables.Organisation.name == "Acme")
    with fed.catalog.reading() as session:
        number = session.scalar(organisation)
    whole = logged(VIEWER).get(f"/data/flow?place=o{number}").json()
    names = [node["name"] for node in whole["nodes"] if node["kind"] == "site"]
    assert names == ["Office Dublin", "Supermarket Cork"]
