"""Many data points at once: the table that describes them, and what a line of it means.

``bulk_plan.plan`` looks and changes nothing; ``bulk_apply.apply`` plans again inside its
transaction, so that what was shown is what is done, all of it or nothing. A line is told apart by
its stream id: one that is registered is changed, one that is not is added. A column that the file
leaves out, or a cell that is empty, leaves a registered data point as it is; only what is in
``EMPTIED`` is emptied by an empty cell. Nothing is ever removed by a table. Factors and the
register's width hold from ``factors_from`` on, or for all time. A line with a ``formula`` is a data
point that is computed from others, which the same table may add (``bulk_formulas.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import sheets, spans
from kilowatch.catalog.factors_check import FACTORS, LIMITS
from kilowatch.catalog.formula_use import as_seen, formulas_of
from kilowatch.catalog.histories import COLUMNS as SETTINGS
from kilowatch.catalog.histories import Dated, whole_settings
from kilowatch.catalog.sheets import Sheet
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Site
from kilowatch.catalog.tables_settings import PointSetting
from kilowatch.model.dated import ALWAYS_MS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import Names, Placed

COLUMNS = (
    "stream_id", "name", "site", "meter", "appliance", "parent", "kind", "utility", "unit",
    "interval", "behaviour", "tolerance", "stamp", "clock", "register_max", *FACTORS,
    "factors_from", "formula",
)  # fmt: skip
NEEDED = ("name",)
EMPTIED = frozenset(
    {"appliance", "parent", "tolerance", "register_max", "calorific_kwh_per_m3",
     "nominal_voltage_v", "factors_from", *LIMITS}
)  # fmt: skip
DATED = frozenset({*FACTORS, "register_max"})
"""What ``factors_from`` is about."""

USUAL_INTERVAL = "5m"

Action = Literal["create", "change", "same", "refuse"]
ACTIONS: tuple[Action, ...] = ("create", "change", "same", "refuse")

MeterKey = int | tuple[str, int, str]
"""A meter that is there, by number; or one that the table adds, by site and name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line is refused: the column, and the sentence."""

    column: str
    text: str


@dataclass(slots=True)
class Planned:
    """What one line of the table means.

    Attributes:
        line: Where it begins in the file.
        action: What would be done.
        stream_id: Empty where one will be made.
        name: Of the data point.
        differences: By column, what is there now and what would be.
        problems: Why it is refused.
        adds: Names of the meter and the appliance that it needs and that are not there yet.
        factors: Those that change, and the register's width if it has a date.
        factors_from_ms: From when on [ms since 1970, UTC]; None for all time.
        written: A formula as the cell has it: from when on [ms], and the text; empty for a data
            point whose packets are pushed.
        formulas: The same with numbers in place of names, ``number`` of planned data points.
        number: The data point's, or one that stands for it until it is there.
    """

    line: int
    action: Action
    stream_id: str
    name: str
    differences: dict[str, tuple[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    adds: list[str] = field(default_factory=list)
    point: DataPoint | None = None
    site_id: int = 0
    meter: MeterKey = 0
    meter_name: str = ""
    appliance: str = ""
    parent: str = ""
    columns: dict[str, Any] = field(default_factory=dict)
    factors: dict[str, float | None] = field(default_factory=dict)
    factors_from_ms: int | None = None
    written: tuple[tuple[int, str], ...] = ()
    formulas: tuple[tuple[int, str], ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a table means as a whole."""

    lines: list[Planned]
    counts: dict[Action, int]
    digest: str

    @property
    def refused(self) -> bool:
        """Whether a line is wrong, so that nothing of the table is applied."""
        return self.counts["refuse"] > 0


