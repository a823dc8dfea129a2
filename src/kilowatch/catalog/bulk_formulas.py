"""Formulas in a table of data points: understood together with the lines that they are made of.

A cell has the formula as people write it. One that changed on a date has a line for each:
``from 2026-05-01T00:00: [Main supply].energy``, in the local time of its site. What a formula names
may be registered already or be another line of the same table; until that is written, a number
stands for it which no data point has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from kilowatch.catalog import spans
from kilowatch.catalog.bulk import Estate, Noting, Planned, Problem, refusal
from kilowatch.catalog.changes import Change
from kilowatch.catalog.factors_check import FACTORS
from kilowatch.catalog.formula_story import Story
from kilowatch.catalog.formula_use import CHAIN_MAX, as_seen, formula_of
from kilowatch.catalog.formulas import (
    FORMULAS_MAX,
    Understood,
    Wish,
    one_at_a_time,
    refuse_unlike,
    understand,
)
from kilowatch.catalog.point_settings import check_date
from kilowatch.catalog.tables_formulas import Formula
from kilowatch.model.dated import ALWAYS_MS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import Names, Placed, points_in
from kilowatch.model.points import DataPoint

PLANNED = 10**15
"""What stands for a line's data point is this and the line's number."""

NOT_OF_FORMULAS = ("tolerance", "stamp", "clock", "register_max", *FACTORS, "factors_from")
_USUAL = {"stamp": "start", "clock": "auto"}
_FROM = re.compile(r"(?m)^from[ \t]+(\S+):[ \t]+")
_NUMBER = re.compile(r"#(\d{1,18})")

Formulas = tuple[tuple[int, str], ...]


def read_cell(one: Planned, cells: Mapping[str, str], cell: str, zone: str, now_ms: int) -> None:
    """Note the formula of a line, and refuse what a computed data point can't have.

    Args:
        one: The line.
        cells: As they are in the file.
        cell: The formula, or what is registered.
        zone: Of its site.
        now_ms: No formula holds from a later date [ms since 1970, UTC].

    Raises:
        KilowatchError: ``invalid_line``, ``future_date`` or ``invalid_date``; ``data["field"]``
            names the column.
    """
    for column in NOT_OF_FORMULAS:
        if cells.get(column, "") not in ("", _USUAL.get(column)):
            raise refusal(
                column,
                f"A formula has no {column.replace('_', ' ')}: it receives no packets.",
                "Leave the cell empty.",
            )
    if cells.get("kind", "") not in ("", "single"):
        raise refusal("kind", "A formula is a single value.", "Leave the cell empty.")
    one.written = _texts(cell, zone, now_ms)


def _texts(cell: str, zone: str, now_ms: int) -> Formulas:
    first, *rest = _FROM.split(cell.replace("\r\n", "\n"))
    found = [(ALWAYS_MS, first.strip())]
    for when, text in zip(rest[::2], rest[1::2], strict=True):
        try:
            moment = datetime.fromisoformat(when)
        except ValueError:
            raise refusal(
                "formula", f"{when!r} is not a date.", "Write it like from 2026-05-01T00:00: …"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(zone))
        try:
            at_ms = check_date(round(moment.timestamp() * 1000), now_ms)
        except KilowatchError as error:
            error.data["field"] = "formula"
            raise
        if at_ms <= found[-1][0]:
            raise refusal("formula", "Its dates do not rise.", "Write the earliest first.")
        found.append((at_ms, text.strip()))
    if not all(text for _, text in found):
        raise refusal(
            "formula",
            "It does not say what holds before the first date."
            if not found[0][1]
            else "After a date the formula is missing.",
            "Write what it was at first, then a line for each date.",
        )
    return tuple(found)


class FormulaLines:
    """Understands the formulas of a table, and those that its other lines would break.

    Args:
        estate: What is there.
        lines: All lines of the table; those whose columns are known have them.
        wanted: Cells of the lines with a formula, by line: what is asked, or registered.
    """

    def __init__(
        self, estate: Estate, lines: list[Planned], wanted: Mapping[int, Mapping[str, str]]
    ) -> None:
        self._estate = estate
        self._lines = {one.number: one for one in lines}
        self._wanted = wanted
        self._names = Names(self._placed(lines))
        self._depth: dict[int, int] = {}

    def understand(self) -> None:
        """Give each line with a formula its columns, or note why it is refused."""
        mine = {number: one for number, one in self._lines.items() if one.written}
        texts: dict[int, Formulas] = {}
        for number, one in mine.items():
            if not one.problems:
                with Noting(one, "formula"):
                    one.formulas = tuple(
                        (at, self._names.with_numbers(text)) for at, text in one.written
                    )
                texts[number] = one.formulas
        others = {n: some for n, some in self._estate.formulas.items() if n not in mine}
        touched = {n for n, one in self._lines.items() if one.point is not None}
        texts |= others
        if len(texts) > FORMULAS_MAX:
            for one in mine.values():
                one.problems.append(Problem("formula", f"{FORMULAS_MAX:,} formulas is the most."))
            return
        waiting = {n: set(_named(some)) for n, some in texts.items() if some}
        while ready := [n for n, used in waiting.items() if not used & waiting.keys()]:
            for number in ready:
                used = waiting.pop(number)
                depths = [self._depth.get(one, 0) for one in used]
                self._depth[number] = 1 + max(depths, default=0)
                if number in mine:
                    with Noting(mine[number], "formula"):
                        self._line(mine[number], used)
                elif used & touched:
                    self._look_after(number, used & touched, others[number])
        for number in waiting.keys() & mine.keys():
            detail = "It would be computed from itself, by way of other formulas."
            mine[number].problems.append(Problem("formula", detail))

    def _placed(self, lines: list[Planned]) -> Iterable[Placed]:
        found: dict[int, Placed] = {}
        for number, row in self._estate.points.items():
            site = self._estate.sites[row.site_id]
            found[number] = Placed(as_seen(row, site.zone), site.name)
        for one in lines:
            if not one.site_id:
                continue
            site = self._estate.sites[one.site_id]
            known = found[one.number].point if one.number in found else None
            found[one.number] = Placed(_planned(one, known, site.zone), site.name)
        return found.values()

    def _line(self, one: Planned, used: set[int]) -> None:
        """Understand a line whose inputs are known.

        Raises:
            KilowatchError: ``data["field"]`` names the column.
        """
        refused = [self._lines[n] for n in used if n in self._lines and self._lines[n].problems]
        if refused:
            name, line = refused[0].name, refused[0].line
            raise refusal("formula", f"It is made of {name}, which is refused (line {line}).", "")
        if self._depth[one.number] > CHAIN_MAX:
            raise refusal(
                "formula", f"It is made of formulas of formulas, more than {CHAIN_MAX} deep.", ""
            )
        wanted = self._wanted[one.line]
        interval_s = spans.parse_interval(wanted["interval"]) if wanted["interval"] else None
        utility = wanted["utility"].casefold() or None
        texts = [text for _, text in one.formulas]
        if interval_s is None:
            interval_s = max(understand(Wish(t), self._names).interval_s for t in texts)
        found = [understand(Wish(text, interval_s, utility), self._names) for text in texts]
        for other in found[:-1]:
            refuse_unlike(other.checked, found[-1].checked)
        self._check_told(wanted, found[-1])
        one.columns = dict(found[-1].settings.columns())
        self._names.learn(_planned(one, self._names.point(one.number), ""))

    @staticmethod
    def _check_told(wanted: Mapping[str, str], found: Understood) -> None:
        given = {"unit": found.checked.unit.symbol, "behaviour": found.checked.behaviour}
        for column, value in given.items():
            told = wanted[f"told_{column}"]
            if told and told.casefold() != value.casefold():
                raise refusal(
                    column,
                    f"The formula gives {value or 'a plain number'}, and not {told}.",
                    "Leave the cell empty: unit and behaviour follow from the formula.",
                )

    def _look_after(self, number: int, touched: set[int], formulas: Formulas) -> None:
        """Refuse lines that leave a formula without sense which the table does not speak of."""
        row = self._estate.points[number]
        try:
            for _, text in formulas:
                found = understand(Wish(text, row.interval_s), self._names)
                if (found.checked.unit.symbol, found.checked.behaviour) != (
                    row.unit, row.behaviour,
                ):  # fmt: skip
                    unit = found.checked.unit.symbol or "a plain number"
                    raise refusal("unit", f"it would give {unit}.", "")
        except KilowatchError as error:
            for one in (self._lines[n] for n in touched if not self._lines[n].problems):
                detail = (
                    f"{one.name} is used by the formula {row.name}, which could not be computed "
                    f"any more: {error.detail} Change that formula first, or in the same table."
                )
                one.problems.append(Problem("unit", detail))


def _planned(one: Planned, known: DataPoint | None, zone: str) -> DataPoint:
    """Return a line's data point as formulas see it."""
    columns = {
        name: one.columns[name]
        for name in ("kind", "utility", "unit", "interval_s", "behaviour")
        if one.columns
    }
    if known is None:
        known = DataPoint(
            one.number, 0, one.stream_id, one.name, 0, one.site_id, zone, "single", "other", "",
            1, 0.0, "gauge",
        )  # fmt: skip
    return replace(known, name=one.name, **columns)


def _named(formulas: Formulas) -> tuple[int, ...]:
    return points_in("\n".join(text for _, text in formulas))


def write(change: Change, organisation_id: int, todo: list[Planned]) -> None:
    """Keep the formulas of lines whose data points are there by now."""
    mine = [one for one in todo if one.formulas]
    if not mine:
        return
    one_at_a_time(change.session, organisation_id)
    numbers = {one.number: one.point.id for one in todo if one.point is not None}

    def real(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"#{numbers.get(number, number)}"

    for one in mine:
        assert one.point is not None
        formula = formula_of(change.session, one.point.id)
        first, *later = [(at_ms, _NUMBER.sub(real, text)) for at_ms, text in one.formulas]
        if formula is None:
            formula = Formula(
                organisation_id=organisation_id,
                data_point_id=one.point.id,
                text=first[1],
                created_at_ms=change.now_ms,
            )
            change.session.add(formula)
        Story(first[1], dict(later)).write(change, formula, (None, ""))
    change.session.flush()
