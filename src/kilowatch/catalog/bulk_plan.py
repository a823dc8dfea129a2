"""What a table of data points would do, line by line; looks, and changes nothing."""

from __future__ import annotations

import hashlib
from collections import Counter

from sqlalchemy.orm import Session

from kilowatch.catalog import sheets, spans
from kilowatch.catalog.bulk import (
    ACTIONS,
    COLUMNS,
    EMPTIED,
    USUAL_INTERVAL,
    Estate,
    MeterKey,
    Noting,
    Plan,
    Planned,
    refusal,
)
from kilowatch.catalog.bulk_factors import Factors
from kilowatch.catalog.bulk_formulas import PLANNED, FormulaLines, read_cell
from kilowatch.catalog.data_points import check_stream_id
from kilowatch.catalog.registry import check_name, name_key
from kilowatch.catalog.settings_check import Settings, checked, one_of
from kilowatch.catalog.sheets import Line, Sheet
from kilowatch.catalog.tables import DataPoint, Site
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import KINDS, UTILITIES


def plan(session: Session, organisation_id: int, sheet: Sheet, now_ms: int) -> Plan:
    """Tell what each line would do; 10,000 lines take about a second.

    Args:
        session: Where to look.
        organisation_id: Whose data points.
        sheet: The table.
        now_ms: Factors hold from no later date [ms since 1970, UTC].
    """
    planner = _Planner(Estate.of(session, organisation_id), sheet, now_ms)
    lines = [planner.line(line) for line in sheet.lines]
    planner.understand(lines)
    planner.connect(lines)
    for one in lines:
        if one.problems:
            one.action = "refuse"
        elif one.point is None:
            one.action = "create"
        else:
            one.action = "change" if one.differences else "same"
    counted = Counter(one.action for one in lines)
    return Plan(lines, {action: counted[action] for action in ACTIONS}, _digest(lines))


