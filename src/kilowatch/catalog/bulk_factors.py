"""Factors in a table of data points: from a date on or for all time, seen before it is done."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from kilowatch.catalog import sheets
from kilowatch.catalog.bulk import EMPTIED, Estate, Planned, figure_text, local_time
from kilowatch.catalog.changes import Change
from kilowatch.catalog.factors_check import FACTORS, check_factors, check_number
from kilowatch.catalog.point_settings import EARLIEST_MS, change_always, change_from
from kilowatch.catalog.sheets import Line, Sheet
from kilowatch.catalog.tables_settings import PointSetting
from kilowatch.model.errors import KilowatchError


class Factors:
    """Understands the factors of a table's lines."""

    def __init__(self, estate: Estate, sheet: Sheet, now_ms: int) -> None:
        self._estate = estate
        self._sheet = sheet
        self._now_ms = now_ms

    def plan(self, one: Planned, line: Line) -> None:
        """Note which factors a line changes, and from when on.

        Raises:
            KilowatchError: A cell is no number or no date, or the data point has no such factor;
                ``data["field"]`` names the column.
        """
        zone = self._estate.sites[one.site_id].zone
        from_ms = self._since(line.cells.get("factors_from", ""), zone)
        before = self._estate.settings_at(one.point, from_ms)
        told: dict[str, float | None] = {}
        for name, usual in FACTORS.items():
            cell = line.cells.get(name)
            if cell is None or (cell == "" and (name not in EMPTIED or one.point is None)):
                continue
            value = usual if cell == "" else self._number(name, cell)
            if value is not None:
                check_number(name, value)
            if value != before[name]:
                told[name] = value
        columns = one.columns
        if one.point is not None and from_ms is not None and "register_max" in line.cells:
            if columns["register_max"] != before["register_max"]:
                told["register_max"] = columns["register_max"]
            columns["register_max"] = one.point.register_max  # it has a date: not for all time
        every = {name: told.get(name, before[name]) for name in FACTORS}
        check_factors(columns["kind"], columns["unit"], columns["behaviour"], every)
        one.factors, one.factors_from_ms = told, from_ms if told else None
        since = "for all time" if from_ms is None else f"from {_told(from_ms, zone)} on"
        for name, value in told.items():
            after = figure_text(value) or "not set"
            one.differences[name] = (figure_text(before[name]), f"{after} {since}")

    def _since(self, text: str, zone: str) -> int | None:
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise _refuse(
                "factors_from", f"{text!r} is not a date.",
                "Write it like 2026-03-01 or 2026-03-01T09:15, in the site's local time.",
            ) from None  # fmt: skip
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(zone))
        at_ms = round(moment.timestamp() * 1000)
        if not EARLIEST_MS <= at_ms <= self._now_ms:
            raise _refuse(
                "factors_from", "A factor changes from a date since 1971, and until now.",
                "Leave factors_from empty for what was never right.",
            )  # fmt: skip
        return at_ms

    def _number(self, column: str, text: str) -> float:
        try:
            return sheets.number(text, self._sheet.separator)
        except ValueError:
            raise _refuse(
                column, f"{text!r} is not a number that can be read one way only.",
                "Write it without separators for thousands, such as 40 or 0.01.",
            ) from None  # fmt: skip


def write(change: Change, todo: list[Planned], dated: set[int]) -> None:
    """Write the factors of lines whose data points are there by now.

    Args:
        change: An open change.
        todo: The lines.
        dated: Data points that had a dated setting or a factor before.

    Raises:
        KilowatchError: What ``point_settings.change_from`` finds.
    """
    for one in todo:
        point, from_ms = one.point, one.factors_from_ms
        if point is None or not one.factors:
            continue
        if point.id in dated or one.factors.keys() - FACTORS.keys():
            if from_ms is None:
                change_always(change, point, one.factors)
            else:
                change_from(change, point, one.factors, from_ms)
            continue
        change.session.add(  # checked by the plan; nothing is there that it could contradict
            PointSetting(
                organisation_id=point.organisation_id,
                data_point_id=point.id,
                from_ms=from_ms,
                fields=dict(one.factors),
                comment="",
                created_at_ms=change.now_ms,
            )
        )
    change.session.flush()


def _told(at_ms: int, zone: str) -> str:
    return local_time(at_ms, zone).replace("T", " ").removesuffix(" 00:00")


def _refuse(column: str, detail: str, remedy: str) -> KilowatchError:
    return KilowatchError("invalid_line", detail, remedy=remedy, data={"field": column})
