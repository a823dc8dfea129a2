"""Changing a data point's settings: from a date on, or for all time because it was wrong.

These are two different actions. A transformer was exchanged on the first of March: from then
on its ratio is another one, and January stays as it was. A multiplier was typed wrongly: it was
never that, and every figure is computed again. Both are audited, and both can be undone.

Functions that write take an open ``Change``; ``preview`` shows what one of them would do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.factors_check import FACTORS, check_factors, check_number, invalid
from kilowatch.catalog.feeding_check import check_feeders
from kilowatch.catalog.histories import COLUMNS, Dated, periods_of, whole_settings
from kilowatch.catalog.setting_names import name_of
from kilowatch.catalog.settings_check import Settings, checked
from kilowatch.catalog.tables import DataPoint
from kilowatch.catalog.tables_settings import PointSetting
from kilowatch.model.errors import KilowatchError
from kilowatch.model.units import UNITS

FIELDS = (*COLUMNS, *FACTORS)
"""Every setting that can be changed from a date on or for all time."""

EARLIEST_MS = 31_536_000_000  # 1971: no packet is older
_CHECKED = tuple(field.name for field in fields(Settings))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do.

    Attributes:
        before: All settings by period as they are: from when on (None for always), and which.
        after: The same with the change.
        recomputes: Whether figures depend on it: the history would be computed again.
    """

    before: list[Dated]
    after: list[Dated]
    recomputes: bool


def history(session: Session, point: DataPoint) -> list[PointSetting]:
    """Return what is dated, oldest first; the row from always on comes first."""
    found = session.scalars(select(PointSetting).where(PointSetting.data_point_id == point.id))
    return sorted(found, key=lambda row: -1 if row.from_ms is None else row.from_ms)


def settings_by_period(session: Session, point: DataPoint) -> list[Dated]:
    """Return all settings by period: from when on (None for always), and every field."""
    return whole_settings(_columns(point), _dated(history(session, point)))


def settings_at(session: Session, point: DataPoint, at_ms: int | None = None) -> dict[str, Any]:
    """Return every setting as it was at an instant, or as it is now."""
    periods = settings_by_period(session, point)
    found = periods[0][1]
    for from_ms, settings in periods:
        if from_ms is not None and (at_ms is None or from_ms <= at_ms):
            found = settings
    return dict(found)


def change_from(
    change: Change,
    point: DataPoint,
    settings: Mapping[str, Any],
    from_ms: int,
    *,
    comment: str = "",
) -> list[PointSetting]:
    """Change settings from an instant on; what was before stays, and so does a later change.

    Args:
        change: An open change.
        point: A row of the change's session.
        settings: By field (``FIELDS``); what is the same as before changes nothing.
        from_ms: First instant at which they hold [ms since 1970, UTC].
        comment: Why, for the history.

    Returns:
        The rows that are dated now, oldest first.

    Raises:
        KilowatchError: ``invalid_setting`` or ``invalid_interval`` with ``data["field"]``,
            ``future_date``, ``unknown_setting``.
    """
    rows = history(change.session, point)
    story = _Story.of(point, rows)
    story.change_from(_known(settings), check_date(from_ms, change.now_ms))
    return _write(change, point, rows, story, comment, from_ms)


def change_always(
    change: Change, point: DataPoint, settings: Mapping[str, Any], *, comment: str = ""
) -> list[PointSetting]:
    """Change settings for all time: they were always wrong. Dated changes of them are dropped.

    Raises:
        KilowatchError: As ``change_from``.
    """
    rows = history(change.session, point)
    story = _Story.of(point, rows)
    story.change_always(_known(settings))
    return _write(change, point, rows, story, comment, None)


def undo(change: Change, point: DataPoint, setting_id: int) -> list[PointSetting]:
    """Take a dated change back: what was in force before it goes on.

    Raises:
        KilowatchError: ``unknown_change`` when the data point has no such dated change; what
            ``change_from`` finds when the rest can't stand without it.
    """
    rows = history(change.session, point)
    row = next((row for row in rows if row.id == setting_id and row.from_ms is not None), None)
    if row is None:
        raise KilowatchError(
            "unknown_change",
            f"{point.name} has no dated change {setting_id}.",
            status=404,
            remedy="'kilowatch data-point history' shows what is dated.",
        )
    story = _Story.of(point, rows)
    assert row.from_ms is not None
    story.forget(row.from_ms)
    return _write(change, point, rows, story, "", None)


