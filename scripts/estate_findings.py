"""Give an estate's data points what the insights found in the year of a demo.

    .venv/bin/python scripts/estate_findings.py ESTATE DEMO

An estate's own history would be worked through for two hours before its pages had anything to
show. So each data point that counts gets the wasted hours, events, opening hours and standing
waste of one of the demo's of its utility, moved to the estate's newest days: as many rows as there
would be, not the right ones. The server must not be running. A second run does nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from kilowatch import catalog
from kilowatch.cli.folder import DataFolder
from kilowatch.log import LogReader
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.subjects import NOT_USED

DAY_MS = 86_400_000
SEED = 20_261_128
EVENT = (
    "kind, start_ms, end_ms, open, found_ms, amount, confidence, evidence, model, value, shown, "
    "shown_from_ms, shown_until_ms"
)


def main() -> None:
    """Copy them and say how many rows there are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("estate", type=Path)
    parser.add_argument("demo", type=Path, help="a folder of `kilowatch demo`, insights ready")
    wanted = parser.parse_args()
    estate, demo = (DataFolder(path.absolute()) for path in (wanted.estate, wanted.demo))
    InsightFile(estate.insights).close()
    connection = apsw.Connection(str(estate.insights))
    connection.set_busy_timeout(10_000)
    if connection.execute("SELECT count(*) FROM waste").get:
        sys.exit("there are findings already")
    connection.execute("ATTACH ? AS demo", (str(demo.insights),))
    models = _by_utility(_points(demo), connection)
    newest_ms = connection.execute("SELECT max(start_ms) FROM demo.waste").get
    points = _points(estate)
    days = round((_newest_ms(estate, points) - newest_ms) / DAY_MS)
    chance = np.random.default_rng(SEED)
    with connection:
        for point in points:
            some = models.get(point.utility) or models["electricity"]
            if point.utility not in NOT_USED:
                model = some[int(chance.integers(len(some)))]
                _copy(connection, model, point, days, float(chance.uniform(0.2, 5.0)))
    for table in ("waste", "event", "standing", "opening"):
        print(table, connection.execute(f"SELECT count(*) FROM main.{table}").get)


def _points(folder: DataFolder) -> list[DataPoint]:
    opened = catalog.open(folder.catalog)
    try:
        return list(catalog.directory.load(opened, "development").points.values())
    finally:
        opened.close()


def _by_utility(points: list[DataPoint], connection: apsw.Connection) -> dict[str, list[DataPoint]]:
    known = {series for (series,) in connection.execute("SELECT series FROM demo.standing")}
    found: dict[str, list[DataPoint]] = {}
    for point in points:
        if point.series in known:
            found.setdefault(point.utility, []).append(point)
    return found


def _newest_ms(folder: DataFolder, points: list[DataPoint]) -> int:
    """Return the instant of the newest packet [ms since 1970, UTC]."""
    log = LogReader(folder.log)
    try:
        heads = [log.head(point.series) for point in points]
    finally:
        log.close()
    return max((head.entry.at_ms for head in heads if head is not None), default=0)


def _copy(
    connection: apsw.Connection, model: DataPoint, point: DataPoint, days: int, scale: float
) -> None:
    """Write one data point's findings: those of its model, some days later, at another scale."""
    here, there = Zone.of(model.zone), Zone.of(point.zone)

    def moved(instants: list[int]) -> list[int]:
        """Return instants at the same local time, that many days later."""
        local = here.local_ms(np.array(instants, np.int64)) + days * DAY_MS
        return [int(one) for one in local - there.offsets_ms(local)]

    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT start_ms, amounts, kinds FROM demo.waste WHERE series = ?", (model.series,)
    ).fetchall()
    if rows:
        starts = moved([row[0] for row in rows])
        connection.executemany(
            "INSERT OR REPLACE INTO main.waste (series, start_ms, amounts, kinds)"
            " VALUES (?, ?, ?, ?)",
            [
                (point.series, start, (np.frombuffer(amounts) * scale).tobytes(), kinds)
                for start, (_, amounts, kinds) in zip(starts, rows, strict=True)
            ],
        )
    shift = days * DAY_MS
    rows = connection.execute(
        f"SELECT {EVENT} FROM demo.event WHERE series = ? AND cause = ''", (model.series,)
    ).fetchall()
    for number, row in enumerate(rows):
        kind, start_ms, end_ms, still, found_ms, amount, *rest = row
        name = f"{point.series:08x}{number:08x}"
        connection.execute(
            f"INSERT INTO main.event (key, id, series, {EVENT}) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
            (name, name, point.series, kind, start_ms + shift, end_ms + shift, still,
             found_ms + shift, None if amount is None else amount * scale, *rest[:4]),
        )  # fmt: skip
    for table in ("standing", "opening"):
        connection.execute(
            f"INSERT OR REPLACE INTO main.{table} SELECT ?, * FROM "
            f"(SELECT {'packed' if table == 'standing' else 'hours'} FROM demo.{table} "
            "WHERE series = ?)",
            (point.series, model.series),
        )


if __name__ == "__main__":
    main()
