"""Gaps and findings of one data point, each with what a person can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from kilowatch.catalog import feeding
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.quality import shown_gaps
from kilowatch.dashboard.quality_forms import form_href
from kilowatch.dashboard.quality_periods import Chosen, counted, day_text, days_ms, local_text
from kilowatch.dashboard.rooms import Rooms, rooms_of
from kilowatch.dashboard.words import t
from kilowatch.model.findings import Finding
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.points import DataPoint

GAPS_AT_ONCE = 25
SUMS_MS = 32 * DAY_MS
"""How far back from the end of a period sums are checked: a year of a site is too long to wait."""

VIOLATIONS = (
    "interval.spike", "interval.demand_implausible", "interval.zero_for_long", "interval.negative",
)  # fmt: skip
"""Findings about intervals that a person confirms or corrects."""


@dataclass(frozen=True, slots=True)
class Action:
    """A button of a finding or a gap: where it leads."""

    label: str
    href: str
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A finding as the page shows it, with what a person can do about it."""

    code: str
    text: str
    when: str
    actions: list[Action]


def gaps(
    request: Request, point: DataPoint, period: Chosen, *, manages: bool, acts: bool
) -> dict[str, Any]:
    """Return the gaps of a period, the newest first, ``GAPS_AT_ONCE`` at a time.

    Args:
        request: Names with ``gaps`` how many newer ones stand on the pages before.
        point: Whose.
        period: A year, a month or a day of its site.
        manages: Whether the person corrects figures.
        acts: Whether the person judges what was found.
    """
    rooms = rooms_of(request)
    span = (
        days_ms(period.day, period.day, point.zone) if period.day else period.bounds_ms(point.zone)
    )
    found = list(reversed(rooms.view.gaps_many([point], *span).get(point.series, [])))
    first = whole_number(request.query_params.get("gaps", "")) or 0
    some = shown_gaps(rooms, point, found[first : first + GAPS_AT_ONCE])
    return {
        "title": day_text(period.day) if period.day else period.name,
        "count": counted("gaps", len(found)),
        "rows": [(one, _gap_actions(point, one, manages=manages, acts=acts)) for one in some],
        "before": max(first - GAPS_AT_ONCE, 0) if first else None,
        "after": first + GAPS_AT_ONCE if first + GAPS_AT_ONCE < len(found) else None,
    }


def _gap_actions(point: DataPoint, shown: Any, *, manages: bool, acts: bool) -> list[Action]:
    gap = shown.gap
    if gap.to_ms is None:
        return []
    span = {"from_ms": gap.from_ms, "to_ms": gap.to_ms}
    found = []
    if shown.state != "filled" and manages:
        found.append(Action(t("correct.fill"), form_href(point, "correct", kind="fill", **span)))
        if point.behaviour == "register":
            spread = form_href(point, "correct", kind="spread", **span)
            found.append(Action(t("correct.spread"), spread))
    if shown.state == "found" and acts:
        found.append(Action(t("correct.accept"), form_href(point, "judge", kind="accept", **span)))
    if acts:
        found.append(
            Action(t("correct.comment"), form_href(point, "judge", kind="comment", **span))
        )
    return found


def findings(
    rooms: Rooms, point: DataPoint, period: Chosen, *, manages: bool, acts: bool
) -> list[Decision]:
    """Return what was found at a data point, and where submeters counted more than it.

    Args:
        rooms: What the dashboard is made of.
        point: Whose.
        period: Of the end of which sums are checked; what was found itself has no period.
        manages: Whether the person corrects figures.
        acts: Whether the person judges what was found.
    """
    found = list(rooms.view.findings([point]).get(point.series, ()))
    found += _sums(rooms, point, period)
    shown = []
    for one in found:
        when = "" if one.at_ms is None else local_text(one.at_ms, point.zone)
        until = one.data.get("until_ms")
        if isinstance(until, int) and until != one.at_ms:
            when = f"{when} – {local_text(until, point.zone)}"
        shown.append(Decision(one.code, one.text, when, _actions(point, one, manages, acts)))
    return shown


def _sums(rooms: Rooms, point: DataPoint, period: Chosen) -> Sequence[Finding]:
    """Return on which days of the period's last month submeters counted more than this meter."""
    with rooms.registry.catalog.reading() as session:
        eras = feeding.fed_by_over_time(session, point.organisation_id, point.site_id)
    below = {number for _, by in eras for number, feeder in by.items() if feeder == point.id}
    if not below:
        return ()
    directory = rooms.registry.directory()
    others = [one for number in sorted(below) if (one := directory.by_id(number)) is not None]
    from_ms, to_ms = period.bounds_ms(point.zone)
    to_ms = min(to_ms, rooms.clock())
    from_ms = max(from_ms, to_ms - SUMS_MS)
    if from_ms >= to_ms:
        return ()
    mine = [(at, {one.id: by.get(one.id) for one in (point, *others)}) for at, by in eras]
    return rooms.view.sum_findings([point, *others], mine, from_ms, to_ms).get(point.id, ())


def _actions(point: DataPoint, one: Finding, manages: bool, acts: bool) -> list[Action]:  # noqa: FBT001
    data = one.data
    if one.code == "register.fell" and manages:
        return [
            Action(t(_decision_key(decision)), _decision_href(point, decision), number == 0)
            for number, decision in enumerate(data.get("decisions", ()))
        ]
    found = []
    span = {"from_ms": one.at_ms, "to_ms": data.get("until_ms")}
    about = {**span, "channel": data.get("channel", "")}
    if one.code in VIOLATIONS:
        if acts:
            confirm = form_href(point, "judge", kind="confirm", **about)
            found.append(Action(t("correct.confirm"), confirm, primary=True))
        if manages:
            found.append(
                Action(t("correct.edit"), form_href(point, "correct", kind="edit", **about))
            )
            bad = {"at_ms": one.at_ms, "until_ms": data.get("until_ms")}
            found.append(Action(t("record.bad"), form_href(point, "meter", kind="bad", **bad)))
    elif one.code == "meter.sum_exceeded" and acts:
        found.append(
            Action(t("correct.comment"), form_href(point, "judge", kind="comment", **span))
        )
    elif data.get("remedy") or one.code == "backfill.conflict":
        found.append(Action(t("data_quality.see_attributes"), f"/attributes/{point.id}"))
    return found


def _decision_key(decision: dict[str, Any]) -> str:
    """Return the words of a decision about a dial that fell."""
    if decision["kind"] != "bad":
        return f"record.{decision['kind']}"
    return "record.bad_this" if "reading" in decision else "record.bad"


def _decision_href(point: DataPoint, decision: dict[str, Any]) -> str:
    fields = {name: value for name, value in decision.items() if name != "reading"}
    return form_href(point, "meter", **fields)