def put_back(
    change: Change, point: DataPoint, from_ms: int, settings: Mapping[str, Any]
) -> list[PointSetting]:
    """Let exactly these settings change at an instant, as they once did; none, and nothing does.

    Raises:
        KilowatchError: As ``change_from``.
    """
    rows = history(change.session, point)
    story = _Story.of(point, rows)
    story.put_back(from_ms, settings)
    return _write(change, point, rows, story, "", None)


def forget_feeders(change: Change, point: DataPoint, gone: Collection[int]) -> None:
    """Let nothing feed a data point where one of these did: they are on another site now.

    Raises:
        KilowatchError: As ``change_from``.
    """
    rows = history(change.session, point)
    story = _Story.of(point, rows)
    story.forget_feeders(gone)
    _write(change, point, rows, story, "", None)


def preview(
    session: Session,
    point: DataPoint,
    settings: Mapping[str, Any],
    from_ms: int | None,
    *,
    now_ms: int,
) -> Preview:
    """Return what a change would do, without doing it; ``from_ms`` None is for all time.

    Raises:
        KilowatchError: What the change itself would refuse.
    """
    rows = history(session, point)
    before, after = _Story.of(point, rows), _Story.of(point, rows)
    if from_ms is None:
        after.change_always(_known(settings))
    else:
        after.change_from(_known(settings), check_date(from_ms, now_ms))
    after.check(session, point)
    return Preview(before.periods(), after.periods(), before.counted() != after.counted())


@dataclass(slots=True)
class _Story:
    """A data point's settings over time, as they are written: what changed when."""

    columns: dict[str, Any]
    always: dict[str, Any]
    dated: dict[int, dict[str, Any]]

    @staticmethod
    def of(point: DataPoint, rows: list[PointSetting]) -> _Story:
        always: dict[str, Any] = {}
        dated: dict[int, dict[str, Any]] = {}
        for row in rows:
            if row.from_ms is None:
                always = dict(row.fields)
            else:
                dated[row.from_ms] = dict(row.fields)
        return _Story(_columns(point), always, dated)

    def rows(self) -> list[Dated]:
        found: list[Dated] = [(None, self.always)] if self.always else []
        return [*found, *sorted(self.dated.items())]

    def periods(self) -> list[Dated]:
        return whole_settings(self.columns, self.rows())

    def counted(self) -> object:
        """What figures depend on: columns as they are, or periods."""
        columns = {name: self.columns[name] for name in COLUMNS if name != "parent_id"}
        return periods_of(self.columns, self.rows()) or columns

    def change_from(self, settings: Mapping[str, Any], from_ms: int) -> None:
        now = self.periods()[0][1]
        for start, some in self.periods():
            if start is not None and start <= from_ms:
                now = some
        changed = {name: value for name, value in settings.items() if now[name] != value}
        # Said once more at the very instant, a setting may also go back to what it was.
        again = settings.keys() & self.dated.get(from_ms, {}).keys()
        changed |= {name: settings[name] for name in again}
        for name in changed.keys() & set(COLUMNS):
            if not any(name in some for some in self.dated.values()):
                self.always[name] = self.columns[name]
        if changed:
            self.dated[from_ms] = self.dated.get(from_ms, {}) | changed
        self._settle()

    def change_always(self, settings: Mapping[str, Any]) -> None:
        for some in self.dated.values():
            for name in settings:
                some.pop(name, None)
        for name, value in settings.items():
            self.always[name] = value
        self._settle()

    def put_back(self, from_ms: int, settings: Mapping[str, Any]) -> None:
        for name in settings.keys() & set(COLUMNS):
            if not any(name in some for some in self.dated.values()):
                self.always[name] = self.columns[name]
        self.dated[from_ms] = dict(settings)
        self._settle()

    def forget_feeders(self, gone: Collection[int]) -> None:
        for some in (self.columns, self.always, *self.dated.values()):
            if some.get("parent_id") in gone:
                some["parent_id"] = None
        self._settle()

    def forget(self, from_ms: int) -> None:
        del self.dated[from_ms]
        self._settle()

    def _settle(self) -> None:
        """Keep present values in the columns, and nothing that goes without saying."""
        self.dated = {from_ms: some for from_ms, some in self.dated.items() if some}
        present = self.periods()[-1][1]
        self.columns = {name: present[name] for name in COLUMNS}
        for name in COLUMNS:
            if not any(name in some for some in self.dated.values()):
                self.always.pop(name, None)
        for name, usual in FACTORS.items():
            if name in self.always and self.always[name] == usual:
                del self.always[name]

    def check(self, session: Session, point: DataPoint) -> None:
        """Refuse what can't be true, naming the period; units are spelled as they are known."""
        measured = set()
        for from_ms, settings in self.periods():
            try:
                asked = {name: settings[name] for name in _CHECKED if name in settings}
                unit = settings["unit"] if point.kind == "single" else None
                found = checked(
                    Settings(kind=point.kind, utility=point.utility, **(asked | {"unit": unit}))
                )
                assert found.unit is not None
                self._spell(from_ms, found.unit)
                check_factors(point.kind, found.unit, settings["behaviour"], settings)
            except KilowatchError as error:
                error.data["from_ms"] = from_ms
                raise
            known = UNITS[found.unit]
            measured.add(known.amount or known.canonical)
        check_feeders(session, point, self.periods())
        if len(measured) > 1:
            raise invalid(
                "unit",
                f"One data point cannot measure {' and then '.join(sorted(measured))}.",
                "From a date on a unit may change within one quantity (kWh to MWh). For another "
                "quantity, register another data point.",
            )

    def _spell(self, from_ms: int | None, unit: str) -> None:
        at = self.always if from_ms is None else self.dated[from_ms]
        if "unit" in at:
            at["unit"] = unit
        self.columns["unit"] = unit  # of the last period in the end


