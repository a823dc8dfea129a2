"""Good data is left in peace: no mismatch for real meters and for the demo's buildings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kilowatch import wire
from kilowatch.demo.plan import STREAMS
from kilowatch.demo.world import World, instants
from kilowatch.model.packet import Form
from kilowatch.model.parameters import channel_name
from tests.pipeline.evidence_world import Shown
from tests.pipeline.pipeline_world import DAY_MS, HOUR_MS, point

DATA = Path(__file__).parents[3] / "shared" / "data" / "streams"
PACKETS_MAX = int(os.environ.get("KILOWATCH_MISMATCH_PACKETS", "1500"))
"""Of each stream; the figures in the reference come from all of them."""


def real_streams(dataset: str) -> Iterator[tuple[dict[str, Any], npt.NDArray[np.float64], Any]]:
    """Yield what is known of each stream, its values and its instants [ms]."""
    listed = DATA.parent / "streams.csv"
    names, *lines = [line.split(",") for line in listed.read_text().splitlines()]
    about = {line[0]: dict(zip(names, line, strict=True)) for line in lines}
    table = pq.read_table(DATA / f"{dataset}.parquet", columns=["stream_id", "ts", "value"])
    for stream in pc.unique(table.column("stream_id")).to_pylist():
        rows = table.filter(pc.equal(table.column("stream_id"), stream)).slice(0, PACKETS_MAX)
        at_ms = [round(datetime.fromisoformat(t.as_py()).timestamp() * 1000) for t in rows["ts"]]
        yield about[stream], np.asarray(rows["value"], np.float64), at_ms


@pytest.mark.skipif(not DATA.is_dir(), reason="the real meters' data is not beside this project")
@pytest.mark.parametrize("dataset", ["cambridge", "bdg2", "bwdf"])
def test_real_meters_give_no_mismatch(dataset: str) -> None:
    """127 meters with their holes, zeros and moods, as amounts, as dials and as flows."""
    told: dict[str, dict[str, int]] = {}
    packets = 0
    for about, values, at_ms in real_streams(dataset):
        unit = {"l/s": "L/s"}.get(about["unit"], about["unit"])
        for behaviour in ["rate"] if unit == "L/s" else ["amount", "register"]:
            pushed = 1_000 + np.cumsum(values) if behaviour == "register" else values
            shown = Shown(
                point(
                    1, kind="single", utility=about["utility"], unit=unit, behaviour=behaviour,
                    interval_s=3600, tolerance_s=1800.0, zone=about["tz"],
                )
            )  # fmt: skip
            for at, value in zip(at_ms, pushed.tolist(), strict=True):
                shown.packet({"value": value}, at, late_ms=HOUR_MS + 1_500)
            packets += len(at_ms)
            if shown.told:
                told[f"{about['stream_id']} {behaviour}"] = dict(shown.told)
    assert packets > 0
    assert told == {}


def test_the_demos_buildings_give_no_mismatch() -> None:
    """A month of history and an hour of live packets; its faults are in the loads, not here."""
    now_ms = 1_764_000_000_000
    world = World.between(now_ms - 40 * DAY_MS, now_ms + 2 * DAY_MS, now_ms)
    told = {}
    for stream in STREAMS:
        shown = Shown(
            point(
                1, kind=stream.kind, utility=stream.utility, unit=stream.unit,
                behaviour=stream.behaviour, interval_s=stream.interval_s,
                tolerance_s=stream.interval_s / 2,
            )
        )  # fmt: skip
        history = instants(now_ms - 30 * DAY_MS, now_ms, stream.interval_s)
        live = instants(now_ms, now_ms + HOUR_MS, stream.live_s)
        for body in world.packets(stream, np.concatenate([history, live])):
            packet = wire.decode(body, Form.LOCAL, now_ms + DAY_MS)
            named = {channel_name(channel): value for channel, value in packet.values.items()}
            shown.packet(named, packet.at_ms, offset_min=packet.offset_min)
        if shown.told:
            told[stream.stream_id] = dict(shown.told)
    assert told == {}
