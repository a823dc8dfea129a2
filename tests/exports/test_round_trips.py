"""What is exported can be imported again, and gives the same totals."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from kilowatch.client.columns import lines
from kilowatch.client.guessing import look
from kilowatch.client.workbooks import UNPACKED_MAX, csv_of
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from tests.exports.shop import Shop, build
from tests.pipeline.pipeline_world import World

FOREVER_MS = 4_102_444_800_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Build the shop once."""
    return build(tmp_path_factory.mktemp("shop"))


def brought(content: bytes, folder: Path, points: list[DataPoint]) -> World:
    """Import a file as the Import page understands it at first sight, into other meters."""
    streams = {point.name: point.stream_id for point in points}
    streams |= {point.stream_id: point.stream_id for point in points}
    seen = look(content, streams)
    zones = {point.stream_id: point.zone for point in points}
    folder.mkdir(exist_ok=True)
    world = World(folder, points).start()
    series = {point.stream_id: point.series for point in points}
    packets = []
    for line in lines(seen.text, seen.shape, streams, zones):
        if line.mistake == "The line has no value.":
            continue  # of a wide table, where nothing is known
        assert not line.mistake, line
        packet = json.loads(line.body)
        stream, moment = packet.pop("id"), datetime.fromisoformat(packet.pop("tsISO8601"))
        offset = moment.utcoffset()
        assert offset is not None
        at_ms = round(moment.timestamp() * 1000)
        packets.append((at_ms, series[stream], packet, round(offset.total_seconds() / 60)))
    for at_ms, number, values, offset_min in sorted(packets, key=lambda one: one[:2]):
        world.log.push(number, at_ms, values, offset_min=offset_min)
    return world.catch_up()


def totals(block: IntervalBlock) -> dict[int, tuple[float, float, int]]:
    """Return amounts, what was counted across gaps, and rows, by channel."""
    return {
        code: (
            float(np.nansum(block.amount[block.channel == code])),
            float(np.nansum(block.unallocated[block.channel == code])),
            int((block.channel == code).sum()),
        )
        for code in np.unique(block.channel).tolist()
    }


@pytest.mark.parametrize("word", ["csv", "xlsx"])
@pytest.mark.parametrize("layout", ["long", "wide"])
def test_readings_come_back_as_they_were(
    shop: Shop, tmp_path: Path, word: str, layout: str
) -> None:
    """Export the readings, import them elsewhere: every interval is the same, to the last bit.

    Through the hour that comes twice, with a gap, with both meters in one file.
    """
    content = shop.file(word, f"period=everything grain=source layout={layout}")
    world = brought(content, tmp_path / "there", [shop.supply, shop.gas])
    for point in (shop.supply, shop.gas):
        channels = shop.view.channels(point)
        before = shop.view.series(point, channels, 0, FOREVER_MS, "interval")
        after = world.view.series(point, channels, 0, FOREVER_MS, "interval")
        assert totals(after) == totals(before)
        assert np.array_equal(before.start_ms, after.start_ms)
        assert np.array_equal(before.mean, after.mean, equal_nan=True)


@pytest.mark.parametrize("word", ["csv", "xlsx"])
def test_amounts_of_intervals_come_back_as_amounts(shop: Shop, tmp_path: Path, word: str) -> None:
    """A table of half hours is history for a meter that tells amounts: same total, same days."""
    content = shop.file(word, "period=everything grain=30m layout=wide with=none", ("gas",))
    twin = replace(shop.gas, behaviour="amount")
    world = brought(content, tmp_path / "there", [twin])
    grains = ("interval", "day")
    for grain in grains:
        before = shop.view.series(shop.gas, [0], 0, FOREVER_MS, grain)  # type: ignore[arg-type]
        after = world.view.series(twin, [0], 0, FOREVER_MS, grain)  # type: ignore[arg-type]
        assert np.nansum(after.amount) == pytest.approx(np.nansum(before.amount), rel=1e-12)
    measured = [set(one.start_ms[one.covered_ms > 0].tolist()) for one in (before, after)]
    assert measured[0] == measured[1]
    assert len(measured[0]) == 3


def test_sums_over_phases_are_refused_with_the_reason(shop: Shop) -> None:
    """Figures that Kilowatch computed are no readings: each line says so, none is taken."""
    content = shop.file("csv", "period=everything grain=day", ("supply",))
    streams = {"supply": "supply"}
    seen = look(content, streams)
    found = list(lines(seen.text, seen.shape, streams, {"supply": "Europe/Dublin"}))
    assert found
    assert all("'pC' is not what a packet says" in line.mistake for line in found)


def test_what_is_no_workbook_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken archive, a bomb, an empty book: an answer, and nothing unpacked."""
    for content in (b"PK\x03\x04 and then nothing", b"\xd0\xcf\x11\xe0 nor here"):
        with pytest.raises(KilowatchError, match=r"Save it as \.xlsx again"):
            csv_of(content)
    assert UNPACKED_MAX > 10**8
    monkeypatch.setattr("kilowatch.client.workbooks.UNPACKED_MAX", 10)
    book = build_book()
    with pytest.raises(KilowatchError, match="too much"):
        csv_of(book)
    monkeypatch.undo()
    assert csv_of(book).splitlines() == ["time,value", "2026-11-09 14:30:00,5", ",0.25"]


def build_book() -> bytes:
    """Return a small workbook as a person makes it."""
    import io  # noqa: PLC0415 - for this one

    import openpyxl  # noqa: PLC0415 - likewise

    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["time", "value"], [datetime(2026, 11, 9, 14, 30), 5], [None, 0.25]):  # noqa: DTZ001
        sheet.append(row)
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()
