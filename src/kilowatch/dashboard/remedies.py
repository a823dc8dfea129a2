"""One click mends a registration: the remedy that a finding carries, applied or turned down.

A finding says what to change as data (``{"setting": "interval_s", "value": 900}``). What is applied
is what the person saw: when the finding has moved on meanwhile, nothing is changed and the page
says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import data_points
from kilowatch.catalog.changes import Actor
from kilowatch.catalog.spans import interval_text
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.findings import Finding
from kilowatch.model.points import DataPoint

_SPANS = frozenset({"interval_s", "tolerance_s"})
_WORDS = frozenset({"behaviour", "clock", "stamp"})


@dataclass(frozen=True, slots=True)
class Offer:
    """A finding as the page shows it.

    Attributes:
        code: The finding's.
        text: What is wrong, in one sentence.
        setting: What the remedy changes, or an empty string where a person has to think.
        value: To what, as the form sends it back.
        label: The button's words.
    """

    code: str
    text: str
    setting: str = ""
    value: str = ""
    label: str = ""


def offer_of(finding: Finding) -> Offer:
    """Return how a finding is shown, with its remedy if it carries one."""
    remedy: Mapping[str, Any] = finding.data.get("remedy") or {}
    setting, value = str(remedy.get("setting", "")), remedy.get("value")
    if setting not in data_points.SINGLE_SETTINGS:
        return Offer(finding.code, finding.text)
    name = t(f"remedy.{setting}")
    label = t("remedy.change", setting=name, value=_shown(setting, value))
    return Offer(finding.code, finding.text, setting, str(value), label)


async def apply(request: Request) -> Response:
    """Change the one setting that a finding's remedy names, for the whole history."""
    form = await request.form()
    wanted = Offer(*(str(form.get(name, "")) for name in ("code", "text", "setting", "value")))
    return await run_in_threadpool(_apply, request, wanted)


def _apply(request: Request, wanted: Offer) -> Response:
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    value = _offered(rooms.view.status(point).findings, wanted)
    person = visit.person
    actor = Actor(person.email, person.id, request.client.host if request.client else "")
    with rooms.registry.catalog.change(actor) as change:
        data_points.change_setting(change, point.id, wanted.setting, value)
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/attributes/{point.id}?changed={wanted.setting}", status_code=303)


def _offered(findings: Any, wanted: Offer) -> Any:
    """Return the value of the remedy that the person saw.

    Raises:
        KilowatchError: ``remedy_gone`` when no finding offers it any more.
    """
    for finding in findings:
        offer = offer_of(finding)
        if (offer.code, offer.setting, offer.value) == (wanted.code, wanted.setting, wanted.value):
            if offer.setting:
                return finding.data["remedy"]["value"]
            break
    raise KilowatchError(
        "remedy_gone",
        "What this button was offered for has changed meanwhile, so nothing was changed.",
        status=409,
        remedy="Look at the page again: it shows what is found now.",
    )


def changed_text(setting: str, point: DataPoint) -> str:
    """Return what a page says after a remedy, or an empty string for a word it did not send."""
    if setting not in data_points.SINGLE_SETTINGS:
        return ""
    value = _shown(setting, getattr(point, setting))
    return t("remedy.done", setting=t(f"remedy.{setting}"), value=value)


def _shown(setting: str, value: Any) -> str:
    if setting in _SPANS:
        return interval_text(round(float(value)))
    if setting in _WORDS:
        return t(f"{setting}.{value}").split(":")[0]
    return f"{value:g}" if isinstance(value, float) else str(value)


DOORS: tuple[Door, ...] = (
    Door(
        "/attributes/{point_id:number}/remedy",
        apply,
        Access.MANAGE_POINT,
        ("POST",),
        tool="attributes",
    ),
)
