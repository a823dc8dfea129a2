"""What became of findings: how many people have answered, and what they said of them, by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.answered import STATES
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.insight_period import stretch
from kilowatch.dashboard.insight_rows import Shown, shown_events
from kilowatch.dashboard.measures import part
from kilowatch.dashboard.places import in_place, readable, site_names
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.insight import EventKind
from kilowatch.model.points import DataPoint


@dataclass(frozen=True, slots=True)
class Answered:
    """Findings of one kind, or of all, by what they are to people.

    Attributes:
        kind: Which; None for all.
        states: How many are of each of ``STATES``.
    """

    kind: EventKind | None
    states: Counter[str]

    @property
    def title(self) -> str:
        """The kind in words."""
        return t("feedback.all") if self.kind is None else t(f"event_kind.{self.kind}")

    @property
    def found(self) -> int:
        """How many there are."""
        return self.states.total()

    @property
    def answered(self) -> int:
        """Of how many somebody has said something that stands."""
        return self.found - self.states["open"]

    @property
    def faults(self) -> int:
        """How many something was wrong in: called a fault, or mended."""
        return self.states["fault"] + self.states["resolved"]

    @property
    def right(self) -> str:
        """The share of faults among those that were called a fault or expected; empty for none."""
        judged = self.faults + self.states["expected"]
        return part(self.faults / judged) if judged else ""


def feedback_of(events: Sequence[Shown]) -> tuple[Answered, list[Answered]]:
    """Return what became of some findings: of all, and of each kind, the most frequent first."""
    by_kind: dict[EventKind, Counter[str]] = {}
    for one in events:
        by_kind.setdefault(one.event.kind, Counter())[one.state] += 1
    rows = [Answered(kind, states) for kind, states in by_kind.items()]
    rows.sort(key=lambda one: (-one.found, one.title))
    return Answered(None, sum((one.states for one in rows), Counter())), rows


async def answers_csv(request: Request) -> Response:
    """Answer what became of findings by site and kind; ``place`` is optional."""
    return await run_in_threadpool(_answers, request)


def _answers(request: Request) -> Response:
    who, query = visit_of(request).person, request.query_params
    mine = [point for point in readable(request, "sentinel") if may_export(who, point)]
    points = in_place(mine, query.get("place", ""))
    head = [
        *(t(f"files.{word}") for word in ("site", "kind", "first_day", "last_day", "count")),
        *(t(f"event_state.{state}") for state in STATES), t("files.right"),
    ]  # fmt: skip
    return csv_answer("answers to findings", head, _rows(request, points))


def _rows(request: Request, points: Sequence[DataPoint]) -> Iterator[list[object]]:
    rooms, names = rooms_of(request), site_names(request)
    if rooms.insights is None:
        return
    for site_id in dict.fromkeys(point.site_id for point in points):
        some = [point for point in points if point.site_id == site_id]
        days = stretch(request.query_params, rooms.view, some, rooms.clock())
        found = shown_events(request, some, *days.ms(some[0].zone), names)
        for one in feedback_of(found)[1]:
            yield [
                names.get(site_id, ("", ""))[0], one.title, days.first.isoformat(),
                days.last.isoformat(), one.found, *(one.states[state] for state in STATES),
                one.right,
            ]  # fmt: skip


DOORS: tuple[Door, ...] = (
    Door("/data/answers.csv", answers_csv, Access.EXPORT_SOMEWHERE, tool="export"),
)
