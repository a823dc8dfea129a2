"""Fill a data folder with 10,000 data points and as many readings as asked for.

    .venv/bin/python scripts/estate.py DIR [--points 10000] [--readings 100000000]

The pipeline itself computes the history of one stream of each kind and time zone; the store then
copies those rows for every data point of that kind, each at a scale of its own, and so is its
state. So rows, roll-ups, state and cursor are what the pipeline would have written, in minutes
instead of hours. The log gets the last packet of every data point, as a gateway would have pushed
it. Prints an account for ``scripts/bench_estate.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from kilowatch import catalog
from kilowatch.catalog import Actor, Change, data_points, people, registry
from kilowatch.catalog.settings_check import Settings
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.serve import prepare
from kilowatch.cli.settings import Settings as ServerSettings
from kilowatch.log import Entry, LogWriter, Outcome
from kilowatch.model.packet import Form
from kilowatch.model.parameters import CHANNEL_BY_PARAMETER, PF
from kilowatch.model.points import DataPoint
from kilowatch.pipeline import Consumer, PipelineSettings, Streams
from kilowatch.pipeline.state import StreamState
from kilowatch.pipeline.state_file import StateFile, pack
from kilowatch.store import ChdbStore, StoreSettings
from kilowatch.store.schema import FIGURES, READING_KEYS, READING_VALUES
from kilowatch.wire import decode

HOUR_S = 3_600
SITE_POINTS = 50
ZONES = ("Europe/Dublin", "Europe/Berlin")
ACCOUNT, PASSWORD = "estate@example.com", "an estate of ten thousand"
ORPHAN = 4_000_000_000
"""Series of the streams that are copied from: no data point's."""
SCALES = 64
ROWS_TOGETHER = 400_000  # readings copied by one statement
ROOMY = StoreSettings(write_bytes_max=2 * 2**30, engine_bytes_max=4 * 2**30)


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of data point.

    Attributes:
        word: In its name.
        settings: How it is registered.
        share: How often it stands on a site of ``SITE_POINTS``.
        finer: How many times as many readings it has as the others.
    """

    word: str
    settings: Settings
    share: int
    finer: int = 1


KINDS = (
    Kind("Main supply", Settings("electrical", "electricity", HOUR_S, clock="offset"), 1),
    Kind("Circuit", Settings("single", "electricity", HOUR_S, clock="offset"), 44),
    Kind("Gas", Settings("single", "gas", HOUR_S, clock="offset"), 2),
    Kind("Temperature", Settings("single", "temperature", HOUR_S, clock="offset"), 3),
)
FINE = Kind(
    "Five minutes", Settings("single", "electricity", 300, clock="offset"), share=0, finer=12
)
"""One data point on every tenth site, in place of a circuit."""


def main() -> None:
    """Build it and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--readings", type=int, default=100_000_000)
    wanted = parser.parse_args()
    folder = DataFolder(wanted.folder.absolute())
    if folder.store.exists():
        sys.exit(f"{folder.root} has data already: name a new folder")
    folder.create()
    prepare(folder, ServerSettings())
    began = time.monotonic()
    groups = _register(folder, wanted.points)
    _say(began, f"{wanted.points:,} data points are registered")
    length = max(48, round(wanted.readings / wanted.points))
    templates = _compute(folder, groups, length, began)
    _fill_log(folder, templates, began)
    _say(began, f"log in as {ACCOUNT} with {PASSWORD!r}")


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:8.1f} s  {text}", flush=True)


# Registration


Group = tuple[Kind, str]
"""A kind in a time zone."""


