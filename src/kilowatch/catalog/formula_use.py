"""Which data points are computed from which, and what that forbids.

Whoever changes a data point asks here first: a formula that uses it must still make sense.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.catalog.tables import Site
from kilowatch.catalog.tables_formulas import Formula, FormulaPeriod
from kilowatch.model.dated import ALWAYS_MS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import check, measure_of, parse, points_in
from kilowatch.model.formulas.measures import Measure
from kilowatch.model.formulas.tree import Reference
from kilowatch.model.formulas.words import fault
from kilowatch.model.points import LATENESS_SHARE, DataPoint

CHAIN_MAX = 10
NAMED_MAX = 3


def formula_of(session: Session, data_point_id: int) -> Formula | None:
    """Return the formula of a data point; None for one whose packets are pushed."""
    return session.scalar(select(Formula).where(Formula.data_point_id == data_point_id))


def periods_of(session: Session, data_point_id: int) -> list[FormulaPeriod]:
    """Return what a data point's formula became, oldest first; what it was before is apart."""
    rows = select(FormulaPeriod).where(FormulaPeriod.data_point_id == data_point_id)
    return list(session.scalars(rows.order_by(FormulaPeriod.from_ms)))


def formulas_of(
    connection: Connection | Session, organisation_id: int | None = None
) -> dict[int, tuple[tuple[int, str], ...]]:
    """Return from when on which formula [ms], rising, by the number of the data point."""
    first = select(Formula.data_point_id, Formula.text)
    later = select(FormulaPeriod.data_point_id, FormulaPeriod.from_ms, FormulaPeriod.text)
    if organisation_id is not None:
        first = first.where(Formula.organisation_id == organisation_id)
        later = later.where(FormulaPeriod.organisation_id == organisation_id)
    found = {row.data_point_id: [(ALWAYS_MS, row.text)] for row in connection.execute(first)}
    for row in connection.execute(later.order_by(FormulaPeriod.from_ms)):
        found[row.data_point_id].append((row.from_ms, row.text))
    return {number: tuple(some) for number, some in found.items()}


Texts = Mapping[int, tuple[str, ...]]
"""Formulas by the number of their data point, the present one last."""


def texts_of(session: Session, organisation_id: int) -> dict[int, tuple[str, ...]]:
    """Return the formulas of an organisation, present ones last, by number of data point."""
    found = formulas_of(session, organisation_id)
    return {number: tuple(text for _, text in some) for number, some in found.items()}


def _named(texts: Iterable[str]) -> tuple[int, ...]:
    return points_in("\n".join(texts))


def users_of(session: Session, data_point_id: int, organisation_id: int) -> list[Row]:
    """Return the data points whose formulas name this one, by name."""
    texts = texts_of(session, organisation_id)
    numbers = [one for one, some in texts.items() if data_point_id in _named(some)]
    found = session.scalars(select(Row).where(Row.id.in_(numbers)).order_by(Row.name, Row.id))
    return list(found)


def points_of(session: Session, numbers: Iterable[int] | None, organisation_id: int) -> list[
    DataPoint
]:  # fmt: skip
    """Return data points of an organisation as formulas see them; all of them for None."""
    statement = (
        select(Row, Site.zone)
        .join(Site, Row.site_id == Site.id)
        .where(Row.organisation_id == organisation_id)
    )
    if numbers is not None:
        statement = statement.where(Row.id.in_(list(numbers)))
    return [as_seen(row, zone) for row, zone in session.execute(statement)]


def as_seen(row: Row, zone: str) -> DataPoint:
    """Return a data point of the registry as formulas see it."""
    tolerance_s = row.interval_s * LATENESS_SHARE if row.tolerance_s is None else row.tolerance_s
    return DataPoint(
        row.id, row.series, row.stream_id, row.name, row.organisation_id, row.site_id, zone,
        row.kind, row.utility, row.unit, row.interval_s, tolerance_s, row.behaviour,
    )  # fmt: skip


