"""Registering and changing formulas: written with names, kept with numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.data_points import register
from kilowatch.catalog.formula_use import (
    formula_of,
    points_of,
    refuse_broken,
    refuse_circle,
    texts_of,
)
from kilowatch.catalog.registry import check_name
from kilowatch.catalog.same_names import refuse_same_rename
from kilowatch.catalog.settings_check import Settings, one_of
from kilowatch.catalog.spans import check_interval, interval_text
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Organisation, Site
from kilowatch.catalog.tables_formulas import Formula
from kilowatch.model import points
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import Checked, Names, Placed, check, parse
from kilowatch.model.points import UTILITIES, Utility

FORMULAS_MAX = 5_000
"""Of one organisation: a tree of so many is computed again within minutes."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A formula as somebody wants it.

    Attributes:
        text: As written, with names or with numbers.
        interval_s: Of its results [s]; None for the longest of what it is made of.
        utility: What it counts as; None for what it is made of.
    """

    text: str
    interval_s: int | None = None
    utility: str | None = None


@dataclass(frozen=True, slots=True)
class Understood:
    """A formula that makes sense.

    Attributes:
        kept: Its text with numbers.
        checked: What it gives.
        interval_s: Of its results [s].
        utility: What it counts as.
    """

    kept: str
    checked: Checked
    interval_s: int
    utility: Utility

    @property
    def settings(self) -> Settings:
        """The settings of its data point."""
        return Settings(
            kind="single",
            utility=self.utility,
            interval_s=self.interval_s,
            unit=self.checked.unit.symbol,
            behaviour=self.checked.behaviour,
        )


def everything(_point: points.DataPoint) -> bool:
    """Let a formula name every data point of its organisation: at the command line."""
    return True


def names_of(
    session: Session,
    organisation_id: int,
    may_use: Callable[[points.DataPoint], bool] = everything,
) -> Names:
    """Return the data points that somebody may name in a formula of an organisation."""
    sites = select(Site.id, Site.name).where(Site.organisation_id == organisation_id)
    site_names = {row.id: row.name for row in session.execute(sites)}
    found = points_of(session, None, organisation_id)
    return Names(Placed(one, site_names[one.site_id]) for one in found if may_use(one))


def understand(wish: Wish, names: Names) -> Understood:
    """Return what a formula means.

    Raises:
        KilowatchError: 422 ``formula_…`` with the place in the text, ``invalid_setting`` or
            ``invalid_interval``.
    """
    found = check(parse(wish.text, names.find), names.measure)
    kept = names.with_numbers(wish.text)
    used = [names.point(one.point_id) for one in found.inputs]
    longest_s = max(one.interval_s for one in used)
    interval_s = longest_s if wish.interval_s is None else wish.interval_s
    check_interval(interval_s)
    if interval_s < longest_s:
        slow = max(used, key=lambda one: one.interval_s)
        raise KilowatchError(
            "invalid_interval",
            f"{slow.name} has a figure every {interval_text(longest_s)}: a formula of it can't "
            f"have one every {interval_text(interval_s)}.",
            remedy=f"Choose {interval_text(longest_s)} or longer.",
            data={"field": "interval"},
        )
    utility = one_of("utility", wish.utility, UTILITIES) if wish.utility else _utility(found, used)
    return Understood(kept, found, interval_s, utility)


def _utility(found: Checked, used: list[points.DataPoint]) -> Utility:
    """Return what a formula counts as: what all that it is made of is, where it measures that."""
    if found.unit.canonical == "°C":
        return "temperature"
    if found.behaviour == "gauge":
        return "other"
    counted = {one.utility for one in used if one.unit_of_value.amount == found.unit.amount}
    return counted.pop() if len(counted) == 1 else "other"


def create(
    change: Change,
    site: Site,
    name: str,
    wish: Wish,
    names: Names,
    *,
    stream_id: str | None = None,
    meter: Meter | None = None,
    appliance: Appliance | None = None,
) -> DataPoint:
    """Register a data point that is computed; its history follows in the background.

    Args:
        change: An open change.
        site: Where it belongs: its days are counted by this site's clock.
        name: What people call it.
        wish: The formula.
        names: What it may be made of.
        stream_id: Of the data point; made when None.
        meter: Where it hangs; a meter of the same name is added when None.
        appliance: Of that meter.

    Raises:
        KilowatchError: What ``understand``, ``refuse_circle`` and ``data_points.register`` find;
            ``too_many_formulas``.
    """
    session = change.session
    _one_at_a_time(session, site.organisation_id)
    found = understand(wish, names)
    texts = texts_of(session, site.organisation_id)
    refuse_circle(texts, None, found.kept)
    if len(texts) >= FORMULAS_MAX:
        raise KilowatchError(
            "too_many_formulas",
            f"There are {FORMULAS_MAX:,} formulas already.",
            status=409,
            remedy="Change one that is not needed any more.",
        )
    point = register(
        change, site, name, found.settings, stream_id=stream_id, meter=meter, appliance=appliance,
        computed=True,
    )  # fmt: skip
    session.add(
        Formula(
            organisation_id=site.organisation_id,
            data_point_id=point.id,
            text=found.kept,
            created_at_ms=change.now_ms,
        )
    )
    session.flush()
    return point


def change(open_change: Change, data_point_id: int, name: str, wish: Wish, names: Names) -> None:
    """Give a data point another formula, for all time; its history is computed again.

    Raises:
        KilowatchError: As ``create``; ``used_by_formulas`` where others need what it was.
    """
    session = open_change.session
    point, formula = session.get(DataPoint, data_point_id), formula_of(session, data_point_id)
    if point is None or formula is None:
        raise KilowatchError(
            "unknown_formula", f"Data point {data_point_id} has no formula.", status=404
        )
    _one_at_a_time(session, point.organisation_id)
    found = understand(wish, names)
    refuse_circle(texts_of(session, point.organisation_id), point.id, found.kept)
    name = check_name(name, "data point")
    refuse_same_rename(open_change, point, name)
    settings = found.settings
    assert settings.unit is not None
    assert settings.behaviour is not None
    with session.no_autoflush:  # one change, and one entry of the history for each row
        point.name, point.utility = name, settings.utility
        point.unit, point.behaviour = settings.unit, settings.behaviour
        point.interval_s = settings.interval_s
        formula.text = found.kept
    session.flush()
    refuse_broken(session, point)


def set_back(open_change: Change, formula: Formula, text: str) -> None:
    """Give a data point the formula back that it had: an entry of the history is undone.

    Raises:
        KilowatchError: As ``change``.
    """
    point = open_change.session.get_one(DataPoint, formula.data_point_id)
    names = names_of(open_change.session, formula.organisation_id)
    longest_s = understand(Wish(text), names).interval_s
    wish = Wish(text, max(longest_s, point.interval_s), point.utility)
    change(open_change, point.id, point.name, wish, names)


def _one_at_a_time(session: Session, organisation_id: int) -> None:
    """Wait for whoever changes a formula of the organisation now: two could close a circle.

    SQLite's writers wait for each other anyway; other databases do by this row.
    """
    statement = select(Organisation.id).where(Organisation.id == organisation_id)
    session.execute(statement.with_for_update())