def _write(
    change: Change,
    point: DataPoint,
    rows: list[PointSetting],
    story: _Story,
    comment: str,
    from_ms: int | None,
) -> list[PointSetting]:
    story.check(change.session, point)
    for name, value in story.columns.items():
        if getattr(point, name) != value:
            setattr(point, name, value)
    wanted = dict(story.rows())
    for row in rows:
        settings = wanted.pop(row.from_ms, None)
        if settings is None:
            change.session.delete(row)
        elif settings != row.fields:
            row.fields = dict(settings)
            if comment and row.from_ms == from_ms:
                row.comment = comment
    for start, settings in wanted.items():
        change.session.add(
            PointSetting(
                organisation_id=point.organisation_id,
                data_point_id=point.id,
                from_ms=start,
                fields=dict(settings),
                comment=comment if start == from_ms else "",
                created_at_ms=change.now_ms,
            )
        )
    change.session.flush()
    return history(change.session, point)


def _columns(point: DataPoint) -> dict[str, Any]:
    return {name: getattr(point, name) for name in COLUMNS}


def _dated(rows: list[PointSetting]) -> list[Dated]:
    return [(row.from_ms, row.fields) for row in rows]


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    for name in settings:
        if name not in FIELDS:
            raise KilowatchError(
                "unknown_setting",
                f"A data point has no setting {name!r} that could be changed.",
                remedy=f"There are: {', '.join(map(name_of, FIELDS))}.",
                data={"field": name},
            )
    if not settings:
        raise KilowatchError(
            "unknown_setting",
            "No setting is named that should be changed.",
            remedy=f"There are: {', '.join(map(name_of, FIELDS))}.",
        )
    for name, usual in FACTORS.items():
        if name in settings and (settings[name] is not None or usual is not None):
            check_number(name, settings[name])
    return dict(settings)


def check_date(from_ms: int, now_ms: int) -> int:
    """Return an instant from which on something can have changed [ms since 1970, UTC].

    Raises:
        KilowatchError: ``future_date`` or ``invalid_date``.
    """
    if from_ms > now_ms:
        raise KilowatchError(
            "future_date",
            "A setting cannot change from a date that is still to come.",
            remedy="Record it when the day has come.",
            data={"field": "from"},
        )
    if from_ms < EARLIEST_MS:
        raise KilowatchError(
            "invalid_date",
            "That date is before every packet there can be.",
            remedy="For a setting that was always wrong, change it for all time.",
            data={"field": "from"},
        )
    return from_ms