@dataclass
class Estate:
    """What is there, by number and by name."""

    sites: dict[int, Site]
    meters: dict[int, Meter]
    appliances: dict[int, Appliance]
    points: dict[int, DataPoint]
    dated: dict[int, list[Dated]] = field(default_factory=dict)
    formulas: Mapping[int, tuple[tuple[int, str], ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, session: Session, organisation_id: int) -> Estate:
        """Read an organisation's estate."""

        def rows(table: Any) -> Iterable[Any]:
            mine = select(table).where(table.organisation_id == organisation_id)
            return session.scalars(mine.order_by(table.id))

        dated: dict[int, list[Dated]] = {}
        for row in rows(PointSetting):
            dated.setdefault(row.data_point_id, []).append((row.from_ms, row.fields))
        sites, meters, appliances, points = (
            {row.id: row for row in rows(t)} for t in (Site, Meter, Appliance, DataPoint)
        )
        formulas = formulas_of(session, organisation_id)
        return cls(sites, meters, appliances, points, dated, formulas)

    @cached_property
    def names(self) -> Names:
        """The names that formulas are written with."""
        return Names(
            Placed(as_seen(row, self.sites[row.site_id].zone), self.sites[row.site_id].name)
            for row in self.points.values()
        )

    def settings_at(self, point: DataPoint | None, at_ms: int | None) -> Mapping[str, Any]:
        """Return what ``DATED`` names as it was at an instant, or as it is (None)."""
        if point is None or point.id not in self.dated:
            return {**FACTORS, "register_max": point.register_max if point else None}
        found: Mapping[str, Any] = {}
        columns = {name: getattr(point, name) for name in SETTINGS}
        for from_ms, settings in whole_settings(columns, self.dated[point.id]):
            if from_ms is None or at_ms is None or from_ms <= at_ms:
                found = settings
        return found

    def factors_from(self, point: DataPoint) -> str:
        """Return since when the factors are what they are, in local time; empty for always."""
        dated = [
            from_ms
            for from_ms, fields in self.dated.get(point.id, [])
            if from_ms is not None and fields.keys() & DATED
        ]
        if not dated:
            return ""
        return local_time(max(dated), self.sites[point.site_id].zone)

    def cells(self, point: DataPoint, separator: str = ",") -> dict[str, str]:
        """Return a data point as a line of the table."""
        computed = self.formulas.get(point.id, ())
        parent = self.points.get(point.parent_id or 0)
        now = self.settings_at(point, None)
        figures = {
            name: figure_text(now[name], separator)
            for name in DATED
            if now[name] != FACTORS.get(name)
        }
        return {**dict.fromkeys(DATED, ""), **figures, "factors_from": self.factors_from(point),
            "stream_id": point.stream_id,
            "name": point.name,
            "site": self.sites[point.site_id].name,
            "meter": self.meters[point.meter_id].name,
            "appliance": self.appliances[point.appliance_id].name if point.appliance_id else "",
            "parent": parent.stream_id if parent else "",
            "kind": point.kind,
            "utility": point.utility,
            "unit": "" if point.kind == "electrical" else point.unit,
            "interval": spans.interval_text(point.interval_s),
            "behaviour": point.behaviour,
            "tolerance": "" if point.tolerance_s is None else f"{point.tolerance_s:g}s",
            "stamp": "" if computed else point.stamp,
            "clock": "" if computed else point.clock,
            "formula": self.formula_cell(computed, self.sites[point.site_id].zone),
        }  # fmt: skip

    def formula_cell(self, formulas: tuple[tuple[int, str], ...], zone: str) -> str:
        """Return a formula as a cell has it: with names; a line for each date it changed on."""
        texts = [
            (f"from {local_time(at_ms, zone)}: " if at_ms > ALWAYS_MS else "")
            + self.names.with_names(text)
            for at_ms, text in formulas
        ]
        return "\n".join(texts)


class Noting:
    """Notes a refusal at its line, so that a person sees every one of them at once."""

    def __init__(self, one: Planned, column: str) -> None:
        self._one, self._column = one, column

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: object, _trace: object) -> bool:
        if not isinstance(error, KilowatchError):
            return False
        column = str(error.data.get("field", self._column))
        self._one.problems.append(Problem(column, f"{error.detail} {error.remedy}".strip()))
        return True


def refusal(column: str, detail: str, remedy: str) -> KilowatchError:
    """Return why a line is refused."""
    return KilowatchError("invalid_line", detail, remedy=remedy, data={"field": column})


def local_time(at_ms: int, zone: str) -> str:
    """Return an instant as a table has it: on the site's clock."""
    moment = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    local = moment.replace(tzinfo=None)
    again = round(local.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000) == at_ms
    shown = local if again else moment  # the second of two equal hours has its offset
    return shown.isoformat(timespec="minutes" if not local.second else "auto")


def figure_text(value: float | None, separator: str = ",") -> str:
    """Return a figure as a table has it: with a decimal comma between semicolons."""
    text = "" if value is None else f"{value:.15g}"
    return text.replace(".", ",") if separator == ";" else text


def export(session: Session, organisation_id: int, separator: str = ",") -> bytes:
    """Write every data point of an organisation as the table that ``read`` takes."""
    estate = Estate.of(session, organisation_id)
    rows = (estate.cells(point, separator) for point in estate.points.values())
    return sheets.write(COLUMNS, ([row[c] for c in COLUMNS] for row in rows), separator)


def template(separator: str = ",") -> bytes:
    """Write a table with three examples, for somebody who begins."""
    rows: list[dict[str, str]] = [
        {
            "stream_id": "office-main", "name": "Main supply", "site": "Office", "meter": "Main",
            "kind": "electrical", "utility": "electricity", "interval": "5m",
            "behaviour": "register", "register_max": "1000000", "ct_ratio": "40",
        },
        {
            "stream_id": "office-boiler", "name": "Boiler", "site": "Office", "meter": "Boiler",
            "kind": "single", "utility": "gas", "unit": "m3", "interval": "15m",
            "behaviour": "amount", "tolerance": "5m",
            "calorific_kwh_per_m3": "11.2".replace(".", "," if separator == ";" else "."),
        },
        {
            "stream_id": "office-by-area", "name": "Electricity by area", "site": "Office",
            "meter": "Computed", "formula": "[Main supply].energy / 1200 m2",
        },
    ]  # fmt: skip
    return sheets.write(COLUMNS, ([row.get(c, "") for c in COLUMNS] for row in rows), separator)


def read(content: bytes) -> Sheet:
    """Read a table of data points.

    Raises:
        KilowatchError: ``unreadable_file``.
    """
    return sheets.read(content, COLUMNS, NEEDED)
