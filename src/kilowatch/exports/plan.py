"""What a definition means for the data points there are: fields, instants, columns, how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kilowatch.exports import tableau
from kilowatch.exports.definition import GRAINS, Definition, refused
from kilowatch.exports.fields import Field, fields_of
from kilowatch.exports.needs import Extent, Measurements
from kilowatch.model.calendar import day_start_ms
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone

EXCEL_ROWS_MAX = 1_048_576
EXCEL_COLUMNS_MAX = 16_384
EXCEL_CELLS_MAX = 40_000_000
"""2 GiB of a sheet's XML at 52 bytes a cell: no file in a plain zip archive is longer."""
WIDE_COLUMNS_MAX = EXCEL_COLUMNS_MAX  # no program that reads tables opens more
MARGIN_MS = 32 * DAY_MS  # a month that holds the first reading begins before it
OF_THE_SITE = frozenset({"day", "month"})
"""Granularities that begin at the site's midnight, in whatever zone their local times are told."""
_LENGTH_S = {"hour": 3_600, "day": 86_400, "month": 30 * 86_400}
BYTES_A_ROW = {"csv": 145, "xlsx": 59, "parquet": 6, "hyper": 7}
BYTES_A_CELL = {"csv": 9, "xlsx": 9, "parquet": 3, "hyper": 4}
"""Measured on hourly figures (docs/reference/benchmarks.md): for long and wide tables."""
BYTES_A_FILE = {"csv": 140, "xlsx": 7_600, "parquet": 5_100, "hyper": 65_536}
"""What a file of one row takes, measured: names of columns, sheets and schemas, whole pages."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A data point in an export.

    Attributes:
        point: The data point.
        organisation: Name of its organisation.
        site: Name of its site.
        zone: IANA zone that its local times are written in.
        from_ms: First instant [ms since 1970, UTC].
        to_ms: First instant that is not wanted [ms since 1970, UTC].
        fields: Its values.
        extent: From when to when it has data; None for never.
        period: What was asked for, whole days [ms since 1970, UTC]; None for everything.
    """

    point: DataPoint
    organisation: str
    site: str
    zone: str
    from_ms: int
    to_ms: int
    fields: tuple[Field, ...]
    extent: Extent | None
    period: tuple[int, int] | None = None

    @property
    def length_s(self) -> int:
        """Registered interval [s]."""
        return self.point.interval_s