def _register(folder: DataFolder, count: int) -> dict[Group, list[DataPoint]]:
    opened = catalog.open(folder.catalog)
    kind_of: dict[str, Kind] = {}
    try:
        with opened.change(Actor("estate")) as change:
            estate = registry.add_organisation(change, "Estate", country="IE")
            user, _ = people.add_user(change, ACCOUNT, password=PASSWORD)
            people.set_role(change, user, estate, "administrator")
            for number in range(-(-count // SITE_POINTS)):
                zone = ZONES[number % len(ZONES)]
                site = registry.add_site(change, estate, f"Site {number + 1:03d}", zone=zone)
                left = min(SITE_POINTS, count - number * SITE_POINTS)
                for kind, name, stream_id in _names(number, left):
                    kind_of[stream_id] = kind
                    _register_one(change, site, kind, name, stream_id)
        directory = catalog.directory.load(opened, "development")
    finally:
        opened.close()
    groups: dict[Group, list[DataPoint]] = {}
    for point in directory.points.values():
        groups.setdefault((kind_of[point.stream_id], point.zone), []).append(point)
    return groups


def _names(site: int, count: int) -> list[tuple[Kind, str, str]]:
    kinds = [kind for kind in KINDS for _ in range(kind.share)]
    if site % 20 in {0, 1}:  # in both zones
        kinds[1] = FINE
    return [
        (kind, f"{kind.word} {place + 1:02d}", f"estate-{site + 1:03d}-{place + 1:02d}")
        for place, kind in enumerate(kinds[:count])
    ]


def _register_one(
    change: Change, site: catalog.tables.Site, kind: Kind, name: str, stream_id: str
) -> None:
    data_points.register(change, site, name, kind.settings, stream_id=stream_id)


# History


@dataclass(frozen=True, slots=True)
class Points:
    """The catalogue of the streams that are copied from."""

    points: dict[int, DataPoint]
    revision: int = 1

    def by_series(self, series: int) -> DataPoint | None:
        """Return a data point."""
        return self.points.get(series)


@dataclass(frozen=True, slots=True)
class Entries:
    """A log in memory."""

    entries: list[Entry]

    def read(self, after_seq: int, limit: int = 20_000) -> list[Entry]:
        """Return entries after a sequence number."""
        return self.entries[after_seq : after_seq + limit]

    def last_seq(self) -> int:
        """Return the last sequence number."""
        return len(self.entries)


@dataclass(frozen=True, slots=True)
class Template:
    """What the pipeline made of one stream, and who gets a copy."""

    kind: Kind
    series: int
    points: list[DataPoint]
    state: StreamState
    bodies: list[bytes]


def _compute(
    folder: DataFolder, groups: dict[Group, list[DataPoint]], length: int, began: float
) -> list[Template]:
    """Let the pipeline compute one stream of each group, and the store copy it for the others."""
    models: dict[int, DataPoint] = {}
    entries: list[Entry] = []
    bodies: dict[int, list[bytes]] = {}
    for number, ((kind, _), points) in enumerate(groups.items(), start=1):
        series = ORPHAN + number
        models[series] = replace(points[0], id=series, series=series)
        bodies[series] = packets(kind, length, seed=number)
        for body in bodies[series][:-1]:  # the last one goes through the real log
            packet = decode(body, Form.LOCAL)
            entries.append(
                Entry(len(entries) + 1, series, packet.at_ms, 0, 0, packet.at_ms + 900, 1, body)
            )
    store = ChdbStore(folder.store, ROOMY)
    scratch = folder.root / "scratch.sqlite"
    consumer = Consumer(
        log=Entries(entries),
        store=store,
        state_path=scratch,
        points=lambda: Points(models),
        streams=(streams := Streams()),
        settings=PipelineSettings(flush_in_background=False),
    )
    while streams.seq < len(entries):
        consumer.step()
    consumer.finish()
    _, states = StateFile(scratch).load()
    for path in folder.root.glob("scratch.sqlite*"):
        path.unlink()
    templates = [
        Template(kind, ORPHAN + number, points, states[ORPHAN + number], bodies[ORPHAN + number])
        for number, ((kind, _), points) in enumerate(groups.items(), start=1)
    ]
    _say(began, f"{len(entries):,} packets of {len(models)} streams were computed")
    for one in templates:
        _copy(store, one)
        _say(began, f"{one.kind.word}, {one.points[0].zone}: {len(one.points):,} copies")
    store.close()
    _write_states(folder, templates)
    return templates


def packets(kind: Kind, length: int, seed: int) -> list[bytes]:
    """Return a stream's packets up to now: a daily and a weekly shape, noise, rounded decimals."""
    random = np.random.default_rng(seed)
    step_s, count = kind.settings.interval_s, length * kind.finer
    at_s = int(time.time()) // HOUR_S * HOUR_S - step_s * np.arange(count - 1, -1, -1)
    hour = at_s / HOUR_S
    shape = 1.2 + np.sin(hour / 24 * 2 * np.pi - 1.5) * (0.8 + 0.2 * np.sin(hour / 84 * np.pi))
    shape = np.clip(shape + random.normal(0, 0.1, count), 0.05, None)
    columns: dict[str, np.ndarray] = {}
    if kind.settings.kind == "electrical":
        for phase in "123":
            power = np.round(20_000 * shape + random.normal(0, 300, count), 1)
            columns[f"aP_{phase}"] = power
            columns[f"pC_{phase}"] = np.round(np.cumsum(power * step_s / HOUR_S))
    elif kind.settings.utility == "temperature":
        columns["value"] = np.round(12 + 6 * shape, 1)
    else:
        columns["value"] = np.round(np.cumsum(shape * step_s / HOUR_S * 4), 2)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [
        json.dumps(
            {
                "id": "estate",
                "tsISO8601": datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
                **dict(zip(columns, row, strict=True)),
            }
        ).encode()
        for at, row in zip(at_s.tolist(), rows, strict=True)
    ]


def scale_of(point: DataPoint) -> float:
    """Return a data point's size as a multiple of its model's, exact in decimals and in binary."""
    return 0.25 + (point.series % SCALES) / 4


_UNSCALED = frozenset({PF, PF + 1, PF + 2, PF + 3})


def _copy(store: ChdbStore, one: Template) -> None:
    """Copy a model's rows for its data points; as packet 0 they are older than any to come."""
    scaled = {"mean", "low", "high", "amount", "unallocated"}
    figures = {
        name: f"if(channel IN ({_list(_UNSCALED)}), {name}, {name} * k)"
        if name in scaled and name != "amount"
        else f"{name} * k"
        if name in scaled
        else name
        for name in FIGURES
    } | {"series": "s", "version": "0"}
    values = {
        READING_VALUES[channel]: READING_VALUES[channel] + ("" if channel in _UNSCALED else " * k")
        for channel in decode(one.bodies[0], Form.LOCAL).values
    }
    readings = {name: name for name in READING_KEYS} | values | {"series": "s", "seq": "0"}
    together = max(1, ROWS_TOGETHER // len(one.bodies))
    for first in range(0, len(one.points), together):
        some = one.points[first : first + together]
        scales = ", ".join(f"({point.series}, {scale_of(point)})" for point in some)
        for table, columns in (
            ("reading", readings),
            ("interval", figures),
            ("rollup", {"grain": "grain"} | figures),
        ):
            store._engine.execute(  # noqa: SLF001 - the store has no such door for programs
                f"INSERT INTO {table} ({', '.join(f'`{name}`' for name in columns)}) "
                f"SELECT {', '.join(columns.values())} FROM (SELECT arrayJoin([{scales}]) AS sk, "
                "toUInt32(sk.1) AS s, toFloat64(sk.2) AS k) AS target CROSS JOIN "
                f"(SELECT * FROM {table} FINAL WHERE series = {one.series}) AS model "
            )


def _list(numbers: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _write_states(folder: DataFolder, templates: list[Template]) -> None:
    file = StateFile(folder.pipeline)
    file.begin({})
    for one in templates:
        packed = []
        for point in one.points:
            state = msgspec.structs.replace(one.state, seq=0)
            scale = scale_of(point)
            state.values = {
                channel: value if channel in _UNSCALED else value * scale
                for channel, value in one.state.values.items()
            }
            progress = state.progress
            packed.append((point.series, pack(state), progress.hour_ms, progress.day_ms))
        file.save(0, packed)
    file.close()


def _fill_log(folder: DataFolder, templates: list[Template], began: float) -> None:
    """Push each data point's last packet."""
    writer = LogWriter(folder.log)
    outcomes: list[Outcome] = []
    now_ms = round(time.time() * 1000)
    sent = 0
    for one in templates:
        last = json.loads(one.bodies[-1])
        for point in one.points:
            scale = scale_of(point)
            values = {
                name: value * scale
                for name, value in last.items()
                if name in CHANNEL_BY_PARAMETER or name == "value"
            }
            body = json.dumps({**last, **values, "id": point.stream_id}).encode()
            packet = decode(body, Form.LOCAL)
            writer.submit(point.series, packet, Form.LOCAL, body, now_ms, 0, outcomes.append)
            sent += 1
            while sent - len(outcomes) > 5_000:
                time.sleep(0.01)
    writer.close()
    accepted = sum(outcome.status == "accepted" for outcome in outcomes)
    assert accepted == sent, (accepted, sent)
    _say(began, f"{accepted:,} last packets are in the log")


if __name__ == "__main__":
    main()