def refuse_circle(texts: Texts, data_point_id: int | None, kept: str) -> None:
    """Refuse a formula that would be computed from itself, or by way of too many others.

    Args:
        texts: The organisation's formulas; earlier ones count, since they are computed too.
        data_point_id: Whose formula it is to be; None for a new data point.
        kept: The formula.

    Raises:
        KilowatchError: 422 ``formula_circle`` or ``formula_chain``.
    """
    deepest: dict[int, int] = {}
    waiting = list(points_in(kept))
    below = {number: _named(some) for number, some in texts.items()}
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        if number == data_point_id:
            raise fault(
                "circle",
                "The formula would be computed from itself"
                + (
                    "."
                    if number in points_in(kept)
                    else ", by way of other formulas that it names."
                ),
                (0, len(kept)),
                "Name what it is made of in the end.",
            )
        if number not in seen:
            seen.add(number)
            waiting += below.get(number, ())

    def depth(number: int) -> int:
        if number not in deepest:
            deepest[number] = CHAIN_MAX  # a circle that was there before ends here
            inner = [depth(one) for one in below.get(number, ())]
            deepest[number] = 1 + max(inner, default=0) if number in below else 0
        return deepest[number]

    if max((depth(number) for number in points_in(kept)), default=0) >= CHAIN_MAX:
        raise fault(
            "chain",
            f"It is made of formulas of formulas, more than {CHAIN_MAX} deep.",
            (0, len(kept)),
            "Name what they are made of instead.",
        )


def refuse_broken(session: Session, changed: Row) -> None:
    """Refuse a change of a data point that leaves formulas which use it without sense.

    Raises:
        KilowatchError: 409 ``used_by_formulas``, naming them.
    """
    texts = texts_of(session, changed.organisation_id)
    users = {one: some for one, some in texts.items() if changed.id in _named(some)}
    if not users:
        return
    numbers = {number for some in users.values() for number in _named(some)} | set(users)
    points = {one.id: one for one in points_of(session, numbers, changed.organisation_id)}
    broken = {
        points[number].name: why
        for number, some in users.items()
        if (why := next(filter(None, (_broken(points[number], one, points) for one in some)), ""))
    }
    if broken:
        raise KilowatchError(
            "used_by_formulas",
            f"{changed.name} is used by {named(broken)}, which could not be computed any more: "
            f"{next(iter(broken.values()))}",
            status=409,
            remedy="Change the formula first.",
            data={"formulas": sorted(broken)},
        )


def _broken(point: DataPoint, text: str, points: Mapping[int, DataPoint]) -> str:
    def measure(reference: Reference) -> Measure:
        return measure_of(points[reference.point_id], reference)

    try:
        found = check(parse(text), measure)
    except KilowatchError as error:
        return error.detail
    longest_s = max(points[one.point_id].interval_s for one in found.inputs)
    if longest_s > point.interval_s:
        return "its intervals would be shorter than those of what it is made of."
    if (found.unit.symbol, found.behaviour) != (point.unit, point.behaviour):
        return f"it would give {found.unit.symbol or 'a plain number'} ({found.behaviour})."
    return ""


def named(names: Collection[str]) -> str:
    """Return some names for a sentence, the rest counted."""
    shown = sorted(names)[:NAMED_MAX]
    rest = len(names) - len(shown)
    text = ", ".join(shown)
    return f"{text} and {rest} more" if rest else text


def refuse_computed(session: Session, data_point_id: int, remedy: str) -> None:
    """Refuse what can only be done to a data point whose packets are pushed.

    Raises:
        KilowatchError: 409 ``computed``.
    """
    if formula_of(session, data_point_id) is None:
        return
    point: Any = session.get(Row, data_point_id)
    raise KilowatchError(
        "computed",
        f"{point.name} is computed from other data points by its formula.",
        status=409,
        remedy=remedy,
        data={"field": "data_point"},
    )