@dataclass(frozen=True, slots=True)
class Place:
    """A data point that a person may export, with the names around it."""

    point: DataPoint
    organisation: str
    site: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much an export is about; never less than it is, where all data points keep time.

    Attributes:
        rows: Of the table.
        columns: Of the table.
        size: By format [bytes].
    """

    rows: int
    columns: int
    size: dict[str, int]

    @property
    def fits_excel(self) -> bool:
        """Whether one sheet of a workbook holds it."""
        return self.rows < EXCEL_ROWS_MAX and self.rows * self.columns <= EXCEL_CELLS_MAX


@dataclass(frozen=True, slots=True)
class Plan:
    """An export that can be carried out.

    Attributes:
        asked: What was asked for.
        subjects: Data points with something to tell, by site and name.
        silent: Data points without data in the period, or without the parameters.
        zones: Zones of local times, in the order met.
        now_ms: When it was planned [ms since 1970, UTC].
    """

    asked: Definition
    subjects: tuple[Subject, ...]
    silent: tuple[DataPoint, ...]
    zones: tuple[str, ...]
    now_ms: int

    @property
    def fields(self) -> list[tuple[Subject, Field]]:
        """Every value that is asked for, in the order of the file."""
        return [(subject, field) for subject in self.subjects for field in subject.fields]

    def estimate(self) -> Estimate:
        """Return how much it is about; looks at no data."""
        wide = self.asked.layout == "wide"
        counts = [_buckets(one, self.asked.grain) for one in self.subjects]
        if wide:
            rows, columns = max(counts, default=0), len(self.fields) + 2
        else:
            pairs = zip(counts, self.subjects, strict=True)
            rows, columns = sum(count * len(one.fields) for count, one in pairs), 9
        per = BYTES_A_CELL if wide else BYTES_A_ROW
        cells = rows * columns if wide else rows
        return Estimate(
            rows, columns, {name: BYTES_A_FILE[name] + cells * size for name, size in per.items()}
        )

    def check(self, format_word: str) -> None:
        """Refuse what the format cannot hold, before any work is done.

        Raises:
            KilowatchError: 400 ``nothing_chosen``, ``too_many_rows`` or ``too_many_columns``.
        """
        if not self.subjects:
            raise KilowatchError(
                "nothing_to_export",
                "There is no data of what was chosen in this period.",
                remedy="Choose other data points, parameters or another period.",
            )
        if format_word == "hyper" and not tableau.available():
            raise tableau.missing()
        found = self.estimate()
        if self.asked.layout == "wide" and len(self.fields) > WIDE_COLUMNS_MAX - 6:
            raise KilowatchError(
                "too_many_columns",
                f"A wide table of {len(self.fields):,} columns is more than programs open.",
                remedy="Choose one row for each value, or fewer data points.",
            )
        if format_word == "xlsx" and found.rows >= EXCEL_ROWS_MAX:
            raise too_long_for_excel(found.rows)
        if format_word == "xlsx" and not found.fits_excel:
            raise too_large_for_excel(found.rows * found.columns)


def too_long_for_excel(rows: int) -> KilowatchError:
    """Return the answer to a workbook that would have to be cut."""
    return KilowatchError(
        "too_many_rows",
        f"This is about {rows:,} rows, and a sheet in Excel has {EXCEL_ROWS_MAX:,}.",
        remedy="Take CSV or Parquet, which have no limit, or a coarser granularity.",
        data={"rows": rows},
    )


def too_large_for_excel(cells: int) -> KilowatchError:
    """Return the answer to a workbook that no program would open."""
    return KilowatchError(
        "too_many_cells",
        f"This is about {cells:,} cells, and a workbook holds {EXCEL_CELLS_MAX:,}.",
        remedy="Take CSV or Parquet, which have no limit, or a coarser granularity.",
        data={"cells": cells},
    )


def plan(view: Measurements, places: Sequence[Place], asked: Definition, now_ms: int) -> Plan:
    """Return how an export is carried out; reads no measurement.

    Args:
        view: The measurements.
        places: Data points that the person may export.
        asked: What is exported.
        now_ms: The present [ms since 1970, UTC].

    Raises:
        KilowatchError: 400 ``bad_export``: a wide table over several zones that names none.
    """
    subjects, silent = [], []
    bounds: dict[str, tuple[int, int] | None] = {}
    for place in sorted(places, key=lambda one: (one.organisation, one.site, one.point.name)):
        zone = asked.zone or place.point.zone
        days = place.point.zone if asked.grain in OF_THE_SITE else zone
        if days not in bounds:
            bounds[days] = _bounds(asked, days, now_ms)
        one = _subject(view, place, asked, zone, bounds[days])
        if one is None:
            silent.append(place.point)
        else:
            subjects.append(one)
    zones = tuple(dict.fromkeys(one.zone for one in subjects))
    if asked.layout == "wide" and len(zones) > 1:
        raise refused(
            f"The data points are in {len(zones)} time zones, and a wide table has one.",
            f"Choose a time zone, such as {zones[0]} or UTC.",
            "zone",
        )
    return Plan(asked, tuple(subjects), tuple(silent), zones, now_ms)


def _bounds(asked: Definition, zone: str, now_ms: int) -> tuple[int, int] | None:
    clock = Zone.of(zone)
    local_s = int(clock.local_ms([now_ms])[0]) // 1000
    today = datetime.fromtimestamp(local_s, UTC).date()
    days = asked.days(today)
    if days is None:
        return None
    return day_start_ms(days[0], clock), day_start_ms(days[1] + timedelta(1), clock)


def _subject(
    view: Measurements,
    place: Place,
    asked: Definition,
    zone: str,
    bounds: tuple[int, int] | None,
) -> Subject | None:
    point, extent = place.point, view.extent(place.point)
    source = asked.grain == "source"
    if extent is None or (source and point.formula):  # nobody pushes what is computed
        return None
    pushed = tuple(view.grid(point).first_register_ms) if source else ()
    fields = fields_of(point, view.channels(point), asked, pushed)
    first, last = extent.first_ms - MARGIN_MS, extent.last_ms + (MARGIN_MS if source else 1)
    from_ms, to_ms = bounds or (first, last)
    from_ms, to_ms = max(from_ms, first), min(to_ms, last)
    if not fields or from_ms >= to_ms:
        return None
    names = (place.organisation, place.site)
    return Subject(point, *names, zone, from_ms, to_ms, fields, extent, bounds)


def _buckets(one: Subject, grain: str) -> int:
    """Return how many buckets a data point has in the period, at most."""
    assert one.extent is not None
    from_ms = max(one.from_ms, one.extent.first_ms - 1)
    span_s = max(min(one.to_ms, one.extent.last_ms + 1) - from_ms, 0) / 1000
    if grain == "source":
        whole_s = max((one.extent.last_ms - one.extent.first_ms) / 1000, 1.0)
        share = min(span_s / whole_s, 1.0)
        regular = span_s / one.length_s + 2
        return round(min(max(one.extent.packets * share, regular), one.extent.packets))
    return round(span_s / max(bucket_s(one, grain), one.length_s)) + 2


def bucket_s(one: Subject, grain: str) -> int:
    """Return about how long a row's interval is [s]."""
    word = GRAINS[grain]
    if isinstance(word, int):
        return word
    return _LENGTH_S.get(str(word), one.length_s)


def headings(fields: Sequence[tuple[Subject, Field]], *, people: bool) -> list[str]:
    """Return a heading for each column of a wide table, no two alike.

    Args:
        fields: The columns.
        people: Titles in place of the words that packets use.
    """
    names = Counter({one.point.id: one.point.name for one, _ in fields}.values())
    found, seen = [], Counter[str]()
    for one, field in fields:
        name = one.point.name
        if names[name] > 1:
            name = f"{one.site} / {name}"
        what = field.title if people else ("" if field.word == "value" else field.word)
        unit = f"[{field.unit}]" if field.unit else ""
        text = " ".join(part for part in (name, what, unit) if part)
        seen[text] += 1
        found.append(text if seen[text] == 1 else f"{text} ({one.point.stream_id})")
    return found
