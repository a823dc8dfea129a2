"""The real pipeline behind the pages: packets in, figures out, and corrections between."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from kilowatch.catalog import point_settings, tables
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.answers import Grain
from tests.dashboard.house import PAGE, House, post
from tests.dashboard.worlds import ADMIN
from tests.pipeline.pipeline_world import World as Pipeline
from tests.pipeline.pipeline_world import comparable

QUARTER_MS = 900_000
DAY_MS = 86_400_000
MIDNIGHT_MS = 1_794_096_000_000  # Sun 8 Nov 2026 00:00 in Dublin, which has UTC in winter
GAP = (MIDNIGHT_MS + 10 * 4 * QUARTER_MS, MIDNIGHT_MS + 14 * 4 * QUARTER_MS)
"""Nothing between the packets of 10:00 and 14:00."""


@dataclass
class Measured:
    """A house whose figures come from packets."""

    house: House
    pipeline: Pipeline

    @property
    def registry(self) -> Any:
        """Who owns what."""
        return self.house.world.app.state.rooms.registry

    def point(self, name: str) -> DataPoint:
        """Return a data point with what people have corrected by now."""
        found = self.registry.directory(fresh=True).by_id(self.house.world.point(name).id)
        assert isinstance(found, DataPoint)
        return found

    def catch_up(self) -> None:
        """Let the pipeline see the catalogue, and finish every recomputation."""
        self.pipeline.points = self.registry.directory(fresh=True)
        self.pipeline.catch_up()

    def figures(self, name: str) -> dict[str, list[tuple[object, ...]]]:
        """Return every figure of a data point, to compare bit for bit."""
        one = self.point(name)
        view = self.pipeline.view
        found = {}
        grains: tuple[Grain, ...] = ("interval", "hour", "day", "month")
        for grain in grains:
            rows = view.series(one, view.channels(one), 0, 4_102_444_800_000, grain)
            found[str(grain)] = comparable(rows)
        return found

    def total(self, name: str, code: int, day_ms: int = MIDNIGHT_MS) -> float:
        """Return a day's total, energy whose time is not known included."""
        rows = self.pipeline.view.series(self.point(name), [code], day_ms, day_ms + 1, "day")
        return float(np.nansum([rows.amount, rows.unallocated]))


def measured(house: House, folder: Path) -> Measured:
    """Put a pipeline behind a house: two mains push every quarter of an hour, one with a gap."""
    folder.mkdir()
    world = house.world
    pipeline = Pipeline(folder, []).start()
    pipeline.time_s = world.now[0] / 1000
    app = world.app
    app.state.rooms = replace(app.state.rooms, view=pipeline.view)
    made = Measured(house, pipeline)
    with world.catalog.change(world.catalog_actor()) as change:
        for name in ("main", "hvac"):
            row = change.session.get_one(tables.DataPoint, world.point(name).id)
            point_settings.change_always(change, row, {"interval_s": 900, "tolerance_s": None})
    for name, scale in (("main", 1.0), ("hvac", 0.25)):
        series = world.point(name).series
        dial = 5_000.0
        for at_ms in range(MIDNIGHT_MS - 14 * DAY_MS, MIDNIGHT_MS + DAY_MS + 1, QUARTER_MS):
            power = scale * (4_000.0 + 3_000.0 * (8 <= at_ms % DAY_MS / 3_600_000 < 18))
            dial += power / 4
            if name == "main" and GAP[0] < at_ms < GAP[1]:
                continue
            pipeline.log.push(series, at_ms, {"pC_1": dial, "aP_1": power})
    made.catch_up()
    pipeline.consumer.flush()
    return made


def days(text: str) -> dict[tuple[str, str], tuple[float | None, float | None]]:
    """Return the days of a preview: before and after, by day and parameter."""
    found = {}
    for row in re.findall(r"<tr data-day=.*?</tr>", text, re.DOTALL):
        day = re.search(r'data-day="([^"]+)"', row)
        name = re.search(r"<code>([^<]*)</code>", row)
        cells = re.findall(r"data-(?:before|after)>(.*?)</td>", row, re.DOTALL)
        values = [re.search(r'value="([^"]+)"', cell) for cell in cells]
        before, after = (float(one[1]) if one else None for one in values)
        assert day is not None
        found[day[1], name[1] if name else ""] = (before, after)
    return found


def hidden(text: str) -> dict[str, str]:
    """Return what the form of a preview carries along."""
    form = text[text.index('<form class="row"') :]
    pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    return {name: html.unescape(value) for name, value in pairs}


def correct(client: TestClient, path: str, **fields: Any) -> tuple[Any, Any]:
    """Fill in a form, look at the preview, apply it; returns both answers."""
    page = path.rsplit("/undo", 1)[0] if path.endswith("/undo") else path
    shown = post(client, page, path, step="preview", **fields)
    assert shown.status_code == 200, shown.text
    applied = client.post(path, data={**hidden(shown.text), "step": "apply"}, headers=PAGE)
    return shown, applied


def administrator(house: House) -> TestClient:
    """Return an administrator's browser."""
    return house.log_in(ADMIN)
