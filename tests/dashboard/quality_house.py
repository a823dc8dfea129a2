"""The fakes' organisation with gaps in every state, findings to decide, and corrections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kilowatch.catalog import Actor, alerts, corrections, meter_events
from kilowatch.catalog.corrections_check import Draft
from kilowatch.catalog.tables import DataPoint as PointRow
from kilowatch.model.blocks import Quality
from kilowatch.model.findings import Finding
from kilowatch.model.parameters import PC, VALUE
from kilowatch.model.silences import Silence
from kilowatch.model.zones import Zone
from kilowatch.pipeline.preview import preview
from tests.dashboard.fakes import DAY_MS, HOUR_MS, Status
from tests.dashboard.worlds import World

MINUTE_MS = 60_000


def span(world: World, days_ago: float, hours: float) -> tuple[int, int]:
    """Return a stretch of time so many days ago, on whole hours."""
    begin = (world.now[0] - round(days_ago * DAY_MS)) // HOUR_MS * HOUR_MS
    return begin, begin + round(hours * HOUR_MS)


def with_gaps(world: World) -> World:
    """Give the organisation gaps, findings and corrections."""
    view = world.view
    gaps: dict[str, list[tuple[int, int]]] = {
        "main": [span(world, 9, 3), span(world, 6, 5), span(world, 1.25, 3), span(world, 3, 0.5)],
        "gas": [span(world, 20, 70), span(world, 4, 9)],
        "water": [span(world, days, 2) for days in range(8, 200, 12)],
        "hvac": [span(world, 120, 24 * 6), span(world, 0.9, 1)],
        "chiller": [span(world, days, 20) for days in range(2, 60, 17)],
    }
    now_ms = world.now[0]
    gaps["server"] = [(now_ms - 2 * HOUR_MS - 7 * MINUTE_MS, now_ms)]
    for name, some in gaps.items():
        found = [(a, b, 1, b - a) for a, b in sorted(some)]
        view.gaps[world.point(name).series] = np.array(found, np.int64)
    silent = world.point("server")
    view.silent.add(silent.series)
    _tell(world)
    _correct(world, gaps)
    _find(world)
    main = world.point("main")
    rows = view.rows[main.series]
    edited = replace(rows, quality=rows.quality.copy())
    for place, quality in ((400, Quality.ESTIMATED), (900, Quality.EDITED)):
        starts = np.unique(rows.start_ms)[-place : -place + 60]
        edited.quality[np.isin(rows.start_ms, starts)] = quality
    view.rows[main.series] = edited
    begin, end = gaps["main"][2]
    before = rows.take((rows.channel == PC) & (rows.start_ms >= begin - 30 * HOUR_MS))
    hole = (before.start_ms >= begin) & (before.start_ms < end)
    after = replace(
        before,
        amount=np.where(hole, 3_000.0, before.amount),
        quality=np.where(hole, Quality.ESTIMATED, before.quality),
    )
    view.previews[main.series] = preview(before.take(~hole), after, Zone.of(main.zone))
    return world


def _tell(world: World) -> None:
    """Let people be told that the server room is silent."""
    point, now_ms = world.point("server"), world.now[0]
    notifier, feed = world.extra["notifier"], world.extra["feed"]
    with world.catalog.change(Actor("test")) as change:
        watched = alerts.Watched(site_id=point.site_id)
        alerts.add_rule(change, point.organisation_id, "Office is silent", "offline", watched, {})
    notifier.engine.run_once()
    last_ms = now_ms - 2 * HOUR_MS - 7 * MINUTE_MS
    feed.find(
        Silence(
            point.series, point.id, point.organisation_id, point.site_id, world.credential.id,
            last_ms, last_ms + point.gap_ms, now_ms - 2 * HOUR_MS,
        )
    )  # fmt: skip
    for _ in range(5):
        notifier.engine.run_once()
        world.now[0] += 1_000


def _correct(world: World, gaps: dict[str, list[tuple[int, int]]]) -> None:
    main, gas = world.point("main"), world.point("gas")
    by = Actor("a.lee@example.com")
    with world.catalog.change(by) as change:
        fill = Draft("fill", *gaps["main"][0], method="profile", comment="Router was replaced.")
        corrections.add(change, main.id, fill)
        told = Draft("accept", *gaps["main"][1], comment="Power cut in the whole street.")
        corrections.add(change, main.id, told)
        begin, end = span(world, 12, 1)
        edit = Draft("edit", begin, end, "pC", 2_150.0, comment="Meter was tested on this day.")
        row = corrections.add(change, main.id, edit)
    with world.catalog.change(Actor("v.iewer@example.com")) as change:
        corrections.undo(change, main.id, row.id)
        other = change.session.get(PointRow, gas.id)
        assert other is not None
        meter_events.mark_bad(change, other, begin, comment="Display test by the fitter.")


def _find(world: World) -> None:
    gas, hvac = world.point("gas"), world.point("hvac")
    at_ms, _ = span(world, 4, 0)
    fell = Finding(
        "register.fell",
        "The register value fell from 99812 to 31. What was used in between is not counted until "
        "a person says whether it rolled over, was reset, belongs to another meter, or was read "
        "wrongly.",
        at_ms,
        VALUE,
        {
            "channel": "value",
            "before": 99_812.0,
            "after": 31.0,
            "before_ms": at_ms - 30 * MINUTE_MS,
            "at_ms": at_ms,
            "decisions": [
                {"kind": "roll_over", "channel": "value", "at_ms": at_ms, "width": 100_000.0},
                {"kind": "reset", "channel": "value", "at_ms": at_ms, "first": 0.0},
                {
                    "kind": "exchange", "channel": "value", "at_ms": at_ms,
                    "last": 99_812.0, "first": 31.0,
                },
                {"kind": "bad", "channel": "value", "at_ms": at_ms, "reading": 31.0},
            ],
        },
    )  # fmt: skip
    spike = Finding(
        "interval.spike",
        "812 kW is more than 8 times what came before and after it.",
        at_ms,
        PC,
        {"until_ms": at_ms + 300_000, "channel": "pC", "worst": 812e3},
    )
    world.view.statuses[gas.series] = Status(gas.series, findings=(fell,))
    world.view.statuses[hvac.series] = Status(hvac.series, findings=(spike,))
