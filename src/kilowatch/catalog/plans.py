"""Plans: which tools of the platform a person sees in an organisation.

A role says what somebody may do; a plan says which pages they have for it. Without a plan a person
has every tool, also those that come with later versions: that is what "Full" means.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.registry import check_name, name_key
from kilowatch.catalog.tables import Membership
from kilowatch.catalog.tables_people import Invitation, Plan
from kilowatch.catalog.tools import FULL, TOOLS
from kilowatch.model.errors import KilowatchError

Tools = frozenset[str] | None
"""The tools that somebody has; None for all."""


def tools_of(plan: Plan | None) -> Tools:
    """Return the tools of a plan; None for all of them."""
    return None if plan is None else frozenset(plan.tools.split())


def has(tools: Tools, tool: str) -> bool:
    """Tell whether a tool is among those that somebody has."""
    return tools is None or tool in tools


def within(tools: Tools, limit: Tools) -> bool:
    """Tell whether somebody who has ``limit`` has all of ``tools``."""
    return limit is None or (tools is not None and tools <= limit)


def plans(session: Session, organisation_id: int) -> list[Plan]:
    """Return the plans of an organisation by name; ``FULL`` is none of them."""
    statement = select(Plan).where(Plan.organisation_id == organisation_id).order_by(Plan.name)
    return list(session.scalars(statement))


def find(session: Session, organisation_id: int, plan_id: int | None) -> Plan | None:
    """Return an organisation's plan by its number; None for ``FULL``.

    Raises:
        KilowatchError: ``unknown_plan``, also for one of another organisation.
    """
    if plan_id is None:
        return None
    plan = session.get(Plan, plan_id)
    if plan is None or plan.organisation_id != organisation_id:
        raise KilowatchError(
            "unknown_plan", "There is no such plan.", status=404, data={"field": "plan"}
        )
    return plan


def add(change: Change, organisation_id: int, name: str, tools: Iterable[str]) -> Plan:
    """Add a plan.

    Raises:
        KilowatchError: ``invalid_name``, ``plan_exists`` or ``unknown_tool``.
    """
    plan = Plan(
        organisation_id=organisation_id,
        name=_free_name(change.session, organisation_id, name),
        tools=_checked(tools),
        created_at_ms=change.now_ms,
    )
    change.session.add(plan)
    change.session.flush()
    return plan


def alter(change: Change, plan: Plan, name: str, tools: Iterable[str]) -> None:
    """Give a plan another name or other tools, for everybody who has it.

    Raises:
        KilowatchError: ``invalid_name``, ``plan_exists`` or ``unknown_tool``.
    """
    plan.name = _free_name(change.session, plan.organisation_id, name, but=plan)
    plan.tools = _checked(tools)
    change.session.flush()


def remove(change: Change, plan: Plan) -> None:
    """Remove a plan that nobody has.

    Raises:
        KilowatchError: ``plan_in_use``.
    """
    used = select(Membership.id).where(Membership.plan_id == plan.id).limit(1)
    waiting = (
        select(Invitation.id)
        .where(
            Invitation.plan_id == plan.id,
            Invitation.accepted_at_ms.is_(None),
            Invitation.withdrawn_at_ms.is_(None),
        )
        .limit(1)
    )
    if change.session.scalar(used) is not None or change.session.scalar(waiting) is not None:
        raise KilowatchError(
            "plan_in_use",
            f"Somebody has the plan {plan.name}.",
            status=409,
            remedy="Give them another plan first.",
        )
    for old in change.session.scalars(select(Invitation).where(Invitation.plan_id == plan.id)):
        old.plan_id = None  # over: taken or withdrawn
    change.session.delete(plan)
    change.session.flush()


def _free_name(
    session: Session, organisation_id: int, name: str, *, but: Plan | None = None
) -> str:
    clean = check_name(name, "plan", longest=100)
    taken = [p for p in plans(session, organisation_id) if p is not but]
    keys = {name_key(FULL), *(name_key(p.name) for p in taken)}
    if name_key(clean) in keys:
        raise KilowatchError(
            "plan_exists",
            f"There is a plan named {clean!r} already.",
            status=409,
            data={"field": "name"},
        )
    return clean


def _checked(tools: Iterable[str]) -> str:
    wanted = set(tools)
    unknown = sorted(wanted - set(TOOLS))
    if unknown:
        raise KilowatchError(
            "unknown_tool",
            f"{unknown[0]!r} is not a tool.",
            remedy=f"Choose from: {', '.join(TOOLS)}.",
            data={"field": "tools"},
        )
    return " ".join(tool for tool in TOOLS if tool in wanted)