class _Planner:
    """Understands the lines of one table against what is there."""

    def __init__(self, estate: Estate, sheet: Sheet, now_ms: int) -> None:
        self._estate = estate
        self._sheet = sheet
        self._factors = Factors(estate, sheet, now_ms)
        self._by_stream = {point.stream_id: point for point in estate.points.values()}
        self._sites = {name_key(site.name): site for site in estate.sites.values()}
        self._meters: dict[tuple[int, str], list[int]] = {}
        for meter in estate.meters.values():
            self._meters.setdefault((meter.site_id, name_key(meter.name)), []).append(meter.id)
        self._appliances = {
            (one.meter_id, name_key(one.name)): one.id for one in estate.appliances.values()
        }
        self._seen: dict[str, int] = {}
        self._now_ms = now_ms
        self._computed: dict[int, tuple[dict[str, str], dict[str, str]]] = {}

    def line(self, line: Line) -> Planned:
        """Understand one line, but for its parent, which may come later in the table."""
        stream_id = line.cells.get("stream_id", "")
        point = self._by_stream.get(stream_id) if stream_id else None
        now = self._estate.cells(point, self._sheet.separator) if point else {}
        wanted = {column: self._wanted(column, line, now) for column in COLUMNS}
        one = Planned(line.number, "refuse", stream_id, wanted["name"], point=point)
        with Noting(one, "stream_id"):
            self._check_stream(stream_id, line.number)
        with Noting(one, "name"):
            one.name = check_name(wanted["name"], "data point")
        with Noting(one, "site"):
            one.site_id = self._site(wanted["site"]).id
        if one.site_id:
            with Noting(one, "meter"):
                self._hang(one, wanted)
        one.parent = wanted["parent"]
        one.number = PLANNED + one.line if point is None else point.id
        if wanted["formula"]:
            self._formula(one, line, now, wanted)
            return one
        with Noting(one, "kind"):
            one.columns = dict(self._settings(wanted, point).columns())
        if not one.problems:
            with Noting(one, "factors_from"):
                self._factors.plan(one, line)
        if point is not None and not one.problems:
            self._compare(one, point, now, wanted)
        return one

    def _formula(
        self, one: Planned, line: Line, now: dict[str, str], wanted: dict[str, str]
    ) -> None:
        """Note a line that is a formula; what it gives shows with the rest of the table."""
        told = {f"told_{name}": line.cells.get(name, "") for name in ("unit", "behaviour")}
        self._computed[one.line] = now, wanted | told
        with Noting(one, "formula"):
            if one.point is not None and one.point.id not in self._estate.formulas:
                raise refusal(
                    "formula",
                    f"{one.point.name} receives packets, and stays a meter.",
                    "Leave the cell empty, and give the formula a line of its own.",
                )
            zone = self._estate.sites[one.site_id].zone if one.site_id else "UTC"
            read_cell(one, line.cells, wanted["formula"], zone, self._now_ms)

    def understand(self, lines: list[Planned]) -> None:
        """Understand the formulas, once every line is known that they can be made of."""
        if not self._computed and not self._estate.formulas:
            return
        cells = {number: wanted for number, (_, wanted) in self._computed.items()}
        FormulaLines(self._estate, lines, cells).understand()
        for one in lines:
            if one.line in self._computed and one.point is not None and not one.problems:
                now, wanted = self._computed[one.line]
                self._compare(one, one.point, now, wanted)
                if one.formulas != self._estate.formulas[one.point.id]:
                    one.differences["formula"] = (now["formula"], wanted["formula"])

    def connect(self, lines: list[Planned]) -> None:
        """Check what feeds what, over the whole table and what is registered."""
        feeder = {
            p.stream_id: parent.stream_id
            for p in self._estate.points.values()
            if (parent := self._estate.points.get(p.parent_id or 0)) is not None
        }
        site_of = {p.stream_id: p.site_id for p in self._estate.points.values()}
        for one in lines:
            if one.stream_id:
                feeder[one.stream_id] = one.parent
                site_of[one.stream_id] = one.site_id
        for one in lines:
            if one.parent and not self._stays(one, site_of):
                with Noting(one, "parent"):
                    _check_parent(one, feeder, site_of)

    def _stays(self, one: Planned, site_of: dict[str, int]) -> bool:
        """Tell whether what feeds a data point is what fed it, and where it was."""
        feeder = self._by_stream.get(one.parent)
        return (
            one.point is not None
            and feeder is not None
            and not one.differences.keys() & {"parent", "site"}
            and site_of[one.parent] == feeder.site_id
        )

    def _wanted(self, column: str, line: Line, now: dict[str, str]) -> str:
        cell = line.cells.get(column)
        if cell is None or (cell == "" and column not in EMPTIED):
            return now.get(column, "")
        return cell

    def _check_stream(self, stream_id: str, number: int) -> None:
        if not stream_id:
            return
        check_stream_id(stream_id)
        first = self._seen.setdefault(stream_id, number)
        if first != number:
            raise refusal("stream_id", f"Line {first} has the same stream id.", "Leave one out.")

    def _site(self, name: str) -> Site:
        if not name and len(self._sites) == 1:
            return next(iter(self._sites.values()))
        site = self._sites.get(name_key(name))
        if site is not None:
            return site
        there = ", ".join(repr(site.name) for site in list(self._sites.values())[:5])
        raise refusal(
            "site",
            f"There is no site named {name!r}." if name else "The site is missing.",
            f"Sites are added on their own page; there are: {there}."
            if there
            else "Add the site first, on its own page.",
        )

    def _hang(self, one: Planned, wanted: dict[str, str]) -> None:
        """Find the meter and the appliance, or note that they are to be added."""
        name = wanted["meter"]
        if not name:
            one.meter_name = one.name
            one.meter = ("own", one.site_id, str(one.line))
            one.adds.append(one.name)
        else:
            one.meter_name = check_name(name, "meter")
            one.meter = self._meter(one)
        appliance = wanted["appliance"]
        if appliance:
            one.appliance = check_name(appliance, "appliance")
            known = isinstance(one.meter, int) and (one.meter, name_key(appliance))
            if known not in self._appliances:
                one.adds.append(one.appliance)

    def _meter(self, one: Planned) -> MeterKey:
        key = name_key(one.meter_name)
        found = self._meters.get((one.site_id, key), [])
        if one.point is not None and one.point.meter_id in found:
            return one.point.meter_id
        if len(found) > 1:
            raise refusal(
                "meter",
                f"There are {len(found)} meters named {one.meter_name!r} on this site.",
                "Give them different names first.",
            )
        if found:
            return found[0]
        one.adds.append(one.meter_name)
        return ("new", one.site_id, key)

    def _settings(self, wanted: dict[str, str], point: DataPoint | None) -> Settings:
        utility = one_of("utility", wanted["utility"].casefold() or "electricity", UTILITIES)
        usual = "electrical" if utility == "electricity" and not wanted["unit"] else "single"
        kind = one_of("kind", wanted["kind"].casefold() or usual, KINDS)
        if point is not None and kind != point.kind:
            raise refusal(
                "kind",
                f"It is {point.kind} and stays so: its packets have that shape.",
                "Register a new data point for the other kind of packet.",
            )
        tolerance, limit = wanted["tolerance"], wanted["register_max"]
        return checked(
            Settings(
                kind=kind,
                utility=utility,
                interval_s=spans.parse_interval(wanted["interval"] or USUAL_INTERVAL),
                unit=None
                if kind == "electrical" and wanted["unit"] == "Wh"
                else wanted["unit"] or None,
                behaviour=wanted["behaviour"].casefold() or None,  # type: ignore[arg-type]
                tolerance_s=self._tolerance(tolerance) if tolerance else None,
                stamp=wanted["stamp"].casefold() or "start",  # type: ignore[arg-type]
                clock=wanted["clock"].casefold() or "auto",  # type: ignore[arg-type]
                register_max=self._number("register_max", limit) if limit else None,
            )
        )

    def _tolerance(self, text: str) -> float:
        try:
            return float(spans.parse_span(text))
        except KilowatchError as error:
            error.data["field"] = "tolerance"
            if text.endswith("s"):  # "7.5s": half of an interval of 15 s
                return self._number("tolerance", text[:-1])
            raise

    def _number(self, column: str, text: str) -> float:
        try:
            return sheets.number(text, self._sheet.separator)
        except ValueError:
            raise refusal(
                column, f"{text!r} is not a number that can be read one way only.",
                "Write it without separators for thousands, such as 1000000.",
            ) from None  # fmt: skip

    def _compare(
        self, one: Planned, point: DataPoint, now: dict[str, str], wanted: dict[str, str]
    ) -> None:
        found = one.differences
        if one.name != point.name:
            found["name"] = (point.name, one.name)
        if one.site_id != point.site_id:
            found["site"] = (now["site"], self._estate.sites[one.site_id].name)
        if one.meter != point.meter_id:
            found["meter"] = (now["meter"], one.meter_name)
        if name_key(wanted["appliance"]) != name_key(now["appliance"]):
            found["appliance"] = (now["appliance"], wanted["appliance"])
        if wanted["parent"] != now["parent"]:
            found["parent"] = (now["parent"], wanted["parent"])
        shown = {"interval_s": "interval", "tolerance_s": "tolerance"}
        for column, setting in one.columns.items():
            if setting != getattr(point, column):
                name = shown.get(column, column)
                before = now[name]
                found[name] = (before, wanted[name] or _shown(setting))


def _check_parent(one: Planned, feeder: dict[str, str], site_of: dict[str, int]) -> None:
    if one.parent not in site_of:
        raise refusal(
            "parent",
            f"No data point has the stream id {one.parent!r}.",
            "The parent is the stream id of what feeds this one.",
        )
    if one.site_id and site_of[one.parent] not in (one.site_id, 0):
        raise refusal(
            "parent", f"{one.parent!r} is on another site.", "What feeds it is on the same site."
        )
    seen = {one.stream_id} if one.stream_id else set()
    above = one.parent
    while above and above not in seen:
        seen.add(above)
        above = feeder.get(above, "")
    if above and above == one.stream_id:
        raise refusal("parent", f"It would feed itself by way of {one.parent!r}.", "")


def _digest(lines: list[Planned]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for one in lines:
        found.update(
            repr(
                (one.line, one.action, one.stream_id, one.name, one.site_id, one.meter,
                 one.appliance, one.parent, one.columns, one.differences, one.factors,
                 one.factors_from_ms, one.formulas)
            ).encode()
        )  # fmt: skip
    return found.hexdigest()


def _shown(setting: object) -> str:
    return "" if setting is None else str(setting)
