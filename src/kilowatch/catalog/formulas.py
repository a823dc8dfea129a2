"""Registering and changing formulas: written with names, kept with numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.data_points import register
from kilowatch.catalog.formula_story import Story
from kilowatch.catalog.formula_use import (
    formula_of,
    periods_of,
    points_of,
    refuse_broken,
    refuse_circle,
    texts_of,
)
from kilowatch.catalog.point_settings import check_date
from kilowatch.catalog.registry import check_name
from kilowatch.catalog.same_names import refuse_same_rename
from kilowatch.catalog.settings_check import Settings, one_of
from kilowatch.catalog.spans import check_interval, interval_text
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Organisation, Site
from kilowatch.catalog.tables_formulas import Formula
from kilowatch.model import points
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import Checked, Names, Placed, check, denominator, parse
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
    one_at_a_time(session, site.organisation_id)
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


def change(
    open_change: Change,
    data_point_id: int,
    name: str,
    wish: Wish,
    names: Names,
    *,
    from_ms: int | None = None,
    comment: str = "",
) -> None:
    """Give a data point another formula, from an instant on or for all time.

    Its history is computed again. Name, interval and utility have no date. Another formula for
    all time drops those with a date; the present one, said again, leaves them.

    Args:
        open_change: An open change.
        data_point_id: The catalogue's number.
        name: What it shall be called.
        wish: The formula.
        names: What it may be made of.
        from_ms: First instant at which it holds [ms since 1970, UTC]; None for all time. An
            interval that has begun before keeps the formula before.
        comment: Why, for the history.

    Raises:
        KilowatchError: As ``create``; ``used_by_formulas`` where others need what it was;
            ``future_date`` or ``invalid_date``; ``formula_changes_kind``.
    """
    session = open_change.session
    formula = formula_of(session, data_point_id)
    if formula is None:
        raise KilowatchError(
            "unknown_formula", f"Data point {data_point_id} has no formula.", status=404
        )
    one_at_a_time(session, formula.organisation_id)
    point = session.get_one(DataPoint, data_point_id)
    if from_ms is not None:
        utility = wish.utility or point.utility
        wish = replace(wish, interval_s=wish.interval_s or point.interval_s, utility=utility)
    found = understand(wish, names)
    refuse_circle(texts_of(session, point.organisation_id), point.id, found.kept)
    story = Story.of(session, formula)
    if from_ms is None and found.kept != story.texts[-1]:
        story = Story(found.kept, {})
    elif from_ms is not None:
        story.later[check_date(from_ms, open_change.now_ms)] = found.kept
    name = check_name(name, "data point")
    refuse_same_rename(open_change, point, name)
    write(open_change, point, (formula, story), found, (from_ms, comment), name=name)


def take_back(open_change: Change, data_point_id: int, period_id: int) -> None:
    """Drop a formula that holds from a date on: the one before it goes on.

    Raises:
        KilowatchError: ``unknown_change``; as ``change``.
    """
    periods = periods_of(open_change.session, data_point_id)
    row = next((one for one in periods if one.id == period_id), None)
    formula = formula_of(open_change.session, data_point_id)
    if row is None or formula is None:
        raise KilowatchError(
            "unknown_change",
            f"There is no dated formula {period_id} here.",
            status=404,
            remedy="'kilowatch data-point formula NAME' shows what is dated.",
        )
    story = Story.of(open_change.session, formula)
    del story.later[row.from_ms]
    put(open_change, formula, story)


def put(open_change: Change, formula: Formula, story: Story) -> None:
    """Give a data point these formulas over time; it keeps its interval if that is long enough.

    Raises:
        KilowatchError: As ``change``.
    """
    session = open_change.session
    one_at_a_time(session, formula.organisation_id)
    point = session.get_one(DataPoint, formula.data_point_id)
    names = names_of(session, formula.organisation_id)
    longest_s = max(understand(Wish(text), names).interval_s for text in story.texts)
    wish = Wish(story.texts[-1], max(longest_s, point.interval_s), point.utility)
    found = understand(wish, names)
    for text in story.texts:
        refuse_circle(texts_of(session, point.organisation_id), point.id, text)
    write(open_change, point, (formula, story), found, (None, ""), name=point.name)


def write(
    open_change: Change,
    point: DataPoint,
    kept: tuple[Formula, Story],
    present: Understood,
    dated: tuple[int | None, str],
    *,
    name: str,
) -> None:
    """Write a formula over time, with what follows from it.

    Raises:
        KilowatchError: ``formula_changes_kind``, ``invalid_interval``, ``used_by_formulas``.
    """
    session, (formula, story) = open_change.session, kept
    story.settle()
    _check_alike(session, point, story, present)
    settings = present.settings
    assert settings.unit is not None
    assert settings.behaviour is not None
    with session.no_autoflush:  # one change, and one entry of the history for each row
        point.name, point.utility = name, settings.utility
        point.unit, point.behaviour = settings.unit, settings.behaviour
        point.interval_s = settings.interval_s
        story.write(open_change, formula, dated)
    session.flush()
    refuse_broken(session, point)


def _check_alike(session: Session, point: DataPoint, story: Story, present: Understood) -> None:
    """Refuse formulas that can't follow each other in one data point, or have longer intervals."""
    if not story.later:
        return
    names = names_of(session, point.organisation_id)
    for text in story.texts:
        wish = Wish(text, present.interval_s, present.utility)
        found = present if text == present.kept else understand(wish, names)
        refuse_unlike(found.checked, present.checked)


def refuse_unlike(one: Checked, other: Checked) -> None:
    """Refuse formulas that can't follow each other in one data point.

    Raises:
        KilowatchError: 422 ``formula_changes_kind``.
    """
    unit = one.unit.symbol or "a plain number"
    if (one.unit.symbol, one.behaviour) != (other.unit.symbol, other.behaviour):
        detail = (
            f"Over time it would give {unit} ({one.behaviour}), and then "
            f"{other.unit.symbol or 'a plain number'} ({other.behaviour})."
        )
    elif denominator(one) != denominator(other):
        detail = (
            f"Both give {unit}, but hours and months are formed in another way: a quotient "
            "divides sums of one kind."
        )
    else:
        return
    raise KilowatchError(
        "formula_changes_kind",
        detail,
        remedy="From a date on a formula may change within one quantity. For another one make "
        "a formula of its own, or change it for all time.",
        data={"field": "formula"},
    )


def set_back(open_change: Change, formula: Formula, text: str) -> None:
    """Give a data point the formula back that it had: an entry of the history is undone.

    Raises:
        KilowatchError: As ``change``.
    """
    story = Story.of(open_change.session, formula)
    story.always = text
    put(open_change, formula, story)


def one_at_a_time(session: Session, organisation_id: int) -> None:
    """Wait for whoever changes a formula of the organisation now: two could close a circle.

    SQLite's writers wait for each other anyway; other databases do by this row.
    """
    statement = select(Organisation.id).where(Organisation.id == organisation_id)
    session.execute(statement.with_for_update())
