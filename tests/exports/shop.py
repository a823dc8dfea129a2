"""Two meters with a history through both clock changes, behind the real pipeline and view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kilowatch.exports.definition import Definition, read
from kilowatch.exports.excel_file import Summary, Wording
from kilowatch.exports.formats import chunks_of
from kilowatch.exports.plan import Place, Plan, plan
from kilowatch.exports.slices import Reader
from kilowatch.exports.tables import Heading
from kilowatch.model.points import DataPoint
from kilowatch.pipeline import View
from tests.pipeline.pipeline_world import HOUR_MS, World, point, single

OCTOBER_MS = 1_729_900_800_000  # 2024-10-26T00:00:00Z: the clocks in Dublin go back on the 27th
DAY = 48


def notes(written: Summary) -> list[tuple[str, str]]:
    """Return the notes of a workbook."""
    return [("Exported by", "A. Lee"), ("Rows", str(written.rows))]


def heading(one: Heading, zone: str) -> str:
    """Return what a column of a workbook is called."""
    return one.people or (f"{one.name} ({zone})" if one.kind == "local" else one.name)


WORDS = Wording("Data", "Notes", heading, notes)


@dataclass(frozen=True)
class Shop:
    """A supply that is metered in half hours, and a gas dial with a gap."""

    view: View
    supply: DataPoint
    gas: DataPoint

    def plan(self, query: str, names: tuple[str, ...] = ("supply", "gas")) -> Plan:
        """Return the plan of a query such as ``grain=day layout=wide``."""
        pairs = [tuple(word.split("=", 1)) for word in query.split()]
        asked = read(pairs)  # type: ignore[arg-type]
        places = [Place(getattr(self, name), "Acme", "Shop") for name in names]
        return plan(self.view, places, asked, OCTOBER_MS + 4 * 24 * HOUR_MS)

    def file(self, word: str, query: str, names: tuple[str, ...] = ("supply", "gas")) -> bytes:
        """Return a file."""
        return b"".join(self.chunks(word, self.plan(query, names)))

    def chunks(self, word: str, planned: Plan) -> Iterator[bytes]:
        """Return a file piece by piece."""
        planned.check(word)
        return chunks_of(word, planned, Reader(self.view), WORDS, {"exported_by": "A. Lee"})

    @property
    def everything(self) -> Definition:
        """Return a definition of all there is."""
        return read([("period", "everything")])


def build(folder: Path) -> Shop:
    """Push three days of packets through the pipeline."""
    supply = point(1, name="=Supply", stream_id="supply", interval_s=1800, unit="W")
    gas = single(2, name="Gas", stream_id="gas", interval_s=1800)
    world = World(folder, [supply, gas]).start()
    dial, cubic = 1_000.0, 50.0
    for n in range(3 * DAY + 1):
        at_ms = OCTOBER_MS + n * HOUR_MS // 2
        offset = 60 if at_ms < 1_729_990_800_000 else 0
        values = {"aP_1": 1_500.0 + n, "pC_1": dial, "pC_2": dial / 2}
        world.log.push(1, at_ms, values, offset_min=offset)
        if not 60 <= n < 66:
            world.log.push(2, at_ms, {"value": cubic}, offset_min=offset)
        dial += 750.25 + n / 4
        cubic += 0.1
    world.catch_up()
    world.time_s = OCTOBER_MS / 1000 + 4 * 86_400
    return Shop(world.view, supply, gas)
