"""Many data points at once: the table that describes them, and what a line of it means.

``bulk_plan.plan`` looks and changes nothing; ``bulk_apply.apply`` plans again inside its
transaction, so that what was shown is what is done, all of it or nothing. A line is told apart by
its stream id: one that is registered is changed, one that is not is added. A column that the file
leaves out, or a cell that is empty, leaves a registered data point as it is; only appliance,
parent, tolerance and register_max are emptied by an empty cell. Nothing is ever removed by a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import sheets, spans
from kilowatch.catalog.sheets import Sheet
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Site

COLUMNS = (
    "stream_id", "name", "site", "meter", "appliance", "parent", "kind", "utility", "unit",
    "interval", "behaviour", "tolerance", "stamp", "clock", "register_max",
)  # fmt: skip
NEEDED = ("name",)
EMPTIED = frozenset({"appliance", "parent", "tolerance", "register_max"})
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


@dataclass(slots=True)
class Estate:
    """What is there, by number and by name."""

    sites: dict[int, Site]
    meters: dict[int, Meter]
    appliances: dict[int, Appliance]
    points: dict[int, DataPoint]

    @classmethod
    def of(cls, session: Session, organisation_id: int) -> Estate:
        """Read an organisation's estate."""

        def rows(table: Any) -> Iterable[Any]:
            mine = select(table).where(table.organisation_id == organisation_id)
            return session.scalars(mine.order_by(table.id))

        return cls(*({row.id: row for row in rows(t)} for t in (Site, Meter, Appliance, DataPoint)))

    def cells(self, point: DataPoint, separator: str = ",") -> dict[str, str]:
        """Return a data point as a line of the table."""
        parent = self.points.get(point.parent_id or 0)
        limit = "" if point.register_max is None else f"{point.register_max:.15g}"
        return {
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
            "stamp": point.stamp,
            "clock": point.clock,
            "register_max": limit.replace(".", ",") if separator == ";" else limit,
        }


def export(session: Session, organisation_id: int, separator: str = ",") -> bytes:
    """Write every data point of an organisation as the table that ``read`` takes."""
    estate = Estate.of(session, organisation_id)
    rows = (estate.cells(point, separator) for point in estate.points.values())
    return sheets.write(COLUMNS, ([row[c] for c in COLUMNS] for row in rows), separator)


def template(separator: str = ",") -> bytes:
    """Write a table with two examples, for somebody who begins."""
    rows: list[dict[str, str]] = [
        {
            "stream_id": "office-main", "name": "Main supply", "site": "Office", "meter": "Main",
            "kind": "electrical", "utility": "electricity", "interval": "5m",
            "behaviour": "register", "register_max": "1000000",
        },
        {
            "stream_id": "office-boiler", "name": "Boiler", "site": "Office", "meter": "Boiler",
            "kind": "single", "utility": "gas", "unit": "m3", "interval": "15m",
            "behaviour": "amount", "tolerance": "5m",
        },
    ]  # fmt: skip
    return sheets.write(COLUMNS, ([row.get(c, "") for c in COLUMNS] for row in rows), separator)


def read(content: bytes) -> Sheet:
    """Read a table of data points.

    Raises:
        KilowatchError: ``unreadable_file``.
    """
    return sheets.read(content, COLUMNS, NEEDED)
